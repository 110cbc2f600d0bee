//! DescribeTopicPartitions (75), version 0: topics with their partitions, a page at a time (KIP-966). A page holds at
//! most what the client asks for and `max.request.partition.size.limit` allows; the cursor says where the next begins.
//! Never makes topics. Refuses cursors that point at nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::operations;
use crate::auth::acl::{Operation, ResourceType};
use crate::broker::{Broker, Peer, Topic};
use crate::model::name::check_topic;
use crate::wire::error::ErrorCode;
use crate::wire::messages::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic, TopicRequest,
};

pub(super) async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    request: DescribeTopicPartitionsRequest,
) -> DescribeTopicPartitionsResponse {
    let DescribeTopicPartitionsRequest { topics: asked, response_partition_limit, cursor } = request;
    let all = asked.is_empty();
    if !is_good(cursor.as_ref(), &asked) {
        return refused(asked);
    }
    let names: BTreeSet<String> = if all {
        broker.topics().iter().map(|topic| topic.name().to_string()).collect()
    } else {
        asked.into_iter().map(|topic| topic.name).collect()
    };
    let limit = i32::try_from(broker.settings().int("max.request.partition.size.limit")).unwrap_or(i32::MAX);
    let mut room = response_partition_limit.clamp(1, limit.max(1));
    let from = cursor.unwrap_or_default();
    let mut topics = Vec::new();
    let mut next_cursor = None;
    for name in names.into_iter().filter(|name| *name >= from.topic_name) {
        if all && !broker.would_let(peer, Operation::Describe, ResourceType::Topic, &name) {
            continue;
        }
        if operations::topic(broker, peer, Operation::Describe, &name).is_err() {
            topics.push(failed(ErrorCode::TOPIC_AUTHORIZATION_FAILED, name, i32::MIN));
            continue;
        }
        let operations = operations::on_topic(broker, peer, &name, true);
        let Some(topic) = broker.topic(&name) else {
            let code = match check_topic(&name) {
                Ok(()) => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                Err(_) => ErrorCode::INVALID_TOPIC_EXCEPTION,
            };
            topics.push(failed(code, name, operations));
            continue;
        };
        if room == 0 {
            next_cursor = Some(Cursor { topic_name: name, partition_index: 0 });
            break;
        }
        let first = if name == from.topic_name { from.partition_index } else { 0 };
        let end = topic.partition_count().min(first.saturating_add(room));
        topics.push(page(broker, &topic, first, end, operations));
        room -= (end - first).max(0);
        if end < topic.partition_count() {
            next_cursor = Some(Cursor { topic_name: name, partition_index: end });
            break;
        }
    }
    // What can not be described comes first, as in Kafka.
    topics.sort_by_key(|topic| topic.error_code == ErrorCode::NONE);
    DescribeTopicPartitionsResponse { topics, next_cursor, ..Default::default() }
}

/// Whether a cursor points at one of the topics asked for, or behind the start of all.
fn is_good(cursor: Option<&Cursor>, asked: &[TopicRequest]) -> bool {
    let Some(cursor) = cursor else { return true };
    let named = asked.is_empty() || asked.iter().any(|topic| topic.name >= cursor.topic_name);
    cursor.partition_index >= 0 && !cursor.topic_name.is_empty() && named
}

fn refused(asked: Vec<TopicRequest>) -> DescribeTopicPartitionsResponse {
    let topics = asked.into_iter().map(|topic| failed(ErrorCode::INVALID_REQUEST, topic.name, i32::MIN));
    DescribeTopicPartitionsResponse { topics: topics.collect(), ..Default::default() }
}

fn failed(error_code: ErrorCode, name: String, operations: i32) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic {
        error_code,
        name: Some(name),
        topic_authorized_operations: operations,
        ..Default::default()
    }
}

fn page(
    broker: &Broker,
    topic: &Topic,
    first: i32,
    end: i32,
    operations: i32,
) -> DescribeTopicPartitionsResponseTopic {
    let node = broker.node_id();
    let partition = |partition_index| DescribeTopicPartitionsResponsePartition {
        partition_index,
        leader_id: node,
        leader_epoch: topic.leader_epoch(),
        replica_nodes: vec![node],
        isr_nodes: vec![node],
        eligible_leader_replicas: Some(Vec::new()),
        last_known_elr: Some(Vec::new()),
        ..Default::default()
    };
    DescribeTopicPartitionsResponseTopic {
        name: Some(topic.name().to_string()),
        topic_id: topic.id(),
        is_internal: topic.is_internal(),
        partitions: (first..end).map(partition).collect(),
        topic_authorized_operations: operations,
        ..Default::default()
    }
}
