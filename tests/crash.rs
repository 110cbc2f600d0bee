//! Storage through everything that can end it: power cuts at every step, flipped bits, full disks, failed syncs.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use klog::model::id::{TopicId, TopicPartition};
use klog::model::time::ManualClock;
use klog::record::{Batch, BatchBuilder, BatchSummary, ProducerStamp};
use klog::storage::sim::SimDisk;
use klog::storage::{Appended, Folder, FolderOptions, Log, LogSettings, StorageError};

const NOW: i64 = 1_700_000_000_000;

fn options() -> FolderOptions {
    FolderOptions {
        node_id: 1,
        new_cluster_id: TopicId([1; 16]),
        new_directory_id: TopicId([2; 16]),
        max_open_files: 64,
    }
}

fn settings() -> LogSettings {
    LogSettings { segment_bytes: 600, index_interval_bytes: 100, retention_ms: -1, ..LogSettings::default() }
}

struct Node {
    disk: Arc<SimDisk>,
    folder: Arc<Folder>,
    log: Arc<Log>,
}

fn try_open(disk: &Arc<SimDisk>, settings: LogSettings) -> Result<Node, StorageError> {
    let clock = Arc::new(ManualClock::new(NOW));
    let folder = Folder::open(Arc::<SimDisk>::clone(disk), Path::new("/data"), clock, options())?;
    let log = Log::open(&folder, TopicPartition::new("t", 0), TopicId([7; 16]), settings)?;
    folder.sync()?;
    Ok(Node { disk: Arc::clone(disk), folder, log })
}

fn open(disk: &Arc<SimDisk>) -> Node {
    try_open(disk, settings()).unwrap()
}

fn value(offset: i64) -> String {
    format!("value-{offset:06}-{}", "x".repeat((offset % 5) as usize * 7))
}

/// A batch of `count` records whose values say which offsets they are to get.
fn batch(first: i64, count: i64, stamp: ProducerStamp) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    for n in 0..count {
        builder.push(NOW + first + n, None, Some(value(first + n).as_bytes()), &[]);
    }
    builder.finish_plain(stamp).unwrap()
}

fn append(log: &Log, bytes: &[u8]) -> Result<Appended, StorageError> {
    log.append(bytes, &BatchSummary::trusted(&Batch::exactly(bytes).unwrap()), 0, None)
}

fn append_values(log: &Log, count: i64) -> Result<Appended, StorageError> {
    append(log, &batch(log.log_end(), count, ProducerStamp::NONE))
}

/// Everything readable below `upto`, each value held against its offset; damaged ranges are passed over and returned.
fn read_all(log: &Log, upto: i64) -> (Vec<i64>, Vec<Range<i64>>) {
    let (mut offsets, mut damaged) = (Vec::new(), Vec::new());
    let mut from = log.log_start();
    let mut bytes = Vec::new();
    while from < upto {
        let plan = match log.plan(from, 300, upto, true) {
            Err(StorageError::Damaged { range, .. }) => {
                from = range.end;
                damaged.push(range);
                continue;
            }
            plan => plan.unwrap(),
        };
        if plan.len == 0 {
            break;
        }
        plan.read(&mut bytes).unwrap();
        let mut rest = bytes.as_slice();
        while let Some((batch, after)) = Batch::split_first(rest).unwrap() {
            assert!(batch.crc_ok(), "a batch that is not whole was planned");
            for record in batch.records().unwrap() {
                let record = record.unwrap();
                if record.offset >= from {
                    assert_eq!(record.value.unwrap(), value(record.offset).as_bytes());
                    offsets.push(record.offset);
                }
            }
            from = batch.last_offset() + 1;
            rest = after;
        }
        assert!(rest.is_empty(), "a plan ends with a whole batch");
    }
    (offsets, damaged)
}

fn log_file(base: i64) -> PathBuf {
    PathBuf::from(format!("/data/t-0/{base:020}.log"))
}

#[test]
fn appends_are_read_back_across_segments_and_reopening() {
    let disk = SimDisk::new(1);
    let node = open(&disk);
    for n in 0..40 {
        let done = append_values(&node.log, 1 + n % 4).unwrap();
        assert_eq!(done.last_offset + 1, node.log.log_end());
    }
    let end = node.log.log_end();
    assert_eq!(node.log.durable_end(), 0);
    assert_eq!(node.log.sync().unwrap(), end);
    assert_eq!(read_all(&node.log, end), ((0..end).collect(), vec![]));
    assert_eq!(read_all(&node.log, 17).0, (0..17).collect::<Vec<_>>()[..read_all(&node.log, 17).0.len()]);
    node.log.close().unwrap();
    node.folder.close_clean().unwrap();
    drop(node);
    disk.kill();
    let node = open(&disk);
    assert!(node.folder.was_clean());
    assert_eq!(node.log.log_end(), end);
    assert_eq!(node.log.recovered(), None);
    assert_eq!(read_all(&node.log, end), ((0..end).collect(), vec![]));
    append_values(&node.log, 3).unwrap();
    assert_eq!(read_all(&node.log, end + 3).0.len() as i64, end + 3);
    assert_eq!(node.log.recovered(), None, "a clean log needs no recovery");
}
