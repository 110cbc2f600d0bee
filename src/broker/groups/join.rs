//! Joining: who is let in, under which id, and whether that means a rebalance; changes soft state only.
//!
//! The rules are those of Kafka's classic protocol (KIP-62, KIP-345, KIP-394, KIP-814 on top of the original).

use bytes::Bytes;

use super::core::{Answer, Core, Step};
use super::group::{Group, Member, Phase};
use super::rebalance::{complete_unless_initial, evict, prepare, rebalance_or_complete};
use super::request::{GroupError, JoinRequest, Joined, Now, Rules, Ticket};

/// A new member that waits in its first join is given up after this time: it can not send heartbeats yet.
const NEW_MEMBER_TIMEOUT_MS: i64 = 5 * 60 * 1_000;

/// The most bytes of a client's name that go into a member id: both must stay sayable in 32,767 bytes.
const MAX_STEM: usize = 255;

impl Core {
    /// A member asks to join. The answer comes under `ticket`, in this step or a later one.
    pub(super) fn join(&mut self, request: JoinRequest, ticket: Ticket, now: Now) -> Step {
        let mut step = Step::default();
        let id = request.group.clone();
        let timeout = request.session_timeout_ms;
        if id.is_empty() {
            step.refuse_join(ticket, GroupError::InvalidGroup, &request.member_id);
            return step;
        }
        if timeout < self.rules.min_session_timeout_ms || timeout > self.rules.max_session_timeout_ms {
            step.refuse_join(ticket, GroupError::InvalidSessionTimeout, &request.member_id);
            return step;
        }
        if self.durable.consumers.contains_key(&id) {
            if request.member_id.is_empty() {
                self.make_classic(&id, &mut step);
            }
            if self.durable.consumers.get(&id).is_some_and(|group| !group.members.is_empty()) {
                self.classic_join(request, ticket, now, &mut step);
                self.settle(&id);
                return step;
            }
        }
        self.rejoin(request, ticket, now, &mut step);
        self.settle(&id);
        step
    }

    /// A member joins a group that is classic, or is not there.
    pub(super) fn rejoin(&mut self, request: JoinRequest, ticket: Ticket, now: Now, step: &mut Step) {
        let id = request.group.clone();
        if request.member_id.is_empty() && !self.durable.consumers.contains_key(&id) {
            self.groups.entry(id.clone()).or_insert_with(|| Group::new(id.clone(), now));
        }
        match self.groups.get_mut(&id) {
            None => step.refuse_join(ticket, GroupError::UnknownMember, &request.member_id),
            Some(group) => join(&self.rules, group, request, ticket, now, step),
        }
    }
}

fn join(rules: &Rules, group: &mut Group, request: JoinRequest, ticket: Ticket, now: Now, step: &mut Step) {
    let known = !request.member_id.is_empty();
    if !has_room(rules, group, &request.member_id) {
        if known {
            evict(group, &request.member_id, step);
            complete_unless_initial(group, now, step);
        }
        step.refuse_join(ticket, GroupError::GroupFull, "");
    } else if !group.supports(&request.protocol_type, &request.protocols) {
        step.refuse_join(ticket, GroupError::InconsistentProtocol, &request.member_id);
    } else if known {
        join_known(rules, group, request, ticket, now, step);
    } else {
        join_new(rules, group, request, ticket, now, step);
    }
}

fn has_room(rules: &Rules, group: &Group, member_id: &str) -> bool {
    let member = group.members.get(member_id);
    match group.phase {
        Phase::Empty => true,
        // The count of those that wait, so that the last to come back are the ones turned away.
        Phase::Preparing => {
            member.is_some_and(|member| member.join.is_some()) || group.awaiting_join() < rules.max_size
        }
        Phase::Completing | Phase::Stable => member.is_some() || group.members.len() < rules.max_size,
    }
}

fn join_new(
    rules: &Rules,
    group: &mut Group,
    request: JoinRequest,
    ticket: Ticket,
    now: Now,
    step: &mut Step,
) {
    let new_id = new_id(&request);
    if let Some(instance) = request.instance_id.clone() {
        match group.statics.get(&instance).cloned() {
            Some(old_id) => replace_static(rules, group, request, &old_id, new_id, ticket, now, step),
            None => add(rules, group, request, new_id, ticket, now, step),
        }
    } else if request.needs_member_id {
        let until = now.mono_ms.saturating_add(i64::from(request.session_timeout_ms));
        step.refuse_join(ticket, GroupError::MemberIdRequired, &new_id);
        group.pending.insert(new_id, until);
    } else {
        add(rules, group, request, new_id, ticket, now, step);
    }
}

/// A name that tells people who it is: the static member's or the client's, cut where it is over-long.
pub(super) fn new_id(request: &JoinRequest) -> String {
    let stem = request.instance_id.as_ref().unwrap_or(&request.client_id);
    let end = stem.char_indices().map(|(at, _)| at).take_while(|&at| at <= MAX_STEM).last().unwrap_or(0);
    let stem = if stem.len() <= MAX_STEM { stem } else { &stem[..end] };
    format!("{stem}-{}", request.draw)
}

fn join_known(
    rules: &Rules,
    group: &mut Group,
    request: JoinRequest,
    ticket: Ticket,
    now: Now,
    step: &mut Step,
) {
    let id = request.member_id.clone();
    if group.pending.contains_key(&id) {
        if request.instance_id.is_some() {
            // Handed-out ids are for dynamic members only.
            step.refuse_join(ticket, GroupError::UnknownMember, &id);
        } else {
            add(rules, group, request, id, ticket, now, step);
        }
        return;
    }
    if let Err(error) = group.check_member(&id, request.instance_id.as_deref()) {
        step.refuse_join(ticket, error, &id);
        return;
    }
    let same = group.members.get(&id).is_some_and(|member| member.protocols == request.protocols);
    match group.phase {
        Phase::Preparing => update(rules, group, request, &id, ticket, now, step),
        // The answer to its join was lost, or nothing changed for a follower: the generation stands.
        Phase::Completing if same => step.answers.push((ticket, current(group, &id))),
        Phase::Stable if same && !group.leads(&id) => step.answers.push((ticket, current(group, &id))),
        // A leader that joins again wants a rebalance: the topics may have changed.
        Phase::Completing | Phase::Stable => update(rules, group, request, &id, ticket, now, step),
        Phase::Empty => step.refuse_join(ticket, GroupError::UnknownMember, &id),
    }
}

/// The generation as it stands, told to one member; the list of members goes to the leader alone.
pub(super) fn current(group: &Group, id: &str) -> Answer {
    let members = if group.leads(id) { group.for_leader() } else { Vec::new() };
    Answer::Join(Ok(Joined {
        generation: group.generation,
        protocol_type: group.protocol_type.clone(),
        protocol: group.protocol.clone(),
        leader: group.leader.clone().unwrap_or_default(),
        skip_assignment: false,
        member_id: id.to_owned(),
        members,
    }))
}

fn add(
    rules: &Rules,
    group: &mut Group,
    request: JoinRequest,
    id: String,
    ticket: Ticket,
    now: Now,
    step: &mut Step,
) {
    if group.phase == Phase::Preparing && group.previous == Phase::Empty {
        group.new_member_added = true;
    }
    let member = Member {
        instance_id: request.instance_id,
        client_id: request.client_id,
        client_host: request.client_host,
        rebalance_timeout_ms: request.rebalance_timeout_ms,
        session_timeout_ms: request.session_timeout_ms,
        protocols: request.protocols,
        assignment: Bytes::new(),
        is_new: true,
        join: Some(ticket),
        sync: None,
        deadline: Some(now.mono_ms.saturating_add(NEW_MEMBER_TIMEOUT_MS)),
    };
    group.add(id, member, &request.protocol_type);
    rebalance_or_complete(rules, group, now, step);
}

fn update(
    rules: &Rules,
    group: &mut Group,
    request: JoinRequest,
    id: &str,
    ticket: Ticket,
    now: Now,
    step: &mut Step,
) {
    take_in(group, request, id, ticket, step);
    rebalance_or_complete(rules, group, now, step);
}

/// Takes a known member's new data and parks its join; an older parked join of it is sent away.
fn take_in(group: &mut Group, request: JoinRequest, id: &str, ticket: Ticket, step: &mut Step) {
    let Some(member) = group.members.get_mut(id) else { return };
    member.protocols = request.protocols;
    member.rebalance_timeout_ms = request.rebalance_timeout_ms;
    member.session_timeout_ms = request.session_timeout_ms;
    if let Some(older) = member.join.replace(ticket) {
        step.refuse_join(older, GroupError::RebalanceInProgress, id);
    }
}

/// A static member came back without its id: it gets a new one, and the old one is fenced (KIP-345).
#[allow(clippy::too_many_arguments)] // One call, from one place; a struct would only rename them.
fn replace_static(
    rules: &Rules,
    group: &mut Group,
    request: JoinRequest,
    old_id: &str,
    new_id: String,
    ticket: Ticket,
    now: Now,
    step: &mut Step,
) {
    let old_leader = group.leader.clone();
    let may_skip = request.may_skip_assignment;
    let was_leader = group.leads(old_id);
    let Some(mut member) = group.members.remove(old_id) else { return };
    group.pending_sync.remove(old_id);
    if let Some(parked) = member.join.take() {
        step.refuse_join(parked, GroupError::FencedInstance, old_id);
    }
    if let Some(parked) = member.sync.take() {
        step.refuse_sync(parked, GroupError::FencedInstance);
    }
    if let Some(instance) = &member.instance_id {
        group.statics.insert(instance.clone(), new_id.clone());
    }
    member.is_new = false;
    group.members.insert(new_id.clone(), member);
    if was_leader {
        group.leader = Some(new_id.clone());
    }
    group.extend(&new_id, now);
    take_in(group, request, &new_id, ticket, step);
    match group.phase {
        Phase::Stable if group.vote() == group.protocol => {
            // Nothing changes for the others: the new id is stored, the assignment stays.
            if let Some(member) = group.members.get_mut(&new_id) {
                member.join = None;
            }
            step.records.push(group.record());
            step.answers.push((ticket, returned(group, &new_id, old_leader, may_skip)));
        }
        Phase::Stable => rebalance_or_complete(rules, group, now, step),
        // The leader may already have the old id in its assignment: everyone joins anew.
        Phase::Completing => prepare(rules, group, now, step),
        Phase::Preparing | Phase::Empty => complete_unless_initial(group, now, step),
    }
}

/// What a static member that came back into a stable group is told. Clients before version 9 are told the old
/// leader id, so that none of them takes itself for the leader and assigns without being asked.
fn returned(group: &Group, id: &str, old_leader: Option<String>, may_skip: bool) -> Answer {
    match current(group, id) {
        Answer::Join(Ok(joined)) if may_skip => {
            Answer::Join(Ok(Joined { skip_assignment: group.leads(id), ..joined }))
        }
        Answer::Join(Ok(joined)) => {
            Answer::Join(Ok(Joined { leader: old_leader.unwrap_or_default(), members: Vec::new(), ..joined }))
        }
        other => other,
    }
}
