//! ApiVersions (18), versions 0 to 4: built from the table of what is served, never typed twice. Any other version is
//! answered in version 0 with UNSUPPORTED_VERSION and the versions of this API (KIP-511). Refuses client names that
//! KIP-511 does not allow. From 3 on with the features that this build knows and the levels they are finalized at
//! (KIP-584); below 4 without those whose lowest level is 0, which older clients do not take.

use std::sync::Arc;

use super::answer::{Outcome, encode};
use super::{Part, Reply, SERVED};
use crate::broker::Broker;
use crate::broker::catalog::FEATURES;
use crate::wire::api::ApiKey;
use crate::wire::error::ErrorCode;
use crate::wire::frame::RequestHeader;
use crate::wire::messages::api_versions::{
    ApiVersion, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey,
};

pub(super) async fn handle(
    broker: &Arc<Broker>,
    version: i16,
    request: ApiVersionsRequest,
) -> ApiVersionsResponse {
    let named =
        is_client_name(&request.client_software_name) && is_client_name(&request.client_software_version);
    if version >= 3 && !named {
        return ApiVersionsResponse {
            error_code: ErrorCode::INVALID_REQUEST,
            ..ApiVersionsResponse::default()
        };
    }
    let supported = FEATURES.iter().filter(|feature| version >= 4 || feature.min > 0);
    let (finalized, epoch) = broker.features();
    ApiVersionsResponse {
        api_keys: SERVED.iter().copied().map(said).collect(),
        supported_features: supported
            .map(|feature| SupportedFeatureKey {
                name: feature.name.to_owned(),
                min_version: feature.min,
                max_version: feature.max,
            })
            .collect(),
        finalized_features_epoch: epoch,
        finalized_features: finalized
            .into_iter()
            .map(|(name, level)| FinalizedFeatureKey {
                name,
                max_version_level: level,
                min_version_level: level,
            })
            .collect(),
        ..ApiVersionsResponse::default()
    }
}

/// The answer to a version that is not known here.
pub(super) fn refuse_version(header: &RequestHeader) -> Outcome {
    let response = ApiVersionsResponse {
        error_code: ErrorCode::UNSUPPORTED_VERSION,
        api_keys: vec![said(ApiKey::ApiVersions)],
        ..ApiVersionsResponse::default()
    };
    let header = RequestHeader { api_version: 0, ..header.clone() };
    match encode(&header, &response) {
        Some(bytes) => Outcome::Reply(Reply { parts: vec![Part::Bytes(bytes)] }),
        None => Outcome::Close("ApiVersions can not be answered".to_owned()),
    }
}

fn said(key: ApiKey) -> ApiVersion {
    ApiVersion {
        api_key: key.code(),
        min_version: key.advertised_min_version(),
        max_version: key.max_version(),
    }
}

/// Letters and digits, with dashes and dots between them.
fn is_client_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(|byte| inner(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_names_are_held_against_the_rule() {
        for good in ["librdkafka", "apache-kafka-java", "2.3.0", "a"] {
            assert!(is_client_name(good), "{good}");
        }
        for bad in ["", "-a", "a.", "a b", "a_b"] {
            assert!(!is_client_name(bad), "{bad}");
        }
    }
}
