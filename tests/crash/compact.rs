//! Compaction: the last record of each key stays, whatever ends it; nothing that was acknowledged is lost by it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use klog::record::{
    Batch, BatchBuilder, Codec, Compressor, ControlMarker, Decompressor, ProducerStamp, end_transaction_batch,
};
use klog::storage::disk::Disk;
use klog::storage::sim::SimDisk;
use klog::storage::{CompactOptions, Compacted, CompactionDue, Log, LogSettings, StorageError};
use proptest::prelude::*;

use crate::support::*;

fn compacted() -> LogSettings {
    LogSettings { compact: true, delete_by_retention: false, min_dirty_millionths: 0, ..settings() }
}

fn start(disk: &Arc<SimDisk>) -> Node {
    try_open(disk, compacted()).unwrap()
}

fn options(memory: usize, now_ms: i64) -> CompactOptions {
    CompactOptions { memory, load_percent: 90, now_ms, upto: i64::MAX }
}

fn compact(log: &Log) -> Result<Compacted, StorageError> {
    log.compact(&options(1 << 16, NOW), &mut |_| true)
}

/// A record as its reader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    offset: i64,
    timestamp: i64,
    key: String,
    value: Option<String>,
}

/// Records of keys and values in one batch.
fn keyed(pairs: &[(&str, Option<&str>)], stamp: ProducerStamp, codec: Codec) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    for (n, (key, value)) in pairs.iter().enumerate() {
        builder.push(NOW + n as i64, Some(key.as_bytes()), value.map(str::as_bytes), &[]);
    }
    builder.finish(stamp, codec.into(), &mut Compressor::new()).unwrap()
}

fn put(log: &Log, key: &str, value: Option<&str>) -> Result<i64, StorageError> {
    append(log, &keyed(&[(key, value)], ProducerStamp::NONE, Codec::None)).map(|done| done.base_offset)
}

/// All batches from the log's start on, as headers and records; every reader's way, one plan after the other.
fn batches(log: &Log) -> Vec<(klog::record::BatchHeader, Vec<Seen>)> {
    let (mut from, upto, mut all) = (log.log_start(), log.log_end(), Vec::new());
    while from < upto {
        let plan = match log.plan(from, 500, upto, true) {
            // Of records that no sync had covered a power cut may leave some behind others that are gone.
            Err(StorageError::Damaged { range, .. }) => {
                from = range.end;
                continue;
            }
            plan => plan.unwrap(),
        };
        assert!(plan.len > 0, "a reader at {from} of {upto} waits for ever");
        let mut bytes = Vec::new();
        plan.read(&mut bytes).unwrap();
        let mut rest = bytes.as_slice();
        while let Some((batch, behind)) = Batch::split_first(rest).unwrap() {
            assert!(batch.crc_ok() && batch.last_offset() >= from, "{:?}", batch.header());
            let mut inflate = Decompressor::new();
            let seen = inflate.records(&batch, 1 << 20).unwrap().map(|record| {
                let record = record.unwrap();
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                Seen {
                    offset: record.offset,
                    timestamp: record.timestamp,
                    key: text(record.key.unwrap()),
                    value: record.value.map(text),
                }
            });
            all.push((batch.header(), seen.collect()));
            from = batch.last_offset() + 1;
            rest = behind;
        }
    }
    all
}

fn records(log: &Log) -> Vec<Seen> {
    let data = batches(log).into_iter().filter(|(header, _)| !header.is_control());
    let all: Vec<Seen> = data.flat_map(|(_, records)| records).collect();
    assert!(all.is_sorted_by(|a, b| a.offset < b.offset), "offsets rise: {all:?}");
    all
}

fn files(disk: &SimDisk, ending: &str) -> usize {
    let entries = disk.list(Path::new("/data/t-0")).unwrap();
    entries.iter().filter(|entry| entry.name.ends_with(ending)).count()
}

/// Closes the active segment: a batch that does not fit behind what is there.
fn roll(log: &Log) {
    let filler = "f".repeat(450);
    put(log, "filler", Some(&filler)).unwrap();
    put(log, "filler", Some(&filler)).unwrap();
    log.sync().unwrap();
}

#[test]
fn only_the_last_record_of_a_key_stays() {
    for codec in [Codec::None, Codec::Zstd, Codec::Snappy] {
        let disk = SimDisk::new(1);
        let node = start(&disk);
        let mut written = Vec::new();
        for n in 0..120i64 {
            let (one, two) = (format!("k{}", n % 7), format!("k{}", n * 5 % 11));
            let value = format!("value {n} {}", "x".repeat(30));
            let pairs = [(one.as_str(), Some(value.as_str())), (two.as_str(), Some(value.as_str()))];
            let base = append(&node.log, &keyed(&pairs, ProducerStamp::NONE, codec)).unwrap().base_offset;
            for (at, (key, value)) in pairs.iter().enumerate() {
                written.push(Seen {
                    offset: base + at as i64,
                    timestamp: NOW + at as i64,
                    key: (*key).to_owned(),
                    value: value.map(str::to_owned),
                });
            }
        }
        node.log.sync().unwrap();
        let (before, segments) = node.log.size_if_loaded().unwrap();
        assert!(segments > 10);
        let old_plan = node.log.plan(0, 10_000, i64::MAX, true).unwrap();
        let done = compact(&node.log).unwrap();
        assert!(done.removed > 150 && done.after_bytes < done.before_bytes, "{done:?}");
        let (after, fewer) = node.log.size_if_loaded().unwrap();
        assert!(after < before / 2 && fewer < segments, "{before} {after} {segments} {fewer}");

        let check = |log: &Log| {
            let left = records(log);
            let mut last = BTreeMap::new();
            written.iter().for_each(|record| drop(last.insert(record.key.clone(), record.clone())));
            for record in &left {
                assert_eq!(Some(record), written.get(record.offset as usize), "as it was written");
            }
            for record in last.values() {
                assert!(left.contains(record), "the last of {} is gone", record.key);
            }
            assert!(left.len() <= 11 + 20, "the closed segments hold each key once: {}", left.len());
            assert_eq!((log.log_start(), log.log_end()), (0, 240));
            for time in [NOW, NOW + 1] {
                let found = log.lookup_time(time, 240).unwrap().unwrap();
                let first = left.iter().find(|record| record.timestamp >= time).unwrap();
                assert_eq!((found.offset, found.timestamp), (first.offset, first.timestamp));
            }
            left
        };
        let left = check(&node.log);
        // Who planned before reads on, from the file that was there.
        let mut bytes = Vec::new();
        old_plan.read(&mut bytes).unwrap();
        assert!(Batch::split_first(&bytes).unwrap().unwrap().0.crc_ok());
        assert_eq!(compact(&node.log).unwrap(), Compacted::default(), "nothing is dirty now");
        assert_eq!(node.log.compaction_due(NOW, i64::MAX).unwrap(), CompactionDue::Never);
        drop(node);
        for power in [false, true] {
            if power {
                disk.restart()
            } else {
                disk.kill()
            }
            let node = start(&disk);
            assert_eq!(check(&node.log), left);
            assert_eq!(compact(&node.log).unwrap().passes, 0, "how far it was cleaned is remembered");
        }
    }
}

#[test]
fn a_small_table_of_keys_takes_several_passes() {
    let disk = SimDisk::new(1);
    let node = start(&disk);
    for n in 0..400 {
        put(&node.log, &format!("key {}", n % 100), Some(&n.to_string())).unwrap();
    }
    roll(&node.log);
    let done = node.log.compact(&options(24 * 40, NOW), &mut |_| true).unwrap();
    assert!(done.passes > 2, "{done:?}");
    let left = records(&node.log);
    for n in 300..400 {
        let (key, value) = (format!("key {}", n % 100), Some(n.to_string()));
        let of_key: Vec<_> = left.iter().filter(|record| record.key == key).collect();
        assert_eq!(of_key.len(), 1, "{of_key:?}");
        assert_eq!((of_key[0].offset, &of_key[0].value), (n, &value));
    }
}

#[test]
fn a_tombstone_stays_for_its_time_and_goes_then() {
    let disk = SimDisk::new(1);
    let settings = LogSettings { delete_retention_ms: 1000, ..compacted() };
    let node = try_open(&disk, settings).unwrap();
    let pairs = [("gone", Some("v")), ("kept", Some("w"))];
    append(&node.log, &keyed(&pairs, ProducerStamp::NONE, Codec::Lz4)).unwrap();
    put(&node.log, "gone", None).unwrap();
    roll(&node.log);
    let of = |key: &str| -> Vec<Option<String>> {
        records(&node.log).into_iter().filter(|record| record.key == key).map(|record| record.value).collect()
    };
    let at = |now: i64| {
        roll(&node.log);
        node.log.compact(&options(1 << 16, now), &mut |_| true).unwrap()
    };
    at(NOW);
    assert_eq!(of("gone"), [None], "what it deletes is gone, itself it stays");
    let horizon = |log: &Log| batches(log).iter().find_map(|(header, _)| header.delete_horizon());
    assert_eq!(horizon(&node.log), Some(NOW + 1000));
    let stamp = records(&node.log).into_iter().find(|record| record.key == "gone").unwrap();
    assert_eq!((stamp.offset, stamp.timestamp), (2, NOW));
    at(NOW + 999);
    assert_eq!((of("gone"), horizon(&node.log)), (vec![None], Some(NOW + 1000)), "set once");
    at(NOW + 1000);
    assert_eq!(of("gone"), Vec::<Option<String>>::new());
    assert_eq!(of("kept"), [Some("w".to_owned())]);
}

#[test]
fn a_producers_sequence_survives_as_a_batch_without_records() {
    let stamp = |sequence| ProducerStamp { id: 7, epoch: 2, base_sequence: sequence, transactional: false };
    let disk = SimDisk::new(1);
    let node = start(&disk);
    for sequence in 0..3 {
        append(&node.log, &keyed(&[("k", Some("v"))], stamp(sequence), Codec::None)).unwrap();
    }
    put(&node.log, "k", Some("newer, of another")).unwrap();
    roll(&node.log);
    compact(&node.log).unwrap();
    let of_producer: Vec<_> =
        batches(&node.log).into_iter().filter(|(header, _)| header.producer_id == 7).collect();
    assert_eq!(of_producer.len(), 1, "only its last batch: {of_producer:?}");
    let (header, records) = &of_producer[0];
    assert_eq!((header.base_offset, header.last_sequence(), header.count, records.len()), (2, 2, 0, 0));
    drop(node);
    // Without any snapshot the log alone says what the producer wrote last.
    disk.kill();
    for entry in disk.list(Path::new("/data/t-0")).unwrap() {
        if entry.name.ends_with(".snapshot") {
            disk.remove(&Path::new("/data/t-0").join(entry.name)).unwrap();
        }
    }
    let node = start(&disk);
    let again = append(&node.log, &keyed(&[("k", Some("v"))], stamp(2), Codec::None)).unwrap();
    assert!(again.duplicate && again.base_offset == 2);
    assert!(append(&node.log, &keyed(&[("k", Some("v"))], stamp(5), Codec::None)).is_err());
    append(&node.log, &keyed(&[("k", Some("v"))], stamp(3), Codec::None)).unwrap();
}

#[test]
fn aborted_records_go_and_open_ones_wait() {
    let stamp = |id, sequence| ProducerStamp { id, epoch: 0, base_sequence: sequence, transactional: true };
    let end = |id, commit| {
        let marker = if commit {
            ControlMarker::Commit { coordinator_epoch: 0 }
        } else {
            ControlMarker::Abort { coordinator_epoch: 0 }
        };
        end_transaction_batch(id, 0, marker, NOW).unwrap()
    };
    let disk = SimDisk::new(1);
    let settings = LogSettings { delete_retention_ms: 1000, ..compacted() };
    let node = try_open(&disk, settings).unwrap();
    put(&node.log, "k", Some("old")).unwrap(); // 0
    append(&node.log, &keyed(&[("k", Some("aborted"))], stamp(1, 0), Codec::None)).unwrap(); // 1
    append(&node.log, &keyed(&[("m", Some("committed"))], stamp(2, 0), Codec::None)).unwrap(); // 2
    append(&node.log, &end(1, false)).unwrap(); // 3
    append(&node.log, &end(2, true)).unwrap(); // 4
    roll(&node.log);
    let values = || -> Vec<String> {
        let all = records(&node.log).into_iter().filter(|record| record.key != "filler");
        all.filter_map(|record| record.value).collect()
    };
    let markers = |log: &Log| batches(log).iter().filter(|(header, _)| header.is_control()).count();
    let at = |now: i64| {
        roll(&node.log);
        node.log.compact(&options(1 << 16, now), &mut |_| true).unwrap();
    };
    at(NOW);
    assert_eq!(values(), ["old", "committed"], "an aborted record replaces nothing");
    assert_eq!(markers(&node.log), 2);
    // An aborted transaction's last batch stays without records while its producer is known, and its marker with it.
    at(NOW + 5000);
    assert_eq!((values(), markers(&node.log)), (vec!["old".to_owned(), "committed".to_owned()], 2));
    // The producers go on; then their old batches go, the markers get a horizon, and go after it.
    append(&node.log, &keyed(&[("m", Some("open"))], stamp(2, 1), Codec::None)).unwrap();
    append(&node.log, &keyed(&[("n", Some("n"))], stamp(1, 1), Codec::None)).unwrap();
    append(&node.log, &end(1, true)).unwrap();
    put(&node.log, "k", Some("newest")).unwrap();
    roll(&node.log);
    at(NOW);
    assert_eq!(
        values(),
        ["old", "committed", "open", "n", "newest"],
        "nothing from an open transaction on is judged"
    );
    append(&node.log, &end(2, false)).unwrap();
    for now in [NOW, NOW, NOW, NOW + 2000, NOW + 2000, NOW + 4000] {
        at(now);
    }
    assert_eq!(values(), ["committed", "n", "newest"]);
    let left: Vec<_> = batches(&node.log)
        .into_iter()
        .filter(|(header, _)| header.is_control())
        .map(|found| found.0)
        .collect();
    // Marker 3 ended a transaction of which nothing is left; the others' batches are still there.
    assert!(left.iter().all(|header| header.base_offset != 3), "{left:?}");
    assert_eq!(left.len(), 3, "{left:?}");
}

#[test]
fn a_reader_never_waits_on_a_gap_at_the_end() {
    let disk = SimDisk::new(1);
    let settings = LogSettings { delete_retention_ms: 0, max_compaction_lag_ms: 1, ..compacted() };
    let node = try_open(&disk, settings).unwrap();
    for _ in 0..3 {
        put(&node.log, "k", Some("v")).unwrap();
    }
    put(&node.log, "k", None).unwrap();
    // The lag closes the active segment: everything is compacted, and nothing comes behind it.
    for now in [NOW + 10, NOW + 20, NOW + 30] {
        node.log.compact(&options(1 << 16, now), &mut |_| true).unwrap();
        let clone = records(&node.log);
        assert!(clone.len() <= 1, "{clone:?}");
    }
    let last = batches(&node.log).pop().unwrap().0;
    assert_eq!(last.next_offset(), node.log.log_end());
    put(&node.log, "l", Some("next")).unwrap();
    assert_eq!(records(&node.log).pop().unwrap().offset, 4);
}

#[test]
fn lags_and_the_ratio_say_when() {
    let disk = SimDisk::new(1);
    let of = |settings: LogSettings| {
        let log = &try_open(&disk, settings).unwrap().log;
        log.compaction_due(NOW + 100, i64::MAX).unwrap()
    };
    let node = start(&disk);
    assert_eq!(node.log.compaction_due(NOW, i64::MAX).unwrap(), CompactionDue::Never);
    for n in 0..30 {
        put(&node.log, &format!("k{n}"), Some("some value")).unwrap();
    }
    node.log.sync().unwrap();
    let due = |log: &Log, settings: LogSettings, now: i64| {
        log.set_settings(settings);
        log.compaction_due(now, i64::MAX).unwrap()
    };
    let now = CompactionDue::Now { dirty_millionths: 1_000_000 };
    assert_eq!(due(&node.log, compacted(), NOW), now);
    assert_eq!(due(&node.log, LogSettings { compact: false, ..compacted() }, NOW), CompactionDue::Never);
    let young = LogSettings { min_compaction_lag_ms: 1000, ..compacted() };
    assert_eq!(due(&node.log, young.clone(), NOW), CompactionDue::At(NOW + 1000));
    assert_eq!(due(&node.log, young, NOW + 1000), now);
    // Only what may be seen is compacted.
    node.log.set_settings(compacted());
    assert_eq!(node.log.compaction_due(NOW, 0).unwrap(), CompactionDue::Never);
    compact(&node.log).unwrap();
    let lazy = LogSettings { min_dirty_millionths: 500_000, max_compaction_lag_ms: 5000, ..compacted() };
    node.log.set_settings(lazy.clone());
    for _ in 0..12 {
        put(&node.log, "k", Some("some value")).unwrap();
    }
    node.log.sync().unwrap();
    assert_eq!(due(&node.log, lazy.clone(), NOW), CompactionDue::At(NOW + 5000), "too little is dirty");
    assert!(matches!(due(&node.log, lazy, NOW + 5001), CompactionDue::Now { .. }), "but not for ever");
    drop(node);
    disk.kill();
    assert!(matches!(of(compacted()), CompactionDue::Now { .. }));
}

#[test]
fn it_can_be_stopped_at_any_batch() {
    for stop in 0..200 {
        let disk = SimDisk::new(stop);
        let node = start(&disk);
        for n in 0..60 {
            put(&node.log, &format!("k{}", n % 5), Some(&n.to_string())).unwrap();
        }
        roll(&node.log);
        let mut left = stop;
        let done = node.log.compact(&options(1 << 16, NOW), &mut |_| {
            left = left.saturating_sub(1);
            left > 0
        });
        let done = done.unwrap();
        assert_eq!(files(&disk, ".cleaned") + files(&disk, "klog-swap"), 0);
        for n in 55..60 {
            let last = records(&node.log).into_iter().rfind(|record| record.key == format!("k{}", n % 5));
            assert_eq!(last.unwrap().value, Some(n.to_string()), "stopped after {stop}");
        }
        if !done.stopped {
            return;
        }
    }
    panic!("it never came to its end");
}

#[test]
fn a_full_disk_only_puts_it_off() {
    for room in (0..4000).step_by(100) {
        let disk = SimDisk::new(room);
        let node = start(&disk);
        for n in 0..60 {
            put(&node.log, &format!("k{}", n % 5), Some(&n.to_string())).unwrap();
        }
        roll(&node.log);
        let before = records(&node.log);
        disk.set_capacity(Some(disk.used() + room));
        if compact(&node.log).is_err() {
            assert_eq!(files(&disk, ".cleaned") + files(&disk, "klog-swap"), 0, "room {room}");
            assert_eq!(records(&node.log), before);
        }
        disk.set_capacity(None);
        put(&node.log, "k0", Some("appends go on")).unwrap();
        compact(&node.log).unwrap();
        let left = records(&node.log);
        assert!(left.iter().filter(|record| record.key == "k1").count() == 1 && left.len() < before.len());
    }
}

/// What the workload was promised before the power went.
#[derive(Default)]
struct Promised {
    /// The last synced value of each key, and its offset.
    last: BTreeMap<String, (i64, String)>,
    durable: i64,
}

fn workload(disk: &Arc<SimDisk>, promised: &mut Promised) -> Result<(), StorageError> {
    let node = try_open(disk, compacted())?;
    let mut unsynced = BTreeMap::new();
    for n in 0..60i64 {
        let (key, value) = (format!("k{}", n * 7 % 5), format!("value {n} {}", "x".repeat(60)));
        let offset = put(&node.log, &key, Some(&value))?;
        unsynced.insert(key, (offset, value));
        if n % 4 == 3 {
            promised.durable = node.log.sync()?;
            promised.last.append(&mut unsynced);
        }
        if n == 25 || n == 26 || n == 50 {
            compact(&node.log)?;
        }
        if n == 40 {
            node.log.checkpoint()?;
            node.folder.checkpoint()?;
        }
    }
    node.log.close()?;
    node.folder.close_clean()
}

fn check(disk: &Arc<SimDisk>, promised: &Promised, what: &str) {
    let node = start(disk);
    node.log.size().unwrap();
    assert!(node.log.log_end() >= promised.durable, "{what}: end {}", node.log.log_end());
    assert_eq!(node.log.log_start(), 0, "{what}");
    assert_eq!(files(disk, ".cleaned") + files(disk, "klog-swap"), 0, "{what}");
    let left = records(&node.log);
    for (key, (offset, value)) in &promised.last {
        let last = left.iter().rfind(|record| record.key == *key);
        let last = last.unwrap_or_else(|| panic!("{what}: {key} is lost of {left:?}"));
        assert!(
            last.offset > *offset || last.value.as_ref() == Some(value),
            "{what}: {last:?}, promised {value}"
        );
    }
    // Life goes on.
    let next = node.log.log_end();
    assert_eq!(put(&node.log, "k1", Some("after")).unwrap(), next);
    node.log.sync().unwrap();
    compact(&node.log).unwrap();
    drop(node);
    disk.restart();
    let node = start(disk);
    let again = records(&node.log);
    assert_eq!(again.iter().rfind(|record| record.key == "k1").unwrap().offset, next, "{what}");
    for key in promised.last.keys().filter(|key| *key != "k1") {
        let last = |all: &[Seen]| all.iter().rfind(|record| record.key == *key).cloned();
        assert_eq!(last(&again), last(&left), "{what}: after the second cut");
    }
}

#[test]
fn no_last_value_is_lost_wherever_the_power_goes() {
    let disk = SimDisk::new(0);
    workload(&disk, &mut Promised::default()).unwrap();
    let steps = disk.steps();
    assert!(steps > 150, "{steps} steps");
    for step in 0..steps {
        for seed in 0..3 {
            let disk = SimDisk::new(seed * 1_000_003 + step);
            disk.cut_power_at(step);
            let mut promised = Promised::default();
            assert!(workload(&disk, &mut promised).is_err() || step + 1 == steps);
            // Every other time it is the process that ends, not the power.
            if seed == 2 {
                disk.power_on_as_killed()
            } else {
                disk.restart()
            }
            check(&disk, &promised, &format!("step {step}, seed {seed}"));
        }
    }
}

#[derive(Debug, Clone)]
enum Operation {
    Put { key: u8, delete: bool },
    Sync,
    Roll,
    Compact { memory: u8, later: u16 },
    DeleteBefore(u8),
    Checkpoint,
    Kill,
    PowerCut,
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        16 => (0..12u8, prop::bool::weighted(0.2)).prop_map(|(key, delete)| Operation::Put { key, delete }),
        4 => Just(Operation::Sync),
        2 => Just(Operation::Roll),
        3 => (1..40u8, 0..400u16).prop_map(|(memory, later)| Operation::Compact { memory, later }),
        1 => any::<u8>().prop_map(Operation::DeleteBefore),
        1 => Just(Operation::Checkpoint),
        1 => Just(Operation::Kill),
        1 => Just(Operation::PowerCut),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn a_compacted_log_is_the_map_of_its_records(seed: u64, operations in prop::collection::vec(operation(), 1..80)) {
        let disk = SimDisk::new(seed);
        let settings = LogSettings { delete_retention_ms: 500, ..compacted() };
        let mut node = try_open(&disk, settings.clone()).unwrap();
        // Every record that was written, by offset; after a crash what is there.
        let mut written: BTreeMap<i64, (String, Option<String>)> = BTreeMap::new();
        let mut now = NOW;
        for (n, operation) in operations.iter().enumerate() {
            let log = Arc::clone(&node.log);
            match operation {
                Operation::Put { key, delete } => {
                    let (key, value) = (format!("k{key}"), (!delete).then(|| format!("value {n}")));
                    let offset = put(&log, &key, value.as_deref()).unwrap();
                    written.insert(offset, (key, value));
                }
                Operation::Sync => drop(log.sync().unwrap()),
                Operation::Roll => {
                    let value = "r".repeat(450);
                    let offset = put(&log, "roll", Some(&value)).unwrap();
                    written.insert(offset, ("roll".to_owned(), Some(value)));
                }
                Operation::Compact { memory, later } => {
                    now += i64::from(*later);
                    log.compact(&options(24 * usize::from(*memory), now), &mut |_| true).unwrap();
                }
                Operation::DeleteBefore(share) => {
                    let (start, end) = (log.log_start(), log.log_end());
                    log.advance_start(start + (end - start) * i64::from(*share) / 1000).unwrap();
                    log.remove_below_start().unwrap();
                }
                Operation::Checkpoint => {
                    log.checkpoint().unwrap();
                    node.folder.checkpoint().unwrap();
                }
                Operation::Kill | Operation::PowerCut => {
                    let durable = log.durable_end();
                    drop(log);
                    if matches!(operation, Operation::Kill) { disk.kill() } else { disk.restart() }
                    node = try_open(&disk, settings.clone()).unwrap();
                    node.log.size().unwrap();
                    assert!(node.log.log_end() >= durable);
                    let left: Vec<i64> = records(&node.log).iter().map(|record| record.offset).collect();
                    written.retain(|offset, _| *offset < durable || left.contains(offset));
                }
            }
            check_map(&node.log, &written);
        }
    }
}

/// Everything that can be read was written so, and the last record of each key can be read, unless it is a tombstone.
fn check_map(log: &Log, written: &BTreeMap<i64, (String, Option<String>)>) {
    let left = records(log);
    let start = log.log_start();
    let mut last: BTreeMap<&str, (i64, Option<&str>)> = BTreeMap::new();
    for (offset, (key, value)) in written.range(start..) {
        last.insert(key, (*offset, value.as_deref()));
    }
    let mut seen: BTreeMap<&str, (i64, Option<&str>)> = BTreeMap::new();
    for record in left.iter().filter(|record| record.offset >= start) {
        let (key, value) = &written[&record.offset];
        assert_eq!((key, value), (&record.key, &record.value));
        seen.insert(&record.key, (record.offset, record.value.as_deref()));
    }
    for (key, (offset, value)) in last {
        match (seen.get(key), value) {
            (Some(found), _) => assert_eq!(*found, (offset, value), "an older record of {key} is back"),
            (None, Some(_)) => panic!("the last record of {key}, at {offset}, is gone"),
            (None, None) => {}
        }
    }
}
