//! The `uniform` assignor: as many partitions for everyone as can be, as few moves as can be; knows nothing of epochs.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::id::TopicId;

use super::Parts;
use super::assign::Wishes;

type Slot = (TopicId, i32);

/// Balances partitions over the members.
pub(super) fn assign(wishes: &Wishes<'_>, sizes: &BTreeMap<TopicId, i32>) -> BTreeMap<Arc<str>, Parts> {
    let mut held = kept(wishes, sizes);
    let mut free = unheld(&held, wishes, sizes);
    let mut topics = wishes.values().map(|wish| &wish.topics);
    let first = topics.next();
    if topics.all(|other| Some(other) == first) {
        alike(&mut held, free);
    } else {
        // What few may have is given out first.
        let readers = readers(wishes);
        free.sort_by_key(|(topic, partition)| (readers.get(topic).map_or(0, Vec::len), *topic, *partition));
        give_out(&mut held, free, &readers);
        balance(&mut held, &readers);
    }
    held.into_iter().map(|(member, slots)| (member, parts(slots))).collect()
}

fn parts(slots: BTreeSet<Slot>) -> Parts {
    let mut parts = Parts::new();
    for (topic, partition) in slots {
        parts.entry(topic).or_default().insert(partition);
    }
    parts
}

/// What each member may keep of what it has: partitions that are there, of topics it still reads, and that nobody
/// before it claims.
pub(super) fn kept(
    wishes: &Wishes<'_>,
    sizes: &BTreeMap<TopicId, i32>,
) -> BTreeMap<Arc<str>, BTreeSet<Slot>> {
    let mut taken: BTreeSet<Slot> = BTreeSet::new();
    let mut held = BTreeMap::new();
    for (member, wish) in wishes {
        let mut slots = BTreeSet::new();
        for (topic, partitions) in wish.has.iter().filter(|(topic, _)| wish.topics.contains(topic)) {
            let size = sizes.get(topic).copied().unwrap_or(0);
            for &partition in partitions.range(0..size.max(0)) {
                if taken.insert((*topic, partition)) {
                    slots.insert((*topic, partition));
                }
            }
        }
        held.insert(Arc::clone(member), slots);
    }
    held
}

/// The partitions that someone reads and nobody holds.
fn unheld(
    held: &BTreeMap<Arc<str>, BTreeSet<Slot>>,
    wishes: &Wishes<'_>,
    sizes: &BTreeMap<TopicId, i32>,
) -> Vec<Slot> {
    let taken: BTreeSet<Slot> = held.values().flatten().copied().collect();
    let wanted: BTreeSet<TopicId> = wishes.values().flat_map(|wish| &wish.topics).copied().collect();
    let all = wanted.into_iter().flat_map(|topic| {
        (0..sizes.get(&topic).copied().unwrap_or(0)).map(move |partition| (topic, partition))
    });
    all.filter(|slot| !taken.contains(slot)).collect()
}

/// Everyone reads the same: each gets the quota, and some one more.
fn alike(held: &mut BTreeMap<Arc<str>, BTreeSet<Slot>>, mut free: Vec<Slot>) {
    let members = held.len();
    if members == 0 {
        return;
    }
    let total = free.len() + held.values().map(BTreeSet::len).sum::<usize>();
    let (quota, mut extra) = (total / members, total % members);
    for slots in held.values_mut() {
        let mut keep = quota;
        if slots.len() > quota && extra > 0 {
            extra -= 1;
            keep += 1;
        }
        while slots.len() > keep {
            free.extend(slots.pop_last());
        }
    }
    free.sort_unstable();
    let mut free = free.into_iter();
    for slots in held.values_mut().filter(|slots| slots.len() < quota) {
        let missing = quota - slots.len();
        slots.extend(free.by_ref().take(missing));
    }
    // What is left is one each for some of those that have the bare quota.
    for slots in held.values_mut().filter(|slots| slots.len() == quota) {
        slots.extend(free.by_ref().take(1));
    }
}

/// Who reads each topic.
fn readers(wishes: &Wishes<'_>) -> BTreeMap<TopicId, Vec<Arc<str>>> {
    let mut readers: BTreeMap<TopicId, Vec<Arc<str>>> = BTreeMap::new();
    for (member, wish) in wishes {
        for topic in &wish.topics {
            readers.entry(*topic).or_default().push(Arc::clone(member));
        }
    }
    readers
}

fn count(held: &BTreeMap<Arc<str>, BTreeSet<Slot>>, member: &Arc<str>) -> usize {
    held.get(member).map_or(0, BTreeSet::len)
}

fn give_out(
    held: &mut BTreeMap<Arc<str>, BTreeSet<Slot>>,
    free: Vec<Slot>,
    readers: &BTreeMap<TopicId, Vec<Arc<str>>>,
) {
    for slot in free {
        let all = readers.get(&slot.0).map_or(&[][..], Vec::as_slice);
        let least = all.iter().min_by_key(|member| count(held, member)).cloned();
        if let Some(slots) = least.and_then(|member| held.get_mut(&member)) {
            slots.insert(slot);
        }
    }
}

/// Moves partitions from those with more to those with fewer, while a move makes the two more alike. Each move lowers
/// the sum of squares of the counts, so this ends.
fn balance(held: &mut BTreeMap<Arc<str>, BTreeSet<Slot>>, readers: &BTreeMap<TopicId, Vec<Arc<str>>>) {
    loop {
        let mut moved = false;
        for (topic, all) in readers {
            while let Some((from, to, slot)) = next_move(held, *topic, all) {
                if let Some(slots) = held.get_mut(&from) {
                    slots.remove(&slot);
                }
                if let Some(slots) = held.get_mut(&to) {
                    slots.insert(slot);
                }
                moved = true;
            }
        }
        if !moved {
            return;
        }
    }
}

fn next_move(
    held: &BTreeMap<Arc<str>, BTreeSet<Slot>>,
    topic: TopicId,
    readers: &[Arc<str>],
) -> Option<(Arc<str>, Arc<str>, Slot)> {
    let to = readers.iter().min_by_key(|member| count(held, member))?;
    let last = |member: &Arc<str>| {
        held.get(member).and_then(|slots| slots.range((topic, 0)..=(topic, i32::MAX)).next_back()).copied()
    };
    let mut from: Vec<_> = readers.iter().collect();
    from.sort_by_key(|member| Reverse(count(held, member)));
    let (from, slot) = from.into_iter().find_map(|member| Some((member, last(member)?)))?;
    (count(held, from) > count(held, to) + 1).then(|| (Arc::clone(from), Arc::clone(to), slot))
}

#[cfg(test)]
mod tests {
    use super::super::assign::Wish;
    use super::*;

    fn id(byte: u8) -> TopicId {
        TopicId([byte; 16])
    }

    fn wish(topics: &[u8], has: &[(u8, &[i32])]) -> Wish<'static> {
        Wish {
            instance: None,
            topics: topics.iter().map(|&byte| id(byte)).collect(),
            has: has.iter().map(|&(byte, parts)| (id(byte), parts.iter().copied().collect())).collect(),
        }
    }

    fn assigned(wishes: Vec<Wish<'static>>, sizes: &[(u8, i32)]) -> Vec<Vec<(u8, i32)>> {
        let wishes = wishes.into_iter().enumerate().map(|(at, wish)| (Arc::from(format!("m{at}")), wish));
        let sizes = sizes.iter().map(|&(byte, size)| (id(byte), size)).collect();
        let flat = |parts: Parts| {
            let each =
                parts.into_iter().flat_map(|(topic, set)| set.into_iter().map(move |at| (topic.0[0], at)));
            each.collect()
        };
        assign(&wishes.collect(), &sizes).into_values().map(flat).collect()
    }

    #[test]
    fn members_that_read_the_same_get_the_same_number_and_keep_what_they_have() {
        let fresh = assigned(vec![wish(&[1], &[]), wish(&[1], &[])], &[(1, 5)]);
        assert_eq!(fresh, [vec![(1, 0), (1, 1), (1, 4)], vec![(1, 2), (1, 3)]]);
        let joined = assigned(
            vec![wish(&[1], &[(1, &[0, 1, 4])]), wish(&[1], &[]), wish(&[1], &[(1, &[2, 3])])],
            &[(1, 5)],
        );
        assert_eq!(joined, [vec![(1, 0), (1, 1)], vec![(1, 4)], vec![(1, 2), (1, 3)]]);
        // Two claim partition 0, partition 9 is gone, topic 2 is no longer read.
        let odd = assigned(vec![wish(&[1], &[(1, &[0]), (2, &[0])]), wish(&[1], &[(1, &[0, 9])])], &[(1, 2)]);
        assert_eq!(odd, [vec![(1, 0)], vec![(1, 1)]]);
    }

    #[test]
    fn members_that_read_different_topics_are_evened_out_as_far_as_they_go() {
        let all = assigned(vec![wish(&[1], &[]), wish(&[1, 2], &[]), wish(&[2], &[])], &[(1, 4), (2, 2)]);
        assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 2]);
        let sticky =
            assigned(vec![wish(&[1, 2], &[(1, &[0, 1]), (2, &[0, 1])]), wish(&[2], &[])], &[(1, 2), (2, 2)]);
        assert_eq!(sticky, [vec![(1, 0), (1, 1)], vec![(2, 0), (2, 1)]]);
        assert_eq!(assigned(vec![wish(&[], &[]), wish(&[1], &[])], &[(1, 1)]), [vec![], vec![(1, 0)]]);
    }
}
