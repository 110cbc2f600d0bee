//! OffsetCommit (8): positions of a group to keep.

use crate::codec::structs;
use crate::model::id::TopicId;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Positions to keep. A commit from outside any membership has generation -1 and an empty member id.
    pub struct OffsetCommitRequest {
        group_id: String,
        generation_id_or_member_epoch: i32 = -1,
        member_id: String,
        group_instance_id: Option<String> [7..],
        retention_time_ms: i64 [..=4, ignorable] = -1,
        topics: Vec<OffsetCommitRequestTopic>,
    }

    /// Positions in one topic, named up to version 9 and known by id after that.
    pub struct OffsetCommitRequestTopic {
        name: String [..=9, ignorable],
        topic_id: TopicId [10.., ignorable],
        partitions: Vec<OffsetCommitRequestPartition>,
    }

    /// The position in one partition: the next offset to read.
    pub struct OffsetCommitRequestPartition {
        partition_index: i32,
        committed_offset: i64,
        committed_leader_epoch: i32 [6.., ignorable] = -1,
        committed_metadata: Option<String>,
    }

    /// Which positions are kept.
    pub struct OffsetCommitResponse {
        throttle_time_ms: i32 [3.., ignorable],
        topics: Vec<OffsetCommitResponseTopic>,
    }

    /// Which positions in one topic are kept.
    pub struct OffsetCommitResponseTopic {
        name: String [..=9, ignorable],
        topic_id: TopicId [10.., ignorable],
        partitions: Vec<OffsetCommitResponsePartition>,
    }

    /// Whether the position in one partition is kept.
    pub struct OffsetCommitResponsePartition {
        partition_index: i32,
        error_code: ErrorCode,
    }
}

api!(OffsetCommit: OffsetCommitRequest => OffsetCommitResponse);
