//! ApiVersions (18): which APIs and versions the other side speaks; never refused for its version.

use crate::codec::structs;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Asks which APIs and versions a broker speaks (KIP-35).
    pub struct ApiVersionsRequest {
        client_software_name: String [3.., ignorable],
        client_software_version: String [3.., ignorable],
    }

    /// The APIs and versions spoken; for a request of a later version always said in version 0 (KIP-511).
    pub struct ApiVersionsResponse {
        error_code: ErrorCode,
        api_keys: Vec<ApiVersion>,
        throttle_time_ms: i32 [1.., ignorable],
        supported_features: Vec<SupportedFeatureKey> [3.., tag 0, ignorable],
        finalized_features_epoch: i64 [3.., tag 1, ignorable] = -1,
        finalized_features: Vec<FinalizedFeatureKey> [3.., tag 2, ignorable],
        zk_migration_ready: bool [3.., tag 3, ignorable],
    }

    /// One API and the versions of it.
    pub struct ApiVersion {
        api_key: i16,
        min_version: i16,
        max_version: i16,
    }

    /// A feature and the levels that the broker could run at (KIP-584).
    pub struct SupportedFeatureKey {
        name: String,
        min_version: i16,
        max_version: i16,
    }

    /// A feature and the levels that the cluster runs at (KIP-584).
    pub struct FinalizedFeatureKey {
        name: String,
        max_version_level: i16,
        min_version_level: i16,
    }
}

api!(ApiVersions: ApiVersionsRequest => ApiVersionsResponse);
