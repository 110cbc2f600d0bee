//! ListOffsets (2), versions 1 to 11: where logs begin and end, and the first record at or after a time. The end is
//! answered after a sync that covers everything appended before, and never on the word of a checkpoint alone. Refuses
//! special timestamps in versions that do not have them; what lies in remote storage is nothing (-1).

use std::collections::HashMap;
use std::sync::Arc;

use super::{error, operations};
use crate::auth::acl::Operation;
use crate::broker::{Broker, BrokerError, Partition, Peer};
use crate::storage::StorageError;
use crate::wire::error::ErrorCode;
use crate::wire::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopicResponse,
};

const READ_COMMITTED: i8 = 1;

/// The special timestamps (`ListOffsetsRequest` of Kafka's clients).
mod special {
    pub(super) const LATEST: i64 = -1;
    pub(super) const EARLIEST: i64 = -2;
    pub(super) const MAX_TIMESTAMP: i64 = -3;
    pub(super) const EARLIEST_LOCAL: i64 = -4;
    pub(super) const LATEST_TIERED: i64 = -5;
    pub(super) const EARLIEST_PENDING_UPLOAD: i64 = -6;
}

pub(super) async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    version: i16,
    request: ListOffsetsRequest,
) -> ListOffsetsResponse {
    let mut times: HashMap<(String, i32), usize> = HashMap::new();
    for topic in &request.topics {
        for asked in &topic.partitions {
            *times.entry((topic.name.clone(), asked.partition_index)).or_default() += 1;
        }
    }
    let committed = request.isolation_level == READ_COMMITTED;
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        let allowed = operations::topic(broker, peer, Operation::Describe, &topic.name);
        let refused = allowed.err().map(|(code, _)| code);
        for asked in &topic.partitions {
            // A partition that is there several times has one answer.
            let Some(times) = times.remove(&(topic.name.clone(), asked.partition_index)) else { continue };
            let answer = if let Some(code) = refused {
                Err(code)
            } else if times == 1 {
                partition(broker, version, &topic.name, asked, committed).await
            } else {
                Err(ErrorCode::INVALID_REQUEST)
            };
            partitions.push(answer.unwrap_or_else(|error_code| ListOffsetsPartitionResponse {
                partition_index: asked.partition_index,
                error_code,
                ..ListOffsetsPartitionResponse::default()
            }));
        }
        topics.push(ListOffsetsTopicResponse { name: topic.name, partitions });
    }
    ListOffsetsResponse { topics, ..ListOffsetsResponse::default() }
}

async fn partition(
    broker: &Arc<Broker>,
    version: i16,
    topic: &str,
    asked: &ListOffsetsPartition,
    committed: bool,
) -> Result<ListOffsetsPartitionResponse, ErrorCode> {
    let found = broker.topic(topic).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    let partition = broker
        .partition_of(&found, asked.partition_index)
        .map_err(|error| error::of_storage(&error))?
        .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    error::check_epoch(&partition, asked.current_leader_epoch)?;
    let first_version = match asked.timestamp {
        special::EARLIEST_PENDING_UPLOAD => 11,
        special::LATEST_TIERED => 9,
        special::EARLIEST_LOCAL => 8,
        special::MAX_TIMESTAMP => 7,
        i64::MIN..special::EARLIEST_PENDING_UPLOAD => i16::MAX,
        _ => 1,
    };
    if version < first_version {
        return Err(ErrorCode::UNSUPPORTED_VERSION);
    }
    loaded(broker, &partition).await?;
    if asked.timestamp == special::LATEST {
        partition.settled().await.map_err(|error| error::of_broker(&error))?;
    }
    let at = |timestamp, offset, leader_epoch| ListOffsetsPartitionResponse {
        partition_index: asked.partition_index,
        timestamp,
        offset,
        // Earlier versions can not say it.
        leader_epoch: if version >= 4 { leader_epoch } else { -1 },
        ..ListOffsetsPartitionResponse::default()
    };
    Ok(match asked.timestamp {
        special::LATEST => at(-1, partition.marks().end(committed), partition.leader_epoch()),
        special::EARLIEST | special::EARLIEST_LOCAL => at(-1, partition.log_start(), first_epoch(&partition)),
        special::LATEST_TIERED | special::EARLIEST_PENDING_UPLOAD => at(-1, -1, -1),
        timestamp => {
            // Index and segment are read: not on the worker's time.
            let found = broker.blocking(move |_| match timestamp {
                special::MAX_TIMESTAMP => partition.max_timestamp(committed),
                _ => partition.lookup_time(timestamp, committed),
            });
            let found: Result<_, StorageError> =
                found.await.map_err(|error: BrokerError| error::of_broker(&error))?;
            match found.map_err(|error| error::of_storage(&error))? {
                Some(found) => at(found.timestamp, found.offset, found.leader_epoch),
                None => at(-1, -1, -1),
            }
        }
    })
}

/// Sees to it that the log was looked at: one whose file lost its tail while the daemon was stopped ends earlier than
/// the checkpoint says, and whoever reads up to that end would wait for ever.
async fn loaded(broker: &Arc<Broker>, partition: &Arc<Partition>) -> Result<(), ErrorCode> {
    let log = partition.log();
    if log.size_if_loaded().is_some() {
        return Ok(());
    }
    let log = Arc::clone(log);
    let size = broker.blocking(move |_| log.size()).await.map_err(|error| error::of_broker(&error))?;
    size.map(|_| ()).map_err(|error| error::of_storage(&error))
}

fn first_epoch(partition: &Partition) -> i32 {
    let epochs = partition.log().leader_epochs().unwrap_or_default();
    epochs.first().map_or(partition.leader_epoch(), |(epoch, _)| *epoch)
}
