//! jq filters from outside: the fast path against the slow, both against the installed jq, and hostile records.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "jq/differential.rs"]
mod differential;
#[path = "jq/filters.rs"]
mod filters;
#[path = "jq/hostile.rs"]
mod hostile;
#[path = "jq/oracle.rs"]
mod oracle;
#[path = "jq/records.rs"]
mod records;

use std::ops::ControlFlow;

use klog::pipeline::jq::{Fault, Filter, Scratch};

/// All results of a filter on a record, by the path the filter takes or by jaq alone.
fn results(filter: &Filter, record: &[u8], scratch: &mut Scratch, slow: bool) -> Result<Vec<String>, Fault> {
    let mut out = Vec::new();
    let mut each = |text: &[u8]| {
        out.push(String::from_utf8(text.to_vec()).expect("results are UTF-8"));
        ControlFlow::Continue(())
    };
    match slow {
        true => filter.run_slow(record, scratch, &mut each)?,
        false => filter.run(record, scratch, &mut each)?,
    }
    Ok(out)
}
