//! The task that reads ahead for a consumer: one fetch under way a node, its answer queued as chunks; never gives
//! out what belongs to a position that was left meanwhile.
//!
//! The lock guards [`State`]; it is held while answers are taken over and events are taken, never across an await.

use super::{Chunk, Event, Position};
use crate::client::cluster::Lane;
use crate::client::options::{Isolation, Reset};
use crate::client::retry::{Refresh, pause, refresh_after};
use crate::client::{Client, ClientError};
use crate::model::id::{TopicId, TopicPartition};
use crate::wire::api::ApiKey;
use crate::wire::error::ErrorCode;
use crate::wire::messages::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic, PartitionData};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// Chunks of one partition that lie ready before it is left out of the next fetch.
const AHEAD: usize = 2;
/// How long a topic must be unknown before its partitions count as gone.
const GONE_AFTER: Duration = Duration::from_secs(2);

/// What the consumer and its task share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// Something may have to be fetched.
    pub(super) work: Notify,
    /// An event came.
    pub(super) arrived: Notify,
}

/// A partition being read.
#[derive(Debug)]
struct Reading {
    /// Which assignment this is: answers to an earlier one are dropped.
    number: u64,
    /// The topic that the offsets belong to; zero while an answer has still to tell.
    topic: TopicId,
    /// Where the next fetch begins.
    offset: i64,
    /// After the last chunk given out.
    position: i64,
    stop: Option<i64>,
    /// Chunks that lie ready.
    queued: usize,
    fetching: bool,
    /// Where the readable part ended at the last fetch.
    end: i64,
    not_before: Option<Instant>,
    failures: u32,
    unknown_since: Option<Instant>,
    /// The position is outside the log and is being looked up.
    moving: bool,
    /// When it was fetched last, for taking turns.
    turn: u64,
}

#[derive(Debug, Default)]
pub(super) struct State {
    reading: BTreeMap<TopicPartition, Reading>,
    events: VecDeque<(u64, Event)>,
    failure: Option<ClientError>,
    pub(super) closed: bool,
    busy: HashSet<i32>,
    refreshing: bool,
    numbers: u64,
    turns: u64,
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    pub(super) fn assign(
        &mut self,
        topic: TopicId,
        partition: TopicPartition,
        offset: i64,
        stop: Option<i64>,
    ) {
        self.unassign(&partition);
        self.numbers += 1;
        let reading = Reading {
            number: self.numbers,
            topic,
            offset,
            position: offset,
            stop,
            queued: 0,
            fetching: false,
            end: i64::MAX,
            not_before: None,
            failures: 0,
            unknown_since: None,
            moving: false,
            turn: 0,
        };
        self.reading.insert(partition.clone(), reading);
        self.stop_at_end(&partition);
    }

    pub(super) fn unassign(&mut self, partition: &TopicPartition) {
        if let Some(old) = self.reading.remove(partition) {
            self.events.retain(|(number, _)| *number != old.number);
        }
    }

    pub(super) fn topic_of(&self, partition: &TopicPartition) -> TopicId {
        self.reading.get(partition).map_or(TopicId::ZERO, |reading| reading.topic)
    }

    pub(super) fn positions(&self) -> Vec<(TopicPartition, i64)> {
        self.reading.iter().map(|(partition, reading)| (partition.clone(), reading.position)).collect()
    }

    /// The first event, chunks of partitions that are not `wanted` passed over.
    pub(super) fn take(
        &mut self,
        wanted: impl Fn(&TopicPartition) -> bool,
    ) -> Option<Result<Event, ClientError>> {
        let events = &self.events;
        let chunk_of = |partition: &TopicPartition, before: usize| {
            let is_one =
                |event: &Event| matches!(event, Event::Chunk(chunk) if chunk.partition == *partition);
            events.iter().take(before).any(|(_, event)| is_one(event))
        };
        let may_go = |(at, (_, event)): (usize, &(u64, Event))| match event {
            Event::Chunk(chunk) => wanted(&chunk.partition),
            // What is said of a partition is said after its chunks.
            Event::Stopped(partition)
            | Event::Gone { partition, .. }
            | Event::Replaced(partition)
            | Event::Moved { partition, .. } => !chunk_of(partition, at),
        };
        let first = events.iter().enumerate().position(may_go);
        let Some((number, event)) = first.and_then(|at| self.events.remove(at)) else {
            return self.failure.clone().filter(|_| self.events.is_empty()).map(Err);
        };
        match &event {
            Event::Chunk(chunk) => {
                if let Some(reading) =
                    self.reading.get_mut(&chunk.partition).filter(|one| one.number == number)
                {
                    reading.queued -= 1;
                    reading.position = chunk.next;
                }
            }
            Event::Stopped(partition) | Event::Gone { partition, .. } | Event::Replaced(partition) => {
                self.reading.remove(partition);
            }
            Event::Moved { .. } => {}
        }
        Some(Ok(event))
    }

    /// Says that a partition's end is reached, once it is.
    fn stop_at_end(&mut self, partition: &TopicPartition) {
        let Some(reading) = self.reading.get_mut(partition) else { return };
        if reading.stop.is_some_and(|stop| reading.offset >= stop) && reading.unread() {
            reading.offset = i64::MAX;
            self.events.push_back((reading.number, Event::Stopped(partition.clone())));
        }
    }

    fn current(&mut self, partition: &TopicPartition, number: u64) -> Option<&mut Reading> {
        self.reading.get_mut(partition).filter(|reading| reading.number == number)
    }
}

impl Reading {
    /// Not said to be stopped or gone yet.
    fn unread(&self) -> bool {
        self.offset != i64::MAX
    }

    /// Whether its offsets are of another topic than the one that has the name now.
    fn is_replaced(&self, now: TopicId) -> bool {
        !self.topic.is_zero() && !now.is_zero() && self.topic != now
    }

    fn may_fetch(&self, now: Instant) -> bool {
        self.unread() && !self.fetching && !self.moving && self.not_before.is_none_or(|at| at <= now)
    }

    fn failed(&mut self, client: &Client, now: Instant) {
        self.failures += 1;
        let (shortest, longest) = (client.options().retry_backoff, client.options().retry_backoff_max);
        self.not_before = Some(now + pause(self.failures, shortest, longest, fastrand::f64()));
    }
}

/// Fetches until the consumer is gone.
pub(super) async fn run(client: Client, shared: Arc<Shared>) {
    loop {
        let wake = step(&client, &shared);
        if shared.state().closed {
            return;
        }
        let work = shared.work.notified();
        match wake {
            Some(at) => tokio::select! { () = work => {}, () = sleep_until(at) => {} },
            None => work.await,
        }
    }
}

/// One partition of a fetch.
#[derive(Debug, Clone)]
struct Asked {
    partition: TopicPartition,
    number: u64,
    offset: i64,
    leader_epoch: i32,
    topic_id: TopicId,
}

/// When a partition was fetched last, whether it is known to have more, and what to ask.
type Turn = (u64, bool, Asked);

/// Begins every fetch that may begin; says when another may.
fn step(client: &Client, shared: &Arc<Shared>) -> Option<Instant> {
    let now = Instant::now();
    let mut stale = HashSet::new();
    let fetches = {
        let mut state = shared.state();
        if state.failure.is_some() || state.closed {
            return None;
        }
        let said = state.events.len();
        let fetches = plan(client, &mut state, now, &mut stale);
        if state.events.len() > said {
            shared.arrived.notify_one();
        }
        fetches
    };
    for (node, asked) in fetches {
        let (client, shared) = (client.clone(), shared.clone());
        tokio::spawn(async move {
            let outcome = fetch(&client, node, &asked).await;
            settle(&client, &shared, node, &asked, outcome);
        });
    }
    if !stale.is_empty() {
        refresh(client, shared, stale);
    }
    let state = shared.state();
    state.reading.values().filter_map(|reading| reading.not_before.filter(|&at| at > now)).min()
}

/// Which partitions to fetch from which node now. Those of a topic that was made anew are not read on.
fn plan(
    client: &Client,
    state: &mut State,
    now: Instant,
    stale: &mut HashSet<Arc<str>>,
) -> BTreeMap<i32, Vec<Asked>> {
    let mut nodes: BTreeMap<i32, (Vec<Turn>, bool)> = BTreeMap::new();
    for (partition, reading) in &mut state.reading {
        if !reading.may_fetch(now) {
            continue;
        }
        let view = client.known(&partition.topic);
        let led = view.as_ref().and_then(|view| Some((view.id, view.partition(partition.partition)?)));
        let Some((topic_id, leader)) = led.filter(|(_, one)| one.leader >= 0) else {
            stale.insert(partition.topic.clone());
            continue;
        };
        if reading.is_replaced(topic_id) {
            reading.offset = i64::MAX;
            state.events.push_back((reading.number, Event::Replaced(partition.clone())));
            continue;
        }
        let (list, full) = nodes.entry(leader.leader).or_default();
        if reading.queued >= AHEAD {
            *full = true;
            continue;
        }
        let (offset, leader_epoch) = (reading.offset, leader.leader_epoch);
        let partition = partition.clone();
        let behind = offset < reading.end;
        list.push((
            reading.turn,
            behind,
            Asked { partition, number: reading.number, offset, leader_epoch, topic_id },
        ));
    }
    let mut fetches = BTreeMap::new();
    for (node, (mut list, full)) in nodes {
        if full {
            // A fetch that waits for new records would hold up those whose turn comes in a moment.
            list.retain(|(_, behind, _)| *behind);
        }
        if list.is_empty() || !state.busy.insert(node) {
            continue;
        }
        list.sort_by_key(|(turn, _, _)| *turn);
        state.turns += 1;
        let turn = state.turns;
        let asked: Vec<Asked> = list.into_iter().map(|(_, _, asked)| asked).collect();
        for one in &asked {
            if let Some(reading) = state.current(&one.partition, one.number) {
                (reading.fetching, reading.turn) = (true, turn);
            }
        }
        fetches.insert(node, asked);
    }
    fetches
}

async fn fetch(client: &Client, node: i32, asked: &[Asked]) -> Result<FetchResponse, ClientError> {
    let options = client.options();
    let connection = client.node(node, Lane::Fetch).await?;
    let mut version = connection.version(ApiKey::Fetch)?;
    if asked.iter().any(|one| one.topic_id.is_zero()) {
        version = version.min(12);
    }
    let mut topics: Vec<FetchTopic> = Vec::new();
    for one in asked {
        let data = FetchPartition {
            partition: one.partition.partition,
            current_leader_epoch: one.leader_epoch,
            fetch_offset: one.offset,
            partition_max_bytes: options.partition_fetch_bytes,
            ..FetchPartition::default()
        };
        match topics.iter_mut().find(|topic| *topic.topic == *one.partition.topic) {
            Some(topic) => topic.partitions.push(data),
            None => topics.push(FetchTopic {
                topic: one.partition.topic.to_string(),
                topic_id: one.topic_id,
                partitions: vec![data],
            }),
        }
    }
    let request = FetchRequest {
        max_wait_ms: i32::try_from(options.fetch_max_wait.as_millis()).unwrap_or(i32::MAX),
        min_bytes: options.fetch_min_bytes,
        max_bytes: options.fetch_max_bytes,
        isolation_level: i8::from(options.isolation == Isolation::ReadCommitted),
        topics,
        ..FetchRequest::default()
    };
    let answer =
        connection.call_in(&request, version, options.request_timeout + options.fetch_max_wait).await?;
    match answer.error_code {
        ErrorCode::NONE => Ok(answer),
        code => Err(ClientError::broker(code, "fetch", None)),
    }
}

/// Takes an answer over, or its absence.
fn settle(
    client: &Client,
    shared: &Arc<Shared>,
    node: i32,
    asked: &[Asked],
    outcome: Result<FetchResponse, ClientError>,
) {
    let now = Instant::now();
    let mut stale = HashSet::new();
    let mut outside = Vec::new();
    {
        let mut state = shared.state();
        state.busy.remove(&node);
        for one in asked {
            if let Some(reading) = state.current(&one.partition, one.number) {
                reading.fetching = false;
            }
        }
        match outcome {
            Ok(answer) => {
                let mut found = by_partition(asked, answer);
                for one in asked {
                    match found.remove(&one.partition) {
                        Some(data) => take_over(client, &mut state, one, data, &mut stale, &mut outside),
                        // Left out for the limit of bytes, or for a topic id that is void.
                        None => {
                            if let Some(reading) = state.current(&one.partition, one.number) {
                                reading.failed(client, now);
                            }
                            stale.insert(one.partition.topic.clone());
                        }
                    }
                }
            }
            Err(error) if error.is_retriable() => {
                for one in asked {
                    if let Some(reading) = state.current(&one.partition, one.number) {
                        reading.failed(client, now);
                    }
                    stale.insert(one.partition.topic.clone());
                }
            }
            Err(error) => state.failure = Some(error),
        }
    }
    if !stale.is_empty() {
        refresh(client, shared, stale);
    }
    for (one, end) in outside {
        move_position(client, shared, one, end);
    }
    shared.work.notify_one();
    shared.arrived.notify_one();
}

fn by_partition(asked: &[Asked], answer: FetchResponse) -> HashMap<TopicPartition, PartitionData> {
    let mut found = HashMap::new();
    for topic in answer.responses {
        let name = match topic.topic_id.is_zero() {
            true => Some(Arc::from(topic.topic)),
            false => {
                asked.iter().find(|one| one.topic_id == topic.topic_id).map(|one| one.partition.topic.clone())
            }
        };
        let Some(name) = name else { continue };
        for data in topic.partitions {
            found.insert(TopicPartition::new(name.clone(), data.partition_index), data);
        }
    }
    found
}

fn take_over(
    client: &Client,
    state: &mut State,
    one: &Asked,
    data: PartitionData,
    stale: &mut HashSet<Arc<str>>,
    outside: &mut Vec<(Asked, i64)>,
) {
    let leader = &data.current_leader;
    if leader.leader_id >= 0 {
        client.leader_is(&one.partition.topic, data.partition_index, leader.leader_id, leader.leader_epoch);
    }
    let Some(reading) = state.current(&one.partition, one.number) else { return };
    match data.error_code {
        ErrorCode::NONE => {
            reading.failures = 0;
            reading.not_before = None;
            reading.unknown_since = None;
            reading.topic = one.topic_id;
            if let Err(error) = queue_chunk(client, state, one, data) {
                state.failure = Some(error);
            }
        }
        ErrorCode::OFFSET_OUT_OF_RANGE => {
            reading.moving = true;
            outside.push((one.clone(), reading.offset));
        }
        ErrorCode::CORRUPT_MESSAGE => {
            let reason = "the broker says that the batch there is damaged".to_owned();
            let partition = one.partition.clone();
            state.failure = Some(ClientError::Corrupt { partition, offset: one.offset, reason });
        }
        code => match refresh_after(code) {
            Some(refresh) => {
                reading.failed(client, Instant::now());
                if refresh == Refresh::Metadata {
                    stale.insert(one.partition.topic.clone());
                }
            }
            None => state.failure = Some(ClientError::broker(code, one.partition.to_string(), None)),
        },
    }
}

fn queue_chunk(
    client: &Client,
    state: &mut State,
    one: &Asked,
    data: PartitionData,
) -> Result<(), ClientError> {
    let committed = client.options().isolation == Isolation::ReadCommitted;
    let Some(reading) = state.current(&one.partition, one.number) else { return Ok(()) };
    let stable = if data.last_stable_offset < 0 { data.high_watermark } else { data.last_stable_offset };
    reading.end = if committed { stable } else { data.high_watermark };
    let asked = (one.offset, reading.stop);
    let checks = client.options().check_crcs;
    let Some((chunk, after)) = Chunk::fetched(&one.partition, asked, data, committed, checks)? else {
        return Ok(());
    };
    reading.offset = after;
    reading.queued += 1;
    let number = reading.number;
    state.events.push_back((number, Event::Chunk(chunk)));
    state.stop_at_end(&one.partition);
    Ok(())
}

/// Looks topics up anew beside the fetching; those that stay unknown are gone.
fn refresh(client: &Client, shared: &Arc<Shared>, topics: HashSet<Arc<str>>) {
    {
        let mut state = shared.state();
        if std::mem::replace(&mut state.refreshing, true) {
            return;
        }
    }
    let (client, shared) = (client.clone(), shared.clone());
    tokio::spawn(async move {
        let names: Vec<&str> = topics.iter().map(|name| &**name).collect();
        let errors = client.refresh(Some(&names), false).await;
        let now = Instant::now();
        {
            let mut state = shared.state();
            state.refreshing = false;
            note_unknown(&client, &mut state, &topics, errors.unwrap_or_default(), now);
        }
        shared.work.notify_one();
        shared.arrived.notify_one();
    });
}

fn note_unknown(
    client: &Client,
    state: &mut State,
    topics: &HashSet<Arc<str>>,
    errors: Vec<(Arc<str>, ErrorCode)>,
    now: Instant,
) {
    let mut gone = Vec::new();
    for (partition, reading) in &mut state.reading {
        if !topics.contains(&partition.topic) || !reading.unread() {
            continue;
        }
        let view = client.known(&partition.topic);
        let led = view.as_ref().and_then(|view| view.partition(partition.partition));
        if led.is_none_or(|one| one.leader < 0) && reading.not_before.is_none_or(|at| at <= now) {
            reading.failed(client, now);
        }
        let missing = match errors.iter().find(|(name, _)| *name == partition.topic) {
            Some((_, code)) => *code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            None => view.is_some() && led.is_none(),
        };
        if !missing {
            reading.unknown_since = reading.unknown_since.filter(|_| view.is_none());
        } else if *reading.unknown_since.get_or_insert(now) + GONE_AFTER <= now {
            reading.offset = i64::MAX;
            let event = Event::Gone { partition: partition.clone(), topic: reading.topic };
            gone.push((reading.number, event));
        }
    }
    let refused = errors.into_iter().find(|(_, code)| !code.retriable());
    if let Some((name, code)) = refused {
        state.failure = Some(ClientError::broker(code, format!("topic {name}"), None));
    }
    state.events.extend(gone);
}

/// Finds out where a position outside the log goes, by the reset policy.
fn move_position(client: &Client, shared: &Arc<Shared>, one: Asked, from: i64) {
    let (client, shared) = (client.clone(), shared.clone());
    tokio::spawn(async move {
        let places = [Position::Start, Position::End].map(|place| (one.partition.clone(), place));
        let ends = super::positions::resolve(&client, &places).await;
        let now = Instant::now();
        {
            let mut state = shared.state();
            let Some(reading) = state.current(&one.partition, one.number) else { return };
            reading.moving = false;
            let number = reading.number;
            match ends.as_deref() {
                Ok(&[start, end]) if (start..=end).contains(&from) => {
                    // It is inside by now: a leader had lagged.
                    reading.failed(&client, now);
                }
                Ok(&[start, end]) => {
                    let to = match client.options().reset {
                        Reset::Start => start,
                        Reset::End => end,
                        Reset::Fail => {
                            let partition = one.partition.clone();
                            state.failure =
                                Some(ClientError::OutOfRange { partition, offset: from, start, end });
                            i64::MAX
                        }
                    };
                    if to != i64::MAX
                        && let Some(reading) = state.current(&one.partition, one.number)
                    {
                        reading.offset = to;
                        let partition = one.partition.clone();
                        state.events.push_back((number, Event::Moved { partition, from, to }));
                        state.stop_at_end(&one.partition);
                    }
                }
                Ok(_) => {}
                // The partition may be gone; the next fetch tells.
                Err(_) => reading.failed(&client, now),
            }
        }
        shared.work.notify_one();
        shared.arrived.notify_one();
    });
}
