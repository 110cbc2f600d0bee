//! JoinGroup (11): a member that joins a group, and waits for the others.

use bytes::Bytes;

use crate::codec::structs;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Joins a group. A new member has an empty id; times in milliseconds.
    pub struct JoinGroupRequest {
        group_id: String,
        session_timeout_ms: i32,
        rebalance_timeout_ms: i32 [1.., ignorable] = -1,
        member_id: String,
        group_instance_id: Option<String> [5..],
        protocol_type: String,
        protocols: Vec<JoinGroupRequestProtocol>,
        reason: Option<String> [8.., ignorable],
    }

    /// A way of assigning that the member knows, and what it says of itself for it.
    pub struct JoinGroupRequestProtocol {
        name: String,
        metadata: Bytes,
    }

    /// The generation that was made; the leader is told its members.
    pub struct JoinGroupResponse {
        throttle_time_ms: i32 [2.., ignorable],
        error_code: ErrorCode,
        generation_id: i32 = -1,
        protocol_type: Option<String> [7.., ignorable],
        protocol_name: Option<String> [0.., null 7..],
        leader: String,
        skip_assignment: bool [9..],
        member_id: String,
        members: Vec<JoinGroupResponseMember>,
    }

    /// A member and what it said of itself.
    pub struct JoinGroupResponseMember {
        member_id: String,
        group_instance_id: Option<String> [5.., ignorable],
        metadata: Bytes,
    }
}

api!(JoinGroup: JoinGroupRequest => JoinGroupResponse);
