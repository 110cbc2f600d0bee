//! Opening a broker: the folder, the catalog out of its log, the logs that need recovery; what cannot be read stops
//! the start rather than being guessed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;

use super::catalog::{Catalog, ResourceKind};
use super::cleaner::{Bell, Cleaner};
use super::closing::Closing;
use super::fetch_session::Sessions;
use super::flusher::Flusher;
use super::groups::Groups;
use super::housekeeping::Touched;
use super::in_force::InForce;
use super::meters::Meters;
use super::observe::Observer;
use super::partition::{Partition, Surroundings, replay_strictly};
use super::producer_ids::ProducerIds;
use super::random::Random;
use super::topic_settings::TopicSettings;
use super::transactions::Transactions;
use super::{Broker, BrokerError, BrokerOptions, OpenError, State, Topic};
use crate::metrics::Recovery;
use crate::model::id::{TopicId, TopicPartition};
use crate::model::name::CLUSTER_METADATA;
use crate::model::time::{Clock, SystemClock};
use crate::schema::metadata::MetadataRecord;
use crate::storage::folder::FolderOptions;

use crate::storage::{Disk, Folder, Log, LogSettings, RealDisk, Recovered, StorageError};

/// The metadata topic's id, the same in every cluster of Kafka's.
const METADATA_TOPIC_ID: TopicId = TopicId([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);

impl Broker {
    /// Opens the data folder and reads the catalog; recovers what the last process left unclean.
    ///
    /// # Errors
    /// See [`OpenError`]; a folder that is not klog's is not touched.
    pub fn open(
        options: BrokerOptions,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, OpenError> {
        let BrokerOptions { data, settings, seed, authentication, max_open_files } = options;
        let (began, started_ms) = (clock.monotonic(), clock.wall_ms());
        let random = Random::new(seed);
        let id = || random.id().map_err(|_| OpenError::Random);
        let node_id = settings.node_id();
        let options =
            FolderOptions { node_id, new_cluster_id: id()?, new_directory_id: id()?, max_open_files };
        let folder = Folder::open(disk, &data, Arc::clone(&clock), options)?;
        let log = open_metadata(&folder, &settings)?;
        let catalog = read_catalog(&folder, &log)?;
        let set = |name: &str| catalog.settings(ResourceKind::Broker, name);
        let settings = settings.with_dynamic(set(&node_id.to_string()), set(""));

        let flusher = Flusher::start(Arc::clone(&clock)).map_err(OpenError::Thread)?;
        let meters = Arc::new(Meters::new(clock.monotonic()));
        let around = Surroundings {
            flusher,
            touched: Arc::new(Touched::default()),
            bell: Arc::new(Bell::default()),
            doomed: Arc::new(Notify::new()),
            meters,
        };
        let epoch = catalog.leader_epoch() + i32::from(catalog.is_registered() && !folder.was_clean());
        let slots = settings.size("max.incremental.fetch.session.cache.slots");
        let in_force = InForce::new(settings.clone());
        let metadata = metadata_partition(log, epoch, &in_force.topic_defaults(), &around);
        let seed = random.seed().map_err(|_| OpenError::Random)?;
        let groups = Groups::new(&settings, seed);
        let transactions = Transactions::new(&settings);
        let judge = super::access::Judge::new(&settings, authentication);
        let broker = Arc::new(Self {
            in_force,
            node_id,
            clock,
            random,
            folder,
            metadata,
            state: RwLock::new(State { catalog, live: HashMap::new() }),
            changing: Mutex::new(()),
            around,
            producer_ids: ProducerIds::default(),
            sessions: Sessions::new(slots),
            judge,
            groups,
            transactions,
            observer: Observer::new(started_ms, began),
            deleted: Notify::new(),
            cleaner: Cleaner::default(),
            closing: Closing::default(),
        });
        let opened = broker.come_up(began);
        if opened.is_err() {
            broker.around.flusher.stop();
        }
        opened.map(|()| broker)
    }

    /// Opens the data folder on the machine's own disk and clock.
    ///
    /// # Errors
    /// As [`Broker::open`].
    pub fn open_on_this_machine(options: BrokerOptions) -> Result<Arc<Self>, OpenError> {
        Self::open(options, Arc::new(RealDisk), Arc::new(SystemClock::new()))
    }

    /// Registers where a new epoch begins, makes the topics known, recovers the logs that need it.
    fn come_up(&self, began: Duration) -> Result<(), OpenError> {
        let registered = self.state().catalog.is_registered();
        if !registered || !self.folder.was_clean() {
            let incarnation = self.random.id().map_err(|_| OpenError::Random)?;
            self.folder.sync()?;
            self.change(|catalog| {
                let mut records = catalog.register(self.node_id, incarnation);
                records.extend(catalog.first_features());
                Ok(((), records))
            })?;
        } else if !self.state().catalog.first_features().is_empty() {
            self.change(|catalog| Ok(((), catalog.first_features())))?;
        }
        self.make_live();
        let dirty = self.folder.dirty_at_open();
        let mut all = Recovery { clean: self.folder.was_clean(), ..Recovery::default() };
        if let Some(done) = self.metadata.log().recovered() {
            note(&mut all, &done);
        }
        for id in dirty.iter().filter(|id| &*id.topic != CLUSTER_METADATA) {
            let Some(topic) = self.topic(&id.topic) else { continue };
            let Some(partition) = self.partition_of(&topic, id.partition)? else { continue };
            partition.touch();
            if let Some(done) = partition.log().recovered() {
                note(&mut all, &done);
                if done.cut_bytes > 0 || !done.damaged.is_empty() {
                    tracing::warn!(partition = %id, cut_bytes = done.cut_bytes, damaged = ?done.damaged,
                        log_end = done.log_end, "recovery");
                }
            }
        }
        if all.logs > 0 {
            tracing::info!(logs = all.logs, "recovered after an end that was not clean");
        }
        let known = |id: &TopicPartition| {
            &*id.topic == CLUSTER_METADATA
                || self.topic(&id.topic).is_some_and(|topic| topic.has(id.partition))
        };
        for stray in self.folder.strays(&known)? {
            tracing::warn!(folder = %stray.display(), "the catalog does not know this partition; its folder is kept");
        }
        all.took = self.clock.monotonic().saturating_sub(began);
        self.observer.recovered(all);
        self.deleted.notify_one();
        Ok(())
    }

    fn make_live(&self) {
        let mut made = HashMap::new();
        {
            let state = self.state();
            let epoch = state.catalog.leader_epoch();
            for entry in state.catalog.topics() {
                let settings = self.topic_settings(entry.configs.clone(), &entry.name);
                let name = Arc::clone(&entry.name);
                let topic = Topic::new(Arc::clone(&name), entry.id, entry.partitions.len(), epoch, settings);
                made.insert(name, topic);
            }
        }
        self.state.write().unwrap_or_else(std::sync::PoisonError::into_inner).live = made;
    }
}

/// Adds what one log's recovery did.
fn note(all: &mut Recovery, done: &Recovered) {
    all.logs += 1;
    all.scanned_bytes += done.scanned_bytes;
    all.cut_bytes += done.cut_bytes;
    all.damaged_ranges += done.damaged.len() as u64;
}

fn open_metadata(folder: &Arc<Folder>, settings: &super::Settings) -> Result<Arc<Log>, OpenError> {
    let log_settings = LogSettings {
        segment_bytes: u32::try_from(settings.int("metadata.log.segment.bytes")).unwrap_or(1 << 30),
        retention_ms: -1,
        retention_bytes: -1,
        delete_by_retention: false,
        ..LogSettings::default()
    };
    let id = TopicPartition::new(CLUSTER_METADATA, 0);
    Ok(Log::open(folder, id, METADATA_TOPIC_ID, log_settings)?)
}

fn metadata_partition(
    log: Arc<Log>,
    epoch: i32,
    defaults: &Arc<TopicSettings>,
    around: &Surroundings,
) -> Arc<Partition> {
    let mut settings = TopicSettings::clone(defaults);
    settings.log.flush_messages = 1;
    Partition::new(log, epoch, Arc::new(RwLock::new(Arc::new(settings))), around.clone())
}

/// Reads the whole metadata log. A record that can not be read stops the start, and so does a batch that is not as it was
/// written: what exists must not be guessed.
fn read_catalog(folder: &Folder, log: &Log) -> Result<Catalog, OpenError> {
    let mut catalog = Catalog::default();
    let mut wrong = None;
    replay_strictly(log, &mut |record| {
        let Some(value) = record.value else { return };
        match MetadataRecord::decode(Bytes::copy_from_slice(value)) {
            Ok(decoded) => catalog.apply(&decoded),
            Err(source) => {
                wrong.get_or_insert(OpenError::Catalog { offset: record.offset, source });
            }
        }
    })
    .map_err(|error| match &error {
        BrokerError::Storage(storage) => match &**storage {
            StorageError::Damaged { log, range } => {
                OpenError::Damaged { range: range.clone(), folder: folder.path().join(log) }
            }
            _ => OpenError::Broker(error),
        },
        _ => OpenError::Broker(error),
    })?;
    // A later build may have written records whose sense has changed: nothing of it is taken for known.
    let future = catalog.beyond_known().map(|(feature, level, known)| OpenError::Future {
        feature: feature.to_owned(),
        level,
        known,
    });
    future.or(wrong).map_or(Ok(catalog), Err)
}
