//! The end of offsets and groups: by age, and with their topics; never touches what a live group still reads.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::id::{TopicId, TopicPartition};

use super::consumer::draft::Draft;
use super::core::{Core, Step};
use super::durable::GroupRecord;
use super::group::{CONSUMER, Group, Phase};
use super::request::{KeptOffset, Now, Rules};

/// Removes what is older than `offsets.retention.minutes`, and empty groups that keep nothing any more. What a
/// transaction under way may replace stays, and so does its group.
pub(super) fn expire(core: &mut Core, now: Now, step: &mut Step) {
    let mut gone = Vec::new();
    let pending = &core.durable.pending;
    for group in core.groups.values() {
        let mut left = 0;
        let offsets = core.durable.offsets.get(&group.id);
        for (partition, kept) in offsets.into_iter().flatten() {
            let old = expired(&core.rules, group, &partition.topic, kept, now);
            if old && !pending.holds(&group.id, partition) {
                step.records.push(GroupRecord::Offset {
                    group: group.id.clone(),
                    partition: partition.clone(),
                    value: None,
                });
            } else {
                left += 1;
            }
        }
        let idle = group.phase == Phase::Empty && group.pending.is_empty();
        if left == 0 && idle && !pending.holds_any(&group.id) {
            gone.push(group.id.clone());
        }
    }
    expire_consumers(core, now, step);
    for id in gone {
        if core.durable.groups.contains_key(&id) {
            step.records.push(GroupRecord::Group { group: id.clone(), value: None });
        }
        core.forget(&id);
    }
}

/// Offsets of consumer groups age from their commit, but for topics that a member reads. An empty group that keeps
/// nothing goes too.
fn expire_consumers(core: &mut Core, now: Now, step: &mut Step) {
    let mut gone = Vec::new();
    let pending = &core.durable.pending;
    for (id, group) in &core.durable.consumers {
        let mut left = 0;
        for (partition, kept) in core.durable.offsets.get(id).into_iter().flatten() {
            let old = !group.reads(&partition.topic) && aged(&core.rules, kept, kept.committed_ms, now);
            if old && !pending.holds(id, partition) {
                step.records.push(GroupRecord::Offset {
                    group: id.clone(),
                    partition: partition.clone(),
                    value: None,
                });
            } else {
                left += 1;
            }
        }
        if left == 0 && group.members.is_empty() && !pending.holds_any(id) {
            gone.push(id.clone());
        }
    }
    for id in gone {
        Draft::new(&id, &mut core.durable, &mut step.records).remove_group();
        core.forget_consumer(&id);
    }
}

/// Whether an offset that ages from `since` is too old.
fn aged(rules: &Rules, kept: &KeptOffset, since: i64, now: Now) -> bool {
    if kept.expires_ms >= 0 {
        return now.wall_ms >= kept.expires_ms;
    }
    now.wall_ms.saturating_sub(since) >= rules.offsets_retention_ms
}

/// Kafka's rule: offsets of a group without members age from the day the last one left, those of a consumer that
/// only keeps offsets from their commit, and so do those of topics that a stable group has stopped reading.
fn expired(rules: &Rules, group: &Group, topic: &str, kept: &KeptOffset, now: Now) -> bool {
    let since = match (&group.protocol_type, group.phase) {
        (None, _) => kept.committed_ms,
        (Some(_), Phase::Empty) if group.since_ms >= 0 => group.since_ms,
        (Some(_), Phase::Empty) => kept.committed_ms,
        (Some(kind), Phase::Stable) if kind == CONSUMER => match &group.subscribed {
            Some(topics) if !topics.contains(topic) => kept.committed_ms,
            Some(_) | None => return false,
        },
        (Some(_), _) => return false,
    };
    aged(rules, kept, since, now)
}

impl Core {
    /// The topic was deleted: no group keeps offsets of it, nor will when a transaction is committed. `now` is the id of the topic that bears the name by now
    /// (zero for none), whose offsets stay.
    pub(super) fn topic_deleted(&mut self, topic: &str, now: TopicId) -> Step {
        let of_it = |partition: &TopicPartition, kept: &KeptOffset| {
            &*partition.topic == topic && (now.is_zero() || kept.topic_id != now)
        };
        let every = self.durable.offsets.iter();
        let kept = every.flat_map(|(group, offsets)| offsets.iter().map(move |(at, kept)| (group, at, kept)));
        // A partition may stand in several transactions, and among what is kept.
        let gone: BTreeSet<_> = kept
            .chain(self.durable.pending.all())
            .filter(|(_, partition, kept)| of_it(partition, kept))
            .map(|(group, partition, _)| (Arc::clone(group), partition.clone()))
            .collect();
        let tombstone = |(group, partition)| GroupRecord::Offset { group, partition, value: None };
        Step { records: gone.into_iter().map(tombstone).collect(), ..Step::default() }
    }
}
