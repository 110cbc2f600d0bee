//! `klog produce`: stdin or files to records of a topic; exits when all of them are acknowledged, never before.

mod buffer;
mod plan;
mod pump;
mod stdin;
mod take;
mod transaction;

use std::ffi::OsString;
use std::path::PathBuf;

use super::completions;
use super::context::{Context, block_on};
use super::exit::{Exit, Failure, plain};
use super::output;
use super::rights::Need;
use super::signals::Signals;
use crate::client::ClientError;
use crate::client::admin::Operation;
use plan::Plan;
use pump::Pump;

/// The flags of `klog produce`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    git log --oneline | klog produce commits\n  \
    klog produce events -K : -H source=cron < pairs.txt\n  \
    klog produce orders --txn < all.txt            all of it or nothing\n  \
    klog consume a -J | jq -c '.topic=\"b\"' | klog produce -J")]
pub struct Args {
    /// The topic; made by the broker where that is allowed (with -J the records may name theirs)
    #[arg(value_name = "TOPIC", required_unless_present = "json")]
    pub topic: Option<String>,

    /// Send each file as one record, instead of stdin
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath,
          conflicts_with_all = ["delimiter", "null", "key_delimiter", "format", "json", "whole"])]
    pub files: Vec<PathBuf>,

    /// What ends a record, a line end by default; escapes \n \t \0 \xNN, several bytes allowed
    #[arg(short = 'D', long, value_name = "DELIM", allow_hyphen_values = true, conflicts_with_all = ["whole", "json"])]
    pub delimiter: Option<String>,

    /// Records end with a NUL byte
    #[arg(short = '0', long, conflicts_with_all = ["delimiter", "whole", "json"])]
    pub null: bool,

    /// Send all of stdin as one record
    #[arg(long, conflicts_with_all = ["format", "json"])]
    pub whole: bool,

    /// Split key from value at the first DELIM; a record without it gets a null key
    #[arg(short = 'K', long, value_name = "DELIM", allow_hyphen_values = true, conflicts_with_all = ["key", "format", "json"])]
    pub key_delimiter: Option<String>,

    /// One key for every record
    #[arg(short = 'k', long, value_name = "KEY", allow_hyphen_values = true, conflicts_with_all = ["format", "json"])]
    pub key: Option<OsString>,

    /// A header for every record: NAME=VALUE, NAME for null, NAME= for empty (repeatable, kept in order)
    #[arg(short = 'H', long = "header", value_name = "NAME[=VALUE]", allow_hyphen_values = true)]
    pub headers: Vec<OsString>,

    /// The partition of every record
    #[arg(short = 'p', long, value_name = "N", conflicts_with = "partitioner")]
    pub partition: Option<i32>,

    /// How partitions are chosen: by the key (murmur2 as the Java client, crc32 as librdkafka), or without it
    #[arg(long, value_enum, value_name = "HOW", default_value = "murmur2")]
    pub partitioner: Partitioner,

    /// The time of every record instead of now: RFC 3339, a date, epoch ms, -1h
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub timestamp: Option<String>,

    /// An empty value is sent as null, which deletes its key in a compacted topic
    #[arg(short = 'Z', long)]
    pub tombstone: bool,

    /// Read the input by a format string, such as '%k\t%v\n' or '%K{big32}%k%V{big32}%v'
    #[arg(short = 'f', long, value_name = "FORMAT", allow_hyphen_values = true, conflicts_with = "json")]
    pub format: Option<String>,

    /// Read JSON envelopes, one a line, as `consume -J` writes them; -J=json: values are any JSON
    #[arg(short = 'J', long, value_name = "json", num_args = 0..=1, require_equals = true,
          default_missing_value = "text", value_parser = ["text", "json"], hide_possible_values = true)]
    pub json: Option<String>,

    /// As -J=json
    #[arg(long, requires = "json")]
    pub json_values: bool,

    /// Compression: none, gzip, snappy, lz4 or zstd, with an optional level
    #[arg(short = 'z', long, value_name = "CODEC[:LEVEL]")]
    pub compression: Option<String>,

    /// Which acknowledgement to wait for: 0, 1 or all
    #[arg(long, value_name = "0|1|all")]
    pub acks: Option<String>,

    /// How long a batch may wait to be filled; by default it leaves as soon as no input is waiting
    #[arg(long, value_name = "DUR")]
    pub linger: Option<String>,

    /// The largest batch, in bytes before compression
    #[arg(long, value_name = "SIZE")]
    pub batch_bytes: Option<String>,

    /// All of the input in one transaction: committed at its end, aborted on an error or a signal. A later producer
    /// with the same ID ends what this one leaves open [default: an ID of its own]
    #[arg(long, value_name = "ID", num_args = 0..=1, default_missing_value = "", add = completions::transactions())]
    pub txn: Option<String>,

    /// A transaction for so many records, or for those within so long, such as 1000 or 5s; what a signal finds in hand
    /// is committed
    #[arg(long, value_name = "N|DUR")]
    pub txn_every: Option<String>,

    /// How long a transaction may be open before the broker aborts it [default: 15m for all of the input, else 1m]
    #[arg(long, value_name = "DUR")]
    pub txn_timeout: Option<String>,

    /// Copy the input to stdout
    #[arg(long)]
    pub tee: bool,

    /// What to do with input that can't be parsed: stop, or skip it and exit 6 at the end
    #[arg(long, value_enum, value_name = "WHAT", default_value = "stop")]
    pub on_error: OnError,
}

/// How partitions are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Partitioner {
    /// The Java client's: murmur2 of the key; without a key one partition a batch
    Murmur2,
    /// librdkafka's: CRC-32 of the key; without a key one partition a batch
    Crc32,
    /// Any partition for each record
    Random,
    /// One after the other
    RoundRobin,
}

/// What to do with input that can't be parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum OnError {
    /// Stop with exit 1, naming the line
    Stop,
    /// Leave it out; exit 6 at the end
    Skip,
}

/// Runs `klog produce`.
pub fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let plan = Plan::new(&args, context)?;
    let signals = Signals::catch()
        .map_err(|error| Failure::failed(format!("can't watch for signals: {}", plain(&error)), ""))?;
    let outcome = block_on(Box::pin(produce(context, plan, &signals)));
    if signals.received().is_some() {
        if let Err(failure) = &outcome {
            output::failure(failure);
        }
        signals.end();
    }
    outcome
}

async fn produce(context: &Context, plan: Plan, signals: &Signals) -> Result<Exit, Failure> {
    let pump = tokio::select! {
        biased;
        _ = signals.wait() => return Ok(Exit::Failed),
        pump = prepare(context, plan) => pump?,
    };
    pump.run(signals).await
}

/// Connects and makes sure of the topic.
async fn prepare(context: &Context, plan: Plan) -> Result<Pump<'_>, Failure> {
    let client = context.client_with(plan.options.clone()).await?;
    Pump::new(context, &client, plan).await
}

fn no_topic(context: &Context, error: &ClientError, name: &str) -> Failure {
    let failure = context.explain_need(error, &[Need::topic(&[Operation::Write], name)]);
    match error {
        // The broker does not say which of the two it was.
        ClientError::Broker { .. } if failure.exit == Exit::Denied => Failure {
            next: format!("{}; a topic that is not there yet is made by who may create it", failure.next),
            ..failure
        },
        ClientError::UnknownTopic(_) => Failure {
            what: format!("no topic {name}, and the broker does not make topics by itself"),
            next: format!("make it with: klog topic create {name}"),
            ..failure
        },
        _ => failure,
    }
}
