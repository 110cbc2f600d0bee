//! Index files held against the batches as those go by; read in pieces, and never believed.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::finding::{Finding, Problem};
use super::{InspectError, Source};
use crate::record::{Batch, BatchHeader, ControlMarker};
use crate::storage::Disk;
use crate::storage::scan::{AbortedTxn, OFFSET_ENTRY, OffsetEntry, TIME_ENTRY, TXN_ENTRY, TimeEntry};

/// Entries read at once.
const ENTRIES: usize = 4096;
/// An index that is wrong in more places than this is wrong as a whole.
const MOST: usize = 3;

/// The entries of an index file, one after the other, up to the zeros that Kafka allocates behind them.
struct Entries<const N: usize> {
    path: PathBuf,
    source: Source,
    buf: Vec<u8>,
    /// Position in the file of the next entry to be given.
    at: u64,
    /// Position of `buf` in the file.
    start: u64,
    found: Vec<Finding>,
    given_up: bool,
}

impl<const N: usize> Entries<N> {
    fn open(disk: &dyn Disk, path: &Path) -> Result<Self, InspectError> {
        Ok(Self {
            path: path.to_path_buf(),
            source: Source::open(disk, path)?,
            buf: Vec::new(),
            at: 0,
            start: 0,
            found: Vec::new(),
            given_up: false,
        })
    }

    fn read(&mut self, at: u64, len: usize) -> Result<(), InspectError> {
        let Source::File { file, size } = &self.source else { return Ok(()) };
        let rest = usize::try_from(size.saturating_sub(at)).unwrap_or(usize::MAX);
        self.buf.resize(len.min(rest), 0);
        self.start = at;
        let mut filled = 0;
        while filled < self.buf.len() {
            let into = self.buf.get_mut(filled..).unwrap_or_default();
            match file.read_at(into, at + filled as u64).map_err(InspectError::io("read", &self.path))? {
                0 => break,
                read => filled += read,
            }
        }
        self.buf.truncate(filled);
        Ok(())
    }

    /// The next entry without taking it.
    fn peek(&mut self) -> Result<Option<[u8; N]>, InspectError> {
        if self.given_up {
            return Ok(None);
        }
        let from = usize::try_from(self.at.saturating_sub(self.start)).unwrap_or(usize::MAX);
        let held = self.buf.get(from..).and_then(|rest| rest.first_chunk::<N>()).copied();
        let entry = match held {
            Some(entry) => entry,
            None => {
                self.read(self.at, ENTRIES * N)?;
                match self.buf.first_chunk::<N>() {
                    Some(entry) => *entry,
                    None => {
                        let left = self.buf.len();
                        self.given_up = true;
                        if left > 0 && self.buf.iter().any(|&byte| byte != 0) {
                            self.say(format!("it ends with {left} bytes of an entry of {N}"));
                        }
                        return Ok(None);
                    }
                }
            }
        };
        if entry == [0; N] && self.zeros_to_end()? {
            self.given_up = true;
            return Ok(None);
        }
        Ok(Some(entry))
    }

    fn zeros_to_end(&mut self) -> Result<bool, InspectError> {
        let mut at = self.at;
        loop {
            self.read(at, 1 << 20)?;
            if self.buf.iter().any(|&byte| byte != 0) {
                self.read(self.at, ENTRIES * N)?;
                return Ok(false);
            }
            if self.buf.is_empty() {
                return Ok(true);
            }
            at += self.buf.len() as u64;
        }
    }

    fn take(&mut self) {
        self.at += N as u64;
    }

    /// Notes what is wrong with the entry at the present place.
    fn say(&mut self, what: String) {
        self.say_at(self.at, what);
    }

    fn say_at(&mut self, position: u64, what: String) {
        self.found.push(Finding {
            path: self.path.clone(),
            position: Some(position),
            problem: Problem::Index { what },
        });
        self.given_up |= self.found.len() >= MOST;
    }
}

/// `.index`.
pub(super) struct OffsetCheck {
    entries: Entries<OFFSET_ENTRY>,
    base: i64,
    before: Option<OffsetEntry>,
    /// An entry whose batch begins where it says, but whose offset a later batch must have (followers of old Kafka
    /// append several batches at once).
    open: Option<(u64, OffsetEntry)>,
}

impl OffsetCheck {
    pub(super) fn open(disk: &dyn Disk, path: &Path, base: i64) -> Result<Self, InspectError> {
        Ok(Self { entries: Entries::open(disk, path)?, base, before: None, open: None })
    }

    fn peek(&mut self) -> Result<Option<OffsetEntry>, InspectError> {
        let Some(entry) = self.entries.peek()?.map(|raw| OffsetEntry::read(&raw)) else { return Ok(None) };
        let ascending = self
            .before
            .is_none_or(|before| entry.relative > before.relative && entry.position > before.position);
        if entry.relative < 0 || !ascending {
            self.entries.say(format!(
                "entry {} does not follow the one before: offset {}, position {}",
                self.entries.at / OFFSET_ENTRY as u64,
                offset_of(self.base, entry.relative),
                entry.position
            ));
            self.entries.given_up = true;
            return Ok(None);
        }
        Ok(Some(entry))
    }

    fn take(&mut self, entry: OffsetEntry) {
        self.before = Some(entry);
        self.entries.take();
    }

    pub(super) fn batch(&mut self, position: u64, header: &BatchHeader) -> Result<(), InspectError> {
        while let Some(entry) = self.peek()? {
            if u64::from(entry.position) > position {
                break;
            }
            let offset = offset_of(self.base, entry.relative);
            if let Some((at, open)) = self.open.take() {
                self.wrong_offset(at, open);
            }
            if u64::from(entry.position) < position {
                self.entries
                    .say(format!("offset {offset} leads to {}, where no batch begins", entry.position));
            } else if !covers(self.base, header, &entry) {
                self.open = Some((self.entries.at, entry));
            }
            self.take(entry);
        }
        self.open = self.open.take().filter(|(_, open)| !covers(self.base, header, open));
        Ok(())
    }

    fn wrong_offset(&mut self, at: u64, entry: OffsetEntry) {
        let offset = offset_of(self.base, entry.relative);
        self.entries.say_at(at, format!("offset {offset} is not that of the batch at {}", entry.position));
    }

    /// Entries that lead into damage say nothing.
    pub(super) fn skip(&mut self, damage: &Range<u64>) -> Result<(), InspectError> {
        self.open = None;
        while let Some(entry) = self.peek()?.filter(|entry| u64::from(entry.position) < damage.end) {
            self.take(entry);
        }
        Ok(())
    }

    pub(super) fn end(mut self, size: u64) -> Result<Vec<Finding>, InspectError> {
        if let Some((at, open)) = self.open.take() {
            self.wrong_offset(at, open);
        }
        if let Some(entry) = self.peek()? {
            let (offset, position) = (offset_of(self.base, entry.relative), entry.position);
            self.entries.say(format!("offset {offset} leads to {position}, behind the log's {size} bytes"));
        }
        Ok(self.entries.found)
    }
}

/// `.timeindex`.
pub(super) struct TimeCheck {
    entries: Entries<TIME_ENTRY>,
    base: i64,
    before: Option<TimeEntry>,
    /// The largest timestamp of the batches so far.
    largest: i64,
}

impl TimeCheck {
    pub(super) fn open(disk: &dyn Disk, path: &Path, base: i64) -> Result<Self, InspectError> {
        Ok(Self { entries: Entries::open(disk, path)?, base, before: None, largest: -1 })
    }

    fn peek(&mut self) -> Result<Option<TimeEntry>, InspectError> {
        let Some(entry) = self.entries.peek()?.map(|raw| TimeEntry::read(&raw)) else { return Ok(None) };
        let ascending = self
            .before
            .is_none_or(|before| entry.timestamp > before.timestamp && entry.relative >= before.relative);
        if entry.relative < 0 || !ascending {
            let number = self.entries.at / TIME_ENTRY as u64;
            self.entries.say(format!(
                "entry {number} does not follow the one before: timestamp {}, offset {}",
                entry.timestamp,
                offset_of(self.base, entry.relative)
            ));
            self.entries.given_up = true;
            return Ok(None);
        }
        Ok(Some(entry))
    }

    pub(super) fn batch(&mut self, header: &BatchHeader) -> Result<(), InspectError> {
        self.largest = self.largest.max(header.max_timestamp);
        while let Some(entry) = self.peek()? {
            let offset = offset_of(self.base, entry.relative);
            if offset > header.last_offset() {
                break;
            }
            // An offset in a gap is that of a damaged or compacted batch.
            if offset >= header.base_offset && entry.timestamp != header.max_timestamp {
                self.entries.say(format!(
                    "offset {offset} has the timestamp {}, its batch {}",
                    entry.timestamp, header.max_timestamp
                ));
            }
            self.before = Some(entry);
            self.entries.take();
        }
        Ok(())
    }

    /// The index of a closed segment ends with its largest timestamp: who looks for a time passes the segment over by it.
    pub(super) fn end(mut self, end: i64, closed: bool) -> Result<Vec<Finding>, InspectError> {
        if let Some(entry) = self.peek()?
            && offset_of(self.base, entry.relative) >= end
        {
            let offset = offset_of(self.base, entry.relative);
            self.entries.say(format!("it has offset {offset}, and the log ends before {end}"));
        } else if let Some(last) = self.before.filter(|last| closed && last.timestamp < self.largest)
            && self.entries.found.is_empty()
        {
            let (last, largest) = (last.timestamp, self.largest);
            self.entries.say(format!("its last timestamp is {last}, and the log has one of {largest}"));
        }
        Ok(self.entries.found)
    }
}

/// `.txnindex`.
pub(super) struct TxnCheck {
    entries: Entries<TXN_ENTRY>,
    before: i64,
}

impl TxnCheck {
    pub(super) fn open(disk: &dyn Disk, path: &Path) -> Result<Self, InspectError> {
        Ok(Self { entries: Entries::open(disk, path)?, before: -1 })
    }

    fn peek(&mut self) -> Result<Option<AbortedTxn>, InspectError> {
        let Some(entry) = self.entries.peek()?.map(|raw| AbortedTxn::read(&raw)) else { return Ok(None) };
        let known = entry.version == 0;
        let possible =
            entry.first_offset >= 0 && entry.first_offset <= entry.last_offset && entry.producer_id >= 0;
        if !known || !possible || entry.last_offset <= self.before {
            let what = if known { "can not be one" } else { "has an unknown version" };
            let number = self.entries.at / TXN_ENTRY as u64;
            self.entries.say(format!(
                "entry {number} {what}: version {}, producer {}, offsets {} to {}",
                entry.version, entry.producer_id, entry.first_offset, entry.last_offset
            ));
            self.entries.given_up = true;
            return Ok(None);
        }
        Ok(Some(entry))
    }

    /// An entry ends at the abort marker of its producer; where a data batch lies there instead, it is wrong. Compaction
    /// may have taken the marker away, also out of a batch that stays.
    pub(super) fn batch(&mut self, batch: &Batch<'_>) -> Result<(), InspectError> {
        let (base, last) = (batch.base_offset(), batch.last_offset());
        while let Some(entry) = self.peek()?.filter(|entry| entry.last_offset <= last) {
            let is_marker = aborts(batch) && batch.producer_id() == entry.producer_id;
            if entry.last_offset >= base && batch.count() != 0 && !is_marker {
                self.entries.say(format!(
                    "producer {} is said to have aborted at offset {}, where no abort marker of it lies",
                    entry.producer_id, entry.last_offset
                ));
            }
            self.before = entry.last_offset;
            self.entries.take();
        }
        Ok(())
    }

    pub(super) fn end(mut self, end: i64) -> Result<Vec<Finding>, InspectError> {
        if let Some(entry) = self.peek()?
            && entry.last_offset >= end
        {
            let last = entry.last_offset;
            self.entries
                .say(format!("it has a transaction that ends at {last}, and the log ends before {end}"));
        }
        Ok(self.entries.found)
    }
}

/// The offset that an entry's relative one stands for.
fn offset_of(base: i64, relative: i32) -> i64 {
    base.saturating_add(i64::from(relative))
}

/// Whether an entry's offset is one of the batch: its last, or the last that Kafka's cleaner (up to 4.0) left in it.
fn covers(base: i64, header: &BatchHeader, entry: &OffsetEntry) -> bool {
    (header.base_offset..=header.last_offset()).contains(&offset_of(base, entry.relative))
}

fn aborts(batch: &Batch<'_>) -> bool {
    let Ok(records) = batch.records() else { return false };
    batch.is_control()
        && records
            .filter_map(Result::ok)
            .any(|record| matches!(ControlMarker::of(&record), Some(ControlMarker::Abort { .. })))
}
