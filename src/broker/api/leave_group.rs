//! LeaveGroup, versions 0 to 5: one member up to 2, several from 3 on, static ones by instance id alone too (KIP-345).

use std::sync::Arc;

use super::group_access::may;
use super::group_code::{code, outcome};
use crate::auth::acl::Operation;
use crate::broker::groups::request::{GroupError, Leaver};
use crate::broker::{Broker, Peer};
use crate::wire::frame::RequestHeader;
use crate::wire::messages::leave_group::{LeaveGroupRequest, LeaveGroupResponse, MemberResponse};

/// Answers a LeaveGroup.
pub async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    header: &RequestHeader,
    request: LeaveGroupRequest,
) -> LeaveGroupResponse {
    if let Err(error_code) = may(broker, peer, Operation::Read, &request.group_id) {
        return LeaveGroupResponse { error_code, ..LeaveGroupResponse::default() };
    }
    let leavers: Vec<_> = if header.api_version < 3 {
        vec![Leaver { member_id: request.member_id, instance_id: None }]
    } else {
        let members = request.members.into_iter();
        members.map(|one| Leaver { member_id: one.member_id, instance_id: one.group_instance_id }).collect()
    };
    match broker.groups().leave(broker, &request.group_id, &leavers).await {
        // A group that is not there has none of the members: from 3 on that is said of each.
        Err(GroupError::UnknownMember) if header.api_version >= 3 => {
            let members = leavers.into_iter().map(|leaver| MemberResponse {
                member_id: leaver.member_id,
                group_instance_id: leaver.instance_id,
                error_code: code(GroupError::UnknownMember),
            });
            LeaveGroupResponse { members: members.collect(), ..LeaveGroupResponse::default() }
        }
        Err(error) => LeaveGroupResponse { error_code: code(error), ..LeaveGroupResponse::default() },
        Ok(results) if header.api_version < 3 => {
            let error_code = results.into_iter().map(outcome).next().unwrap_or_default();
            LeaveGroupResponse { error_code, ..LeaveGroupResponse::default() }
        }
        Ok(results) => {
            let members = leavers.into_iter().zip(results).map(|(leaver, result)| MemberResponse {
                member_id: leaver.member_id,
                group_instance_id: leaver.instance_id,
                error_code: outcome(result),
            });
            LeaveGroupResponse { members: members.collect(), ..LeaveGroupResponse::default() }
        }
    }
}
