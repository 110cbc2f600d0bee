//! Wrong command lines as two lines and exit 2; help and version as data; never clap's own wall of text.

use std::ffi::OsString;
use std::io::Write;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::exit::{Exit, Failure};
use super::output;

/// Prints what clap found in `arguments` and returns the exit code: help and version are data (0), the rest is wrong
/// usage (2).
pub(super) fn report(error: &clap::Error, arguments: &[OsString]) -> Exit {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            match error.print().and_then(|()| std::io::stdout().flush()) {
                Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => output::failure(
                    &Failure::failed(format!("can't write to stdout: {}", super::exit::plain(&error)), ""),
                ),
                _ => Exit::Done,
            }
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            Exit::Usage
        }
        _ => output::failure(&explain(error, &path_of(&super::command(), arguments), arguments)),
    }
}

fn explain(error: &clap::Error, path: &str, arguments: &[OsString]) -> Failure {
    let text = error.to_string();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut what = lines.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    if what.ends_with(':') {
        // "the following required arguments were not provided:" goes on in the next lines.
        let names: Vec<&str> = lines
            .by_ref()
            .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("tip:"))
            .collect();
        what = format!("{what} {}", names.join(" "));
    }
    let next = if is_topic_taken(error, path, arguments) {
        "write TOPIC before --txn, or --txn=ID".to_owned()
    } else {
        next(error, path)
    };
    Failure::usage(what, next)
}

/// Whether `klog produce` lacks its topic because a `--txn` before it took the word for its ID.
fn is_topic_taken(error: &clap::Error, path: &str, arguments: &[OsString]) -> bool {
    let is_id = |word: &OsString| word.to_str().is_none_or(|word| !word.starts_with('-'));
    error.kind() == ErrorKind::MissingRequiredArgument
        && path == "klog produce"
        && arguments.windows(2).any(|pair| matches!(pair, [flag, id] if flag == "--txn" && is_id(id)))
}

fn next(error: &clap::Error, path: &str) -> String {
    if let Some(ContextValue::Strings(allowed)) = error.get(ContextKind::ValidValue)
        && !allowed.is_empty()
    {
        return format!("allowed: {}", allowed.join(", "));
    }
    let suggestion = [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg]
        .into_iter()
        .find_map(|kind| error.get(kind))
        .and_then(|value| match value {
            ContextValue::String(one) => Some(one.clone()),
            // The most similar comes last.
            ContextValue::Strings(several) => several.last().cloned(),
            _ => None,
        });
    match suggestion {
        Some(name) => format!("did you mean {name}? See: {path} --help"),
        None => format!("see: {path} --help"),
    }
}

/// The command that the arguments name, such as `klog topic create`, as far as there is one.
fn path_of(tree: &clap::Command, arguments: &[OsString]) -> String {
    let mut path = tree.get_name().to_owned();
    let mut at = tree;
    for word in arguments.iter().skip(1).filter_map(|word| word.to_str()) {
        if let Some(inner) = at.find_subcommand(word) {
            path = format!("{path} {word}");
            at = inner;
        }
    }
    path
}
