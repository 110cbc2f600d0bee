//! Keys and values of `__consumer_offsets` as Apache Kafka 4.3 writes them; never a record its tools can not read.
//!
//! A key is its kind (int16) and the body, not flexible; a value is its version (int16) and the body, flexible from
//! version 4. (`GroupCoordinatorRecordSerde`, `OffsetCommitKey.json` and so on in Kafka's group coordinator.)

use bytes::Bytes;

use crate::codec::{Reader, Version, Wire, Writer, structs};
use crate::model::id::TopicId;

use super::{SchemaError, whole};

/// The key of a record.
#[derive(Debug, Clone, PartialEq)]
pub enum OffsetsKey {
    /// An offset of a group (kinds 0 and 1; 1 is written).
    Commit(OffsetCommitKey),
    /// A classic group (kind 2).
    Group(GroupMetadataKey),
    /// A kind this build does not know, such as those of KIP-848 groups.
    Other {
        /// The kind.
        kind: i16,
        /// The rest, undecoded.
        body: Bytes,
    },
}

structs! {
    /// Which offset: the key of [`OffsetCommitValue`].
    pub struct OffsetCommitKey {
        /// The group.
        group: String,
        /// The topic's name.
        topic: String,
        /// The partition.
        partition: i32,
    }

    /// Which group: the key of [`GroupMetadataValue`].
    pub struct GroupMetadataKey {
        /// The group.
        group: String,
    }

    /// A committed offset, versions 0 to 4; written in 4, with an expiry in 1.
    pub struct OffsetCommitValue {
        /// The next offset to read.
        offset: i64,
        /// Leader epoch of the last record read, -1 for unknown.
        leader_epoch: i32 [3.., ignorable] = -1,
        /// The client's note.
        metadata: String,
        /// When it was committed: ms since 1970.
        commit_timestamp: i64,
        /// When it ends by the client's wish: ms since 1970, -1 for never.
        expire_timestamp: i64 [1..=1, ignorable] = -1,
        /// The topic's id, zero if unknown.
        topic_id: TopicId [4.., tag 0, ignorable],
    }

    /// A classic group as it was when it last came to rest, versions 0 to 4; written in 3.
    pub struct GroupMetadataValue {
        /// `consumer`, `connect` ...; empty for a group that only kept offsets.
        protocol_type: String,
        /// The generation.
        generation: i32,
        /// The chosen protocol; none in a group without members.
        protocol: Option<String>,
        /// The leader's member id.
        leader: Option<String>,
        /// When the group came into this state: ms since 1970, -1 for unknown.
        current_state_timestamp: i64 [2.., ignorable] = -1,
        /// The members.
        members: Vec<MemberMetadata>,
    }

    /// A member of [`GroupMetadataValue`].
    pub struct MemberMetadata {
        /// The member's id.
        member_id: String,
        /// Its name, if static.
        group_instance_id: Option<String> [3.., ignorable],
        /// The client's name for itself.
        client_id: String,
        /// Where it called from.
        client_host: String,
        /// Milliseconds, -1 for unknown.
        rebalance_timeout: i32 [1.., ignorable] = -1,
        /// Milliseconds.
        session_timeout: i32,
        /// What the member told for the chosen protocol.
        subscription: Bytes,
        /// What the leader gave it.
        assignment: Bytes,
    }
}

const NEWEST: i16 = 4;

fn version(number: i16) -> Version {
    Version::new(number, Some(4))
}

fn encode(number: i16, value: &impl Wire) -> Result<Bytes, SchemaError> {
    let mut writer = Writer::with_capacity(64);
    writer.i16(number);
    value.write(&mut writer, version(number))?;
    Ok(writer.into_bytes())
}

fn decode<T: Wire>(value: Bytes, what: &'static str) -> Result<T, SchemaError> {
    let mut reader = Reader::new(value);
    let number = reader.i16()?;
    if !(0..=NEWEST).contains(&number) {
        return Err(SchemaError::Version { what, found: number.into(), min: 0, max: NEWEST });
    }
    let value = T::read(&mut reader, version(number))?;
    whole(&reader, what)?;
    Ok(value)
}

impl OffsetsKey {
    /// The key as it is stored.
    pub fn encode(&self) -> Result<Bytes, SchemaError> {
        let mut writer = Writer::with_capacity(64);
        match self {
            Self::Commit(key) => {
                writer.i16(1);
                key.write(&mut writer, version(0))?;
            }
            Self::Group(key) => {
                writer.i16(2);
                key.write(&mut writer, version(0))?;
            }
            Self::Other { kind, body } => {
                writer.i16(*kind);
                writer.raw(body);
            }
        }
        Ok(writer.into_bytes())
    }

    /// Reads a key.
    pub fn decode(key: Bytes) -> Result<Self, SchemaError> {
        let mut reader = Reader::new(key);
        let kind = reader.i16()?;
        let key = match kind {
            0 | 1 => Self::Commit(OffsetCommitKey::read(&mut reader, version(0))?),
            2 => Self::Group(GroupMetadataKey::read(&mut reader, version(0))?),
            kind => return Ok(Self::Other { kind, body: reader.rest() }),
        };
        whole(&reader, "key of the offsets topic")?;
        Ok(key)
    }
}

impl OffsetCommitValue {
    /// The value as Apache Kafka 4.3 stores it: an expiry can be said in version 1 only.
    pub fn encode(&self) -> Result<Bytes, SchemaError> {
        encode(if self.expire_timestamp >= 0 { 1 } else { NEWEST }, self)
    }

    /// Reads a value, in any version.
    pub fn decode(value: Bytes) -> Result<Self, SchemaError> {
        decode(value, "OffsetCommitValue")
    }
}

impl GroupMetadataValue {
    /// The value as Apache Kafka 4.3 stores it.
    pub fn encode(&self) -> Result<Bytes, SchemaError> {
        encode(3, self)
    }

    /// Reads a value, in any version.
    pub fn decode(value: Bytes) -> Result<Self, SchemaError> {
        decode(value, "GroupMetadataValue")
    }
}
