//! Heartbeat (12): a group member is alive.

use crate::codec::structs;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Says that a member is alive.
    pub struct HeartbeatRequest {
        group_id: String,
        generation_id: i32,
        member_id: String,
        group_instance_id: Option<String> [3..],
    }

    /// Whether the member still belongs, and whether it is to join anew.
    pub struct HeartbeatResponse {
        throttle_time_ms: i32 [1.., ignorable],
        error_code: ErrorCode,
    }
}

api!(Heartbeat: HeartbeatRequest => HeartbeatResponse);
