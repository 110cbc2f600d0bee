//! Bits that rot in a log that lay still: who reads there is told so, and gets every other record as it was written.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use klog::record::Batch;
use klog::storage::StorageError;
use klog::storage::sim::SimDisk;

use crate::support::*;
use crate::swept::stopped;

/// One read: the offsets that came, held against their values, or the range that can not be read.
fn read(node: &Node, from: i64, max_bytes: usize) -> Result<Vec<i64>, Range<i64>> {
    let plan = match node.log.plan(from, max_bytes, node.log.log_end(), true) {
        Ok(plan) => plan,
        Err(StorageError::Damaged { range, .. }) => {
            assert!(range.contains(&from), "{range:?} has no {from}");
            return Err(range);
        }
        Err(other) => panic!("{other}"),
    };
    assert_ne!(plan.len, 0, "a reader at {from} of {} would wait for ever", node.log.log_end());
    let mut bytes = Vec::new();
    plan.read(&mut bytes).unwrap();
    let mut offsets = Vec::new();
    let mut rest = bytes.as_slice();
    while let Some((batch, behind)) = Batch::split_first(rest).unwrap() {
        assert!(batch.crc_ok());
        for record in batch.records().unwrap() {
            let record = record.unwrap();
            assert_eq!(record.value.unwrap(), value(record.offset).as_bytes());
            offsets.push(record.offset);
        }
        rest = behind;
    }
    assert!(plan.end > *offsets.last().unwrap());
    Ok(offsets)
}

/// Everything that a consumer gets that passes over what it can not read, and what that is.
fn read_all(node: &Node, max_bytes: usize) -> (Vec<i64>, Vec<i64>) {
    let (mut given, mut bad) = (Vec::new(), Vec::new());
    let mut from = node.log.log_start();
    while from < node.log.log_end() {
        match read(node, from, max_bytes) {
            Ok(offsets) => {
                given.extend(offsets.into_iter().filter(|offset| *offset >= from));
                from = given.last().unwrap() + 1;
            }
            Err(range) => {
                bad.extend(from..range.end);
                from = range.end;
            }
        }
    }
    (given, bad)
}

/// Holds what a reader gets against what lies there but for `gone`; `end` is the log end before the damage.
fn assert_only_that_is_gone(node: &Node, gone: &Range<i64>, end: i64, what: &str) {
    // Where the head of the last batch says another end than the checkpoint it is cut off, once the log is loaded.
    read_all(node, 1);
    let cut = node.log.log_end() < end && gone.end == end;
    let expected: Vec<i64> = (0..end).filter(|offset| !gone.contains(offset)).collect();
    let expected_bad: Vec<i64> = if cut { Vec::new() } else { gone.clone().collect() };
    for max_bytes in [1, 250, 100_000] {
        let (given, bad) = read_all(node, max_bytes);
        assert_eq!(given, expected, "{what}, {max_bytes} bytes at a time");
        assert_eq!(bad, expected_bad, "{what}, {max_bytes} bytes at a time");
        node.log.forget_checked();
    }
    // From each offset by itself, once with nothing known and once with what the others left.
    for from in 0..node.log.log_end() {
        for _ in 0..2 {
            match read(node, from, 1) {
                Ok(offsets) => assert!(offsets.contains(&from) && !gone.contains(&from), "{what}: {from}"),
                Err(range) => {
                    assert!(gone.contains(&from) && range.end == gone.end, "{what}: {from} {range:?}")
                }
            }
        }
        node.log.forget_checked();
    }
}

#[test]
fn a_flip_anywhere_hides_one_batch_and_is_told() {
    let (_, batches) = stopped();
    let end = batches.last().unwrap().2.end;
    for (file, place, offsets) in &batches {
        for at in place.clone() {
            // The leader epoch is not under the CRC, and says nothing about the records.
            if (12..16).contains(&(at - place.start)) {
                continue;
            }
            let (disk, _) = stopped();
            disk.flip_bit(file, at, (at % 8) as u8);
            let node = open(&disk);
            let what = format!("{} at {}", file.display(), at - place.start);
            assert_only_that_is_gone(&node, offsets, end, &what);
        }
    }
}

/// An open log of several segments that a reader has read whole, and where a batch of its first lies.
fn read_whole() -> (Arc<SimDisk>, Node, std::path::PathBuf, Range<usize>, Range<i64>) {
    let (disk, batches) = stopped();
    let node = open(&disk);
    assert!(read_all(&node, 100_000).1.is_empty());
    let (file, place, offsets) = batches[1].clone();
    (disk, node, file, place, offsets)
}

#[test]
fn what_rots_while_it_is_open_is_found_once_it_is_checked_again() {
    let (disk, node, file, place, offsets) = read_whole();
    disk.flip_bit(&file, place.end - 1, 0);
    node.log.forget_checked();
    assert_eq!(read_all(&node, 100_000).1, offsets.clone().collect::<Vec<_>>());
    // Found for good: a bad batch is never known as checked.
    assert_eq!(read_all(&node, 100_000).1, offsets.collect::<Vec<_>>());
}

#[test]
fn nothing_is_read_twice_to_check_it() {
    let (disk, node, file, place, _) = read_whole();
    // Whoever checks again would find it.
    disk.flip_bit(&file, place.end - 1, 0);
    let unread = node.log.plan(0, 100_000, node.log.log_end(), true).unwrap();
    assert!(unread.len > place.end, "{unread:?}");
}

#[test]
fn what_this_process_wrote_is_not_checked_until_it_is_forgotten() {
    let disk = SimDisk::new(9);
    let node = open(&disk);
    append_values(&node.log, 3).unwrap();
    disk.flip_bit(Path::new(&log_file(0)), 70, 0);
    assert!(node.log.plan(0, 1_000, 3, true).is_ok());
    node.log.forget_checked();
    assert!(
        matches!(node.log.plan(0, 1_000, 3, true), Err(StorageError::Damaged { range, .. }) if range == (0..3))
    );
    // What comes later is.
    append_values(&node.log, 2).unwrap();
    assert_eq!(read(&node, 3, 1_000), Ok(vec![3, 4]));
}

/// Where the index has another place or another offset than it should, readers are led by what lies in the log.
#[test]
fn no_flipped_bit_of_an_index_hides_or_moves_anything() {
    let (_, batches) = stopped();
    let end = batches.last().unwrap().2.end;
    let mut met = 0;
    for (file, ..) in &batches {
        let index = file.with_extension("index");
        let (disk, _) = stopped();
        for at in 0..disk.content(&index).map_or(0, |bytes| bytes.len()) {
            for bit in 0..8 {
                let (disk, _) = stopped();
                disk.flip_bit(&index, at, bit);
                let node = open(&disk);
                let what = format!("{} at {at}.{bit}", index.display());
                // Not known yet, known, and both again from every offset.
                for known in [false, true] {
                    let (given, bad) = read_all(&node, 1);
                    assert!(
                        bad.is_empty() && given == (0..end).collect::<Vec<_>>(),
                        "{what}, {known}: {bad:?}"
                    );
                }
                for from in 0..end {
                    assert!(read(&node, from, 250).unwrap().contains(&from), "{what}: {from}");
                }
                // A bound within the segment: nothing of what lies behind it is planned.
                for upto in 1..=end {
                    let plan = node.log.plan(0, 100_000, upto, true).unwrap();
                    let mut bytes = Vec::new();
                    plan.read(&mut bytes).unwrap();
                    let mut rest = bytes.as_slice();
                    while !rest.is_empty() {
                        let (batch, behind) = Batch::split_first(rest).unwrap().unwrap();
                        assert!(batch.header().next_offset() <= upto, "{what}: {upto}");
                        rest = behind;
                    }
                }
                met += 1;
            }
        }
    }
    assert!(met > 100, "indexes have entries");
}
