//! Any bytes as a record under a filter, as a filter, and as a pipeline's spec: the fast path gives what jaq gives, what is
//! JSON is JSON to serde_json as well, and a spec is read or refused.
//!
//! The first byte chooses a filter of the fast path for the record that follows; at 253 a filter's text follows, above that
//! a spec.

use std::cell::OnceCell;
use std::ops::ControlFlow;

use klog::pipeline::jq::{Fault, Filter, Scratch};
use klog::pipeline::{depth, file};
use serde::de::IgnoredAny;

use crate::filters::FAST;
use crate::memory::memory;

thread_local! {
    static FILTERS: Vec<OnceCell<Filter>> = FAST.iter().map(|_| OnceCell::new()).collect();
}

pub(crate) fn run(data: &[u8]) {
    let Some((&choice, record)) = data.split_first() else { return };
    match choice {
        253 => compiled(&String::from_utf8_lossy(record)),
        254.. => spec(&String::from_utf8_lossy(record)),
        _ => FILTERS.with(|filters| {
            let at = usize::from(choice) % filters.len();
            let filter =
                filters[at].get_or_init(|| Filter::compile(FAST[at]).expect("a filter of the table"));
            is_json(filter, FAST[at], record);
            same(filter, FAST[at], record);
        }),
    }
}

fn results(filter: &Filter, record: &[u8], slow: bool) -> Result<Vec<Vec<u8>>, Fault> {
    let mut out = Vec::new();
    let mut scratch = Scratch::default();
    let mut each = |text: &[u8]| {
        out.push(text.to_vec());
        ControlFlow::Continue(())
    };
    match slow {
        true => filter.run_slow(record, &mut scratch, &mut each)?,
        false => filter.run(record, &mut scratch, &mut each)?,
    }
    Ok(out)
}

/// The fast path and jaq agree, on results and on faults; every result is JSON on one line.
fn same(filter: &Filter, source: &str, record: &[u8]) {
    let (took, fast) = memory(|| results(filter, record, false));
    let allowed = 1024 * 1024 + 4096 * record.len();
    assert!(took <= allowed, "{source}: {took} bytes for a record of {}", record.len());
    let slow = results(filter, record, true);
    assert_eq!(fast, slow, "{source} of {:?}", String::from_utf8_lossy(record));
    for text in fast.iter().flatten() {
        assert!(serde_json::from_slice::<IgnoredAny>(text).is_ok() && std::str::from_utf8(text).is_ok());
        assert!(!text.contains(&b'\n'));
    }
    let mut scratch = Scratch::default();
    let holds = filter.holds(record, &mut scratch);
    let key = filter.key(record, &mut scratch);
    if let Ok(results) = &slow {
        let first = results.first().map(Vec::as_slice);
        let is_true = first.is_some_and(|text| text != b"null" && text != b"false");
        assert_eq!(holds, Ok(is_true), "{source} of {:?}", String::from_utf8_lossy(record));
        assert!(key.is_ok());
    }
}

/// What klog takes for JSON is what serde_json takes, in UTF-8 and no deeper than the limit.
fn is_json(filter: &Filter, source: &str, record: &[u8]) {
    let refused = match results(filter, record, false) {
        Ok(_) | Err(Fault::Failed(_)) => None,
        Err(fault) => Some(fault),
    };
    let json = serde_json::from_slice::<IgnoredAny>(record).is_ok() && std::str::from_utf8(record).is_ok();
    let shown = String::from_utf8_lossy(record);
    match refused {
        None => assert!(json && depth::of(record) <= depth::LIMIT, "{source}: {shown:?} is taken for JSON"),
        Some(Fault::TooDeep { .. }) => assert!(depth::of(record) > depth::LIMIT, "{shown:?} is not deep"),
        Some(fault) => assert!(!json, "{source}: {shown:?} is refused: {fault}"),
    }
}

/// Any text compiles or is refused with its place; what is canonical compiles to itself.
fn compiled(source: &str) {
    if source.len() > 400 {
        return;
    }
    match Filter::compile(source) {
        Ok(filter) => {
            let canonical = filter.canonical().to_owned();
            let again = Filter::compile(&canonical);
            let again = again.unwrap_or_else(|error| panic!("{canonical:?} of {source:?}: {error}"));
            assert_eq!(again.canonical(), canonical, "{source:?}");
            assert_eq!(again.is_fast(), filter.is_fast(), "{source:?}");
        }
        Err(error) => {
            assert!(error.at.start <= error.at.end && error.at.end <= source.len(), "{source:?}: {error:?}");
            assert!(!error.message.is_empty());
            let (line, column) = error.line_column(source);
            assert!(line >= 1 && column >= 1);
        }
    }
}

fn spec(text: &str) {
    match file::parse(text) {
        Ok(spec) => {
            spec.check().expect("what was read is checked");
            assert!(spec.targets().len() <= text.len() && spec.group_name().len() <= text.len() + 200);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
