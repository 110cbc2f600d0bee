//! Who may do what with a group, in the forms that its APIs need; it asks the broker's rules and has none of its own.

use super::super::{Broker, Peer};
use crate::auth::acl::{Operation, ResourceType};
use crate::wire::error::ErrorCode;

/// GROUP_AUTHORIZATION_FAILED unless the peer may do this with the group.
pub(super) fn may(broker: &Broker, peer: &Peer, operation: Operation, group: &str) -> Result<(), ErrorCode> {
    broker.may(peer, operation, ResourceType::Group, group).map_err(|_| ErrorCode::GROUP_AUTHORIZATION_FAILED)
}

/// Whether the peer may do this with the topic.
pub(super) fn may_topic(broker: &Broker, peer: &Peer, operation: Operation, topic: &str) -> bool {
    broker.may(peer, operation, ResourceType::Topic, topic).is_ok()
}

/// All that the peer may do with the group, as bits.
pub(super) fn operations(broker: &Broker, peer: &Peer, group: &str) -> i32 {
    const ALL: [Operation; 5] = [
        Operation::Read,
        Operation::Delete,
        Operation::Describe,
        Operation::DescribeConfigs,
        Operation::AlterConfigs,
    ];
    let allowed =
        ALL.into_iter().filter(|operation| broker.would_let(peer, *operation, ResourceType::Group, group));
    allowed.fold(0, |bits, operation| bits | 1 << operation.code())
}
