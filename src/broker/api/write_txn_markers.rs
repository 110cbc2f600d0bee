//! WriteTxnMarkers (27), versions 1 and 2: the ends of transactions, written as a coordinator would have them, also by an
//! admin that ends one which no coordinator knows. Takes Alter or ClusterAction on the cluster; answered once on disk.
//! Refuses coordinator epochs that are still to come: they would shut out this node's own coordinator.

use std::sync::Arc;

use super::{error, group_code, operations};
use crate::auth::acl::{CLUSTER, Operation, ResourceType};
use crate::broker::transactions::Transactions;
use crate::broker::{Broker, Partition, Peer};
use crate::model::name::CONSUMER_OFFSETS;
use crate::storage::ActiveProducer;
use crate::wire::error::ErrorCode;
use crate::wire::messages::write_txn_markers::{
    WritableTxnMarker, WritableTxnMarkerPartitionResult, WritableTxnMarkerResult,
    WritableTxnMarkerTopicResult, WriteTxnMarkersRequest, WriteTxnMarkersResponse,
};

pub(super) async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    request: WriteTxnMarkersRequest,
) -> WriteTxnMarkersResponse {
    let may = match broker.would_let(peer, Operation::Alter, ResourceType::Cluster, CLUSTER) {
        true => Ok(()),
        false => operations::cluster(broker, peer, Operation::ClusterAction).map_err(|(code, _)| code),
    };
    let mut markers = Vec::with_capacity(request.markers.len());
    for marker in request.markers {
        let mut waiting = Vec::new();
        let mut topics = Vec::with_capacity(marker.topics.len());
        for topic in &marker.topics {
            let mut partitions = Vec::with_capacity(topic.partition_indexes.len());
            for &index in &topic.partition_indexes {
                let written = match may {
                    Ok(()) => write(broker, &marker, &topic.name, index).await,
                    Err(code) => Err(code),
                };
                let at = (topics.len(), partitions.len());
                let error_code = match written {
                    Ok((partition, offset)) => {
                        waiting.push((at, partition, offset));
                        ErrorCode::NONE
                    }
                    Err(code) => code,
                };
                partitions.push(WritableTxnMarkerPartitionResult { partition_index: index, error_code });
            }
            topics.push(WritableTxnMarkerTopicResult { name: topic.name.clone(), partitions });
        }
        for ((topic, place), partition, offset) in waiting {
            // On disk also where the topic is not synced; then below the high watermark, which follows a moment later.
            let durable = match partition.synced(offset).await {
                Ok(()) => partition.durable(offset).await,
                failed => failed,
            };
            let answer = topics.get_mut(topic).and_then(|topic| topic.partitions.get_mut(place));
            if let (Err(failed), Some(answer)) = (durable, answer) {
                answer.error_code = error::of_broker(&failed);
            }
        }
        markers.push(WritableTxnMarkerResult { producer_id: marker.producer_id, topics });
    }
    WriteTxnMarkersResponse { markers }
}

/// Appends one marker; answers where it is and the offset to wait for.
async fn write(
    broker: &Arc<Broker>,
    marker: &WritableTxnMarker,
    topic: &str,
    index: i32,
) -> Result<(Arc<Partition>, i64), ErrorCode> {
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let found = broker.topic(topic).ok_or(unknown)?;
    let partition =
        broker.partition_of(&found, index).map_err(|error| error::of_storage(&error))?.ok_or(unknown)?;
    let (producer, epoch, commit) = (marker.producer_id, marker.producer_epoch, marker.transaction_result);
    let (coordinator, version) = (marker.coordinator_epoch, i16::from(marker.transaction_version));
    // The epoch that the log knows is what DescribeProducers gives to who wants to end a transaction by hand.
    let known = |found: ActiveProducer| coordinator <= found.coordinator_epoch;
    if !Transactions::knows_epoch(broker, coordinator)
        && !partition.producer(producer).map_err(|error| error::of_broker(&error))?.is_some_and(known)
    {
        tracing::warn!(
            topic,
            index,
            "a marker is refused: no coordinator has come to the epoch {coordinator} yet, which would shut out this node's"
        );
        return Err(ErrorCode::INVALID_REQUEST);
    }
    if topic == CONSUMER_OFFSETS {
        let offset = broker
            .groups()
            .end_transaction(broker, index, producer, epoch, commit, coordinator, version)
            .await
            .map_err(group_code::code)?;
        return Ok((partition, offset));
    }
    let now = broker.clock().wall_ms();
    let appended = partition.append_marker(producer, epoch, commit, coordinator, version, now);
    match appended {
        Ok(appended) => Ok((partition, appended.last_offset)),
        Err(failed) => Err(error::of_broker(&failed)),
    }
}
