//! Members of the classic protocol in a consumer group: their joins, syncs, heartbeats and leaves, answered in the
//! words they know (KIP-848). A generation is the member's epoch; nobody leads, the broker assigns.

use std::sync::Arc;

use crate::schema::consumer::Subscription;

use super::super::core::{Answer, Core, Step};
use super::super::group::CONSUMER;
use super::super::join::new_id;
use super::super::request::{
    GroupError, JoinRequest, Joined, Leaver, Now, Sender, SyncRequest, Synced, Ticket,
};
use super::convert::{classic_assignment, known_protocols};
use super::draft::Draft;
use super::heartbeat::{Work, replace};
use super::soft::after;
use super::{Classic, ConsumerGroup, Member, MemberState, Parts, Profile};

impl Core {
    /// Makes room for a classic group where an empty consumer group stands.
    pub(in super::super) fn make_classic(&mut self, id: &Arc<str>, step: &mut Step) {
        if self.durable.consumers.get(id).is_some_and(|group| group.members.is_empty()) {
            Draft::new(id, &mut self.durable, &mut step.records).remove_group();
            self.forget_consumer(id);
        }
    }

    /// A member of the classic protocol joins a consumer group: it is answered at once.
    pub(in super::super) fn classic_join(
        &mut self,
        mut request: JoinRequest,
        ticket: Ticket,
        now: Now,
        step: &mut Step,
    ) {
        let unknown = request.member_id.is_empty();
        if unknown {
            request.member_id = new_id(&request);
        }
        let told = match self.check_join(&request, unknown) {
            Ok(told) => told,
            Err(error) => {
                let keeps = !unknown || error == GroupError::MemberIdRequired;
                let id = if keeps { request.member_id.as_str() } else { "" };
                step.refuse_join(ticket, error, id);
                return;
            }
        };
        let id: Arc<str> = request.member_id.as_str().into();
        if let Some(old) = self.replaced_consumer(&request) {
            // The last consumer comes back as a classic member: the group goes back with it.
            let profile = joined_profile(None, &request, &told);
            if self.downgrade_replacing(&request.group, &old, &id, profile, now, step) {
                self.rejoin(request, ticket, now, step);
                return;
            }
        }
        match self.accept_join(&id, &request, told, now, step) {
            Ok(joined) => step.answers.push((ticket, Answer::Join(Ok(joined)))),
            Err(error) => step.refuse_join(ticket, error, &id),
        }
    }

    fn check_join(&self, request: &JoinRequest, unknown: bool) -> Result<Subscription, GroupError> {
        let rules = &self.rules.consumer;
        if !rules.upgrade && !rules.downgrade {
            return Err(GroupError::InconsistentProtocol);
        }
        let group = self.durable.consumers.get(&request.group).ok_or(GroupError::UnknownMember)?;
        if group.members.len() >= rules.max_size && !group.members.contains_key(request.member_id.as_str()) {
            return Err(GroupError::GroupFull);
        }
        let others = group.members.iter().filter(|(id, _)| ***id != *request.member_id);
        let (count, known) = known_protocols(others.map(|(_, member)| member));
        let common = |name: &str| count == 0 || known.get(name) == Some(&count);
        if request.protocol_type != CONSUMER || !request.protocols.iter().any(|one| common(&one.name)) {
            return Err(GroupError::InconsistentProtocol);
        }
        if unknown && request.instance_id.is_none() && request.needs_member_id {
            return Err(GroupError::MemberIdRequired);
        }
        if let Some(instance) = request.instance_id.as_deref().filter(|_| !unknown) {
            let held = group.static_member(instance).ok_or(GroupError::UnknownMember)?;
            if **held != *request.member_id {
                return Err(GroupError::FencedInstance);
            }
        }
        let mut told = request.protocols.iter().map(|one| Subscription::decode(one.metadata.clone()));
        told.find_map(Result::ok).ok_or(GroupError::InconsistentProtocol)
    }

    /// The member of the consumer protocol whose place a static member takes.
    fn replaced_consumer(&self, request: &JoinRequest) -> Option<Arc<str>> {
        let group = self.durable.consumers.get(&request.group)?;
        let held = group.static_member(request.instance_id.as_deref()?)?;
        group.members.get(held).filter(|member| member.profile.classic.is_none()).map(|_| Arc::clone(held))
    }

    fn accept_join(
        &mut self,
        id: &Arc<str>,
        request: &JoinRequest,
        mut told: Subscription,
        now: Now,
        step: &mut Step,
    ) -> Result<Joined, GroupError> {
        let may_see = |topic: &str| !request.hidden.contains(topic);
        told.topics.retain(|topic| may_see(topic));
        let soft = self.consumers.entry(Arc::clone(&request.group)).or_default();
        let mut draft = Draft::new(&request.group, &mut self.durable, &mut step.records);
        let work = Work { rules: &self.rules.consumer, topics: &self.topics, may_see: &may_see, now };
        let instance = request.instance_id.as_deref();
        let held = instance.and_then(|instance| draft.group().static_member(instance)).cloned();
        if let Some(old) = held.filter(|old| old != id) {
            replace(&mut draft, soft, &old, id);
        }
        let before = draft.group().members.get(id).cloned();
        let profile = joined_profile(before.as_ref().map(|member| &member.profile), request, &told);
        let changed = work.take_profile(&mut draft, id, before.as_ref(), profile);
        work.take_epoch(&mut draft, soft, changed);
        work.take_target(&mut draft, self.rules.consumer.timing.assignment_interval_ms);
        let mut owned = Parts::new();
        for topic in told.owned_partitions {
            if let Some(seen) = self.topics.get(&topic.topic) {
                owned.entry(seen.id).or_default().extend(topic.partitions);
            }
        }
        let current = work.step_of(&mut draft, soft, id, changed, Some(&owned))?;
        soft.joins.remove(id);
        soft.revocations.remove(id);
        soft.sessions.insert(Arc::clone(id), after(now, request.session_timeout_ms));
        soft.syncs.insert(Arc::clone(id), after(now, request.rebalance_timeout_ms));
        Ok(Joined {
            generation: current.epoch,
            protocol_type: Some(CONSUMER.to_owned()),
            protocol: request.protocols.first().map(|one| one.name.clone()),
            leader: String::new(),
            skip_assignment: false,
            member_id: id.to_string(),
            members: Vec::new(),
        })
    }

    /// A member of the classic protocol asks for its assignment.
    pub(in super::super) fn classic_sync(
        &mut self,
        request: &SyncRequest,
        now: Now,
    ) -> Result<Synced, GroupError> {
        let group = self.durable.consumers.get(&request.group).ok_or(GroupError::UnknownMember)?;
        let (id, member, classic) =
            classic_member(group, &request.member_id, request.instance_id.as_deref())?;
        if request.generation != member.current.epoch {
            return Err(GroupError::IllegalGeneration);
        }
        let protocol = classic.protocols.first().map(|one| one.name.clone());
        let differs = |told: &Option<String>, held: Option<&str>| told.is_some() && told.as_deref() != held;
        if differs(&request.protocol_type, Some(CONSUMER)) || differs(&request.protocol, protocol.as_deref())
        {
            return Err(GroupError::InconsistentProtocol);
        }
        let soft = self.consumers.entry(Arc::clone(&request.group)).or_default();
        if group.epoch > member.current.epoch && member.current.state != MemberState::Unrevoked {
            let until = after(now, member.profile.rebalance_timeout_ms);
            soft.joins.entry(Arc::clone(id)).or_insert(until);
            return Err(GroupError::RebalanceInProgress);
        }
        soft.syncs.remove(id);
        soft.sessions.insert(Arc::clone(id), after(now, classic.session_timeout_ms));
        Ok(Synced {
            protocol_type: Some(CONSUMER.to_owned()),
            protocol,
            assignment: classic_assignment(member, &self.topics),
        })
    }

    /// A member of the classic protocol is alive, and learns whether to join again.
    pub(in super::super) fn classic_heartbeat(
        &mut self,
        id: &Arc<str>,
        from: Sender<'_>,
        now: Now,
    ) -> Result<(), GroupError> {
        let group = self.durable.consumers.get(id).ok_or(GroupError::UnknownMember)?;
        let (member_id, member, classic) = classic_member(group, from.member_id, from.instance_id)?;
        if from.generation != member.current.epoch {
            return Err(GroupError::IllegalGeneration);
        }
        let soft = self.consumers.entry(Arc::clone(id)).or_default();
        soft.sessions.insert(Arc::clone(member_id), after(now, classic.session_timeout_ms));
        let free = || !waits_for_others(group, member_id, member);
        let rejoin = match member.current.state {
            _ if member.current.epoch < group.epoch => true,
            MemberState::Unrevoked => true,
            MemberState::Unreleased => free(),
            MemberState::Stable | MemberState::Unknown => false,
        };
        if !rejoin {
            return Ok(());
        }
        let until = after(now, member.profile.rebalance_timeout_ms);
        soft.joins.entry(Arc::clone(member_id)).or_insert(until);
        Err(GroupError::RebalanceInProgress)
    }

    /// Members leave a consumer group by the classic protocol's call: one result each. An admin takes out members of
    /// either protocol so, by their id or, static ones, by their name.
    pub(in super::super) fn classic_leave(
        &mut self,
        id: &Arc<str>,
        leavers: &[Leaver],
        now: Now,
        step: &mut Step,
    ) -> Vec<Result<(), GroupError>> {
        let mut gone: Vec<Arc<str>> = Vec::new();
        let mut results = Vec::with_capacity(leavers.len());
        let Some(group) = self.durable.consumers.get(id) else { return results };
        for leaver in leavers {
            let by_name = leaver.instance_id.as_deref().filter(|_| leaver.member_id.is_empty());
            let member_id = match by_name.map(|instance| group.static_member(instance)) {
                Some(Some(held)) => &**held,
                Some(None) | None => leaver.member_id.as_str(),
            };
            let found = known_member(group, member_id, leaver.instance_id.as_deref());
            results.push(found.map(|(id, _)| {
                if !gone.contains(id) {
                    gone.push(Arc::clone(id));
                }
            }));
        }
        if !gone.is_empty() {
            self.remove_consumers(id, &gone, now, step);
        }
        results
    }
}

/// A member of the classic protocol by its ids.
fn classic_member<'a>(
    group: &'a ConsumerGroup,
    member_id: &str,
    instance: Option<&str>,
) -> Result<(&'a Arc<str>, &'a Member, &'a Classic), GroupError> {
    let (id, member) = known_member(group, member_id, instance)?;
    let classic = member.profile.classic.as_ref().ok_or(GroupError::UnknownMember)?;
    Ok((id, member, classic))
}

/// A member of either protocol by its ids.
fn known_member<'a>(
    group: &'a ConsumerGroup,
    member_id: &str,
    instance: Option<&str>,
) -> Result<(&'a Arc<str>, &'a Member), GroupError> {
    if let Some(instance) = instance {
        let held = group.static_member(instance).ok_or(GroupError::UnknownMember)?;
        if **held != *member_id {
            return Err(GroupError::FencedInstance);
        }
    }
    group.members.get_key_value(member_id).ok_or(GroupError::UnknownMember)
}

/// Whether a partition that the member is to have is still another's.
fn waits_for_others(group: &ConsumerGroup, id: &Arc<str>, member: &Member) -> bool {
    group.target_of(id).iter().any(|(topic, partitions)| {
        let has = member.current.assigned.get(topic);
        let owners = group.owners.get(topic);
        partitions.iter().any(|partition| {
            let owner = owners.and_then(|owners| owners.get(partition));
            !has.is_some_and(|has| has.contains_key(partition)) && owner.is_some_and(|owner| owner != id)
        })
    })
}

/// The member as its join describes it.
pub(super) fn joined_profile(old: Option<&Profile>, request: &JoinRequest, told: &Subscription) -> Profile {
    Profile {
        instance_id: request.instance_id.clone(),
        rack_id: told.rack_id.clone().or_else(|| old.and_then(|old| old.rack_id.clone())),
        client_id: request.client_id.clone(),
        client_host: request.client_host.clone(),
        topics: told.topics.iter().map(|name| Arc::from(name.as_str())).collect(),
        regex: Some(String::new()),
        rebalance_timeout_ms: request.rebalance_timeout_ms,
        assignor: old.and_then(|old| old.assignor.clone()),
        classic: Some(Classic {
            session_timeout_ms: request.session_timeout_ms,
            protocols: request.protocols.clone(),
        }),
    }
}
