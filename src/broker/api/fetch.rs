//! Fetch (1), versions 4 to 18: records as ranges of segment files, with incremental sessions (KIP-227), topic ids from
//! 13 on, long polling. Nothing beyond the high watermark is ever sent, at read_committed nothing beyond the last stable
//! offset. Limits hold, but the first batch of an answer is always whole. Refuses sessions that are not known or out of
//! step.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::answer::{Outcome, Part, Reply, decode};
use super::fetch_read::{Found, Limits, read, resolve};
use crate::broker::fetch_session::{Asked, Held, SessionError, TopicKey, Want, Wanted};
use crate::broker::{Broker, Peer, Watch};
use crate::wire::api::ApiKey;
use crate::wire::error::ErrorCode;
use crate::wire::frame::RequestHeader;
use crate::wire::messages::fetch::{FetchRequest, FetchResponse, FetchableTopicResponse, PartitionData};

pub(super) async fn call(broker: &Arc<Broker>, peer: &Peer, header: &RequestHeader, body: Bytes) -> Outcome {
    let version = header.api_version;
    let request: FetchRequest = match decode(header, body) {
        Ok(request) => request,
        Err(close) => return close,
    };
    let (held, wants) = match session(broker, peer, version, &request) {
        Ok(session) => session,
        Err(code) => {
            let response = FetchResponse { error_code: code, ..FetchResponse::default() };
            return send(header, &response, Vec::new());
        }
    };
    let limits = Limits::of(broker, &request);
    let found = gather(broker, peer, &wants, &request, limits).await;
    let incremental = version >= 7 && request.session_epoch > 0;
    respond(broker, header, found, held.as_ref(), incremental)
}

/// The session that the request belongs to, and everything that is wanted.
fn session(
    broker: &Broker,
    peer: &Peer,
    version: i16,
    request: &FetchRequest,
) -> Result<(Option<Held>, Vec<Want>), ErrorCode> {
    let asked = wants(version, request);
    if version < 7 {
        return Ok((None, asked));
    }
    let (kind, left) = Asked::of(request.session_id, request.session_epoch);
    if let Some(left) = left {
        broker.sessions().close(left, peer.principal());
    }
    let (by_id, now) = (version >= 13, broker.clock().monotonic());
    match kind {
        Asked::None => Ok((None, asked)),
        Asked::New => {
            // Who may read nothing of it gets none: there are only so many.
            let held = if asked.iter().any(|(topic, part, _)| resolve(broker, peer, topic, *part).is_ok()) {
                let owner = peer.principal();
                broker.random_positive().and_then(|id| broker.sessions().begin(id, owner, &asked, by_id, now))
            } else {
                None
            };
            Ok((held, asked))
        }
        Asked::Next { id, epoch } => {
            let forgotten = forgotten(version, request);
            let held = broker.sessions().go_on((id, peer.principal()), epoch, by_id, &asked, &forgotten, now);
            let held = held.map_err(|error| match error {
                SessionError::NotFound => ErrorCode::FETCH_SESSION_ID_NOT_FOUND,
                SessionError::Epoch => ErrorCode::INVALID_FETCH_SESSION_EPOCH,
                SessionError::TopicIds => ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR,
            })?;
            let all = held.wants();
            Ok((Some(held), all))
        }
    }
}

fn key(version: i16, name: &str, id: crate::model::id::TopicId) -> TopicKey {
    if version >= 13 { TopicKey::Id(id) } else { TopicKey::Name(name.into()) }
}

/// What the request names. A partition named again takes the place of what was said of it before, as in Kafka: the
/// answer is never longer than there are partitions.
fn wants(version: i16, request: &FetchRequest) -> Vec<Want> {
    let named: usize = request.topics.iter().map(|topic| topic.partitions.len()).sum();
    let mut places: HashMap<(TopicKey, i32), usize> = HashMap::new();
    let mut wants: Vec<Want> = Vec::new();
    for topic in &request.topics {
        let key = key(version, &topic.topic, topic.topic_id);
        for partition in &topic.partitions {
            let wanted = Wanted {
                offset: partition.fetch_offset,
                max_bytes: partition.partition_max_bytes,
                current_leader_epoch: partition.current_leader_epoch,
                last_fetched_epoch: partition.last_fetched_epoch,
            };
            if named > 1 {
                let place = *places.entry((key.clone(), partition.partition)).or_insert(wants.len());
                if let Some(before) = wants.get_mut(place) {
                    before.2 = wanted;
                    continue;
                }
            }
            wants.push((key.clone(), partition.partition, wanted));
        }
    }
    wants
}

fn forgotten(version: i16, request: &FetchRequest) -> Vec<(TopicKey, i32)> {
    let topics = request.forgotten_topics_data.iter();
    topics
        .flat_map(|topic| {
            let key = key(version, &topic.topic, topic.topic_id);
            topic.partitions.iter().map(move |partition| (key.clone(), *partition))
        })
        .collect()
}

/// Reads until there is enough, something to say at once, or no more time. Between two looks it sleeps until a high
/// watermark moves.
async fn gather(
    broker: &Arc<Broker>,
    peer: &Peer,
    wants: &[Want],
    request: &FetchRequest,
    limits: Limits,
) -> Vec<Found> {
    let found = read(broker, peer, wants, limits);
    let wait_ms = u64::try_from(request.max_wait_ms).unwrap_or(0);
    if wait_ms == 0 || wants.is_empty() || is_enough(&found, limits) {
        return found;
    }
    let deadline = Instant::now() + Duration::from_millis(wait_ms);
    let moved = Arc::new(Notify::new());
    loop {
        // First the watch, then the look: a move in between is not missed.
        let _watches: Vec<Watch> = wants
            .iter()
            .filter_map(|(topic, partition, _)| resolve(broker, peer, topic, *partition).ok())
            .map(|(_, partition)| partition.watch(&moved))
            .collect();
        let found = read(broker, peer, wants, limits);
        if is_enough(&found, limits) {
            return found;
        }
        tokio::select! {
            () = moved.notified() => {}
            () = sleep_until(deadline) => return read(broker, peer, wants, limits),
            () = broker.closed() => return found,
        }
    }
}

fn is_enough(found: &[Found], limits: Limits) -> bool {
    let bytes: usize = found.iter().map(Found::len).sum();
    bytes >= limits.min_bytes
        || found.iter().any(|found| found.data.error_code != ErrorCode::NONE || found.diverges)
}

/// Whether there was no partition to look at; Kafka then names no transactions rather than not saying.
fn is_unknown(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            | ErrorCode::UNKNOWN_TOPIC_ID
            | ErrorCode::INCONSISTENT_TOPIC_ID
            | ErrorCode::TOPIC_AUTHORIZATION_FAILED
    )
}

fn respond(
    broker: &Broker,
    header: &RequestHeader,
    found: Vec<Found>,
    held: Option<&Held>,
    incremental: bool,
) -> Outcome {
    let mut responses: Vec<FetchableTopicResponse> = Vec::new();
    let mut plans = Vec::new();
    let mut last: Option<TopicKey> = None;
    for Found { topic, mut data, plan, diverges, partition } in found {
        if data.error_code != ErrorCode::NONE {
            broker.meters().refused(ApiKey::Fetch.name(), data.error_code.name());
        }
        let failed = data.error_code != ErrorCode::NONE || diverges;
        let said = held.is_none_or(|held| {
            let (mark, start) = (data.high_watermark, data.log_start_offset);
            held.tell(&topic, data.partition_index, mark, start, plan.is_some(), failed)
        });
        if incremental && !said {
            continue;
        }
        if is_unknown(data.error_code) {
            data.aborted_transactions = Some(Vec::new());
        }
        if let (Some(plan), Some(partition)) = (&plan, partition) {
            partition.count_fetched(plan.len as u64);
        }
        plans.push(plan);
        match responses.last_mut() {
            Some(response) if last.as_ref() == Some(&topic) => response.partitions.push(data),
            _ => {
                responses.push(topic_response(&topic, data));
                last = Some(topic);
            }
        }
    }
    let response =
        FetchResponse { session_id: held.map_or(0, |held| held.id), responses, ..FetchResponse::default() };
    send(header, &response, plans)
}

fn topic_response(topic: &TopicKey, data: PartitionData) -> FetchableTopicResponse {
    let mut response = FetchableTopicResponse { partitions: vec![data], ..FetchableTopicResponse::default() };
    match topic {
        TopicKey::Name(name) => response.topic = name.to_string(),
        TopicKey::Id(id) => response.topic_id = *id,
    }
    response
}

/// The answer as pieces: encoded bytes, and file ranges where records belong.
fn send(
    header: &RequestHeader,
    response: &FetchResponse,
    plans: Vec<Option<crate::storage::ReadPlan>>,
) -> Outcome {
    let lengths: Vec<usize> = plans.iter().map(|plan| plan.as_ref().map_or(0, |plan| plan.len)).collect();
    let parts = match response.encode_parts(header.api_version, header.correlation_id, &lengths) {
        Ok(parts) => parts,
        Err(error) => {
            tracing::error!(version = header.api_version, %error, "an answer to Fetch can not be encoded");
            return Outcome::Close(error.to_string());
        }
    };
    let mut files = plans.into_iter().flatten().filter(|plan| plan.len > 0);
    let mut pieces = Vec::with_capacity(parts.chunks.len() * 2);
    for chunk in parts.chunks {
        // Where no tagged fields follow the last records, the last chunk is empty.
        if !chunk.is_empty() {
            pieces.push(Part::Bytes(chunk));
        }
        if let Some(plan) = files.next() {
            pieces.push(Part::File { file: plan.file, position: plan.position, len: plan.len });
        }
    }
    Outcome::Reply(Reply { parts: pieces })
}
