//! Groups and offsets that an admin takes away: only what nobody lives in, and what nobody reads.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::id::TopicPartition;

use super::consumer::draft::Draft;
use super::core::{Core, Step};
use super::durable::GroupRecord;
use super::group::{CONSUMER, Phase};
use super::request::GroupError;

impl Core {
    /// Takes a group away, offsets and all: those too that wait for the end of a transaction.
    pub(super) fn delete_group(&mut self, id: &Arc<str>) -> (Result<(), GroupError>, Step) {
        let mut step = Step::default();
        if let Some(group) = self.durable.consumers.get(id) {
            if !group.members.is_empty() {
                return (Err(GroupError::NonEmpty), step);
            }
        } else {
            match self.groups.get(id) {
                None => return (Err(GroupError::GroupNotFound), step),
                Some(group) if group.phase != Phase::Empty => return (Err(GroupError::NonEmpty), step),
                Some(_) => {}
            }
        }
        let kept = self.durable.offsets.get(id).into_iter().flatten().map(|(at, _)| at);
        let gone: BTreeSet<_> = kept.chain(self.durable.pending.partitions(id)).cloned().collect();
        for partition in gone {
            step.records.push(GroupRecord::Offset { group: Arc::clone(id), partition, value: None });
        }
        if self.durable.consumers.contains_key(id) {
            Draft::new(id, &mut self.durable, &mut step.records).remove_group();
            self.forget_consumer(id);
        } else {
            if self.durable.groups.contains_key(id) {
                step.records.push(GroupRecord::Group { group: Arc::clone(id), value: None });
            }
            self.forget(id);
        }
        (Ok(()), step)
    }

    /// Takes offsets away: one result each, in their order.
    pub(super) fn delete_offsets(
        &mut self,
        id: &Arc<str>,
        partitions: &[TopicPartition],
    ) -> (Result<Vec<Result<(), GroupError>>, GroupError>, Step) {
        let mut step = Step::default();
        let reads: Box<dyn Fn(&str) -> bool + '_> = if let Some(group) = self.durable.consumers.get(id) {
            Box::new(|topic| group.reads(topic))
        } else {
            match self.groups.get(id) {
                None => return (Err(GroupError::GroupNotFound), step),
                Some(group) if group.phase == Phase::Empty => Box::new(|_| false),
                // What others than consumers read can not be told.
                Some(group) if group.protocol_type.as_deref() != Some(CONSUMER) => {
                    return (Err(GroupError::NonEmpty), step);
                }
                Some(group) => {
                    Box::new(|topic| group.subscribed.as_ref().is_none_or(|topics| topics.contains(topic)))
                }
            }
        };
        let mut results = Vec::with_capacity(partitions.len());
        for partition in partitions {
            if reads(&partition.topic) {
                results.push(Err(GroupError::Subscribed));
                continue;
            }
            let kept = self.durable.offsets.get(id).is_some_and(|kept| kept.contains_key(partition));
            if kept || self.durable.pending.holds(id, partition) {
                let partition = partition.clone();
                step.records.push(GroupRecord::Offset { group: Arc::clone(id), partition, value: None });
            }
            results.push(Ok(()));
        }
        drop(reads);
        (Ok(results), step)
    }
}
