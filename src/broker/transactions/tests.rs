//! The core by itself: what each request leads to, and what holds whatever is asked in whatever order.

mod properties;

use std::collections::HashMap;
use std::sync::Arc;

use crate::broker::groups::request::Now;
use crate::model::id::TopicPartition;

use super::core::Core;
use super::decide::{Decision, Init};
use super::request::{EndRequest, MAX_ID_BYTES, MAX_PARTITIONS, Moment, Producer, Rules, TxnError};
use super::state::{MAX_EPOCH, Status, Transaction, TxnRecord};

const RULES: Rules = Rules {
    max_ids: 3,
    max_timeout_ms: 900_000,
    id_expiration_ms: 1_000_000,
    abort_interval_ms: 10_000,
    expire_interval_ms: 100_000,
    patience_ms: 100,
};

/// A core with its log, without a disk.
struct World {
    core: Core,
    log: Vec<TxnRecord>,
    now: Now,
    level: i16,
    next_id: i64,
}

fn producer(id: i64, epoch: i16) -> Producer {
    Producer { id, epoch }
}

fn partition(name: &str) -> TopicPartition {
    TopicPartition::new(name, 0)
}

impl World {
    fn new() -> Self {
        let now = Now { mono_ms: 1000, wall_ms: 5_000_000 };
        Self { core: Core::restore(RULES, HashMap::new(), now), log: Vec::new(), now, level: 2, next_id: 100 }
    }

    fn at(&self) -> Moment {
        Moment { time: self.now, level: self.level }
    }

    fn pass(&mut self, ms: i64) {
        self.now.mono_ms += ms;
        self.now.wall_ms += ms;
    }

    fn take(&mut self, record: Option<TxnRecord>) {
        if let Some(record) = record {
            self.log.push(record.clone());
            self.core.apply(record, self.now);
        }
    }

    fn decide<T>(
        &mut self,
        decide: impl Fn(&Core, Option<i64>, Moment) -> Result<Decision<T>, TxnError>,
    ) -> Result<T, TxnError> {
        let mut fresh = None;
        loop {
            match decide(&self.core, fresh, self.at())? {
                Decision::Done(answer, record) => {
                    self.take(record);
                    return Ok(answer);
                }
                Decision::NeedsId => {
                    assert!(fresh.is_none(), "one id is enough");
                    fresh = Some(self.next_id);
                    self.next_id += 1;
                }
            }
        }
    }

    fn init(&mut self, id: &str, expected: Option<Producer>) -> Result<Init, TxnError> {
        let id: Arc<str> = id.into();
        self.decide(|core, fresh, at| core.init(&id, 60_000, expected, fresh, at))
    }

    /// A producer of a new incarnation.
    fn given(&mut self, id: &str) -> Producer {
        match self.init(id, None) {
            Ok(Init::Given(producer)) => producer,
            other => panic!("{other:?}"),
        }
    }

    fn add(&mut self, id: &str, producer: Producer, topics: &[&str]) -> Result<(), TxnError> {
        let partitions: Vec<_> = topics.iter().map(|topic| partition(topic)).collect();
        let record = self.core.add(&id.into(), producer, &partitions, self.level, self.at())?;
        self.take(record);
        Ok(())
    }

    fn end(
        &mut self,
        id: &str,
        producer: Producer,
        commit: bool,
        version: i16,
    ) -> Result<Producer, TxnError> {
        let asked = EndRequest { transactional_id: id, producer, commit, client_version: version };
        self.decide(|core, fresh, at| core.end(&asked, fresh, at))
    }

    fn complete(&mut self, id: &str) {
        let id: Arc<str> = id.into();
        let producer = self.core.all[&id].producer;
        let record = self.core.complete(&id, producer, self.at());
        assert!(record.is_some());
        self.take(record);
    }

    fn status(&self, id: &str) -> Status {
        self.core.all[id].status
    }

    fn edit(&mut self, id: &str, change: impl FnOnce(&mut Transaction)) {
        let id: Arc<str> = id.into();
        let mut value = self.core.all[&id].clone();
        change(&mut value);
        self.take(Some(TxnRecord { id, value: Some(value) }));
    }
}

#[test]
fn each_end_moves_the_epoch_on_and_is_answered_the_same_again() {
    let mut world = World::new();
    let first = world.given("t");
    assert_eq!(first, producer(100, 0));
    world.add("t", first, &["a", "b"]).unwrap();
    let next = world.end("t", first, true, 2).unwrap();
    assert_eq!((next, world.status("t")), (producer(100, 1), Status::PrepareCommit));
    assert_eq!(world.end("t", first, true, 2), Err(TxnError::Concurrent));
    assert_eq!(world.add("t", next, &["a"]), Err(TxnError::Concurrent));
    world.complete("t");
    assert_eq!(world.end("t", first, true, 2), Ok(next), "a retry hears what the first try would have");
    assert_eq!(world.end("t", first, false, 2), Err(TxnError::InvalidState), "what is decided stays so");
    assert_eq!(
        world.end("t", next, true, 2),
        Err(TxnError::InvalidState),
        "nothing was begun with this epoch"
    );
    assert_eq!(world.add("t", first, &["a"]), Err(TxnError::Fenced));
    world.add("t", next, &["a"]).unwrap();
    assert_eq!(world.end("t", first, true, 2), Err(TxnError::Fenced));
    assert_eq!(world.end("t", next, false, 2), Ok(producer(100, 2)));
    assert_eq!(world.status("t"), Status::PrepareAbort);
    world.complete("t");
    assert_eq!(world.end("t", next, false, 2), Ok(producer(100, 2)));
}

#[test]
fn an_abort_without_a_transaction_is_good_for_the_epoch_alone() {
    let mut world = World::new();
    let first = world.given("t");
    assert_eq!(world.end("t", first, true, 2), Err(TxnError::InvalidState));
    assert_eq!(world.end("t", first, false, 2), Ok(producer(100, 1)));
    world.complete("t");
    assert_eq!(world.end("t", producer(100, 1), false, 2), Ok(producer(100, 2)));
    world.complete("t");
    assert_eq!(world.status("t"), Status::CompleteAbort);
    assert_eq!(world.end("t", producer(100, 2), false, 0), Ok(producer(100, 2)), "old clients: a retry");
}

#[test]
fn old_clients_keep_their_epoch() {
    let mut world = World::new();
    let first = world.given("t");
    assert_eq!(world.end("t", first, false, 0), Err(TxnError::InvalidState), "nothing was begun");
    world.add("t", first, &["a"]).unwrap();
    assert_eq!(world.end("t", first, true, 0), Ok(first));
    assert_eq!(world.end("t", first, true, 0), Err(TxnError::Concurrent));
    world.complete("t");
    assert_eq!(world.end("t", first, true, 0), Ok(first));
    assert_eq!(world.end("t", first, false, 0), Err(TxnError::InvalidState));
    world.add("t", first, &["a"]).unwrap();
    assert_eq!(world.end("t", producer(100, 1), true, 0), Err(TxnError::Fenced));
    assert_eq!(world.end("t", producer(7, 0), true, 0), Err(TxnError::InvalidProducerId));
}

#[test]
fn who_comes_later_shuts_out_who_came_before() {
    for level in [0, 2] {
        let mut world = World::new();
        world.level = level;
        let old = world.given("t");
        world.add("t", old, &["a"]).unwrap();
        assert_eq!(world.init("t", None), Ok(Init::Aborting));
        assert_eq!(world.status("t"), Status::PrepareAbort);
        assert_eq!(world.init("t", None), Err(TxnError::Concurrent));
        assert_eq!(world.core.all["t"].producer, producer(100, 1), "the marker has a later epoch");
        world.complete("t");
        let new = world.given("t");
        assert_eq!(new, producer(100, 2));
        assert_eq!(world.add("t", old, &["a"]), Err(TxnError::Fenced));
        assert_eq!(world.end("t", old, true, level), Err(TxnError::Fenced));
        assert_eq!(world.init("t", Some(old)), Err(TxnError::Fenced));
        assert_eq!(world.init("t", Some(producer(99, 2))), Err(TxnError::Fenced));
        world.add("t", new, &["a"]).unwrap();
    }
}

#[test]
fn a_producer_that_recovers_is_bumped_once() {
    let mut world = World::new();
    let first = world.given("t");
    let bumped = world.init("t", Some(first));
    assert_eq!(bumped, Ok(Init::Given(producer(100, 1))));
    assert_eq!(world.init("t", Some(first)), bumped, "the answer was lost");
    assert_eq!(world.init("t", Some(producer(100, 1))), Ok(Init::Given(producer(100, 2))));
    assert_eq!(world.init("t", Some(first)), Err(TxnError::Fenced));
    // Ids that are not known (any more) are given as new ones.
    assert_eq!(world.init("u", Some(producer(55, 3))), Ok(Init::Given(producer(101, 0))));
}

#[test]
fn epochs_that_run_out_lead_to_another_id() {
    let mut world = World::new();
    let first = world.given("t");
    world.edit("t", |kept| kept.producer.epoch = MAX_EPOCH - 2);
    let last = producer(100, MAX_EPOCH - 1);
    assert_eq!(world.init("t", Some(producer(100, MAX_EPOCH - 2))), Ok(Init::Given(last)));
    world.add("t", last, &["a"]).unwrap();
    let next = world.end("t", last, true, 2).unwrap();
    assert_eq!(next, producer(101, 0));
    assert_eq!(world.core.all["t"].producer, producer(100, MAX_EPOCH), "markers are the old producer's");
    assert_eq!(world.add("t", next, &["a"]), Err(TxnError::Concurrent), "its own id is not in force yet");
    world.complete("t");
    assert_eq!(world.end("t", last, true, 2), Ok(next));
    world.add("t", next, &["a"]).unwrap();
    assert_eq!(world.add("t", first, &["a"]), Err(TxnError::InvalidProducerId));
    assert_eq!(world.add("t", last, &["a"]), Err(TxnError::InvalidProducerId));

    let old = world.given("u");
    world.edit("u", |kept| kept.producer.epoch = MAX_EPOCH - 1);
    let spent = producer(old.id, MAX_EPOCH - 1);
    let Ok(Init::Given(renewed)) = world.init("u", Some(spent)) else { panic!() };
    assert_eq!((renewed.epoch, renewed.id > old.id), (0, true));
    assert_eq!(world.init("u", Some(spent)), Ok(Init::Given(renewed)), "the answer was lost");
}

#[test]
fn a_fence_at_the_last_epoch_still_ends() {
    for level in [0, 2] {
        let mut world = World::new();
        world.level = level;
        world.given("t");
        world.edit("t", |kept| kept.producer.epoch = MAX_EPOCH - 1);
        world.add("t", producer(100, MAX_EPOCH - 1), &["a"]).unwrap();
        assert_eq!(world.init("t", None), Ok(Init::Aborting));
        world.complete("t");
        let after = world.given("t");
        assert!(after.id > 100 && after.epoch >= 0, "{after:?}");
    }
}

#[test]
fn what_takes_too_long_is_aborted_and_only_that() {
    let mut world = World::new();
    let slow = world.given("slow");
    let quick = world.given("quick");
    world.add("slow", slow, &["a"]).unwrap();
    world.pass(30_000);
    world.add("quick", quick, &["a"]).unwrap();
    world.add("slow", slow, &["b"]).unwrap();
    assert_eq!(world.core.deadline(), Some(1000 + 60_000), "what joins later does not prolong it");
    assert!(world.core.take_overdue(world.now).is_empty());
    // Wall clocks may be set; only time that passed counts.
    world.now.wall_ms -= 86_400_000;
    world.now.mono_ms += 30_000;
    let overdue = world.core.take_overdue(world.now);
    assert_eq!(overdue, ["slow".into()]);
    let id: Arc<str> = "slow".into();
    world.decide(|core, fresh, at| core.abort_overdue(&id, fresh, at)).unwrap();
    assert_eq!(world.core.all["slow"].producer, producer(100, 1));
    assert_eq!(world.end("slow", slow, true, 2), Err(TxnError::Concurrent));
    world.complete("slow");
    assert_eq!(world.end("slow", slow, true, 2), Err(TxnError::InvalidState));
    world.add("quick", quick, &["b"]).unwrap();
    let id: Arc<str> = "quick".into();
    let early = world.decide(|core, fresh, at| core.abort_overdue(&id, fresh, at));
    assert_eq!(early, Err(TxnError::InvalidState));
    assert_eq!(world.core.deadline(), Some(1000 + 30_000 + 60_000));
    world.pass(1);
    world.edit("slow", |kept| (kept.status, kept.timeout_ms) = (Status::Ongoing, 1));
    world.pass(1);
    assert_eq!(world.core.deadline(), Some(61_000 + 10_000), "not more often than the interval says");
}

#[test]
fn a_transaction_found_in_the_log_has_the_time_that_is_left() {
    let mut world = World::new();
    let first = world.given("t");
    world.add("t", first, &["a"]).unwrap();
    let all = world.core.all.clone();
    let restored = |passed: i64| {
        let now = Now { mono_ms: 7, wall_ms: world.now.wall_ms + passed };
        Core::restore(RULES, all.clone(), now).deadline()
    };
    assert_eq!(restored(20_000), Some(7 + 40_000));
    assert_eq!(restored(90_000), Some(7 + 10_000), "a clock that was set forward ends nothing at once");
    assert_eq!(restored(-86_400_000), Some(7 + 60_000), "a clock set back prolongs nothing");
}

#[test]
fn ids_nobody_uses_are_forgotten() {
    let mut world = World::new();
    world.given("idle");
    let busy = world.given("busy");
    world.add("busy", busy, &["a"]).unwrap();
    assert!(!world.core.take_expiry(world.now));
    world.pass(RULES.id_expiration_ms - 1);
    world.now.wall_ms += 1;
    assert!(world.core.take_expiry(world.now));
    assert!(!world.core.take_expiry(world.now));
    assert_eq!(world.core.expire(world.now, 10), [], "the clock was set forward");
    let mut read = Core::restore(RULES, world.core.all.clone(), world.now);
    assert_eq!(read.expire(world.now, 10), [], "nothing is forgotten at once");
    world.pass(1);
    assert!(!read.take_expiry(world.now));
    let gone = world.core.expire(world.now, 10);
    assert_eq!(gone, [TxnRecord { id: "idle".into(), value: None }]);
    gone.into_iter().for_each(|record| world.take(Some(record)));
    assert!(world.core.describe("idle").is_none());
    assert_eq!(world.given("idle").epoch, 0);
}

#[test]
fn who_was_shut_out_ends_nothing() {
    let mut world = World::new();
    let old = world.given("t");
    let new = world.given("t");
    world.add("t", new, &["a"]).unwrap();
    assert_eq!(world.init("t", Some(old)), Err(TxnError::Fenced));
    assert_eq!(world.init("t", Some(producer(new.id, new.epoch + 1))), Err(TxnError::Fenced));
    assert_eq!(world.status("t"), Status::Ongoing);
    assert_eq!(world.init("t", Some(new)), Ok(Init::Aborting), "the producer itself may");
}

#[test]
fn who_moves_to_another_id_is_not_shut_out_before() {
    let mut world = World::new();
    world.given("t");
    world.edit("t", |kept| kept.producer.epoch = MAX_EPOCH - 1);
    let last = producer(100, MAX_EPOCH - 1);
    world.add("t", last, &["a"]).unwrap();
    let next = world.end("t", last, true, 2).unwrap();
    assert_ne!(next.id, last.id);
    assert_eq!(world.init("t", Some(next)), Err(TxnError::Concurrent));
    world.complete("t");
    assert_eq!(world.init("t", Some(next)), Ok(Init::Given(producer(next.id, 1))));
}

#[test]
fn ids_and_partitions_are_held_to_their_limits() {
    let mut world = World::new();
    let long = "x".repeat(MAX_ID_BYTES);
    let first = world.given(&long);
    assert_eq!(world.init(&format!("{long}x"), None), Err(TxnError::IdTooLong));
    world.given("u");
    world.given("v");
    assert_eq!(world.init("w", None), Err(TxnError::TooManyIds));
    assert!(world.init("v", None).is_ok(), "an id that is known is no new one");

    let many: Vec<_> = (0..=MAX_PARTITIONS as i32).map(|index| TopicPartition::new("a", index)).collect();
    let id: Arc<str> = long.into();
    let add = |world: &World, many| world.core.add(&id, first, many, 2, world.at());
    assert_eq!(add(&world, &many), Err(TxnError::TooManyPartitions));
    let record = add(&world, &many[1..]).unwrap();
    world.take(record);
    assert_eq!(add(&world, &many[..1]), Err(TxnError::TooManyPartitions));
    assert_eq!(add(&world, &many[1..2]), Ok(None), "one that takes part already");
}

#[test]
fn verification_says_what_takes_part() {
    let mut world = World::new();
    let first = world.given("t");
    let verify = |world: &World, producer, topic| world.core.verify("t", producer, &partition(topic));
    assert_eq!(verify(&world, first, "a"), Err(TxnError::Abortable));
    world.add("t", first, &["a"]).unwrap();
    assert_eq!(verify(&world, first, "a"), Ok(()));
    assert_eq!(verify(&world, first, "b"), Err(TxnError::Abortable));
    assert_eq!(verify(&world, producer(100, 1), "a"), Err(TxnError::Fenced));
    assert_eq!(verify(&world, producer(1, 0), "a"), Err(TxnError::InvalidProducerId));
    assert_eq!(world.core.verify("u", first, &partition("a")), Err(TxnError::InvalidProducerId));
    world.end("t", first, true, 0).unwrap();
    assert_eq!(verify(&world, first, "a"), Err(TxnError::Concurrent));
}

#[test]
fn time_outs_are_held_to_the_limit() {
    let world = World::new();
    let ask = |timeout_ms| world.core.init(&"t".into(), timeout_ms, None, Some(1), world.at());
    for wrong in [0, -1, 900_001] {
        assert_eq!(ask(wrong), Err(TxnError::InvalidTimeout));
    }
    assert!(ask(1).is_ok() && ask(900_000).is_ok());
}
