//! The records a consumer group is kept in, as the coordinator means them, and their bytes, which are Kafka's.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::schema::SchemaError;
use crate::schema::groups::{
    ClassicMemberMetadata, ClassicProtocol, ConsumerGroupCurrentMemberAssignment,
    ConsumerGroupMemberMetadata, ConsumerGroupMetadata, ConsumerGroupRegularExpression, GroupKey, MemberKey,
    OwnedPartitions, RegularExpressionKey, TargetAssignmentMember, TargetAssignmentMetadata, TopicPartitions,
    decode_key, decode_value, encode_key, encode_value, kind,
};
use crate::schema::offsets::OffsetsKey;

use super::super::request::Protocol;
use super::{Classic, Current, MemberState, Owned, Parts, Profile, Resolved};

/// One record of a consumer group; `None` in it takes away what the key names.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) enum Change {
    /// The group's epoch and what its topics hashed to; without it there is no group.
    Epoch(Option<(i32, i64)>),
    /// A member as it described itself.
    Member(Arc<str>, Option<Box<Profile>>),
    /// The epoch of the target, and when it was made (wall ms).
    TargetEpoch(Option<(i32, i64)>),
    /// What a member is to have.
    Target(Arc<str>, Option<Parts>),
    /// What a member has.
    Current(Arc<str>, Option<Box<Current>>),
    /// What a pattern came to.
    Regex(String, Option<Resolved>),
}

const WHAT: &str = "record of a consumer group";

impl Change {
    /// Whether the record takes something away.
    pub(in super::super) fn is_removal(&self) -> bool {
        match self {
            Self::Epoch(value) | Self::TargetEpoch(value) => value.is_none(),
            Self::Member(_, value) => value.is_none(),
            Self::Target(_, value) => value.is_none(),
            Self::Current(_, value) => value.is_none(),
            Self::Regex(_, value) => value.is_none(),
        }
    }

    /// The record's key and value as they are stored, for `group`.
    pub(in super::super) fn encode(&self, group: &str) -> Result<(Bytes, Option<Bytes>), SchemaError> {
        let group_id = || group.to_owned();
        let of_group = || encode_key(&GroupKey { group_id: group_id() });
        let of_member =
            |id: &Arc<str>| encode_key(&MemberKey { group_id: group_id(), member_id: id.to_string() });
        let (kind, body, value) = match self {
            Self::Epoch(value) => (kind::METADATA, of_group()?, value.map(stored_epoch).transpose()?),
            Self::Member(id, value) => {
                (kind::MEMBER, of_member(id)?, value.as_deref().map(stored_profile).transpose()?)
            }
            Self::TargetEpoch(value) => {
                (kind::TARGET_METADATA, of_group()?, value.map(stored_target_epoch).transpose()?)
            }
            Self::Target(id, value) => {
                (kind::TARGET_MEMBER, of_member(id)?, value.as_ref().map(stored_target).transpose()?)
            }
            Self::Current(id, value) => {
                (kind::CURRENT, of_member(id)?, value.as_deref().map(stored_current).transpose()?)
            }
            Self::Regex(pattern, value) => {
                let key = RegularExpressionKey { group_id: group_id(), regular_expression: pattern.clone() };
                (kind::REGEX, encode_key(&key)?, value.as_ref().map(stored_regex).transpose()?)
            }
        };
        Ok((OffsetsKey::Other { kind, body }.encode()?, value))
    }

    /// Reads a stored record and the group it belongs to; `None` for kinds that are not a consumer group's.
    pub(in super::super) fn decode(
        key_kind: i16,
        body: Bytes,
        value: Option<Bytes>,
    ) -> Result<Option<(Arc<str>, Self)>, SchemaError> {
        let group = |body| Ok::<Arc<str>, SchemaError>(decode_key::<GroupKey>(body, WHAT)?.group_id.into());
        let member = |body| {
            let key: MemberKey = decode_key(body, WHAT)?;
            Ok::<(Arc<str>, Arc<str>), SchemaError>((key.group_id.into(), key.member_id.into()))
        };
        Ok(Some(match key_kind {
            kind::METADATA => {
                let read = |value| decode_value::<ConsumerGroupMetadata>(value, WHAT);
                let value = value.map(read).transpose()?;
                (group(body)?, Self::Epoch(value.map(|value| (value.epoch, value.metadata_hash))))
            }
            kind::MEMBER => {
                let (group, id) = member(body)?;
                let value = value.map(|value| decode_value(value, WHAT)).transpose()?;
                (group, Self::Member(id, value.map(|value| Box::new(profile(value)))))
            }
            kind::TARGET_METADATA => {
                let read = |value| decode_value::<TargetAssignmentMetadata>(value, WHAT);
                let value = value.map(read).transpose()?;
                let value = value.map(|value| (value.assignment_epoch, value.assignment_timestamp));
                (group(body)?, Self::TargetEpoch(value))
            }
            kind::TARGET_MEMBER => {
                let (group, id) = member(body)?;
                let read = |value| decode_value::<TargetAssignmentMember>(value, WHAT);
                let value = value.map(read).transpose()?;
                (group, Self::Target(id, value.map(|value| parts(value.topic_partitions))))
            }
            kind::CURRENT => {
                let (group, id) = member(body)?;
                let value = value.map(|value| decode_value(value, WHAT)).transpose()?;
                (group, Self::Current(id, value.map(|value| Box::new(current(value)))))
            }
            kind::REGEX => {
                let key: RegularExpressionKey = decode_key(body, WHAT)?;
                let value = value.map(|value| decode_value(value, WHAT)).transpose()?;
                (key.group_id.into(), Self::Regex(key.regular_expression, value.map(resolved)))
            }
            _ => return Ok(None),
        }))
    }
}

fn stored_epoch((epoch, metadata_hash): (i32, i64)) -> Result<Bytes, SchemaError> {
    encode_value(&ConsumerGroupMetadata { epoch, metadata_hash })
}

fn stored_target_epoch((assignment_epoch, assignment_timestamp): (i32, i64)) -> Result<Bytes, SchemaError> {
    encode_value(&TargetAssignmentMetadata { assignment_epoch, assignment_timestamp })
}

fn stored_profile(profile: &Profile) -> Result<Bytes, SchemaError> {
    let protocol =
        |one: &Protocol| ClassicProtocol { name: one.name.clone(), metadata: one.metadata.clone() };
    encode_value(&ConsumerGroupMemberMetadata {
        instance_id: profile.instance_id.clone(),
        rack_id: profile.rack_id.clone(),
        client_id: profile.client_id.clone(),
        client_host: profile.client_host.clone(),
        subscribed_topic_names: profile.topics.iter().map(|name| name.to_string()).collect(),
        subscribed_topic_regex: profile.regex.clone(),
        rebalance_timeout_ms: profile.rebalance_timeout_ms,
        server_assignor: profile.assignor.clone(),
        classic_member_metadata: profile.classic.as_ref().map(|classic| ClassicMemberMetadata {
            session_timeout_ms: classic.session_timeout_ms,
            supported_protocols: classic.protocols.iter().map(protocol).collect(),
        }),
    })
}

fn profile(value: ConsumerGroupMemberMetadata) -> Profile {
    Profile {
        instance_id: value.instance_id,
        rack_id: value.rack_id,
        client_id: value.client_id,
        client_host: value.client_host,
        topics: value.subscribed_topic_names.into_iter().map(Arc::from).collect(),
        regex: value.subscribed_topic_regex,
        rebalance_timeout_ms: value.rebalance_timeout_ms,
        assignor: value.server_assignor,
        classic: value.classic_member_metadata.map(|classic| Classic {
            session_timeout_ms: classic.session_timeout_ms,
            protocols: classic
                .supported_protocols
                .into_iter()
                .map(|one| Protocol { name: one.name, metadata: one.metadata })
                .collect(),
        }),
    }
}

fn stored_target(parts: &Parts) -> Result<Bytes, SchemaError> {
    let topics = parts.iter().map(|(topic_id, partitions)| TopicPartitions {
        topic_id: *topic_id,
        partitions: partitions.iter().copied().collect(),
    });
    encode_value(&TargetAssignmentMember { topic_partitions: topics.collect() })
}

fn parts(topics: Vec<TopicPartitions>) -> Parts {
    topics.into_iter().map(|topic| (topic.topic_id, topic.partitions.into_iter().collect())).collect()
}

fn stored_current(current: &Current) -> Result<Bytes, SchemaError> {
    encode_value(&ConsumerGroupCurrentMemberAssignment {
        member_epoch: current.epoch,
        previous_member_epoch: current.previous,
        state: match current.state {
            MemberState::Stable => 0,
            MemberState::Unrevoked => 1,
            MemberState::Unreleased => 2,
            MemberState::Unknown => 127,
        },
        assigned_partitions: stored_owned(&current.assigned),
        partitions_pending_revocation: stored_owned(&current.revoking),
    })
}

fn stored_owned(owned: &Owned) -> Vec<OwnedPartitions> {
    let topics = owned.iter().map(|(topic_id, partitions)| OwnedPartitions {
        topic_id: *topic_id,
        partitions: partitions.keys().copied().collect(),
        assignment_epochs: Some(partitions.values().copied().collect()),
    });
    topics.collect()
}

fn current(value: ConsumerGroupCurrentMemberAssignment) -> Current {
    Current {
        epoch: value.member_epoch,
        previous: value.previous_member_epoch,
        state: match value.state {
            0 => MemberState::Stable,
            1 => MemberState::Unrevoked,
            2 => MemberState::Unreleased,
            _ => MemberState::Unknown,
        },
        assigned: owned(value.assigned_partitions, value.member_epoch),
        revoking: owned(value.partitions_pending_revocation, value.member_epoch),
    }
}

/// Before Kafka 4.3 no epochs were kept with the partitions: the member's stands for them.
fn owned(topics: Vec<OwnedPartitions>, member_epoch: i32) -> Owned {
    let mut owned = Owned::new();
    for topic in topics {
        let epochs = topic.assignment_epochs.unwrap_or_default();
        let with_epoch = topic
            .partitions
            .iter()
            .enumerate()
            .map(|(at, partition)| (*partition, epochs.get(at).copied().unwrap_or(member_epoch)));
        let with_epoch: BTreeMap<_, _> = with_epoch.collect();
        if !with_epoch.is_empty() {
            owned.entry(topic.topic_id).or_default().extend(with_epoch);
        }
    }
    owned
}

fn stored_regex(resolved: &Resolved) -> Result<Bytes, SchemaError> {
    encode_value(&ConsumerGroupRegularExpression {
        topics: resolved.topics.iter().map(|name| name.to_string()).collect(),
        version: resolved.version,
        timestamp: resolved.at_ms,
    })
}

fn resolved(value: ConsumerGroupRegularExpression) -> Resolved {
    Resolved {
        topics: value.topics.into_iter().map(Arc::from).collect(),
        version: value.version,
        at_ms: value.timestamp,
    }
}
