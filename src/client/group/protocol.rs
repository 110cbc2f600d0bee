//! What members tell each other through the coordinator: subscriptions out and in, assignments out and in; knows no
//! connection.

use super::assignor::{Assignment as Division, Subscriber};
use crate::model::id::TopicPartition;
use crate::schema::consumer::{Assignment, NEWEST, Subscription, TopicPartitions};
use crate::wire::messages::join_group::JoinGroupResponseMember;
use crate::wire::messages::sync_group::SyncGroupRequestAssignment;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;

/// This member's subscription as bytes.
pub(super) fn subscription(topics: &[String], owned: &[TopicPartition], generation: i32) -> Option<Bytes> {
    let subscription = Subscription {
        topics: topics.to_vec(),
        // Where Java's cooperative assignor looks for the generation.
        user_data: Some(Bytes::copy_from_slice(&generation.to_be_bytes())),
        owned_partitions: grouped(owned),
        generation_id: generation,
        rack_id: None,
    };
    subscription.encode(NEWEST).ok()
}

/// A member as the leader was told of it; one whose subscription can not be read wants nothing.
pub(super) fn subscriber(member: &JoinGroupResponseMember) -> Subscriber {
    let told = Subscription::decode(member.metadata.clone()).unwrap_or_default();
    let from_user_data =
        told.user_data.as_deref().filter(|_| told.generation_id < 0).and_then(|data| data.first_chunk());
    Subscriber {
        member_id: member.member_id.clone(),
        instance_id: member.group_instance_id.clone(),
        topics: told.topics.iter().map(|topic| Arc::from(topic.as_str())).collect(),
        owned: flat(told.owned_partitions),
        generation: from_user_data.map_or(told.generation_id, |raw| i32::from_be_bytes(*raw)),
    }
}

/// Everyone's assignment as the leader sends it.
pub(super) fn assignments(division: &Division) -> Vec<SyncGroupRequestAssignment> {
    let one = |(member, partitions): (&String, &Vec<TopicPartition>)| {
        let assignment = Assignment { assigned_partitions: grouped(partitions), user_data: None };
        Some(SyncGroupRequestAssignment { member_id: member.clone(), assignment: assignment.encode(0).ok()? })
    };
    division.iter().filter_map(one).collect()
}

/// This member's partitions; `None` where the bytes can not be read.
pub(super) fn assigned(bytes: Bytes) -> Option<Vec<TopicPartition>> {
    let mut partitions = flat(Assignment::decode(bytes).ok()?.assigned_partitions);
    partitions.sort();
    Some(partitions)
}

fn grouped(partitions: &[TopicPartition]) -> Vec<TopicPartitions> {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for partition in partitions {
        topics.entry(&partition.topic).or_default().push(partition.partition);
    }
    let one = |(topic, partitions): (&str, Vec<i32>)| TopicPartitions { topic: topic.to_owned(), partitions };
    topics.into_iter().map(one).collect()
}

fn flat(topics: Vec<TopicPartitions>) -> Vec<TopicPartition> {
    let mut out = Vec::new();
    for topic in topics {
        let name: Arc<str> = Arc::from(topic.topic);
        out.extend(topic.partitions.into_iter().map(|index| TopicPartition::new(name.clone(), index)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_leader_reads_what_a_member_says() {
        let owned = vec![TopicPartition::new("a", 1), TopicPartition::new("b", 0)];
        let bytes = subscription(&["a".to_owned(), "b".to_owned()], &owned, 7).unwrap();
        let member =
            JoinGroupResponseMember { member_id: "m".to_owned(), group_instance_id: None, metadata: bytes };
        let found = subscriber(&member);
        assert_eq!((found.owned, found.generation, found.topics.len()), (owned.clone(), 7, 2));
        let sent = assignments(&Division::from([("m".to_owned(), owned.clone())]));
        assert_eq!(assigned(sent[0].assignment.clone()), Some(owned));
        assert_eq!(assigned(Bytes::new()), Some(Vec::new()));
        assert_eq!(assigned(Bytes::from_static(&[0])), None);
    }

    #[test]
    fn a_member_of_another_maker_without_generation_is_read_by_its_user_data() {
        let told = Subscription {
            topics: vec!["a".to_owned()],
            user_data: Some(Bytes::from_static(&[0, 0, 0, 9])),
            ..Subscription::default()
        };
        let member = |metadata| JoinGroupResponseMember { metadata, ..JoinGroupResponseMember::default() };
        assert_eq!(subscriber(&member(told.encode(1).unwrap())).generation, 9);
        assert_eq!(subscriber(&member(Bytes::from_static(b"?"))).topics.len(), 0);
    }
}
