//! The sealed batches of one partition, in the order of their sequences: what may leave, and what an answer changes;
//! does no I/O.
//!
//! Batches leave in order, several at once. After a failure nothing leaves until every batch under way has its
//! answer; then all that is left goes again from the first, with the sequences it had. The broker knows the last
//! five batches of a producer, so what it had stored already it calls a duplicate.

use super::ordinals::Ordinals;
use crate::record::{Batch, BatchBuilder, Compression, Compressor, Decompressor, ProducerStamp, RecordError};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// Who produces: what InitProducerId gave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) id: i64,
    pub(super) epoch: i16,
    /// Every batch is part of a transaction.
    pub(super) transactional: bool,
}

impl Identity {
    /// Not idempotent.
    pub(super) const NONE: Self = Self { id: -1, epoch: -1, transactional: false };

    /// The stamp of a batch; without an identity there are no sequences either.
    pub(super) fn stamp(self, sequence: i32) -> ProducerStamp {
        let base_sequence = if self.id < 0 { -1 } else { sequence };
        ProducerStamp { id: self.id, epoch: self.epoch, base_sequence, transactional: self.transactional }
    }
}

/// The sequence `count` records after `sequence`; after the largest comes 0.
pub(super) fn sequence_after(sequence: i32, count: i32) -> i32 {
    (sequence.wrapping_add(count)) & i32::MAX
}

/// A batch ready to leave.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) bytes: Bytes,
    pub(super) sequence: i32,
    pub(super) count: i32,
    /// Bytes of keys and values.
    pub(super) content: u64,
    /// When its first record came.
    pub(super) since: Instant,
    pub(super) ordinals: Ordinals,
    /// The ticket of the request it is under way in.
    pub(super) under_way: Option<u64>,
}

/// The batches of one partition.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) batches: VecDeque<Sealed>,
    pub(super) next_sequence: i32,
    pub(super) under_way: usize,
    /// Failures in a row.
    attempts: u32,
    /// Nothing leaves before this.
    not_before: Option<Instant>,
    /// The node that batches under way went to.
    pub(super) node: i32,
    /// The last failure, for the message when time is up.
    pub(super) last_failure: Option<String>,
}

impl Queue {
    /// The first batch that may leave now towards `node`: those before it are all under way.
    pub(super) fn next_to_leave(&self, node: i32, most: usize, now: Instant) -> Option<usize> {
        let moved = self.under_way > 0 && self.node != node;
        if moved || self.under_way >= most || self.not_before.is_some_and(|at| now < at) {
            return None;
        }
        let index = self.batches.iter().position(|batch| batch.under_way.is_none())?;
        // Something behind it is under way still: it failed, and order comes first.
        let behind = self.batches.iter().skip(index).any(|batch| batch.under_way.is_some());
        (!behind).then_some(index)
    }

    /// Notes that a batch leaves.
    pub(super) fn leaves(&mut self, index: usize, node: i32, ticket: u64) -> Option<&Sealed> {
        let batch = self.batches.get_mut(index)?;
        batch.under_way = Some(ticket);
        self.under_way += 1;
        self.node = node;
        Some(batch)
    }

    /// Where the batch of a ticket is.
    pub(super) fn find(&self, ticket: u64) -> Option<usize> {
        self.batches.iter().position(|batch| batch.under_way == Some(ticket))
    }

    /// Takes out a batch that is stored.
    pub(super) fn stored(&mut self, index: usize) -> Option<Sealed> {
        self.under_way = self.under_way.saturating_sub(1);
        self.attempts = 0;
        self.batches.remove(index)
    }

    /// A batch goes back to those that wait. The pause is decided by `pause` of the attempt's number.
    pub(super) fn again(&mut self, index: usize, now: Instant, pause: impl FnOnce(u32) -> Duration) {
        self.under_way = self.under_way.saturating_sub(1);
        if let Some(batch) = self.batches.get_mut(index) {
            batch.under_way = None;
        }
        // Those behind the first that failed fail with it; they are one failure.
        if index == 0 || self.attempts == 0 {
            self.attempts += 1;
            self.not_before = Some(now + pause(self.attempts));
        }
    }

    /// Drops every batch, none of which may be under way; where none was sent, their sequences are free again.
    pub(super) fn clear(&mut self) {
        let next_sequence = self.batches.front().map_or(self.next_sequence, |first| first.sequence);
        *self = Self { next_sequence, node: self.node, ..Self::default() };
    }

    /// When something may leave again that may not now.
    pub(super) fn wakes_at(&self) -> Option<Instant> {
        let waiting = self.batches.iter().any(|batch| batch.under_way.is_none());
        self.not_before.filter(|_| waiting)
    }

    /// The oldest batch that is not under way and came before `limit` ago.
    pub(super) fn overdue(&self, now: Instant, limit: Duration) -> bool {
        self.under_way == 0 && self.batches.front().is_some_and(|first| first.since + limit <= now)
    }

    /// Gives every batch a new identity and sequences from 0. Only while nothing is under way.
    pub(super) fn restamp(&mut self, identity: Identity) {
        self.next_sequence = 0;
        self.attempts = 0;
        for batch in &mut self.batches {
            batch.sequence = self.next_sequence;
            self.next_sequence = sequence_after(self.next_sequence, batch.count);
            let mut bytes = match std::mem::take(&mut batch.bytes).try_into_mut() {
                Ok(own) => own,
                Err(shared) => BytesMut::from(&shared[..]),
            };
            crate::record::set_producer(&mut bytes, identity.stamp(batch.sequence));
            batch.bytes = bytes.freeze();
        }
    }

    /// Puts two halves in the place of a batch that was too large; they keep its sequences. The batch must have two
    /// records or more.
    pub(super) fn split(
        &mut self,
        index: usize,
        identity: Identity,
        compression: Compression,
        inflate_limit: usize,
    ) -> Result<(), RecordError> {
        self.under_way = self.under_way.saturating_sub(1);
        let Some(mut batch) = self.batches.remove(index) else { return Ok(()) };
        let half = batch.count / 2;
        let mut decompressor = Decompressor::new();
        let mut compressor = Compressor::new();
        let whole = batch.bytes.clone();
        let view = Batch::exactly(&whole)?;
        let mut parts = [(BatchBuilder::new(), 0u64), (BatchBuilder::new(), 0u64)];
        let mut headers = Vec::new();
        for (at, record) in (0..).zip(decompressor.records(&view, inflate_limit)?) {
            let record = record?;
            headers.clear();
            headers.extend(record.headers);
            let [first, second] = &mut parts;
            let (builder, content) = if at < half { first } else { second };
            builder.push(record.timestamp, record.key, record.value, &headers);
            *content += (record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len)) as u64;
        }
        let tail = batch.ordinals.split_off(half as u32);
        let mut sequence = batch.sequence;
        for (place, ((mut builder, content), ordinals)) in
            parts.into_iter().zip([batch.ordinals, tail]).enumerate()
        {
            let count = builder.count();
            let bytes = builder.finish(identity.stamp(sequence), compression, &mut compressor)?.into();
            let (since, under_way) = (batch.since, None);
            let sealed = Sealed { bytes, sequence, count, content, since, ordinals, under_way };
            self.batches.insert(index + place, sealed);
            sequence = sequence_after(sequence, count);
        }
        // What is under way behind it fails for the gap and comes again in order.
        self.attempts = self.attempts.max(1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(values: &[&[u8]], sequence: i32) -> Sealed {
        let mut builder = BatchBuilder::new();
        let mut ordinals = Ordinals::default();
        for (at, value) in (0u64..).zip(values) {
            builder.push(1, None, Some(value), &[]);
            ordinals.add(at as u32, 100 + at);
        }
        let stamp = Identity { id: 7, epoch: 0, transactional: false }.stamp(sequence);
        Sealed {
            bytes: builder.finish_plain(stamp).unwrap().into(),
            sequence,
            count: values.len() as i32,
            content: 0,
            since: Instant::now(),
            ordinals,
            under_way: None,
        }
    }

    fn queue(batches: i32) -> Queue {
        let mut queue = Queue::default();
        for at in 0..batches {
            queue.batches.push_back(sealed(&[b"x"], at));
        }
        queue.next_sequence = batches;
        queue
    }

    fn send(queue: &mut Queue, now: Instant, tickets: std::ops::Range<u64>) -> Vec<i32> {
        let mut out = Vec::new();
        for ticket in tickets {
            let Some(index) = queue.next_to_leave(1, 5, now) else { break };
            out.push(queue.leaves(index, 1, ticket).unwrap().sequence);
        }
        out
    }

    #[test]
    fn five_leave_in_order_and_after_a_failure_all_again_from_the_first() {
        let mut queue = queue(7);
        let now = Instant::now();
        assert_eq!(send(&mut queue, now, 0..9), [0, 1, 2, 3, 4]);
        let second = queue.find(1).unwrap();
        queue.stored(queue.find(0).unwrap());
        queue.again(second - 1, now, |_| Duration::ZERO);
        assert!(send(&mut queue, now, 10..20).is_empty(), "others are still under way");
        for ticket in [2, 3, 4] {
            let index = queue.find(ticket).unwrap();
            queue.again(index, now, |_| Duration::ZERO);
        }
        assert_eq!(send(&mut queue, now, 20..30), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn nothing_goes_to_another_node_while_the_old_one_owes_answers_nor_before_the_pause_is_over() {
        let mut queue = queue(3);
        let now = Instant::now();
        send(&mut queue, now, 0..1);
        assert_eq!(queue.next_to_leave(2, 5, now), None);
        queue.again(0, now, |attempt| Duration::from_secs(u64::from(attempt)));
        assert_eq!(queue.next_to_leave(2, 5, now), None);
        assert_eq!(queue.wakes_at(), Some(now + Duration::from_secs(1)));
        assert_eq!(queue.next_to_leave(2, 5, now + Duration::from_secs(1)), Some(0));
    }

    #[test]
    fn sequences_go_around_after_the_largest() {
        assert_eq!(sequence_after(5, 3), 8);
        assert_eq!(sequence_after(i32::MAX - 1, 3), 1);
        assert_eq!(sequence_after(i32::MAX, 1), 0);
    }

    #[test]
    fn halves_keep_records_sequences_and_ordinals() {
        let mut queue = Queue::default();
        queue.batches.push_back(sealed(&[b"a", b"b", b"c"], 40));
        queue.batches.push_back(sealed(&[b"d"], 43));
        queue.leaves(0, 1, 1);
        queue
            .split(0, Identity { id: 7, epoch: 0, transactional: false }, Compression::NONE, 1 << 20)
            .unwrap();
        let facts: Vec<_> = queue.batches.iter().map(|batch| (batch.sequence, batch.count)).collect();
        assert_eq!(facts, [(40, 1), (41, 2), (43, 1)]);
        assert_eq!(queue.batches[1].ordinals.of(1), 102);
        let view = Batch::exactly(&queue.batches[1].bytes).unwrap();
        assert!(view.crc_ok());
        let values: Vec<_> =
            view.records().unwrap().map(|record| record.unwrap().value.unwrap().to_vec()).collect();
        assert_eq!(values, [b"b", b"c"]);
    }

    #[test]
    fn what_is_dropped_unsent_leaves_no_gap_in_the_sequence() {
        let mut queue = queue(3);
        queue.stored(0);
        queue.clear();
        assert_eq!((queue.next_sequence, queue.batches.len()), (1, 0));
        queue.clear();
        assert_eq!(queue.next_sequence, 1);
    }

    #[test]
    fn a_new_identity_begins_all_sequences_at_zero() {
        let mut queue = queue(3);
        queue.batches.pop_front();
        queue.restamp(Identity { id: 9, epoch: 2, transactional: false });
        let headers: Vec<_> =
            queue.batches.iter().map(|batch| Batch::exactly(&batch.bytes).unwrap().header()).collect();
        assert_eq!(headers.iter().map(|header| header.base_sequence).collect::<Vec<_>>(), [0, 1]);
        assert!(headers.iter().all(|header| (header.producer_id, header.producer_epoch) == (9, 2)));
        assert_eq!(queue.next_sequence, 2);
        assert!(queue.batches.iter().all(|batch| Batch::exactly(&batch.bytes).unwrap().crc_ok()));
    }
}
