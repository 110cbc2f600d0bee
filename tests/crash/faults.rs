//! Disks that are full or broken, producers that send again, folders that are somebody else's.

use std::path::Path;
use std::sync::Arc;

use klog::model::id::{TopicId, TopicPartition};
use klog::model::time::ManualClock;
use klog::record::{BatchBuilder, ProducerStamp};
use klog::storage::disk::{Disk, Mode};
use klog::storage::sim::SimDisk;
use klog::storage::{Folder, Log, LogSettings, StorageError};

use crate::support::*;

#[test]
fn a_full_disk_keeps_whole_batches_and_comes_back_by_itself() {
    let disk = SimDisk::new(3);
    let node = open(&disk);
    append_values(&node.log, 5).unwrap();
    node.log.sync().unwrap();
    disk.set_capacity(Some(disk.used() + 60));
    for _ in 0..3 {
        assert!(matches!(append_values(&node.log, 3), Err(StorageError::Full { .. })));
    }
    assert_eq!(node.log.log_end(), 5);
    assert_eq!(read_all(&node.log, 5).0.len(), 5);
    disk.set_capacity(None);
    append_values(&node.log, 3).unwrap();
    disk.kill();
    let node = open(&disk);
    assert_eq!(read_all(&node.log, 8), ((0..8).collect(), vec![]));
    assert_eq!(node.log.recovered().unwrap().cut_bytes, 0);
}

#[test]
fn a_full_disk_at_any_moment_of_rolling_loses_nothing() {
    for room in 0..40u64 {
        let disk = SimDisk::new(room);
        let node = open(&disk);
        disk.set_capacity(Some(disk.used() + room * 40));
        let mut accepted = 0;
        for _ in 0..40 {
            match append_values(&node.log, 2) {
                Ok(done) => accepted = done.last_offset + 1,
                Err(StorageError::Full { .. }) => {}
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(node.log.log_end(), accepted);
        disk.set_capacity(None);
        append_values(&node.log, 2).unwrap();
        node.log.sync().unwrap();
        assert_eq!(read_all(&node.log, accepted + 2).0.len() as i64, accepted + 2);
        disk.kill();
        assert_eq!(read_all(&open(&disk).log, accepted + 2).0.len() as i64, accepted + 2);
    }
}

#[test]
fn a_failed_sync_latches_and_cuts_to_what_is_durable() {
    let disk = SimDisk::new(3);
    let node = open(&disk);
    append_values(&node.log, 4).unwrap();
    node.log.sync().unwrap();
    append_values(&node.log, 4).unwrap();
    disk.fail_sync(0);
    assert!(matches!(node.log.sync(), Err(StorageError::Failed { .. })));
    assert_eq!((node.log.log_end(), node.log.durable_end()), (4, 4));
    assert!(matches!(append_values(&node.log, 1), Err(StorageError::Failed { .. })));
    assert!(node.log.sync().is_err(), "a failed sync is not retried");
    assert_eq!(read_all(&node.log, 4).0.len(), 4);
    drop(node);
    disk.restart();
    let node = open(&disk);
    assert!(node.log.log_end() >= 4);
    let end = node.log.log_end();
    append_values(&node.log, 1).unwrap();
    assert_eq!(node.log.sync().unwrap(), end + 1);
}

#[test]
fn a_failed_sync_after_rolls_cuts_across_segments() {
    let disk = SimDisk::new(3);
    let unsynced = LogSettings { flush_messages: i64::MAX, ..settings() };
    let node = try_open(&disk, unsynced).unwrap();
    append_values(&node.log, 4).unwrap();
    node.log.sync().unwrap();
    for _ in 0..20 {
        append_values(&node.log, 4).unwrap();
    }
    disk.fail_sync(1);
    assert!(node.log.sync().is_err());
    assert_eq!(node.log.log_end(), 4);
    assert_eq!(read_all(&node.log, 4).0.len(), 4);
    disk.kill();
    let node = open(&disk);
    assert_eq!(node.log.log_end(), 4);
    append_values(&node.log, 2).unwrap();
    assert_eq!(read_all(&node.log, 6), ((0..6).collect(), vec![]));
}

#[test]
fn a_failed_write_latches() {
    let disk = SimDisk::new(3);
    let node = open(&disk);
    append_values(&node.log, 4).unwrap();
    node.log.sync().unwrap();
    disk.fail_write(0);
    assert!(matches!(append_values(&node.log, 1), Err(StorageError::Failed { .. })));
    assert!(append_values(&node.log, 1).is_err());
    assert_eq!(read_all(&node.log, 4).0.len(), 4);
}

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

fn stamp(sequence: i32) -> ProducerStamp {
    ProducerStamp { id: 5, epoch: 1, base_sequence: sequence, transactional: false }
}

/// As [`batch`], with records that are `age_ms` old.
fn aged(first: i64, count: i64, stamp: ProducerStamp, age_ms: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    for n in 0..count {
        builder.push(NOW - age_ms + first + n, None, Some(value(first + n).as_bytes()), &[]);
    }
    builder.finish_plain(stamp).unwrap()
}

#[test]
fn a_batch_sent_again_is_known_after_any_end() {
    // Whatever its records are stamped: they may be copied from an old topic, or come from a clock that is wrong.
    for (age_ms, end) in [0, 3_650 * DAY_MS, -3_650 * DAY_MS].into_iter().flat_map(|age_ms| {
        ["kept open", "clean", "checkpoint and kill", "kill", "power cut"].map(|end| (age_ms, end))
    }) {
        known_after(age_ms, end);
    }
}

fn known_after(age_ms: i64, end: &str) {
    let disk = SimDisk::new(11);
    let mut node = open(&disk);
    let batch = |first, count, stamp| aged(first, count, stamp, age_ms);
    for n in 0..12 {
        let done = append(&node.log, &batch(n * 3, 3, stamp(n as i32 * 3))).unwrap();
        assert!(!done.duplicate);
        if n == 7 && end == "checkpoint and kill" {
            node.log.checkpoint().unwrap();
            node.folder.checkpoint().unwrap();
        }
    }
    node.log.sync().unwrap();
    match end {
        "clean" => {
            node.log.close().unwrap();
            node.folder.close_clean().unwrap();
            disk.kill();
            node = open(&disk);
        }
        "power cut" => {
            disk.restart();
            node = open(&disk);
        }
        "kept open" => {}
        _ => {
            disk.kill();
            node = open(&disk);
        }
    }
    let again = append(&node.log, &batch(33, 3, stamp(33))).unwrap();
    assert!(again.duplicate, "{end}, {age_ms} ms old");
    assert_eq!((again.base_offset, again.last_offset), (33, 35), "{end}");
    assert!(matches!(
        append(&node.log, &batch(36, 1, stamp(40))),
        Err(StorageError::OutOfOrderSequence { expected: 36, found: 40, .. })
    ));
    let old = ProducerStamp { epoch: 0, ..stamp(36) };
    assert!(matches!(
        append(&node.log, &batch(36, 1, old)),
        Err(StorageError::ProducerFenced { current: 1, .. })
    ));
    append(&node.log, &batch(36, 1, stamp(36))).unwrap();
    assert_eq!(node.log.log_end(), 37, "{end}");
}

#[test]
fn a_batch_sent_again_is_known_though_its_records_are_deleted() {
    // Not in the checkpoint, in one that knows of no producers, in one that has an earlier batch of it.
    for (checkpointed, earlier) in [(false, false), (true, false), (true, true)] {
        let disk = SimDisk::new(12);
        let node = open(&disk);
        append_values(&node.log, 1).unwrap(); // 0
        if earlier {
            append(&node.log, &batch(1, 2, stamp(0))).unwrap(); // 1, 2
        }
        if checkpointed {
            node.log.checkpoint().unwrap();
            node.folder.checkpoint().unwrap();
        }
        let first = node.log.log_end();
        let again = batch(first, 2, stamp(if earlier { 2 } else { 0 }));
        append(&node.log, &again).unwrap();
        append_values(&node.log, 2).unwrap();
        node.log.sync().unwrap();
        node.log.advance_start(first + 2).unwrap();
        drop(node);
        disk.kill();
        let node = open(&disk);
        let done = append(&node.log, &again).unwrap();
        let what = format!("checkpointed: {checkpointed}, earlier: {earlier}");
        assert!(done.duplicate && done.base_offset == first, "{what}: {done:?}");
    }
}

#[test]
fn a_folder_that_can_not_be_opened_for_a_sync_is_synced_by_the_next() {
    let disk = SimDisk::new(13);
    let node = open(&disk);
    append_values(&node.log, 4).unwrap();
    disk.lack_files(1);
    assert_eq!(node.log.sync().unwrap(), 4, "files of other segments are closed for it");
    for _ in 0..20 {
        append_values(&node.log, 4).unwrap();
    }
    let end = node.log.log_end();
    disk.lack_files(2);
    assert!(matches!(node.log.sync(), Err(StorageError::Io { .. })));
    assert_eq!((node.log.log_end(), node.log.durable_end()), (end, 4), "nothing is cut, nothing counts");
    append_values(&node.log, 1).unwrap();
    assert_eq!(node.log.sync().unwrap(), end + 1);
    drop(node);
    disk.restart();
    assert_eq!(read_all(&open(&disk).log, end + 1), ((0..=end).collect(), vec![]));
}

#[test]
fn a_deleted_topic_leaves_its_name_and_a_foreign_folder_is_left_alone() {
    let disk = SimDisk::new(1);
    let node = open(&disk);
    append_values(&node.log, 3).unwrap();
    let plan = node.log.plan(0, 1000, 3, true).unwrap();
    node.log.delete().unwrap();
    node.folder.sync().unwrap();
    assert!(matches!(append_values(&node.log, 1), Err(StorageError::Closed { .. })));
    let mut bytes = Vec::new();
    plan.read(&mut bytes).unwrap();
    assert_eq!(bytes.len(), plan.len, "a plan outlives the log");
    assert_eq!(node.folder.partitions().unwrap(), []);
    node.folder.sweep().unwrap();
    assert!(disk.list(Path::new("/data")).unwrap().iter().all(|entry| !entry.is_dir));

    disk.create_dir(Path::new("/other")).unwrap();
    disk.open(Path::new("/other/meta.properties"), Mode::Create).unwrap();
    let clock = Arc::new(ManualClock::new(NOW));
    let sim: Arc<dyn Disk> = Arc::clone(&disk) as Arc<dyn Disk>;
    let refused = Folder::open(Arc::clone(&sim), Path::new("/other"), clock.clone(), options());
    assert!(matches!(refused, Err(StorageError::Foreign { found, .. }) if found == "meta.properties"));
    assert_eq!(disk.list(Path::new("/other")).unwrap().len(), 1, "it was not touched");
    let second = Folder::open(sim, Path::new("/data"), clock, options());
    assert!(matches!(second, Err(StorageError::Locked { .. })));
}

#[test]
fn what_is_left_of_a_deleted_log_never_touches_a_new_one_of_its_name() {
    let disk = SimDisk::new(1);
    let node = open(&disk);
    for _ in 0..20 {
        append_values(&node.log, 2).unwrap();
    }
    node.log.delete().unwrap();
    let new = Log::open(&node.folder, TopicPartition::new("t", 0), TopicId([8; 16]), settings()).unwrap();
    node.folder.sync().unwrap();
    for _ in 0..15 {
        append_values(&new, 2).unwrap();
    }
    new.sync().unwrap();
    // The flusher, the housekeeping and a reader come late.
    assert!(node.log.sync().is_err());
    assert!(node.log.checkpoint().is_err());
    assert!(node.log.retain(NOW, 40).is_err());
    assert!(node.log.plan(0, 1000, 40, true).is_err());
    assert_eq!(read_all(&new, 30), ((0..30).collect(), vec![]));
    disk.kill();
    let clock = Arc::new(ManualClock::new(NOW));
    let folder =
        Folder::open(Arc::clone(&disk) as Arc<dyn Disk>, Path::new("/data"), clock, options()).unwrap();
    let new = Log::open(&folder, TopicPartition::new("t", 0), TopicId([8; 16]), settings()).unwrap();
    assert_eq!(read_all(&new, 30), ((0..30).collect(), vec![]));
}

#[test]
fn a_folder_of_a_topic_that_is_gone_is_set_aside() {
    let disk = SimDisk::new(1);
    let node = open(&disk);
    append_values(&node.log, 3).unwrap();
    disk.kill();
    let clock = Arc::new(ManualClock::new(NOW));
    let folder =
        Folder::open(Arc::clone(&disk) as Arc<dyn Disk>, Path::new("/data"), clock, options()).unwrap();
    let log = Log::open(&folder, TopicPartition::new("t", 0), TopicId([8; 16]), settings()).unwrap();
    assert_eq!(log.log_end(), 0);
    let strays = folder.strays(&|_| true).unwrap();
    assert_eq!(strays, [Path::new("/data").join(format!("t-0.{}-stray", TopicId([7; 16])))]);
}

#[test]
fn retention_goes_by_time_and_size_and_stays_below_the_watermark() {
    let disk = SimDisk::new(1);
    let node = try_open(&disk, LogSettings { retention_ms: 1000, ..settings() }).unwrap();
    for _ in 0..20 {
        append_values(&node.log, 4).unwrap();
    }
    let end = node.log.log_end();
    assert_eq!(node.log.retain(NOW + 500, end).unwrap().segments, 0);
    let some = node.log.retain(NOW + 1020, end).unwrap();
    assert!(some.segments > 0 && node.log.log_start() > 0 && node.log.log_start() <= 20, "{some:?}");
    assert_eq!(node.log.retain(NOW + 100_000, node.log.log_start()).unwrap().segments, 0, "nothing is below");
    let start = node.log.log_start();
    assert!(matches!(node.log.plan(start - 1, 100, end, true), Err(StorageError::OffsetOutOfRange { .. })));
    // Everything is past its time: the active segment is rolled and goes too.
    node.log.retain(NOW + 100_000, end).unwrap();
    assert_eq!((node.log.log_start(), node.log.log_end()), (end, end));
    assert_eq!(append_values(&node.log, 1).unwrap().base_offset, end);
    disk.kill();
    assert_eq!(open(&disk).log.log_end(), end + 1);

    let node = try_open(&SimDisk::new(2), LogSettings { retention_bytes: 1500, ..settings() }).unwrap();
    for _ in 0..40 {
        append_values(&node.log, 4).unwrap();
    }
    node.log.retain(NOW, node.log.log_end()).unwrap();
    let size = node.log.size().unwrap();
    assert!((1500..2200).contains(&size), "{size}");
}

#[test]
fn segments_without_timestamps_go_with_the_next_that_has_one() {
    let node = try_open(&SimDisk::new(1), LogSettings { retention_ms: 1000, ..settings() }).unwrap();
    for _ in 0..20 {
        let mut builder = BatchBuilder::new();
        builder.push(-1, None, Some(&[b'x'; 80]), &[]);
        append(&node.log, &builder.finish_plain(ProducerStamp::NONE).unwrap()).unwrap();
    }
    let bare = node.log.log_end();
    assert_eq!(node.log.retain(NOW + 100_000, bare).unwrap().segments, 0, "nothing says how old they are");
    for _ in 0..20 {
        append_values(&node.log, 4).unwrap();
    }
    let end = node.log.log_end();
    assert_eq!(node.log.retain(NOW + 500, end).unwrap().segments, 0);
    let some = node.log.retain(NOW + 1000 + bare + 20, end).unwrap();
    assert!(some.segments >= 4 && (bare..end).contains(&node.log.log_start()), "{some:?}");
    node.log.retain(NOW + 100_000, end).unwrap();
    assert_eq!(node.log.log_start(), end);
}

#[test]
fn a_segment_of_nothing_but_damage_does_not_stay_for_ever() {
    let disk = SimDisk::new(1);
    let node = open(&disk);
    for _ in 0..20 {
        append_values(&node.log, 4).unwrap();
    }
    node.log.sync().unwrap();
    let end = node.log.log_end();
    drop(node);
    disk.kill();
    let file = disk.open(&log_file(0), Mode::Write).unwrap();
    let zeros = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    file.write_vectored_at(&[std::io::IoSlice::new(&zeros)], 0).unwrap();
    let node = try_open(&disk, LogSettings { retention_ms: 1000, ..settings() }).unwrap();
    assert_eq!((node.log.damaged_ranges(), node.log.log_start(), node.log.log_end()), (1, 0, end));
    assert_eq!(node.log.retain(NOW + 500, end).unwrap().segments, 0);
    node.log.retain(NOW + 100_000, end).unwrap();
    assert_eq!(node.log.log_start(), end);
}

#[test]
fn time_is_looked_up_to_the_record() {
    let disk = SimDisk::new(1);
    let node = open(&disk);
    for _ in 0..30 {
        append_values(&node.log, 4).unwrap();
    }
    for offset in 0..120 {
        let found = node.log.lookup_time(NOW + offset, 120).unwrap().unwrap();
        assert_eq!((found.offset, found.timestamp), (offset, NOW + offset));
    }
    assert_eq!(node.log.lookup_time(0, 120).unwrap().unwrap().offset, 0);
    assert_eq!(node.log.lookup_time(NOW + 120, 120).unwrap(), None);
    assert_eq!(node.log.lookup_time(NOW + 90, 90).unwrap(), None, "not beyond what may be seen");
    assert_eq!(node.log.max_timestamp(120).unwrap().unwrap().offset, 119);
    node.log.advance_start(50).unwrap();
    assert_eq!(node.log.lookup_time(0, 120).unwrap().unwrap().offset, 50);
}

#[test]
fn files_stay_within_their_bound() {
    let disk = SimDisk::new(1);
    let node = open(&disk);
    let logs: Vec<_> = (1..200)
        .map(|n| Log::open(&node.folder, TopicPartition::new("t", n), TopicId([9; 16]), settings()).unwrap())
        .collect();
    for log in &logs {
        append_values(log, 2).unwrap();
        log.sync().unwrap();
    }
    for log in &logs {
        assert_eq!(read_all(log, 2).0, [0, 1]);
        append_values(log, 1).unwrap();
        log.sync().unwrap();
        assert_eq!(read_all(log, 3).0, [0, 1, 2]);
    }
}
