//! Which transactions of a log are open and which are ended but not yet stable: the last stable offset comes from here;
//! it reads no files, and a log without transactions pays one look at a flag.
//!
//! Locks: `unstable` is held for one change or one look; it is taken under the append lock, never the other way round.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::held;

/// Lets the first batch of a transaction pass: who holds it asked the transaction's coordinator after the log gave it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard(pub u64);

impl Guard {
    /// Lets nothing pass: for who comes with an epoch that the log knows to be over.
    pub(super) const FENCED: Self = Self(0);
}

/// Who appends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A client: sequences are checked, and a transaction only begins with a guard.
    Client {
        /// What [`super::Log::begin_verification`] gave.
        guard: Option<Guard>,
        /// Whether the client speaks KIP-890's second version (Produce 12 and later): its epoch rises with every
        /// transaction, so that a producer unknown here begins at sequence 0.
        bumps_epoch: bool,
    },
    /// The broker itself, for a client whose transaction it knows: neither sequences nor guards.
    Coordinator,
    /// The marker of a transaction's end.
    Marker {
        /// `transaction.version` of who decided it: from 2 on the marker's epoch lies above the transaction's.
        transaction_version: i16,
    },
}

/// An aborted transaction, as a reader at read_committed must know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedTxn {
    /// Who aborted.
    pub producer_id: i64,
    /// Its first offset: batches of the producer from there on, up to the abort marker, are not to be shown.
    pub first_offset: i64,
}

/// A transaction that a marker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) producer_id: i64,
    pub(super) first_offset: i64,
    /// The marker's offset.
    pub(super) last_offset: i64,
    pub(super) aborted: bool,
}

/// What a batch did to the transactions of its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Nothing,
    /// The producer's transaction begins with the batch.
    Begins {
        producer_id: i64,
        first_offset: i64,
    },
    Ends(Ended),
}

/// The transactions of a log that keep its last stable offset down.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    /// Whether there is any.
    any: AtomicBool,
    unstable: Mutex<Unstable>,
}

#[derive(Debug, Default)]
struct Unstable {
    /// Producers by the first offset of their open transaction.
    open: BTreeMap<i64, i64>,
    /// Those whose marker may lie at or above the high watermark or the durable end, by the marker's offset.
    ended: VecDeque<Ended>,
}

impl Transactions {
    /// Takes in what a batch did, before readers see the batch. For an end: the last stable offset that would be without
    /// that transaction, as its entry of the `.txnindex` says it.
    pub(super) fn note(&self, change: Change) -> Option<(Ended, i64)> {
        if change == Change::Nothing {
            return None;
        }
        let mut unstable = held(&self.unstable);
        let stable = unstable.note(change);
        self.any.store(unstable.any(), Ordering::Release);
        stable
    }

    /// Begins anew with these open ones: first offset and producer.
    pub(super) fn begin(&self, open: BTreeMap<i64, i64>) {
        let mut unstable = held(&self.unstable);
        *unstable = Unstable { open, ended: VecDeque::new() };
        self.any.store(unstable.any(), Ordering::Release);
    }

    /// The log was cut at `end`: what ended behind it is open again, what began there never was.
    pub(super) fn cut(&self, end: i64) {
        let mut unstable = held(&self.unstable);
        while let Some(ended) = unstable.ended.pop_back_if(|ended| ended.last_offset >= end) {
            unstable.open.insert(ended.first_offset, ended.producer_id);
        }
        unstable.open.split_off(&end);
        self.any.store(unstable.any(), Ordering::Release);
    }

    /// Whether a transaction is open.
    pub(super) fn is_open(&self) -> bool {
        self.any.load(Ordering::Acquire) && !held(&self.unstable).open.is_empty()
    }

    /// The first offset of any transaction that is open or whose marker is not below `high_watermark`, if there is one
    /// below it. What `durable` covers too is never asked about again.
    pub(super) fn first_unstable(&self, high_watermark: i64, durable: i64) -> Option<i64> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let mut unstable = held(&self.unstable);
        let settled = high_watermark.min(durable);
        while unstable.ended.pop_front_if(|ended| ended.last_offset < settled).is_some() {}
        self.any.store(unstable.any(), Ordering::Release);
        let hidden = unstable.ended.partition_point(|ended| ended.last_offset < high_watermark);
        let ended = unstable.ended.range(hidden..).map(|ended| ended.first_offset).min();
        let open = unstable.open.keys().next().copied();
        ended.into_iter().chain(open).min().filter(|&first| first < high_watermark)
    }
}

impl Unstable {
    fn any(&self) -> bool {
        !self.open.is_empty() || !self.ended.is_empty()
    }

    fn note(&mut self, change: Change) -> Option<(Ended, i64)> {
        match change {
            Change::Nothing => None,
            Change::Begins { producer_id, first_offset } => {
                self.open.insert(first_offset, producer_id);
                None
            }
            Change::Ends(ended) => {
                self.open.remove(&ended.first_offset);
                self.ended.push_back(ended);
                let stable = self.open.keys().next().copied().unwrap_or(ended.last_offset + 1);
                Some((ended, stable))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begins(producer_id: i64, first_offset: i64) -> Change {
        Change::Begins { producer_id, first_offset }
    }

    fn ends(producer_id: i64, first_offset: i64, last_offset: i64) -> Change {
        Change::Ends(Ended { producer_id, first_offset, last_offset, aborted: true })
    }

    #[test]
    fn a_marker_that_is_not_visible_ends_nothing_yet() {
        let transactions = Transactions::default();
        assert_eq!(transactions.first_unstable(100, 100), None);
        transactions.note(begins(1, 5));
        transactions.note(begins(2, 7));
        assert_eq!(transactions.first_unstable(10, 10), Some(5));
        assert_eq!(transactions.first_unstable(5, 5), None, "it begins behind the high watermark");
        let (_, stable) = transactions.note(ends(1, 5, 9)).unwrap();
        assert_eq!(stable, 7);
        assert_eq!(transactions.first_unstable(9, 9), Some(5));
        assert_eq!(transactions.first_unstable(10, 10), Some(7));
        let (_, stable) = transactions.note(ends(2, 7, 12)).unwrap();
        assert_eq!(stable, 13);
        assert_eq!(transactions.first_unstable(13, 13), None);
        assert!(!transactions.any.load(Ordering::Acquire), "nothing is left to look at");
    }

    #[test]
    fn a_cut_opens_again_what_ended_behind_it() {
        let transactions = Transactions::default();
        transactions.note(begins(1, 0));
        transactions.note(ends(1, 0, 3));
        transactions.note(begins(1, 4));
        transactions.note(ends(1, 4, 8));
        transactions.note(begins(2, 9));
        // Visible all of it, durable only up to 6.
        assert_eq!(transactions.first_unstable(10, 6), Some(9));
        transactions.cut(6);
        assert_eq!(transactions.first_unstable(6, 6), Some(4));
        assert!(transactions.is_open());
    }
}
