//! Power cuts at every step of a workload, and what is flipped or torn afterwards.

use std::sync::Arc;

use klog::record::ProducerStamp;
use klog::storage::StorageError;
use klog::storage::sim::SimDisk;

use crate::support::*;

/// What the workload was promised before the power went.
#[derive(Default)]
struct Promised {
    durable: i64,
    start: i64,
}

/// Appends of several sizes with a sync after some, checkpoints and DeleteRecords in between, over several segments.
fn workload(disk: &Arc<SimDisk>, promised: &mut Promised) -> Result<(), StorageError> {
    let node = try_open(disk, settings())?;
    let mut sequence = 0;
    for n in 0..24 {
        let stamp = ProducerStamp { id: 9, epoch: 0, base_sequence: sequence, transactional: false };
        let count = 1 + n % 3;
        append(&node.log, &batch(node.log.log_end(), count, stamp))?;
        sequence += count as i32;
        if n % 3 != 1 {
            promised.durable = node.log.sync()?;
        }
        if n % 7 == 6 {
            node.log.checkpoint()?;
            node.folder.checkpoint()?;
        }
        if n == 15 {
            node.log.advance_start(5)?;
            promised.start = 5;
            node.log.retain(NOW, node.log.durable_end())?;
        }
    }
    node.log.close()?;
    promised.durable = node.log.log_end();
    node.folder.close_clean()
}

fn check(disk: &Arc<SimDisk>, promised: &Promised, what: &str) {
    let node = open(disk);
    assert!(node.log.log_end() >= promised.durable, "{what}: a written log was taken for clean");
    // Loaded now: the journal of an append that was never synced may be lost, and then the first use finds it.
    node.log.size().unwrap();
    let end = node.log.log_end();
    assert!(end >= promised.durable, "{what}: end {end}, promised {}", promised.durable);
    assert!(node.log.log_start() >= promised.start, "{what}: deleted records are back");
    assert_eq!(node.log.durable_end(), end, "{what}: what was kept was not synced");
    let (offsets, damaged) = read_all(&node.log, end);
    for offset in node.log.log_start()..promised.durable {
        assert!(offsets.contains(&offset), "{what}: acknowledged offset {offset} is lost of {offsets:?}");
    }
    assert!(damaged.iter().all(|range| range.start >= promised.durable), "{what}: {damaged:?}");
    // Life goes on, and survives the next power cut too.
    append_values(&node.log, 2).unwrap();
    assert_eq!(node.log.sync().unwrap(), end + 2);
    drop(node);
    disk.restart();
    let node = open(disk);
    node.log.size().unwrap();
    assert!(node.log.log_end() >= end + 2, "{what}: lost after the second cut");
    assert!(read_all(&node.log, end + 2).0.ends_with(&[end, end + 1]), "{what}");
}

#[test]
fn nothing_acknowledged_is_lost_wherever_the_power_goes() {
    let disk = SimDisk::new(0);
    workload(&disk, &mut Promised::default()).unwrap();
    let steps = disk.steps();
    assert!(steps > 100 && disk.syncs() > 30, "{steps} steps");
    for step in 0..steps {
        for seed in 0..4 {
            let disk = SimDisk::new(seed * 1_000_003 + step);
            disk.cut_power_at(step);
            let mut promised = Promised::default();
            assert!(workload(&disk, &mut promised).is_err() || step + 1 == steps);
            disk.restart();
            check(&disk, &promised, &format!("step {step}, seed {seed}"));
        }
    }
}

#[test]
fn nothing_written_is_lost_by_kill_9() {
    let disk = SimDisk::new(0);
    let node = open(&disk);
    for _ in 0..30 {
        append_values(&node.log, 3).unwrap();
    }
    disk.kill();
    let node = open(&disk);
    assert!(!node.folder.was_clean());
    assert_eq!(read_all(&node.log, 90), ((0..90).collect(), vec![]));
    let report = node.log.recovered().unwrap();
    assert_eq!((report.log_end, report.cut_bytes), (90, 0));
    assert!(report.scanned_bytes > 0);
}

#[test]
fn recovery_begins_at_the_checkpoint() {
    let disk = SimDisk::new(0);
    let node = open(&disk);
    for _ in 0..60 {
        append_values(&node.log, 3).unwrap();
    }
    node.log.checkpoint().unwrap();
    node.folder.checkpoint().unwrap();
    append_values(&node.log, 3).unwrap();
    disk.kill();
    let node = open(&disk);
    let report = node.log.recovered().unwrap();
    assert!(report.scanned_bytes < 1000 && report.scanned_bytes > 0, "{report:?}");
    assert_eq!(node.log.log_end(), 183);
}

#[test]
fn a_flipped_bit_loses_none_of_the_batches_behind_it() {
    let disk = SimDisk::new(0);
    let node = try_open(&disk, klog::storage::LogSettings { segment_bytes: 1 << 20, ..settings() }).unwrap();
    for _ in 0..8 {
        append_values(&node.log, 2).unwrap();
        node.log.sync().unwrap();
    }
    let len = disk.content(&log_file(0)).unwrap().len();
    drop(node);
    for byte in (0..len).step_by(3) {
        disk.flip_bit(&log_file(0), byte, (byte % 8) as u8);
        disk.kill();
        let node =
            try_open(&disk, klog::storage::LogSettings { segment_bytes: 1 << 20, ..settings() }).unwrap();
        let (offsets, damaged) = read_all(&node.log, node.log.log_end());
        // Leader epoch and base offset lie outside of the CRC: a flip in the former goes unseen.
        let lost = 16 - offsets.len();
        assert!(lost <= 2, "byte {byte}: {offsets:?} {damaged:?} {:?}", node.log.recovered());
        let flipped_last = byte >= len - len / 8;
        if lost == 2 && !flipped_last {
            assert_eq!(damaged.len(), 1, "byte {byte}");
            assert_eq!(node.log.log_end(), 16);
        }
        drop(node);
        disk.kill();
        // Put everything back for the next round: the flip, what was cut, what was noted.
        disk.flip_bit(&log_file(0), byte, (byte % 8) as u8);
        let shorter = disk.content(&log_file(0)).unwrap().len() < len;
        if shorter {
            break;
        }
    }
}

#[test]
fn a_torn_tail_is_cut_into_a_file_beside() {
    let disk = SimDisk::new(0);
    let node = open(&disk);
    append_values(&node.log, 2).unwrap();
    let before = disk.content(&log_file(0)).unwrap();
    append_values(&node.log, 2).unwrap();
    let whole = disk.content(&log_file(0)).unwrap();
    disk.kill();
    use klog::storage::disk::{Disk, Mode};
    disk.open(&log_file(0), Mode::Write).unwrap().set_len(whole.len() as u64 - 1).unwrap();
    let node = open(&disk);
    assert_eq!(node.log.log_end(), 2);
    assert_eq!(node.log.recovered().unwrap().cut_bytes, (whole.len() - before.len() - 1) as u64);
    assert_eq!(disk.content(&log_file(0)).unwrap(), before);
    let beside = format!("/data/t-0/{:020}.log.cut-{NOW}", 0);
    assert_eq!(disk.content(std::path::Path::new(&beside)).unwrap(), whole[before.len()..whole.len() - 1]);
}

/// More logs than are synced one by one: their checkpoints and recoveries share a sync of the whole disk.
fn many_logs(disk: &Arc<SimDisk>, promised: &mut [i64]) -> Result<(), StorageError> {
    let node = try_open(disk, settings())?;
    let logs = open_partitions(&node.folder, promised.len())?;
    node.folder.sync()?;
    for round in 0..4 {
        for (log, promised) in logs.iter().zip(promised.iter_mut()) {
            for _ in 0..round + 1 {
                append_values(log, 3)?;
            }
            *promised = log.sync()?;
        }
        let failed = node.folder.checkpoint_logs(&logs)?;
        if let Some((_, error)) = failed.into_iter().next() {
            return Err(error);
        }
    }
    for log in &logs {
        append_values(log, 3)?;
    }
    node.folder.close_logs(&logs)?;
    Ok(())
}

#[test]
fn many_logs_lose_nothing_together() {
    let disk = SimDisk::new(0);
    many_logs(&disk, &mut [0; 10]).unwrap();
    let steps = disk.steps();
    for step in (0..steps).step_by(3) {
        let disk = SimDisk::new(step);
        disk.cut_power_at(step);
        let mut promised = [0; 10];
        let _ = many_logs(&disk, &mut promised);
        disk.restart();
        let node = open(&disk);
        let logs = open_partitions(&node.folder, promised.len()).unwrap();
        for (log, promised) in logs.iter().zip(promised) {
            log.size().unwrap();
            let (offsets, damaged) = read_all(log, log.log_end());
            assert!(
                offsets.iter().take(promised as usize).copied().eq(0..promised),
                "step {step}: {offsets:?}"
            );
            assert!(damaged.iter().all(|range| range.start >= promised), "step {step}: {damaged:?}");
        }
        // What was found is synced, though not one by one: it survives the next cut.
        let found: Vec<_> = logs.iter().map(|log| read_all(log, log.log_end()).0).collect();
        drop((logs, node));
        disk.restart();
        let node = open(&disk);
        for (log, found) in open_partitions(&node.folder, promised.len()).unwrap().iter().zip(found) {
            log.size().unwrap();
            assert_eq!(read_all(log, log.log_end()).0, found, "step {step}: after the second cut");
        }
    }
}

#[test]
fn what_a_killed_process_left_unsynced_is_synced_before_it_counts() {
    for count in [1, 12] {
        let disk = SimDisk::new(5);
        let node = open(&disk);
        let logs = open_partitions(&node.folder, count).unwrap();
        for log in &logs {
            append_values(log, 4).unwrap();
            log.sync().unwrap();
            append_values(log, 4).unwrap();
        }
        disk.kill();
        let node = open(&disk);
        let logs = open_partitions(&node.folder, count).unwrap();
        assert!(logs.iter().all(|log| log.durable_end() == 8));
        drop((logs, node));
        disk.restart();
        let node = open(&disk);
        for log in open_partitions(&node.folder, count).unwrap() {
            assert_eq!(read_all(&log, 8).0, (0..8).collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_snapshot_of_batches_that_are_gone_is_not_believed() {
    use klog::storage::disk::{Disk, Mode};
    let stamp = |sequence| ProducerStamp { id: 3, epoch: 0, base_sequence: sequence, transactional: false };
    let disk = SimDisk::new(1);
    let node = open(&disk);
    append(&node.log, &batch(0, 3, stamp(0))).unwrap();
    node.log.sync().unwrap();
    let kept = disk.content(&log_file(0)).unwrap().len() as u64;
    append(&node.log, &batch(3, 3, stamp(3))).unwrap();
    // The snapshot is written, the checkpoint that would vouch for it is not.
    node.log.checkpoint().unwrap();
    disk.kill();
    disk.open(&log_file(0), Mode::Write).unwrap().set_len(kept).unwrap();
    let node = open(&disk);
    assert_eq!(node.log.log_end(), 3);
    assert!(!append(&node.log, &batch(3, 3, stamp(3))).unwrap().duplicate);
    assert_eq!(node.log.log_end(), 6);
}
