//! CreateAcls (30): new rules (KIP-140).

use crate::codec::structs;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Rules to make.
    pub struct CreateAclsRequest {
        creations: Vec<AclCreation>,
    }

    /// A rule. Pattern types: 3 literal, 4 prefixed.
    pub struct AclCreation {
        resource_type: i8,
        resource_name: String,
        resource_pattern_type: i8 = 3,
        principal: String,
        host: String,
        operation: i8,
        permission_type: i8,
    }

    /// What became of each.
    pub struct CreateAclsResponse {
        throttle_time_ms: i32,
        results: Vec<AclCreationResult>,
    }

    /// What became of one rule.
    pub struct AclCreationResult {
        error_code: ErrorCode,
        error_message: Option<String>,
    }
}

api!(CreateAcls: CreateAclsRequest => CreateAclsResponse);
