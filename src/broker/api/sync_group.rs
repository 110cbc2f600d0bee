//! SyncGroup, versions 0 to 5; from 5 on a member must name the protocol it takes the group's for (KIP-559).

use std::sync::Arc;

use bytes::Bytes;

use super::group_access::may;
use super::group_code::code;
use crate::auth::acl::Operation;
use crate::broker::groups::request::SyncRequest;
use crate::broker::{Broker, Peer};
use crate::wire::error::ErrorCode;
use crate::wire::frame::RequestHeader;
use crate::wire::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};

/// Answers a SyncGroup, when the leader has brought the assignment and it is on disk.
pub async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    header: &RequestHeader,
    request: SyncGroupRequest,
) -> SyncGroupResponse {
    if let Err(error_code) = may(broker, peer, Operation::Read, &request.group_id) {
        return SyncGroupResponse { error_code, ..SyncGroupResponse::default() };
    }
    let unnamed = request.protocol_type.is_none() || request.protocol_name.is_none();
    if header.api_version >= 5 && unnamed {
        let error_code = ErrorCode::INCONSISTENT_GROUP_PROTOCOL;
        return SyncGroupResponse { error_code, ..SyncGroupResponse::default() };
    }
    // Copied: what is kept must not hold on to the frame it came in.
    let brought =
        request.assignments.into_iter().map(|one| (one.member_id, Bytes::copy_from_slice(&one.assignment)));
    let sync = SyncRequest {
        group: request.group_id.into(),
        generation: request.generation_id,
        member_id: request.member_id,
        instance_id: request.group_instance_id,
        protocol_type: request.protocol_type,
        protocol: request.protocol_name,
        assignments: brought.collect(),
    };
    match broker.groups().sync(broker, sync).await {
        Ok(synced) => SyncGroupResponse {
            protocol_type: synced.protocol_type,
            protocol_name: synced.protocol,
            assignment: synced.assignment,
            ..SyncGroupResponse::default()
        },
        Err(error) => SyncGroupResponse { error_code: code(error), ..SyncGroupResponse::default() },
    }
}
