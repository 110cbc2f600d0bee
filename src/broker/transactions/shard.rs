//! A core with its log: appends what is decided, says what must be durable before an answer; it decides nothing.
//!
//! Locks: `state` guards the core and the appends to its partition, so that records lie in the log in the order in
//! which they were decided. `writing` is held while one marker is appended, and while the shard is given up: a shard
//! that is lost writes no marker, or a late one could end the next transaction. Neither is held across an await;
//! `writing` is taken after `state`, and of others only what an append takes is taken after it: a group shard's `state`
//! where the marker goes into `__consumer_offsets`.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::broker::groups::request::Now;
use crate::broker::{BrokerError, InternalRecord, Partition, Replayed};
use crate::storage::StorageError;

use super::core::Core;
use super::decide::Decision;
use super::request::{Moment, Rules, TxnError};
use super::state::{Transaction, TxnRecord};

/// What the shard's mutex guards.
struct State {
    core: Core,
    /// Ids whose markers someone is writing.
    attended: HashSet<Arc<str>>,
    /// Offset of the last record, -1 for none.
    appended: i64,
}

/// The transactional ids of one partition of `__transaction_state`.
pub(super) struct Shard {
    partition: Arc<Partition>,
    state: Mutex<State>,
    writing: Mutex<()>,
    lost: AtomicBool,
    /// Set while there may be ends that nobody writes the markers of.
    alone: AtomicBool,
    /// Told when an end is complete, or the shard is lost.
    changed: Notify,
    /// The clockwork's bell.
    sooner: Arc<Notify>,
}

/// A decision that was stored.
pub(super) struct Stored<T> {
    /// The answer.
    pub(super) answer: T,
    /// The offset that must be durable before it is given, -1 for none.
    pub(super) offset: i64,
    /// The id whose end was decided.
    pub(super) prepared: Option<Arc<str>>,
}

impl Shard {
    /// Reads the shard from its log. Blocking.
    ///
    /// A batch that is not as it was written is passed over, and told of. Each record is the whole state of its id: only
    /// the ids whose last record was lost stand where they stood before it, and all others are certain. Of those, an end
    /// that was complete is carried out once more, which changes nothing where its markers lie; one that had only been
    /// decided comes to the transaction's timeout, an abort; an epoch that was given out is given out again, and partitions
    /// refuse the lower ones; a transaction that had begun is unknown, and stays open in its partitions until someone ends
    /// it there. To give up the whole shard instead would spare none of these ids anything: the same states are all that
    /// a repair of the log leaves. It would stop every other id of it, and leave their transactions open meanwhile, so
    /// that readers at read_committed stand still too.
    pub(super) fn load(
        partition: Arc<Partition>,
        rules: Rules,
        now: Now,
        sooner: Arc<Notify>,
    ) -> Result<Self, BrokerError> {
        let mut all: HashMap<Arc<str>, Transaction> = HashMap::new();
        let mut skipped = 0u64;
        partition.replay(&mut |replayed| match replayed {
            Replayed::Record { record, .. } => {
                let value = record.value.map(Bytes::copy_from_slice);
                let key = Bytes::copy_from_slice(record.key.unwrap_or_default());
                match TxnRecord::decode(key, value) {
                    Ok(Some(TxnRecord { id, value: Some(value) })) => drop(all.insert(id, value)),
                    Ok(Some(TxnRecord { id, value: None })) => drop(all.remove(&id)),
                    Ok(None) | Err(_) => skipped += 1,
                }
            }
            Replayed::Marker { .. } => {}
            Replayed::Lost { from, to } => {
                tracing::error!(partition = %partition.log().partition(), from, to,
                    "damaged records are left out: a transactional id whose last state was in them is taken for where \
                     it stood before; look for transactions that stay open");
            }
        })?;
        if skipped > 0 {
            tracing::warn!(skipped, "records of the transaction topic can not be read and were passed over");
        }
        let appended = partition.log_end() - 1;
        let state = State { core: Core::restore(rules, all, now), attended: HashSet::new(), appended };
        Ok(Self {
            partition,
            state: Mutex::new(state),
            writing: Mutex::default(),
            lost: AtomicBool::new(false),
            alone: AtomicBool::new(true),
            changed: Notify::new(),
            sooner,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| {
            self.set_lost();
            PoisonError::into_inner(poisoned)
        })
    }

    fn set_lost(&self) {
        let _no_marker = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.lost.store(true, Ordering::Release);
    }

    /// Whether the shard is to be read anew.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// Whether the log takes nothing until it is opened again. What it tells is then as it was at its last sync, for
    /// ever: whoever went by it would write the same markers again and again.
    pub(super) fn is_failed(&self) -> bool {
        self.partition.log().is_failed()
    }

    /// Gives the shard up, between two decisions.
    pub(super) fn lose(&self) {
        let _none = self.lock();
        self.give_up();
    }

    /// [`Shard::lose`] by whoever holds the state.
    fn give_up(&self) {
        self.set_lost();
        self.changed.notify_waiters();
        self.sooner.notify_one();
    }

    /// The epoch that markers of this coordinator carry.
    pub(super) fn coordinator_epoch(&self) -> i32 {
        self.partition.leader_epoch()
    }

    /// Looks at the core. With what it answers comes the offset to wait for.
    pub(super) fn read<T>(&self, look: impl FnOnce(&Core) -> T) -> Result<(T, i64), TxnError> {
        let state = self.lock();
        if self.is_lost() {
            return Err(TxnError::NotCoordinator);
        }
        Ok((look(&state.core), state.appended))
    }

    /// Lets the core decide and stores what it says. `None` where a fresh producer id is needed first.
    pub(super) fn act<T>(
        &self,
        at: Moment,
        decide: impl FnOnce(&Core) -> Result<Decision<T>, TxnError>,
    ) -> Result<Option<Stored<T>>, TxnError> {
        let mut state = self.lock();
        if self.is_lost() {
            return Err(TxnError::NotCoordinator);
        }
        let (answer, record) = match decide(&state.core)? {
            Decision::Done(answer, record) => (answer, record),
            Decision::NeedsId => return Ok(None),
        };
        let prepared = record
            .as_ref()
            .filter(|record| record.value.as_ref().is_some_and(|value| value.status.is_prepared()));
        let prepared = prepared.map(|record| Arc::clone(&record.id));
        if let Some(record) = record {
            self.store(&mut state, vec![record], at)?;
        }
        Ok(Some(Stored { answer, offset: state.appended, prepared }))
    }

    /// Does what time asks of the core by itself: forgets ids. Answers those whose transactions took too long.
    pub(super) fn tick(&self, at: Moment) -> Result<Vec<Arc<str>>, TxnError> {
        /// So many ids are forgotten with one append.
        const AT_ONCE: usize = 500;
        let mut state = self.lock();
        if self.is_lost() {
            return Err(TxnError::NotCoordinator);
        }
        if state.core.take_expiry(at.time) {
            loop {
                let expired = state.core.expire(at.time, AT_ONCE);
                if expired.is_empty() {
                    break;
                }
                self.store(&mut state, expired, at)?;
            }
        }
        Ok(state.core.take_overdue(at.time))
    }

    fn store(&self, state: &mut State, records: Vec<TxnRecord>, at: Moment) -> Result<(), TxnError> {
        match self.append(&records, at) {
            Ok(last) => state.appended = last,
            Err(error) => {
                tracing::error!(%error, "the transaction topic took no record");
                // A full disk takes nothing back; after any other failure the log may end earlier than what is known.
                let full = matches!(&error, BrokerError::Storage(error) if matches!(**error, StorageError::Full { .. }));
                if !full {
                    self.give_up();
                }
                return Err(TxnError::NotCoordinator);
            }
        }
        for record in records {
            state.core.apply(record, at.time);
        }
        Ok(())
    }

    fn append(&self, records: &[TxnRecord], at: Moment) -> Result<i64, BrokerError> {
        let mut encoded = Vec::with_capacity(records.len());
        for record in records {
            let (key, value) = record.encode(at.level)?;
            encoded.push(InternalRecord { key: Some(key), value });
        }
        Ok(self.partition.append_internal(&encoded, at.time.wall_ms)?.last_offset)
    }

    /// Answers when the record at `offset` is on disk; if it never gets there, the shard is lost.
    pub(super) async fn durable(&self, offset: i64) -> Result<(), TxnError> {
        if offset < 0 || self.partition.high_watermark() > offset {
            return Ok(());
        }
        self.partition.durable(offset).await.map_err(|error| {
            tracing::error!(%error, "the transaction topic could not be synced");
            self.lose();
            TxnError::NotCoordinator
        })
    }

    /// Runs what appends one marker, unless the shard is lost.
    pub(super) fn write<T>(&self, append: impl FnOnce() -> T) -> Option<T> {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        (!self.is_lost()).then(append)
    }

    /// Takes over the writing of an id's markers; whether nobody else had.
    pub(super) fn attend(&self, id: &Arc<str>) -> bool {
        self.lock().attended.insert(Arc::clone(id))
    }

    /// Nobody writes the id's markers any more. Where the end is not complete, the clockwork finds someone.
    pub(super) fn left_alone(&self, id: &Arc<str>) {
        let mut state = self.lock();
        state.attended.remove(id);
        let open = state.core.is_prepared(id);
        drop(state);
        self.changed.notify_waiters();
        if open {
            self.alone.store(true, Ordering::Release);
            self.sooner.notify_one();
        }
    }

    /// Whether [`Shard::unattended`] is to be looked at; once until one is left alone.
    pub(super) fn take_unattended(&self) -> bool {
        self.alone.load(Ordering::Acquire) && self.alone.swap(false, Ordering::AcqRel)
    }

    /// The ids whose ends are decided while nobody writes their markers.
    pub(super) fn unattended(&self) -> Vec<Arc<str>> {
        let state = self.lock();
        let mut prepared = state.core.prepared();
        prepared.retain(|id| !state.attended.contains(id));
        prepared
    }

    /// Answers once no end of the id's transaction is under way; it waits as long as it takes.
    pub(super) async fn settled(&self, id: &str) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.is_lost() || !self.lock().core.is_prepared(id) {
                return;
            }
            changed.await;
        }
    }

    /// The earliest monotonic ms at which the shard has work of its own.
    pub(super) fn deadline(&self) -> Option<i64> {
        if self.is_lost() { None } else { self.lock().core.deadline() }
    }
}
