//! New headers for batches whose records stay as they are, and other codecs for their payload; never a record changed.

use super::batch::{ATTRIBUTE_APPEND_TIME, Batch, CRC_AT, CRC_FROM, HEADER_LEN, LENGTH_PREFIX};
use super::builder::{ProducerStamp, put_crc, put_stamp};
use super::codec::{Compression, Compressor, Decompressor};
use super::error::RecordError;

/// What a broker sets at append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restamp {
    /// Offset of the first record.
    pub base_offset: i64,
    /// The partition's leader epoch.
    pub leader_epoch: i32,
    /// `Some(now)` on a topic of log-append time: becomes the largest timestamp, with the attribute.
    pub log_append_time: Option<i64>,
    /// The largest timestamp found by the walk ([`super::BatchSummary::max_timestamp`]); replaces a wrong one.
    pub max_timestamp: i64,
}

/// The header a broker stores for `batch`: a copy with offset and epoch set, and where the timestamps change,
/// a new CRC (the payload is read once for it, never written).
pub fn restamp_header(batch: &Batch<'_>, stamp: &Restamp) -> [u8; HEADER_LEN] {
    let mut header = *batch.header_bytes();
    header[0..8].copy_from_slice(&stamp.base_offset.to_be_bytes());
    header[12..16].copy_from_slice(&stamp.leader_epoch.to_be_bytes());
    let (append_time, max_timestamp) = match stamp.log_append_time {
        Some(now) => (ATTRIBUTE_APPEND_TIME, now),
        None => (0, stamp.max_timestamp),
    };
    let attributes = batch.attributes() & !ATTRIBUTE_APPEND_TIME | append_time;
    if attributes != batch.attributes() || max_timestamp != batch.max_timestamp() {
        header[21..23].copy_from_slice(&attributes.to_be_bytes());
        header[35..43].copy_from_slice(&max_timestamp.to_be_bytes());
        let crc = super::crc::crc32c_of_two(&header[CRC_FROM..], batch.payload());
        header[CRC_AT..CRC_FROM].copy_from_slice(&crc.to_be_bytes());
    }
    header
}

/// The same batch under another codec: the records' bytes and all header fields but codec, length and CRC stay. Inflates to
/// `limit` bytes at most.
///
/// # Errors
/// `UnknownCodec`, `BadCompression`, `TooLargeInflated`; `TooLarge` over `i32::MAX` bytes.
pub fn recompress(
    batch: &Batch<'_>,
    how: Compression,
    inflate: &mut Decompressor,
    compressor: &mut Compressor,
    limit: usize,
) -> Result<Vec<u8>, RecordError> {
    let mut plain = Vec::new();
    inflate.inflate(batch.codec()?, batch.payload(), limit, &mut plain)?;
    let mut out = batch.header_bytes().to_vec();
    compressor.compress(how, &plain, &mut out)?;
    let size = out.len();
    let length = i32::try_from(size - LENGTH_PREFIX)
        .map_err(|_| RecordError::TooLarge { size, limit: i32::MAX as usize })?;
    if let Some(head) = out.first_chunk_mut::<HEADER_LEN>() {
        let attributes = batch.attributes() & !7 | how.codec.bits();
        head[8..12].copy_from_slice(&length.to_be_bytes());
        head[21..23].copy_from_slice(&attributes.to_be_bytes());
    }
    put_crc(&mut out);
    Ok(out)
}

/// Sets producer id, epoch and sequence of a finished batch in place, with a new CRC (a producer whose epoch was
/// raised while the batch waited). Does nothing to bytes shorter than a header.
pub fn set_producer(batch: &mut [u8], stamp: ProducerStamp) {
    if let Some(header) = batch.first_chunk_mut::<HEADER_LEN>() {
        put_stamp(header, stamp);
        put_crc(batch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BatchBuilder, TimestampType};

    fn batch() -> Vec<u8> {
        let mut builder = BatchBuilder::new();
        builder.push_value(1000, b"one");
        builder.push_value(1007, b"two");
        builder.finish_plain(ProducerStamp::NONE).unwrap()
    }

    fn stored(bytes: &[u8], stamp: &Restamp) -> Vec<u8> {
        let mut out = restamp_header(&Batch::exactly(bytes).unwrap(), stamp).to_vec();
        out.extend_from_slice(&bytes[HEADER_LEN..]);
        out
    }

    #[test]
    fn offset_and_epoch_leave_the_crc_as_it_was() {
        let bytes = batch();
        let stamp = Restamp { base_offset: 41, leader_epoch: 3, log_append_time: None, max_timestamp: 1007 };
        let stored = stored(&bytes, &stamp);
        assert_eq!(&stored[16..], &bytes[16..]);
        let batch = Batch::exactly(&stored).unwrap();
        assert_eq!((batch.base_offset(), batch.last_offset(), batch.leader_epoch()), (41, 42, 3));
        assert!(batch.crc_ok());
        let offsets: Vec<_> = batch.records().unwrap().map(|record| record.unwrap().offset).collect();
        assert_eq!(offsets, [41, 42]);
    }

    #[test]
    fn log_append_time_and_a_wrong_largest_timestamp_get_a_new_crc() {
        let bytes = batch();
        let appended = stored(
            &bytes,
            &Restamp { base_offset: 0, leader_epoch: 0, log_append_time: Some(5000), max_timestamp: 1007 },
        );
        let view = Batch::exactly(&appended).unwrap();
        assert!(view.crc_ok());
        assert_eq!(view.header().timestamp_type(), TimestampType::LogAppend);
        assert!(view.records().unwrap().all(|record| record.unwrap().timestamp == 5000));

        let mended = stored(
            &bytes,
            &Restamp { base_offset: 0, leader_epoch: 0, log_append_time: None, max_timestamp: 2000 },
        );
        let view = Batch::exactly(&mended).unwrap();
        assert!(view.crc_ok());
        assert_eq!(view.max_timestamp(), 2000);
    }

    #[test]
    fn another_codec_changes_nothing_else() {
        use crate::record::Codec;
        let (plain, mut inflate, mut compressor) = (batch(), Decompressor::new(), Compressor::new());
        let original = Batch::exactly(&plain).unwrap();
        for first in Codec::ALL {
            let once = recompress(&original, first.into(), &mut inflate, &mut compressor, 1 << 20).unwrap();
            for second in Codec::ALL {
                let how = Compression { codec: second, level: second.levels().map(|(_, high)| high) };
                let view = Batch::exactly(&once).unwrap();
                let twice = recompress(&view, how, &mut inflate, &mut compressor, 1 << 20).unwrap();
                let view = Batch::exactly(&twice).unwrap();
                assert!(view.crc_ok());
                assert_eq!(view.codec(), Ok(second));
                let values = |batch: &Batch<'_>| -> Vec<(i64, i64, Vec<u8>)> {
                    let mut inflate = Decompressor::new();
                    let records = inflate.records(batch, 1 << 20).unwrap().map(|record| record.unwrap());
                    records.map(|one| (one.offset, one.timestamp, one.value.unwrap().to_vec())).collect()
                };
                assert_eq!(values(&view), values(&original));
                assert_eq!((view.count(), view.max_timestamp()), (2, 1007));
            }
            let bounded = recompress(
                &Batch::exactly(&once).unwrap(),
                Compression::NONE,
                &mut inflate,
                &mut compressor,
                3,
            );
            assert_eq!(bounded, Err(RecordError::TooLargeInflated { limit: 3 }));
        }
    }

    #[test]
    fn a_new_producer_epoch_in_place() {
        let mut bytes = batch();
        set_producer(&mut bytes, ProducerStamp { id: 5, epoch: 2, base_sequence: 10, transactional: false });
        let batch = Batch::exactly(&bytes).unwrap();
        assert!(batch.crc_ok());
        assert_eq!((batch.producer_id(), batch.producer_epoch(), batch.base_sequence()), (5, 2, 10));
        assert_eq!(batch.header().last_sequence(), 11);
        set_producer(&mut [], ProducerStamp::NONE);
    }
}
