//! ListGroups (16): which groups there are.

use crate::codec::structs;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Asks for groups; an empty filter lets all through.
    pub struct ListGroupsRequest {
        states_filter: Vec<String> [4..],
        types_filter: Vec<String> [5..],
    }

    /// The groups.
    pub struct ListGroupsResponse {
        throttle_time_ms: i32 [1.., ignorable],
        error_code: ErrorCode,
        groups: Vec<ListedGroup>,
    }

    /// A group.
    pub struct ListedGroup {
        group_id: String,
        protocol_type: String,
        group_state: String [4.., ignorable],
        group_type: String [5.., ignorable],
    }
}

api!(ListGroups: ListGroupsRequest => ListGroupsResponse);
