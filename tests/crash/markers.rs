//! Markers of transactions whose bytes were changed on the disk: compaction removes nothing for what they seem to say.

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use klog::record::{Batch, BatchBuilder, BatchHeader, ControlMarker, ProducerStamp, end_transaction_batch};
use klog::storage::disk::{Disk, Mode};
use klog::storage::sim::SimDisk;
use klog::storage::{CompactOptions, Compacted, Log, LogSettings, StorageError};

use crate::support::*;

/// Where the checksum of a batch lies, and the attributes' low byte.
const CRC: usize = 17;
const ATTRIBUTES: usize = 22;

pub(crate) fn start(disk: &Arc<SimDisk>) -> Node {
    let settings =
        LogSettings { compact: true, delete_by_retention: false, min_dirty_millionths: 0, ..settings() };
    try_open(disk, settings).unwrap()
}

fn compact(log: &Log) -> Result<Compacted, StorageError> {
    let options = CompactOptions { memory: 1 << 16, load_percent: 90, now_ms: NOW, upto: i64::MAX };
    log.compact(&options, &mut |_| true)
}

pub(crate) fn put(log: &Log, key: &str, value: &str, producer: Option<(i64, i32)>) {
    let mut builder = BatchBuilder::new();
    builder.push(NOW, Some(key.as_bytes()), Some(value.as_bytes()), &[]);
    let stamp = producer.map_or(ProducerStamp::NONE, |(id, base_sequence)| ProducerStamp {
        id,
        epoch: 0,
        base_sequence,
        transactional: true,
    });
    append(log, &builder.finish_plain(stamp).unwrap()).unwrap();
}

pub(crate) fn end(log: &Log, producer: i64, commit: bool) {
    let marker = match commit {
        true => ControlMarker::Commit { coordinator_epoch: 0 },
        false => ControlMarker::Abort { coordinator_epoch: 0 },
    };
    append(log, &end_transaction_batch(producer, 0, marker, NOW).unwrap()).unwrap();
}

/// Committed and aborted transactions of the same keys in closed segments. A client's batches have a sequence, a group
/// coordinator's have none.
fn fill(log: &Log, sequenced: bool) {
    let of = |producer: i64, sequence: i32| Some((producer, if sequenced { sequence } else { -1 }));
    put(log, "a", "plain", None);
    put(log, "a", "committed a", of(1, 0));
    put(log, "b", "aborted", of(2, 0));
    put(log, "b", "committed b", of(1, 1));
    // The ends lie in a later segment.
    put(log, "filler", &"f".repeat(450), None);
    end(log, 1, true);
    end(log, 2, false);
    put(log, "c", "committed c", of(2, 1));
    put(log, "c", "aborted", of(1, 2));
    end(log, 2, true);
    end(log, 1, false);
    for _ in 0..2 {
        put(log, "filler", &"f".repeat(450), None);
    }
    log.sync().unwrap();
}

const COMMITTED: [&str; 3] = ["committed a", "committed b", "committed c"];

/// Every segment's path and bytes, in order.
fn segments(disk: &SimDisk) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = disk.list(Path::new("/data/t-0")).unwrap();
    let logs = entries.iter().filter(|entry| entry.name.ends_with(".log"));
    let mut paths: Vec<PathBuf> = logs.map(|entry| Path::new("/data/t-0").join(&entry.name)).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), disk.content(&path).unwrap())).collect()
}

/// Every batch: its file, its position, its header, its size.
pub(crate) fn located(disk: &SimDisk) -> Vec<(PathBuf, usize, BatchHeader, usize)> {
    let mut found = Vec::new();
    for (path, bytes) in segments(disk) {
        let mut rest = bytes.as_slice();
        while let Some((batch, behind)) = Batch::split_first(rest).unwrap() {
            found.push((path.clone(), bytes.len() - rest.len(), batch.header(), batch.bytes().len()));
            rest = behind;
        }
    }
    found
}

pub(crate) fn flip(disk: &SimDisk, path: &Path, at: usize, bits: u8) {
    let byte = disk.content(path).unwrap()[at] ^ bits;
    let file = disk.open(path, Mode::Write).unwrap();
    file.write_vectored_at(&[IoSlice::new(&[byte])], at as u64).unwrap();
    file.sync().unwrap();
}

/// The values that are in the files, checked or not.
pub(crate) fn values(disk: &SimDisk) -> Vec<String> {
    let mut found = Vec::new();
    for (_, bytes) in segments(disk) {
        let mut rest = bytes.as_slice();
        while let Some((batch, behind)) = Batch::split_first(rest).unwrap() {
            rest = behind;
            let records = batch.records().unwrap().map_while(Result::ok);
            found.extend(
                records.map(|one| String::from_utf8_lossy(one.value.unwrap_or_default()).into_owned()),
            );
        }
    }
    found
}

#[test]
fn no_flipped_bit_of_a_marker_lets_compaction_touch_anything() {
    for sequenced in [true, false] {
        let disk = SimDisk::new(1);
        let node = start(&disk);
        fill(&node.log, sequenced);
        let before = segments(&disk);
        let markers: Vec<_> =
            located(&disk).into_iter().filter(|(_, _, header, _)| header.is_control()).collect();
        assert_eq!(markers.len(), 4);
        for (path, position, header, size) in markers {
            for bit in CRC * 8..size * 8 {
                let (at, bits) = (position + bit / 8, 1 << (bit % 8));
                let what = format!("bit {bit} of the marker at {}", header.base_offset);
                flip(&disk, &path, at, bits);
                let done = compact(&node.log);
                // Some make it no batch at all: then the whole segment is named.
                let told = matches!(
                    &done,
                    Err(StorageError::Damaged { range, .. }) if range.start <= header.base_offset
                );
                assert!(told, "{what}: {done:?}");
                flip(&disk, &path, at, bits);
                assert!(segments(&disk) == before, "{what}");
            }
        }
        // Whole again, it does its work.
        compact(&node.log).unwrap();
        let left = values(&disk);
        assert!(COMMITTED.iter().all(|value| left.iter().any(|one| one == value)), "{left:?}");
        assert!(left.iter().all(|value| value != "aborted" && value != "plain"), "{left:?}");
    }
}

#[test]
fn no_flipped_attribute_of_a_batch_lets_compaction_take_what_was_committed() {
    let count = {
        let disk = SimDisk::new(1);
        let node = start(&disk);
        fill(&node.log, true);
        located(&disk).len()
    };
    for n in 0..count {
        for bits in [0x10, 0x20, 0x30] {
            let disk = SimDisk::new(1);
            let node = start(&disk);
            fill(&node.log, true);
            let (path, position, header, _) = located(&disk).swap_remove(n);
            flip(&disk, &path, position + ATTRIBUTES, bits);
            let done = compact(&node.log);
            let left = values(&disk);
            let what = format!("{bits:#x} of the batch at {}: {done:?}, {left:?}", header.base_offset);
            assert!(matches!(done, Ok(_) | Err(StorageError::Damaged { .. })), "{what}");
            assert!(COMMITTED.iter().all(|value| left.iter().any(|one| one == value)), "{what}");
        }
    }
}

/// A marker that recovery found damaged is passed over: what it said of its transaction is not known, whatever the
/// producer's next one became.
#[test]
fn behind_a_marker_that_is_known_to_be_damaged_no_transaction_takes_its_place() {
    for n in 0..4 {
        let disk = SimDisk::new(1);
        let node = start(&disk);
        fill(&node.log, true);
        let markers = located(&disk).into_iter().filter(|(_, _, header, _)| header.is_control());
        let (path, position, header, size) = markers.collect::<Vec<_>>().swap_remove(n);
        drop(node);
        disk.kill();
        flip(&disk, &path, position + size - 1, 1);
        let node = start(&disk);
        assert_eq!(node.log.size().map(|_| node.log.damaged_ranges()).unwrap(), 1);
        let done = compact(&node.log);
        let left = values(&disk);
        let what = format!("the marker at {}: {done:?}, {left:?}", header.base_offset);
        assert!(done.is_ok(), "{what}");
        assert!(COMMITTED.iter().all(|value| left.iter().any(|one| one == value)), "{what}");
    }
}
