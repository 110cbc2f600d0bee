//! Scenarios and properties of the pure core: a log in memory, a clock by hand; no broker, no disk.

mod consumers;
mod joining;
mod mixed;
mod offsets;
mod properties;
mod statics;
mod txn;

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use super::core::{Answer, Core, Step};
use super::durable::{Durable, GroupRecord};
use super::group::Phase;
use super::request::*;

/// A core with what surrounds it in life: a log of encoded records, a clock, and the answers that came out.
struct World {
    core: Core,
    log: Vec<Entry>,
    /// What the log comes to, read record by record.
    replayed: Durable,
    now: Now,
    tickets: Ticket,
    answers: HashMap<Ticket, Answer>,
    draws: u32,
}

/// What lies at an offset of the log.
enum Entry {
    Record { key: Bytes, value: Option<Bytes>, producer: Option<(i64, i16)> },
    Marker { producer_id: i64, commit: bool },
}

/// A client's data that scenarios vary.
#[derive(Clone)]
struct Who {
    group: &'static str,
    client: &'static str,
    instance: Option<&'static str>,
    session_ms: i32,
    rebalance_ms: i32,
    protocols: Vec<(&'static str, &'static str)>,
    version: i16,
}

fn who(client: &'static str) -> Who {
    Who {
        group: "g",
        client,
        instance: None,
        session_ms: 10_000,
        rebalance_ms: 60_000,
        protocols: vec![("range", "r"), ("roundrobin", "rr")],
        version: 9,
    }
}

fn static_who(client: &'static str, instance: &'static str) -> Who {
    Who { instance: Some(instance), ..who(client) }
}

impl World {
    fn new() -> Self {
        Self::with(Rules::default())
    }

    fn with(rules: Rules) -> Self {
        let now = Now { mono_ms: 0, wall_ms: 1_700_000_000_000 };
        Self {
            core: Core::new(rules, now),
            log: Vec::new(),
            replayed: Durable::default(),
            now,
            tickets: 0,
            answers: HashMap::new(),
            draws: 0,
        }
    }

    /// What the shell does with a step; records go through their bytes.
    fn carry_out(&mut self, step: Step) {
        for record in step.records {
            let (key, value) = record.encode().unwrap();
            let read = GroupRecord::decode(key.clone(), value.clone()).unwrap().unwrap();
            assert_eq!(read, record, "a record is read as it was written");
            let at = self.log.len() as i64;
            self.replayed.apply(read.clone(), at, step.producer);
            self.log.push(Entry::Record { key, value, producer: step.producer });
            self.core.apply(read, at, step.producer);
        }
        for (ticket, answer) in step.answers {
            assert!(self.answers.insert(ticket, answer).is_none(), "one answer a ticket");
        }
        self.check();
    }

    /// What must hold after every step.
    fn check(&self) {
        assert_eq!(&self.replayed, self.core.durable(), "the log says what memory says");
        for (id, group) in &self.core.durable().consumers {
            assert!(!self.core.groups.contains_key(id), "a group is of one kind");
            group.assert_sound();
            self.core.consumers[id].assert_sound(group);
        }
        for group in self.core.groups.values() {
            group.assert_sound();
            if let (Phase::Stable | Phase::Empty, Some(stored)) =
                (group.phase, self.core.durable().groups.get(&group.id))
            {
                let GroupRecord::Group { value: Some(live), .. } = group.record() else { unreachable!() };
                assert_eq!(&live, stored, "a group at rest is stored as it is");
            }
            if group.phase == Phase::Stable {
                assert!(self.core.durable().groups.contains_key(&group.id), "a stable group is stored");
            }
        }
    }

    /// Ends the process and reads the log again.
    fn reopen(&mut self) {
        let topics = self.core.topics.clone();
        self.core = Core::restore(self.core.rules, self.replayed.clone(), self.now);
        self.core.see(topics);
        self.answers.clear();
        self.check();
    }

    fn pass(&mut self, ms: i64) {
        let end = self.now.mono_ms + ms;
        // Time comes as it does in life: at the deadlines, and no later.
        while let Some(at) = self.core.deadline().filter(|&at| at <= end) {
            self.now.wall_ms += (at - self.now.mono_ms).max(0);
            self.now.mono_ms = self.now.mono_ms.max(at);
            let step = self.core.tick(self.now);
            self.carry_out(step);
            assert!(self.core.deadline().is_none_or(|next| next > at), "what was due is done");
        }
        self.now.wall_ms += end - self.now.mono_ms;
        self.now.mono_ms = end;
    }

    fn join(&mut self, who: &Who, member_id: &str) -> Ticket {
        self.draws += 1;
        self.tickets += 1;
        let protocol = |&(name, metadata): &(&str, &'static str)| Protocol {
            name: name.into(),
            metadata: metadata.into(),
        };
        let request = JoinRequest {
            hidden: Default::default(),
            group: who.group.into(),
            member_id: member_id.to_owned(),
            instance_id: who.instance.map(str::to_owned),
            client_id: who.client.to_owned(),
            client_host: "/127.0.0.1".to_owned(),
            session_timeout_ms: who.session_ms,
            rebalance_timeout_ms: who.rebalance_ms,
            protocol_type: "consumer".to_owned(),
            protocols: who.protocols.iter().map(protocol).collect(),
            needs_member_id: who.version >= 4,
            may_skip_assignment: who.version >= 9,
            draw: format!("{}", self.draws),
        };
        let step = self.core.join(request, self.tickets, self.now);
        self.carry_out(step);
        self.tickets
    }

    fn joined(&mut self, ticket: Ticket) -> Result<Joined, JoinRefused> {
        match self.answers.remove(&ticket) {
            Some(Answer::Join(answer)) => answer,
            other => panic!("no join answer under {ticket}: {other:?}"),
        }
    }

    fn waits(&self, ticket: Ticket) -> bool {
        !self.answers.contains_key(&ticket)
    }

    /// The id a new dynamic member is given.
    fn member_id(&mut self, who: &Who) -> String {
        let ticket = self.join(who, "");
        let refused = self.joined(ticket).unwrap_err();
        assert_eq!(refused.error, GroupError::MemberIdRequired);
        refused.member_id
    }

    fn sync(&mut self, joined: &Joined, assignments: &[(&str, &'static str)]) -> Ticket {
        self.tickets += 1;
        let request = SyncRequest {
            group: "g".into(),
            generation: joined.generation,
            member_id: joined.member_id.clone(),
            instance_id: None,
            protocol_type: joined.protocol_type.clone(),
            protocol: joined.protocol.clone(),
            assignments: assignments
                .iter()
                .map(|&(id, assignment)| (id.to_owned(), Bytes::from(assignment)))
                .collect(),
        };
        let step = self.core.sync(request, self.tickets, self.now);
        self.carry_out(step);
        self.tickets
    }

    fn synced(&mut self, ticket: Ticket) -> Result<Synced, GroupError> {
        match self.answers.remove(&ticket) {
            Some(Answer::Sync(answer)) => answer,
            other => panic!("no sync answer under {ticket}: {other:?}"),
        }
    }

    fn heartbeat(&mut self, generation: i32, member_id: &str) -> Result<(), GroupError> {
        let from = Sender { generation, member_id, instance_id: None, knows_epochs: true };
        self.core.heartbeat("g", from, self.now)
    }

    fn leave(&mut self, member_id: &str, instance: Option<&str>) -> Result<(), GroupError> {
        let leaver = Leaver { member_id: member_id.to_owned(), instance_id: instance.map(str::to_owned) };
        let (left, step) = self.core.leave("g", &[leaver], self.now);
        self.carry_out(step);
        left?.remove(0)
    }

    fn commit(
        &mut self,
        generation: i32,
        member_id: &str,
        topic: &str,
        offset: i64,
    ) -> Result<(), GroupError> {
        let from = Sender { generation, member_id, instance_id: None, knows_epochs: true };
        let offset = NewOffset {
            topic: topic.into(),
            topic_id: Default::default(),
            partition: 0,
            offset,
            leader_epoch: -1,
            metadata: String::new(),
        };
        let (results, step) = self.core.commit(&Arc::from("g"), from, None, vec![offset], self.now);
        self.carry_out(step);
        results?.remove(0)
    }

    fn offset(&self, topic: &str) -> Option<i64> {
        let partition = crate::model::id::TopicPartition::new(topic, 0);
        self.core.offset("g", &partition, Default::default()).map(|kept| kept.offset)
    }

    fn state(&self) -> &'static str {
        self.core.describe("g").map_or("Dead", |group| group.state)
    }

    /// A stable group of the given members; returns what each was told.
    fn stable(&mut self, members: &[Who]) -> Vec<Joined> {
        let ids: Vec<_> = members
            .iter()
            .map(|who| if who.instance.is_some() { String::new() } else { self.member_id(who) })
            .collect();
        let mut tickets: Vec<_> = members.iter().zip(&ids).map(|(who, id)| self.join(who, id)).collect();
        // The first came to a generation of its own; it joins once more, with the others.
        let first = self.joined(tickets[0]).unwrap();
        if members.len() > 1 {
            tickets[0] = self.join(&members[0], &first.member_id);
        } else {
            self.answers.insert(tickets[0], Answer::Join(Ok(first)));
        }
        let joined: Vec<_> = tickets.into_iter().map(|ticket| self.joined(ticket).unwrap()).collect();
        let leader = joined.iter().find(|one| one.leader == one.member_id).unwrap().clone();
        let assignments: Vec<_> =
            joined.iter().zip(members).map(|(one, who)| (one.member_id.as_str(), who.client)).collect();
        let led = self.sync(&leader, &assignments);
        assert_eq!(self.synced(led).unwrap().assignment.len(), 1);
        for (one, who) in joined.iter().zip(members) {
            let ticket = self.sync(one, &[]);
            assert_eq!(self.synced(ticket).unwrap().assignment, who.client);
        }
        assert_eq!(self.state(), "Stable");
        joined
    }
}

#[test]
fn groups_lie_where_kafka_puts_them() {
    // `Utils.abs(group.hashCode()) % partitions`, asked of Apache Kafka 4.3.1.
    for (group, of_8, of_50) in [
        ("", 0, 0),
        ("g", 7, 3),
        ("my-group", 2, 12),
        ("console-consumer-12345", 2, 6),
        ("grüße", 7, 23),
        ("polygenelubricants", 0, 0),
        ("𝄞", 2, 44),
    ] {
        assert_eq!((super::shard_of(group, 8), super::shard_of(group, 50)), (of_8, of_50), "{group}");
    }
}

#[test]
fn a_member_id_is_made_of_a_bounded_piece_of_the_clients_name() {
    let mut world = World::new();
    let client: &'static str = Box::leak(format!("x{}", "é".repeat(20_000)).into_boxed_str());
    let id = world.member_id(&who(client));
    assert!(id.starts_with("xé") && id.ends_with("é-1") && id.len() <= 257, "{} bytes", id.len());
    let ticket = world.join(&who(client), &id);
    assert_eq!(world.joined(ticket).unwrap().member_id, id);
}
