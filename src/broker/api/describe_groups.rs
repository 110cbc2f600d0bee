//! DescribeGroups, versions 0 to 6: classic groups. One that is not there, or is a consumer group, is "Dead" up to 5
//! and GROUP_ID_NOT_FOUND from 6 on.

use std::sync::Arc;

use super::group_access::{may, operations};
use super::group_code::code;
use crate::auth::acl::Operation;
use crate::broker::groups::request::Description;
use crate::broker::{Broker, Peer};
use crate::wire::error::ErrorCode;
use crate::wire::frame::RequestHeader;
use crate::wire::messages::describe_groups::{
    DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup, DescribedGroupMember,
};

/// Answers a DescribeGroups.
pub async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    header: &RequestHeader,
    request: DescribeGroupsRequest,
) -> DescribeGroupsResponse {
    let mut groups = Vec::with_capacity(request.groups.len());
    for id in request.groups {
        if let Err(error_code) = may(broker, peer, Operation::Describe, &id) {
            groups.push(DescribedGroup { group_id: id, error_code, ..DescribedGroup::default() });
            continue;
        }
        let mut group = match broker.groups().describe(broker, &id).await {
            Ok(Some(description)) => described(id, description),
            Ok(None) => not_found(id, header.api_version),
            Err(error) => {
                DescribedGroup { group_id: id, error_code: code(error), ..DescribedGroup::default() }
            }
        };
        if request.include_authorized_operations && group.error_code.is_ok() {
            group.authorized_operations = operations(broker, peer, &group.group_id);
        }
        groups.push(group);
    }
    DescribeGroupsResponse { groups, ..DescribeGroupsResponse::default() }
}

fn not_found(id: String, version: i16) -> DescribedGroup {
    if version < 6 {
        return DescribedGroup { group_id: id, group_state: "Dead".to_owned(), ..DescribedGroup::default() };
    }
    DescribedGroup {
        error_code: ErrorCode::GROUP_ID_NOT_FOUND,
        error_message: Some(format!("there is no group {id:?}")),
        group_id: id,
        group_state: "Dead".to_owned(),
        ..DescribedGroup::default()
    }
}

fn described(id: String, description: Description) -> DescribedGroup {
    let members = description.members.into_iter().map(|member| DescribedGroupMember {
        member_id: member.member_id,
        group_instance_id: member.instance_id,
        client_id: member.client_id,
        client_host: member.client_host,
        member_metadata: member.metadata,
        member_assignment: member.assignment,
    });
    DescribedGroup {
        group_id: id,
        group_state: description.state.to_owned(),
        protocol_type: description.protocol_type,
        protocol_data: description.protocol,
        members: members.collect(),
        ..DescribedGroup::default()
    }
}
