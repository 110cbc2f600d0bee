//! Transactions that compaction passes only in part: what it keeps of one, readers go on knowing how it ended.

use std::sync::Arc;

use klog::storage::sim::SimDisk;
use klog::storage::{CompactOptions, Compacted, Log};

use crate::markers::{end, flip, located, put, start, values};
use crate::support::*;

const DAY_MS: i64 = 86_400_000;

fn compact(log: &Log, memory: usize, now_ms: i64) -> Compacted {
    let options = CompactOptions { memory, load_percent: 90, now_ms, upto: i64::MAX };
    log.compact(&options, &mut |_| true).unwrap()
}

fn roll(log: &Log) {
    for _ in 0..2 {
        put(log, "filler", &"f".repeat(450), None);
    }
}

/// The aborted transactions that a reader of the whole log is told of, now and after a start.
fn told(disk: &Arc<SimDisk>, node: Node) -> Vec<(i64, i64)> {
    let told = |log: &Log| -> Vec<(i64, i64)> {
        let aborted = log.aborted(0, log.log_end()).unwrap();
        aborted.iter().map(|aborted| (aborted.producer_id, aborted.first_offset)).collect()
    };
    let now = told(&node.log);
    node.log.close().unwrap();
    node.folder.close_clean().unwrap();
    drop(node);
    disk.kill();
    assert_eq!(told(&start(disk).log), now, "as it was before the start");
    now
}

#[test]
fn what_was_aborted_behind_an_open_transaction_is_aborted_after_compaction_too() {
    let disk = SimDisk::new(3);
    let node = start(&disk);
    let log = &node.log;
    put(log, "k", "old", None);
    put(log, "k", "new", None);
    put(log, "a", "committed", Some((1, 0)));
    put(log, "b", "aborted", Some((2, 0)));
    end(log, 2, false);
    roll(log);
    end(log, 1, true);
    log.sync().unwrap();
    assert_eq!(compact(log, 1 << 16, NOW).removed, 1);
    // The pass ended where the first transaction begins: the second one lies behind, as it was.
    assert!(values(&disk).contains(&"aborted".to_owned()));
    assert_eq!(told(&disk, node), [(2, 3)]);
}

#[test]
fn a_transaction_that_can_not_be_read_whole_keeps_its_marker_and_holds_up_nothing() {
    let disk = SimDisk::new(4);
    let node = start(&disk);
    let log = &node.log;
    put(log, "a", "committed", Some((1, 0)));
    end(log, 1, true);
    roll(log);
    log.sync().unwrap();
    let (path, at, _, size) = located(&disk)[0].clone();
    flip(&disk, &path, at + size - 2, 1);
    for days in 1..4 {
        put(log, "k", "older", None);
        roll(log);
        log.sync().unwrap();
        compact(log, 1 << 16, NOW + days * DAY_MS * 10);
    }
    assert!(located(&disk).iter().any(|(_, _, header, _)| header.is_control() && header.producer_id == 1));
    put(log, "k", "old", None);
    put(log, "k", "new", None);
    roll(log);
    log.sync().unwrap();
    compact(log, 1 << 16, NOW + 50 * DAY_MS);
    assert!(!values(&disk).contains(&"old".to_owned()), "what came since is compacted");
}
