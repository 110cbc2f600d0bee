//! A topic at run time: its settings in force and its partitions, which are opened when first needed; it knows nothing
//! of other topics. Its number of partitions never changes: one with more is another value that shares what there is.
//!
//! Locks: `settings` guards the swap of the settings in force, `opening` lets one thread open a partition's log.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use super::partition::{Partition, Surroundings};
use super::topic_settings::TopicSettings;
use crate::model::id::{TopicId, TopicPartition};
use crate::model::name;
use crate::storage::{Folder, Log, StorageError};

/// A topic.
pub struct Topic {
    name: Arc<str>,
    id: TopicId,
    leader_epoch: i32,
    settings: Arc<RwLock<Arc<TopicSettings>>>,
    partitions: Box<[Arc<OnceLock<Arc<Partition>>>]>,
    opening: Arc<Mutex<()>>,
}

impl Topic {
    pub(super) fn new(
        name: Arc<str>,
        id: TopicId,
        partitions: usize,
        leader_epoch: i32,
        settings: Arc<TopicSettings>,
    ) -> Arc<Self> {
        Arc::new(Self {
            name,
            id,
            leader_epoch,
            settings: Arc::new(RwLock::new(settings)),
            partitions: (0..partitions).map(|_| Arc::default()).collect(),
            opening: Arc::default(),
        })
    }

    /// The same topic with `count` partitions, at least as many as it has: those there are, their settings and who
    /// opens them are shared with this one.
    pub(super) fn grown(&self, count: usize) -> Arc<Self> {
        let more = self.partitions.len()..count;
        Arc::new(Self {
            name: Arc::clone(&self.name),
            id: self.id,
            leader_epoch: self.leader_epoch,
            settings: Arc::clone(&self.settings),
            partitions: self.partitions.iter().map(Arc::clone).chain(more.map(|_| Arc::default())).collect(),
            opening: Arc::clone(&self.opening),
        })
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Its id.
    pub fn id(&self) -> TopicId {
        self.id
    }

    /// Whether only the broker writes to it.
    pub fn is_internal(&self) -> bool {
        name::is_internal(&self.name)
    }

    /// How many partitions it has.
    pub fn partition_count(&self) -> i32 {
        i32::try_from(self.partitions.len()).unwrap_or(i32::MAX)
    }

    /// The epoch of the leader of its partitions.
    pub fn leader_epoch(&self) -> i32 {
        self.leader_epoch
    }

    /// The settings in force.
    pub fn settings(&self) -> Arc<TopicSettings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts other settings in force, for the partitions that are open and those that are opened later; the caller has
    /// stored them.
    pub fn change_settings(&self, settings: Arc<TopicSettings>) {
        // No log must be opened with the old ones meanwhile.
        let _none = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = settings;
        self.opened().for_each(Partition::settings_changed);
    }

    /// Whether there is a partition of that index.
    pub fn has(&self, partition: i32) -> bool {
        usize::try_from(partition).is_ok_and(|index| index < self.partitions.len())
    }

    /// A partition, opened if it was not; `None` where there is none of that index.
    pub(super) fn partition(
        &self,
        index: i32,
        folder: &Arc<Folder>,
        around: &Surroundings,
    ) -> Result<Option<Arc<Partition>>, StorageError> {
        let Some(slot) = usize::try_from(index).ok().and_then(|at| self.partitions.get(at)) else {
            return Ok(None);
        };
        if let Some(partition) = slot.get() {
            return Ok(Some(Arc::clone(partition)));
        }
        let _one = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(partition) = slot.get() {
            return Ok(Some(Arc::clone(partition)));
        }
        let id = TopicPartition::new(Arc::clone(&self.name), index);
        let log = Log::open(folder, id, self.id, self.settings().log.clone())?;
        let partition = Partition::new(log, self.leader_epoch, Arc::clone(&self.settings), around.clone());
        Ok(Some(Arc::clone(slot.get_or_init(|| partition))))
    }

    /// Each partition, where it was opened so far.
    pub(super) fn slots(&self) -> impl Iterator<Item = Option<&Arc<Partition>>> {
        self.partitions.iter().map(|slot| slot.get())
    }

    /// The partition of that index, if it was opened.
    pub(super) fn opened_at(&self, index: i32) -> Option<&Arc<Partition>> {
        self.partitions.get(usize::try_from(index).ok()?)?.get()
    }

    /// The partitions that were opened so far.
    pub(super) fn opened(&self) -> impl Iterator<Item = &Arc<Partition>> {
        self.partitions.iter().filter_map(|slot| slot.get())
    }
}
