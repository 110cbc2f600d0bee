//! ListGroups, versions 0 to 5: filtered by state from 4 on, by type from 5 on, both whatever their case. Groups that
//! the client may not describe are left out, unless it may describe the cluster.

use std::sync::Arc;

use super::group_code::code;
use crate::auth::acl::{Operation, ResourceType};
use crate::broker::groups::request::Listing;
use crate::broker::{Broker, Peer};
use crate::wire::frame::RequestHeader;
use crate::wire::messages::list_groups::{ListGroupsRequest, ListGroupsResponse, ListedGroup};

/// The name of the cluster as a resource.
const CLUSTER: &str = "kafka-cluster";

/// The group's type in the protocol.
fn kind(group: &Listing) -> &'static str {
    if group.consumer { "consumer" } else { "classic" }
}

/// Answers a ListGroups.
pub async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    _header: &RequestHeader,
    request: ListGroupsRequest,
) -> ListGroupsResponse {
    let passes = |filter: &[String], value: &str| {
        filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(value))
    };
    let whole = broker.would_let(peer, Operation::Describe, ResourceType::Cluster, CLUSTER);
    let listed = match broker.groups().list(broker).await {
        Ok(listed) => listed,
        Err(error) => {
            return ListGroupsResponse { error_code: code(error), ..ListGroupsResponse::default() };
        }
    };
    let groups = listed
        .into_iter()
        .filter(|group| {
            passes(&request.types_filter, kind(group)) && passes(&request.states_filter, group.state)
        })
        .filter(|group| {
            whole || broker.would_let(peer, Operation::Describe, ResourceType::Group, &group.group)
        })
        .map(|group| ListedGroup {
            group_id: group.group.to_string(),
            group_type: kind(&group).to_owned(),
            protocol_type: group.protocol_type,
            group_state: group.state.to_owned(),
        });
    ListGroupsResponse { groups: groups.collect(), ..ListGroupsResponse::default() }
}
