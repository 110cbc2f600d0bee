//! Offsets of consumer groups: whose commit and whose question is taken, by member epoch; it keeps none itself.

use crate::model::id::TopicId;

use super::super::request::{GroupError, NewOffset, Sender};
use super::{ConsumerGroup, Member};

impl ConsumerGroup {
    /// Whether the sender may commit. The member that is answered has to be asked for each offset
    /// ([`may_commit_for`]) if its epoch is behind.
    pub(in super::super) fn may_commit(&self, from: Sender<'_>) -> Result<Option<&Member>, GroupError> {
        // An admin may set the offsets of a group that nobody is in.
        if from.generation < 0 && self.members.is_empty() {
            return Ok(None);
        }
        let member = self.members.get(from.member_id).ok_or(GroupError::UnknownMember)?;
        let classic = member.profile.classic.is_some();
        if !classic && !from.knows_epochs {
            return Err(GroupError::UnsupportedVersion);
        }
        if from.generation > member.current.epoch {
            return Err(stale(member));
        }
        Ok((from.generation < member.current.epoch).then_some(member))
    }

    /// As [`ConsumerGroup::may_commit`], within a transaction: clients older than KIP-447 say nothing of themselves, and
    /// are taken.
    pub(in super::super) fn may_commit_in_txn(
        &self,
        from: Sender<'_>,
    ) -> Result<Option<&Member>, GroupError> {
        let says_nothing = from.generation == -1 && from.member_id.is_empty() && from.instance_id.is_none();
        if says_nothing { Ok(None) } else { self.may_commit(Sender { knows_epochs: true, ..from }) }
    }

    /// Whether the sender may ask for offsets: anyone may who does not say that it is a member.
    pub(in super::super) fn may_ask(&self, member_id: Option<&str>, epoch: i32) -> Result<(), GroupError> {
        let id = match member_id {
            None | Some("") if epoch < 0 => return Ok(()),
            id => id.unwrap_or_default(),
        };
        let member = self.members.get(id).ok_or(GroupError::UnknownMember)?;
        if epoch == member.current.epoch { Ok(()) } else { Err(stale(member)) }
    }
}

/// What a member is told whose epoch is not the one it is in.
fn stale(member: &Member) -> GroupError {
    if member.profile.classic.is_some() { GroupError::IllegalGeneration } else { GroupError::StaleEpoch }
}

/// Whether a member that is an epoch or more behind may still commit this offset: where it has the partition since
/// then, nobody else can have had it meanwhile (KIP-1251).
pub(in super::super) fn may_commit_for(
    member: &Member,
    epoch: i32,
    offset: &NewOffset,
) -> Result<(), GroupError> {
    let given = |topic: TopicId| {
        let sides = [&member.current.assigned, &member.current.revoking];
        sides.into_iter().find_map(|side| side.get(&topic)?.get(&offset.partition).copied())
    };
    match given(offset.topic_id) {
        Some(since) if epoch >= since => Ok(()),
        _ => Err(stale(member)),
    }
}
