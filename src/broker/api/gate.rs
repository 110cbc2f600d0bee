//! Who is let in: before a client has proved who it is, a listener that demands so serves nothing but the steps of
//! doing it.

use std::sync::Arc;

use bytes::Bytes;

use super::answer::Outcome;
use super::sasl_authenticate;
use crate::broker::{Broker, Peer};
use crate::wire::api::ApiKey;

/// Why a request is not even looked at, if it is not. It then closes the connection, as in Kafka: before
/// authentication nothing is answered but ApiVersions, SaslHandshake and SaslAuthenticate, after the end of a session
/// (KIP-368) nothing but the latter two.
pub(super) fn refusal(broker: &Broker, peer: &Peer, key: ApiKey) -> Option<String> {
    if matches!(key, ApiKey::SaslHandshake | ApiKey::SaslAuthenticate) {
        return None;
    }
    if !peer.is_admitted() {
        let early = key != ApiKey::ApiVersions;
        return early.then(|| format!("it asked for {} before it authenticated", key.name()));
    }
    let over = peer.is_over(|| monotonic_ms(broker));
    over.then(|| "its session was over (connections.max.reauth.ms)".to_owned())
}

/// The broker's monotonic clock in ms, by which sessions end.
pub(super) fn monotonic_ms(broker: &Broker) -> i64 {
    i64::try_from(broker.clock().monotonic().as_millis()).unwrap_or(i64::MAX)
}

/// Takes a SASL message without a request's head, which follows SaslHandshake 0.
pub(super) async fn raw(broker: &Arc<Broker>, peer: &Peer, message: Bytes) -> Outcome {
    sasl_authenticate::raw(broker, peer, &message).await
}
