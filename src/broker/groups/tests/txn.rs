//! Offsets within transactions: they count from the commit on, the later record wins, and neither a restart nor
//! compaction tells it otherwise.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::consumers::{beat, id, joining, topics};
use super::*;
use crate::model::id::{TopicId, TopicPartition};

const WEEK_MS: i64 = 7 * 24 * 60 * 60 * 1_000;
const PRODUCER: (i64, i16) = (1_000, 0);
const NOBODY: Sender<'static> =
    Sender { generation: -1, member_id: "", instance_id: None, knows_epochs: true };

fn new_offset(topic: &str, offset: i64) -> NewOffset {
    NewOffset {
        topic: topic.into(),
        topic_id: TopicId::ZERO,
        partition: 0,
        offset,
        leader_epoch: -1,
        metadata: String::new(),
    }
}

fn member<'a>(generation: i32, member_id: &'a str, instance_id: Option<&'a str>) -> Sender<'a> {
    Sender { generation, member_id, instance_id, knows_epochs: true }
}

impl World {
    fn commit_in_txn(
        &mut self,
        group: &str,
        from: Sender<'_>,
        producer: (i64, i16),
        topic: &str,
        offset: i64,
    ) -> Result<(), GroupError> {
        let offsets = vec![new_offset(topic, offset)];
        let (results, step) = self.core.commit_in_txn(&group.into(), from, producer, offsets, self.now);
        self.carry_out(step);
        results?.remove(0)
    }

    fn in_txn(&mut self, topic: &str, offset: i64) {
        self.commit_in_txn("g", NOBODY, PRODUCER, topic, offset).unwrap();
    }

    fn end(&mut self, producer_id: i64, commit: bool) {
        self.log.push(Entry::Marker { producer_id, commit });
        self.replayed.end_transaction(producer_id, commit);
        self.core.end_transaction(producer_id, commit);
        self.check();
    }

    fn committed(&self, group: &str, topic: &str, stable: bool) -> Committed {
        self.core.committed(group, &TopicPartition::new(topic, 0), TopicId::ZERO, stable)
    }

    /// The log as compaction may leave it: of what is below the last stable offset only the last record of a key, and
    /// nothing of aborted transactions; with `bare`, no tombstone either.
    fn compacted(&self, bare: bool) -> Vec<(i64, &Entry)> {
        let every = || (0i64..).zip(&self.log);
        let ending = |at: i64, producer: i64| {
            every().skip_while(|(other, _)| *other <= at).find_map(|(_, entry)| match *entry {
                Entry::Marker { producer_id, commit } if producer_id == producer => Some(commit),
                _ => None,
            })
        };
        let is_open = |&(at, entry): &(i64, &Entry)| match entry {
            Entry::Record { producer: Some((producer, _)), .. } => ending(at, *producer).is_none(),
            _ => false,
        };
        let stable = every().find(is_open).map_or(i64::MAX, |(at, _)| at);
        let mut last = BTreeMap::new();
        for (at, entry) in every().take_while(|(at, _)| *at < stable) {
            if let Entry::Record { key, producer, .. } = entry
                && producer.is_none_or(|(producer, _)| ending(at, producer) == Some(true))
            {
                last.insert(key, at);
            }
        }
        let stays = |&(at, entry): &(i64, &Entry)| match entry {
            Entry::Record { key, value, .. } if at < stable => {
                last.get(key) == Some(&at) && !(bare && value.is_none())
            }
            _ => true,
        };
        every().filter(stays).collect()
    }

    /// Ends the process and reads a log that was compacted meanwhile.
    fn reopen_compacted(&mut self, bare: bool) {
        let read = fold(self.compacted(bare));
        assert_eq!(read, self.replayed, "compaction changes nothing");
        self.reopen();
    }
}

fn fold<'a>(log: impl IntoIterator<Item = (i64, &'a Entry)>) -> Durable {
    let mut durable = Durable::default();
    for (at, entry) in log {
        match entry {
            Entry::Record { key, value, producer } => {
                let read = GroupRecord::decode(key.clone(), value.clone()).unwrap().unwrap();
                durable.apply(read, at, *producer);
            }
            Entry::Marker { producer_id, commit } => durable.end_transaction(*producer_id, *commit),
        }
    }
    durable
}

#[test]
fn offsets_count_from_the_commit_on_and_vanish_with_an_abort() {
    let mut world = World::new();
    world.commit(-1, "", "t", 1).unwrap();
    for (offset, commit) in [(7, false), (8, true)] {
        let before = world.offset("t");
        world.in_txn("t", offset - 1);
        world.in_txn("t", offset);
        world.in_txn("u", offset);
        world.reopen();
        assert_eq!((world.offset("t"), world.offset("u")), (before, None), "nobody sees them yet");
        world.end(PRODUCER.0 + 1, true);
        assert_eq!(world.offset("t"), before, "another producer's end is not this one's");
        world.end(PRODUCER.0, commit);
        let told = if commit { (Some(8), Some(8)) } else { (Some(1), None) };
        assert_eq!((world.offset("t"), world.offset("u")), told);
        world.reopen();
        assert_eq!((world.offset("t"), world.offset("u")), told);
    }
    world.end(PRODUCER.0, true);
    assert_eq!(world.offset("t"), Some(8), "a marker that comes twice does nothing");
}

#[test]
fn of_two_commits_the_later_record_counts_whenever_the_transaction_ends() {
    let mut world = World::new();
    world.in_txn("t", 5);
    world.commit(-1, "", "t", 9).unwrap();
    world.end(PRODUCER.0, true);
    assert_eq!(world.offset("t"), Some(9), "the plain commit was recorded later");
    world.commit_in_txn("g", NOBODY, (1, 0), "t", 20).unwrap();
    world.commit_in_txn("g", NOBODY, (2, 0), "t", 30).unwrap();
    world.end(2, true);
    world.end(1, true);
    assert_eq!(world.offset("t"), Some(30));
    world.reopen_compacted(false);
    assert_eq!(world.offset("t"), Some(30));
}

#[test]
fn a_reader_that_asks_for_stable_offsets_is_told_to_wait() {
    let mut world = World::new();
    world.commit(-1, "", "t", 1).unwrap();
    world.in_txn("t", 5);
    world.in_txn("new", 5);
    let offset = |told| match told {
        Committed::At(kept) => Some(kept.offset),
        Committed::Nothing => None,
        Committed::Unstable => Some(-88),
    };
    for round in 0..2 {
        assert_eq!(offset(world.committed("g", "t", false)), Some(1));
        assert_eq!(offset(world.committed("g", "new", false)), None);
        assert_eq!(offset(world.committed("g", "t", true)), Some(-88));
        assert_eq!(offset(world.committed("g", "new", true)), Some(-88));
        assert_eq!(offset(world.committed("g", "other", true)), None);
        assert_eq!(offset(world.committed("h", "t", true)), None, "round {round}");
        world.reopen();
    }
    world.commit_in_txn("g", NOBODY, (2, 0), "t", 6).unwrap();
    world.end(PRODUCER.0, true);
    assert_eq!(offset(world.committed("g", "t", true)), Some(-88), "another one holds it");
    assert_eq!(offset(world.committed("g", "new", true)), Some(5));
    world.end(2, false);
    assert_eq!(offset(world.committed("g", "t", true)), Some(5));
}

#[test]
fn members_of_classic_groups_are_held_to_what_they_say() {
    let mut world = World::new();
    let told = |world: &mut World, from: Sender<'_>| world.commit_in_txn("g", from, PRODUCER, "t", 5);
    assert_eq!(told(&mut world, member(0, "m", None)), Err(GroupError::IllegalGeneration), "no such group");
    let one = world.stable(&[static_who("a", "one")]).remove(0);
    let me = one.member_id.as_str();
    assert_eq!(told(&mut world, member(1, me, None)), Ok(()));
    assert_eq!(told(&mut world, member(1, me, Some("one"))), Ok(()));
    assert_eq!(told(&mut world, NOBODY), Ok(()), "older clients say nothing");
    assert_eq!(told(&mut world, member(0, me, None)), Err(GroupError::IllegalGeneration));
    assert_eq!(told(&mut world, member(-1, me, None)), Err(GroupError::IllegalGeneration));
    assert_eq!(told(&mut world, member(1, "other", None)), Err(GroupError::UnknownMember));
    assert_eq!(told(&mut world, member(1, "", None)), Err(GroupError::UnknownMember));
    assert_eq!(told(&mut world, member(1, "other", Some("one"))), Err(GroupError::FencedInstance));
    assert_eq!(told(&mut world, member(1, me, Some("two"))), Err(GroupError::UnknownMember));
    let again = world.join(&Who { protocols: vec![("range", "x")], ..static_who("a", "one") }, me);
    let generation = world.joined(again).unwrap().generation;
    assert_eq!(world.state(), "CompletingRebalance");
    assert_eq!(told(&mut world, member(generation, me, None)), Ok(()), "a rebalance is no hindrance");
    assert_eq!(told(&mut world, NOBODY), Ok(()));
}

#[test]
fn members_of_consumer_groups_are_held_to_their_epoch() {
    let mut world = World::new();
    world.core.see(topics(1, &[("t", 2)]));
    assert_eq!(world.beat(joining("a", &["t"])).unwrap().epoch, 2);
    let told = |world: &mut World, epoch, topic: &str, from: &str| {
        let mut offset = new_offset(topic, 5);
        offset.topic_id = id(topic);
        let from = member(epoch, from, None);
        let (results, step) = world.core.commit_in_txn(&"g".into(), from, PRODUCER, vec![offset], world.now);
        world.carry_out(step);
        results.map(|results| results[0])
    };
    assert_eq!(told(&mut world, 2, "t", "a"), Ok(Ok(())));
    assert_eq!(told(&mut world, -1, "t", ""), Ok(Ok(())), "older clients say nothing");
    assert_eq!(told(&mut world, 3, "t", "a"), Err(GroupError::IllegalGeneration));
    assert_eq!(told(&mut world, 1, "t", "a"), Err(GroupError::IllegalGeneration));
    assert_eq!(told(&mut world, 2, "t", "b"), Err(GroupError::UnknownMember));
    assert_eq!(told(&mut world, -1, "t", "b"), Err(GroupError::UnknownMember));
    // Another member makes a later epoch, and takes nothing away yet: what was its own since before is.
    world.beat(joining("b", &["t"])).unwrap();
    world.core.see(topics(2, &[("t", 2), ("u", 1)]));
    let held = ConsumerHeartbeat { owned: Some(super::consumers::parts(&[("t", &[0, 1])])), ..beat("a", 2) };
    world.beat(held).unwrap();
    let given = ConsumerHeartbeat { owned: Some(super::consumers::parts(&[("t", &[0])])), ..beat("a", 2) };
    assert_eq!(world.beat(given).unwrap().epoch, 3);
    assert_eq!(told(&mut world, 2, "t", "a"), Ok(Ok(())), "it has had the partition since (KIP-1251)");
    assert_eq!(told(&mut world, 2, "u", "a"), Err(GroupError::IllegalGeneration));
    world.end(PRODUCER.0, true);
    assert_eq!(world.offset("t"), Some(5));
}

#[test]
fn a_long_note_is_refused_alone_within_a_transaction_too() {
    let mut world = World::with(Rules { offset_metadata_max_bytes: 3, ..Rules::default() });
    let long = NewOffset { metadata: "four".into(), ..new_offset("t", 1) };
    let offsets = vec![long.clone(), new_offset("u", 2)];
    let (results, step) = world.core.commit_in_txn(&"g".into(), NOBODY, PRODUCER, offsets, world.now);
    world.carry_out(step);
    assert_eq!(results, Ok(vec![Err(GroupError::MetadataTooLarge), Ok(())]));
    world.end(PRODUCER.0, true);
    assert_eq!((world.offset("t"), world.offset("u")), (None, Some(2)));
    let (results, step) = world.core.commit_in_txn(&"h".into(), NOBODY, PRODUCER, vec![long], world.now);
    assert_eq!((results, step.records.len()), (Ok(vec![Err(GroupError::MetadataTooLarge)]), 0));
    assert!(world.core.describe("h").is_none(), "nothing was kept, nothing was made");
}

#[test]
fn what_a_transaction_may_replace_does_not_age_nor_does_its_group() {
    let mut world = World::new();
    world.commit(-1, "", "t", 1).unwrap();
    world.commit(-1, "", "old", 1).unwrap();
    world.in_txn("t", 2);
    world.commit_in_txn("only", NOBODY, (2, 0), "t", 3).unwrap();
    for _ in 0..2 {
        world.pass(WEEK_MS + 600_000);
        assert_eq!((world.offset("t"), world.offset("old")), (Some(1), None));
        assert!(world.core.describe("only").is_some(), "its offsets may come yet");
        world.reopen();
    }
    world.end(PRODUCER.0, false);
    world.end(2, false);
    world.pass(600_000);
    assert_eq!((world.offset("t"), world.state()), (None, "Dead"));
    assert!(world.core.describe("only").is_none());
    assert_eq!(*world.core.durable(), Durable::default());
}

#[test]
fn what_an_admin_takes_away_does_not_come_back_with_a_commit() {
    let mut world = World::new();
    world.commit(-1, "", "t", 1).unwrap();
    world.in_txn("t", 2);
    world.in_txn("u", 2);
    world.in_txn("v", 2);
    let (deleted, step) = world.core.delete_offsets(&"g".into(), &[TopicPartition::new("u", 0)]);
    assert_eq!(
        (deleted, step.records.len()),
        (Ok(vec![Ok(())]), 1),
        "a tombstone, though nothing counts yet"
    );
    world.carry_out(step);
    let step = world.core.topic_deleted("v", TopicId::ZERO);
    assert_eq!(step.records.len(), 1);
    world.carry_out(step);
    world.reopen();
    world.end(PRODUCER.0, true);
    assert_eq!((world.offset("t"), world.offset("u"), world.offset("v")), (Some(2), None, None));
    world.in_txn("t", 3);
    world.in_txn("u", 3);
    let (deleted, step) = world.core.delete_group(&"g".into());
    assert_eq!((deleted, step.records.len()), (Ok(()), 2), "one tombstone a partition");
    world.carry_out(step);
    world.reopen();
    assert_eq!(world.state(), "Dead");
    world.in_txn("w", 4);
    world.end(PRODUCER.0, true);
    assert_eq!((world.offset("t"), world.offset("u"), world.offset("w")), (None, None, Some(4)));
}

#[derive(Debug, Clone)]
enum Operation {
    Plain(usize, usize),
    InTxn(usize, usize, usize),
    End(usize, bool),
    DeleteOffsets(usize, usize),
    DeleteGroup(usize),
    DeleteTopic(usize),
    Reopen(Option<bool>),
}

const GROUPS: [&str; 2] = ["g", "h"];
const TOPICS: [&str; 3] = ["t", "u", "v"];
const PRODUCERS: usize = 3;

fn operation() -> impl Strategy<Value = Operation> {
    let (group, topic, producer) = (0..GROUPS.len(), 0..TOPICS.len(), 0..PRODUCERS);
    let reopen = prop_oneof![Just(None), any::<bool>().prop_map(Some)];
    prop_oneof![
        4 => (group.clone(), topic.clone()).prop_map(|(group, topic)| Operation::Plain(group, topic)),
        6 => (producer.clone(), group.clone(), topic.clone())
            .prop_map(|(producer, group, topic)| Operation::InTxn(producer, group, topic)),
        4 => (producer, any::<bool>()).prop_map(|(producer, commit)| Operation::End(producer, commit)),
        1 => (group.clone(), topic.clone()).prop_map(|(group, topic)| Operation::DeleteOffsets(group, topic)),
        1 => group.prop_map(Operation::DeleteGroup),
        1 => topic.prop_map(Operation::DeleteTopic),
        2 => reopen.prop_map(Operation::Reopen),
    ]
}

/// What happened, by itself: what it comes to is worked out anew for each question.
enum Event {
    Offset { producer: Option<usize>, group: usize, topic: usize, offset: i64 },
    End { producer: usize, commit: bool },
    Gone { group: usize, topic: usize },
}

/// The offset of a partition, and whether a transaction may replace it: of what was committed, whenever that came to
/// be, the last one recorded since the partition's offset was last taken away.
fn expected(events: &[Event], asked: (usize, usize)) -> (Option<i64>, bool) {
    let gone = |event: &Event| matches!(*event, Event::Gone { group, topic } if (group, topic) == asked);
    let since = events.iter().rposition(gone).map_or(0, |at| at + 1);
    let (mut last, mut unstable) = (None, false);
    for (at, event) in events.iter().enumerate().skip(since) {
        let Event::Offset { producer, group, topic, offset } = *event else { continue };
        if (group, topic) != asked {
            continue;
        }
        let ending = producer.map(|producer| {
            events[at..].iter().find_map(|event| match *event {
                Event::End { producer: other, commit } if other == producer => Some(commit),
                _ => None,
            })
        });
        match ending {
            None | Some(Some(true)) => last = Some(offset),
            Some(Some(false)) => {}
            Some(None) => unstable = true,
        }
    }
    (last, unstable)
}

fn delete(world: &mut World, decide: impl FnOnce(&mut World) -> Step) {
    let step = decide(world);
    let keys: BTreeSet<_> = step.records.iter().map(|record| record.encode().unwrap().0).collect();
    assert_eq!(keys.len(), step.records.len(), "one tombstone a partition");
    world.carry_out(step);
}

fn run(world: &mut World, events: &mut Vec<Event>, operation: Operation, offset: i64) {
    match operation {
        Operation::Plain(group, topic) => {
            let offsets = vec![new_offset(TOPICS[topic], offset)];
            let id = Arc::from(GROUPS[group]);
            let (results, step) = world.core.commit(&id, NOBODY, None, offsets, world.now);
            results.unwrap().remove(0).unwrap();
            world.carry_out(step);
            events.push(Event::Offset { producer: None, group, topic, offset });
        }
        Operation::InTxn(producer, group, topic) => {
            let stamp = (producer as i64, 0);
            world.commit_in_txn(GROUPS[group], NOBODY, stamp, TOPICS[topic], offset).unwrap();
            events.push(Event::Offset { producer: Some(producer), group, topic, offset });
        }
        Operation::End(producer, commit) => {
            world.end(producer as i64, commit);
            events.push(Event::End { producer, commit });
        }
        Operation::DeleteOffsets(group, topic) => {
            let at = [TopicPartition::new(TOPICS[topic], 0)];
            delete(world, |world| world.core.delete_offsets(&GROUPS[group].into(), &at).1);
            events.push(Event::Gone { group, topic });
        }
        Operation::DeleteGroup(group) => {
            delete(world, |world| world.core.delete_group(&GROUPS[group].into()).1);
            events.extend((0..TOPICS.len()).map(|topic| Event::Gone { group, topic }));
        }
        Operation::DeleteTopic(topic) => {
            delete(world, |world| world.core.topic_deleted(TOPICS[topic], TopicId::ZERO));
            events.extend((0..GROUPS.len()).map(|group| Event::Gone { group, topic }));
        }
        Operation::Reopen(None) => world.reopen(),
        Operation::Reopen(Some(bare)) => world.reopen_compacted(bare),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]
    #[test]
    fn whatever_commits_transactions_ends_and_deletions_come_in_the_last_that_counts_is_told(
        operations in proptest::collection::vec(operation(), 1..60),
    ) {
        let mut world = World::new();
        let mut events = Vec::new();
        for (offset, operation) in (0..).zip(operations) {
            run(&mut world, &mut events, operation, offset);
            for (group, name) in GROUPS.iter().enumerate() {
                let mut any = false;
                for (topic, at) in TOPICS.iter().enumerate() {
                    let (last, unstable) = expected(&events, (group, topic));
                    any |= last.is_some() || unstable;
                    let told = match world.committed(name, at, false) {
                        Committed::At(kept) => Some(kept.offset),
                        _ => None,
                    };
                    prop_assert_eq!(told, last, "{} {}", name, at);
                    prop_assert_eq!(world.committed(name, at, true) == Committed::Unstable, unstable);
                }
                prop_assert!(!any || world.core.describe(name).is_some(), "{} has offsets, now or soon", name);
            }
        }
    }
}
