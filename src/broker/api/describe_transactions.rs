//! DescribeTransactions (65), version 0: transactional ids and their transactions (KIP-664). Topics that the client may
//! not describe are left out.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::txn_code;
use crate::auth::acl::{Operation, ResourceType};
use crate::broker::transactions::request::Description;
use crate::broker::{Broker, Peer};
use crate::wire::error::ErrorCode;
use crate::wire::messages::describe_transactions::{
    DescribeTransactionsRequest, DescribeTransactionsResponse, TopicData, TransactionState,
};

pub(super) async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    request: DescribeTransactionsRequest,
) -> DescribeTransactionsResponse {
    let mut transaction_states = Vec::with_capacity(request.transactional_ids.len());
    for id in request.transactional_ids {
        let found = match txn_code::may(broker, peer, Operation::Describe, &id) {
            Ok(()) => broker.transactions().describe(broker, &id).await.map_err(txn_code::code),
            Err(code) => Err(code),
        };
        let state = match found {
            Ok(Some(found)) => said(broker, peer, found),
            Ok(None) => refused(ErrorCode::TRANSACTIONAL_ID_NOT_FOUND),
            Err(code) => refused(code),
        };
        transaction_states.push(TransactionState { transactional_id: id, ..state });
    }
    DescribeTransactionsResponse { transaction_states, ..DescribeTransactionsResponse::default() }
}

fn refused(error_code: ErrorCode) -> TransactionState {
    TransactionState { error_code, ..TransactionState::default() }
}

fn said(broker: &Broker, peer: &Peer, found: Description) -> TransactionState {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for partition in &found.partitions {
        topics.entry(&partition.topic).or_default().push(partition.partition);
    }
    let topics = topics
        .into_iter()
        .filter(|(topic, _)| broker.would_let(peer, Operation::Describe, ResourceType::Topic, topic))
        .map(|(topic, partitions)| TopicData { topic: topic.to_owned(), partitions });
    TransactionState {
        transaction_state: found.status.name().to_owned(),
        transaction_timeout_ms: found.timeout_ms,
        transaction_start_time_ms: found.started_ms,
        producer_id: found.producer.id,
        producer_epoch: found.producer.epoch,
        topics: topics.collect(),
        ..TransactionState::default()
    }
}
