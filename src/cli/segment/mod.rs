//! `klog segment`: the files of a log without any daemon; `decode` never writes.

mod decode;

use super::context::Context;
use super::exit::{Exit, Failure};

/// The flags of `klog segment`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Decode what is not for the eye: internal topics, indexes, snapshots, checkpoints
    Decode(decode::DecodeArgs),
}

/// Runs `klog segment`.
pub fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    match args.command {
        Command::Decode(args) => decode::run(context, args),
    }
}
