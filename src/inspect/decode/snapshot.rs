//! The state of a log's producers at one offset, as `.snapshot` files keep it (`ProducerSnapshot.json` in Kafka's storage).

use bytes::Bytes;

use super::{Finding, Sink};
use crate::codec::{Reader, Value, Version, Wire, structs};
use crate::record::crc32c;

pub(super) const COLUMNS: &[&str] = &[
    "producer_id",
    "producer_epoch",
    "last_sequence",
    "last_offset",
    "offset_delta",
    "timestamp",
    "coordinator_epoch",
    "current_txn_first_offset",
];

/// The only version there has been.
const VERSION: i16 = 1;
/// Version and checksum stand before what the checksum covers.
const HEAD: usize = 2 + 4;

structs! {
    /// One producer.
    struct Producer {
        producer_id: i64,
        producer_epoch: i16,
        /// -1 without a batch.
        last_sequence: i32,
        /// -1 without a batch.
        last_offset: i64,
        offset_delta: i32,
        timestamp: i64,
        coordinator_epoch: i32,
        /// -1 outside of a transaction.
        current_txn_first_offset: i64,
    }
}

pub(super) fn decode(bytes: Vec<u8>, sink: Sink<'_>) -> Vec<Finding> {
    let mut reader = Reader::new(Bytes::from(bytes));
    let (Ok(version), Ok(crc)) = (reader.i16(), reader.u32()) else {
        return vec![Finding::new(0, "it is too short for a producer snapshot")];
    };
    if version != VERSION {
        return vec![Finding::new(
            0,
            format!("a producer snapshot in version {version}; known is {VERSION}"),
        )];
    }
    let mut findings = Vec::new();
    let computed = crc32c(&reader.rest());
    if computed != crc {
        findings.push(Finding::new(2, format!("its checksum is {computed:08x}, it says {crc:08x}")));
    }
    let Ok(count) = reader.i32() else {
        findings.push(Finding::new(HEAD as u64, "it ends before the number of producers"));
        return findings;
    };
    let layout = Version::new(VERSION, None);
    for number in 0..count.max(0) {
        let at = reader.position() as u64;
        match Producer::read(&mut reader, layout).map(|producer| producer.value(layout)) {
            Ok(Value::Struct(fields)) => {
                if !sink(fields.into_iter().map(|(_, value)| value).collect()) {
                    return findings;
                }
            }
            _ => {
                findings.push(Finding::new(at, format!("it ends in producer {number} of {count}")));
                return findings;
            }
        }
    }
    if reader.remaining() > 0 || count < 0 {
        let left = format!("{} bytes behind the last of {count} producers", reader.remaining());
        findings.push(Finding::new(reader.position() as u64, left));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_are_the_fields() {
        let Value::Struct(fields) = Producer::default().value(Version::new(VERSION, None)) else { panic!() };
        assert!(fields.iter().map(|(name, _)| name).eq(COLUMNS));
    }

    fn decoded(bytes: &[u8]) -> (usize, Vec<Finding>) {
        let mut rows = 0;
        let findings = decode(bytes.to_vec(), &mut |_| {
            rows += 1;
            true
        });
        (rows, findings)
    }

    #[test]
    fn what_is_cut_or_flipped_is_found_and_the_rest_shown() {
        let mut body = vec![0, 0, 0, 2];
        body.extend_from_slice(&[0; 92]);
        let mut bytes = vec![0, 1];
        bytes.extend_from_slice(&crc32c(&body).to_be_bytes());
        bytes.extend_from_slice(&body);
        assert_eq!(decoded(&bytes), (2, vec![]));
        for cut in 0..bytes.len() {
            let (rows, findings) = decoded(&bytes[..cut]);
            assert!(!findings.is_empty() && rows <= 1, "cut at {cut}");
        }
        bytes[20] ^= 1;
        let (rows, findings) = decoded(&bytes);
        assert_eq!((rows, findings.len(), findings[0].position), (2, 1, 2));
    }
}
