//! AddOffsetsToTxn (25), versions 0 to 4: brings the partition that holds a group's offsets into a transaction, as
//! AddPartitionsToTxn brings others. Refused: what that refuses, and clients that may not read the group.

use std::sync::Arc;

use super::group_access::may;
use super::{group_code, txn_code};
use crate::auth::acl::Operation;
use crate::broker::transactions::request::Producer;
use crate::broker::{Broker, Peer};
use crate::wire::error::ErrorCode;
use crate::wire::messages::add_offsets_to_txn::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};

/// Clients that send this end their transactions by the first protocol: those of the second have no need of it.
const CLIENT_VERSION: i16 = 0;

pub(super) async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    version: i16,
    request: AddOffsetsToTxnRequest,
) -> AddOffsetsToTxnResponse {
    let error_code = add(broker, peer, version, &request).await.unwrap_or_else(|refusal| refusal);
    AddOffsetsToTxnResponse { error_code, ..AddOffsetsToTxnResponse::default() }
}

async fn add(
    broker: &Arc<Broker>,
    peer: &Peer,
    version: i16,
    request: &AddOffsetsToTxnRequest,
) -> Result<ErrorCode, ErrorCode> {
    let id = &request.transactional_id;
    txn_code::may(broker, peer, Operation::Write, id)?;
    may(broker, peer, Operation::Read, &request.group_id)?;
    let at = broker.groups().partition_of(broker, &request.group_id).await.map_err(group_code::code)?;
    let producer = Producer { id: request.producer_id, epoch: request.producer_epoch };
    let added = broker.transactions().add_partitions_as(broker, id, producer, &[at], CLIENT_VERSION).await;
    Ok(txn_code::outcome(&added, version, 2))
}
