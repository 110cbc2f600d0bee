//! What the daemon is, callable without a socket: catalog, partitions, group commit, groups, transactions, and the Kafka APIs over
//! them; it must never write to a socket or a terminal, nor acknowledge what a power cut can take back.
//!
//! Locks: `state` guards what exists (read by all, written for the moment of a change), `changing` lets one change of
//! the catalog happen at a time and is held over its sync, on a blocking thread only. None is held across an await.

mod access;
mod admin;
mod alter;
pub mod api;
pub mod catalog;
mod cleaner;
mod closing;
mod error;
mod fetch_session;
mod flusher;
pub mod groups;
mod housekeeping;
mod in_force;
pub mod marks;
mod meters;
mod observe;
mod open;
mod partition;
mod peer;
mod producer_ids;
mod random;
mod refusals;
pub mod sasl;
pub mod settings;
mod topic;
pub mod topic_settings;
pub mod transactions;

pub use access::Denied;
pub use admin::AdminError;
pub use alter::{AlterError, Change, GroupSettings};
pub use error::{BrokerError, OpenError};
pub(crate) use partition::Watch;
pub use partition::{InternalRecord, Partition, Replayed};
pub use peer::{ANONYMOUS, ListenerSecurity, Peer};
pub use topic::Topic;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use tokio::sync::Notify;

use catalog::Catalog;
use cleaner::Cleaner;
use closing::Closing;
use fetch_session::Sessions;
use groups::Groups;
use in_force::InForce;
use observe::Observer;
use partition::Surroundings;
use producer_ids::ProducerIds;
use random::Random;
use settings::Settings;
use topic_settings::TopicSettings;
use transactions::Transactions;

use crate::model::id::{TopicId, TopicPartition};
use crate::model::name;
use crate::model::time::Clock;
use crate::storage::{Folder, StorageError};

/// What a broker is opened with.
#[derive(Debug, Clone)]
pub struct BrokerOptions {
    /// The data folder.
    pub data: PathBuf,
    /// The broker's settings.
    pub settings: Settings,
    /// Makes everything random (topic ids, session ids) the same each time: for tests. `None` takes the machine's.
    pub seed: Option<u64>,
    /// Whether a listener demands authentication: access rules then count for everyone.
    pub authentication: bool,
    /// How many descriptors the logs may hold open together.
    pub max_open_files: usize,
}

impl BrokerOptions {
    /// Default settings over the folder `data`.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            settings: Settings::default(),
            seed: None,
            authentication: false,
            max_open_files: 512,
        }
    }
}

#[derive(Default)]
struct State {
    catalog: Catalog,
    live: HashMap<Arc<str>, Arc<Topic>>,
}

/// One node: a cluster of one.
pub struct Broker {
    in_force: InForce,
    node_id: i32,
    clock: Arc<dyn Clock>,
    random: Random,
    folder: Arc<Folder>,
    metadata: Arc<Partition>,
    state: RwLock<State>,
    changing: Mutex<()>,
    around: Surroundings,
    producer_ids: ProducerIds,
    sessions: Sessions,
    judge: access::Judge,
    groups: Groups,
    transactions: Transactions,
    observer: Observer,
    deleted: Notify,
    cleaner: Cleaner,
    closing: Closing,
}

impl Broker {
    /// The housekeeping: retention, compaction, checkpoints, timers of groups and transactions. The server runs it on one of its threads until the
    /// broker is closed; it wakes at most once a second, and not at all while nothing is due.
    pub async fn tasks(self: Arc<Self>) {
        tokio::select! {
            () = housekeeping::run(Arc::clone(&self)) => {}
            () = cleaner::run(Arc::clone(&self)) => {}
            () = groups::run(Arc::clone(&self)) => {}
            () = transactions::run(Arc::clone(&self)) => {}
        }
    }

    /// Stops: no new appends, everything synced, checkpoints and the clean mark written.
    ///
    /// # Errors
    /// A failing disk; the next start then recovers.
    pub async fn close(self: &Arc<Self>) -> Result<(), BrokerError> {
        if !self.closing.set() {
            return Ok(());
        }
        self.groups.close();
        self.blocking(Self::close_blocking).await?
    }

    fn close_blocking(&self) -> Result<(), BrokerError> {
        self.cleaner.wait();
        self.around.flusher.stop();
        // The list and its partitions hold each other: cut, or the folder's lock would outlive the broker.
        drop(self.around.touched.take());
        let mut failed = None;
        let topics = self.topics();
        let opened = topics.iter().flat_map(|topic| topic.opened()).chain([&self.metadata]);
        let mut logs = Vec::new();
        for partition in opened {
            partition.leave();
            logs.push(Arc::clone(partition.log()));
        }
        for (log, error) in self.folder.close_logs(&logs)? {
            tracing::error!(partition = %log.partition(), %error, "a log could not be closed");
            failed.get_or_insert(error);
        }
        match failed {
            Some(error) => Err(error.into()),
            None => Ok(self.folder.close_clean()?),
        }
    }

    /// Whether [`Broker::close`] was called.
    pub fn is_closing(&self) -> bool {
        self.closing.is_set()
    }

    /// Answers once [`Broker::close`] was called.
    pub async fn closed(&self) {
        self.closing.cancelled().await;
    }

    /// Runs what blocks on a thread for that.
    pub(crate) async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, BrokerError> {
        let broker = Arc::clone(self);
        tokio::task::spawn_blocking(move || work(&broker)).await.map_err(|_| BrokerError::Closing)
    }

    /// This node's id, `node.id`.
    pub fn node_id(&self) -> i32 {
        self.node_id
    }

    /// The cluster's id, as its text.
    pub fn cluster_id(&self) -> &str {
        self.folder.cluster_id()
    }

    fn directory_id(&self) -> TopicId {
        TopicId::ZERO
    }

    /// The settings in force; they can change while the broker runs.
    pub fn settings(&self) -> Arc<Settings> {
        self.in_force.settings()
    }

    /// The clock that everything in the broker goes by.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The groups this node coordinates.
    pub fn groups(&self) -> &Groups {
        &self.groups
    }

    /// The transactions this node coordinates.
    pub fn transactions(&self) -> &Transactions {
        &self.transactions
    }

    /// The data folder.
    pub fn folder(&self) -> &Arc<Folder> {
        &self.folder
    }

    /// Bytes appended that no sync has covered yet.
    pub fn unsynced_bytes(&self) -> u64 {
        self.around.flusher.unsynced()
    }

    /// Answers when there is room for more unsynced bytes: at once, nearly always.
    async fn room(&self) {
        self.around.flusher.room().await;
    }

    fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    fn random_positive(&self) -> Option<i32> {
        self.random.positive().ok()
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// A topic by its name.
    pub fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.state().live.get(name).cloned()
    }

    /// A topic by its id.
    pub fn topic_by_id(&self, id: &TopicId) -> Option<Arc<Topic>> {
        let state = self.state();
        state.catalog.name(id).and_then(|name| state.live.get(name)).cloned()
    }

    /// All topics, by name.
    pub fn topics(&self) -> Vec<Arc<Topic>> {
        let state = self.state();
        state.catalog.topics().filter_map(|entry| state.live.get(&entry.name)).cloned().collect()
    }

    /// A partition of a topic, opened if it was not; `None` where there is none of that index.
    ///
    /// # Errors
    /// Its log can not be opened.
    pub fn partition_of(
        &self,
        topic: &Topic,
        partition: i32,
    ) -> Result<Option<Arc<Partition>>, StorageError> {
        topic.partition(partition, &self.folder, &self.around)
    }

    /// A partition by its topic's name; `None` where the catalog has none, or its log can not be opened.
    pub fn partition(&self, topic: &str, partition: i32) -> Option<Arc<Partition>> {
        let topic = self.topic(topic)?;
        match self.partition_of(&topic, partition) {
            Ok(partition) => partition,
            Err(error) => {
                tracing::error!(topic = %topic.name(), partition, %error, "a log can not be opened");
                None
            }
        }
    }

    /// Bytes of a partition's segments, loaded or not; 0 where it can not be told. Blocking.
    pub fn partition_bytes(&self, topic: &Topic, partition: i32) -> u64 {
        let loaded = topic.opened_at(partition).and_then(|partition| partition.log().size_if_loaded());
        let at_rest = || {
            let id = TopicPartition::new(Arc::clone(topic.name()), partition);
            self.folder.size_at_rest(&id).ok()
        };
        loaded.or_else(at_rest).map_or(0, |(bytes, _)| bytes)
    }

    /// Leader epoch, high watermark and end of the metadata log.
    pub fn metadata_marks(&self) -> (i32, i64, i64) {
        let end = self.metadata.log_end();
        (self.metadata.leader_epoch(), self.metadata.log().durable_end().min(end), end)
    }

    /// A topic's id by its name.
    pub fn topic_id(&self, topic: &str) -> Option<TopicId> {
        self.topic(topic).map(|topic| topic.id())
    }

    /// A topic's name by its id.
    pub fn topic_name(&self, id: &TopicId) -> Option<Arc<str>> {
        self.state().catalog.name(id).cloned()
    }

    /// A number that rises whenever topics come, go or grow, or rules about who may see them do.
    pub(crate) fn topics_version(&self) -> u64 {
        self.state().catalog.topic_changes()
    }

    /// Looks at the catalog.
    pub(crate) fn with_catalog<T>(&self, look: impl FnOnce(&Catalog) -> T) -> T {
        look(&self.state().catalog)
    }

    /// Number of partitions of a topic; `None` where there is no such topic.
    pub fn partition_count(&self, topic: &str) -> Option<i32> {
        self.topic(topic).map(|topic| topic.partition_count())
    }

    /// The settings in force for what was given on a topic. Internal topics are always synced.
    fn topic_settings(&self, given: BTreeMap<String, String>, topic: &str) -> Arc<TopicSettings> {
        if given.is_empty() && !name::is_internal(topic) {
            return self.in_force.topic_defaults();
        }
        let mut settings = TopicSettings::of(given, &self.settings());
        if name::is_internal(topic) {
            settings.log.flush_messages = 1;
            settings.log.retention_ms = -1;
            settings.log.retention_bytes = -1;
        }
        Arc::new(settings)
    }
}
