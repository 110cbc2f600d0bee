//! `klog consume`: records of topics to stdout; moves a group's position only over what the reader took.

mod lookout;
mod member;
pub(super) mod plan;
mod reader;
mod setup;
pub(in crate::cli) mod sink;

use super::completions;
use super::context::{Context, block_on};
use super::exit::{Exit, Failure, plain};
use super::output;
use super::signals::Signals;
use plan::Plan;
use reader::Reader;

/// The flags of `klog consume`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    klog consume events -e                     all there is, then exit\n  \
    klog consume events -o -10                 the last ten of each partition, then follow\n  \
    klog consume events -g mailer | ./mail.sh  go on where the group stopped\n  \
    klog consume events -e -f '%o %k=%v\\n'     offsets, keys and values")]
pub struct Args {
    /// The topics
    #[arg(value_name = "TOPIC", required = true, add = completions::topics())]
    pub topics: Vec<String>,

    /// Where to begin, and where to end: start, end, N, +N, -N, @TIME, ranges N:M, @T1:@T2, :end [default: start]
    #[arg(
        short = 'o',
        long,
        value_name = "WHERE[:END]",
        allow_hyphen_values = true,
        conflicts_with = "since"
    )]
    pub offset: Option<String>,

    /// Begin at a time: RFC 3339, a date, epoch ms, -1h
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub since: Option<String>,

    /// End at a time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub until: Option<String>,

    /// Stop at the end as it was when the command began
    #[arg(short = 'e', long)]
    pub exit: bool,

    /// Stop after so many records
    #[arg(short = 'n', long, value_name = "N")]
    pub count: Option<u64>,

    /// Stop when no record came for so long
    #[arg(long, value_name = "DUR")]
    pub idle: Option<String>,

    /// Stop after so long; with fewer than -n records this is exit 5
    #[arg(long, value_name = "DUR")]
    pub deadline: Option<String>,

    /// Read as a member of a group, and commit what was delivered
    #[arg(short = 'g', long, value_name = "GROUP", add = completions::groups())]
    pub group: Option<String>,

    /// The static member's name, which keeps its partitions over a restart
    #[arg(long, value_name = "ID", requires = "group")]
    pub instance_id: Option<String>,

    /// How the group divides its partitions: classic (its members do) or consumer (the broker does: KIP-848, Kafka
    /// 4.0 and later) [default: classic, or what -X group.protocol says]
    #[arg(long, value_enum, value_name = "PROTOCOL", requires = "group")]
    pub group_protocol: Option<Protocol>,

    /// Where to begin without a stored offset, or when it is gone
    #[arg(long, value_enum, value_name = "WHERE")]
    pub reset: Option<ResetTo>,

    /// Read as the group without moving its offsets
    #[arg(long, requires = "group")]
    pub no_commit: bool,

    /// These partitions only: 0,2-4
    #[arg(short = 'p', long, value_name = "LIST", conflicts_with = "group")]
    pub partitions: Option<String>,

    /// Write records by a format string, such as '%t %p %o %k %v\n'
    #[arg(short = 'f', long, value_name = "FORMAT", allow_hyphen_values = true, conflicts_with_all = ["json", "delimiter", "null", "key_delimiter"])]
    pub format: Option<String>,

    /// Write JSON envelopes, one a line; -J=json: values that are JSON stand there as they are
    #[arg(short = 'J', long, value_name = "json", num_args = 0..=1, require_equals = true,
          default_missing_value = "text", value_parser = ["text", "json"], hide_possible_values = true,
          conflicts_with_all = ["delimiter", "null", "key_delimiter"])]
    pub json: Option<String>,

    /// As -J=json
    #[arg(long, requires = "json")]
    pub json_values: bool,

    /// What is written after each value, a line end by default; escapes \n \t \0 \xNN
    #[arg(short = 'D', long, value_name = "DELIM", allow_hyphen_values = true)]
    pub delimiter: Option<String>,

    /// A NUL byte after each value
    #[arg(short = '0', long, conflicts_with = "delimiter")]
    pub null: bool,

    /// Write the key and DELIM before each value
    #[arg(short = 'K', long, value_name = "DELIM", allow_hyphen_values = true)]
    pub key_delimiter: Option<String>,

    /// Read records of open and aborted transactions too
    #[arg(long)]
    pub read_uncommitted: bool,

    /// Write the ends of transactions too, as objects with "control": "commit" or "abort"
    #[arg(long, requires = "json")]
    pub control: bool,
}

/// Where to begin without a stored offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ResetTo {
    /// At the first record there is
    Start,
    /// At the end
    End,
    /// Fail instead
    Fail,
}

/// How a group divides its partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Protocol {
    /// Its members do
    Classic,
    /// The broker does
    Consumer,
}

/// Runs `klog consume`.
pub fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let plan = Plan::new(&args, context)?;
    let signals = Signals::catch()
        .map_err(|error| Failure::failed(format!("can't watch for signals: {}", plain(&error)), ""))?;
    let outcome = block_on(Box::pin(consume(context, plan, &signals)));
    if signals.received().is_some() {
        if let Err(failure) = &outcome {
            output::failure(failure);
        }
        signals.end();
    }
    outcome
}

async fn consume(context: &Context, plan: Plan, signals: &Signals) -> Result<Exit, Failure> {
    match Box::pin(Reader::new(context, plan, signals)).await? {
        Some(reader) => Box::pin(reader.run()).await,
        // A signal, a time-out, or the reader of stdout left, before there was anything to read.
        None => Ok(Exit::Done),
    }
}
