//! The `range` assignor: each member a run of every topic it reads, the same run in topics alike; few moves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::id::TopicId;

use super::Parts;
use super::assign::Wishes;

/// Gives ranges out. Topics of one size that the same members read share one sharing-out, so that records of one key
/// meet at one member.
pub(super) fn assign(wishes: &Wishes<'_>, sizes: &BTreeMap<TopicId, i32>) -> BTreeMap<Arc<str>, Parts> {
    let mut alike: BTreeMap<(i32, Vec<&Arc<str>>), Vec<TopicId>> = BTreeMap::new();
    for (topic, size) in sizes {
        let mut readers: Vec<_> =
            wishes.iter().filter(|(_, wish)| wish.topics.contains(topic)).map(|(member, _)| member).collect();
        // Static members come in the order of their names, which outlive their ids.
        readers.sort_by_key(|member| {
            let instance = wishes.get(*member).and_then(|wish| wish.instance);
            (instance.is_none(), instance, Arc::clone(member))
        });
        if !readers.is_empty() {
            alike.entry((*size, readers)).or_default().push(*topic);
        }
    }
    let mut target: BTreeMap<Arc<str>, Parts> =
        wishes.keys().map(|member| (Arc::clone(member), Parts::new())).collect();
    for ((size, readers), topics) in alike {
        for (member, indexes) in readers.iter().zip(share(wishes, &readers, &topics, size)) {
            let Some(parts) = target.get_mut(*member).filter(|_| !indexes.is_empty()) else { continue };
            parts.extend(topics.iter().map(|topic| (*topic, indexes.clone())));
        }
    }
    target
}

/// The indexes each reader is to have, in their order.
fn share(wishes: &Wishes<'_>, readers: &[&Arc<str>], topics: &[TopicId], size: i32) -> Vec<BTreeSet<i32>> {
    let count = i32::try_from(readers.len()).unwrap_or(i32::MAX).max(1);
    let (quota, mut extra) = (size / count, size % count);
    let mut taken = BTreeSet::new();
    let mut shares = Vec::with_capacity(readers.len());
    for member in readers {
        let has = wishes.get(*member).and_then(|wish| topics.iter().find_map(|topic| wish.has.get(topic)));
        let mut keep: BTreeSet<i32> = has.into_iter().flatten().copied().collect();
        keep.retain(|index| (0..size).contains(index) && !taken.contains(index));
        let mut most = quota;
        if keep.len() > usize::try_from(quota).unwrap_or(0) && extra > 0 {
            extra -= 1;
            most += 1;
        }
        while keep.len() > usize::try_from(most).unwrap_or(0) {
            keep.pop_last();
        }
        taken.extend(keep.iter().copied());
        shares.push(keep);
    }
    let mut free = (0..size).filter(|index| !taken.contains(index));
    for share in &mut shares {
        let has = i32::try_from(share.len()).unwrap_or(i32::MAX);
        let mut wanted = quota - has;
        if has <= quota && extra > 0 {
            extra -= 1;
            wanted += 1;
        }
        share.extend(free.by_ref().take(usize::try_from(wanted).unwrap_or(0)));
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::super::assign::Wish;
    use super::*;

    /// A member: its id, its name if static, the topics it reads, what it has of each.
    type Given<'a> = (&'a str, Option<&'static str>, &'a [u8], &'a [i32]);

    fn run(members: &[Given<'_>], sizes: &[(u8, i32)]) -> Vec<Vec<(u8, Vec<i32>)>> {
        let id = |byte: u8| TopicId([byte; 16]);
        let wishes = members.iter().map(|&(name, instance, topics, has)| {
            let topics: BTreeSet<_> = topics.iter().map(|&byte| id(byte)).collect();
            let has = topics.iter().map(|topic| (*topic, has.iter().copied().collect())).collect();
            (Arc::from(name), Wish { instance, topics, has })
        });
        let sizes = sizes.iter().map(|&(byte, size)| (id(byte), size)).collect();
        let flat =
            |parts: Parts| parts.into_iter().map(|(topic, set)| (topic.0[0], set.into_iter().collect()));
        assign(&wishes.collect(), &sizes).into_values().map(|parts| flat(parts).collect()).collect()
    }

    #[test]
    fn topics_alike_are_shared_out_alike() {
        let fresh = run(&[("a", None, &[1, 2], &[]), ("b", None, &[1, 2], &[])], &[(1, 3), (2, 3)]);
        assert_eq!(fresh, [vec![(1, vec![0, 1]), (2, vec![0, 1])], vec![(1, vec![2]), (2, vec![2])]]);
        let third = run(
            &[("a", None, &[1, 2], &[0, 1]), ("b", None, &[1, 2], &[2]), ("c", None, &[1, 2], &[])],
            &[(1, 3), (2, 3)],
        );
        assert_eq!(third[2], [(1, vec![1]), (2, vec![1])]);
        assert_eq!(third[0], [(1, vec![0]), (2, vec![0])]);
    }

    #[test]
    fn static_members_come_in_the_order_of_their_names() {
        let both = run(&[("a", Some("z"), &[1], &[]), ("b", Some("y"), &[1], &[])], &[(1, 3)]);
        assert_eq!(both, [vec![(1, vec![2])], vec![(1, vec![0, 1])]]);
        let more = run(&[("a", None, &[1], &[]), ("b", None, &[1], &[])], &[(1, 1)]);
        assert_eq!(more, [vec![(1, vec![0])], vec![]]);
    }
}
