//! OffsetForLeaderEpoch (23): where a leader epoch ended (KIP-101, KIP-320).

use crate::codec::structs;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Asks for the ends of leader epochs.
    pub struct OffsetForLeaderEpochRequest {
        replica_id: i32 [3.., ignorable] = -2,
        topics: Vec<OffsetForLeaderTopic>,
    }

    /// What is asked of one topic.
    pub struct OffsetForLeaderTopic {
        topic: String,
        partitions: Vec<OffsetForLeaderPartition>,
    }

    /// The epoch asked about, and the one the client knows as the current (-1: none).
    pub struct OffsetForLeaderPartition {
        partition: i32,
        current_leader_epoch: i32 = -1,
        leader_epoch: i32,
    }

    /// The ends of the epochs.
    pub struct OffsetForLeaderEpochResponse {
        throttle_time_ms: i32,
        topics: Vec<OffsetForLeaderTopicResult>,
    }

    /// Ends in one topic.
    pub struct OffsetForLeaderTopicResult {
        topic: String,
        partitions: Vec<EpochEndOffset>,
    }

    /// The largest epoch not above the one asked about and its end, both -1 where there is none.
    pub struct EpochEndOffset {
        error_code: ErrorCode,
        partition: i32,
        leader_epoch: i32 = -1,
        end_offset: i64 = -1,
    }
}

api!(OffsetForLeaderEpoch: OffsetForLeaderEpochRequest => OffsetForLeaderEpochResponse);
