//! Control batches: the commit and abort markers of transactions.

use super::iter::Record;

/// What a control record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlMarker {
    /// The transaction is aborted.
    Abort {
        /// Epoch of the coordinator that wrote it.
        coordinator_epoch: i32,
    },
    /// The transaction is committed.
    Commit {
        /// Epoch of the coordinator that wrote it.
        coordinator_epoch: i32,
    },
    /// A type that is not a transaction's end (Raft's own, or newer than this).
    Other(i16),
}

impl ControlMarker {
    /// Reads a record of a control batch; `None` where it is malformed.
    pub fn of(_record: &Record<'_>) -> Option<ControlMarker> {
        unimplemented!()
    }
}

/// A control batch that ends a producer's transaction (base offset 0). `timestamp` in ms.
pub fn end_transaction_batch(
    _producer_id: i64,
    _producer_epoch: i16,
    _marker: ControlMarker,
    _timestamp: i64,
) -> Vec<u8> {
    unimplemented!()
}
