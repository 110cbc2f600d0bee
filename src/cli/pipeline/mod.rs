//! `klog pipeline`: JSON records from topic to topic through jq; each command's words to one specification.

mod explain;
mod run;
mod spec;
mod tests;

use std::path::PathBuf;

use super::completions;
use super::context::Context;
use super::exit::{Exit, Failure};
use super::output;

/// The flags of `klog pipeline`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Run a pipeline, from a file or from flags; goes on where its group stopped
    Run(Box<RunArgs>),
    /// Check a pipeline; exit 2 with line and column of what is wrong
    Check(CheckArgs),
    /// Draw the stages of a pipeline
    Explain(ExplainArgs),
    /// Run the examples written in a pipeline's file; exit 1 when one fails
    Test(TestArgs),
}

/// A pipeline: a file, or what a file would say.
#[derive(Debug, Clone, Default, clap::Args)]
struct Words {
    /// The pipeline's file (TOML); or say it with the flags below
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath,
          conflicts_with_all = ["from", "to", "regex", "filter", "jq", "key_jq"])]
    file: Option<PathBuf>,

    /// A topic to read; - is stdin, a record a line (repeatable)
    #[arg(long, value_name = "TOPIC", add = completions::topics())]
    from: Vec<String>,

    /// The topic to write; - is stdout, a value a line
    #[arg(long, value_name = "TOPIC", add = completions::topics())]
    to: Option<String>,

    /// Topics to read are regular expressions, matched whole
    #[arg(long)]
    regex: bool,

    /// Only records for which this jq expression holds, looked at first
    #[arg(long = "where", value_name = "JQ", allow_hyphen_values = true)]
    filter: Option<String>,

    /// What becomes of a value: each result of this jq filter is a record
    #[arg(long, value_name = "JQ", allow_hyphen_values = true)]
    jq: Option<String>,

    /// The key: the result of this jq expression over the new value
    #[arg(long, value_name = "JQ", allow_hyphen_values = true)]
    key_jq: Option<String>,
}

/// How a pipeline is run; a flag wins over the file.
#[derive(Debug, Clone, Default, clap::Args)]
struct Ways {
    /// The group that keeps the position [default: the file's group or name; else one named after what is done]
    #[arg(short = 'g', long, value_name = "GROUP", add = completions::groups())]
    group: Option<String>,

    /// Where a group without a stored offset begins [default: start]
    #[arg(long, value_enum, value_name = "WHERE")]
    reset: Option<ResetTo>,

    /// What becomes of a record that a step can't work on: stop before it, skip it, or send it to a topic as it came,
    /// with headers that say why [default: stop]
    #[arg(long, value_name = "stop|skip|dlq=TOPIC")]
    on_error: Option<String>,
}

/// Where to begin without a stored offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum ResetTo {
    /// At the first record there is
    Start,
    /// At the end
    End,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    klog pipeline run prices.toml                         follow\n  \
    klog pipeline run --from sales --to prices --once \\\n    \
    --jq 'select(.quantity > 0) | {item, price: (.sales / .quantity)}'\n  \
    klog pipeline run --from orders --to - --where '.total > 100' | notify\n  \
    tail -F app.jsonl | klog pipeline run --from - --to errors --where '.level == \"error\"'")]
struct RunArgs {
    #[command(flatten)]
    words: Words,
    #[command(flatten)]
    ways: Ways,
    /// Carry what is there now, then exit
    #[arg(long)]
    once: bool,
    /// What comes of records is committed together with the position behind them, in transactions: after a crash too
    /// each result is there once, for readers of committed records. From topics to topics only
    #[arg(long)]
    exactly_once: bool,
    /// Worker threads at most [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
}

#[derive(Debug, clap::Args)]
struct CheckArgs {
    #[command(flatten)]
    words: Words,
    #[command(flatten)]
    ways: Ways,
}

#[derive(Debug, clap::Args)]
struct ExplainArgs {
    #[command(flatten)]
    words: Words,
    #[command(flatten)]
    ways: Ways,
}

#[derive(Debug, clap::Args)]
struct TestArgs {
    /// The pipeline's file
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    file: PathBuf,
}

/// Runs `klog pipeline`.
pub fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    match args.command {
        Command::Run(args) => run::run(context, &args),
        Command::Check(args) => {
            let (spec, _) = spec::read(&args.words, &args.ways)?;
            output::notice(context, &format!("the pipeline is well formed: {}", explain::line(&spec)));
            Ok(Exit::Done)
        }
        Command::Explain(args) => {
            let (spec, _) = spec::read(&args.words, &args.ways)?;
            output::data(explain::draw(&spec).as_bytes())?;
            Ok(Exit::Done)
        }
        Command::Test(args) => tests::run(context, &args.file),
    }
}
