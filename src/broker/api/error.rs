//! Which protocol error says what went wrong: one exhaustive match for each kind of failure.

use std::cmp::Ordering;

use crate::broker::catalog::Refusal;
use crate::broker::settings::SettingError;
use crate::broker::{AdminError, BrokerError, Partition};
use crate::record::{RecordError, RecordFaultKind};
use crate::storage::StorageError;
use crate::wire::error::ErrorCode;

/// Of a failed operation on a partition.
pub(super) fn of_broker(error: &BrokerError) -> ErrorCode {
    match error {
        BrokerError::UnknownPartition => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        BrokerError::Record(error) => of_record(error),
        BrokerError::Storage(error) => of_storage(error),
        BrokerError::Lost => ErrorCode::KAFKA_STORAGE_ERROR,
        BrokerError::Refused(refusal) => of_refusal(refusal),
        BrokerError::Closing => ErrorCode::NOT_LEADER_OR_FOLLOWER,
        BrokerError::Schema(_) | BrokerError::NoRandom => ErrorCode::UNKNOWN_SERVER_ERROR,
    }
}

/// Of a failed change of the catalog.
pub(super) fn of_admin(error: &AdminError) -> ErrorCode {
    match error {
        AdminError::Refused(refusal) => of_refusal(refusal),
        AdminError::Failed(error) => of_broker(error),
    }
}

fn of_refusal(refusal: &Refusal) -> ErrorCode {
    match refusal {
        Refusal::BadName(_) | Refusal::Collides { .. } => ErrorCode::INVALID_TOPIC_EXCEPTION,
        Refusal::Exists(_) => ErrorCode::TOPIC_ALREADY_EXISTS,
        Refusal::Unknown => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        Refusal::Partitions(_) | Refusal::NotMore { .. } => ErrorCode::INVALID_PARTITIONS,
        Refusal::Feature { .. } => ErrorCode::INVALID_UPDATE_VERSION,
        Refusal::Replicas(_) => ErrorCode::INVALID_REPLICATION_FACTOR,
    }
}

/// Of a refused setting.
pub(super) fn of_setting(error: &SettingError) -> ErrorCode {
    match error {
        SettingError::Unknown { .. }
        | SettingError::BadValue { .. }
        | SettingError::Refused { .. }
        | SettingError::ReadOnly { .. } => ErrorCode::INVALID_CONFIG,
    }
}

/// Of a batch that is not stored. CORRUPT_MESSAGE is what clients try again; what another try can not mend is
/// INVALID_RECORD.
pub(super) fn of_record(error: &RecordError) -> ErrorCode {
    match error {
        RecordError::BadLength(_) | RecordError::BadCrc { .. } => ErrorCode::CORRUPT_MESSAGE,
        // The old formats are known and not taken; what else stands there is no format at all.
        RecordError::BadMagic(magic) if !(0..=1).contains(magic) => ErrorCode::CORRUPT_MESSAGE,
        RecordError::UnknownCodec(_) | RecordError::CodecNotAllowed { .. } => {
            ErrorCode::UNSUPPORTED_COMPRESSION_TYPE
        }
        RecordError::TooLarge { .. } | RecordError::TooLargeInflated { .. } => ErrorCode::MESSAGE_TOO_LARGE,
        RecordError::BadMagic(_)
        // A batch that is not all there is none, as in Kafka.
        | RecordError::Truncated { .. }
        | RecordError::BadCompression { .. }
        | RecordError::NotOneBatch { .. }
        | RecordError::BadBaseOffset(_)
        | RecordError::BadCount { .. }
        | RecordError::TrailingBytes { .. }
        | RecordError::BadProducer { .. }
        | RecordError::ControlFromClient
        | RecordError::LogAppendFromClient
        | RecordError::TransactionalWithoutProducer
        | RecordError::Malformed { .. } => ErrorCode::INVALID_RECORD,
        RecordError::Refused(faults) => match faults.first().map(|fault| fault.kind) {
            Some(RecordFaultKind::TimestampOutOfRange { .. }) => ErrorCode::INVALID_TIMESTAMP,
            Some(RecordFaultKind::NoKey) | None => ErrorCode::INVALID_RECORD,
        },
    }
}

/// Of a log that refused or failed.
pub(super) fn of_storage(error: &StorageError) -> ErrorCode {
    match error {
        StorageError::OffsetOutOfRange { .. } => ErrorCode::OFFSET_OUT_OF_RANGE,
        StorageError::Damaged { .. } | StorageError::BadBatch(_) => ErrorCode::CORRUPT_MESSAGE,
        StorageError::BatchTooLarge { .. } => ErrorCode::RECORD_LIST_TOO_LARGE,
        StorageError::OutOfOrderSequence { .. } => ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
        StorageError::ProducerFenced { .. } => ErrorCode::INVALID_PRODUCER_EPOCH,
        StorageError::NotInTransaction { .. } | StorageError::InTransaction { .. } => {
            ErrorCode::INVALID_TXN_STATE
        }
        StorageError::CoordinatorFenced { .. } => ErrorCode::TRANSACTION_COORDINATOR_FENCED,
        StorageError::Full { .. } | StorageError::Failed { .. } | StorageError::Io { .. } => {
            ErrorCode::KAFKA_STORAGE_ERROR
        }
        StorageError::Closed { .. } => ErrorCode::NOT_LEADER_OR_FOLLOWER,
        StorageError::Locked { .. } | StorageError::Foreign { .. } | StorageError::BadFile { .. } => {
            ErrorCode::UNKNOWN_SERVER_ERROR
        }
    }
}

/// Holds the leader epoch that a client knows (-1 for none) against the partition's (KIP-320).
pub(super) fn check_epoch(partition: &Partition, known: i32) -> Result<(), ErrorCode> {
    match known.cmp(&partition.leader_epoch()) {
        _ if known < 0 => Ok(()),
        Ordering::Less => Err(ErrorCode::FENCED_LEADER_EPOCH),
        Ordering::Greater => Err(ErrorCode::UNKNOWN_LEADER_EPOCH),
        Ordering::Equal => Ok(()),
    }
}
