//! DescribeQuorum (55): who votes on the metadata log (KIP-595, KIP-836, KIP-853).

use crate::codec::structs;
use crate::model::id::TopicId;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Which partitions: the one of `__cluster_metadata`.
    pub struct DescribeQuorumRequest {
        topics: Vec<TopicData>,
    }

    /// Partitions of one topic.
    pub struct TopicData {
        topic_name: String,
        partitions: Vec<PartitionData>,
    }

    /// A partition.
    pub struct PartitionData {
        partition_index: i32,
    }

    /// The voters and observers.
    pub struct DescribeQuorumResponse {
        error_code: ErrorCode,
        error_message: Option<String> [2.., ignorable],
        topics: Vec<TopicDataResult>,
        nodes: Vec<Node> [2..],
    }

    /// What is known of the partitions of one topic.
    pub struct TopicDataResult {
        topic_name: String,
        partitions: Vec<PartitionDataResult>,
    }

    /// The leader of a partition and its replicas.
    pub struct PartitionDataResult {
        partition_index: i32,
        error_code: ErrorCode,
        error_message: Option<String> [2.., ignorable],
        leader_id: i32,
        leader_epoch: i32,
        high_watermark: i64,
        current_voters: Vec<ReplicaState>,
        observers: Vec<ReplicaState>,
    }

    /// How far a replica is; times in ms since 1970, -1 where unknown.
    pub struct ReplicaState {
        replica_id: i32,
        replica_directory_id: TopicId [2..],
        log_end_offset: i64,
        last_fetch_timestamp: i64 [1.., ignorable] = -1,
        last_caught_up_timestamp: i64 [1.., ignorable] = -1,
    }

    /// A node and its listeners.
    pub struct Node {
        node_id: i32,
        listeners: Vec<Listener>,
    }

    /// A listener of a controller.
    pub struct Listener {
        name: String,
        host: String,
        port: u16,
    }
}

api!(DescribeQuorum: DescribeQuorumRequest => DescribeQuorumResponse);
