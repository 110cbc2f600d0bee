//! The `.snapshot` file of a log's producers, as Kafka writes it: bytes to values and back, no files.

use std::collections::{HashMap, VecDeque};

use super::{Producer, Producers, Remembered};
use crate::record::crc32c;

/// The version of `.snapshot` files that Kafka 4.3 writes.
const SNAPSHOT_VERSION: i16 = 1;
const ENTRY: usize = 8 + 2 + 4 + 8 + 4 + 8 + 4 + 8;

impl Producers {
    /// The bytes of a `.snapshot` file: version, CRC-32C of the rest, entries (Kafka's `ProducerSnapshot`).
    pub(in crate::storage) fn to_snapshot(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(10 + self.by_id.len() * ENTRY);
        bytes.extend_from_slice(&SNAPSHOT_VERSION.to_be_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&(self.by_id.len() as i32).to_be_bytes());
        let mut ids: Vec<_> = self.by_id.iter().collect();
        ids.sort_by_key(|(id, _)| **id);
        for (id, producer) in ids {
            let last = producer.batches.back();
            bytes.extend_from_slice(&id.to_be_bytes());
            bytes.extend_from_slice(&producer.epoch.to_be_bytes());
            bytes.extend_from_slice(&last.map_or(-1, |last| last.last_sequence).to_be_bytes());
            bytes.extend_from_slice(&last.map_or(-1, |last| last.last_offset).to_be_bytes());
            bytes.extend_from_slice(&last.map_or(0, |last| last.offset_delta).to_be_bytes());
            bytes.extend_from_slice(&producer.last_timestamp.to_be_bytes());
            bytes.extend_from_slice(&producer.coordinator_epoch.to_be_bytes());
            bytes.extend_from_slice(&producer.transaction_from.to_be_bytes());
        }
        let crc = crc32c(bytes.get(6..).unwrap_or_default());
        if let Some(place) = bytes.get_mut(2..6) {
            place.copy_from_slice(&crc.to_be_bytes());
        }
        bytes
    }

    /// Reads a `.snapshot` file; `None` when it is not whole. Its producers count as used at `now_ms` of the monotonic
    /// clock: the file does not say when they were.
    pub(in crate::storage) fn from_snapshot(bytes: &[u8], now_ms: i64) -> Option<Self> {
        let (version, rest) = bytes.split_first_chunk::<2>()?;
        let (crc, body) = rest.split_first_chunk::<4>()?;
        if i16::from_be_bytes(*version) != SNAPSHOT_VERSION || u32::from_be_bytes(*crc) != crc32c(body) {
            return None;
        }
        let (count, entries) = body.split_first_chunk::<4>()?;
        let (entries, rest) = entries.as_chunks::<ENTRY>();
        if !rest.is_empty() || i32::from_be_bytes(*count) as usize != entries.len() {
            return None;
        }
        let mut by_id = HashMap::with_capacity(entries.len());
        for entry in entries {
            let (id, producer) = read_entry(entry, now_ms)?;
            by_id.insert(id, producer);
        }
        Some(Self { by_id, ..Self::default() })
    }
}

fn read_entry(entry: &[u8; ENTRY], now_ms: i64) -> Option<(i64, Producer)> {
    let (id, rest) = entry.split_first_chunk()?;
    let (epoch, rest) = rest.split_first_chunk()?;
    let (last_sequence, rest) = rest.split_first_chunk()?;
    let (last_offset, rest) = rest.split_first_chunk()?;
    let (offset_delta, rest) = rest.split_first_chunk()?;
    let (timestamp, rest) = rest.split_first_chunk()?;
    let (coordinator_epoch, rest) = rest.split_first_chunk()?;
    let (transaction_from, _) = rest.split_first_chunk()?;
    let last = Remembered {
        last_sequence: i32::from_be_bytes(*last_sequence),
        last_offset: i64::from_be_bytes(*last_offset),
        offset_delta: i32::from_be_bytes(*offset_delta),
        timestamp: i64::from_be_bytes(*timestamp),
    };
    let producer = Producer {
        epoch: i16::from_be_bytes(*epoch),
        batches: if last.last_offset >= 0 { VecDeque::from([last]) } else { VecDeque::new() },
        last_timestamp: last.timestamp,
        used_ms: now_ms,
        coordinator_epoch: i32::from_be_bytes(*coordinator_epoch),
        transaction_from: i64::from_be_bytes(*transaction_from),
    };
    Some((i64::from_be_bytes(*id), producer))
}
