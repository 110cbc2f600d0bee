//! AddOffsetsToTxn (25), versions 0 to 4: brings the partition that holds a group's offsets into a transaction, as
//! AddPartitionsToTxn brings others. Refused: what that refuses, and clients that may not read the group.

use std::sync::Arc;

use super::error;
use super::group_access::may;
use super::group_code::code;
use crate::auth::acl::{Operation, ResourceType};
use crate::broker::{Broker, Peer};
use crate::wire::error::ErrorCode;
use crate::wire::messages::add_offsets_to_txn::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};

pub(super) async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    version: i16,
    request: AddOffsetsToTxnRequest,
) -> AddOffsetsToTxnResponse {
    let added = add(broker, peer, &request).await;
    let error_code = match added {
        Ok(()) => ErrorCode::NONE,
        // Clients older than 2.7 do not know the newer code.
        Err(ErrorCode::PRODUCER_FENCED) if version < 2 => ErrorCode::INVALID_PRODUCER_EPOCH,
        Err(refusal) => refusal,
    };
    AddOffsetsToTxnResponse { error_code, ..AddOffsetsToTxnResponse::default() }
}

async fn add(broker: &Arc<Broker>, peer: &Peer, request: &AddOffsetsToTxnRequest) -> Result<(), ErrorCode> {
    let id = &request.transactional_id;
    broker
        .may(peer, Operation::Write, ResourceType::TransactionalId, id)
        .map_err(|_| ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED)?;
    may(broker, peer, Operation::Read, &request.group_id)?;
    let at = broker.groups().partition_of(broker, &request.group_id).await.map_err(code)?;
    let transactions = broker.transactions();
    let added =
        transactions.add_partitions(broker, id, request.producer_id, request.producer_epoch, vec![at]).await;
    added.map_err(|refused| error::of_transaction(&refused))
}
