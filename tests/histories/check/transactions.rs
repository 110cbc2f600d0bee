//! Checks of transactions: what is seen of aborted and open ones, torn ones, fencing, and results that are there exactly once.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::facts::{Facts, Fate};
use super::{Anomaly, Findings, Rules, name};
use crate::history::{Kind, Log, Outcome, Value};

pub(super) fn check(facts: &Facts<'_>, rules: &Rules, found: &mut Findings) {
    reads(facts, found);
    torn(facts, found);
    for (id, txn) in &facts.txns {
        if txn.contradiction {
            found.add(Anomaly::Contradiction, format!("transaction {id} was committed and aborted"));
        }
    }
    fencing(facts, found);
    stuck(facts, found);
    if let Some((topic, group)) = rules.derived {
        results(facts, topic, group, found);
    }
}

fn reads(facts: &Facts<'_>, found: &mut Findings) {
    for (op, poll) in facts.polls.iter().filter(|(_, poll)| poll.committed) {
        for (offset, value) in &poll.records {
            let Some(id) = facts.txn_of(*value) else { continue };
            let Some(txn) = facts.txns.get(&id) else { continue };
            let said = || {
                format!(
                    "reader {} read {value} of transaction {id} at {}@{offset}",
                    poll.reader,
                    name(poll.log)
                )
            };
            if txn.fate == Fate::Aborted {
                found.add(Anomaly::AbortedRead, said());
            } else if txn.asked.is_none_or(|asked| op.completed < asked) && poll.txn != Some(id) {
                found.add(Anomaly::UncommittedRead, said());
            }
        }
    }
}

/// Of a transaction that happened everything acknowledged is visible at the end.
fn torn(facts: &Facts<'_>, found: &mut Findings) {
    let mut parts: BTreeMap<u64, (Vec<Value>, Vec<Value>)> = BTreeMap::new();
    for (op, send) in &facts.sends {
        let Some(last) = facts.last[1].get(&send.log) else { continue };
        let Some(id) = send.txn.filter(|_| op.outcome == Outcome::Ok) else { continue };
        for (place, value) in send.values.iter().enumerate() {
            if send.base.is_some_and(|base| facts.is_rotten(send.log, base + place as i64)) {
                continue;
            }
            let (seen, missing) = parts.entry(id).or_default();
            if last.values.contains(value) { seen.push(*value) } else { missing.push(*value) }
        }
    }
    for (id, (seen, missing)) in parts {
        if facts.txns.get(&id).is_some_and(|txn| txn.happened()) && !missing.is_empty() {
            let what = if seen.is_empty() { Anomaly::LostWrite } else { Anomaly::TornTransaction };
            found.add(
                what,
                format!("of transaction {id} {seen:?} are visible at the end, {missing:?} are not"),
            );
        }
    }
}

/// An incarnation gets nothing done that it began after a later one was there.
fn fencing(facts: &Facts<'_>, found: &mut Findings) {
    let mut inits: HashMap<u64, Vec<(u64, u64)>> = HashMap::new();
    for op in facts.ops {
        if let (Kind::Init, Some(producer), Outcome::Ok) = (&op.kind, op.producer, op.outcome) {
            inits.entry(producer.name).or_default().push((producer.incarnation, op.completed));
        }
    }
    for op in facts.ops {
        let Some(producer) = op.producer.filter(|_| op.outcome == Outcome::Ok) else { continue };
        if matches!(op.kind, Kind::Init) {
            continue;
        }
        let later = inits.get(&producer.name).into_iter().flatten();
        let mut later =
            later.filter(|(incarnation, at)| *incarnation > producer.incarnation && *at < op.invoked);
        if let Some((incarnation, _)) = later.next() {
            found.add(
                Anomaly::Unfenced,
                format!("{producer:?} got done though incarnation {incarnation} was there: {:?}", op.kind),
            );
        }
    }
}

/// When every transaction is over, committed readers come as far as all others.
fn stuck(facts: &Facts<'_>, found: &mut Findings) {
    for (log, last) in &facts.last[1] {
        if last.end < last.high {
            found.add(
                Anomaly::Stuck,
                format!("committed readers of {} come to {} of {}", name(*log), last.end, last.high),
            );
        }
    }
}

/// Each input below the group's position has one result, each other has none.
fn results(facts: &Facts<'_>, topic: &'static str, group: &'static str, found: &mut Findings) {
    let mut positions: BTreeMap<Log, i64> = BTreeMap::new();
    for op in facts.ops {
        if let Kind::Committed { group: of, log, offset } = &op.kind
            && *of == group
            && op.outcome == Outcome::Ok
        {
            positions.insert(*log, *offset);
        }
    }
    let mut made: HashMap<Value, Vec<Value>> = HashMap::new();
    let mut damaged = BTreeSet::new();
    for (_, send) in &facts.sends {
        let Some(of) = send.of else { continue };
        if send.base.is_some_and(|base| facts.is_rotten(send.log, base)) {
            // What was made of it was damaged on purpose: nothing can be said.
            damaged.insert(of);
        }
        let Some(last) = facts.last[1].get(&send.log) else { continue };
        made.entry(of).or_default().extend(send.values.iter().filter(|value| last.values.contains(value)));
    }
    for (log, last) in facts.last[1].iter().filter(|(log, _)| log.topic == topic) {
        let position = positions.get(log).copied().unwrap_or(-1);
        for (offset, value) in &last.offsets {
            let results = made.get(value).map_or(&[][..], Vec::as_slice);
            let said = || {
                format!("{value} at {}@{offset} has the results {results:?}, position {position}", name(*log))
            };
            if *offset < position && results.is_empty() && !damaged.contains(value) {
                found.add(Anomaly::ResultMissing, said());
            }
            if results.len() > usize::from(*offset < position) {
                found.add(Anomaly::ResultTwice, said());
            }
        }
    }
}
