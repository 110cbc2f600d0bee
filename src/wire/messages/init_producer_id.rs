//! InitProducerId (22): an id and epoch for an idempotent or transactional producer.

use crate::codec::structs;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Asks for a producer id. Without a transactional id the producer is only idempotent.
    pub struct InitProducerIdRequest {
        transactional_id: Option<String>,
        transaction_timeout_ms: i32,
        producer_id: i64 [3..] = -1,
        producer_epoch: i16 [3..] = -1,
    }

    /// The producer id and epoch; -1 says none.
    pub struct InitProducerIdResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        producer_id: i64 = -1,
        producer_epoch: i16,
    }
}

api!(InitProducerId: InitProducerIdRequest => InitProducerIdResponse);
