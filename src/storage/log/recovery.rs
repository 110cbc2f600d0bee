//! Recovery: walks what may be torn, keeps every whole batch, and cuts only what no whole batch follows, into a file beside.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Damage, Log, Recovered};
use crate::record::{Batch, BatchHeader, HEADER_LEN};
use crate::storage::batches::{Located, Step, Walk, plausible};
use crate::storage::disk::Mode;
use crate::storage::index::OffsetEntry;
use crate::storage::segment::{Segment, file_name};
use crate::storage::{DiskFile, StorageError};

/// How much of a file is read at once.
const WINDOW: usize = 1 << 20;

/// One run over a log's segments. What lies below the recovery point is believed; the segment that holds it and all
/// later ones are checked batch by batch, CRC included (when `dirty`; otherwise only the last one's headers are walked).
pub(super) struct Recovery<'l> {
    log: &'l Log,
    dirty: bool,
    recovery_point: i64,
    bases: Vec<(i64, u64)>,
    /// What is kept, ascending; the last one grows.
    pub(super) segments: Vec<Arc<Segment>>,
    pub(super) damaged: Vec<Damage>,
    /// The log end found.
    pub(super) end: i64,
    /// Whether the headers of a log that was believed clean were as expected.
    pub(super) unscanned_good: bool,
    pub(super) report: Recovered,
}

impl<'l> Recovery<'l> {
    pub(super) fn new(
        log: &'l Log,
        found: &BTreeMap<i64, u64>,
        known: Vec<Damage>,
        dirty: bool,
        recovery_point: i64,
    ) -> Result<Self, StorageError> {
        Ok(Self {
            log,
            dirty,
            recovery_point,
            bases: found.iter().map(|(&base, &size)| (base, size)).collect(),
            segments: Vec::new(),
            damaged: known,
            end: 0,
            unscanned_good: true,
            report: Recovered::default(),
        })
    }

    pub(super) fn run(&mut self) -> Result<(), StorageError> {
        let last = self.bases.len().saturating_sub(1);
        let checked = if self.dirty {
            // The segment that ends at the recovery point is looked at too: a write that failed just before a roll can
            // have left bytes behind its last batch, if a power cut took back that they were cut off.
            self.bases.partition_point(|&(base, _)| base < self.recovery_point).saturating_sub(1)
        } else {
            last
        };
        for at in 0..checked {
            let (Some(&(base, size)), Some(&(next, _))) = (self.bases.get(at), self.bases.get(at + 1)) else {
                break;
            };
            self.segments.push(Segment::closed(self.log.folder.files(), &self.log.dir, base, size, next));
            self.end = next;
        }
        let mut at = checked;
        while let Some(&(base, size)) = self.bases.get(at) {
            let next = self.bases.get(at + 1).map(|&(next, _)| next);
            // Compaction leaves gaps, between segments too.
            if at > checked && base > self.end && !self.log.settings().compact {
                self.report.missing.push(self.end..base);
            }
            let cut = self.check(base, size, next)?;
            if cut {
                self.set_aside(at + 1)?;
                break;
            }
            at += 1;
        }
        if self.dirty {
            if self.end < self.recovery_point {
                self.report.missing.push(self.end..self.recovery_point);
            }
            // Folders with many dirty logs are synced once before any of them is read; what was cut since is not in that.
            if !self.log.folder.is_presynced() || self.report.cut_bytes > 0 {
                self.sync_kept(checked)?;
            }
        }
        Ok(())
    }

    /// Checks one segment; whether it was cut (then nothing behind it counts).
    fn check(&mut self, base: i64, size: u64, next: Option<i64>) -> Result<bool, StorageError> {
        let (files, dir) = (self.log.folder.files(), &self.log.dir);
        let segment = Segment::growing(files, dir, base);
        segment.publish(size, base);
        segment.forget_checked();
        let trusted_to = if self.dirty { self.recovery_point } else { i64::MAX };
        let indexed_to = trusted_to.saturating_sub(base).clamp(0, i64::from(i32::MAX) + 1);
        let last_entry = segment.begin_growing(indexed_to)?;
        let mut from = last_entry.map_or(0, |entry| u64::from(entry.position));
        self.end = base;
        let interval = self.log.settings().index_interval_bytes;
        let file = segment.file()?;
        if self.dirty
            && let Some(entry) = last_entry
        {
            match self.indexed(file.as_ref(), entry, size, base)? {
                Some(offset) => self.end = offset,
                None => {
                    // An index that leads to no batch leads nowhere.
                    segment.begin_growing(0)?;
                    from = 0;
                }
            }
        }
        let found = if self.dirty {
            self.scan(&segment, file.as_ref(), from, size, next, interval)?
        } else {
            self.walk(&segment, file.as_ref(), from, size, interval)?
        };
        segment.publish(found, self.end);
        let mut cut = false;
        if found < size && self.dirty {
            cut = true;
            self.cut(file.as_ref(), base, found..size)?;
        }
        segment.cut_indexes(found, self.end);
        if next.is_some() && !cut {
            // Not the last: its indexes are written and leave memory.
            segment.publish(found, next.unwrap_or(self.end));
            segment.write_indexes(true, true)?;
            segment.end_growing();
        }
        self.segments.push(segment);
        Ok(cut)
    }

    /// The base offset of the batch that an index entry points at, if it is what the entry says.
    fn indexed(
        &self,
        file: &dyn DiskFile,
        entry: OffsetEntry,
        size: u64,
        base: i64,
    ) -> Result<Option<i64>, StorageError> {
        let good = Window::new(file, size).good(u64::from(entry.position), base, base);
        let good = good.map_err(StorageError::io("reading", &self.log.dir))?;
        Ok(good
            .filter(|header| header.last_offset() - base == i64::from(entry.relative))
            .map(|header| header.base_offset))
    }

    /// Headers only, from `from` on: where the last plausible batch ends.
    fn walk(
        &mut self,
        segment: &Segment,
        file: &dyn DiskFile,
        from: u64,
        size: u64,
        interval: u32,
    ) -> Result<u64, StorageError> {
        let mut from = from;
        for damage in self.damaged.iter().filter(|damage| damage.base == segment.base) {
            if damage.position.end > from {
                from = damage.position.end;
                self.end = damage.offsets.end;
            }
        }
        let mut walk = Walk::new(file, from, size);
        loop {
            match walk.step().map_err(StorageError::io("reading", &segment.path("log")))? {
                Step::Batch(batch) => {
                    self.end = batch.header.next_offset();
                    segment.index(&batch, interval);
                }
                Step::End => return Ok(walk.position()),
                Step::Bad => {
                    self.unscanned_good = false;
                    return Ok(walk.position());
                }
            }
        }
    }

    /// Whole batches with good CRCs from `from` on; what is none is damage if a good batch follows, else the end.
    fn scan(
        &mut self,
        segment: &Segment,
        file: &dyn DiskFile,
        from: u64,
        size: u64,
        next: Option<i64>,
        interval: u32,
    ) -> Result<u64, StorageError> {
        self.damaged.retain(|damage| damage.base != segment.base || damage.position.start < from);
        let mut window = Window::new(file, size);
        let mut at = from;
        let failed = |error| StorageError::io("reading", &segment.path("log"))(error);
        while at < size {
            if let Some(header) = window.due(at, segment.base, self.end, next).map_err(failed)? {
                let batch = Located { position: at, header };
                segment.index(&batch, interval);
                self.end = header.next_offset();
                at = batch.end();
                continue;
            }
            let found = window.next_good(at, segment.base, self.end).map_err(failed)?;
            let (behind, offset) = match found {
                Some(good) => (good.position, good.header.base_offset),
                None => match next {
                    Some(next) if self.later_good(next)? => (size, next),
                    _ => break,
                },
            };
            self.report.damaged.push(self.end..offset);
            self.damaged.push(Damage { base: segment.base, position: at..behind, offsets: self.end..offset });
            self.end = offset;
            at = behind;
        }
        self.report.scanned_bytes += at - from;
        Ok(at)
    }

    /// Whether any segment from `base` on begins with a good batch.
    fn later_good(&self, base: i64) -> Result<bool, StorageError> {
        for &(base, size) in self.bases.iter().filter(|&&(later, _)| later >= base) {
            let path = self.log.dir.join(file_name(base, "log"));
            let check = || -> io::Result<bool> {
                let file = self.log.folder.disk().open(&path, Mode::Read)?;
                Ok(Window::new(file.as_ref(), size).good(0, base, base)?.is_some())
            };
            if check().map_err(StorageError::io("reading", &path))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Where what is cut off a segment is kept.
    fn cut_path(&self, base: i64) -> PathBuf {
        let mut time = self.log.folder.clock().wall_ms();
        loop {
            let path = self.log.dir.join(file_name(base, &format!("log.cut-{time}")));
            // An earlier cut is never written over.
            if self.log.folder.disk().open(&path, Mode::Read).is_err() {
                return path;
            }
            time += 1;
        }
    }

    fn cut(&mut self, file: &dyn DiskFile, base: i64, range: Range<u64>) -> Result<(), StorageError> {
        let path = self.cut_path(base);
        let disk = self.log.folder.disk();
        let copy = || -> io::Result<()> {
            let beside = disk.open(&path, Mode::Create)?;
            let mut buffer = vec![0; WINDOW];
            let mut at = range.start;
            while at < range.end {
                let want = usize::try_from(range.end - at).unwrap_or(WINDOW).min(WINDOW);
                let Some(part) = buffer.get_mut(..want) else { break };
                crate::storage::disk::read_exact_at(file, part, at)?;
                beside.write_vectored_at(&[IoSlice::new(part)], at - range.start)?;
                at += want as u64;
            }
            beside.sync()?;
            disk.sync_dir(&self.log.dir)?;
            file.set_len(range.start)
        };
        copy().map_err(StorageError::io("cutting into", &path))?;
        self.report.cut_bytes += range.end - range.start;
        Ok(())
    }

    /// Segments behind a cut hold no good batch: they are set aside whole.
    fn set_aside(&mut self, from: usize) -> Result<(), StorageError> {
        let disk = self.log.folder.disk();
        for &(base, size) in self.bases.get(from..).unwrap_or_default() {
            let path = self.log.dir.join(file_name(base, "log"));
            disk.rename(&path, &self.cut_path(base)).map_err(StorageError::io("setting aside", &path))?;
            for extension in ["index", "timeindex", "txnindex"] {
                let _ = disk.remove(&path.with_extension(extension));
            }
            self.report.cut_bytes += size;
        }
        Ok(())
    }

    /// What was kept may have come from the page cache only: it is synced before it counts.
    fn sync_kept(&self, checked: usize) -> Result<(), StorageError> {
        for segment in self.segments.iter().skip(checked) {
            segment.file()?.sync().map_err(StorageError::io("syncing", &segment.path("log")))?;
        }
        self.log.folder.disk().sync_dir(&self.log.dir).map_err(StorageError::io("syncing", &self.log.dir))
    }
}

/// A moving window over a file, in which whole batches are looked at.
pub(super) struct Window<'f> {
    file: &'f dyn DiskFile,
    size: u64,
    /// Least bytes of one read, as far as the file has them.
    step: usize,
    bytes: Vec<u8>,
    at: u64,
}

impl<'f> Window<'f> {
    pub(super) fn new(file: &'f dyn DiskFile, size: u64) -> Self {
        Self { file, size, step: WINDOW, bytes: Vec::new(), at: 0 }
    }

    /// As [`Window::new`], for who wants `bytes` of the file and not much more.
    pub(super) fn over(file: &'f dyn DiskFile, size: u64, bytes: u64) -> Self {
        let step = usize::try_from(bytes).unwrap_or(WINDOW).saturating_add(HEADER_LEN).min(WINDOW);
        Self { step, ..Self::new(file, size) }
    }

    /// `len` bytes from `position`, which must lie within the file.
    pub(super) fn bytes(&mut self, position: u64, len: usize) -> io::Result<&[u8]> {
        let inside = position >= self.at && position + len as u64 <= self.at + self.bytes.len() as u64;
        if !inside {
            let rest = usize::try_from(self.size.saturating_sub(position)).unwrap_or(usize::MAX);
            let want = len.max(self.step).min(rest);
            self.bytes.resize(want, 0);
            self.at = position;
            crate::storage::disk::read_exact_at(self.file, &mut self.bytes, position)?;
        }
        let from = (position - self.at) as usize;
        self.bytes.get(from..from + len).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// The batch at `position` if it is whole and its offset is the one due, or is later and what follows agrees: the
    /// base offset lies outside of the CRC, and a flipped bit in it would put all batches behind it in the wrong.
    /// `next` is the next segment's base, or the log end where that is known.
    pub(super) fn due(
        &mut self,
        position: u64,
        base: i64,
        expected: i64,
        next: Option<i64>,
    ) -> io::Result<Option<BatchHeader>> {
        let Some(header) = self.good(position, base, expected)? else { return Ok(None) };
        if header.base_offset == expected {
            return Ok(Some(header));
        }
        let behind = self.following(position, &header)?.or(next);
        Ok(behind.is_some_and(|behind| behind >= header.next_offset()).then_some(header))
    }

    /// The base offset of what follows the batch at `position`, if that looks like a batch.
    fn following(&mut self, position: u64, header: &BatchHeader) -> io::Result<Option<i64>> {
        let behind = position + header.size() as u64;
        if self.size.saturating_sub(behind) < HEADER_LEN as u64 {
            return Ok(None);
        }
        Ok(plausible(self.bytes(behind, HEADER_LEN)?).map(|header| header.base_offset))
    }

    /// The batch at `position`, if a whole one with a good CRC lies there whose offsets fit a segment from `base` in
    /// which `expected` is the least offset due.
    pub(super) fn good(
        &mut self,
        position: u64,
        base: i64,
        expected: i64,
    ) -> io::Result<Option<BatchHeader>> {
        let rest = self.size - position;
        if rest < HEADER_LEN as u64 {
            return Ok(None);
        }
        let Some(header) = plausible(self.bytes(position, HEADER_LEN)?) else { return Ok(None) };
        let fits = header.base_offset >= expected && header.last_offset() - base <= i64::from(i32::MAX);
        if !fits || header.size() as u64 > rest {
            return Ok(None);
        }
        let whole = self.bytes(position, header.size())?;
        Ok(Batch::exactly(whole).is_ok_and(|batch| batch.crc_ok()).then_some(header))
    }

    /// The first good batch behind a bad one at `position`. Where the bad one's length can be believed it is looked for
    /// there first, so that a batch inside of a record's value is not taken for one of the log.
    pub(super) fn next_good(
        &mut self,
        position: u64,
        base: i64,
        expected: i64,
    ) -> io::Result<Option<Located>> {
        if self.size - position >= HEADER_LEN as u64
            && let Some(header) = plausible(self.bytes(position, HEADER_LEN)?)
        {
            let behind = position + header.size() as u64;
            if behind < self.size
                && let Some(header) = self.good(behind, base, expected)?
                && self.following(behind, &header)?.is_none_or(|next| next >= header.next_offset())
            {
                return Ok(Some(Located { position: behind, header }));
            }
        }
        let mut at = position + 1;
        while self.size.saturating_sub(at) >= HEADER_LEN as u64 {
            let len = usize::try_from(self.size - at).unwrap_or(WINDOW).min(WINDOW);
            let window = self.bytes(at, len)?;
            let candidate = window.windows(HEADER_LEN).position(|bytes| {
                bytes.first().is_some_and(|&high| high < 0x80)
                    && bytes.get(16) == Some(&2)
                    && might_be(bytes, expected)
            });
            let Some(skip) = candidate else {
                at += (len - HEADER_LEN + 1) as u64;
                continue;
            };
            at += skip as u64;
            if let Some(header) = self.good(at, base, expected)?
                && self.following(at, &header)?.is_none_or(|next| next >= header.next_offset())
            {
                return Ok(Some(Located { position: at, header }));
            }
            at += 1;
        }
        Ok(None)
    }
}

fn might_be(bytes: &[u8], expected: i64) -> bool {
    plausible(bytes).is_some_and(|header| {
        header.base_offset >= expected && header.base_offset - expected <= i64::from(i32::MAX)
    })
}
