//! Fetch (1): records to read.

use bytes::Bytes;

use crate::codec::structs;
use crate::model::id::TopicId;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Asks for records. Session id 0 with epoch -1 is a request without a session (KIP-227).
    pub struct FetchRequest {
        cluster_id: Option<String> [12.., tag 0, ignorable],
        replica_id: i32 [..=14] = -1,
        replica_state: ReplicaState [15.., tag 1],
        max_wait_ms: i32,
        min_bytes: i32,
        max_bytes: i32 = i32::MAX,
        isolation_level: i8,
        session_id: i32 [7.., ignorable],
        session_epoch: i32 [7.., ignorable] = -1,
        topics: Vec<FetchTopic>,
        forgotten_topics_data: Vec<ForgottenTopic> [7..],
        rack_id: String [11.., ignorable],
    }

    /// The follower that asks; -1 for a consumer (KIP-903).
    pub struct ReplicaState {
        replica_id: i32 = -1,
        replica_epoch: i64 = -1,
    }

    /// The partitions to read of one topic, named up to version 12 and known by id after that (KIP-516).
    pub struct FetchTopic {
        topic: String [..=12, ignorable],
        topic_id: TopicId [13.., ignorable],
        partitions: Vec<FetchPartition>,
    }

    /// A partition to read, from an offset on, up to a number of bytes.
    pub struct FetchPartition {
        partition: i32,
        current_leader_epoch: i32 [9.., ignorable] = -1,
        fetch_offset: i64,
        last_fetched_epoch: i32 [12..] = -1,
        log_start_offset: i64 [5.., ignorable] = -1,
        partition_max_bytes: i32,
        replica_directory_id: TopicId [17.., tag 0, ignorable],
        high_watermark: i64 [18.., tag 1, ignorable] = i64::MAX,
    }

    /// Partitions to take out of the session.
    pub struct ForgottenTopic {
        topic: String [..=12, ignorable],
        topic_id: TopicId [13.., ignorable],
        partitions: Vec<i32>,
    }

    /// What there was to read.
    pub struct FetchResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode [7.., ignorable],
        session_id: i32 [7..],
        responses: Vec<FetchableTopicResponse>,
        node_endpoints: Vec<NodeEndpoint> [16.., tag 0],
    }

    /// What there was to read of one topic.
    pub struct FetchableTopicResponse {
        topic: String [..=12, ignorable],
        topic_id: TopicId [13.., ignorable],
        partitions: Vec<PartitionData>,
    }

    /// What there was to read of one partition: whole batches, of which the last may be cut off.
    pub struct PartitionData {
        partition_index: i32,
        error_code: ErrorCode,
        high_watermark: i64,
        last_stable_offset: i64 = -1,
        log_start_offset: i64 [5.., ignorable] = -1,
        diverging_epoch: EpochEndOffset [12.., tag 0],
        current_leader: LeaderIdAndEpoch [12.., tag 1],
        snapshot_id: SnapshotId [12.., tag 2],
        aborted_transactions: Option<Vec<AbortedTransaction>>,
        preferred_read_replica: i32 [11..] = -1,
        records: Option<Bytes>,
    }

    /// Where the reader's log parts from the leader's (KIP-595).
    pub struct EpochEndOffset {
        epoch: i32 = -1,
        end_offset: i64 = -1,
    }

    /// Who leads the partition now (KIP-595, KIP-951).
    pub struct LeaderIdAndEpoch {
        leader_id: i32 = -1,
        leader_epoch: i32 = -1,
    }

    /// The snapshot to fetch instead (KIP-630).
    pub struct SnapshotId {
        end_offset: i64 = -1,
        epoch: i32 = -1,
    }

    /// A transaction that was aborted: from its first offset on its records are to be passed over (KIP-98).
    pub struct AbortedTransaction {
        producer_id: i64,
        first_offset: i64,
    }

    /// The address of a leader named in the answer (KIP-951).
    pub struct NodeEndpoint {
        node_id: i32,
        host: String,
        port: i32,
        rack: Option<String>,
    }
}

api!(Fetch: FetchRequest => FetchResponse);
