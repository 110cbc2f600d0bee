//! AddOffsetsToTxn (25): positions of a group join a transaction (KIP-98).

use crate::codec::structs;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Which group takes part in which transaction.
    pub struct AddOffsetsToTxnRequest {
        transactional_id: String,
        producer_id: i64,
        producer_epoch: i16,
        group_id: String,
    }

    /// Whether it does.
    pub struct AddOffsetsToTxnResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
    }
}

api!(AddOffsetsToTxn: AddOffsetsToTxnRequest => AddOffsetsToTxnResponse);
