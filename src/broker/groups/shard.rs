//! A core with its log and its waiters: appends what the core decides and lets answers out; it decides nothing.
//!
//! One mutex guards a shard's core, its parked answers and the appends to its partition, so that records lie in the
//! log in the order in which they were decided. It is held across an append (a page-cache write), never across an
//! await. An answer leaves only when everything appended before it is on disk, so nobody ever sees what a power cut
//! can take back. When an append or a sync fails, the shard is lost: it answers nothing more and is read anew.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::broker::{BrokerError, InternalRecord, Partition};

use super::core::{Answer, Core, Step};
use super::durable::{Durable, GroupRecord};
use super::request::{GroupError, Now, Rules, Ticket};

/// An answer, and the offset that must be durable before it may leave (-1: none).
pub(super) type Parked = (Answer, i64);

/// What the shard's mutex guards.
struct State {
    core: Core,
    parked: HashMap<Ticket, oneshot::Sender<Parked>>,
    next_ticket: Ticket,
    /// Offset of the last record appended, -1 for none by this shard.
    appended: i64,
}

/// The groups of one partition of `__consumer_offsets`.
pub(super) struct Shard {
    partition: Arc<Partition>,
    state: Mutex<State>,
    lost: AtomicBool,
}

impl Shard {
    /// Reads the shard from its log. Blocking.
    pub(super) fn load(partition: Arc<Partition>, rules: Rules, now: Now) -> Result<Self, BrokerError> {
        let mut durable = Durable::default();
        let mut skipped = 0u64;
        partition.replay(&mut |record| {
            let value = record.value.map(Bytes::copy_from_slice);
            let key = Bytes::copy_from_slice(record.key.unwrap_or_default());
            match GroupRecord::decode(key, value) {
                Ok(Some(record)) => durable.apply(record),
                Ok(None) => {}
                Err(_) => skipped += 1,
            }
        })?;
        if skipped > 0 {
            tracing::warn!(skipped, "records of the offsets topic can not be read and were passed over");
        }
        let core = Core::restore(rules, durable, now);
        let state = State { core, parked: HashMap::new(), next_ticket: 0, appended: -1 };
        Ok(Self { partition, state: Mutex::new(state), lost: AtomicBool::new(false) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic in a decision may have left the core half changed.
        self.state.lock().unwrap_or_else(|poisoned| {
            self.lost.store(true, Ordering::Release);
            PoisonError::into_inner(poisoned)
        })
    }

    /// Whether the shard is to be read anew.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// Gives the shard up: whoever is parked is told to look for the coordinator again.
    pub(super) fn lose(&self) {
        self.lost.store(true, Ordering::Release);
        self.lock().parked.clear();
    }

    /// Looks at the core; nothing is decided. With what it answers comes the offset to wait for.
    pub(super) fn read<T>(&self, look: impl FnOnce(&Core) -> T) -> Result<(T, i64), GroupError> {
        let state = self.lock();
        if self.is_lost() {
            return Err(GroupError::NotCoordinator);
        }
        Ok((look(&state.core), state.appended))
    }

    /// Lets the core decide and appends what it says. With the result comes the offset to wait for.
    pub(super) fn act<T>(
        &self,
        now: Now,
        decide: impl FnOnce(&mut Core) -> (T, Step),
    ) -> Result<(T, i64), GroupError> {
        let mut state = self.lock();
        if self.is_lost() {
            return Err(GroupError::NotCoordinator);
        }
        let (value, step) = decide(&mut state.core);
        self.carry_out(&mut state, step, now)?;
        Ok((value, state.appended))
    }

    /// Lets the core decide about a request whose answer may be parked.
    pub(super) fn park(
        &self,
        now: Now,
        decide: impl FnOnce(&mut Core, Ticket) -> Step,
    ) -> Result<oneshot::Receiver<Parked>, GroupError> {
        let mut state = self.lock();
        if self.is_lost() {
            return Err(GroupError::NotCoordinator);
        }
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        let (sender, receiver) = oneshot::channel();
        state.parked.insert(ticket, sender);
        let step = decide(&mut state.core, ticket);
        self.carry_out(&mut state, step, now)?;
        Ok(receiver)
    }

    fn carry_out(&self, state: &mut State, step: Step, now: Now) -> Result<(), GroupError> {
        if !step.records.is_empty() {
            match self.append(&step.records, now) {
                Ok(last) => state.appended = last,
                Err(error) => {
                    tracing::error!(%error, "the offsets topic took no record");
                    // Kept offsets are durable state alone: if they were not taken, nothing has changed.
                    if !step.only_offsets() {
                        self.lost.store(true, Ordering::Release);
                        state.parked.clear();
                    }
                    return Err(GroupError::NotCoordinator);
                }
            }
            for record in step.records {
                state.core.apply(record);
            }
        }
        for (ticket, answer) in step.answers {
            if let Some(waiting) = state.parked.remove(&ticket) {
                // Whoever asked may be gone; the answer is then nobody's.
                let _ = waiting.send((answer, state.appended));
            }
        }
        Ok(())
    }

    fn append(&self, records: &[GroupRecord], now: Now) -> Result<i64, BrokerError> {
        let mut encoded = Vec::with_capacity(records.len());
        for record in records {
            let (key, value) = record.encode()?;
            encoded.push(InternalRecord { key: Some(key), value });
        }
        Ok(self.partition.append_internal(&encoded, now.wall_ms)?.last_offset)
    }

    /// Answers when the record at `offset` is on disk; if it never gets there, the shard is lost.
    pub(super) async fn durable(&self, offset: i64) -> Result<(), GroupError> {
        if offset < 0 || self.partition.high_watermark() > offset {
            return Ok(());
        }
        self.partition.durable(offset).await.map_err(|error| {
            tracing::error!(%error, "the offsets topic could not be synced");
            self.lose();
            GroupError::NotCoordinator
        })
    }

    /// The earliest monotonic ms at which the shard has work of its own.
    pub(super) fn deadline(&self) -> Option<i64> {
        if self.is_lost() { None } else { self.lock().core.deadline() }
    }
}
