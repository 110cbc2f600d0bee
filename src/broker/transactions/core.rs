//! A shard's state and when it needs attention; decisions are in `decide`. Never a lock, a disk or a clock.
//!
//! Decisions only read: what they say are records, and [`Core::apply`] of these is the only way anything changes. An
//! append that was refused has therefore changed nothing.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::broker::groups::request::Now;

use super::request::{Description, Listing, Rules};
use super::state::{Status, Transaction, TxnRecord};

/// What is left at least, where its time-out is not shorter, to a transaction that is found in the log.
const LEAST_LEFT_MS: i64 = 10_000;
/// So long no id is forgotten that was found in the log, where `transactional.id.expiration.ms` is not shorter.
const LEAST_IDLE_MS: i64 = 3_600_000;

/// A shard: the transactional ids of one partition of `__transaction_state`.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) rules: Rules,
    pub(super) all: HashMap<Arc<str>, Transaction>,
    /// Until when (monotonic ms) each transaction under way may take.
    due: HashMap<Arc<str>, i64>,
    /// The same by time.
    wakes: BTreeSet<(i64, Arc<str>)>,
    /// Not before this monotonic ms transactions are aborted for having taken too long.
    next_sweep_ms: i64,
    next_expiry_ms: i64,
    /// Monotonic ms of when the log was read.
    loaded_ms: i64,
    /// Monotonic ms of when each id changed last, of those that did since.
    changed_ms: HashMap<Arc<str>, i64>,
}

impl Core {
    /// A shard as its log tells it.
    pub(super) fn restore(rules: Rules, all: HashMap<Arc<str>, Transaction>, now: Now) -> Self {
        let mut core = Self {
            rules,
            all,
            due: HashMap::new(),
            wakes: BTreeSet::new(),
            next_sweep_ms: now.mono_ms,
            next_expiry_ms: now.mono_ms.saturating_add(rules.expire_interval_ms),
            loaded_ms: now.mono_ms,
            changed_ms: HashMap::new(),
        };
        let ongoing: Vec<_> = core.all.iter().filter(|(_, kept)| kept.status == Status::Ongoing).collect();
        let due = ongoing.into_iter().map(|(id, kept)| {
            // A clock that was set meanwhile neither ends a transaction at once nor keeps it for ever, and a producer has
            // time to find a node again that was away for longer.
            let timeout = i64::from(kept.timeout_ms);
            let least = timeout.clamp(0, LEAST_LEFT_MS);
            let left = kept.started_ms.saturating_add(timeout).saturating_sub(now.wall_ms);
            let left = left.clamp(least, timeout.max(least));
            (Arc::clone(id), now.mono_ms.saturating_add(left))
        });
        core.due = due.collect();
        core.wakes = core.due.iter().map(|(id, at)| (*at, Arc::clone(id))).collect();
        core
    }

    /// Takes in a record that was appended.
    pub(super) fn apply(&mut self, record: TxnRecord, now: Now) {
        let TxnRecord { id, value } = record;
        let Some(value) = value else {
            self.disarm(&id);
            self.all.remove(&id);
            self.changed_ms.remove(&id);
            return;
        };
        if value.status != Status::Ongoing {
            self.disarm(&id);
        } else if !self.due.contains_key(&id) {
            let at = now.mono_ms.saturating_add(i64::from(value.timeout_ms));
            self.due.insert(Arc::clone(&id), at);
            self.wakes.insert((at, Arc::clone(&id)));
        }
        self.changed_ms.insert(Arc::clone(&id), now.mono_ms);
        self.all.insert(id, value);
    }

    fn disarm(&mut self, id: &Arc<str>) {
        if let Some(at) = self.due.remove(id) {
            self.wakes.remove(&(at, Arc::clone(id)));
        }
    }

    /// Whether the end of the id's transaction is decided and not complete.
    pub(super) fn is_prepared(&self, id: &str) -> bool {
        self.all.get(id).is_some_and(|kept| kept.status.is_prepared())
    }

    /// The ids whose transactions' ends are decided and not complete.
    pub(super) fn prepared(&self) -> Vec<Arc<str>> {
        let prepared = self.all.iter().filter(|(_, kept)| kept.status.is_prepared());
        prepared.map(|(id, _)| Arc::clone(id)).collect()
    }

    /// The earliest monotonic ms at which there is something to do.
    pub(super) fn deadline(&self) -> Option<i64> {
        let sweep = self.wakes.first().map(|(at, _)| (*at).max(self.next_sweep_ms));
        let expiry = (!self.all.is_empty()).then_some(self.next_expiry_ms);
        sweep.into_iter().chain(expiry).min()
    }

    /// The ids whose transactions have taken too long; they are given at most once in
    /// `transaction.abort.timed.out.transaction.cleanup.interval.ms`.
    pub(super) fn take_overdue(&mut self, now: Now) -> Vec<Arc<str>> {
        let first = self.wakes.first().is_some_and(|(at, _)| *at <= now.mono_ms);
        if !first || now.mono_ms < self.next_sweep_ms {
            return Vec::new();
        }
        self.next_sweep_ms = now.mono_ms.saturating_add(self.rules.abort_interval_ms);
        let overdue = self.wakes.iter().take_while(|(at, _)| *at <= now.mono_ms);
        overdue.map(|(_, id)| Arc::clone(id)).collect()
    }

    /// Whether the id's transaction has taken too long.
    pub(super) fn is_overdue(&self, id: &str, now: Now) -> bool {
        self.due.get(id).is_some_and(|at| *at <= now.mono_ms)
    }

    /// Whether ids are to be looked at that nobody has used for long; if so the next look is later.
    pub(super) fn take_expiry(&mut self, now: Now) -> bool {
        let due = now.mono_ms >= self.next_expiry_ms;
        if due {
            self.next_expiry_ms = now.mono_ms.saturating_add(self.rules.expire_interval_ms);
        }
        due
    }

    /// Decides to forget up to `most` ids that were not used for `transactional.id.expiration.ms`. The clock on the wall
    /// alone says nothing: it may have been set.
    pub(super) fn expire(&self, now: Now, most: usize) -> Vec<TxnRecord> {
        let expiration = self.rules.id_expiration_ms;
        let before = now.wall_ms.saturating_sub(expiration);
        let passed = |id: &Arc<str>| match self.changed_ms.get(id) {
            Some(at) => now.mono_ms.saturating_sub(*at) >= expiration,
            None => now.mono_ms.saturating_sub(self.loaded_ms) >= expiration.min(LEAST_IDLE_MS),
        };
        let expired = self.all.iter().filter(|(id, kept)| {
            let idle = matches!(kept.status, Status::Empty | Status::CompleteCommit | Status::CompleteAbort);
            idle && kept.updated_ms <= before && passed(id)
        });
        expired.take(most).map(|(id, _)| TxnRecord { id: Arc::clone(id), value: None }).collect()
    }

    /// An id and its transaction.
    pub(super) fn describe(&self, id: &str) -> Option<Description> {
        self.all.get(id).map(|kept| Description {
            status: kept.status,
            timeout_ms: kept.timeout_ms,
            started_ms: kept.started_ms,
            producer: kept.producer,
            partitions: kept.partitions.clone(),
        })
    }

    /// All ids, in no order.
    pub(super) fn list(&self) -> Vec<Listing> {
        let listed = self.all.iter().map(|(id, kept)| Listing {
            transactional_id: Arc::clone(id),
            producer_id: kept.producer.id,
            status: kept.status,
            started_ms: kept.started_ms,
        });
        listed.collect()
    }
}
