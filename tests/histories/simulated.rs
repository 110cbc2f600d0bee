//! Histories over the simulated disk: one seed, one history. The broker's own threads sync, so that a seed draws the same plan
//! again, but not the same order of everything.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::carrier::Carrier;
use crate::check::{self, Finding, Rules};
use crate::history::{Kind, Op};
use crate::layers::Hand;
use crate::node::{End, Node};
use crate::world::{Client, World};
use crate::{members, producers, readers, transactions};

/// Sessions that end within a history, and internal topics that are small.
pub(crate) const SETTINGS: [(&str, &str); 7] = [
    ("offsets.topic.num.partitions", "2"),
    ("transaction.state.log.num.partitions", "2"),
    ("group.consumer.min.heartbeat.interval.ms", "50"),
    ("group.consumer.heartbeat.interval.ms", "100"),
    ("group.consumer.min.session.timeout.ms", "300"),
    ("group.consumer.session.timeout.ms", "600"),
    ("transaction.max.timeout.ms", "60000"),
];

/// A bug that sits outside of the broker: at its disk, or between it and its clients.
pub(crate) trait Plant: Sync {
    fn hand(&self, seed: u64) -> Arc<dyn Hand>;

    /// What a client reaches the broker through.
    fn between(&self, node: &Arc<Node>) -> Arc<dyn Carrier> {
        Arc::clone(node) as _
    }
}

/// Nothing is planted: syncs take a while, so that something is under way when the power goes.
pub(crate) struct Sound;

/// Syncs that take a while.
pub(crate) struct SlowSyncs(pub(crate) Duration);

impl Hand for SlowSyncs {
    fn sync_takes(&self) -> Duration {
        self.0
    }
}

impl Plant for Sound {
    fn hand(&self, seed: u64) -> Arc<dyn Hand> {
        Arc::new(SlowSyncs(Duration::from_micros(seed % 4 * 700)))
    }
}

pub(crate) fn rules() -> Rules {
    Rules { derived: Some(("in", "workers")), forward: vec!["readers", "workers"] }
}

/// A history of a second or two that has not ended by then hangs, and that is a finding.
const LONGEST: Duration = Duration::from_secs(240);

thread_local! {
    /// What a history is about: it has a thread of its own.
    static STAGE: Cell<&'static str> = const { Cell::new("") };
}

/// Plays the history of a seed and has it judged.
pub(crate) fn play(seed: u64, plant: &impl Plant) -> (Vec<Op>, Vec<Finding>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let told = runtime.unwrap().block_on(async { tokio::time::timeout(LONGEST, tell(seed, plant)).await });
    let Ok(history) = told else { panic!("seed {seed}: nothing goes on any more: {}", STAGE.get()) };
    let findings = check::check(&history, &rules());
    (history, findings)
}

async fn tell(seed: u64, plant: &impl Plant) -> Vec<Op> {
    STAGE.set("it begins");
    let mut random = fastrand::Rng::with_seed(seed);
    let node = Node::new(random.u64(..), &SETTINGS, plant.hand(seed));
    let (clock, way) = (Arc::clone(&node.clock), plant.between(&node));
    let wall = move || klog::model::time::Clock::wall_ms(&*clock);
    let world = World::new(move || Arc::clone(&way), wall, Duration::from_millis(3));
    world.make_topics(random.i64(100..2000)).await;
    let mut clients = JoinSet::new();
    for _ in 0..2 {
        clients.spawn(producers::idempotent(Client::new(&world, seed)));
        clients.spawn(members::member(Client::new(&world, seed), "readers"));
    }
    clients.spawn(producers::plain(Client::new(&world, seed)));
    for number in 0..2 {
        clients.spawn(transactions::writer(Client::new(&world, seed), number));
        clients.spawn(transactions::worker(Client::new(&world, seed), number + 2, "workers"));
    }
    clients.spawn(readers::follow(Client::new(&world, seed), false));
    clients.spawn(readers::follow(Client::new(&world, seed), true));

    tokio::time::sleep(Duration::from_millis(random.u64(20..100))).await;
    STAGE.set("faults");
    for _ in 0..random.usize(3..8) {
        fault(&node, &world, &mut random).await;
        tokio::time::sleep(Duration::from_millis(random.u64(20..150))).await;
    }
    node.lose_one_answer_of(0);
    node.disk.set_capacity(None);
    STAGE.set("a restart");
    // A log that failed takes nothing until the broker begins again.
    node.end(End::Restart).await;
    world.stop.store(true, Ordering::SeqCst);
    STAGE.set("clients end");
    while let Some(done) = clients.join_next().await {
        done.unwrap();
    }
    // What was acknowledged last has no later sync to help it.
    let last = if random.bool() { End::PowerCut(0) } else { End::Kill(0) };
    world.recorder.note(Kind::Fault { what: format!("the last {last:?}"), tears: true });
    STAGE.set("the last end");
    node.end(last).await;
    STAGE.set("transactions are ended");
    transactions::end_all(Client::new(&world, seed), 0..4).await;
    STAGE.set("all is read");
    readers::read_to_the_end(Client::new(&world, seed)).await;
    STAGE.set("positions are learned");
    members::last_positions(Client::new(&world, seed), "readers", &["in", "out"]).await;
    members::last_positions(Client::new(&world, seed), "workers", &["in"]).await;
    let _ = tokio::time::timeout(Duration::from_secs(10), node.close()).await;
    world.recorder.history()
}

/// One thing that goes wrong, and what an operator does about it.
async fn fault(node: &Arc<Node>, world: &Arc<World>, random: &mut fastrand::Rng) {
    let steps = random.u64(0..60);
    let wait = Duration::from_millis(random.u64(10..80));
    let kind = random.u8(0..12);
    let said = match kind {
        0..=3 => format!("the power goes within {steps} steps"),
        4 => format!("killed within {steps} steps"),
        5 => "restarted".to_owned(),
        6 => "a sync fails".to_owned(),
        7 => "a write fails".to_owned(),
        8 => "the disk is full".to_owned(),
        9 => "bits rot".to_owned(),
        10 => "the clock jumps".to_owned(),
        _ => "answers are lost".to_owned(),
    };
    world.recorder.note(Kind::Fault { what: said, tears: matches!(kind, 0..=3 | 6 | 7) });
    match kind {
        0..=3 => node.end(End::PowerCut(steps)).await,
        4 => node.end(End::Kill(steps)).await,
        5 => node.end(End::Restart).await,
        6 | 7 => {
            if kind == 6 {
                node.disk.fail_sync(random.u64(0..6));
            } else {
                node.disk.fail_write(random.u64(0..6));
            }
            tokio::time::sleep(wait).await;
            let end = if random.bool() { End::Restart } else { End::PowerCut(0) };
            node.end(end).await;
        }
        8 => {
            node.disk.set_capacity(Some(node.disk.used() + random.u64(0..20_000)));
            tokio::time::sleep(wait).await;
            node.disk.set_capacity(None);
        }
        9 => {
            // Noted before it is done: a reader may come by at once.
            if let Some((log, offsets)) = node.rot() {
                world.recorder.note(Kind::Rot { log, offsets });
            }
        }
        10 => match random.u8(0..3) {
            0 => node.clock.set_off(-86_400_000),
            1 => node.clock.set_off(86_400_000),
            _ => node.clock.skip(Duration::from_secs(random.u64(1..200))),
        },
        _ => node.lose_one_answer_of(random.u64(5..40)),
    }
}
