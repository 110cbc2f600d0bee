//! SaslAuthenticate (36): the steps of a SASL mechanism, wrapped (KIP-152).

use bytes::Bytes;

use crate::codec::structs;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// The client's next step, as the mechanism defines it.
    pub struct SaslAuthenticateRequest {
        auth_bytes: Bytes,
    }

    /// The server's next step; from version 1 on with how long the session lasts in ms, 0 for ever (KIP-368).
    pub struct SaslAuthenticateResponse {
        error_code: ErrorCode,
        error_message: Option<String>,
        auth_bytes: Bytes,
        session_lifetime_ms: i64 [1.., ignorable],
    }
}

api!(SaslAuthenticate: SaslAuthenticateRequest => SaslAuthenticateResponse);
