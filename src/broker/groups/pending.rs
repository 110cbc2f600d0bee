//! Offsets within transactions that have not ended: no group's offsets yet, and no reader's; a part of the durable fold.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::model::id::TopicPartition;

use super::request::KeptOffset;

/// A transaction of a producer, as this shard sees it.
#[derive(Debug, Clone, Default, PartialEq)]
struct Open {
    /// The producer epoch of its last offsets.
    epoch: i16,
    offsets: BTreeMap<(Arc<str>, TopicPartition), KeptOffset>,
}

/// The open transactions of a shard.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Pending {
    by_producer: HashMap<i64, Open>,
    /// Which producers hold an offset back, by group and partition; nothing stands here without any.
    holders: HashMap<Arc<str>, BTreeMap<TopicPartition, BTreeSet<i64>>>,
}

impl Pending {
    /// A producer's offset within its transaction: the last one of a partition counts.
    pub(super) fn put(
        &mut self,
        (producer_id, epoch): (i64, i16),
        group: Arc<str>,
        partition: TopicPartition,
        value: KeptOffset,
    ) {
        let held = self.holders.entry(Arc::clone(&group)).or_default();
        held.entry(partition.clone()).or_default().insert(producer_id);
        let open = self.by_producer.entry(producer_id).or_default();
        open.epoch = epoch;
        open.offsets.insert((group, partition), value);
    }

    /// The offset of a partition was taken away: whoever holds one back holds it no more. The transactions stay open.
    pub(super) fn remove(&mut self, group: &Arc<str>, partition: &TopicPartition) {
        let Some(held) = self.holders.get_mut(group) else { return };
        let holders = held.remove(partition).unwrap_or_default();
        if held.is_empty() {
            self.holders.remove(group);
        }
        let key = (Arc::clone(group), partition.clone());
        for holder in holders {
            if let Some(open) = self.by_producer.get_mut(&holder) {
                open.offsets.remove(&key);
            }
        }
    }

    /// Ends a producer's transaction; answers what it held back.
    pub(super) fn end(&mut self, producer_id: i64) -> BTreeMap<(Arc<str>, TopicPartition), KeptOffset> {
        let Some(open) = self.by_producer.remove(&producer_id) else { return BTreeMap::new() };
        for (group, partition) in open.offsets.keys() {
            let Some(held) = self.holders.get_mut(group) else { continue };
            if let Some(holders) = held.get_mut(partition) {
                holders.remove(&producer_id);
                if holders.is_empty() {
                    held.remove(partition);
                }
            }
            if held.is_empty() {
                self.holders.remove(group);
            }
        }
        open.offsets
    }

    /// Whether the producer has a transaction under way here in this epoch.
    pub(super) fn is_open(&self, producer_id: i64, epoch: i16) -> bool {
        self.by_producer.get(&producer_id).is_some_and(|open| open.epoch == epoch)
    }

    /// Whose transactions are open.
    pub(super) fn producers(&self) -> impl Iterator<Item = i64> {
        self.by_producer.keys().copied()
    }

    /// Whether an offset of the partition is held back.
    pub(super) fn holds(&self, group: &str, partition: &TopicPartition) -> bool {
        self.holders.get(group).is_some_and(|held| held.contains_key(partition))
    }

    /// Whether any offset of the group is held back.
    pub(super) fn holds_any(&self, group: &str) -> bool {
        self.holders.contains_key(group)
    }

    /// The partitions of the group of which an offset is held back.
    pub(super) fn partitions(&self, group: &str) -> impl Iterator<Item = &TopicPartition> {
        self.holders.get(group).into_iter().flat_map(BTreeMap::keys)
    }

    /// The groups of which an offset is held back.
    pub(super) fn groups(&self) -> impl Iterator<Item = &Arc<str>> {
        self.holders.keys()
    }

    /// Every offset that is held back, with its group and partition.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Arc<str>, &TopicPartition, &KeptOffset)> {
        let every = self.by_producer.values().flat_map(|open| &open.offsets);
        every.map(|((group, partition), kept)| (group, partition, kept))
    }
}
