//! The Kafka APIs that are served, one file each, and the one place that a request goes through; what is not in a
//! table of `families` is never served.

mod access_words;
mod add_offsets_to_txn;
mod add_partitions_to_txn;
mod alter;
mod alter_configs;
mod alter_partition_reassignments;
mod alter_replica_log_dirs;
mod alter_user_scram_credentials;
mod answer;
mod api_versions;
mod assignment;
mod configs;
pub mod consumer_group_describe;
pub mod consumer_group_heartbeat;
mod create_acls;
mod create_partitions;
mod create_topics;
mod delete_acls;
pub mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_acls;
mod describe_client_quotas;
mod describe_cluster;
mod describe_configs;
pub mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_quorum;
mod describe_topic_partitions;
mod describe_transactions;
mod describe_user_scram_credentials;
mod elect_leaders;
mod end_txn;
mod error;
mod families;
mod fetch;
mod fetch_read;
pub mod find_coordinator;
mod gate;
mod group_access;
mod group_code;
pub mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
pub mod join_group;
pub mod leave_group;
mod list_config_resources;
pub mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod list_transactions;
mod metadata;
pub mod offset_commit;
pub mod offset_delete;
pub mod offset_fetch;
mod offset_for_leader_epoch;
mod operations;
mod produce;
mod produce_txn;
mod sasl_authenticate;
mod sasl_handshake;
pub mod sync_group;
mod txn_code;
mod txn_offset_commit;
mod update_features;
mod write_txn_markers;

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
    if let Some(refusal) = gate::refusal(broker, peer, key) {
        return Outcome::Close(refusal);
    }
    if let Some(id) = header.client_id.as_deref() {
        peer.note_client_id(id);
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
        ApiKey::Produce => produce::call(broker, peer, header, body).await,
        ApiKey::Fetch => Box::pin(fetch::call(broker, peer, header, body)).await,
        ApiKey::SaslHandshake => Box::pin(sasl_handshake::call(broker, peer, header, body)).await,
        ApiKey::SaslAuthenticate => Box::pin(sasl_authenticate::call(broker, peer, header, body)).await,
        other => families::call(other, broker, peer, header, body).await,
    }
}

/// Takes a frame that is a SASL message without a request's head ([`Peer::speaks_raw`]); the answer has none either.
pub async fn call_raw(broker: &Arc<Broker>, peer: &Peer, message: Bytes) -> Outcome {
    gate::raw(broker, peer, message).await
}

fn unserved(key: ApiKey) -> Outcome {
    Outcome::Close(format!("API {} is not served here", key.name()))
}
