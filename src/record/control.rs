//! Control batches: the commit and abort markers of transactions; never written by clients.

use super::builder::{BatchBuilder, ProducerStamp};
use super::error::RecordError;
use super::iter::Record;

const ABORT: i16 = 0;
const COMMIT: i16 = 1;

/// What a control record says (KIP-98: key is version and type, value is version and coordinator epoch).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlMarker {
    /// The transaction is aborted.
    Abort {
        /// Epoch of the coordinator that wrote it.
        coordinator_epoch: i32,
    },
    /// The transaction is committed.
    Commit {
        /// Epoch of the coordinator that wrote it.
        coordinator_epoch: i32,
    },
    /// A type that is not a transaction's end (Raft's own, or newer than this).
    Other(i16),
}

impl ControlMarker {
    /// Reads a record of a control batch; `None` where it is malformed.
    pub fn of(record: &Record<'_>) -> Option<ControlMarker> {
        let key = record.key?;
        let version = i16::from_be_bytes(*key.first_chunk()?);
        let kind = i16::from_be_bytes(*key.get(2..)?.first_chunk()?);
        if version < 0 {
            return None;
        }
        let coordinator_epoch = || Some(i32::from_be_bytes(*record.value?.get(2..)?.first_chunk()?));
        match kind {
            ABORT => Some(ControlMarker::Abort { coordinator_epoch: coordinator_epoch()? }),
            COMMIT => Some(ControlMarker::Commit { coordinator_epoch: coordinator_epoch()? }),
            other => Some(ControlMarker::Other(other)),
        }
    }
}

/// A control batch that ends a producer's transaction: base offset 0, no sequence. `timestamp` in ms.
///
/// # Errors
/// `Malformed` for [`ControlMarker::Other`], which ends none.
pub fn end_transaction_batch(
    producer_id: i64,
    producer_epoch: i16,
    marker: ControlMarker,
    timestamp: i64,
) -> Result<Vec<u8>, RecordError> {
    let (kind, coordinator_epoch) = match marker {
        ControlMarker::Abort { coordinator_epoch } => (ABORT, coordinator_epoch),
        ControlMarker::Commit { coordinator_epoch } => (COMMIT, coordinator_epoch),
        ControlMarker::Other(_) => {
            return Err(RecordError::Malformed { index: 0, what: "not the end of a transaction" });
        }
    };
    let mut key = [0; 4];
    key[2..].copy_from_slice(&kind.to_be_bytes());
    let mut value = [0; 6];
    value[2..].copy_from_slice(&coordinator_epoch.to_be_bytes());
    let mut builder = BatchBuilder::new();
    builder.push(timestamp, Some(&key), Some(&value), &[]);
    builder.finish_control(ProducerStamp {
        id: producer_id,
        epoch: producer_epoch,
        base_sequence: -1,
        transactional: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Batch;

    #[test]
    fn markers_round_trip_and_are_control_batches() {
        for marker in [
            ControlMarker::Commit { coordinator_epoch: 7 },
            ControlMarker::Abort { coordinator_epoch: i32::MAX },
        ] {
            let bytes = end_transaction_batch(9, 3, marker, 1000).unwrap();
            let batch = Batch::exactly(&bytes).unwrap();
            assert!(batch.crc_ok());
            let header = batch.header();
            assert!(header.is_control() && header.is_transactional());
            assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (9, 3, -1));
            let record = batch.records().unwrap().next().unwrap().unwrap();
            assert_eq!(ControlMarker::of(&record), Some(marker));
        }
        assert!(end_transaction_batch(9, 3, ControlMarker::Other(2), 0).is_err());
    }

    #[test]
    fn malformed_and_unknown_markers() {
        let record = |key, value| Record { offset: 0, timestamp: 0, key, value, headers: Default::default() };
        assert_eq!(ControlMarker::of(&record(None, None)), None);
        assert_eq!(ControlMarker::of(&record(Some(&[0, 0, 0]), None)), None);
        assert_eq!(ControlMarker::of(&record(Some(&[0, 0, 0, 1]), Some(&[0, 0]))), None);
        assert_eq!(ControlMarker::of(&record(Some(&[0, 0, 0, 5]), None)), Some(ControlMarker::Other(5)));
    }
}
