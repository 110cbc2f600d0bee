//! `klog segment list`: a row for each segment.

use std::path::PathBuf;

use serde_json::Value;

use super::{Input, open};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::rows::{Output, Rows};
use crate::cli::{output, times};
use crate::inspect::{InspectError, facts, machine};

/// The flags of `klog segment list`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Data folders, partitions' folders (t-0), or segments in them
    #[arg(required = true, value_name = "DIR", value_hint = clap::ValueHint::AnyPath)]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    output: Output,
}

const COLUMNS: [&str; 16] = [
    "segment",
    "partition",
    "base_offset",
    "first_offset",
    "last_offset",
    "size",
    "batches",
    "records",
    "first_time",
    "first_timestamp",
    "last_time",
    "last_timestamp",
    "index_size",
    "timeindex_size",
    "txnindex_size",
    "state",
];

/// Runs `klog segment list`.
pub(super) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let mut rows = Rows::new(&COLUMNS);
    let disk = machine();
    for path in &args.paths {
        let Input::Files(partitions) = open(path)? else {
            return Err(InspectError::Stream { what: "list", path: "stdin".into() }.into());
        };
        for partition in &partitions {
            for (at, segment) in partition.segments.iter().enumerate() {
                let facts = match facts::of(disk.as_ref(), partition, at) {
                    // Deleted by the daemon since the folder was listed.
                    Err(InspectError::Io { source, .. })
                        if partition.is_live && source.kind() == std::io::ErrorKind::NotFound =>
                    {
                        continue;
                    }
                    done => done?,
                };
                let time = |ms: Option<i64>| Value::from(ms.and_then(times::rfc3339));
                rows.push(vec![
                    segment.path.display().to_string().into(),
                    partition.name.as_str().into(),
                    segment.base.into(),
                    facts.first_offset.into(),
                    facts.last_offset.into(),
                    segment.size.into(),
                    facts.batches.into(),
                    facts.records.into(),
                    time(facts.first_timestamp),
                    facts.first_timestamp.into(),
                    time(facts.last_timestamp),
                    facts.last_timestamp.into(),
                    segment.index.into(),
                    segment.timeindex.into(),
                    segment.txnindex.into(),
                    state(&facts, segment.is_last).into(),
                ]);
            }
        }
        if partitions.iter().all(|one| one.segments.is_empty()) {
            output::notice(context, &format!("{} holds no segments", path.display()));
        }
    }
    rows.write(args.output.output)
}

fn state(facts: &facts::Facts, is_last: bool) -> String {
    match facts.legacy {
        Some(magic) => format!("format {magic}"),
        None if facts.is_damaged => "damaged".to_owned(),
        None if is_last => "active".to_owned(),
        None => "closed".to_owned(),
    }
}
