//! Produce (0), versions 3 to 13, advertised from 0 so that old clients see that compressed batches are taken (0 to 2
//! close the connection). acks=0 gets no answer, 1 is answered once written, -1 once durable. Refuses other acks,
//! internal topics, and topics that do not exist: nothing is created here. Batches of transactions are held against the
//! coordinator first (`produce_txn`).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::answer::{Outcome, Part, Reply, decode, encode};
use super::produce_txn::{self, Verdicts};
use super::{error, operations};
use crate::auth::acl::Operation;
use crate::broker::{Broker, BrokerError, Partition, Peer, Topic};
use crate::record::RecordError;
use crate::storage::{Appended, Guard};
use crate::wire::api::ApiKey;
use crate::wire::error::ErrorCode;
use crate::wire::frame::RequestHeader;
use crate::wire::messages::produce::{
    BatchIndexAndErrorMessage, PartitionProduceData, PartitionProduceResponse, ProduceRequest,
    ProduceResponse, TopicProduceData, TopicProduceResponse,
};

/// A partition's answer that holds only once `offset` is durable: where it stands in the response.
struct Unsure {
    topic: usize,
    partition: usize,
    log: Arc<Partition>,
    offset: i64,
}

pub(super) async fn call(broker: &Arc<Broker>, peer: &Peer, header: &RequestHeader, body: Bytes) -> Outcome {
    let request: ProduceRequest = match decode(header, body) {
        Ok(request) => request,
        Err(close) => return close,
    };
    broker.room().await;
    let (acks, timeout_ms) = (request.acks, request.timeout_ms);
    let version = header.api_version;
    let verdicts = if produce_txn::has_transactional(&request) {
        Some(Box::pin(produce_txn::verdicts(broker, peer, version, &request)).await)
    } else {
        None
    };
    let (mut response, unsure) = append_all(broker, peer, version, request, verdicts.as_ref());
    match acks {
        0 => match first_error(&response) {
            // The only way to let a client know that does not read answers.
            Some(code) => Outcome::Close(format!("a produce with acks=0 failed with {}", code.name())),
            None => Outcome::None,
        },
        -1 if !unsure.is_empty() => {
            let header = header.clone();
            Outcome::Later(Box::pin(async move {
                wait_durable(&mut response, unsure, timeout_ms).await;
                bytes_of(&header, &response)
            }))
        }
        _ => Outcome::Reply(bytes_of(header, &response)),
    }
}

fn bytes_of(header: &RequestHeader, response: &ProduceResponse) -> Reply {
    Reply { parts: encode(header, response).map(Part::Bytes).into_iter().collect() }
}

fn first_error(response: &ProduceResponse) -> Option<ErrorCode> {
    response
        .responses
        .iter()
        .flat_map(|topic| &topic.partition_responses)
        .map(|partition| partition.error_code)
        .find(|code| *code != ErrorCode::NONE)
}

fn append_all(
    broker: &Broker,
    peer: &Peer,
    version: i16,
    request: ProduceRequest,
    verdicts: Option<&Verdicts>,
) -> (ProduceResponse, Vec<Unsure>) {
    let now = broker.clock().wall_ms();
    let refused = if !matches!(request.acks, -1..=1) {
        Some(ErrorCode::INVALID_REQUIRED_ACKS)
    } else if broker.is_closing() {
        Some(ErrorCode::NOT_LEADER_OR_FOLLOWER)
    } else {
        match verdicts {
            Some(Verdicts::Refused(code)) => Some(*code),
            _ => None,
        }
    };
    let mut unsure = Vec::new();
    let mut responses = Vec::with_capacity(request.topic_data.len());
    for data in request.topic_data {
        let TopicProduceData { name, topic_id, partition_data } = data;
        let topic = match refused {
            Some(code) => Err((code, None)),
            None => find_topic(broker, peer, version, &name, &topic_id),
        };
        let mut partition_responses = Vec::with_capacity(partition_data.len());
        for data in &partition_data {
            let appended =
                topic.as_ref().map_err(|refused| not_taken(data.index, refused)).and_then(|topic| {
                    let place = (responses.len(), partition_responses.len());
                    let guard = verdicts.map_or(Ok(None), |verdicts| verdicts.of(place));
                    let guard = guard.map_err(|refused| not_taken(data.index, &refused))?;
                    append(broker, topic, data, guard, version, now)
                });
            partition_responses.push(match appended {
                Ok((log, appended)) => {
                    unsure.push(Unsure {
                        topic: responses.len(),
                        partition: partition_responses.len(),
                        log,
                        offset: appended.last_offset,
                    });
                    good(data.index, &appended)
                }
                Err(response) => {
                    broker.meters().refused(ApiKey::Produce.name(), response.error_code.name());
                    response
                }
            });
        }
        responses.push(TopicProduceResponse { name, topic_id, partition_responses });
    }
    (ProduceResponse { responses, ..ProduceResponse::default() }, unsure)
}

/// Why nothing is taken for a topic, with words where there are any.
pub(super) type NotTaken = (ErrorCode, Option<String>);

/// The topic that is meant. By name nobody learns whether it is there who may not write to it.
pub(super) fn find_topic(
    broker: &Broker,
    peer: &Peer,
    version: i16,
    name: &str,
    id: &crate::model::id::TopicId,
) -> Result<Arc<Topic>, NotTaken> {
    let may_write = |name: &str| {
        let allowed = operations::topic(broker, peer, Operation::Write, name);
        allowed.map_err(|(code, message)| (code, Some(message)))
    };
    let topic = if version >= 13 {
        let topic = broker.topic_by_id(id).ok_or((ErrorCode::UNKNOWN_TOPIC_ID, None))?;
        may_write(topic.name())?;
        topic
    } else {
        may_write(name)?;
        broker.topic(name).ok_or((ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, None))?
    };
    if topic.is_internal() { Err((ErrorCode::INVALID_TOPIC_EXCEPTION, None)) } else { Ok(topic) }
}

fn not_taken(index: i32, (code, message): &NotTaken) -> PartitionProduceResponse {
    PartitionProduceResponse { error_message: message.clone(), ..failed(index, *code) }
}

fn append(
    broker: &Broker,
    topic: &Topic,
    data: &PartitionProduceData,
    guard: Option<Guard>,
    version: i16,
    now: i64,
) -> Result<(Arc<Partition>, Appended), PartitionProduceResponse> {
    let partition = match broker.partition_of(topic, data.index) {
        Ok(Some(partition)) => partition,
        Ok(None) => return Err(failed(data.index, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)),
        Err(error) => {
            tracing::error!(topic = %topic.name(), partition = data.index, %error, "a log can not be opened");
            return Err(failed(data.index, error::of_storage(&error)));
        }
    };
    let records = data.records.as_deref().unwrap_or_default();
    match partition.append_client(records, version, now, guard) {
        Ok(appended) => Ok((partition, appended)),
        Err(error) => Err(explained(data.index, &error)),
    }
}

fn good(index: i32, appended: &Appended) -> PartitionProduceResponse {
    PartitionProduceResponse {
        index,
        base_offset: appended.base_offset,
        log_append_time_ms: appended.log_append_time,
        log_start_offset: appended.log_start,
        ..PartitionProduceResponse::default()
    }
}

fn failed(index: i32, error_code: ErrorCode) -> PartitionProduceResponse {
    PartitionProduceResponse { index, error_code, base_offset: -1, ..PartitionProduceResponse::default() }
}

fn explained(index: i32, error: &BrokerError) -> PartitionProduceResponse {
    let record_errors = match error {
        BrokerError::Record(RecordError::Refused(faults)) => faults
            .iter()
            .map(|fault| BatchIndexAndErrorMessage {
                batch_index: fault.index,
                batch_index_error_message: Some(fault.kind.to_string()),
            })
            .collect(),
        _ => Vec::new(),
    };
    PartitionProduceResponse {
        record_errors,
        error_message: Some(error.to_string()),
        ..failed(index, error::of_broker(error))
    }
}

/// Waits until each append is durable; what fails or takes longer than the request allows is answered so.
async fn wait_durable(response: &mut ProduceResponse, unsure: Vec<Unsure>, timeout_ms: i32) {
    let within = Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0));
    let deadline = tokio::time::Instant::now() + within;
    for Unsure { topic, partition, log, offset } in unsure {
        let answer =
            response.responses.get_mut(topic).and_then(|topic| topic.partition_responses.get_mut(partition));
        let Some(answer) = answer else { continue };
        match tokio::time::timeout_at(deadline, log.durable(offset)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => *answer = explained(answer.index, &error),
            Err(_) => *answer = failed(answer.index, ErrorCode::REQUEST_TIMED_OUT),
        }
        if answer.error_code != ErrorCode::NONE {
            log.meters().refused(ApiKey::Produce.name(), answer.error_code.name());
        }
    }
}
