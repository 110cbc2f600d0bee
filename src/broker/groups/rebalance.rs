//! The rebalance itself: asking members to join, ending the join phase, and what silence does; soft state only.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::core::Step;
use super::group::{Group, JoinTimer, Phase};
use super::join::current;
use super::request::{GroupError, Now, Rules};

/// Begins a rebalance where the phase allows it, else ends the join phase if nobody is missing.
pub(super) fn rebalance_or_complete(rules: &Rules, group: &mut Group, now: Now, step: &mut Step) {
    if group.phase == Phase::Preparing {
        complete_unless_initial(group, now, step);
    } else {
        prepare(rules, group, now, step);
    }
}

/// Ends the join phase if everyone is there, except while a first rebalance still waits for more.
pub(super) fn complete_unless_initial(group: &mut Group, now: Now, step: &mut Step) {
    let waits = matches!(group.join_timer, Some(JoinTimer::Initial { .. }));
    if group.phase == Phase::Preparing && !waits && group.all_joined() {
        complete(group, now, step);
    }
}

/// Ends the join phase if everyone is there; a first rebalance that lost its missing member does not wait on.
pub(super) fn complete_if_joined(group: &mut Group, now: Now, step: &mut Step) {
    if group.phase == Phase::Preparing && group.all_joined() {
        complete(group, now, step);
    }
}

/// Asks all members to join: the beginning of a rebalance.
pub(super) fn prepare(rules: &Rules, group: &mut Group, now: Now, step: &mut Step) {
    if group.phase == Phase::Completing {
        let ids: Vec<_> = group.members.keys().cloned().collect();
        for id in ids {
            let Some(member) = group.members.get_mut(&id) else { continue };
            member.assignment = Bytes::new();
            if let Some(parked) = member.sync.take() {
                step.refuse_sync(parked, GroupError::RebalanceInProgress);
                group.extend(&id, now);
            }
        }
    }
    group.pending_sync.clear();
    group.sync_timer = None;
    let first = group.phase == Phase::Empty;
    group.enter(Phase::Preparing, now);
    if first {
        let delay = i64::from(rules.initial_rebalance_delay_ms.max(0));
        let remaining = (group.rebalance_timeout_ms() - delay).max(0);
        group.new_member_added = false;
        if delay == 0 {
            complete(group, now, step);
        } else {
            let at = now.mono_ms.saturating_add(delay);
            group.join_timer = Some(JoinTimer::Initial { at, delay, remaining });
        }
    } else if group.all_joined() {
        complete(group, now, step);
    } else {
        let at = now.mono_ms.saturating_add(group.rebalance_timeout_ms());
        group.join_timer = Some(JoinTimer::Complete { at });
    }
}

/// The wait of a first rebalance is over: once more if members came meanwhile, else the join phase ends.
pub(super) fn initial_wait_over(
    rules: &Rules,
    group: &mut Group,
    delay: i64,
    remaining: i64,
    now: Now,
    step: &mut Step,
) {
    if !group.new_member_added || remaining == 0 {
        complete(group, now, step);
        return;
    }
    group.new_member_added = false;
    let next = i64::from(rules.initial_rebalance_delay_ms.max(0)).min(remaining);
    group.join_timer = Some(JoinTimer::Initial {
        at: now.mono_ms.saturating_add(next),
        delay: next,
        remaining: (remaining - delay).max(0),
    });
}

/// Ends the join phase: dynamic members that did not come are out, the rest are the next generation.
pub(super) fn complete(group: &mut Group, now: Now, step: &mut Step) {
    group.join_timer = None;
    let missing: Vec<_> = group
        .members
        .iter()
        .filter(|(_, member)| member.join.is_none() && member.instance_id.is_none())
        .map(|(id, _)| id.clone())
        .collect();
    for id in missing {
        group.remove(&id);
    }
    if !elect_joined(group) && !group.members.is_empty() {
        // Only static members are left and none came: their sessions decide.
        let at = now.mono_ms.saturating_add(group.rebalance_timeout_ms().max(1));
        group.join_timer = Some(JoinTimer::Complete { at });
        return;
    }
    group.next_generation(now);
    if group.phase == Phase::Empty {
        step.records.push(group.record());
        return;
    }
    let answers: BTreeMap<_, _> = group.members.keys().map(|id| (id.clone(), current(group, id))).collect();
    for (id, answer) in answers {
        if let Some(member) = group.members.get_mut(&id) {
            member.is_new = false;
            if let Some(ticket) = member.join.take() {
                step.answers.push((ticket, answer));
            }
        }
        group.extend(&id, now);
        group.pending_sync.insert(id);
    }
    group.sync_timer = Some(now.mono_ms.saturating_add(group.rebalance_timeout_ms()));
}

/// Makes sure that the leader is one of those that joined. False if nobody did.
fn elect_joined(group: &mut Group) -> bool {
    let joined = |group: &Group, id: &str| group.members.get(id).is_some_and(|member| member.join.is_some());
    if group.leader.as_deref().is_some_and(|leader| joined(group, leader)) {
        return true;
    }
    let next = group.members.iter().find(|(_, member)| member.join.is_some()).map(|(id, _)| id.clone());
    match next {
        Some(id) => {
            group.leader = Some(id);
            true
        }
        None => false,
    }
}

/// A member's session ran out. One that waits for an answer is alive, unless it is new.
pub(super) fn member_silent(rules: &Rules, group: &mut Group, id: &str, now: Now, step: &mut Step) {
    let Some(member) = group.members.get_mut(id) else { return };
    if member.deadline.is_none_or(|at| at > now.mono_ms) {
        return; // Granted a new session by what another's silence set off.
    }
    member.deadline = None;
    if member.is_new || (member.join.is_none() && member.sync.is_none()) {
        evict(group, id, step);
        after_removal(rules, group, now, step);
    }
}

/// Takes a member out and sends its parked answers away, so that it joins again if it lives.
pub(super) fn evict(group: &mut Group, id: &str, step: &mut Step) {
    if let Some(member) = group.remove(id) {
        if let Some(parked) = member.join {
            step.refuse_join(parked, GroupError::UnknownMember, "");
        }
        if let Some(parked) = member.sync {
            step.refuse_sync(parked, GroupError::UnknownMember);
        }
    }
}

/// What follows from members having been taken out.
pub(super) fn after_removal(rules: &Rules, group: &mut Group, now: Now, step: &mut Step) {
    match group.phase {
        Phase::Stable | Phase::Completing => prepare(rules, group, now, step),
        Phase::Preparing => complete_if_joined(group, now, step),
        Phase::Empty => {}
    }
}

/// Members that never asked for their assignment are out, and the others rebalance (KIP-394's companion,
/// KAFKA-12759: without this a member that died between join and sync would hold up its group).
pub(super) fn sync_wait_over(rules: &Rules, group: &mut Group, now: Now, step: &mut Step) {
    group.sync_timer = None;
    if group.pending_sync.is_empty() || matches!(group.phase, Phase::Empty | Phase::Preparing) {
        return;
    }
    let missing: Vec<_> = group.pending_sync.iter().cloned().collect();
    for id in missing {
        evict(group, &id, step);
    }
    prepare(rules, group, now, step);
}
