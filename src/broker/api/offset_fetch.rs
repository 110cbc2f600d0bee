//! OffsetFetch, versions 1 to 10: one group up to 7, several after that; no topics (null) means all, in every
//! version; topics by id from 10 on. With `require_stable` (7 on, KIP-447) UNSTABLE_OFFSET_COMMIT says that a transaction
//! under way may replace the offset: the client asks again.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::group_access::{may, may_topic};
use super::group_code::code;
use crate::auth::acl::Operation;
use crate::broker::groups::request::Committed;
use crate::broker::{Broker, Peer};
use crate::model::id::{TopicId, TopicPartition};
use crate::wire::error::ErrorCode;
use crate::wire::frame::RequestHeader;
use crate::wire::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponse,
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};

/// Answers an OffsetFetch.
pub async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    header: &RequestHeader,
    request: OffsetFetchRequest,
) -> OffsetFetchResponse {
    let version = header.api_version;
    if version >= 8 {
        let mut groups = Vec::with_capacity(request.groups.len());
        for group in request.groups {
            groups.push(fetch(broker, peer, version, group, request.require_stable).await);
        }
        return OffsetFetchResponse { groups, ..OffsetFetchResponse::default() };
    }
    let topics = request.topics.map(|topics| {
        let topics = topics.into_iter().map(|topic| OffsetFetchRequestTopics {
            name: topic.name,
            partition_indexes: topic.partition_indexes,
            ..OffsetFetchRequestTopics::default()
        });
        topics.collect()
    });
    let group =
        OffsetFetchRequestGroup { group_id: request.group_id, topics, ..OffsetFetchRequestGroup::default() };
    single(fetch(broker, peer, version, group, request.require_stable).await)
}

/// The answer for one group in the form of versions up to 7.
fn single(group: OffsetFetchResponseGroup) -> OffsetFetchResponse {
    let topics = group.topics.into_iter().map(|topic| OffsetFetchResponseTopic {
        name: topic.name,
        partitions: topic.partitions.into_iter().map(|one| old_form(one, group.error_code)).collect(),
    });
    OffsetFetchResponse {
        topics: topics.collect(),
        error_code: group.error_code,
        ..OffsetFetchResponse::default()
    }
}

/// Version 1 has no field for the group's error: it stands with every partition.
fn old_form(one: OffsetFetchResponsePartitions, group: ErrorCode) -> OffsetFetchResponsePartition {
    OffsetFetchResponsePartition {
        partition_index: one.partition_index,
        committed_offset: one.committed_offset,
        committed_leader_epoch: one.committed_leader_epoch,
        metadata: one.metadata,
        error_code: if group.is_ok() { one.error_code } else { group },
    }
}

async fn fetch(
    broker: &Arc<Broker>,
    peer: &Peer,
    version: i16,
    group: OffsetFetchRequestGroup,
    stable: bool,
) -> OffsetFetchResponseGroup {
    let allowed = match may(broker, peer, Operation::Describe, &group.group_id) {
        Ok(()) => {
            let groups = broker.groups();
            let asks =
                groups.may_ask(broker, &group.group_id, group.member_id.as_deref(), group.member_epoch);
            asks.await.map_err(code)
        }
        Err(refusal) => Err(refusal),
    };
    let (topics, error_code) = match (group.topics, allowed) {
        (Some(asked), Err(refusal)) if version < 2 => (asked.into_iter().map(nothing).collect(), refusal),
        (_, Err(refusal)) => (Vec::new(), refusal),
        (None, Ok(())) => all(broker, peer, version, &group.group_id, stable).await,
        (Some(asked), Ok(())) => some(broker, peer, version, &group.group_id, asked, stable).await,
    };
    OffsetFetchResponseGroup { group_id: group.group_id, topics, error_code }
}

/// The partitions asked for, without offsets: version 1 says the group's error with each of them.
fn nothing(topic: OffsetFetchRequestTopics) -> OffsetFetchResponseTopics {
    let partitions =
        topic.partition_indexes.into_iter().map(|index| told(index, Committed::Nothing)).collect();
    OffsetFetchResponseTopics { name: topic.name, topic_id: topic.topic_id, partitions }
}

async fn all(
    broker: &Arc<Broker>,
    peer: &Peer,
    version: i16,
    group: &str,
    stable: bool,
) -> (Vec<OffsetFetchResponseTopics>, ErrorCode) {
    let found = match broker.groups().all_offsets(broker, group, stable).await {
        Ok(found) => found,
        Err(error) => return (Vec::new(), code(error)),
    };
    let mut topics: BTreeMap<Arc<str>, Vec<OffsetFetchResponsePartitions>> = BTreeMap::new();
    for (at, kept) in found {
        topics.entry(at.topic).or_default().push(told(at.partition, kept));
    }
    let named = topics.into_iter().map(|(name, partitions)| OffsetFetchResponseTopics {
        topic_id: broker.topic_id(&name).unwrap_or_default(),
        name: name.to_string(),
        partitions,
    });
    // A topic without id can not be said by id.
    let sayable = named.filter(|topic| version < 10 || !topic.topic_id.is_zero());
    let allowed = sayable.filter(|topic| may_topic(broker, peer, Operation::Describe, &topic.name));
    (allowed.collect(), ErrorCode::NONE)
}

async fn some(
    broker: &Arc<Broker>,
    peer: &Peer,
    version: i16,
    group: &str,
    asked: Vec<OffsetFetchRequestTopics>,
    stable: bool,
) -> (Vec<OffsetFetchResponseTopics>, ErrorCode) {
    let names: Vec<_> = asked.iter().map(|topic| name_of(broker, version, topic)).collect();
    let names: Vec<Result<Arc<str>, ErrorCode>> = names
        .into_iter()
        .map(|name| {
            let name = name.ok_or(ErrorCode::UNKNOWN_TOPIC_ID)?;
            let may = may_topic(broker, peer, Operation::Describe, &name);
            if may { Ok(name) } else { Err(ErrorCode::TOPIC_AUTHORIZATION_FAILED) }
        })
        .collect();
    let mut wanted = Vec::new();
    for (topic, name) in asked.iter().zip(&names) {
        let Ok(name) = name else { continue };
        wanted.extend(topic.partition_indexes.iter().map(|&index| TopicPartition::new(name.clone(), index)));
    }
    let (found, error) = match broker.groups().offsets(broker, group, &wanted, stable).await {
        Ok(found) => (found, ErrorCode::NONE),
        Err(error) => (Vec::new(), code(error)),
    };
    let mut found = found.into_iter();
    let mut topics = Vec::with_capacity(asked.len());
    for (topic, name) in asked.into_iter().zip(names) {
        let partitions = topic.partition_indexes.into_iter().map(|index| match &name {
            Ok(_) => told(index, found.next().unwrap_or(Committed::Nothing)),
            Err(error_code) => {
                OffsetFetchResponsePartitions { error_code: *error_code, ..told(index, Committed::Nothing) }
            }
        });
        let partitions = partitions.collect();
        topics.push(OffsetFetchResponseTopics { name: topic.name, topic_id: topic.topic_id, partitions });
    }
    (topics, error)
}

fn name_of(broker: &Broker, version: i16, topic: &OffsetFetchRequestTopics) -> Option<Arc<str>> {
    let known: &TopicId = &topic.topic_id;
    if version >= 10 { broker.topic_name(known) } else { Some(topic.name.as_str().into()) }
}

/// One partition's answer; an offset of -1 says that none is kept.
fn told(partition_index: i32, committed: Committed) -> OffsetFetchResponsePartitions {
    let error_code = match committed {
        Committed::Unstable => ErrorCode::UNSTABLE_OFFSET_COMMIT,
        Committed::Nothing | Committed::At(_) => ErrorCode::NONE,
    };
    let (committed_offset, committed_leader_epoch, metadata) = match committed {
        Committed::At(kept) => (kept.offset, kept.leader_epoch, kept.metadata),
        Committed::Nothing | Committed::Unstable => (-1, -1, String::new()),
    };
    OffsetFetchResponsePartitions {
        partition_index,
        committed_offset,
        committed_leader_epoch,
        metadata: Some(metadata),
        error_code,
    }
}
