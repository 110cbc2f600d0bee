//! Batches that hold fewer records than before, with every offset as it was; never a record changed.

use std::ops::Range;

use super::batch::{Batch, HEADER_LEN, LENGTH_PREFIX, TimestampType};
use super::builder::put_crc;
use super::codec::{Codec, Compression, Compressor, Decompressor};
use super::error::RecordError;
use super::varint::{self, read_i32, read_i64};

/// The records of `batch` whose offsets lie in `range`, as a batch of their own: same codec, producer, epoch and times;
/// `None` where there are none. Inflates to `limit` bytes at most.
///
/// # Errors
/// Those of reading the records, and `BadCompression`, `TooLarge`.
pub fn trim(
    batch: &Batch<'_>,
    range: &Range<i64>,
    inflate: &mut Decompressor,
    limit: usize,
) -> Result<Option<Vec<u8>>, RecordError> {
    let header = batch.header();
    let codec = header.codec()?;
    let mut plain = Vec::new();
    inflate.inflate(codec, batch.payload(), limit, &mut plain)?;
    let mut kept: Option<Kept> = None;
    let mut records = super::Records::new(&header, &plain);
    loop {
        let before = records.remaining();
        let Some(record) = records.next().transpose()? else { break };
        if !range.contains(&record.offset) {
            continue;
        }
        let from = plain.len() - before;
        let raw = plain.get(from..plain.len() - records.remaining()).unwrap_or_default();
        let kept = kept.get_or_insert_with(|| Kept::from(record.offset));
        kept.take(raw, record.offset, record.timestamp, records.index() - 1)?;
    }
    let Some(kept) = kept else { return Ok(None) };
    let mut out = vec![0; HEADER_LEN];
    Compressor::new().compress(Compression::from(codec), &kept.bytes, &mut out)?;
    let size = out.len();
    let length = i32::try_from(size - LENGTH_PREFIX)
        .map_err(|_| RecordError::TooLarge { size, limit: i32::MAX as usize })?;
    let max_timestamp = match header.timestamp_type() {
        TimestampType::LogAppend => header.max_timestamp,
        TimestampType::Create => kept.max_timestamp,
    };
    if let Some(head) = out.first_chunk_mut::<HEADER_LEN>() {
        *head = *batch.header_bytes();
        head[0..8].copy_from_slice(&kept.first.to_be_bytes());
        head[8..12].copy_from_slice(&length.to_be_bytes());
        head[23..27].copy_from_slice(&kept.last_delta.to_be_bytes());
        head[35..43].copy_from_slice(&max_timestamp.to_be_bytes());
        if header.base_sequence >= 0 {
            let moved = i64::from(header.base_sequence) + kept.first.wrapping_sub(header.base_offset);
            let wrapped = moved.rem_euclid(i64::from(i32::MAX) + 1);
            head[53..57].copy_from_slice(&(wrapped as i32).to_be_bytes());
        }
        head[57..61].copy_from_slice(&kept.count.to_be_bytes());
    }
    put_crc(&mut out);
    Ok(Some(out))
}

/// The records kept, re-encoded: only their offset deltas (and so their lengths) change.
struct Kept {
    bytes: Vec<u8>,
    first: i64,
    last_delta: i32,
    count: i32,
    max_timestamp: i64,
}

impl Kept {
    fn from(first: i64) -> Kept {
        Kept { bytes: Vec::new(), first, last_delta: 0, count: 0, max_timestamp: -1 }
    }

    fn take(&mut self, raw: &[u8], offset: i64, timestamp: i64, index: i32) -> Result<(), RecordError> {
        let malformed = |what| RecordError::Malformed { index, what };
        let mut at = 0;
        read_i32(raw, &mut at).ok_or(malformed("no whole length"))?;
        let body = raw.get(at..).unwrap_or_default();
        // Attributes and timestamp delta stay; the offset delta follows.
        let mut at = 1;
        read_i64(body, &mut at).ok_or(malformed("no whole timestamp delta"))?;
        let head = body.get(..at).unwrap_or_default();
        read_i32(body, &mut at).ok_or(malformed("no whole offset delta"))?;
        let rest = body.get(at..).unwrap_or_default();
        // Offsets of a damaged header may have wrapped around; their distance has not.
        let delta = i32::try_from(offset.wrapping_sub(self.first))
            .map_err(|_| malformed("offset delta too large"))?;
        let len = head.len() + varint::len(i64::from(delta)) + rest.len();
        self.put(len as i64);
        self.bytes.extend_from_slice(head);
        self.put(i64::from(delta));
        self.bytes.extend_from_slice(rest);
        self.last_delta = self.last_delta.max(delta);
        self.count += 1;
        self.max_timestamp = self.max_timestamp.max(timestamp);
        Ok(())
    }

    fn put(&mut self, value: i64) {
        let (mut head, mut at) = ([0; 16], 0);
        varint::put(&mut head, &mut at, value);
        self.bytes.extend_from_slice(head.get(..at).unwrap_or_default());
    }
}

/// A batch without records that stands for offsets whose records are gone, as compaction leaves one: readers pass over it
/// and go on at `offsets.end`. `None` for a range that is empty or too long for one batch.
pub fn empty_batch(offsets: &Range<i64>, leader_epoch: i32) -> Option<Vec<u8>> {
    let delta = i32::try_from(offsets.end.checked_sub(offsets.start)?.checked_sub(1)?).ok()?;
    if delta < 0 {
        return None;
    }
    let mut batch = vec![0; HEADER_LEN];
    if let Some(head) = batch.first_chunk_mut::<HEADER_LEN>() {
        head[0..8].copy_from_slice(&offsets.start.to_be_bytes());
        head[8..12].copy_from_slice(&((HEADER_LEN - LENGTH_PREFIX) as i32).to_be_bytes());
        head[12..16].copy_from_slice(&leader_epoch.to_be_bytes());
        head[16] = 2;
        head[21..23].copy_from_slice(&Codec::None.bits().to_be_bytes());
        head[23..27].copy_from_slice(&delta.to_be_bytes());
        // No timestamps, no producer, no sequence.
        head[27..57].fill(0xff);
    }
    put_crc(&mut batch);
    Some(batch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BatchBuilder, Header, ProducerStamp, Restamp, restamp_header};

    fn stored(codec: Codec, base: i64) -> Vec<u8> {
        let mut builder = BatchBuilder::new();
        for n in 0..100i64 {
            let value = format!("value {n}");
            let headers = [Header { key: b"h", value: None }];
            builder.push(1000 + n * 7 % 50, Some(b"k"), Some(value.as_bytes()), &headers);
        }
        let stamp = ProducerStamp { id: 9, epoch: 1, base_sequence: i32::MAX - 10, transactional: true };
        let bytes = builder.finish(stamp, codec.into(), &mut Compressor::new()).unwrap();
        let batch = Batch::exactly(&bytes).unwrap();
        let stamp = Restamp {
            base_offset: base,
            leader_epoch: 4,
            log_append_time: None,
            max_timestamp: batch.max_timestamp(),
        };
        let mut out = restamp_header(&batch, &stamp).to_vec();
        out.extend_from_slice(&bytes[HEADER_LEN..]);
        out
    }

    #[test]
    fn what_is_left_keeps_offsets_times_and_all_else() {
        for codec in Codec::ALL {
            let bytes = stored(codec, 500);
            let batch = Batch::exactly(&bytes).unwrap();
            let mut inflate = Decompressor::new();
            let all: Vec<_> = inflate
                .records(&batch, 1 << 20)
                .unwrap()
                .map(|record| record.unwrap())
                .map(|record| (record.offset, record.timestamp, record.value.unwrap().to_vec()))
                .collect();
            for range in [0..501, 510..520, 599..10_000, 500..600, 555..556] {
                let mut inflate = Decompressor::new();
                let cut = trim(&batch, &range, &mut inflate, 1 << 20).unwrap().unwrap();
                let cut = Batch::exactly(&cut).unwrap();
                assert!(cut.crc_ok());
                let wanted: Vec<_> =
                    all.iter().filter(|(offset, ..)| range.contains(offset)).cloned().collect();
                let found: Vec<_> = inflate
                    .records(&cut, 1 << 20)
                    .unwrap()
                    .map(|record| record.unwrap())
                    .map(|record| (record.offset, record.timestamp, record.value.unwrap().to_vec()))
                    .collect();
                assert_eq!(found, wanted);
                let header = cut.header();
                assert_eq!(header.base_offset, wanted[0].0);
                assert_eq!(header.last_offset(), wanted[wanted.len() - 1].0);
                assert_eq!(header.max_timestamp, wanted.iter().map(|one| one.1).max().unwrap());
                assert_eq!((header.producer_id, header.leader_epoch, header.codec()), (9, 4, Ok(codec)));
                let behind = (wanted[0].0 - 500) as i32;
                let sequence = if behind <= 10 { i32::MAX - 10 + behind } else { behind - 11 };
                assert_eq!(header.base_sequence, sequence);
            }
            assert_eq!(trim(&batch, &(0..500), &mut Decompressor::new(), 1 << 20), Ok(None));
        }
    }

    #[test]
    fn an_empty_batch_stands_for_its_offsets() {
        let bytes = empty_batch(&(7..12), 3).unwrap();
        let batch = Batch::exactly(&bytes).unwrap();
        assert!(batch.crc_ok());
        assert_eq!((batch.base_offset(), batch.header().next_offset(), batch.count()), (7, 12, 0));
        assert_eq!((batch.producer_id(), batch.max_timestamp(), batch.leader_epoch()), (-1, -1, 3));
        assert_eq!(batch.records().unwrap().count(), 0);
        assert_eq!(empty_batch(&(7..7), 3), None);
        assert_eq!(empty_batch(&(0..i64::MAX), 3), None);
    }
}
