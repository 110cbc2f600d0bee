//! FindCoordinator (10): which broker coordinates a group or a transactional id.

use crate::codec::structs;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Asks for the coordinator of a key, from version 4 on of several (KIP-699). Type 0 is a group, 1 a
    /// transactional id, 2 a share group's partition.
    pub struct FindCoordinatorRequest {
        key: String [..=3],
        key_type: i8 [1..],
        coordinator_keys: Vec<String> [4..],
    }

    /// The coordinator: in the fields themselves up to version 3, in the list after that.
    pub struct FindCoordinatorResponse {
        throttle_time_ms: i32 [1.., ignorable],
        error_code: ErrorCode [..=3],
        error_message: Option<String> [1..=3, ignorable],
        node_id: i32 [..=3],
        host: String [..=3],
        port: i32 [..=3],
        coordinators: Vec<Coordinator> [4..],
    }

    /// The coordinator of one key.
    pub struct Coordinator {
        key: String,
        node_id: i32,
        host: String,
        port: i32,
        error_code: ErrorCode,
        error_message: Option<String>,
    }
}

api!(FindCoordinator: FindCoordinatorRequest => FindCoordinatorResponse);
