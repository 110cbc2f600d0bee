//! EndTxn (26): a transaction is to be committed or aborted (KIP-98).

use crate::codec::structs;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Which transaction, and whether it is committed.
    pub struct EndTxnRequest {
        transactional_id: String,
        producer_id: i64,
        producer_epoch: i16,
        committed: bool,
    }

    /// Whether it will be; from version 5 on with the id and epoch of the next transaction (KIP-890), -1 with an
    /// error.
    pub struct EndTxnResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        producer_id: i64 [5.., ignorable] = -1,
        producer_epoch: i16 [5.., ignorable] = -1,
    }
}

api!(EndTxn: EndTxnRequest => EndTxnResponse);
