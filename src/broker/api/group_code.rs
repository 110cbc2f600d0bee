//! The protocol's code for each thing a group refuses; nothing else chooses one for groups.

use crate::broker::groups::request::GroupError;
use crate::wire::error::ErrorCode;

/// The code that says `error`.
pub(super) fn code(error: GroupError) -> ErrorCode {
    match error {
        GroupError::UnknownMember => ErrorCode::UNKNOWN_MEMBER_ID,
        GroupError::IllegalGeneration => ErrorCode::ILLEGAL_GENERATION,
        GroupError::FencedInstance => ErrorCode::FENCED_INSTANCE_ID,
        GroupError::RebalanceInProgress => ErrorCode::REBALANCE_IN_PROGRESS,
        GroupError::InconsistentProtocol => ErrorCode::INCONSISTENT_GROUP_PROTOCOL,
        GroupError::MemberIdRequired => ErrorCode::MEMBER_ID_REQUIRED,
        GroupError::GroupFull => ErrorCode::GROUP_MAX_SIZE_REACHED,
        GroupError::InvalidGroup => ErrorCode::INVALID_GROUP_ID,
        GroupError::InvalidSessionTimeout => ErrorCode::INVALID_SESSION_TIMEOUT,
        GroupError::GroupNotFound => ErrorCode::GROUP_ID_NOT_FOUND,
        GroupError::MetadataTooLarge => ErrorCode::OFFSET_METADATA_TOO_LARGE,
        GroupError::NotCoordinator => ErrorCode::NOT_COORDINATOR,
        GroupError::NotAvailable => ErrorCode::COORDINATOR_NOT_AVAILABLE,
        GroupError::Invalid(_) => ErrorCode::INVALID_REQUEST,
        GroupError::FencedEpoch => ErrorCode::FENCED_MEMBER_EPOCH,
        GroupError::StaleEpoch => ErrorCode::STALE_MEMBER_EPOCH,
        GroupError::UnreleasedInstance => ErrorCode::UNRELEASED_INSTANCE_ID,
        GroupError::UnsupportedAssignor => ErrorCode::UNSUPPORTED_ASSIGNOR,
        GroupError::InvalidRegex => ErrorCode::INVALID_REGULAR_EXPRESSION,
        GroupError::UnsupportedVersion => ErrorCode::UNSUPPORTED_VERSION,
        GroupError::NonEmpty => ErrorCode::NON_EMPTY_GROUP,
        GroupError::Subscribed => ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC,
        GroupError::ProducerFenced => ErrorCode::INVALID_PRODUCER_EPOCH,
        GroupError::CoordinatorFenced => ErrorCode::TRANSACTION_COORDINATOR_FENCED,
        GroupError::NotInTransaction => ErrorCode::INVALID_TXN_STATE,
    }
}

/// The code of an outcome.
pub(super) fn outcome(result: Result<(), GroupError>) -> ErrorCode {
    result.map_or_else(code, |()| ErrorCode::NONE)
}
