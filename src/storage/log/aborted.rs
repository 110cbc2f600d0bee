//! Which aborted transactions a reader must know, from the segments' `.txnindex` files; one that is not as it should be is
//! made anew from the log's own headers and markers.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Core, Log};
use crate::storage::aborted::Entry;
use crate::storage::batches::{Located, marker_at};
use crate::storage::producers::Producers;
use crate::storage::segment::Segment;
use crate::storage::transactions::{AbortedTxn, Transactions};
use crate::storage::{DiskFile, StorageError, checkpoint};

/// Which segments have a `.txnindex`, by their base offsets: nothing else would tell that one is missing. Replaced whole
/// once those files are on disk, before the recovery point moves past them.
pub(super) const LIST: &str = "klog-aborted";
const KIND: [u8; 4] = *b"abrt";
const VERSION: u16 = 1;

impl Log {
    /// The aborted transactions that have batches at or above `from` and below `upto`, by their markers: what a reader of
    /// that range at read_committed leaves out. A range that ends at the last stable offset is covered completely.
    ///
    /// # Errors
    /// `OffsetOutOfRange` below the log start: what was known of the range may be gone with its segment, whatever was
    /// planned before. Those of loading; `Io`.
    pub fn aborted(&self, from: i64, upto: i64) -> Result<Vec<AbortedTxn>, StorageError> {
        let core = self.core()?;
        core.on_segments(|segments| {
            // After the segments were taken: the start is raised before they go.
            let start = self.log_start();
            if from < start {
                return Err(StorageError::OffsetOutOfRange { offset: from, range: start..self.log_end() });
            }
            if !self.any_aborted.load(Ordering::Acquire) {
                return Ok(Vec::new());
            }
            let first = segments.partition_point(|segment| segment.base <= from).saturating_sub(1);
            let mut found = Vec::new();
            for segment in segments.iter().skip(first) {
                let mut collect = |entries: &[Entry]| collect(entries, from, upto, &mut found);
                let complete = match segment.with_aborted(&mut collect)? {
                    Some(complete) => complete,
                    None => collect(&self.rebuild_one(core, segments, segment)?),
                };
                if complete {
                    break;
                }
            }
            Ok(found)
        })
    }

    /// All entries of one segment.
    pub(super) fn aborted_of(&self, core: &Core, segment: &Arc<Segment>) -> Result<Vec<Entry>, StorageError> {
        match segment.with_aborted(<[Entry]>::to_vec)? {
            Some(entries) => Ok(entries),
            None => self.rebuild_one(core, &core.segments(), segment),
        }
    }

    fn rebuild_one(
        &self,
        core: &Core,
        segments: &[Arc<Segment>],
        wanted: &Arc<Segment>,
    ) -> Result<Vec<Entry>, StorageError> {
        self.rebuild_aborted(core, segments, &BTreeSet::from([wanted.base]))?;
        Ok(wanted.with_aborted(<[Entry]>::to_vec)?.unwrap_or_default())
    }

    /// Makes those of the segments with these base offsets anew. Walks the log from its first segment: a transaction may
    /// begin in any before that of its marker.
    pub(super) fn rebuild_aborted(
        &self,
        core: &Core,
        segments: &[Arc<Segment>],
        wanted: &BTreeSet<i64>,
    ) -> Result<(), StorageError> {
        let Some(&last) = wanted.last() else { return Ok(()) };
        self.any_aborted.store(true, Ordering::Release);
        let (mut producers, transactions) = (Producers::default(), Transactions::default());
        for segment in segments.iter().take_while(|segment| segment.base <= last) {
            let mut entries = Vec::new();
            let file = segment.file()?;
            self.each_readable(core, segment, file.as_ref(), |batch| {
                let marker = match batch.header.is_control() {
                    true => marker_at(file.as_ref(), batch)
                        .map_err(StorageError::io("reading", &segment.path("log")))?,
                    false => None,
                };
                let ended = transactions.note(producers.apply(&batch.header, marker, 0));
                entries.extend(ended.and_then(|(ended, stable)| Entry::of(&ended, stable)));
                Ok(())
            })?;
            if wanted.contains(&segment.base) {
                segment.set_aborted(entries, None);
                // On a full disk they stay in memory only: reading must not depend on room to write.
                let _ = segment.write_aborted();
            }
        }
        Ok(())
    }

    /// Gives `each` the batches of a segment. What can not be read is told to whoever reads there: here the walk goes on
    /// behind it, as far as the index knows where.
    fn each_readable(
        &self,
        core: &Core,
        segment: &Arc<Segment>,
        file: &dyn DiskFile,
        mut each: impl FnMut(&Located) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let mut from = 0;
        loop {
            let mut reached = from;
            let walked = self.each_batch(core, segment, file, from, |batch| {
                reached = batch.end();
                each(batch).map(|()| true)
            });
            match walked {
                Err(StorageError::Damaged { .. }) => match self.indexed_behind(segment, reached)? {
                    Some(next) => from = next.position,
                    None => return Ok(()),
                },
                done => return done,
            }
        }
    }

    /// The base offsets of the segments that have, or may have, a `.txnindex`.
    pub(super) fn with_index(&self, core: &Core) -> Option<BTreeSet<i64>> {
        if !self.any_aborted.load(Ordering::Acquire) {
            return None;
        }
        let segments = core.segments();
        let with = segments.iter().filter(|segment| segment.has_aborted());
        Some(with.map(|segment| segment.base).collect())
    }

    /// Replaces the list of the segments that have a `.txnindex`.
    pub(super) fn store_list(&self, bases: &BTreeSet<i64>) -> Result<(), StorageError> {
        let bytes: Vec<u8> = bases.iter().flat_map(|base| base.to_be_bytes()).collect();
        checkpoint::replace(self.folder.disk().as_ref(), &self.dir.join(LIST), KIND, VERSION, &bytes)
    }

    /// Reads it; empty where there is none that can be read: then every file that is there is believed to be all.
    pub(super) fn stored_list(&self) -> Result<BTreeSet<i64>, StorageError> {
        let stored = match checkpoint::read(self.folder.disk().as_ref(), &self.dir.join(LIST), KIND) {
            Err(StorageError::BadFile { .. }) => None,
            done => done?,
        };
        let bytes = stored.filter(|(version, _)| *version == VERSION).map_or(Vec::new(), |(_, bytes)| bytes);
        Ok(bytes.as_chunks().0.iter().map(|raw| i64::from_be_bytes(*raw)).collect())
    }
}

/// Takes the entries that concern the range; whether none behind these can.
fn collect(entries: &[Entry], from: i64, upto: i64, found: &mut Vec<AbortedTxn>) -> bool {
    let first = entries.partition_point(|entry| entry.last_offset < from);
    for entry in entries.iter().skip(first) {
        if entry.first_offset < upto {
            found.push(AbortedTxn { producer_id: entry.producer_id, first_offset: entry.first_offset });
        }
        if entry.stable_offset >= upto {
            return true;
        }
    }
    false
}
