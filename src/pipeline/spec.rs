//! A pipeline as it was meant: source, steps, sinks and what becomes of bad records; checked, filters compiled.

use std::fmt;
use std::ops::Range;

use super::case::Case;
use super::jq::{Filter, FilterError};
use crate::model::name::check_topic;

/// The name that stands for stdin as a source and for stdout as a sink.
pub const STREAM: &str = "-";

/// Where records come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    /// These topics.
    Topics(Vec<String>),
    /// Every topic whose whole name matches one of these regular expressions.
    Patterns(Vec<String>),
    /// Lines of stdin.
    Stdin,
}

/// Where a group without a stored offset begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reset {
    /// At the first record there is.
    #[default]
    Start,
    /// At the end.
    End,
}

/// What becomes of a record that a step can not work on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum OnError {
    /// The pipeline stops before it.
    #[default]
    Stop,
    /// It is left out and counted.
    Skip,
    /// It goes to this topic, with headers that say why.
    DeadLetter(String),
}

/// One step.
#[derive(Debug)]
pub struct Step {
    /// Its name, or what stands for it: its number from 1 and its kind, such as `2 jq`.
    pub name: String,
    /// What it does.
    pub work: Work,
}

/// What a step does.
#[derive(Debug)]
pub enum Work {
    /// Each result becomes a record.
    Jq(Expression),
    /// Records for which it holds go on, the rest is dropped.
    Filter(Expression),
    /// Its result becomes the key.
    Key(Expression),
    /// The first rule that holds says where the record goes.
    Route(Vec<Rule>),
}

/// A filter and its text.
#[derive(Debug)]
pub struct Expression {
    /// As written.
    pub source: String,
    /// Compiled.
    pub filter: Filter,
}

/// One rule of a route.
#[derive(Debug)]
pub struct Rule {
    /// When it holds; always, without one.
    pub when: Option<Expression>,
    /// The topic, or `-` for stdout.
    pub to: String,
}

/// A pipeline as it was meant.
#[derive(Debug)]
pub struct Spec {
    /// Its name, if it has one: the group's, unless another is given.
    pub name: Option<String>,
    /// Where records come from.
    pub from: From,
    /// Where records go that no route sends elsewhere: a topic, `-` for stdout.
    pub to: Option<String>,
    /// The consumer group that keeps the position, if one is given.
    pub group: Option<String>,
    /// Where a group without an offset begins.
    pub reset: Reset,
    /// What becomes of bad records.
    pub on_error: OnError,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// Examples that `klog pipeline test` holds it against.
    pub cases: Vec<Case>,
}

/// What is wrong with a pipeline, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecError {
    /// One line.
    pub message: String,
    /// Bytes of the text it was read from, where one place is to blame.
    pub at: Option<Range<usize>>,
    /// The key or flag it is about, for texts that are not files; empty for none.
    pub about: &'static str,
}

impl SpecError {
    /// An error about the whole.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), at: None, about: "" }
    }

    /// An error about some bytes of the text.
    pub fn at(message: impl Into<String>, at: Range<usize>) -> Self {
        Self { message: message.into(), at: Some(at), about: "" }
    }
}

impl fmt::Display for SpecError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for SpecError {}

/// Line and column of byte `at`, both from 1; columns count letters.
pub fn line_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before.get(start..).map_or(0, |line| line.chars().count());
    (before.matches('\n').count() + 1, column + 1)
}

impl Expression {
    /// Compiles `source`.
    ///
    /// # Errors
    /// What the text is not, with the bytes of it that are to blame.
    pub fn new(source: &str) -> Result<Self, FilterError> {
        Ok(Self { source: source.to_owned(), filter: Filter::compile(source)? })
    }
}

impl Work {
    /// The word for it in a file.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Jq(_) => "jq",
            Self::Filter(_) => "filter",
            Self::Key(_) => "key",
            Self::Route(_) => "route",
        }
    }
}

/// Reads `stop`, `skip` or `dlq=TOPIC`.
///
/// # Errors
/// What is allowed.
pub fn on_error(text: &str) -> Result<OnError, String> {
    match text {
        "stop" => Ok(OnError::Stop),
        "skip" => Ok(OnError::Skip),
        _ => match text.strip_prefix("dlq=") {
            Some(topic) => {
                check_topic(topic).map_err(|why| format!("dlq={topic}: {why}"))?;
                Ok(OnError::DeadLetter(topic.to_owned()))
            }
            None => Err(format!("{text:?} is none of stop, skip and dlq=TOPIC")),
        },
    }
}

impl Spec {
    /// Every place that records may be sent to by route or `to`, each once, in the order they are named.
    pub fn targets(&self) -> Vec<&str> {
        let mut found: Vec<&str> = Vec::new();
        let rules = self.steps.iter().flat_map(|step| match &step.work {
            Work::Route(rules) => rules.as_slice(),
            _ => &[],
        });
        for to in rules.map(|rule| rule.to.as_str()).chain(self.to.as_deref()) {
            if !found.contains(&to) {
                found.push(to);
            }
        }
        found
    }

    /// Holds the parts against each other.
    ///
    /// # Errors
    /// What does not fit together.
    pub fn check(&self) -> Result<(), SpecError> {
        let targets = self.targets();
        let always = |step: &Step| match &step.work {
            Work::Route(rules) => rules.iter().any(|rule| rule.when.is_none()),
            _ => false,
        };
        if self.to.is_none() && !self.steps.iter().any(always) {
            return Err(SpecError::new(match targets.is_empty() {
                true => "there is no sink: say where records go with to (--to)",
                false => {
                    "records that no route takes have nowhere to go: give to, or a last rule without when"
                }
            }));
        }
        let mut sinks = targets.clone();
        if let OnError::DeadLetter(topic) = &self.on_error {
            if targets.contains(&topic.as_str()) {
                return Err(SpecError::new(format!(
                    "{topic} is a sink and the topic of bad records: they could not be told apart"
                )));
            }
            sinks.push(topic);
        }
        if let From::Topics(topics) = &self.from
            && let Some(topic) = topics.iter().find(|topic| sinks.contains(&topic.as_str()))
        {
            return Err(SpecError::new(format!(
                "{topic} is source and sink: such a pipeline feeds on itself and never ends"
            )));
        }
        if self.from == From::Stdin && self.group.is_some() {
            return Err(SpecError::new("stdin has no position that a group could keep: leave group out"));
        }
        Ok(())
    }

    /// The group that keeps the position: the one given, or one named after what the pipeline does: source, sinks and
    /// a hash of the parsed steps, not of their spacing nor of what becomes of bad records.
    pub fn group_name(&self) -> String {
        if let Some(name) = self.group.as_ref().or(self.name.as_ref()) {
            return name.clone();
        }
        let from = match &self.from {
            From::Topics(names) | From::Patterns(names) => names.join("+"),
            From::Stdin => "stdin".to_owned(),
        };
        let to = self.targets().join("+").replace(STREAM, "stdout");
        let mut hash = Fnv::default();
        hash.add(if matches!(self.from, From::Patterns(_)) { "patterns" } else { "topics" });
        hash.add(&from);
        hash.add(&to);
        for step in &self.steps {
            hash.add(step.work.kind());
            match &step.work {
                Work::Jq(one) | Work::Filter(one) | Work::Key(one) => hash.add(one.filter.canonical()),
                Work::Route(rules) => {
                    for rule in rules {
                        hash.add(rule.when.as_ref().map_or("", |when| when.filter.canonical()));
                        hash.add(&rule.to);
                    }
                }
            }
        }
        let shown: String = format!("{from}-{to}").chars().map(plain).take(MOST_SHOWN).collect();
        format!("klog-{shown}-{:016x}", hash.0)
    }
}

/// Letters of source and sink that a group's name shows.
const MOST_SHOWN: usize = 100;

/// A letter as it may stand in a group's name that people type.
fn plain(letter: char) -> char {
    if letter.is_ascii_alphanumeric() || "._-+".contains(letter) { letter } else { '_' }
}

/// FNV-1a of texts, 64 bits: the same on every machine and in every release.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn add(&mut self, text: &str) {
        // The byte that no UTF-8 text holds keeps neighbours apart.
        for byte in text.bytes().chain([0xff]) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(jq: &str) -> Spec {
        Spec {
            name: None,
            from: From::Topics(vec!["sales".into()]),
            to: Some("prices".into()),
            group: None,
            reset: Reset::Start,
            on_error: OnError::Stop,
            steps: vec![Step { name: "1 jq".into(), work: Work::Jq(Expression::new(jq).unwrap()) }],
            cases: Vec::new(),
        }
    }

    #[test]
    fn a_group_is_named_after_what_is_done_and_not_how_it_is_spelt() {
        let name = spec("{item,  p: (.a/.b)} # the price").group_name();
        assert!(name.starts_with("klog-sales-prices-"), "{name}");
        assert_eq!(name, spec("{ item, p: (.a / .b) }").group_name());
        assert_ne!(name, spec("{item, p: (.a / .c)}").group_name());
        let skipping = Spec { on_error: OnError::Skip, ..spec("{item, p: (.a/.b)}") };
        assert_eq!(name, skipping.group_name());
        let elsewhere = Spec { to: Some("other".into()), ..spec("{item, p: (.a/.b)}") };
        assert_ne!(name, elsewhere.group_name());
        // A release that computes another name would read everything again.
        assert_eq!(spec(".").group_name(), "klog-sales-prices-".to_owned() + GOLDEN);
    }

    const GOLDEN: &str = "decb4eb28a7bdc73";

    #[test]
    fn what_does_not_fit_together_is_refused() {
        assert_eq!(spec(".").check(), Ok(()));
        let wrong = |spec: Spec| spec.check().unwrap_err().message;
        assert!(wrong(Spec { to: None, ..spec(".") }).contains("no sink"));
        assert!(wrong(Spec { to: Some("sales".into()), ..spec(".") }).contains("feeds on itself"));
        let dead = |topic: &str| OnError::DeadLetter(topic.into());
        assert!(wrong(Spec { on_error: dead("sales"), ..spec(".") }).contains("feeds on itself"));
        assert!(wrong(Spec { on_error: dead("prices"), ..spec(".") }).contains("told apart"));
        let grouped = Spec { from: From::Stdin, group: Some("g".into()), ..spec(".") };
        assert!(wrong(grouped).contains("stdin has no position"));
    }

    #[test]
    fn what_becomes_of_bad_records() {
        assert_eq!(on_error("stop"), Ok(OnError::Stop));
        assert_eq!(on_error("dlq=bad"), Ok(OnError::DeadLetter("bad".into())));
        for text in ["", "dlq", "dlq=", "dlq=a/b", "Skip"] {
            assert!(on_error(text).is_err(), "{text}");
        }
    }

    #[test]
    fn places_count_lines_and_letters() {
        assert_eq!(line_column("ab\ncé d", 0), (1, 1));
        assert_eq!(line_column("ab\ncé d", 3), (2, 1));
        assert_eq!(line_column("ab\ncé d", 7), (2, 4));
        assert_eq!(line_column("ab", 99), (1, 3));
    }
}
