//! From flags or a file to a checked specification; what is wrong is shown where it stands.

use std::ops::Range;
use std::path::Path;

use super::{ResetTo, Ways, Words};
use crate::cli::exit::Failure;
use crate::client::patterns::Patterns;
use crate::pipeline::file;
use crate::pipeline::jq::FilterError;
use crate::pipeline::spec::{Expression, line_column, on_error};
use crate::pipeline::{From, OnError, Reset, Spec, SpecError, Step, Work};

/// The specification, and the patterns where the source has some.
pub(super) fn read(words: &Words, ways: &Ways) -> Result<(Spec, Option<Patterns>), Failure> {
    let mut spec = match &words.file {
        Some(path) => from_file(path)?,
        None if words.from.is_empty() => {
            let what = "there is no pipeline: name a FILE, or say it with --from and --to";
            return Err(Failure::usage(what, HELP));
        }
        None => from_flags(words)?,
    };
    if ways.group.is_some() {
        spec.group.clone_from(&ways.group);
    }
    if let Some(reset) = ways.reset {
        spec.reset = match reset {
            ResetTo::Start => Reset::Start,
            ResetTo::End => Reset::End,
        };
    }
    if let Some(text) = &ways.on_error {
        spec.on_error = on_error(text).map_err(|why| Failure::usage(format!("--on-error: {why}"), HELP))?;
    }
    spec.check().map_err(|error| Failure::usage(error.message, HELP))?;
    let patterns = match &spec.from {
        From::Patterns(texts) => {
            Some(Patterns::new(texts).map_err(|error| Failure::usage(error.to_string(), HELP))?)
        }
        _ => None,
    };
    let dead_letters = match &spec.on_error {
        OnError::DeadLetter(topic) => Some(topic.as_str()),
        OnError::Stop | OnError::Skip => None,
    };
    let own = |topic: &&str| patterns.as_ref().is_some_and(|patterns| patterns.matches(topic));
    if let Some(topic) = spec.targets().into_iter().chain(dead_letters).find(own) {
        let what = format!("{topic} is source and sink: such a pipeline feeds on itself and never ends");
        return Err(Failure::usage(what, "choose a pattern that does not match it"));
    }
    Ok((spec, patterns))
}

const HELP: &str = "see: klog pipeline run --help";

/// Reads a pipeline's file.
pub(super) fn from_file(path: &Path) -> Result<Spec, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure::io("read", path, &error))?;
    file::parse(&text).map_err(|error| in_file(path, &text, &error))
}

fn in_file(path: &Path, text: &str, error: &SpecError) -> Failure {
    match &error.at {
        None => Failure::usage(format!("{}: {}", path.display(), error.message), HELP),
        Some(at) => {
            let (line, column) = line_column(text, at.start);
            let what = format!("{}:{line}:{column}: {}", path.display(), error.message);
            Failure::usage(what, pointed(text, at))
        }
    }
}

fn from_flags(words: &Words) -> Result<Spec, Failure> {
    let wrong = |flag: &'static str| move |why: String| Failure::usage(format!("{flag}: {why}"), HELP);
    let mut steps = Vec::new();
    for (flag, text, work) in [
        ("--where", &words.filter, Work::Filter as fn(Expression) -> Work),
        ("--jq", &words.jq, Work::Jq),
        ("--key-jq", &words.key_jq, Work::Key),
    ] {
        let Some(text) = text else { continue };
        let expression = Expression::new(text).map_err(|error| in_flag(flag, text, &error))?;
        let work = work(expression);
        steps.push(Step { name: format!("{} {}", steps.len() + 1, work.kind()), work });
    }
    if let Some(to) = &words.to {
        file::check_sink(to).map_err(wrong("--to"))?;
    }
    Ok(Spec {
        name: None,
        from: file::source(words.from.clone(), words.regex).map_err(wrong("--from"))?,
        to: words.to.clone(),
        group: None,
        reset: Reset::Start,
        on_error: OnError::Stop,
        steps,
        cases: Vec::new(),
    })
}

fn in_flag(flag: &str, text: &str, error: &FilterError) -> Failure {
    Failure::usage(format!("{flag}: {}", error.message), pointed(text, &error.at))
}

/// The line that holds bytes `at`, and marks under them.
fn pointed(text: &str, at: &Range<usize>) -> String {
    let start = text.get(..at.start).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
    let line = text.get(start..).unwrap_or_default().lines().next().unwrap_or_default();
    let letters = |from: usize, to: usize| text.get(from..to).map_or(0, |part| part.chars().count());
    let marks = letters(at.start, at.end.min(start + line.len())).max(1);
    // Tabs keep their width only where they stand as tabs.
    let before = text.get(start..at.start).unwrap_or_default();
    let pad: String = before.chars().map(|letter| if letter == '\t' { '\t' } else { ' ' }).collect();
    format!("{line}\n  {pad}{}", "^".repeat(marks))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_marked_under_their_line() {
        assert_eq!(pointed(".a | foo", &(5..8)), ".a | foo\n       ^^^");
        assert_eq!(pointed("é | foo\nx", &(5..8)), "é | foo\n      ^^^");
        assert_eq!(pointed("a\n\tb c\nd", &(5..99)), "\tb c\n  \t  ^");
        assert_eq!(pointed("ab", &(2..2)), "ab\n    ^");
        assert_eq!(pointed("", &(0..0)), "\n  ^");
    }
}
