//! DeleteRecords (21), versions 0 to 2: log starts move up, -1 to the high watermark (KIP-107); durable when answered.
//! Refuses offsets beyond the high watermark, and topics that are only compacted.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{error, operations};
use crate::auth::acl::Operation;
use crate::broker::{Broker, Peer};
use crate::wire::error::ErrorCode;
use crate::wire::messages::delete_records::{
    DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsTopicResult,
};

pub(super) async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    request: DeleteRecordsRequest,
) -> DeleteRecordsResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        // A partition named twice has one answer, the last one's, as in Kafka.
        let asked: BTreeMap<i32, i64> =
            topic.partitions.iter().map(|one| (one.partition_index, one.offset)).collect();
        let mut partitions = Vec::with_capacity(asked.len());
        for (partition_index, offset) in asked {
            let (low_watermark, error_code) =
                match delete(broker, peer, &topic.name, partition_index, offset).await {
                    Ok(start) => (start, ErrorCode::NONE),
                    Err(code) => (-1, code),
                };
            partitions.push(DeleteRecordsPartitionResult { partition_index, low_watermark, error_code });
        }
        topics.push(DeleteRecordsTopicResult { name: topic.name, partitions });
    }
    DeleteRecordsResponse { topics, ..Default::default() }
}

async fn delete(
    broker: &Arc<Broker>,
    peer: &Peer,
    name: &str,
    partition: i32,
    before: i64,
) -> Result<i64, ErrorCode> {
    operations::topic(broker, peer, Operation::Delete, name).map_err(|(code, _)| code)?;
    let topic = broker.topic(name).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    if topic.is_internal() {
        return Err(ErrorCode::INVALID_TOPIC_EXCEPTION);
    }
    let partition = broker
        .partition_of(&topic, partition)
        .map_err(|error| error::of_storage(&error))?
        .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    let settings = topic.settings();
    if settings.compacted && !settings.log.delete_by_retention {
        return Err(ErrorCode::POLICY_VIOLATION);
    }
    // What was acknowledged before its sync (acks=1) is the client's to delete: the high watermark is to cover it.
    partition.settled().await.map_err(|error| error::of_broker(&error))?;
    let done = broker.blocking(move |_| partition.delete_records(before)).await;
    done.and_then(|done| done).map_err(|error| error::of_broker(&error))
}
