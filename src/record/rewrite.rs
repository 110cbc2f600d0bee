//! New headers for batches whose payload stays as it is; never touches the payload.

use super::batch::{ATTRIBUTE_APPEND_TIME, Batch, CRC_AT, CRC_FROM, HEADER_LEN};
use super::builder::{ProducerStamp, put_crc, put_stamp};

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
