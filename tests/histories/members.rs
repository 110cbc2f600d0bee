//! Members of a consumer group (KIP-848): they read what they own and commit how far they came; now and then one is paused, or goes
//! on as if it had not been put out.

use std::collections::{BTreeMap, BTreeSet};

use klog::wire::error::ErrorCode;
use klog::wire::messages::consumer_group_heartbeat::{ConsumerGroupHeartbeatRequest, TopicPartitions};
use klog::wire::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use klog::wire::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};

use crate::history::{Kind, Log, Outcome};
use crate::readers::Reading;
use crate::world::{Client, TOPICS, logs_of};

/// A member of a group and what it owns.
pub(crate) struct Member {
    pub(crate) group: &'static str,
    pub(crate) id: String,
    pub(crate) epoch: i32,
    topics: Vec<String>,
    /// What the coordinator wants it to own.
    wanted: BTreeSet<Log>,
    /// What it owns, and where it stands.
    pub(crate) positions: BTreeMap<Log, i64>,
    /// Tells one assignment of it from the next.
    pub(crate) reader: u64,
}

impl Member {
    pub(crate) fn new(client: &mut Client, group: &'static str, topics: &[&str]) -> Self {
        let topics = topics.iter().map(|topic| (*topic).to_owned()).collect();
        let id = format!("member-{}", client.world.recorder.number());
        let (wanted, positions) = (BTreeSet::new(), BTreeMap::new());
        Self { group, id, epoch: 0, topics, wanted, positions, reader: client.world.recorder.number() }
    }

    /// Forgets everything: it is no member any more, and joins again.
    pub(crate) fn put_out(&mut self, client: &Client) {
        self.epoch = 0;
        self.wanted.clear();
        self.positions.clear();
        self.reader = client.world.recorder.number();
    }

    /// Tells the coordinator what it owns and learns what it should; whether it is a member.
    pub(crate) async fn heartbeat(&mut self, client: &mut Client) -> bool {
        let owned = TOPICS.iter().filter_map(|(topic, _)| {
            let partitions: Vec<_> =
                self.positions.keys().filter(|log| log.topic == *topic).map(|log| log.partition).collect();
            let topic_id = client.world.id_of(topic);
            (!partitions.is_empty()).then_some(TopicPartitions { topic_id, partitions })
        });
        let request = ConsumerGroupHeartbeatRequest {
            group_id: self.group.to_owned(),
            member_id: self.id.clone(),
            member_epoch: self.epoch,
            rebalance_timeout_ms: 5_000,
            subscribed_topic_names: Some(self.topics.clone()),
            topic_partitions: Some(owned.collect()),
            ..Default::default()
        };
        let Some(answer) = client.line.call(&request, 1).await else { return false };
        match answer.error_code {
            ErrorCode::NONE => {}
            ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::FENCED_MEMBER_EPOCH => {
                self.put_out(client);
                return false;
            }
            _ => return false,
        }
        self.epoch = answer.member_epoch;
        if let Some(assignment) = answer.assignment {
            self.wanted.clear();
            for topic in assignment.topic_partitions {
                let Some(name) = client.world.topic_of(topic.topic_id) else { continue };
                self.wanted.extend(topic.partitions.iter().map(|&partition| Log { topic: name, partition }));
            }
        }
        true
    }

    /// What it is to give up.
    pub(crate) fn to_give_up(&self) -> Vec<Log> {
        self.positions.keys().filter(|log| !self.wanted.contains(log)).copied().collect()
    }

    /// Takes what it was given, at the positions that the group keeps.
    pub(crate) async fn take_over(&mut self, client: &mut Client) -> bool {
        let new: Vec<_> =
            self.wanted.iter().filter(|log| !self.positions.contains_key(log)).copied().collect();
        if new.is_empty() {
            return true;
        }
        let Some(kept) = client.committed(self.group, &new, Some((&self.id, self.epoch))).await else {
            return false;
        };
        self.reader = client.world.recorder.number();
        self.positions.extend(kept.into_iter().map(|(log, offset)| (log, offset.max(0))));
        true
    }

    /// Commits where it stands in some partitions.
    pub(crate) async fn commit(&self, client: &mut Client, logs: &[Log]) {
        if logs.is_empty() {
            return;
        }
        let topics = by_topic(logs).into_iter().map(|(topic, logs)| OffsetCommitRequestTopic {
            name: topic.to_owned(),
            partitions: logs
                .iter()
                .map(|log| OffsetCommitRequestPartition {
                    partition_index: log.partition,
                    committed_offset: self.positions[log],
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        });
        let request = OffsetCommitRequest {
            group_id: self.group.to_owned(),
            generation_id_or_member_epoch: self.epoch,
            member_id: self.id.clone(),
            topics: topics.collect(),
            ..Default::default()
        };
        let invoked = client.world.recorder.now();
        let answer = client.line.call(&request, 9).await;
        let code = |log: Log| {
            let topic = answer.as_ref()?.topics.iter().find(|topic| topic.name == log.topic)?;
            let partition = topic.partitions.iter().find(|one| one.partition_index == log.partition)?;
            Some(partition.error_code)
        };
        for &log in logs {
            let outcome = match code(log) {
                Some(ErrorCode::NONE) => Outcome::Ok,
                Some(
                    ErrorCode::STALE_MEMBER_EPOCH
                    | ErrorCode::UNKNOWN_MEMBER_ID
                    | ErrorCode::FENCED_MEMBER_EPOCH
                    | ErrorCode::ILLEGAL_GENERATION,
                ) => Outcome::Fail,
                _ => Outcome::Unknown,
            };
            let kind = Kind::Commit { group: self.group, log, offset: self.positions[&log], txn: None };
            client.world.recorder.done(client.process, invoked, outcome, kind);
        }
    }
}

pub(crate) fn by_topic(logs: &[Log]) -> BTreeMap<&'static str, Vec<Log>> {
    let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for log in logs {
        all.entry(log.topic).or_default().push(*log);
    }
    all
}

impl Client {
    /// Where a group stands, as its coordinator says; taken down. -1 is nowhere.
    pub(crate) async fn committed(
        &mut self,
        group: &'static str,
        logs: &[Log],
        member: Option<(&str, i32)>,
    ) -> Option<Vec<(Log, i64)>> {
        let topics = by_topic(logs).into_iter().map(|(topic, logs)| OffsetFetchRequestTopics {
            name: topic.to_owned(),
            partition_indexes: logs.iter().map(|log| log.partition).collect(),
            ..Default::default()
        });
        let request = OffsetFetchRequest {
            groups: vec![OffsetFetchRequestGroup {
                group_id: group.to_owned(),
                member_id: member.map(|(id, _)| id.to_owned()),
                member_epoch: member.map_or(-1, |(_, epoch)| epoch),
                topics: Some(topics.collect()),
            }],
            require_stable: true,
            ..Default::default()
        };
        let invoked = self.world.recorder.now();
        let answer = self.line.call(&request, 9).await?;
        let answer = answer.groups.into_iter().next()?;
        if !answer.error_code.is_ok() {
            return None;
        }
        let mut found = Vec::new();
        for topic in answer.topics {
            for partition in topic.partitions {
                if !partition.error_code.is_ok() {
                    return None;
                }
                let log = logs
                    .iter()
                    .find(|log| log.topic == topic.name && log.partition == partition.partition_index)?;
                found.push((*log, partition.committed_offset));
            }
        }
        for (log, offset) in &found {
            let kind = Kind::Committed { group, log: *log, offset: *offset };
            self.world.recorder.done(self.process, invoked, Outcome::Ok, kind);
        }
        Some(found)
    }
}

/// Reads and commits as a member until it is time to stop.
pub(crate) async fn member(mut client: Client, group: &'static str) {
    let mut member = Member::new(&mut client, group, &["in", "out"]);
    while !client.stopped() {
        if !member.heartbeat(&mut client).await {
            client.back_off().await;
            continue;
        }
        let leaving = member.to_give_up();
        member.commit(&mut client, &leaving).await;
        member.positions.retain(|log, _| !leaving.contains(log));
        if !member.take_over(&mut client).await {
            client.back_off().await;
            continue;
        }
        for _ in 0..client.random.usize(1..6) {
            if member.positions.is_empty() || client.stopped() {
                break;
            }
            let bytes = client.random.i32(100..6000);
            let how = Reading { reader: member.reader, committed: false, last: false, txn: None, bytes };
            if client.poll(&mut member.positions, how).await.is_none() {
                client.back_off().await;
            }
            let owned: Vec<_> = member.positions.keys().copied().collect();
            member.commit(&mut client, &owned).await;
            client.pause().await;
        }
        match client.random.u8(0..60) {
            // It leaves without a word; its session ends by itself, or not at all before the history does.
            0 => member = Member::new(&mut client, group, &["in", "out"]),
            // It sleeps, and commits what it thought it owned.
            1 => {
                tokio::time::sleep(std::time::Duration::from_millis(150)).await;
                let owned: Vec<_> = member.positions.keys().copied().collect();
                member.commit(&mut client, &owned).await;
            }
            _ => {}
        }
        client.pause().await;
    }
}

/// Where the groups stand at the end.
pub(crate) async fn last_positions(mut client: Client, group: &'static str, topics: &[&str]) {
    let all: Vec<_> = topics.iter().flat_map(|topic| logs_of(topic)).collect();
    for _ in 0..200 {
        if client.committed(group, &all, None).await.is_some() {
            return;
        }
        client.back_off().await;
    }
    panic!("the positions of {group} can not be learned");
}
