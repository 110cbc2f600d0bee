//! Wrong command lines as two lines and exit 2; help and version as data; never clap's own wall of text.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::exit::{Exit, Failure};
use super::output;

/// Prints what clap found and returns the exit code: help and version are data (0), the rest is wrong usage (2).
pub(super) fn report(error: &clap::Error) -> Exit {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = error.print();
            Exit::Done
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            Exit::Usage
        }
        _ => output::failure(&explain(error)),
    }
}

fn explain(error: &clap::Error) -> Failure {
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
    Failure::usage(what, next(error))
}

fn next(error: &clap::Error) -> String {
    let suggestion =
        [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg, ContextKind::SuggestedValue]
            .into_iter()
            .find_map(|kind| error.get(kind))
            .and_then(|value| match value {
                ContextValue::String(one) => Some(one.clone()),
                ContextValue::Strings(several) => several.first().cloned(),
                _ => None,
            });
    let help = match error.get(ContextKind::Usage) {
        Some(ContextValue::StyledStr(usage)) => command_of(&usage.to_string()),
        _ => "klog".to_owned(),
    };
    match (suggestion, error.get(ContextKind::ValidValue)) {
        (Some(name), _) => format!("did you mean {name}? See: {help} --help"),
        (None, Some(ContextValue::Strings(allowed))) if !allowed.is_empty() => {
            format!("allowed: {}", allowed.join(", "))
        }
        _ => format!("see: {help} --help"),
    }
}

/// `klog topic create` from clap's usage line.
fn command_of(usage: &str) -> String {
    let words = usage.trim_start_matches("Usage:").split_whitespace();
    let names = words.take_while(|word| word.starts_with(|letter: char| letter.is_ascii_lowercase()));
    names.collect::<Vec<_>>().join(" ")
}
