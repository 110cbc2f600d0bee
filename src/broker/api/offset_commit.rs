//! OffsetCommit, versions 2 to 10: synced before it is answered; topics by id from 10 on. An unknown partition is
//! UNKNOWN_TOPIC_OR_PARTITION, an unknown id UNKNOWN_TOPIC_ID, and neither keeps the others from being committed.

use std::sync::Arc;

use super::group_access::{may, may_topic};
use super::group_code::{code, outcome};
use crate::auth::acl::Operation;
use crate::broker::groups::request::{GroupError, NewOffset, Sender};
use crate::broker::{Broker, Peer};
use crate::model::id::TopicId;
use crate::wire::error::ErrorCode;
use crate::wire::frame::RequestHeader;
use crate::wire::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitResponse, OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
};

/// Answers an OffsetCommit once the offsets are on disk.
pub async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    header: &RequestHeader,
    request: OffsetCommitRequest,
) -> OffsetCommitResponse {
    let version = header.api_version;
    let mut topics = Vec::with_capacity(request.topics.len());
    let mut offsets = Vec::new();
    let group_allowed = may(broker, peer, Operation::Read, &request.group_id);
    for topic in request.topics {
        let found =
            group_allowed.and_then(|()| find_topic(broker, peer, version, &topic.name, topic.topic_id));
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in topic.partitions {
            let known = found.as_ref().map_err(|refusal| *refusal).and_then(|topic| {
                let there = (0..topic.partitions).contains(&asked.partition_index);
                if there { Ok(topic) } else { Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) }
            });
            // What may be kept is marked by NONE and gets its result below, in order.
            let error_code = known.map_or_else(|refusal| refusal, |_| ErrorCode::NONE);
            partitions
                .push(OffsetCommitResponsePartition { partition_index: asked.partition_index, error_code });
            if let Ok(topic) = known {
                offsets.push(new_offset(topic, asked));
            }
        }
        topics.push(OffsetCommitResponseTopic { name: topic.name, topic_id: topic.topic_id, partitions });
    }
    let from = Sender {
        generation: request.generation_id_or_member_epoch,
        member_id: &request.member_id,
        instance_id: request.group_instance_id.as_deref(),
        knows_epochs: version >= 9,
    };
    if let Err(refusal) = group_allowed {
        topics.iter_mut().flat_map(|topic| &mut topic.partitions).for_each(|one| one.error_code = refusal);
        return OffsetCommitResponse { topics, ..OffsetCommitResponse::default() };
    }
    let retention_ms = Some(request.retention_time_ms).filter(|&ms| ms >= 0);
    let group = request.group_id.into();
    let results = broker.groups().commit(broker, &group, from, retention_ms, offsets).await;
    let every = topics.iter_mut().flat_map(|topic| &mut topic.partitions);
    match results {
        Ok(results) => {
            let kept = every.filter(|partition| partition.error_code == ErrorCode::NONE);
            for (partition, result) in kept.zip(results) {
                partition.error_code = outcome(result);
            }
        }
        Err(error) => {
            let refusal = refusal(error, version);
            every.for_each(|partition| partition.error_code = refusal);
        }
    }
    OffsetCommitResponse { topics, ..OffsetCommitResponse::default() }
}

struct Topic {
    name: Arc<str>,
    id: TopicId,
    partitions: i32,
}

fn find_topic(
    broker: &Broker,
    peer: &Peer,
    version: i16,
    name: &str,
    id: TopicId,
) -> Result<Topic, ErrorCode> {
    let unknown =
        if version >= 10 { ErrorCode::UNKNOWN_TOPIC_ID } else { ErrorCode::UNKNOWN_TOPIC_OR_PARTITION };
    let name = if version >= 10 { broker.topic_name(&id).ok_or(unknown)? } else { name.into() };
    if !may_topic(broker, peer, Operation::Read, &name) {
        return Err(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    }
    let partitions = broker.partition_count(&name).ok_or(unknown)?;
    let id = broker.topic_id(&name).unwrap_or_default();
    Ok(Topic { name, id, partitions })
}

fn new_offset(topic: &Topic, asked: OffsetCommitRequestPartition) -> NewOffset {
    NewOffset {
        topic: topic.name.clone(),
        topic_id: topic.id,
        partition: asked.partition_index,
        offset: asked.committed_offset,
        leader_epoch: asked.committed_leader_epoch,
        metadata: asked.committed_metadata.unwrap_or_default(),
    }
}

fn refusal(error: GroupError, version: i16) -> ErrorCode {
    // Before version 9 clients do not expect that a group may not be there.
    let code = code(error);
    if version < 9 && code == ErrorCode::GROUP_ID_NOT_FOUND { ErrorCode::ILLEGAL_GENERATION } else { code }
}
