//! The checkpoint of all logs and the journal of those written since; a log that was written is never missing from both.
//!
//! `klog-checkpoint` is replaced whole and lists every log: id, start, recovery point, whether it was being written.
//! `klog-dirty` is appended to: the name of each log that is written for the first time since that checkpoint, before
//! anything of that log counts as durable. A start-up after a crash opens only what the two name; with a journal that is
//! gone or damaged it opens every log.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use crate::model::id::TopicId;
use crate::storage::checkpoint::{self, read_raw};
use crate::storage::disk::Mode;
use crate::storage::{Disk, DiskFile, StorageError};

const CHECKPOINT: &str = "klog-checkpoint";
pub(super) const JOURNAL: &str = "klog-dirty";
const KIND: [u8; 4] = *b"logs";
const VERSION: u16 = 1;
const FLAG_DIRTY: u8 = 1;
const FLAG_PRODUCERS: u8 = 2;
const FLAG_TRANSACTIONS: u8 = 4;

/// What the checkpoint knows of one log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::storage) struct Entry {
    pub(in crate::storage) topic_id: TopicId,
    pub(in crate::storage) log_start: i64,
    /// Below this offset everything is on disk: batches, indexes of closed segments, time index.
    pub(in crate::storage) recovery_point: i64,
    /// Whether there may be more behind the recovery point.
    pub(in crate::storage) dirty: bool,
    /// Whether idempotent producers are remembered (if not, their state needs no replay).
    pub(in crate::storage) producers: bool,
    /// Whether a transaction is open at the recovery point: the log is loaded at once then.
    pub(in crate::storage) transactions: bool,
}

#[derive(Debug)]
pub(super) struct Book {
    entries: BTreeMap<String, Entry>,
    /// Logs without an entry that were noted dirty.
    changed: bool,
    all_dirty: bool,
    noted: Vec<String>,
    journal: Option<Arc<dyn DiskFile>>,
    journal_len: u64,
    journal_unsynced: bool,
}

impl Book {
    /// Reads both files. Without a checkpoint that can be read, every log counts as dirty from its start.
    pub(super) fn open(disk: &Arc<dyn Disk>, folder: &Path, clean: bool) -> Result<Self, StorageError> {
        let stored = match checkpoint::read(disk.as_ref(), &folder.join(CHECKPOINT), KIND) {
            Ok(stored) => stored,
            Err(StorageError::BadFile { .. }) => None,
            Err(error) => return Err(error),
        };
        if stored.as_ref().is_some_and(|(version, _)| *version > VERSION) {
            let reason = "it is of a later version of klog";
            return Err(StorageError::BadFile { path: folder.join(CHECKPOINT), reason });
        }
        let entries = stored.filter(|(version, _)| *version == VERSION).and_then(|(_, bytes)| decode(&bytes));
        let mut book = Self {
            all_dirty: entries.is_none(),
            entries: entries.unwrap_or_default(),
            changed: false,
            noted: Vec::new(),
            journal: None,
            journal_len: 0,
            journal_unsynced: false,
        };
        let journal = read_raw(disk.as_ref(), &folder.join(JOURNAL))?;
        let (names, len) = read_journal(journal.as_deref().unwrap_or_default());
        book.journal_len = len;
        // It is there from the first write on and is never removed. What follows its last whole name may be a torn one,
        // of a log that nothing counts on yet, or damage.
        let believed = journal.is_some_and(|journal| journal.len() as u64 == len);
        if !clean && len > 0 {
            // A process that was killed may have left it unsynced, and its logs count on being named in it.
            let path = folder.join(JOURNAL);
            let sync = || disk.open(&path, Mode::Write)?.sync().and_then(|()| disk.sync_dir(folder));
            sync().map_err(StorageError::io("syncing", &path))?;
        }
        if clean {
            for entry in book.entries.values_mut() {
                entry.dirty = false;
            }
        } else if !believed {
            for entry in book.entries.values_mut() {
                entry.dirty = true;
            }
        } else {
            for name in names {
                if let Some(entry) = book.entries.get_mut(&name) {
                    entry.dirty = true;
                }
            }
        }
        Ok(book)
    }

    /// Whether the log has to be recovered when it is opened. One that the checkpoint does not know has.
    pub(super) fn is_dirty(&self, name: &str) -> bool {
        self.all_dirty || self.entries.get(name).is_none_or(|entry| entry.dirty)
    }

    pub(super) fn entry(&self, name: &str) -> Option<Entry> {
        self.entries.get(name).copied()
    }

    pub(super) fn set(&mut self, name: &str, entry: Entry) {
        if self.entries.get(name) != Some(&entry) {
            self.entries.insert(name.to_owned(), entry);
            self.changed = true;
        }
        if !entry.dirty {
            self.noted.retain(|noted| noted != name);
        }
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.changed |= self.entries.remove(name).is_some();
    }

    pub(super) fn note_dirty(
        &mut self,
        disk: &dyn Disk,
        folder: &Path,
        name: &str,
    ) -> Result<(), StorageError> {
        let path = folder.join(JOURNAL);
        let mut append = || -> io::Result<()> {
            let file = match &self.journal {
                Some(file) => Arc::clone(file),
                None => {
                    let file = disk.open(&path, Mode::Create)?;
                    file.set_len(self.journal_len)?;
                    disk.sync_dir(folder)?;
                    self.journal = Some(Arc::clone(&file));
                    file
                }
            };
            let record = journal_record(name);
            file.write_vectored_at(&[IoSlice::new(&record)], self.journal_len)?;
            self.journal_len += record.len() as u64;
            self.journal_unsynced = true;
            Ok(())
        };
        append().map_err(StorageError::io("writing", &path))?;
        if let Some(entry) = self.entries.get_mut(name) {
            entry.dirty = true;
        }
        self.noted.push(name.to_owned());
        Ok(())
    }

    /// The journal's file if it has names that are not synced; the caller syncs it outside of the lock.
    pub(super) fn unsynced_journal(&mut self) -> Option<Arc<dyn DiskFile>> {
        std::mem::take(&mut self.journal_unsynced).then(|| self.journal.clone()).flatten()
    }

    pub(super) fn journal_failed(&mut self) {
        self.journal_unsynced = true;
    }

    /// Replaces the checkpoint if anything changed, then begins the journal anew: every dirty log has its flag by then.
    pub(super) fn write(&mut self, disk: &dyn Disk, folder: &Path) -> Result<(), StorageError> {
        if !self.changed && self.noted.is_empty() && !self.all_dirty {
            return Ok(());
        }
        checkpoint::replace(disk, &folder.join(CHECKPOINT), KIND, VERSION, &encode(&self.entries))?;
        self.changed = false;
        // Logs without an entry count as dirty as long as they have none, journal or not.
        self.noted.clear();
        self.all_dirty = false;
        let path = folder.join(JOURNAL);
        if self.journal.is_none() && self.journal_len > 0 {
            self.journal = Some(disk.open(&path, Mode::Write).map_err(StorageError::io("opening", &path))?);
        }
        if let Some(file) = &self.journal {
            file.set_len(0).map_err(StorageError::io("cutting", &path))?;
            self.journal_len = 0;
            self.journal_unsynced = false;
        }
        Ok(())
    }
}

/// Takes a log out of the checkpoint of a folder that no daemon holds: it is recovered when it is opened next, and
/// nothing that is remembered of it counts.
pub(in crate::storage) fn forget(disk: &dyn Disk, folder: &Path, name: &str) -> Result<(), StorageError> {
    let path = folder.join(CHECKPOINT);
    let stored = match checkpoint::read(disk, &path, KIND) {
        // Without one that can be read, every log is recovered anyway.
        Err(StorageError::BadFile { .. }) => None,
        done => done?,
    };
    let entries = stored.filter(|(version, _)| *version == VERSION).and_then(|(_, bytes)| decode(&bytes));
    let Some(mut entries) = entries else { return Ok(()) };
    if entries.remove(name).is_none() {
        return Ok(());
    }
    checkpoint::replace(disk, &path, KIND, VERSION, &encode(&entries))
}

fn encode(entries: &BTreeMap<String, Entry>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(4 + entries.len() * 64);
    bytes.extend_from_slice(&(entries.len() as u32).to_be_bytes());
    for (name, entry) in entries {
        bytes.extend_from_slice(&(name.len() as u16).to_be_bytes());
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(&entry.topic_id.0);
        bytes.extend_from_slice(&entry.log_start.to_be_bytes());
        bytes.extend_from_slice(&entry.recovery_point.to_be_bytes());
        let flags = [
            (entry.dirty, FLAG_DIRTY),
            (entry.producers, FLAG_PRODUCERS),
            (entry.transactions, FLAG_TRANSACTIONS),
        ];
        bytes.push(flags.iter().filter(|(set, _)| *set).map(|(_, flag)| flag).sum());
    }
    bytes
}

fn decode(bytes: &[u8]) -> Option<BTreeMap<String, Entry>> {
    let (count, mut rest) = bytes.split_first_chunk::<4>()?;
    let mut entries = BTreeMap::new();
    for _ in 0..u32::from_be_bytes(*count) {
        let (len, after) = rest.split_first_chunk::<2>()?;
        let (name, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        let (id, after) = after.split_first_chunk::<16>()?;
        let (log_start, after) = after.split_first_chunk::<8>()?;
        let (recovery_point, after) = after.split_first_chunk::<8>()?;
        let (flags, after) = after.split_first()?;
        rest = after;
        let entry = Entry {
            topic_id: TopicId(*id),
            log_start: i64::from_be_bytes(*log_start),
            recovery_point: i64::from_be_bytes(*recovery_point),
            dirty: flags & FLAG_DIRTY != 0,
            producers: flags & FLAG_PRODUCERS != 0,
            transactions: flags & FLAG_TRANSACTIONS != 0,
        };
        entries.insert(String::from_utf8(name.to_vec()).ok()?, entry);
    }
    Some(entries)
}

fn journal_record(name: &str) -> Vec<u8> {
    let mut record = (name.len() as u16).to_be_bytes().to_vec();
    record.extend_from_slice(name.as_bytes());
    let crc = crc32fast::hash(&record);
    record.extend_from_slice(&crc.to_be_bytes());
    record
}

/// The names in a journal up to its first half record, and how many bytes those take.
pub(super) fn read_journal(bytes: &[u8]) -> (Vec<String>, u64) {
    let mut names = Vec::new();
    let mut rest = bytes;
    while let Some((name, after)) = read_record(rest) {
        names.push(name);
        rest = after;
    }
    (names, (bytes.len() - rest.len()) as u64)
}

fn read_record(bytes: &[u8]) -> Option<(String, &[u8])> {
    let len = usize::from(u16::from_be_bytes(*bytes.first_chunk::<2>()?));
    let (record, rest) = bytes.split_at_checked(2 + len)?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    if len == 0 || crc32fast::hash(record) != u32::from_be_bytes(*crc) {
        return None;
    }
    Some((String::from_utf8(record.get(2..)?.to_vec()).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_and_journal_come_back() {
        let entry = Entry {
            topic_id: TopicId([7; 16]),
            log_start: 1,
            recovery_point: 9,
            dirty: true,
            producers: true,
            transactions: false,
        };
        let entries = BTreeMap::from([
            ("a-0".to_owned(), entry),
            ("b-1".to_owned(), Entry { dirty: false, transactions: true, ..entry }),
        ]);
        let bytes = encode(&entries);
        assert_eq!(decode(&bytes), Some(entries));
        assert_eq!(decode(&bytes[..bytes.len() - 1]), None);

        let mut journal = journal_record("a-0");
        journal.extend_from_slice(&journal_record("b-1"));
        let whole = journal.len();
        journal.extend_from_slice(&journal_record("c-2")[..4]);
        assert_eq!(read_journal(&journal), (vec!["a-0".to_owned(), "b-1".to_owned()], whole as u64));
        assert_eq!(read_journal(&[0; 32]), (vec![], 0));
    }
}
