//! The same on the machine's own disk: mapped indexes, the lock, descriptors that are closed and opened again.

use std::path::Path;
use std::sync::Arc;

use klog::model::id::{TopicId, TopicPartition};
use klog::model::time::ManualClock;
use klog::record::ProducerStamp;
use klog::storage::{Folder, FolderOptions, Log, LogSettings, RealDisk, StorageError};

use crate::support::*;

fn open_real(path: &Path, max_open_files: usize) -> Result<Arc<Folder>, StorageError> {
    let clock = Arc::new(ManualClock::new(NOW));
    Folder::open(Arc::new(RealDisk), path, clock, FolderOptions { max_open_files, ..options() })
}

fn open_logs(folder: &Arc<Folder>, count: i32) -> Vec<Arc<Log>> {
    let settings = LogSettings { segment_bytes: 20_000, index_interval_bytes: 500, ..settings() };
    let open =
        |n| Log::open(folder, TopicPartition::new("t", n), TopicId([7; 16]), settings.clone()).unwrap();
    (0..count).map(open).collect()
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn the_real_disk_does_what_the_simulated_one_does() {
    // With KLOG_TEST_KEEP=FOLDER what was written stays there, for Kafka's own tools to read.
    let kept = std::env::var_os("KLOG_TEST_KEEP").map(std::path::PathBuf::from);
    let temporary = tempfile::tempdir().unwrap();
    let path = kept.unwrap_or_else(|| temporary.path().join("data"));
    let before = descriptors();
    let folder = open_real(&path, 16).unwrap();
    assert!(matches!(open_real(&path, 16), Err(StorageError::Locked { .. })));
    let logs = open_logs(&folder, 12);
    folder.sync().unwrap();
    let mut sequence = 0;
    for n in 0..300 {
        let stamp = ProducerStamp { id: 9, epoch: 0, base_sequence: sequence, transactional: false };
        for log in &logs {
            append(log, &batch(log.log_end(), 1 + n % 5, stamp)).unwrap();
            if n % 20 == 0 {
                log.sync().unwrap();
            }
        }
        sequence += 1 + (n % 5) as i32;
    }
    let end = logs[0].log_end();
    for log in &logs {
        assert_eq!(read_all(log, end), ((0..end).collect(), vec![]));
        for offset in (0..end).step_by(37) {
            assert_eq!(log.lookup_time(NOW + offset, end).unwrap().unwrap().offset, offset);
        }
    }
    assert!(descriptors() < before + 16 + 12 + 16, "{} descriptors", descriptors() - before);
    logs[0].retain(NOW + 10_000, end).unwrap();
    for log in &logs {
        log.close().unwrap();
    }
    folder.close_clean().unwrap();
    drop((logs, folder));

    let folder = open_real(&path, 16).unwrap();
    assert!(folder.was_clean() && folder.dirty_at_open().is_empty());
    assert_eq!(folder.partitions().unwrap().len(), 12);
    let logs = open_logs(&folder, 12);
    for log in &logs {
        assert_eq!(read_all(log, end).0, (0..end).collect::<Vec<_>>());
        append_values(log, 1).unwrap();
        log.sync().unwrap();
    }
    // No close: as after kill -9.
    drop((logs, folder));
    let folder = open_real(&path, 16).unwrap();
    assert!(!folder.was_clean());
    assert_eq!(folder.dirty_at_open().len(), 12);
    for log in open_logs(&folder, 12) {
        assert!(log.recovered().unwrap().scanned_bytes < 2_000);
        assert_eq!(read_all(&log, end + 1).0, (0..=end).collect::<Vec<_>>());
    }
}

#[test]
fn a_preallocated_segment_has_its_space_and_gives_it_back() {
    use std::os::unix::fs::MetadataExt;
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("data");
    let folder = open_real(&path, 16).unwrap();
    let preallocated = LogSettings { segment_bytes: 4 << 20, preallocate: true, ..settings() };
    let log = Log::open(&folder, TopicPartition::new("t", 0), TopicId([7; 16]), preallocated).unwrap();
    append_values(&log, 3).unwrap();
    let file = path.join("t-0").join(format!("{:020}.log", 0));
    let space = || std::fs::metadata(&file).map(|file| (file.len(), file.blocks() * 512)).unwrap();
    let (len, reserved) = space();
    assert!(len < 1000 && reserved >= 4 << 20, "{len} bytes, {reserved} reserved");
    assert_eq!(read_all(&log, 3).0, [0, 1, 2]);
    log.close().unwrap();
    assert!(space().1 < 1 << 20, "{:?}", space());
}
