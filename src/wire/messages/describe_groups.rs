//! DescribeGroups (15): the state and members of classic groups.

use bytes::Bytes;

use crate::codec::structs;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Asks for groups.
    pub struct DescribeGroupsRequest {
        groups: Vec<String>,
        include_authorized_operations: bool [3..],
    }

    /// The groups.
    pub struct DescribeGroupsResponse {
        throttle_time_ms: i32 [1.., ignorable],
        groups: Vec<DescribedGroup>,
    }

    /// A group's state and members. Authorized operations are a bit field; `i32::MIN` when not asked for.
    pub struct DescribedGroup {
        error_code: ErrorCode,
        error_message: Option<String> [6..],
        group_id: String,
        group_state: String,
        protocol_type: String,
        protocol_data: String,
        members: Vec<DescribedGroupMember>,
        authorized_operations: i32 [3..] = i32::MIN,
    }

    /// A member, what it said of itself and what it is assigned.
    pub struct DescribedGroupMember {
        member_id: String,
        group_instance_id: Option<String> [4.., ignorable],
        client_id: String,
        client_host: String,
        member_metadata: Bytes,
        member_assignment: Bytes,
    }
}

api!(DescribeGroups: DescribeGroupsRequest => DescribeGroupsResponse);
