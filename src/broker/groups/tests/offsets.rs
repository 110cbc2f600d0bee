//! Offsets: who may commit, how they age, and that a restart loses none.

use super::*;
use crate::model::id::{TopicId, TopicPartition};
use crate::schema::consumer::Subscription;

const WEEK_MS: i64 = 7 * 24 * 60 * 60 * 1_000;

#[test]
fn a_consumer_without_a_group_commits_and_a_restart_keeps_it() {
    let mut world = World::new();
    assert_eq!(world.commit(-1, "", "t", 42), Ok(()));
    assert_eq!(world.offset("t"), Some(42));
    assert_eq!(world.state(), "Empty");
    world.reopen();
    assert_eq!(world.offset("t"), Some(42));
    assert_eq!(world.core.describe("g").unwrap().protocol_type, "");
    assert_eq!(world.commit(3, "m", "t", 1), Err(GroupError::UnknownMember));
    assert_eq!(world.core.list().len(), 1);
}

#[test]
fn commits_are_fenced_as_kafka_does() {
    let mut world = World::new();
    assert_eq!(world.commit(0, "m", "t", 1), Err(GroupError::GroupNotFound));
    let one = world.stable(&[who("a")]).remove(0);
    let id = one.member_id.clone();
    assert_eq!(world.commit(1, &id, "t", 5), Ok(()));
    assert_eq!(world.commit(0, &id, "t", 6), Err(GroupError::IllegalGeneration));
    assert_eq!(world.commit(1, "other", "t", 6), Err(GroupError::UnknownMember));
    assert_eq!(world.commit(-1, "", "t", 6), Err(GroupError::UnknownMember), "members are there");
    let again = world.join(&who("a"), &id);
    let told = world.joined(again).unwrap();
    assert_eq!(world.commit(2, &id, "t", 6), Err(GroupError::RebalanceInProgress), "while completing");
    let led = world.sync(&told, &[(&id, "x")]);
    world.synced(led).unwrap();
    let b = world.member_id(&who("b"));
    let _ = world.join(&who("b"), &b);
    assert_eq!(world.state(), "PreparingRebalance");
    assert_eq!(world.commit(2, &id, "t", 7), Ok(()), "what was read before the rebalance");
    assert_eq!(world.offset("t"), Some(7));
}

#[test]
fn a_long_note_is_refused_alone() {
    let mut world = World::with(Rules { offset_metadata_max_bytes: 3, ..Rules::default() });
    let offset = |partition, metadata: &str| NewOffset {
        topic: "t".into(),
        topic_id: TopicId::ZERO,
        partition,
        offset: 1,
        leader_epoch: 4,
        metadata: metadata.to_owned(),
    };
    let from = Sender { generation: -1, member_id: "", instance_id: None, knows_epochs: true };
    let offsets = vec![offset(0, "four"), offset(1, "ééé"), offset(2, "")];
    let (results, step) = world.core.commit(&Arc::from("g"), from, None, offsets, world.now);
    world.carry_out(step);
    assert_eq!(results, Ok(vec![Err(GroupError::MetadataTooLarge), Ok(()), Ok(())]));
    let kept = world.core.offsets("g").unwrap();
    assert_eq!(kept.len(), 2);
    assert_eq!(kept[&TopicPartition::new("t", 1)].metadata, "ééé");
}

#[test]
fn offsets_of_an_earlier_topic_of_the_name_are_none() {
    let mut world = World::new();
    let (old, new) = (TopicId([1; 16]), TopicId([2; 16]));
    let offset = NewOffset {
        topic: "t".into(),
        topic_id: old,
        partition: 0,
        offset: 9,
        leader_epoch: -1,
        metadata: String::new(),
    };
    let from = Sender { generation: -1, member_id: "", instance_id: None, knows_epochs: true };
    let (_, step) = world.core.commit(&Arc::from("g"), from, None, vec![offset], world.now);
    world.carry_out(step);
    world.reopen();
    let at = TopicPartition::new("t", 0);
    let late = world.core.topic_deleted("t", old);
    assert!(late.records.is_empty(), "the topic that bears the name keeps its offsets");
    assert_eq!(world.core.topic_deleted("t", new).records.len(), 1);
    assert_eq!(world.core.offset("g", &at, old).map(|kept| kept.offset), Some(9));
    assert_eq!(world.core.offset("g", &at, new), None);
    assert!(world.core.offset("g", &at, TopicId::ZERO).is_some(), "where no id is known the name decides");
}

#[test]
fn a_deleted_topic_takes_its_offsets_with_it() {
    let mut world = World::new();
    world.commit(-1, "", "t", 1).unwrap();
    world.commit(-1, "", "u", 2).unwrap();
    let step = world.core.topic_deleted("t", TopicId::ZERO);
    world.carry_out(step);
    assert_eq!((world.offset("t"), world.offset("u")), (None, Some(2)));
    world.reopen();
    assert_eq!((world.offset("t"), world.offset("u")), (None, Some(2)));
}

#[test]
fn offsets_without_a_group_age_from_their_commit() {
    let mut world = World::new();
    world.commit(-1, "", "old", 1).unwrap();
    world.pass(WEEK_MS / 2);
    world.commit(-1, "", "new", 2).unwrap();
    world.pass(WEEK_MS / 2 + 600_000);
    assert_eq!((world.offset("old"), world.offset("new")), (None, Some(2)));
    world.pass(WEEK_MS);
    assert_eq!(world.offset("new"), None);
    assert_eq!(world.state(), "Dead", "an empty group that keeps nothing is gone");
    assert_eq!(*world.core.durable(), Durable::default());
}

#[test]
fn offsets_of_a_group_age_from_the_day_the_last_member_left() {
    let mut world = World::new();
    let one = world.stable(&[Who { session_ms: 1_000_000, ..who("a") }]).remove(0);
    world.commit(1, &one.member_id, "t", 1).unwrap();
    for _ in 0..20 {
        world.pass(WEEK_MS / 4_000);
        world.heartbeat(1, &one.member_id).unwrap();
    }
    world.leave(&one.member_id, None).unwrap();
    world.pass(WEEK_MS - 1_200_000);
    assert_eq!(world.offset("t"), Some(1));
    world.reopen();
    world.pass(1_200_000 + 600_000);
    assert_eq!(world.offset("t"), None);
    assert_eq!(*world.core.durable(), Durable::default());
}

#[test]
fn a_living_group_loses_only_what_it_stopped_reading() {
    let mut world = World::new();
    // No null in it, so that it is text as well.
    let user_data = Some(Bytes::new());
    let reads = Subscription { topics: vec!["t".into()], user_data, ..Subscription::default() };
    let metadata: &'static [u8] = Box::leak(reads.encode(1).unwrap().to_vec().into_boxed_slice());
    let metadata = std::str::from_utf8(metadata).unwrap();
    let reader = Who { protocols: vec![("range", metadata)], session_ms: 1_800_000, ..who("a") };
    let one = world.stable(&[reader]).remove(0);
    world.commit(1, &one.member_id, "t", 1).unwrap();
    world.commit(1, &one.member_id, "gone", 2).unwrap();
    for _ in 0..400 {
        world.pass(1_790_000);
        world.heartbeat(1, &one.member_id).unwrap();
    }
    assert_eq!((world.offset("t"), world.offset("gone")), (Some(1), None));
}

#[test]
fn an_old_clients_wish_decides_when_its_offset_ends() {
    let mut world = World::new();
    let offset = NewOffset {
        topic: "t".into(),
        topic_id: TopicId::ZERO,
        partition: 0,
        offset: 9,
        leader_epoch: -1,
        metadata: String::new(),
    };
    let from = Sender { generation: -1, member_id: "", instance_id: None, knows_epochs: true };
    let (_, step) = world.core.commit(&Arc::from("g"), from, Some(1_000_000), vec![offset], world.now);
    world.carry_out(step);
    world.reopen();
    world.pass(999_999);
    assert_eq!(world.offset("t"), Some(9));
    world.pass(600_001);
    assert_eq!(world.offset("t"), None);
}
