//! DeleteAcls (31): rules are to go (KIP-140).

use crate::codec::structs;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Filters; what matches one goes.
    pub struct DeleteAclsRequest {
        filters: Vec<DeleteAclsFilter>,
    }

    /// A filter, as in DescribeAcls.
    pub struct DeleteAclsFilter {
        resource_type_filter: i8,
        resource_name_filter: Option<String>,
        pattern_type_filter: i8 = 3,
        principal_filter: Option<String>,
        host_filter: Option<String>,
        operation: i8,
        permission_type: i8,
    }

    /// What went by each filter.
    pub struct DeleteAclsResponse {
        throttle_time_ms: i32,
        filter_results: Vec<DeleteAclsFilterResult>,
    }

    /// What went by one filter.
    pub struct DeleteAclsFilterResult {
        error_code: ErrorCode,
        error_message: Option<String>,
        matching_acls: Vec<DeleteAclsMatchingAcl>,
    }

    /// A rule that matched.
    pub struct DeleteAclsMatchingAcl {
        error_code: ErrorCode,
        error_message: Option<String>,
        resource_type: i8,
        resource_name: String,
        pattern_type: i8 = 3,
        principal: String,
        host: String,
        operation: i8,
        permission_type: i8,
    }
}

api!(DeleteAcls: DeleteAclsRequest => DeleteAclsResponse);
