//! ConsumerGroupHeartbeat decided (KIP-848): joining, epochs, target and the member's next step; leaving is beside.
//!
//! All that can be refused is refused before the first record is made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::core::{Core, Step};
use super::super::group::{Group, Phase};
use super::super::request::{Assignor, Assignors, Beat, ConsumerHeartbeat, ConsumerRules, GroupError, Now};
use super::super::topics::Topics;
use super::assign::{Wish, assign};
use super::draft::Draft;
use super::reconcile::{self, Surroundings};
use super::soft::{Soft, after};
use super::{AWAY, Change, ConsumerGroup, Current, Member, MemberState, Parts, Profile, regex};
use super::{Resolved, without_epochs};

/// The epoch that a group has before anyone subscribes to anything.
const FIRST: i32 = 1;

/// Who the heartbeat is from, as the group knows it.
enum From {
    /// Nobody it knows.
    New(Arc<str>),
    /// A member.
    Known(Arc<str>),
    /// A static member that comes back, under this id; the second is the one it had.
    Back(Arc<str>, Arc<str>),
}

impl From {
    fn id(&self) -> &Arc<str> {
        match self {
            Self::New(id) | Self::Known(id) | Self::Back(id, _) => id,
        }
    }
}

impl Core {
    /// A member says it is there, joins or leaves. `may_see` tells which topics it may know of.
    pub(in super::super) fn consumer_heartbeat(
        &mut self,
        beat: ConsumerHeartbeat,
        may_see: &dyn Fn(&str) -> bool,
        now: Now,
    ) -> (Result<Beat, GroupError>, Step) {
        let mut step = Step::default();
        let id = Arc::clone(&beat.group);
        let beaten = match beat.epoch {
            ..0 => self.consumer_leave(&beat, now, &mut step),
            _ => self.consumer_beat(beat, may_see, now, &mut step),
        };
        // Else the deadlines have only moved away, and the wake-up entered is early enough.
        if !step.records.is_empty() || beaten.is_err() {
            self.settle(&id);
        }
        (beaten, step)
    }

    fn consumer_beat(
        &mut self,
        beat: ConsumerHeartbeat,
        may_see: &dyn Fn(&str) -> bool,
        now: Now,
        step: &mut Step,
    ) -> Result<Beat, GroupError> {
        let joins = beat.epoch == 0;
        let classic = self.groups.get(&beat.group);
        let upgrade = match (self.durable.consumers.get(&beat.group), classic) {
            (Some(_), _) => false,
            (None, None) if joins => false,
            (None, Some(group)) if joins && is_idle(group) => false,
            (None, Some(group)) if joins => {
                self.may_upgrade(group)?;
                true
            }
            (None, _) => return Err(GroupError::GroupNotFound),
        };
        if let Some(pattern) = beat.regex.as_deref().filter(|pattern| !pattern.is_empty()) {
            regex::compile(pattern)?;
        }
        if let Some(name) = &beat.assignor {
            self.rules.consumer.assignors.get(name).ok_or(GroupError::UnsupportedAssignor)?;
        }
        if upgrade {
            // The group's members are known only once it has been taken over.
            self.upgrade(&beat.group, now, step);
        }
        let from = self.identify(&beat)?;
        if !upgrade {
            self.make_room(&beat.group, step);
        }
        let soft = self.consumers.entry(Arc::clone(&beat.group)).or_default();
        let mut draft = Draft::new(&beat.group, &mut self.durable, &mut step.records);
        let work = Work { rules: &self.rules.consumer, topics: &self.topics, may_see, now };
        work.beat(&mut draft, soft, &from, beat.clone())
    }

    /// Who the heartbeat is from, where the group lets it speak.
    fn identify(&self, beat: &ConsumerHeartbeat) -> Result<From, GroupError> {
        let given: Arc<str> = if beat.member_id.is_empty() {
            beat.draw.as_str().into()
        } else {
            beat.member_id.as_str().into()
        };
        let Some(group) = self.durable.consumers.get(&beat.group) else { return Ok(From::New(given)) };
        let full = group.members.len() >= self.rules.consumer.max_size;
        if full && !group.members.contains_key(&given) {
            return Err(GroupError::GroupFull);
        }
        let held = beat.instance_id.as_ref().map(|instance| group.static_member(instance).cloned());
        let known = group.members.get(&given);
        match (held, known) {
            (None, Some(member)) => {
                check_epoch(&member.current, beat)?;
                Ok(From::Known(given))
            }
            (None | Some(None), None) if beat.epoch == 0 => Ok(From::New(given)),
            (Some(Some(old)), _) if beat.epoch == 0 => match group.members.get(&old) {
                Some(member) if member.current.epoch != AWAY && member.profile.classic.is_none() => {
                    Err(GroupError::UnreleasedInstance)
                }
                _ => Ok(From::Back(given, old)),
            },
            (Some(Some(held)), _) if held != given => Err(GroupError::FencedInstance),
            (Some(Some(_)), Some(member)) => {
                check_epoch(&member.current, beat)?;
                Ok(From::Known(given))
            }
            (Some(None), Some(_)) if beat.epoch == 0 => Ok(From::Known(given)),
            _ => Err(GroupError::UnknownMember),
        }
    }

    /// Takes an idle classic group of that name away: it had offsets or a past, but has no members.
    fn make_room(&mut self, id: &Arc<str>, step: &mut Step) {
        if self.groups.contains_key(id) {
            self.forget(id);
            if self.durable.groups.contains_key(id) {
                step.records
                    .push(super::super::durable::GroupRecord::Group { group: Arc::clone(id), value: None });
            }
        }
    }
}

/// Whether nobody is in a classic group. An id that was handed out keeps nobody out, as in Kafka: who comes with it
/// later is told that it is unknown, and asks again.
pub(super) fn is_idle(group: &Group) -> bool {
    group.phase == Phase::Empty && group.members.is_empty()
}

/// The epoch must be the member's; one before it will do if the answer that told the new one was lost, which shows in
/// that the member has nothing that the new one does not give it.
fn check_epoch(current: &Current, beat: &ConsumerHeartbeat) -> Result<(), GroupError> {
    let subset = || {
        let parts = |owned: &Parts| {
            owned.iter().all(|(topic, partitions)| {
                current
                    .assigned
                    .get(topic)
                    .is_some_and(|has| partitions.iter().all(|at| has.contains_key(at)))
            })
        };
        beat.owned.as_ref().is_some_and(parts)
    };
    let fits = beat.epoch == 0
        || beat.epoch == current.epoch
        || (beat.epoch < current.epoch && beat.epoch == current.previous && subset());
    if fits { Ok(()) } else { Err(GroupError::FencedEpoch) }
}

/// What the steps of a decision share.
pub(super) struct Work<'a> {
    pub(super) rules: &'a ConsumerRules,
    pub(super) topics: &'a Topics,
    pub(super) may_see: &'a dyn Fn(&str) -> bool,
    pub(super) now: Now,
}

impl Work<'_> {
    fn beat(
        &self,
        draft: &mut Draft<'_>,
        soft: &mut Soft,
        from: &From,
        beat: ConsumerHeartbeat,
    ) -> Result<Beat, GroupError> {
        let id = from.id();
        if let From::Back(new, old) = from {
            replace(draft, soft, old, new);
        }
        let before = draft.group().members.get(id).cloned();
        let whole = beat.is_whole();
        let (epoch, timing) = (beat.epoch, beat.timing);
        let owned = beat.owned.clone();
        let profile = updated(before.as_ref().map(|member| &member.profile), beat);
        let changed = self.take_profile(draft, id, before.as_ref(), profile);
        self.take_epoch(draft, soft, changed);
        self.take_target(draft, timing.assignment_interval_ms);
        let current = self.step_of(draft, soft, id, changed, owned.as_ref())?;
        soft.sessions.insert(Arc::clone(id), after(self.now, timing.session_ms));
        let had = before.map(|member| without_epochs(&member.current.assigned)).unwrap_or_default();
        let has = without_epochs(&current.assigned);
        Ok(Beat {
            member_id: id.to_string(),
            epoch: current.epoch,
            interval_ms: timing.interval_ms,
            assignment: (epoch == 0 || whole || had != has).then_some(has),
        })
    }

    /// Records the member as it describes itself now. True if what it subscribes to has changed.
    pub(super) fn take_profile(
        &self,
        draft: &mut Draft<'_>,
        id: &Arc<str>,
        before: Option<&Member>,
        profile: Profile,
    ) -> bool {
        let nobody = Profile::default();
        let old = before.map_or(&nobody, |member| &member.profile);
        let mut changed = old.topics != profile.topics;
        let (was, is) = (old.pattern().map(str::to_owned), profile.pattern().map(str::to_owned));
        if before.is_none_or(|member| member.profile != profile) {
            draft.put_member(id, profile);
        }
        if was != is {
            changed = true;
            if let Some(pattern) = is.filter(|pattern| !draft.group().regexes.contains_key(pattern)) {
                self.resolve(draft, pattern);
            }
            drop_unused_patterns(draft);
        }
        changed
    }

    /// Holds a pattern against the topics. True if it came to something else than before.
    fn resolve(&self, draft: &mut Draft<'_>, pattern: String) -> bool {
        // What can not be compiled any more (a later build's bounds) matches nothing.
        let topics = regex::compile(&pattern)
            .map(|regex| regex::resolve(&regex, self.topics, self.may_see))
            .unwrap_or_default();
        if draft.group().regexes.get(&pattern).is_some_and(|before| before.topics == topics) {
            return false;
        }
        let version = i64::try_from(self.topics.version()).unwrap_or(i64::MAX);
        let resolved = Resolved { topics, version, at_ms: self.now.wall_ms };
        draft.put(Change::Regex(pattern, Some(resolved)));
        true
    }

    /// Begins a new epoch if subscriptions, or the topics subscribed to, have changed.
    pub(super) fn take_epoch(&self, draft: &mut Draft<'_>, soft: &mut Soft, changed: bool) {
        let mut bump = changed;
        let newer = soft.seen != Some(self.topics.version());
        if newer {
            let patterns: Vec<_> = draft.group().regexes.keys().cloned().collect();
            for pattern in patterns {
                bump |= self.resolve(draft, pattern);
            }
            soft.seen = Some(self.topics.version());
        }
        let (epoch, known) = (draft.group().epoch, draft.group().hash);
        if !bump && !newer && epoch > 0 {
            return;
        }
        let hash = self.topics.hash(&draft.group().all_subscribed());
        if bump || hash != known {
            draft.put(Change::Epoch(Some((epoch.max(FIRST).saturating_add(1), hash))));
        } else if epoch < FIRST {
            draft.put(Change::Epoch(Some((FIRST, hash))));
        }
    }

    /// Makes a new target if the group's epoch asks for one and the last is not too fresh.
    pub(super) fn take_target(&self, draft: &mut Draft<'_>, interval_ms: i32) {
        let group = draft.group();
        let age = self.now.wall_ms.saturating_sub(group.target_at_ms);
        if group.epoch <= group.target_epoch || (0..i64::from(interval_ms)).contains(&age) {
            return;
        }
        let mut sizes = BTreeMap::new();
        let wishes = group.members.iter().map(|(id, member)| {
            let mut topics = BTreeSet::new();
            for topic in group.subscribed(&member.profile).filter_map(|name| self.topics.get(name)) {
                topics.insert(topic.id);
                sizes.insert(topic.id, topic.partitions);
            }
            let instance = member.profile.instance_id.as_deref();
            (Arc::clone(id), Wish { instance, topics, has: group.target_of(id).clone() })
        });
        let wishes = wishes.collect();
        let target = assign(preferred(group, self.rules.assignors), &wishes, &sizes);
        let epoch = group.epoch;
        let differs = |(id, parts): &(Arc<str>, Parts)| group.target.get(id) != Some(parts);
        let changes: Vec<_> = target.into_iter().filter(differs).collect();
        for (id, parts) in changes {
            draft.put(Change::Target(id, Some(parts)));
        }
        draft.put(Change::TargetEpoch(Some((epoch, self.now.wall_ms))));
    }

    /// Moves the member towards its target.
    pub(super) fn step_of(
        &self,
        draft: &mut Draft<'_>,
        soft: &mut Soft,
        id: &Arc<str>,
        changed: bool,
        owned: Option<&Parts>,
    ) -> Result<Current, GroupError> {
        let group = draft.group();
        let Some(member) = group.members.get(id) else { return Err(GroupError::UnknownMember) };
        let subscribed = group.subscribed_ids(&member.profile, self.topics);
        let taken = |topic, partition| {
            let owner = group.owners.get(&topic).and_then(|owners| owners.get(&partition));
            owner.is_some_and(|owner| owner != id)
        };
        let around = Surroundings {
            target_epoch: group.target_epoch,
            target: group.target_of(id),
            subscribed: &subscribed,
            changed,
            taken: &taken,
            owned,
        };
        let next = reconcile::step(&member.current, &around).map_err(|_| GroupError::FencedEpoch)?;
        if next == member.current {
            return Ok(next);
        }
        if member.profile.classic.is_none() {
            if next.state == MemberState::Unrevoked {
                let until = after(self.now, member.profile.rebalance_timeout_ms);
                soft.revocations.insert(Arc::clone(id), (until, next.epoch));
            } else {
                soft.revocations.remove(id);
            }
        }
        draft.put_current(id, next.clone());
        Ok(next)
    }
}

/// The assignor most members wish for.
pub(super) fn preferred(group: &ConsumerGroup, allowed: Assignors) -> Assignor {
    let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
    for name in group.members.values().filter_map(|member| member.profile.assignor.as_deref()) {
        *votes.entry(name).or_default() += 1;
    }
    let most = votes.into_iter().max_by_key(|&(_, count)| count);
    most.and_then(|(name, _)| allowed.get(name)).unwrap_or(allowed.default_one())
}

/// A static member came back: what the old one had and was to have is the new one's.
pub(super) fn replace(draft: &mut Draft<'_>, soft: &mut Soft, old: &Arc<str>, new: &Arc<str>) {
    let group = draft.group();
    let Some(Member { profile, current }) = group.members.get(old).cloned() else { return };
    let target = group.target_of(old).clone();
    draft.remove_member(old);
    draft.put_member(new, profile);
    draft.put(Change::Target(Arc::clone(new), Some(target)));
    draft.put_current(new, Current { epoch: 0, previous: 0, ..current });
    soft.forget(old);
}

/// Patterns that nobody subscribes by any more are forgotten.
pub(super) fn drop_unused_patterns(draft: &mut Draft<'_>) {
    let group = draft.group();
    let used: BTreeSet<_> = group.members.values().filter_map(|member| member.profile.pattern()).collect();
    let unused: Vec<_> =
        group.regexes.keys().filter(|known| !used.contains(known.as_str())).cloned().collect();
    for pattern in unused {
        draft.put(Change::Regex(pattern, None));
    }
}

/// The member with what the heartbeat says; what it leaves out stays.
fn updated(old: Option<&Profile>, beat: ConsumerHeartbeat) -> Profile {
    let mut profile = old.cloned().unwrap_or(Profile { rebalance_timeout_ms: -1, ..Profile::default() });
    profile.instance_id = beat.instance_id.or(profile.instance_id);
    profile.rack_id = beat.rack_id.or(profile.rack_id);
    if beat.rebalance_timeout_ms >= 0 {
        profile.rebalance_timeout_ms = beat.rebalance_timeout_ms;
    }
    profile.assignor = beat.assignor.or(profile.assignor);
    if let Some(topics) = beat.topics {
        profile.topics = topics.into_iter().map(Arc::from).collect();
    }
    profile.regex = beat.regex.or(profile.regex);
    (profile.client_id, profile.client_host) = (beat.client_id, beat.client_host);
    profile.classic = None;
    profile
}
