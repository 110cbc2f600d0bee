//! InitProducerId (22), versions 0 to 5: an id for an idempotent producer. As in Kafka, a producer without a
//! transactional id always gets a new id with epoch 0, whatever id it had. Refuses transactional ids with
//! TRANSACTIONAL_ID_AUTHORIZATION_FAILED, which clients take for final.

use std::sync::Arc;

use super::{error, operations};
use crate::auth::acl::{Operation, ResourceType};
use crate::broker::{Broker, Peer};
use crate::wire::error::ErrorCode;
use crate::wire::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};

pub(super) async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    request: InitProducerIdRequest,
) -> InitProducerIdResponse {
    let refused = |error_code| InitProducerIdResponse {
        error_code,
        producer_epoch: -1,
        ..InitProducerIdResponse::default()
    };
    match request.transactional_id.as_deref() {
        Some("") => return refused(ErrorCode::INVALID_REQUEST),
        Some(_) => return refused(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED),
        // A producer has both an id and an epoch, or neither.
        None if (request.producer_id == -1) != (request.producer_epoch == -1) => {
            return refused(ErrorCode::INVALID_REQUEST);
        }
        None => {}
    }
    // Who may write to some topic may do it idempotently (KIP-679).
    let cluster = operations::cluster(broker, peer, Operation::IdempotentWrite);
    if let Err((code, _)) = cluster
        && !broker.may_on_some(peer, Operation::Write, ResourceType::Topic)
    {
        return refused(code);
    }
    match broker.new_producer_id().await {
        Ok(producer_id) => {
            InitProducerIdResponse { producer_id, producer_epoch: 0, ..InitProducerIdResponse::default() }
        }
        Err(error) => {
            tracing::error!(%error, "no producer id can be given out");
            refused(error::of_broker(&error))
        }
    }
}
