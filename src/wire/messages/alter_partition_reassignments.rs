//! AlterPartitionReassignments (45): replicas are to move between brokers (KIP-455).

use crate::codec::structs;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Where replicas are to be.
    pub struct AlterPartitionReassignmentsRequest {
        timeout_ms: i32 = 60000,
        allow_replication_factor_change: bool [1..] = true,
        topics: Vec<ReassignableTopic>,
    }

    /// Partitions of one topic.
    pub struct ReassignableTopic {
        name: String,
        partitions: Vec<ReassignablePartition>,
    }

    /// The brokers of a partition; `None` ends a move under way.
    pub struct ReassignablePartition {
        partition_index: i32,
        replicas: Option<Vec<i32>>,
    }

    /// What became of each.
    pub struct AlterPartitionReassignmentsResponse {
        throttle_time_ms: i32,
        allow_replication_factor_change: bool [1.., ignorable] = true,
        error_code: ErrorCode,
        error_message: Option<String>,
        responses: Vec<ReassignableTopicResponse>,
    }

    /// What became of the partitions of one topic.
    pub struct ReassignableTopicResponse {
        name: String,
        partitions: Vec<ReassignablePartitionResponse>,
    }

    /// What became of one partition.
    pub struct ReassignablePartitionResponse {
        partition_index: i32,
        error_code: ErrorCode,
        error_message: Option<String>,
    }
}

api!(AlterPartitionReassignments: AlterPartitionReassignmentsRequest => AlterPartitionReassignmentsResponse);
