//! TxnOffsetCommit (28): positions that count once their transaction is committed (KIP-98, KIP-447).

use crate::codec::structs;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Positions of a group, within a transaction.
    pub struct TxnOffsetCommitRequest {
        transactional_id: String,
        group_id: String,
        producer_id: i64,
        producer_epoch: i16,
        generation_id: i32 [3..] = -1,
        member_id: String [3..],
        group_instance_id: Option<String> [3..],
        topics: Vec<TxnOffsetCommitRequestTopic>,
    }

    /// Positions in one topic.
    pub struct TxnOffsetCommitRequestTopic {
        name: String,
        partitions: Vec<TxnOffsetCommitRequestPartition>,
    }

    /// A position.
    pub struct TxnOffsetCommitRequestPartition {
        partition_index: i32,
        committed_offset: i64,
        committed_leader_epoch: i32 [2.., ignorable] = -1,
        committed_metadata: Option<String>,
    }

    /// What became of each.
    pub struct TxnOffsetCommitResponse {
        throttle_time_ms: i32,
        topics: Vec<TxnOffsetCommitResponseTopic>,
    }

    /// What became of the positions in one topic.
    pub struct TxnOffsetCommitResponseTopic {
        name: String,
        partitions: Vec<TxnOffsetCommitResponsePartition>,
    }

    /// What became of one position.
    pub struct TxnOffsetCommitResponsePartition {
        partition_index: i32,
        error_code: ErrorCode,
    }
}

api!(TxnOffsetCommit: TxnOffsetCommitRequest => TxnOffsetCommitResponse);
