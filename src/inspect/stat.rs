//! Sizes, codecs, batches, rates and keys of a partition, in one pass and bounded memory.

use std::collections::HashSet;
use std::sync::mpsc::SyncSender;

use super::distinct::Distinct;
use super::scan::{Piece, Scan};
use super::{InspectError, MAX_INFLATED, Meter, Partition, SegmentFile, Source, parallel};
use crate::record::{Codec, Decompressor, HEADER_LEN};
use crate::storage::Disk;

/// Producers that are told apart.
const PRODUCERS: usize = 100_000;

/// What there is of one codec.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ByCodec {
    /// Batches.
    pub batches: u64,
    /// Their bytes, headers included.
    pub bytes: u64,
    /// The bytes of their records, inflated.
    pub inflated: u64,
}

/// What a partition, or a part of one, comes to. Counts of records leave control records out.
#[derive(Debug, Clone, Default)]
pub struct Stat {
    /// Files looked at.
    pub segments: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Batches with a good CRC.
    pub batches: u64,
    /// Data records.
    pub records: u64,
    /// First offset.
    pub first_offset: Option<i64>,
    /// Last offset.
    pub last_offset: Option<i64>,
    /// Least timestamp of a record, ms.
    pub first_timestamp: Option<i64>,
    /// Largest timestamp, ms.
    pub last_timestamp: Option<i64>,
    /// By codec, in the order of [`Codec::ALL`].
    pub codecs: [ByCodec; 5],
    /// Smallest batch in bytes.
    pub least_batch: Option<u64>,
    /// Largest batch in bytes.
    pub largest_batch: u64,
    /// Bytes of keys.
    pub key_bytes: u64,
    /// Bytes of values.
    pub value_bytes: u64,
    /// Records without a key.
    pub null_keys: u64,
    /// Records without a value.
    pub tombstones: u64,
    /// Different keys.
    pub keys: Distinct,
    /// Batches of transactions.
    pub transactional: u64,
    /// Control batches.
    pub control: u64,
    /// Producers with an id, at most [`PRODUCERS`].
    pub producers: HashSet<i64>,
    /// Damaged places.
    pub damaged: u64,
    /// Their bytes.
    pub damaged_bytes: u64,
    /// Messages of format 0 and 1; not counted otherwise.
    pub legacy: u64,
}

impl Stat {
    fn batch(&mut self, batch: &crate::record::Batch<'_>, inflate: &mut Decompressor) {
        let header = batch.header();
        let size = header.size() as u64;
        self.batches += 1;
        self.first_offset.get_or_insert(header.base_offset);
        self.last_offset = Some(header.last_offset());
        self.least_batch = Some(self.least_batch.map_or(size, |least| least.min(size)));
        self.largest_batch = self.largest_batch.max(size);
        self.transactional += u64::from(header.is_transactional());
        self.control += u64::from(header.is_control());
        if header.has_producer_id() && self.producers.len() < PRODUCERS {
            self.producers.insert(header.producer_id);
        }
        let codec = header.codec().unwrap_or(Codec::None);
        let mut inflated = 0;
        if let Ok(mut records) = inflate.records(batch, MAX_INFLATED) {
            inflated = records.remaining() as u64;
            for record in records.by_ref().map_while(Result::ok).filter(|_| !header.is_control()) {
                self.record(record.key, record.value, record.timestamp);
            }
        }
        if let Some(by) =
            Codec::ALL.iter().position(|one| *one == codec).and_then(|at| self.codecs.get_mut(at))
        {
            by.batches += 1;
            by.bytes += size;
            by.inflated +=
                inflated.max(size.saturating_sub(HEADER_LEN as u64) * u64::from(codec == Codec::None));
        }
    }

    fn record(&mut self, key: Option<&[u8]>, value: Option<&[u8]>, timestamp: i64) {
        self.records += 1;
        match key {
            Some(key) => {
                self.key_bytes += key.len() as u64;
                self.keys.add(key);
            }
            None => self.null_keys += 1,
        }
        match value {
            Some(value) => self.value_bytes += value.len() as u64,
            None => self.tombstones += 1,
        }
        if timestamp >= 0 {
            self.first_timestamp = Some(self.first_timestamp.map_or(timestamp, |first| first.min(timestamp)));
            self.last_timestamp = Some(self.last_timestamp.map_or(timestamp, |last| last.max(timestamp)));
        }
    }

    /// Takes in what comes behind.
    fn merge(&mut self, other: Stat) {
        let either = |a: Option<i64>, b: Option<i64>, pick: fn(i64, i64) -> i64| match (a, b) {
            (Some(a), Some(b)) => Some(pick(a, b)),
            (a, b) => a.or(b),
        };
        self.segments += other.segments;
        self.bytes += other.bytes;
        self.batches += other.batches;
        self.records += other.records;
        self.first_offset = self.first_offset.or(other.first_offset);
        self.last_offset = other.last_offset.or(self.last_offset);
        self.first_timestamp = either(self.first_timestamp, other.first_timestamp, i64::min);
        self.last_timestamp = either(self.last_timestamp, other.last_timestamp, i64::max);
        for (mine, theirs) in self.codecs.iter_mut().zip(other.codecs) {
            mine.batches += theirs.batches;
            mine.bytes += theirs.bytes;
            mine.inflated += theirs.inflated;
        }
        self.least_batch = match (self.least_batch, other.least_batch) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        self.largest_batch = self.largest_batch.max(other.largest_batch);
        self.key_bytes += other.key_bytes;
        self.value_bytes += other.value_bytes;
        self.null_keys += other.null_keys;
        self.tombstones += other.tombstones;
        self.keys.merge(other.keys);
        self.transactional += other.transactional;
        self.control += other.control;
        let room = PRODUCERS.saturating_sub(self.producers.len());
        self.producers.extend(other.producers.into_iter().take(room));
        self.damaged += other.damaged;
        self.damaged_bytes += other.damaged_bytes;
        self.legacy += other.legacy;
    }
}

/// Counts a partition, on several threads.
///
/// # Errors
/// `Io`.
pub fn partition(
    disk: &dyn Disk,
    partition: &Partition,
    threads: usize,
    meter: &Meter,
    tick: impl FnMut(),
) -> Result<Stat, InspectError> {
    let mut stat = Stat::default();
    let mut failed = None;
    parallel::ordered(
        &partition.segments,
        threads,
        |_, file, sender: &SyncSender<Result<Stat, InspectError>>| {
            let counted = file.open(disk).and_then(|source| segment(source, file, meter));
            let _ = sender.send(counted);
        },
        |_, done| match done {
            Ok(done) => {
                stat.merge(done);
                true
            }
            Err(InspectError::Io { source, .. })
                if partition.is_live && source.kind() == std::io::ErrorKind::NotFound =>
            {
                true
            }
            Err(error) => {
                failed = Some(error);
                false
            }
        },
        tick,
    );
    failed.map_or(Ok(stat), Err)
}

/// Counts one segment or stream.
///
/// # Errors
/// `Io`.
pub fn segment(source: Source, file: &SegmentFile, meter: &Meter) -> Result<Stat, InspectError> {
    let mut scan = Scan::new(source, &file.path, file.limits());
    let mut stat = Stat { segments: 1, ..Stat::default() };
    let mut inflate = Decompressor::new();
    while let Some(piece) = scan.next()? {
        match piece {
            Piece::Batch(_, batch) => stat.batch(&batch, &mut inflate),
            Piece::Damage(damage) => {
                stat.damaged += 1;
                stat.damaged_bytes += damage.position.end - damage.position.start;
            }
            Piece::Legacy(_, _, count) => stat.legacy += count,
            Piece::Growing(..) => {}
        }
        scan.measure(meter);
    }
    stat.bytes = scan.position();
    Ok(stat)
}
