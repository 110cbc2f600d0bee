//! DescribeTransactions (65): transactional ids and their transactions (KIP-664).

use crate::codec::structs;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Which ids.
    pub struct DescribeTransactionsRequest {
        transactional_ids: Vec<String>,
    }

    /// Their states.
    pub struct DescribeTransactionsResponse {
        throttle_time_ms: i32,
        transaction_states: Vec<TransactionState>,
    }

    /// One id and its transaction; -1 where something is not known.
    pub struct TransactionState {
        error_code: ErrorCode,
        transactional_id: String,
        transaction_state: String,
        transaction_timeout_ms: i32,
        transaction_start_time_ms: i64,
        producer_id: i64,
        producer_epoch: i16,
        topics: Vec<TopicData>,
    }

    /// Partitions of one topic that take part.
    pub struct TopicData {
        topic: String,
        partitions: Vec<i32>,
    }
}

api!(DescribeTransactions: DescribeTransactionsRequest => DescribeTransactionsResponse);
