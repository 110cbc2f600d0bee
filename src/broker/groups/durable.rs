//! What a shard keeps through a restart: a fold over the records of its log; nothing else ever changes it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;

use crate::model::id::TopicPartition;
use crate::schema::SchemaError;
use crate::schema::offsets::{
    GroupMetadataKey, GroupMetadataValue, OffsetCommitKey, OffsetCommitValue, OffsetsKey,
};

use super::consumer::{Change, ConsumerGroup};
use super::pending::Pending;
use super::request::KeptOffset;

/// One record of `__consumer_offsets`, as the coordinator means it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum GroupRecord {
    /// A group as it came to rest.
    Group {
        /// The group.
        group: Arc<str>,
        /// Its members and generation; `None` takes the group away.
        value: Option<GroupMetadataValue>,
    },
    /// An offset of a group.
    Offset {
        /// The group.
        group: Arc<str>,
        /// Whose offset.
        partition: TopicPartition,
        /// The offset; `None` takes it away.
        value: Option<KeptOffset>,
    },
    /// A record of a consumer group. It is applied when it is decided, before it is appended.
    Consumer {
        /// The group.
        group: Arc<str>,
        /// What it says.
        change: Change,
    },
}

impl GroupRecord {
    /// The record's key and value as they are stored; no value is a tombstone.
    pub(super) fn encode(&self) -> Result<(Bytes, Option<Bytes>), SchemaError> {
        match self {
            Self::Group { group, value } => {
                let key = OffsetsKey::Group(GroupMetadataKey { group: group.to_string() });
                Ok((key.encode()?, value.as_ref().map(GroupMetadataValue::encode).transpose()?))
            }
            Self::Offset { group, partition, value } => {
                let key = OffsetsKey::Commit(OffsetCommitKey {
                    group: group.to_string(),
                    topic: partition.topic.to_string(),
                    partition: partition.partition,
                });
                let value = value.as_ref().map(|kept| stored(kept).encode()).transpose()?;
                Ok((key.encode()?, value))
            }
            Self::Consumer { group, change } => change.encode(group),
        }
    }

    /// Reads a stored record; `None` for kinds this build does not know.
    pub(super) fn decode(key: Bytes, value: Option<Bytes>) -> Result<Option<Self>, SchemaError> {
        Ok(match OffsetsKey::decode(key)? {
            OffsetsKey::Group(key) => Some(Self::Group {
                group: key.group.into(),
                value: value.map(GroupMetadataValue::decode).transpose()?,
            }),
            OffsetsKey::Commit(key) => Some(Self::Offset {
                group: key.group.into(),
                partition: TopicPartition::new(key.topic, key.partition),
                value: value.map(OffsetCommitValue::decode).transpose()?.map(kept),
            }),
            OffsetsKey::Other { kind, body } => {
                Change::decode(kind, body, value)?.map(|(group, change)| Self::Consumer { group, change })
            }
        })
    }
}

fn stored(kept: &KeptOffset) -> OffsetCommitValue {
    OffsetCommitValue {
        offset: kept.offset,
        leader_epoch: kept.leader_epoch,
        metadata: kept.metadata.clone(),
        commit_timestamp: kept.committed_ms,
        expire_timestamp: kept.expires_ms,
        topic_id: kept.topic_id,
    }
}

fn kept(value: OffsetCommitValue) -> KeptOffset {
    KeptOffset {
        offset: value.offset,
        leader_epoch: value.leader_epoch,
        metadata: value.metadata,
        committed_ms: value.commit_timestamp,
        expires_ms: value.expire_timestamp,
        topic_id: value.topic_id,
        recorded_at: -1,
    }
}

/// The offsets of one group.
pub(super) type Offsets = BTreeMap<TopicPartition, KeptOffset>;

/// The durable state of a shard.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Durable {
    /// Groups as they last came to rest.
    pub(super) groups: HashMap<Arc<str>, GroupMetadataValue>,
    /// Consumer groups.
    pub(super) consumers: HashMap<Arc<str>, ConsumerGroup>,
    /// Offsets by group; no group stands here without any.
    pub(super) offsets: HashMap<Arc<str>, Offsets>,
    /// Offsets whose transaction has not ended.
    pub(super) pending: Pending,
}

impl Durable {
    /// Applies one record that lies at offset `at` of the log, at run time and at replay alike. One of a transaction
    /// (`producer`: id and epoch) that keeps an offset waits for the transaction's end.
    pub(super) fn apply(&mut self, record: GroupRecord, at: i64, producer: Option<(i64, i16)>) {
        match record {
            GroupRecord::Group { group, value: Some(value) } => {
                self.groups.insert(group, value);
            }
            GroupRecord::Group { group, value: None } => {
                self.groups.remove(&group);
            }
            GroupRecord::Offset { group, partition, value: Some(value) } => {
                let value = KeptOffset { recorded_at: at, ..value };
                match producer {
                    Some(producer) => self.pending.put(producer, group, partition, value),
                    None => {
                        self.offsets.entry(group).or_default().insert(partition, value);
                    }
                }
            }
            GroupRecord::Offset { group, partition, value: None } => {
                self.pending.remove(&group, &partition);
                if let Some(offsets) = self.offsets.get_mut(&group) {
                    offsets.remove(&partition);
                    if offsets.is_empty() {
                        self.offsets.remove(&group);
                    }
                }
            }
            GroupRecord::Consumer { group, change: Change::Epoch(None) } => {
                self.consumers.remove(&group);
            }
            GroupRecord::Consumer { group, change } => match self.consumers.get_mut(&group) {
                Some(known) => known.apply(change),
                // A tombstone makes no group.
                None if change.is_removal() => {}
                None => self.consumers.entry(group).or_default().apply(change),
            },
        }
    }

    /// Takes in the marker that ends a producer's transaction. With a commit its offsets are kept from now on, but for
    /// those that a later record has replaced meanwhile: compaction keeps the later record too.
    pub(super) fn end_transaction(&mut self, producer_id: i64, commit: bool) {
        let held = self.pending.end(producer_id);
        for ((group, partition), value) in held.into_iter().filter(|_| commit) {
            let offsets = self.offsets.entry(group).or_default();
            let later = offsets.get(&partition).is_some_and(|kept| kept.recorded_at > value.recorded_at);
            if !later {
                offsets.insert(partition, value);
            }
        }
    }

    /// Drops what the transactions of these producers hold back, as an abort does; answers of how many.
    pub(super) fn drop_pending(&mut self, mut of: impl FnMut(i64) -> bool) -> usize {
        let producers: Vec<i64> = self.pending.producers().filter(|&producer| of(producer)).collect();
        producers.iter().for_each(|&producer| self.end_transaction(producer, false));
        producers.len()
    }

    /// Whether anything is kept for `group`.
    pub(super) fn knows(&self, group: &str) -> bool {
        self.groups.contains_key(group)
            || self.offsets.contains_key(group)
            || self.consumers.contains_key(group)
            || self.pending.holds_any(group)
    }
}
