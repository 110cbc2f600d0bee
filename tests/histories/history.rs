//! What a history is made of: operations of concurrent clients with the moments at which they began and ended, and what came of
//! them; never a judgement about them.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a record says; no two sends of a history send the same one.
pub(crate) type Value = u64;

/// A partition of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Log {
    pub(crate) topic: &'static str,
    pub(crate) partition: i32,
}

/// What came of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was done.
    Ok,
    /// It was refused and had no effect.
    Fail,
    /// Nobody knows: no answer, or one that says nothing certain.
    Unknown,
}

/// One batch of records to one partition. Sent again and again it is still one operation.
#[derive(Debug, Clone)]
pub(crate) struct Send {
    pub(crate) log: Log,
    pub(crate) values: Vec<Value>,
    pub(crate) txn: Option<u64>,
    /// The input record that this is the result of.
    pub(crate) of: Option<Value>,
    /// May be stored once at most: idempotent, or sent once.
    pub(crate) once: bool,
    /// The answer was to wait for the disk (acks=all).
    pub(crate) durable: bool,
    /// The offset of the first record, where the answer said it.
    pub(crate) base: Option<i64>,
}

/// One answered fetch of one partition.
#[derive(Debug, Clone)]
pub(crate) struct Poll {
    /// Who reads: a new number with each client that reads and each of its assignments.
    pub(crate) reader: u64,
    pub(crate) log: Log,
    /// read_committed.
    pub(crate) committed: bool,
    pub(crate) from: i64,
    pub(crate) records: Vec<(i64, Value)>,
    /// Where the reader goes on: behind the last batch, markers included.
    pub(crate) next: i64,
    /// High watermark and last stable offset as the answer said them.
    pub(crate) high: i64,
    pub(crate) stable: i64,
    /// Of the last reading, when nobody writes any more.
    pub(crate) last: bool,
    /// The transaction that the reading belongs to.
    pub(crate) txn: Option<u64>,
}

/// What was done.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Send(Send),
    Poll(Poll),
    /// A reader passes over offsets that the broker says are damaged.
    Damaged {
        log: Log,
        offsets: Range<i64>,
    },
    /// A reader is told that its position is outside of the log.
    OutOfRange {
        log: Log,
        offset: i64,
    },
    /// A group's position in one partition is to be kept, within a transaction or without.
    Commit {
        group: &'static str,
        log: Log,
        offset: i64,
        txn: Option<u64>,
    },
    /// A group's position as the broker knows it; -1 is none.
    Committed {
        group: &'static str,
        log: Log,
        offset: i64,
    },
    /// A new incarnation of a transactional producer: the ones before are fenced once this is answered.
    Init,
    /// A transaction ends.
    End {
        txn: u64,
        commit: bool,
    },
    /// Bits of stored records were flipped on purpose.
    Rot {
        log: Log,
        offsets: Range<i64>,
    },
    /// Something goes wrong, or is about to.
    Fault {
        #[allow(dead_code, reason = "printed with the history")]
        what: String,
        /// Writes that were never synced may be lost, torn and reordered.
        tears: bool,
    },
}

/// A transactional producer: its name's number and its incarnation, which rises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Producer {
    pub(crate) name: u64,
    pub(crate) incarnation: u64,
}

/// An operation.
#[derive(Debug, Clone)]
pub(crate) struct Op {
    #[allow(dead_code, reason = "printed with the history")]
    pub(crate) process: u64,
    /// When it began: a moment that is the history's own, counted and never shared by two.
    pub(crate) invoked: u64,
    /// When it was over; `u64::MAX` where its effect may still come.
    pub(crate) completed: u64,
    pub(crate) outcome: Outcome,
    pub(crate) producer: Option<Producer>,
    pub(crate) kind: Kind,
}

/// Takes down what clients do while they do it.
#[derive(Default)]
pub(crate) struct Recorder {
    moments: AtomicU64,
    numbers: AtomicU64,
    ops: Mutex<Vec<Op>>,
}

impl Recorder {
    /// A moment later than all before.
    pub(crate) fn now(&self) -> u64 {
        self.moments.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// A number that nobody else has: for values, transactions, readers.
    pub(crate) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Takes down what `process` began at `invoked` and is through with now.
    pub(crate) fn done(&self, process: u64, invoked: u64, outcome: Outcome, kind: Kind) {
        self.done_by(process, None, invoked, outcome, kind);
    }

    /// The same of a transactional producer.
    pub(crate) fn done_by(
        &self,
        process: u64,
        producer: Option<Producer>,
        invoked: u64,
        outcome: Outcome,
        kind: Kind,
    ) {
        let completed = if outcome == Outcome::Unknown { u64::MAX } else { self.now() };
        let op = Op { process, invoked, completed, outcome, producer, kind };
        self.ops.lock().unwrap().push(op);
    }

    /// Takes down something that happened just now.
    pub(crate) fn note(&self, kind: Kind) {
        self.done(0, self.now(), Outcome::Ok, kind);
    }

    /// Everything taken down so far, in the order of beginning.
    pub(crate) fn history(&self) -> Vec<Op> {
        let mut ops = self.ops.lock().unwrap().clone();
        ops.sort_by_key(|op| op.invoked);
        ops
    }
}
