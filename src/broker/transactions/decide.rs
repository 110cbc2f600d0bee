//! What the coordinator decides: pure, by KIP-98 and KIP-890; an end that was decided never changes.
//!
//! Every decision is of one transactional id and is one record, or none where everything is as it was asked for.

use std::sync::Arc;

use crate::model::id::TopicPartition;

use super::core::Core;
use super::request::{EndRequest, MAX_ID_BYTES, MAX_PARTITIONS, Moment, Producer, TxnError};
use super::state::{MAX_EPOCH, Status, Transaction, TxnRecord, is_exhausted};

/// What a decision comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision<T> {
    /// An answer, with what is to be stored before it is given.
    Done(T, Option<TxnRecord>),
    /// A producer id nobody has is needed: decide again with one.
    NeedsId,
}

type Decided<T> = Result<Decision<T>, TxnError>;

/// How an InitProducerId is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Init {
    /// With this producer.
    Given(Producer),
    /// A transaction was under way and is aborted first: it is to be asked again.
    Aborting,
}

fn store(id: &Arc<str>, value: Transaction) -> Option<TxnRecord> {
    Some(TxnRecord { id: Arc::clone(id), value: Some(value) })
}

impl Core {
    /// A producer begins, or begins anew. `expected` is what it says it had before; `fresh` an id nobody has.
    pub(super) fn init(
        &self,
        id: &Arc<str>,
        timeout_ms: i32,
        expected: Option<Producer>,
        fresh: Option<i64>,
        at: Moment,
    ) -> Decided<Init> {
        if timeout_ms <= 0 || timeout_ms > self.rules.max_timeout_ms {
            return Err(TxnError::InvalidTimeout);
        }
        let Some(known) = self.all.get(id) else {
            if id.len() > MAX_ID_BYTES {
                return Err(TxnError::IdTooLong);
            }
            if self.all.len() >= self.rules.max_ids {
                return Err(TxnError::TooManyIds);
            }
            let Some(fresh) = fresh else { return Ok(Decision::NeedsId) };
            let made = unknown(fresh, timeout_ms);
            let last_epoch = -1;
            return Ok(given(id, renewed(&made, 0, last_epoch, timeout_ms, at)));
        };
        if expected.is_some_and(|expected| !may_be(known, expected)) {
            return Err(TxnError::Fenced);
        }
        match known.status {
            Status::PrepareCommit | Status::PrepareAbort => Err(TxnError::Concurrent),
            // Only the producer itself, or a new incarnation, ends what is under way: not one that was shut out.
            Status::Ongoing if expected.is_some_and(|expected| expected != known.producer) => {
                Err(TxnError::Fenced)
            }
            Status::Ongoing => match self.fence(id, fresh, at)? {
                Decision::NeedsId => Ok(Decision::NeedsId),
                Decision::Done((), record) => Ok(Decision::Done(Init::Aborting, record)),
            },
            Status::Empty | Status::CompleteCommit | Status::CompleteAbort => {
                let epoch = known.producer.epoch;
                if known.is_exhausted() && expected.is_none_or(|expected| expected.epoch == epoch) {
                    let Some(fresh) = fresh else { return Ok(Decision::NeedsId) };
                    let last_epoch = if expected.is_some() { epoch } else { -1 };
                    let mut next = renewed(known, 0, last_epoch, timeout_ms, at);
                    next.producer.id = fresh;
                    return Ok(given(id, next));
                }
                let (epoch, last_epoch) = match expected {
                    _ if epoch == MAX_EPOCH => return Err(TxnError::Fenced),
                    None => (epoch + 1, -1),
                    Some(expected) if expected.epoch == epoch => (epoch + 1, epoch),
                    // The answer to the same request was lost: nothing is bumped a second time.
                    Some(expected) if expected.epoch == known.last_epoch => (epoch, known.last_epoch),
                    Some(_) => return Err(TxnError::Fenced),
                };
                Ok(given(id, renewed(known, epoch, last_epoch, timeout_ms, at)))
            }
        }
    }

    /// Partitions take part in a transaction, which begins with the first.
    pub(super) fn add(
        &self,
        id: &Arc<str>,
        producer: Producer,
        partitions: &[TopicPartition],
        client_version: i16,
        at: Moment,
    ) -> Result<Option<TxnRecord>, TxnError> {
        let known = self.known(id, producer)?;
        let ongoing = match known.status {
            Status::PrepareCommit | Status::PrepareAbort => return Err(TxnError::Concurrent),
            Status::Ongoing => true,
            Status::Empty | Status::CompleteCommit | Status::CompleteAbort => false,
        };
        if ongoing && partitions.iter().all(|partition| known.partitions.contains(partition)) {
            return Ok(None);
        }
        let mut next = known.next(Status::Ongoing, at.time.wall_ms);
        if !ongoing {
            next.started_ms = at.time.wall_ms;
        }
        next.client_version = client_version;
        next.partitions.extend(partitions.iter().cloned());
        if next.partitions.len() > MAX_PARTITIONS {
            return Err(TxnError::TooManyPartitions);
        }
        Ok(store(id, next))
    }

    /// Whether a partition takes part in the producer's transaction.
    pub(super) fn verify(
        &self,
        id: &str,
        producer: Producer,
        partition: &TopicPartition,
    ) -> Result<(), TxnError> {
        let known = self.known(id, producer)?;
        if known.status.is_prepared() {
            return Err(TxnError::Concurrent);
        }
        if known.partitions.contains(partition) { Ok(()) } else { Err(TxnError::Abortable) }
    }

    fn known(&self, id: &str, producer: Producer) -> Result<&Transaction, TxnError> {
        let known = self.all.get(id).ok_or(TxnError::InvalidProducerId)?;
        // While an end moves to another producer id, its producer may be using that one already.
        if known.next_id >= 0 && known.status.is_prepared() && known.next_id == producer.id {
            return Err(TxnError::Concurrent);
        }
        if known.producer.id != producer.id {
            return Err(TxnError::InvalidProducerId);
        }
        // The client heard of the bumped epoch when the end was decided; only the old one is fenced.
        if known.producer.epoch != producer.epoch { Err(TxnError::Fenced) } else { Ok(known) }
    }

    /// A producer ends its transaction. Answers the producer that the next one is to be of.
    pub(super) fn end(&self, asked: &EndRequest<'_>, fresh: Option<i64>, at: Moment) -> Decided<Producer> {
        let Some((id, known)) = self.all.get_key_value(asked.transactional_id) else {
            return Err(TxnError::InvalidProducerId);
        };
        if asked.client_version < 2 {
            return end_first_version(id, known, asked, at);
        }
        if known.status.is_prepared() {
            return Err(TxnError::Concurrent);
        }
        let (epoch, current) = (asked.producer.epoch, known.producer.epoch);
        let overflowed = known.previous_id == asked.producer.id && epoch == MAX_EPOCH - 1 && current == 0;
        let bumped = current == epoch.wrapping_add(1);
        // An end of the first version bumped nothing: whoever speaks the second was shut out by it.
        let retried = (overflowed || bumped) && known.client_version >= 2;
        if known.producer.id != asked.producer.id && !overflowed {
            return Err(TxnError::InvalidProducerId);
        }
        let complete = matches!(known.status, Status::CompleteCommit | Status::CompleteAbort);
        if epoch != current && !(complete && retried) {
            return Err(TxnError::Fenced);
        }
        match (known.status, asked.commit) {
            (Status::Ongoing, _) => self.prepare(id, known, asked.commit, 2, fresh, at),
            (Status::CompleteCommit, true) | (Status::CompleteAbort, false) if retried => {
                Ok(Decision::Done(known.producer, None))
            }
            // Nothing was written in this epoch: an abort is good for the bump alone.
            (Status::Empty | Status::CompleteCommit | Status::CompleteAbort, false) if !retried => {
                self.prepare(id, known, false, 2, fresh, at)
            }
            _ => Err(TxnError::InvalidState),
        }
    }

    /// Aborts a transaction under way so that its producer is shut out: another begins, or it took too long.
    pub(super) fn fence(&self, id: &Arc<str>, fresh: Option<i64>, at: Moment) -> Decided<()> {
        let known = self.all.get(id).filter(|known| known.status == Status::Ongoing);
        let known = known.ok_or(TxnError::InvalidState)?;
        if at.level >= 2 {
            return Ok(match self.prepare(id, known, false, 2, fresh, at)? {
                Decision::NeedsId => Decision::NeedsId,
                Decision::Done(_, record) => Decision::Done((), record),
            });
        }
        let mut next = known.next(Status::PrepareAbort, at.time.wall_ms);
        next.producer.epoch = known.producer.epoch.saturating_add(1);
        next.last_epoch = -1;
        next.client_version = 0;
        Ok(Decision::Done((), store(id, next)))
    }

    /// [`Core::fence`] of a transaction that took too long; another may have begun since it was found.
    pub(super) fn abort_overdue(&self, id: &Arc<str>, fresh: Option<i64>, at: Moment) -> Decided<()> {
        if self.is_overdue(id, at.time) { self.fence(id, fresh, at) } else { Err(TxnError::InvalidState) }
    }

    /// Decides the end, with the epoch bumped.
    fn prepare(
        &self,
        id: &Arc<str>,
        known: &Transaction,
        commit: bool,
        client_version: i16,
        fresh: Option<i64>,
        at: Moment,
    ) -> Decided<Producer> {
        let status = if commit { Status::PrepareCommit } else { Status::PrepareAbort };
        let mut next = known.next(status, at.time.wall_ms);
        if known.is_exhausted() {
            let Some(fresh) = fresh else { return Ok(Decision::NeedsId) };
            next.next_id = fresh;
        }
        next.producer.epoch = known.producer.epoch.saturating_add(1);
        next.last_epoch = known.producer.epoch;
        next.client_version = client_version;
        if known.status != Status::Ongoing {
            next.started_ms = at.time.wall_ms;
        }
        let after = completed(&next, at).producer;
        Ok(Decision::Done(after, store(id, next)))
    }

    /// All markers of the transaction of this producer are written. Nothing where that is no longer the state.
    pub(super) fn complete(&self, id: &Arc<str>, producer: Producer, at: Moment) -> Option<TxnRecord> {
        let known = self.all.get(id)?;
        let this = known.status.is_prepared() && known.producer == producer;
        if this { store(id, completed(known, at)) } else { None }
    }
}

/// An end that does not bump the epoch (clients before KIP-890).
fn end_first_version(
    id: &Arc<str>,
    known: &Transaction,
    asked: &EndRequest<'_>,
    at: Moment,
) -> Decided<Producer> {
    if known.producer.id != asked.producer.id {
        return Err(TxnError::InvalidProducerId);
    }
    if known.producer.epoch != asked.producer.epoch {
        return Err(TxnError::Fenced);
    }
    match (known.status, asked.commit) {
        (Status::PrepareCommit | Status::PrepareAbort, _) => Err(TxnError::Concurrent),
        (Status::CompleteCommit, true) | (Status::CompleteAbort, false) => {
            Ok(Decision::Done(known.producer, None))
        }
        (Status::Ongoing, commit) => {
            let status = if commit { Status::PrepareCommit } else { Status::PrepareAbort };
            let mut next = known.next(status, at.time.wall_ms);
            next.client_version = 0;
            Ok(Decision::Done(known.producer, store(id, next)))
        }
        _ => Err(TxnError::InvalidState),
    }
}

/// How a decided end stands once its markers are written.
fn completed(prepared: &Transaction, at: Moment) -> Transaction {
    let status = match prepared.status {
        Status::PrepareCommit => Status::CompleteCommit,
        _ => Status::CompleteAbort,
    };
    let mut next = prepared.next(status, at.time.wall_ms);
    if prepared.client_version >= 2 && prepared.next_id >= 0 {
        next.producer = Producer { id: prepared.next_id, epoch: 0 };
    }
    next.next_id = -1;
    next.partitions.clear();
    next
}

/// Whether who says it is `expected` may be the id's producer: its epoch is looked at later.
fn may_be(known: &Transaction, expected: Producer) -> bool {
    known.producer.epoch == -1
        || expected.id == known.producer.id
        // The client heard of the next id when the end was decided, which moves to it.
        || (known.status.is_prepared() && known.next_id >= 0 && expected.id == known.next_id)
        || (expected.id == known.previous_id && is_exhausted(expected.epoch))
}

fn unknown(producer_id: i64, timeout_ms: i32) -> Transaction {
    Transaction {
        producer: Producer { id: producer_id, epoch: -1 },
        previous_id: -1,
        next_id: -1,
        last_epoch: -1,
        timeout_ms,
        status: Status::Empty,
        partitions: Default::default(),
        updated_ms: -1,
        started_ms: -1,
        client_version: 0,
    }
}

fn renewed(known: &Transaction, epoch: i16, last_epoch: i16, timeout_ms: i32, at: Moment) -> Transaction {
    let mut next = known.next(Status::Empty, at.time.wall_ms);
    next.producer.epoch = epoch;
    next.last_epoch = last_epoch;
    next.timeout_ms = timeout_ms;
    next.partitions.clear();
    next.started_ms = -1;
    next
}

fn given(id: &Arc<str>, next: Transaction) -> Decision<Init> {
    Decision::Done(Init::Given(next.producer), store(id, next))
}
