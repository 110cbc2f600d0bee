//! What the transaction coordinator is asked and what it answers, as plain values; never a struct of the protocol.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::broker::groups::request::Now;
use crate::broker::settings::Settings;
use crate::model::id::TopicPartition;

use super::state::Status;

/// The longest transactional id, in bytes.
pub const MAX_ID_BYTES: usize = 1024;
/// The most transactional ids of one partition of `__transaction_state`; each is kept in memory until it was not used for
/// `transactional.id.expiration.ms`.
pub const MAX_IDS: usize = 100_000;
/// The most partitions of one transaction: each one added writes all of them.
pub const MAX_PARTITIONS: usize = 5000;

/// Why the coordinator says no. Each stands for one code of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum TxnError {
    #[error("the transactional id is empty")]
    InvalidRequest,
    #[error("a transactional id has at most {MAX_ID_BYTES} bytes")]
    IdTooLong,
    #[error(
        "there are {MAX_IDS} transactional ids in this partition of __transaction_state, and no more are taken"
    )]
    TooManyIds,
    #[error("a transaction has at most {MAX_PARTITIONS} partitions")]
    TooManyPartitions,
    #[error("the transaction time-out is not between 1 and transaction.max.timeout.ms")]
    InvalidTimeout,
    #[error("the transactional id does not have this producer id")]
    InvalidProducerId,
    #[error("another producer of this transactional id has taken over")]
    Fenced,
    #[error("the transaction before is still being ended")]
    Concurrent,
    #[error("the transaction is not in a state in which this can be asked")]
    InvalidState,
    #[error("the partition was not added to the transaction")]
    Abortable,
    #[error("the pattern is no regular expression that is taken here")]
    InvalidPattern,
    #[error("the coordinator lost its log and reads it again")]
    NotCoordinator,
    #[error("the coordinator is not there (yet)")]
    NotAvailable,
}

impl TxnError {
    /// Whether a limit is why.
    pub fn is_limit(self) -> bool {
        matches!(self, Self::IdTooLong | Self::TooManyIds | Self::TooManyPartitions)
    }
}

/// What decisions go by besides the state: the time, and the level of `transaction.version`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    /// The time.
    pub(super) time: Now,
    /// The level that `transaction.version` is finalized at: from 2 on, each end of a transaction bumps the epoch.
    pub(super) level: i16,
}

/// What the coordinator goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rules {
    /// [`MAX_IDS`]
    pub(super) max_ids: usize,
    /// `transaction.max.timeout.ms`
    pub(super) max_timeout_ms: i32,
    /// `transactional.id.expiration.ms`
    pub(super) id_expiration_ms: i64,
    /// `transaction.abort.timed.out.transaction.cleanup.interval.ms`: the least time between two looks.
    pub(super) abort_interval_ms: i64,
    /// `transaction.remove.expired.transaction.cleanup.interval.ms`
    pub(super) expire_interval_ms: i64,
    /// `add.partitions.to.txn.retry.backoff.max.ms`: how long a request waits for the end of the transaction before.
    pub(super) patience_ms: i64,
}

impl Rules {
    /// By the settings.
    pub(super) fn of(settings: &Settings) -> Self {
        Self {
            max_ids: MAX_IDS,
            max_timeout_ms: i32::try_from(settings.int("transaction.max.timeout.ms")).unwrap_or(i32::MAX),
            id_expiration_ms: settings.int("transactional.id.expiration.ms"),
            abort_interval_ms: settings
                .int("transaction.abort.timed.out.transaction.cleanup.interval.ms")
                .max(1),
            expire_interval_ms: settings
                .int("transaction.remove.expired.transaction.cleanup.interval.ms")
                .max(1),
            patience_ms: settings.int("add.partitions.to.txn.retry.backoff.max.ms"),
        }
    }
}

/// A producer: its id and epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Producer {
    /// The producer id.
    pub id: i64,
    /// The epoch.
    pub epoch: i16,
}

/// A transaction that its producer wants to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndRequest<'a> {
    /// The transactional id.
    pub transactional_id: &'a str,
    /// Who asks.
    pub producer: Producer,
    /// Committed, else aborted.
    pub commit: bool,
    /// The transaction version that the client knows: from 2 on, the end bumps the epoch.
    pub client_version: i16,
}

/// A transactional id and its transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The state.
    pub status: Status,
    /// The time-out, in ms.
    pub timeout_ms: i32,
    /// When the transaction, or the one before, began: ms since 1970, -1 for none since the producer did.
    pub started_ms: i64,
    /// The producer.
    pub producer: Producer,
    /// The partitions taking part.
    pub partitions: BTreeSet<TopicPartition>,
}

/// A transactional id as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The id.
    pub transactional_id: Arc<str>,
    /// Its producer id.
    pub producer_id: i64,
    /// The state.
    pub status: Status,
    /// When the transaction, or the one before, began: ms since 1970, -1 for none since the producer did.
    pub started_ms: i64,
}
