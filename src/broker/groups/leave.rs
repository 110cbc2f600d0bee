//! Leaving: members that say goodbye, and members an admin takes out; never decides by time.

use std::sync::Arc;

use super::core::{Core, Step};
use super::group::{Group, Phase};
use super::rebalance::{complete_unless_initial, evict, prepare};
use super::request::{GroupError, Leaver, Now};

impl Core {
    /// Takes members out. One result a leaver, in their order; an error of the whole where there is no such group.
    pub(super) fn leave(
        &mut self,
        id: &str,
        leavers: &[Leaver],
        now: Now,
    ) -> (Result<Vec<Result<(), GroupError>>, GroupError>, Step) {
        let mut step = Step::default();
        if id.is_empty() {
            return (Err(GroupError::InvalidGroup), step);
        }
        if self.durable.consumers.contains_key(id) {
            let id: Arc<str> = id.into();
            let results = self.classic_leave(&id, leavers, now, &mut step);
            self.settle(&id);
            return (Ok(results), step);
        }
        let Some(group) = self.groups.get_mut(id) else {
            return (Err(GroupError::UnknownMember), step);
        };
        let results: Vec<_> = leavers.iter().map(|leaver| take_out(group, leaver, &mut step)).collect();
        if results.iter().any(Result::is_ok) {
            match group.phase {
                Phase::Stable | Phase::Completing => prepare(&self.rules, group, now, &mut step),
                Phase::Preparing => complete_unless_initial(group, now, &mut step),
                Phase::Empty => {}
            }
        }
        let id = group.id.clone();
        self.settle(&id);
        (Ok(results), step)
    }
}

fn take_out(group: &mut Group, leaver: &Leaver, step: &mut Step) -> Result<(), GroupError> {
    let by_name = leaver.instance_id.as_deref().filter(|_| leaver.member_id.is_empty());
    if let Some(instance) = by_name {
        let id = group.statics.get(instance).cloned().ok_or(GroupError::UnknownMember)?;
        evict(group, &id, step);
        return Ok(());
    }
    if group.pending.remove(&leaver.member_id).is_some() {
        return Ok(());
    }
    group.check_member(&leaver.member_id, leaver.instance_id.as_deref())?;
    evict(group, &leaver.member_id, step);
    Ok(())
}
