//! Committing and fetching a group's offsets; never decides which.

use super::Committed;
use crate::client::cluster::Lane;
use crate::client::retry::Attempts;
use crate::client::{Client, ClientError};
use crate::model::id::{TopicId, TopicPartition};
use crate::wire::api::ApiKey;
use crate::wire::error::ErrorCode;
use crate::wire::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use crate::wire::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// As whom a commit is made.
#[derive(Debug, Clone, Default)]
pub(in crate::client) struct Membership {
    pub(in crate::client) generation: i32,
    pub(in crate::client) member_id: String,
    pub(in crate::client) instance_id: Option<String>,
}

type Found = Vec<(TopicPartition, Option<Committed>)>;

/// The newest version without topic ids, which would need every topic to exist still.
const BY_NAME: i16 = 9;

/// The group's offsets of these partitions, or of all it has.
pub(in crate::client) async fn fetch(
    client: &Client,
    group: &str,
    partitions: Option<&[TopicPartition]>,
) -> Result<Found, ClientError> {
    let mut attempts = Attempts::within(client.options().api_timeout, client.options());
    loop {
        match fetch_once(client, group, partitions).await {
            Ok(found) => return Ok(found),
            Err(error) => attempts.after(error).await?,
        }
    }
}

async fn fetch_once(
    client: &Client,
    group: &str,
    partitions: Option<&[TopicPartition]>,
) -> Result<Found, ClientError> {
    let (_, connection) = client.coordinator(group, Lane::Main).await?;
    let version = connection.version(ApiKey::OffsetFetch)?.min(BY_NAME);
    let topics = partitions.map(by_topic);
    let mut request = OffsetFetchRequest { require_stable: version >= 7, ..OffsetFetchRequest::default() };
    if version >= 8 {
        let one = |(name, indexes): (Arc<str>, Vec<i32>)| OffsetFetchRequestTopics {
            name: name.to_string(),
            topic_id: TopicId::ZERO,
            partition_indexes: indexes,
        };
        request.groups = vec![OffsetFetchRequestGroup {
            group_id: group.to_owned(),
            topics: topics.map(|topics| topics.into_iter().map(one).collect()),
            ..OffsetFetchRequestGroup::default()
        }];
    } else {
        let one = |(name, indexes): (Arc<str>, Vec<i32>)| OffsetFetchRequestTopic {
            name: name.to_string(),
            partition_indexes: indexes,
        };
        request.group_id = group.to_owned();
        request.topics = topics.map(|topics| topics.into_iter().map(one).collect());
    }
    let answer = connection.call_in(&request, version, client.options().request_timeout).await?;
    let mut rows = Vec::new();
    let mut code = answer.error_code;
    for topic in answer.topics {
        let name: Arc<str> = Arc::from(topic.name);
        rows.extend(topic.partitions.into_iter().map(|one| {
            let row = (one.committed_offset, one.committed_leader_epoch, one.metadata, one.error_code);
            (TopicPartition::new(name.clone(), one.partition_index), row)
        }));
    }
    for found in answer.groups {
        code = found.error_code;
        for topic in found.topics {
            let name: Arc<str> = Arc::from(topic.name);
            rows.extend(topic.partitions.into_iter().map(|one| {
                let row = (one.committed_offset, one.committed_leader_epoch, one.metadata, one.error_code);
                (TopicPartition::new(name.clone(), one.partition_index), row)
            }));
        }
    }
    match code {
        ErrorCode::NONE => {}
        // No group, no offsets.
        ErrorCode::GROUP_ID_NOT_FOUND => return Ok(Vec::new()),
        code => return Err(client.coordinator_error(group, code, None)),
    }
    let one =
        |(partition, (offset, leader_epoch, metadata, code)): (TopicPartition, (i64, i32, _, ErrorCode))| {
            match code {
                ErrorCode::NONE | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::UNKNOWN_TOPIC_ID => {}
                code => return Err(client.coordinator_error(group, code, None)),
            }
            let metadata: Option<String> = metadata;
            let kept = Committed { offset, leader_epoch, metadata: metadata.unwrap_or_default() };
            Ok((partition, (offset >= 0).then_some(kept)))
        };
    rows.into_iter().map(one).collect()
}

/// Commits offsets. Retries what can be retried; losing the membership can not.
pub(in crate::client) async fn commit(
    client: &Client,
    group: &str,
    membership: &Membership,
    offsets: &[(TopicPartition, Committed)],
) -> Result<(), ClientError> {
    if offsets.is_empty() {
        return Ok(());
    }
    let mut attempts = Attempts::within(client.options().api_timeout, client.options());
    loop {
        match commit_once(client, group, membership, offsets).await {
            Ok(()) => return Ok(()),
            // A topic that is gone does not come back for the commit, and the others are kept already.
            Err(error) if error.code() == Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) => return Err(error),
            Err(error) => attempts.after(error).await?,
        }
    }
}

async fn commit_once(
    client: &Client,
    group: &str,
    membership: &Membership,
    offsets: &[(TopicPartition, Committed)],
) -> Result<(), ClientError> {
    let (_, connection) = client.coordinator(group, Lane::Main).await?;
    let version = connection.version(ApiKey::OffsetCommit)?.min(BY_NAME);
    let mut topics: BTreeMap<&str, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
    for (partition, kept) in offsets {
        topics.entry(&partition.topic).or_default().push(OffsetCommitRequestPartition {
            partition_index: partition.partition,
            committed_offset: kept.offset,
            committed_leader_epoch: kept.leader_epoch,
            committed_metadata: Some(kept.metadata.clone()),
        });
    }
    let request = OffsetCommitRequest {
        group_id: group.to_owned(),
        generation_id_or_member_epoch: membership.generation,
        member_id: membership.member_id.clone(),
        group_instance_id: membership.instance_id.clone().filter(|_| version >= 7),
        topics: topics
            .into_iter()
            .map(|(name, partitions)| OffsetCommitRequestTopic {
                name: name.to_owned(),
                topic_id: TopicId::ZERO,
                partitions,
            })
            .collect(),
        ..OffsetCommitRequest::default()
    };
    let answer = connection.call_in(&request, version, client.options().request_timeout).await?;
    let mut codes = answer.topics.iter().flat_map(|topic| topic.partitions.iter().map(|one| one.error_code));
    match codes.find(|code| !code.is_ok()) {
        Some(code) => Err(client.coordinator_error(group, code, None)),
        None => Ok(()),
    }
}

fn by_topic(partitions: &[TopicPartition]) -> BTreeMap<Arc<str>, Vec<i32>> {
    let mut topics: BTreeMap<Arc<str>, Vec<i32>> = BTreeMap::new();
    for partition in partitions {
        topics.entry(partition.topic.clone()).or_default().push(partition.partition);
    }
    topics
}
