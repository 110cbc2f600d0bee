//! Six clients of either protocol over a hundred partitions, through whatever may happen to them: no partition is ever
//! held by two, and none is left lying once things settle.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::consumers::{Parts, beat, id, joining, topics};
use super::*;
use crate::schema::consumer::{Assignment, TopicPartitions};

/// Without a sign of life for so long a client is out, and knows it.
const SESSION_MS: i64 = 10_000;
/// What it takes at most to give partitions back.
const REBALANCE_MS: i64 = 30_000;
const CLIENTS: usize = 6;

#[derive(Debug, Clone)]
enum Operation {
    /// The client does what its protocol has next.
    Next(usize),
    /// All do.
    Round,
    /// A heartbeat whose answer is lost.
    Lose(usize),
    /// It leaves; another process of the given kind may come in its place.
    Leave(usize, Option<bool>),
    /// It is killed; another process of the given kind may come in its place.
    Kill(usize, Option<bool>),
    /// It gives nothing back for a while.
    Stall(usize, bool),
    /// The topics change: one of the layouts.
    Topics(usize),
    /// Time passes, in ms.
    Pass(u16),
    /// The daemon is killed and started.
    Reopen,
}

const LAYOUTS: [&[(&str, i32)]; 4] =
    [&[("t", 60), ("u", 40)], &[("t", 80), ("u", 40)], &[("t", 60)], &[("t", 60), ("u", 40), ("v", 7)]];

fn operation(kinds: impl Strategy<Value = bool> + Clone + 'static) -> impl Strategy<Value = Operation> {
    let client = 0..CLIENTS;
    let process = || proptest::option::weighted(0.8, kinds.clone());
    prop_oneof![
        12 => client.clone().prop_map(Operation::Next),
        12 => Just(Operation::Round),
        2 => client.clone().prop_map(Operation::Lose),
        2 => (client.clone(), process()).prop_map(|(client, kind)| Operation::Leave(client, kind)),
        2 => (client.clone(), process()).prop_map(|(client, kind)| Operation::Kill(client, kind)),
        2 => (client, any::<bool>()).prop_map(|(client, on)| Operation::Stall(client, on)),
        1 => (0..LAYOUTS.len()).prop_map(Operation::Topics),
        8 => (0..4_000u16).prop_map(Operation::Pass),
        1 => Just(Operation::Reopen),
    ]
}

/// A client process.
#[derive(Default, Clone)]
struct Client {
    alive: bool,
    classic: bool,
    member_id: String,
    /// What it reads.
    held: Parts,
    last_sign: i64,
    // Of the consumer protocol.
    epoch: i32,
    told: Option<Parts>,
    wanted: Option<Parts>,
    stalled_since: Option<i64>,
    whole: bool,
    // Of the classic protocol.
    join: Option<Ticket>,
    sync: Option<Ticket>,
    joined: Option<Joined>,
    synced: bool,
}

struct Play {
    world: World,
    clients: Vec<Client>,
    layout: usize,
    version: u64,
    processes: u32,
}

impl Play {
    fn new(kinds: &[bool], interval_ms: i32) -> Self {
        let mut world = World::new();
        world.core.rules.consumer.timing =
            Timing { session_ms: 10_000, interval_ms: 500, assignment_interval_ms: interval_ms };
        world.core.see(topics(1, LAYOUTS[0]));
        let mut play =
            Self { world, clients: vec![Client::default(); CLIENTS], layout: 0, version: 1, processes: 0 };
        for (index, &classic) in kinds.iter().enumerate() {
            play.start(index, classic);
        }
        play
    }

    fn now(&self) -> i64 {
        self.world.now.mono_ms
    }

    fn start(&mut self, index: usize, classic: bool) {
        self.processes += 1;
        let member_id = if classic { String::new() } else { format!("new-{index}-{}", self.processes) };
        self.clients[index] =
            Client { alive: true, classic, member_id, last_sign: self.now(), ..Client::default() };
    }

    /// Everything is given up; it joins anew.
    fn begin_again(&mut self, index: usize) {
        let now = self.now();
        let client = &mut self.clients[index];
        let member_id = if client.classic { String::new() } else { client.member_id.clone() };
        *client =
            Client { alive: true, classic: client.classic, member_id, last_sign: now, ..Client::default() };
    }

    fn next(&mut self, index: usize) {
        match self.clients[index].clone() {
            Client { alive: false, .. } => {}
            Client { classic: true, .. } => self.next_classic(index),
            client => self.next_consumer(index, &client, false),
        }
    }

    fn next_consumer(&mut self, index: usize, client: &Client, lost: bool) {
        let mut said = if client.epoch == 0 || client.whole {
            joining(&client.member_id, &["t", "u"])
        } else {
            beat(&client.member_id, client.epoch)
        };
        said.epoch = client.epoch;
        said.timing = self.world.core.rules.consumer.timing;
        said.rebalance_timeout_ms = if client.epoch == 0 || client.whole { REBALANCE_MS as i32 } else { -1 };
        let news = client.told.as_ref() != Some(&client.held);
        said.owned = (news || client.epoch == 0 || client.whole).then(|| client.held.clone());
        let answer = self.world.beat(said);
        let now = self.now();
        let mine = &mut self.clients[index];
        if lost {
            mine.whole = true;
            return;
        }
        let Ok(answer) = answer else { return self.begin_again(index) };
        (mine.epoch, mine.last_sign, mine.whole) = (answer.epoch, now, false);
        mine.told = Some(client.held.clone());
        if let Some(assignment) = answer.assignment {
            mine.wanted = Some(assignment);
        }
        match (&mine.wanted, mine.stalled_since) {
            (Some(wanted), None) => mine.held.clone_from(wanted),
            _ => return,
        }
        mine.wanted = None;
    }

    fn next_classic(&mut self, index: usize) {
        let client = self.clients[index].clone();
        if client.join.is_some() || client.sync.is_some() {
            self.clients[index].last_sign = self.now();
            return;
        }
        let now = self.now();
        match client.joined {
            None => {
                let ticket = self.world.classic_join(&client.member_id, &["t", "u"], &[]);
                self.clients[index].join = Some(ticket);
            }
            Some(joined) if !client.synced => {
                let given =
                    if joined.leader == joined.member_id { self.share_out(&joined) } else { Vec::new() };
                self.world.tickets += 1;
                let request = SyncRequest {
                    group: "g".into(),
                    generation: joined.generation,
                    member_id: joined.member_id.clone(),
                    instance_id: None,
                    protocol_type: joined.protocol_type.clone(),
                    protocol: joined.protocol.clone(),
                    assignments: given,
                };
                let step = self.world.core.sync(request, self.world.tickets, self.world.now);
                self.world.carry_out(step);
                self.clients[index].sync = Some(self.world.tickets);
            }
            Some(joined) => match self.world.heartbeat(joined.generation, &joined.member_id) {
                Ok(()) => self.clients[index].last_sign = now,
                Err(GroupError::RebalanceInProgress) => {
                    self.begin_again(index);
                    self.clients[index].member_id = client.member_id;
                }
                Err(_) => self.begin_again(index),
            },
        }
    }

    /// What a leader of a classic group gives its members.
    fn share_out(&self, joined: &Joined) -> Vec<(String, Bytes)> {
        let all: Vec<_> = LAYOUTS[self.layout]
            .iter()
            .filter(|(name, _)| *name != "v")
            .flat_map(|&(name, count)| (0..count).map(move |partition| (name, partition)))
            .collect();
        let count = joined.members.len();
        let shares = joined.members.iter().enumerate().map(|(place, member)| {
            let mine = all.iter().enumerate().filter(|(at, _)| at % count == place);
            let each = mine.map(|(_, &(name, partition))| TopicPartitions {
                topic: name.to_owned(),
                partitions: vec![partition],
            });
            let assignment = Assignment { assigned_partitions: each.collect(), user_data: None };
            (member.member_id.clone(), assignment.encode(1).unwrap())
        });
        shares.collect()
    }

    /// Hands out the answers that came to members of the classic protocol.
    fn deliver(&mut self) {
        for index in 0..CLIENTS {
            let now = self.now();
            let client = &mut self.clients[index];
            if let Some(Answer::Join(answer)) = client.join.and_then(|at| self.world.answers.remove(&at)) {
                client.join = None;
                client.last_sign = now;
                match answer {
                    Ok(joined) => {
                        client.member_id = joined.member_id.clone();
                        client.synced = false;
                        client.joined = Some(joined);
                    }
                    Err(refused) if refused.error == GroupError::MemberIdRequired => {
                        client.member_id = refused.member_id;
                    }
                    Err(refused) if refused.error == GroupError::RebalanceInProgress => {}
                    Err(_) => self.begin_again(index),
                }
            }
            let client = &mut self.clients[index];
            if let Some(Answer::Sync(answer)) = client.sync.and_then(|at| self.world.answers.remove(&at)) {
                client.sync = None;
                client.last_sign = now;
                match answer {
                    Ok(synced) => {
                        let told = Assignment::decode(synced.assignment).unwrap();
                        client.held = Parts::new();
                        for topic in told.assigned_partitions {
                            client.held.entry(id(&topic.topic)).or_default().extend(topic.partitions);
                        }
                        client.synced = true;
                    }
                    Err(GroupError::RebalanceInProgress) => client.joined = None,
                    Err(_) => self.begin_again(index),
                }
            }
        }
    }

    fn end(&mut self, index: usize, leaves: bool, next: Option<bool>) {
        let client = std::mem::take(&mut self.clients[index]);
        if client.alive && leaves {
            if client.classic {
                let _ = self.world.leave(&client.member_id, None);
            } else if client.epoch > 0 {
                let _ = self.world.beat(beat(&client.member_id, -1));
            }
        }
        if let Some(classic) = next {
            self.start(index, classic);
        }
    }

    /// Clients that were silent, or did not give back, for too long know that they are out.
    fn give_up(&mut self) {
        let now = self.now();
        for index in 0..CLIENTS {
            let client = &self.clients[index];
            let silent =
                now - client.last_sign >= SESSION_MS && client.join.is_none() && client.sync.is_none();
            let slow = client.stalled_since.is_some_and(|since| now - since >= REBALANCE_MS);
            if client.alive && (silent || slow) {
                self.begin_again(index);
            }
        }
    }

    fn run(&mut self, operation: Operation) {
        match operation {
            Operation::Next(index) => self.next(index),
            Operation::Round => (0..CLIENTS).for_each(|index| {
                self.next(index);
                self.deliver();
            }),
            Operation::Lose(index) => {
                let client = self.clients[index].clone();
                if client.alive && !client.classic && client.epoch > 0 {
                    self.next_consumer(index, &client, true);
                }
            }
            Operation::Leave(index, next) => self.end(index, true, next),
            Operation::Kill(index, next) => self.end(index, false, next),
            Operation::Stall(index, on) => {
                self.clients[index].stalled_since = on.then_some(self.world.now.mono_ms);
            }
            Operation::Topics(layout) => {
                self.version += 1;
                self.layout = layout;
                self.world.core.see(topics(self.version, LAYOUTS[layout]));
            }
            Operation::Pass(ms) => {
                // Nobody oversleeps its own end.
                for _ in 0..i64::from(ms) / 100 {
                    self.world.pass(100);
                    self.give_up();
                }
            }
            Operation::Reopen => {
                self.world.reopen();
                for client in &mut self.clients {
                    (client.join, client.sync) = (None, None);
                }
            }
        }
        self.deliver();
        self.check();
    }

    /// No partition is read by two.
    fn check(&self) {
        let mut held = BTreeSet::new();
        for client in self.clients.iter().filter(|client| client.alive) {
            for (topic, partitions) in &client.held {
                for partition in partitions {
                    assert!(held.insert((*topic, *partition)), "{topic:?}/{partition} is held by two");
                }
            }
        }
    }

    /// Left alone, all that live share all there is.
    fn settle(&mut self) {
        if self.clients.iter().all(|client| !client.alive) {
            self.start(0, false);
        }
        self.clients.iter_mut().for_each(|client| client.stalled_since = None);
        for _ in 0..120 {
            self.run(Operation::Round);
            self.run(Operation::Pass(500));
        }
        let held: usize = self
            .clients
            .iter()
            .filter(|client| client.alive)
            .flat_map(|client| client.held.values())
            .map(BTreeSet::len)
            .sum();
        let wanted: i32 =
            LAYOUTS[self.layout].iter().filter(|(name, _)| *name != "v").map(|(_, count)| count).sum();
        let classic = self.clients.iter().filter(|client| client.alive).all(|client| client.classic);
        if !classic {
            assert_eq!(held, wanted as usize, "nothing is left lying");
            let most = |client: &Client| client.held.values().map(BTreeSet::len).sum::<usize>();
            let shares: Vec<_> = self.clients.iter().filter(|client| client.alive).map(most).collect();
            let (least, most) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
            assert!(most - least <= 1, "even shares: {shares:?}");
            assert_eq!(self.world.core.describe_consumer("g").unwrap().state, "Stable");
        } else if self.world.state() != "Dead" {
            assert_eq!(self.world.state(), "Stable");
            assert!(self.clients.iter().filter(|client| client.alive).all(|client| client.synced));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn consumers_share_everything_and_nothing_twice(
        operations in proptest::collection::vec(operation(Just(false)), 1..80),
        interval in prop_oneof![Just(0), Just(1_000)],
    ) {
        let mut play = Play::new(&[false; CLIENTS], interval);
        operations.into_iter().for_each(|operation| play.run(operation));
        play.settle();
    }

    #[test]
    fn a_group_of_both_protocols_shares_everything_and_nothing_twice(
        operations in proptest::collection::vec(operation(any::<bool>()), 1..80),
        kinds in proptest::collection::vec(any::<bool>(), CLIENTS),
    ) {
        let mut play = Play::new(&kinds, 0);
        operations.into_iter().for_each(|operation| play.run(operation));
        play.settle();
    }
}
