//! The cooperative sticky assignor: as even as the subscriptions allow, moving as little as possible; never gives
//! a partition to a new owner in the round in which the old one still holds it.

use super::{Subscriber, in_order};
use crate::model::id::TopicPartition;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// The whole division, as if everything could move at once. Partitions of each member, in the order of `members`.
pub(super) fn assign(members: &[Subscriber], counts: &BTreeMap<Arc<str>, i32>) -> Vec<Vec<TopicPartition>> {
    let order = in_order(members);
    let mut table = Table::new(members, counts);
    table.keep(members, &claims(members));
    table.deal(&order);
    table.balance(&order);
    table.into_partitions(members.len())
}

/// Takes out what another member still owns: it is given up first, and given on in the round that follows.
pub(super) fn withhold(
    members: &[Subscriber],
    mut given: Vec<Vec<TopicPartition>>,
) -> Vec<Vec<TopicPartition>> {
    let owners = claims(members);
    for (at, partitions) in given.iter_mut().enumerate() {
        partitions.retain(|partition| owners.get(partition).is_none_or(|&owner| owner == at));
    }
    given
}

/// Who owns what: the claim of the highest generation. Two claims of one generation cancel each other out,
/// because nobody can tell which is true.
fn claims(members: &[Subscriber]) -> HashMap<TopicPartition, usize> {
    let mut best: HashMap<&TopicPartition, (i32, Option<usize>)> = HashMap::new();
    for (at, member) in members.iter().enumerate() {
        for partition in member.owned.iter().collect::<HashSet<_>>() {
            let entry = best.entry(partition).or_insert((member.generation, Some(at)));
            if entry.1 == Some(at) || entry.0 > member.generation {
                continue;
            }
            *entry = match entry.0 == member.generation {
                true => (entry.0, None),
                false => (member.generation, Some(at)),
            };
        }
    }
    best.into_iter().filter_map(|(partition, (_, owner))| Some((partition.clone(), owner?))).collect()
}

/// The division as it comes about. Topics, partitions and members are indexes here.
struct Table {
    topics: Vec<Arc<str>>,
    /// Members that want each topic.
    wanted_by: Vec<Vec<usize>>,
    /// Partitions as (topic, index), by topic and index.
    partitions: Vec<(usize, i32)>,
    /// Owner of each partition.
    owner: Vec<Option<usize>>,
    /// How many each member has.
    load: Vec<usize>,
}

impl Table {
    fn new(members: &[Subscriber], counts: &BTreeMap<Arc<str>, i32>) -> Self {
        let topics: Vec<Arc<str>> = counts.keys().cloned().collect();
        let wanting = |topic: &Arc<str>| {
            (0..members.len()).filter(|&at| members[at].topics.contains(topic)).collect::<Vec<_>>()
        };
        let wanted_by: Vec<Vec<usize>> = topics.iter().map(wanting).collect();
        let partitions: Vec<(usize, i32)> = counts
            .values()
            .enumerate()
            .filter(|&(topic, _)| !wanted_by[topic].is_empty())
            .flat_map(|(topic, &count)| (0..count).map(move |index| (topic, index)))
            .collect();
        let owner = vec![None; partitions.len()];
        Self { topics, wanted_by, partitions, owner, load: vec![0; members.len()] }
    }

    fn give(&mut self, partition: usize, to: usize) {
        if let Some(from) = self.owner[partition].replace(to) {
            self.load[from] -= 1;
        }
        self.load[to] += 1;
    }

    /// Everyone keeps what they own and still want.
    fn keep(&mut self, members: &[Subscriber], claims: &HashMap<TopicPartition, usize>) {
        for at in 0..self.partitions.len() {
            let (topic, index) = self.partitions[at];
            let name = &self.topics[topic];
            if let Some(&owner) = claims.get(&TopicPartition::new(name.clone(), index))
                && members[owner].topics.contains(name)
            {
                self.give(at, owner);
            }
        }
    }

    /// Partitions without an owner go to whoever has least; those that few want go first.
    fn deal(&mut self, order: &[usize]) {
        let place = places(order);
        let mut free: Vec<usize> =
            (0..self.partitions.len()).filter(|&at| self.owner[at].is_none()).collect();
        free.sort_by_key(|&at| self.wanted_by[self.partitions[at].0].len());
        for at in free {
            let takers = &self.wanted_by[self.partitions[at].0];
            if let Some(to) = takers.iter().copied().min_by_key(|&member| (self.load[member], place[member]))
            {
                self.give(at, to);
            }
        }
    }

    /// Moves one partition after the other to whoever has at least two fewer, the widest gaps first, until nobody
    /// can gain. Ends because every move makes the loads' sum of squares smaller.
    fn balance(&mut self, order: &[usize]) {
        let place = places(order);
        loop {
            let widest =
                (0..self.partitions.len()).filter_map(|at| self.gap(at, &place)).map(|(gap, _)| gap).max();
            let Some(widest) = widest.filter(|&gap| gap >= 2) else { return };
            // From the last partition on, so that what stays is the older, lower part.
            for at in (0..self.partitions.len()).rev() {
                if let Some((gap, to)) = self.gap(at, &place)
                    && gap >= widest
                {
                    self.give(at, to);
                }
            }
        }
    }

    /// How much more the partition's owner has than whoever has least of those who want it, and who that is.
    fn gap(&self, at: usize, place: &[usize]) -> Option<(usize, usize)> {
        let takers = &self.wanted_by[self.partitions[at].0];
        let to = takers.iter().copied().min_by_key(|&member| (self.load[member], place[member]))?;
        Some((self.load[self.owner[at]?].saturating_sub(self.load[to]), to))
    }

    fn into_partitions(self, members: usize) -> Vec<Vec<TopicPartition>> {
        let mut out = vec![Vec::new(); members];
        for (&(topic, index), owner) in self.partitions.iter().zip(&self.owner) {
            if let Some(owner) = *owner {
                out[owner].push(TopicPartition::new(self.topics[topic].clone(), index));
            }
        }
        out
    }
}

/// The inverse of an order: each member's place in it.
fn places(order: &[usize]) -> Vec<usize> {
    let mut place = vec![0; order.len()];
    for (at, &member) in order.iter().enumerate() {
        place[member] = at;
    }
    place
}

#[cfg(test)]
mod tests {
    use super::super::Assignor;
    use super::*;
    use proptest::prelude::*;

    fn member(id: usize, topics: Vec<Arc<str>>) -> Subscriber {
        Subscriber { member_id: format!("m{id:02}"), topics, generation: -1, ..Subscriber::default() }
    }

    fn name(topic: usize) -> Arc<str> {
        Arc::from(format!("t{topic}"))
    }

    fn world() -> impl Strategy<Value = (Vec<Subscriber>, BTreeMap<Arc<str>, i32>)> {
        let counts = prop::collection::vec(0..9i32, 1..4);
        let wants = prop::collection::vec(prop::collection::vec(any::<bool>(), 4), 1..7);
        (counts, wants).prop_map(|(counts, wants)| {
            let members = wants.iter().enumerate().map(|(id, want)| {
                member(id, (0..counts.len()).filter(|&topic| want[topic]).map(name).collect())
            });
            let members = members.collect();
            (members, counts.iter().enumerate().map(|(topic, &count)| (name(topic), count)).collect())
        })
    }

    /// Rounds until nothing is withheld, as members go through them.
    fn settle(members: &mut [Subscriber], counts: &BTreeMap<Arc<str>, i32>, from: i32) -> usize {
        for round in 1.. {
            let given = Assignor::CooperativeSticky.assign(members, counts);
            let mut gave_up = false;
            for member in members.iter_mut() {
                let next = given[&member.member_id].clone();
                gave_up |= member.owned.iter().any(|partition| !next.contains(partition));
                member.owned = next;
                member.generation = from + round;
            }
            if !gave_up {
                return round as usize;
            }
            assert!(round < 4, "does not settle");
        }
        0
    }

    fn check(members: &[Subscriber], counts: &BTreeMap<Arc<str>, i32>) {
        let mut seen = HashSet::new();
        for member in members {
            for partition in &member.owned {
                assert!(seen.insert(partition.clone()), "{partition} twice");
                assert!(member.topics.contains(&partition.topic), "{partition} not wanted");
            }
        }
        for (topic, &count) in counts {
            let wanted = members.iter().any(|member| member.topics.contains(topic));
            for index in 0..count {
                let given = seen.contains(&TopicPartition::new(topic.clone(), index));
                assert_eq!(given, wanted, "{topic}-{index}");
            }
        }
        for rich in members {
            for poor in members {
                let could = rich.owned.iter().any(|partition| poor.topics.contains(&partition.topic));
                assert!(!could || rich.owned.len() <= poor.owned.len() + 1, "unbalanced: {rich:?} {poor:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn complete_balanced_and_settled((mut members, counts) in world(), leaver in any::<prop::sample::Index>()) {
            prop_assert!(settle(&mut members, &counts, 0) <= 2);
            check(&members, &counts);
            let before: Vec<_> = members.iter().map(|member| member.owned.clone()).collect();
            // Nothing changes: nothing moves.
            prop_assert_eq!(settle(&mut members, &counts, 10), 1);
            prop_assert_eq!(&before, &members.iter().map(|member| member.owned.clone()).collect::<Vec<_>>());
            // One leaves: division stays whole and even.
            members.remove(leaver.index(members.len()));
            settle(&mut members, &counts, 20);
            check(&members, &counts);
            // One with every topic comes.
            members.push(member(99, counts.keys().cloned().collect()));
            settle(&mut members, &counts, 30);
            check(&members, &counts);
        }

        #[test]
        fn with_equal_subscriptions_only_what_must_moves(count in 1..40i32, size in 2..8usize) {
            let counts = BTreeMap::from([(name(0), count)]);
            let mut members: Vec<_> = (0..size).map(|id| member(id, vec![name(0)])).collect();
            settle(&mut members, &counts, 0);
            let gone = members.pop().unwrap();
            let before = members.clone();
            settle(&mut members, &counts, 10);
            for (old, new) in before.iter().zip(&members) {
                prop_assert!(old.owned.iter().all(|partition| new.owned.contains(partition)));
            }
            members.push(Subscriber { owned: Vec::new(), ..gone });
            let before = members.clone();
            settle(&mut members, &counts, 20);
            let moved: usize = before.iter().zip(&members)
                .map(|(old, new)| old.owned.iter().filter(|partition| !new.owned.contains(partition)).count()).sum();
            prop_assert_eq!(moved, members.last().unwrap().owned.len());
        }
    }

    #[test]
    fn a_partition_moves_only_after_its_owner_gave_it_up() {
        let counts = BTreeMap::from([(name(0), 2)]);
        let mut old = member(0, vec![name(0)]);
        old.owned = (0..2).map(|index| TopicPartition::new(name(0), index)).collect();
        old.generation = 1;
        let mut members = [old, member(1, vec![name(0)])];
        let first = Assignor::CooperativeSticky.assign(&members, &counts);
        assert_eq!((first["m00"].len(), first["m01"].len()), (1, 0));
        members[0].owned = first["m00"].clone();
        let second = Assignor::CooperativeSticky.assign(&members, &counts);
        assert_eq!((second["m00"].len(), second["m01"].len()), (1, 1));
    }

    #[test]
    fn the_older_generations_claim_is_void_and_two_equal_ones_cancel() {
        let partition = TopicPartition::new(name(0), 0);
        let mut members = [member(0, vec![name(0)]), member(1, vec![name(0)])];
        for (member, generation) in members.iter_mut().zip([3, 4]) {
            member.owned = vec![partition.clone()];
            member.generation = generation;
        }
        assert_eq!(claims(&members), HashMap::from([(partition, 1)]));
        members[0].generation = 4;
        assert_eq!(claims(&members), HashMap::new());
    }
}
