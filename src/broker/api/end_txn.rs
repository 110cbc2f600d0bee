//! EndTxn (26), versions 0 to 5: commits or aborts a transaction. It is answered once the decision is on disk; from 5 on
//! with the id and epoch of the next transaction (KIP-890).

use std::sync::Arc;

use super::txn_code;
use crate::auth::acl::Operation;
use crate::broker::transactions::request::{EndRequest, Producer};
use crate::broker::{Broker, Peer};
use crate::wire::error::ErrorCode;
use crate::wire::messages::end_txn::{EndTxnRequest, EndTxnResponse};

/// The first version that knows PRODUCER_FENCED.
const FENCED_FROM: i16 = 2;

pub(super) async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    version: i16,
    request: EndTxnRequest,
) -> EndTxnResponse {
    let refused = |error_code| EndTxnResponse { error_code, producer_epoch: -1, ..EndTxnResponse::default() };
    let id = &*request.transactional_id;
    if let Err(code) = txn_code::may(broker, peer, Operation::Write, id) {
        return refused(code);
    }
    let asked = EndRequest {
        transactional_id: id,
        producer: Producer { id: request.producer_id, epoch: request.producer_epoch },
        commit: request.committed,
        // Who sends version 5 goes by transaction version 2.
        client_version: if version > 4 { 2 } else { 0 },
    };
    let ended = broker.transactions().end(broker, asked).await;
    match ended {
        Ok(next) => EndTxnResponse {
            error_code: ErrorCode::NONE,
            producer_id: next.id,
            producer_epoch: next.epoch,
            ..EndTxnResponse::default()
        },
        Err(_) => refused(txn_code::outcome(&ended, version, FENCED_FROM)),
    }
}
