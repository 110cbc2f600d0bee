//! AlterConfigs (33): settings as a whole: what is not named loses its value (KIP-133; IncrementalAlterConfigs takes its place).

use crate::codec::structs;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Resources and all their settings.
    pub struct AlterConfigsRequest {
        resources: Vec<AlterConfigsResource>,
        validate_only: bool,
    }

    /// A resource: 2 topic, 4 broker, 8 broker logger, 16 client metrics, 32 group.
    pub struct AlterConfigsResource {
        resource_type: i8,
        resource_name: String,
        configs: Vec<AlterableConfig>,
    }

    /// A setting; `None` for its default.
    pub struct AlterableConfig {
        name: String,
        value: Option<String>,
    }

    /// What became of each.
    pub struct AlterConfigsResponse {
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

api!(AlterConfigs: AlterConfigsRequest => AlterConfigsResponse);
