//! Random clients against the core: one leader a generation, no offset lost, no one waits for ever.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const CLIENTS: [(&str, Option<&str>); 5] =
    [("c0", None), ("c1", None), ("c2", None), ("s3", Some("s3")), ("s4", Some("s4"))];

#[derive(Debug, Clone)]
enum Operation {
    /// The client does what its protocol has next: join, sync or heartbeat.
    Next(usize),
    /// The client process is replaced by a new one that knows nothing.
    Restart(usize),
    /// It asks for a rebalance with other metadata.
    Change(usize, bool),
    Leave(usize),
    Commit(usize, u8),
    /// Time passes, in ms.
    Pass(u16),
    Delete(u8),
    /// The daemon is killed and started.
    Reopen,
}

fn operation() -> impl Strategy<Value = Operation> {
    let client = 0..CLIENTS.len();
    prop_oneof![
        12 => client.clone().prop_map(Operation::Next),
        1 => client.clone().prop_map(Operation::Restart),
        1 => (client.clone(), any::<bool>()).prop_map(|(client, other)| Operation::Change(client, other)),
        1 => client.clone().prop_map(Operation::Leave),
        3 => (client, 0..3u8).prop_map(|(client, topic)| Operation::Commit(client, topic)),
        3 => (0..12_000u16).prop_map(Operation::Pass),
        1 => (0..3u8).prop_map(Operation::Delete),
        1 => Just(Operation::Reopen),
    ]
}

#[derive(Default, Clone)]
struct Client {
    member_id: String,
    joined: Option<Joined>,
    join: Option<Ticket>,
    sync: Option<Ticket>,
    synced: bool,
    other: bool,
}

struct Play {
    world: World,
    clients: Vec<Client>,
    offsets: BTreeMap<String, i64>,
    leaders: BTreeMap<i32, String>,
    next_offset: i64,
}

impl Play {
    fn who(&self, client: usize) -> Who {
        let (name, instance) = CLIENTS[client];
        let protocols = match (self.clients[client].other, client % 2) {
            (true, _) => vec![("range", "other"), ("roundrobin", "rr")],
            (false, 0) => vec![("range", "r"), ("roundrobin", "rr")],
            (false, _) => vec![("roundrobin", "rr"), ("range", "r")],
        };
        Who { instance, protocols, rebalance_ms: 8_000, ..who(name) }
    }

    fn next(&mut self, index: usize) {
        let client = self.clients[index].clone();
        if client.join.is_some() || client.sync.is_some() {
            return;
        }
        match client.joined {
            None => {
                let ticket = self.world.join(&self.who(index), &client.member_id);
                self.clients[index].join = Some(ticket);
            }
            Some(joined) if !client.synced => {
                let leads = joined.leader == joined.member_id;
                let all: Vec<_> = joined.members.iter().map(|one| (one.member_id.as_str(), "x")).collect();
                let ticket = self.world.sync(&joined, if leads { &all } else { &[] });
                self.clients[index].sync = Some(ticket);
            }
            Some(joined) => match self.world.heartbeat(joined.generation, &joined.member_id) {
                Ok(()) => {}
                Err(GroupError::RebalanceInProgress) => {
                    self.clients[index] = Client { member_id: client.member_id, ..Client::default() };
                }
                Err(_) => self.clients[index] = Client::default(),
            },
        }
    }

    /// Hands out the answers that came.
    fn deliver(&mut self) {
        for index in 0..self.clients.len() {
            let client = &mut self.clients[index];
            if let Some(Answer::Join(answer)) = client.join.and_then(|id| self.world.answers.remove(&id)) {
                client.join = None;
                match answer {
                    Ok(joined) => {
                        let stem = joined.leader.split('-').next().unwrap().to_owned();
                        let leader = self.leaders.entry(joined.generation).or_insert_with(|| stem.clone());
                        assert_eq!(*leader, stem, "generation {} has one leader", joined.generation);
                        client.member_id = joined.member_id.clone();
                        client.synced = joined.skip_assignment;
                        client.joined = Some(joined);
                    }
                    Err(refused) if refused.error == GroupError::MemberIdRequired => {
                        client.member_id = refused.member_id;
                    }
                    Err(_) => client.member_id = String::new(),
                }
            }
            if let Some(Answer::Sync(answer)) = client.sync.and_then(|id| self.world.answers.remove(&id)) {
                client.sync = None;
                match answer {
                    Ok(_) => client.synced = true,
                    Err(GroupError::RebalanceInProgress) => client.joined = None,
                    Err(_) => *client = Client::default(),
                }
            }
        }
    }

    fn run(&mut self, operation: Operation) {
        match operation {
            Operation::Next(index) => self.next(index),
            Operation::Restart(index) => self.clients[index] = Client::default(),
            Operation::Change(index, other) => {
                self.clients[index].other = other;
                if self.clients[index].synced {
                    self.clients[index].joined = None;
                    self.clients[index].synced = false;
                }
            }
            Operation::Leave(index) => {
                let id = self.clients[index].member_id.clone();
                let _ = self.world.leave(&id, CLIENTS[index].1);
                self.clients[index] = Client::default();
            }
            Operation::Commit(index, topic) => {
                let client = &self.clients[index];
                let generation = client.joined.as_ref().map_or(-1, |joined| joined.generation);
                let id = if generation < 0 { String::new() } else { client.member_id.clone() };
                let topic = format!("t{topic}");
                self.next_offset += 1;
                if self.world.commit(generation, &id, &topic, self.next_offset).is_ok() {
                    self.offsets.insert(topic, self.next_offset);
                }
            }
            Operation::Pass(ms) => self.world.pass(ms.into()),
            Operation::Delete(topic) => {
                let topic = format!("t{topic}");
                let step = self.world.core.topic_deleted(&topic, Default::default());
                self.world.carry_out(step);
                self.offsets.remove(&topic);
            }
            Operation::Reopen => {
                self.world.reopen();
                // A generation that was never stored may be made again, with another leader.
                self.leaders.clear();
                for client in &mut self.clients {
                    (client.join, client.sync) = (None, None);
                }
            }
        }
        self.deliver();
        for topic in 0..3 {
            let topic = format!("t{topic}");
            assert_eq!(self.world.offset(&topic), self.offsets.get(&topic).copied(), "{topic}");
        }
    }

    /// Left alone and driven on, every client comes to rest in one generation.
    fn settle(&mut self) {
        for _ in 0..60 {
            for index in 0..self.clients.len() {
                self.run(Operation::Next(index));
            }
            self.run(Operation::Pass(1_000));
        }
        let generation = self.world.core.groups["g"].generation;
        assert_eq!(self.world.state(), "Stable");
        for (index, client) in self.clients.iter().enumerate() {
            let joined = client.joined.as_ref().unwrap_or_else(|| panic!("client {index} is no member"));
            assert_eq!((joined.generation, client.synced), (generation, true), "client {index}");
        }
        assert_eq!(self.world.core.groups["g"].members.len(), CLIENTS.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]
    #[test]
    fn whatever_clients_do_the_group_stays_sound_and_comes_to_rest(
        operations in proptest::collection::vec(operation(), 1..120),
        delay in prop_oneof![Just(0), Just(3_000)],
    ) {
        let rules = Rules { initial_rebalance_delay_ms: delay, ..Rules::default() };
        let mut play = Play {
            world: World::with(rules),
            clients: vec![Client::default(); CLIENTS.len()],
            offsets: BTreeMap::new(),
            leaders: BTreeMap::new(),
            next_offset: 0,
        };
        for operation in operations {
            play.run(operation);
        }
        play.settle();
    }
}
