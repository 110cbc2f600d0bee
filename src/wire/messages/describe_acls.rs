//! DescribeAcls (29): which rules there are (KIP-140). Numbers are those of `ResourceType`, `PatternType`, `AclOperation`, `AclPermissionType`.

use crate::codec::structs;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// A filter; what is `None` or 1 (any) matches all.
    pub struct DescribeAclsRequest {
        resource_type_filter: i8,
        resource_name_filter: Option<String>,
        pattern_type_filter: i8 = 3,
        principal_filter: Option<String>,
        host_filter: Option<String>,
        operation: i8,
        permission_type: i8,
    }

    /// The rules that match.
    pub struct DescribeAclsResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<String>,
        resources: Vec<DescribeAclsResource>,
    }

    /// The rules of one resource pattern.
    pub struct DescribeAclsResource {
        resource_type: i8,
        resource_name: String,
        pattern_type: i8 = 3,
        acls: Vec<AclDescription>,
    }

    /// One rule.
    pub struct AclDescription {
        principal: String,
        host: String,
        operation: i8,
        permission_type: i8,
    }
}

api!(DescribeAcls: DescribeAclsRequest => DescribeAclsResponse);
