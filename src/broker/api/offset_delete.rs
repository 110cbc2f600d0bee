//! OffsetDelete, version 0: positions of a group are taken away (KIP-496). Refused: GROUP_SUBSCRIBED_TO_TOPIC while a
//! member reads the topic, NON_EMPTY_GROUP where what is read can not be told.

use std::sync::Arc;

use super::group_access::{may, may_topic};
use super::group_code::{code, outcome};
use crate::auth::acl::Operation;
use crate::broker::{Broker, Peer};
use crate::model::id::TopicPartition;
use crate::wire::error::ErrorCode;
use crate::wire::frame::RequestHeader;
use crate::wire::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteResponse, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};

/// Answers an OffsetDelete.
pub async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    _header: &RequestHeader,
    request: OffsetDeleteRequest,
) -> OffsetDeleteResponse {
    let refused = |error_code| OffsetDeleteResponse { error_code, ..OffsetDeleteResponse::default() };
    if let Err(refusal) = may(broker, peer, Operation::Delete, &request.group_id) {
        return refused(refusal);
    }
    if request.group_id.is_empty() {
        return refused(ErrorCode::INVALID_GROUP_ID);
    }
    let mut topics = Vec::with_capacity(request.topics.len());
    let mut wanted = Vec::new();
    for topic in request.topics {
        let readable = may_topic(broker, peer, Operation::Read, &topic.name);
        let size = broker.partition_count(&topic.name).unwrap_or(0);
        let name: Arc<str> = topic.name.as_str().into();
        let partitions = topic.partitions.into_iter().map(|asked| {
            let partition_index = asked.partition_index;
            let error_code = if !readable {
                ErrorCode::TOPIC_AUTHORIZATION_FAILED
            } else if (0..size).contains(&partition_index) {
                wanted.push(TopicPartition::new(Arc::clone(&name), partition_index));
                ErrorCode::NONE
            } else {
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            };
            OffsetDeleteResponsePartition { partition_index, error_code }
        });
        let partitions = partitions.collect();
        topics.push(OffsetDeleteResponseTopic { name: topic.name, partitions });
    }
    match broker.groups().delete_offsets(broker, &request.group_id, &wanted).await {
        Err(error) => refused(code(error)),
        Ok(results) => {
            let every = topics.iter_mut().flat_map(|topic| &mut topic.partitions);
            let asked = every.filter(|partition| partition.error_code.is_ok());
            for (partition, result) in asked.zip(results) {
                partition.error_code = outcome(result);
            }
            OffsetDeleteResponse { topics, ..OffsetDeleteResponse::default() }
        }
    }
}
