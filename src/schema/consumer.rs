//! What consumers embed in group messages: subscriptions and assignments; it decides nothing about either.
//!
//! Both begin with their version (int16) and are never flexible. Newer versions only add fields at the end, so a
//! version above the newest known is read as that one (`ConsumerProtocolSubscription.json`, KIP-429, KIP-881).

use bytes::Bytes;

use crate::codec::{Reader, Version, Wire, Writer, structs};

use super::SchemaError;

/// The newest version of both that is known.
pub const NEWEST: i16 = 3;

structs! {
    /// What a member wants to read, versions 0 to 3.
    pub struct Subscription {
        /// Topics by name.
        topics: Vec<String>,
        /// For the assignor.
        user_data: Option<Bytes>,
        /// What the member owns now (cooperative rebalancing).
        owned_partitions: Vec<TopicPartitions> [1.., ignorable],
        /// The generation in which it came to own that, -1 for none.
        generation_id: i32 [2.., ignorable] = -1,
        /// The member's rack.
        rack_id: Option<String> [3.., ignorable],
    }

    /// What a member is to read, versions 0 to 3 (all alike).
    pub struct Assignment {
        /// Partitions by topic.
        assigned_partitions: Vec<TopicPartitions>,
        /// From the assignor.
        user_data: Option<Bytes>,
    }

    /// Partitions of one topic.
    pub struct TopicPartitions {
        /// The topic's name.
        topic: String,
        /// Its partitions.
        partitions: Vec<i32>,
    }
}

impl Subscription {
    /// The bytes of the subscription in `version` (0 to 3); fields it does not have are left out.
    pub fn encode(&self, version: i16) -> Result<Bytes, SchemaError> {
        encode(self, version, "Subscription")
    }

    /// Reads a subscription of any version from 0 on.
    pub fn decode(bytes: Bytes) -> Result<Self, SchemaError> {
        decode(bytes, "Subscription")
    }

    /// The topics of a subscription of any version: what stands behind them may be broken, as some clients make it.
    pub fn decode_topics(bytes: Bytes) -> Result<Vec<String>, SchemaError> {
        Ok(decode_as::<Self>(bytes, "Subscription", 0)?.topics)
    }
}

impl Assignment {
    /// The bytes of the assignment in `version` (0 to 3).
    pub fn encode(&self, version: i16) -> Result<Bytes, SchemaError> {
        encode(self, version, "Assignment")
    }

    /// Reads an assignment of any version from 0 on; no bytes at all are an empty assignment.
    pub fn decode(bytes: Bytes) -> Result<Self, SchemaError> {
        if bytes.is_empty() { Ok(Self::default()) } else { decode(bytes, "Assignment") }
    }
}

fn encode(value: &impl Wire, version: i16, what: &'static str) -> Result<Bytes, SchemaError> {
    if !(0..=NEWEST).contains(&version) {
        return Err(SchemaError::Version { what, found: version.into(), min: 0, max: NEWEST });
    }
    let mut writer = Writer::with_capacity(64);
    writer.i16(version);
    value.write(&mut writer, Version::new(version, None))?;
    Ok(writer.into_bytes())
}

fn decode<T: Wire>(bytes: Bytes, what: &'static str) -> Result<T, SchemaError> {
    decode_as(bytes, what, NEWEST)
}

/// Reads what a version up to `newest` has, whatever follows.
fn decode_as<T: Wire>(bytes: Bytes, what: &'static str, newest: i16) -> Result<T, SchemaError> {
    let mut reader = Reader::new(bytes);
    let version = reader.i16()?;
    if version < 0 {
        return Err(SchemaError::Version { what, found: version.into(), min: 0, max: NEWEST });
    }
    Ok(T::read(&mut reader, Version::new(version.min(newest), None))?)
}

/// Bytes are those that `ConsumerProtocol` of Apache Kafka 4.3.1 makes.
#[cfg(test)]
mod tests {
    use super::super::golden::{bytes, hex};
    use super::*;

    #[test]
    fn subscriptions_are_kafkas_in_every_version() {
        let owned = vec![TopicPartitions { topic: "a".into(), partitions: vec![0, 1] }];
        let whole = Subscription {
            topics: vec!["a".into(), "b".into()],
            user_data: Some(bytes("09")),
            owned_partitions: owned,
            generation_id: 7,
            rack_id: Some("r1".into()),
        };
        let three =
            "0003000000020001610001620000000109000000010001610000000200000000000000010000000700027231";
        for (version, golden) in [
            (0, "0000000000020001610001620000000109"),
            (1, "000100000002000161000162000000010900000001000161000000020000000000000001"),
            (2, "00020000000200016100016200000001090000000100016100000002000000000000000100000007"),
            (3, three),
        ] {
            assert_eq!(hex(&whole.encode(version).unwrap()), golden);
            let mut read = whole.clone();
            if version < 3 {
                read.rack_id = None;
            }
            if version < 2 {
                read.generation_id = -1;
            }
            if version < 1 {
                read.owned_partitions.clear();
            }
            assert_eq!(Subscription::decode(bytes(golden)), Ok(read));
        }
        let plain = Subscription { topics: vec!["a".into()], ..Subscription::default() };
        assert_eq!(hex(&plain.encode(3).unwrap()), "000300000001000161ffffffff00000000ffffffffffff");
        let newer = format!("0009{}ff", &three[4..]);
        assert_eq!(Subscription::decode(bytes(&newer)), Ok(whole), "read as the newest known");
        let cut = bytes("00010000000100016100000000");
        Subscription::decode(cut.clone()).unwrap_err();
        assert_eq!(Subscription::decode_topics(cut), Ok(vec!["a".to_owned()]), "what it owns is missing");
        Subscription::decode_topics(bytes("ffff0000000000000000")).unwrap_err();
        Subscription::decode(bytes("ffff00000000")).unwrap_err();
        Subscription::decode(bytes("00007fffffff")).unwrap_err();
        plain.encode(4).unwrap_err();
    }

    #[test]
    fn assignments_are_kafkas_in_every_version() {
        let assignment = Assignment {
            assigned_partitions: vec![
                TopicPartitions { topic: "a".into(), partitions: vec![0, 2] },
                TopicPartitions { topic: "b".into(), partitions: vec![1] },
            ],
            user_data: None,
        };
        for version in 0..=3 {
            let golden =
                format!("000{version}000000020001610000000200000000000000020001620000000100000001ffffffff");
            assert_eq!(hex(&assignment.encode(version).unwrap()), golden);
            assert_eq!(Assignment::decode(bytes(&golden)), Ok(assignment.clone()));
        }
        assert_eq!(Assignment::decode(Bytes::new()), Ok(Assignment::default()));
    }
}
