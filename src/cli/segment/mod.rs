//! `klog segment`: log files read themselves, with no daemon; only `cut` and `repair` ever write, and those through storage.

mod batches;
mod cut;
mod decode;
mod dump;
mod grep;
mod list;
mod place;
mod repair;
mod stat;
mod verify;

use std::io;
use std::path::{Path, PathBuf};

use super::context::Context;
use super::exit::{Exit, Failure, plain};
use super::output::{self, Progress};
use crate::inspect::{self, InspectError, Meter, Partition, Source, folder};

/// The flags of `klog segment`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    klog segment verify ~/.local/share/klog        every file of the data folder\n  \
    klog segment dump /var/lib/kafka/t-0 -J        the records of a partition\n  \
    klog segment dump 00000000000000000000.log --batches\n  \
    klog segment cut t-0 part -o 1000:2000         a folder with these records only")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// A row for each segment: offsets, sizes, times
    List(list::Args),
    /// Write the records of segments to stdout, also those behind damage and of aborted transactions
    Dump(Box<dump::Args>),
    /// Check checksums, order, records, indexes and epochs; exit 8 where anything is wrong
    Verify(verify::Args),
    /// Decode what is not for the eye: internal topics, indexes, snapshots, checkpoints
    Decode(decode::DecodeArgs),
    /// Count a partition: sizes, codecs, batches, rates, keys
    Stat(stat::Args),
    /// Copy a range of records into a new folder or segment, with their offsets
    Cut(cut::Args),
    /// Cut damage out of a partition into files beside, and make indexes again; shows what it would do without -y
    Repair(repair::Args),
}

/// Runs `klog segment`.
pub fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    match args.command {
        Command::List(args) => list::run(context, &args),
        Command::Dump(args) => dump::run(context, &args),
        Command::Verify(args) => verify::run(context, &args),
        Command::Decode(args) => decode::run(context, args),
        Command::Stat(args) => stat::run(context, &args),
        Command::Cut(args) => cut::run(context, &args),
        Command::Repair(args) => repair::run(context, &args),
    }
}

/// The name that stands for stdin.
const STDIN: &str = "-";

/// What a command is to look at.
enum Input {
    /// Partitions of files.
    Files(Vec<Partition>),
    /// Stdin, as one segment.
    Stdin(Partition),
}

/// Opens what a path names; an empty folder is no partitions.
fn open(path: &Path) -> Result<Input, Failure> {
    if path.as_os_str() == STDIN {
        return Ok(Input::Stdin(folder::of_stream(path)));
    }
    Ok(Input::Files(folder::open(inspect::machine().as_ref(), path)?))
}

/// The partitions at `paths`, in their order; a folder without segments is exit 3, stdin is taken once.
fn open_all(paths: &[PathBuf]) -> Result<Vec<Input>, Failure> {
    let mut all = Vec::new();
    for path in paths {
        match open(path)? {
            Input::Files(partitions) if partitions.iter().all(|one| one.segments.is_empty()) => {
                return Err(InspectError::Nothing { path: path.clone() }.into());
            }
            Input::Stdin(_) if all.iter().any(|one| matches!(one, Input::Stdin(_))) => {
                return Err(Failure::usage("stdin (-) is named twice", "it can be read once only"));
            }
            input => all.push(input),
        }
    }
    Ok(all)
}

/// Stdin as a source.
fn stdin() -> Source {
    Source::Stream(Box::new(io::stdin()))
}

/// Progress over `inputs`, whose bytes `meter` counts.
fn progress(context: &Context, doing: &'static str, inputs: &[Input]) -> Progress {
    let size = |input: &Input| match input {
        Input::Files(partitions) => partitions.iter().map(Partition::size).sum(),
        Input::Stdin(_) => 0,
    };
    let total: u64 = inputs.iter().map(size).sum();
    if total == 0 { Progress::new(context, doing) } else { Progress::of(context, doing, total) }
}

/// Draws what is done.
fn draw(progress: &mut Progress, meter: &Meter) {
    progress.fill(meter.bytes());
}

/// A line on stderr about a file.
fn complain(path: &Path, position: Option<u64>, what: &str) {
    match position {
        Some(position) => output::complain(&format!("klog: {} at {position}: {what}", path.display())),
        None => output::complain(&format!("klog: {}: {what}", path.display())),
    }
}

impl From<InspectError> for Failure {
    fn from(error: InspectError) -> Self {
        match &error {
            InspectError::Io { doing, path, source } => {
                let verb = if *doing == "open" { "open" } else { "read" };
                Failure::io(verb, path, source)
            }
            InspectError::Nothing { .. } => Failure::missing(
                error.to_string(),
                "name a data folder, a partition's folder (t-0), or a segment in it (00000000000000000000.log)",
            ),
            InspectError::Stream { .. } => Failure::usage(error.to_string(), "name the file instead of -"),
        }
    }
}

/// A failure of storage while a copy or a repair is written.
fn written(error: &crate::storage::repair::StorageError) -> Failure {
    use crate::storage::repair::StorageError;
    match error {
        StorageError::Io { doing, path, source } => {
            let failure = Failure::io(doing, path, source);
            Failure { what: format!("{doing} {}: {}", path.display(), plain(source)), ..failure }
        }
        StorageError::Locked { path } => Failure::failed(
            format!("a daemon holds {}", path.display()),
            "stop it first: klog broker stop (or Apache Kafka's own kafka-server-stop.sh)",
        ),
        other => Failure::failed(other.to_string(), ""),
    }
}
