//! One group as it lives in memory: members, votes, phases; it decides nothing about requests and keeps no offsets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use crate::schema::consumer::Subscription;
use crate::schema::offsets::{GroupMetadataValue, MemberMetadata};

use super::durable::GroupRecord;
use super::request::{GroupError, JoinedMember, Now, Protocol, Ticket};

/// The protocol type of consumers: the broker can read what their members tell each other.
pub(super) const CONSUMER: &str = "consumer";

/// Where a group stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// No members; perhaps offsets.
    Empty,
    /// Members are asked to join (again).
    Preparing,
    /// All joined; the leader works out the assignment.
    Completing,
    /// Everyone has (or can fetch) an assignment.
    Stable,
}

impl Phase {
    /// Kafka's name of the state.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Preparing => "PreparingRebalance",
            Self::Completing => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

/// A member.
#[derive(Debug, Clone)]
pub(super) struct Member {
    /// Name of a static member.
    pub(super) instance_id: Option<String>,
    /// The client's name for itself.
    pub(super) client_id: String,
    /// Where it calls from.
    pub(super) client_host: String,
    /// Milliseconds it takes at most to join again.
    pub(super) rebalance_timeout_ms: i32,
    /// Milliseconds without a sign of life until it is removed.
    pub(super) session_timeout_ms: i32,
    /// In its order of preference.
    pub(super) protocols: Vec<Protocol>,
    /// From the leader; empty until then.
    pub(super) assignment: Bytes,
    /// Never got a join answer yet: may time out while it waits.
    pub(super) is_new: bool,
    /// A parked join.
    pub(super) join: Option<Ticket>,
    /// A parked sync.
    pub(super) sync: Option<Ticket>,
    /// Monotonic ms at which the member is taken for gone.
    pub(super) deadline: Option<i64>,
}

impl Member {
    /// What the member told for `protocol`.
    pub(super) fn metadata(&self, protocol: Option<&str>) -> Bytes {
        let told = self.protocols.iter().find(|told| Some(told.name.as_str()) == protocol);
        told.map(|told| told.metadata.clone()).unwrap_or_default()
    }
}

/// How the join phase ends by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JoinTimer {
    /// A group's first rebalance waits for more members.
    Initial {
        /// Monotonic ms.
        at: i64,
        /// The wait that ends then, ms.
        delay: i64,
        /// What may still be waited after that, ms.
        remaining: i64,
    },
    /// Who has not joined by then is removed.
    Complete {
        /// Monotonic ms.
        at: i64,
    },
}

impl JoinTimer {
    /// Monotonic ms at which it fires.
    pub(super) fn at(&self) -> i64 {
        match *self {
            Self::Initial { at, .. } | Self::Complete { at } => at,
        }
    }
}

/// A group.
#[derive(Debug, Clone)]
pub(super) struct Group {
    /// The group's name.
    pub(super) id: Arc<str>,
    /// Where it stands.
    pub(super) phase: Phase,
    /// Where it stood before.
    pub(super) previous: Phase,
    /// When it came there: wall ms.
    pub(super) since_ms: i64,
    /// `consumer` ...; none while it only keeps offsets.
    pub(super) protocol_type: Option<String>,
    /// Chosen by vote.
    pub(super) protocol: Option<String>,
    /// Rises with every rebalance.
    pub(super) generation: i32,
    /// The leader's member id.
    pub(super) leader: Option<String>,
    /// By member id.
    pub(super) members: BTreeMap<String, Member>,
    /// Static members: instance id to member id.
    pub(super) statics: BTreeMap<String, String>,
    /// Ids handed out and not yet joined with, and when (monotonic ms) they are forgotten.
    pub(super) pending: BTreeMap<String, i64>,
    /// Joined members that have not asked for their assignment.
    pub(super) pending_sync: BTreeSet<String>,
    /// Whether a member came while the first rebalance waited.
    pub(super) new_member_added: bool,
    /// The end of the join phase.
    pub(super) join_timer: Option<JoinTimer>,
    /// When members that have not synced are removed: monotonic ms.
    pub(super) sync_timer: Option<i64>,
    /// What the members read, where that can be told.
    pub(super) subscribed: Option<BTreeSet<String>>,
    /// The wake-up entered for this group: not later than any deadline in it.
    pub(super) wake_at: i64,
}

impl Group {
    /// A group that nobody has joined.
    pub(super) fn new(id: Arc<str>, now: Now) -> Self {
        Self {
            id,
            phase: Phase::Empty,
            previous: Phase::Empty,
            since_ms: now.wall_ms,
            protocol_type: None,
            protocol: None,
            generation: 0,
            leader: None,
            members: BTreeMap::new(),
            statics: BTreeMap::new(),
            pending: BTreeMap::new(),
            pending_sync: BTreeSet::new(),
            new_member_added: false,
            join_timer: None,
            sync_timer: None,
            subscribed: None,
            wake_at: i64::MAX,
        }
    }

    /// The group as its last record tells it: at rest, every member granted a whole session from now.
    pub(super) fn restore(id: Arc<str>, value: &GroupMetadataValue, now: Now) -> Self {
        let mut group = Self::new(id, now);
        group.phase = if value.members.is_empty() { Phase::Empty } else { Phase::Stable };
        group.since_ms = value.current_state_timestamp;
        group.protocol_type = Some(value.protocol_type.clone()).filter(|kind| !kind.is_empty());
        group.protocol = value.protocol.clone();
        group.generation = value.generation;
        group.leader = value.leader.clone();
        for stored in &value.members {
            let rebalance =
                if stored.rebalance_timeout < 0 { stored.session_timeout } else { stored.rebalance_timeout };
            let name = value.protocol.clone().unwrap_or_default();
            if let Some(instance) = &stored.group_instance_id {
                group.statics.insert(instance.clone(), stored.member_id.clone());
            }
            let member = Member {
                instance_id: stored.group_instance_id.clone(),
                client_id: stored.client_id.clone(),
                client_host: stored.client_host.clone(),
                rebalance_timeout_ms: rebalance,
                session_timeout_ms: stored.session_timeout,
                protocols: vec![Protocol { name, metadata: stored.subscription.clone() }],
                assignment: stored.assignment.clone(),
                is_new: false,
                join: None,
                sync: None,
                deadline: Some(now.mono_ms.saturating_add(i64::from(stored.session_timeout))),
            };
            group.members.insert(stored.member_id.clone(), member);
        }
        group.subscribed = group.read_subscriptions();
        group
    }

    /// The record of the group as it stands.
    pub(super) fn record(&self) -> GroupRecord {
        let protocol = self.protocol.as_deref();
        let members = self.members.iter().map(|(id, member)| MemberMetadata {
            member_id: id.clone(),
            group_instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            rebalance_timeout: member.rebalance_timeout_ms,
            session_timeout: member.session_timeout_ms,
            subscription: member.metadata(protocol),
            assignment: member.assignment.clone(),
        });
        let value = GroupMetadataValue {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            current_state_timestamp: self.since_ms,
            members: members.collect(),
        };
        GroupRecord::Group { group: self.id.clone(), value: Some(value) }
    }

    /// Moves to `phase`.
    pub(super) fn enter(&mut self, phase: Phase, now: Now) {
        self.previous = self.phase;
        self.phase = phase;
        self.since_ms = now.wall_ms;
    }

    /// Whether `member_id` leads.
    pub(super) fn leads(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    /// Adds a member; its id and instance id are new to the group.
    pub(super) fn add(&mut self, id: String, member: Member, protocol_type: &str) {
        if let Some(instance) = &member.instance_id {
            self.statics.insert(instance.clone(), id.clone());
        }
        if self.members.is_empty() {
            self.protocol_type = Some(protocol_type.to_owned());
        }
        self.leader.get_or_insert_with(|| id.clone());
        self.pending.remove(&id);
        self.members.insert(id, member);
    }

    /// Takes a member (or a handed-out id) out. The leadership goes to another member.
    pub(super) fn remove(&mut self, id: &str) -> Option<Member> {
        self.pending.remove(id);
        self.pending_sync.remove(id);
        let member = self.members.remove(id)?;
        if let Some(instance) = &member.instance_id
            && self.statics.get(instance).is_some_and(|held| held == id)
        {
            self.statics.remove(instance);
        }
        if self.leads(id) {
            self.leader = self.members.keys().next().cloned();
        }
        Some(member)
    }

    /// Holds a member's id and instance id against the group.
    pub(super) fn check_member(&self, member_id: &str, instance_id: Option<&str>) -> Result<(), GroupError> {
        if let Some(instance) = instance_id {
            let held = self.statics.get(instance).ok_or(GroupError::UnknownMember)?;
            if held != member_id {
                return Err(GroupError::FencedInstance);
            }
        }
        if self.members.contains_key(member_id) { Ok(()) } else { Err(GroupError::UnknownMember) }
    }

    /// Whether all members wait in a join and nobody else is expected.
    pub(super) fn all_joined(&self) -> bool {
        self.pending.is_empty() && self.members.values().all(|member| member.join.is_some())
    }

    /// How many members wait in a join.
    pub(super) fn awaiting_join(&self) -> usize {
        self.members.values().filter(|member| member.join.is_some()).count()
    }

    /// The longest rebalance time-out of the members, ms.
    pub(super) fn rebalance_timeout_ms(&self) -> i64 {
        self.members.values().map(|member| i64::from(member.rebalance_timeout_ms)).max().unwrap_or(0).max(0)
    }

    /// Whether a member with these protocols fits the group: one of them is known to every member.
    pub(super) fn supports(&self, protocol_type: &str, protocols: &[Protocol]) -> bool {
        if self.phase == Phase::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols.iter().any(|offered| self.all_know(&offered.name))
    }

    fn all_know(&self, protocol: &str) -> bool {
        self.members.values().all(|member| member.protocols.iter().any(|known| known.name == protocol))
    }

    /// The protocol the next generation takes: of those that all members know, each votes for its first.
    pub(super) fn vote(&self) -> Option<String> {
        let mut known: BTreeMap<&str, usize> = BTreeMap::new();
        for protocol in self.members.values().flat_map(|member| &member.protocols) {
            *known.entry(&protocol.name).or_default() += 1;
        }
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            let choice =
                member.protocols.iter().find(|own| known.get(own.name.as_str()) == Some(&self.members.len()));
            if let Some(choice) = choice {
                *votes.entry(&choice.name).or_default() += 1;
            }
        }
        let most = votes.values().max().copied()?;
        votes.into_iter().find(|&(_, count)| count == most).map(|(name, _)| name.to_owned())
    }

    /// Begins the next generation, with the members there are.
    pub(super) fn next_generation(&mut self, now: Now) {
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        if self.members.is_empty() {
            self.protocol = None;
            self.enter(Phase::Empty, now);
        } else {
            self.protocol = self.vote();
            self.enter(Phase::Completing, now);
        }
        self.subscribed = self.read_subscriptions();
        self.pending_sync.clear();
    }

    /// Reads anew what the members subscribe to.
    pub(super) fn read_subscribed(&mut self) {
        self.subscribed = self.read_subscriptions();
    }

    /// The topics the members subscribe to; `None` where that can not be told.
    fn read_subscriptions(&self) -> Option<BTreeSet<String>> {
        if self.protocol_type.as_deref() != Some(CONSUMER) {
            return None;
        }
        let protocol = self.protocol.as_deref();
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            topics.extend(Subscription::decode_topics(member.metadata(protocol)).ok()?);
        }
        Some(topics)
    }

    /// The members as the leader is told them.
    pub(super) fn for_leader(&self) -> Vec<JoinedMember> {
        let protocol = self.protocol.as_deref();
        let told = self.members.iter().map(|(id, member)| JoinedMember {
            member_id: id.clone(),
            instance_id: member.instance_id.clone(),
            metadata: member.metadata(protocol),
        });
        told.collect()
    }

    /// The earliest moment (monotonic ms) at which time alone changes the group.
    pub(super) fn deadline(&self) -> Option<i64> {
        let members = self.members.values().filter_map(|member| member.deadline);
        let pending = self.pending.values().copied();
        let timers = self.join_timer.map(|timer| timer.at()).into_iter().chain(self.sync_timer);
        members.chain(pending).chain(timers).min()
    }

    /// Grants the member a whole session from now.
    pub(super) fn extend(&mut self, member_id: &str, now: Now) {
        if let Some(member) = self.members.get_mut(member_id) {
            member.deadline = Some(now.mono_ms.saturating_add(i64::from(member.session_timeout_ms)));
        }
    }
}

#[cfg(test)]
impl Group {
    /// What holds of a group after every decision.
    pub(super) fn assert_sound(&self) {
        let members = &self.members;
        for (instance, id) in &self.statics {
            assert_eq!(members[id].instance_id.as_ref(), Some(instance), "the names lead to members");
        }
        assert_eq!(self.statics.len(), members.values().filter(|one| one.instance_id.is_some()).count());
        assert_eq!(self.leader.is_some(), !members.is_empty(), "members have one leader");
        assert!(self.leader.iter().all(|leader| members.contains_key(leader)));
        assert!(self.pending_sync.iter().all(|id| members.contains_key(id)));
        assert!(self.pending.keys().all(|id| !members.contains_key(id)));
        assert!(self.deadline().is_none_or(|at| self.wake_at <= at), "nobody oversleeps");
        for member in members.values() {
            let waits = member.join.is_some() || member.sync.is_some();
            assert!(member.deadline.is_some() || waits, "silence ends every membership");
            assert!(!(member.join.is_some() && member.sync.is_some()));
        }
        let joins = members.values().filter(|one| one.join.is_some()).count();
        let syncs = members.values().filter(|one| one.sync.is_some()).count();
        match self.phase {
            Phase::Empty => assert!(members.is_empty()),
            Phase::Preparing => {
                assert!(self.join_timer.is_some(), "a join phase ends by time");
                assert_eq!(syncs, 0);
            }
            Phase::Completing => {
                assert_eq!((joins, self.join_timer), (0, None));
                assert!(self.sync_timer.is_some(), "the leader's silence ends by time");
                assert!(self.protocol.is_some() && self.generation > 0);
            }
            Phase::Stable => {
                assert_eq!((joins, syncs, self.join_timer), (0, 0, None));
                assert!(self.protocol.is_some() && self.generation > 0);
            }
        }
    }
}
