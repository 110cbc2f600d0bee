//! What a peer may do with a resource, as the bits that answers carry (KIP-430), and the refusals that several APIs
//! share; it decides no right itself.

use crate::auth::acl::{CLUSTER, Operation, ResourceType};
use crate::broker::{Broker, Peer};
use crate::wire::error::ErrorCode;

/// The operations there are on a kind of resource (Kafka's `AclEntry.supportedOperations`).
fn supported(resource: ResourceType) -> &'static [Operation] {
    use Operation::{
        Alter, AlterConfigs, ClusterAction, Create, Delete, Describe, DescribeConfigs, IdempotentWrite, Read,
        TwoPhaseCommit, Write,
    };
    match resource {
        ResourceType::Topic => &[Read, Write, Create, Delete, Alter, Describe, DescribeConfigs, AlterConfigs],
        ResourceType::Group => &[Read, Delete, Describe, DescribeConfigs, AlterConfigs],
        ResourceType::Cluster => {
            &[Create, Alter, Describe, ClusterAction, DescribeConfigs, AlterConfigs, IdempotentWrite]
        }
        ResourceType::TransactionalId => &[Write, Describe, TwoPhaseCommit],
        ResourceType::DelegationToken => &[Describe],
        ResourceType::User => &[Operation::CreateTokens, Operation::DescribeTokens],
    }
}

/// What `peer` may do with a resource: a bit for each operation, at its number.
pub(super) fn allowed(broker: &Broker, peer: &Peer, resource: ResourceType, name: &str) -> i32 {
    let may = |operation: &&Operation| broker.would_let(peer, **operation, resource, name);
    supported(resource).iter().filter(may).fold(0, |bits, operation| bits | 1 << operation.code())
}

/// [`allowed`] of a topic where it was asked for, else what says that it was not.
pub(super) fn on_topic(broker: &Broker, peer: &Peer, name: &str, asked: bool) -> i32 {
    if asked { allowed(broker, peer, ResourceType::Topic, name) } else { i32::MIN }
}

/// Whether `peer` may do something with a topic.
pub(super) fn topic(broker: &Broker, peer: &Peer, operation: Operation, name: &str) -> Result<(), Refused> {
    broker
        .may(peer, operation, ResourceType::Topic, name)
        .map_err(|denied| (ErrorCode::TOPIC_AUTHORIZATION_FAILED, denied.to_string()))
}

/// Whether `peer` may do something with the cluster.
pub(super) fn cluster(broker: &Broker, peer: &Peer, operation: Operation) -> Result<(), Refused> {
    broker
        .may(peer, operation, ResourceType::Cluster, CLUSTER)
        .map_err(|denied| (ErrorCode::CLUSTER_AUTHORIZATION_FAILED, denied.to_string()))
}

/// Whether `peer` may do something with a group.
pub(super) fn group(broker: &Broker, peer: &Peer, operation: Operation, name: &str) -> Result<(), Refused> {
    broker
        .may(peer, operation, ResourceType::Group, name)
        .map_err(|denied| (ErrorCode::GROUP_AUTHORIZATION_FAILED, denied.to_string()))
}

/// A refusal as answers say it: the code and words for people.
pub(super) type Refused = (ErrorCode, String);
