//! AlterPartitionReassignments (45), versions 0 and 1: replicas are to move (KIP-455). To the one node there is, where
//! they are, is done at once; any other assignment is refused, and there is never a move to end.

use std::sync::Arc;

use super::assignment;
use super::operations::{self, Refused};
use crate::auth::acl::Operation;
use crate::broker::{Broker, Peer};
use crate::wire::error::ErrorCode;
use crate::wire::messages::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, ReassignablePartition,
    ReassignablePartitionResponse, ReassignableTopicResponse,
};

pub(super) async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    request: AlterPartitionReassignmentsRequest,
) -> AlterPartitionReassignmentsResponse {
    let allow_replication_factor_change = request.allow_replication_factor_change;
    if let Err((error_code, message)) = operations::cluster(broker, peer, Operation::Alter) {
        return AlterPartitionReassignmentsResponse {
            allow_replication_factor_change,
            error_code,
            error_message: Some(message),
            ..Default::default()
        };
    }
    let responses = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|asked| {
            let (error_code, error_message) = match reassign(broker, &topic.name, asked) {
                Ok(()) => (ErrorCode::NONE, None),
                Err((code, message)) => (code, Some(message)),
            };
            ReassignablePartitionResponse {
                partition_index: asked.partition_index,
                error_code,
                error_message,
            }
        });
        ReassignableTopicResponse { partitions: partitions.collect(), name: topic.name }
    });
    AlterPartitionReassignmentsResponse {
        allow_replication_factor_change,
        responses: responses.collect(),
        ..Default::default()
    }
}

fn reassign(broker: &Broker, name: &str, asked: &ReassignablePartition) -> Result<(), Refused> {
    let index = asked.partition_index;
    if !broker.topic(name).is_some_and(|topic| topic.has(index)) {
        let text = format!("there is no partition {name}-{index}");
        return Err((ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, text));
    }
    match &asked.replicas {
        None => Err((ErrorCode::NO_REASSIGNMENT_IN_PROGRESS, "no move is under way".to_owned())),
        Some(replicas) => assignment::check(replicas, broker.node_id()),
    }
}
