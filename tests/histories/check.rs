//! The checker: what of a history no correct broker could have caused; pure, and it never explains anything away but what the
//! history itself says was damaged on purpose.
//!
//! The checks are those of Jepsen's kafka workload, made anew, and a few that klog's promises allow on top: the
//! watermarks never go back, what was seen stays, what was acknowledged is seen by every later read.

mod cycles;
mod facts;
mod groups;
mod polls;
mod records;
#[cfg(test)]
mod tests;
mod transactions;

use std::collections::BTreeMap;

use crate::history::{Log, Op};
use facts::Facts;

/// A way of being wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Anomaly {
    /// Acknowledged, others behind it were read, and it was not.
    LostWrite,
    /// Acknowledged, and the last reading did not get that far.
    UnseenWrite,
    /// Read once, and not there at the last reading.
    Vanished,
    /// One value at two offsets although it may be stored only once.
    Duplicate,
    /// Two values at one offset, or a value elsewhere than its answer said.
    InconsistentOffset,
    /// A part of a batch is there, another is not.
    TornBatch,
    /// A record that nobody sent.
    Garbage,
    /// A record of a refused send, or of an aborted transaction under read_committed (G1a).
    AbortedRead,
    /// A record of a transaction that nobody had asked to commit yet, under read_committed (G1b).
    UncommittedRead,
    /// A poll passed over a record that it should have given.
    SkippedInPoll,
    /// A reader went on behind where it had come to.
    SkippedPoll,
    /// A reader went on before where it had come to.
    BackwardPoll,
    /// Offsets of one answer out of order, or outside of what was asked for or may be seen.
    Disorder,
    /// A high watermark or last stable offset lower than one that was told before.
    MarkBack,
    /// A high watermark that does not cover what was acknowledged before it was asked for.
    StaleRead,
    /// The last stable offset does not come to the end although no transaction is open.
    Stuck,
    /// A reader was told that its position is outside of the log.
    OutOfRange,
    /// Records are damaged that nobody damaged.
    Damage,
    /// A part of a committed transaction is visible, another is not.
    TornTransaction,
    /// One transaction was both committed and aborted.
    Contradiction,
    /// A producer got something done after a later incarnation of it was there.
    Unfenced,
    /// A group's position is one that a later commit had replaced, or none at all.
    CommitLost,
    /// A group's position that nobody committed.
    CommitGarbage,
    /// A group's position of a transaction that was aborted, or not committed yet.
    CommitAborted,
    /// A group's position lower than one that was told before.
    CommitBackward,
    /// An input record below the group's position without a result.
    ResultMissing,
    /// An input record with several results, or with one that is not below the group's position.
    ResultTwice,
    /// Transactions that read each other's records in a circle (G1c, by reads alone).
    ReadCycle,
    /// A circle in which writes overtake each other (G0, or G1c with them). Kafka's transactions allow it.
    WriteCycle,
    /// A circle in which something was read before it was overwritten (G2). Kafka's transactions allow it.
    AntiCycle,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) what: Anomaly,
    pub(crate) detail: String,
}

/// What a history promises beyond the checks that hold for every one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rules {
    /// Input topic and group of workers that read, transform and write within transactions.
    pub(crate) derived: Option<(&'static str, &'static str)>,
    /// Groups whose members only commit forward and only what they own.
    pub(crate) forward: Vec<&'static str>,
}

#[derive(Default)]
struct Findings {
    all: Vec<Finding>,
}

impl Findings {
    fn add(&mut self, what: Anomaly, detail: impl Into<String>) {
        self.all.push(Finding { what, detail: detail.into() });
    }
}

/// Everything that is wrong with a history. Circles that Kafka's transactions allow are left out: a transaction's
/// records lie between those of others, and reading takes no locks.
pub(crate) fn check(history: &[Op], rules: &Rules) -> Vec<Finding> {
    let mut found = check_all(history, rules);
    found.retain(|finding| !matches!(finding.what, Anomaly::WriteCycle | Anomaly::AntiCycle));
    found
}

/// The same with circles of every kind.
pub(crate) fn check_all(history: &[Op], rules: &Rules) -> Vec<Finding> {
    let facts = Facts::of(history);
    let mut found = Findings::default();
    records::check(&facts, &mut found);
    polls::check(&facts, &mut found);
    transactions::check(&facts, rules, &mut found);
    groups::check(&facts, rules, &mut found);
    cycles::check(&facts, &mut found);
    found.all
}

/// How often what was found, with the first of each kind in words.
pub(crate) fn summary(findings: &[Finding]) -> String {
    let mut kinds: BTreeMap<Anomaly, Vec<&Finding>> = BTreeMap::new();
    for finding in findings {
        kinds.entry(finding.what).or_default().push(finding);
    }
    let mut text = String::new();
    for (what, findings) in kinds {
        text.push_str(&format!("{what:?}: {}\n", findings.len()));
        for finding in findings.iter().take(5) {
            text.push_str(&format!("    {}\n", finding.detail));
        }
    }
    text
}

fn name(log: Log) -> String {
    format!("{}-{}", log.topic, log.partition)
}
