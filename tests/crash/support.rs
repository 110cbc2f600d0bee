//! A log on the simulated disk whose records say which offset they should have.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use klog::model::id::{TopicId, TopicPartition};
use klog::model::time::ManualClock;
use klog::record::{Batch, BatchBuilder, BatchSummary, ProducerStamp};
use klog::storage::sim::SimDisk;
use klog::storage::{Appended, Folder, FolderOptions, Log, LogSettings, Origin, StorageError};

pub(crate) const NOW: i64 = 1_700_000_000_000;

pub(crate) fn options() -> FolderOptions {
    FolderOptions {
        node_id: 1,
        new_cluster_id: TopicId([1; 16]),
        new_directory_id: TopicId([2; 16]),
        max_open_files: 64,
    }
}

pub(crate) fn settings() -> LogSettings {
    LogSettings { segment_bytes: 600, index_interval_bytes: 100, retention_ms: -1, ..LogSettings::default() }
}

pub(crate) struct Node {
    pub(crate) folder: Arc<Folder>,
    pub(crate) log: Arc<Log>,
}

pub(crate) fn try_open(disk: &Arc<SimDisk>, settings: LogSettings) -> Result<Node, StorageError> {
    let clock = Arc::new(ManualClock::new(NOW));
    let folder = Folder::open(Arc::<SimDisk>::clone(disk), Path::new("/data"), clock, options())?;
    let log = Log::open(&folder, TopicPartition::new("t", 0), TopicId([7; 16]), settings)?;
    folder.sync()?;
    Ok(Node { folder, log })
}

pub(crate) fn open(disk: &Arc<SimDisk>) -> Node {
    try_open(disk, settings()).unwrap()
}

pub(crate) fn value(offset: i64) -> String {
    format!("value-{offset:06}-{}", "x".repeat((offset % 5) as usize * 7))
}

/// A batch of `count` records whose values say which offsets they are to get.
pub(crate) fn batch(first: i64, count: i64, stamp: ProducerStamp) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    for n in 0..count {
        builder.push(NOW + first + n, None, Some(value(first + n).as_bytes()), &[]);
    }
    builder.finish_plain(stamp).unwrap()
}

pub(crate) fn append(log: &Log, bytes: &[u8]) -> Result<Appended, StorageError> {
    let summary = BatchSummary::trusted(&Batch::exactly(bytes).unwrap());
    // Within a transaction as the broker itself does, which asks no coordinator.
    let origin = match summary.header.is_transactional() {
        true => Origin::Coordinator,
        false => Origin::Client { guard: None, bumps_epoch: false },
    };
    log.append_as(bytes, &summary, 0, None, origin)
}

pub(crate) fn append_values(log: &Log, count: i64) -> Result<Appended, StorageError> {
    append(log, &batch(log.log_end(), count, ProducerStamp::NONE))
}

/// Everything readable below `upto`, each value held against its offset; damaged ranges are passed over and returned.
pub(crate) fn read_all(log: &Log, upto: i64) -> (Vec<i64>, Vec<Range<i64>>) {
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

pub(crate) fn log_file(base: i64) -> PathBuf {
    PathBuf::from(format!("/data/t-0/{base:020}.log"))
}

/// Partitions 1 to `count` beside the one that [`open`] opens.
pub(crate) fn open_partitions(folder: &Arc<Folder>, count: usize) -> Result<Vec<Arc<Log>>, StorageError> {
    let open = |n| Log::open(folder, TopicPartition::new("t", n as i32 + 1), TopicId([7; 16]), settings());
    (0..count).map(open).collect()
}
