//! `klog completions`: the shell code, and the live names behind it; never starts a daemon.

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use clap_complete::CompletionCandidate;
use clap_complete::engine::ArgValueCompleter;
use clap_complete::env::Shells;

use super::context::{Context, block_on};
use super::exit::{Exit, Failure};
use super::{Global, output};
use crate::client::{Client, ClientError};

/// How long a shell may be kept waiting for names.
const PATIENCE: Duration = Duration::from_millis(500);

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
    /// in ~/.bashrc: source <(klog completions bash)
    Bash,
    /// in ~/.zshrc: source <(klog completions zsh)
    Zsh,
    /// in config.fish: klog completions fish | source
    Fish,
}

impl Shell {
    /// Every shell.
    pub const ALL: [Self; 3] = [Self::Bash, Self::Zsh, Self::Fish];

    /// The name klog and the shell itself use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Zsh => "zsh",
            Self::Fish => "fish",
        }
    }

    /// The file that the shell looks for.
    pub fn file(self) -> &'static str {
        match self {
            Self::Bash => "klog.bash",
            Self::Zsh => "_klog",
            Self::Fish => "klog.fish",
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
pub fn run(args: &Args) -> Result<Exit, Failure> {
    output::data(&registration(args.shell))?;
    Ok(Exit::Done)
}

/// Completes a topic's name from the broker, where one answers at once.
pub fn topics() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        candidates(typed, async |client| {
            let topics = client.topics().await?;
            Ok(topics.values().filter(|topic| !topic.internal).map(|topic| topic.name.to_string()).collect())
        })
    })
}

/// Completes a group's name from the broker, where one answers at once.
pub fn groups() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        candidates(typed, async |client| {
            Ok(client.list_groups().await?.into_iter().map(|group| group.group).collect())
        })
    })
}

/// Completes a transactional id from the broker, where one answers at once.
pub fn transactions() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        candidates(typed, async |client| {
            Ok(client.list_transactions(&[], &[], None).await?.into_iter().map(|one| one.id).collect())
        })
    })
}

/// The names that begin with what was typed. Whatever goes wrong, a shell gets no names and no noise.
fn candidates(
    typed: &OsStr,
    names: impl AsyncFnOnce(&Client) -> Result<Vec<String>, ClientError>,
) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    let Ok(context) = Context::resolve(&typed_globals(std::env::args_os()), false) else { return Vec::new() };
    let asked = block_on(async {
        let asking = async {
            let client = Client::connect(context.settings.client.clone()).await?;
            names(&client).await
        };
        match tokio::time::timeout(PATIENCE, asking).await {
            Ok(Ok(names)) => Ok(names),
            Ok(Err(error)) => Err(Failure::from(error)),
            Err(_) => Err(Failure::unreachable("no answer in time", "")),
        }
    });
    let mut names = asked.unwrap_or_default();
    names.retain(|name| name.starts_with(typed.as_ref()));
    names.sort();
    names.into_iter().map(CompletionCandidate::new).collect()
}

/// The flags that say which broker is meant, from a command line that is still being typed.
fn typed_globals(arguments: impl Iterator<Item = OsString>) -> Global {
    let mut global = Global::default();
    // The shell's own call comes first: `klog -- klog ...`.
    let mut words = arguments.skip_while(|word| word != "--").filter_map(|word| word.into_string().ok());
    while let Some(word) = words.next() {
        let (flag, joined) = match word.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => (flag, Some(value.to_owned())),
            _ => (word.as_str(), None),
        };
        let mut value = || joined.clone().or_else(|| words.next());
        match flag {
            "-b" | "--broker" => global.broker = value(),
            "--data" => global.data = value().map(Into::into),
            "-F" | "--config" => global.config = value().map(Into::into),
            "--profile" => global.profile = value(),
            "-X" => global.properties.extend(value()),
            _ => {}
        }
    }
    global
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_code_calls_klog() {
        for shell in Shell::ALL {
            let code = String::from_utf8(registration(shell)).unwrap();
            assert!(code.contains("klog") && code.contains("COMPLETE"), "{code}");
        }
    }

    #[test]
    fn the_broker_is_taken_from_the_line_being_typed() {
        let line = ["klog", "--", "klog", "--data=/d", "consume", "-b", "h:1", "-X", "a=b", "t"];
        let global = typed_globals(line.iter().map(OsString::from));
        assert_eq!(global.data.as_deref(), Some(std::path::Path::new("/d")));
        assert_eq!(global.broker.as_deref(), Some("h:1"));
        assert_eq!(global.properties, ["a=b"]);
    }
}
