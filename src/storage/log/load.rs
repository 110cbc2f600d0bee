//! Loading a log from its folder: clean by the checkpoint's word, otherwise through recovery; it deletes nothing but derived files.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, RwLock};

use super::aborted::LIST;
use super::append::preallocate;
use super::recovery::Recovery;
use super::{Boundary, Core, Damage, Log, Recovered, Writer};
use crate::model::id::TopicId;
use crate::record::BatchHeader;
use crate::storage::StorageError;
use crate::storage::aborted::{self, Entry as AbortedEntry};
use crate::storage::batches::{Step, Walk, marker_at};
use crate::storage::checkpoint::{self, read_raw, replace_raw};
use crate::storage::compact::swap;
use crate::storage::disk::{Entry as DirEntry, Mode};
use crate::storage::epochs::{self, Epochs};
use crate::storage::folder::Entry;
use crate::storage::index;
use crate::storage::producers::Producers;
use crate::storage::scan::split_name;
use crate::storage::segment::{Segment, file_name};

/// Where a log starts that DeleteRecords moved; replaced whole.
pub(super) const START: &str = "klog-start";
const DAMAGE: &str = "klog-damage";
const METADATA: &str = "partition.metadata";
const VERSION: u16 = 1;
/// How far before a snapshot batches are looked at for what it does not know: five of the largest that clients send by
/// default (1 MiB), and as many of others between them.
const RECALLED_BYTES: u64 = 8 << 20;

/// What a partition's folder holds.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Segments by base offset, with their file's size.
    pub(super) segments: BTreeMap<i64, u64>,
    snapshots: VecDeque<i64>,
    /// Bases of the segments that have a `.txnindex`.
    aborted: BTreeSet<i64>,
    /// Files of deleted segments whose time was not up.
    deleted: Vec<String>,
    /// Whether there is a list of those that should have.
    listed: bool,
    metadata: bool,
    start: bool,
    damage: bool,
    epochs: bool,
}

impl Found {
    fn new(entries: &[DirEntry]) -> Self {
        let mut found = Self::default();
        for entry in entries {
            match entry.name.as_str() {
                METADATA => found.metadata = true,
                START => found.start = true,
                LIST => found.listed = true,
                DAMAGE => found.damage = true,
                epochs::FILE => found.epochs = true,
                name => match split_name(name) {
                    Some((base, "log")) => {
                        found.segments.insert(base, entry.len);
                    }
                    Some((base, "txnindex")) => {
                        found.aborted.insert(base);
                    }
                    Some((offset, "snapshot")) => found.snapshots.push_back(offset),
                    _ if name.ends_with(super::retention::DELETED) => found.deleted.push(name.to_owned()),
                    _ => {}
                },
            }
        }
        found.snapshots.make_contiguous().sort_unstable();
        found
    }
}

impl Log {
    pub(super) fn load(&self, entry: Option<Entry>) -> Result<(Core, Option<Recovered>), StorageError> {
        let disk = self.folder.disk();
        let found = match disk.list(&self.dir) {
            Ok(entries) if swap::settle(disk.as_ref(), &self.dir, &entries)? => return self.load(entry),
            Ok(entries) => Found::new(&entries),
            Err(error)
                if error.kind() == io::ErrorKind::NotFound && entry.is_none_or(|entry| entry.dirty) =>
            {
                disk.create_dir(&self.dir).map_err(StorageError::io("creating", &self.dir))?;
                Found::default()
            }
            Err(error) => return Err(StorageError::io("reading", &self.dir)(error)),
        };
        if entry.is_none() && self.set_aside_if_other(&found)? {
            return self.load(entry);
        }
        for name in &found.deleted {
            // Nobody reads them any more; one that can not be removed only takes space.
            let _ = disk.remove(&self.dir.join(name));
        }
        if !found.metadata {
            let text = format!("version: 0\ntopic_id: {}", self.topic_id);
            replace_raw(disk.as_ref(), &self.dir.join(METADATA), text.as_bytes(), false)?;
        }
        let start = self.stored_start(&found, entry)?;
        let recovery_point = entry.map_or(start, |entry| entry.recovery_point).max(start);
        if found.segments.is_empty() {
            return self.begin(recovery_point, start);
        }
        self.assemble(found, entry, start, recovery_point)
    }

    /// A folder whose `partition.metadata` names another topic is of a topic of the same name that is gone.
    fn set_aside_if_other(&self, found: &Found) -> Result<bool, StorageError> {
        let disk = self.folder.disk();
        if !found.metadata {
            return Ok(false);
        }
        let text = read_raw(disk.as_ref(), &self.dir.join(METADATA))?.unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let id = text.lines().find_map(|line| line.strip_prefix("topic_id: ")).map(str::parse::<TopicId>);
        match id {
            Some(Ok(id)) if id != self.topic_id => {
                let aside = self.folder.path().join(format!("{}.{id}-stray", self.name));
                disk.rename(&self.dir, &aside).map_err(StorageError::io("setting aside", &self.dir))?;
                disk.sync_dir(self.folder.path()).map_err(StorageError::io("syncing", self.folder.path()))?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn stored_start(&self, found: &Found, entry: Option<Entry>) -> Result<i64, StorageError> {
        let mut start = entry.map_or(0, |entry| entry.log_start);
        if found.start {
            let stored = match checkpoint::read(self.folder.disk().as_ref(), &self.dir.join(START), *b"strt")
            {
                // The checkpoint says it too, if it is not older. Deleted records that come back are less than a log that
                // can not be opened.
                Err(StorageError::BadFile { .. }) => None,
                done => done?,
            };
            let raw = stored.and_then(|(_, bytes)| bytes.first_chunk().copied());
            start = start.max(raw.map_or(0, i64::from_be_bytes));
        }
        Ok(found.segments.keys().next().map_or(start, |&first| start.max(first)))
    }

    /// A log without segments: its first one begins at `base`.
    fn begin(&self, base: i64, start: i64) -> Result<(Core, Option<Recovered>), StorageError> {
        let path = self.dir.join(file_name(base, "log"));
        let file =
            self.folder.disk().open(&path, Mode::Create).map_err(StorageError::io("creating", &path))?;
        let active = Segment::growing(self.folder.files(), &self.dir, base);
        let allocated = preallocate(&self.settings(), file.as_ref());
        active.adopt(file);
        let boundary = Boundary { base, position: 0, offset: base };
        self.start.store(start.max(base), Ordering::Release);
        self.end.store(base, Ordering::Release);
        self.durable.store(base, Ordering::Release);
        let mut writer = self.writer(active, boundary);
        writer.dir_dirty = true;
        writer.allocated = allocated;
        Ok((core(Vec::new(), writer, Vec::new()), None))
    }

    fn assemble(
        &self,
        found: Found,
        entry: Option<Entry>,
        start: i64,
        recovery_point: i64,
    ) -> Result<(Core, Option<Recovered>), StorageError> {
        let mut dirty = entry.is_none_or(|entry| entry.dirty);
        let known = self.stored_damage(&found)?;
        let mut recovery = Recovery::new(self, &found.segments, known.clone(), dirty, recovery_point)?;
        recovery.run()?;
        if !dirty && (recovery.end != recovery_point || !recovery.unscanned_good) {
            // The checkpoint's word does not hold: the files are not what they were. Look at everything.
            dirty = true;
            recovery = Recovery::new(self, &found.segments, known.clone(), true, start)?;
            recovery.run()?;
        }
        let end = recovery.end;
        if recovery.damaged != known {
            self.store_damage(&recovery.damaged)?;
        }
        let mut segments = std::mem::take(&mut recovery.segments);
        let damaged = std::mem::take(&mut recovery.damaged);
        let Some(mut active) = segments.pop() else { return self.begin(end.max(start), start) };
        if end < start {
            // The start moved past records that were never synced and are gone: nothing that is left counts.
            active = self.begin_behind(&mut segments, active, start)?;
        }
        let end = end.max(start);
        // Producers are replayed from the bytes: what a moved start hides may end a transaction that a snapshot has as
        // open, or be sent again.
        let first = found.segments.keys().next().copied().unwrap_or(start);
        let replayed_from = entry.map_or(first, |entry| entry.recovery_point).max(first);
        let boundary = Boundary { base: active.base, position: active.size(), offset: end };
        let mut writer = self.writer(active, boundary);
        // One that was believed clean is in no journal yet: what is written to it from here on would be missed again.
        let believed = entry.is_some_and(|entry| !entry.dirty);
        writer.noted = dirty && (!believed || self.folder.note_dirty(&self.name).is_ok());
        writer.note_synced = writer.noted && !believed;
        self.start.store(start, Ordering::Release);
        self.end.store(end, Ordering::Release);
        self.durable.store(end, Ordering::Release);
        let core = core(segments, writer, damaged);
        self.replay(&core, &found, entry, if dirty { replayed_from.min(end) } else { end })?;
        let mut report = recovery.report;
        report.log_start = start;
        report.log_end = end;
        Ok((core, dirty.then_some(report)))
    }

    /// Closes the last segment and begins one at `start`, behind its end.
    fn begin_behind(
        &self,
        segments: &mut Vec<Arc<Segment>>,
        last: Arc<Segment>,
        start: i64,
    ) -> Result<Arc<Segment>, StorageError> {
        last.write_indexes(true, true)?;
        last.end_growing();
        last.publish(last.size(), start);
        segments.push(last);
        let path = self.dir.join(file_name(start, "log"));
        let disk = self.folder.disk();
        let file = disk.open(&path, Mode::Create).map_err(StorageError::io("creating", &path))?;
        disk.sync_dir(&self.dir).map_err(StorageError::io("syncing", &self.dir))?;
        let active = Segment::growing(self.folder.files(), &self.dir, start);
        active.adopt(file);
        Ok(active)
    }

    fn writer(&self, active: Arc<Segment>, durable: Boundary) -> Writer {
        Writer {
            active,
            producers: Producers::default(),
            epochs: Epochs::default(),
            failed: None,
            unsynced: Vec::new(),
            unindexed: Vec::new(),
            dir_dirty: false,
            epochs_dirty: false,
            noted: false,
            note_synced: false,
            durable,
            allocated: 0,
            created_ms: self.folder.clock().wall_ms(),
            first_timestamp: None,
            snapshot_at: -1,
            snapshots: VecDeque::new(),
            listed: BTreeSet::new(),
        }
    }

    /// Brings back producers and epochs: from their files as far as those go, then from the batch headers behind.
    fn replay(
        &self,
        core: &Core,
        found: &Found,
        entry: Option<Entry>,
        trusted: i64,
    ) -> Result<(), StorageError> {
        let disk = self.folder.disk().as_ref();
        let (start, end, now_ms) = (self.log_start(), self.log_end(), self.folder.now_ms());
        let mut writer = core.writer.lock().unwrap_or_else(|held| held.into_inner());
        let first = core.segments().first().map_or(start, |segment| segment.base);
        let mut producers_from = if entry.is_some_and(|entry| !entry.producers) { trusted } else { first };
        for &offset in found.snapshots.iter().rev() {
            let path = self.dir.join(file_name(offset, "snapshot"));
            if offset > trusted {
                // Of batches that recovery may have cut: never to be believed again.
                disk.remove(&path).map_err(StorageError::io("removing", &path))?;
            } else if writer.snapshots.is_empty()
                && let Some(bytes) = read_raw(disk, &path)?
                && let Some(producers) = Producers::from_snapshot(&bytes, now_ms)
            {
                writer.producers = producers;
                producers_from = offset.max(first);
                writer.snapshot_at = offset;
                writer.snapshots.push_front(offset);
            } else if !writer.snapshots.is_empty() {
                writer.snapshots.push_front(offset);
            }
        }
        let mut epochs_from = start;
        if found.epochs
            && let Some(text) = read_raw(disk, &self.dir.join(epochs::FILE))?
            && let Some(epochs) = Epochs::from_text(&text)
        {
            writer.epochs = epochs;
            writer.epochs_dirty = writer.epochs.cut_end(end);
            epochs_from = trusted.max(start);
        }
        self.first_stamp(&mut writer)?;
        if !writer.producers.is_empty() {
            let earlier = self.headers_before(core, producers_from)?;
            writer.producers.recall(&earlier);
        }
        self.transactions.begin(writer.producers.open_transactions());
        let from = producers_from.min(epochs_from);
        let mut aborted = Vec::new();
        if from < end {
            self.replay_batches(core, &mut writer, (from, producers_from, epochs_from), &mut aborted)?;
        }
        self.load_aborted(core, &mut writer, found, (producers_from, trusted), &aborted)?;
        // All of them have their whole time again: what is on the disk does not say for how long they are idle.
        self.transactions.begin(writer.producers.open_transactions());
        Ok(())
    }

    /// The aborted transactions of each segment: of its file where no replay went, of the replay behind `from`. A file of
    /// what lies behind `trusted` may be right and yet not be synced.
    fn load_aborted(
        &self,
        core: &Core,
        writer: &mut Writer,
        found: &Found,
        (from, trusted): (i64, i64),
        replayed: &[AbortedEntry],
    ) -> Result<(), StorageError> {
        let disk = self.folder.disk().as_ref();
        let segments = core.segments();
        writer.listed = if found.listed { self.stored_list()? } else { BTreeSet::new() };
        if !found.aborted.is_empty() || !replayed.is_empty() {
            self.any_aborted.store(true, Ordering::Release);
        }
        let mut wrong = BTreeSet::new();
        for segment in segments.iter() {
            let growing = segment.base == writer.active.base;
            let has_file = found.aborted.contains(&segment.base);
            let missing = !has_file && segment.base < from && writer.listed.contains(&segment.base);
            if segment.end() <= from && !growing {
                // Made anew here rather than when someone reads: that takes a walk over the log.
                if missing || !self.has_good_aborted(segment, has_file)? {
                    wrong.insert(segment.base);
                    writer.unindexed.push(Arc::clone(segment));
                }
                continue;
            }
            let bytes = if has_file { read_raw(disk, &segment.path("txnindex"))? } else { None };
            let bytes = bytes.unwrap_or_default();
            // Behind what is replayed it may say anything, of a tail that was cut for instance.
            let (mut entries, whole) = aborted::decode(&bytes, segment.base, i64::MAX);
            let before = entries.len();
            entries.retain(|entry| entry.last_offset < from);
            if missing || (!whole && before == entries.len() && segment.base < from) {
                self.rebuild_aborted(core, &segments, &BTreeSet::from([segment.base]))?;
                entries = self.aborted_of(core, segment)?;
                entries.retain(|entry| entry.last_offset < from);
            }
            let here = replayed.iter().filter(|entry| {
                entry.last_offset >= segment.base.max(from) && entry.last_offset < segment.end()
            });
            entries.extend(here);
            let same = aborted::encode(&entries) == bytes;
            let sure = same && segment.end() <= trusted && (has_file || entries.is_empty());
            let written = sure.then_some(entries.len());
            segment.set_aborted(entries, written);
            if written.is_none() && !growing {
                writer.unindexed.push(Arc::clone(segment));
            }
        }
        self.rebuild_aborted(core, &segments, &wrong)
    }

    /// Whether the `.txnindex` of a closed segment can be right; it is read again when it is asked for.
    fn has_good_aborted(&self, segment: &Segment, has_file: bool) -> Result<bool, StorageError> {
        if !has_file {
            // Recovery may have checked it as one that grows, which knows of none.
            segment.set_aborted(Vec::new(), Some(0));
            return Ok(true);
        }
        segment.unload_aborted();
        let good = segment.with_aborted(|_| ())?.is_some();
        segment.unload_aborted();
        Ok(good)
    }

    fn first_stamp(&self, writer: &mut Writer) -> Result<(), StorageError> {
        if writer.active.size() > 0 {
            let file = writer.active.file()?;
            let mut walk = Walk::new(file.as_ref(), 0, writer.active.size());
            if let Ok(Step::Batch(first)) = walk.step() {
                writer.first_timestamp = Some(first.header.max_timestamp).filter(|&first| first >= 0);
            }
        }
        Ok(())
    }

    /// Headers of producers' batches in the last [`RECALLED_BYTES`] before an offset, ascending.
    fn headers_before(&self, core: &Core, upto: i64) -> Result<Vec<BatchHeader>, StorageError> {
        let mut headers = Vec::new();
        let segments = core.segments();
        let last = segments.partition_point(|segment| segment.base < upto).saturating_sub(1);
        for segment in segments.iter().skip(last.saturating_sub(1)).take(2).filter(|one| one.base < upto) {
            // In a closed segment they are at its end; in the one that grows, before the offset.
            let end = segment.with_indexes(|offsets, _| index::floor(offsets, upto - segment.base))?;
            let end = end.map_or(0, |entry| u64::from(entry.position));
            let end = if segment.end() <= upto { segment.size() } else { end };
            let begin = end.saturating_sub(RECALLED_BYTES);
            let begin = segment.with_indexes(|offsets, _| index::first_behind(offsets, begin))?;
            let begin = begin.map_or(0, |entry| u64::from(entry.position)).min(end);
            let begin = if end <= RECALLED_BYTES { 0 } else { begin };
            let file = segment.file()?;
            let mut walk = Walk::new(file.as_ref(), begin, segment.size());
            while let Step::Batch(batch) =
                walk.step().map_err(StorageError::io("reading", &segment.path("log")))?
            {
                if batch.header.base_offset >= upto || core.damage_at(segment.base, batch.position).is_some()
                {
                    break;
                }
                if batch.header.has_producer_id() {
                    headers.push(batch.header);
                }
            }
        }
        Ok(headers)
    }

    fn replay_batches(
        &self,
        core: &Core,
        writer: &mut Writer,
        (from, producers_from, epochs_from): (i64, i64, i64),
        aborted: &mut Vec<AbortedEntry>,
    ) -> Result<(), StorageError> {
        let now_ms = self.folder.now_ms();
        let segments = core.segments();
        let first = segments.partition_point(|segment| segment.base <= from).saturating_sub(1);
        for segment in segments.iter().skip(first) {
            let mut from = from.max(segment.base);
            'well: loop {
                let located = match self.locate(core, segment, from) {
                    Err(StorageError::Damaged { range, .. }) if range.end < segment.end() => {
                        from = range.end;
                        continue;
                    }
                    Err(StorageError::Damaged { .. }) => None,
                    done => done?,
                };
                let Some(located) = located else { break };
                let file = segment.file()?;
                let mut walk = Walk::new(file.as_ref(), located.position, segment.size());
                from = segment.end();
                while let Step::Batch(batch) =
                    walk.step().map_err(StorageError::io("reading", &segment.path("log")))?
                {
                    // A torn batch with a good header was never acknowledged: its producer will send it again.
                    if let Some(damage) = core.damage_at(segment.base, batch.position) {
                        from = damage.offsets.end;
                        continue 'well;
                    }
                    let header = &batch.header;
                    if header.base_offset >= producers_from {
                        let marker = match header.is_control() {
                            true => marker_at(file.as_ref(), &batch)
                                .map_err(StorageError::io("reading", &segment.path("log")))?,
                            false => None,
                        };
                        let ended = self.transactions.note(writer.producers.apply(header, marker, now_ms));
                        aborted.extend(ended.and_then(|(ended, stable)| AbortedEntry::of(&ended, stable)));
                    }
                    if header.base_offset >= epochs_from {
                        writer.epochs_dirty |= writer.epochs.note(header.leader_epoch, header.base_offset);
                    }
                    from = header.next_offset();
                }
                if from >= segment.end() || walk.position() >= segment.size() {
                    break;
                }
            }
        }
        Ok(())
    }

    fn stored_damage(&self, found: &Found) -> Result<Vec<Damage>, StorageError> {
        if !found.damage {
            return Ok(Vec::new());
        }
        let stored = match checkpoint::read(self.folder.disk().as_ref(), &self.dir.join(DAMAGE), *b"damg") {
            // Found again by whoever reads there.
            Err(StorageError::BadFile { .. }) => None,
            done => done?,
        };
        let bytes = stored.map(|(_, bytes)| bytes).unwrap_or_default();
        let word = |raw: &[u8; 40], at: usize| {
            raw.get(at..at + 8).and_then(|part| part.first_chunk()).copied().map_or(0, i64::from_be_bytes)
        };
        let all = bytes.as_chunks::<40>().0.iter().map(|raw| Damage {
            base: word(raw, 0),
            position: word(raw, 8) as u64..word(raw, 16) as u64,
            offsets: word(raw, 24)..word(raw, 32),
        });
        Ok(all.filter(|damage| found.segments.contains_key(&damage.base)).collect())
    }

    fn store_damage(&self, damaged: &[Damage]) -> Result<(), StorageError> {
        let mut bytes = Vec::with_capacity(damaged.len() * 40);
        for damage in damaged {
            bytes.extend_from_slice(&damage.base.to_be_bytes());
            bytes.extend_from_slice(&damage.position.start.to_be_bytes());
            bytes.extend_from_slice(&damage.position.end.to_be_bytes());
            bytes.extend_from_slice(&damage.offsets.start.to_be_bytes());
            bytes.extend_from_slice(&damage.offsets.end.to_be_bytes());
        }
        checkpoint::replace(self.folder.disk().as_ref(), &self.dir.join(DAMAGE), *b"damg", VERSION, &bytes)
    }
}

fn core(mut segments: Vec<Arc<Segment>>, writer: Writer, damaged: Vec<Damage>) -> Core {
    segments.push(Arc::clone(&writer.active));
    for segment in &segments {
        let here = damaged.iter().filter(|damage| damage.base == segment.base);
        segment.set_damaged(here.map(|damage| damage.position.clone()).collect());
    }
    Core {
        segments: RwLock::new(Arc::new(segments)),
        writer: Mutex::new(writer),
        flushing: Mutex::new(()),
        damaged,
    }
}
