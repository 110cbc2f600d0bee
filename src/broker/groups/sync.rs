//! Syncing: the leader brings the assignment, the others fetch theirs; the group comes to rest and is recorded.

use std::collections::HashMap;

use super::core::{Answer, Core, Step};
use super::group::{Group, Phase};
use super::request::{GroupError, Now, SyncRequest, Synced, Ticket};

impl Core {
    /// A member asks for its assignment. The answer comes under `ticket`, in this step or a later one.
    pub(super) fn sync(&mut self, request: SyncRequest, ticket: Ticket, now: Now) -> Step {
        let mut step = Step::default();
        let id = request.group.clone();
        if self.durable.consumers.contains_key(&id) {
            let synced = self.classic_sync(&request, now);
            step.answers.push((ticket, Answer::Sync(synced)));
            self.settle(&id);
            return step;
        }
        match self.groups.get_mut(&id) {
            _ if id.is_empty() => step.refuse_sync(ticket, GroupError::InvalidGroup),
            Some(group) if group.phase != Phase::Empty => match check(group, &request) {
                Err(error) => step.refuse_sync(ticket, error),
                Ok(()) => sync(group, request, ticket, now, &mut step),
            },
            Some(_) | None => step.refuse_sync(ticket, GroupError::UnknownMember),
        }
        self.settle(&id);
        step
    }
}

fn check(group: &Group, request: &SyncRequest) -> Result<(), GroupError> {
    group.check_member(&request.member_id, request.instance_id.as_deref())?;
    if request.generation != group.generation {
        return Err(GroupError::IllegalGeneration);
    }
    let differs =
        |told: &Option<String>, held: &Option<String>| told.is_some() && held.is_some() && told != held;
    if differs(&request.protocol_type, &group.protocol_type) || differs(&request.protocol, &group.protocol) {
        return Err(GroupError::InconsistentProtocol);
    }
    Ok(())
}

fn sync(group: &mut Group, request: SyncRequest, ticket: Ticket, now: Now, step: &mut Step) {
    match group.phase {
        Phase::Empty | Phase::Preparing => step.refuse_sync(ticket, GroupError::RebalanceInProgress),
        Phase::Completing => {
            synced(group, &request.member_id);
            if let Some(member) = group.members.get_mut(&request.member_id)
                && let Some(older) = member.sync.replace(ticket)
            {
                step.refuse_sync(older, GroupError::RebalanceInProgress);
            }
            if group.leads(&request.member_id) {
                assign(group, request, now, step);
            }
        }
        Phase::Stable => {
            synced(group, &request.member_id);
            step.answers.push((ticket, assignment(group, &request.member_id)));
        }
    }
}

fn synced(group: &mut Group, member_id: &str) {
    group.pending_sync.remove(member_id);
    if group.pending_sync.is_empty() {
        group.sync_timer = None;
    }
}

/// Gives every member what the leader says, nothing to those it does not name, and records the group.
fn assign(group: &mut Group, request: SyncRequest, now: Now, step: &mut Step) {
    let mut given: HashMap<_, _> = request.assignments.into_iter().collect();
    group.enter(Phase::Stable, now);
    for (id, member) in &mut group.members {
        member.assignment = given.remove(id).unwrap_or_default();
    }
    step.records.push(group.record());
    let ids: Vec<_> = group.members.keys().cloned().collect();
    for id in ids {
        let waiting = group.members.get_mut(&id).and_then(|member| member.sync.take());
        if let Some(ticket) = waiting {
            step.answers.push((ticket, assignment(group, &id)));
            group.extend(&id, now);
        }
    }
}

fn assignment(group: &Group, member_id: &str) -> Answer {
    let member = group.members.get(member_id);
    Answer::Sync(Ok(Synced {
        protocol_type: group.protocol_type.clone(),
        protocol: group.protocol.clone(),
        assignment: member.map(|member| member.assignment.clone()).unwrap_or_default(),
    }))
}
