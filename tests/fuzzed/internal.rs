//! Any bytes as keys and values of the internal topics, and as what clients embed in group messages: refused, or read,
//! written and read again to the same; and always shown.
//!
//! The first byte chooses the topic; the second whether there are a key and a value, and the type to read on its own; the
//! third says how long the key is, and the value follows it.

use bytes::Bytes;
use klog::codec::{Reader, Value, Version, Wire, Writer};
use klog::schema::consumer::{Assignment, NEWEST, Subscription};
use klog::schema::metadata::MetadataRecord;
use klog::schema::offsets::{GroupMetadataValue, OffsetCommitValue, OffsetsKey};
use klog::schema::shown::{InternalTopic, Shown, show, show_control};
use klog::schema::{SchemaError, groups, kraft, share, transactions};

use crate::memory::memory;

const TOPICS: [InternalTopic; 4] =
    [InternalTopic::Offsets, InternalTopic::Transactions, InternalTopic::ShareState, InternalTopic::Metadata];

pub(crate) fn run(data: &[u8]) {
    let [kind, flags, cut, rest @ ..] = data else { return };
    let whole = Bytes::copy_from_slice(rest);
    let key = whole.slice(..usize::from(*cut).min(whole.len()));
    let value = whole.slice(key.len()..);
    let (key, value) = ((flags & 1 == 0).then_some(key), (flags & 2 == 0).then_some(value));
    let (took, ()) = memory(|| {
        let topic = TOPICS[usize::from(*kind) % TOPICS.len()];
        looked_at(&show(topic, key.clone(), value.clone()));
        looked_at(&show_control(key, value));
    });
    // Elements of arrays are trees of their own here.
    let allowed = 512 * 1024 + 256 * rest.len();
    assert!(took <= allowed, "{took} bytes to show {}", rest.len());
    typed(*flags >> 2, whole);
}

/// A shown record is bytes wherever it could not be read, and its tree can be walked to its end.
fn looked_at(shown: &Shown) {
    fn size(value: &Value) -> usize {
        match value {
            Value::List(values) => values.iter().map(size).sum::<usize>() + 1,
            Value::Struct(fields) => fields.iter().map(|(_, value)| size(value)).sum::<usize>() + 1,
            _ => 1,
        }
    }
    assert!(size(&shown.key) + size(&shown.value) > 0);
    assert!(shown.name.is_none() || shown.number.is_some());
    if let Some(error) = &shown.error {
        assert!(!error.to_string().is_empty());
    }
}

/// Read, written, read and written again: the second time as the first.
fn stable<T: PartialEq + std::fmt::Debug>(
    bytes: Bytes,
    read: impl Fn(Bytes) -> Result<T, SchemaError>,
    write: impl Fn(&T) -> Result<Bytes, SchemaError>,
) {
    let Ok(value) = read(bytes) else { return };
    let once =
        write(&value).unwrap_or_else(|error| panic!("{value:?} is read but can not be written: {error}"));
    let again = read(once.clone()).unwrap_or_else(|error| panic!("{value:?} can not be read again: {error}"));
    assert_eq!(write(&again).as_ref(), Ok(&once), "{value:?} became {again:?}");
}

/// A type that is only shown so far, in every version it may have.
fn layout<T: Wire>(bytes: &Bytes, newest: i16, first_flexible: Option<i16>) {
    for number in 0..=newest {
        let version = Version::new(number, first_flexible);
        let read = |bytes| -> Result<T, SchemaError> { Ok(T::read(&mut Reader::new(bytes), version)?) };
        let Ok(value) = read(bytes.clone()) else { continue };
        let written = |value: &T| -> Result<Bytes, SchemaError> {
            let mut writer = Writer::new();
            value.write(&mut writer, version)?;
            Ok(writer.into_bytes())
        };
        let once = written(&value).expect("what was read can be written");
        let again = read(once.clone()).expect("what was written can be read");
        assert_eq!(written(&again), Ok(once), "version {number}");
    }
}

macro_rules! choose {
    ($kind:ident, $bytes:ident; $($call:expr),* $(,)?) => {{
        let all: &[&dyn Fn(Bytes)] = &[$(&$call),*];
        all[usize::from($kind) % all.len()]($bytes)
    }};
}

fn typed(kind: u8, bytes: Bytes) {
    fn value<T: Wire + PartialEq + std::fmt::Debug>(bytes: Bytes) {
        stable(bytes, |bytes| groups::decode_value::<T>(bytes, "value"), groups::encode_value);
    }
    fn key<T: Wire + PartialEq + std::fmt::Debug>(bytes: Bytes) {
        stable(bytes, |bytes| groups::decode_key::<T>(bytes, "key"), groups::encode_key);
    }
    choose!(kind, bytes;
        |bytes| stable(bytes, MetadataRecord::decode, MetadataRecord::encode),
        |bytes| stable(bytes, OffsetsKey::decode, OffsetsKey::encode),
        |bytes| stable(bytes, OffsetCommitValue::decode, OffsetCommitValue::encode),
        |bytes| stable(bytes, GroupMetadataValue::decode, GroupMetadataValue::encode),
        |bytes| stable(bytes, Subscription::decode, |value| value.encode(NEWEST)),
        |bytes| stable(bytes, Assignment::decode, |value| value.encode(NEWEST)),
        key::<groups::GroupKey>,
        key::<groups::MemberKey>,
        key::<groups::RegularExpressionKey>,
        value::<groups::ConsumerGroupMetadata>,
        value::<groups::ConsumerGroupPartitionMetadata>,
        value::<groups::ConsumerGroupMemberMetadata>,
        value::<groups::TargetAssignmentMetadata>,
        value::<groups::TargetAssignmentMember>,
        value::<groups::ConsumerGroupCurrentMemberAssignment>,
        value::<groups::ConsumerGroupRegularExpression>,
        value::<groups::ShareGroupMemberMetadata>,
        value::<groups::ShareGroupCurrentMemberAssignment>,
        value::<groups::ShareGroupStatePartitionMetadata>,
        value::<groups::StreamsGroupMetadata>,
        value::<groups::StreamsGroupMemberMetadata>,
        value::<groups::StreamsGroupTargetAssignmentMember>,
        value::<groups::StreamsGroupCurrentMemberAssignment>,
        value::<groups::StreamsGroupTopology>,
        |bytes| layout::<transactions::TransactionLogKey>(&bytes, 0, None),
        |bytes| layout::<transactions::TransactionLogValue>(&bytes, 1, Some(1)),
        |bytes| layout::<share::SharePartitionKey>(&bytes, 0, None),
        |bytes| layout::<share::ShareSnapshot>(&bytes, 0, Some(0)),
        |bytes| layout::<share::ShareUpdate>(&bytes, 0, Some(0)),
        |bytes| layout::<kraft::PartitionChange>(&bytes, 2, Some(0)),
        |bytes| layout::<kraft::DelegationToken>(&bytes, 0, Some(0)),
        |bytes| layout::<kraft::ClientQuota>(&bytes, 0, Some(0)),
        |bytes| layout::<kraft::BrokerRegistrationChange>(&bytes, 3, Some(0)),
        |bytes| layout::<kraft::RegisterController>(&bytes, 0, Some(0)),
        |bytes| layout::<kraft::LeaderChange>(&bytes, 1, Some(0)),
        |bytes| layout::<kraft::KRaftVoters>(&bytes, 0, Some(0)),
        |bytes| layout::<kraft::EndTxnMarker>(&bytes, 0, None),
    );
}
