//! Admin calls: topics, settings, groups, users, rules; each one call, retried where the code says so.

mod alter;
mod groups;
mod security;
mod transactions;

use super::cluster::Lane;
use super::connection::Connection;
use super::retry::Attempts;
use super::{Client, ClientError};
use crate::model::id::TopicId;
use crate::wire::Request;
use crate::wire::api::ApiKey;
use crate::wire::error::ErrorCode;
use crate::wire::messages::api_versions::ApiVersion;
use crate::wire::messages::create_topics::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use crate::wire::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use crate::wire::messages::describe_configs::{
    self, DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResult,
};
use std::collections::HashMap;
use std::sync::Arc;

pub use crate::auth::USER;
pub use crate::auth::acl::{CLUSTER, Operation, PatternType, Permission, ResourceType};
pub use crate::auth::credential::{
    DEFAULT_ITERATIONS, MAX_ITERATIONS, MIN_ITERATIONS, SALT_BYTES, ScramMechanism,
};
pub use alter::ConfigChange;
pub use groups::{GroupDescription, ListedGroup, MemberDescription};
pub use security::{Rule, RuleFilter, ScramChange, UserCredentials};
pub use transactions::{ListedTransaction, PartitionProducer, TransactionDescription};

/// A topic to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// Partitions, -1 for the broker's default.
    pub partitions: i32,
    /// Replicas, -1 for the broker's default.
    pub replicas: i16,
    /// Settings by Kafka's names.
    pub configs: Vec<(String, Option<String>)>,
}

/// A topic that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeTopic {
    /// Its id, zero where the broker does not tell.
    pub id: TopicId,
    /// Its partitions, -1 where the broker does not tell.
    pub partitions: i32,
    /// Its replicas, -1 where the broker does not tell.
    pub replicas: i16,
}

/// A setting of a topic, broker or group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Kafka's name.
    pub name: String,
    /// Its value; `None` for secrets and unset ones.
    pub value: Option<String>,
    /// Where it comes from: Kafka's code (1 topic, 2 dynamic broker, 4 static broker, 5 default, 8 group).
    pub source: i8,
    /// Whether it can not be changed.
    pub read_only: bool,
    /// Whether the value is a secret.
    pub sensitive: bool,
    /// What it does, where the broker tells.
    pub documentation: Option<String>,
}

/// What ListOffsets is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetSpec {
    /// The first offset.
    Earliest,
    /// The end by isolation.
    Latest,
    /// The record with the largest timestamp.
    MaxTimestamp,
    /// The first record at or after a time, ms.
    Time(i64),
}

/// What ListOffsets answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedOffset {
    /// The offset; -1 when no record fits.
    pub offset: i64,
    /// Its timestamp, -1 when none was asked for.
    pub timestamp: i64,
    /// Its leader epoch, -1 when unknown.
    pub leader_epoch: i32,
}

/// An API a broker speaks: key, name where known, lowest and highest version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiRange {
    /// Kafka's API key.
    pub key: i16,
    /// Its name, `None` when this client does not know it.
    pub name: Option<&'static str>,
    /// Lowest version.
    pub min: i16,
    /// Highest version.
    pub max: i16,
    /// The version that this client speaks with it; `None` where there is none.
    pub used: Option<i16>,
}

/// One result per item asked for, in the same order.
pub type Each<T> = Vec<Result<T, ClientError>>;

/// Resource types of DescribeConfigs.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;

impl Client {
    /// Makes topics. [`ClientError::Broker`] with TOPIC_ALREADY_EXISTS for those that exist.
    ///
    /// # Errors
    /// Failures of the connection, after `api_timeout`; each topic has a result of its own.
    pub async fn create_topics(&self, topics: &[NewTopic]) -> Result<Each<MadeTopic>, ClientError> {
        let one = |topic: &NewTopic| CreatableTopic {
            name: topic.name.clone(),
            num_partitions: topic.partitions,
            replication_factor: topic.replicas,
            assignments: Vec::new(),
            configs: topic
                .configs
                .iter()
                .map(|(name, value)| CreatableTopicConfig { name: name.clone(), value: value.clone() })
                .collect(),
        };
        let request = CreateTopicsRequest {
            topics: topics.iter().map(one).collect(),
            timeout_ms: self.timeout_ms(),
            validate_only: false,
        };
        let answer = self.call_controller(&request).await?;
        let mut found: HashMap<String, _> =
            answer.topics.into_iter().map(|topic| (topic.name.clone(), topic)).collect();
        let each = topics.iter().map(|topic| {
            let result = found.remove(&topic.name).ok_or_else(|| missing(format!("topic {}", topic.name)))?;
            match result.error_code {
                ErrorCode::NONE => Ok(MadeTopic {
                    id: result.topic_id,
                    partitions: result.num_partitions,
                    replicas: result.replication_factor,
                }),
                code => Err(ClientError::broker(code, format!("topic {}", topic.name), result.error_message)),
            }
        });
        let each: Each<MadeTopic> = each.collect();
        for (topic, _) in topics.iter().zip(&each).filter(|(_, made)| made.is_ok()) {
            // The other brokers learn of it a moment later; who asks next should find it. It exists all the same.
            let _ = self.fresh_topic(&topic.name, true).await;
        }
        Ok(each)
    }

    /// Deletes topics by name. [`ClientError::UnknownTopic`] for those that do not exist.
    ///
    /// # Errors
    /// Failures of the connection, after `api_timeout`; each topic has a result of its own.
    pub async fn delete_topics(&self, names: &[String]) -> Result<Each<()>, ClientError> {
        let state = |name: &String| DeleteTopicState { name: Some(name.clone()), topic_id: TopicId::ZERO };
        let connection = self.controller().await?;
        let newest = connection.version(ApiKey::DeleteTopics)? >= 6;
        let request = DeleteTopicsRequest {
            topics: if newest { names.iter().map(state).collect() } else { Vec::new() },
            topic_names: if newest { Vec::new() } else { names.to_vec() },
            timeout_ms: self.timeout_ms(),
        };
        let answer = self.call_controller(&request).await?;
        let each = names.iter().map(|name| {
            let result = answer.responses.iter().find(|one| one.name.as_ref() == Some(name));
            let result = result.ok_or_else(|| missing(format!("topic {name}")))?;
            match result.error_code {
                ErrorCode::NONE => Ok(()),
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => Err(ClientError::UnknownTopic(name.clone())),
                code => Err(ClientError::broker(code, format!("topic {name}"), result.error_message.clone())),
            }
        });
        Ok(each.collect())
    }

    /// All settings of topics.
    ///
    /// # Errors
    /// Failures of the connection, after `api_timeout`; each topic has a result of its own.
    pub async fn describe_topic_configs(
        &self,
        names: &[String],
    ) -> Result<Each<Vec<ConfigEntry>>, ClientError> {
        let resources = names.iter().map(|name| resource(TOPIC, name.clone(), None)).collect();
        let request = DescribeConfigsRequest {
            resources,
            include_documentation: true,
            ..DescribeConfigsRequest::default()
        };
        let answer = self.call_any(&request).await?;
        let each = names.iter().map(|name| {
            let result = answer.results.iter().find(|one| one.resource_name == *name);
            let result = result.ok_or_else(|| missing(format!("topic {name}")))?;
            match result.error_code {
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => Err(ClientError::UnknownTopic(name.clone())),
                _ => entries(result, format!("topic {name}")),
            }
        });
        Ok(each.collect())
    }

    /// The largest batch a topic takes, bytes; `None` where the broker does not tell.
    pub async fn max_message_bytes(&self, topic: &str) -> Option<usize> {
        let keys = Some(vec!["max.message.bytes".to_owned()]);
        let request = DescribeConfigsRequest {
            resources: vec![resource(TOPIC, topic.to_owned(), keys)],
            ..DescribeConfigsRequest::default()
        };
        let connection = self.any().await.ok()?;
        let answer = connection.call(&request, self.options().request_timeout).await.ok()?;
        answer.results.first()?.configs.first()?.value.as_ref()?.parse().ok()
    }

    /// All settings of a broker.
    ///
    /// # Errors
    /// Failures of the connection, after `api_timeout`; what the broker says.
    pub async fn describe_broker_configs(&self, node: i32) -> Result<Vec<ConfigEntry>, ClientError> {
        let request = DescribeConfigsRequest {
            resources: vec![resource(BROKER, node.to_string(), None)],
            ..DescribeConfigsRequest::default()
        };
        self.learn_nodes().await?;
        let connection = self.node(node, Lane::Main).await?;
        let answer = connection.call(&request, self.options().request_timeout).await?;
        let result = answer.results.first().ok_or_else(|| missing(format!("broker {node}")))?;
        entries(result, format!("broker {node}"))
    }

    /// What the broker we talk to first speaks.
    ///
    /// # Errors
    /// Failures of the connection.
    pub async fn api_versions(&self) -> Result<Vec<ApiRange>, ClientError> {
        let connection = self.any().await?;
        let range = |one: &ApiVersion| ApiRange {
            key: one.api_key,
            name: ApiKey::from_code(one.api_key).map(ApiKey::name),
            min: one.min_version,
            max: one.max_version,
            used: ApiKey::from_code(one.api_key).and_then(|key| connection.version(key).ok()),
        };
        Ok(connection.speaks().iter().map(range).collect())
    }

    fn timeout_ms(&self) -> i32 {
        i32::try_from(self.options().request_timeout.as_millis()).unwrap_or(i32::MAX)
    }

    async fn controller(&self) -> Result<Arc<Connection>, ClientError> {
        let (_, controller, nodes) = self.describe_cluster().await?;
        match nodes.iter().any(|node| node.id == controller) {
            true => self.node(controller, Lane::Main).await,
            false => self.any().await,
        }
    }

    async fn call_controller<R: Request>(&self, request: &R) -> Result<R::Response, ClientError> {
        let mut attempts = Attempts::within(self.options().api_timeout, self.options());
        loop {
            let outcome = match self.controller().await {
                Ok(connection) => connection.call(request, self.options().request_timeout).await,
                Err(error) => Err(error),
            };
            match outcome {
                Ok(answer) => return Ok(answer),
                Err(error) => attempts.after(error).await?,
            }
        }
    }

    async fn call_any<R: Request>(&self, request: &R) -> Result<R::Response, ClientError> {
        let mut attempts = Attempts::within(self.options().api_timeout, self.options());
        loop {
            let outcome = match self.any().await {
                Ok(connection) => connection.call(request, self.options().request_timeout).await,
                Err(error) => Err(error),
            };
            match outcome {
                Ok(answer) => return Ok(answer),
                Err(error) => attempts.after(error).await?,
            }
        }
    }
}

/// An answer that leaves out what was asked for.
fn missing(what: String) -> ClientError {
    ClientError::broker(ErrorCode::UNKNOWN_SERVER_ERROR, what, Some("the answer does not name it".to_owned()))
}

fn resource(resource_type: i8, resource_name: String, keys: Option<Vec<String>>) -> DescribeConfigsResource {
    DescribeConfigsResource { resource_type, resource_name, configuration_keys: keys }
}

fn entries(result: &DescribeConfigsResult, what: String) -> Result<Vec<ConfigEntry>, ClientError> {
    if !result.error_code.is_ok() {
        return Err(ClientError::broker(result.error_code, what, result.error_message.clone()));
    }
    let one = |config: &describe_configs::DescribeConfigsResourceResult| ConfigEntry {
        name: config.name.clone(),
        value: config.value.clone(),
        source: config.config_source,
        read_only: config.read_only,
        sensitive: config.is_sensitive,
        documentation: config.documentation.clone(),
    };
    Ok(result.configs.iter().map(one).collect())
}
