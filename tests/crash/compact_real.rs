//! Compaction on the machine's own disk while a producer writes and a consumer reads: small here, ten million updates with
//! the long counts.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Instant;

use klog::model::id::{TopicId, TopicPartition};
use klog::model::time::ManualClock;
use klog::record::{Batch, BatchBuilder, ProducerStamp};
use klog::storage::{CompactOptions, Folder, Log, LogSettings, RealDisk};

use crate::support::{NOW, append, options};

/// Records in one batch.
const BATCH: u64 = 500;

fn key(update: u64, keys: u64) -> u64 {
    // Every key comes in every round of updates, in another order each time.
    (update % keys).wrapping_mul(2 * (update / keys) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) % keys
}

fn open(path: &Path, segment_bytes: u32) -> (Arc<Folder>, Arc<Log>) {
    let clock = Arc::new(ManualClock::new(NOW));
    let folder = Folder::open(Arc::new(RealDisk), path, clock, options()).unwrap();
    let settings = LogSettings {
        segment_bytes,
        compact: true,
        delete_by_retention: false,
        max_compaction_lag_ms: 1000,
        ..LogSettings::default()
    };
    let log = Log::open(&folder, TopicPartition::new("t", 0), TopicId([7; 16]), settings).unwrap();
    folder.sync().unwrap();
    (folder, log)
}

/// Reads everything from `from` to `upto`, whatever compaction makes of it meanwhile; answers the last value of each key
/// and the number of records.
fn consume(log: &Log, from: i64, upto: impl Fn() -> (i64, bool)) -> (HashMap<Vec<u8>, Vec<u8>>, u64) {
    let (mut from, mut last, mut count, mut bytes) = (from, HashMap::new(), 0, Vec::new());
    loop {
        let (end, done) = upto();
        if from >= end {
            if done {
                return (last, count);
            }
            std::thread::yield_now();
            continue;
        }
        let plan = log.plan(from, 1 << 20, end, true).unwrap();
        assert!(plan.len > 0, "a reader at {from} of {end} waits for ever");
        plan.read(&mut bytes).unwrap();
        let mut rest = bytes.as_slice();
        while let Some((batch, behind)) = Batch::split_first(rest).unwrap() {
            assert!(batch.crc_ok());
            for record in batch.records().unwrap() {
                let record = record.unwrap();
                if record.offset >= from {
                    last.insert(record.key.unwrap().to_vec(), record.value.unwrap().to_vec());
                    count += 1;
                }
            }
            assert!(batch.last_offset() >= from, "what was read comes again");
            from = batch.last_offset() + 1;
            rest = behind;
        }
    }
}

fn run(updates: u64, keys: u64, segment_bytes: u32) {
    // With KLOG_TEST_KEEP=FOLDER what is left stays at FOLDER-compacted, for Kafka's own tools to read.
    let kept = std::env::var("KLOG_TEST_KEEP").map(|kept| PathBuf::from(format!("{kept}-compacted")));
    let temporary = tempfile::tempdir().unwrap();
    let path = kept.unwrap_or_else(|_| temporary.path().join("data"));
    let (folder, log) = open(&path, segment_bytes);
    let (visible, done) = (AtomicI64::new(0), AtomicBool::new(false));
    let mut expected: HashMap<u64, u64> = HashMap::new();
    let begun = Instant::now();
    let options = |now_ms| CompactOptions { memory: 32 << 20, load_percent: 90, now_ms, upto: i64::MAX };
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            consume(&log, 0, || {
                let done = done.load(Ordering::Acquire);
                (visible.load(Ordering::Acquire), done)
            })
        });
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                log.compact(&options(NOW), &mut |_| true).unwrap();
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        });
        for first in (0..updates).step_by(BATCH as usize) {
            let mut builder = BatchBuilder::new();
            for update in first..(first + BATCH).min(updates) {
                let key = key(update, keys);
                let value = format!("{update} of key {key}");
                builder.push(NOW, Some(&key.to_be_bytes()), Some(value.as_bytes()), &[]);
                expected.insert(key, update);
            }
            append(&log, &builder.finish_plain(ProducerStamp::NONE).unwrap()).unwrap();
            if first % (BATCH * 8) == 0 {
                visible.store(log.sync().unwrap(), Ordering::Release);
            }
        }
        visible.store(log.sync().unwrap(), Ordering::Release);
        done.store(true, Ordering::Release);
        let (seen, count) = reader.join().unwrap();
        assert_eq!(seen.len(), expected.len());
        println!("the consumer saw {count} of {updates} records");
    });
    let done = log.compact(&options(NOW + 10_000), &mut |_| true).unwrap();
    let check = |log: &Log| {
        let end = log.log_end();
        let (last, count) = consume(log, log.log_start(), || (end, true));
        assert_eq!((count, last.len() as u64, end), (keys, keys, updates as i64), "one record a key");
        for (key, update) in &expected {
            let value = &last[key.to_be_bytes().as_slice()];
            assert_eq!(value, format!("{update} of key {key}").as_bytes());
        }
    };
    check(&log);
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    println!("{updates} updates, {keys} keys: {:?}, last {done:?}, {peak}", begun.elapsed());
    // As after kill -9: nothing was closed.
    drop((log, folder));
    let (_folder, log) = open(&path, segment_bytes);
    log.size().unwrap();
    check(&log);
}

#[test]
fn updates_end_as_one_record_a_key_while_others_write_and_read() {
    run(200_000, 5_000, 1 << 20);
}

#[test]
#[ignore = "the long count: ten million updates of a hundred thousand keys"]
fn ten_million_updates_end_as_one_record_a_key() {
    run(10_000_000, 100_000, 64 << 20);
}
