//! Heartbeats: a sign of life, answered with whether to join again; changes nothing but the member's deadline.

use std::sync::Arc;

use super::core::Core;
use super::group::Phase;
use super::request::{GroupError, Now, Sender};

impl Core {
    /// A member says it is alive. Nothing is to be appended for it.
    pub(super) fn heartbeat(&mut self, id: &str, from: Sender<'_>, now: Now) -> Result<(), GroupError> {
        if id.is_empty() {
            return Err(GroupError::InvalidGroup);
        }
        if self.durable.consumers.contains_key(id) {
            let id: Arc<str> = id.into();
            let alive = self.classic_heartbeat(&id, from, now);
            if alive.is_err() {
                self.settle(&id);
            }
            return alive;
        }
        let group = self.groups.get_mut(id).ok_or(GroupError::UnknownMember)?;
        group.check_member(from.member_id, from.instance_id)?;
        if from.generation != group.generation {
            return Err(GroupError::IllegalGeneration);
        }
        // The deadline only moves away here, so the wake-up entered for the group stays early enough.
        group.extend(from.member_id, now);
        match group.phase {
            Phase::Preparing => Err(GroupError::RebalanceInProgress),
            Phase::Completing | Phase::Stable => Ok(()),
            Phase::Empty => Err(GroupError::UnknownMember),
        }
    }
}
