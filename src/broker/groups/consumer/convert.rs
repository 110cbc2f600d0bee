//! Groups that change their protocol while they live (KIP-848): a classic group that a consumer joins, and a consumer
//! group whose last consumer leaves; nobody loses what it has.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::schema::consumer::{Assignment, NEWEST, Subscription, TopicPartitions};

use super::super::core::{Core, Step};
use super::super::durable::GroupRecord;
use super::super::group::{self, CONSUMER, Group, Phase};
use super::super::rebalance::prepare;
use super::super::request::{GroupError, Now};
use super::super::topics::Topics;
use super::draft::Draft;
use super::heartbeat::replace;
use super::soft::{Soft, after};
use super::{Change, Classic, Current, Member, MemberState, Owned, Profile, without_epochs};

impl Core {
    /// Whether a classic group with members may become a consumer group.
    pub(super) fn may_upgrade(&self, group: &Group) -> Result<(), GroupError> {
        let rules = &self.rules.consumer;
        let consumers = group.protocol_type.as_deref() == Some(CONSUMER);
        let readable = |member: &group::Member| {
            subscription(group, member).is_some() && Assignment::decode(member.assignment.clone()).is_ok()
        };
        let may = rules.upgrade
            && consumers
            && group.members.len() < rules.max_size
            && group.members.values().all(readable);
        if may { Ok(()) } else { Err(GroupError::GroupNotFound) }
    }

    /// Makes a consumer group of a classic one. Its members keep what they have; those that wait in a join or a sync
    /// are sent back to join the new group.
    pub(super) fn upgrade(&mut self, id: &Arc<str>, now: Now, step: &mut Step) {
        let Some(mut group) = self.groups.get(id).cloned() else { return };
        self.forget(id);
        let waiting: Vec<_> = group.members.keys().cloned().collect();
        for member_id in waiting {
            let Some(member) = group.members.get_mut(&member_id) else { continue };
            if let Some(parked) = member.join.take() {
                step.refuse_join(parked, GroupError::RebalanceInProgress, &member_id);
            }
            if let Some(parked) = member.sync.take() {
                step.refuse_sync(parked, GroupError::RebalanceInProgress);
            }
        }
        step.records.push(GroupRecord::Group { group: Arc::clone(id), value: None });
        let mut draft = Draft::new(id, &mut self.durable, &mut step.records);
        let mut soft = Soft::default();
        let generation = group.generation;
        for (member_id, member) in &group.members {
            let member_id: Arc<str> = member_id.as_str().into();
            let assigned = owned(&member.assignment, generation, &self.topics);
            draft.put_member(&member_id, profile(&group, member));
            draft.put(Change::Target(Arc::clone(&member_id), Some(without_epochs(&assigned))));
            let (epoch, previous) = (generation, generation);
            let state = MemberState::Stable;
            draft.put_current(
                &member_id,
                Current { epoch, previous, state, assigned, revoking: Owned::new() },
            );
            soft.sessions.insert(member_id, after(now, member.session_timeout_ms));
        }
        draft.put(Change::TargetEpoch(Some((generation, 0))));
        let hash = self.topics.hash(&draft.group().all_subscribed());
        draft.put(Change::Epoch(Some((generation, hash))));
        soft.seen = Some(self.topics.version());
        self.consumers.insert(Arc::clone(id), soft);
    }

    /// Makes a classic group of a consumer group whose last consumer, `old`, comes back as the classic member `new`.
    pub(super) fn downgrade_replacing(
        &mut self,
        id: &Arc<str>,
        old: &Arc<str>,
        new: &Arc<str>,
        profile: Profile,
        now: Now,
        step: &mut Step,
    ) -> bool {
        let Some(group) = self.durable.consumers.get(id) else { return false };
        let others = group.members.iter().filter(|(member, _)| *member != old);
        let last = others.clone().all(|(_, member)| member.profile.classic.is_some());
        if !self.rules.consumer.downgrade || !last || group.members.len() > self.rules.max_size {
            return false;
        }
        let soft = self.consumers.entry(Arc::clone(id)).or_default();
        let mut draft = Draft::new(id, &mut self.durable, &mut step.records);
        replace(&mut draft, soft, old, new);
        draft.put_member(new, profile);
        self.downgrade(id, &[], now, step)
    }

    /// Makes a classic group of a consumer group that `leaving` leave, if none but members of the classic protocol are
    /// left in it then; they rebalance. False if it stays a consumer group.
    pub(super) fn downgrade(
        &mut self,
        id: &Arc<str>,
        leaving: &[Arc<str>],
        now: Now,
        step: &mut Step,
    ) -> bool {
        let Some(group) = self.durable.consumers.get(id) else { return false };
        let stays = |member: &&Arc<str>| !leaving.contains(member);
        let staying = group.members.keys().filter(stays).count();
        let classic = group.members.iter().filter(|(member, _)| stays(member));
        let may = self.rules.consumer.downgrade
            && staying > 0
            && staying <= self.rules.max_size
            && classic.clone().all(|(_, member)| member.profile.classic.is_some());
        if !may {
            return false;
        }
        let classic: Vec<_> = classic.map(|(id, member)| (Arc::clone(id), member.clone())).collect();
        let mut made = Group::new(Arc::clone(id), now);
        made.generation = group.epoch;
        for (member_id, member) in classic {
            let deadline = self.consumers.get(id).and_then(|soft| soft.sessions.get(&member_id).copied());
            if let Some(member) = classic_member(member, deadline, &self.topics, now) {
                made.add(member_id.to_string(), member, CONSUMER);
            }
        }
        made.protocol = made.vote();
        made.enter(Phase::Stable, now);
        made.read_subscribed();
        let mut draft = Draft::new(id, &mut self.durable, &mut step.records);
        draft.remove_group();
        self.forget_consumer(id);
        step.records.push(made.record());
        prepare(&self.rules, &mut made, now, step);
        self.groups.insert(Arc::clone(id), made);
        true
    }
}

/// What a member of a classic group subscribes to.
fn subscription(group: &Group, member: &group::Member) -> Option<Subscription> {
    let chosen = member.metadata(group.protocol.as_deref());
    let told = if chosen.is_empty() { member.protocols.first()?.metadata.clone() } else { chosen };
    Subscription::decode(told).ok()
}

fn profile(group: &Group, member: &group::Member) -> Profile {
    let told = subscription(group, member).unwrap_or_default();
    Profile {
        instance_id: member.instance_id.clone(),
        rack_id: told.rack_id,
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        topics: told.topics.into_iter().map(Arc::from).collect(),
        regex: Some(String::new()),
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        assignor: None,
        classic: Some(Classic {
            session_timeout_ms: member.session_timeout_ms,
            protocols: member.protocols.clone(),
        }),
    }
}

/// An assignment of the classic protocol, as far as its topics are there.
fn owned(assignment: &Bytes, epoch: i32, topics: &Topics) -> Owned {
    let told = Assignment::decode(assignment.clone()).unwrap_or_default();
    let mut owned = Owned::new();
    for topic in told.assigned_partitions {
        if let Some(seen) = topics.get(&topic.topic).filter(|_| !topic.partitions.is_empty()) {
            let each = topic.partitions.into_iter().map(|partition| (partition, epoch));
            owned.entry(seen.id).or_default().extend(each);
        }
    }
    owned
}

/// What a member has, as the classic protocol says it, in the version of its subscription.
pub(super) fn classic_assignment(member: &Member, topics: &Topics) -> Bytes {
    let named = member.current.assigned.iter().filter_map(|(id, partitions)| {
        let topic = topics.name(id)?.to_string();
        Some(TopicPartitions { topic, partitions: partitions.keys().copied().collect() })
    });
    let assignment = Assignment { assigned_partitions: named.collect(), user_data: None };
    let told = member.profile.classic.as_ref().and_then(|classic| classic.protocols.first());
    let version =
        told.and_then(|told| told.metadata.first_chunk::<2>()).map_or(0, |at| i16::from_be_bytes(*at));
    assignment.encode(version.clamp(0, NEWEST)).unwrap_or_default()
}

fn classic_member(member: Member, deadline: Option<i64>, topics: &Topics, now: Now) -> Option<group::Member> {
    let assignment = classic_assignment(&member, topics);
    let classic = member.profile.classic?;
    Some(group::Member {
        instance_id: member.profile.instance_id,
        client_id: member.profile.client_id,
        client_host: member.profile.client_host,
        rebalance_timeout_ms: member.profile.rebalance_timeout_ms,
        session_timeout_ms: classic.session_timeout_ms,
        protocols: classic.protocols,
        assignment,
        is_new: false,
        join: None,
        sync: None,
        deadline: Some(deadline.unwrap_or_else(|| after(now, classic.session_timeout_ms))),
    })
}

/// The assignors that all members of the classic protocol know, by how many know each.
pub(super) fn known_protocols<'a>(
    members: impl Iterator<Item = &'a Member>,
) -> (usize, BTreeMap<&'a str, usize>) {
    let mut known: BTreeMap<&str, usize> = BTreeMap::new();
    let mut count = 0;
    for classic in members.filter_map(|member| member.profile.classic.as_ref()) {
        count += 1;
        for protocol in &classic.protocols {
            *known.entry(&protocol.name).or_default() += 1;
        }
    }
    (count, known)
}
