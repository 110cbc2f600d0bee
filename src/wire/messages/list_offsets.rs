//! ListOffsets (2): offsets by timestamp, and where logs begin and end.

use crate::codec::structs;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Asks for offsets. Isolation level 0 reads uncommitted, 1 committed.
    pub struct ListOffsetsRequest {
        replica_id: i32,
        isolation_level: i8 [2..],
        topics: Vec<ListOffsetsTopic>,
        timeout_ms: i32 [10.., ignorable],
    }

    /// What is asked of one topic.
    pub struct ListOffsetsTopic {
        name: String,
        partitions: Vec<ListOffsetsPartition>,
    }

    /// What is asked of one partition: the first offset at or after a time in milliseconds since 1970; below
    /// zero, -1 the end, -2 the start, -3 the largest timestamp (KIP-734), -4 the local start (KIP-405), -5
    /// the last tiered offset (KIP-1005), -6 the earliest not yet tiered (KIP-1023).
    pub struct ListOffsetsPartition {
        partition_index: i32,
        current_leader_epoch: i32 [4.., ignorable] = -1,
        timestamp: i64,
    }

    /// The offsets found.
    pub struct ListOffsetsResponse {
        throttle_time_ms: i32 [2.., ignorable],
        topics: Vec<ListOffsetsTopicResponse>,
    }

    /// The offsets found in one topic.
    pub struct ListOffsetsTopicResponse {
        name: String,
        partitions: Vec<ListOffsetsPartitionResponse>,
    }

    /// The offset found in one partition and its timestamp; -1 says none.
    pub struct ListOffsetsPartitionResponse {
        partition_index: i32,
        error_code: ErrorCode,
        timestamp: i64 = -1,
        offset: i64 = -1,
        leader_epoch: i32 [4..] = -1,
    }
}

api!(ListOffsets: ListOffsetsRequest => ListOffsetsResponse);
