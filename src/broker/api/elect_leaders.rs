//! ElectLeaders (43), versions 0 to 2: preferred or unclean elections (KIP-460). The one node leads everything, so
//! that none is ever needed. Refuses kinds of elections that there are not.

use std::sync::Arc;

use super::operations;
use crate::auth::acl::Operation;
use crate::broker::{Broker, Peer};
use crate::wire::error::ErrorCode;
use crate::wire::messages::elect_leaders::{
    ElectLeadersRequest, ElectLeadersResponse, PartitionResult, ReplicaElectionResult, TopicPartitions,
};

pub(super) async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    version: i16,
    request: ElectLeadersRequest,
) -> ElectLeadersResponse {
    let permitted = operations::cluster(broker, peer, Operation::Alter);
    let (kind, asked) = (request.election_type, request.topic_partitions);
    // Where no partition is named there is nothing to say it of.
    let judged = asked.as_ref().is_none_or(|asked| !asked.is_empty());
    let permitted = permitted.and_then(|()| match version {
        1.. if judged && !(0..=1).contains(&kind) => {
            Err((ErrorCode::INVALID_REQUEST, format!("there is no election type {kind}")))
        }
        _ => Ok(()),
    });
    if let Err((error_code, message)) = permitted {
        // Said of each partition as well, as in Kafka; version 0 has no other place for it.
        let replica_election_results = refused(asked, error_code, &message);
        return ElectLeadersResponse { error_code, replica_election_results, ..Default::default() };
    }
    let replica_election_results = match asked {
        // Of all partitions only those that needed an election are named.
        None => {
            let none = |topic: &Arc<crate::broker::Topic>| ReplicaElectionResult {
                topic: topic.name().to_string(),
                ..Default::default()
            };
            broker.topics().iter().map(none).collect()
        }
        Some(asked) => {
            let named = asked.into_iter().map(|topic| {
                let partitions =
                    topic.partitions.into_iter().map(|partition| not_needed(broker, &topic.topic, partition));
                ReplicaElectionResult { partition_result: partitions.collect(), topic: topic.topic }
            });
            named.collect()
        }
    };
    ElectLeadersResponse { replica_election_results, ..Default::default() }
}

fn refused(
    asked: Option<Vec<TopicPartitions>>,
    error_code: ErrorCode,
    message: &str,
) -> Vec<ReplicaElectionResult> {
    let results = asked.unwrap_or_default().into_iter().map(|topic| {
        let partitions = topic.partitions.into_iter().map(|partition_id| PartitionResult {
            partition_id,
            error_code,
            error_message: Some(message.to_owned()),
        });
        ReplicaElectionResult { topic: topic.topic, partition_result: partitions.collect() }
    });
    results.collect()
}

fn not_needed(broker: &Broker, topic: &str, partition_id: i32) -> PartitionResult {
    let (error_code, text) = match broker.topic(topic) {
        Some(found) if found.has(partition_id) => {
            (ErrorCode::ELECTION_NOT_NEEDED, "this node leads it already".to_owned())
        }
        Some(_) => {
            (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("there is no partition {topic}-{partition_id}"))
        }
        None => (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("there is no topic {topic}")),
    };
    PartitionResult { partition_id, error_code, error_message: Some(text) }
}
