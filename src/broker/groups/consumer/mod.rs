//! Consumer groups of KIP-848: a fold over their records; who may do what is decided in the files beside.
//!
//! A decision of several steps sees its own records: each is applied as it is made (see [`draft::Draft`]), before the
//! shard appends it. If the append fails the shard is thrown away, memory included.

mod assign;
mod change;
mod classic;
mod convert;
mod describe;
pub(super) mod draft;
mod heartbeat;
mod leave;
mod offsets;
mod range;
mod reconcile;
mod regex;
pub(super) mod soft;
mod uniform;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::id::TopicId;

use super::request::Protocol;
use super::topics::Topics;

pub(super) use Member as ConsumerMember;
pub(super) use change::Change;
pub(super) use offsets::may_commit_for;

/// Partitions by topic; no topic stands here without any.
pub(super) type Parts = BTreeMap<TopicId, BTreeSet<i32>>;

/// Partitions by topic, each with the member epoch in which it was given.
pub(super) type Owned = BTreeMap<TopicId, BTreeMap<i32, i32>>;

/// The epoch of a static member that left for a while.
pub(super) const AWAY: i32 = -2;

/// Where a member stands on the way to its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum MemberState {
    /// It has what it is to have.
    #[default]
    Stable,
    /// It has to give partitions back and say so.
    Unrevoked,
    /// It waits for partitions that others have not given back.
    Unreleased,
    /// A state of a later version.
    Unknown,
}

/// What a member has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Current {
    /// The epoch it is in.
    pub(super) epoch: i32,
    /// The one before, should the answer that told it the newer have been lost.
    pub(super) previous: i32,
    /// Where it stands.
    pub(super) state: MemberState,
    /// What it has and may keep.
    pub(super) assigned: Owned,
    /// What it has and is to give back.
    pub(super) revoking: Owned,
}

/// What a member of the classic protocol told besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Classic {
    /// Milliseconds without a sign of life until it is removed.
    pub(super) session_timeout_ms: i32,
    /// In its order of preference.
    pub(super) protocols: Vec<Protocol>,
}

/// A member as it described itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Profile {
    /// Its name, if static.
    pub(super) instance_id: Option<String>,
    /// Its rack.
    pub(super) rack_id: Option<String>,
    /// The client's name for itself.
    pub(super) client_id: String,
    /// Where it calls from.
    pub(super) client_host: String,
    /// Topics it subscribes to by name.
    pub(super) topics: BTreeSet<Arc<str>>,
    /// Topics it subscribes to by pattern; empty is as good as none.
    pub(super) regex: Option<String>,
    /// Milliseconds it takes at most to give partitions back.
    pub(super) rebalance_timeout_ms: i32,
    /// The assignor it wishes for.
    pub(super) assignor: Option<String>,
    /// Set while it speaks the classic protocol.
    pub(super) classic: Option<Classic>,
}

impl Profile {
    /// The pattern it subscribes by, where there is one.
    pub(super) fn pattern(&self) -> Option<&str> {
        self.regex.as_deref().filter(|pattern| !pattern.is_empty())
    }
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Member {
    /// As it described itself.
    pub(super) profile: Profile,
    /// What it has.
    pub(super) current: Current,
}

/// The topics that a pattern came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resolved {
    /// Their names.
    pub(super) topics: BTreeSet<Arc<str>>,
    /// [`Topics::version`] of the moment.
    pub(super) version: i64,
    /// Wall ms of the moment.
    pub(super) at_ms: i64,
}

/// A consumer group as its records tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ConsumerGroup {
    /// Rises whenever members, subscriptions or topics change.
    pub(super) epoch: i32,
    /// [`Topics::hash`] of what was subscribed to then.
    pub(super) hash: i64,
    /// The epoch that the target is of.
    pub(super) target_epoch: i32,
    /// When the target was made: wall ms.
    pub(super) target_at_ms: i64,
    /// What each member is to have.
    pub(super) target: BTreeMap<Arc<str>, Parts>,
    /// The members.
    pub(super) members: BTreeMap<Arc<str>, Member>,
    /// What the patterns came to.
    pub(super) regexes: BTreeMap<String, Resolved>,
    /// Static members: instance id to member id.
    pub(super) statics: BTreeMap<String, Arc<str>>,
    /// Who has a partition, assigned or not yet given back.
    pub(super) owners: BTreeMap<TopicId, BTreeMap<i32, Arc<str>>>,
}

impl Default for ConsumerGroup {
    fn default() -> Self {
        Self::new()
    }
}

impl ConsumerGroup {
    /// A group without members.
    pub(super) const fn new() -> Self {
        Self {
            epoch: 0,
            hash: 0,
            target_epoch: 0,
            target_at_ms: 0,
            target: BTreeMap::new(),
            members: BTreeMap::new(),
            regexes: BTreeMap::new(),
            statics: BTreeMap::new(),
            owners: BTreeMap::new(),
        }
    }

    /// Takes a record in, at run time and at replay alike.
    pub(super) fn apply(&mut self, change: Change) {
        match change {
            Change::Epoch(Some((epoch, hash))) => (self.epoch, self.hash) = (epoch, hash),
            // The whole group goes, which its keeper sees to.
            Change::Epoch(None) => {}
            Change::Member(id, Some(profile)) => self.describe_member(id, *profile),
            Change::Member(id, None) => self.remove_member(&id),
            Change::TargetEpoch(Some((epoch, at_ms))) => {
                (self.target_epoch, self.target_at_ms) = (epoch, at_ms);
            }
            Change::TargetEpoch(None) => (self.target_epoch, self.target_at_ms) = (0, 0),
            Change::Target(id, Some(parts)) => {
                self.target.insert(id, parts);
            }
            Change::Target(id, None) => {
                self.target.remove(&id);
            }
            Change::Current(id, current) => self.set_current(&id, current.map(|current| *current)),
            Change::Regex(pattern, Some(resolved)) => {
                self.regexes.insert(pattern, resolved);
            }
            Change::Regex(pattern, None) => {
                self.regexes.remove(&pattern);
            }
        }
    }

    fn describe_member(&mut self, id: Arc<str>, profile: Profile) {
        if let Some(instance) = &profile.instance_id {
            self.statics.insert(instance.clone(), Arc::clone(&id));
        }
        self.members.entry(id).or_default().profile = profile;
    }

    fn remove_member(&mut self, id: &str) {
        self.set_current(id, None);
        let Some(member) = self.members.remove(id) else { return };
        if let Some(instance) = member.profile.instance_id
            && self.statics.get(&instance).is_some_and(|held| &**held == id)
        {
            self.statics.remove(&instance);
        }
    }

    fn set_current(&mut self, id: &str, current: Option<Current>) {
        if let Some((_, member)) = self.members.get_key_value(id) {
            for (topic, partitions) in member.current.assigned.iter().chain(&member.current.revoking) {
                let Some(owners) = self.owners.get_mut(topic) else { continue };
                for partition in partitions.keys() {
                    if owners.get(partition).is_some_and(|owner| &**owner == id) {
                        owners.remove(partition);
                    }
                }
                if owners.is_empty() {
                    self.owners.remove(topic);
                }
            }
        }
        let Some(current) = current else {
            if let Some(member) = self.members.get_mut(id) {
                member.current = Current::default();
            }
            return;
        };
        // Of a compacted log the member itself may come later than what it has.
        let id: Arc<str> = id.into();
        for (topic, partitions) in current.assigned.iter().chain(&current.revoking) {
            let owners = self.owners.entry(*topic).or_default();
            owners.extend(partitions.keys().map(|partition| (*partition, Arc::clone(&id))));
        }
        self.members.entry(id).or_default().current = current;
    }

    /// A member's id by its instance id.
    pub(super) fn static_member(&self, instance: &str) -> Option<&Arc<str>> {
        self.statics.get(instance)
    }

    /// What the member is to have.
    pub(super) fn target_of(&self, id: &str) -> &Parts {
        static NOTHING: Parts = Parts::new();
        self.target.get(id).unwrap_or(&NOTHING)
    }

    /// The names a member subscribes to, patterns included.
    pub(super) fn subscribed<'a>(&'a self, profile: &'a Profile) -> impl Iterator<Item = &'a Arc<str>> {
        let resolved = profile.pattern().and_then(|pattern| self.regexes.get(pattern));
        profile.topics.iter().chain(resolved.into_iter().flat_map(|resolved| &resolved.topics))
    }

    /// The ids of the topics a member subscribes to, as far as they are there.
    pub(super) fn subscribed_ids(&self, profile: &Profile, topics: &Topics) -> BTreeSet<TopicId> {
        self.subscribed(profile).filter_map(|name| topics.get(name)).map(|topic| topic.id).collect()
    }

    /// All names subscribed to by anyone.
    pub(super) fn all_subscribed(&self) -> BTreeSet<Arc<str>> {
        self.members.values().flat_map(|member| self.subscribed(&member.profile)).cloned().collect()
    }

    /// Whether anyone reads the topic.
    pub(super) fn reads(&self, topic: &str) -> bool {
        self.members.values().any(|member| self.subscribed(&member.profile).any(|name| &**name == topic))
    }

    /// Kafka's name of the group's state.
    pub(super) fn state(&self) -> &'static str {
        let settled = |member: &Member| {
            member.current.state == MemberState::Stable && member.current.epoch == self.target_epoch
        };
        if self.members.is_empty() {
            "Empty"
        } else if self.epoch > self.target_epoch {
            "Assigning"
        } else if self.members.values().all(settled) {
            "Stable"
        } else {
            "Reconciling"
        }
    }
}

/// The partitions of `owned` without their epochs.
pub(super) fn without_epochs(owned: &Owned) -> Parts {
    owned.iter().map(|(topic, partitions)| (*topic, partitions.keys().copied().collect())).collect()
}

#[cfg(test)]
impl ConsumerGroup {
    /// What holds of a group after every decision.
    pub(super) fn assert_sound(&self) {
        let mut owned = 0;
        for (id, member) in &self.members {
            let has = &member.current;
            for (topic, partitions) in has.assigned.iter().chain(&has.revoking) {
                assert!(!partitions.is_empty());
                for partition in partitions.keys() {
                    owned += 1;
                    assert_eq!(self.owners[topic].get(partition), Some(id), "a partition has one owner");
                }
            }
            assert_eq!(has.state == MemberState::Unrevoked, !has.revoking.is_empty());
            assert!(has.epoch <= self.epoch);
        }
        assert_eq!(owned, self.owners.values().map(BTreeMap::len).sum::<usize>(), "no owner is forgotten");
        let mut given = BTreeSet::new();
        for (id, parts) in &self.target {
            assert!(self.members.contains_key(id));
            for (topic, partitions) in parts {
                assert!(partitions.iter().all(|at| given.insert((*topic, *at))), "a target gives each once");
            }
        }
        assert!(self.target_epoch <= self.epoch && self.epoch > 0);
        assert!(
            self.statics.iter().all(|(name, id)| self.members[id].profile.instance_id.as_ref() == Some(name))
        );
    }
}
