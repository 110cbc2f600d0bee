//! What compaction leaves of a batch: fewer records, or none, with every offset, sequence and codec as it was; it decides
//! nothing about which records stay.
//!
//! As Kafka leaves them (KIP-534): the header keeps base offset, last offset delta, producer and base sequence, so that
//! offsets never move and a producer's sequence is known by a batch without records too. Where tombstones (or a marker
//! that ends an empty transaction) are kept for a while, attribute bit 6 is set and the base timestamp is the time from
//! which they may go; the records' timestamp deltas then count from it.

use super::batch::{
    ATTRIBUTE_APPEND_TIME, ATTRIBUTE_CONTROL, ATTRIBUTE_DELETE_HORIZON, ATTRIBUTE_TRANSACTIONAL, Batch,
    HEADER_LEN, LENGTH_PREFIX, TimestampType,
};
use super::builder::put_crc;
use super::codec::{Compression, Compressor, Decompressor};
use super::error::RecordError;
use super::iter::{Record, Records};
use super::varint::{self, read_i32, read_i64};

/// What is left of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left<'a> {
    /// All of it, as it was.
    All,
    /// These bytes: a batch with fewer records, or with a delete horizon that it had not.
    Some(&'a [u8]),
    /// No record.
    Nothing,
}

/// The delete horizon that a batch gets which has none, in ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Horizon {
    /// From when on tombstones may go.
    pub at_ms: i64,
    /// Set in any case, not only where a tombstone is kept: the marker of an empty transaction.
    pub always: bool,
}

/// Filters batches one after the other; contexts and buffers are kept.
#[derive(Default)]
pub struct Filter {
    inflate: Decompressor,
    compressor: Compressor,
    plain: Vec<u8>,
    kept: Vec<u8>,
    out: Vec<u8>,
}

/// What the walk over a batch's records found.
#[derive(Default)]
struct Walked {
    count: i32,
    max_timestamp: Option<i64>,
    tombstones: bool,
}

impl Filter {
    /// Buffers are made on first use.
    pub fn new() -> Filter {
        Filter::default()
    }

    /// What is left of `batch` when only the records stay that `keep` says; inflates to `limit` bytes at most.
    ///
    /// # Errors
    /// Those of reading the records, `BadCompression`, `TooLarge`.
    pub fn filter(
        &mut self,
        batch: &Batch<'_>,
        horizon: Horizon,
        limit: usize,
        mut keep: impl FnMut(&Record<'_>) -> bool,
    ) -> Result<Left<'_>, RecordError> {
        let header = batch.header();
        let codec = header.codec()?;
        self.inflate.inflate(codec, batch.payload(), limit, &mut self.plain)?;
        let mut marks = Vec::new();
        let walked = self.walk(batch, &mut marks, &mut keep)?;
        if walked.count == 0 {
            return Ok(Left::Nothing);
        }
        let sets = header.delete_horizon().is_none()
            && (horizon.always || (walked.tombstones && !header.is_control()));
        if walked.count == header.count && !sets {
            return Ok(Left::All);
        }
        self.kept.clear();
        let from = sets.then_some(horizon.at_ms);
        for (range, timestamp) in marks {
            let raw = self.plain.get(range).unwrap_or_default();
            match from {
                None => self.kept.extend_from_slice(raw),
                Some(from) => push_moved(&mut self.kept, raw, timestamp.wrapping_sub(from))?,
            }
        }
        self.out.clear();
        self.out.extend_from_slice(batch.header_bytes());
        self.compressor.compress(Compression::from(codec), &self.kept, &mut self.out)?;
        let size = self.out.len();
        let length = i32::try_from(size - LENGTH_PREFIX)
            .map_err(|_| RecordError::TooLarge { size, limit: i32::MAX as usize })?;
        if let Some(head) = self.out.first_chunk_mut::<HEADER_LEN>() {
            head[8..12].copy_from_slice(&length.to_be_bytes());
            if let Some(from) = from {
                let attributes = header.attributes | ATTRIBUTE_DELETE_HORIZON;
                head[21..23].copy_from_slice(&attributes.to_be_bytes());
                head[27..35].copy_from_slice(&from.to_be_bytes());
            }
            if header.timestamp_type() == TimestampType::Create
                && let Some(max) = walked.max_timestamp
            {
                head[35..43].copy_from_slice(&max.to_be_bytes());
            }
            head[57..61].copy_from_slice(&walked.count.to_be_bytes());
        }
        put_crc(&mut self.out);
        Ok(Left::Some(&self.out))
    }

    /// Asks `keep` about every record; notes where the kept ones lie, joined where they are neighbours and need no change.
    fn walk(
        &self,
        batch: &Batch<'_>,
        marks: &mut Vec<(std::ops::Range<usize>, i64)>,
        keep: &mut impl FnMut(&Record<'_>) -> bool,
    ) -> Result<Walked, RecordError> {
        let mut records = Records::new(&batch.header(), &self.plain);
        let mut walked = Walked::default();
        loop {
            let from = self.plain.len() - records.remaining();
            let Some(record) = records.next().transpose()? else { break };
            if !keep(&record) {
                continue;
            }
            walked.count += 1;
            walked.tombstones |= record.value.is_none();
            walked.max_timestamp = walked.max_timestamp.max(Some(record.timestamp));
            marks.push((from..self.plain.len() - records.remaining(), record.timestamp));
        }
        if records.index() != batch.count() {
            return Err(RecordError::Malformed { index: records.index(), what: "missing" });
        }
        Ok(walked)
    }

    /// The records of `batch`, each given to `each` until it says `false`; inflates to `limit` bytes at most. Whether all
    /// were given.
    ///
    /// # Errors
    /// Those of reading the records.
    pub fn records(
        &mut self,
        batch: &Batch<'_>,
        limit: usize,
        mut each: impl FnMut(&Record<'_>) -> bool,
    ) -> Result<bool, RecordError> {
        for record in self.inflate.records(batch, limit)? {
            if !each(&record?) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Appends a record with another timestamp delta; all else as it was.
fn push_moved(out: &mut Vec<u8>, raw: &[u8], delta: i64) -> Result<(), RecordError> {
    let malformed = |what| RecordError::Malformed { index: 0, what };
    let mut at = 0;
    read_i32(raw, &mut at).ok_or(malformed("no whole length"))?;
    let body = raw.get(at..).unwrap_or_default();
    let (attributes, _) = body.split_first().ok_or(malformed("no attributes"))?;
    let mut at = 1;
    read_i64(body, &mut at).ok_or(malformed("no whole timestamp delta"))?;
    let rest = body.get(at..).unwrap_or_default();
    let (mut head, mut end) = ([0; 32], 0);
    varint::put(&mut head, &mut end, (1 + varint::len(delta) + rest.len()) as i64);
    out.extend_from_slice(head.get(..end).unwrap_or_default());
    out.push(*attributes);
    end = 0;
    varint::put(&mut head, &mut end, delta);
    out.extend_from_slice(head.get(..end).unwrap_or_default());
    out.extend_from_slice(rest);
    Ok(())
}

/// A batch of which only the header is left: offsets, producer, sequence and largest timestamp as they were, no records.
pub fn without_records(batch: &Batch<'_>) -> [u8; HEADER_LEN] {
    let mut head = *batch.header_bytes();
    let kept = ATTRIBUTE_APPEND_TIME | ATTRIBUTE_TRANSACTIONAL | ATTRIBUTE_CONTROL;
    head[8..12].copy_from_slice(&((HEADER_LEN - LENGTH_PREFIX) as i32).to_be_bytes());
    head[21..23].copy_from_slice(&(batch.attributes() & kept).to_be_bytes());
    head[27..35].copy_from_slice(&(-1i64).to_be_bytes());
    head[57..61].copy_from_slice(&0i32.to_be_bytes());
    put_crc(&mut head);
    head
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BatchBuilder, Codec, Header, ProducerStamp, Restamp, restamp_header};

    const LIMIT: usize = 1 << 20;
    const NEVER: Horizon = Horizon { at_ms: 900_000, always: false };

    fn stored(codec: Codec, base: i64, append_time: Option<i64>) -> Vec<u8> {
        let mut builder = BatchBuilder::new();
        for n in 0..50i64 {
            let (key, value) = (format!("k{}", n % 10), format!("value {n}"));
            let headers = [Header { key: b"h", value: Some(b"x") }];
            let value = (n % 7 != 0).then_some(value.as_bytes());
            builder.push(1000 + n * 7 % 50, Some(key.as_bytes()), value, &headers);
        }
        let stamp = ProducerStamp { id: 9, epoch: 1, base_sequence: 40, transactional: false };
        let bytes = builder.finish(stamp, codec.into(), &mut Compressor::new()).unwrap();
        let batch = Batch::exactly(&bytes).unwrap();
        let stamp = Restamp {
            base_offset: base,
            leader_epoch: 4,
            log_append_time: append_time,
            max_timestamp: batch.max_timestamp(),
        };
        let mut out = restamp_header(&batch, &stamp).to_vec();
        out.extend_from_slice(&bytes[HEADER_LEN..]);
        out
    }

    type Plain = (i64, i64, Vec<u8>, Option<Vec<u8>>, usize);

    fn plain(bytes: &[u8]) -> Vec<Plain> {
        let batch = Batch::exactly(bytes).unwrap();
        assert!(batch.crc_ok());
        let mut inflate = Decompressor::new();
        let all = inflate.records(&batch, LIMIT).unwrap();
        all.map(|record| {
            let record = record.unwrap();
            let value = record.value.map(<[u8]>::to_vec);
            (record.offset, record.timestamp, record.key.unwrap().to_vec(), value, record.headers.len())
        })
        .collect()
    }

    #[test]
    fn what_is_left_is_as_it_was() {
        for codec in Codec::ALL {
            for append_time in [None, Some(7_000)] {
                let bytes = stored(codec, 500, append_time);
                let batch = Batch::exactly(&bytes).unwrap();
                let mut filter = Filter::new();
                // No tombstones among them (multiples of 7): nothing gets a horizon.
                let keep = |record: &Record<'_>| record.offset % 7 == 1 + 500 % 7 && record.value.is_some();
                let left = filter.filter(&batch, NEVER, LIMIT, keep).unwrap();
                let Left::Some(left) = left else { panic!("{left:?}") };
                let wanted: Vec<_> = plain(&bytes)
                    .into_iter()
                    .filter(|(offset, _, _, value, _)| offset % 7 == 1 + 500 % 7 && value.is_some())
                    .collect();
                assert!(!wanted.is_empty() && plain(left) == wanted);
                let (old, new) = (batch.header(), Batch::exactly(left).unwrap().header());
                assert_eq!((new.base_offset, new.last_offset_delta), (500, 49));
                assert_eq!((new.producer_id, new.base_sequence, new.last_sequence()), (9, 40, 89));
                assert_eq!((new.codec(), new.leader_epoch, new.attributes), (Ok(codec), 4, old.attributes));
                assert_eq!(new.count as usize, wanted.len());
                assert_eq!(new.max_timestamp, wanted.iter().map(|record| record.1).max().unwrap());
            }
        }
    }

    #[test]
    fn a_kept_tombstone_brings_a_horizon_once() {
        for codec in [Codec::None, Codec::Zstd] {
            for append_time in [None, Some(7_000)] {
                let bytes = stored(codec, 0, append_time);
                let batch = Batch::exactly(&bytes).unwrap();
                let mut filter = Filter::new();
                let Left::Some(left) = filter.filter(&batch, NEVER, LIMIT, |_| true).unwrap() else {
                    panic!()
                };
                assert_eq!(plain(left), plain(&bytes), "only the header and the deltas are others");
                let first = left.to_vec();
                let again = Batch::exactly(&first).unwrap();
                assert_eq!(again.header().delete_horizon(), Some(900_000));
                assert_eq!(again.max_timestamp(), batch.max_timestamp());
                let later = Horizon { at_ms: 1_000_000, always: true };
                assert_eq!(filter.filter(&again, later, LIMIT, |_| true).unwrap(), Left::All);
                let Left::Some(less) =
                    filter.filter(&again, later, LIMIT, |record| record.offset > 30).unwrap()
                else {
                    panic!()
                };
                assert_eq!(plain(less), plain(&bytes)[31..]);
                assert_eq!(Batch::exactly(less).unwrap().header().delete_horizon(), Some(900_000));
            }
        }
    }

    #[test]
    fn nothing_left_can_stay_as_a_header() {
        let bytes = stored(Codec::Gzip, 500, None);
        let batch = Batch::exactly(&bytes).unwrap();
        assert_eq!(Filter::new().filter(&batch, NEVER, LIMIT, |_| false).unwrap(), Left::Nothing);
        let empty = without_records(&batch);
        let empty = Batch::exactly(&empty).unwrap();
        assert!(empty.crc_ok());
        let (old, new) = (batch.header(), empty.header());
        assert_eq!((new.base_offset, new.last_offset(), new.count), (500, 549, 0));
        assert_eq!((new.producer_id, new.last_sequence()), (9, old.last_sequence()));
        assert_eq!(
            (new.max_timestamp, new.base_timestamp, new.codec()),
            (old.max_timestamp, -1, Ok(Codec::None))
        );
        assert_eq!(empty.records().unwrap().count(), 0);
    }
}
