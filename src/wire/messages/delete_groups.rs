//! DeleteGroups (42): groups are to go, with their offsets (KIP-229).

use crate::codec::structs;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Which groups.
    pub struct DeleteGroupsRequest {
        groups_names: Vec<String>,
    }

    /// What became of each.
    pub struct DeleteGroupsResponse {
        throttle_time_ms: i32,
        results: Vec<DeletableGroupResult>,
    }

    /// What became of one group.
    pub struct DeletableGroupResult {
        group_id: String,
        error_code: ErrorCode,
    }
}

api!(DeleteGroups: DeleteGroupsRequest => DeleteGroupsResponse);
