//! What a log remembers of idempotent producers: epoch, and sequences of the last batches; it decides, it writes no files.
//!
//! As Kafka's `ProducerStateManager` and `ProducerAppendInfo` decide: the last five batches of a producer are known by
//! their sequences, so that a batch sent again is answered with its old offsets.

use std::collections::{HashMap, VecDeque};

use super::StorageError;
use crate::record::{BatchHeader, crc32c};

/// How many batches of a producer are remembered (Kafka's `NUM_BATCHES_TO_RETAIN`; producers keep at most five in flight).
const REMEMBERED: usize = 5;
/// The version of `.snapshot` files that Kafka 4.3 writes.
const SNAPSHOT_VERSION: i16 = 1;
const ENTRY: usize = 8 + 2 + 4 + 8 + 4 + 8 + 4 + 8;

/// One remembered batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Remembered {
    last_sequence: i32,
    pub(super) last_offset: i64,
    offset_delta: i32,
    pub(super) timestamp: i64,
}

impl Remembered {
    fn first_sequence(&self) -> i32 {
        sequence_back(self.last_sequence, self.offset_delta)
    }

    /// The batch's first offset.
    pub(super) fn base_offset(&self) -> i64 {
        self.last_offset - i64::from(self.offset_delta)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Producer {
    epoch: i16,
    batches: VecDeque<Remembered>,
    last_timestamp: i64,
    coordinator_epoch: i32,
    /// First offset of the transaction under way, -1 for none; kept for files of logs that have them.
    transaction_from: i64,
}

/// What is known of one producer (DescribeProducers).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActiveProducer {
    /// Its id.
    pub producer_id: i64,
    /// Its epoch.
    pub epoch: i16,
    /// The last sequence it wrote; -1 for none.
    pub last_sequence: i32,
    /// When it last wrote, ms since 1970; -1 for never.
    pub last_timestamp: i64,
    /// The epoch of the coordinator that last ended a transaction of it; -1 for none.
    pub coordinator_epoch: i32,
    /// First offset of the transaction under way; -1 for none.
    pub transaction_from: i64,
}

/// A producer's last batch, for who must know whether a batch is that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LastBatch {
    /// The last offset of its last batch of data; `None` where markers are all there is.
    pub(super) offset: Option<i64>,
    pub(super) epoch: i16,
}

/// All producers of one log.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Producers {
    by_id: HashMap<i64, Producer>,
}

/// What a batch is to its producer's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// To be appended.
    New,
    /// Here already.
    Duplicate(Remembered),
}

fn next_sequence(last: i32) -> i32 {
    if last == i32::MAX { 0 } else { last + 1 }
}

fn sequence_back(last: i32, by: i32) -> i32 {
    let first = i64::from(last) - i64::from(by);
    let wrapped = if first < 0 { first + i64::from(i32::MAX) + 1 } else { first };
    i32::try_from(wrapped).unwrap_or(0)
}

impl Producers {
    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// All of them, by id.
    pub(super) fn active(&self) -> Vec<ActiveProducer> {
        let active = |(&producer_id, known): (&i64, &Producer)| ActiveProducer {
            producer_id,
            epoch: known.epoch,
            last_sequence: known.batches.back().map_or(-1, |last| last.last_sequence),
            last_timestamp: known.last_timestamp,
            coordinator_epoch: known.coordinator_epoch,
            transaction_from: known.transaction_from,
        };
        let mut all: Vec<ActiveProducer> = self.by_id.iter().map(active).collect();
        all.sort_unstable_by_key(|producer| producer.producer_id);
        all
    }

    /// The last batch of each producer.
    pub(super) fn lasts(&self) -> HashMap<i64, LastBatch> {
        let last = |producer: &Producer| LastBatch {
            offset: producer.batches.back().map(|last| last.last_offset),
            epoch: producer.epoch,
        };
        self.by_id.iter().map(|(id, producer)| (*id, last(producer))).collect()
    }

    /// Judges a client's batch before it is written.
    pub(super) fn judge(&self, header: &BatchHeader) -> Result<Verdict, StorageError> {
        if !header.has_producer_id() || header.is_control() {
            return Ok(Verdict::New);
        }
        // Unknown here (new, expired, or its records were deleted): any sequence is taken, as Kafka does since 2.5.
        let Some(known) = self.by_id.get(&header.producer_id) else { return Ok(Verdict::New) };
        let (producer_id, found) = (header.producer_id, header.base_sequence);
        if header.producer_epoch < known.epoch {
            let (current, found) = (known.epoch, header.producer_epoch);
            return Err(StorageError::ProducerFenced { producer_id, current, found });
        }
        if header.producer_epoch > known.epoch {
            return match found {
                0 => Ok(Verdict::New),
                _ => Err(StorageError::OutOfOrderSequence { producer_id, expected: 0, found }),
            };
        }
        let twin = known
            .batches
            .iter()
            .find(|batch| batch.first_sequence() == found && batch.last_sequence == header.last_sequence());
        if let Some(twin) = twin {
            return Ok(Verdict::Duplicate(*twin));
        }
        // An epoch without batches (it came by a marker) begins at 0 as a new one does.
        let expected = known.batches.back().map_or(0, |last| next_sequence(last.last_sequence));
        if found == expected {
            Ok(Verdict::New)
        } else {
            Err(StorageError::OutOfOrderSequence { producer_id, expected, found })
        }
    }

    /// Takes in a batch that is in the log; `header` has its final offsets.
    pub(super) fn apply(&mut self, header: &BatchHeader) {
        if !header.has_producer_id() {
            return;
        }
        let producer = self.by_id.entry(header.producer_id).or_insert_with(|| Producer {
            epoch: header.producer_epoch,
            batches: VecDeque::new(),
            last_timestamp: header.max_timestamp,
            coordinator_epoch: -1,
            transaction_from: -1,
        });
        if producer.epoch != header.producer_epoch {
            producer.epoch = header.producer_epoch;
            producer.batches.clear();
        }
        producer.last_timestamp = header.max_timestamp;
        if header.is_control() {
            producer.transaction_from = -1;
            return;
        }
        if header.is_transactional() && producer.transaction_from < 0 {
            producer.transaction_from = header.base_offset;
        }
        if producer.batches.len() == REMEMBERED {
            producer.batches.pop_front();
        }
        producer.batches.push_back(Remembered {
            last_sequence: header.last_sequence(),
            last_offset: header.last_offset(),
            offset_delta: header.last_offset_delta,
            timestamp: header.max_timestamp,
        });
    }

    /// Forgets who wrote nothing for `expiration_ms` (transactions under way keep theirs). Returns how many went.
    pub(super) fn expire(&mut self, now_ms: i64, expiration_ms: i64) -> usize {
        let before = self.by_id.len();
        self.by_id.retain(|_, producer| {
            producer.transaction_from >= 0 || now_ms.saturating_sub(producer.last_timestamp) < expiration_ms
        });
        before - self.by_id.len()
    }

    /// The bytes of a `.snapshot` file: version, CRC-32C of the rest, entries (Kafka's `ProducerSnapshot`).
    pub(super) fn to_snapshot(&self) -> Vec<u8> {
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

    /// Reads a `.snapshot` file; `None` when it is not whole.
    pub(super) fn from_snapshot(bytes: &[u8]) -> Option<Self> {
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
            let (id, producer) = read_entry(entry)?;
            by_id.insert(id, producer);
        }
        Some(Self { by_id })
    }
}

fn read_entry(entry: &[u8; ENTRY]) -> Option<(i64, Producer)> {
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
        coordinator_epoch: i32::from_be_bytes(*coordinator_epoch),
        transaction_from: i64::from_be_bytes(*transaction_from),
    };
    Some((i64::from_be_bytes(*id), producer))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(epoch: i16, sequence: i32, count: i32, offset: i64) -> BatchHeader {
        BatchHeader {
            base_offset: offset,
            batch_length: 49,
            leader_epoch: 0,
            crc: 0,
            attributes: 0,
            last_offset_delta: count - 1,
            base_timestamp: 0,
            max_timestamp: 1_000 + offset,
            producer_id: 7,
            producer_epoch: epoch,
            base_sequence: sequence,
            count,
        }
    }

    #[test]
    fn the_last_five_batches_are_known_again() {
        let mut producers = Producers::default();
        for n in 0..6 {
            let batch = batch(0, n * 10, 10, i64::from(n) * 10);
            assert_eq!(producers.judge(&batch).unwrap(), Verdict::New);
            producers.apply(&batch);
        }
        for n in 1..6 {
            match producers.judge(&batch(0, n * 10, 10, 0)).unwrap() {
                Verdict::Duplicate(old) => assert_eq!(old.base_offset(), i64::from(n) * 10),
                Verdict::New => panic!("batch {n} was forgotten"),
            }
        }
        let forgotten = producers.judge(&batch(0, 0, 10, 0));
        assert!(matches!(forgotten, Err(StorageError::OutOfOrderSequence { expected: 60, found: 0, .. })));
        // The same first sequence with another count is no duplicate.
        assert!(producers.judge(&batch(0, 50, 9, 0)).is_err());
    }

    #[test]
    fn epochs_fence_and_begin_at_zero() {
        let mut producers = Producers::default();
        producers.apply(&batch(3, 5, 1, 0));
        assert!(matches!(
            producers.judge(&batch(2, 6, 1, 1)),
            Err(StorageError::ProducerFenced { current: 3, found: 2, .. })
        ));
        assert!(producers.judge(&batch(4, 6, 1, 1)).is_err());
        assert_eq!(producers.judge(&batch(4, 0, 1, 1)).unwrap(), Verdict::New);
        assert_eq!(Producers::default().judge(&batch(4, 99, 1, 1)).unwrap(), Verdict::New);
    }

    #[test]
    fn sequences_wrap_to_zero() {
        let mut producers = Producers::default();
        producers.apply(&batch(0, i32::MAX - 1, 4, 0)); // MAX-1, MAX, 0, 1
        assert_eq!(producers.judge(&batch(0, 2, 1, 4)).unwrap(), Verdict::New);
        assert!(matches!(
            producers.judge(&batch(0, i32::MAX - 1, 4, 4)).unwrap(),
            Verdict::Duplicate(old) if old.base_offset() == 0
        ));
    }

    #[test]
    fn a_snapshot_has_kafkas_bytes_and_comes_back() {
        let mut producers = Producers::default();
        producers.apply(&batch(1, 4, 2, 10));
        let bytes = producers.to_snapshot();
        let mut body = vec![0, 0, 0, 1];
        body.extend_from_slice(&7i64.to_be_bytes());
        body.extend_from_slice(&1i16.to_be_bytes());
        body.extend_from_slice(&5i32.to_be_bytes());
        body.extend_from_slice(&11i64.to_be_bytes());
        body.extend_from_slice(&1i32.to_be_bytes());
        body.extend_from_slice(&1_010i64.to_be_bytes());
        body.extend_from_slice(&(-1i32).to_be_bytes());
        body.extend_from_slice(&(-1i64).to_be_bytes());
        assert_eq!(bytes[..2], [0, 1]);
        assert_eq!(bytes[2..6], crc32c(&body).to_be_bytes());
        assert_eq!(bytes[6..], body);
        assert_eq!(Producers::from_snapshot(&bytes), Some(producers));
        for at in 0..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[at] ^= 1;
            assert_eq!(Producers::from_snapshot(&wrong), None, "flipped at {at}");
            assert_eq!(Producers::from_snapshot(&bytes[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn idle_producers_expire() {
        let mut producers = Producers::default();
        producers.apply(&batch(0, 0, 1, 0)); // at 1_000 ms
        assert_eq!(producers.expire(1_999, 1_000), 0);
        assert_eq!(producers.expire(2_000, 1_000), 1);
        assert!(producers.is_empty());
    }
}
