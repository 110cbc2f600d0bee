//! ListGroups, versions 0 to 5: filtered by state from 4 on, by type from 5 on, both whatever their case. All groups
//! are of the type `classic`.

use std::sync::Arc;

use super::group_code::code;
use crate::broker::{Broker, Peer};
use crate::wire::frame::RequestHeader;
use crate::wire::messages::list_groups::{ListGroupsRequest, ListGroupsResponse, ListedGroup};

const TYPE: &str = "classic";

/// Answers a ListGroups.
pub async fn handle(
    broker: &Arc<Broker>,
    _peer: &Peer,
    _header: &RequestHeader,
    request: ListGroupsRequest,
) -> ListGroupsResponse {
    let passes = |filter: &[String], value: &str| {
        filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(value))
    };
    let listed = match broker.groups().list(broker).await {
        Ok(listed) => listed,
        Err(error) => {
            return ListGroupsResponse { error_code: code(error), ..ListGroupsResponse::default() };
        }
    };
    let groups = listed
        .into_iter()
        .filter(|group| passes(&request.types_filter, TYPE) && passes(&request.states_filter, group.state))
        .map(|group| ListedGroup {
            group_id: group.group.to_string(),
            protocol_type: group.protocol_type,
            group_state: group.state.to_owned(),
            group_type: TYPE.to_owned(),
        });
    ListGroupsResponse { groups: groups.collect(), ..ListGroupsResponse::default() }
}
