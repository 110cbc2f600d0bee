//! InitProducerId (22), versions 0 to 5: an id and epoch for an idempotent or transactional producer. As in Kafka, a
//! producer without a transactional id always gets a new id with epoch 0, whatever id it had; one with a transactional id
//! shuts out whoever had it before (KIP-98, KIP-360).

use std::sync::Arc;

use super::{error, operations, txn_code};
use crate::auth::acl::{Operation, ResourceType};
use crate::broker::transactions::request::Producer;
use crate::broker::{Broker, Peer};
use crate::wire::error::ErrorCode;
use crate::wire::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};

/// The first version that knows PRODUCER_FENCED.
const FENCED_FROM: i16 = 4;

pub(super) async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    version: i16,
    request: InitProducerIdRequest,
) -> InitProducerIdResponse {
    let given = match may(broker, peer, request.transactional_id.as_deref()) {
        Ok(()) => give(broker, version, &request).await,
        Err(code) => Err(code),
    };
    match given {
        Ok(producer) => InitProducerIdResponse {
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            ..InitProducerIdResponse::default()
        },
        Err(error_code) => {
            InitProducerIdResponse { error_code, producer_epoch: -1, ..InitProducerIdResponse::default() }
        }
    }
}

fn may(broker: &Broker, peer: &Peer, transactional_id: Option<&str>) -> Result<(), ErrorCode> {
    if let Some(id) = transactional_id {
        return txn_code::may(broker, peer, Operation::Write, id);
    }
    // Who may write to some topic may do it idempotently (KIP-679).
    if broker.may_on_some(peer, Operation::Write, ResourceType::Topic) {
        return Ok(());
    }
    operations::cluster(broker, peer, Operation::IdempotentWrite).map_err(|(code, _)| code)
}

async fn give(
    broker: &Arc<Broker>,
    version: i16,
    request: &InitProducerIdRequest,
) -> Result<Producer, ErrorCode> {
    let had = Producer { id: request.producer_id, epoch: request.producer_epoch };
    // A producer has both an id and an epoch, or neither.
    if (had.id == -1) != (had.epoch == -1) {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    let Some(id) = request.transactional_id.as_deref() else {
        let drawn = broker.new_producer_id().await.map_err(|error| {
            tracing::error!(%error, "no producer id can be given out");
            error::of_broker(&error)
        })?;
        return Ok(Producer { id: drawn, epoch: 0 });
    };
    let had = (had.id != -1).then_some(had);
    let timeout_ms = request.transaction_timeout_ms;
    let given = broker.transactions().init_producer_id(broker, id, timeout_ms, had).await;
    given.map_err(|error| txn_code::outcome::<()>(&Err(error), version, FENCED_FROM))
}
