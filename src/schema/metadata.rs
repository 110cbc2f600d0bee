//! The records of `__cluster_metadata`, in Kafka's frames; never a record that Kafka's own tools could not read.
//!
//! A record's value is: frame version (unsigned varint, always 1), record type, version of that type (both
//! unsigned varints), then the body. Keys are null. All bodies are in the flexible encoding.
//! (`org.apache.kafka.server.common.serialization.AbstractApiMessageSerde`, KIP-631.)

use bytes::Bytes;

use crate::model::id::TopicId;

use super::SchemaError;

/// What a config record is about, as Kafka numbers it (`ConfigResource.Type`).
pub mod resource_type {
    /// A topic, by name.
    pub const TOPIC: i8 = 2;
    /// A broker, by node id in decimal; the empty name is the default of all brokers.
    pub const BROKER: i8 = 4;
}

/// One record of the metadata log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetadataRecord {
    /// A broker came up.
    RegisterBroker(RegisterBroker),
    /// A topic was made.
    Topic(Topic),
    /// A partition was made, or all that is known of it changed.
    Partition(Partition),
    /// A setting was set or taken away.
    Config(Config),
    /// A topic and its partitions were removed.
    RemoveTopic(RemoveTopic),
    /// A feature was set to a level.
    FeatureLevel(FeatureLevel),
    /// A block of producer ids was handed out.
    ProducerIds(ProducerIds),
    /// A type this build does not know, kept so that readers may count and skip it.
    Other(Other),
}

/// Record type 0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RegisterBroker {
    /// The node's id.
    pub broker_id: i32,
    /// Drawn anew at every start of the process.
    pub incarnation_id: TopicId,
    /// Rises with every registration; Kafka takes the record's offset.
    pub broker_epoch: i64,
    /// Where clients reach the broker.
    pub end_points: Vec<EndPoint>,
    /// The feature levels the broker can work with.
    pub features: Vec<FeatureRange>,
    /// The rack, if one is set.
    pub rack: Option<String>,
    /// Whether the broker may not lead yet.
    pub fenced: bool,
}

/// A listener of a broker.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EndPoint {
    /// The listener's name, e.g. `PLAINTEXT`.
    pub name: String,
    /// The advertised host.
    pub host: String,
    /// The advertised port.
    pub port: u16,
    /// Kafka's `SecurityProtocol` id: 0 plaintext, 1 TLS, 2 SASL plaintext, 3 SASL TLS.
    pub security_protocol: i16,
}

/// A feature and the levels of it that a broker supports, inclusive.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FeatureRange {
    /// The feature's name, e.g. `metadata.version`.
    pub name: String,
    /// Lowest level.
    pub min_supported: i16,
    /// Highest level.
    pub max_supported: i16,
}

/// Record type 2.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Topic {
    /// The topic's name.
    pub name: String,
    /// The topic's id, never used again after the topic is gone.
    pub topic_id: TopicId,
}

/// Record type 3.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Partition {
    /// Index within the topic, 0 or more.
    pub partition_id: i32,
    /// The topic.
    pub topic_id: TopicId,
    /// Node ids, preferred leader first.
    pub replicas: Vec<i32>,
    /// Node ids in sync with the leader.
    pub isr: Vec<i32>,
    /// Node ids on their way out.
    pub removing_replicas: Vec<i32>,
    /// Node ids on their way in.
    pub adding_replicas: Vec<i32>,
    /// The leading node, -1 for none.
    pub leader: i32,
    /// Rises with every change of leader.
    pub leader_epoch: i32,
    /// Rises with every change of the partition.
    pub partition_epoch: i32,
    /// The data folder of each replica, in the order of `replicas`; empty when not told.
    pub directories: Vec<TopicId>,
}

/// Record type 4.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// One of [`resource_type`].
    pub resource_type: i8,
    /// Name of the topic, id of the broker.
    pub resource_name: String,
    /// The setting, by Kafka's name.
    pub name: String,
    /// Its value; `None` takes the setting away.
    pub value: Option<String>,
}

/// Record type 9.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RemoveTopic {
    /// The topic that is gone.
    pub topic_id: TopicId,
}

/// Record type 12.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FeatureLevel {
    /// The feature's name, e.g. `metadata.version`.
    pub name: String,
    /// The level all brokers work with; 0 takes the feature away.
    pub level: i16,
}

/// Record type 15.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProducerIds {
    /// The broker that got the block.
    pub broker_id: i32,
    /// That broker's epoch, -1 if not told.
    pub broker_epoch: i64,
    /// First id of the block after this one.
    pub next_producer_id: i64,
}

/// A record of a type this build does not know.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Other {
    /// The record's type.
    pub record_type: u32,
    /// The version of the type.
    pub version: u32,
    /// What follows, undecoded.
    pub body: Bytes,
}

impl MetadataRecord {
    /// The record's value as it is stored, in the version that Apache Kafka 4.3 writes.
    ///
    /// Fails only where a string is longer than its encoding can say.
    pub fn encode(&self) -> Result<Bytes, SchemaError> {
        unimplemented!()
    }

    /// Reads a record's value, in any version of it that Apache Kafka 4.3 knows. Bytes behind the body are an
    /// error, as in Kafka; unknown tagged fields are skipped.
    pub fn decode(_value: Bytes) -> Result<Self, SchemaError> {
        unimplemented!()
    }
}
