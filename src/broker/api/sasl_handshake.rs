//! SaslHandshake (17), versions 0 and 1: which mechanism is to be used. After version 0 the mechanism's messages come
//! without a request's head. Refuses mechanisms that the listener does not offer (the connection is closed), a second
//! handshake in the middle of an exchange, and every handshake where no authentication is asked for.

use std::sync::Arc;

use bytes::Bytes;

use super::answer::{Outcome, decode, reply};
use super::sasl_authenticate::{closing, delay};
use crate::broker::sasl::{Mechanism, SaslExchange};
use crate::broker::{Broker, Peer};
use crate::wire::error::ErrorCode;
use crate::wire::frame::RequestHeader;
use crate::wire::messages::sasl_handshake::{SaslHandshakeRequest, SaslHandshakeResponse};

pub(super) async fn call(broker: &Arc<Broker>, peer: &Peer, header: &RequestHeader, body: Bytes) -> Outcome {
    let request: SaslHandshakeRequest = match decode(header, body) {
        Ok(request) => request,
        Err(close) => return close,
    };
    let answer = |error_code, mechanisms: &[Mechanism]| {
        let mechanisms = mechanisms.iter().map(|mechanism| mechanism.name().to_owned()).collect();
        reply(header, &SaslHandshakeResponse { error_code, mechanisms })
    };
    if !peer.security.sasl {
        return answer(ErrorCode::ILLEGAL_SASL_STATE, &[]);
    }
    match peer.take_exchange() {
        SaslExchange::Start => {}
        SaslExchange::Done if peer.session_ends() => {}
        // There is nothing to renew.
        SaslExchange::Done => {
            peer.put_exchange(SaslExchange::Done);
            return answer(ErrorCode::ILLEGAL_SASL_STATE, &[]);
        }
        SaslExchange::Handshaken(_) | SaslExchange::Scram(_) => {
            delay(broker).await;
            let why = "a SASL handshake in the middle of another";
            return closing(answer(ErrorCode::ILLEGAL_SASL_STATE, &[]), why);
        }
    }
    let offered = &*peer.security.mechanisms;
    match offered.iter().find(|mechanism| mechanism.name() == request.mechanism) {
        Some(mechanism) => {
            peer.put_exchange(SaslExchange::Handshaken(*mechanism));
            peer.speak_raw(header.api_version == 0);
            answer(ErrorCode::NONE, offered)
        }
        None => {
            delay(broker).await;
            let asked: String = request.mechanism.chars().take(64).collect();
            let why = format!("the SASL mechanism {asked:?} is not offered here");
            closing(answer(ErrorCode::UNSUPPORTED_SASL_MECHANISM, offered), &why)
        }
    }
}
