//! Transactions in the log: whatever ends it, open ones are open again, the last stable offset is right, and a reader at
//! read_committed is told of every aborted transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use klog::record::{Batch, ControlMarker, ProducerStamp, end_transaction_batch};
use klog::storage::disk::{Disk, Mode};
use klog::storage::sim::SimDisk;
use klog::storage::{AbortedTxn, Log, LogSettings, StorageError};
use proptest::prelude::*;

use crate::support::*;

/// What the batches of a log say about its transactions: the model.
#[derive(Debug, Default, PartialEq, Eq)]
struct Model {
    /// First offsets by producer.
    open: BTreeMap<i64, i64>,
    /// Producer, first offset, marker.
    aborted: Vec<(i64, i64, i64)>,
}

impl Model {
    fn apply(&mut self, batch: &Batch<'_>) {
        let header = batch.header();
        if !header.is_transactional() {
            return;
        }
        if !header.is_control() {
            self.open.entry(header.producer_id).or_insert(header.base_offset);
            return;
        }
        let Some(first) = self.open.remove(&header.producer_id) else { return };
        let record = batch.records().unwrap().next().unwrap().unwrap();
        if matches!(ControlMarker::of(&record), Some(ControlMarker::Abort { .. })) {
            self.aborted.push((header.producer_id, first, header.base_offset));
        }
    }

    /// Of everything in the log from its first segment on.
    fn of(log: &Log) -> Self {
        let (mut model, mut from, mut bytes) = (Self::default(), log.log_start(), Vec::new());
        while from < log.log_end() {
            let plan = match log.plan(from, 1000, log.log_end(), true) {
                Err(StorageError::Damaged { range, .. }) => {
                    from = range.end;
                    continue;
                }
                plan => plan.unwrap(),
            };
            assert!(plan.len > 0);
            plan.read(&mut bytes).unwrap();
            let mut rest = bytes.as_slice();
            while let Some((batch, behind)) = Batch::split_first(rest).unwrap() {
                model.apply(&batch);
                from = batch.last_offset() + 1;
                rest = behind;
            }
            assert!(from <= plan.end, "the plan says that it ends at {}, and it goes to {from}", plan.end);
        }
        model
    }

    fn last_stable(&self, end: i64) -> i64 {
        self.open.values().copied().min().unwrap_or(end)
    }
}

/// Everything that the log says of its transactions, held against what is in it. All of it is visible.
fn check(log: &Log, what: &str) {
    let end = log.log_end();
    let model = Model::of(log);
    assert_eq!(log.last_stable(end), model.last_stable(end), "{what}: {model:?}");
    let open: BTreeMap<i64, i64> = log
        .active_producers()
        .unwrap()
        .iter()
        .filter(|producer| producer.transaction_from >= 0)
        .map(|producer| (producer.producer_id, producer.transaction_from))
        .collect();
    assert_eq!(open, model.open, "{what}");
    for from in (log.log_start()..end).step_by(3) {
        for upto in [from + 1, from + 7, end] {
            let told: BTreeSet<(i64, i64)> = log
                .aborted(from, upto)
                .unwrap()
                .iter()
                .map(|txn| (txn.producer_id, txn.first_offset))
                .collect();
            let concerned = |&&(_, first, last): &&(i64, i64, i64)| last >= from && first < upto;
            let due: BTreeSet<(i64, i64)> =
                model.aborted.iter().filter(concerned).map(|&(id, first, _)| (id, first)).collect();
            assert_eq!(told, due, "{what}: {from} to {upto} of {model:?}");
        }
    }
}

fn data(log: &Log, id: i64, count: i64) -> Result<i64, StorageError> {
    let stamp = ProducerStamp { id, epoch: 0, base_sequence: -1, transactional: true };
    append(log, &batch(log.log_end(), count, stamp)).map(|done| done.base_offset)
}

fn end(log: &Log, id: i64, commit: bool) -> Result<i64, StorageError> {
    let marker = match commit {
        true => ControlMarker::Commit { coordinator_epoch: 1 },
        false => ControlMarker::Abort { coordinator_epoch: 1 },
    };
    append(log, &end_transaction_batch(id, 0, marker, NOW).unwrap()).map(|done| done.base_offset)
}

/// Interleaved transactions of four producers over several segments, synced and checkpointed here and there; some stay
/// open. What is durable is written to `promised`.
fn workload(disk: &Arc<SimDisk>, promised: &mut i64) -> Result<(), StorageError> {
    let node = try_open(disk, settings())?;
    let log = &node.log;
    for n in 0..30 {
        data(log, n % 4, 1 + n % 2)?;
        if n % 5 == 4 {
            append_values(log, 1)?;
        }
        if n % 3 == 1 {
            end(log, (n / 3) % 4, n % 2 == 0)?;
        }
        if n % 4 != 2 {
            *promised = log.sync()?;
        }
        if n % 8 == 7 {
            log.checkpoint()?;
            node.folder.checkpoint()?;
        }
    }
    log.close()?;
    *promised = log.log_end();
    node.folder.close_clean()
}

#[test]
fn transactions_are_what_the_log_holds_wherever_the_power_goes() {
    let disk = SimDisk::new(0);
    workload(&disk, &mut 0).unwrap();
    disk.kill();
    let node = open(&disk);
    check(&node.log, "after a clean stop");
    assert!(!Model::of(&node.log).aborted.is_empty() && !Model::of(&node.log).open.is_empty());
    let steps = disk.steps();
    for step in 0..steps {
        for seed in 0..2 {
            let what = format!("step {step}, seed {seed}");
            let disk = SimDisk::new(seed * 1_000_003 + step);
            disk.cut_power_at(step);
            let mut promised = 0;
            let _ = workload(&disk, &mut promised);
            disk.restart();
            let node = open(&disk);
            node.log.size().unwrap();
            assert!(node.log.log_end() >= promised, "{what}");
            check(&node.log, &what);
            // Life goes on: what is open can be ended, and the next start knows it too.
            for id in Model::of(&node.log).open.into_keys() {
                end(&node.log, id, false).unwrap();
            }
            node.log.sync().unwrap();
            check(&node.log, &what);
            assert_eq!(node.log.last_stable(node.log.log_end()), node.log.log_end());
            drop(node);
            disk.restart();
            let node = open(&disk);
            node.log.size().unwrap();
            check(&node.log, &format!("{what}, the second cut"));
        }
    }
}

#[test]
fn a_marker_counts_once_it_is_visible() {
    let disk = SimDisk::new(3);
    let node = open(&disk);
    let log = &node.log;
    assert_eq!(log.last_stable(0), 0);
    data(log, 1, 2).unwrap(); // 0, 1
    append_values(log, 1).unwrap(); // 2
    log.sync().unwrap();
    assert_eq!(log.last_stable(3), 0);
    end(log, 1, false).unwrap(); // 3
    assert_eq!(log.last_stable(3), 0, "the marker is not below the high watermark");
    log.sync().unwrap();
    assert_eq!(log.last_stable(4), 4);
    assert_eq!(log.aborted(0, 4).unwrap(), [AbortedTxn { producer_id: 1, first_offset: 0 }]);
    // A marker for nothing under way changes nothing.
    end(log, 1, false).unwrap();
    log.sync().unwrap();
    assert_eq!(log.last_stable(5), 5);
    assert_eq!(log.aborted(0, 5).unwrap().len(), 1);
}

#[test]
fn a_failed_sync_takes_a_marker_back() {
    let disk = SimDisk::new(4);
    let node = open(&disk);
    let log = &node.log;
    data(log, 1, 2).unwrap();
    end(log, 1, false).unwrap();
    data(log, 2, 1).unwrap(); // 3
    log.sync().unwrap();
    end(log, 2, false).unwrap();
    data(log, 3, 1).unwrap();
    // Shown before it is durable, as on a topic that is not synced.
    assert_eq!(log.last_stable(6), 5);
    disk.fail_sync(0);
    assert!(log.sync().is_err());
    assert_eq!(log.log_end(), 4);
    assert_eq!(log.last_stable(4), 3, "the transaction is open again");
    let told: Vec<i64> = log.aborted(0, 4).unwrap().iter().map(|txn| txn.producer_id).collect();
    assert_eq!(told, [1]);
}

fn txnindex(base: i64) -> PathBuf {
    log_file(base).with_extension("txnindex")
}

/// Segments, by their files.
fn bases(disk: &SimDisk) -> Vec<i64> {
    let entries = disk.list(std::path::Path::new("/data/t-0")).unwrap();
    let names = entries.iter().filter_map(|entry| entry.name.strip_suffix(".log"));
    let mut bases: Vec<i64> = names.map(|digits| digits.parse().unwrap()).collect();
    bases.sort_unstable();
    bases
}

#[test]
fn the_files_are_kafkas_and_a_damaged_one_is_made_again() {
    let disk = SimDisk::new(5);
    workload(&disk, &mut 0).unwrap();
    disk.kill();
    let with: Vec<PathBuf> = bases(&disk).into_iter().map(txnindex).collect();
    let good: Vec<Option<Vec<u8>>> = with.iter().map(|path| disk.content(path)).collect();
    let there = |content: &&Option<Vec<u8>>| content.as_ref().is_some_and(|bytes| !bytes.is_empty());
    assert!(good.iter().filter(there).count() > 2, "several segments have one");
    assert!(good.iter().flatten().all(|bytes| bytes.len() % 34 == 0 && bytes.starts_with(&[0, 0])));
    for (path, good) in with.iter().zip(&good) {
        let Some(good) = good else { continue };
        let twice = good.repeat(2);
        for damage in [&good[..good.len() - 1], [7; 34].as_slice(), twice.as_slice()] {
            let file = disk.open(path, Mode::Create).unwrap();
            file.set_len(0).unwrap();
            file.write_vectored_at(&[std::io::IoSlice::new(damage)], 0).unwrap();
            disk.kill();
            let node = open(&disk);
            check(&node.log, "a damaged index");
            node.log.close().unwrap();
            node.folder.close_clean().unwrap();
            drop(node);
            disk.kill();
            assert_eq!(disk.content(path).as_ref(), Some(good), "{}", path.display());
        }
    }
}

#[test]
fn a_log_at_rest_with_an_open_transaction_is_looked_at() {
    let disk = SimDisk::new(6);
    let node = open(&disk);
    append_values(&node.log, 3).unwrap();
    data(&node.log, 8, 2).unwrap(); // 3, 4
    node.log.close().unwrap();
    node.folder.close_clean().unwrap();
    drop(node);
    disk.kill();
    let node = open(&disk);
    assert_eq!(node.log.last_stable(5), 3);
    end(&node.log, 8, true).unwrap();
    node.log.close().unwrap();
    node.folder.close_clean().unwrap();
    drop(node);
    disk.kill();
    let node = open(&disk);
    assert_eq!(node.log.last_stable(6), 6);
    assert_eq!(node.log.size_if_loaded(), None, "nothing has to be known of it");
}

#[test]
fn deleted_records_do_not_hide_an_open_transaction() {
    let disk = SimDisk::new(7);
    let node = open(&disk);
    let log = &node.log;
    data(log, 1, 3).unwrap();
    for _ in 0..20 {
        append_values(log, 3).unwrap();
    }
    log.sync().unwrap();
    log.advance_start(40).unwrap();
    log.remove_below_start().unwrap();
    let upto = log.log_end();
    assert_eq!(log.last_stable(upto), 40, "its first record is gone, and it is still open");
    end(log, 1, false).unwrap();
    log.sync().unwrap();
    assert_eq!(log.last_stable(upto + 1), upto + 1);
    assert_eq!(log.aborted(40, upto + 1).unwrap(), [AbortedTxn { producer_id: 1, first_offset: 0 }]);
    drop(node);
    disk.restart();
    let node = open(&disk);
    node.log.size().unwrap();
    assert_eq!(node.log.last_stable(upto + 1), upto + 1);
}

#[test]
fn a_marker_below_a_moved_start_still_ends_its_transaction() {
    for checkpointed in [true, false] {
        let disk = SimDisk::new(8);
        let node = open(&disk);
        let log = &node.log;
        data(log, 1, 2).unwrap(); // 0, 1
        if checkpointed {
            log.checkpoint().unwrap();
            node.folder.checkpoint().unwrap();
        }
        append_values(log, 1).unwrap(); // 2
        end(log, 1, false).unwrap(); // 3
        data(log, 2, 1).unwrap(); // 4
        append_values(log, 2).unwrap(); // 5, 6
        log.sync().unwrap();
        log.advance_start(5).unwrap();
        assert_eq!(log.last_stable(7), 5);
        drop(node);
        disk.kill();
        let node = open(&disk);
        node.log.size().unwrap();
        assert_eq!((node.log.log_start(), node.log.log_end()), (5, 7));
        let open: Vec<_> = node.log.active_producers().unwrap();
        let open: Vec<_> = open.iter().map(|one| (one.producer_id, one.transaction_from)).collect();
        assert_eq!(open, [(1, -1), (2, 4)], "checkpointed: {checkpointed}");
        end(&node.log, 2, true).unwrap(); // 7
        node.log.sync().unwrap();
        assert_eq!(node.log.last_stable(8), 8, "checkpointed: {checkpointed}");
    }
}

#[derive(Debug, Clone)]
enum Operation {
    Data(i64, u8),
    End(i64, bool),
    Plain(u8),
    Sync,
    Checkpoint,
    Clean,
    Kill,
    PowerCut,
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        8 => (0..3i64, 1..4u8).prop_map(|(id, count)| Operation::Data(id, count)),
        5 => (0..3i64, any::<bool>()).prop_map(|(id, commit)| Operation::End(id, commit)),
        2 => (1..4u8).prop_map(Operation::Plain),
        3 => Just(Operation::Sync),
        2 => Just(Operation::Checkpoint),
        1 => Just(Operation::Clean),
        1 => Just(Operation::Kill),
        1 => Just(Operation::PowerCut),
    ]
}

fn reopened(disk: &Arc<SimDisk>, settings: &LogSettings) -> Node {
    let node = try_open(disk, settings.clone()).unwrap();
    node.log.size().unwrap();
    node
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]
    #[test]
    fn transactions_do_what_the_model_does(seed: u64, operations in prop::collection::vec(operation(), 1..60)) {
        let disk = SimDisk::new(seed);
        let settings = settings();
        let mut node = reopened(&disk, &settings);
        for operation in &operations {
            match operation {
                Operation::Data(id, count) => {
                    data(&node.log, *id, i64::from(*count)).unwrap();
                }
                Operation::End(id, commit) => {
                    end(&node.log, *id, *commit).unwrap();
                }
                Operation::Plain(count) => {
                    append_values(&node.log, i64::from(*count)).unwrap();
                }
                Operation::Sync => {
                    node.log.sync().unwrap();
                }
                Operation::Checkpoint => {
                    node.log.checkpoint().unwrap();
                    node.folder.checkpoint().unwrap();
                }
                Operation::Clean => {
                    node.log.close().unwrap();
                    node.folder.close_clean().unwrap();
                    drop(node);
                    disk.kill();
                    node = reopened(&disk, &settings);
                }
                Operation::Kill => {
                    drop(node);
                    disk.kill();
                    node = reopened(&disk, &settings);
                }
                Operation::PowerCut => {
                    drop(node);
                    disk.restart();
                    node = reopened(&disk, &settings);
                }
            }
            check(&node.log, &format!("{operation:?}"));
        }
    }
}
