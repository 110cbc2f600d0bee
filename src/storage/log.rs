//! One partition's log: the face of storage to the broker; appends under one short lock, reads without it.
//!
//! Locks: `writer` (append, roll, cut) is held for one write; `flushing` is held for a sync and taken before `writer`;
//! readers take a snapshot of the segment list and never wait for either. A log that the checkpoint knows as clean
//! touches no file before its first use (`core` is filled then, under `loading`, which also keeps others from removing
//! and renaming files while one does). `transactions` has its own short lock. `cleaning` lets one compaction run at a time.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, RwLock};

use super::epochs::Epochs;
use super::folder::Entry;
use super::producers::{ActiveProducer, Producers};
use super::segment::Segment;
use super::transactions::{Guard, Transactions};
use super::{Folder, LogSettings, StorageError, held};
use crate::model::id::{TopicId, TopicPartition};

mod aborted;
mod append;
mod check;
mod checkpoint;
mod compact;
mod flush;
mod load;
mod plan;
mod recovery;
mod retention;
mod sweep;
mod times;

pub use compact::{CompactOptions, Compacted, CompactionDue};
pub use plan::ReadPlan;
pub use sweep::Swept;

/// One partition's log.
#[derive(Debug)]
pub struct Log {
    folder: Arc<Folder>,
    partition: TopicPartition,
    name: String,
    dir: PathBuf,
    topic_id: TopicId,
    settings: RwLock<Arc<LogSettings>>,
    start: AtomicI64,
    end: AtomicI64,
    durable: AtomicI64,
    unsynced: AtomicU64,
    closed: AtomicBool,
    /// A copy of whether the writer is latched, for those who only look.
    failed: AtomicBool,
    loading: Mutex<()>,
    cleaning: Mutex<()>,
    core: OnceLock<Core>,
    recovered: Mutex<Option<Recovered>>,
    transactions: Transactions,
    /// Whether any segment has, or may have, aborted transactions: readers of a log without look no further.
    any_aborted: AtomicBool,
}

/// What is there once a log is loaded.
#[derive(Debug)]
struct Core {
    segments: RwLock<Arc<Vec<Arc<Segment>>>>,
    writer: Mutex<Writer>,
    flushing: Mutex<()>,
    damaged: Vec<Damage>,
}

/// What the append lock guards.
#[derive(Debug)]
struct Writer {
    active: Arc<Segment>,
    producers: Producers,
    epochs: Epochs,
    /// The first failure; no appends from then on.
    failed: Option<String>,
    /// Closed segments with bytes that no sync has covered.
    unsynced: Vec<Arc<Segment>>,
    /// Closed segments whose index files are not synced.
    unindexed: Vec<Arc<Segment>>,
    /// Whether the partition's folder has entries (segments) that are not synced.
    dir_dirty: bool,
    epochs_dirty: bool,
    /// Whether the folder's journal names this log, and whether that is synced.
    noted: bool,
    note_synced: bool,
    /// What the last sync covered.
    durable: Boundary,
    /// Up to where the active segment has space allocated, in bytes.
    allocated: u64,
    /// When the active segment was made, in ms.
    created_ms: i64,
    /// The largest timestamp of the active segment's first batch: what `segment.ms` counts from.
    first_timestamp: Option<i64>,
    /// The log end at which the last snapshot of the producers was written.
    snapshot_at: i64,
    /// Snapshot files on disk, ascending.
    snapshots: VecDeque<i64>,
    /// Which segments the list on disk says have a `.txnindex`.
    listed: BTreeSet<i64>,
}

/// A place between two batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Boundary {
    base: i64,
    position: u64,
    offset: i64,
}

/// Bytes of a segment that are no batch, between batches that are.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Damage {
    base: i64,
    position: Range<u64>,
    offsets: Range<i64>,
}

/// What an append did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The first offset of the batch (of the first one, for a duplicate).
    pub base_offset: i64,
    /// The last offset of the batch.
    pub last_offset: i64,
    /// The log append time, -1 when the topic keeps the producer's.
    pub log_append_time: i64,
    /// Log start offset at that moment.
    pub log_start: i64,
    /// Whether the batch was here already: nothing was written, the offsets are those of then.
    pub duplicate: bool,
}

/// A record's place by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimedOffset {
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// The record's offset.
    pub offset: i64,
    /// The leader epoch of its batch, -1 when unknown.
    pub leader_epoch: i32,
}

/// What opening a log did, for the one line in the daemon's log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Bytes whose batches were checked.
    pub scanned_bytes: u64,
    /// Bytes cut off the tail (kept in `.cut-` files).
    pub cut_bytes: u64,
    /// Damaged offset ranges found (kept in place, refused when read).
    pub damaged: Vec<Range<i64>>,
    /// Offset ranges that are missing between segments.
    pub missing: Vec<Range<i64>>,
    /// Log start offset.
    pub log_start: i64,
    /// Log end offset.
    pub log_end: i64,
}

/// What retention did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retained {
    /// Segments removed.
    pub segments: usize,
    /// Their bytes.
    pub bytes: u64,
}

impl Log {
    /// Opens a partition's log, making it when its folder is missing (then [`Folder::sync`] makes the folder durable).
    /// Touches no file when the checkpoint knows the log as clean: it is loaded on first use. Otherwise recovers it now.
    ///
    /// # Errors
    /// `Io`. A folder that belongs to another topic id is set aside (`<name>.<id>-stray`), not an error.
    pub fn open(
        folder: &Arc<Folder>,
        partition: TopicPartition,
        topic_id: TopicId,
        settings: LogSettings,
    ) -> Result<Arc<Self>, StorageError> {
        let name = partition.to_string();
        let entry = folder.entry(&name).filter(|entry| entry.topic_id == topic_id);
        let (start, end) = entry.map_or((0, 0), |entry| (entry.log_start, entry.recovery_point));
        let log = Self {
            dir: folder.path().join(&name),
            folder: Arc::clone(folder),
            partition,
            name,
            topic_id,
            settings: RwLock::new(Arc::new(settings)),
            start: AtomicI64::new(start),
            end: AtomicI64::new(end),
            durable: AtomicI64::new(end),
            unsynced: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            loading: Mutex::new(()),
            cleaning: Mutex::new(()),
            core: OnceLock::new(),
            recovered: Mutex::new(None),
            transactions: Transactions::default(),
            any_aborted: AtomicBool::new(false),
        };
        // Where a transaction may be open the last stable offset is only known from the log itself.
        if entry.is_none_or(|entry| entry.dirty || entry.transactions) {
            log.core()?;
        }
        Ok(Arc::new(log))
    }

    /// What is loaded, loading it first when nothing is.
    fn core(&self) -> Result<&Core, StorageError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(StorageError::Closed { log: self.name.clone() });
        }
        if let Some(core) = self.core.get() {
            return Ok(core);
        }
        let _turn = held(&self.loading);
        if let Some(core) = self.core.get() {
            return Ok(core);
        }
        let entry: Option<Entry> =
            self.folder.entry(&self.name).filter(|entry| entry.topic_id == self.topic_id);
        let (core, recovered) = self.load(entry)?;
        *held(&self.recovered) = recovered;
        Ok(self.core.get_or_init(|| core))
    }

    /// What recovery did when this log was loaded; `None` while nothing had to be recovered.
    pub fn recovered(&self) -> Option<Recovered> {
        held(&self.recovered).clone()
    }

    /// Which partition this is.
    pub fn partition(&self) -> &TopicPartition {
        &self.partition
    }

    /// The topic's id.
    pub fn topic_id(&self) -> TopicId {
        self.topic_id
    }

    /// Log start offset.
    pub fn log_start(&self) -> i64 {
        self.start.load(Ordering::Acquire)
    }

    /// Log end offset: the next one to be given.
    pub fn log_end(&self) -> i64 {
        self.end.load(Ordering::Acquire)
    }

    /// Everything below this offset survives a power cut.
    pub fn durable_end(&self) -> i64 {
        self.durable.load(Ordering::Acquire)
    }

    /// Bytes appended that no sync has covered yet.
    pub fn unsynced_bytes(&self) -> u64 {
        self.unsynced.load(Ordering::Relaxed)
    }

    /// Bytes of all segments.
    ///
    /// # Errors
    /// Those of loading.
    pub fn size(&self) -> Result<u64, StorageError> {
        Ok(self.core()?.segments().iter().map(|segment| segment.size()).sum())
    }

    /// Bytes and number of all segments, if the log is loaded; loads nothing and waits for no append.
    pub fn size_if_loaded(&self) -> Option<(u64, usize)> {
        let segments = self.core.get()?.segments();
        Some((segments.iter().map(|segment| segment.size()).sum(), segments.len()))
    }

    /// Whether it takes no more appends after an I/O error.
    pub fn is_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// How many ranges of its segments are known to be no batches.
    pub fn damaged_ranges(&self) -> usize {
        self.core.get().map_or(0, |core| core.damaged.len())
    }

    /// The settings in force.
    pub fn settings(&self) -> Arc<LogSettings> {
        Arc::clone(&self.settings.read().unwrap_or_else(|held| held.into_inner()))
    }

    /// Changes the settings; they count from the next append or retention on.
    pub fn set_settings(&self, settings: LogSettings) {
        *self.settings.write().unwrap_or_else(|held| held.into_inner()) = Arc::new(settings);
    }

    /// The leader epochs known here and their first offsets, oldest first.
    ///
    /// # Errors
    /// Those of loading.
    pub fn leader_epochs(&self) -> Result<Vec<(i32, i64)>, StorageError> {
        Ok(held(&self.core()?.writer).epochs.entries().to_vec())
    }

    /// The largest epoch at or below `epoch` and its end offset (OffsetForLeaderEpoch).
    ///
    /// # Errors
    /// Those of loading.
    pub fn epoch_end(&self, epoch: i32) -> Result<Option<(i32, i64)>, StorageError> {
        let writer = held(&self.core()?.writer);
        Ok(writer.epochs.end_of(epoch, self.log_end()))
    }

    /// The idempotent producers that the log remembers, by id.
    ///
    /// # Errors
    /// Those of loading.
    pub fn active_producers(&self) -> Result<Vec<ActiveProducer>, StorageError> {
        Ok(held(&self.core()?.writer).producers.active())
    }

    /// Begins the check of a producer's transaction with its coordinator, before the batch with this first sequence that
    /// would begin it here: what it gives lets that batch pass. `None`: the transaction is under way in this log, and
    /// nothing has to be verified.
    ///
    /// # Errors
    /// Those of loading; `Closed`, `Failed`.
    pub fn begin_verification(
        &self,
        producer_id: i64,
        epoch: i16,
        base_sequence: i32,
    ) -> Result<Option<Guard>, StorageError> {
        let mut writer = held(&self.core()?.writer);
        self.check_open(&writer)?;
        let now_ms = self.folder.now_ms();
        Ok(writer.producers.begin_verification(producer_id, epoch, base_sequence, now_ms))
    }

    /// The coordinator refused the transaction that the guard was for: the log forgets that it was asked. Not for a refusal
    /// that may be an agreement when asked again: what was sent first still has to come first.
    pub fn end_verification(&self, producer_id: i64, epoch: i16, guard: Guard) {
        if let Some(core) = self.core.get() {
            held(&core.writer).producers.end_verification(producer_id, epoch, guard);
        }
    }

    /// The last stable offset where `high_watermark` is that: the end of what readers at read_committed may see. It is
    /// the first offset of any transaction that is open, or whose marker is not below the high watermark.
    pub fn last_stable(&self, high_watermark: i64) -> i64 {
        // Of a log that is not loaded the checkpoint knows that no transaction is open.
        let unstable = self.transactions.first_unstable(high_watermark, self.durable_end());
        // Its records may be deleted: the log does not begin behind its stable end.
        unstable.map_or(high_watermark, |first| first.max(self.log_start()).min(high_watermark))
    }

    /// Forgets producers idle for longer than the settings say, by the monotonic clock of the folder. A log that is not
    /// loaded stays so.
    pub fn expire_producers(&self) {
        if let Some(core) = self.core.get() {
            let expiration_ms = self.settings().producer_expiration_ms;
            held(&core.writer).producers.expire(self.folder.now_ms(), expiration_ms);
        }
    }
}

impl Core {
    /// The damage that covers `position` of the segment at `base`.
    fn damage_at(&self, base: i64, position: u64) -> Option<&Damage> {
        self.damaged.iter().find(|damage| damage.base == base && damage.position.contains(&position))
    }

    /// The segments as they are now, ascending, the last one active.
    fn segments(&self) -> Arc<Vec<Arc<Segment>>> {
        Arc::clone(&self.segments.read().unwrap_or_else(|held| held.into_inner()))
    }

    /// Looks at the segments, again where they changed meanwhile and a file was gone for that.
    fn on_segments<T>(
        &self,
        mut look: impl FnMut(&[Arc<Segment>]) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        loop {
            let segments = self.segments();
            match look(&segments) {
                Err(StorageError::Io { .. }) if !Arc::ptr_eq(&segments, &self.segments()) => {}
                done => return done,
            }
        }
    }

    fn set_segments(&self, segments: Vec<Arc<Segment>>) {
        *self.segments.write().unwrap_or_else(|held| held.into_inner()) = Arc::new(segments);
    }
}
