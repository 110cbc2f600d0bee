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

/// Bytes are those that `GroupCoordinatorRecordSerde` of Apache Kafka 4.3.1 makes.
#[cfg(test)]
mod tests {
    use super::super::golden::{bytes, hex};
    use super::*;

    fn offset() -> OffsetCommitValue {
        OffsetCommitValue {
            offset: 42,
            leader_epoch: 7,
            metadata: "note".into(),
            commit_timestamp: 1000,
            expire_timestamp: -1,
            topic_id: TopicId([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]),
        }
    }

    fn group() -> GroupMetadataValue {
        GroupMetadataValue {
            protocol_type: "consumer".into(),
            generation: 5,
            protocol: Some("range".into()),
            leader: Some("m-1".into()),
            current_state_timestamp: 1000,
            members: vec![MemberMetadata {
                member_id: "m-1".into(),
                group_instance_id: Some("one".into()),
                client_id: "c".into(),
                client_host: "/127.0.0.1".into(),
                rebalance_timeout: 60_000,
                session_timeout: 10_000,
                subscription: bytes("0102"),
                assignment: bytes("03"),
            }],
        }
    }

    #[test]
    fn keys_are_kafkas() {
        let commit =
            OffsetsKey::Commit(OffsetCommitKey { group: "g".into(), topic: "sales".into(), partition: 3 });
        let metadata = OffsetsKey::Group(GroupMetadataKey { group: "g".into() });
        for (key, golden) in [(&commit, "0001000167000573616c657300000003"), (&metadata, "0002000167")] {
            assert_eq!(hex(&key.encode().unwrap()), golden);
            assert_eq!(OffsetsKey::decode(bytes(golden)).as_ref(), Ok(key));
        }
        assert_eq!(OffsetsKey::decode(bytes("0000000167000573616c657300000003")), Ok(commit), "kind 0");
        let other = OffsetsKey::Other { kind: 3, body: bytes("000167") };
        assert_eq!(OffsetsKey::decode(bytes("0003000167")), Ok(other.clone()));
        assert_eq!(hex(&other.encode().unwrap()), "0003000167");
        OffsetsKey::decode(bytes("000200016700")).unwrap_err();
        OffsetsKey::decode(bytes("00")).unwrap_err();
    }

    #[test]
    fn offsets_of_every_version_are_read_and_the_newest_is_written() {
        let none = TopicId::ZERO;
        let old = OffsetCommitValue { leader_epoch: -1, topic_id: none, ..offset() };
        let expiring = OffsetCommitValue { expire_timestamp: 5000, ..old.clone() };
        for (golden, value) in [
            ("0000000000000000002a00046e6f746500000000000003e8", old.clone()),
            ("0001000000000000002a00046e6f746500000000000003e80000000000001388", expiring.clone()),
            ("0002000000000000002a00046e6f746500000000000003e8", old),
            (
                "0003000000000000002a0000000700046e6f746500000000000003e8",
                OffsetCommitValue { topic_id: none, ..offset() },
            ),
            (
                "0004000000000000002a00000007056e6f746500000000000003e80100100102030405060708090a0b0c0d0e0f10",
                offset(),
            ),
        ] {
            assert_eq!(OffsetCommitValue::decode(bytes(golden)).as_ref(), Ok(&value), "{golden}");
            if golden.starts_with("0004") || golden.starts_with("0001") {
                assert_eq!(hex(&value.encode().unwrap()), golden);
            }
        }
        let newer = SchemaError::Version { what: "OffsetCommitValue", found: 5, min: 0, max: 4 };
        assert_eq!(OffsetCommitValue::decode(bytes("0005")), Err(newer));
    }

    #[test]
    fn groups_of_every_version_are_read_and_version_3_is_written() {
        let with = |stamp, instance: bool, rebalance| {
            let mut value = group();
            value.current_state_timestamp = stamp;
            value.members[0].rebalance_timeout = rebalance;
            if !instance {
                value.members[0].group_instance_id = None;
            }
            value
        };
        let three = "00030008636f6e73756d657200000005000572616e676500036d2d3100000000000003e80000000100036d2d310003\
                     6f6e65000163000a2f3132372e302e302e310000ea60000027100000000201020000000103";
        for (golden, value) in [
            (
                "00000008636f6e73756d657200000005000572616e676500036d2d310000000100036d2d31000163000a2f3132372e302e\
                 302e31000027100000000201020000000103",
                with(-1, false, -1),
            ),
            (
                "00010008636f6e73756d657200000005000572616e676500036d2d310000000100036d2d31000163000a2f3132372e302e\
                 302e310000ea60000027100000000201020000000103",
                with(-1, false, 60_000),
            ),
            (
                "00020008636f6e73756d657200000005000572616e676500036d2d3100000000000003e80000000100036d2d3100016300\
                 0a2f3132372e302e302e310000ea60000027100000000201020000000103",
                with(1000, false, 60_000),
            ),
            (three, group()),
            (
                "000409636f6e73756d6572000000050672616e6765046d2d3100000000000003e802046d2d31046f6e6502630b2f313237\
                 2e302e302e310000ea600000271003010202030000",
                group(),
            ),
        ] {
            assert_eq!(GroupMetadataValue::decode(bytes(golden)), Ok(value), "{golden}");
        }
        assert_eq!(hex(&group().encode().unwrap()), three);
        let empty = GroupMetadataValue { protocol: None, leader: None, members: vec![], ..group() };
        let empty = GroupMetadataValue { generation: 6, ..empty };
        assert_eq!(
            hex(&empty.encode().unwrap()),
            "00030008636f6e73756d657200000006ffffffff00000000000003e800000000"
        );
    }
}
