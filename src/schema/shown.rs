//! Records of the internal topics, and control records, as trees for showing; never an error where a type or version
//! is merely unknown: that is shown as bytes, as they are stored.
//!
//! Names are Kafka's own in lower case (`CoordinatorRecordType`, `MetadataRecordType`, `ControlRecordType`), fields
//! those of its definitions in snake case. Tagged fields are left out while they hold their default, as Kafka does.

use bytes::Bytes;

use super::consumer::{Assignment, Subscription};
use super::groups::{GroupKey, MemberKey};
use super::{SchemaError, groups, kraft, metadata, offsets, share, transactions, whole};
use crate::codec::{DecodeError, Reader, Value, Version, Wire};
use crate::model::name;

/// The internal topics whose records are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InternalTopic {
    /// `__consumer_offsets`.
    Offsets,
    /// `__transaction_state`.
    Transactions,
    /// `__share_group_state`.
    ShareState,
    /// `__cluster_metadata`.
    Metadata,
}

impl InternalTopic {
    /// The topic of this name.
    pub fn named(topic: &str) -> Option<Self> {
        match topic {
            name::CONSUMER_OFFSETS => Some(Self::Offsets),
            name::TRANSACTION_STATE => Some(Self::Transactions),
            "__share_group_state" => Some(Self::ShareState),
            name::CLUSTER_METADATA => Some(Self::Metadata),
            _ => None,
        }
    }
}

/// A record as far as it is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// What its type is called; `None` for a type that is not known.
    pub name: Option<&'static str>,
    /// The type's number; `None` where not even that can be read.
    pub number: Option<i32>,
    /// The key; bytes where its type is not known.
    pub key: Value,
    /// The value's version; `None` without one.
    pub version: Option<i32>,
    /// The value; bytes where its type or version is not known.
    pub value: Value,
    /// Why key or value are shown as bytes though their type and version are known: they are damaged.
    pub error: Option<SchemaError>,
}

type Tree = fn(&mut Reader, Version) -> Result<Value, DecodeError>;

/// A type of record.
struct Kind {
    number: i32,
    name: &'static str,
    key: Tree,
    value: Tree,
    newest: i16,
    first_flexible: i16,
}

const fn kind<K: Wire, V: Wire>(number: i32, name: &'static str, newest: i16, first_flexible: i16) -> Kind {
    Kind { number, name, key: tree::<K>, value: tree::<V>, newest, first_flexible }
}

/// A record of the groups that Kafka brought in with KIP-848 and after.
const fn group<K: Wire, V: Wire>(number: i32, name: &'static str) -> Kind {
    kind::<K, V>(number, name, 0, 0)
}

/// A record of the metadata log, which has no key.
const fn keyless<V: Wire>(number: i32, name: &'static str, newest: i16) -> Kind {
    kind::<kraft::Empty, V>(number, name, newest, 0)
}

fn tree<T: Wire>(reader: &mut Reader, version: Version) -> Result<Value, DecodeError> {
    Ok(T::read(reader, version)?.value(version))
}

const OFFSETS: &[Kind] = &[
    kind::<offsets::OffsetCommitKey, offsets::OffsetCommitValue>(0, "legacy_offset_commit", 4, 4),
    kind::<offsets::OffsetCommitKey, offsets::OffsetCommitValue>(1, "offset_commit", 4, 4),
    kind::<offsets::GroupMetadataKey, offsets::GroupMetadataValue>(2, GROUP_METADATA, 4, 4),
    group::<GroupKey, groups::ConsumerGroupMetadata>(3, "consumer_group_metadata"),
    group::<GroupKey, groups::ConsumerGroupPartitionMetadata>(4, "consumer_group_partition_metadata"),
    group::<MemberKey, groups::ConsumerGroupMemberMetadata>(5, "consumer_group_member_metadata"),
    group::<GroupKey, groups::TargetAssignmentMetadata>(6, "consumer_group_target_assignment_metadata"),
    group::<MemberKey, groups::TargetAssignmentMember>(7, "consumer_group_target_assignment_member"),
    group::<MemberKey, groups::ConsumerGroupCurrentMemberAssignment>(
        8,
        "consumer_group_current_member_assignment",
    ),
    group::<MemberKey, groups::ShareGroupMemberMetadata>(10, "share_group_member_metadata"),
    group::<GroupKey, groups::ShareGroupMetadata>(11, "share_group_metadata"),
    group::<GroupKey, groups::TargetAssignmentMetadata>(12, "share_group_target_assignment_metadata"),
    group::<MemberKey, groups::TargetAssignmentMember>(13, "share_group_target_assignment_member"),
    group::<MemberKey, groups::ShareGroupCurrentMemberAssignment>(
        14,
        "share_group_current_member_assignment",
    ),
    group::<GroupKey, groups::ShareGroupStatePartitionMetadata>(15, "share_group_state_partition_metadata"),
    group::<groups::RegularExpressionKey, groups::ConsumerGroupRegularExpression>(
        16,
        "consumer_group_regular_expression",
    ),
    group::<GroupKey, groups::StreamsGroupMetadata>(17, "streams_group_metadata"),
    group::<MemberKey, groups::StreamsGroupMemberMetadata>(19, "streams_group_member_metadata"),
    group::<GroupKey, groups::TargetAssignmentMetadata>(20, "streams_group_target_assignment_metadata"),
    group::<MemberKey, groups::StreamsGroupTargetAssignmentMember>(
        21,
        "streams_group_target_assignment_member",
    ),
    group::<MemberKey, groups::StreamsGroupCurrentMemberAssignment>(
        22,
        "streams_group_current_member_assignment",
    ),
    group::<GroupKey, groups::StreamsGroupTopology>(23, "streams_group_topology"),
];

const TRANSACTIONS: &[Kind] =
    &[kind::<transactions::TransactionLogKey, transactions::TransactionLogValue>(0, "transaction_log", 1, 1)];

const SHARE_STATE: &[Kind] = &[
    kind::<share::SharePartitionKey, share::ShareSnapshot>(0, "share_snapshot", 0, 0),
    kind::<share::SharePartitionKey, share::ShareUpdate>(1, "share_update", 0, 0),
];

const METADATA: &[Kind] = &[
    keyless::<metadata::RegisterBroker>(0, "register_broker_record", 4),
    keyless::<kraft::UnregisterBroker>(1, "unregister_broker_record", 0),
    keyless::<metadata::Topic>(2, "topic_record", 0),
    keyless::<metadata::Partition>(3, "partition_record", 2),
    keyless::<metadata::Config>(4, "config_record", 0),
    keyless::<kraft::PartitionChange>(5, "partition_change_record", 2),
    keyless::<kraft::FenceBroker>(7, "fence_broker_record", 0),
    keyless::<kraft::FenceBroker>(8, "unfence_broker_record", 0),
    keyless::<metadata::RemoveTopic>(9, "remove_topic_record", 0),
    keyless::<kraft::DelegationToken>(10, "delegation_token_record", 0),
    keyless::<kraft::UserScramCredential>(11, "user_scram_credential_record", 0),
    keyless::<metadata::FeatureLevel>(12, "feature_level_record", 0),
    keyless::<kraft::ClientQuota>(14, "client_quota_record", 0),
    keyless::<metadata::ProducerIds>(15, "producer_ids_record", 0),
    keyless::<kraft::BrokerRegistrationChange>(17, "broker_registration_change_record", 3),
    keyless::<kraft::AccessControlEntry>(18, "access_control_entry_record", 0),
    keyless::<kraft::RemoveAccessControlEntry>(19, "remove_access_control_entry_record", 0),
    keyless::<kraft::Empty>(20, "no_op_record", 0),
    keyless::<kraft::ZkMigrationState>(21, "zk_migration_state_record", 0),
    keyless::<kraft::RemoveUserScramCredential>(22, "remove_user_scram_credential_record", 0),
    keyless::<kraft::BeginTransaction>(23, "begin_transaction_record", 0),
    keyless::<kraft::Empty>(24, "end_transaction_record", 0),
    keyless::<kraft::AbortTransaction>(25, "abort_transaction_record", 0),
    keyless::<kraft::RemoveDelegationToken>(26, "remove_delegation_token_record", 0),
    keyless::<kraft::RegisterController>(27, "register_controller_record", 0),
    keyless::<kraft::ClearElr>(28, "clear_elr_record", 0),
];

/// The ends of transactions are never flexible; the others say their version in their first field.
const CONTROL: &[Kind] = &[
    kind::<kraft::Empty, kraft::EndTxnMarker>(0, "abort", 0, i16::MAX),
    kind::<kraft::Empty, kraft::EndTxnMarker>(1, "commit", 0, i16::MAX),
    kind::<kraft::Empty, kraft::LeaderChange>(2, "leader_change", 1, 0),
    kind::<kraft::Empty, kraft::SnapshotHeader>(3, "snapshot_header", 0, 0),
    kind::<kraft::Empty, kraft::SnapshotFooter>(4, "snapshot_footer", 0, 0),
    kind::<kraft::Empty, kraft::KRaftVersion>(5, "kraft_version", 0, 0),
    kind::<kraft::Empty, kraft::KRaftVoters>(6, "kraft_voters", 0, 0),
];

/// The last control type whose value begins with a version that its body does not repeat.
const LAST_MARKER: i32 = 1;
/// The frame's version of a metadata record.
const FRAME_VERSION: u32 = 1;
const GROUP_METADATA: &str = "group_metadata";

/// Shows a record of an internal topic.
pub fn show(topic: InternalTopic, key: Option<Bytes>, value: Option<Bytes>) -> Shown {
    match topic {
        InternalTopic::Offsets => coordinated(OFFSETS, key, value),
        InternalTopic::Transactions => coordinated(TRANSACTIONS, key, value),
        InternalTopic::ShareState => coordinated(SHARE_STATE, key, value),
        InternalTopic::Metadata => of_metadata(key, value),
    }
}

/// Shows a record of a control batch: its key is a version and a type.
pub fn show_control(key: Option<Bytes>, value: Option<Bytes>) -> Shown {
    let mut shown = Shown::bytes(key.clone(), value.clone());
    let mut reader = Reader::new(key.unwrap_or_default());
    let (Ok(version), Ok(number)) = (reader.i16(), reader.i16()) else { return shown };
    shown.number = Some(number.into());
    shown.key = Value::Struct(vec![("version", version.into()), ("type", number.into())]);
    let Some(kind) = find(CONTROL, number.into()) else { return shown };
    shown.name = Some(kind.name);
    let Some(value) = value else { return shown };
    let mut reader = Reader::new(value.clone());
    match reader.i16() {
        Ok(version) => {
            // Whatever else there is says its version in a field of its own, which is read again.
            let mut reader = if kind.number <= LAST_MARKER { reader } else { Reader::new(value) };
            shown.read_value(kind, version.into(), &mut reader);
        }
        Err(error) => shown.error = Some(error.into()),
    }
    shown
}

/// A coordinator's record: the key begins with the type, the value with its version.
fn coordinated(kinds: &[Kind], key: Option<Bytes>, value: Option<Bytes>) -> Shown {
    let mut shown = Shown::bytes(key.clone(), value.clone());
    let mut reader = Reader::new(key.unwrap_or_default());
    let Ok(number) = reader.i16() else { return shown };
    shown.number = Some(number.into());
    let Some(kind) = find(kinds, number.into()) else { return shown };
    shown.name = Some(kind.name);
    let read = (kind.key)(&mut reader, Version::new(0, None)).map_err(SchemaError::from);
    match read.and_then(|key| whole(&reader, kind.name).map(|()| key)) {
        Ok(key) => shown.key = key,
        Err(error) => shown.error = Some(error),
    }
    let Some(value) = value else { return shown };
    let mut reader = Reader::new(value);
    match reader.i16() {
        Ok(version) => shown.read_value(kind, version.into(), &mut reader),
        Err(error) => shown.error = Some(error.into()),
    }
    if kind.name == GROUP_METADATA {
        open_members(&mut shown.value);
    }
    shown
}

/// A record of the metadata log: frame version, type and version stand before the body.
fn of_metadata(key: Option<Bytes>, value: Option<Bytes>) -> Shown {
    let mut shown = Shown::bytes(key, value.clone());
    let Some(value) = value else { return shown };
    let mut reader = Reader::new(value);
    if reader.uvarint() != Ok(FRAME_VERSION) {
        return shown;
    }
    let (Ok(number), Ok(version)) = (reader.uvarint(), reader.uvarint()) else { return shown };
    let number = i32::try_from(number).unwrap_or(i32::MAX);
    shown.number = Some(number);
    shown.version = Some(i32::try_from(version).unwrap_or(i32::MAX));
    if let Some(kind) = find(METADATA, number) {
        shown.name = Some(kind.name);
        shown.read_value(kind, i32::try_from(version).unwrap_or(i32::MAX), &mut reader);
    }
    shown
}

fn find(kinds: &[Kind], number: i32) -> Option<&Kind> {
    kinds.iter().find(|kind| kind.number == number)
}

impl Shown {
    /// A record of which nothing is known yet.
    fn bytes(key: Option<Bytes>, value: Option<Bytes>) -> Self {
        Self { name: None, number: None, key: key.into(), version: None, value: value.into(), error: None }
    }

    /// Reads the value; what can not be read stays bytes.
    fn read_value(&mut self, kind: &Kind, version: i32, reader: &mut Reader) {
        self.version = Some(version);
        let known = i16::try_from(version).ok().filter(|version| (0..=kind.newest).contains(version));
        let Some(number) = known else { return };
        let read = (kind.value)(reader, Version::new(number, Some(kind.first_flexible)));
        let read = read.map_err(SchemaError::from);
        match read.and_then(|value| whole(reader, kind.name).map(|()| value)) {
            Ok(value) => self.value = value,
            Err(error) => self.error = Some(error),
        }
    }
}

/// Opens what consumers embed in a classic group's members; what they say is bytes to everyone else.
fn open_members(group: &mut Value) {
    let Value::Struct(fields) = group else { return };
    let is_consumer = fields.contains(&("protocol_type", Value::Text(CONSUMER.to_owned())));
    let members = fields.iter_mut().find(|(name, _)| *name == "members");
    let Some((_, Value::List(members))) = members.filter(|_| is_consumer) else { return };
    let fields = members.iter_mut().flat_map(|member| match member {
        Value::Struct(fields) => fields.as_mut_slice(),
        _ => &mut [],
    });
    for (name, field) in fields {
        let Value::Bytes(bytes) = &*field else { continue };
        let opened = match *name {
            "subscription" => opened::<Subscription>(bytes),
            "assignment" => opened::<Assignment>(bytes),
            _ => None,
        };
        if let Some(opened) = opened {
            *field = opened;
        }
    }
}

/// The protocol type of consumers' groups.
const CONSUMER: &str = "consumer";

fn opened<T: Wire>(bytes: &Bytes) -> Option<Value> {
    let mut reader = Reader::new(bytes.clone());
    let number = reader.i16().ok().filter(|number| *number >= 0)?.min(super::consumer::NEWEST);
    tree::<T>(&mut reader, Version::new(number, None)).ok()
}
