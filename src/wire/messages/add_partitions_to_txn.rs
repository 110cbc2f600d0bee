//! AddPartitionsToTxn (24): partitions join a transaction (KIP-98); from version 4 on also how a broker asks whether they have (KIP-890).

use crate::codec::structs;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Partitions of one transaction up to version 3, of several from version 4 on, which only brokers send.
    pub struct AddPartitionsToTxnRequest {
        transactions: Vec<AddPartitionsToTxnTransaction> [4..],
        v3_and_below_transactional_id: String [..=3],
        v3_and_below_producer_id: i64 [..=3],
        v3_and_below_producer_epoch: i16 [..=3],
        v3_and_below_topics: Vec<AddPartitionsToTxnTopic> [..=3],
    }

    /// Partitions of one transaction, to be added or only verified.
    pub struct AddPartitionsToTxnTransaction {
        transactional_id: String,
        producer_id: i64,
        producer_epoch: i16,
        verify_only: bool,
        topics: Vec<AddPartitionsToTxnTopic>,
    }

    /// Partitions of one topic.
    pub struct AddPartitionsToTxnTopic {
        name: String,
        partitions: Vec<i32>,
    }

    /// What became of each; the error of the whole from version 4 on.
    pub struct AddPartitionsToTxnResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode [4.., ignorable],
        results_by_transaction: Vec<AddPartitionsToTxnResult> [4..],
        results_by_topic_v3_and_below: Vec<AddPartitionsToTxnTopicResult> [..=3],
    }

    /// What became of the partitions of one transaction.
    pub struct AddPartitionsToTxnResult {
        transactional_id: String,
        topic_results: Vec<AddPartitionsToTxnTopicResult>,
    }

    /// What became of the partitions of one topic.
    pub struct AddPartitionsToTxnTopicResult {
        name: String,
        results_by_partition: Vec<AddPartitionsToTxnPartitionResult>,
    }

    /// What became of one partition.
    pub struct AddPartitionsToTxnPartitionResult {
        partition_index: i32,
        partition_error_code: ErrorCode,
    }
}

api!(AddPartitionsToTxn: AddPartitionsToTxnRequest => AddPartitionsToTxnResponse);
