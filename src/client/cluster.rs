//! The client and its view of the cluster: nodes, topics, leaders; looked up anew when an answer says it is stale,
//! never trusted longer than `metadata.max.age.ms`.
//!
//! The lock guards the view and the table of connections; it is held for look-ups only.

use super::connection::Connection;
use super::retry::{Attempts, pause};
use super::{Address, ClientError, ClientOptions};
use crate::model::id::{TopicId, TopicPartition};
use crate::net::tls::ClientTls;
use crate::wire::error::ErrorCode;
use crate::wire::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseTopic,
};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep_until};

/// How long a topic that the broker may be making just now is waited for.
const CREATION_WAIT: Duration = Duration::from_secs(10);

/// A broker of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The node's id, 0 or more.
    pub id: i32,
    /// Its host as announced; `unix` stands for the socket that was dialled.
    pub host: String,
    /// Its port; 0 beside `unix`.
    pub port: i32,
    /// Its rack, if it has one.
    pub rack: Option<String>,
}

/// A partition as the metadata tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionView {
    /// Kafka's error code for this partition.
    pub error: ErrorCode,
    /// The leader's node id, -1 when there is none.
    pub leader: i32,
    /// The leader's epoch, -1 when unknown.
    pub leader_epoch: i32,
    /// Node ids of all replicas.
    pub replicas: Vec<i32>,
    /// Node ids of those in sync.
    pub in_sync: Vec<i32>,
}

/// A topic as the metadata tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicView {
    /// Its name.
    pub name: Arc<str>,
    /// Its id; zero when the broker is too old to tell.
    pub id: TopicId,
    /// Whether it is one of the broker's own.
    pub internal: bool,
    /// Partitions by index, without holes.
    pub partitions: Vec<PartitionView>,
}

impl TopicView {
    /// How many partitions it has.
    pub fn count(&self) -> i32 {
        i32::try_from(self.partitions.len()).unwrap_or(i32::MAX)
    }

    /// The partition with this index.
    pub fn partition(&self, index: i32) -> Option<&PartitionView> {
        self.partitions.get(usize::try_from(index).ok()?)
    }
}

/// Connections to one broker are kept apart by what they are for: brokers answer in order, so a request that waits
/// holds up those behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Lane {
    /// Everything that is answered soon.
    Main,
    /// Fetches, which wait for records.
    Fetch,
    /// Joining a group, which waits for the other members: one lane a member, because they wait for each other.
    Join(u64),
}

/// What has a coordinator.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Coordinated {
    /// A group, by its name.
    Group(String),
    /// A transactional id.
    Transaction(String),
}

type Slot = Arc<OnceCell<Arc<Connection>>>;

/// A client of one cluster. Cheap to clone; clones share connections and view.
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    options: ClientOptions,
    tls: Option<ClientTls>,
    /// Connections in a row that ended at the first request after the greeting.
    hung_up: Arc<AtomicU32>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    closed: bool,
    /// The bootstrap address that answered last: what `unix` port 0 stands for.
    via: Option<Address>,
    cluster_id: Option<String>,
    controller: i32,
    nodes: BTreeMap<i32, Node>,
    topics: HashMap<Arc<str>, (Arc<TopicView>, Instant)>,
    names: HashMap<TopicId, Arc<str>>,
    connections: HashMap<(Address, Lane), Slot>,
    /// Group members made so far.
    members: u64,
    /// Coordinators of groups and transactional ids, as node and address.
    coordinators: HashMap<Coordinated, (i32, Address)>,
    /// Failed attempts of an address in a row, and when it may be dialled again.
    failures: HashMap<Address, (u32, Instant)>,
}

impl Client {
    /// Dials the first address of the list that answers and learns what the broker speaks.
    ///
    /// # Errors
    /// [`ClientError::Refused`] at once when every address refuses, [`ClientError::Silent`] after `connect_timeout`.
    pub async fn connect(options: ClientOptions) -> Result<Self, ClientError> {
        options.check()?;
        let tls = options.security.load()?;
        let inner = Inner {
            options,
            tls,
            hung_up: Arc::default(),
            state: Mutex::new(State { controller: -1, ..State::default() }),
        };
        let client = Self { inner: Arc::new(inner) };
        client.any().await?;
        Ok(client)
    }

    /// What this client was told.
    pub fn options(&self) -> &ClientOptions {
        &self.inner.options
    }

    /// The topic as the cluster tells it now or told it recently; made by the broker where `create` and the broker
    /// allow it. Waits until every partition of a new topic has a leader.
    ///
    /// # Errors
    /// [`ClientError::UnknownTopic`]; what the broker says of the name; failures of the connection.
    pub async fn topic(&self, name: &str, create: bool) -> Result<Arc<TopicView>, ClientError> {
        if let Some(known) = self.known(name) {
            return Ok(known);
        }
        self.fresh_topic(name, create).await
    }

    /// Like [`Client::topic`], never from memory.
    pub(super) async fn fresh_topic(&self, name: &str, create: bool) -> Result<Arc<TopicView>, ClientError> {
        let limit = self.options().api_timeout.min(CREATION_WAIT);
        let mut attempts = Attempts::within(limit, self.options());
        loop {
            let error = match self.ask_topic(name, create).await {
                Ok(view) => return Ok(view),
                Err(error) => error,
            };
            let missing = error.code() == Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
            if missing && !create {
                return Err(ClientError::UnknownTopic(name.to_owned()));
            }
            attempts.after(error).await.map_err(|error| match missing {
                true => ClientError::UnknownTopic(name.to_owned()),
                false => error,
            })?;
        }
    }

    /// The leader of a partition and its epoch. That there is no such partition is believed of a fresh view only: the
    /// topic may have grown since it was told of.
    ///
    /// # Errors
    /// [`ClientError::UnknownTopic`], [`ClientError::UnknownPartition`]; failures of the connection.
    pub(super) async fn leader(&self, partition: &TopicPartition) -> Result<(i32, i32), ClientError> {
        let found = |view: &TopicView| {
            let one = view.partition(partition.partition)?;
            Some((one.leader, one.leader_epoch))
        };
        if let Some(leader) = self.known(&partition.topic).as_deref().and_then(found) {
            return Ok(leader);
        }
        let view = self.fresh_topic(&partition.topic, false).await?;
        found(&view).ok_or_else(|| ClientError::UnknownPartition {
            partition: partition.clone(),
            count: view.count(),
        })
    }

    async fn ask_topic(&self, name: &str, create: bool) -> Result<Arc<TopicView>, ClientError> {
        let errors = self.refresh(Some(&[name]), create).await?;
        if let Some((_, code)) = errors.into_iter().find(|(topic, _)| &**topic == name) {
            return Err(ClientError::broker(code, format!("topic {name}"), None));
        }
        let view = self.known(name).ok_or_else(|| ClientError::UnknownTopic(name.to_owned()))?;
        match view.partitions.iter().find(|partition| partition.leader < 0) {
            Some(_) => {
                Err(ClientError::broker(ErrorCode::LEADER_NOT_AVAILABLE, format!("topic {name}"), None))
            }
            None => Ok(view),
        }
    }

    /// Every topic of the cluster, fresh, by name; internal ones included.
    ///
    /// # Errors
    /// Failures of the connection, after `api_timeout`.
    pub async fn topics(&self) -> Result<BTreeMap<Arc<str>, Arc<TopicView>>, ClientError> {
        let mut attempts = Attempts::within(self.options().api_timeout, self.options());
        loop {
            match self.refresh(None, false).await {
                Ok(_) => break,
                Err(error) => attempts.after(error).await?,
            }
        }
        let state = self.state();
        Ok(state.topics.iter().map(|(name, (view, _))| (name.clone(), view.clone())).collect())
    }

    /// The cluster's id, its controller's node id and its nodes, fresh.
    ///
    /// # Errors
    /// Failures of the connection, after `api_timeout`.
    pub async fn describe_cluster(&self) -> Result<(Option<String>, i32, Vec<Node>), ClientError> {
        self.learn_nodes().await?;
        let state = self.state();
        Ok((state.cluster_id.clone(), state.controller, state.nodes.values().cloned().collect()))
    }

    /// Closes all connections; calls under way fail.
    pub fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.connections.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The topic as told not longer ago than `metadata.max.age.ms`, every partition with a leader.
    pub(super) fn known(&self, name: &str) -> Option<Arc<TopicView>> {
        let state = self.state();
        let (view, told) = state.topics.get(name)?;
        let usable = told.elapsed() < self.options().metadata_max_age;
        usable.then(|| view.clone())
    }

    /// The name of a topic by its id, if it was told.
    pub(super) fn name_of(&self, id: TopicId) -> Option<Arc<str>> {
        self.state().names.get(&id).cloned()
    }

    /// Takes over a leader that an answer named, if it is a later one (KIP-951).
    pub(super) fn leader_is(&self, topic: &str, index: i32, leader: i32, epoch: i32) {
        let mut state = self.state();
        if !state.nodes.contains_key(&leader) {
            return;
        }
        let Some((view, _)) = state.topics.get_mut(topic) else { return };
        let view = Arc::make_mut(view);
        let place = usize::try_from(index).ok().and_then(|index| view.partitions.get_mut(index));
        if let Some(partition) = place.filter(|partition| partition.leader_epoch < epoch) {
            (partition.leader, partition.leader_epoch) = (leader, epoch);
        }
    }

    /// Learns the cluster's nodes, with retries.
    pub(super) async fn learn_nodes(&self) -> Result<(), ClientError> {
        let mut attempts = Attempts::within(self.options().api_timeout, self.options());
        loop {
            match self.refresh(Some(&[]), false).await {
                Ok(_) => return Ok(()),
                Err(error) => attempts.after(error).await?,
            }
        }
    }

    /// Asks any broker for topics (`None`: all) and takes the answer over; gives the topics' own errors back.
    pub(super) async fn refresh(
        &self,
        topics: Option<&[&str]>,
        create: bool,
    ) -> Result<Vec<(Arc<str>, ErrorCode)>, ClientError> {
        let connection = self.any().await?;
        let version = connection.version(crate::wire::api::ApiKey::Metadata)?;
        let one = |name: &&str| MetadataRequestTopic {
            name: Some((*name).to_owned()),
            ..MetadataRequestTopic::default()
        };
        let mut wanted = topics.map(|names| names.iter().map(one).collect::<Vec<_>>());
        if version == 0 {
            // The oldest brokers take an empty list for all and know no null.
            wanted = Some(wanted.unwrap_or_default());
        }
        let request = MetadataRequest {
            topics: wanted,
            // Before version 4 the broker decides alone.
            allow_auto_topic_creation: create || version < 4,
            ..MetadataRequest::default()
        };
        let answer = connection.call_in(&request, version, self.options().request_timeout).await?;
        if !answer.error_code.is_ok() {
            return Err(ClientError::broker(answer.error_code, "cluster metadata", None));
        }
        Ok(self.take_over(answer, topics.is_none()))
    }

    fn take_over(&self, answer: MetadataResponse, all: bool) -> Vec<(Arc<str>, ErrorCode)> {
        let mut state = self.state();
        state.cluster_id = answer.cluster_id;
        state.controller = answer.controller_id;
        state.nodes = answer
            .brokers
            .into_iter()
            .map(|one| {
                (one.node_id, Node { id: one.node_id, host: one.host, port: one.port, rack: one.rack })
            })
            .collect();
        if all {
            state.topics.clear();
            state.names.clear();
        }
        let mut errors = Vec::new();
        for topic in answer.topics {
            let name: Arc<str> = Arc::from(topic.name.as_deref().unwrap_or_default());
            if !topic.error_code.is_ok() {
                state.topics.remove(&name);
                errors.push((name, topic.error_code));
                continue;
            }
            if !topic.topic_id.is_zero() {
                state.names.insert(topic.topic_id, name.clone());
            }
            state.topics.insert(name.clone(), (Arc::new(view_of(name, topic)), Instant::now()));
        }
        errors
    }

    /// A connection to any broker: one that is open, else the bootstrap list, else the nodes known.
    pub(super) async fn any(&self) -> Result<Arc<Connection>, ClientError> {
        let candidates = {
            let state = self.state();
            if state.closed {
                return Err(ClientError::Closed);
            }
            let open = |(key, slot): (&(Address, Lane), &Slot)| {
                let connection = slot.get().filter(|connection| !connection.is_closed())?;
                (key.1 == Lane::Main).then(|| connection.clone())
            };
            if let Some(connection) = state.connections.iter().find_map(open) {
                return Ok(connection);
            }
            let mut list = self.options().bootstrap.clone();
            list.extend(state.nodes.values().filter_map(|node| address_of(node, state.via.as_ref())));
            let mut seen = std::collections::HashSet::new();
            list.retain(|address| seen.insert(address.clone()));
            list
        };
        let deadline = Instant::now() + self.options().connect_timeout;
        let mut first = None;
        for (left, address) in (1..=candidates.len()).rev().zip(candidates) {
            // The silent ones share the time.
            let share = deadline.saturating_duration_since(Instant::now()) / u32::try_from(left).unwrap_or(1);
            let limit = share.max(Duration::from_millis(500)).min(self.options().connect_timeout);
            match self.connection_within(&address, Lane::Main, limit).await {
                Ok(connection) => {
                    if self.options().bootstrap.contains(&address) {
                        self.state().via = Some(address);
                    }
                    return Ok(connection);
                }
                Err(error) => first = first.or(Some(error)),
            }
        }
        Err(first.unwrap_or(ClientError::Closed))
    }

    /// A connection to a node that the metadata told of.
    pub(super) async fn node(&self, id: i32, lane: Lane) -> Result<Arc<Connection>, ClientError> {
        let address = {
            let state = self.state();
            let node = state.nodes.get(&id);
            node.and_then(|node| address_of(node, state.via.as_ref()))
        };
        match address {
            Some(address) => self.connection(&address, lane).await,
            None => {
                let what = format!("node {id}");
                Err(ClientError::broker(ErrorCode::LEADER_NOT_AVAILABLE, what, None))
            }
        }
    }

    /// The main connection to a node, if it is open.
    pub(super) fn open_node(&self, id: i32) -> Option<Arc<Connection>> {
        let state = self.state();
        let address = address_of(state.nodes.get(&id)?, state.via.as_ref())?;
        let connection = state.connections.get(&(address, Lane::Main))?.get()?;
        (!connection.is_closed()).then(|| connection.clone())
    }

    /// The address a host and port from a broker's answer stand for.
    pub(super) fn address(&self, host: &str, port: i32) -> Option<Address> {
        let node = Node { id: -1, host: host.to_owned(), port, rack: None };
        address_of(&node, self.state().via.as_ref())
    }

    /// A lane for a new group member.
    pub(super) fn join_lane(&self) -> Lane {
        let mut state = self.state();
        state.members += 1;
        Lane::Join(state.members)
    }

    /// Closes the connections of a lane that nobody uses any more.
    pub(super) fn close_lane(&self, lane: Lane) {
        self.state().connections.retain(|(_, of), _| *of != lane);
    }

    /// Drops what is known of topics, so that they are asked for anew.
    pub(super) fn forget_topics<'a>(&self, names: impl IntoIterator<Item = &'a str>) {
        let mut state = self.state();
        for name in names {
            state.topics.remove(name);
        }
    }

    pub(super) fn known_coordinator(&self, of: &Coordinated) -> Option<(i32, Address)> {
        self.state().coordinators.get(of).cloned()
    }

    pub(super) fn keep_coordinator(&self, of: &Coordinated, node: i32, address: Address) {
        self.state().coordinators.insert(of.clone(), (node, address));
    }

    pub(super) fn forget_coordinator(&self, of: &Coordinated) {
        self.state().coordinators.remove(of);
    }

    /// The open connection to an address, or a new one.
    pub(super) async fn connection(
        &self,
        address: &Address,
        lane: Lane,
    ) -> Result<Arc<Connection>, ClientError> {
        self.connection_within(address, lane, self.options().connect_timeout).await
    }

    async fn connection_within(
        &self,
        address: &Address,
        lane: Lane,
        limit: Duration,
    ) -> Result<Arc<Connection>, ClientError> {
        let key = (address.clone(), lane);
        let (slot, not_before) = {
            let mut state = self.state();
            if state.closed {
                return Err(ClientError::Closed);
            }
            let slot = state.connections.entry(key).or_default();
            if slot.get().is_some_and(|connection| connection.is_closed()) {
                *slot = Slot::default();
            }
            let slot = slot.clone();
            (slot, state.failures.get(address).map(|&(_, at)| at))
        };
        let inner = &self.inner;
        let open = async || {
            if let Some(at) = not_before {
                sleep_until(at).await;
            }
            let opened =
                Connection::open(address, self.options(), inner.tls.as_ref(), &inner.hung_up, limit).await;
            self.note(address, opened.is_ok());
            opened.map(Arc::new)
        };
        // Whoever else wants the same connection waits for this dialling.
        slot.get_or_try_init(open).await.cloned()
    }

    /// Keeps the pauses between attempts to dial an address.
    fn note(&self, address: &Address, reached: bool) {
        let (shortest, longest) = self.options().reconnect_backoff;
        let mut state = self.state();
        if reached {
            state.failures.remove(address);
            return;
        }
        let entry = state.failures.entry(address.clone()).or_insert((0, Instant::now()));
        entry.0 += 1;
        entry.1 = Instant::now() + pause(entry.0, shortest, longest, fastrand::f64());
    }
}

fn address_of(node: &Node, via: Option<&Address>) -> Option<Address> {
    if node.host == "unix" && node.port == 0 {
        return via.cloned();
    }
    let port = u16::try_from(node.port).ok()?;
    Some(Address::Tcp { host: node.host.clone(), port })
}

fn view_of(name: Arc<str>, topic: MetadataResponseTopic) -> TopicView {
    let mut told = topic.partitions;
    told.sort_by_key(|partition| partition.partition_index);
    let partitions = told.into_iter().map(|partition| PartitionView {
        error: partition.error_code,
        leader: partition.leader_id,
        leader_epoch: partition.leader_epoch,
        replicas: partition.replica_nodes,
        in_sync: partition.isr_nodes,
    });
    TopicView { name, id: topic.topic_id, internal: topic.is_internal, partitions: partitions.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_node_unix_is_what_was_dialled() {
        let node = |host: &str, port| Node { id: 1, host: host.to_owned(), port, rack: None };
        let via = Address::Unix("/run/klog.sock".into());
        assert_eq!(address_of(&node("unix", 0), Some(&via)), Some(via.clone()));
        assert_eq!(address_of(&node("unix", 0), None), None);
        let tcp = Address::Tcp { host: "h".to_owned(), port: 9092 };
        assert_eq!(address_of(&node("h", 9092), Some(&via)), Some(tcp));
        assert_eq!(address_of(&node("h", -1), Some(&via)), None);
    }
}
