//! Records of the internal topics as Apache Kafka's own classes wrote them, shown as its own JSON converters show them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod shown;

use std::collections::BTreeSet;

use bytes::Bytes;
use klog::codec::Value;
use klog::schema::shown::{InternalTopic, Shown, show, show_control};

const RECORDS: &str = include_str!("golden/records.txt");

fn unhex(text: &str) -> Option<Bytes> {
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (text != "-").then(|| (0..text.len()).step_by(2).map(byte).collect())
}

fn shown_of(topic: &str, key: Option<Bytes>, value: Option<Bytes>) -> Shown {
    match topic {
        "offsets" => show(InternalTopic::Offsets, key, value),
        "transactions" => show(InternalTopic::Transactions, key, value),
        "share" => show(InternalTopic::ShareState, key, value),
        "metadata" => show(InternalTopic::Metadata, key, value),
        _ => show_control(key, value),
    }
}

/// A line's words: topic, type, name, version, key, value, and both as JSON.
fn lines() -> impl Iterator<Item = [&'static str; 8]> {
    RECORDS.lines().map(|line| line.split(' ').collect::<Vec<_>>().try_into().unwrap())
}

#[test]
fn every_type_and_version_is_shown_as_kafka_shows_it() {
    let mut types = BTreeSet::new();
    for [topic, number, name, version, key, value, key_json, value_json] in lines() {
        let shown = shown_of(topic, unhex(key), unhex(value));
        let what = format!("{topic} {number} {name} {version} {value}");
        assert_eq!(shown.error, None, "{what}");
        assert_eq!(shown.name, Some(name.to_ascii_lowercase().as_str()), "{what}");
        assert_eq!(shown.number, Some(number.parse().unwrap()), "{what}");
        assert_eq!(shown.version, Some(version.parse().unwrap()), "{what}");
        let theirs = |json: &str| shown::in_snake_case(serde_json::from_str(json).unwrap());
        assert_eq!(shown::as_json(&shown.value), theirs(value_json), "{what}");
        if key_json != "-" {
            assert_eq!(shown::as_json(&shown.key), theirs(key_json), "{what}");
        }
        types.insert((topic, name));
    }
    assert_eq!(types.len(), 56, "{types:?}");
}

#[test]
fn newer_types_and_versions_are_shown_as_bytes_and_damage_as_an_error() {
    for [topic, _, name, _, key, value, ..] in lines() {
        let (key, value) = (unhex(key), unhex(value).unwrap());
        // A version of the future.
        let mut newer = value.to_vec();
        newer[if topic == "metadata" { 2 } else { 1 }] = 100;
        let shown = shown_of(topic, key.clone(), Some(newer.clone().into()));
        assert_eq!((shown.version, &shown.error), (Some(100), &None), "{topic} {name}");
        assert_eq!(shown.value, Value::Bytes(newer.into()), "{topic} {name}");
        // A byte too many, and every cut.
        let mut longer = value.to_vec();
        longer.push(0);
        let shown = shown_of(topic, key.clone(), Some(longer.clone().into()));
        assert!(shown.error.is_some(), "{topic} {name}");
        assert_eq!(shown.value, Value::Bytes(longer.into()), "{topic} {name}");
        for cut in 0..value.len() {
            let shown = shown_of(topic, key.clone(), Some(value.slice(..cut)));
            assert_eq!(shown.value, Value::Bytes(value.slice(..cut)), "{topic} {name}");
        }
    }
    for (topic, key, value) in
        [("offsets", "270f00", "0000ff"), ("share", "0063", "00"), ("control", "00000063", "05")]
    {
        let shown = shown_of(topic, unhex(key), unhex(value));
        assert_eq!((shown.name, shown.error), (None, None), "{topic}");
        assert_eq!(shown.value, Value::Bytes(unhex(value).unwrap()), "{topic}");
    }
    let shown = shown_of("metadata", None, unhex("016300ff"));
    assert_eq!((shown.number, shown.version, shown.name), (Some(99), Some(0), None));
    assert_eq!(shown.value, Value::Bytes(unhex("016300ff").unwrap()));
}

#[test]
fn records_of_consumer_groups_are_written_as_kafka_writes_them() {
    use klog::codec::Wire;
    use klog::schema::groups::{self, kind};

    fn again<T: Wire>(value: &Bytes) -> Bytes {
        groups::encode_value(&groups::decode_value::<T>(value.clone(), "value").unwrap()).unwrap()
    }
    fn key_again<T: Wire>(key: &Bytes) -> Bytes {
        groups::encode_key(&groups::decode_key::<T>(key.slice(2..), "key").unwrap()).unwrap()
    }
    let mut seen = BTreeSet::new();
    for [topic, number, _, version, key, value, ..] in lines() {
        let (number, key, value) = (number.parse::<i16>().unwrap(), unhex(key), unhex(value).unwrap());
        if topic != "offsets" || version != "0" {
            continue;
        }
        let Some(key) = key else { continue };
        let (key_again, value_again) = match number {
            kind::METADATA => {
                (key_again::<groups::GroupKey>(&key), again::<groups::ConsumerGroupMetadata>(&value))
            }
            kind::MEMBER => {
                (key_again::<groups::MemberKey>(&key), again::<groups::ConsumerGroupMemberMetadata>(&value))
            }
            kind::TARGET_METADATA => {
                (key_again::<groups::GroupKey>(&key), again::<groups::TargetAssignmentMetadata>(&value))
            }
            kind::TARGET_MEMBER => {
                (key_again::<groups::MemberKey>(&key), again::<groups::TargetAssignmentMember>(&value))
            }
            kind::CURRENT => (
                key_again::<groups::MemberKey>(&key),
                again::<groups::ConsumerGroupCurrentMemberAssignment>(&value),
            ),
            kind::REGEX => (
                key_again::<groups::RegularExpressionKey>(&key),
                again::<groups::ConsumerGroupRegularExpression>(&value),
            ),
            _ => continue,
        };
        assert_eq!((key_again, value_again), (key.slice(2..), value), "kind {number}");
        seen.insert(number);
    }
    assert_eq!(seen.len(), 6, "{seen:?}");
}
