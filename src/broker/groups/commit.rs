//! Offsets: who may commit them, and reading them back; never whether a topic exists (the caller knows).

use std::sync::Arc;

use crate::model::id::{TopicId, TopicPartition};

use super::consumer::{ConsumerMember, may_commit_for};
use super::core::{Core, Step};
use super::durable::{GroupRecord, Offsets};
use super::group::{Group, Phase};
use super::request::{Committed, GroupError, KeptOffset, NewOffset, Now, Sender};

/// One result an offset, in their order; an error of the whole where the sender may not commit.
pub(super) type Results = Result<Vec<Result<(), GroupError>>, GroupError>;

impl Core {
    /// Keeps offsets.
    ///
    /// A group that does not exist is made for a sender without generation (a consumer that only keeps offsets);
    /// for one with a generation it is [`GroupError::GroupNotFound`]. `retention_ms` is the wish of old clients.
    pub(super) fn commit(
        &mut self,
        id: &Arc<str>,
        from: Sender<'_>,
        retention_ms: Option<i64>,
        offsets: Vec<NewOffset>,
        now: Now,
    ) -> (Results, Step) {
        let mut step = Step::default();
        let mut behind = None;
        let consumer = self.durable.consumers.get(id);
        match self.groups.get_mut(id) {
            _ if consumer.is_some() => match consumer.map(|group| group.may_commit(from)).transpose() {
                Ok(member) => behind = member.flatten(),
                Err(error) => return (Err(error), step),
            },
            Some(group) => {
                if let Err(error) = may_commit(group, from) {
                    return (Err(error), step);
                }
                if matches!(group.phase, Phase::Stable | Phase::Preparing) {
                    group.extend(from.member_id, now);
                }
            }
            None if from.generation >= 0 => return (Err(GroupError::GroupNotFound), step),
            None => {}
        }
        let expires_ms = retention_ms.map_or(-1, |kept_for| now.wall_ms.saturating_add(kept_for));
        let longest = self.rules.offset_metadata_max_bytes;
        let mut results = Vec::with_capacity(offsets.len());
        for offset in offsets {
            let taken = admit(&offset, longest, behind, from);
            results.push(taken);
            if taken.is_ok() {
                step.records.push(record(id, offset, expires_ms, now));
            }
        }
        if consumer.is_none() && !step.records.is_empty() {
            self.groups.entry(id.clone()).or_insert_with(|| Group::new(id.clone(), now));
        }
        (Ok(results), step)
    }

    /// Keeps offsets for the end of a producer's transaction. As [`Core::commit`], but that a sender who says nothing
    /// of itself is always taken (its clients are older than KIP-447), that a rebalance under way is no hindrance, and
    /// that a member's wrong epoch is [`GroupError::IllegalGeneration`] in every group.
    pub(super) fn commit_in_txn(
        &mut self,
        id: &Arc<str>,
        from: Sender<'_>,
        producer: (i64, i16),
        offsets: Vec<NewOffset>,
        now: Now,
    ) -> (Results, Step) {
        let mut step = Step { producer: Some(producer), ..Step::default() };
        let consumer = self.durable.consumers.get(id);
        let admitted = match (consumer, self.groups.get(id)) {
            (Some(group), _) => group.may_commit_in_txn(from),
            (None, Some(group)) => may_commit_in_txn(group, from).map(|()| None),
            (None, None) if from.generation >= 0 => Err(GroupError::IllegalGeneration),
            (None, None) => Ok(None),
        };
        let told = |error| match error {
            GroupError::StaleEpoch => GroupError::IllegalGeneration,
            other => other,
        };
        let behind = match admitted {
            Ok(behind) => behind,
            Err(error) => return (Err(told(error)), step),
        };
        let longest = self.rules.offset_metadata_max_bytes;
        let mut results = Vec::with_capacity(offsets.len());
        for offset in offsets {
            match admit(&offset, longest, behind, from) {
                Ok(()) => {
                    step.records.push(record(id, offset, -1, now));
                    results.push(Ok(()));
                }
                Err(GroupError::MetadataTooLarge) => results.push(Err(GroupError::MetadataTooLarge)),
                Err(error) => return (Err(told(error)), Step::default()),
            }
        }
        if consumer.is_none() && !step.records.is_empty() {
            self.groups.entry(id.clone()).or_insert_with(|| Group::new(id.clone(), now));
        }
        (Ok(results), step)
    }

    /// What a reader is told of a partition's offset; with `stable` it wants none that a transaction under way may
    /// replace.
    pub(super) fn committed(
        &self,
        group: &str,
        partition: &TopicPartition,
        topic_id: TopicId,
        stable: bool,
    ) -> Committed {
        if stable && self.durable.pending.holds(group, partition) {
            return Committed::Unstable;
        }
        self.offset(group, partition, topic_id).cloned().map_or(Committed::Nothing, Committed::At)
    }

    /// The offset kept for a partition. One that was committed for an earlier topic of the same name is none:
    /// `topic_id` is the id of the topic that bears the name now, zero if that is not known.
    pub(super) fn offset(
        &self,
        group: &str,
        partition: &TopicPartition,
        topic_id: TopicId,
    ) -> Option<&KeptOffset> {
        let kept = self.durable.offsets.get(group)?.get(partition)?;
        let other = !kept.topic_id.is_zero() && !topic_id.is_zero() && kept.topic_id != topic_id;
        (!other).then_some(kept)
    }

    /// All offsets of a group, by topic and partition.
    pub(super) fn offsets(&self, group: &str) -> Option<&Offsets> {
        self.durable.offsets.get(group)
    }
}

fn may_commit(group: &Group, from: Sender<'_>) -> Result<(), GroupError> {
    if from.generation < 0 && group.phase == Phase::Empty {
        return Ok(());
    }
    if from.generation >= 0 || !from.member_id.is_empty() || from.instance_id.is_some() {
        group.check_member(from.member_id, from.instance_id)?;
        if from.generation != group.generation {
            return Err(GroupError::IllegalGeneration);
        }
    } else if group.phase != Phase::Empty {
        return Err(GroupError::UnknownMember);
    }
    if group.phase == Phase::Completing {
        return Err(GroupError::RebalanceInProgress);
    }
    Ok(())
}

/// As [`may_commit`], within a transaction.
fn may_commit_in_txn(group: &Group, from: Sender<'_>) -> Result<(), GroupError> {
    let says_nothing = from.member_id.is_empty() && from.instance_id.is_none();
    if from.generation < 0 && (group.phase == Phase::Empty || says_nothing) {
        return Ok(());
    }
    group.check_member(from.member_id, from.instance_id)?;
    if from.generation == group.generation { Ok(()) } else { Err(GroupError::IllegalGeneration) }
}

/// Whether one offset is taken from a sender who may commit.
fn admit(
    offset: &NewOffset,
    longest: usize,
    behind: Option<&ConsumerMember>,
    from: Sender<'_>,
) -> Result<(), GroupError> {
    // Kafka counts UTF-16 units, not bytes.
    if offset.metadata.len() > longest && offset.metadata.encode_utf16().count() > longest {
        return Err(GroupError::MetadataTooLarge);
    }
    behind.map_or(Ok(()), |member| may_commit_for(member, from.generation, offset))
}

fn record(group: &Arc<str>, offset: NewOffset, expires_ms: i64, now: Now) -> GroupRecord {
    let kept = KeptOffset {
        offset: offset.offset,
        leader_epoch: offset.leader_epoch,
        metadata: offset.metadata,
        committed_ms: now.wall_ms,
        expires_ms,
        topic_id: offset.topic_id,
        recorded_at: -1,
    };
    GroupRecord::Offset {
        group: Arc::clone(group),
        partition: TopicPartition { topic: offset.topic, partition: offset.partition },
        value: Some(kept),
    }
}
