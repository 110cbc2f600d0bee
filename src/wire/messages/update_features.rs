//! UpdateFeatures (57): finalized feature levels (KIP-584).

use crate::codec::structs;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Levels to set, or only a check of them.
    pub struct UpdateFeaturesRequest {
        timeout_ms: i32 = 60000,
        feature_updates: Vec<FeatureUpdateKey>,
        validate_only: bool [1..],
    }

    /// A level; 0 takes the feature away. Upgrade type: 1 upgrade, 2 safe downgrade, 3 unsafe downgrade.
    pub struct FeatureUpdateKey {
        feature: String,
        max_version_level: i16,
        allow_downgrade: bool [..=0],
        upgrade_type: i8 [1..] = 1,
    }

    /// What became of each, up to version 1 one by one.
    pub struct UpdateFeaturesResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<String>,
        results: Vec<UpdatableFeatureResult> [..=1, ignorable],
    }

    /// What became of one feature.
    pub struct UpdatableFeatureResult {
        feature: String,
        error_code: ErrorCode,
        error_message: Option<String>,
    }
}

api!(UpdateFeatures: UpdateFeaturesRequest => UpdateFeaturesResponse);
