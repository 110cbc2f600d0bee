//! Admin calls: topics, settings, groups, offsets; each one call, retried where the code says so.

use super::group::Committed;
use super::{Client, ClientError};
use crate::model::id::{TopicId, TopicPartition};

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

/// A group as the broker lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedGroup {
    /// The group's name.
    pub group: String,
    /// `consumer` for consumers; empty when only offsets are there.
    pub protocol_type: String,
    /// Kafka's word for its state, like `Stable`; empty where the broker does not tell.
    pub state: String,
    /// `classic` or `consumer`; empty where the broker does not tell.
    pub group_type: String,
}

/// A group in detail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupDescription {
    /// The group's name.
    pub group: String,
    /// Kafka's word for its state; `Dead` when there is no such group.
    pub state: String,
    /// `consumer` for consumers.
    pub protocol_type: String,
    /// The assignor in use, empty while there is none.
    pub protocol: String,
    /// Its members.
    pub members: Vec<MemberDescription>,
    /// The node that coordinates it.
    pub coordinator: i32,
}

/// A member in detail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberDescription {
    /// Its id.
    pub member_id: String,
    /// The static member's name.
    pub instance_id: Option<String>,
    /// The client's id.
    pub client_id: String,
    /// Where it comes from.
    pub client_host: String,
    /// What it was assigned; empty when not a consumer.
    pub assigned: Vec<TopicPartition>,
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
}

/// One result per item asked for, in the same order.
pub type Each<T> = Vec<Result<T, ClientError>>;

impl Client {
    /// Makes topics. `ClientError::Broker` with TOPIC_ALREADY_EXISTS (36) for those that exist.
    pub async fn create_topics(&self, _topics: &[NewTopic]) -> Result<Each<MadeTopic>, ClientError> {
        unimplemented!()
    }

    /// Deletes topics by name. [`ClientError::UnknownTopic`] for those that do not exist.
    pub async fn delete_topics(&self, _names: &[String]) -> Result<Each<()>, ClientError> {
        unimplemented!()
    }

    /// All settings of topics.
    pub async fn describe_topic_configs(
        &self,
        _names: &[String],
    ) -> Result<Each<Vec<ConfigEntry>>, ClientError> {
        unimplemented!()
    }

    /// All settings of a broker.
    pub async fn describe_broker_configs(&self, _node: i32) -> Result<Vec<ConfigEntry>, ClientError> {
        unimplemented!()
    }

    /// Groups of all brokers, by name.
    pub async fn list_groups(&self) -> Result<Vec<ListedGroup>, ClientError> {
        unimplemented!()
    }

    /// Groups in detail.
    pub async fn describe_groups(&self, _groups: &[String]) -> Result<Each<GroupDescription>, ClientError> {
        unimplemented!()
    }

    /// Every offset a group has kept, by partition. Empty when there is no such group.
    pub async fn group_offsets(&self, _group: &str) -> Result<Vec<(TopicPartition, Committed)>, ClientError> {
        unimplemented!()
    }

    /// Offsets by time or mark, of any partitions.
    pub async fn list_offsets(
        &self,
        _wanted: &[(TopicPartition, OffsetSpec)],
    ) -> Result<Each<ListedOffset>, ClientError> {
        unimplemented!()
    }

    /// What the broker we talk to first speaks.
    pub async fn api_versions(&self) -> Result<Vec<ApiRange>, ClientError> {
        unimplemented!()
    }
}
