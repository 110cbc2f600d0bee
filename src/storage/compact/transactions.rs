//! What became of the transactions of a log, by its batch headers and markers: which batches belong to aborted ones, and
//! which markers still end something. It reads no files.
//!
//! As Kafka's cleaner does: an aborted transaction's records go; a marker stays as long as any batch of its transaction
//! is there (also one without records), and for the delete horizon after that.

use std::collections::HashMap;

use crate::record::BatchHeader;

/// A transaction that was aborted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::storage) struct Aborted {
    pub(in crate::storage) producer_id: i64,
    pub(in crate::storage) first_offset: i64,
    /// The marker's offset.
    pub(in crate::storage) last_offset: i64,
}

/// The first walk: finds the aborted transactions, and what is still open where the walk ends.
#[derive(Debug, Default)]
pub(in crate::storage) struct Survey {
    open: HashMap<i64, i64>,
    aborted: Vec<Aborted>,
    /// The first offset of a transaction whose end may lie in a gap.
    unsure: Option<i64>,
}

impl Survey {
    /// A batch that holds data.
    pub(in crate::storage) fn data(&mut self, header: &BatchHeader) {
        if header.is_transactional() && header.has_producer_id() {
            self.open.entry(header.producer_id).or_insert(header.base_offset);
        }
    }

    /// A marker that commits or aborts.
    pub(in crate::storage) fn marker(&mut self, header: &BatchHeader, commits: bool) {
        let Some(first_offset) = self.open.remove(&header.producer_id) else { return };
        if !commits {
            self.aborted.push(Aborted {
                producer_id: header.producer_id,
                first_offset,
                last_offset: header.base_offset,
            });
        }
    }

    /// Batches that can not be read: a marker among them may have ended, either way, whatever is open here, and the
    /// next one of the same producer would be taken for it.
    pub(in crate::storage) fn gap(&mut self) {
        self.unsure = self.first_open();
    }

    /// The first offset of a transaction that no marker is known to have ended: nothing from there on can be judged.
    pub(in crate::storage) fn first_open(&self) -> Option<i64> {
        self.open.values().copied().chain(self.unsure).min()
    }

    /// The aborted transactions, by their first offset.
    pub(in crate::storage) fn into_aborted(mut self) -> Vec<Aborted> {
        self.aborted.sort_unstable_by_key(|aborted| aborted.first_offset);
        self.aborted
    }
}

/// What a marker still ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::storage) enum Ends {
    /// Nothing that is there any more.
    Nothing,
    /// A transaction of which a batch was seen.
    Something,
    /// As that, and it was aborted: the `.txnindex` keeps its entry.
    AbortedOne,
}

/// A later walk over the same batches, from the start and in order.
#[derive(Debug)]
pub(in crate::storage) struct Tracker<'s> {
    coming: std::slice::Iter<'s, Aborted>,
    next: Option<Aborted>,
    /// By producer: whether a batch was seen.
    aborted: HashMap<i64, bool>,
    committed: HashMap<i64, ()>,
}

impl<'s> Tracker<'s> {
    pub(in crate::storage) fn new(aborted: &'s [Aborted]) -> Self {
        let mut coming = aborted.iter();
        let next = coming.next().copied();
        Self { coming, next, aborted: HashMap::new(), committed: HashMap::new() }
    }

    /// Whether the batch belongs to a transaction that was aborted.
    pub(in crate::storage) fn is_aborted(&mut self, header: &BatchHeader) -> bool {
        if !header.is_transactional() || !header.has_producer_id() {
            return false;
        }
        self.begin_up_to(header.last_offset());
        if let Some(seen) = self.aborted.get_mut(&header.producer_id) {
            *seen = true;
            return true;
        }
        self.committed.insert(header.producer_id, ());
        false
    }

    /// What the marker ends.
    pub(in crate::storage) fn marker(&mut self, header: &BatchHeader, commits: bool) -> Ends {
        self.begin_up_to(header.last_offset());
        let id = header.producer_id;
        let (seen, ends) = if commits {
            (self.committed.remove(&id).is_some(), Ends::Something)
        } else {
            (self.aborted.remove(&id) == Some(true), Ends::AbortedOne)
        };
        if seen { ends } else { Ends::Nothing }
    }

    fn begin_up_to(&mut self, offset: i64) {
        while let Some(aborted) = self.next.filter(|aborted| aborted.first_offset <= offset) {
            self.aborted.entry(aborted.producer_id).or_insert(false);
            self.next = self.coming.next().copied();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(id: i64, offset: i64, count: i32) -> BatchHeader {
        BatchHeader {
            base_offset: offset,
            batch_length: 49,
            leader_epoch: 0,
            crc: 0,
            attributes: 0x10,
            last_offset_delta: count - 1,
            base_timestamp: 0,
            max_timestamp: 0,
            producer_id: id,
            producer_epoch: 0,
            base_sequence: 0,
            count,
        }
    }

    #[test]
    fn interleaved_transactions_are_told_apart() {
        let mut survey = Survey::default();
        // 1: aborted (0..), 2: committed (3..), 1 again: committed, 3: open.
        for (id, offset) in [(1, 0), (2, 3), (1, 6)] {
            survey.data(&header(id, offset, 3));
        }
        survey.marker(&header(1, 9, 1), false);
        survey.marker(&header(2, 10, 1), true);
        survey.data(&header(1, 11, 2));
        survey.data(&header(3, 13, 1));
        survey.marker(&header(1, 14, 1), true);
        assert_eq!(survey.first_open(), Some(13));
        let aborted = survey.into_aborted();
        assert_eq!(aborted, [Aborted { producer_id: 1, first_offset: 0, last_offset: 9 }]);

        let mut tracker = Tracker::new(&aborted);
        assert!(tracker.is_aborted(&header(1, 0, 3)) && !tracker.is_aborted(&header(2, 3, 3)));
        assert!(tracker.is_aborted(&header(1, 6, 3)));
        assert_eq!(tracker.marker(&header(1, 9, 1), false), Ends::AbortedOne);
        assert_eq!(tracker.marker(&header(2, 10, 1), true), Ends::Something);
        assert!(!tracker.is_aborted(&header(1, 11, 2)));
        assert_eq!(tracker.marker(&header(1, 14, 1), true), Ends::Something);
        // Once its batches are gone a marker ends nothing.
        let mut tracker = Tracker::new(&[]);
        assert_eq!(tracker.marker(&header(1, 9, 1), false), Ends::Nothing);
        assert_eq!(tracker.marker(&header(2, 10, 1), true), Ends::Nothing);
    }
}
