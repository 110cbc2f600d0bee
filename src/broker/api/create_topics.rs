//! CreateTopics (19), versions 2 to 7: topics with their settings, on disk (folders too) when answered. -1 partitions
//! or replicas is the broker's default. Refuses unknown or bad settings (INVALID_CONFIG), replicas other than one,
//! assignments to other nodes, names that are taken, a name that one request holds twice, and more than 10,000
//! partitions at once (POLICY_VIOLATION).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::operations::{self, Refused};
use super::{assignment, configs, error};
use crate::auth::acl::{CLUSTER, Operation, ResourceType};
use crate::broker::catalog::NewTopic;
use crate::broker::{AdminError, Broker, Peer, topic_settings};
use crate::model::id::TopicId;
use crate::model::name::{CLUSTER_METADATA, check_topic};
use crate::wire::error::ErrorCode;
use crate::wire::messages::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreatableTopicConfigs,
    CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse,
};

/// Most partitions that one request makes (Kafka's `MAX_PARTITIONS_PER_BATCH`).
const MAX_AT_ONCE: i64 = 10_000;

pub(super) async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    version: i16,
    request: CreateTopicsRequest,
) -> CreateTopicsResponse {
    let mut times: HashMap<&str, usize> = HashMap::new();
    for topic in &request.topics {
        *times.entry(topic.name.as_str()).or_default() += 1;
    }
    let too_many = request.topics.iter().map(partitions_of).sum::<i64>() > MAX_AT_ONCE;
    let mut checked: Vec<(String, Result<NewTopic, Refused>)> = Vec::with_capacity(times.len());
    for topic in &request.topics {
        // A name that is there several times has one answer.
        let new = match times.remove(topic.name.as_str()) {
            None => continue,
            _ if too_many => {
                let text = format!("one request makes at most {MAX_AT_ONCE} partitions");
                Err((ErrorCode::POLICY_VIOLATION, text))
            }
            Some(1) => permitted(broker, peer, &topic.name).and_then(|()| new_topic(broker, topic)),
            Some(_) => {
                Err((ErrorCode::INVALID_REQUEST, "the request names this topic more than once".to_owned()))
            }
        };
        checked.push((topic.name.clone(), new));
    }
    let validate_only = request.validate_only;
    let wanted: Vec<NewTopic> = checked.iter().filter_map(|(_, new)| new.as_ref().ok().cloned()).collect();
    let made = broker.blocking(move |broker| make(broker, &wanted, validate_only)).await;
    let mut made = made.unwrap_or_default().into_iter();
    let topics = checked.into_iter().map(|(name, new)| {
        let done = new.and_then(|new| match made.next() {
            Some(Ok(id)) => Ok((new, id)),
            Some(Err(error)) => Err((error::of_admin(&error), error.to_string())),
            None => Err((ErrorCode::UNKNOWN_SERVER_ERROR, "the broker is closing".to_owned())),
        });
        result(broker, peer, version, name, done)
    });
    CreateTopicsResponse { topics: topics.collect(), ..CreateTopicsResponse::default() }
}

fn partitions_of(topic: &CreatableTopic) -> i64 {
    i64::from(topic.num_partitions).max(topic.assignments.len() as i64).max(1)
}

fn permitted(broker: &Broker, peer: &Peer, name: &str) -> Result<(), Refused> {
    if broker.would_let(peer, Operation::Create, ResourceType::Cluster, CLUSTER) {
        return Ok(());
    }
    operations::topic(broker, peer, Operation::Create, name)
}

/// Makes the topics, or only checks them; answers their ids (where only checked, such as they could have had).
fn make(broker: &Broker, wanted: &[NewTopic], validate_only: bool) -> Vec<Result<TopicId, AdminError>> {
    if validate_only {
        return wanted.iter().map(|new| broker.check_topic(new)).collect();
    }
    broker.create_topics(wanted).into_iter().map(|made| made.map(|topic| topic.id())).collect()
}

fn new_topic(broker: &Broker, asked: &CreatableTopic) -> Result<NewTopic, Refused> {
    check_topic(&asked.name).map_err(|error| (ErrorCode::INVALID_TOPIC_EXCEPTION, error.to_string()))?;
    if asked.name == CLUSTER_METADATA {
        return Err((ErrorCode::INVALID_REQUEST, format!("{CLUSTER_METADATA} is the broker's own")));
    }
    let (partitions, replication_factor) = if asked.assignments.is_empty() {
        let default = |name| i32::try_from(broker.settings().int(name)).unwrap_or(1);
        let partitions = match asked.num_partitions {
            -1 => default("num.partitions"),
            number => number,
        };
        let replicas = match asked.replication_factor {
            -1 => i16::try_from(default("default.replication.factor")).unwrap_or(1),
            number => number,
        };
        (partitions, replicas)
    } else {
        if asked.num_partitions != -1 || asked.replication_factor != -1 {
            let text = "with assignments, partitions and replication factor must be -1";
            return Err((ErrorCode::INVALID_REQUEST, text.to_owned()));
        }
        (assigned(&asked.assignments, broker.node_id())?, 1)
    };
    let configs = configs_of(asked)?;
    topic_settings::check_together(&configs, &broker.settings())
        .map_err(|error| (error::of_setting(&error), error.to_string()))?;
    Ok(NewTopic { name: asked.name.clone(), partitions, replication_factor, configs })
}

/// The number of partitions that assignments describe: all from 0 on, each on this node alone.
fn assigned(assignments: &[CreatableReplicaAssignment], node: i32) -> Result<i32, Refused> {
    let refused = |text: String| Err((ErrorCode::INVALID_REPLICA_ASSIGNMENT, text));
    let mut indexes: Vec<i32> = assignments.iter().map(|assignment| assignment.partition_index).collect();
    indexes.sort_unstable();
    let count = i32::try_from(indexes.len()).unwrap_or(i32::MAX);
    if indexes.iter().zip(0..count).any(|(index, expected)| *index != expected) {
        return refused("the assignments must be of partitions 0, 1, 2 and so on, each once".to_owned());
    }
    for assignment in assignments {
        assignment::check(&assignment.broker_ids, node)?;
    }
    Ok(count)
}

fn configs_of(asked: &CreatableTopic) -> Result<BTreeMap<String, String>, Refused> {
    let mut kept = BTreeMap::new();
    for CreatableTopicConfig { name, value } in &asked.configs {
        let Some(value) = value else {
            return Err((ErrorCode::INVALID_CONFIG, format!("setting {name} has no value")));
        };
        let (name, value) = topic_settings::check(name, value)
            .map_err(|error| (error::of_setting(&error), error.to_string()))?;
        kept.insert(name.to_owned(), value);
    }
    Ok(kept)
}

fn result(
    broker: &Broker,
    peer: &Peer,
    version: i16,
    name: String,
    done: Result<(NewTopic, TopicId), Refused>,
) -> CreatableTopicResult {
    let (new, topic_id) = match done {
        Ok(done) => done,
        Err((error_code, message)) => {
            let error_message = Some(message);
            return CreatableTopicResult {
                name,
                error_code,
                error_message,
                configs: (version >= 5).then(Vec::new),
                ..CreatableTopicResult::default()
            };
        }
    };
    let said = |described: configs::Described| CreatableTopicConfigs {
        name: described.row.name.to_owned(),
        value: described.value(),
        read_only: false,
        config_source: described.source(),
        is_sensitive: described.is_sensitive(),
    };
    if version >= 5 && !broker.would_let(peer, Operation::DescribeConfigs, ResourceType::Topic, &name) {
        return CreatableTopicResult {
            name,
            topic_id,
            topic_config_error_code: ErrorCode::TOPIC_AUTHORIZATION_FAILED,
            configs: Some(Vec::new()),
            ..CreatableTopicResult::default()
        };
    }
    let configs = (version >= 5)
        .then(|| configs::of_topic(&new.configs, &broker.settings()).into_iter().map(said).collect());
    CreatableTopicResult {
        name,
        topic_id,
        num_partitions: new.partitions,
        replication_factor: new.replication_factor,
        configs,
        ..CreatableTopicResult::default()
    }
}
