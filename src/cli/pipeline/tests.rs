//! `klog pipeline test`: the examples of a file, one line each; needs no broker.

use std::path::Path;

use super::spec;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output;
use crate::pipeline::{Pipeline, case};

/// Runs every example; the outcome of each is a line of stdout, what went wrong stands below it.
pub(super) fn run(context: &Context, path: &Path) -> Result<Exit, Failure> {
    let mut spec = spec::from_file(path)?;
    let cases = std::mem::take(&mut spec.cases);
    if cases.is_empty() {
        let what = format!("{} has no examples", path.display());
        return Err(Failure::new(Exit::NoMatch, what, "write some: [[test]] with given and expect"));
    }
    let pipeline = Pipeline::new(spec);
    let (mut out, mut failed) = (String::new(), 0);
    for case in &cases {
        match case::run(&pipeline, case) {
            Ok(()) => out += &format!("ok      {}\n", case.name),
            Err(why) => {
                failed += 1;
                out += &format!("failed  {}\n", case.name);
                why.lines().for_each(|line| out += &format!("        {line}\n"));
            }
        }
    }
    output::data(out.as_bytes())?;
    match failed {
        0 => {
            output::detail(context, &format!("{} examples hold", cases.len()));
            Ok(Exit::Done)
        }
        _ => Err(Failure::failed(format!("{failed} of {} examples fail", cases.len()), "")),
    }
}
