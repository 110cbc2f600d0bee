//! ElectLeaders (43): preferred or unclean elections (KIP-460).

use crate::codec::structs;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Partitions, `None` for all; election type 0 is preferred, 1 unclean.
    pub struct ElectLeadersRequest {
        election_type: i8 [1..],
        topic_partitions: Option<Vec<TopicPartitions>>,
        timeout_ms: i32 = 60000,
    }

    /// Partitions of one topic.
    pub struct TopicPartitions {
        topic: String,
        partitions: Vec<i32>,
    }

    /// What became of each.
    pub struct ElectLeadersResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode [1..],
        replica_election_results: Vec<ReplicaElectionResult>,
    }

    /// What became of the partitions of one topic.
    pub struct ReplicaElectionResult {
        topic: String,
        partition_result: Vec<PartitionResult>,
    }

    /// What became of one partition.
    pub struct PartitionResult {
        partition_id: i32,
        error_code: ErrorCode,
        error_message: Option<String>,
    }
}

api!(ElectLeaders: ElectLeadersRequest => ElectLeadersResponse);
