//! TxnOffsetCommit (28), versions 0 to 5: offsets that count once their transaction is committed, on disk before they are
//! answered. From 5 on it brings the group's partition into the transaction itself; older clients do so by
//! AddOffsetsToTxn, and are refused where they did not: 4 with TRANSACTION_ABORTABLE, older with INVALID_TXN_STATE.
//! From 3 on the sender may say which member it is, and is held to it (KIP-447).

use std::sync::Arc;

use super::group_access::{may, may_topic};
use super::group_code::{code, outcome};
use super::txn_code;
use crate::auth::acl::Operation;
use crate::broker::groups::TxnCommitError;
use crate::broker::groups::request::{InTransaction, NewOffset, Sender};
use crate::broker::{Broker, Peer};
use crate::wire::error::ErrorCode;
use crate::wire::messages::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestTopic, TxnOffsetCommitResponse,
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};

pub(super) async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    version: i16,
    request: TxnOffsetCommitRequest,
) -> TxnOffsetCommitResponse {
    let allowed = txn_code::may(broker, peer, Operation::Write, &request.transactional_id)
        .and_then(|()| may(broker, peer, Operation::Read, &request.group_id));
    let mut offsets = Vec::new();
    let told = |topic| told(broker, peer, topic, allowed, &mut offsets);
    let mut topics: Vec<_> = request.topics.into_iter().map(told).collect();
    if allowed.is_err() || offsets.is_empty() {
        return TxnOffsetCommitResponse { topics, ..TxnOffsetCommitResponse::default() };
    }
    let every = topics.iter_mut().flat_map(|topic| &mut topic.partitions);
    // What may be kept is marked by NONE and gets its result below, in order.
    let open = every.filter(|partition| partition.error_code == ErrorCode::NONE);
    if request.group_id.is_empty() {
        open.for_each(|partition| partition.error_code = ErrorCode::INVALID_GROUP_ID);
        return TxnOffsetCommitResponse { topics, ..TxnOffsetCommitResponse::default() };
    }
    let from = Sender {
        generation: request.generation_id,
        member_id: &request.member_id,
        instance_id: request.group_instance_id.as_deref(),
        knows_epochs: true,
    };
    let transaction = InTransaction {
        id: request.transactional_id,
        producer_id: request.producer_id,
        epoch: request.producer_epoch,
        adds: version >= 5,
    };
    let group = request.group_id.into();
    match broker.groups().commit_in_txn(broker, &group, from, &transaction, offsets).await {
        Ok(results) => {
            open.zip(results).for_each(|(partition, result)| partition.error_code = outcome(result));
        }
        Err(error) => {
            let refusal = refusal(&error, version);
            open.for_each(|partition| partition.error_code = refusal);
        }
    }
    TxnOffsetCommitResponse { topics, ..TxnOffsetCommitResponse::default() }
}

/// The answer's topic with what can be told at once; what may be kept is added to `offsets`.
fn told(
    broker: &Broker,
    peer: &Peer,
    topic: TxnOffsetCommitRequestTopic,
    allowed: Result<(), ErrorCode>,
    offsets: &mut Vec<NewOffset>,
) -> TxnOffsetCommitResponseTopic {
    let readable = allowed.and_then(|()| {
        let may = may_topic(broker, peer, Operation::Read, &topic.name);
        if may { Ok(()) } else { Err(ErrorCode::TOPIC_AUTHORIZATION_FAILED) }
    });
    let known = readable.and_then(|()| {
        let count = broker.partition_count(&topic.name).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        Ok((count, broker.topic_id(&topic.name).unwrap_or_default()))
    });
    let name: Arc<str> = topic.name.as_str().into();
    let partitions = topic.partitions.into_iter().map(|asked| {
        let index = asked.partition_index;
        let there = known.and_then(|(count, id)| {
            if (0..count).contains(&index) { Ok(id) } else { Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) }
        });
        if let Ok(topic_id) = there {
            offsets.push(NewOffset {
                topic: Arc::clone(&name),
                topic_id,
                partition: index,
                offset: asked.committed_offset,
                leader_epoch: asked.committed_leader_epoch,
                metadata: asked.committed_metadata.unwrap_or_default(),
            });
        }
        let error_code = there.map_or_else(|refusal| refusal, |_| ErrorCode::NONE);
        TxnOffsetCommitResponsePartition { partition_index: index, error_code }
    });
    let partitions = partitions.collect();
    TxnOffsetCommitResponseTopic { name: topic.name, partitions }
}

/// The code of a refusal, in words that clients of that version know.
fn refusal(error: &TxnCommitError, version: i16) -> ErrorCode {
    let code = match error {
        TxnCommitError::Group(error) => code(*error),
        TxnCommitError::Transaction(error) => txn_code::code(*error),
    };
    match code {
        // To clients of this API a fenced producer was always this.
        ErrorCode::PRODUCER_FENCED => ErrorCode::INVALID_PRODUCER_EPOCH,
        ErrorCode::TRANSACTION_ABORTABLE if version < 4 => ErrorCode::INVALID_TXN_STATE,
        other => other,
    }
}
