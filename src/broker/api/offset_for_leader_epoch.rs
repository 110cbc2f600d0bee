//! OffsetForLeaderEpoch (23), versions 2 to 4: where an epoch ended, by which a client finds out that records it read
//! are gone (KIP-101, KIP-320). The epoch under way ends at the high watermark: nothing behind it was ever seen.

use std::sync::Arc;

use super::{error, operations};
use crate::auth::acl::Operation;
use crate::broker::{Broker, Partition, Peer};
use crate::storage::StorageError;
use crate::wire::error::ErrorCode;
use crate::wire::messages::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderPartition,
    OffsetForLeaderTopicResult,
};

pub(super) async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in &topic.partitions {
            let answer = match end_of(broker, peer, &topic.topic, asked).await {
                Ok((leader_epoch, end_offset)) => {
                    EpochEndOffset { leader_epoch, end_offset, ..Default::default() }
                }
                Err(error_code) => EpochEndOffset { error_code, ..Default::default() },
            };
            partitions.push(EpochEndOffset { partition: asked.partition, ..answer });
        }
        topics.push(OffsetForLeaderTopicResult { topic: topic.topic, partitions });
    }
    OffsetForLeaderEpochResponse { topics, ..Default::default() }
}

async fn end_of(
    broker: &Arc<Broker>,
    peer: &Peer,
    topic: &str,
    asked: &OffsetForLeaderPartition,
) -> Result<(i32, i64), ErrorCode> {
    operations::topic(broker, peer, Operation::Describe, topic).map_err(|(code, _)| code)?;
    let topic = broker.topic(topic).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    let partition = broker
        .partition_of(&topic, asked.partition)
        .map_err(|error| error::of_storage(&error))?
        .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    error::check_epoch(&partition, asked.current_leader_epoch)?;
    let epoch = asked.leader_epoch;
    let found = broker.blocking(move |_| look_up(&partition, epoch)).await;
    found.map_err(|error| error::of_broker(&error))?.map_err(|error| error::of_storage(&error))
}

/// The largest epoch up to `epoch` and where it ended; before the first one known, where that began. -1 for what can
/// not be known.
fn look_up(partition: &Partition, epoch: i32) -> Result<(i32, i64), StorageError> {
    let log = partition.log();
    // Loads it: a file that lost its tail ends earlier than its mark.
    log.size()?;
    if epoch == -1 || epoch > partition.leader_epoch() {
        return Ok((-1, -1));
    }
    let end = partition.high_watermark();
    if epoch == partition.leader_epoch() {
        return Ok((epoch, end));
    }
    Ok(match log.epoch_end(epoch)? {
        Some((found, offset)) => (found, offset.min(end)),
        None => (epoch, log.leader_epochs()?.first().map_or(partition.log_start(), |(_, from)| *from)),
    })
}
