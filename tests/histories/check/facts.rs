//! A history put in order for the checks: who sent what, what lies where, how each transaction ended; it judges nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use crate::history::{Kind, Log, Op, Outcome, Poll, Send, Value};

/// How a transaction ended, as far as its own client was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Committed,
    /// Nobody ever asked to commit it, or all who asked were refused.
    Aborted,
    /// Somebody asked to commit it and had no answer.
    Unknown,
}

#[derive(Debug)]
pub(super) struct Txn {
    pub(super) fate: Fate,
    /// When a client first asked to commit it.
    pub(super) asked: Option<u64>,
    /// When a client was first told that it is committed.
    pub(super) told: Option<u64>,
    pub(super) contradiction: bool,
    /// A read_committed reader saw a record of it, or its position counts.
    pub(super) observed: bool,
}

impl Txn {
    /// Whether its records are to be there, given what was seen of it.
    pub(super) fn happened(&self) -> bool {
        self.fate == Fate::Committed || self.fate == Fate::Unknown && self.observed
    }
}

pub(super) struct Facts<'a> {
    pub(super) ops: &'a [Op],
    pub(super) sends: Vec<(&'a Op, &'a Send)>,
    pub(super) polls: Vec<(&'a Op, &'a Poll)>,
    /// Which send a value is of, by its place in `sends`.
    pub(super) sender: HashMap<Value, usize>,
    /// What was read or acknowledged at each offset.
    pub(super) logs: BTreeMap<Log, BTreeMap<i64, BTreeSet<Value>>>,
    /// Where each value was read, or acknowledged to be.
    pub(super) places: HashMap<Value, BTreeSet<(Log, i64)>>,
    /// What some reader saw.
    pub(super) seen: BTreeSet<(Log, i64, Value)>,
    /// What the last reading saw, and how far it came; by isolation: uncommitted, committed.
    pub(super) last: [BTreeMap<Log, LastReading>; 2],
    pub(super) txns: BTreeMap<u64, Txn>,
    pub(super) rot: BTreeMap<Log, Vec<Range<i64>>>,
    /// From when on a write that was never synced may lie torn before one that arrived whole.
    pub(super) torn_from: u64,
}

#[derive(Debug, Default)]
pub(super) struct LastReading {
    pub(super) values: BTreeSet<Value>,
    pub(super) offsets: BTreeMap<i64, Value>,
    pub(super) end: i64,
    pub(super) high: i64,
}

impl<'a> Facts<'a> {
    pub(super) fn of(ops: &'a [Op]) -> Self {
        let mut facts = Self {
            ops,
            sends: Vec::new(),
            polls: Vec::new(),
            sender: HashMap::new(),
            logs: BTreeMap::new(),
            places: HashMap::new(),
            seen: BTreeSet::new(),
            last: Default::default(),
            txns: BTreeMap::new(),
            rot: BTreeMap::new(),
            torn_from: u64::MAX,
        };
        for op in ops {
            facts.take(op);
        }
        facts.observe();
        facts
    }

    fn take(&mut self, op: &'a Op) {
        match &op.kind {
            Kind::Send(send) => self.take_send(op, send),
            Kind::Poll(poll) if op.outcome == Outcome::Ok => self.take_poll(op, poll),
            Kind::End { txn, commit } => {
                let txn = self.txn(*txn);
                match (commit, op.outcome) {
                    (true, Outcome::Ok) => {
                        txn.contradiction |= txn.fate == Fate::Aborted && txn.told.is_some();
                        txn.fate = Fate::Committed;
                        txn.told = Some(txn.told.unwrap_or(u64::MAX).min(op.completed));
                    }
                    (true, Outcome::Unknown) if txn.fate == Fate::Aborted => txn.fate = Fate::Unknown,
                    (false, Outcome::Ok) => txn.contradiction |= txn.fate == Fate::Committed,
                    _ => {}
                }
                if *commit && op.outcome != Outcome::Fail {
                    txn.asked = Some(txn.asked.unwrap_or(u64::MAX).min(op.invoked));
                }
            }
            Kind::Commit { txn: Some(txn), .. } => {
                self.txn(*txn);
            }
            Kind::Fault { tears: true, .. } => self.torn_from = self.torn_from.min(op.invoked),
            Kind::Rot { log, offsets } => self.rot.entry(*log).or_default().push(offsets.clone()),
            _ => {}
        }
    }

    fn txn(&mut self, id: u64) -> &mut Txn {
        self.txns.entry(id).or_insert(Txn {
            fate: Fate::Aborted,
            asked: None,
            told: None,
            contradiction: false,
            observed: false,
        })
    }

    fn take_send(&mut self, op: &'a Op, send: &'a Send) {
        for (place, value) in send.values.iter().enumerate() {
            assert!(
                self.sender.insert(*value, self.sends.len()).is_none(),
                "the history sends {value} twice"
            );
            if let Some(base) = send.base.filter(|_| op.outcome == Outcome::Ok && send.durable) {
                self.place(send.log, base + place as i64, *value);
            }
        }
        if let Some(txn) = send.txn {
            self.txn(txn);
        }
        self.sends.push((op, send));
    }

    fn take_poll(&mut self, op: &'a Op, poll: &'a Poll) {
        for (offset, value) in &poll.records {
            self.place(poll.log, *offset, *value);
            self.seen.insert((poll.log, *offset, *value));
        }
        if poll.last {
            let last = self.last[usize::from(poll.committed)].entry(poll.log).or_default();
            last.values.extend(poll.records.iter().map(|(_, value)| *value));
            last.offsets.extend(poll.records.iter().copied());
            last.end = last.end.max(poll.next);
            last.high = last.high.max(poll.high);
        }
        self.polls.push((op, poll));
    }

    fn place(&mut self, log: Log, offset: i64, value: Value) {
        self.logs.entry(log).or_default().entry(offset).or_default().insert(value);
        self.places.entry(value).or_default().insert((log, offset));
    }

    /// A transaction of which a committed reader saw something counts as committed.
    fn observe(&mut self) {
        let polls = self.polls.iter().filter(|(_, poll)| poll.committed);
        let values: Vec<_> = polls.flat_map(|(_, poll)| &poll.records).map(|(_, value)| *value).collect();
        for value in values {
            if let Some(txn) = self.txn_of(value)
                && let Some(txn) = self.txns.get_mut(&txn)
            {
                txn.observed = true;
            }
        }
    }

    pub(super) fn send_of(&self, value: Value) -> Option<(&'a Op, &'a Send)> {
        self.sender.get(&value).map(|&place| self.sends[place])
    }

    pub(super) fn txn_of(&self, value: Value) -> Option<u64> {
        self.send_of(value)?.1.txn
    }

    /// Whether bits of what lies at an offset were flipped on purpose.
    pub(super) fn is_rotten(&self, log: Log, offset: i64) -> bool {
        self.rot.get(&log).is_some_and(|ranges| ranges.iter().any(|range| range.contains(&offset)))
    }

    /// Whether a read_committed reader is to be given a value.
    pub(super) fn is_visible(&self, value: Value) -> bool {
        match self.txn_of(value) {
            None => true,
            Some(txn) => self.txns.get(&txn).is_some_and(Txn::happened),
        }
    }
}
