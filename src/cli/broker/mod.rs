//! `klog broker`: run the daemon, start and stop it in the background, look at it.

mod control;
mod log_file;
mod log_lines;
mod logs;
mod options;
mod pages;
mod run;
mod settings;
mod status;

use super::context::Context;
use super::exit::{Exit, Failure};
use super::output::rows::Output;

/// The flags of `klog broker`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Run the daemon in the foreground, with its log on stderr
    Run(RunArgs),
    /// Start the daemon in the background; prints its addresses when it accepts requests
    Start(StartArgs),
    /// Stop the daemon; done when it is gone (also when there was none)
    Stop,
    /// Stop the daemon and start it again with the same flags; prints its addresses
    Restart(StartArgs),
    /// Show the daemon that runs: uptime, sizes, rates, lag, warnings; exit 7 when none does
    Status(StatusArgs),
    /// Show the daemon's metrics, as Prometheus reads them; exit 7 when none runs
    Metrics(MetricsArgs),
    /// Show what the background daemon said
    Logs(logs::LogsArgs),
    /// Show every setting of the daemon: value, Kafka's default, and whether klog honours it
    Config(ConfigArgs),
}

/// What the daemon is started with.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub(super) struct DaemonArgs {
    /// A broker setting by Kafka's name, such as num.partitions=3 (repeatable)
    #[arg(short = 'c', value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Listen here too: unix:PATH or HOST:PORT, port 0 takes a free one (repeatable); tls encrypts (with the certificate
    /// of -c ssl.keystore.location=FILE), sasl demands a user's password; the socket of the data folder is always open
    #[arg(long, value_name = "[NAME=]ADDR[,tls][,sasl][,advertise=HOST:PORT]")]
    listen: Vec<String>,
    /// Show metrics, status and health over HTTP here too: HOST:PORT or a port of 127.0.0.1, 0 takes a free one;
    /// klog-http.sock in the data folder is always open
    #[arg(long, value_name = "ADDR")]
    http: Option<String>,
    /// How the log is written
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum LogFormat {
    /// Lines for people
    #[default]
    Text,
    /// A JSON object a line
    Json,
}

#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    daemon: DaemonArgs,
    /// Leave the process that started this one; its stdout is where to say how that went.
    #[arg(long, hide = true)]
    detached: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct StartArgs {
    #[command(flatten)]
    daemon: DaemonArgs,
}

#[derive(Debug, clap::Args)]
struct StatusArgs {
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, clap::Args)]
struct MetricsArgs {
    /// How to write them
    #[arg(short, long, value_enum, default_value = "text", value_name = "FORMAT")]
    output: MetricsFormat,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum MetricsFormat {
    /// Prometheus' text format
    #[default]
    Text,
    /// One JSON object, with sums and lists of topics and groups
    Json,
}

#[derive(Debug, clap::Args)]
struct ConfigArgs {
    #[command(flatten)]
    daemon: DaemonArgs,
    /// Only settings whose name matches, such as 'log.*'
    pattern: Option<String>,
    /// Only settings whose value differs from Kafka's default
    #[arg(long)]
    differing: bool,
    #[command(flatten)]
    output: Output,
}

/// Runs `klog broker`.
pub fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    match args.command {
        Command::Run(args) => run::run(context, &args),
        Command::Start(args) => control::start(context, &args),
        Command::Stop => control::stop(context),
        Command::Restart(args) => control::restart(context, &args),
        Command::Status(args) => status::show(context, args.output.output),
        Command::Metrics(args) => status::metrics(context, args.output),
        Command::Logs(args) => logs::run(context, &args),
        Command::Config(args) => settings::show(context, &args),
    }
}
