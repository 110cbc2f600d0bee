//! Transactions through power cuts: what a reader at read_committed leaves out is known after any of them.

use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

use klog::record::{Batch, BatchSummary, ControlMarker, ProducerStamp, end_transaction_batch};
use klog::storage::disk::{Disk, Mode};
use klog::storage::sim::SimDisk;
use klog::storage::{Log, Origin, StorageError};

use crate::support::*;

const PRODUCER: i64 = 9;

/// One batch of a transaction and its end.
fn transaction(log: &Log, sequence: i32, commit: bool) -> Result<i64, StorageError> {
    let stamp = ProducerStamp { id: PRODUCER, epoch: 0, base_sequence: sequence, transactional: true };
    let guard = log.begin_verification(PRODUCER, 0, sequence)?;
    let bytes = batch(log.log_end(), 1, stamp);
    let summary = BatchSummary::trusted(&Batch::exactly(&bytes).unwrap());
    let first = log.append(&bytes, &summary, 0, None, guard)?.base_offset;
    let marker = match commit {
        true => ControlMarker::Commit { coordinator_epoch: 0 },
        false => ControlMarker::Abort { coordinator_epoch: 0 },
    };
    let bytes = end_transaction_batch(PRODUCER, 0, marker, NOW).unwrap();
    let summary = BatchSummary::trusted(&Batch::exactly(&bytes).unwrap());
    log.append_as(&bytes, &summary, 0, None, Origin::Marker { transaction_version: 0 })?;
    Ok(first)
}

/// Transactions of which every third is aborted, over several segments, with checkpoints in between; what was aborted.
fn workload(disk: &Arc<SimDisk>, synced: &mut Vec<i64>) -> Result<(), StorageError> {
    let node = try_open(disk, settings())?;
    let mut aborted = Vec::new();
    for n in 0..18 {
        let first = transaction(&node.log, n, n % 3 != 0)?;
        if n % 3 == 0 {
            aborted.push(first);
        }
        node.log.sync()?;
        synced.clone_from(&aborted);
        if n % 4 == 3 {
            node.log.checkpoint()?;
            node.folder.checkpoint()?;
        }
    }
    Ok(())
}

#[test]
fn aborted_transactions_are_known_wherever_the_power_goes() {
    let disk = SimDisk::new(0);
    workload(&disk, &mut Vec::new()).unwrap();
    let steps = disk.steps();
    for step in 0..=steps {
        // Where the process alone ends, everything is there, and only a later cut shows what was never synced.
        for ends in [&["cut", "kill", "cut"][..], &["kill", "cut"]] {
            let disk = SimDisk::new(step);
            disk.cut_power_at(step);
            let mut synced = Vec::new();
            let _ = workload(&disk, &mut synced);
            for end in ends {
                match *end {
                    "kill" => disk.power_on_as_killed(),
                    _ => disk.restart(),
                }
                let node = open(&disk);
                node.log.size().unwrap();
                let aborted = node.log.aborted(0, node.log.log_end()).unwrap();
                let found: Vec<_> = aborted.iter().map(|aborted| aborted.first_offset).collect();
                assert!(found.starts_with(&synced), "step {step}, {ends:?}: {found:?} of {synced:?}");
                node.log.checkpoint().unwrap();
                node.folder.checkpoint().unwrap();
                synced = found;
            }
        }
    }
}

/// Transactions of which every third is aborted, over several segments; what was aborted.
fn settled(disk: &Arc<SimDisk>) -> (Node, Vec<i64>) {
    let node = open(disk);
    let mut aborted = Vec::new();
    for n in 0..18 {
        let first = transaction(&node.log, n, n % 3 != 0).unwrap();
        aborted.extend((n % 3 == 0).then_some(first));
    }
    node.log.sync().unwrap();
    (node, aborted)
}

fn told(log: &Log, from: i64) -> Vec<i64> {
    let aborted = log.aborted(from, log.log_end()).unwrap();
    aborted.iter().map(|aborted| aborted.first_offset).collect()
}

#[test]
fn a_range_whose_segment_went_after_it_was_planned_is_not_told_as_if_nothing_was_aborted() {
    let disk = SimDisk::new(0);
    let (node, aborted) = settled(&disk);
    let log = &node.log;
    let plan = log.plan(0, 1 << 20, log.log_end(), true).unwrap();
    assert_eq!((aborted[0], log.aborted(0, plan.end).unwrap()[0].first_offset), (0, 0));
    log.advance_start(plan.end).unwrap();
    assert!(log.remove_below_start().unwrap().segments > 0);
    let gone = log.aborted(0, plan.end);
    assert!(matches!(gone, Err(StorageError::OffsetOutOfRange { offset: 0, .. })), "{gone:?}");
    let left: Vec<i64> = aborted.into_iter().filter(|&first| first >= plan.end).collect();
    assert!(!left.is_empty() && told(log, plan.end).ends_with(&left));
}

#[test]
fn a_txnindex_that_is_gone_or_wrong_below_the_recovery_point_is_made_anew() {
    for wrong in [false, true] {
        for clean in [false, true] {
            let disk = SimDisk::new(0);
            let (node, aborted) = settled(&disk);
            node.log.checkpoint().unwrap();
            node.folder.checkpoint().unwrap();
            if clean {
                node.log.close().unwrap();
                node.folder.close_clean().unwrap();
            }
            drop(node);
            disk.restart();
            let entries = disk.list(Path::new("/data/t-0")).unwrap();
            let indexes = entries.iter().filter(|entry| entry.name.ends_with(".txnindex"));
            let indexes: Vec<_> = indexes.map(|entry| Path::new("/data/t-0").join(&entry.name)).collect();
            assert!(indexes.len() > 2);
            for path in &indexes {
                if wrong {
                    disk.open(path, Mode::Write).unwrap().set_len(20).unwrap();
                } else {
                    disk.remove(path).unwrap();
                }
            }
            let node = open(&disk);
            assert_eq!(told(&node.log, 0), aborted, "wrong {wrong}, clean {clean}");
            node.log.checkpoint().unwrap();
            assert!(indexes.iter().all(|path| disk.open(path, Mode::Read).unwrap().len().unwrap() > 20));
        }
    }
}

/// The first batches of a closed segment as their positions and offsets.
fn batches_of(disk: &SimDisk, base: i64) -> Vec<(usize, i64)> {
    let bytes = disk.content(&log_file(base)).unwrap();
    let (mut rest, mut found) = (bytes.as_slice(), Vec::new());
    while let Some((batch, behind)) = Batch::split_first(rest).unwrap() {
        found.push((bytes.len() - rest.len(), batch.base_offset()));
        rest = behind;
    }
    found
}

#[test]
fn a_txnindex_made_anew_knows_what_lies_behind_a_damaged_batch() {
    // Found where the log is opened, or by the first who asks.
    for late in [false, true] {
        let disk = SimDisk::new(0);
        let node = open(&disk);
        // The damage lies in a segment's first batches, an aborted transaction behind it in the same one.
        for _ in 0..3 {
            append(&node.log, &batch(node.log.log_end(), 1, ProducerStamp::NONE)).unwrap();
        }
        let mut aborted = Vec::new();
        for n in 0..18 {
            let first = transaction(&node.log, n, n % 3 != 0).unwrap();
            aborted.extend((n % 3 == 0).then_some(first));
        }
        node.log.sync().unwrap();
        node.log.checkpoint().unwrap();
        node.log.close().unwrap();
        node.folder.close_clean().unwrap();
        drop(node);
        disk.restart();
        let early = batches_of(&disk, 0);
        assert!(early.last().unwrap().1 > aborted[0], "{early:?} {aborted:?}");
        let harm = || {
            let at = early[0].0 as u64 + 16;
            let file = disk.open(&log_file(0), Mode::Write).unwrap();
            file.write_vectored_at(&[IoSlice::new(&[0xff])], at).unwrap();
            file.sync().unwrap();
            let index = log_file(0).with_extension("txnindex");
            match late {
                true => disk.open(&index, Mode::Write).unwrap().set_len(20).unwrap(),
                false => disk.remove(&index).unwrap(),
            }
        };
        if !late {
            harm();
        }
        let node = open(&disk);
        node.log.size().unwrap();
        if late {
            harm();
        }
        assert_eq!(told(&node.log, 0), aborted, "late {late}");
        assert_eq!(told(&node.log, aborted[0]), aborted, "late {late}");
        node.log.checkpoint().unwrap();
        drop(node);
        disk.restart();
        assert_eq!(told(&open(&disk).log, aborted[0]), aborted, "late {late}, once more");
    }
}
