//! LeaveGroup (13): members that leave a group.

use crate::codec::structs;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Takes a member out of the group, from version 3 on several (KIP-345).
    pub struct LeaveGroupRequest {
        group_id: String,
        member_id: String [..=2],
        members: Vec<MemberIdentity> [3..],
    }

    /// A member by id, or by instance id with the id empty.
    pub struct MemberIdentity {
        member_id: String,
        group_instance_id: Option<String>,
        reason: Option<String> [5.., ignorable],
    }

    /// Who left.
    pub struct LeaveGroupResponse {
        throttle_time_ms: i32 [1.., ignorable],
        error_code: ErrorCode,
        members: Vec<MemberResponse> [3..],
    }

    /// What became of one member.
    pub struct MemberResponse {
        member_id: String,
        group_instance_id: Option<String>,
        error_code: ErrorCode,
    }
}

api!(LeaveGroup: LeaveGroupRequest => LeaveGroupResponse);
