//! OffsetDelete (47): positions of a group are to go (KIP-496).

use crate::codec::structs;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Which positions of which group.
    pub struct OffsetDeleteRequest {
        group_id: String,
        topics: Vec<OffsetDeleteRequestTopic>,
    }

    /// Partitions of one topic.
    pub struct OffsetDeleteRequestTopic {
        name: String,
        partitions: Vec<OffsetDeleteRequestPartition>,
    }

    /// A partition.
    pub struct OffsetDeleteRequestPartition {
        partition_index: i32,
    }

    /// What became of each.
    pub struct OffsetDeleteResponse {
        error_code: ErrorCode,
        throttle_time_ms: i32,
        topics: Vec<OffsetDeleteResponseTopic>,
    }

    /// What became of the positions in one topic.
    pub struct OffsetDeleteResponseTopic {
        name: String,
        partitions: Vec<OffsetDeleteResponsePartition>,
    }

    /// What became of one position.
    pub struct OffsetDeleteResponsePartition {
        partition_index: i32,
        error_code: ErrorCode,
    }
}

api!(OffsetDelete: OffsetDeleteRequest => OffsetDeleteResponse);
