//! A core with its log and its waiters: appends what the core decides and lets answers out; it decides nothing.
//!
//! One mutex guards a shard's core, its parked answers and the appends to its partition, so that records lie in the
//! log in the order in which they were decided. It is held across an append (a page-cache write), never across an
//! await. An answer leaves only when everything appended before it is on disk, so nobody ever sees what a power cut
//! can take back. When an append or a sync fails, the shard is lost: it answers nothing more and is read anew.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::broker::{BrokerError, InternalRecord, Partition, Replayed};
use crate::storage::{Appended, StorageError};

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
    /// Producers whose transaction is being looked up for an append, with a number that tells requests apart. A marker
    /// takes its producer's out: what was found before it no longer counts.
    verifying: BTreeSet<(i64, u64)>,
    next_verification: u64,
    /// Offset of the last record that the core knows of, -1 for none.
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
    ///
    /// A batch that is not as it was written is passed over: every other group goes on. Where it held the last offset of
    /// a partition the one before counts, and records are read again, never skipped. It may also have been the marker of
    /// a transaction: what one that was open there held back is dropped, or it would wait for ever, or count with the
    /// commit of the producer's next transaction though its own was aborted.
    pub(super) fn load(partition: Arc<Partition>, rules: Rules, now: Now) -> Result<Self, BrokerError> {
        let mut durable = Durable::default();
        let mut skipped = 0u64;
        let open: HashMap<i64, i64> = partition.open_transactions()?;
        partition.replay(&mut |replayed| match replayed {
            Replayed::Marker { producer_id, commit, .. } => durable.end_transaction(producer_id, commit),
            Replayed::Record { record, producer } => {
                let value = record.value.map(Bytes::copy_from_slice);
                let key = Bytes::copy_from_slice(record.key.unwrap_or_default());
                match GroupRecord::decode(key, value) {
                    Ok(Some(read)) => durable.apply(read, record.offset, producer),
                    Ok(None) => {}
                    Err(_) => skipped += 1,
                }
            }
            Replayed::Lost { from, to } => {
                let dropped = durable.drop_pending(|producer| open.get(&producer).is_none_or(|&at| at >= from));
                tracing::error!(partition = %partition.log().partition(), from, to, dropped,
                    "damaged records are left out: for groups that committed in them an older offset counts, and \
                     records are read again");
            }
        })?;
        if skipped > 0 {
            tracing::warn!(skipped, "records of the offsets topic can not be read and were passed over");
        }
        let core = Core::restore(rules, durable, now);
        // What was read back may lie in a tail that no sync has covered yet.
        let appended = partition.log_end() - 1;
        let state = State {
            core,
            parked: HashMap::new(),
            next_ticket: 0,
            verifying: BTreeSet::new(),
            next_verification: 0,
            appended,
        };
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
            let first = match self.append(&step, now) {
                Ok(appended) => {
                    state.appended = appended.last_offset;
                    appended.base_offset
                }
                Err(error) => {
                    if let Some(refusal) = refusal(&error).filter(|_| step.producer.is_some()) {
                        return Err(refusal);
                    }
                    tracing::error!(%error, "the offsets topic took no record");
                    // Kept offsets are durable state alone: if they were not taken, nothing has changed.
                    if !step.only_offsets() {
                        self.lost.store(true, Ordering::Release);
                        state.parked.clear();
                    }
                    return Err(GroupError::NotCoordinator);
                }
            };
            for (at, record) in (first..).zip(step.records) {
                state.core.apply(record, at, step.producer);
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

    fn append(&self, step: &Step, now: Now) -> Result<Appended, BrokerError> {
        let mut encoded = Vec::with_capacity(step.records.len());
        for record in &step.records {
            let (key, value) = record.encode()?;
            encoded.push(InternalRecord { key: Some(key), value });
        }
        match step.producer {
            None => self.partition.append_internal(&encoded, now.wall_ms),
            Some((id, epoch)) => self.partition.append_internal_in_txn(&encoded, id, epoch, now.wall_ms),
        }
    }

    /// Whether the producer has a transaction under way in this shard, in this epoch.
    pub(super) fn is_in_txn(&self, producer_id: i64, epoch: i16) -> bool {
        self.lock().core.durable.pending.is_open(producer_id, epoch)
    }

    /// Notes that a producer's transaction is about to be looked up for an append; `None` where it is under way in
    /// this shard, so that nothing has to be looked up.
    pub(super) fn verify(self: &Arc<Self>, producer_id: i64, epoch: i16) -> Option<Verifying> {
        let mut state = self.lock();
        if state.core.durable.pending.is_open(producer_id, epoch) {
            return None;
        }
        let number = state.next_verification;
        state.next_verification += 1;
        state.verifying.insert((producer_id, number));
        Some(Verifying { shard: Arc::clone(self), producer_id, number })
    }

    /// As [`Shard::act`], for offsets of a producer's transaction: refused if the transaction ended since it was looked
    /// up. Without that a commit that was long on its way would open it again, and nobody would ever end it.
    pub(super) fn act_in_txn<T>(
        &self,
        now: Now,
        (producer_id, epoch): (i64, i16),
        verified: Option<&Verifying>,
        decide: impl FnOnce(&mut Core) -> (T, Step),
    ) -> Result<(T, i64), GroupError> {
        let mut state = self.lock();
        if self.is_lost() {
            return Err(GroupError::NotCoordinator);
        }
        let holds =
            verified.is_some_and(|verified| state.verifying.contains(&(producer_id, verified.number)));
        if !holds && !state.core.durable.pending.is_open(producer_id, epoch) {
            return Err(GroupError::NotInTransaction);
        }
        let (value, step) = decide(&mut state.core);
        self.carry_out(&mut state, step, now)?;
        Ok((value, state.appended))
    }

    /// Appends the marker that ends a producer's transaction and takes it in. Answers the marker's offset.
    pub(super) fn end_transaction(&self, marker: Marker, now: Now) -> Result<i64, GroupError> {
        let Marker { producer_id, epoch, commit, coordinator_epoch, transaction_version } = marker;
        let mut state = self.lock();
        if self.is_lost() {
            return Err(GroupError::NotCoordinator);
        }
        let appended = self.partition.append_marker(
            producer_id,
            epoch,
            commit,
            coordinator_epoch,
            transaction_version,
            now.wall_ms,
        );
        let appended = appended.map_err(|error| {
            tracing::error!(%error, producer_id, "the offsets topic took no marker");
            refusal(&error).unwrap_or(GroupError::NotCoordinator)
        })?;
        let before: Vec<_> =
            state.verifying.range((producer_id, 0)..=(producer_id, u64::MAX)).copied().collect();
        for one in before {
            state.verifying.remove(&one);
        }
        state.core.end_transaction(producer_id, commit);
        state.appended = appended.last_offset;
        Ok(appended.last_offset)
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

/// A transaction's end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marker {
    /// The producer.
    pub(super) producer_id: i64,
    /// Its epoch, as the marker says it.
    pub(super) epoch: i16,
    /// Committed, or aborted.
    pub(super) commit: bool,
    /// The epoch of the coordinator that ends it.
    pub(super) coordinator_epoch: i32,
    /// The version of the protocol that ends it: 2 where each transaction has an epoch of its own (KIP-890).
    pub(super) transaction_version: i16,
}

/// A producer's transaction is being looked up; dropped when the append is done, or is not to be.
pub(super) struct Verifying {
    shard: Arc<Shard>,
    producer_id: i64,
    number: u64,
}

impl Drop for Verifying {
    fn drop(&mut self) {
        self.shard.lock().verifying.remove(&(self.producer_id, self.number));
    }
}

/// What an append was refused for, where that is the producer's doing and not the disk's.
fn refusal(error: &BrokerError) -> Option<GroupError> {
    match error {
        BrokerError::Storage(error) => match **error {
            StorageError::ProducerFenced { .. } => Some(GroupError::ProducerFenced),
            StorageError::CoordinatorFenced { .. } => Some(GroupError::CoordinatorFenced),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::groups::request::{Committed, NewOffset, Sender};
    use crate::broker::{Broker, BrokerOptions};
    use crate::model::id::{TopicId, TopicPartition};
    use crate::model::name::CONSUMER_OFFSETS;
    use crate::model::time::ManualClock;
    use crate::storage::sim::SimDisk;

    const NOW: Now = Now { mono_ms: 0, wall_ms: 1_700_000_000_000 };
    const NOBODY: Sender<'static> =
        Sender { generation: -1, member_id: "", instance_id: None, knows_epochs: true };

    async fn broker() -> (Arc<Broker>, Arc<Partition>) {
        let options = BrokerOptions { seed: Some(1), ..BrokerOptions::new("/data") };
        let clock = Arc::new(ManualClock::new(NOW.wall_ms));
        let broker = Broker::open(options, SimDisk::new(7) as _, clock as _).unwrap();
        broker.ensure_internal(CONSUMER_OFFSETS).await.unwrap();
        let partition = broker.partition(CONSUMER_OFFSETS, 0).unwrap();
        (broker, partition)
    }

    fn load(partition: &Arc<Partition>) -> Arc<Shard> {
        Arc::new(Shard::load(Arc::clone(partition), Rules::default(), NOW).unwrap())
    }

    fn commit(
        shard: &Shard,
        producer: (i64, i16),
        verified: Option<&Verifying>,
        offset: i64,
    ) -> Result<(), GroupError> {
        let offset = NewOffset {
            topic: "t".into(),
            topic_id: TopicId::ZERO,
            partition: 0,
            offset,
            leader_epoch: -1,
            metadata: String::new(),
        };
        let decide = |core: &mut Core| core.commit_in_txn(&"g".into(), NOBODY, producer, vec![offset], NOW);
        shard.act_in_txn(NOW, producer, verified, decide)?.0.map(|_| ())
    }

    fn end(shard: &Shard, (producer_id, epoch): (i64, i16), commit: bool) -> Result<i64, GroupError> {
        let marker = Marker { producer_id, epoch, commit, coordinator_epoch: 0, transaction_version: 1 };
        shard.end_transaction(marker, NOW)
    }

    /// The offset, and whether a transaction may replace it.
    fn told(shard: &Shard) -> (Option<i64>, bool) {
        let at = TopicPartition::new("t", 0);
        let look = |core: &Core| {
            let offset = core.offset("g", &at, TopicId::ZERO).map(|kept| kept.offset);
            (offset, core.committed("g", &at, TopicId::ZERO, true) == Committed::Unstable)
        };
        shard.read(look).unwrap().0
    }

    #[tokio::test]
    async fn what_was_looked_up_before_the_end_of_a_transaction_counts_no_more() {
        let (_broker, partition) = broker().await;
        let shard = load(&partition);
        let (mine, other) = (shard.verify(9, 0).unwrap(), shard.verify(9, 0).unwrap());
        assert_eq!(commit(&shard, (9, 0), None, 1), Err(GroupError::NotInTransaction));
        assert_eq!(commit(&shard, (8, 0), Some(&mine), 1), Err(GroupError::NotInTransaction));
        assert_eq!(commit(&shard, (9, 0), Some(&mine), 1), Ok(()));
        assert!(shard.verify(9, 0).is_none(), "it is under way now");
        assert!(shard.verify(9, 1).is_some(), "in this epoch alone");
        assert_eq!(commit(&shard, (9, 0), None, 2), Ok(()));
        end(&shard, (9, 0), true).unwrap();
        // The answer to `other`'s question came from before the end.
        assert_eq!(commit(&shard, (9, 0), Some(&other), 3), Err(GroupError::NotInTransaction));
        assert_eq!(told(&shard), (Some(2), false), "nothing waits for an end that never comes");
        drop((mine, other));
        assert!(shard.lock().verifying.is_empty());
    }

    #[tokio::test]
    async fn an_open_transaction_is_found_again_in_the_log_with_its_offsets_and_its_epoch() {
        let (_broker, partition) = broker().await;
        let mut shard = load(&partition);
        for (round, ends) in [(1, Some(true)), (2, Some(false)), (3, None)] {
            let verified = shard.verify(9, 0);
            commit(&shard, (9, 0), verified.as_ref(), round).unwrap();
            drop(verified);
            shard = load(&partition);
            assert!(told(&shard).1, "it is still open");
            assert!(shard.verify(9, 0).is_none());
            if let Some(commit) = ends {
                end(&shard, (9, 0), commit).unwrap();
            }
            shard = load(&partition);
            assert_eq!(told(&shard), (Some(1), ends.is_none()), "round {round}");
        }
        let stable = partition.marks().last_stable;
        assert!(stable < partition.log_end(), "compaction stays below what is open: {stable}");
    }

    #[tokio::test]
    async fn what_a_shard_read_back_is_told_once_it_is_durable() {
        let (_broker, partition) = broker().await;
        assert_eq!(load(&partition).read(|_| ()).unwrap().1, partition.log_end() - 1);
        let shard = load(&partition);
        commit(&shard, (9, 0), shard.verify(9, 0).as_ref(), 1).unwrap();
        let marker = end(&shard, (9, 0), true).unwrap();
        shard.lose();
        let shard = load(&partition);
        assert_eq!(told(&shard), (Some(1), false));
        assert_eq!(shard.read(|_| ()).unwrap().1, marker, "its tail may not be synced yet");
    }

    #[tokio::test]
    async fn an_epoch_that_a_marker_has_passed_is_fenced_and_the_shard_goes_on() {
        let (_broker, partition) = broker().await;
        let shard = load(&partition);
        commit(&shard, (9, 3), shard.verify(9, 3).as_ref(), 1).unwrap();
        end(&shard, (9, 4), false).unwrap();
        assert_eq!(commit(&shard, (9, 3), shard.verify(9, 3).as_ref(), 2), Err(GroupError::ProducerFenced));
        assert_eq!(end(&shard, (9, 3), true), Err(GroupError::ProducerFenced));
        assert_eq!(commit(&shard, (9, 4), shard.verify(9, 4).as_ref(), 5), Ok(()));
        end(&shard, (9, 4), true).unwrap();
        assert_eq!(told(&shard), (Some(5), false));
        assert_eq!(told(&load(&partition)), (Some(5), false));
    }
}
