//! Metadata (3), versions 0 to 13: the one node, and topics by name or id. Makes topics that are asked for by name
//! where the client and `auto.create.topics.enable` allow it, and answers when they are on disk. Never lists
//! `__cluster_metadata`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error;
use crate::broker::catalog::NewTopic;
use crate::broker::{Broker, Peer, Topic};
use crate::model::id::TopicId;
use crate::model::name::check_topic;
use crate::wire::error::ErrorCode;
use crate::wire::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker,
    MetadataResponsePartition, MetadataResponseTopic,
};

/// Operations on a topic as bits of Kafka's `AclOperation` numbers: read, write, create, delete, alter, describe,
/// describe and alter settings.
const TOPIC_OPERATIONS: i32 = 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 11;
/// Operations on the cluster: create, alter, describe, cluster action, describe and alter settings, idempotent write.
const CLUSTER_OPERATIONS: i32 = 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12;

pub(super) async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    version: i16,
    request: MetadataRequest,
) -> MetadataResponse {
    let operations = request.include_topic_authorized_operations;
    let node = broker.node_id();
    let topics = match request.topics {
        None => broker.topics().iter().map(|topic| describe(topic, node, operations)).collect(),
        Some(topics) if version == 0 && topics.is_empty() => {
            broker.topics().iter().map(|topic| describe(topic, node, operations)).collect()
        }
        Some(asked) => {
            let allowed = version < 4 || request.allow_auto_topic_creation;
            let refused = if allowed && broker.settings().flag("auto.create.topics.enable") {
                create_missing(broker, &asked).await
            } else {
                BTreeMap::new()
            };
            asked.into_iter().map(|topic| one(broker, version, topic, operations, &refused)).collect()
        }
    };
    let (host, port) = peer.address();
    MetadataResponse {
        brokers: vec![MetadataResponseBroker {
            node_id: node,
            host: host.to_owned(),
            port,
            rack: broker.settings().text("broker.rack").map(str::to_owned),
        }],
        cluster_id: Some(broker.cluster_id().to_owned()),
        controller_id: node,
        topics,
        cluster_authorized_operations: if request.include_cluster_authorized_operations {
            CLUSTER_OPERATIONS
        } else {
            i32::MIN
        },
        ..MetadataResponse::default()
    }
}

/// Makes the topics that are asked for by a good name and are not there; answers why some could not be made.
async fn create_missing(broker: &Arc<Broker>, asked: &[MetadataRequestTopic]) -> BTreeMap<String, ErrorCode> {
    let mut missing: Vec<&str> = asked
        .iter()
        .filter(|topic| topic.topic_id.is_zero())
        .filter_map(|topic| topic.name.as_deref())
        .filter(|name| check_topic(name).is_ok() && broker.topic(name).is_none())
        .collect();
    missing.sort_unstable();
    missing.dedup();
    if missing.is_empty() {
        return BTreeMap::new();
    }
    let settings = broker.settings();
    let wanted: Vec<NewTopic> = missing
        .into_iter()
        .map(|name| NewTopic {
            name: name.to_owned(),
            partitions: i32::try_from(settings.int("num.partitions")).unwrap_or(1),
            replication_factor: i16::try_from(settings.int("default.replication.factor")).unwrap_or(1),
            configs: BTreeMap::new(),
        })
        .collect();
    let made = broker.blocking(move |broker| {
        let made = broker.create_topics(&wanted);
        wanted.into_iter().map(|new| new.name).zip(made).collect::<Vec<_>>()
    });
    let refused = |(name, made): (String, Result<_, _>)| {
        let code = error::of_admin(&made.err()?);
        (code != ErrorCode::TOPIC_ALREADY_EXISTS).then_some((name, code))
    };
    made.await.map(|made| made.into_iter().filter_map(refused).collect()).unwrap_or_default()
}

fn one(
    broker: &Broker,
    version: i16,
    asked: MetadataRequestTopic,
    operations: bool,
    refused: &BTreeMap<String, ErrorCode>,
) -> MetadataResponseTopic {
    let MetadataRequestTopic { topic_id, name } = asked;
    // 10 and 11 have ids but no answer without a name.
    let unnamed = || (version < 12).then(String::new);
    if !topic_id.is_zero() {
        return match broker.topic_by_id(&topic_id) {
            Some(topic) => describe(&topic, broker.node_id(), operations),
            None => unknown(ErrorCode::UNKNOWN_TOPIC_ID, unnamed(), topic_id),
        };
    }
    let Some(name) = name else {
        return unknown(ErrorCode::UNKNOWN_TOPIC_ID, unnamed(), topic_id);
    };
    if let Some(topic) = broker.topic(&name) {
        return describe(&topic, broker.node_id(), operations);
    }
    let code = match refused.get(&name) {
        Some(code) => *code,
        None if check_topic(&name).is_err() => ErrorCode::INVALID_TOPIC_EXCEPTION,
        None => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
    };
    unknown(code, Some(name), topic_id)
}

fn unknown(error_code: ErrorCode, name: Option<String>, topic_id: TopicId) -> MetadataResponseTopic {
    MetadataResponseTopic { error_code, name, topic_id, ..MetadataResponseTopic::default() }
}

fn describe(topic: &Topic, node: i32, operations: bool) -> MetadataResponseTopic {
    let partition = |partition_index| MetadataResponsePartition {
        partition_index,
        leader_id: node,
        leader_epoch: topic.leader_epoch(),
        replica_nodes: vec![node],
        isr_nodes: vec![node],
        ..MetadataResponsePartition::default()
    };
    MetadataResponseTopic {
        name: Some(topic.name().to_string()),
        topic_id: topic.id(),
        is_internal: topic.is_internal(),
        partitions: (0..topic.partition_count()).map(partition).collect(),
        topic_authorized_operations: if operations { TOPIC_OPERATIONS } else { i32::MIN },
        ..MetadataResponseTopic::default()
    }
}
