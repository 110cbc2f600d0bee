//! ListPartitionReassignments (46), version 0: moves of replicas that are under way (KIP-455). On one node there are
//! none.

use std::sync::Arc;

use super::operations;
use crate::auth::acl::Operation;
use crate::broker::{Broker, Peer};
use crate::wire::messages::list_partition_reassignments::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
};

pub(super) async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    _: ListPartitionReassignmentsRequest,
) -> ListPartitionReassignmentsResponse {
    match operations::cluster(broker, peer, Operation::Describe) {
        Ok(()) => ListPartitionReassignmentsResponse::default(),
        Err((error_code, message)) => ListPartitionReassignmentsResponse {
            error_code,
            error_message: Some(message),
            ..Default::default()
        },
    }
}
