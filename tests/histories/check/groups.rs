//! Checks of the positions of groups: each is one that was committed, none is older than one that was known to be kept.

use std::collections::BTreeMap;

use super::facts::{Facts, Fate};
use super::{Anomaly, Findings, Rules, name};
use crate::history::{Kind, Log, Op, Outcome};

/// A commit as a write to a register: when it may have taken effect.
struct Write {
    offset: i64,
    began: u64,
    ended: u64,
    happened: bool,
    never: bool,
}

pub(super) fn check(facts: &Facts<'_>, rules: &Rules, found: &mut Findings) {
    let mut writes: BTreeMap<(&'static str, Log), Vec<Write>> = BTreeMap::new();
    let mut reads: BTreeMap<(&'static str, Log), Vec<(&Op, i64)>> = BTreeMap::new();
    for op in facts.ops {
        match &op.kind {
            Kind::Commit { group, log, offset, txn } => {
                writes.entry((*group, *log)).or_default().push(write(facts, op, *offset, *txn));
            }
            Kind::Committed { group, log, offset } if op.outcome == Outcome::Ok => {
                reads.entry((*group, *log)).or_default().push((op, *offset));
            }
            _ => {}
        }
    }
    for ((group, log), reads) in reads {
        let writes = writes.get(&(group, log)).map_or(&[][..], Vec::as_slice);
        for (op, offset) in &reads {
            read(op, *offset, writes, &format!("{group} at {}", name(log)), found);
        }
        if rules.forward.contains(&group) {
            forward(&reads, &format!("{group} at {}", name(log)), found);
        }
    }
}

fn write(facts: &Facts<'_>, op: &Op, offset: i64, txn: Option<u64>) -> Write {
    let Some(txn) = txn.and_then(|id| facts.txns.get(&id)) else {
        let (happened, never) = (op.outcome == Outcome::Ok, op.outcome == Outcome::Fail);
        return Write { offset, began: op.invoked, ended: op.completed, happened, never };
    };
    // Within a transaction it counts from its end on.
    let never = op.outcome == Outcome::Fail || txn.fate == Fate::Aborted;
    let happened = op.outcome == Outcome::Ok && txn.fate == Fate::Committed;
    let began = txn.asked.unwrap_or(u64::MAX);
    let ended = if happened { txn.told.unwrap_or(u64::MAX) } else { u64::MAX };
    Write { offset, began, ended, happened, never }
}

/// One read of the register.
fn read(op: &Op, offset: i64, writes: &[Write], whose: &str, found: &mut Findings) {
    // The latest beginning of a write that was over before the read began: older ones can not be read any more.
    let floor = writes.iter().filter(|write| write.happened && write.ended < op.invoked);
    let floor = floor.map(|write| write.began).max();
    if offset == -1 {
        if floor.is_some() {
            found.add(Anomaly::CommitLost, format!("{whose} has no position at moment {}", op.invoked));
        }
        return;
    }
    let mut same = writes.iter().filter(|write| write.offset == offset).peekable();
    if same.peek().is_none() {
        found.add(Anomaly::CommitGarbage, format!("{whose} is {offset}, which nobody committed"));
        return;
    }
    let possible: Vec<_> = same.filter(|write| !write.never && write.began < op.completed).collect();
    if possible.is_empty() {
        found.add(
            Anomaly::CommitAborted,
            format!("{whose} is {offset}, which was refused, aborted or still open"),
        );
    } else if possible.iter().all(|write| floor.is_some_and(|floor| write.ended < floor)) {
        found.add(
            Anomaly::CommitLost,
            format!("{whose} is {offset} at moment {}, which another had replaced", op.invoked),
        );
    }
}

/// Positions that are read one after the other only grow.
fn forward(reads: &[(&Op, i64)], whose: &str, found: &mut Findings) {
    let mut ended: Vec<_> = reads.iter().map(|(op, offset)| (op.completed, *offset)).collect();
    ended.sort_unstable();
    let (mut most, mut at) = (-1, 0);
    for (op, offset) in reads {
        while let Some((_, before)) = ended.get(at).filter(|(completed, _)| *completed < op.invoked) {
            most = most.max(*before);
            at += 1;
        }
        if *offset < most {
            found.add(Anomaly::CommitBackward, format!("{whose} is {offset} after {most}"));
        }
    }
}
