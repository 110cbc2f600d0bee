//! What was written and what its reader took, as offsets: a position moves only over records that were delivered.

use std::collections::VecDeque;

use crate::model::id::TopicPartition;

/// Marks kept before those that must have been delivered are looked for.
const MANY: usize = 1 << 16;

/// Positions of the partitions that were read.
#[derive(Debug, Default)]
pub struct Ledger {
    slots: Vec<Slot>,
    /// Records in the order written, the oldest first; empty where everything written counts as delivered.
    marks: VecDeque<Mark>,
}

#[derive(Debug)]
struct Slot {
    partition: TopicPartition,
    /// Read by this process now.
    held: bool,
    /// The offset after the last record written (into the output buffer at least); -1 for none.
    written: i64,
    /// The offset after the last record delivered; -1 for none.
    delivered: i64,
    /// What was committed last; -1 for nothing yet.
    committed: i64,
}

#[derive(Debug, Clone, Copy)]
struct Mark {
    /// Output bytes up to the record's end, counted from the start.
    end: u64,
    slot: u32,
    /// The offset after it.
    next: i64,
}

impl Ledger {
    /// The slot of a partition, made on first use.
    pub fn slot(&mut self, partition: &TopicPartition) -> u32 {
        let found = self.slots.iter().position(|slot| slot.partition == *partition);
        let at = found.unwrap_or_else(|| {
            let partition = partition.clone();
            self.slots.push(Slot { partition, held: false, written: -1, delivered: -1, committed: -1 });
            self.slots.len() - 1
        });
        at as u32
    }

    /// A partition is read from `offset` on; what was said about it before is forgotten.
    pub fn hold(&mut self, partition: &TopicPartition, offset: i64) {
        let at = self.slot(partition);
        self.marks.retain(|mark| mark.slot != at);
        if let Some(slot) = self.slots.get_mut(at as usize) {
            (slot.held, slot.written, slot.delivered, slot.committed) = (true, offset, -1, -1);
        }
    }

    /// Reading begins at `offset` by a decision that is to be kept: it counts as delivered up to there.
    pub fn begin_at(&mut self, partition: &TopicPartition, offset: i64) {
        let at = self.slot(partition);
        if let Some(slot) = self.slots.get_mut(at as usize) {
            slot.delivered = offset;
        }
    }

    /// A partition is no longer read: it is committed no more. Gives the offset after the last record written.
    pub fn release(&mut self, partition: &TopicPartition) -> Option<i64> {
        let at = self.slot(partition);
        let slot = self.slots.get_mut(at as usize)?;
        let was_held = std::mem::replace(&mut slot.held, false);
        (was_held && slot.written >= 0).then_some(slot.written)
    }

    /// Output up to byte `end` carries a slot's records before offset `next`.
    #[inline]
    pub fn wrote(&mut self, slot: u32, end: u64, next: i64) {
        match self.marks.back_mut() {
            Some(last) if last.slot == slot && last.end == end => last.next = next,
            _ => self.marks.push_back(Mark { end, slot, next }),
        }
        if let Some(slot) = self.slots.get_mut(slot as usize) {
            slot.written = next;
        }
    }

    /// As [`Ledger::wrote`], where writing is delivering.
    pub fn wrote_and_delivered(&mut self, slot: u32, next: i64) {
        if let Some(slot) = self.slots.get_mut(slot as usize) {
            (slot.written, slot.delivered) = (next, next);
        }
    }

    /// The reader took the first `bytes` bytes of the output.
    pub fn settle(&mut self, bytes: u64) {
        while let Some(mark) = self.marks.front().filter(|mark| mark.end <= bytes).copied() {
            self.marks.pop_front();
            if let Some(slot) = self.slots.get_mut(mark.slot as usize) {
                slot.delivered = mark.next;
            }
        }
    }

    /// Whether so many records are open that it is worth settling what must have been taken.
    #[inline]
    pub fn is_long(&self) -> bool {
        self.marks.len() >= MANY
    }

    /// The end of the record that holds output byte `at`, or `at` where a record begins there.
    pub fn boundary(&self, at: u64) -> Option<u64> {
        let after = self.marks.partition_point(|mark| mark.end < at);
        self.marks.get(after).map(|mark| mark.end)
    }

    /// Delivered positions that are not committed yet.
    pub fn uncommitted(&self) -> Vec<(TopicPartition, i64)> {
        let open = |slot: &&Slot| slot.held && slot.delivered >= 0 && slot.delivered != slot.committed;
        self.slots.iter().filter(open).map(|slot| (slot.partition.clone(), slot.delivered)).collect()
    }

    /// These were committed.
    pub fn committed(&mut self, offsets: &[(TopicPartition, i64)]) {
        for (partition, offset) in offsets {
            let at = self.slot(partition);
            if let Some(slot) = self.slots.get_mut(at as usize) {
                slot.committed = *offset;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(index: i32) -> TopicPartition {
        TopicPartition::new("t", index)
    }

    #[test]
    fn only_whole_delivered_records_count() {
        let mut ledger = Ledger::default();
        ledger.hold(&partition(0), 10);
        ledger.hold(&partition(1), 0);
        let (a, b) = (ledger.slot(&partition(0)), ledger.slot(&partition(1)));
        ledger.wrote(a, 5, 11);
        ledger.wrote(a, 9, 12);
        ledger.wrote(b, 20, 1);
        assert_eq!(ledger.uncommitted(), []);
        ledger.settle(4);
        assert_eq!(ledger.uncommitted(), []);
        ledger.settle(8);
        assert_eq!(ledger.uncommitted(), [(partition(0), 11)]);
        ledger.settle(20);
        assert_eq!(ledger.uncommitted(), [(partition(0), 12), (partition(1), 1)]);
        ledger.committed(&[(partition(0), 12)]);
        assert_eq!(ledger.uncommitted(), [(partition(1), 1)]);
    }

    #[test]
    fn gaps_at_the_end_of_a_chunk_move_with_its_last_record() {
        let mut ledger = Ledger::default();
        ledger.hold(&partition(0), 0);
        let slot = ledger.slot(&partition(0));
        ledger.wrote(slot, 5, 1);
        ledger.wrote(slot, 5, 9);
        ledger.settle(4);
        assert_eq!(ledger.uncommitted(), []);
        ledger.settle(5);
        assert_eq!(ledger.uncommitted(), [(partition(0), 9)]);
        // A chunk of markers only, when all before it was taken.
        ledger.wrote(slot, 5, 12);
        ledger.settle(5);
        assert_eq!(ledger.uncommitted(), [(partition(0), 12)]);
    }

    #[test]
    fn a_partition_given_away_is_committed_no_more_and_remembered() {
        let mut ledger = Ledger::default();
        ledger.hold(&partition(0), 3);
        let slot = ledger.slot(&partition(0));
        ledger.wrote(slot, 5, 4);
        ledger.settle(5);
        assert_eq!(ledger.release(&partition(0)), Some(4));
        assert_eq!(ledger.release(&partition(0)), None);
        assert_eq!(ledger.uncommitted(), []);
        ledger.hold(&partition(0), 4);
        assert_eq!(ledger.uncommitted(), []);
        assert_eq!(ledger.release(&partition(1)), None);
    }

    #[test]
    fn marks_of_an_earlier_holding_do_not_move_the_new_one() {
        let mut ledger = Ledger::default();
        ledger.hold(&partition(0), 0);
        let slot = ledger.slot(&partition(0));
        ledger.wrote(slot, 5, 100);
        ledger.release(&partition(0));
        ledger.hold(&partition(0), 50);
        ledger.settle(5);
        assert_eq!(ledger.uncommitted(), []);
    }

    #[test]
    fn boundaries_are_ends_of_records() {
        let mut ledger = Ledger::default();
        ledger.hold(&partition(0), 0);
        let slot = ledger.slot(&partition(0));
        for (end, next) in [(5, 1), (9, 2), (20, 3)] {
            ledger.wrote(slot, end, next);
        }
        assert_eq!([3, 5, 6, 10, 20].map(|at| ledger.boundary(at)), [5, 5, 9, 20, 20].map(Some));
        assert_eq!(ledger.boundary(21), None);
    }
}
