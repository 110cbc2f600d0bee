//! CreateTopics (19), versions 2 to 7: topics with their settings, on disk (folders too) when answered. -1 partitions
//! or replicas is the broker's default. Refuses unknown or bad settings (INVALID_CONFIG), replicas other than one,
//! assignments to other nodes, names that are taken, and a name that one request holds twice.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::{configs, error};
use crate::broker::catalog::NewTopic;
use crate::broker::{AdminError, Broker, topic_settings};
use crate::model::id::TopicId;
use crate::model::name::{CLUSTER_METADATA, check_topic};
use crate::wire::error::ErrorCode;
use crate::wire::messages::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreatableTopicConfigs,
    CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse,
};

type Refused = (ErrorCode, String);

pub(super) async fn handle(
    broker: &Arc<Broker>,
    version: i16,
    request: CreateTopicsRequest,
) -> CreateTopicsResponse {
    let mut times: HashMap<&str, usize> = HashMap::new();
    for topic in &request.topics {
        *times.entry(topic.name.as_str()).or_default() += 1;
    }
    let checked: Vec<(String, Result<NewTopic, Refused>)> = request
        .topics
        .iter()
        .map(|topic| {
            let twice = times.get(topic.name.as_str()).is_some_and(|times| *times > 1);
            let new = if twice {
                Err((ErrorCode::INVALID_REQUEST, "the request names this topic more than once".to_owned()))
            } else {
                new_topic(broker, topic)
            };
            (topic.name.clone(), new)
        })
        .collect();
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
        result(broker, version, name, done)
    });
    CreateTopicsResponse { topics: topics.collect(), ..CreateTopicsResponse::default() }
}

/// Makes the topics, or only checks them; answers their ids (zero where only checked).
fn make(broker: &Broker, wanted: &[NewTopic], validate_only: bool) -> Vec<Result<TopicId, AdminError>> {
    if validate_only {
        return wanted.iter().map(|new| broker.check_topic(new).map(|()| TopicId::ZERO)).collect();
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
    Ok(NewTopic { name: asked.name.clone(), partitions, replication_factor, configs: configs_of(asked)? })
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
    if let Some(other) = assignments.iter().find(|assignment| assignment.broker_ids != [node]) {
        return refused(format!(
            "partition {} is assigned to {:?}; the only broker is {node}",
            other.partition_index, other.broker_ids
        ));
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
    let configs =
        (version >= 5).then(|| configs::of_topic(&new.configs, broker.settings()).map(said).collect());
    CreatableTopicResult {
        name,
        topic_id,
        num_partitions: new.partitions,
        replication_factor: new.replication_factor,
        configs,
        ..CreatableTopicResult::default()
    }
}
