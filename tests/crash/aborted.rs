//! Transactions through power cuts: what a reader at read_committed leaves out is known after any of them.

use std::sync::Arc;

use klog::record::{Batch, BatchSummary, ControlMarker, ProducerStamp, end_transaction_batch};
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
