//! Fetched batches of one partition, whole and in order; checked while being visited, never copied.

use crate::client::ClientError;
use crate::model::id::TopicPartition;
use crate::record::{Batch, BatchHeader, ControlMarker, Decompressor, Record, RecordError};
use crate::wire::messages::fetch::PartitionData;
use bytes::Bytes;
use std::collections::{HashSet, VecDeque};
use std::ops::ControlFlow;

/// The most that one batch may inflate to, bytes.
const INFLATE_LIMIT: usize = 1 << 30;

/// Fetched batches of one partition.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// Where they come from.
    pub partition: TopicPartition,
    records: Bytes,
    start: i64,
    pub(super) next: i64,
    high_watermark: i64,
    /// Aborted transactions as producer id and first offset, by first offset; empty when uncommitted is read.
    aborted: Vec<(i64, i64)>,
    check_crcs: bool,
}

/// The end of a transaction, as it lies in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marker {
    /// Its offset, which no record has.
    pub offset: i64,
    /// When it was written, ms since 1970.
    pub timestamp: i64,
    /// The producer whose transaction it ends.
    pub producer_id: i64,
    /// That producer's epoch.
    pub producer_epoch: i16,
    /// Committed, or aborted.
    pub committed: bool,
    /// Epoch of the coordinator that wrote it.
    pub coordinator_epoch: i32,
}

/// What lies in fetched bytes, by the headers alone.
#[derive(Debug, PartialEq, Eq)]
struct Span {
    /// Bytes of whole batches.
    bytes: usize,
    /// The offset after the last of them.
    next: i64,
}

/// Measures the whole batches of `bytes`; `None` when there is none.
fn span(bytes: &[u8]) -> Result<Option<Span>, String> {
    let mut rest = bytes;
    let mut found = None;
    loop {
        let (batch, behind) = match Batch::split_first(rest) {
            Ok(Some(split)) => split,
            // What is before damage is given; who asks from there on is told of it.
            Err(error) if found.is_none() => return Err(error.to_string()),
            Ok(None) | Err(_) => break,
        };
        let delta = i64::from(batch.last_offset_delta());
        let next = batch.base_offset().checked_add(delta).and_then(|last| last.checked_add(1));
        let next = next.filter(|_| batch.base_offset() >= 0 && delta >= 0);
        let next = match (next, &found) {
            (Some(next), _) => next,
            (None, Some(_)) => break,
            (None, None) => return Err("a batch has offsets that no log can have".to_owned()),
        };
        found = Some(Span { bytes: bytes.len() - behind.len(), next });
        rest = behind;
    }
    Ok(found)
}

impl Chunk {
    /// What a broker's answer about one partition holds for a reader that `asked` from the first offset on, up to the
    /// second where there is one, and the offset to fetch from next; `None` where it holds nothing new. Aborted
    /// transactions are passed over where only `committed` records are read.
    ///
    /// # Errors
    /// [`ClientError::Corrupt`] when the bytes are no batches by their headers.
    pub fn fetched(
        partition: &TopicPartition,
        asked: (i64, Option<i64>),
        data: PartitionData,
        committed: bool,
        check_crcs: bool,
    ) -> Result<Option<(Chunk, i64)>, ClientError> {
        let (start, stop) = asked;
        let corrupt = |reason| ClientError::Corrupt { partition: partition.clone(), offset: start, reason };
        let records = data.records.unwrap_or_default();
        let Some(found) = span(&records).map_err(corrupt)? else {
            return match records.is_empty() {
                true => Ok(None),
                false => Err(corrupt("the broker sent no whole batch".to_owned())),
            };
        };
        // An answer may begin with a batch from before the position; one that ends before it too moves nothing.
        if found.next <= start {
            return Ok(None);
        }
        let next = stop.map_or(found.next, |stop| found.next.min(stop)).max(start);
        let mut aborted: Vec<(i64, i64)> = data
            .aborted_transactions
            .unwrap_or_default()
            .into_iter()
            .filter(|_| committed)
            .map(|one| (one.producer_id, one.first_offset))
            .collect();
        aborted.sort_by_key(|&(_, first)| first);
        let chunk = Chunk {
            partition: partition.clone(),
            records: records.slice(..found.bytes),
            start,
            next,
            high_watermark: data.high_watermark,
            aborted,
            check_crcs,
        };
        Ok(Some((chunk, found.next.max(next))))
    }

    /// Calls `each` for every record the reader may see, from `from` on, until it breaks. Returns the offset to go
    /// on from: after the last record visited, or after the whole chunk (gaps and control batches included).
    ///
    /// # Errors
    /// [`ClientError::Corrupt`], after the records before the damage were visited.
    #[inline]
    pub fn visit(
        &self,
        from: i64,
        decompressor: &mut Decompressor,
        mut each: impl FnMut(&BatchHeader, Record<'_>) -> ControlFlow<()>,
    ) -> Result<i64, ClientError> {
        let mut rest: &[u8] = &self.records;
        let mut transactions = Transactions::new(&self.aborted);
        let from = from.max(self.start);
        loop {
            let split = Batch::split_first(rest).map_err(|error| self.corrupt(from, &error))?;
            let Some((batch, behind)) = split else { return Ok(self.next) };
            rest = behind;
            let header = batch.header();
            let damaged = |error: RecordError| self.corrupt(header.base_offset, &error);
            // Before anything that the batch says of itself is believed. What lies before the place where a visit goes
            // on was checked by the one before it; markers are again, for what they hide begins anew with every visit.
            let passed = header.last_offset() < from;
            let unchecked = !passed || from == self.start || header.is_control();
            if self.check_crcs && unchecked && !batch.crc_ok() {
                if header.base_offset >= self.next {
                    // Behind where the reader stops: nobody asked for it.
                    return Ok(self.next);
                }
                let (stored, computed) = (header.crc, batch.computed_crc());
                return Err(damaged(RecordError::BadCrc { stored, computed }));
            }
            if !transactions.visible(&batch, &header) || passed {
                continue;
            }
            for record in decompressor.records(&batch, INFLATE_LIMIT).map_err(damaged)? {
                let record = record.map_err(damaged)?;
                if record.offset < from {
                    continue;
                }
                if record.offset >= self.next {
                    return Ok(self.next);
                }
                let after = record.offset + 1;
                if each(&header, record).is_break() {
                    return Ok(after);
                }
            }
        }
    }

    #[cold]
    fn corrupt(&self, offset: i64, error: &RecordError) -> ClientError {
        ClientError::Corrupt { partition: self.partition.clone(), offset, reason: error.to_string() }
    }

    /// The ends of transactions that lie in the chunk, from `from` on. What can not be read is left out: it ends none.
    pub fn markers(&self, from: i64) -> Vec<Marker> {
        let (mut rest, mut found): (&[u8], _) = (&self.records, Vec::new());
        while let Ok(Some((batch, behind))) = Batch::split_first(rest) {
            rest = behind;
            let header = batch.header();
            if !header.is_control() {
                continue;
            }
            let Some(record) = batch.records().ok().and_then(|mut records| records.next()?.ok()) else {
                continue;
            };
            let (committed, coordinator_epoch) = match ControlMarker::of(&record) {
                Some(ControlMarker::Commit { coordinator_epoch }) => (true, coordinator_epoch),
                Some(ControlMarker::Abort { coordinator_epoch }) => (false, coordinator_epoch),
                _ => continue,
            };
            let marker = Marker {
                offset: record.offset,
                timestamp: record.timestamp,
                producer_id: header.producer_id,
                producer_epoch: header.producer_epoch,
                committed,
                coordinator_epoch,
            };
            if (from.max(self.start)..self.next).contains(&marker.offset) {
                found.push(marker);
            }
        }
        found
    }

    /// The first offset the reader asked for; `visit(chunk.start(), ..)` sees everything.
    pub fn start(&self) -> i64 {
        self.start
    }

    /// The offset after this chunk, gaps and control batches included.
    pub fn next_offset(&self) -> i64 {
        self.next
    }

    /// High watermark of the partition when the chunk was fetched.
    pub fn high_watermark(&self) -> i64 {
        self.high_watermark
    }

    /// Bytes as fetched.
    pub fn bytes(&self) -> usize {
        self.records.len()
    }
}

/// Which producers' batches are part of an aborted transaction at this place of the log (KIP-98).
struct Transactions {
    ahead: VecDeque<(i64, i64)>,
    aborted: HashSet<i64>,
}

impl Transactions {
    fn new(aborted: &[(i64, i64)]) -> Self {
        Self { ahead: aborted.iter().copied().collect(), aborted: HashSet::new() }
    }

    /// Whether the batch's records are for the reader; must see every batch in order.
    fn visible(&mut self, batch: &Batch<'_>, header: &BatchHeader) -> bool {
        while self.ahead.front().is_some_and(|&(_, first)| first <= header.last_offset()) {
            if let Some((producer, _)) = self.ahead.pop_front() {
                self.aborted.insert(producer);
            }
        }
        if header.is_control() {
            let marker = batch.records().ok().and_then(|mut records| records.next()?.ok());
            if matches!(
                marker.and_then(|record| ControlMarker::of(&record)),
                Some(ControlMarker::Abort { .. })
            ) {
                self.aborted.remove(&header.producer_id);
            }
            return false;
        }
        !(header.is_transactional() && self.aborted.contains(&header.producer_id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BatchBuilder, ProducerStamp, crc32c, end_transaction_batch};

    fn at(mut batch: Vec<u8>, offset: i64) -> Vec<u8> {
        batch[..8].copy_from_slice(&offset.to_be_bytes());
        batch
    }

    fn data(offset: i64, values: &[&str], producer: i64, transactional: bool) -> Vec<u8> {
        let mut builder = BatchBuilder::new();
        for value in values {
            builder.push(1, None, Some(value.as_bytes()), &[]);
        }
        let stamp = ProducerStamp { id: producer, epoch: 0, base_sequence: 0, transactional };
        at(builder.finish_plain(stamp).unwrap(), offset)
    }

    fn end(offset: i64, producer: i64, commit: bool) -> Vec<u8> {
        let marker = match commit {
            true => ControlMarker::Commit { coordinator_epoch: 0 },
            false => ControlMarker::Abort { coordinator_epoch: 0 },
        };
        at(end_transaction_batch(producer, 0, marker, 1).unwrap(), offset)
    }

    fn chunk(batches: &[Vec<u8>], start: i64, aborted: &[(i64, i64)]) -> Chunk {
        let records = Bytes::from(batches.concat());
        let next = span(&records).unwrap().unwrap().next;
        let partition = TopicPartition::new("t", 0);
        Chunk {
            partition,
            records,
            start,
            next,
            high_watermark: next,
            aborted: aborted.to_vec(),
            check_crcs: true,
        }
    }

    fn values(chunk: &Chunk) -> (Vec<String>, i64) {
        let mut out = Vec::new();
        let next = chunk.visit(chunk.start(), &mut Decompressor::new(), |_, record| {
            out.push(String::from_utf8(record.value.unwrap().to_vec()).unwrap());
            ControlFlow::Continue(())
        });
        (out, next.unwrap())
    }

    #[test]
    fn aborted_transactions_and_markers_are_passed_over_and_gaps_are_no_trouble() {
        let batches = [
            data(0, &["a", "b"], 1, true),
            data(5, &["c"], 2, true),
            data(6, &["plain"], -1, false),
            end(7, 1, false),
            data(8, &["again"], 1, true),
            end(9, 2, true),
            end(10, 1, true),
        ];
        let found = values(&chunk(&batches, 0, &[(1, 0)]));
        assert_eq!(found, (vec!["c".to_owned(), "plain".to_owned(), "again".to_owned()], 11));
        let markers = chunk(&batches, 0, &[]).markers(8);
        let told: Vec<_> = markers.iter().map(|one| (one.offset, one.producer_id, one.committed)).collect();
        assert_eq!(told, [(9, 2, true), (10, 1, true)]);
        // Uncommitted: everything but the markers.
        assert_eq!(values(&chunk(&batches, 0, &[])).0, ["a", "b", "c", "plain", "again"]);
        assert_eq!(values(&chunk(&batches, 1, &[])).0[0], "b");
    }

    #[test]
    fn an_aborted_list_hides_only_what_lies_in_it_whatever_else_it_holds() {
        let batches = [
            data(0, &["plain"], 1, false),
            data(1, &["a"], 1, true),
            data(2, &["b"], 2, true),
            end(3, 1, false),
            data(4, &["c"], 1, true),
            end(5, 1, true),
            data(6, &["d"], 2, true),
            end(7, 2, true),
        ];
        let seen = |aborted: &[(i64, i64)]| values(&chunk(&batches, 0, aborted)).0;
        assert_eq!(seen(&[(1, 1)]), ["plain", "b", "c", "d"]);
        // The same twice, strangers, what lies behind the chunk.
        assert_eq!(seen(&[(1, 1), (1, 1), (9, 0), (2, 8), (1, i64::MAX)]), ["plain", "b", "c", "d"]);
        // From before the chunk: its first batches were read before.
        assert_eq!(seen(&[(1, i64::MIN)]), ["plain", "b", "c", "d"]);
        // The second transaction of a producer alone.
        assert_eq!(seen(&[(1, 4)]), ["plain", "a", "b", "d"]);
        // A marker of the commit ends nothing that the broker calls aborted.
        assert_eq!(seen(&[(2, 2)]), ["plain", "a", "c"]);
    }

    #[test]
    fn a_marker_that_can_not_be_read_is_passed_over_and_ends_nothing() {
        let mut builder = BatchBuilder::new();
        builder.push(1, Some(b"\0"), Some(b"x"), &[]);
        let stamp = ProducerStamp { id: 1, epoch: 0, base_sequence: -1, transactional: true };
        let mut odd = at(builder.finish_plain(stamp).unwrap(), 1);
        // The control bit, as if it had been written so.
        odd[22] |= 0x20;
        let crc = crc32c(&odd[21..]);
        odd[17..21].copy_from_slice(&crc.to_be_bytes());
        let batches = [data(0, &["a"], 1, true), odd, data(2, &["b"], 1, true), end(3, 1, false)];
        assert_eq!(values(&chunk(&batches, 0, &[(1, 0)])), (Vec::new(), 4));
        assert_eq!(values(&chunk(&batches, 0, &[])), (vec!["a".to_owned(), "b".to_owned()], 4));
    }

    #[test]
    fn a_visit_goes_on_where_it_stopped() {
        let chunk = chunk(&[data(3, &["a", "b"], -1, false), data(5, &["c"], -1, false)], 3, &[]);
        let mut from = chunk.start();
        let mut seen = Vec::new();
        while from < chunk.next_offset() {
            from = chunk
                .visit(from, &mut Decompressor::new(), |header, record| {
                    seen.push((header.base_offset, record.offset));
                    ControlFlow::Break(())
                })
                .unwrap();
        }
        assert_eq!(seen, [(3, 3), (3, 4), (5, 5)]);
    }

    #[test]
    fn nothing_at_or_after_the_stop_is_seen() {
        let mut chunk = chunk(&[data(0, &["a", "b", "c"], -1, false)], 0, &[]);
        chunk.next = 2;
        assert_eq!(values(&chunk), (vec!["a".to_owned(), "b".to_owned()], 2));
    }

    #[test]
    fn damage_at_the_stop_is_not_told() {
        let mut marker = end(1, 1, true);
        let last = marker.len() - 1;
        marker[last] ^= 1;
        let mut chunk = chunk(&[data(0, &["a"], 1, true), marker], 0, &[]);
        assert!(read(&chunk, usize::MAX).1.is_err());
        chunk.next = 1;
        assert_eq!(values(&chunk), (vec!["a".to_owned()], 1));
    }

    /// Reads at most `most` records a visit; what was seen, and where it ends.
    fn read(chunk: &Chunk, most: usize) -> (Vec<i64>, Result<i64, ClientError>) {
        let (mut seen, mut from, mut inflate) = (Vec::new(), chunk.start(), Decompressor::new());
        while from < chunk.next_offset() {
            let mut left = most;
            let visited = chunk.visit(from, &mut inflate, |_, record| {
                seen.push(record.offset);
                left -= 1;
                if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            match visited {
                Ok(next) => from = next,
                failed => return (seen, failed),
            }
        }
        (seen, Ok(from))
    }

    #[test]
    fn no_flipped_bit_of_a_marker_or_a_batch_hides_a_record() {
        let batches = [
            data(0, &["aborted", "aborted"], 1, true),
            data(2, &["committed"], 2, true),
            end(3, 1, false),
            data(4, &["committed", "committed"], 1, true),
            data(6, &["plain"], -1, false),
            end(7, 2, true),
            end(8, 1, true),
            data(9, &["aborted"], 2, true),
            end(10, 2, false),
            data(11, &["committed"], 2, true),
            end(12, 2, true),
        ];
        let aborted = [(1, 0), (2, 9)];
        for start in [0, 1, 5] {
            let expected: Vec<i64> = [2, 4, 5, 6, 11].into_iter().filter(|&offset| offset >= start).collect();
            let first = batches.partition_point(|batch| Batch::exactly(batch).unwrap().last_offset() < start);
            let aborted: Vec<_> = if start < 4 { aborted.to_vec() } else { vec![aborted[1]] };
            let whole = chunk(&batches[first..], start, &aborted);
            assert_eq!(read(&whole, usize::MAX).0, expected);
            for at in first..batches.len() {
                // Neither the offset nor the leader epoch is under the checksum: brokers write them.
                for bit in (8 * 8..12 * 8).chain(16 * 8..batches[at].len() * 8) {
                    let mut flipped = batches.clone();
                    flipped[at][bit / 8] ^= 1 << (bit % 8);
                    let what = format!("from {start}, batch {at}, bit {bit}");
                    if span(&flipped[first..].concat()).is_ok_and(|found| found.is_some()) {
                        let chunk = chunk(&flipped[first..], start, &aborted);
                        for most in [1, usize::MAX] {
                            held_against(&read(&chunk, most), &chunk, &expected, &what);
                        }
                    }
                }
            }
        }
    }

    /// An error, behind nothing that is wrong; or all there is up to where the chunk ends, which is before the damage.
    fn held_against(
        (seen, end): &(Vec<i64>, Result<i64, ClientError>),
        chunk: &Chunk,
        expected: &[i64],
        what: &str,
    ) {
        match end {
            Ok(next) => {
                let below: Vec<_> = expected.iter().copied().filter(|offset| offset < next).collect();
                assert!(*next <= 12 && *next == chunk.next_offset(), "{what}: {next}");
                assert_eq!(*seen, below, "{what}: up to {next}");
            }
            Err(ClientError::Corrupt { .. }) => assert!(expected.starts_with(seen), "{what}: {seen:?}"),
            Err(other) => panic!("{what}: {other}"),
        }
    }

    #[test]
    fn a_flipped_bit_is_not_looked_for_where_checksums_are_not_asked_for() {
        let mut marker = end(1, 1, true);
        let last = marker.len() - 1;
        marker[last] ^= 1;
        let mut chunk = chunk(&[data(0, &["a"], 1, true), marker, data(2, &["b"], 1, true)], 0, &[]);
        assert!(matches!(read(&chunk, usize::MAX), (seen, Err(_)) if seen == [0]));
        chunk.check_crcs = false;
        assert!(matches!(read(&chunk, usize::MAX), (seen, Ok(3)) if seen == [0, 2]));
    }

    #[test]
    fn damage_is_found_after_what_lies_before_it() {
        let mut bad = data(1, &["b"], -1, false);
        let last = bad.len() - 2;
        bad[last] ^= 1;
        let chunk = chunk(&[data(0, &["a"], -1, false), bad], 0, &[]);
        let mut seen = 0;
        let outcome = chunk.visit(0, &mut Decompressor::new(), |_, _| {
            seen += 1;
            ControlFlow::Continue(())
        });
        assert!(matches!(outcome, Err(ClientError::Corrupt { offset: 1, .. })), "{outcome:?}");
        assert_eq!(seen, 1);
    }
}
