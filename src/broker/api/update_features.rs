//! UpdateFeatures (57), versions 0 to 2: levels that features are finalized at (KIP-584, KIP-778), all or none, durable
//! when answered. Refuses unknown features and levels, ways down that were not allowed, and any way down of
//! `metadata.version`.

use std::sync::Arc;

use super::error;
use super::operations::{self, Refused};
use crate::auth::acl::Operation;
use crate::broker::catalog::Upgrade;
use crate::broker::{Broker, Peer};
use crate::wire::error::ErrorCode;
use crate::wire::messages::update_features::{
    FeatureUpdateKey, UpdatableFeatureResult, UpdateFeaturesRequest, UpdateFeaturesResponse,
};

pub(super) async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    version: i16,
    request: UpdateFeaturesRequest,
) -> UpdateFeaturesResponse {
    let names: Vec<String> = request.feature_updates.iter().map(|update| update.feature.clone()).collect();
    let updated = match operations::cluster(broker, peer, Operation::Alter) {
        Ok(()) => update(broker, version, request).await,
        Err(refused) => Err(refused),
    };
    let (error_code, error_message, results) = match updated {
        Ok(()) => {
            let results =
                names.into_iter().map(|feature| UpdatableFeatureResult { feature, ..Default::default() });
            (ErrorCode::NONE, None, results.collect())
        }
        Err((code, message)) => (code, Some(message), Vec::new()),
    };
    UpdateFeaturesResponse { error_code, error_message, results, ..Default::default() }
}

async fn update(broker: &Arc<Broker>, version: i16, request: UpdateFeaturesRequest) -> Result<(), Refused> {
    let way = |update: FeatureUpdateKey| {
        let upgrade = match (version, update.upgrade_type) {
            (0, _) if update.allow_downgrade => Upgrade::SafeDowngrade,
            (0, _) | (_, 1) => Upgrade::Upgrade,
            (_, 2) => Upgrade::SafeDowngrade,
            (_, 3) => Upgrade::UnsafeDowngrade,
            (_, other) => {
                let text = format!("feature {}: there is no upgrade type {other}", update.feature);
                return Err((ErrorCode::INVALID_UPDATE_VERSION, text));
            }
        };
        Ok((update.feature, update.max_version_level, upgrade))
    };
    let wanted = request.feature_updates.into_iter().map(way).collect::<Result<Vec<_>, Refused>>()?;
    let done = broker.blocking(move |broker| broker.update_features(&wanted, request.validate_only)).await;
    match done {
        Ok(done) => done.map_err(|error| (error::of_admin(&error), error.to_string())),
        Err(error) => Err((error::of_broker(&error), error.to_string())),
    }
}
