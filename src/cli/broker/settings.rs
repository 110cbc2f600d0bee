//! `klog broker config`: the table of the daemon's settings.

use super::{ConfigArgs, options};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::rows::Rows;

pub(super) fn show(context: &Context, args: &ConfigArgs) -> Result<Exit, Failure> {
    let _ = options::resolve(context, &args.daemon)?;
    let _ = (&args.pattern, args.differing);
    Rows::new(&["setting", "value", "default", "effect"]).write(args.output.output)
}
