//! FindCoordinator, versions 0 to 6. One node coordinates everything: groups and transactional ids are here.
//! Refused: other types (share groups) with INVALID_REQUEST.

use std::sync::Arc;

use crate::auth::acl::{Operation, ResourceType};
use crate::broker::{Broker, Peer};
use crate::model::name::{CONSUMER_OFFSETS, TRANSACTION_STATE};
use crate::wire::error::ErrorCode;
use crate::wire::frame::RequestHeader;
use crate::wire::messages::find_coordinator::{Coordinator, FindCoordinatorRequest, FindCoordinatorResponse};

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

/// Answers a FindCoordinator; the topic of what is coordinated is made on the way.
pub async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    header: &RequestHeader,
    request: FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    let version = header.api_version;
    let keys = if version >= 4 { request.coordinator_keys } else { vec![request.key] };
    let allowed = |key: String| {
        let may = allowed(broker, peer, request.key_type, &key);
        (key, may)
    };
    let keys: Vec<_> = keys.into_iter().map(allowed).collect();
    // Nobody makes the topic who may not even ask.
    let asked = keys.iter().any(|(_, may)| may.is_ok());
    let found = if asked { find(broker, request.key_type).await } else { Ok(()) };
    let (host, port) = peer.address();
    let answer = |(key, may): (String, Result<(), _>)| match may.and(found) {
        Ok(()) => Coordinator {
            key,
            node_id: broker.node_id(),
            host: host.to_owned(),
            port,
            ..Coordinator::default()
        },
        Err((error_code, why)) => Coordinator {
            key,
            node_id: -1,
            port: -1,
            error_code,
            error_message: Some(why.to_owned()),
            ..Coordinator::default()
        },
    };
    let mut coordinators: Vec<_> = keys.into_iter().map(answer).collect();
    if version >= 4 {
        return FindCoordinatorResponse { coordinators, ..FindCoordinatorResponse::default() };
    }
    let one = coordinators.pop().unwrap_or_default();
    FindCoordinatorResponse {
        error_code: one.error_code,
        error_message: one.error_message,
        node_id: one.node_id,
        host: one.host,
        port: one.port,
        ..FindCoordinatorResponse::default()
    }
}

/// Whether the peer may know where a group or a transactional id is coordinated.
fn allowed(broker: &Broker, peer: &Peer, key_type: i8, key: &str) -> Result<(), (ErrorCode, &'static str)> {
    let (resource, refusal) = match key_type {
        GROUP => (ResourceType::Group, ErrorCode::GROUP_AUTHORIZATION_FAILED),
        _ => (ResourceType::TransactionalId, ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED),
    };
    broker
        .may(peer, Operation::Describe, resource, key)
        .map_err(|_| (refusal, "the client may not describe it"))
}

async fn find(broker: &Arc<Broker>, key_type: i8) -> Result<(), (ErrorCode, &'static str)> {
    match key_type {
        GROUP if broker.partition_count(CONSUMER_OFFSETS).is_some() => Ok(()),
        GROUP => broker.ensure_internal(CONSUMER_OFFSETS).await.map_err(|_| {
            (ErrorCode::COORDINATOR_NOT_AVAILABLE, "the offsets topic can not be made: see the broker's log")
        }),
        TRANSACTION if broker.partition_count(TRANSACTION_STATE).is_some() => Ok(()),
        TRANSACTION => broker.ensure_internal(TRANSACTION_STATE).await.map_err(|_| {
            (
                ErrorCode::COORDINATOR_NOT_AVAILABLE,
                "the transaction topic can not be made: see the broker's log",
            )
        }),
        _ => Err((ErrorCode::INVALID_REQUEST, "klog coordinates groups and transactions")),
    }
}
