//! Looks at the whole node for the metrics; takes no append lock, loads no log and changes nothing.
//!
//! A log that is not loaded can not change: its marks come from the checkpoint and its size from its folder's listing,
//! which is kept until it is loaded. Groups are asked for as a client would ask, so the first look after a start reads
//! their topic.
//!
//! Locks: `at_rest` guards sizes of logs that are not loaded and `lags` what groups lacked before; each is held for one look,
//! and one look happens at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use super::groups::request::Observed;
use super::meters::Meters;
use super::{Broker, Partition, Topic};
use crate::metrics;
use crate::model::id::{TopicId, TopicPartition};
use crate::model::name::CLUSTER_METADATA;

/// The lag of a group is held against one at least this old: members commit every few seconds.
const LAG_WINDOW: Duration = Duration::from_secs(30);

type Sizes = HashMap<(TopicId, usize), (u64, usize)>;

/// What looks remember from one to the next.
#[derive(Debug)]
pub(super) struct Observer {
    started_ms: i64,
    /// The same moment on the monotonic clock.
    started: Duration,
    recovery: OnceLock<metrics::Recovery>,
    at_rest: Mutex<Sizes>,
    lags: Mutex<Lags>,
}

/// The lags of all groups at two moments, at least a window apart.
#[derive(Debug, Default)]
struct Lags {
    last: Option<(Duration, HashMap<String, u64>)>,
    before: Option<(Duration, HashMap<String, u64>)>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Observer {
    pub(super) fn new(started_ms: i64, started: Duration) -> Self {
        Self {
            started_ms,
            started,
            recovery: OnceLock::new(),
            at_rest: Mutex::default(),
            lags: Mutex::default(),
        }
    }

    /// Says once what the start found.
    pub(super) fn recovered(&self, recovery: metrics::Recovery) {
        let _ = self.recovery.set(recovery);
    }
}

impl Broker {
    /// The counters of this node.
    pub(super) fn meters(&self) -> &Meters {
        &self.around.meters
    }

    /// The node as it is now.
    ///
    /// # Errors
    /// The broker closes.
    pub async fn observe(self: &Arc<Self>) -> Result<metrics::Node, super::BrokerError> {
        let begun = self.clock.monotonic();
        let groups = self.groups.observe(self).await;
        self.blocking(move |broker| {
            let groups_known = groups.is_ok();
            let mut node = broker.look(groups.unwrap_or_default());
            node.groups_known = groups_known;
            node.took = broker.clock.monotonic().saturating_sub(begun);
            node
        })
        .await
    }

    /// Why this node is not ready to serve, if it is not: at no cost worth naming.
    pub fn unready(&self) -> Option<&'static str> {
        if self.is_closing() {
            return Some("stopping");
        }
        if self.metadata.log().is_failed() {
            return Some("the log of the catalog has failed");
        }
        let topics = self.topics();
        let full = topics.iter().any(|topic| topic.opened().any(|partition| partition.is_full()));
        full.then_some("the disk is full")
    }

    fn look(&self, observed: Vec<Observed>) -> metrics::Node {
        let now = self.clock.monotonic();
        let mut sizes = Sizes::new();
        let mut topics: Vec<metrics::Topic> = Vec::new();
        {
            let known = lock(&self.observer.at_rest);
            let metadata = self.facts_of(&self.metadata, 0, &known, &mut sizes);
            topics.push(metrics::Topic {
                name: CLUSTER_METADATA.to_owned(),
                internal: true,
                partitions: vec![metadata],
            });
            topics.extend(self.topics().iter().map(|topic| self.look_at_topic(topic, &known, &mut sizes)));
        }
        topics.sort_by(|one, other| one.name.cmp(&other.name));
        // What is not in use any more is forgotten with the old map.
        *lock(&self.observer.at_rest) = sizes;
        let groups = self.groups_of(observed, &topics, now);
        let disk = self.folder.space().ok().map(|(total, free)| metrics::Disk { total, free });
        let meters = self.meters();
        metrics::Node {
            started_ms: self.observer.started_ms,
            up: now.saturating_sub(self.observer.started),
            unready: self.unready(),
            topics,
            groups,
            groups_known: true,
            produced: meters.produced(),
            fetched_bytes: meters.fetched_bytes(),
            rates: meters.sample(now),
            errors: meters.errors(),
            sync: meters.syncs(),
            unsynced_bytes: self.unsynced_bytes(),
            recovery: self.observer.recovery.get().copied().unwrap_or_default(),
            disk,
            took: Duration::ZERO,
        }
    }

    fn look_at_topic(&self, topic: &Topic, known: &Sizes, sizes: &mut Sizes) -> metrics::Topic {
        let partitions = topic.slots().enumerate().map(|(index, slot)| match slot {
            Some(partition) => self.facts_of(partition, index, known, sizes),
            None => self.facts_at_rest(topic, index, known, sizes),
        });
        metrics::Topic {
            name: topic.name().to_string(),
            internal: topic.is_internal(),
            partitions: partitions.collect(),
        }
    }

    fn facts_of(
        &self,
        partition: &Partition,
        index: usize,
        known: &Sizes,
        sizes: &mut Sizes,
    ) -> metrics::Partition {
        let (log, marks) = (partition.log(), partition.marks());
        let loaded = log.size_if_loaded();
        let key = (partition.topic_id(), index);
        let size = loaded.or_else(|| self.size_at_rest(key, partition.id(), known, sizes));
        metrics::Partition {
            log_start: marks.log_start,
            high_watermark: marks.high_watermark,
            log_end: marks.log_end.0,
            bytes: size.map(|(bytes, _)| bytes),
            segments: size.map_or(0, |(_, segments)| segments as u64),
            loaded: loaded.is_some(),
            failed: log.is_failed(),
            full: partition.is_full(),
            damaged: log.damaged_ranges() as u64,
            produced: partition.traffic().produced(),
            fetched_bytes: partition.traffic().fetched_bytes(),
        }
    }

    /// A partition that was not used since the start.
    fn facts_at_rest(
        &self,
        topic: &Topic,
        index: usize,
        known: &Sizes,
        sizes: &mut Sizes,
    ) -> metrics::Partition {
        let number = i32::try_from(index).unwrap_or(i32::MAX);
        let id = TopicPartition::new(Arc::clone(topic.name()), number);
        let (log_start, log_end) = self.folder.marks_at_rest(&id, topic.id()).unwrap_or_default();
        let size = self.size_at_rest((topic.id(), index), &id, known, sizes);
        metrics::Partition {
            log_start,
            high_watermark: log_end,
            log_end,
            bytes: size.map(|(bytes, _)| bytes),
            segments: size.map_or(0, |(_, segments)| segments as u64),
            ..metrics::Partition::default()
        }
    }

    fn size_at_rest(
        &self,
        key: (TopicId, usize),
        id: &TopicPartition,
        known: &Sizes,
        sizes: &mut Sizes,
    ) -> Option<(u64, usize)> {
        let size = match known.get(&key) {
            Some(size) => *size,
            None => self.folder.size_at_rest(id).ok()?,
        };
        sizes.insert(key, size);
        Some(size)
    }

    fn groups_of(
        &self,
        observed: Vec<Observed>,
        topics: &[metrics::Topic],
        now: Duration,
    ) -> Vec<metrics::Group> {
        let partition = |topic: &str, index: i32| {
            let at = topics.binary_search_by(|one| one.name.as_str().cmp(topic)).ok()?;
            topics.get(at)?.partitions.get(usize::try_from(index).ok()?)
        };
        let mut groups: Vec<metrics::Group> = Vec::with_capacity(observed.len());
        for Observed { group, state, members, offsets } in observed {
            let mut partitions = Vec::with_capacity(offsets.len());
            for (at, topic_id, committed) in offsets {
                let current = self.topic_id(&at.topic).unwrap_or_default();
                // Offsets of an earlier topic of the same name are none.
                let same = topic_id.is_zero() || topic_id == current;
                let Some(found) = partition(&at.topic, at.partition).filter(|_| same) else { continue };
                let lag = found.high_watermark.saturating_sub(committed.max(found.log_start));
                partitions.push(metrics::GroupPartition {
                    topic: at.topic.to_string(),
                    partition: at.partition,
                    committed,
                    lag: u64::try_from(lag).unwrap_or(0),
                });
            }
            let (name, members) = (group.to_string(), members as u64);
            groups.push(metrics::Group { name, state, members, partitions, before: None });
        }
        lock(&self.observer.lags).hold_against(&mut groups, now);
        groups
    }
}

impl Lags {
    /// Tells each group what it lacked before, and keeps what it lacks now for later.
    fn hold_against(&mut self, groups: &mut [metrics::Group], now: Duration) {
        let old = |at: Duration| now.saturating_sub(at) >= LAG_WINDOW;
        let last_is_old = self.last.as_ref().is_none_or(|(at, _)| old(*at));
        let from = if last_is_old { &self.last } else { &self.before };
        if let Some((at, lags)) = from {
            for group in groups.iter_mut() {
                let since = now.saturating_sub(*at);
                group.before = lags.get(&group.name).map(|lag| (*lag, since));
            }
        }
        if last_is_old {
            let lags = groups.iter().map(|group| (group.name.clone(), group.lag())).collect();
            self.before = self.last.replace((now, lags));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lags_are_held_against_old_ones_only() {
        let group = |lag| metrics::Group {
            name: "g".into(),
            state: "Stable",
            members: 1,
            partitions: vec![metrics::GroupPartition { topic: "t".into(), partition: 0, committed: 0, lag }],
            before: None,
        };
        let second = Duration::from_secs;
        let mut lags = Lags::default();
        let mut look = |lag, at| {
            let mut groups = [group(lag)];
            lags.hold_against(&mut groups, second(at));
            groups[0].before
        };
        assert_eq!(look(1, 0), None);
        assert_eq!(look(2, 10), None);
        assert_eq!(look(3, 31), Some((1, second(31))));
        assert_eq!(look(4, 40), Some((1, second(40))));
        assert_eq!(look(5, 61), Some((3, second(30))));
    }
}
