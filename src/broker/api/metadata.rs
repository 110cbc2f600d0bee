//! Metadata (3), versions 0 to 13: the one node, and topics by name or id. Makes topics that are asked for by name
//! where the client and `auto.create.topics.enable` allow it, and answers when they are on disk. Never lists
//! `__cluster_metadata`.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::{error, operations};
use crate::auth::acl::{CLUSTER, Operation, ResourceType};
use crate::broker::catalog::NewTopic;
use crate::broker::{Broker, Peer, Topic};
use crate::model::id::TopicId;
use crate::model::name::{CLUSTER_METADATA, check_topic};
use crate::wire::error::ErrorCode;
use crate::wire::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker,
    MetadataResponsePartition, MetadataResponseTopic,
};

pub(super) async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    version: i16,
    request: MetadataRequest,
) -> MetadataResponse {
    let asker = Asker { broker, peer, operations: request.include_topic_authorized_operations };
    let topics = match request.topics {
        Some(topics) if (10..12).contains(&version) && topics.iter().any(by_id_or_unnamed) => {
            return no_ids(topics);
        }
        Some(asked) if version > 0 || !asked.is_empty() => {
            let allowed = version < 4 || request.allow_auto_topic_creation;
            let refused = if allowed && broker.settings().flag("auto.create.topics.enable") {
                create_missing(broker, peer, &asked).await
            } else {
                BTreeMap::new()
            };
            let mut seen = HashSet::new();
            let once = asked.into_iter().filter(|topic| seen.insert((topic.topic_id, topic.name.clone())));
            once.filter_map(|topic| asker.one(topic, &refused)).collect()
        }
        _ => {
            let topics = broker.topics();
            let seen = topics.iter().filter(|topic| {
                broker.would_let(peer, Operation::Describe, ResourceType::Topic, topic.name())
            });
            seen.map(|topic| asker.describe(topic)).collect()
        }
    };
    let (host, port) = peer.address();
    MetadataResponse {
        brokers: vec![MetadataResponseBroker {
            node_id: broker.node_id(),
            host: host.to_owned(),
            port,
            rack: broker.settings().text("broker.rack").map(str::to_owned),
        }],
        cluster_id: Some(broker.cluster_id().to_owned()),
        controller_id: broker.node_id(),
        topics,
        cluster_authorized_operations: if !request.include_cluster_authorized_operations {
            i32::MIN
        } else if broker.would_let(peer, Operation::Describe, ResourceType::Cluster, CLUSTER) {
            operations::allowed(broker, peer, ResourceType::Cluster, CLUSTER)
        } else {
            0
        },
        ..MetadataResponse::default()
    }
}

fn by_id_or_unnamed(topic: &MetadataRequestTopic) -> bool {
    !topic.topic_id.is_zero() || topic.name.is_none()
}

/// Versions 10 and 11 have ids, but Kafka takes them only from 12 on: the whole request is refused.
fn no_ids(topics: Vec<MetadataRequestTopic>) -> MetadataResponse {
    let refused = |topic: MetadataRequestTopic| {
        unknown(ErrorCode::INVALID_REQUEST, Some(topic.name.unwrap_or_default()), topic.topic_id, i32::MIN)
    };
    MetadataResponse {
        topics: topics.into_iter().map(refused).collect(),
        controller_id: -1,
        ..MetadataResponse::default()
    }
}

/// Makes the topics that are asked for by a good name and are not there; answers why some could not be made.
async fn create_missing(
    broker: &Arc<Broker>,
    peer: &Peer,
    asked: &[MetadataRequestTopic],
) -> BTreeMap<String, ErrorCode> {
    let may = |operation, name: &str| operations::topic(broker, peer, operation, name).is_ok();
    let may_create_any = broker.would_let(peer, Operation::Create, ResourceType::Cluster, CLUSTER);
    let mut denied = BTreeMap::new();
    let mut missing: Vec<&str> = asked
        .iter()
        .filter(|topic| topic.topic_id.is_zero())
        .filter_map(|topic| topic.name.as_deref())
        .filter(|name| check_topic(name).is_ok() && *name != CLUSTER_METADATA && broker.topic(name).is_none())
        .filter(|name| may(Operation::Describe, name))
        .collect();
    missing.sort_unstable();
    missing.dedup();
    missing.retain(|name| {
        let fine = may_create_any || may(Operation::Create, name);
        if !fine {
            denied.insert((*name).to_owned(), ErrorCode::TOPIC_AUTHORIZATION_FAILED);
        }
        fine
    });
    if missing.is_empty() {
        return denied;
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
    denied.extend(made.await.unwrap_or_default().into_iter().filter_map(refused));
    denied
}

/// Who asks, and for how much.
struct Asker<'a> {
    broker: &'a Broker,
    peer: &'a Peer,
    operations: bool,
}

impl Asker<'_> {
    fn may_see(&self, name: &str) -> bool {
        operations::topic(self.broker, self.peer, Operation::Describe, name).is_ok()
    }

    /// A topic by its id, or by its name where it has none; nothing where it has neither.
    fn one(
        &self,
        asked: MetadataRequestTopic,
        refused: &BTreeMap<String, ErrorCode>,
    ) -> Option<MetadataResponseTopic> {
        let MetadataRequestTopic { topic_id, name } = asked;
        if !topic_id.is_zero() {
            let found = self.broker.topic_by_id(&topic_id);
            return Some(match found {
                Some(topic) if self.may_see(topic.name()) => self.describe(&topic),
                Some(_) => unknown(ErrorCode::TOPIC_AUTHORIZATION_FAILED, None, topic_id, i32::MIN),
                None => unknown(ErrorCode::UNKNOWN_TOPIC_ID, None, topic_id, i32::MIN),
            });
        }
        let name = name?;
        if !self.may_see(&name) {
            return Some(unknown(ErrorCode::TOPIC_AUTHORIZATION_FAILED, Some(name), topic_id, i32::MIN));
        }
        if let Some(topic) = self.broker.topic(&name) {
            return Some(self.describe(&topic));
        }
        let code = match refused.get(&name) {
            Some(code) => *code,
            None if check_topic(&name).is_err() => ErrorCode::INVALID_TOPIC_EXCEPTION,
            None => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        };
        let operations = operations::on_topic(self.broker, self.peer, &name, self.operations);
        Some(unknown(code, Some(name), topic_id, operations))
    }

    fn describe(&self, topic: &Topic) -> MetadataResponseTopic {
        let node = self.broker.node_id();
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
            topic_authorized_operations: operations::on_topic(
                self.broker,
                self.peer,
                topic.name(),
                self.operations,
            ),
            ..MetadataResponseTopic::default()
        }
    }
}

fn unknown(
    error_code: ErrorCode,
    name: Option<String>,
    topic_id: TopicId,
    operations: i32,
) -> MetadataResponseTopic {
    MetadataResponseTopic {
        error_code,
        name,
        topic_id,
        topic_authorized_operations: operations,
        ..MetadataResponseTopic::default()
    }
}
