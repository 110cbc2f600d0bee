//! ListPartitionReassignments (46): which replicas are moving (KIP-455).

use crate::codec::structs;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Which partitions; `None` for all that move.
    pub struct ListPartitionReassignmentsRequest {
        timeout_ms: i32 = 60000,
        topics: Option<Vec<ListPartitionReassignmentsTopics>>,
    }

    /// Partitions of one topic.
    pub struct ListPartitionReassignmentsTopics {
        name: String,
        partition_indexes: Vec<i32>,
    }

    /// What moves.
    pub struct ListPartitionReassignmentsResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<String>,
        topics: Vec<OngoingTopicReassignment>,
    }

    /// What moves of one topic.
    pub struct OngoingTopicReassignment {
        name: String,
        partitions: Vec<OngoingPartitionReassignment>,
    }

    /// A partition that moves.
    pub struct OngoingPartitionReassignment {
        partition_index: i32,
        replicas: Vec<i32>,
        adding_replicas: Vec<i32>,
        removing_replicas: Vec<i32>,
    }
}

api!(ListPartitionReassignments: ListPartitionReassignmentsRequest => ListPartitionReassignmentsResponse);
