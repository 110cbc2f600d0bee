//! DescribeProducers (61): producers with state in a partition (KIP-664).

use crate::codec::structs;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Which partitions.
    pub struct DescribeProducersRequest {
        topics: Vec<TopicRequest>,
    }

    /// Partitions of one topic.
    pub struct TopicRequest {
        name: String,
        partition_indexes: Vec<i32>,
    }

    /// The producers.
    pub struct DescribeProducersResponse {
        throttle_time_ms: i32,
        topics: Vec<TopicResponse>,
    }

    /// Producers of one topic.
    pub struct TopicResponse {
        name: String,
        partitions: Vec<PartitionResponse>,
    }

    /// Producers of one partition.
    pub struct PartitionResponse {
        partition_index: i32,
        error_code: ErrorCode,
        error_message: Option<String>,
        active_producers: Vec<ProducerState>,
    }

    /// A producer; -1 where something is not known.
    pub struct ProducerState {
        producer_id: i64,
        producer_epoch: i32,
        last_sequence: i32 = -1,
        last_timestamp: i64 = -1,
        coordinator_epoch: i32,
        current_txn_start_offset: i64 = -1,
    }
}

api!(DescribeProducers: DescribeProducersRequest => DescribeProducersResponse);
