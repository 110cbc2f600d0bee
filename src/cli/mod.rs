//! The command line: one file a command; all terminal output is in `output`. Parsing is pure, one step resolves
//! config, environment and terminal, and only a command's `run` touches disk and network.

pub mod acl;
pub mod broker;
pub mod cluster;
pub mod completions;
pub mod config;
pub mod consume;
pub mod context;
pub mod daemon;
pub mod envelope;
pub mod exit;
pub mod explain;
pub mod format;
pub mod glob;
pub mod group;
mod held;
pub mod lists;
pub mod nearest;
pub mod os;
pub mod output;
pub mod password;
pub mod pipeline;
pub mod produce;
pub mod rights;
pub mod segment;
pub mod signals;
pub mod times;
pub mod topic;
pub mod txn;
mod usage;
pub mod user;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

use context::Context;
use exit::{Exit, Failure};

/// A durable, replayable log for the shell, and the toolkit around it.
///
/// klog keeps records in topics. `klog produce` takes them from stdin, `klog consume` gives them to stdout, and a
/// local daemon that starts by itself stores them and speaks the Apache Kafka protocol. The same commands work
/// against any Kafka cluster (-b).
#[derive(Debug, Parser)]
#[command(
    name = "klog",
    version,
    propagate_version = false,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 110,
    after_help = TRY_IT
)]
pub struct Cli {
    /// The flags every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The flags every command takes.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Where the broker is: unix:PATH or HOST:PORT[,HOST:PORT...] [env: KLOG_BROKER] [default: the daemon of the
    /// data folder]
    #[arg(short, long, global = true, value_name = "ADDR")]
    pub broker: Option<String>,

    /// The data folder; without -b it also chooses the daemon [env: KLOG_DATA] [default: ~/.local/share/klog, for
    /// root /var/lib/klog]
    #[arg(long, global = true, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub data: Option<PathBuf>,

    /// The config file: TOML, or Kafka's format when it is named *.properties [env: KLOG_CONFIG] [default:
    /// ~/.config/klog/config.toml]
    #[arg(short = 'F', long, global = true, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub config: Option<PathBuf>,

    /// The profile of the config file to use [env: KLOG_PROFILE]
    #[arg(long, global = true, value_name = "NAME")]
    pub profile: Option<String>,

    /// A Kafka client property, such as request.timeout.ms=5000 (repeatable)
    #[arg(short = 'X', value_name = "KEY=VALUE")]
    pub properties: Vec<String>,

    /// Never start a daemon [env: KLOG_AUTOSTART=0]
    #[arg(long, global = true)]
    pub no_autostart: bool,

    /// No progress and no notices on stderr, errors only
    #[arg(short, long, global = true)]
    pub quiet: bool,

    /// Say more on stderr (repeatable)
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// What klog can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run, start, stop and look at the local daemon
    Broker(broker::Args),
    /// Create, list, describe and delete topics
    Topic(topic::Args),
    /// Write records from stdin or files to a topic
    Produce(Box<produce::Args>),
    /// Write the records of topics to stdout
    Consume(Box<consume::Args>),
    /// List consumer groups, see how far they have read, and move that
    Group(group::Args),
    /// List transactions, see what they hold open, and abort them
    Txn(txn::Args),
    /// List, add and remove the users who may log in
    User(user::Args),
    /// List, add and remove the rules that say who may do what
    Acl(acl::Args),
    /// Transform JSON records from topic to topic with jq
    Pipeline(pipeline::Args),
    /// Show the brokers of the cluster, and which APIs they speak
    Cluster(cluster::Args),
    /// Read the files of a log themselves, with no daemon: list, dump, verify, decode, repair
    Segment(Box<segment::Args>),
    /// Say what an error code of Kafka or an exit code of klog means
    Explain(explain::Args),
    /// Show the settings in force and where each came from
    Config(config::Args),
    /// Print the shell code for completion
    Completions(completions::Args),
}

/// The clap tree: the single description that help, man pages and completions come from.
pub fn command() -> clap::Command {
    let tree = Cli::command();
    let adding: Vec<Arg> =
        tree.get_arguments().filter(|arg| ADDING.contains(&arg.get_id().as_str())).cloned().collect();
    let codes: String =
        Exit::ALL.iter().map(|exit| format!("\n  {}  {}", exit.code(), exit.facts().1)).collect();
    let tree = tree.after_long_help(format!(
        "stdout is data, stderr is for people, the exit code is the truth:{codes}\n\n{TRY_IT}"
    ));
    everywhere(tree, &adding)
}

const TRY_IT: &str = "Try it: printf 'a\\nb\\n' | klog produce t && klog consume t -e";

/// Flags that add up wherever they stand. clap's own global flags keep only what the innermost command was given.
const ADDING: [&str; 2] = ["properties", "verbose"];

fn everywhere(command: clap::Command, adding: &[Arg]) -> clap::Command {
    command.mut_subcommands(|command| everywhere(command.args(adding), adding))
}

/// What the adding flags said on every level, outermost first.
fn add_up(matches: &ArgMatches, global: &mut Global) {
    let (mut properties, mut verbose) = (Vec::new(), 0u8);
    let mut level = Some(matches);
    while let Some(matches) = level {
        properties.extend(matches.get_many::<String>("properties").into_iter().flatten().cloned());
        verbose = verbose.saturating_add(matches.get_count("verbose"));
        level = matches.subcommand().map(|(_, inner)| inner);
    }
    (global.properties, global.verbose) = (properties, verbose);
}

/// Runs klog with the process's arguments and returns its exit code.
pub fn main() -> ExitCode {
    if std::env::var_os("COMPLETE").is_some() {
        completions::complete();
    }
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let exit = match parse(&arguments) {
        Ok(cli) => run(cli),
        Err(error) => usage::report(&error, &arguments),
    };
    ExitCode::from(exit.code())
}

fn parse(arguments: &[OsString]) -> Result<Cli, clap::Error> {
    let matches = command().try_get_matches_from(arguments)?;
    let mut cli = Cli::from_arg_matches(&matches)?;
    add_up(&matches, &mut cli.global);
    Ok(cli)
}

fn run(cli: Cli) -> Exit {
    let for_daemon = matches!(cli.command, Command::Broker(_));
    if let Some(address) = cli.global.broker.as_ref().filter(|_| for_daemon) {
        // What was meant for another broker must not be done to the one at hand.
        let what = format!("-b {address}: broker commands act on the daemon of a data folder");
        return output::failure(&Failure::usage(what, "name it with --data"));
    }
    let outcome =
        Context::resolve(&cli.global, for_daemon).and_then(|context| dispatch(&context, cli.command));
    outcome.unwrap_or_else(|failure| output::failure(&failure))
}

fn dispatch(context: &Context, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Broker(args) => broker::run(context, args),
        Command::Topic(args) => topic::run(context, args),
        Command::Produce(args) => produce::run(context, *args),
        Command::Consume(args) => consume::run(context, *args),
        Command::Group(args) => group::run(context, args),
        Command::User(args) => user::run(context, args),
        Command::Acl(args) => acl::run(context, args),
        Command::Pipeline(args) => pipeline::run(context, args),
        Command::Txn(args) => txn::run(context, args),
        Command::Cluster(args) => cluster::run(context, args),
        Command::Segment(args) => segment::run(context, *args),
        Command::Explain(args) => explain::run(&args),
        Command::Config(args) => config::run(context, args),
        Command::Completions(args) => completions::run(&args),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_sound() {
        command().debug_assert();
    }

    /// An argument of a command that has the id of a global flag takes that flag's place without a word.
    #[test]
    fn every_command_takes_every_global_flag() {
        fn check(command: &clap::Command, path: &str) {
            for flag in [Some('b'), Some('F'), Some('X'), Some('q'), Some('v')] {
                assert!(command.get_arguments().any(|arg| arg.get_short() == flag), "{path} lacks {flag:?}");
            }
            for flag in ["broker", "data", "config", "profile", "no-autostart", "quiet", "verbose"] {
                assert!(
                    command.get_arguments().any(|arg| arg.get_long() == Some(flag)),
                    "{path} lacks --{flag}"
                );
            }
            command.get_subcommands().filter(|inner| inner.get_name() != "help").for_each(|inner| {
                check(inner, &format!("{path} {}", inner.get_name()));
            });
        }
        let mut tree = command();
        tree.build();
        check(&tree, "klog");
    }

    fn parsed(arguments: &[&str]) -> Cli {
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        parse(&arguments).unwrap()
    }

    #[test]
    fn global_flags_stand_anywhere_and_add_up() {
        let cli = parsed(&[
            "klog", "-X", "a=1", "-v", "topic", "-X", "b=2", "list", "-X", "c=3", "--data", "/d", "-v",
        ]);
        assert_eq!(cli.global.properties, ["a=1", "b=2", "c=3"]);
        assert_eq!(cli.global.data.as_deref(), Some(std::path::Path::new("/d")));
        assert_eq!(cli.global.verbose, 2);
    }
}
