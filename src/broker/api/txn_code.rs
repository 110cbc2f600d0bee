//! The protocol's code for each thing the transaction coordinator refuses; nothing else chooses one for transactions.

use crate::auth::acl::{Operation, ResourceType};
use crate::broker::transactions::request::TxnError;
use crate::broker::{Broker, Peer};
use crate::wire::error::ErrorCode;

/// The code that says `error`.
pub(super) fn code(error: TxnError) -> ErrorCode {
    match error {
        TxnError::InvalidRequest | TxnError::IdTooLong => ErrorCode::INVALID_REQUEST,
        // What clients abort their transaction for and go on.
        TxnError::TooManyPartitions => ErrorCode::POLICY_VIOLATION,
        TxnError::InvalidTimeout => ErrorCode::INVALID_TRANSACTION_TIMEOUT,
        TxnError::InvalidProducerId => ErrorCode::INVALID_PRODUCER_ID_MAPPING,
        TxnError::Fenced => ErrorCode::PRODUCER_FENCED,
        TxnError::Concurrent => ErrorCode::CONCURRENT_TRANSACTIONS,
        TxnError::InvalidState => ErrorCode::INVALID_TXN_STATE,
        TxnError::Abortable => ErrorCode::TRANSACTION_ABORTABLE,
        TxnError::InvalidPattern => ErrorCode::INVALID_REGULAR_EXPRESSION,
        TxnError::NotCoordinator => ErrorCode::NOT_COORDINATOR,
        // Ids are forgotten in time: clients ask again, each for as long as it was told to.
        TxnError::TooManyIds | TxnError::NotAvailable => ErrorCode::COORDINATOR_NOT_AVAILABLE,
    }
}

/// The code of an outcome. Clients of versions below `fenced_from` do not know PRODUCER_FENCED.
pub(super) fn outcome<T>(result: &Result<T, TxnError>, version: i16, fenced_from: i16) -> ErrorCode {
    match result {
        Ok(_) => ErrorCode::NONE,
        Err(TxnError::Fenced) if version < fenced_from => ErrorCode::INVALID_PRODUCER_EPOCH,
        Err(error) => code(*error),
    }
}

/// Whether `peer` may do something with a transactional id.
pub(super) fn may(broker: &Broker, peer: &Peer, operation: Operation, id: &str) -> Result<(), ErrorCode> {
    broker
        .may(peer, operation, ResourceType::TransactionalId, id)
        .map_err(|_| ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
}
