//! The task that sends a producer's sealed batches and settles what the broker answers; never changes their order.
//!
//! The lock guards [`State`]; it is held while batches are moved and answers are settled, never across an await.

use super::queue::{Identity, Queue, Sealed};
use super::transaction::{self, Txn};
use super::{Progress, Receipt};
use crate::client::cluster::Lane;
use crate::client::connection::Connection;
use crate::client::options::Acks;
use crate::client::retry::{
    Attempts, Outcome, Refresh, Step, Verdict, outcome, pause, shortest_pause, verdict,
};
use crate::client::{Client, ClientError, TopicView};
use crate::model::id::{TopicId, TopicPartition};
use crate::wire::api::ApiKey;
use crate::wire::error::ErrorCode;
use crate::wire::messages::init_producer_id::InitProducerIdRequest;
use crate::wire::messages::produce::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceData,
};
use bytes::Bytes;
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// The largest request of several batches; a single batch may be larger.
const REQUEST_BYTES: usize = 1 << 20;
/// Buffers kept for later batches.
const SPARES: usize = 16;

/// What the caller's side and the sending task share.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// Something may have to be sent.
    pub(super) work: Notify,
    /// Something was acknowledged, or failed.
    pub(super) progressed: Notify,
}

#[derive(Debug)]
struct Target {
    name: Arc<str>,
    queues: Vec<Queue>,
}

/// The sealed batches and what became of those before.
#[derive(Debug)]
pub(super) struct State {
    topics: Vec<Target>,
    /// Partitions that have sealed batches, as topic and partition.
    busy: Vec<(u32, i32)>,
    pub(super) identity: Identity,
    pub(super) progress: Progress,
    pub(super) failure: Option<ClientError>,
    /// The transaction, of a transactional producer.
    pub(super) txn: Option<Txn>,
    pub(super) receipts: Option<Vec<Receipt>>,
    pub(super) spares: Vec<Vec<u8>>,
    pub(super) closed: bool,
    under_way: usize,
    ticket: u64,
    /// The identity is void: a new one is asked for once nothing is under way.
    renew: bool,
    /// Topics to look up anew.
    stale: HashSet<Arc<str>>,
    refreshing: bool,
    dialling: HashSet<i32>,
}

impl Shared {
    pub(super) fn new(identity: Identity) -> Self {
        let state = State {
            topics: Vec::new(),
            busy: Vec::new(),
            identity,
            progress: Progress::default(),
            failure: None,
            txn: None,
            receipts: None,
            spares: Vec::new(),
            closed: false,
            under_way: 0,
            ticket: 0,
            renew: false,
            stale: HashSet::new(),
            refreshing: false,
            dialling: HashSet::new(),
        };
        Self { state: Mutex::new(state), work: Notify::new(), progressed: Notify::new() }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    pub(super) fn add_topic(&mut self, view: &TopicView) {
        let queues = view.partitions.iter().map(|_| Queue::default()).collect();
        self.topics.push(Target { name: view.name.clone(), queues });
    }

    pub(super) fn queue(&mut self, topic: u32, partition: i32) -> Option<&mut Queue> {
        self.topics.get_mut(topic as usize)?.queues.get_mut(partition as usize)
    }

    /// Notes that a batch was put into a queue.
    pub(super) fn queued(&mut self, topic: u32, partition: i32) {
        if !self.busy.contains(&(topic, partition)) {
            self.busy.push((topic, partition));
        }
        let added =
            self.queue(topic, partition).and_then(|queue| queue.batches.back()).map(|last| last.bytes.len());
        self.progress.unacknowledged_bytes += added.unwrap_or(0) as u64;
    }

    /// Requests without an answer.
    pub(super) fn under_way(&self) -> usize {
        self.under_way + usize::from(self.txn.as_ref().is_some_and(|txn| txn.adding))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.busy.is_empty()
    }

    /// Whether more may be pushed: a few batches more than may be under way keep the line busy, and fit a cache.
    pub(super) fn has_room(&self, bytes: u64, in_flight: usize) -> bool {
        let length = |&(topic, partition): &(u32, i32)| {
            let target = self.topics.get(topic as usize)?;
            Some(target.queues.get(partition as usize)?.batches.len())
        };
        self.progress.unacknowledged_bytes <= bytes
            && self.busy.iter().filter_map(length).all(|length| length <= in_flight + 2)
    }

    pub(super) fn partition(&self, topic: u32, partition: i32) -> TopicPartition {
        let name =
            self.topics.get(topic as usize).map_or_else(|| Arc::from(""), |target| target.name.clone());
        TopicPartition::new(name, partition)
    }

    /// Keeps the first failure: nothing is sent after it. In a transaction it lasts until that is aborted.
    pub(super) fn fail(&mut self, failure: ClientError) {
        if let (Some(txn), Some(code)) = (&mut self.txn, failure.code()) {
            txn.fatal |= outcome(Step::Produce, code) == Outcome::Fatal;
        }
        self.failure.get_or_insert(failure);
    }

    /// Partitions that have sealed batches, as topic and partition.
    pub(super) fn busy(&self) -> &[(u32, i32)] {
        &self.busy
    }

    /// Drops everything that is not sent, and the failure that kept it. Only while nothing is under way.
    pub(super) fn clear(&mut self) {
        self.topics.iter_mut().flat_map(|target| &mut target.queues).for_each(Queue::clear);
        self.busy.clear();
        self.progress.unacknowledged_bytes = 0;
        self.failure = None;
    }

    /// Another id or epoch, whose sequences begin at 0. Only while there are no batches.
    pub(super) fn begin_as(&mut self, identity: Identity) {
        self.identity = identity;
        self.topics
            .iter_mut()
            .flat_map(|target| &mut target.queues)
            .for_each(|queue| queue.next_sequence = 0);
    }
}

/// A producer id, or none where the options want none.
pub(super) async fn new_identity(client: &Client) -> Result<Identity, ClientError> {
    if !client.options().is_idempotent() {
        return Ok(Identity::NONE);
    }
    let mut attempts = Attempts::within(client.options().api_timeout, client.options());
    loop {
        match ask_identity(client).await {
            Ok(identity) => return Ok(identity),
            Err(error) => attempts.after(error).await?,
        }
    }
}

async fn ask_identity(client: &Client) -> Result<Identity, ClientError> {
    let request =
        InitProducerIdRequest { transaction_timeout_ms: i32::MAX, ..InitProducerIdRequest::default() };
    let answer = client.any().await?.call(&request, client.options().request_timeout).await?;
    match answer.error_code {
        ErrorCode::NONE => {
            Ok(Identity { id: answer.producer_id, epoch: answer.producer_epoch, transactional: false })
        }
        code => Err(ClientError::broker(code, "producer id", None)),
    }
}

/// One batch of a request.
#[derive(Debug, Clone, Copy)]
struct Item {
    topic: u32,
    partition: i32,
    ticket: u64,
}

/// A request about to be sent.
struct Parcel {
    request: ProduceRequest,
    records: Vec<Bytes>,
    items: Vec<Item>,
}

/// Sends until the producer is gone.
pub(super) async fn run(client: Client, shared: Arc<Shared>) {
    loop {
        let wake = step(&client, &shared).await;
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

/// Sends all that may leave now; says when something may that may not yet.
async fn step(client: &Client, shared: &Arc<Shared>) -> Option<Instant> {
    let now = Instant::now();
    if renewal_due(&mut shared.state()) {
        renew(client, shared).await;
    }
    expire(&mut shared.state(), client.options().delivery_timeout, now);
    refresh_stale(client, shared);
    transaction::add_partitions(client, shared);
    let nodes = leaders(client, &mut shared.state());
    for (node, partitions) in nodes {
        match client.open_node(node) {
            Some(connection) => send_to(client, shared, &connection, node, &partitions, now),
            None => dial_for(client, shared, node),
        }
    }
    let state = shared.state();
    if state.failure.is_some() {
        shared.progressed.notify_waiters();
        return None;
    }
    let queues = state
        .busy
        .iter()
        .filter_map(|&(topic, partition)| state.topics.get(topic as usize)?.queues.get(partition as usize));
    let due = |queue: &Queue| Some(queue.batches.front()?.since + client.options().delivery_timeout);
    let again = queues.clone().filter_map(Queue::wakes_at).filter(|&at| at > now).min();
    let late = queues.filter(|queue| queue.under_way == 0).filter_map(due).filter(|&at| at > now).min();
    again.into_iter().chain(late).min()
}

/// The partitions with something to send, by their leaders; topics whose leader is not known become stale.
fn leaders(client: &Client, state: &mut State) -> BTreeMap<i32, Vec<(u32, i32)>> {
    let mut nodes: BTreeMap<i32, Vec<(u32, i32)>> = BTreeMap::new();
    if state.failure.is_some() || state.renew {
        return nodes;
    }
    for &(topic, partition) in &state.busy {
        if state.txn.as_ref().is_some_and(|txn| !txn.has(topic, partition)) {
            continue;
        }
        let Some(target) = state.topics.get(topic as usize) else { continue };
        let view = client.known(&target.name);
        match view.as_ref().and_then(|view| view.partition(partition)).filter(|one| one.leader >= 0) {
            Some(one) => nodes.entry(one.leader).or_default().push((topic, partition)),
            None => {
                state.stale.insert(target.name.clone());
            }
        }
    }
    nodes
}

/// Sends requests to one node as long as its partitions have batches that may leave.
fn send_to(
    client: &Client,
    shared: &Arc<Shared>,
    connection: &Arc<Connection>,
    node: i32,
    partitions: &[(u32, i32)],
    now: Instant,
) {
    let options = client.options();
    let version = match connection.version(ApiKey::Produce) {
        Ok(version) => version.min(transaction::newest_produce(&shared.state())),
        Err(error) => return shared.state().fail(error),
    };
    loop {
        let parcel = pack(client, &mut shared.state(), node, version, partitions, now);
        let Some(parcel) = parcel else { return };
        let answered = options.acks != Acks::Zero;
        let sent = connection.send_pieces(
            &parcel.request,
            version,
            &parcel.records,
            answered,
            options.request_timeout,
        );
        let (connection, client, shared) = (connection.clone(), client.clone(), shared.clone());
        let items = parcel.items;
        drop(parcel.records);
        tokio::spawn(async move {
            let answer = match sent {
                Ok(answer) => connection.wait(answer).await,
                Err(error) => Err(error),
            };
            let outcome = match answer {
                Ok(_) if !answered => Ok(ProduceResponse::default()),
                Ok(frame) => connection.body::<ProduceResponse>(frame, version),
                Err(error) => Err(error),
            };
            settle(&client, &shared, &items, outcome, answered);
        });
    }
}

/// One request: at most one batch a partition, and not many bytes.
fn pack(
    client: &Client,
    state: &mut State,
    node: i32,
    version: i16,
    partitions: &[(u32, i32)],
    now: Instant,
) -> Option<Parcel> {
    let options = client.options();
    let mut topics: Vec<TopicProduceData> = Vec::new();
    let (mut records, mut items, mut bytes, mut last) = (Vec::new(), Vec::new(), 0, u32::MAX);
    for &(topic, partition) in partitions {
        let ticket = state.ticket + 1;
        let name = state.topics.get(topic as usize)?.name.clone();
        let Some(queue) = state.queue(topic, partition) else { continue };
        let Some(index) = queue.next_to_leave(node, options.max_in_flight, now) else { continue };
        let size = queue.batches.get(index).map_or(0, |batch| batch.bytes.len());
        if bytes > 0 && bytes + size > REQUEST_BYTES {
            continue;
        }
        let Some(batch) = queue.leaves(index, node, ticket) else { continue };
        records.push(batch.bytes.clone());
        bytes += size;
        state.ticket = ticket;
        state.under_way += 1;
        items.push(Item { topic, partition, ticket });
        if last != topic || topics.is_empty() {
            let id = client.known(&name).map_or(TopicId::ZERO, |view| view.id);
            let topic_id = if version >= 13 { id } else { TopicId::ZERO };
            topics.push(TopicProduceData { name: name.to_string(), topic_id, partition_data: Vec::new() });
            last = topic;
        }
        if let Some(data) = topics.last_mut() {
            data.partition_data.push(PartitionProduceData { index: partition, records: None });
        }
    }
    let acks = match options.acks {
        Acks::Zero => 0,
        Acks::One => 1,
        Acks::All => -1,
    };
    let timeout_ms = i32::try_from(options.request_timeout.as_millis()).unwrap_or(i32::MAX);
    if items.is_empty() {
        return None;
    }
    let transactional_id = state.txn.as_mut().map(|txn| {
        txn.sent = true;
        txn.id.to_string()
    });
    let request = ProduceRequest { transactional_id, acks, timeout_ms, topic_data: topics };
    Some(Parcel { request, records, items })
}

/// Takes an answer over, or its absence.
fn settle(
    client: &Client,
    shared: &Arc<Shared>,
    items: &[Item],
    outcome: Result<ProduceResponse, ClientError>,
    answered: bool,
) {
    {
        let mut state = shared.state();
        for item in items {
            state.under_way = state.under_way.saturating_sub(1);
            let name = state.partition(item.topic, item.partition).topic;
            match &outcome {
                Ok(_) if !answered => {
                    let stored = PartitionProduceResponse { base_offset: -1, ..Default::default() };
                    settle_one(client, &mut state, *item, &stored);
                }
                Ok(answer) => match find(client, answer, &name, item.partition) {
                    Some(one) => settle_one(client, &mut state, *item, one),
                    None => {
                        let reason = "the answer does not name the partition".to_owned();
                        again(client, &mut state, *item, Refresh::Metadata, (ErrorCode::NONE, reason));
                    }
                },
                Err(error) if error.is_retriable() => {
                    let why = (ErrorCode::NONE, error.to_string());
                    again(client, &mut state, *item, Refresh::Metadata, why);
                }
                Err(error) => state.fail(error.clone()),
            }
        }
    }
    shared.work.notify_one();
    shared.progressed.notify_waiters();
}

fn find<'a>(
    client: &Client,
    answer: &'a ProduceResponse,
    name: &Arc<str>,
    partition: i32,
) -> Option<&'a PartitionProduceResponse> {
    let mut topics = answer.responses.iter().filter(|topic| match topic.topic_id.is_zero() {
        true => *topic.name == **name,
        false => client.name_of(topic.topic_id).is_none_or(|of| of == *name),
    });
    topics.find_map(|topic| topic.partition_responses.iter().find(|one| one.index == partition))
}

fn settle_one(client: &Client, state: &mut State, item: Item, answer: &PartitionProduceResponse) {
    let Some(queue) = state.queue(item.topic, item.partition) else { return };
    let Some(index) = queue.find(item.ticket) else { return };
    let found = match verdict(answer.error_code, index == 0) {
        // A transaction lasts no longer than its epoch.
        Verdict::NewEpoch if state.txn.is_some() => Verdict::Fail,
        found => found,
    };
    match found {
        Verdict::Stored => stored(state, item, index, answer.base_offset),
        Verdict::Again(refresh) => {
            let leader = &answer.current_leader;
            if leader.leader_id >= 0 {
                let name = state.partition(item.topic, item.partition).topic;
                client.leader_is(&name, item.partition, leader.leader_id, leader.leader_epoch);
            }
            let reason = match &answer.error_message {
                Some(message) => format!("{message} ({})", answer.error_code),
                None => answer.error_code.to_string(),
            };
            again(client, state, item, refresh, (answer.error_code, reason));
        }
        Verdict::NewEpoch => {
            state.renew = true;
            again(client, state, item, Refresh::Nothing, (answer.error_code, answer.error_code.to_string()));
        }
        Verdict::Split => split(client, state, item, index),
        Verdict::Fail => {
            let failure = refused(state, item, index, answer);
            if let Some(queue) = state.queue(item.topic, item.partition) {
                queue.again(index, Instant::now(), |_| Duration::ZERO);
            }
            state.fail(failure);
        }
    }
}

fn stored(state: &mut State, item: Item, index: usize, base_offset: i64) {
    let Some(queue) = state.queue(item.topic, item.partition) else { return };
    let Some(batch) = queue.stored(index) else { return };
    if queue.batches.is_empty() {
        state.busy.retain(|&one| one != (item.topic, item.partition));
    }
    state.progress.acknowledged += batch.count as u64;
    state.progress.acknowledged_bytes += batch.content;
    state.progress.unacknowledged_bytes =
        state.progress.unacknowledged_bytes.saturating_sub(batch.bytes.len() as u64);
    let partition = state.partition(item.topic, item.partition);
    if let Some(receipts) = &mut state.receipts {
        receipts.push(Receipt {
            topic: partition.topic,
            partition: partition.partition,
            base_offset,
            count: batch.count as u32,
            first: batch.ordinals.of(0),
        });
    }
    if state.spares.len() < SPARES
        && let Ok(own) = batch.bytes.try_into_mut()
    {
        state.spares.push(own.into());
    }
}

fn again(
    client: &Client,
    state: &mut State,
    item: Item,
    refresh: Refresh,
    (code, reason): (ErrorCode, String),
) {
    let shortest = shortest_pause(Some(code), client.options().retry_backoff);
    let longest = client.options().retry_backoff_max;
    let name = state.partition(item.topic, item.partition).topic;
    let Some(queue) = state.queue(item.topic, item.partition) else { return };
    let Some(index) = queue.find(item.ticket) else { return };
    queue.again(index, Instant::now(), |attempt| pause(attempt, shortest, longest, fastrand::f64()));
    // What holds up the first in line holds up the others: their gap in the sequence is no news.
    if index == 0 || queue.last_failure.is_none() {
        queue.last_failure = Some(reason);
    }
    if refresh == Refresh::Metadata {
        state.stale.insert(name);
    }
}

/// Halves a batch that the topic does not take, or names the one record that is too large.
fn split(client: &Client, state: &mut State, item: Item, index: usize) {
    let identity = state.identity;
    let Some(queue) = state.queue(item.topic, item.partition) else { return };
    let Some(batch) = queue.batches.get(index) else { return };
    if batch.count <= 1 {
        let failure = ClientError::RecordTooLarge {
            ordinal: batch.ordinals.of(0),
            size: batch.bytes.len(),
            limit: None,
        };
        queue.again(index, Instant::now(), |_| Duration::ZERO);
        return state.fail(failure);
    }
    // What this producer compressed it may inflate again.
    let inflate_limit = (i32::MAX as usize).min(client.options().batch_bytes.max(1 << 30));
    let done = queue.split(index, identity, client.options().compression(), inflate_limit);
    if let Err(error) = done {
        state.fail(ClientError::Option(format!("a batch can not be split: {error}")));
    }
}

/// What the broker said no to, naming the record where it told which.
fn refused(state: &mut State, item: Item, index: usize, answer: &PartitionProduceResponse) -> ClientError {
    let partition = state.partition(item.topic, item.partition);
    let batch = state.queue(item.topic, item.partition).and_then(|queue| queue.batches.get(index));
    let named = |batch: &Sealed| {
        let bad = answer.record_errors.first()?;
        let ordinal = batch.ordinals.of(u32::try_from(bad.batch_index).ok()?);
        let why = bad.batch_index_error_message.clone().unwrap_or_default();
        Some(format!("record {}: {why}", ordinal + 1))
    };
    let record = batch.and_then(named);
    let message = match answer.error_code {
        ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER => {
            Some("the broker has lost records that it had acknowledged".to_owned())
        }
        _ => record.or_else(|| answer.error_message.clone()),
    };
    ClientError::broker(answer.error_code, partition.to_string(), message)
}

/// Gives up on what was tried for too long.
fn expire(state: &mut State, limit: Duration, now: Instant) {
    let busy = state.busy.clone();
    let late = busy.into_iter().find_map(|(topic, partition)| {
        let queue = state.queue(topic, partition).filter(|queue| queue.overdue(now, limit))?;
        let last = queue.last_failure.clone().unwrap_or_else(|| "no leader was found".to_owned());
        Some((topic, partition, last))
    });
    if let Some((topic, partition, last)) = late {
        let partition = state.partition(topic, partition);
        state.fail(ClientError::DeliveryTimeout { partition, after: limit, last });
    }
}

fn renewal_due(state: &mut State) -> bool {
    state.renew && state.under_way == 0 && state.failure.is_none()
}

/// A new producer id, and all that waits under it from sequence 0 on.
async fn renew(client: &Client, shared: &Arc<Shared>) {
    let identity = new_identity(client).await;
    let mut state = shared.state();
    match identity {
        Ok(identity) => {
            state.identity = identity;
            state
                .topics
                .iter_mut()
                .flat_map(|target| &mut target.queues)
                .for_each(|queue| queue.restamp(identity));
        }
        Err(error) => state.fail(error),
    }
    state.renew = false;
    shared.progressed.notify_waiters();
}

/// Looks stale topics up, one look-up at a time, beside the sending.
fn refresh_stale(client: &Client, shared: &Arc<Shared>) {
    let names: Vec<Arc<str>> = {
        let mut state = shared.state();
        if state.refreshing || state.stale.is_empty() || state.failure.is_some() {
            return;
        }
        state.refreshing = true;
        state.stale.drain().collect()
    };
    let (client, shared) = (client.clone(), shared.clone());
    tokio::spawn(async move {
        let list: Vec<&str> = names.iter().map(|name| &**name).collect();
        // A failure shows by what is still not known.
        let _ = client.refresh(Some(&list), false).await;
        let leads = |name: &&str| {
            client
                .known(name)
                .is_some_and(|view| view.partitions.iter().all(|partition| partition.leader >= 0))
        };
        if !list.iter().all(leads) {
            tokio::time::sleep(client.options().retry_backoff).await;
        }
        shared.state().refreshing = false;
        shared.work.notify_one();
    });
}

/// Opens the connection to a node beside the sending; when that fails, its partitions may have moved.
fn dial_for(client: &Client, shared: &Arc<Shared>, node: i32) {
    if !shared.state().dialling.insert(node) {
        return;
    }
    let (client, shared) = (client.clone(), shared.clone());
    tokio::spawn(async move {
        let outcome = client.node(node, Lane::Main).await;
        {
            let mut state = shared.state();
            state.dialling.remove(&node);
            if let Err(error) = outcome {
                let busy = state.busy.clone();
                for (topic, partition) in busy {
                    let name = state.partition(topic, partition).topic;
                    state.stale.insert(name);
                    if let Some(queue) = state.queue(topic, partition) {
                        queue.last_failure = Some(error.to_string());
                    }
                }
            }
        }
        shared.work.notify_one();
    });
}
