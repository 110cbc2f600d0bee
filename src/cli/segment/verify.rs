//! `klog segment verify`: what is wrong with files, a row a finding.

use std::collections::HashMap;
use std::path::PathBuf;

use serde_json::Value;

use super::{Input, draw, open_all, progress, stdin};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output;
use crate::cli::output::rows::{Format, Output, Rows};
use crate::inspect::verify::{self, Report};
use crate::inspect::{Finding, Meter, Partition, Problem, machine, parallel};
use crate::model::units::show_size;

/// The flags of `klog segment verify`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Data folders, partitions' folders (t-0), segments in them, or - for a segment on stdin
    #[arg(required = true, value_name = "FILE|DIR", value_hint = clap::ValueHint::AnyPath)]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    output: Output,
}

const COLUMNS: [&str; 8] =
    ["file", "position", "problem", "bytes", "first_offset", "last_offset", "detail", "saved"];
const SHORT: [&str; 5] = ["file", "position", "problem", "detail", "saved"];

/// Runs `klog segment verify`.
pub(super) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let inputs = open_all(&args.paths)?;
    let meter = Meter::default();
    let mut progress = progress(context, "verifying", &inputs);
    let mut all = Report::default();
    let mut ids = HashMap::new();
    let mut live = 0;
    for input in &inputs {
        match input {
            Input::Stdin(partition) => {
                if let Some(file) = partition.segments.first() {
                    let done = verify::stream(stdin(), file, &meter)?;
                    add(
                        &mut all,
                        Report {
                            findings: done.findings,
                            more: done.more,
                            segments: 1,
                            bytes: done.bytes,
                            batches: done.batches,
                            records: done.records,
                            legacy: done.legacy,
                            growing: None,
                        },
                    );
                }
            }
            Input::Files(partitions) => {
                for partition in partitions {
                    let disk = machine();
                    let threads = parallel::threads();
                    let tick = || draw(&mut progress, &meter);
                    add(&mut all, verify::settled(disk.as_ref(), partition, threads, &meter, tick)?);
                    same_topic(partition, &mut ids, &mut all)?;
                    live += usize::from(partition.is_live);
                }
            }
        }
    }
    progress.clear();
    let rows = rows(&all.findings, args.output.output);
    rows.write(args.output.output)?;
    Ok(summary(context, &all, live > 0))
}

fn add(all: &mut Report, one: Report) {
    all.findings.extend(one.findings);
    all.more += one.more;
    all.segments += one.segments;
    all.bytes += one.bytes;
    all.batches += one.batches;
    all.records += one.records;
    all.legacy += one.legacy;
    all.growing = one.growing.or(all.growing.take());
}

/// All partitions of a topic have its id.
fn same_topic(
    partition: &Partition,
    ids: &mut HashMap<(PathBuf, String), (crate::model::id::TopicId, String)>,
    all: &mut Report,
) -> Result<(), Failure> {
    let Some(id) = verify::topic_id(machine().as_ref(), partition)? else { return Ok(()) };
    let data = partition.dir.parent().unwrap_or(&partition.dir).to_path_buf();
    if partition.topic.is_empty() {
        return Ok(());
    }
    let first = ids.entry((data, partition.topic.clone())).or_insert((id, partition.name.clone()));
    if first.0 != id {
        let what = format!("the topic's id is {id}, and {} says {}", first.1, first.0);
        let path = partition.dir.join("partition.metadata");
        all.findings.push(Finding { path, position: None, problem: Problem::BadFile { what } });
    }
    Ok(())
}

fn rows(findings: &[Finding], format: Format) -> Rows {
    let short = format == Format::Table;
    let mut rows = Rows::new(if short { &SHORT } else { &COLUMNS });
    for finding in findings {
        let problem = &finding.problem;
        let (file, position) = (finding.path.display().to_string(), Value::from(finding.position));
        let (word, detail, saved) = (problem.word(), problem.to_string(), problem.saved());
        if short {
            rows.push(vec![file.into(), position, word.into(), detail.into(), saved.into()]);
            continue;
        }
        let (bytes, offsets) = match problem {
            Problem::Damage(damage) => {
                (Some(damage.position.end - damage.position.start), Some(damage.offsets.clone()))
            }
            Problem::Records { offsets, .. }
            | Problem::MaxTimestamp { offsets, .. }
            | Problem::Missing { offsets }
            | Problem::Overlap { offsets } => (None, Some(offsets.clone())),
            _ => (None, None),
        };
        let offsets = offsets.filter(|offsets| !offsets.is_empty());
        rows.push(vec![
            file.into(),
            position,
            word.into(),
            bytes.into(),
            offsets.as_ref().map(|offsets| offsets.start).into(),
            offsets.map(|offsets| offsets.end - 1).into(),
            detail.into(),
            saved.into(),
        ]);
    }
    rows
}

fn summary(context: &Context, all: &Report, live: bool) -> Exit {
    if let Some((path, at)) = &all.growing {
        let text = format!("{} at {at}: the last batch is still being written", path.display());
        output::detail(context, &text);
    }
    if all.legacy > 0 {
        let count = all.legacy;
        let text = format!(
            "{count} messages of format 0 or 1 (before Kafka 0.11): their checksums are right, klog reads no further"
        );
        output::notice(context, &text);
    }
    let looked = format!(
        "{} in {}, {} batches, {} records",
        show_size(all.bytes),
        counted(all.segments, "segment"),
        all.batches,
        all.records
    );
    let found = all.findings.len() as u64 + all.more;
    if found == 0 {
        let live = if live { "; a daemon is writing there" } else { "" };
        output::notice(context, &format!("nothing wrong: {looked}{live}"));
        return Exit::Done;
    }
    let losses = all.findings.iter().filter(|finding| finding.problem.is_loss()).count() as u64 + all.more;
    let kind = match losses {
        0 => "no record is affected".to_owned(),
        losses => format!("{losses} affect records"),
    };
    let more = if all.more > 0 { format!(" ({} not listed)", all.more) } else { String::new() };
    output::complain(&format!("klog: {}{more}, {kind}: {looked}", counted(found, "problem")));
    output::complain("  see what a repair would do with: klog segment repair DIR");
    Exit::Corrupt
}

/// `1 segment`, `2 segments`.
fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
