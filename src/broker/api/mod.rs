//! The Kafka APIs that are served, one file each, and the one place that a request goes through; what is not in a
//! table of `families` is never served.

mod answer;
mod api_versions;
mod configs;
pub mod consumer_group_describe;
pub mod consumer_group_heartbeat;
mod create_topics;
pub mod delete_groups;
mod delete_topics;
mod describe_configs;
pub mod describe_groups;
mod error;
mod families;
mod fetch;
mod fetch_read;
pub mod find_coordinator;
mod group_access;
mod group_code;
pub mod heartbeat;
mod init_producer_id;
pub mod join_group;
pub mod leave_group;
pub mod list_groups;
mod list_offsets;
mod metadata;
pub mod offset_commit;
pub mod offset_delete;
pub mod offset_fetch;
mod produce;
pub mod sync_group;

pub use answer::{Outcome, Part, Reply};
pub use families::SERVED;

use std::sync::Arc;

use bytes::Bytes;

use super::{Broker, Peer};
use crate::wire::api::ApiKey;
use crate::wire::frame::RequestHeader;

/// Serves one request. The answers of one connection are to be sent in the order of its requests; the next request may
/// be begun as soon as this returns, while an [`Outcome::Later`] is still awaited. A fetch that finds nothing waits in
/// here for as long as it asks to.
pub async fn call(broker: &Arc<Broker>, peer: &Peer, header: &RequestHeader, body: Bytes) -> Outcome {
    let Some(key) = header.key().filter(|key| SERVED.contains(key)) else {
        return Outcome::Close(format!("API {} is not served here", header.api_key));
    };
    let version = header.api_version;
    if !key.supports(version) {
        if key == ApiKey::ApiVersions {
            return api_versions::refuse_version(header);
        }
        return Outcome::Close(format!(
            "version {version} of API {} is not served here ({} to {})",
            key.name(),
            key.min_version(),
            key.max_version()
        ));
    }
    match key {
        ApiKey::Produce => produce::call(broker, header, body).await,
        ApiKey::Fetch => Box::pin(fetch::call(broker, header, body)).await,
        other => families::call(other, broker, peer, header, body).await,
    }
}

fn unserved(key: ApiKey) -> Outcome {
    Outcome::Close(format!("API {} is not served here", key.name()))
}
