//! Checks of single records: lost, unseen, vanished, twice, at another place, never sent, in pieces.

use super::facts::Facts;
use super::{Anomaly, Findings, name};
use crate::history::{Outcome, Send};

pub(super) fn check(facts: &Facts<'_>, found: &mut Findings) {
    offsets(facts, found);
    for (op, send) in &facts.sends {
        if op.outcome == Outcome::Ok && send.durable {
            acknowledged(facts, send, found);
        }
        if op.outcome == Outcome::Fail {
            refused(facts, send, found);
        }
        whole(facts, send, found);
    }
    vanished(facts, found);
}

fn offsets(facts: &Facts<'_>, found: &mut Findings) {
    for (log, offsets) in &facts.logs {
        for (offset, values) in offsets {
            if values.len() > 1 {
                found.add(
                    Anomaly::InconsistentOffset,
                    format!("{}@{offset} is read and acknowledged as {values:?}", name(*log)),
                );
            }
        }
    }
    for (value, places) in &facts.places {
        let Some((_, send)) = facts.send_of(*value) else {
            found.add(Anomaly::Garbage, format!("{value} at {places:?} was never sent"));
            continue;
        };
        if send.once && places.len() > 1 {
            found.add(Anomaly::Duplicate, format!("{value} lies at {places:?}"));
        }
        if let Some((log, offset)) = places.iter().find(|(log, _)| *log != send.log) {
            found.add(
                Anomaly::InconsistentOffset,
                format!("{value} was sent to {} and is read from {}@{offset}", name(send.log), name(*log)),
            );
        }
    }
}

/// What was acknowledged is there when nobody writes any more.
fn acknowledged(facts: &Facts<'_>, send: &Send, found: &mut Findings) {
    let Some(last) = facts.last[0].get(&send.log) else { return };
    for (place, value) in send.values.iter().enumerate() {
        let offset = send.base.map(|base| base + place as i64);
        if last.values.contains(value) || offset.is_some_and(|offset| facts.is_rotten(send.log, offset)) {
            continue;
        }
        let said = format!("{value}, acknowledged at {}@{offset:?}, end {}", name(send.log), last.end);
        if offset.is_some_and(|offset| offset >= last.end) {
            found.add(Anomaly::UnseenWrite, said);
        } else {
            found.add(Anomaly::LostWrite, said);
        }
    }
}

fn refused(facts: &Facts<'_>, send: &Send, found: &mut Findings) {
    for value in &send.values {
        if let Some(places) = facts.places.get(value) {
            found.add(Anomaly::AbortedRead, format!("{value} was refused and is read at {places:?}"));
        }
    }
}

/// A batch is one: all of it is read in the end, side by side, or nothing.
fn whole(facts: &Facts<'_>, send: &Send, found: &mut Findings) {
    let Some(last) = facts.last[0].get(&send.log) else { return };
    let there = send.values.iter().filter(|value| last.values.contains(value)).count();
    if there > 0 && there < send.values.len() {
        found.add(
            Anomaly::TornBatch,
            format!("{there} of {:?} are in {} at the end", send.values, name(send.log)),
        );
    }
    let place = |value| facts.places.get(value).and_then(|places| places.first());
    for pair in send.values.windows(2) {
        if let (Some((_, one)), Some((_, next))) = (place(&pair[0]), place(&pair[1]))
            && send.once
            && next - one != 1
        {
            found.add(
                Anomaly::TornBatch,
                format!("{} lies at {one} and {} of the same batch at {next}", pair[0], pair[1]),
            );
        }
    }
}

/// What anybody was shown stays.
fn vanished(facts: &Facts<'_>, found: &mut Findings) {
    for (log, offset, value) in &facts.seen {
        let Some(last) = facts.last[0].get(log) else { continue };
        if last.offsets.get(offset) != Some(value) && !facts.is_rotten(*log, *offset) {
            found.add(
                Anomaly::Vanished,
                format!(
                    "{value} was read at {}@{offset}; at the end there is {:?} (read up to {})",
                    name(*log),
                    last.offsets.get(offset),
                    last.end
                ),
            );
        }
    }
}
