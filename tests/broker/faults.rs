//! Disks that fail in one place, folders that were cut, damaged or written by a later klog, and a clock that is set back:
//! what still serves, what is refused, and that nothing is taken away.

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use klog::broker::settings::Settings;
use klog::broker::{Broker, BrokerOptions, OpenError};
use klog::model::id::{TopicId, TopicPartition};
use klog::model::time::ManualClock;
use klog::record::{Batch, BatchBuilder, BatchSummary, ProducerStamp};
use klog::schema::metadata::{FeatureLevel, MetadataRecord};
use klog::storage::disk::{Disk, Mode};
use klog::storage::sim::SimDisk;
use klog::storage::{Folder, FolderOptions, Log, LogSettings, StorageError, checkpoint};
use klog::wire::error::ErrorCode;

use crate::rig::{NOW, Rig, batch, fetch_request, stamped};

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// Every file of a disk.
pub(crate) fn files(disk: &SimDisk) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![PathBuf::from("/data")];
    while let Some(folder) = folders.pop() {
        for entry in disk.list(&folder).unwrap() {
            let path = folder.join(&entry.name);
            if entry.is_dir {
                folders.push(path);
            } else {
                found.insert(path.clone(), disk.content(&path).unwrap());
            }
        }
    }
    found
}

/// Another disk with these files.
pub(crate) fn disk_of(files: &BTreeMap<PathBuf, Vec<u8>>) -> Arc<SimDisk> {
    let disk = SimDisk::new(7);
    for (path, content) in files {
        for folder in path.ancestors().skip(1).collect::<Vec<_>>().into_iter().rev() {
            let _ = disk.create_dir(folder);
        }
        let file = disk.open(path, Mode::Create).unwrap();
        file.write_vectored_at(&[IoSlice::new(content)], 0).unwrap();
        file.sync().unwrap();
        disk.sync_dir(path.parent().unwrap()).unwrap();
    }
    disk
}

pub(crate) fn open(disk: &Arc<SimDisk>) -> Result<Arc<Broker>, OpenError> {
    let options =
        BrokerOptions { settings: Settings::default(), seed: Some(9), ..BrokerOptions::new("/data") };
    Broker::open(options, Arc::clone(disk) as _, Arc::new(ManualClock::new(NOW)) as _)
}

#[tokio::test]
async fn a_log_whose_disk_fails_refuses_alone_and_takes_records_again_after_a_restart() {
    for of_write in [true, false] {
        let mut rig = Rig::new();
        for name in ["bad", "good"] {
            rig.create(name, 1, &[]).await;
            rig.produce(name, &["kept"]).await;
        }
        if of_write {
            rig.disk.fail_write(0);
        } else {
            rig.disk.fail_sync(0);
        }
        assert_eq!(rig.produce("bad", &["lost"]).await.error_code, ErrorCode::KAFKA_STORAGE_ERROR);
        for round in 1..4 {
            let refused = rig.produce("bad", &["more"]).await;
            assert_eq!(refused.error_code, ErrorCode::KAFKA_STORAGE_ERROR, "it latches");
            let taken = rig.produce("good", &["more"]).await;
            assert_eq!((taken.error_code, taken.base_offset), (ErrorCode::NONE, round));
        }
        assert_eq!(rig.values("bad", 0, 0).await, ["kept"], "what was durable is read");
        assert_eq!(rig.values("good", 0, 0).await.len(), 4);
        rig.kill();
        let taken = rig.produce("bad", &["again"]).await;
        assert_eq!(taken.error_code, ErrorCode::NONE);
        let values = rig.values("bad", 0, 0).await;
        assert_eq!((values.first().unwrap().as_str(), values.last().unwrap().as_str()), ("kept", "again"));
    }
}

/// What of it has rotted is no matter: its base offset, its length, its magic, its checksum or its records.
#[tokio::test]
async fn a_bad_batch_in_an_old_segment_is_told_and_all_around_it_is_served() {
    for byte in [6, 9, 16, 17, 30_000] {
        bad_batch(byte).await;
    }
}

async fn bad_batch(byte: usize) {
    let mut rig = Rig::new();
    let settings = [("segment.bytes", "1048576"), ("index.interval.bytes", "1000")];
    rig.create("t", 1, &settings).await;
    let long = "x".repeat(40_000);
    for _ in 0..60 {
        rig.produce("t", &[&long]).await;
    }
    let path = Path::new("/data/t-0/00000000000000000000.log");
    let content = rig.disk.content(path).unwrap();
    let mut positions = vec![0];
    let mut rest = content.as_slice();
    while let Ok(Some((_, after))) = Batch::split_first(rest) {
        rest = after;
        positions.push(content.len() - rest.len());
    }
    assert!((20..40).contains(&positions.len()), "an old segment of {} batches", positions.len());
    rig.restart().await;
    rig.disk.flip_bit(path, positions[9] + byte, 0);
    for restarted in [false, true] {
        for offset in 0..60 {
            let told = rig.call(&fetch_request("t", 0, offset), 12).await;
            let told = &told.responses[0].partitions[0];
            let expected = if offset == 9 { ErrorCode::CORRUPT_MESSAGE } else { ErrorCode::NONE };
            assert_eq!(told.error_code, expected, "byte {byte}, offset {offset}, restarted {restarted}");
        }
        assert_eq!(rig.produce("t", &["more"]).await.error_code, ErrorCode::NONE);
        rig.kill();
    }
    assert_eq!(rig.disk.content(path).unwrap().len(), content.len(), "recovery threw nothing away");
}

/// A world of some topics and settings; what its metadata log may be cut to.
pub(crate) async fn some_world(clean: bool) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut rig = Rig::new();
    for name in ["a", "b", "c"] {
        rig.create(name, 2, &[("retention.ms", "86400000")]).await;
        rig.produce(name, &["kept"]).await;
    }
    if clean {
        rig.broker.close().await.unwrap();
        rig.disk.kill();
    } else {
        rig.kill();
    }
    files(&rig.disk)
}

pub(crate) fn metadata_log(files: &BTreeMap<PathBuf, Vec<u8>>) -> PathBuf {
    let mut logs = files.keys().filter(|path| {
        path.to_string_lossy().contains("__cluster_metadata-0")
            && path.extension().is_some_and(|it| it == "log")
    });
    logs.next().unwrap().clone()
}

/// Opens a damaged world: it is as it was at some moment, or the start is refused; no record of any topic is gone.
async fn look_at(
    damaged: &BTreeMap<PathBuf, Vec<u8>>,
    all: &BTreeMap<PathBuf, Vec<u8>>,
    what: &str,
) -> usize {
    let disk = disk_of(damaged);
    let topics = match open(&disk) {
        Err(
            OpenError::Catalog { .. }
            | OpenError::Damaged { .. }
            | OpenError::Broker(_)
            | OpenError::Storage(_),
        ) => 0,
        Err(other) => panic!("{what}: {other}"),
        Ok(broker) => {
            let names: Vec<_> = broker.topics().iter().map(|topic| topic.name().to_string()).collect();
            let names: Vec<_> = names.into_iter().filter(|name| !name.starts_with("__")).collect();
            let before = ["a", "b", "c"];
            assert_eq!(names, before[..names.len()], "{what}: as it was at some moment");
            for name in &names {
                let partition = broker.partition(name, 0).unwrap();
                assert_eq!(partition.log_end(), 1, "{what}: {name} has its record");
            }
            broker.close().await.unwrap();
            names.len()
        }
    };
    let left: Vec<_> = files(&disk).into_values().collect();
    for name in ["a", "b", "c"] {
        let record = &all[Path::new(&format!("/data/{name}-0/00000000000000000000.log"))];
        assert!(left.contains(record), "{what}: the record of {name} is on the disk");
    }
    topics
}

#[tokio::test]
async fn a_metadata_log_cut_anywhere_is_a_moment_before_and_takes_no_record_away() {
    for clean in [true, false] {
        let all = some_world(clean).await;
        let log = metadata_log(&all);
        let len = all[&log].len();
        let mut seen = std::collections::BTreeSet::new();
        for cut in (0..len).step_by(11).chain([len]) {
            let mut damaged = all.clone();
            damaged.get_mut(&log).unwrap().truncate(cut);
            let what = format!("clean {clean}, cut at {cut} of {len}");
            seen.insert(look_at(&damaged, &all, &what).await);
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3], "every moment was seen");
    }
}

#[tokio::test]
async fn a_flipped_bit_in_the_metadata_log_is_met_with_a_refusal_or_a_moment_before() {
    for clean in [true, false] {
        let all = some_world(clean).await;
        let log = metadata_log(&all);
        for at in (0..all[&log].len()).step_by(13) {
            let mut damaged = all.clone();
            damaged.get_mut(&log).unwrap()[at] ^= 1 << (at % 8);
            look_at(&damaged, &all, &format!("clean {clean}, a flip at {at}")).await;
        }
    }
}

fn replace_text(files: &mut BTreeMap<PathBuf, Vec<u8>>, path: &str, from: &str, to: &str) {
    let content = files.get_mut(Path::new(path)).unwrap();
    let text = String::from_utf8(content.clone()).unwrap();
    assert!(text.contains(from));
    *content = text.replace(from, to).into_bytes();
}

/// The same payload under a later version.
fn later(disk: &SimDisk, path: &str, kind: [u8; 4]) {
    let path = Path::new(path);
    let (version, payload) = checkpoint::read(disk, path, kind).unwrap().unwrap();
    checkpoint::replace(disk, path, kind, version + 1, &payload).unwrap();
}

#[tokio::test]
async fn a_folder_of_a_later_klog_is_refused_untouched() {
    let all = some_world(true).await;
    for what in ["meta.properties", "klog-mark", "klog-checkpoint"] {
        let mut of_later = all.clone();
        if what == "meta.properties" {
            replace_text(&mut of_later, "/data/meta.properties", "version=1", "version=2");
        }
        let disk = disk_of(&of_later);
        match what {
            "klog-mark" => later(&disk, "/data/klog-mark", *b"mark"),
            "klog-checkpoint" => later(&disk, "/data/klog-checkpoint", *b"logs"),
            _ => {}
        }
        let before = files(&disk);
        match open(&disk) {
            Err(OpenError::Storage(StorageError::BadFile { path, .. })) => {
                assert!(path.ends_with(what), "{what}: {}", path.display());
            }
            Err(other) => panic!("{what}: {other}"),
            Ok(_) => panic!("{what}: opened"),
        }
        assert_eq!(files(&disk), before, "{what}: untouched");
    }
}

#[tokio::test]
async fn a_feature_at_a_level_that_is_not_known_is_refused() {
    for (name, level) in [("metadata.version", 31), ("transaction.version", 3), ("share.version", 1)] {
        let mut all = some_world(true).await;
        all.remove(Path::new("/data/.lock"));
        let disk = disk_of(&all);
        {
            let options = FolderOptions {
                node_id: 1,
                new_cluster_id: TopicId([1; 16]),
                new_directory_id: TopicId([2; 16]),
                max_open_files: 64,
            };
            let clock = Arc::new(ManualClock::new(NOW));
            let folder = Folder::open(Arc::clone(&disk) as _, Path::new("/data"), clock, options).unwrap();
            let at = TopicPartition::new("__cluster_metadata", 0);
            let mut id = [0; 16];
            id[15] = 1;
            let log = Log::open(&folder, at, TopicId(id), LogSettings::default()).unwrap();
            let record =
                MetadataRecord::FeatureLevel(FeatureLevel { name: name.to_owned(), feature_level: level });
            let mut builder = BatchBuilder::new();
            builder.push(NOW, None, Some(&record.encode().unwrap()), &[]);
            let bytes = builder.finish_plain(ProducerStamp::NONE).unwrap();
            let summary = BatchSummary::trusted(&Batch::exactly(&bytes).unwrap());
            log.append(&bytes, &summary, 0, None, None).unwrap();
            log.sync().unwrap();
        }
        disk.kill();
        let metadata = metadata_log(&files(&disk));
        let before = disk.content(&metadata).unwrap();
        match open(&disk) {
            Err(OpenError::Future { feature, level: found, known }) => {
                assert_eq!((feature.as_str(), found), (name, level));
                assert!(known < level);
            }
            Err(other) => panic!("{name}: {other}"),
            Ok(_) => panic!("{name}: opened"),
        }
        assert_eq!(disk.content(&metadata).unwrap(), before, "nothing was written after it");
    }
}

#[tokio::test]
async fn a_clock_set_back_by_a_day_removes_nothing_and_knows_producers_still() {
    let mut rig = Rig::new();
    let settings = [
        ("segment.bytes", "1048576"),
        ("retention.ms", "3600000"),
        ("file.delete.delay.ms", "60000"),
        // By default what is more than an hour ahead of the broker's clock is refused.
        ("message.timestamp.after.max.ms", "9223372036854775807"),
    ];
    rig.create("t", 1, &settings).await;
    let stamp = ProducerStamp { id: 5, epoch: 0, base_sequence: 0, transactional: false };
    let sent = stamped(&["first"], stamp);
    assert_eq!(rig.send("t", 0, -1, sent.clone()).await.error_code, ErrorCode::NONE);
    let long = "x".repeat(600_000);
    for _ in 0..4 {
        rig.produce("t", &[&long]).await;
    }
    for restarted in [false, true] {
        rig.clock.set_wall_ms(NOW - DAY_MS);
        rig.broker.retain();
        rig.broker.checkpoint();
        assert_eq!(rig.broker.partition("t", 0).unwrap().log_start(), 0, "restarted {restarted}");
        let again = rig.send("t", 0, -1, sent.clone()).await;
        assert_eq!((again.error_code, again.base_offset), (ErrorCode::NONE, 0), "it is known again");
        let next = rig.produce("t", &["of yesterday"]).await;
        assert_eq!(next.error_code, ErrorCode::NONE);
        assert!(rig.values("t", 0, 0).await.contains(&"first".to_owned()));
        rig.restart().await;
    }
    // The time has come; then the clock is set back, and what was removed still goes when its delay is over.
    rig.clock.set_wall_ms(NOW + DAY_MS);
    rig.broker.retain();
    let doomed = |rig: &Rig| {
        let names = files(&rig.disk);
        names.keys().filter(|path| path.to_string_lossy().ends_with(".deleted")).count()
    };
    assert!(doomed(&rig) > 0, "files wait for their delay");
    rig.clock.set_wall_ms(NOW);
    rig.broker.retain();
    assert!(doomed(&rig) > 0);
    rig.clock.advance(Duration::from_secs(61));
    rig.broker.retain();
    assert_eq!(doomed(&rig), 0, "a day more is not waited for");
    assert_eq!(rig.send("t", 0, -1, batch(&["on"])).await.error_code, ErrorCode::NONE);
}
