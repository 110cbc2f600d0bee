//! Admin calls that change topics: settings, more partitions, records that go; each partition at its leader.

use super::{Each, TOPIC, missing};
use crate::client::cluster::Lane;
use crate::client::retry::{Attempts, Refresh, refresh_after};
use crate::client::{Client, ClientError};
use crate::model::id::TopicPartition;
use crate::wire::error::ErrorCode;
use crate::wire::messages::create_partitions::{CreatePartitionsRequest, CreatePartitionsTopic};
use crate::wire::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use crate::wire::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};

/// A change of one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigChange {
    /// It is to have this value.
    Set(String, String),
    /// It is to have its default again.
    Delete(String),
}

impl Client {
    /// Changes settings of topics, all or none of one topic's. [`ClientError::UnknownTopic`] for those that do not
    /// exist.
    ///
    /// # Errors
    /// Failures of the connection, after `api_timeout`; each topic has a result of its own.
    pub async fn alter_topic_configs(
        &self,
        names: &[String],
        changes: &[ConfigChange],
    ) -> Result<Each<()>, ClientError> {
        let change = |change: &ConfigChange| match change {
            ConfigChange::Set(name, value) => {
                AlterableConfig { name: name.clone(), config_operation: 0, value: Some(value.clone()) }
            }
            ConfigChange::Delete(name) => {
                AlterableConfig { name: name.clone(), config_operation: 1, value: None }
            }
        };
        let resource = |name: &String| AlterConfigsResource {
            resource_type: TOPIC,
            resource_name: name.clone(),
            configs: changes.iter().map(change).collect(),
        };
        let request = IncrementalAlterConfigsRequest {
            resources: names.iter().map(resource).collect(),
            validate_only: false,
        };
        let answer = self.call_controller(&request).await?;
        let each = names.iter().map(|name| {
            let result = answer.responses.iter().find(|one| one.resource_name == *name);
            let result = result.ok_or_else(|| missing(format!("topic {name}")))?;
            outcome(name, result.error_code, result.error_message.clone())
        });
        Ok(each.collect())
    }

    /// Gives topics more partitions; `count` is that of all partitions then. [`ClientError::UnknownTopic`] for those
    /// that do not exist.
    ///
    /// # Errors
    /// Failures of the connection, after `api_timeout`; each topic has a result of its own.
    pub async fn create_partitions(&self, names: &[String], count: i32) -> Result<Each<()>, ClientError> {
        let topic = |name: &String| CreatePartitionsTopic { name: name.clone(), count, assignments: None };
        let request = CreatePartitionsRequest {
            topics: names.iter().map(topic).collect(),
            timeout_ms: self.timeout_ms(),
            validate_only: false,
        };
        let answer = self.call_controller(&request).await?;
        self.forget_topics(names.iter().map(String::as_str));
        let each = names.iter().map(|name| {
            let result = answer.results.iter().find(|one| one.name == *name);
            let result = result.ok_or_else(|| missing(format!("topic {name}")))?;
            outcome(name, result.error_code, result.error_message.clone())
        });
        Ok(each.collect())
    }

    /// Deletes the records before an offset (-1: the high watermark); gives the partition's first offset then.
    ///
    /// # Errors
    /// Each partition has a result of its own: OFFSET_OUT_OF_RANGE beyond the end, POLICY_VIOLATION where the topic
    /// is compacted only; failures of the connection, after `api_timeout`.
    pub async fn delete_records(&self, wanted: &[(TopicPartition, i64)]) -> Each<i64> {
        let mut each = Vec::new();
        for (partition, before) in wanted {
            each.push(self.delete_records_of(partition, *before).await);
        }
        each
    }

    async fn delete_records_of(&self, partition: &TopicPartition, before: i64) -> Result<i64, ClientError> {
        let one = DeleteRecordsPartition { partition_index: partition.partition, offset: before };
        let topic = DeleteRecordsTopic { name: partition.topic.to_string(), partitions: vec![one] };
        let request = DeleteRecordsRequest { topics: vec![topic], timeout_ms: self.timeout_ms() };
        let mut attempts = Attempts::within(self.options().api_timeout, self.options());
        loop {
            let outcome = async {
                let (leader, _) = self.leader(partition).await?;
                let connection = self.node(leader, Lane::Main).await?;
                let answer = connection.call(&request, self.options().request_timeout).await?;
                let result = answer.topics.into_iter().flat_map(|topic| topic.partitions).next();
                let result = result.ok_or_else(|| missing(partition.to_string()))?;
                match result.error_code {
                    ErrorCode::NONE => Ok(result.low_watermark),
                    code => Err(ClientError::broker(code, partition.to_string(), None)),
                }
            };
            match outcome.await {
                Ok(start) => return Ok(start),
                Err(error) => {
                    if error.code().and_then(refresh_after) == Some(Refresh::Metadata) {
                        self.forget_topics([&*partition.topic]);
                    }
                    attempts.after(error).await?;
                }
            }
        }
    }
}

fn outcome(name: &str, code: ErrorCode, message: Option<String>) -> Result<(), ClientError> {
    match code {
        ErrorCode::NONE => Ok(()),
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => Err(ClientError::UnknownTopic(name.to_owned())),
        code => Err(ClientError::broker(code, format!("topic {name}"), message)),
    }
}
