//! The records of `__cluster_metadata`, in Kafka's frames; never a record that Kafka's own tools could not read.
//!
//! A record's value is: frame version (unsigned varint, always 1), record type, version of that type (both
//! unsigned varints), then the body. Keys are null. All bodies are in the flexible encoding.
//! (`org.apache.kafka.server.common.serialization.AbstractApiMessageSerde`, KIP-631.)

use bytes::Bytes;

use crate::codec::{Reader, Version, Wire, Writer, structs};
use crate::model::id::TopicId;

use super::kraft::{
    AccessControlEntry, RemoveAccessControlEntry, RemoveUserScramCredential, UserScramCredential,
};
use super::{SchemaError, whole};

/// What a config record is about, as Kafka numbers it (`ConfigResource.Type`).
pub mod resource_type {
    /// A topic, by name.
    pub const TOPIC: i8 = 2;
    /// A broker, by node id in decimal; the empty name is the default of all brokers.
    pub const BROKER: i8 = 4;
    /// A group, by id.
    pub const GROUP: i8 = 32;
}

/// One record of the metadata log.
#[derive(Debug, Clone, PartialEq)]
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
    /// A user got a SCRAM credential, or another one.
    UserScramCredential(UserScramCredential),
    /// A user's SCRAM credential was taken away.
    RemoveUserScramCredential(RemoveUserScramCredential),
    /// An access rule was made.
    AccessControlEntry(AccessControlEntry),
    /// An access rule was taken away.
    RemoveAccessControlEntry(RemoveAccessControlEntry),
    /// A type this build does not know, kept so that readers may count and skip it.
    Other(Other),
}

structs! {
    /// Record type 0, versions 0 to 4; written in 3.
    pub struct RegisterBroker {
        /// The node's id.
        broker_id: i32,
        /// Whether a broker of a ZooKeeper cluster is moving over.
        is_migrating_zk_broker: bool [2..],
        /// Drawn anew at every start of the process.
        incarnation_id: TopicId,
        /// Rises with every registration; Kafka takes the record's offset.
        broker_epoch: i64,
        /// Where clients reach the broker.
        end_points: Vec<EndPoint>,
        /// The feature levels the broker can work with.
        features: Vec<FeatureRange>,
        /// The rack, if one is set.
        rack: Option<String>,
        /// Whether the broker may not lead yet.
        fenced: bool = true,
        /// Whether the broker is going down in good order.
        in_controlled_shutdown: bool [1..],
        /// Ids of the broker's data folders.
        log_dirs: Vec<TopicId> [3.., tag 0, ignorable],
        /// Data folders that take no new partitions.
        cordoned_log_dirs: Option<Vec<TopicId>> [4.., tag 1, ignorable],
    }

    /// A listener of a broker.
    pub struct EndPoint {
        /// The listener's name, e.g. `PLAINTEXT`.
        name: String,
        /// The advertised host.
        host: String,
        /// The advertised port.
        port: u16,
        /// Kafka's `SecurityProtocol` id: 0 plaintext, 1 TLS, 2 SASL plaintext, 3 SASL TLS.
        security_protocol: i16,
    }

    /// A feature and the levels of it that a broker supports, inclusive.
    pub struct FeatureRange {
        /// The feature's name, e.g. `metadata.version`.
        name: String,
        /// Lowest level.
        min_supported_version: i16,
        /// Highest level.
        max_supported_version: i16,
    }

    /// Record type 2.
    pub struct Topic {
        /// The topic's name.
        name: String,
        /// The topic's id, never used again after the topic is gone.
        topic_id: TopicId,
    }

    /// Record type 3, versions 0 to 2; written in 1.
    pub struct Partition {
        /// Index within the topic, 0 or more.
        partition_id: i32 = -1,
        /// The topic.
        topic_id: TopicId,
        /// Node ids, preferred leader first.
        replicas: Vec<i32>,
        /// Node ids in sync with the leader.
        isr: Vec<i32>,
        /// Node ids on their way out.
        removing_replicas: Vec<i32>,
        /// Node ids on their way in.
        adding_replicas: Vec<i32>,
        /// The leading node, -1 for none.
        leader: i32 = -1,
        /// 1 while the leader recovers from an unclean election.
        leader_recovery_state: i8 [0.., tag 0],
        /// Rises with every change of leader.
        leader_epoch: i32 = -1,
        /// Rises with every change of the partition.
        partition_epoch: i32 = -1,
        /// The data folder of each replica, in the order of `replicas`; empty when not told.
        directories: Vec<TopicId> [1.., ignorable],
        /// Nodes that may lead if the last one in sync is lost (KIP-966).
        eligible_leader_replicas: Option<Vec<i32>> [2.., tag 1, ignorable],
        /// The last such nodes known.
        last_known_elr: Option<Vec<i32>> [2.., tag 2, ignorable],
    }

    /// Record type 4.
    pub struct Config {
        /// One of [`resource_type`].
        resource_type: i8,
        /// Name of the topic, id of the broker.
        resource_name: String,
        /// The setting, by Kafka's name.
        name: String,
        /// Its value; `None` takes the setting away.
        value: Option<String>,
    }

    /// Record type 9.
    pub struct RemoveTopic {
        /// The topic that is gone.
        topic_id: TopicId,
    }

    /// Record type 12.
    pub struct FeatureLevel {
        /// The feature's name, e.g. `metadata.version`.
        name: String,
        /// The level all brokers work with; 0 takes the feature away.
        feature_level: i16,
    }

    /// Record type 15.
    pub struct ProducerIds {
        /// The broker that got the block.
        broker_id: i32,
        /// That broker's epoch, -1 if not told.
        broker_epoch: i64 = -1,
        /// First id of the block after this one.
        next_producer_id: i64,
    }
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

/// The frame's version: it has never had another.
const FRAME_VERSION: u32 = 1;

impl MetadataRecord {
    /// The record's value as it is stored, in the version that Apache Kafka 4.3 writes without optional features.
    ///
    /// Fails only where a string is longer than its encoding can say.
    pub fn encode(&self) -> Result<Bytes, SchemaError> {
        match self {
            Self::RegisterBroker(body) => frame(0, 3, body),
            Self::Topic(body) => frame(2, 0, body),
            Self::Partition(body) => frame(3, 1, body),
            Self::Config(body) => frame(4, 0, body),
            Self::RemoveTopic(body) => frame(9, 0, body),
            Self::FeatureLevel(body) => frame(12, 0, body),
            Self::ProducerIds(body) => frame(15, 0, body),
            Self::UserScramCredential(body) => frame(11, 0, body),
            Self::RemoveUserScramCredential(body) => frame(22, 0, body),
            Self::AccessControlEntry(body) => frame(18, 0, body),
            Self::RemoveAccessControlEntry(body) => frame(19, 0, body),
            Self::Other(other) => {
                let mut writer = head(other.record_type, other.version);
                writer.raw(&other.body);
                Ok(writer.into_bytes())
            }
        }
    }

    /// Reads a record's value, in any version of it that Apache Kafka 4.3 knows. Bytes behind the body are an
    /// error, as in Kafka; unknown tagged fields are skipped.
    pub fn decode(value: Bytes) -> Result<Self, SchemaError> {
        let mut reader = Reader::new(value);
        let frame = reader.uvarint()?;
        if frame != FRAME_VERSION {
            return Err(SchemaError::FrameVersion(frame));
        }
        let kind = reader.uvarint()?;
        let version = reader.uvarint()?;
        match kind {
            0 => body(&mut reader, "RegisterBrokerRecord", version, 4).map(Self::RegisterBroker),
            2 => body(&mut reader, "TopicRecord", version, 0).map(Self::Topic),
            3 => body(&mut reader, "PartitionRecord", version, 2).map(Self::Partition),
            4 => body(&mut reader, "ConfigRecord", version, 0).map(Self::Config),
            9 => body(&mut reader, "RemoveTopicRecord", version, 0).map(Self::RemoveTopic),
            11 => body(&mut reader, "UserScramCredentialRecord", version, 0).map(Self::UserScramCredential),
            12 => body(&mut reader, "FeatureLevelRecord", version, 0).map(Self::FeatureLevel),
            15 => body(&mut reader, "ProducerIdsRecord", version, 0).map(Self::ProducerIds),
            18 => body(&mut reader, "AccessControlEntryRecord", version, 0).map(Self::AccessControlEntry),
            19 => body(&mut reader, "RemoveAccessControlEntryRecord", version, 0)
                .map(Self::RemoveAccessControlEntry),
            22 => body(&mut reader, "RemoveUserScramCredentialRecord", version, 0)
                .map(Self::RemoveUserScramCredential),
            kind => Ok(Self::Other(Other { record_type: kind, version, body: reader.rest() })),
        }
    }
}

fn head(kind: u32, version: u32) -> Writer {
    let mut writer = Writer::with_capacity(64);
    writer.uvarint(FRAME_VERSION);
    writer.uvarint(kind);
    writer.uvarint(version);
    writer
}

fn frame(kind: u32, version: i16, body: &impl Wire) -> Result<Bytes, SchemaError> {
    let mut writer = head(kind, version.unsigned_abs().into());
    body.write(&mut writer, Version::new(version, Some(0)))?;
    Ok(writer.into_bytes())
}

fn body<T: Wire>(reader: &mut Reader, what: &'static str, version: u32, max: i16) -> Result<T, SchemaError> {
    let known = i16::try_from(version).ok().filter(|&version| version <= max);
    let Some(known) = known else {
        let found = i32::try_from(version).unwrap_or(i32::MAX);
        return Err(SchemaError::Version { what, found, min: 0, max });
    };
    let value = T::read(reader, Version::new(known, Some(0)))?;
    whole(reader, what)?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::super::golden::{bytes, hex};
    use super::*;

    const ID: TopicId = TopicId([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);

    /// Records and the bytes that `MetadataRecordSerde` of Apache Kafka 4.3.1 makes of them.
    fn golden() -> Vec<(MetadataRecord, &'static str)> {
        let id = ID;
        vec![
            (
                MetadataRecord::RegisterBroker(RegisterBroker {
                    broker_id: 1,
                    incarnation_id: id,
                    broker_epoch: 5,
                    end_points: vec![EndPoint {
                        name: "PLAINTEXT".into(),
                        host: "127.0.0.1".into(),
                        port: 49092,
                        security_protocol: 0,
                    }],
                    features: vec![FeatureRange {
                        name: "metadata.version".into(),
                        min_supported_version: 7,
                        max_supported_version: 30,
                    }],
                    fenced: false,
                    log_dirs: vec![id],
                    ..RegisterBroker::default()
                }),
                "01000300000001000102030405060708090a0b0c0d0e0f100000000000000005020a504c41494e544558540a3132372e302e\
                 302e31bfc400000002116d657461646174612e76657273696f6e0007001e00000000010011020102030405060708090a0b0c\
                 0d0e0f10",
            ),
            (
                MetadataRecord::Topic(Topic { name: "sales".into(), topic_id: id }),
                "0102000673616c65730102030405060708090a0b0c0d0e0f1000",
            ),
            (
                MetadataRecord::Partition(Partition {
                    partition_id: 3,
                    topic_id: id,
                    replicas: vec![1],
                    isr: vec![1],
                    leader: 1,
                    leader_epoch: 300,
                    partition_epoch: 7,
                    directories: vec![id],
                    ..Partition::default()
                }),
                "010301000000030102030405060708090a0b0c0d0e0f10020000000102000000010101000000010000012c0000000702010203\
                 0405060708090a0b0c0d0e0f1000",
            ),
        ]
    }

    fn more_golden() -> Vec<(MetadataRecord, &'static str)> {
        let config = |resource_type, resource: &str, name: &str, value: Option<&str>| {
            MetadataRecord::Config(Config {
                resource_type,
                resource_name: resource.into(),
                name: name.into(),
                value: value.map(str::to_owned),
            })
        };
        vec![
            (
                config(resource_type::TOPIC, "sales", "retention.ms", Some("1000")),
                "010400020673616c65730d726574656e74696f6e2e6d73053130303000",
            ),
            (
                config(resource_type::BROKER, "", "log.retention.ms", None),
                "0104000401116c6f672e726574656e74696f6e2e6d730000",
            ),
            (
                MetadataRecord::RemoveTopic(RemoveTopic { topic_id: ID }),
                "0109000102030405060708090a0b0c0d0e0f1000",
            ),
            (
                MetadataRecord::FeatureLevel(FeatureLevel {
                    name: "metadata.version".into(),
                    feature_level: 29,
                }),
                "010c00116d657461646174612e76657273696f6e001d00",
            ),
            (
                MetadataRecord::ProducerIds(ProducerIds {
                    broker_id: 1,
                    broker_epoch: 5,
                    next_producer_id: 2000,
                }),
                "010f0000000001000000000000000500000000000007d000",
            ),
        ]
    }

    fn access_golden() -> Vec<(MetadataRecord, &'static str)> {
        vec![
            (
                MetadataRecord::UserScramCredential(UserScramCredential {
                    name: "alice".into(),
                    mechanism: 1,
                    salt: bytes("010203"),
                    stored_key: bytes("0405"),
                    server_key: bytes("06"),
                    iterations: 8192,
                }),
                "010b0006616c696365010401020303040502060000200000",
            ),
            (
                MetadataRecord::RemoveUserScramCredential(RemoveUserScramCredential {
                    name: "alice".into(),
                    mechanism: 2,
                }),
                "01160006616c6963650200",
            ),
            (
                MetadataRecord::AccessControlEntry(AccessControlEntry {
                    id: ID,
                    resource_type: 2,
                    resource_name: "sales".into(),
                    pattern_type: 4,
                    principal: "User:alice".into(),
                    host: "*".into(),
                    operation: 3,
                    permission_type: 3,
                }),
                "0112000102030405060708090a0b0c0d0e0f10020673616c6573040b557365723a616c696365022a030300",
            ),
            (
                MetadataRecord::RemoveAccessControlEntry(RemoveAccessControlEntry { id: ID }),
                "0113000102030405060708090a0b0c0d0e0f1000",
            ),
        ]
    }

    #[test]
    fn kafkas_own_bytes_are_read_and_written() {
        for (record, golden) in golden().into_iter().chain(more_golden()).chain(access_golden()) {
            assert_eq!(MetadataRecord::decode(bytes(golden)).unwrap(), record, "{golden}");
            assert_eq!(hex(&record.encode().unwrap()), golden);
        }
    }

    #[test]
    fn what_is_not_a_whole_known_record_is_an_error_or_kept() {
        let whole = MetadataRecord::RemoveTopic(RemoveTopic { topic_id: TopicId([7; 16]) }).encode().unwrap();
        for short in 0..whole.len() {
            MetadataRecord::decode(whole.slice(..short)).unwrap_err();
        }
        let mut long = whole.to_vec();
        long.push(0);
        let trailing = SchemaError::Trailing { what: "RemoveTopicRecord", left: 1 };
        assert_eq!(MetadataRecord::decode(long.into()), Err(trailing));
        assert_eq!(MetadataRecord::decode(bytes("020900")), Err(SchemaError::FrameVersion(2)));
        let newer = SchemaError::Version { what: "TopicRecord", found: 9, min: 0, max: 0 };
        assert_eq!(MetadataRecord::decode(bytes("010209")), Err(newer));
        let other = MetadataRecord::decode(bytes("011100ffee")).unwrap();
        assert_eq!(other, MetadataRecord::Other(Other { record_type: 17, version: 0, body: bytes("ffee") }));
        assert_eq!(hex(&other.encode().unwrap()), "011100ffee");
    }
}
