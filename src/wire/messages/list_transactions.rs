//! ListTransactions (66): transactional ids (KIP-664, KIP-994, KIP-1152).

use crate::codec::structs;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Which to list: empty filters take all, a duration below 0 too.
    pub struct ListTransactionsRequest {
        state_filters: Vec<String>,
        producer_id_filters: Vec<i64>,
        duration_filter: i64 [1..] = -1,
        transactional_id_pattern: Option<String> [2..],
    }

    /// The ids.
    pub struct ListTransactionsResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        unknown_state_filters: Vec<String>,
        transaction_states: Vec<TransactionState>,
    }

    /// One id.
    pub struct TransactionState {
        transactional_id: String,
        producer_id: i64,
        transaction_state: String,
    }
}

api!(ListTransactions: ListTransactionsRequest => ListTransactionsResponse);
