//! One partition as the broker sees it: a log, its high watermark, and who waits for it; nothing above the high
//! watermark is ever shown to a consumer.
//!
//! Locks: `waiting` guards who waits, `lazy` the place among the flusher's logs that may stay unsynced, `told_damage` what was
//! said of it; each is held
//! for an insertion or a removal.

mod read;
mod transactions;

pub use read::Replayed;
pub(super) use read::replay_strictly;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, oneshot};

use super::cleaner::Bell;
use super::flusher::Flusher;
use super::housekeeping::Touched;
use super::marks::{HighWatermark, LogEnd, Marks};
use super::meters::{Meters, Traffic};
use super::topic_settings::TopicSettings;
use super::{BrokerError, topic_settings};
use crate::model::id::{TopicId, TopicPartition};
use crate::record::{
    Batch, BatchBuilder, BatchSummary, Compressor, Decompressor, ProducerStamp, RecordError, Rules,
    TimestampRule, recompress, validate_produce,
};
use crate::storage::{Appended, Guard, Log, Origin, StorageError};

/// A record of an internal topic, to be stored with the broker's time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InternalRecord {
    /// Its key; `None` where the topic's records have none.
    pub key: Option<Bytes>,
    /// Its value; `None` is a tombstone.
    pub value: Option<Bytes>,
}

/// Where a partition stands with the flusher.
mod sync_state {
    /// Nothing to sync.
    pub(super) const IDLE: u8 = 0;
    /// In the flusher's queue.
    pub(super) const QUEUED: u8 = 1;
    /// Being synced.
    pub(super) const SYNCING: u8 = 2;
    /// Being synced, and appended to meanwhile: to be queued again.
    pub(super) const AGAIN: u8 = 3;
}

#[derive(Default)]
struct Waiting {
    /// By the offset that must be below the high watermark, and a number that tells equals apart.
    durable: BTreeMap<(i64, u64), oneshot::Sender<Result<(), BrokerError>>>,
    /// As that, by the offset that must be on disk.
    synced: BTreeMap<(i64, u64), oneshot::Sender<Result<(), BrokerError>>>,
    moves: HashMap<u64, Arc<Notify>>,
    next: u64,
}

/// How long a refusal for a full disk counts: where nobody appends, nobody finds that there is space again.
const FULL_FOR: Duration = Duration::from_secs(30);
/// Produce requests from this version on are of clients whose epoch rises with every transaction (KIP-890).
const BUMPS_EPOCH_FROM: i16 = 12;
/// How many damaged ranges of a partition are told of.
const TOLD_DAMAGE: usize = 100;
/// No append was refused for a full disk since one was taken.
const NEVER: u64 = u64::MAX;

thread_local! {
    /// Contexts and buffer for walking compressed batches: one a worker.
    static INFLATE: RefCell<Decompressor> = RefCell::new(Decompressor::new());
    /// The same for batches that are kept under another codec than they came in.
    static COMPRESS: RefCell<Compressor> = RefCell::new(Compressor::new());
}

/// What a partition needs of the broker around it.
#[derive(Clone)]
pub(super) struct Surroundings {
    pub(super) flusher: Arc<Flusher>,
    pub(super) touched: Arc<Touched>,
    pub(super) bell: Arc<Bell>,
    /// Told when files wait for their `file.delete.delay.ms`.
    pub(super) doomed: Arc<Notify>,
    pub(super) meters: Arc<Meters>,
}

/// One partition.
pub struct Partition {
    log: Arc<Log>,
    leader_epoch: i32,
    settings: Arc<RwLock<Arc<TopicSettings>>>,
    high_watermark: HighWatermark,
    waiting: Mutex<Waiting>,
    around: Surroundings,
    /// The first append: only then is a log that was closed cleanly looked at.
    begun: Once,
    sync_state: AtomicU8,
    lazy: Mutex<Option<(Duration, u64)>>,
    unsynced_bytes: AtomicU64,
    unsynced_records: AtomicI64,
    unsynced_batches: AtomicU64,
    traffic: Traffic,
    touched: AtomicBool,
    /// Written since the cleaner looked.
    uncleaned: AtomicBool,
    gone: AtomicBool,
    /// When (monotonic ms) an append last found the disk full; [`NEVER`] once one was taken.
    refused_ms: AtomicU64,
    /// Damage that reads have met, by its first offset: each is told once.
    told_damage: Mutex<BTreeSet<i64>>,
}

impl Partition {
    /// A partition over its opened log. Everything in the log is taken for durable: recovery synced what it kept.
    pub(super) fn new(
        log: Arc<Log>,
        leader_epoch: i32,
        settings: Arc<RwLock<Arc<TopicSettings>>>,
        around: Surroundings,
    ) -> Arc<Self> {
        let high_watermark = HighWatermark::new(log.log_end());
        Arc::new(Self {
            log,
            leader_epoch,
            settings,
            high_watermark,
            waiting: Mutex::default(),
            around,
            begun: Once::new(),
            sync_state: AtomicU8::new(sync_state::IDLE),
            lazy: Mutex::new(None),
            unsynced_bytes: AtomicU64::new(0),
            unsynced_records: AtomicI64::new(0),
            unsynced_batches: AtomicU64::new(0),
            traffic: Traffic::default(),
            touched: AtomicBool::new(false),
            uncleaned: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            refused_ms: AtomicU64::new(NEVER),
            told_damage: Mutex::default(),
        })
    }

    /// Which partition this is.
    pub fn id(&self) -> &TopicPartition {
        self.log.partition()
    }

    /// The topic's id.
    pub fn topic_id(&self) -> TopicId {
        self.log.topic_id()
    }

    /// The epoch of the leader, which is this node: it rises at every start that was not clean.
    pub fn leader_epoch(&self) -> i32 {
        self.leader_epoch
    }

    /// The log itself.
    pub fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// The topic's settings in force.
    pub fn settings(&self) -> Arc<TopicSettings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Log start offset.
    pub fn log_start(&self) -> i64 {
        self.log.log_start()
    }

    /// High watermark: the end of what consumers may see.
    pub fn high_watermark(&self) -> i64 {
        // A failed sync cuts the log back; a topic that is not synced may then end before its old mark.
        self.high_watermark.get().min(self.log.log_end())
    }

    /// Log end offset.
    pub fn log_end(&self) -> i64 {
        self.log.log_end()
    }

    /// All marks.
    pub fn marks(&self) -> Marks {
        let log_start = self.log.log_start();
        let high_watermark = self.high_watermark().max(log_start);
        let last_stable = self.log.last_stable(high_watermark).max(log_start);
        let log_end = LogEnd(self.log.log_end().max(high_watermark));
        Marks { log_start, last_stable, high_watermark, log_end }
    }

    /// Checks a client's batch and appends it; the flusher is woken. `produce_version` is that of the request, `guard` what
    /// [`Partition::begin_verification`] gave for the first batch of a transaction.
    ///
    /// # Errors
    /// What is wrong with the batch, a sequence that does not follow, a transaction that is not under way here, a failing
    /// or closed log.
    pub fn append_client(
        self: &Arc<Self>,
        bytes: &[u8],
        produce_version: i16,
        now_ms: i64,
        guard: Option<Guard>,
    ) -> Result<Appended, BrokerError> {
        if self.gone.load(Ordering::Acquire) {
            return Err(BrokerError::UnknownPartition);
        }
        let settings = self.settings();
        let rules = rules(&settings, produce_version, now_ms);
        let summary = INFLATE.with_borrow_mut(|inflate| validate_produce(bytes, &rules, inflate))?;
        let origin = Origin::Client { guard, bumps_epoch: produce_version >= BUMPS_EPOCH_FROM };
        let append_time = settings.log_append_time.then_some(now_ms);
        let other = recompressed(bytes, &summary, &settings)?;
        let appended = match &other {
            None => self.append(bytes, &summary, append_time, origin)?,
            Some((bytes, summary)) => self.append(bytes, summary, append_time, origin)?,
        };
        if !appended.duplicate {
            self.around.meters.appended(records_of(&summary), bytes.len() as u64);
        }
        Ok(appended)
    }

    /// Appends records of an internal topic as one batch, stamped `now_ms`; the flusher is woken. They are durable
    /// (and visible) once [`Partition::durable`] of their last offset answers.
    ///
    /// # Errors
    /// A failing or closed log.
    pub fn append_internal(
        self: &Arc<Self>,
        records: &[InternalRecord],
        now_ms: i64,
    ) -> Result<Appended, BrokerError> {
        let bytes = internal_batch(records, ProducerStamp::NONE, now_ms)?;
        self.append_built(&bytes, None, Origin::Coordinator)
    }

    /// DeleteRecords: moves the log start to `before` (-1: the high watermark) and removes the segments below it; durable
    /// when it answers the log start then. An offset below the log start changes nothing. Blocking. That a topic which is
    /// only compacted takes none (POLICY_VIOLATION in Kafka) is the caller's to say.
    ///
    /// # Errors
    /// `OffsetOutOfRange` beyond the high watermark and for other negative offsets; `UnknownPartition` once it is deleted;
    /// a failing or full disk: the start is where it was.
    pub fn delete_records(self: &Arc<Self>, before: i64) -> Result<i64, BrokerError> {
        if self.is_gone() {
            return Err(BrokerError::UnknownPartition);
        }
        // Once: while appends go on, looking again could take the mark back behind what was acknowledged.
        self.begun.call_once(|| drop(self.look_at_log()));
        self.log.size()?;
        let (start, high_watermark) = (self.log.log_start(), self.high_watermark());
        let offset = if before == -1 { high_watermark } else { before };
        if offset < 0 || offset > high_watermark {
            return Err(StorageError::OffsetOutOfRange { offset, range: start..high_watermark }.into());
        }
        self.log.advance_start(offset)?;
        self.touch();
        if let Err(error) = self.log.remove_below_start() {
            // The records are gone for every reader; only their space is not, and retention tries again.
            tracing::warn!(partition = %self.id(), %error, "segments below the log start are still there");
        }
        self.around.doomed.notify_one();
        Ok(self.log.log_start())
    }

    /// Loads a log that was believed clean. A file that lost its tail while nobody looked ends earlier than its mark.
    fn look_at_log(&self) -> Result<(), StorageError> {
        self.log.size()?;
        self.high_watermark.begin_at_most(LogEnd(self.log.log_end()));
        Ok(())
    }

    /// Appends a batch that klog built itself.
    fn append_built(
        self: &Arc<Self>,
        bytes: &[u8],
        append_time: Option<i64>,
        origin: Origin,
    ) -> Result<Appended, BrokerError> {
        let summary = BatchSummary::trusted(&Batch::exactly(bytes)?);
        self.append(bytes, &summary, append_time, origin)
    }

    fn append(
        self: &Arc<Self>,
        bytes: &[u8],
        summary: &BatchSummary,
        append_time: Option<i64>,
        origin: Origin,
    ) -> Result<Appended, BrokerError> {
        self.begun.call_once(|| {
            // What is written in the place of a tail that was lost while nobody looked is not durable yet; a log that can
            // not be loaded refuses the append itself.
            let _ = self.look_at_log();
        });
        let appended = self.log.append_as(bytes, summary, self.leader_epoch, append_time, origin);
        self.tell_full(appended.as_ref().err());
        let appended = appended?;
        if appended.duplicate {
            return Ok(appended);
        }
        self.traffic.appended(records_of(summary), bytes.len() as u64);
        self.count_unsynced(bytes.len() as u64, i64::from(summary.header.count));
        Ok(appended)
    }

    /// Says once that the disk is full, and once that it is no more.
    fn tell_full(&self, error: Option<&StorageError>) {
        let was_full = self.refused_ms.load(Ordering::Relaxed) != NEVER;
        match error {
            Some(StorageError::Full { .. }) => {
                self.refused_ms.store(self.now_ms(), Ordering::Relaxed);
                if let Some(error) = error.filter(|_| !was_full) {
                    tracing::error!(%error, "appends are refused until there is space again");
                }
            }
            None if was_full => {
                self.refused_ms.store(NEVER, Ordering::Relaxed);
                tracing::info!("there is space on the disk again");
            }
            _ => {}
        }
    }

    /// Says that a read from `offset` failed. A consumer asks again and again: damage is told once, where it begins.
    pub(super) fn tell_read_failed(&self, offset: i64, error: &StorageError) {
        if let StorageError::Damaged { range, .. } = error {
            let mut told = lock(&self.told_damage);
            if told.len() >= TOLD_DAMAGE || !told.insert(range.start) {
                return;
            }
        }
        tracing::error!(partition = %self.id(), offset, %error, "a read failed");
    }

    /// Monotonic milliseconds.
    fn now_ms(&self) -> u64 {
        u64::try_from(self.around.flusher.now().as_millis()).unwrap_or(NEVER - 1)
    }

    /// Counts what was written and sees to it that it is synced when the topic's settings ask for it.
    fn count_unsynced(self: &Arc<Self>, bytes: u64, records: i64) {
        self.touch();
        self.around.touched.written(bytes);
        let flusher = &self.around.flusher;
        // The folder's sum first: a sync that takes the partition's bytes must find them in it.
        flusher.appended(bytes);
        self.unsynced_bytes.fetch_add(bytes, Ordering::AcqRel);
        self.unsynced_batches.fetch_add(1, Ordering::Relaxed);
        let settings = self.settings();
        if settings.compacted {
            self.tell_cleaner();
        }
        let unsynced = self.unsynced_records.fetch_add(records, Ordering::AcqRel).saturating_add(records);
        self.sync_when_due(&settings, unsynced);
        if settings.log.flush_messages != 1 {
            let end = LogEnd(self.log.log_end());
            self.advance(end.0, end);
        }
    }

    /// Sees to it that what is unsynced is synced: at once, or within `flush.ms`.
    fn sync_when_due(self: &Arc<Self>, settings: &TopicSettings, unsynced: i64) {
        let flusher = &self.around.flusher;
        if unsynced >= settings.log.flush_messages {
            if self.queue_for_sync() {
                flusher.push(Arc::clone(self));
            }
            return;
        }
        let mut lazy = lock(&self.lazy);
        if lazy.is_none() {
            let within =
                u64::try_from(settings.log.flush_ms).ok().filter(|_| settings.log.flush_ms != i64::MAX);
            *lazy = flusher.push_lazy(self, within.map(Duration::from_millis));
        }
    }

    /// The topic's settings were changed: the log gets its part, and what is unsynced goes by the new ones.
    pub(super) fn settings_changed(self: &Arc<Self>) {
        let settings = self.settings();
        self.log.set_settings(settings.log.clone());
        if settings.compacted {
            self.tell_cleaner();
        }
        let unsynced = self.unsynced_records.load(Ordering::Acquire);
        if unsynced > 0 {
            if let Some(due) = lock(&self.lazy).take() {
                self.around.flusher.forget(due);
            }
            self.sync_when_due(&settings, unsynced);
        }
    }

    /// Answers when the record at `offset` is below the high watermark: at once on a topic that is not synced, else
    /// when it survives a power cut.
    ///
    /// # Errors
    /// The sync failed, or the log was closed or deleted meanwhile.
    pub async fn durable(&self, offset: i64) -> Result<(), BrokerError> {
        match self.when_durable(offset) {
            Ok(()) => Ok(()),
            Err(Wait::Failed(error)) => Err(error),
            Err(Wait::Until(told)) => told.await.unwrap_or(Err(BrokerError::UnknownPartition)),
        }
    }

    fn when_durable(&self, offset: i64) -> Result<(), Wait> {
        // A log that was believed clean may be found longer when it is loaded: a power cut left records, and took the note
        // that they were being written. They are on disk, and no sync will come to say so.
        let durable = self.log.durable_end();
        if offset < durable && offset >= self.high_watermark.get() {
            self.advance(durable, LogEnd(self.log.log_end()));
        }
        let mut waiting = lock(&self.waiting);
        if offset < self.high_watermark.get() {
            return Ok(());
        }
        self.may_wait(offset)?;
        let (tell, told) = oneshot::channel();
        waiting.next += 1;
        let number = waiting.next;
        waiting.durable.insert((offset, number), tell);
        Err(Wait::Until(told))
    }

    /// Answers when the record at `offset` survives a power cut, and all before it, whatever the topic's settings say about
    /// syncing. For what must not be taken back once something else that is on disk says so.
    ///
    /// # Errors
    /// As [`Partition::durable`].
    pub async fn synced(self: &Arc<Self>, offset: i64) -> Result<(), BrokerError> {
        match self.when_synced(offset) {
            Ok(()) => Ok(()),
            Err(Wait::Failed(error)) => Err(error),
            Err(Wait::Until(told)) => {
                if self.queue_for_sync() {
                    self.around.flusher.push(Arc::clone(self));
                }
                told.await.unwrap_or(Err(BrokerError::UnknownPartition))
            }
        }
    }

    fn when_synced(&self, offset: i64) -> Result<(), Wait> {
        let mut waiting = lock(&self.waiting);
        if offset < self.log.durable_end() {
            return Ok(());
        }
        self.may_wait(offset)?;
        let (tell, told) = oneshot::channel();
        waiting.next += 1;
        let number = waiting.next;
        waiting.synced.insert((offset, number), tell);
        Err(Wait::Until(told))
    }

    /// Whether there is anything at `offset` to wait for.
    fn may_wait(&self, offset: i64) -> Result<(), Wait> {
        if self.gone.load(Ordering::Acquire) {
            return Err(Wait::Failed(BrokerError::UnknownPartition));
        }
        if offset >= self.log.log_end() {
            // Cut off by a failed sync before the caller came to wait.
            return Err(Wait::Failed(BrokerError::Lost));
        }
        Ok(())
    }

    /// Answers when everything appended before the call is below the high watermark.
    ///
    /// # Errors
    /// As [`Partition::durable`].
    pub async fn settled(&self) -> Result<(), BrokerError> {
        let end = self.log.log_end();
        if end <= self.high_watermark.get() {
            return Ok(());
        }
        self.durable(end - 1).await
    }

    /// Lets `notify` be told, once, of the next move of the high watermark, until the answer is dropped.
    pub(crate) fn watch(self: &Arc<Self>, notify: &Arc<Notify>) -> Watch {
        let mut waiting = lock(&self.waiting);
        waiting.next += 1;
        let number = waiting.next;
        waiting.moves.insert(number, Arc::clone(notify));
        Watch { partition: Arc::clone(self), number }
    }

    /// Claims the right to put this partition into the flusher's queue.
    pub(super) fn queue_for_sync(&self) -> bool {
        use sync_state::{AGAIN, IDLE, QUEUED, SYNCING};
        let claimed =
            self.sync_state.fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| match state {
                IDLE => Some(QUEUED),
                SYNCING => Some(AGAIN),
                _ => None,
            });
        claimed == Ok(IDLE)
    }

    /// Syncs the log, moves the high watermark and answers who waited; whether it is to be queued again. Only the
    /// flusher's thread that took it from the queue calls this.
    pub(super) fn sync(&self) -> bool {
        use sync_state::{IDLE, QUEUED, SYNCING};
        self.sync_state.store(SYNCING, Ordering::Release);
        self.sync_log();
        let done = self.sync_state.compare_exchange(SYNCING, IDLE, Ordering::AcqRel, Ordering::Acquire);
        if done.is_err() {
            self.sync_state.store(QUEUED, Ordering::Release);
        }
        done.is_err()
    }

    fn sync_log(&self) {
        let batches = self.unsynced_batches.swap(0, Ordering::Relaxed);
        let bytes = self.no_longer_unsynced();
        let begun = self.around.flusher.now();
        let synced = self.log.sync();
        if bytes > 0 {
            let ok = synced.is_ok() || self.is_gone();
            self.around.meters.synced(self.around.flusher.now().saturating_sub(begun), batches, ok);
        }
        match synced {
            Ok(end) => {
                self.advance(end, LogEnd(self.log.log_end()));
                answer_below(&mut lock(&self.waiting).synced, end);
            }
            Err(error) => self.fail(error.into()),
        }
        self.around.flusher.synced(bytes);
    }

    /// Takes the partition from those that may wait for a sync; answers the bytes that were counted for it.
    fn no_longer_unsynced(&self) -> u64 {
        if let Some(due) = lock(&self.lazy).take() {
            self.around.flusher.forget(due);
        }
        self.unsynced_records.store(0, Ordering::Release);
        self.unsynced_bytes.swap(0, Ordering::AcqRel)
    }

    fn advance(&self, to: i64, end: LogEnd) {
        if !self.high_watermark.advance(to, end) {
            return;
        }
        let mut waiting = lock(&self.waiting);
        let mark = self.high_watermark.get();
        answer_below(&mut waiting.durable, mark);
        for (_, notify) in waiting.moves.drain() {
            notify.notify_one();
        }
    }

    /// Tells everyone who waits that it will not come: what is not durable now never will be.
    fn fail(&self, error: BrokerError) {
        if !self.gone.load(Ordering::Acquire) {
            match self.log.is_failed() {
                true => {
                    tracing::error!(partition = %self.id(), %error,
                        "the log could not be synced and takes no more appends");
                }
                false => tracing::error!(partition = %self.id(), %error,
                    "the log could not be synced; the next sync covers what this one had to"),
            }
        }
        let mut waiting = lock(&self.waiting);
        let synced = std::mem::take(&mut waiting.synced);
        for (_, tell) in std::mem::take(&mut waiting.durable).into_iter().chain(synced) {
            let _ = tell.send(Err(error.clone()));
        }
        for (_, notify) in waiting.moves.drain() {
            notify.notify_one();
        }
    }

    /// Whether the topic was deleted or the broker closed.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Whether the last append found the disk full, less than 30 s ago: where nobody appends, nobody finds space again.
    pub fn is_full(&self) -> bool {
        let refused = self.refused_ms.load(Ordering::Relaxed);
        refused != NEVER && u128::from(self.now_ms().saturating_sub(refused)) < FULL_FOR.as_millis()
    }

    /// What was appended and read since it was opened.
    pub(super) fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Counts bytes of records that a consumer is given.
    pub(super) fn count_fetched(&self, bytes: u64) {
        self.traffic.fetched(bytes);
        self.around.meters.fetched(bytes);
    }

    /// The node's counters.
    pub(super) fn meters(&self) -> &Meters {
        &self.around.meters
    }

    /// Refuses what comes from now on and answers who waits: the topic is deleted, or the broker closes.
    pub(super) fn leave(&self) {
        self.gone.store(true, Ordering::Release);
        let bytes = self.no_longer_unsynced();
        self.around.flusher.synced(bytes);
        self.fail(BrokerError::UnknownPartition);
    }

    /// Notes the partition for the next checkpoint, which spares the next start a look at it.
    pub(super) fn touch(self: &Arc<Self>) {
        if !self.touched.swap(true, Ordering::AcqRel) {
            self.around.touched.add(Arc::clone(self));
        }
    }

    /// Lets the cleaner look, once until it did.
    fn tell_cleaner(&self) {
        if !self.uncleaned.swap(true, Ordering::AcqRel) {
            self.around.bell.ring();
        }
    }

    /// What is appended from now on is told to the cleaner again.
    pub(super) fn looked_at_by_cleaner(&self) {
        self.uncleaned.store(false, Ordering::Release);
    }

    /// The end of what compaction may look at.
    pub(super) fn stable_end(&self) -> i64 {
        self.marks().last_stable
    }

    /// Lets the next append be noted again for the next checkpoint.
    pub(super) fn untouch(&self) {
        self.touched.store(false, Ordering::Release);
    }
}

/// Answers who waits for offsets below `end`.
fn answer_below(waiting: &mut BTreeMap<(i64, u64), oneshot::Sender<Result<(), BrokerError>>>, end: i64) {
    while let Some(first) = waiting.first_entry() {
        if first.key().0 >= end {
            break;
        }
        // Who no longer waits is not an error.
        let _ = first.remove().send(Ok(()));
    }
}

enum Wait {
    Until(oneshot::Receiver<Result<(), BrokerError>>),
    Failed(BrokerError),
}

/// Keeps a place among those who wait for a partition's high watermark to move; dropping it gives the place up.
pub(crate) struct Watch {
    partition: Arc<Partition>,
    number: u64,
}

impl Drop for Watch {
    fn drop(&mut self) {
        lock(&self.partition.waiting).moves.remove(&self.number);
    }
}

fn records_of(summary: &BatchSummary) -> u64 {
    u64::try_from(summary.header.count).unwrap_or(0)
}

/// The batch under the topic's codec, where it came under another one.
fn recompressed(
    bytes: &[u8],
    summary: &BatchSummary,
    settings: &TopicSettings,
) -> Result<Option<(Vec<u8>, BatchSummary)>, RecordError> {
    let Some(how) = settings.compression.filter(|how| summary.header.codec() != Ok(how.codec)) else {
        return Ok(None);
    };
    let limit = topic_settings::max_inflated_bytes(settings.max_message_bytes);
    let bytes = INFLATE.with_borrow_mut(|inflate| {
        COMPRESS.with_borrow_mut(|compressor| {
            recompress(&Batch::exactly(bytes)?, how, inflate, compressor, limit)
        })
    })?;
    if bytes.len() > settings.max_message_bytes {
        return Err(RecordError::TooLarge { size: bytes.len(), limit: settings.max_message_bytes });
    }
    let header = Batch::exactly(&bytes)?.header();
    let summary = BatchSummary { header, size: bytes.len(), ..*summary };
    Ok(Some((bytes, summary)))
}

fn rules(settings: &TopicSettings, produce_version: i16, now_ms: i64) -> Rules {
    let timestamps = if settings.log_append_time {
        TimestampRule::LogAppend
    } else {
        let bound = |ms: i64| if ms == i64::MAX { None } else { Some(ms) };
        TimestampRule::Create {
            min: bound(settings.timestamp_before_max_ms).map_or(i64::MIN, |ms| now_ms.saturating_sub(ms)),
            max: bound(settings.timestamp_after_max_ms).map_or(i64::MAX, |ms| now_ms.saturating_add(ms)),
        }
    };
    Rules {
        produce_version,
        max_batch_bytes: settings.max_message_bytes,
        max_inflated_bytes: topic_settings::max_inflated_bytes(settings.max_message_bytes),
        compacted: settings.compacted,
        timestamps,
    }
}

fn internal_batch(
    records: &[InternalRecord],
    stamp: ProducerStamp,
    now_ms: i64,
) -> Result<Vec<u8>, RecordError> {
    let mut builder = BatchBuilder::new();
    for record in records {
        builder.push(now_ms, record.key.as_deref(), record.value.as_deref(), &[]);
    }
    builder.finish_plain(stamp)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
