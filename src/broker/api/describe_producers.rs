//! DescribeProducers (61), version 0: the idempotent producers that a partition remembers (KIP-664), and where their
//! open transactions begin.

use std::sync::Arc;

use super::error;
use super::operations::{self, Refused};
use crate::auth::acl::Operation;
use crate::broker::{Broker, Peer};
use crate::model::name::check_topic;
use crate::wire::error::ErrorCode;
use crate::wire::messages::describe_producers::{
    DescribeProducersRequest, DescribeProducersResponse, PartitionResponse, ProducerState, TopicResponse,
};

pub(super) async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    request: DescribeProducersRequest,
) -> DescribeProducersResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partition_indexes.len());
        for partition_index in topic.partition_indexes {
            let answer = match producers(broker, peer, &topic.name, partition_index).await {
                Ok(active_producers) => PartitionResponse { active_producers, ..Default::default() },
                Err((error_code, message)) => {
                    PartitionResponse { error_code, error_message: Some(message), ..Default::default() }
                }
            };
            partitions.push(PartitionResponse { partition_index, ..answer });
        }
        topics.push(TopicResponse { name: topic.name, partitions });
    }
    DescribeProducersResponse { topics, ..Default::default() }
}

async fn producers(
    broker: &Arc<Broker>,
    peer: &Peer,
    name: &str,
    index: i32,
) -> Result<Vec<ProducerState>, Refused> {
    check_topic(name).map_err(|error| (ErrorCode::INVALID_TOPIC_EXCEPTION, error.to_string()))?;
    operations::topic(broker, peer, Operation::Read, name)?;
    let unknown = || (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("there is no partition {name}-{index}"));
    let topic = broker.topic(name).ok_or_else(unknown)?;
    let partition = broker
        .partition_of(&topic, index)
        .map_err(|error| (error::of_storage(&error), error.to_string()))?
        .ok_or_else(unknown)?;
    let log = Arc::clone(partition.log());
    let found = broker.blocking(move |_| log.active_producers()).await;
    let found = found.map_err(|error| (error::of_broker(&error), error.to_string()))?;
    let found = found.map_err(|error| (error::of_storage(&error), error.to_string()))?;
    let said = found.into_iter().map(|producer| ProducerState {
        producer_id: producer.producer_id,
        producer_epoch: i32::from(producer.epoch),
        last_sequence: producer.last_sequence,
        last_timestamp: producer.last_timestamp,
        coordinator_epoch: producer.coordinator_epoch,
        current_txn_start_offset: producer.transaction_from,
    });
    Ok(said.collect())
}
