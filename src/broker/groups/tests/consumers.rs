//! Scenarios of consumer groups (KIP-848): epochs, revocation before assignment, fencing, patterns, both protocols.

use std::collections::{BTreeMap, BTreeSet};

use super::super::topics::{SeenTopic, Topics};
use super::*;
use crate::model::id::TopicId;
use crate::schema::consumer::{Assignment, Subscription};

pub(super) type Parts = BTreeMap<TopicId, BTreeSet<i32>>;

/// The topics given, each with its number of partitions; ids are made of the names' first letters.
pub(super) fn topics(version: u64, all: &[(&str, i32)]) -> Arc<Topics> {
    let seen =
        all.iter().map(|&(name, partitions)| (Arc::from(name), SeenTopic { id: id(name), partitions }));
    Arc::new(Topics::new(version, seen))
}

pub(super) fn id(name: &str) -> TopicId {
    TopicId([name.as_bytes()[0]; 16])
}

pub(super) fn parts(all: &[(&str, &[i32])]) -> Parts {
    all.iter().map(|&(name, indexes)| (id(name), indexes.iter().copied().collect())).collect()
}

/// A heartbeat that says nothing new.
pub(super) fn beat(member_id: &str, epoch: i32) -> ConsumerHeartbeat {
    ConsumerHeartbeat {
        group: "g".into(),
        member_id: member_id.to_owned(),
        epoch,
        instance_id: None,
        rack_id: None,
        rebalance_timeout_ms: -1,
        topics: None,
        regex: None,
        assignor: None,
        owned: None,
        client_id: "client".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        draw: "drawn".to_owned(),
        timing: Timing { session_ms: 45_000, interval_ms: 5_000, assignment_interval_ms: 0 },
    }
}

/// A member's first heartbeat.
pub(super) fn joining(member_id: &str, names: &[&str]) -> ConsumerHeartbeat {
    ConsumerHeartbeat {
        rebalance_timeout_ms: 60_000,
        topics: Some(names.iter().map(|&name| name.to_owned()).collect()),
        owned: Some(Parts::new()),
        ..beat(member_id, 0)
    }
}

impl World {
    pub(super) fn beat(&mut self, beat: ConsumerHeartbeat) -> Result<Beat, GroupError> {
        let (beaten, step) =
            self.core.consumer_heartbeat(beat, &|name| !name.starts_with("secret"), self.now);
        self.carry_out(step);
        beaten
    }

    fn consumers(topics: Arc<Topics>) -> Self {
        let mut world = Self::new();
        world.core.see(topics);
        world
    }

    fn group_epoch(&self) -> i32 {
        self.core.describe_consumer("g").unwrap().epoch
    }

    fn consumer_state(&self) -> &'static str {
        self.core.describe_consumer("g").map_or("Dead", |group| group.state)
    }
}

#[test]
fn a_partition_is_given_only_after_its_owner_has_given_it_back() {
    let mut world = World::consumers(topics(1, &[("t", 4)]));
    let a = world.beat(joining("a", &["t"])).unwrap();
    assert_eq!((a.epoch, a.interval_ms), (2, 5_000));
    assert_eq!(a.assignment, Some(parts(&[("t", &[0, 1, 2, 3])])));
    let b = world.beat(joining("b", &["t"])).unwrap();
    assert_eq!((b.epoch, b.assignment), (3, Some(Parts::new())), "all is still a's");
    assert_eq!(world.consumer_state(), "Reconciling");
    let a = world.beat(beat("a", 2)).unwrap();
    assert_eq!((a.epoch, a.assignment), (2, Some(parts(&[("t", &[0, 1])]))), "it is to give two back first");
    assert_eq!(world.beat(beat("b", 3)).unwrap().assignment, None, "they are not free before it says so");
    let held = ConsumerHeartbeat { owned: Some(parts(&[("t", &[0, 1, 2])])), ..beat("a", 2) };
    assert_eq!(world.beat(held).unwrap().epoch, 2, "one is still held");
    let given = ConsumerHeartbeat { owned: Some(parts(&[("t", &[0, 1])])), ..beat("a", 2) };
    assert_eq!(world.beat(given).unwrap().epoch, 3);
    assert_eq!(world.beat(beat("b", 3)).unwrap().assignment, Some(parts(&[("t", &[2, 3])])));
    assert_eq!(world.consumer_state(), "Stable");
    world.reopen();
    assert_eq!(world.consumer_state(), "Stable");
    assert_eq!(
        world.beat(beat("b", 3)).unwrap(),
        Beat { assignment: None, ..world.beat(beat("b", 3)).unwrap() }
    );
    assert_eq!(world.beat(beat("a", -1)).unwrap().epoch, -1);
    let b = world.beat(beat("b", 3)).unwrap();
    assert_eq!((b.epoch, b.assignment), (4, Some(parts(&[("t", &[0, 1, 2, 3])]))));
}

/// As Apache Kafka 4.3: LeaveGroup is how an admin takes members out, whichever protocol they speak.
#[test]
fn an_admin_takes_members_out_by_id_or_by_name() {
    let mut world = World::consumers(topics(1, &[("t", 4)]));
    let named = |id: &str| ConsumerHeartbeat { instance_id: Some("n".to_owned()), ..joining(id, &["t"]) };
    world.beat(joining("a", &["t"])).unwrap();
    world.beat(named("b")).unwrap();
    assert_eq!(world.leave("x", None), Err(GroupError::UnknownMember));
    assert_eq!(world.leave("a", Some("n")), Err(GroupError::FencedInstance));
    assert_eq!(world.leave("", Some("other")), Err(GroupError::UnknownMember));
    world.leave("a", None).unwrap();
    assert_eq!(world.beat(beat("a", 1)), Err(GroupError::UnknownMember));
    // A static member that is away for a while is still one.
    world.beat(ConsumerHeartbeat { instance_id: Some("n".to_owned()), ..beat("b", -2) }).unwrap();
    world.leave("", Some("n")).unwrap();
    assert_eq!(world.leave("", Some("n")), Err(GroupError::UnknownMember));
    assert_eq!(world.consumer_state(), "Empty");
}

#[test]
fn wrong_epochs_and_unknown_members_are_refused() {
    let mut world = World::consumers(topics(1, &[("t", 4)]));
    assert_eq!(world.beat(beat("a", 2)), Err(GroupError::GroupNotFound));
    assert_eq!(world.beat(beat("a", -1)), Err(GroupError::GroupNotFound));
    world.beat(joining("a", &["t"])).unwrap();
    assert_eq!(world.beat(beat("b", 2)), Err(GroupError::UnknownMember));
    assert_eq!(world.beat(beat("a", 3)), Err(GroupError::FencedEpoch));
    world.beat(joining("b", &["t"])).unwrap();
    world.beat(beat("b", -1)).unwrap();
    assert_eq!(world.beat(beat("a", 2)).unwrap().epoch, 4, "its answer is lost");
    assert_eq!(world.beat(beat("a", 2)), Err(GroupError::FencedEpoch));
    let again = ConsumerHeartbeat { owned: Some(parts(&[("t", &[0])])), ..beat("a", 2) };
    assert_eq!(world.beat(again).unwrap().epoch, 4, "one back, with nothing that it does not have");
    let back = world.beat(joining("a", &["t"])).unwrap();
    assert_eq!((back.epoch, back.assignment), (4, Some(parts(&[("t", &[0, 1, 2, 3])]))), "anew with 0");
    let odd = ConsumerHeartbeat { assignor: Some("mine".into()), ..joining("c", &["t"]) };
    assert_eq!(world.beat(odd), Err(GroupError::UnsupportedAssignor));
    let odd = ConsumerHeartbeat { regex: Some("(".into()), ..joining("c", &[]) };
    assert_eq!(world.beat(odd), Err(GroupError::InvalidRegex));
    world.core.rules.consumer.max_size = 1;
    assert_eq!(world.beat(joining("c", &["t"])), Err(GroupError::GroupFull));
}

#[test]
fn silence_and_slow_revocation_put_a_member_out() {
    let mut world = World::consumers(topics(1, &[("t", 2)]));
    world.beat(joining("a", &["t"])).unwrap();
    world.beat(joining("b", &["t"])).unwrap();
    world.beat(beat("a", 2)).unwrap();
    for _ in 0..2 {
        world.pass(29_999);
        world.beat(beat("a", 2)).unwrap();
        world.beat(beat("b", 3)).unwrap();
    }
    world.pass(2);
    assert_eq!(world.beat(beat("a", 2)), Err(GroupError::UnknownMember), "it did not give back in a minute");
    assert_eq!(world.beat(beat("b", 3)).unwrap().assignment, Some(parts(&[("t", &[0, 1])])));
    world.pass(44_999);
    world.reopen();
    world.pass(44_999);
    assert_eq!(world.consumer_state(), "Stable", "a restart grants a whole session");
    world.pass(1);
    assert_eq!(world.consumer_state(), "Empty");
}

#[test]
fn topics_that_come_grow_and_go_begin_a_new_epoch() {
    let mut world = World::consumers(topics(1, &[]));
    let a = world.beat(joining("a", &["t"])).unwrap();
    assert_eq!((a.epoch, a.assignment), (2, Some(Parts::new())));
    world.core.see(topics(2, &[("t", 1), ("u", 1)]));
    let a = world.beat(beat("a", 2)).unwrap();
    assert_eq!((a.epoch, a.assignment), (3, Some(parts(&[("t", &[0])]))));
    world.core.see(topics(3, &[("t", 1), ("u", 2)]));
    assert_eq!(world.beat(beat("a", 3)).unwrap().epoch, 3, "another's topic");
    world.core.see(topics(4, &[("t", 3)]));
    let a = world.beat(beat("a", 3)).unwrap();
    assert_eq!((a.epoch, a.assignment), (4, Some(parts(&[("t", &[0, 1, 2])]))));
    world.core.see(topics(5, &[]));
    let a = world.beat(beat("a", 4)).unwrap();
    assert_eq!((a.epoch, a.assignment), (4, Some(Parts::new())), "to be given back first");
    let given = ConsumerHeartbeat { owned: Some(Parts::new()), ..beat("a", 4) };
    assert_eq!(world.beat(given).unwrap().epoch, 5);
    world.reopen();
    world.core.see(topics(1, &[]));
    assert_eq!(world.beat(beat("a", 5)).unwrap().epoch, 5, "a restart begins none");
}

#[test]
fn patterns_follow_the_topics() {
    let mut world = World::consumers(topics(1, &[("orders", 1), ("secret", 1), ("xorders", 1)]));
    let by_pattern =
        ConsumerHeartbeat { topics: None, regex: Some("orders|secret|p.*".into()), ..joining("a", &[]) };
    assert_eq!(world.beat(by_pattern).unwrap().assignment, Some(parts(&[("orders", &[0])])));
    world.core.see(topics(2, &[("orders", 1), ("papers", 1)]));
    let a = world.beat(beat("a", 2)).unwrap();
    assert_eq!((a.epoch, a.assignment), (3, Some(parts(&[("orders", &[0]), ("papers", &[0])]))));
    world.reopen();
    world.core.see(topics(3, &[("orders", 1), ("papers", 1)]));
    assert_eq!(world.beat(beat("a", 3)).unwrap().epoch, 3);
    let both =
        ConsumerHeartbeat { regex: Some(String::new()), topics: Some(vec!["papers".into()]), ..beat("a", 3) };
    assert_eq!(world.beat(both).unwrap().assignment, Some(parts(&[("papers", &[0])])));
    assert!(world.core.durable().consumers["g"].regexes.is_empty(), "nobody's pattern is forgotten");
}

/// What a member may see is asked anew when rules change as when topics do: both are in the version.
#[test]
fn patterns_follow_what_may_be_seen() {
    let mut world = World::consumers(topics(1, &[("orders", 1), ("secret", 1)]));
    let by_pattern =
        ConsumerHeartbeat { topics: None, regex: Some("orders|secret".into()), ..joining("a", &[]) };
    assert_eq!(world.beat(by_pattern).unwrap().assignment, Some(parts(&[("orders", &[0])])));
    let everything = |_: &str| true;
    let now = world.now;
    let may = |world: &mut World| world.core.consumer_heartbeat(beat("a", 2), &everything, now).0.unwrap();
    assert_eq!(may(&mut world).epoch, 2, "the same version: nothing to look at");
    world.core.see(topics(2, &[("orders", 1), ("secret", 1)]));
    assert_eq!(may(&mut world).epoch, 3);
}

#[test]
fn an_id_that_was_handed_out_to_a_classic_member_keeps_no_consumer_out() {
    let mut world = World::consumers(topics(1, &[("t", 1)]));
    let pending = world.member_id(&who("c"));
    assert_eq!(world.beat(joining("a", &["t"])).unwrap().assignment, Some(parts(&[("t", &[0])])));
    assert!(world.core.durable().consumers.contains_key("g"), "and not {pending}");
}

#[test]
fn a_static_member_comes_back_to_what_it_had() {
    let mut world = World::consumers(topics(1, &[("t", 2)]));
    let named =
        |member: &str| ConsumerHeartbeat { instance_id: Some("one".into()), ..joining(member, &["t"]) };
    world.beat(named("a")).unwrap();
    assert_eq!(world.beat(named("b")), Err(GroupError::UnreleasedInstance));
    let away = ConsumerHeartbeat { instance_id: Some("one".into()), ..beat("a", -2) };
    assert_eq!(world.beat(away.clone()).unwrap().epoch, -2);
    world.beat(joining("c", &["t"])).unwrap();
    assert_eq!(world.beat(beat("c", 3)).unwrap().assignment, None, "what is away is not free");
    let back = world.beat(named("b")).unwrap();
    assert_eq!(
        (back.epoch, back.assignment),
        (3, Some(parts(&[("t", &[0])]))),
        "it is new, so it has nothing to give back"
    );
    assert_eq!(world.beat(beat("c", 3)).unwrap().assignment, Some(parts(&[("t", &[1])])));
    assert_eq!(world.beat(away), Err(GroupError::FencedInstance));
    let fenced = ConsumerHeartbeat { instance_id: Some("one".into()), ..beat("a", 2) };
    assert_eq!(world.beat(fenced), Err(GroupError::FencedInstance));
}

#[test]
fn offsets_are_taken_by_member_epoch() {
    let mut world = World::consumers(topics(1, &[("t", 2)]));
    world.beat(joining("a", &["t"])).unwrap();
    assert_eq!(world.commit(2, "a", "t", 5), Ok(()));
    assert_eq!(world.commit(3, "a", "t", 5), Err(GroupError::StaleEpoch));
    assert_eq!(world.commit(2, "b", "t", 5), Err(GroupError::UnknownMember));
    assert_eq!(world.commit(-1, "", "t", 5), Err(GroupError::UnknownMember));
    let group = world.core.durable().consumers["g"].clone();
    assert_eq!(group.may_ask(Some("a"), 2), Ok(()));
    assert_eq!(group.may_ask(Some("a"), 0), Err(GroupError::StaleEpoch));
    assert_eq!(
        (group.may_ask(None, -1), group.may_ask(Some("b"), 2)),
        (Ok(()), Err(GroupError::UnknownMember))
    );
    let (deleted, step) = world.core.delete_group(&"g".into());
    world.carry_out(step);
    assert_eq!(deleted, Err(GroupError::NonEmpty));
    let at = [crate::model::id::TopicPartition::new("t", 0)];
    let (deleted, step) = world.core.delete_offsets(&"g".into(), &at);
    world.carry_out(step);
    assert_eq!(deleted, Ok(vec![Err(GroupError::Subscribed)]));
    world.beat(beat("a", -1)).unwrap();
    assert_eq!(world.commit(-1, "", "t", 7), Ok(()), "an admin may, while nobody is in it");
    let (deleted, step) = world.core.delete_group(&"g".into());
    world.carry_out(step);
    assert_eq!((deleted, world.offset("t")), (Ok(()), None));
    let mut last = BTreeMap::new();
    for entry in &world.log {
        let Entry::Record { key, value, .. } = entry else { panic!("no transaction ended here") };
        last.insert(key, value);
    }
    assert!(last.into_values().all(Option::is_none), "a tombstone for every record");
    assert_eq!(world.core.durable(), &Durable::default());
}

#[test]
fn offsets_of_a_consumer_group_age_once_nobody_reads_the_topic() {
    let mut world = World::consumers(topics(1, &[("t", 1)]));
    world.beat(joining("a", &["t"])).unwrap();
    world.commit(2, "a", "t", 5).unwrap();
    for _ in 0..700 {
        world.pass(15 * 60_000);
        // Sessions are longer than the steps of this test.
        let long = Timing { session_ms: i32::MAX, interval_ms: 5_000, assignment_interval_ms: 0 };
        let _ = world.beat(ConsumerHeartbeat { timing: long, ..joining("a", &["t"]) });
    }
    assert_eq!(world.offset("t"), Some(5), "a member reads it");
    let epoch = world.group_epoch();
    let others =
        ConsumerHeartbeat { topics: Some(vec!["u".into()]), owned: Some(Parts::new()), ..beat("a", epoch) };
    world.beat(others).unwrap();
    world.pass(600_000);
    assert_eq!(world.offset("t"), None);
}

fn subscribed(names: &[&str], owned: &[(&str, &[i32])]) -> Bytes {
    let owned = owned.iter().map(|&(topic, partitions)| crate::schema::consumer::TopicPartitions {
        topic: topic.to_owned(),
        partitions: partitions.to_vec(),
    });
    let told = Subscription {
        topics: names.iter().map(|&name| name.to_owned()).collect(),
        owned_partitions: owned.collect(),
        ..Subscription::default()
    };
    told.encode(1).unwrap()
}

impl World {
    /// A member of the classic protocol joins; `owned` is what it says it has.
    pub(super) fn classic_join(
        &mut self,
        member_id: &str,
        names: &[&str],
        owned: &[(&str, &[i32])],
    ) -> Ticket {
        self.draws += 1;
        self.tickets += 1;
        let request = JoinRequest {
            hidden: Default::default(),
            group: "g".into(),
            member_id: member_id.to_owned(),
            instance_id: None,
            client_id: "classic".to_owned(),
            client_host: "/127.0.0.1".to_owned(),
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 30_000,
            protocol_type: "consumer".to_owned(),
            protocols: vec![Protocol { name: "range".into(), metadata: subscribed(names, owned) }],
            needs_member_id: true,
            may_skip_assignment: true,
            draw: format!("{}", self.draws),
        };
        let step = self.core.join(request, self.tickets, self.now);
        self.carry_out(step);
        self.tickets
    }

    /// What a sync answers, with names.
    pub(super) fn classic_assignment(&mut self, joined: &Joined) -> Result<Parts, GroupError> {
        let ticket = self.sync(joined, &[]);
        let told = Assignment::decode(self.synced(ticket)?.assignment).unwrap();
        Ok(told
            .assigned_partitions
            .into_iter()
            .map(|topic| (id(&topic.topic), topic.partitions.into_iter().collect()))
            .collect())
    }
}

/// A stable classic group of one member that has both partitions of `t`.
fn classic_group(world: &mut World) -> Joined {
    let ticket = world.classic_join("", &["t"], &[]);
    let member_id = world.joined(ticket).unwrap_err().member_id;
    let ticket = world.classic_join(&member_id, &["t"], &[]);
    let joined = world.joined(ticket).unwrap();
    let all = Assignment {
        assigned_partitions: vec![crate::schema::consumer::TopicPartitions {
            topic: "t".to_owned(),
            partitions: vec![0, 1],
        }],
        user_data: None,
    };
    let bytes: &'static [u8] = Box::leak(all.encode(1).unwrap().to_vec().into_boxed_slice());
    world.tickets += 1;
    let request = SyncRequest {
        group: "g".into(),
        generation: joined.generation,
        member_id: joined.member_id.clone(),
        instance_id: None,
        protocol_type: joined.protocol_type.clone(),
        protocol: joined.protocol.clone(),
        assignments: vec![(joined.member_id.clone(), Bytes::from_static(bytes))],
    };
    let step = world.core.sync(request, world.tickets, world.now);
    world.carry_out(step);
    world.synced(world.tickets).unwrap();
    joined
}

#[test]
fn a_classic_group_becomes_a_consumer_group_and_goes_back() {
    let mut world = World::consumers(topics(1, &[("t", 2)]));
    let old = classic_group(&mut world);
    assert_eq!(world.state(), "Stable");
    let new = world.beat(joining("new", &["t"])).unwrap();
    assert_eq!((new.epoch, new.assignment), (2, Some(Parts::new())), "the classic member has all");
    assert_eq!((world.state(), world.consumer_state()), ("Dead", "Reconciling"));
    let listed = world.core.list();
    assert_eq!((listed.len(), listed[0].consumer), (1, true));
    world.reopen();
    world.core.see(topics(1, &[("t", 2)]));
    // The classic member is told to join again, gives everything back, and gets its half.
    assert_eq!(world.heartbeat(old.generation, &old.member_id), Err(GroupError::RebalanceInProgress));
    let ticket = world.classic_join(&old.member_id, &["t"], &[]);
    let again = world.joined(ticket).unwrap();
    assert_eq!((again.generation, again.leader.as_str()), (2, ""));
    let half = world.classic_assignment(&again).unwrap();
    assert_eq!(half, parts(&[("t", &[0])]));
    assert_eq!(world.heartbeat(2, &again.member_id), Ok(()));
    assert_eq!(world.commit(2, &again.member_id, "t", 9), Ok(()));
    assert_eq!(world.commit(3, &again.member_id, "t", 9), Err(GroupError::IllegalGeneration));
    assert_eq!(world.beat(beat("new", 2)).unwrap().assignment, Some(parts(&[("t", &[1])])));
    assert_eq!(world.consumer_state(), "Stable");
    // The last consumer leaves: a classic group again, which rebalances.
    world.beat(beat("new", -1)).unwrap();
    assert_eq!((world.state(), world.consumer_state()), ("PreparingRebalance", "Dead"));
    assert_eq!(world.heartbeat(2, &again.member_id), Err(GroupError::RebalanceInProgress));
    let ticket = world.classic_join(&again.member_id, &["t"], &[]);
    let led = world.joined(ticket).unwrap();
    assert_eq!((led.leader.as_str(), led.generation), (again.member_id.as_str(), 3));
    assert_eq!(world.offset("t"), Some(9), "offsets stay");
    world.reopen();
    assert_eq!(world.state(), "Stable", "as it was last recorded");
}

#[test]
fn a_classic_member_revokes_step_by_step_when_it_says_what_it_has() {
    let mut world = World::consumers(topics(1, &[("t", 2)]));
    let old = classic_group(&mut world);
    world.beat(joining("new", &["t"])).unwrap();
    let ticket = world.classic_join(&old.member_id, &["t"], &[("t", &[0, 1])]);
    let first = world.joined(ticket).unwrap();
    assert_eq!(first.generation, old.generation, "it is to give one back first");
    assert_eq!(world.classic_assignment(&first).unwrap(), parts(&[("t", &[0])]));
    assert_eq!(world.heartbeat(first.generation, &old.member_id), Err(GroupError::RebalanceInProgress));
    let ticket = world.classic_join(&old.member_id, &["t"], &[("t", &[0])]);
    let second = world.joined(ticket).unwrap();
    assert_eq!(second.generation, 2);
    assert_eq!(world.classic_assignment(&second).unwrap(), parts(&[("t", &[0])]));
    assert_eq!(world.heartbeat(2, &old.member_id), Ok(()));
    world.pass(10_000);
    assert_eq!(world.heartbeat(2, &old.member_id), Err(GroupError::UnknownMember), "its own session counts");
}

#[test]
fn the_policy_may_forbid_either_way() {
    let mut world = World::consumers(topics(1, &[("t", 2)]));
    (world.core.rules.consumer.upgrade, world.core.rules.consumer.downgrade) = (false, false);
    classic_group(&mut world);
    assert_eq!(world.beat(joining("new", &["t"])), Err(GroupError::GroupNotFound));
    let mut world = World::consumers(topics(1, &[("t", 2)]));
    (world.core.rules.consumer.upgrade, world.core.rules.consumer.downgrade) = (false, false);
    world.beat(joining("new", &["t"])).unwrap();
    let ticket = world.classic_join("", &["t"], &[]);
    assert_eq!(world.joined(ticket).unwrap_err().error, GroupError::InconsistentProtocol);
    world.beat(beat("new", -1)).unwrap();
    let ticket = world.classic_join("", &["t"], &[]);
    assert_eq!(
        world.joined(ticket).unwrap_err().error,
        GroupError::MemberIdRequired,
        "an empty one gives way"
    );
}
