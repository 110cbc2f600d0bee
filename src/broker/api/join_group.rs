//! JoinGroup, versions 0 to 9: classic groups; from 4 on a new member is first given an id (KIP-394), from 5 on
//! members may be static (KIP-345), from 9 on a returning static leader may keep the assignment (KIP-814).

use std::sync::Arc;

use bytes::Bytes;

use super::group_access::may;
use super::group_code::code;
use crate::auth::acl::Operation;
use crate::broker::groups::request::{JoinRefused, JoinRequest, Joined, Protocol};
use crate::broker::{Broker, Peer};
use crate::wire::frame::RequestHeader;
use crate::wire::messages::join_group::{JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember};

/// Answers a JoinGroup, when the group has come to a generation or refuses.
pub async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    header: &RequestHeader,
    request: JoinGroupRequest,
) -> JoinGroupResponse {
    if let Err(error_code) = may(broker, peer, Operation::Read, &request.group_id) {
        let protocol_name = (header.api_version < 7).then(String::new);
        return JoinGroupResponse { error_code, protocol_name, ..JoinGroupResponse::default() };
    }
    let version = header.api_version;
    // Copied: what is kept must not hold on to the frame it came in.
    let offered = request
        .protocols
        .into_iter()
        .map(|one| Protocol { name: one.name, metadata: Bytes::copy_from_slice(&one.metadata) });
    let join = JoinRequest {
        group: request.group_id.into(),
        member_id: request.member_id,
        instance_id: request.group_instance_id,
        client_id: header.client_id.clone().unwrap_or_default(),
        client_host: peer.client_host.clone(),
        session_timeout_ms: request.session_timeout_ms,
        rebalance_timeout_ms: if version == 0 {
            request.session_timeout_ms
        } else {
            request.rebalance_timeout_ms
        },
        protocol_type: request.protocol_type,
        protocols: offered.collect(),
        needs_member_id: version >= 4,
        may_skip_assignment: version >= 9,
        hidden: broker.hidden_topics(peer),
        draw: broker.groups().draw(),
    };
    let mut response = match broker.groups().join(broker, join).await {
        Ok(joined) => accepted(joined),
        Err(JoinRefused { error, member_id }) => {
            JoinGroupResponse { error_code: code(error), member_id, ..JoinGroupResponse::default() }
        }
    };
    if version < 7 {
        // Null can not be said yet.
        response.protocol_name.get_or_insert_default();
    }
    response
}

fn accepted(joined: Joined) -> JoinGroupResponse {
    let members = joined.members.into_iter().map(|member| JoinGroupResponseMember {
        member_id: member.member_id,
        group_instance_id: member.instance_id,
        metadata: member.metadata,
    });
    JoinGroupResponse {
        generation_id: joined.generation,
        protocol_type: joined.protocol_type,
        protocol_name: joined.protocol,
        leader: joined.leader,
        skip_assignment: joined.skip_assignment,
        member_id: joined.member_id,
        members: members.collect(),
        ..JoinGroupResponse::default()
    }
}
