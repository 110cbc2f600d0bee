//! ListConfigResources (74): what there are settings of (KIP-1142; version 0 lists client metrics, KIP-1000).

use crate::codec::structs;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Of which types; none for all.
    pub struct ListConfigResourcesRequest {
        resource_types: Vec<i8> [1..],
    }

    /// What there is.
    pub struct ListConfigResourcesResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        config_resources: Vec<ConfigResource>,
    }

    /// A resource; types as in AlterConfigs, version 0 has 16 (client metrics) alone.
    pub struct ConfigResource {
        resource_name: String,
        resource_type: i8 [1.., ignorable] = 16,
    }
}

api!(ListConfigResources: ListConfigResourcesRequest => ListConfigResourcesResponse);
