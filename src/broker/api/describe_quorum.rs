//! DescribeQuorum (55), versions 0 to 2: the quorum over `__cluster_metadata`, which is this node alone (KIP-595,
//! KIP-836). Refuses other partitions.

use std::sync::Arc;

use super::operations;
use crate::auth::acl::Operation;
use crate::broker::{Broker, Peer};
use crate::model::name::CLUSTER_METADATA;
use crate::wire::error::ErrorCode;
use crate::wire::messages::describe_quorum::{
    DescribeQuorumRequest, DescribeQuorumResponse, Listener, Node, PartitionDataResult, ReplicaState,
    TopicDataResult,
};

pub(super) async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    version: i16,
    request: DescribeQuorumRequest,
) -> DescribeQuorumResponse {
    if let Err((error_code, message)) = operations::cluster(broker, peer, Operation::Describe) {
        return DescribeQuorumResponse { error_code, error_message: Some(message), ..Default::default() };
    }
    let mut found = false;
    let topics = request.topics.into_iter().map(|topic| {
        let is_metadata = topic.topic_name == CLUSTER_METADATA;
        let partitions = topic.partitions.iter().map(|partition| {
            let index = partition.partition_index;
            if is_metadata && index == 0 {
                found = true;
                quorum(broker)
            } else {
                let code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
                let text = format!("no quorum decides on {}-{index}", topic.topic_name);
                PartitionDataResult {
                    partition_index: index,
                    error_code: code,
                    error_message: Some(text),
                    ..Default::default()
                }
            }
        });
        TopicDataResult { partitions: partitions.collect(), topic_name: topic.topic_name }
    });
    let topics = topics.collect();
    let nodes = if found && version >= 2 { vec![node(broker, peer)] } else { Vec::new() };
    DescribeQuorumResponse { error_message: Some(String::new()), topics, nodes, ..Default::default() }
}

fn quorum(broker: &Broker) -> PartitionDataResult {
    let now = broker.clock().wall_ms();
    let (leader_epoch, high_watermark, log_end) = broker.metadata_marks();
    PartitionDataResult {
        error_message: Some(String::new()),
        leader_id: broker.node_id(),
        leader_epoch,
        high_watermark,
        current_voters: vec![ReplicaState {
            replica_id: broker.node_id(),
            log_end_offset: log_end,
            last_fetch_timestamp: now,
            last_caught_up_timestamp: now,
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn node(broker: &Broker, peer: &Peer) -> Node {
    let (host, port) = peer.address();
    let listener = Listener {
        name: "CONTROLLER".to_owned(),
        host: host.to_owned(),
        port: u16::try_from(port).unwrap_or(0),
    };
    Node { node_id: broker.node_id(), listeners: vec![listener] }
}
