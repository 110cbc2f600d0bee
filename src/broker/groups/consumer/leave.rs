//! Members that go: by saying so, for a while, or by silence; what they had is free once they are out.

use std::sync::Arc;

use super::super::core::{Core, Step};
use super::super::request::{Beat, ConsumerHeartbeat, GroupError, Now};
use super::draft::Draft;
use super::heartbeat::drop_unused_patterns;
use super::{AWAY, Change, Current, Owned};

impl Core {
    /// A member leaves, or (epoch -2) a static member leaves for a while.
    pub(super) fn consumer_leave(
        &mut self,
        beat: &ConsumerHeartbeat,
        now: Now,
        step: &mut Step,
    ) -> Result<Beat, GroupError> {
        let group = self.durable.consumers.get(&beat.group).ok_or(GroupError::GroupNotFound)?;
        let known = group.members.get_key_value(beat.member_id.as_str());
        let (id, current) = match &beat.instance_id {
            None => known.map(|(id, member)| (Arc::clone(id), member.current.clone())),
            Some(instance) => {
                let held = group.static_member(instance).ok_or(GroupError::UnknownMember)?;
                if **held != *beat.member_id {
                    return Err(GroupError::FencedInstance);
                }
                known.map(|(id, member)| (Arc::clone(id), member.current.clone()))
            }
        }
        .ok_or(GroupError::UnknownMember)?;
        if beat.epoch == AWAY {
            let zeroed = |partitions: std::collections::BTreeMap<i32, i32>| {
                partitions.into_keys().map(|partition| (partition, 0)).collect()
            };
            let assigned = current.assigned.into_iter().map(|(topic, all)| (topic, zeroed(all))).collect();
            let away = Current { epoch: AWAY, assigned, revoking: Owned::new(), ..current };
            let mut draft = Draft::new(&beat.group, &mut self.durable, &mut step.records);
            draft.put_current(&id, away);
            if let Some(soft) = self.consumers.get_mut(&beat.group) {
                soft.revocations.remove(&id);
            }
        } else {
            self.remove_consumers(&beat.group, &[id], now, step);
        }
        Ok(Beat { member_id: beat.member_id.clone(), epoch: beat.epoch, interval_ms: 0, assignment: None })
    }

    /// Takes members out of a consumer group: the others get what they had with the next epoch.
    pub(in super::super) fn remove_consumers(
        &mut self,
        group: &Arc<str>,
        members: &[Arc<str>],
        now: Now,
        step: &mut Step,
    ) {
        if self.downgrade(group, members, now, step) {
            return;
        }
        let mut draft = Draft::new(group, &mut self.durable, &mut step.records);
        let soft = self.consumers.entry(Arc::clone(group)).or_default();
        for id in members {
            draft.remove_member(id);
            soft.forget(id);
        }
        drop_unused_patterns(&mut draft);
        let hash = self.topics.hash(&draft.group().all_subscribed());
        let epoch = draft.group().epoch.saturating_add(1);
        draft.put(Change::Epoch(Some((epoch, hash))));
    }

    /// Does what time alone does to a consumer group.
    pub(in super::super) fn consumer_time_passed(&mut self, group: &Arc<str>, now: Now, step: &mut Step) {
        let Some(soft) = self.consumers.get_mut(group) else { return };
        let due = |at: i64| at <= now.mono_ms;
        let mut gone: Vec<Arc<str>> = Vec::new();
        let single = soft.sessions.iter().chain(&soft.joins).chain(&soft.syncs);
        gone.extend(single.filter(|(_, at)| due(**at)).map(|(id, _)| Arc::clone(id)));
        let slow: Vec<_> = soft.revocations.iter().filter(|(_, (at, _))| due(*at)).collect();
        let members = self.durable.consumers.get(group).map(|group| &group.members);
        for (id, (_, epoch)) in slow {
            let still = members.and_then(|members| members.get(id)).map(|member| member.current.epoch);
            if still == Some(*epoch) {
                gone.push(Arc::clone(id));
            }
        }
        gone.sort();
        gone.dedup();
        gone.retain(|id| members.is_some_and(|members| members.contains_key(id)));
        soft.sessions.retain(|_, at| !due(*at));
        soft.joins.retain(|_, at| !due(*at));
        soft.syncs.retain(|_, at| !due(*at));
        soft.revocations.retain(|_, (at, _)| !due(*at));
        if !gone.is_empty() {
            self.remove_consumers(group, &gone, now, step);
        }
    }
}
