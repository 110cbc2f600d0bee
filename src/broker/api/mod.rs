//! The Kafka APIs that are served, one file each, and the one place that a request goes through; what is not in the
//! table is never served.

mod answer;
mod api_versions;
mod configs;
mod create_topics;
mod delete_topics;
mod describe_configs;
pub mod describe_groups;
mod error;
mod fetch;
mod fetch_read;
pub mod find_coordinator;
mod gate;
mod group_code;
pub mod heartbeat;
mod init_producer_id;
pub mod join_group;
pub mod leave_group;
pub mod list_groups;
mod list_offsets;
mod metadata;
pub mod offset_commit;
pub mod offset_fetch;
mod produce;
pub mod sync_group;

pub use answer::{Outcome, Part, Reply};

use std::sync::Arc;

use bytes::Bytes;

use super::{Broker, Peer};
use crate::wire::api::ApiKey;
use crate::wire::frame::RequestHeader;
use answer::answer;

/// Everything that is served, in all versions that Apache Kafka 4.3 serves. The answer to ApiVersions is built from
/// this; Produce is advertised from 0 on, so that old clients see that compressed batches are taken.
pub const SERVED: &[ApiKey] = &[
    ApiKey::Produce,
    ApiKey::Fetch,
    ApiKey::ListOffsets,
    ApiKey::Metadata,
    ApiKey::OffsetCommit,
    ApiKey::OffsetFetch,
    ApiKey::FindCoordinator,
    ApiKey::JoinGroup,
    ApiKey::Heartbeat,
    ApiKey::LeaveGroup,
    ApiKey::SyncGroup,
    ApiKey::DescribeGroups,
    ApiKey::ListGroups,
    ApiKey::ApiVersions,
    ApiKey::CreateTopics,
    ApiKey::DeleteTopics,
    ApiKey::InitProducerId,
    ApiKey::DescribeConfigs,
];

/// Serves one request. The answers of one connection are to be sent in the order of its requests; the next request may
/// be begun as soon as this returns, while an [`Outcome::Later`] is still awaited. A fetch that finds nothing waits in
/// here for as long as it asks to.
pub async fn call(broker: &Arc<Broker>, peer: &Peer, header: &RequestHeader, body: Bytes) -> Outcome {
    let Some(key) = header.key().filter(|key| SERVED.contains(key)) else {
        return Outcome::Close(format!("API {} is not served here", header.api_key));
    };
    if let Some(refusal) = gate::refusal(broker, peer, key) {
        return Outcome::Close(refusal);
    }
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
        ApiKey::ListOffsets
        | ApiKey::Metadata
        | ApiKey::ApiVersions
        | ApiKey::CreateTopics
        | ApiKey::DeleteTopics
        | ApiKey::InitProducerId
        | ApiKey::DescribeConfigs => Box::pin(of_topics(key, broker, peer, header, body)).await,
        _ => Box::pin(of_groups(key, broker, peer, header, body)).await,
    }
}

/// Takes a frame that is a SASL message without a request's head ([`Peer::speaks_raw`]); the answer has none either.
pub async fn call_raw(broker: &Arc<Broker>, peer: &Peer, message: Bytes) -> Outcome {
    gate::raw(broker, peer, message).await
}

/// The APIs of topics and of the node.
async fn of_topics(
    key: ApiKey,
    broker: &Arc<Broker>,
    peer: &Peer,
    header: &RequestHeader,
    body: Bytes,
) -> Outcome {
    let version = header.api_version;
    match key {
        ApiKey::ListOffsets => {
            answer(header, body, |asked| list_offsets::handle(broker, version, asked)).await
        }
        ApiKey::Metadata => {
            answer(header, body, |asked| metadata::handle(broker, peer, version, asked)).await
        }
        ApiKey::ApiVersions => answer(header, body, |asked| api_versions::handle(version, asked)).await,
        ApiKey::CreateTopics => {
            answer(header, body, |asked| create_topics::handle(broker, version, asked)).await
        }
        ApiKey::DeleteTopics => {
            answer(header, body, |asked| delete_topics::handle(broker, version, asked)).await
        }
        ApiKey::InitProducerId => answer(header, body, |asked| init_producer_id::handle(broker, asked)).await,
        ApiKey::DescribeConfigs => {
            answer(header, body, |asked| describe_configs::handle(broker, version, asked)).await
        }
        other => unserved(other),
    }
}

/// The APIs of groups.
async fn of_groups(
    key: ApiKey,
    broker: &Arc<Broker>,
    peer: &Peer,
    header: &RequestHeader,
    body: Bytes,
) -> Outcome {
    match key {
        ApiKey::OffsetCommit => {
            answer(header, body, |asked| offset_commit::handle(broker, peer, header, asked)).await
        }
        ApiKey::OffsetFetch => {
            answer(header, body, |asked| offset_fetch::handle(broker, peer, header, asked)).await
        }
        ApiKey::FindCoordinator => {
            answer(header, body, |asked| find_coordinator::handle(broker, peer, header, asked)).await
        }
        ApiKey::JoinGroup => {
            answer(header, body, |asked| join_group::handle(broker, peer, header, asked)).await
        }
        ApiKey::Heartbeat => {
            answer(header, body, |asked| heartbeat::handle(broker, peer, header, asked)).await
        }
        ApiKey::LeaveGroup => {
            answer(header, body, |asked| leave_group::handle(broker, peer, header, asked)).await
        }
        ApiKey::SyncGroup => {
            answer(header, body, |asked| sync_group::handle(broker, peer, header, asked)).await
        }
        ApiKey::DescribeGroups => {
            answer(header, body, |asked| describe_groups::handle(broker, peer, header, asked)).await
        }
        ApiKey::ListGroups => {
            answer(header, body, |asked| list_groups::handle(broker, peer, header, asked)).await
        }
        other => unserved(other),
    }
}

fn unserved(key: ApiKey) -> Outcome {
    Outcome::Close(format!("API {} is not served here", key.name()))
}
