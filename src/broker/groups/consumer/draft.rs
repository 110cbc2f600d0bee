//! A decision on a consumer group as it is made: each record is applied at once and remembered for the log.

use std::sync::Arc;

use super::super::durable::{Durable, GroupRecord};
use super::{Change, ConsumerGroup, Current, Profile};

/// The group under decision, and the records so far.
pub(in super::super) struct Draft<'a> {
    /// The group.
    pub(super) id: &'a Arc<str>,
    durable: &'a mut Durable,
    records: &'a mut Vec<GroupRecord>,
}

static NONE: ConsumerGroup = ConsumerGroup::new();

impl<'a> Draft<'a> {
    /// A decision on the group `id`; it need not be there yet.
    pub(in super::super) fn new(
        id: &'a Arc<str>,
        durable: &'a mut Durable,
        records: &'a mut Vec<GroupRecord>,
    ) -> Self {
        Self { id, durable, records }
    }

    /// The group as the records so far make it.
    pub(super) fn group(&self) -> &ConsumerGroup {
        self.durable.consumers.get(self.id).unwrap_or(&NONE)
    }

    /// Adds a record of the group.
    pub(super) fn put(&mut self, change: Change) {
        let record = GroupRecord::Consumer { group: Arc::clone(self.id), change };
        // Where it will lie counts for offsets alone.
        self.durable.apply(record.clone(), -1, None);
        self.records.push(record);
    }

    /// A member is there, or has changed.
    pub(super) fn put_member(&mut self, id: &Arc<str>, profile: Profile) {
        self.put(Change::Member(Arc::clone(id), Some(Box::new(profile))));
    }

    /// A member has something else.
    pub(super) fn put_current(&mut self, id: &Arc<str>, current: Current) {
        self.put(Change::Current(Arc::clone(id), Some(Box::new(current))));
    }

    /// A member is gone.
    pub(super) fn remove_member(&mut self, id: &Arc<str>) {
        self.put(Change::Current(Arc::clone(id), None));
        if self.group().target.contains_key(id) {
            self.put(Change::Target(Arc::clone(id), None));
        }
        self.put(Change::Member(Arc::clone(id), None));
    }

    /// The whole group is gone: a tombstone for each of its records.
    pub(in super::super) fn remove_group(&mut self) {
        let members: Vec<_> = self.group().members.keys().cloned().collect();
        for id in &members {
            self.remove_member(id);
        }
        let left: Vec<_> = self.group().target.keys().cloned().collect();
        for id in left {
            self.put(Change::Target(id, None));
        }
        let patterns: Vec<_> = self.group().regexes.keys().cloned().collect();
        for pattern in patterns {
            self.put(Change::Regex(pattern, None));
        }
        self.put(Change::TargetEpoch(None));
        self.put(Change::Epoch(None));
    }
}
