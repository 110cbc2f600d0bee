//! A data folder with hostile files: opening, reading, appending and opening again never panic, never loop, and never lose
//! a byte of a log: what is cut off lies beside it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use klog::record::{Batch, Codec, ProducerStamp};
use klog::storage::sim::SimDisk;
use klog::storage::{Log, StorageError};

use crate::edits::{self, Drawn};
use crate::memory::memory;
use crate::rig::{self, Node};

/// More than a folder this small takes, with what reads it in steps of a MiB.
const MEMORY: usize = 64 << 20;

pub(crate) fn run(data: &[u8]) {
    let mut drawn = Drawn(data);
    let how = drawn.byte();
    let (disk, _) = edits::folder(&mut drawn);
    let (took, ()) = memory(|| lived(&disk, how));
    assert!(took <= MEMORY, "{took} bytes for a small folder");
}

fn lived(disk: &Arc<SimDisk>, how: u8) {
    let before = edits::files(disk);
    // A folder that is refused is left as it was; a log that is refused too.
    let node = match rig::open(disk) {
        Ok(node) => node,
        Err(_) => return kept(&before, &edits::files(disk)),
    };
    if loaded(&node.log).is_err() {
        return kept(&before, &edits::files(disk));
    }
    kept(&before, &edits::files(disk));
    looked_up(&node.log);
    if how & 1 != 0 {
        let end = node.log.log_end();
        let bytes = rig::batch(0, 3, Codec::None, ProducerStamp::NONE);
        let summary = klog::record::BatchSummary::trusted(&Batch::exactly(&bytes).unwrap());
        match node.log.append(&bytes, &summary, 1000, None, None) {
            Ok(_) => {
                assert_eq!(node.log.log_end(), end + 3);
                node.log.sync().expect("a disk without faults takes a sync");
                assert_eq!(readable(&node.log, end), [end, end + 1, end + 2]);
            }
            Err(error) => assert!(end > i64::MAX - 10, "a log that opened refuses a batch: {error}"),
        }
    }
    reopened(disk, node, how);
}

/// Closed or killed, a second opening finds what the first one left, and nothing more to mend.
fn reopened(disk: &Arc<SimDisk>, node: Node, how: u8) {
    let (start, end) = (node.log.log_start(), node.log.log_end());
    let all = readable(&node.log, start);
    if how & 2 != 0 {
        let logs = [Arc::clone(&node.log)];
        let failed = node.folder.close_logs(&logs).unwrap();
        assert!(failed.is_empty(), "a log that opened does not close");
        node.folder.close_clean().unwrap();
    }
    drop(node);
    disk.kill();
    let before = edits::files(disk);
    let node = rig::open(disk).expect("what opened once opens again");
    let again = loaded(&node.log).expect("what was read once is read again");
    kept(&before, &edits::files(disk));
    assert_eq!((node.log.log_start(), node.log.log_end()), (start, end));
    if let Some(recovered) = node.log.recovered() {
        assert_eq!(recovered.cut_bytes, 0, "the second opening cuts again");
    }
    assert_eq!(again, all, "the second opening sees other records");
}

/// Loads the log and gives all offsets that can be read.
fn loaded(log: &Log) -> Result<Vec<i64>, StorageError> {
    log.size()?;
    let (start, end) = (log.log_start(), log.log_end());
    assert!(0 <= start && start <= end, "a log from {start} to {end}");
    Ok(readable(log, start))
}

fn readable(log: &Log, from: i64) -> Vec<i64> {
    let (mut from, upto) = (from, log.log_end());
    let mut offsets = Vec::new();
    let mut bytes = Vec::new();
    for _ in 0..10_000 {
        if from >= upto {
            return offsets;
        }
        let plan = match log.plan(from, 1000, upto, true) {
            Err(StorageError::Damaged { range, .. }) => {
                assert!(range.end > from, "a damaged range {range:?} that ends before {from}");
                from = range.end;
                continue;
            }
            Err(error) => panic!("a log that opened can not be read at {from}: {error}"),
            Ok(plan) => plan,
        };
        if plan.len == 0 {
            return offsets;
        }
        plan.read(&mut bytes).expect("what was planned is there");
        let mut rest = bytes.as_slice();
        // What a checkpoint believes is not looked at again: rot within it is planned as it lies there.
        let Ok(Some((first, _))) = Batch::split_first(rest) else { return offsets };
        assert!(first.last_offset() >= from, "a batch before {from} was planned");
        while let Ok(Some((batch, after))) = Batch::split_first(rest) {
            let mut inflate = klog::record::Decompressor::new();
            if let Ok(records) = inflate.records(&batch, 1 << 20) {
                let records = records.map_while(Result::ok).map(|record| record.offset);
                offsets.extend(records.filter(|&offset| offset >= from));
            }
            from = from.max(batch.last_offset().saturating_add(1));
            rest = after;
            if batch.last_offset_delta() >= i32::MAX - 1 && batch.count() == 0 {
                // Readers are told of a gap in steps as wide as a batch can say; to the last offset they are too many.
                return offsets;
            }
        }
        if !rest.is_empty() {
            return offsets;
        }
    }
    panic!("reading goes on for ever at {from} of {upto}");
}

fn looked_up(log: &Log) {
    let (start, end) = (log.log_start(), log.log_end());
    for time in [i64::MIN, -1, 0, rig::NOW, rig::NOW + 20, i64::MAX] {
        if let Ok(Some(found)) = log.lookup_time(time, end) {
            assert!(found.offset >= start && found.offset < end);
        }
    }
    let _ = log.max_timestamp(end);
    for (epoch, _) in log.leader_epochs().unwrap_or_default() {
        let _ = log.epoch_end(epoch);
    }
    let _ = log.active_producers();
}

/// Every byte of every log is still there, in it or in what was cut off it.
fn kept(before: &[(PathBuf, Vec<u8>)], after: &[(PathBuf, Vec<u8>)]) {
    if before.iter().any(|(path, _)| path.ends_with("klog-swap")) {
        return;
    }
    for (path, content) in before.iter().filter(|(path, _)| edits::is_log(path)) {
        let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        let own = name(path);
        let parts: Vec<&[u8]> = after
            .iter()
            .filter(|(path, _)| name(path) == own || name(path).starts_with(&format!("{own}.cut-")))
            .map(|(_, content)| content.as_slice())
            .collect();
        let whole = parts.iter().any(|part| part.starts_with(content) || *part == content.as_slice())
            || parts.iter().any(|head| {
                content
                    .strip_prefix(*head)
                    .is_some_and(|rest| parts.iter().any(|tail| tail.starts_with(rest)))
            });
        assert!(whole, "{own} lost something");
    }
}
