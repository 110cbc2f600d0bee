//! A shard's state and its clockwork: who may decide what is in the files beside; never a lock, a disk or a clock.
//!
//! Decisions (`join`, `sync`, `heartbeat`, `leave`, `commit` ...) read the durable state, change the soft state
//! and return a [`Step`]: records to append and parked answers to release. Whoever calls them appends the records,
//! applies each with [`Core::apply`] and lets no answer out before the records are on disk. If that fails, the
//! whole core is thrown away and read from its log again.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::consumer::soft::Soft;
use super::durable::{Durable, GroupRecord};
use super::group::{Group, JoinTimer};
use super::request::{
    DescribedMember, Description, GroupError, JoinRefused, Joined, Listing, Now, Observed, Rules, Synced,
    Ticket,
};
use super::topics::Topics;
use super::{expiry, rebalance};

/// What a decision asks its caller to do.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// To be appended, then applied, in order.
    pub(super) records: Vec<GroupRecord>,
    /// To be sent once the records are on disk.
    pub(super) answers: Vec<(Ticket, Answer)>,
    /// The producer (id and epoch) of whose transaction the records are a part; offsets alone can be.
    pub(super) producer: Option<(i64, i16)>,
}

/// An answer that may have been parked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// To a join.
    Join(Result<Joined, JoinRefused>),
    /// To a sync.
    Sync(Result<Synced, GroupError>),
}

impl Step {
    /// Whether the step keeps offsets and does nothing else.
    pub(super) fn only_offsets(&self) -> bool {
        let kept = |record: &GroupRecord| matches!(record, GroupRecord::Offset { value: Some(_), .. });
        self.answers.is_empty() && self.records.iter().all(kept)
    }

    /// Answers a join with a refusal.
    pub(super) fn refuse_join(&mut self, ticket: Ticket, error: GroupError, member_id: &str) {
        let refused = JoinRefused { error, member_id: member_id.to_owned() };
        self.answers.push((ticket, Answer::Join(Err(refused))));
    }

    /// Answers a sync with a refusal.
    pub(super) fn refuse_sync(&mut self, ticket: Ticket, error: GroupError) {
        self.answers.push((ticket, Answer::Sync(Err(error))));
    }
}

/// A shard: the groups of one partition of `__consumer_offsets`.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) rules: Rules,
    pub(super) durable: Durable,
    /// Classic groups, and those that only keep offsets.
    pub(super) groups: HashMap<Arc<str>, Group>,
    /// What is kept of consumer groups in memory alone. A group stands here or in `groups`, never in both.
    pub(super) consumers: HashMap<Arc<str>, Soft>,
    /// The topics as last seen.
    pub(super) topics: Arc<Topics>,
    /// When to look at which group again; each group stands here at most once, at its `wake_at`.
    wakes: BTreeSet<(i64, Arc<str>)>,
    next_expiry_ms: i64,
}

impl Core {
    /// A shard without groups.
    pub(super) fn new(rules: Rules, now: Now) -> Self {
        Self {
            rules,
            durable: Durable::default(),
            groups: HashMap::new(),
            consumers: HashMap::new(),
            topics: Arc::default(),
            wakes: BTreeSet::new(),
            next_expiry_ms: now.mono_ms.saturating_add(rules.offsets_retention_check_interval_ms.max(1)),
        }
    }

    /// A shard as its log tells it.
    pub(super) fn restore(rules: Rules, durable: Durable, now: Now) -> Self {
        let mut core = Self::new(rules, now);
        core.durable = durable;
        let stored: Vec<_> = core.durable.groups.keys().cloned().collect();
        for id in stored {
            if let Some(value) = core.durable.groups.get(&id) {
                core.groups.insert(id.clone(), Group::restore(id.clone(), value, now));
            }
            core.rearm(&id);
        }
        let session_ms = rules.consumer.timing.session_ms;
        for (id, group) in &core.durable.consumers {
            core.groups.remove(id);
            core.consumers.insert(id.clone(), Soft::restore(group, session_ms, now));
        }
        let consumers: Vec<_> = core.consumers.keys().cloned().collect();
        consumers.iter().for_each(|id| core.rearm(id));
        let simple: Vec<_> =
            core.durable.offsets.keys().chain(core.durable.pending.groups()).cloned().collect();
        for id in simple.into_iter().filter(|id| !core.durable.consumers.contains_key(id)) {
            core.groups.entry(id.clone()).or_insert_with(|| Group::new(id, now));
        }
        core
    }

    /// Takes in a record that was appended at offset `at`, for a producer's transaction where there is one: the only
    /// way the durable state changes, but for records of consumer groups, which are taken in as they are decided, and
    /// for [`Core::end_transaction`].
    pub(super) fn apply(&mut self, record: GroupRecord, at: i64, producer: Option<(i64, i16)>) {
        if !matches!(record, GroupRecord::Consumer { .. }) {
            self.durable.apply(record, at, producer);
        }
    }

    /// Takes in the marker of a producer's transaction, which was appended.
    pub(super) fn end_transaction(&mut self, producer_id: i64, commit: bool) {
        self.durable.end_transaction(producer_id, commit);
    }

    /// Shows the topics as they are now.
    pub(super) fn see(&mut self, topics: Arc<Topics>) {
        self.topics = topics;
    }

    /// What would be found in the log.
    #[cfg(test)]
    pub(super) fn durable(&self) -> &Durable {
        &self.durable
    }

    /// The earliest monotonic ms at which [`Core::tick`] has work.
    pub(super) fn deadline(&self) -> Option<i64> {
        let wake = self.wakes.first().map(|(at, _)| *at);
        let any = !self.groups.is_empty() || !self.consumers.is_empty();
        let expiry = any.then_some(self.next_expiry_ms);
        wake.into_iter().chain(expiry).min()
    }

    /// Does what is due at `now`.
    pub(super) fn tick(&mut self, now: Now) -> Step {
        let mut step = Step::default();
        while let Some((at, id)) = self.wakes.first().cloned() {
            if at > now.mono_ms {
                break;
            }
            self.wakes.remove(&(at, id.clone()));
            if let Some(group) = self.groups.get_mut(&id) {
                group.wake_at = i64::MAX;
                time_passed(&self.rules, group, now, &mut step);
            } else if let Some(soft) = self.consumers.get_mut(&id) {
                soft.wake_at = None;
                self.consumer_time_passed(&id, now, &mut step);
            }
            self.settle(&id);
        }
        if self.next_expiry_ms <= now.mono_ms {
            self.next_expiry_ms =
                now.mono_ms.saturating_add(self.rules.offsets_retention_check_interval_ms.max(1));
            expiry::expire(self, now, &mut step);
        }
        step
    }

    /// Ends work on a group: forgets it if nothing is left of it, else enters its next deadline.
    pub(super) fn settle(&mut self, id: &Arc<str>) {
        if self.consumers.contains_key(id) && !self.durable.consumers.contains_key(id) {
            self.forget_consumer(id);
        }
        let idle = self.groups.get(id).is_some_and(|group| {
            group.members.is_empty()
                && group.pending.is_empty()
                && group.join_timer.is_none()
                && group.generation == 0
        });
        if idle && !self.durable.knows(id) {
            self.forget(id);
        } else {
            self.rearm(id);
        }
    }

    /// Drops the group from memory.
    pub(super) fn forget(&mut self, id: &Arc<str>) {
        if let Some(group) = self.groups.remove(id) {
            self.wakes.remove(&(group.wake_at, id.clone()));
        }
    }

    /// Drops a consumer group's soft state.
    pub(super) fn forget_consumer(&mut self, id: &Arc<str>) {
        if let Some(at) = self.consumers.remove(id).and_then(|soft| soft.wake_at) {
            self.wakes.remove(&(at, id.clone()));
        }
    }

    fn rearm(&mut self, id: &Arc<str>) {
        if let Some(soft) = self.consumers.get_mut(id) {
            let at = soft.deadline();
            if at != soft.wake_at {
                if let Some(old) = soft.wake_at {
                    self.wakes.remove(&(old, id.clone()));
                }
                soft.wake_at = at;
                if let Some(at) = at {
                    self.wakes.insert((at, id.clone()));
                }
            }
            return;
        }
        let Some(group) = self.groups.get_mut(id) else { return };
        let at = group.deadline().unwrap_or(i64::MAX);
        if at != group.wake_at {
            self.wakes.remove(&(group.wake_at, id.clone()));
            group.wake_at = at;
            if at != i64::MAX {
                self.wakes.insert((at, id.clone()));
            }
        }
    }

    /// Describes a group.
    pub(super) fn describe(&self, id: &str) -> Option<Description> {
        let group = self.groups.get(id)?;
        let stable = group.phase == super::group::Phase::Stable;
        let protocol = group.protocol.as_deref();
        let members = group.members.iter().map(|(id, member)| DescribedMember {
            member_id: id.clone(),
            instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            metadata: if stable { member.metadata(protocol) } else { Default::default() },
            assignment: if stable { member.assignment.clone() } else { Default::default() },
        });
        Some(Description {
            state: group.phase.name(),
            protocol_type: group.protocol_type.clone().unwrap_or_default(),
            protocol: if stable { group.protocol.clone().unwrap_or_default() } else { String::new() },
            members: members.collect(),
        })
    }

    /// Looks at the groups for the metrics: name, state, number of members, offsets kept; in no order.
    pub(super) fn observe(&self) -> Vec<Observed> {
        let observed = self.groups.values().map(|group| Observed {
            group: group.id.clone(),
            state: group.phase.name(),
            members: group.members.len(),
            offsets: self
                .offsets(&group.id)
                .into_iter()
                .flatten()
                .map(|(at, kept)| (at.clone(), kept.topic_id, kept.offset))
                .collect(),
        });
        let consumers = self.durable.consumers.iter().map(|(id, group)| Observed {
            group: id.clone(),
            state: group.state(),
            members: group.members.len(),
            offsets: self
                .offsets(id)
                .into_iter()
                .flatten()
                .map(|(at, kept)| (at.clone(), kept.topic_id, kept.offset))
                .collect(),
        });
        observed.chain(consumers).collect()
    }

    /// Lists the groups, in no order.
    pub(super) fn list(&self) -> Vec<Listing> {
        let listed = self.groups.values().map(|group| Listing {
            group: group.id.clone(),
            protocol_type: group.protocol_type.clone().unwrap_or_default(),
            state: group.phase.name(),
            consumer: false,
        });
        let consumers = self.durable.consumers.iter().map(|(id, group)| Listing {
            group: id.clone(),
            protocol_type: super::group::CONSUMER.to_owned(),
            state: group.state(),
            consumer: true,
        });
        listed.chain(consumers).collect()
    }
}

/// Applies what time alone does to a group: lost ids, silent members, the ends of the join and sync phases.
fn time_passed(rules: &Rules, group: &mut Group, now: Now, step: &mut Step) {
    let forgotten: Vec<_> =
        group.pending.iter().filter(|&(_, at)| *at <= now.mono_ms).map(|(id, _)| id.clone()).collect();
    for id in forgotten {
        group.remove(&id);
        rebalance::complete_if_joined(group, now, step);
    }
    let silent: Vec<_> = group
        .members
        .iter()
        .filter(|(_, member)| member.deadline.is_some_and(|at| at <= now.mono_ms))
        .map(|(id, _)| id.clone())
        .collect();
    for id in silent {
        rebalance::member_silent(rules, group, &id, now, step);
    }
    if let Some(timer) = group.join_timer.filter(|timer| timer.at() <= now.mono_ms) {
        match timer {
            JoinTimer::Initial { delay, remaining, .. } => {
                rebalance::initial_wait_over(rules, group, delay, remaining, now, step);
            }
            JoinTimer::Complete { .. } => rebalance::complete(group, now, step),
        }
    }
    if group.sync_timer.is_some_and(|at| at <= now.mono_ms) {
        rebalance::sync_wait_over(rules, group, now, step);
    }
}
