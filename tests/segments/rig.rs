//! A partition's folder as a daemon leaves it, copied onto fresh disks to be damaged there.

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use klog::inspect::read::{self, Event, Next, Select};
use klog::inspect::verify::{self, Report};
use klog::inspect::{Decompressor, Meter, Partition, Scan, folder};
use klog::model::id::{TopicId, TopicPartition};
use klog::model::time::ManualClock;
use klog::record::{
    Batch, BatchBuilder, BatchSummary, Codec, Compressor, ControlMarker, ProducerStamp, end_transaction_batch,
};
use klog::storage::disk::Mode;
use klog::storage::sim::SimDisk;
use klog::storage::{Disk, Folder, FolderOptions, Log, LogSettings, Origin, StorageError};

pub(crate) const NOW: i64 = 1_700_000_000_000;
pub(crate) const DIR: &str = "/data/t-0";

/// Numbers that look random and are the same each time.
pub(crate) struct Luck(pub(crate) u64);

impl Luck {
    pub(crate) fn below(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below.max(1)
    }
}

/// A batch as it was written.
#[derive(Clone)]
pub(crate) struct Original {
    pub(crate) file: PathBuf,
    pub(crate) at: usize,
    pub(crate) bytes: Vec<u8>,
    pub(crate) base: i64,
    pub(crate) offsets: Vec<i64>,
    pub(crate) control: bool,
}

/// All files of a data folder with one partition.
pub(crate) struct Template {
    pub(crate) files: Vec<(PathBuf, Vec<u8>)>,
    pub(crate) batches: Vec<Original>,
}

pub(crate) fn options() -> FolderOptions {
    FolderOptions {
        node_id: 1,
        new_cluster_id: TopicId([1; 16]),
        new_directory_id: TopicId([2; 16]),
        max_open_files: 64,
    }
}

pub(crate) fn settings() -> LogSettings {
    LogSettings {
        segment_bytes: 3000,
        index_interval_bytes: 400,
        retention_ms: -1,
        producer_expiration_ms: i64::MAX,
        ..LogSettings::default()
    }
}

pub(crate) struct Node {
    pub(crate) folder: Arc<Folder>,
    pub(crate) log: Arc<Log>,
}

pub(crate) fn open(disk: &Arc<SimDisk>) -> Result<Node, StorageError> {
    let clock = Arc::new(ManualClock::new(NOW));
    let folder = Folder::open(Arc::<SimDisk>::clone(disk), Path::new("/data"), clock, options())?;
    let log = Log::open(&folder, TopicPartition::new("t", 0), TopicId([7; 16]), settings())?;
    folder.sync()?;
    Ok(Node { folder, log })
}

pub(crate) fn close(node: &Node) {
    let logs = [Arc::clone(&node.log)];
    assert!(node.folder.close_logs(&logs).unwrap().is_empty());
    node.folder.close_clean().unwrap();
}

pub(crate) fn value(offset: i64) -> String {
    format!("value {offset} {}", "abcdefg ".repeat((offset % 7) as usize))
}

/// A batch of `count` records whose values say which offsets they are to get.
pub(crate) fn batch(first: i64, count: i64, codec: Codec, stamp: ProducerStamp) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    for n in 0..count {
        let key = format!("k{}", (first + n) % 10);
        builder.push(NOW + first + n, Some(key.as_bytes()), Some(value(first + n).as_bytes()), &[]);
    }
    builder.finish(stamp, codec.into(), &mut Compressor::new()).unwrap()
}

pub(crate) fn append(log: &Log, bytes: &[u8], epoch: i32) {
    let summary = BatchSummary::trusted(&Batch::exactly(bytes).unwrap());
    log.append_as(bytes, &summary, epoch, None, Origin::Coordinator).unwrap();
}

impl Template {
    /// What a daemon leaves that stopped cleanly, or was killed. `batches` are spread over segments of 3000 bytes.
    pub(crate) fn new(clean: bool, batches: i64, plain_only: bool) -> Template {
        let disk = SimDisk::new(1);
        let node = open(&disk).unwrap();
        for n in 0..batches {
            let codec = if plain_only { Codec::None } else { Codec::ALL[(n % 5) as usize] };
            let stamp = match n % 3 {
                0 => ProducerStamp::NONE,
                _ => ProducerStamp { id: 1000 + n, epoch: 0, base_sequence: 0, transactional: n % 3 == 2 },
            };
            let bytes = batch(node.log.log_end(), 1 + n % 9, codec, stamp);
            append(&node.log, &bytes, (n / 20) as i32);
            if n % 3 == 2 {
                let marker = match n % 2 {
                    0 => ControlMarker::Commit { coordinator_epoch: 1 },
                    _ => ControlMarker::Abort { coordinator_epoch: 1 },
                };
                let end = end_transaction_batch(1000 + n, 0, marker, NOW + node.log.log_end()).unwrap();
                append(&node.log, &end, (n / 20) as i32);
            }
        }
        node.log.sync().unwrap();
        if clean {
            close(&node);
        } else {
            node.log.checkpoint().unwrap();
            node.folder.checkpoint().unwrap();
            let bytes = batch(node.log.log_end(), 3, Codec::None, ProducerStamp::NONE);
            append(&node.log, &bytes, 100);
            node.log.sync().unwrap();
        }
        drop(node);
        Template::of(&disk)
    }

    pub(crate) fn of(disk: &SimDisk) -> Template {
        let files = files(disk);
        let mut batches = Vec::new();
        for (file, content) in files.iter().filter(|(path, _)| is_log(path)) {
            let mut rest = content.as_slice();
            while let Some((batch, after)) = Batch::split_first(rest).unwrap() {
                let mut inflate = klog::record::Decompressor::new();
                let records = inflate.records(&batch, 1 << 20).unwrap();
                batches.push(Original {
                    file: file.clone(),
                    at: content.len() - rest.len(),
                    bytes: batch.bytes().to_vec(),
                    base: batch.base_offset(),
                    offsets: records.map(|record| record.unwrap().offset).collect(),
                    control: batch.is_control(),
                });
                rest = after;
            }
            assert!(rest.is_empty());
        }
        Template { files, batches }
    }

    /// A fresh disk with these files.
    pub(crate) fn disk(&self, seed: u64) -> Arc<SimDisk> {
        let disk = SimDisk::new(seed);
        disk.create_dir(Path::new(DIR)).unwrap();
        for (path, content) in &self.files {
            put(&disk, path, content);
        }
        disk.sync_all(Path::new("/")).unwrap();
        disk
    }

    pub(crate) fn logs(&self) -> Vec<PathBuf> {
        self.files.iter().map(|(path, _)| path.clone()).filter(|path| is_log(path)).collect()
    }
}

fn files(disk: &SimDisk) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for dir in ["/data", DIR] {
        for entry in disk.list(Path::new(dir)).unwrap().into_iter().filter(|entry| !entry.is_dir) {
            let path = Path::new(dir).join(entry.name);
            let content = disk.content(&path).unwrap();
            files.push((path, content));
        }
    }
    files.sort();
    files
}

/// Another disk with the same files.
pub(crate) fn copied(disk: &SimDisk) -> Arc<SimDisk> {
    Template { files: files(disk), batches: Vec::new() }.disk(1)
}

pub(crate) fn is_log(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "log")
}

/// Replaces a file's content.
pub(crate) fn put(disk: &SimDisk, path: &Path, content: &[u8]) {
    let file = disk.open(path, Mode::Create).unwrap();
    file.set_len(0).unwrap();
    file.write_vectored_at(&[IoSlice::new(content)], 0).unwrap();
}

pub(crate) fn partition(disk: &SimDisk) -> Partition {
    let mut found = folder::open(disk, Path::new(DIR)).unwrap();
    assert_eq!(found.len(), 1);
    found.remove(0)
}

pub(crate) fn verified(disk: &SimDisk) -> Report {
    verify::partition(disk, &partition(disk), 2, &Meter::default(), || {}).unwrap()
}

/// What was found wrong, as words.
pub(crate) fn words(report: &Report) -> Vec<&'static str> {
    report.findings.iter().map(|finding| finding.problem.word()).collect()
}

/// The good batches that a scan of each segment finds, as bytes.
pub(crate) fn scanned(disk: &SimDisk) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for segment in &partition(disk).segments {
        let mut scan = Scan::new(segment.open(disk).unwrap(), &segment.path, segment.limits());
        while let Some(piece) = scan.next().unwrap() {
            if let klog::inspect::Piece::Batch(_, batch) = piece {
                found.push(batch.bytes().to_vec());
            }
        }
    }
    found
}

/// The offsets of all records that a dump gives, each value held against its offset unless that may be a wrong one.
pub(crate) fn dumped(disk: &SimDisk) -> Vec<(i64, String)> {
    let mut found = Vec::new();
    for segment in &partition(disk).segments {
        let mut scan = Scan::new(segment.open(disk).unwrap(), &segment.path, segment.limits());
        let mut select = Select::ALL;
        let mut on = |event: Event<'_>| {
            if let Event::Record(_, record) = event {
                let value = String::from_utf8_lossy(record.value.unwrap()).into_owned();
                found.push((record.offset, value));
            }
            Next::On
        };
        read::segment(&mut scan, &mut select, true, &mut Decompressor::new(), &mut on).unwrap();
    }
    found
}

/// Every record that the daemon's own log gives.
pub(crate) fn readable(log: &Log) -> Vec<i64> {
    let mut offsets = Vec::new();
    let (mut from, upto) = (log.log_start(), log.log_end());
    let mut bytes = Vec::new();
    while from < upto {
        let plan = match log.plan(from, 1000, upto, true) {
            Err(StorageError::Damaged { range, .. }) => {
                from = range.end;
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
            assert!(batch.crc_ok());
            let mut inflate = klog::record::Decompressor::new();
            let records = inflate.records(&batch, 1 << 20).unwrap();
            offsets.extend(records.map(|record| record.unwrap().offset).filter(|&offset| offset >= from));
            from = batch.last_offset() + 1;
            rest = after;
        }
    }
    offsets
}
