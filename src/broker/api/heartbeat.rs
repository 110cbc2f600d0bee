//! Heartbeat, versions 0 to 4: a member of a classic group is alive, and learns whether to join again.

use std::sync::Arc;

use super::group_access::may;
use super::group_code::outcome;
use crate::auth::acl::Operation;
use crate::broker::groups::request::Sender;
use crate::broker::{Broker, Peer};
use crate::wire::frame::RequestHeader;
use crate::wire::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};

/// Answers a Heartbeat.
pub async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    _header: &RequestHeader,
    request: HeartbeatRequest,
) -> HeartbeatResponse {
    if let Err(error_code) = may(broker, peer, Operation::Read, &request.group_id) {
        return HeartbeatResponse { error_code, ..HeartbeatResponse::default() };
    }
    let from = Sender {
        generation: request.generation_id,
        member_id: &request.member_id,
        instance_id: request.group_instance_id.as_deref(),
        knows_epochs: false,
    };
    let result = broker.groups().heartbeat(broker, &request.group_id, from).await;
    HeartbeatResponse { error_code: outcome(result), ..HeartbeatResponse::default() }
}
