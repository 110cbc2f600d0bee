//! Which aborted transactions a reader must know, from the segments' `.txnindex` files; one that is not as it should be is
//! made anew from the log's own headers and markers.

use std::sync::Arc;

use super::{Core, Log};
use crate::storage::StorageError;
use crate::storage::aborted::Entry;
use crate::storage::batches::marker_at;
use crate::storage::producers::Producers;
use crate::storage::segment::Segment;
use crate::storage::transactions::{AbortedTxn, Transactions};

impl Log {
    /// The aborted transactions that have batches at or above `from` and below `upto`, by their markers: what a reader of
    /// that range at read_committed leaves out. A range that ends at the last stable offset is covered completely.
    ///
    /// # Errors
    /// Those of loading; `Io`.
    pub fn aborted(&self, from: i64, upto: i64) -> Result<Vec<AbortedTxn>, StorageError> {
        let core = self.core()?;
        core.on_segments(|segments| {
            let first = segments.partition_point(|segment| segment.base <= from).saturating_sub(1);
            let mut found = Vec::new();
            for segment in segments.iter().skip(first) {
                let mut collect = |entries: &[Entry]| collect(entries, from, upto, &mut found);
                let complete = match segment.with_aborted(&mut collect)? {
                    Some(complete) => complete,
                    None => collect(&self.rebuild_aborted(core, segments, segment)?),
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
            None => self.rebuild_aborted(core, &core.segments(), segment),
        }
    }

    /// Walks the log from its first segment: a transaction may begin in any before that of its marker.
    pub(super) fn rebuild_aborted(
        &self,
        core: &Core,
        segments: &[Arc<Segment>],
        wanted: &Arc<Segment>,
    ) -> Result<Vec<Entry>, StorageError> {
        let (mut producers, transactions) = (Producers::default(), Transactions::default());
        let mut entries = Vec::new();
        for segment in segments.iter().take_while(|segment| segment.base <= wanted.base) {
            let file = segment.file()?;
            let walked = self.each_batch(core, segment, file.as_ref(), 0, |batch| {
                let marker = match batch.header.is_control() {
                    true => marker_at(file.as_ref(), batch)
                        .map_err(StorageError::io("reading", &segment.path("log")))?,
                    false => None,
                };
                let ended = transactions.note(producers.apply(&batch.header, marker));
                entries.extend(ended.and_then(|(ended, stable)| Entry::of(&ended, stable)));
                Ok(true)
            });
            match walked {
                // What can not be read is told to whoever reads there.
                Err(StorageError::Damaged { .. }) => {}
                done => done?,
            }
        }
        entries.retain(|entry| entry.last_offset >= wanted.base);
        wanted.set_aborted(entries.clone(), None);
        // On a full disk they stay in memory only: reading must not depend on room to write.
        let _ = wanted.write_aborted();
        Ok(entries)
    }
}

/// Takes the entries that concern the range; whether none behind these can.
fn collect(entries: &[Entry], from: i64, upto: i64, found: &mut Vec<AbortedTxn>) -> bool {
    for entry in entries {
        if entry.last_offset >= from && entry.first_offset < upto {
            found.push(AbortedTxn { producer_id: entry.producer_id, first_offset: entry.first_offset });
        }
        if entry.stable_offset >= upto {
            return true;
        }
    }
    false
}
