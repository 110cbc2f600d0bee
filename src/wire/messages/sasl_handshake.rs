//! SaslHandshake (17): the SASL mechanism that is to be used.

use crate::codec::structs;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Which mechanism the client wants.
    pub struct SaslHandshakeRequest {
        mechanism: String,
    }

    /// Whether it may have it, and which there are.
    pub struct SaslHandshakeResponse {
        error_code: ErrorCode,
        mechanisms: Vec<String>,
    }
}

api!(SaslHandshake: SaslHandshakeRequest => SaslHandshakeResponse);
