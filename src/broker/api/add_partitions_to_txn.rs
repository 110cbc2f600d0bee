//! AddPartitionsToTxn (24), versions 0 to 5: partitions join a transaction, all or none. From 4 on brokers ask, for
//! several transactions and also only whether partitions take part; that takes ClusterAction.

use std::sync::Arc;

use super::{operations, txn_code};
use crate::auth::acl::Operation;
use crate::broker::transactions::request::{Producer, TxnError};
use crate::broker::{Broker, Peer};
use crate::model::id::TopicPartition;
use crate::model::name;
use crate::wire::error::ErrorCode;
use crate::wire::messages::add_partitions_to_txn::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
    AddPartitionsToTxnResult, AddPartitionsToTxnTopic, AddPartitionsToTxnTopicResult,
    AddPartitionsToTxnTransaction,
};

/// The first version that knows PRODUCER_FENCED.
const FENCED_FROM: i16 = 2;
/// The first version that brokers send.
const BROKERS_FROM: i16 = 4;

pub(super) async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    version: i16,
    request: AddPartitionsToTxnRequest,
) -> AddPartitionsToTxnResponse {
    if version < BROKERS_FROM {
        let transaction = AddPartitionsToTxnTransaction {
            transactional_id: request.v3_and_below_transactional_id,
            producer_id: request.v3_and_below_producer_id,
            producer_epoch: request.v3_and_below_producer_epoch,
            topics: request.v3_and_below_topics,
            ..AddPartitionsToTxnTransaction::default()
        };
        return AddPartitionsToTxnResponse {
            results_by_topic_v3_and_below: one(broker, peer, version, transaction).await,
            ..AddPartitionsToTxnResponse::default()
        };
    }
    if let Err((error_code, _)) = operations::cluster(broker, peer, Operation::ClusterAction) {
        return AddPartitionsToTxnResponse { error_code, ..AddPartitionsToTxnResponse::default() };
    }
    let mut results = Vec::with_capacity(request.transactions.len());
    for transaction in request.transactions {
        let transactional_id = transaction.transactional_id.clone();
        let topic_results = one(broker, peer, version, transaction).await;
        results.push(AddPartitionsToTxnResult { transactional_id, topic_results });
    }
    AddPartitionsToTxnResponse { results_by_transaction: results, ..AddPartitionsToTxnResponse::default() }
}

async fn one(
    broker: &Arc<Broker>,
    peer: &Peer,
    version: i16,
    asked: AddPartitionsToTxnTransaction,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let id = &*asked.transactional_id;
    if version < BROKERS_FROM
        && let Err(code) = txn_code::may(broker, peer, Operation::Write, id)
    {
        return each(asked.topics, |_, _| code);
    }
    let judged = |topic: &str, index: i32| judge(broker, peer, version, topic, index);
    let refused = asked
        .topics
        .iter()
        .any(|topic| topic.partitions.iter().any(|index| judged(&topic.name, *index) != ErrorCode::NONE));
    if refused {
        // One partition that can not take part keeps all of them out.
        return each(asked.topics, |topic, index| match judged(topic, index) {
            ErrorCode::NONE => ErrorCode::OPERATION_NOT_ATTEMPTED,
            code => code,
        });
    }
    let producer = Producer { id: asked.producer_id, epoch: asked.producer_epoch };
    let partitions = named(&asked.topics);
    if asked.verify_only {
        let mut codes = std::collections::HashMap::with_capacity(partitions.len());
        for partition in partitions {
            let verified =
                broker.transactions().verify(broker, id, producer.id, producer.epoch, &partition).await;
            codes.insert(partition, txn_code::outcome(&verified, version, FENCED_FROM));
        }
        return each(asked.topics, |topic, index| {
            codes.get(&TopicPartition::new(topic, index)).copied().unwrap_or_default()
        });
    }
    // Who sends version 5 goes by transaction version 2.
    let client_version = if version > 4 { 2 } else { 0 };
    let added: Result<(), TxnError> =
        broker.transactions().add_partitions_as(broker, id, producer, &partitions, client_version).await;
    let code = txn_code::outcome(&added, version, FENCED_FROM);
    each(asked.topics, |_, _| code)
}

/// Whether a partition may take part. Brokers have asked that of their clients.
fn judge(broker: &Broker, peer: &Peer, version: i16, topic: &str, index: i32) -> ErrorCode {
    if version < BROKERS_FROM {
        // Nobody writes to an internal topic by this.
        if name::is_internal(topic) {
            return ErrorCode::TOPIC_AUTHORIZATION_FAILED;
        }
        if let Err((code, _)) = operations::topic(broker, peer, Operation::Write, topic) {
            return code;
        }
    }
    match broker.topic(topic) {
        Some(found) if found.has(index) => ErrorCode::NONE,
        _ => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
    }
}

fn named(topics: &[AddPartitionsToTxnTopic]) -> Vec<TopicPartition> {
    let each = topics.iter().flat_map(|topic| {
        let name: Arc<str> = topic.name.as_str().into();
        topic.partitions.iter().map(move |index| TopicPartition::new(Arc::clone(&name), *index))
    });
    each.collect()
}

fn each(
    topics: Vec<AddPartitionsToTxnTopic>,
    code: impl Fn(&str, i32) -> ErrorCode,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let answered = topics.into_iter().map(|topic| AddPartitionsToTxnTopicResult {
        results_by_partition: topic
            .partitions
            .iter()
            .map(|index| AddPartitionsToTxnPartitionResult {
                partition_index: *index,
                partition_error_code: code(&topic.name, *index),
            })
            .collect(),
        name: topic.name,
    });
    answered.collect()
}
