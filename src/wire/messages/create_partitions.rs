//! CreatePartitions (37): more partitions for topics (KIP-195).

use crate::codec::structs;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Topics and how many partitions they are to have.
    pub struct CreatePartitionsRequest {
        topics: Vec<CreatePartitionsTopic>,
        timeout_ms: i32,
        validate_only: bool,
    }

    /// The number is that of all partitions then, not of the new ones.
    pub struct CreatePartitionsTopic {
        name: String,
        count: i32,
        assignments: Option<Vec<CreatePartitionsAssignment>>,
    }

    /// The brokers that are to hold a new partition.
    pub struct CreatePartitionsAssignment {
        broker_ids: Vec<i32>,
    }

    /// What became of each.
    pub struct CreatePartitionsResponse {
        throttle_time_ms: i32,
        results: Vec<CreatePartitionsTopicResult>,
    }

    /// What became of one topic.
    pub struct CreatePartitionsTopicResult {
        name: String,
        error_code: ErrorCode,
        error_message: Option<String>,
    }
}

api!(CreatePartitions: CreatePartitionsRequest => CreatePartitionsResponse);
