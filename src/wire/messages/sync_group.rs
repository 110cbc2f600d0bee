//! SyncGroup (14): the leader gives out assignments, every member gets its own.

use bytes::Bytes;

use crate::codec::structs;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Asks for the member's assignment; the leader brings everybody's.
    pub struct SyncGroupRequest {
        group_id: String,
        generation_id: i32,
        member_id: String,
        group_instance_id: Option<String> [3..],
        protocol_type: Option<String> [5.., ignorable],
        protocol_name: Option<String> [5.., ignorable],
        assignments: Vec<SyncGroupRequestAssignment>,
    }

    /// What a member is assigned.
    pub struct SyncGroupRequestAssignment {
        member_id: String,
        assignment: Bytes,
    }

    /// What the member is assigned.
    pub struct SyncGroupResponse {
        throttle_time_ms: i32 [1.., ignorable],
        error_code: ErrorCode,
        protocol_type: Option<String> [5.., ignorable],
        protocol_name: Option<String> [5.., ignorable],
        assignment: Bytes,
    }
}

api!(SyncGroup: SyncGroupRequest => SyncGroupResponse);
