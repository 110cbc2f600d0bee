//! What a log remembers of idempotent producers: epoch, and sequences of the last batches; it decides, it writes no files.
//!
//! As Kafka's `ProducerStateManager` and `ProducerAppendInfo` decide: the last five batches of a producer are known by
//! their sequences, so that a batch sent again is answered with its old offsets.

mod snapshot;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, VecDeque};

use super::StorageError;
use super::transactions::{Change, Ended, Guard, Origin};
use crate::record::{BatchHeader, ControlMarker};

/// How many batches of a producer are remembered (Kafka's `NUM_BATCHES_TO_RETAIN`; producers keep at most five in flight).
const REMEMBERED: usize = 5;
/// How many verifications a log keeps: more than producers begin a transaction in one log at a time. Beyond that the
/// oldest goes, and who it was for has to begin again.
const VERIFYING_MAX: usize = 4096;
/// How long a verification counts: no request waits so long for its coordinator, in ms.
const VERIFICATION_MS: i64 = 5 * 60_000;

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
    /// The largest timestamp of its last batch: its client's clock, or whatever a copied record says.
    last_timestamp: i64,
    /// When it last wrote, in ms of the monotonic clock; for one that comes from the disk, when that was read. No file
    /// keeps it, and timestamps do not say it: with each start a producer has the whole of its time again.
    used_ms: i64,
    coordinator_epoch: i32,
    /// First offset of the transaction under way, -1 for none.
    transaction_from: i64,
}

/// A transaction that is being verified with its coordinator: its first batch may come once that said yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Verification {
    guard: Guard,
    /// When it was asked for first, in ms of the monotonic clock.
    since_ms: i64,
    /// The least sequence that asked: batches sent later must not come first.
    lowest_sequence: i32,
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
    /// The largest timestamp of its last batch, ms since 1970; -1 for none.
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
    /// By producer and epoch: what one epoch asks for, true or made up, changes nothing for another.
    verifying: BTreeMap<(i64, i16), Verification>,
    last_guard: u64,
    /// When the verifications were last looked through for old ones, in ms of the monotonic clock.
    verifying_looked_ms: i64,
}

/// What a batch is to its producer's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// To be appended.
    New,
    /// Here already.
    Duplicate(Remembered),
}

impl Producer {
    /// Whether its transaction is under way, begun under this epoch.
    fn is_within(&self, epoch: i16) -> bool {
        self.transaction_from >= 0 && self.epoch == epoch
    }

    /// The batch that this one is again.
    fn twin(&self, header: &BatchHeader) -> Option<Remembered> {
        let same = |batch: &&Remembered| {
            batch.first_sequence() == header.base_sequence && batch.last_sequence == header.last_sequence()
        };
        self.batches.iter().find(same).filter(|_| self.epoch == header.producer_epoch).copied()
    }

    fn check_sequence(&self, header: &BatchHeader) -> Result<(), StorageError> {
        // An epoch without batches (it came by a marker) begins at 0 as a new one does.
        let same = header.producer_epoch == self.epoch;
        let last = self.batches.back().filter(|_| same);
        let expected = last.map_or(0, |last| next_sequence(last.last_sequence));
        let (producer_id, found) = (header.producer_id, header.base_sequence);
        if found == expected {
            Ok(())
        } else {
            Err(StorageError::OutOfOrderSequence { producer_id, expected, found })
        }
    }

    /// Whether a marker may be written: not of an older producer epoch, nor of an older coordinator. From transaction
    /// version 2 on its epoch lies above that of the transaction it ends (KIP-890, KIP-1228); one that has no transaction
    /// left to end is the same marker again, and the last epoch of all can not rise.
    fn check_marker(
        &self,
        header: &BatchHeader,
        marker: Option<ControlMarker>,
        transaction_version: i16,
    ) -> Result<(), StorageError> {
        let (producer_id, current, found) = (header.producer_id, self.epoch, header.producer_epoch);
        let again = self.transaction_from < 0 || found == i16::MAX;
        if found < current || (found == current && transaction_version >= 2 && !again) {
            return Err(StorageError::ProducerFenced { producer_id, current, found });
        }
        let (current, found) = (self.coordinator_epoch, marker.and_then(coordinator_epoch));
        match found {
            Some(found) if found < current => {
                Err(StorageError::CoordinatorFenced { producer_id, current, found })
            }
            _ => Ok(()),
        }
    }

    fn apply_marker(&mut self, header: &BatchHeader, marker: Option<ControlMarker>) -> Change {
        // Without a record all of the transaction was compacted away: there is nothing left to end.
        let Some(coordinator_epoch) = marker.and_then(coordinator_epoch) else { return Change::Nothing };
        self.coordinator_epoch = coordinator_epoch;
        let first_offset = std::mem::replace(&mut self.transaction_from, -1);
        if first_offset < 0 {
            return Change::Nothing;
        }
        Change::Ends(Ended {
            producer_id: header.producer_id,
            first_offset,
            last_offset: header.base_offset,
            aborted: matches!(marker, Some(ControlMarker::Abort { .. })),
        })
    }
}

fn coordinator_epoch(marker: ControlMarker) -> Option<i32> {
    match marker {
        ControlMarker::Abort { coordinator_epoch } | ControlMarker::Commit { coordinator_epoch } => {
            Some(coordinator_epoch)
        }
        ControlMarker::Other(_) => None,
    }
}

fn check_epoch(known: Option<&Producer>, header: &BatchHeader) -> Result<(), StorageError> {
    let (producer_id, found) = (header.producer_id, header.producer_epoch);
    match known {
        Some(known) if found < known.epoch => {
            Err(StorageError::ProducerFenced { producer_id, current: known.epoch, found })
        }
        _ => Ok(()),
    }
}

/// The first batch of a transaction that is being verified: none that was sent before it may be missing.
fn check_first(
    known: Option<&Producer>,
    verification: Option<&Verification>,
    bumps_epoch: bool,
    header: &BatchHeader,
) -> Result<(), StorageError> {
    let Some(verification) = verification else { return Ok(()) };
    let (producer_id, found) = (header.producer_id, header.base_sequence);
    let unknown = known.is_none_or(|known| known.batches.is_empty());
    let expected = if bumps_epoch && unknown { 0 } else { verification.lowest_sequence };
    if found > expected {
        return Err(StorageError::OutOfOrderSequence { producer_id, expected, found });
    }
    Ok(())
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

    /// First offsets and producers of the transactions under way.
    pub(super) fn open_transactions(&self) -> BTreeMap<i64, i64> {
        let open = self.by_id.iter().filter(|(_, producer)| producer.transaction_from >= 0);
        open.map(|(id, producer)| (producer.transaction_from, *id)).collect()
    }

    /// A guard for the first batch of a producer's transaction; `None` where that is under way and needs none. Who asks
    /// again before the batch has come gets the same one; who comes with an epoch that is over gets one that lets nothing
    /// pass, and is not remembered.
    pub(super) fn begin_verification(
        &mut self,
        producer_id: i64,
        epoch: i16,
        base_sequence: i32,
        now_ms: i64,
    ) -> Option<Guard> {
        if let Some(known) = self.by_id.get(&producer_id) {
            if known.is_within(epoch) {
                return None;
            }
            if known.epoch > epoch {
                return Some(Guard::FENCED);
            }
        }
        let key = (producer_id, epoch);
        if let Some(verification) = self.verifying.get_mut(&key) {
            verification.lowest_sequence = verification.lowest_sequence.min(base_sequence);
            return Some(verification.guard);
        }
        self.make_room(now_ms);
        self.last_guard += 1;
        let guard = Guard(self.last_guard);
        let lowest_sequence = base_sequence;
        self.verifying.insert(key, Verification { guard, since_ms: now_ms, lowest_sequence });
        Some(guard)
    }

    /// The coordinator refused what the guard was for: it lets nothing pass any more.
    pub(super) fn end_verification(&mut self, producer_id: i64, epoch: i16, guard: Guard) {
        if let Entry::Occupied(verification) = self.verifying.entry((producer_id, epoch))
            && verification.get().guard == guard
        {
            verification.remove();
        }
    }

    /// Sees to it that there is room for one more verification, whatever became of those before.
    fn make_room(&mut self, now_ms: i64) {
        let full = self.verifying.len() >= VERIFYING_MAX;
        if full || now_ms.saturating_sub(self.verifying_looked_ms) >= VERIFICATION_MS {
            self.expire_verifications(now_ms);
        }
        if self.verifying.len() >= VERIFYING_MAX {
            let oldest = self.verifying.iter().min_by_key(|(_, verification)| verification.guard.0);
            if let Some((&key, _)) = oldest {
                self.verifying.remove(&key);
            }
        }
    }

    fn expire_verifications(&mut self, now_ms: i64) {
        self.verifying_looked_ms = now_ms;
        self.verifying
            .retain(|_, verification| now_ms.saturating_sub(verification.since_ms) < VERIFICATION_MS);
    }

    /// Judges a batch before it is written; `marker` is what a control batch says.
    pub(super) fn judge(
        &self,
        header: &BatchHeader,
        marker: Option<ControlMarker>,
        origin: Origin,
    ) -> Result<Verdict, StorageError> {
        if !header.has_producer_id() {
            return Ok(Verdict::New);
        }
        let known = self.by_id.get(&header.producer_id);
        if header.is_control() {
            let version = match origin {
                Origin::Marker { transaction_version } => transaction_version,
                Origin::Client { .. } | Origin::Coordinator => 0,
            };
            return known
                .map_or(Ok(()), |known| known.check_marker(header, marker, version))
                .map(|()| Verdict::New);
        }
        if let Origin::Client { guard, bumps_epoch } = origin {
            if let Some(twin) = known.and_then(|known| known.twin(header)) {
                return Ok(Verdict::Duplicate(twin));
            }
            let verification = self.verifying.get(&(header.producer_id, header.producer_epoch));
            let under_way = known.is_some_and(|known| known.is_within(header.producer_epoch));
            let verified = guard.is_some() && verification.map(|verification| verification.guard) == guard;
            if header.is_transactional() && !under_way && !verified {
                if guard == Some(Guard::FENCED) {
                    check_epoch(known, header)?;
                }
                return Err(StorageError::NotInTransaction { producer_id: header.producer_id });
            }
            check_epoch(known, header)?;
            if !under_way {
                check_first(known, verification, bumps_epoch, header)?;
            }
            known.map_or(Ok(()), |known| known.check_sequence(header))?;
        } else {
            check_epoch(known, header)?;
        }
        match known {
            Some(known) if known.transaction_from >= 0 && !header.is_transactional() => {
                Err(StorageError::InTransaction { producer_id: header.producer_id })
            }
            _ => Ok(Verdict::New),
        }
    }

    /// Takes in a batch that is in the log; `header` has its final offsets, `marker` is what a control batch says, `now_ms`
    /// is of the monotonic clock. What that does to the log's transactions.
    pub(super) fn apply(
        &mut self,
        header: &BatchHeader,
        marker: Option<ControlMarker>,
        now_ms: i64,
    ) -> Change {
        if !header.has_producer_id() {
            return Change::Nothing;
        }
        let producer_id = header.producer_id;
        if header.is_transactional() && !self.verifying.is_empty() {
            self.end_verifications(producer_id);
        }
        let producer = self.by_id.entry(producer_id).or_insert_with(|| Producer {
            epoch: header.producer_epoch,
            batches: VecDeque::new(),
            last_timestamp: header.max_timestamp,
            used_ms: now_ms,
            coordinator_epoch: -1,
            transaction_from: -1,
        });
        if producer.epoch != header.producer_epoch {
            producer.epoch = header.producer_epoch;
            producer.batches.clear();
        }
        producer.last_timestamp = header.max_timestamp;
        producer.used_ms = now_ms;
        if header.is_control() {
            return producer.apply_marker(header, marker);
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
        if !header.is_transactional() || producer.transaction_from >= 0 {
            return Change::Nothing;
        }
        producer.transaction_from = header.base_offset;
        Change::Begins { producer_id, first_offset: header.base_offset }
    }

    /// Takes in batches that were here before a snapshot, which knows the last of each producer only: a producer may send
    /// any of its last five again. `headers` ascend.
    pub(super) fn recall(&mut self, headers: &[BatchHeader]) {
        for header in headers.iter().rev().filter(|header| !header.is_control()) {
            let Some(known) = self.by_id.get_mut(&header.producer_id) else { continue };
            let earlier = known.batches.front().is_some_and(|first| {
                // In one row with what is known, or it is of another life of that producer.
                header.last_offset() < first.last_offset
                    && next_sequence(header.last_sequence()) == first.first_sequence()
            });
            if earlier && known.epoch == header.producer_epoch && known.batches.len() < REMEMBERED {
                known.batches.push_front(Remembered {
                    last_sequence: header.last_sequence(),
                    last_offset: header.last_offset(),
                    offset_delta: header.last_offset_delta,
                    timestamp: header.max_timestamp,
                });
            }
        }
    }

    fn end_verifications(&mut self, producer_id: i64) {
        let mut all =
            self.verifying.extract_if((producer_id, i16::MIN)..=(producer_id, i16::MAX), |_, _| true);
        all.by_ref().for_each(drop);
    }

    /// Forgets who wrote nothing for `expiration_ms` up to `now_ms` of the monotonic clock, whatever the records are stamped
    /// (transactions under way keep theirs), and verifications that came to nothing. Returns how many producers went.
    pub(super) fn expire(&mut self, now_ms: i64, expiration_ms: i64) -> usize {
        let before = self.by_id.len();
        self.by_id.retain(|_, producer| {
            producer.transaction_from >= 0 || now_ms.saturating_sub(producer.used_ms) < expiration_ms
        });
        self.expire_verifications(now_ms);
        before - self.by_id.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::crc32c;

    const CLIENT: Origin = Origin::Client { guard: None, bumps_epoch: false };

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
            assert_eq!(producers.judge(&batch, None, CLIENT).unwrap(), Verdict::New);
            producers.apply(&batch, None, 0);
        }
        for n in 1..6 {
            match producers.judge(&batch(0, n * 10, 10, 0), None, CLIENT).unwrap() {
                Verdict::Duplicate(old) => assert_eq!(old.base_offset(), i64::from(n) * 10),
                Verdict::New => panic!("batch {n} was forgotten"),
            }
        }
        let forgotten = producers.judge(&batch(0, 0, 10, 0), None, CLIENT);
        assert!(matches!(forgotten, Err(StorageError::OutOfOrderSequence { expected: 60, found: 0, .. })));
        // The same first sequence with another count is no duplicate.
        assert!(producers.judge(&batch(0, 50, 9, 0), None, CLIENT).is_err());
    }

    #[test]
    fn epochs_fence_and_begin_at_zero() {
        let mut producers = Producers::default();
        producers.apply(&batch(3, 5, 1, 0), None, 0);
        assert!(matches!(
            producers.judge(&batch(2, 6, 1, 1), None, CLIENT),
            Err(StorageError::ProducerFenced { current: 3, found: 2, .. })
        ));
        assert!(producers.judge(&batch(4, 6, 1, 1), None, CLIENT).is_err());
        assert_eq!(producers.judge(&batch(4, 0, 1, 1), None, CLIENT).unwrap(), Verdict::New);
        assert_eq!(Producers::default().judge(&batch(4, 99, 1, 1), None, CLIENT).unwrap(), Verdict::New);
    }

    #[test]
    fn sequences_wrap_to_zero() {
        let mut producers = Producers::default();
        producers.apply(&batch(0, i32::MAX - 1, 4, 0), None, 0); // MAX-1, MAX, 0, 1
        assert_eq!(producers.judge(&batch(0, 2, 1, 4), None, CLIENT).unwrap(), Verdict::New);
        assert!(matches!(
            producers.judge(&batch(0, i32::MAX - 1, 4, 4), None, CLIENT).unwrap(),
            Verdict::Duplicate(old) if old.base_offset() == 0
        ));
    }

    #[test]
    fn a_snapshot_has_kafkas_bytes_and_comes_back() {
        let mut producers = Producers::default();
        producers.apply(&batch(1, 4, 2, 10), None, 0);
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
        assert_eq!(Producers::from_snapshot(&bytes, 0), Some(producers));
        for at in 0..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[at] ^= 1;
            assert_eq!(Producers::from_snapshot(&wrong, 0), None, "flipped at {at}");
            assert_eq!(Producers::from_snapshot(&bytes[..at], 0), None, "cut at {at}");
        }
    }

    #[test]
    fn what_was_before_a_snapshot_is_recalled() {
        let all: Vec<_> = (0..8).map(|n| batch(1, n * 10, 10, i64::from(n) * 10)).collect();
        let mut producers = Producers::default();
        for batch in &all {
            let _ = producers.apply(batch, None, 0);
        }
        let mut again = Producers::from_snapshot(&producers.to_snapshot(), 0).unwrap();
        assert!(again.judge(&all[6], None, CLIENT).is_err(), "a snapshot knows the last batch only");
        again.recall(&all);
        assert_eq!(again, producers);
        // Of an earlier epoch, or with a gap: none of this producer's row.
        let mut again = Producers::from_snapshot(&producers.to_snapshot(), 0).unwrap();
        again.recall(&[batch(0, 60, 10, 60), batch(1, 50, 10, 50)]);
        assert!(again.judge(&all[6], None, CLIENT).is_err() && again.judge(&all[5], None, CLIENT).is_err());
    }

    #[test]
    fn idle_producers_expire_by_when_they_wrote_whatever_they_wrote() {
        let mut producers = Producers::default();
        for max_timestamp in [-1, 1, i64::MAX] {
            let header = BatchHeader { max_timestamp, ..batch(0, 0, 1, 0) };
            producers.apply(&header, None, 5_000);
            assert_eq!(producers.active()[0].last_timestamp, max_timestamp);
            assert_eq!(producers.expire(5_999, 1_000), 0, "stamped {max_timestamp}");
            // Each batch counts from its own moment on, and so does the start that reads a snapshot.
            producers.apply(&batch(0, 1, 1, 1), None, 5_500);
            assert_eq!(producers.expire(6_499, 1_000), 0);
            let mut back = Producers::from_snapshot(&producers.to_snapshot(), 9_000).unwrap();
            assert_eq!((back.expire(9_999, 1_000), back.expire(10_000, 1_000)), (0, 1));
            assert_eq!(producers.expire(6_500, 1_000), 1);
            assert!(producers.is_empty());
        }
    }

    fn transactional(epoch: i16, sequence: i32, count: i32, offset: i64) -> BatchHeader {
        BatchHeader { attributes: 0x10, ..batch(epoch, sequence, count, offset) }
    }

    fn marker(epoch: i16, offset: i64) -> BatchHeader {
        BatchHeader { attributes: 0x30, ..batch(epoch, -1, 1, offset) }
    }

    fn guarded(guard: Option<Guard>, bumps_epoch: bool) -> Origin {
        Origin::Client { guard, bumps_epoch }
    }

    const ABORT: Option<ControlMarker> = Some(ControlMarker::Abort { coordinator_epoch: 4 });

    #[test]
    fn a_transaction_begins_with_its_guard_and_no_other() {
        let mut producers = Producers::default();
        let first = transactional(0, 0, 1, 0);
        let refused = |error| matches!(error, Err(StorageError::NotInTransaction { producer_id: 7 }));
        assert!(refused(producers.judge(&first, None, CLIENT)));
        let guard = producers.begin_verification(7, 0, 0, 1_000);
        assert!(guard.is_some());
        assert_eq!(producers.begin_verification(7, 0, 3, 1_000), guard, "asked again: the same one");
        assert!(refused(producers.judge(&first, None, guarded(Some(Guard(99)), true))));
        assert_eq!(producers.judge(&first, None, guarded(guard, true)).unwrap(), Verdict::New);
        let begins = Change::Begins { producer_id: 7, first_offset: 0 };
        assert_eq!(producers.apply(&first, None, 0), begins);
        // Under way: nothing to verify, and what follows needs no guard.
        assert_eq!(producers.begin_verification(7, 0, 1, 1_000), None);
        let second = transactional(0, 1, 1, 1);
        assert_eq!(producers.judge(&second, None, CLIENT).unwrap(), Verdict::New);
        assert_eq!(producers.apply(&second, None, 0), Change::Nothing);
        // Outside of it nothing may come meanwhile.
        assert!(matches!(
            producers.judge(&batch(0, 2, 1, 2), None, CLIENT),
            Err(StorageError::InTransaction { producer_id: 7 })
        ));
        let end = marker(1, 2);
        let version = Origin::Marker { transaction_version: 2 };
        assert_eq!(producers.judge(&end, ABORT, version).unwrap(), Verdict::New);
        let ended = Ended { producer_id: 7, first_offset: 0, last_offset: 2, aborted: true };
        assert_eq!(producers.apply(&end, ABORT, 0), Change::Ends(ended));
        assert_eq!(producers.active()[0].transaction_from, -1);
        // What comes late finds its epoch fenced, and before that no transaction.
        assert!(refused(producers.judge(&transactional(0, 2, 1, 3), None, CLIENT)));
        let guard = producers.begin_verification(7, 0, 2, 1_000);
        let late = producers.judge(&transactional(0, 2, 1, 3), None, guarded(guard, true));
        assert!(matches!(late, Err(StorageError::ProducerFenced { current: 1, found: 0, .. })));
    }

    #[test]
    fn a_marker_ends_guards_and_idle_ones_expire() {
        let mut producers = Producers::default();
        let guard = producers.begin_verification(7, 0, 0, 1_000);
        assert_eq!(producers.apply(&marker(0, 0), ABORT, 0), Change::Nothing, "nothing is under way");
        let first = transactional(0, 0, 1, 1);
        assert!(producers.judge(&first, None, guarded(guard, false)).is_err());
        let other = producers.begin_verification(7, 0, 0, 1_000);
        assert_ne!(other, guard);
        producers.expire(999 + VERIFICATION_MS, i64::MAX);
        assert!(producers.judge(&first, None, guarded(other, false)).is_ok());
        producers.expire(1_000 + VERIFICATION_MS, i64::MAX);
        assert!(producers.judge(&first, None, guarded(other, false)).is_err());
    }

    #[test]
    fn what_is_late_or_made_up_does_not_hold_up_who_is_in_its_transaction() {
        let mut producers = Producers::default();
        producers.apply(&transactional(4, 0, 1, 0), None, 0);
        // A zombie's request: refused here and by the coordinator, and nothing stays of it.
        let zombie = producers.begin_verification(7, 3, 0, 0);
        let late = producers.judge(&transactional(3, 0, 1, 1), None, guarded(zombie, true));
        assert!(matches!(late, Err(StorageError::ProducerFenced { current: 4, found: 3, .. })));
        assert_eq!(producers.judge(&transactional(4, 1, 1, 1), None, CLIENT).unwrap(), Verdict::New);
        producers.apply(&marker(4, 1), ABORT, 0);
        // An epoch that nobody gave, before the next transaction and after its first batch.
        let made_up = producers.begin_verification(7, 99, 0, 0);
        let real = producers.begin_verification(7, 4, 1, 0);
        assert_ne!(made_up, real);
        producers.end_verification(7, 99, made_up.unwrap());
        let first = transactional(4, 1, 1, 2);
        assert_eq!(producers.judge(&first, None, guarded(real, false)).unwrap(), Verdict::New);
        producers.apply(&first, None, 0);
        producers.begin_verification(7, 99, 0, 0);
        assert_eq!(producers.judge(&transactional(4, 2, 1, 3), None, CLIENT).unwrap(), Verdict::New);
    }

    #[test]
    fn verifications_that_come_to_nothing_do_not_pile_up() {
        let mut producers = Producers::default();
        let refused = producers.begin_verification(7, 0, 0, 0).unwrap();
        producers.end_verification(7, 0, Guard(refused.0 + 1));
        assert_eq!(producers.verifying.len(), 1, "that was another's");
        producers.end_verification(7, 0, refused);
        assert!(producers.verifying.is_empty());
        for id in 0..2 * VERIFYING_MAX as i64 {
            producers.begin_verification(id, 0, 0, id / 100);
        }
        assert_eq!(producers.verifying.len(), VERIFYING_MAX);
        assert!(producers.verifying.contains_key(&(2 * VERIFYING_MAX as i64 - 1, 0)), "the oldest go");
        // Where nothing is written either.
        producers.begin_verification(7, 0, 0, VERIFICATION_MS * 2);
        assert_eq!(producers.verifying.len(), 1);
    }

    #[test]
    fn what_was_sent_first_must_come_first() {
        let mut producers = Producers::default();
        let guard = producers.begin_verification(7, 0, 5, 0);
        producers.begin_verification(7, 0, 2, 0);
        let found = |sequence, bumps| match producers.judge(
            &transactional(0, sequence, 1, 0),
            None,
            guarded(guard, bumps),
        ) {
            Err(StorageError::OutOfOrderSequence { expected, .. }) => Some(expected),
            other => other.map(|_| None).unwrap(),
        };
        assert_eq!(found(5, false), Some(2), "a batch sent before it is still being verified");
        assert_eq!(found(2, false), None);
        assert_eq!(found(2, true), Some(0), "whose epoch rises with each transaction begins at 0");
        let guard = producers.begin_verification(7, 1, 0, 0);
        let next = producers.judge(&transactional(1, 1, 1, 0), None, guarded(guard, false));
        assert!(matches!(next, Err(StorageError::OutOfOrderSequence { expected: 0, .. })));
    }

    #[test]
    fn markers_are_held_against_epochs() {
        let mut producers = Producers::default();
        let judge = |producers: &Producers, epoch, coordinator_epoch, transaction_version| {
            let says = Some(ControlMarker::Commit { coordinator_epoch });
            producers.judge(&marker(epoch, 9), says, Origin::Marker { transaction_version }).map(|_| ())
        };
        assert!(judge(&producers, 0, 0, 2).is_ok(), "of a producer that is not known");
        producers.apply(&transactional(3, 0, 1, 0), None, 0);
        assert!(judge(&producers, 3, 0, 1).is_ok(), "the first version ends under the same epoch");
        let fenced = |result| matches!(result, Err(StorageError::ProducerFenced { current: 3, .. }));
        assert!(fenced(judge(&producers, 2, 0, 1)));
        assert!(fenced(judge(&producers, 3, 0, 2)));
        assert!(judge(&producers, 4, 0, 2).is_ok());
        producers.apply(&marker(4, 1), ABORT, 0);
        assert!(judge(&producers, 4, 4, 2).is_ok(), "the same marker again");
        let older = judge(&producers, 4, 3, 2);
        assert!(matches!(older, Err(StorageError::CoordinatorFenced { current: 4, found: 3, .. })));
        producers.apply(&transactional(i16::MAX, 0, 1, 2), None, 0);
        assert!(judge(&producers, i16::MAX, 4, 2).is_ok(), "the last epoch can not rise");
    }

    #[test]
    fn an_open_transaction_is_kept_in_snapshots_and_from_expiry() {
        let mut producers = Producers::default();
        producers.apply(&transactional(1, 0, 2, 10), None, 0);
        assert_eq!(producers.expire(i64::MAX, 1), 0);
        let back = Producers::from_snapshot(&producers.to_snapshot(), 0).unwrap();
        assert_eq!(back.open_transactions(), BTreeMap::from([(10, 7)]));
        assert_eq!(back.by_id, producers.by_id);
        // One that was compacted away ends nothing, and is no reason to forget an epoch.
        let mut other = Producers::default();
        assert_eq!(other.apply(&marker(5, 0), None, 0), Change::Nothing);
        assert_eq!(other.active()[0].epoch, 5);
    }
}
