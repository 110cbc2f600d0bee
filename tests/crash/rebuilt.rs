//! Whatever lies beside a log's batches may be missing or damaged: it is made anew, and nothing is read otherwise for it.

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use klog::record::{Batch, BatchSummary, ControlMarker, ProducerStamp, end_transaction_batch};
use klog::storage::disk::{Disk, Mode};
use klog::storage::sim::SimDisk;
use klog::storage::{Origin, StorageError};

use crate::support::*;

/// The producer of the transactions.
const PRODUCER: i64 = 9;

/// A log of several segments with an aborted transaction in an old one, an idempotent producer and a moved start.
/// Answers its end.
fn fill(node: &Node) -> i64 {
    for round in 0..30 {
        append_values(&node.log, 3).unwrap();
        if round == 8 {
            let first = node.log.log_end();
            let stamp = ProducerStamp { id: PRODUCER, epoch: 0, base_sequence: -1, transactional: true };
            append_as(node, &batch(first, 2, stamp), Origin::Coordinator).unwrap();
        }
        if round == 10 {
            let marker = ControlMarker::Abort { coordinator_epoch: 0 };
            let bytes = end_transaction_batch(PRODUCER, 0, marker, NOW).unwrap();
            append_as(node, &bytes, Origin::Marker { transaction_version: 0 }).unwrap();
        }
        if round == 25 {
            node.log.sync().unwrap();
            node.log.checkpoint().unwrap();
            node.folder.checkpoint().unwrap();
        }
    }
    append(&node.log, &batch(node.log.log_end(), 2, stamp(0))).unwrap();
    node.log.sync().unwrap();
    node.log.log_end()
}

fn append_as(node: &Node, bytes: &[u8], origin: Origin) -> Result<klog::storage::Appended, StorageError> {
    node.log.append_as(bytes, &BatchSummary::trusted(&Batch::exactly(bytes).unwrap()), 0, None, origin)
}

fn stamp(sequence: i32) -> ProducerStamp {
    ProducerStamp { id: 5, epoch: 1, base_sequence: sequence, transactional: false }
}

/// What is wrong with a file.
#[derive(Debug, Clone, Copy)]
enum Harm {
    Gone,
    Empty,
    Half,
    Flipped,
    Noise,
}

const HARMS: [Harm; 5] = [Harm::Gone, Harm::Empty, Harm::Half, Harm::Flipped, Harm::Noise];

fn harm(disk: &SimDisk, path: &Path, harm: Harm) {
    let content = disk.content(path).unwrap();
    if matches!(harm, Harm::Gone) {
        return disk.remove(path).unwrap();
    }
    let replaced = match harm {
        Harm::Empty => Vec::new(),
        Harm::Half => content[..content.len() / 2].to_vec(),
        Harm::Flipped => {
            let mut flipped = content;
            let at = flipped.len() / 2;
            if let Some(byte) = flipped.get_mut(at) {
                *byte ^= 0x21;
            }
            flipped
        }
        Harm::Gone | Harm::Noise => (0..97u8).map(|n| n.wrapping_mul(151) ^ 0x5a).collect(),
    };
    let file = disk.open(path, Mode::Write).unwrap();
    file.set_len(0).unwrap();
    file.write_vectored_at(&[IoSlice::new(&replaced)], 0).unwrap();
    file.sync().unwrap();
}

/// A disk with that log on it, closed well or killed.
fn written(clean: bool) -> (Arc<SimDisk>, i64) {
    let disk = SimDisk::new(5);
    let node = open(&disk);
    let end = fill(&node);
    if clean {
        node.log.close().unwrap();
        node.folder.close_clean().unwrap();
    }
    drop(node);
    disk.kill();
    (disk, end)
}

/// All files that are no batches: of the log's folder and of the data folder.
fn beside(disk: &SimDisk) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["/data", "/data/t-0"] {
        for entry in disk.list(Path::new(folder)).unwrap() {
            let is_batches = entry.name.ends_with(".log");
            // Without the first two the folder is not known to be klog's, or which cluster's.
            let is_the_folder = ["klog-mark", "meta.properties", ".lock"].contains(&entry.name.as_str());
            if !entry.is_dir && !is_batches && !is_the_folder {
                found.push(Path::new(folder).join(entry.name));
            }
        }
    }
    found
}

/// What a file without a checksum can make wrong unseen, as in Kafka: which transactions were aborted, where times are.
#[derive(Clone, Copy, Default)]
struct Unseen {
    aborted: bool,
    times: bool,
}

fn check(disk: &Arc<SimDisk>, end: i64, unseen: Unseen, what: &str) {
    for again in [false, true] {
        let node = try_open(disk, settings()).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(node.log.log_end(), end, "{what}");
        let mut from = 0;
        let mut read = 0;
        let mut bytes = Vec::new();
        while from < end {
            let plan = node.log.plan(from, 300, end, true).unwrap_or_else(|error| panic!("{what}: {error}"));
            plan.read(&mut bytes).unwrap();
            let mut rest = bytes.as_slice();
            while let Some((batch, after)) = Batch::split_first(rest).unwrap() {
                assert!(batch.crc_ok());
                assert_eq!(batch.header().base_offset, from, "{what}");
                from = batch.last_offset() + 1;
                read += batch.header().count;
                rest = after;
            }
        }
        assert_eq!(i64::from(read), end, "{what}: all is read");
        let aborted = node.log.aborted(0, end).unwrap_or_else(|error| panic!("{what}: {error}"));
        let told: Vec<_> = aborted.iter().map(|one| (one.producer_id, one.first_offset)).collect();
        if !unseen.aborted {
            assert_eq!(told, [(PRODUCER, 27)], "{what}: what was aborted stays out of sight");
        }
        for offset in [0, 40, end - 1].into_iter().filter(|_| !unseen.times) {
            let found = node.log.lookup_time(NOW + offset, end).unwrap();
            let found = found.unwrap_or_else(|| panic!("{what}: nothing at the time of {offset}"));
            assert!((found.offset - offset).abs() <= 3, "{what}: {} for {offset}", found.offset);
        }
        if again {
            let sent = append(&node.log, &batch(end - 2, 2, stamp(0))).unwrap();
            assert!(sent.duplicate, "{what}: a batch sent again is known");
            append(&node.log, &batch(end, 2, stamp(2))).unwrap_or_else(|error| panic!("{what}: {error}"));
        }
        drop(node);
        disk.kill();
    }
}

#[test]
fn what_is_missing_or_damaged_beside_the_batches_is_made_anew() {
    for clean in [true, false] {
        let (disk, _) = written(clean);
        let all = beside(&disk);
        for kind in [
            "index",
            "timeindex",
            "txnindex",
            "snapshot",
            "leader-epoch-checkpoint",
            "klog-checkpoint",
            "klog-dirty",
        ] {
            assert!(all.iter().any(|path| path.to_string_lossy().ends_with(kind)), "{kind}: {all:?}");
        }
        for path in all {
            for kind in HARMS {
                // A checkpoint begins it anew: an empty one says that nothing was written since.
                if path.ends_with("klog-dirty") && matches!(kind, Harm::Empty) {
                    continue;
                }
                let (disk, end) = written(clean);
                harm(&disk, &path, kind);
                // Kafka's format: a .txnindex that is gone, or cut, is like one that never was, or never was longer.
                // A flipped bit in a .timeindex is another time.
                let is = |extension: &str| path.extension().is_some_and(|kind| kind == extension);
                let times = is("timeindex") && matches!(kind, Harm::Flipped);
                let unseen = Unseen { aborted: is("txnindex"), times };
                check(&disk, end, unseen, &format!("clean {clean}, {kind:?} {}", path.display()));
            }
        }
    }
}

/// Without any of them, all at once.
#[test]
fn a_log_of_batches_alone_is_whole() {
    for clean in [true, false] {
        let (disk, end) = written(clean);
        for path in beside(&disk) {
            disk.remove(&path).unwrap();
        }
        check(&disk, end, Unseen::default(), &format!("clean {clean}, nothing but batches"));
    }
}
