//! IncrementalAlterConfigs (44): single settings (KIP-339).

use crate::codec::structs;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Changes, or only a check of them.
    pub struct IncrementalAlterConfigsRequest {
        resources: Vec<AlterConfigsResource>,
        validate_only: bool,
    }

    /// The changes of one resource; types as in AlterConfigs.
    pub struct AlterConfigsResource {
        resource_type: i8,
        resource_name: String,
        configs: Vec<AlterableConfig>,
    }

    /// A change: 0 set, 1 delete, 2 append to a list, 3 subtract from a list.
    pub struct AlterableConfig {
        name: String,
        config_operation: i8,
        value: Option<String>,
    }

    /// What became of each.
    pub struct IncrementalAlterConfigsResponse {
        throttle_time_ms: i32,
        responses: Vec<AlterConfigsResourceResponse>,
    }

    /// What became of one resource.
    pub struct AlterConfigsResourceResponse {
        error_code: ErrorCode,
        error_message: Option<String>,
        resource_type: i8,
        resource_name: String,
    }
}

api!(IncrementalAlterConfigs: IncrementalAlterConfigsRequest => IncrementalAlterConfigsResponse);
