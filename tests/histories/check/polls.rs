//! Checks of what single readers were given, and of the watermarks that they were told.

use std::collections::{BTreeMap, HashMap};

use super::facts::Facts;
use super::{Anomaly, Findings, name};
use crate::history::{Kind, Log, Op, Outcome, Poll};

pub(super) fn check(facts: &Facts<'_>, found: &mut Findings) {
    for (_, poll) in &facts.polls {
        order(poll, found);
        complete(facts, poll, found);
    }
    readers(facts, found);
    marks(facts, found);
    stale(facts, found);
    for op in facts.ops {
        refusals(facts, op, found);
    }
}

fn order(poll: &Poll, found: &mut Findings) {
    let mut last = poll.from - 1;
    let end = if poll.committed { poll.stable.min(poll.high) } else { poll.high };
    for (offset, value) in &poll.records {
        if *offset <= last || *offset >= poll.next || *offset >= end {
            found.add(
                Anomaly::Disorder,
                format!(
                    "{value} at {}@{offset} behind {last}, in an answer for {} to {} below {end}",
                    name(poll.log),
                    poll.from,
                    poll.next
                ),
            );
        }
        last = *offset;
    }
    if poll.next < poll.from || poll.stable > poll.high {
        found.add(Anomaly::Disorder, format!("{poll:?}"));
    }
}

/// Of everything that is known to lie between where a poll began and where it went on, it gave what it should.
fn complete(facts: &Facts<'_>, poll: &Poll, found: &mut Findings) {
    let Some(offsets) = facts.logs.get(&poll.log) else { return };
    if poll.next <= poll.from {
        return;
    }
    for (offset, values) in offsets.range(poll.from..poll.next) {
        let given = poll.records.binary_search_by_key(offset, |(offset, _)| *offset).is_ok();
        let due = values.iter().any(|value| !poll.committed || facts.is_visible(*value));
        if due && !given && !facts.is_rotten(poll.log, *offset) {
            found.add(
                Anomaly::SkippedInPoll,
                format!(
                    "reader {} read {} from {} to {} ({}) and was not given {values:?} at {offset}",
                    poll.reader,
                    name(poll.log),
                    poll.from,
                    poll.next,
                    if poll.committed { "committed" } else { "uncommitted" }
                ),
            );
        }
    }
}

/// A reader goes on where it had come to: by its positions, and by what it was given.
fn readers(facts: &Facts<'_>, found: &mut Findings) {
    let mut stands: HashMap<(u64, Log), i64> = HashMap::new();
    let mut damaged: BTreeMap<Log, Vec<std::ops::Range<i64>>> = BTreeMap::new();
    for op in facts.ops {
        if let Kind::Damaged { log, offsets } = &op.kind {
            damaged.entry(*log).or_default().push(offsets.clone());
        }
    }
    for (_, poll) in &facts.polls {
        let stand = stands.entry((poll.reader, poll.log)).or_insert(poll.from);
        let first = poll.records.first().map_or(poll.from, |(offset, _)| *offset);
        let over = |offset| damaged.get(&poll.log).is_some_and(|all| all.iter().any(|r| r.contains(&offset)));
        if poll.from < *stand || first < *stand {
            found.add(
                Anomaly::BackwardPoll,
                format!("reader {} of {} stood at {stand}: {poll:?}", poll.reader, name(poll.log)),
            );
        } else if (*stand..poll.from).any(|offset| !over(offset)) {
            found.add(
                Anomaly::SkippedPoll,
                format!("reader {} of {} stood at {stand}: {poll:?}", poll.reader, name(poll.log)),
            );
        }
        *stand = poll.next;
    }
}

/// Watermarks never go back in real time.
fn marks(facts: &Facts<'_>, found: &mut Findings) {
    let mut logs: BTreeMap<Log, Vec<(&Op, &Poll)>> = BTreeMap::new();
    for (op, poll) in &facts.polls {
        logs.entry(poll.log).or_default().push((op, poll));
    }
    for (log, polls) in logs {
        let mut ended: Vec<_> =
            polls.iter().map(|(op, poll)| (op.completed, poll.high, poll.stable)).collect();
        ended.sort_unstable();
        let (mut high, mut stable, mut at) = (0, 0, 0);
        for (op, poll) in polls {
            while let Some((_, h, s)) = ended.get(at).filter(|(completed, ..)| *completed < op.invoked) {
                (high, stable) = (high.max(*h), stable.max(*s));
                at += 1;
            }
            if poll.high < high || poll.stable < stable {
                found.add(
                    Anomaly::MarkBack,
                    format!(
                        "{}: high watermark {} after {high}, last stable {} after {stable}, at moment {}",
                        name(log),
                        poll.high,
                        poll.stable,
                        op.invoked
                    ),
                );
            }
        }
    }
}

/// A high watermark covers what was acknowledged before it was asked for.
fn stale(facts: &Facts<'_>, found: &mut Findings) {
    let mut acknowledged: BTreeMap<Log, Vec<(u64, i64)>> = BTreeMap::new();
    for (op, send) in &facts.sends {
        if let Some(base) = send.base.filter(|_| op.outcome == Outcome::Ok && send.durable) {
            let end = base + send.values.len() as i64;
            acknowledged.entry(send.log).or_default().push((op.completed, end));
        }
    }
    for all in acknowledged.values_mut() {
        all.sort_unstable();
        let mut most = 0;
        for (_, end) in all.iter_mut() {
            most = most.max(*end);
            *end = most;
        }
    }
    for (op, poll) in &facts.polls {
        let Some(all) = acknowledged.get(&poll.log) else { continue };
        let before = all.partition_point(|(completed, _)| *completed < op.invoked);
        let Some((_, end)) = before.checked_sub(1).and_then(|at| all.get(at)) else { continue };
        if poll.high < *end {
            found.add(
                Anomaly::StaleRead,
                format!(
                    "{}: high watermark {} though everything below {end} was acknowledged",
                    name(poll.log),
                    poll.high
                ),
            );
        }
    }
}

fn refusals(facts: &Facts<'_>, op: &Op, found: &mut Findings) {
    match &op.kind {
        Kind::Damaged { log, offsets } => {
            // After a power cut it may be what nobody was told of; what anybody was told of is missed elsewhere.
            if op.invoked > facts.torn_from {
                return;
            }
            if let Some(offset) = offsets.clone().find(|offset| !facts.is_rotten(*log, *offset)) {
                found.add(Anomaly::Damage, format!("{}@{offset} of {offsets:?} is damaged", name(*log)));
            }
        }
        Kind::OutOfRange { log, offset } => {
            found.add(Anomaly::OutOfRange, format!("{}@{offset} is out of range", name(*log)));
        }
        _ => {}
    }
}
