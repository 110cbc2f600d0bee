//! Produce of transactions: who may, and that every partition takes part in the transaction as its coordinator knows it.
//! From version 12 on the partitions are added here (KIP-890), before they were by the client; nothing is appended here.

use std::collections::HashMap;
use std::sync::Arc;

use super::error;
use super::produce::{NotTaken, find_topic};
use super::txn_code;
use crate::auth::acl::Operation;
use crate::broker::transactions::request::{Producer, TxnError};
use crate::broker::{Broker, Partition, Peer};
use crate::record::Batch;
use crate::storage::Guard;
use crate::wire::error::ErrorCode;
use crate::wire::messages::produce::ProduceRequest;

/// The first version whose partitions are added here.
const ADDS_FROM: i16 = 12;
/// The first version that knows TRANSACTION_ABORTABLE.
const ABORTABLE_FROM: i16 = 11;

/// Where a batch stands in its request: the topic's place, and the partition's in it.
type Place = (usize, usize);

/// What was found out about the partitions of a request.
pub(super) enum Verdicts {
    /// Nothing of the request is taken.
    Refused(ErrorCode),
    /// What each partition is appended with, where that is anything.
    Each(HashMap<Place, Result<Guard, NotTaken>>),
}

impl Verdicts {
    /// What the partition at `place` is appended with.
    pub(super) fn of(&self, place: Place) -> Result<Option<Guard>, NotTaken> {
        match self {
            Self::Refused(code) => Err((*code, None)),
            Self::Each(each) => each.get(&place).cloned().transpose(),
        }
    }
}

/// Whether any batch says that it is of a transaction: one look at a byte each.
pub(super) fn has_transactional(request: &ProduceRequest) -> bool {
    let batches = request.topic_data.iter().flat_map(|topic| &topic.partition_data);
    let mut batches = batches.filter_map(|data| data.records.as_deref());
    batches.any(is_transactional)
}

fn is_transactional(batch: &[u8]) -> bool {
    /// Where the lower byte of a batch's attributes is, and the bit in it.
    const ATTRIBUTES: usize = 22;
    const TRANSACTIONAL: u8 = 0x10;
    batch.get(ATTRIBUTES).is_some_and(|byte| byte & TRANSACTIONAL != 0)
}

/// A partition that has to be known to the coordinator.
struct Asked {
    place: Place,
    partition: Arc<Partition>,
    guard: Guard,
}

impl Asked {
    /// The answer to a refusal. One that asking again does not change leaves nothing behind in the log.
    fn refused(self, producer: Producer, error: TxnError, version: i16) -> (Place, Result<Guard, NotTaken>) {
        if !matches!(error, TxnError::Concurrent | TxnError::NotCoordinator | TxnError::NotAvailable) {
            self.partition.end_verification(producer.id, producer.epoch, self.guard);
        }
        (self.place, Err(refusal(error, version)))
    }
}

/// Finds out whether the batches may be appended. It asks the coordinator only for the first ones of a transaction.
pub(super) async fn verdicts(
    broker: &Arc<Broker>,
    peer: &Peer,
    version: i16,
    request: &ProduceRequest,
) -> Verdicts {
    let Some(id) = request.transactional_id.as_deref() else {
        return Verdicts::Refused(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    };
    if let Err(code) = txn_code::may(broker, peer, Operation::Write, id) {
        return Verdicts::Refused(code);
    }
    let (producer, mut each, mut asked) = match begin(broker, peer, version, request) {
        Ok(begun) => begun,
        Err(code) => return Verdicts::Refused(code),
    };
    let Some(producer) = producer.filter(|_| !asked.is_empty()) else { return Verdicts::Each(each) };
    let adds = version >= ADDS_FROM;
    if adds {
        let partitions: Vec<_> = asked.iter().map(|asked| asked.partition.id().clone()).collect();
        let added = broker.transactions().add_partitions_as(broker, id, producer, &partitions, 2).await;
        if let Err(error) = added {
            each.extend(asked.into_iter().map(|asked| asked.refused(producer, error, version)));
            return Verdicts::Each(each);
        }
        // That may have waited for the end of the transaction before, whose markers took the guards away: anew, and held
        // against what the coordinator knows from now on.
        match begin(broker, peer, version, request) {
            Ok(begun) => (_, each, asked) = begun,
            Err(code) => return Verdicts::Refused(code),
        }
    }
    let verifies = adds || broker.settings().flag("transaction.partition.verification.enable");
    for asked in asked {
        let verified = if verifies {
            let partition = asked.partition.id();
            broker.transactions().verify(broker, id, producer.id, producer.epoch, partition).await
        } else {
            Ok(())
        };
        let (place, verdict) = match verified {
            Ok(()) => (asked.place, Ok(asked.guard)),
            Err(error) => asked.refused(producer, error, version),
        };
        each.insert(place, verdict);
    }
    Verdicts::Each(each)
}

/// What is known before the coordinator is asked, and what it is to be asked.
type Begun = (Option<Producer>, HashMap<Place, Result<Guard, NotTaken>>, Vec<Asked>);

/// Has every log that is written to watch for markers from now on. One request is of one producer.
fn begin(broker: &Broker, peer: &Peer, version: i16, request: &ProduceRequest) -> Result<Begun, ErrorCode> {
    let mut producer: Option<Producer> = None;
    let mut each = HashMap::new();
    let mut asked = Vec::new();
    for (at, data) in request.topic_data.iter().enumerate() {
        // What is wrong with a topic is said where it is appended to.
        let topic = find_topic(broker, peer, version, &data.name, &data.topic_id).ok();
        for (inner, data) in data.partition_data.iter().enumerate() {
            let records = data.records.as_deref().unwrap_or_default();
            let Ok(Some((batch, _))) = Batch::split_first(records) else { continue };
            let header = batch.header();
            if !header.is_transactional() {
                continue;
            }
            let this = Producer { id: header.producer_id, epoch: header.producer_epoch };
            if producer.is_some_and(|other| other != this) {
                return Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
            }
            producer = Some(this);
            let Some(topic) = &topic else { continue };
            let Ok(Some(partition)) = broker.partition_of(topic, data.index) else { continue };
            match partition.begin_verification(this.id, this.epoch, header.base_sequence) {
                Ok(None) => {}
                Ok(Some(guard)) => {
                    asked.push(Asked { place: (at, inner), partition, guard });
                }
                Err(failed) => {
                    each.insert((at, inner), Err((error::of_broker(&failed), Some(failed.to_string()))));
                }
            }
        }
    }
    Ok((producer, each, asked))
}

/// The coordinator's refusal as this version's clients take it: as in Kafka, what may pass is NOT_ENOUGH_REPLICAS to
/// those who know nothing better.
fn refusal(error: TxnError, version: i16) -> NotTaken {
    let code = match error {
        TxnError::Fenced => ErrorCode::INVALID_PRODUCER_EPOCH,
        TxnError::Abortable if version < ABORTABLE_FROM => ErrorCode::INVALID_TXN_STATE,
        TxnError::Concurrent if version < ADDS_FROM => ErrorCode::NOT_ENOUGH_REPLICAS,
        TxnError::NotCoordinator | TxnError::NotAvailable => ErrorCode::NOT_ENOUGH_REPLICAS,
        other => txn_code::code(other),
    };
    (code, Some(error.to_string()))
}
