//! OffsetFetch (9): positions that groups keep.

use crate::codec::structs;
use crate::model::id::TopicId;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Asks for positions: of one group up to version 7, of several after that (KIP-709). Topics `None` means
    /// all.
    pub struct OffsetFetchRequest {
        group_id: String [..=7],
        topics: Option<Vec<OffsetFetchRequestTopic>> [..=7, null 2..=7],
        groups: Vec<OffsetFetchRequestGroup> [8..],
        require_stable: bool [7..],
    }

    /// The partitions asked for of one topic, up to version 7.
    pub struct OffsetFetchRequestTopic {
        name: String,
        partition_indexes: Vec<i32>,
    }

    /// What is asked of one group. Topics `None` means all.
    pub struct OffsetFetchRequestGroup {
        group_id: String,
        member_id: Option<String> [9.., ignorable],
        member_epoch: i32 [9.., ignorable] = -1,
        topics: Option<Vec<OffsetFetchRequestTopics>>,
    }

    /// The partitions asked for of one topic, named up to version 9 and known by id after that.
    pub struct OffsetFetchRequestTopics {
        name: String [..=9, ignorable],
        topic_id: TopicId [10.., ignorable],
        partition_indexes: Vec<i32>,
    }

    /// The positions: of one group up to version 7, of several after that.
    pub struct OffsetFetchResponse {
        throttle_time_ms: i32 [3.., ignorable],
        topics: Vec<OffsetFetchResponseTopic> [..=7],
        error_code: ErrorCode [2..=7, ignorable],
        groups: Vec<OffsetFetchResponseGroup> [8..],
    }

    /// Positions in one topic, up to version 7.
    pub struct OffsetFetchResponseTopic {
        name: String,
        partitions: Vec<OffsetFetchResponsePartition>,
    }

    /// The position in one partition, up to version 7; -1 says none.
    pub struct OffsetFetchResponsePartition {
        partition_index: i32,
        committed_offset: i64,
        committed_leader_epoch: i32 [5..=7, ignorable] = -1,
        metadata: Option<String>,
        error_code: ErrorCode,
    }

    /// The positions of one group.
    pub struct OffsetFetchResponseGroup {
        group_id: String,
        topics: Vec<OffsetFetchResponseTopics>,
        error_code: ErrorCode,
    }

    /// Positions in one topic.
    pub struct OffsetFetchResponseTopics {
        name: String [..=9, ignorable],
        topic_id: TopicId [10.., ignorable],
        partitions: Vec<OffsetFetchResponsePartitions>,
    }

    /// The position in one partition; -1 says none.
    pub struct OffsetFetchResponsePartitions {
        partition_index: i32,
        committed_offset: i64,
        committed_leader_epoch: i32 = -1,
        metadata: Option<String>,
        error_code: ErrorCode,
    }
}

api!(OffsetFetch: OffsetFetchRequest => OffsetFetchResponse);
