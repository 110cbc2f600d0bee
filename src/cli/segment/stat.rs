//! `klog segment stat`: what a partition comes to, a row a partition.

use std::path::PathBuf;

use serde_json::Value;

use super::{Input, draw, open_all, progress, stdin};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::rows::{Format, Output, Rows};
use crate::cli::{output, times};
use crate::inspect::stat::{self, Stat};
use crate::inspect::{Codec, Meter, machine, parallel};

/// The flags of `klog segment stat`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Data folders, partitions' folders (t-0), segments in them, or - for a segment on stdin
    #[arg(required = true, value_name = "FILE|DIR", value_hint = clap::ValueHint::AnyPath)]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    output: Output,
}

const COLUMNS: [&str; 32] = [
    "partition",
    "segments",
    "bytes",
    "batches",
    "records",
    "first_offset",
    "last_offset",
    "first_time",
    "first_timestamp",
    "last_time",
    "last_timestamp",
    "codecs",
    "bytes_none",
    "bytes_gzip",
    "bytes_snappy",
    "bytes_lz4",
    "bytes_zstd",
    "compression_ratio",
    "batch_bytes_min",
    "batch_bytes_avg",
    "batch_bytes_max",
    "records_per_batch",
    "key_bytes",
    "value_bytes",
    "records_per_second",
    "bytes_per_second",
    "keys",
    "keys_exact",
    "null_keys",
    "tombstones",
    "producers",
    "damaged_bytes",
];

/// Runs `klog segment stat`.
pub(super) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let inputs = open_all(&args.paths)?;
    let meter = Meter::default();
    let mut progress = progress(context, "counting", &inputs);
    let mut rows = Rows::new(&COLUMNS);
    let (mut damaged, mut legacy) = (0, 0);
    for input in &inputs {
        let mut take = |name: &str, stat: &Stat| {
            damaged += stat.damaged;
            legacy += stat.legacy;
            rows.push(row(name, stat));
        };
        match input {
            Input::Stdin(partition) => {
                if let Some(file) = partition.segments.first() {
                    take(&partition.name, &stat::segment(stdin(), file, &meter)?);
                }
            }
            Input::Files(partitions) => {
                for partition in partitions {
                    let (disk, threads) = (machine(), parallel::threads());
                    let tick = || draw(&mut progress, &meter);
                    let stat = stat::partition(disk.as_ref(), partition, threads, &meter, tick)?;
                    take(&partition.name, &stat);
                }
            }
        }
    }
    progress.clear();
    match args.output.output {
        Format::Table => rows.write_tall()?,
        format => rows.write(format)?,
    };
    if legacy > 0 {
        output::notice(
            context,
            &format!("{legacy} messages of format 0 or 1 (before Kafka 0.11) are not counted"),
        );
    }
    if damaged > 0 {
        output::complain(&format!("klog: {damaged} damaged places are not counted"));
        output::complain("  see them with: klog segment verify");
        return Ok(Exit::Corrupt);
    }
    Ok(Exit::Done)
}

/// A quotient with at most two decimals; nothing where it would say nothing.
fn quotient(of: u64, by: u64) -> Value {
    if by == 0 {
        return Value::Null;
    }
    let hundredths = u128::from(of) * 100 / u128::from(by);
    Value::from(hundredths as f64 / 100.0)
}

fn row(name: &str, stat: &Stat) -> Vec<Value> {
    let time = |ms: Option<i64>| Value::from(ms.and_then(times::rfc3339));
    let used: Vec<&str> = Codec::ALL
        .iter()
        .zip(&stat.codecs)
        .filter(|(_, by)| by.batches > 0)
        .map(|(codec, _)| codec.name())
        .collect();
    let batch_bytes: u64 = stat.codecs.iter().map(|by| by.bytes).sum();
    let inflated: u64 = stat.codecs.iter().map(|by| by.inflated).sum::<u64>() + 61 * stat.batches;
    let span = match (stat.first_timestamp, stat.last_timestamp) {
        (Some(first), Some(last)) => u64::try_from(last.saturating_sub(first)).unwrap_or(0),
        _ => 0,
    };
    let mut row = vec![
        name.into(),
        stat.segments.into(),
        stat.bytes.into(),
        stat.batches.into(),
        stat.records.into(),
        stat.first_offset.into(),
        stat.last_offset.into(),
        time(stat.first_timestamp),
        stat.first_timestamp.into(),
        time(stat.last_timestamp),
        stat.last_timestamp.into(),
        used.into(),
    ];
    row.extend(stat.codecs.iter().map(|by| Value::from(by.bytes)));
    row.extend([
        quotient(inflated, batch_bytes),
        stat.least_batch.into(),
        quotient(batch_bytes, stat.batches),
        if stat.batches > 0 { stat.largest_batch.into() } else { Value::Null },
        quotient(stat.records, stat.batches - stat.control.min(stat.batches)),
        stat.key_bytes.into(),
        stat.value_bytes.into(),
        quotient(stat.records.saturating_mul(1000), span),
        quotient(batch_bytes.saturating_mul(1000), span),
        stat.keys.count().into(),
        stat.keys.is_exact().into(),
        stat.null_keys.into(),
        stat.tombstones.into(),
        stat.producers.len().into(),
        stat.damaged_bytes.into(),
    ]);
    row
}
