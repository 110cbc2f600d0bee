//! Offsets: who may commit them, and reading them back; never whether a topic exists (the caller knows).

use std::sync::Arc;

use crate::model::id::{TopicId, TopicPartition};

use super::consumer::may_commit_for;
use super::core::{Core, Step};
use super::durable::{GroupRecord, Offsets};
use super::group::{Group, Phase};
use super::request::{GroupError, KeptOffset, NewOffset, Now, Sender};

impl Core {
    /// Keeps offsets. One result an offset, in their order; an error of the whole where the sender may not commit.
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
    ) -> (Result<Vec<Result<(), GroupError>>, GroupError>, Step) {
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
        let longest = self.rules.offset_metadata_max_bytes;
        let mut results = Vec::with_capacity(offsets.len());
        for offset in offsets {
            // Kafka counts UTF-16 units, not bytes.
            if offset.metadata.len() > longest && offset.metadata.encode_utf16().count() > longest {
                results.push(Err(GroupError::MetadataTooLarge));
                continue;
            }
            let allowed = behind.map_or(Ok(()), |member| may_commit_for(member, from.generation, &offset));
            if let Err(error) = allowed {
                results.push(Err(error));
                continue;
            }
            let kept = KeptOffset {
                offset: offset.offset,
                leader_epoch: offset.leader_epoch,
                metadata: offset.metadata,
                committed_ms: now.wall_ms,
                expires_ms: retention_ms.map_or(-1, |kept_for| now.wall_ms.saturating_add(kept_for)),
                topic_id: offset.topic_id,
            };
            step.records.push(GroupRecord::Offset {
                group: id.clone(),
                partition: TopicPartition { topic: offset.topic, partition: offset.partition },
                value: Some(kept),
            });
            results.push(Ok(()));
        }
        if !step.records.is_empty() && consumer.is_none() {
            self.groups.entry(id.clone()).or_insert_with(|| Group::new(id.clone(), now));
        }
        (Ok(results), step)
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
