//! Compaction of one log: of the records of a key only the last stays. It works on closed segments that are durable, takes
//! the append lock for moments only, and never changes an offset.
//!
//! A pass: the headers say what became of transactions, the dirty part fills the table of keys, and then every segment up
//! to where the table reaches is written anew beside the old ones ([`clean`]) and swapped in, several small ones as one.
//! Where the table is full before the dirty part ends, another pass follows.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use self::clean::Cleaner;
use super::recovery::Window;
use super::{Core, Log};
use crate::record::{Batch, BatchHeader, ControlMarker, Filter, HEADER_LEN};
use crate::storage::batches::{BadMarker, Located, Step, Walk, checked_marker_at, marker_of};
use crate::storage::compact::map::OffsetMap;
use crate::storage::compact::transactions::{Aborted, Survey, Tracker};
use crate::storage::segment::Segment;
use crate::storage::{DiskFile, LogSettings, StorageError, held};

mod clean;

/// Most bytes that a batch may inflate to; one that would be more stays as it is.
const MAX_INFLATED: usize = 512 << 20;

/// What a compaction may use.
#[derive(Debug, Clone, Copy)]
pub struct CompactOptions {
    /// Bytes for the table of keys.
    pub memory: usize,
    /// How full the table may get, in percent.
    pub load_percent: usize,
    /// The wall clock in ms: delete horizons and lags count from it.
    pub now_ms: i64,
    /// The end of what may be looked at: high watermark, last stable offset.
    pub upto: i64,
}

/// Whether there is something to compact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompactionDue {
    /// Now; the dirty share of what could be compacted, in millionths.
    Now {
        /// 1 to 1,000,000.
        dirty_millionths: u32,
    },
    /// Perhaps at this time (ms), if nothing is written until then.
    At(i64),
    /// Not before something is written.
    Never,
}

/// What a compaction did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Fillings of the table of keys.
    pub passes: u32,
    /// Bytes of the segments that were replaced.
    pub before_bytes: u64,
    /// Bytes of those that took their place.
    pub after_bytes: u64,
    /// Records that are gone.
    pub removed: u64,
    /// Whether it was stopped before its end.
    pub stopped: bool,
}

/// The part of a log that can be compacted now.
struct Cleanable {
    /// All closed segments that lie below `end`, from the first.
    segments: Vec<Arc<Segment>>,
    first_dirty: i64,
    end: i64,
    clean_bytes: u64,
    dirty_bytes: u64,
    /// The earliest time of a dirty segment's first batch, in ms.
    oldest: Option<i64>,
    /// When `min.compaction.lag.ms` lets the next segment go, in ms.
    held_back: Option<i64>,
}

/// Aborted transactions, where the first open one begins, records of the dirty part.
type Surveyed = (Vec<Aborted>, i64, u64);

/// Where a pass ended.
enum Pass {
    Upto(i64),
    Stopped,
}

impl Log {
    /// Whether compaction has something to do: the settings' ratio and lags decide, as Kafka's cleaner does.
    ///
    /// # Errors
    /// Those of loading; `Io`.
    pub fn compaction_due(&self, now_ms: i64, upto: i64) -> Result<CompactionDue, StorageError> {
        let settings = self.settings();
        if !settings.compact {
            return Ok(CompactionDue::Never);
        }
        let core = self.core()?;
        // What is visible and not durable yet counts: `compact` syncs first.
        let part = self.cleanable(core, &settings, now_ms, upto, i64::MAX)?;
        let all = part.clean_bytes + part.dirty_bytes;
        let millionths = (u128::from(part.dirty_bytes) * 1_000_000 / u128::from(all.max(1))) as u32;
        let waited_for = |since: i64| since.saturating_add(settings.max_compaction_lag_ms);
        let late = part.oldest.is_some_and(|oldest| waited_for(oldest) < now_ms);
        if part.dirty_bytes > 0 && (millionths > settings.min_dirty_millionths || late) {
            return Ok(CompactionDue::Now { dirty_millionths: millionths.max(1) });
        }
        let active = held(&core.writer).first_timestamp;
        if active.is_some_and(|first| waited_for(first) < now_ms) {
            return Ok(CompactionDue::Now { dirty_millionths: millionths.max(1) });
        }
        let lags = [part.oldest, active].into_iter().flatten().map(waited_for);
        let next = lags.chain(part.held_back).filter(|&at| at < i64::MAX).min();
        Ok(next.map_or(CompactionDue::Never, CompactionDue::At))
    }

    /// Compacts what can be compacted. `pace` is told of the bytes that were read; once it says `false` the work stops
    /// and leaves the log as it is by then. Appends and reads go on.
    ///
    /// # Errors
    /// `Damaged` where a segment holds what is no batch, or a marker whose checksum is wrong (known damage is left as it
    /// is); `Full`, `Io`, `Failed`, `Closed`: what was swapped in by then stays, and nothing is lost.
    pub fn compact(
        &self,
        options: &CompactOptions,
        pace: &mut dyn FnMut(u64) -> bool,
    ) -> Result<Compacted, StorageError> {
        let core = self.core()?;
        let _one = held(&self.cleaning);
        let settings = self.settings();
        self.roll_for_lag(core, &settings, options.now_ms)?;
        // The segment that the durable boundary lies in is never touched: it moves to the active one first.
        self.sync()?;
        let mut done = Compacted::default();
        loop {
            let durable = held(&core.writer).durable.base;
            let part = self.cleanable(core, &settings, options.now_ms, options.upto, durable)?;
            if part.dirty_bytes == 0 {
                return Ok(done);
            }
            done.passes += 1;
            match self.pass(core, &settings, &part, options, pace, &mut done)? {
                Pass::Stopped => {
                    done.stopped = true;
                    return Ok(done);
                }
                Pass::Upto(upto) => {
                    // Not for a log that was deleted meanwhile: its name may be another's by now.
                    let stays = held(&self.loading);
                    if self.closed.load(Ordering::Acquire) {
                        return Err(StorageError::Closed { log: self.name.clone() });
                    }
                    self.folder.set_cleaned(&self.partition, upto).map_err(|error| self.full_or(error))?;
                    drop(stays);
                    if upto <= part.first_dirty || upto >= part.end {
                        return Ok(done);
                    }
                }
            }
        }
    }

    /// Closes the active segment where `max.compaction.lag.ms` asks for its records.
    fn roll_for_lag(&self, core: &Core, settings: &LogSettings, now_ms: i64) -> Result<(), StorageError> {
        let mut writer = held(&core.writer);
        self.check_open(&writer)?;
        let late = writer
            .first_timestamp
            .is_some_and(|first| first.saturating_add(settings.max_compaction_lag_ms) < now_ms);
        if late && writer.active.size() > 0 { self.roll(core, &mut writer, settings) } else { Ok(()) }
    }

    /// What can be compacted: from the first segment to the first that is active, not durable, not visible, or too young.
    fn cleanable(
        &self,
        core: &Core,
        settings: &LogSettings,
        now_ms: i64,
        upto: i64,
        durable: i64,
    ) -> Result<Cleanable, StorageError> {
        let segments = core.segments();
        let active = segments.last().map_or(0, |active| active.base);
        let start = self.log_start();
        let cleaned = self.folder.cleaned(&self.partition);
        let first_dirty =
            cleaned.filter(|&offset| offset <= active).map_or(start, |offset| offset.max(start));
        let mut part = Cleanable {
            segments: Vec::new(),
            first_dirty,
            end: first_dirty,
            clean_bytes: 0,
            dirty_bytes: 0,
            oldest: None,
            held_back: None,
        };
        for segment in segments.iter().take_while(|segment| segment.end() <= durable.min(upto).min(active)) {
            if segment.end() > first_dirty {
                let lag = settings.min_compaction_lag_ms;
                let max = if lag > 0 { segment.stamps()?.max } else { -1 };
                if lag > 0 && max > now_ms.saturating_sub(lag) {
                    part.held_back = Some(max.saturating_add(lag));
                    break;
                }
                part.dirty_bytes += segment.size();
                if settings.max_compaction_lag_ms < i64::MAX {
                    let first = self.first_time(segment)?;
                    part.oldest = part.oldest.into_iter().chain(first).min();
                }
            } else {
                part.clean_bytes += segment.size();
            }
            part.end = part.end.max(segment.end());
            part.segments.push(Arc::clone(segment));
        }
        Ok(part)
    }

    /// The largest timestamp of a segment's first batch, as `segment.ms` counts too.
    fn first_time(&self, segment: &Arc<Segment>) -> Result<Option<i64>, StorageError> {
        let file = segment.file()?;
        let mut walk = Walk::new(file.as_ref(), 0, segment.size());
        match walk.step().map_err(StorageError::io("reading", &segment.path("log")))? {
            Step::Batch(first) => Ok(Some(first.header.max_timestamp).filter(|&time| time >= 0)),
            _ => Ok(None),
        }
    }

    fn pass(
        &self,
        core: &Core,
        settings: &LogSettings,
        part: &Cleanable,
        options: &CompactOptions,
        pace: &mut dyn FnMut(u64) -> bool,
        done: &mut Compacted,
    ) -> Result<Pass, StorageError> {
        let Some((aborted, end, records)) = self.survey(core, part, pace)? else {
            return Ok(Pass::Stopped);
        };
        if end <= part.first_dirty {
            return Ok(Pass::Upto(part.first_dirty));
        }
        let mut map = OffsetMap::new(options.memory, options.load_percent, records);
        let Some(upto) = self.fill(core, part, end, &aborted, &mut map, pace)? else {
            return Ok(Pass::Stopped);
        };
        let mut cleaner = Cleaner::new(self, core, settings, &map, upto, &aborted, options.now_ms);
        let cleaned = cleaner.run(&part.segments, pace, done).map_err(|error| self.full_or(error));
        if !matches!(cleaned, Ok(true)) {
            cleaner.abandon();
        }
        Ok(if cleaned? { Pass::Upto(upto) } else { Pass::Stopped })
    }

    /// Walks the headers: which transactions were aborted, where the first one that is still open begins (else the end),
    /// and how many records the dirty part has; `None` when it was stopped.
    fn survey(
        &self,
        core: &Core,
        part: &Cleanable,
        pace: &mut dyn FnMut(u64) -> bool,
    ) -> Result<Option<Surveyed>, StorageError> {
        let mut survey = Survey::default();
        let mut records = 0;
        let mut stopped = false;
        for segment in &part.segments {
            let file = segment.file()?;
            let mut reached = 0;
            self.each_batch(core, segment, file.as_ref(), 0, |batch| {
                let header = &batch.header;
                if batch.position > reached {
                    survey.gap();
                }
                reached = batch.end();
                if header.last_offset() >= part.first_dirty {
                    records += u64::try_from(header.count).unwrap_or(0);
                }
                let marker = checked_marker_at(file.as_ref(), batch)
                    .map_err(StorageError::io("reading", &segment.path("log")))?
                    .map_err(|BadMarker| self.damaged_batch(header))?;
                if !header.is_control() {
                    survey.data(header);
                } else if let Some(commits) = marker.and_then(decides) {
                    survey.marker(header, commits);
                }
                stopped = !pace(HEADER_LEN as u64) || self.closed.load(Ordering::Acquire);
                Ok(!stopped)
            })?;
            if stopped {
                return Ok(None);
            }
            if reached < segment.size() {
                survey.gap();
            }
        }
        let end = survey.first_open().map_or(part.end, |open| open.min(part.end));
        Ok(Some((survey.into_aborted(), end, records)))
    }

    /// Fills the table from the dirty part up to `end`; answers where it reaches, `None` when it was stopped.
    fn fill(
        &self,
        core: &Core,
        part: &Cleanable,
        end: i64,
        aborted: &[Aborted],
        map: &mut OffsetMap,
        pace: &mut dyn FnMut(u64) -> bool,
    ) -> Result<Option<i64>, StorageError> {
        // Those whose marker lies before the dirty part are over: their producer's next batches are not theirs.
        let from = aborted.iter().filter(|aborted| aborted.last_offset >= part.first_dirty);
        let aborted: Vec<Aborted> = from.copied().collect();
        let mut tracker = Tracker::new(&aborted);
        let mut filter = Filter::new();
        let mut full = None;
        let mut stopped = false;
        for segment in part.segments.iter().filter(|segment| segment.end() > part.first_dirty) {
            let file = segment.file()?;
            let mut window = Window::new(file.as_ref(), segment.size());
            let from = match self.locate(core, segment, part.first_dirty.max(segment.base)) {
                Ok(first) => first.map_or(segment.size(), |first| first.position),
                // Walked from the start instead, past the damage.
                Err(StorageError::Damaged { .. }) => 0,
                Err(error) => return Err(error),
            };
            self.each_batch(core, segment, file.as_ref(), from, |located| {
                let header = &located.header;
                if header.base_offset >= end {
                    return Ok(false);
                }
                let bytes = window
                    .bytes(located.position, header.size())
                    .map_err(StorageError::io("reading", &segment.path("log")))?;
                let Ok(batch) = Batch::exactly(bytes) else { return Ok(true) };
                if header.is_control() {
                    self.check_marker(&batch)?;
                    if let Some(commits) = commits(&batch) {
                        tracker.marker(header, commits);
                    }
                } else if !tracker.is_aborted(header) && batch.crc_ok() {
                    // What can not be read says nothing about a key, and stays as it is.
                    let _ = filter.records(&batch, MAX_INFLATED, |record| {
                        let due = record.offset >= part.first_dirty && record.offset < end;
                        let fits = !due || record.key.is_none_or(|key| map.put(key, record.offset));
                        if !fits {
                            full = Some(record.offset);
                        }
                        fits
                    });
                }
                stopped = !pace(header.size() as u64) || self.closed.load(Ordering::Acquire);
                Ok(full.is_none() && !stopped)
            })?;
            if full.is_some() || stopped {
                break;
            }
        }
        Ok(if stopped { None } else { Some(full.unwrap_or(end)) })
    }

    /// A marker is believed when its checksum agrees: what it says decides over the records of others.
    fn check_marker(&self, batch: &Batch<'_>) -> Result<(), StorageError> {
        match batch.is_control() && !batch.crc_ok() {
            true => Err(self.damaged_batch(&batch.header())),
            false => Ok(()),
        }
    }

    fn damaged_batch(&self, header: &BatchHeader) -> StorageError {
        self.damaged(header.base_offset..header.next_offset())
    }

    /// Gives `each` the batches of a segment from `from` on until it says `false`; known damage is passed over.
    pub(super) fn each_batch(
        &self,
        core: &Core,
        segment: &Arc<Segment>,
        file: &dyn DiskFile,
        from: u64,
        mut each: impl FnMut(&Located) -> Result<bool, StorageError>,
    ) -> Result<(), StorageError> {
        let mut walk = Walk::new(file, from, segment.size());
        loop {
            if let Some(damage) = core.damage_at(segment.base, walk.position()) {
                walk = Walk::new(file, damage.position.end, segment.size());
                continue;
            }
            match walk.step().map_err(StorageError::io("reading", &segment.path("log")))? {
                Step::Batch(batch) => {
                    if !each(&batch)? {
                        return Ok(());
                    }
                }
                Step::End => return Ok(()),
                Step::Bad => {
                    return Err(StorageError::Damaged {
                        log: self.name.clone(),
                        range: segment.base..segment.end(),
                    });
                }
            }
        }
    }
}

/// Whether a control batch is a marker that commits (or aborts); `None` where it is neither, or can not be read.
fn commits(batch: &Batch<'_>) -> Option<bool> {
    marker_of(batch).and_then(decides)
}

fn decides(marker: ControlMarker) -> Option<bool> {
    match marker {
        ControlMarker::Commit { .. } => Some(true),
        ControlMarker::Abort { .. } => Some(false),
        ControlMarker::Other(_) => None,
    }
}
