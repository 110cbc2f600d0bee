//! What a consumer group has in memory alone: deadlines, and which topics it was last held against; lost at restart.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::request::Now;
use super::{ConsumerGroup, MemberState};

/// The soft state of one group. All times are monotonic ms.
#[derive(Debug, Default)]
pub(in super::super) struct Soft {
    /// When each member is taken for gone.
    pub(super) sessions: BTreeMap<Arc<str>, i64>,
    /// When a member that has not given partitions back is out, and the epoch in which it was asked to.
    pub(super) revocations: BTreeMap<Arc<str>, (i64, i32)>,
    /// When a member of the classic protocol that was told to join again is out.
    pub(super) joins: BTreeMap<Arc<str>, i64>,
    /// When a member of the classic protocol that joined and never asked for its assignment is out.
    pub(super) syncs: BTreeMap<Arc<str>, i64>,
    /// The version of the topics that the group was last held against.
    pub(super) seen: Option<u64>,
    /// The wake-up entered for the group: not later than any deadline in it, `i64::MAX` for none.
    pub(in super::super) wake_at: Option<i64>,
}

impl Soft {
    /// A group read from its log: every member is granted a whole session from now.
    pub(in super::super) fn restore(group: &ConsumerGroup, session_ms: i32, now: Now) -> Self {
        let mut soft = Self::default();
        for (id, member) in &group.members {
            let session = member.profile.classic.as_ref().map_or(session_ms, |one| one.session_timeout_ms);
            soft.sessions.insert(Arc::clone(id), after(now, session));
            if member.current.state == MemberState::Unrevoked && member.profile.classic.is_none() {
                let until = after(now, member.profile.rebalance_timeout_ms);
                soft.revocations.insert(Arc::clone(id), (until, member.current.epoch));
            }
        }
        soft
    }

    /// The earliest moment at which time alone changes the group.
    pub(in super::super) fn deadline(&self) -> Option<i64> {
        let single = self.sessions.values().chain(self.joins.values()).chain(self.syncs.values()).copied();
        single.chain(self.revocations.values().map(|(at, _)| *at)).min()
    }

    /// Drops what belongs to a member.
    pub(super) fn forget(&mut self, id: &str) {
        self.sessions.remove(id);
        self.revocations.remove(id);
        self.joins.remove(id);
        self.syncs.remove(id);
    }
}

/// `ms` from now.
pub(super) fn after(now: Now, ms: i32) -> i64 {
    now.mono_ms.saturating_add(i64::from(ms.max(0)))
}

#[cfg(test)]
impl Soft {
    /// What holds of it after every decision.
    pub(in super::super) fn assert_sound(&self, group: &ConsumerGroup) {
        assert!(self.sessions.keys().eq(group.members.keys()), "silence ends every membership");
        assert!(
            self.deadline().is_none_or(|at| self.wake_at.is_some_and(|wake| wake <= at)),
            "nobody oversleeps"
        );
        for id in self.joins.keys().chain(self.syncs.keys()).chain(self.revocations.keys()) {
            assert!(group.members.contains_key(id));
        }
    }
}
