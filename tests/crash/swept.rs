//! A sweep over a log that was stopped cleanly and damaged since: every good batch is given once, in order, and every
//! other byte is told of.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use klog::record::Batch;
use klog::storage::Swept;
use klog::storage::disk::Disk;
use klog::storage::sim::SimDisk;

use crate::support::*;

/// Offsets of the records given, held against their values, and the ranges that were told of.
fn swept(node: &Node) -> (Vec<i64>, Vec<Range<i64>>) {
    let (mut offsets, mut bad) = (Vec::new(), Vec::new());
    let each = &mut |swept: Swept<'_>| {
        match swept {
            Swept::Bad { from, to } => bad.push(from..to),
            Swept::Batch(batch) => {
                for record in batch.records().unwrap() {
                    let record = record.unwrap();
                    assert_eq!(record.value.unwrap(), value(record.offset).as_bytes());
                    offsets.push(record.offset);
                }
            }
        }
        true
    };
    node.log.sweep(each).unwrap();
    (offsets, bad)
}

/// A batch's file, its place in that in bytes, and its offsets.
pub(crate) type Place = (PathBuf, Range<usize>, Range<i64>);

/// A log of several segments after a clean stop, and its batches.
pub(crate) fn stopped() -> (Arc<SimDisk>, Vec<Place>) {
    let disk = SimDisk::new(5);
    let node = open(&disk);
    for n in 0..12 {
        append_values(&node.log, 1 + n % 3).unwrap();
    }
    node.log.close().unwrap();
    node.folder.close_clean().unwrap();
    drop(node);
    disk.kill();
    let mut batches = Vec::new();
    let mut base = 0;
    while let Some(log) = disk.content(&log_file(base)).filter(|log| !log.is_empty()) {
        let mut rest = log.as_slice();
        while let Ok(Some((batch, behind))) = Batch::split_first(rest) {
            let place = log.len() - rest.len()..log.len() - behind.len();
            batches.push((log_file(base), place, batch.base_offset()..batch.header().next_offset()));
            rest = behind;
        }
        base = batches.last().unwrap().2.end;
    }
    (disk, batches)
}

#[test]
fn a_flip_anywhere_takes_out_one_batch_and_no_other() {
    let (_, batches) = stopped();
    let end = batches.last().unwrap().2.end;
    assert_ne!(batches[0].0, batches.last().unwrap().0, "several segments");
    for (file, place, offsets) in &batches {
        for at in place.clone().filter(|at| matches!(at - place.start, 0..12 | 16..24) || at % 5 == 0) {
            // The leader epoch is not under the CRC, and says nothing about the records.
            if (12..16).contains(&(at - place.start)) {
                continue;
            }
            let (disk, _) = stopped();
            disk.flip_bit(file, at, (at % 8) as u8);
            let node = open(&disk);
            let (given, bad) = swept(&node);
            let expected: Vec<i64> = (0..end).filter(|offset| !offsets.contains(offset)).collect();
            let what = format!("{} at {}", file.display(), at - place.start);
            assert_eq!(given, expected, "{what}");
            // Where the head of the last batch says another end than the checkpoint it is cut off.
            let is_cut = node.log.log_end() < end && offsets.end == end;
            assert!(is_cut || bad == [offsets.clone()], "{what}: {bad:?}");
        }
    }
}

#[test]
fn what_lies_below_the_log_start_is_neither_given_nor_told_of() {
    let (disk, batches) = stopped();
    let (file, place, _) = &batches[0];
    disk.flip_bit(file, place.end - 1, 0);
    let node = open(&disk);
    assert_eq!(swept(&node).1, [batches[0].2.clone()]);
    let start = batches[1].2.end;
    node.log.advance_start(start).unwrap();
    assert_eq!(swept(&node), ((start..node.log.log_end()).collect(), vec![]));
}

#[test]
fn a_segment_that_is_gone_is_told_of() {
    let (disk, batches) = stopped();
    let gone: Vec<_> = batches.iter().filter(|(file, ..)| *file != batches[0].0).collect();
    let file = &gone[0].0;
    let gone: Vec<_> = gone.iter().filter(|(of, ..)| of == file).collect();
    let range = gone[0].2.start..gone.last().unwrap().2.end;
    assert_ne!(*file, batches.last().unwrap().0, "it is not the last one");
    disk.remove(file).unwrap();
    let node = open(&disk);
    let (given, bad) = swept(&node);
    assert_eq!(bad, std::slice::from_ref(&range));
    assert_eq!(given, (0..node.log.log_end()).filter(|at| !range.contains(at)).collect::<Vec<_>>());
}

#[test]
fn a_sweep_ends_where_its_reader_does() {
    let (disk, _) = stopped();
    let node = open(&disk);
    let mut given = 0;
    node.log
        .sweep(&mut |_| {
            given += 1;
            given < 3
        })
        .unwrap();
    assert_eq!(given, 3);
}
