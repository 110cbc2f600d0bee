//! Storage through everything that can end it: power cuts at every step, flipped bits, full disks, failed syncs.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use klog::storage::sim::SimDisk;

mod aborted;
mod checked;
mod compact;
mod compact_real;
mod faults;
mod markers;
mod model;
mod power;
mod real;
mod rebuilt;
mod straddle;
mod support;
mod swept;
mod transactions;

use support::*;

#[test]
fn appends_are_read_back_across_segments_and_reopening() {
    let disk = SimDisk::new(1);
    let node = open(&disk);
    for n in 0..40 {
        let done = append_values(&node.log, 1 + n % 4).unwrap();
        assert_eq!(done.last_offset + 1, node.log.log_end());
    }
    let end = node.log.log_end();
    assert_eq!(node.log.durable_end(), 0);
    assert_eq!(node.log.sync().unwrap(), end);
    assert_eq!(read_all(&node.log, end), ((0..end).collect(), vec![]));
    let upto = read_all(&node.log, 17).0;
    assert!(upto.len() <= 17 && upto.len() > 12 && upto.iter().copied().eq(0..upto.len() as i64));
    node.log.close().unwrap();
    node.folder.close_clean().unwrap();
    drop(node);
    disk.kill();
    let node = open(&disk);
    assert!(node.folder.was_clean());
    assert_eq!(node.log.log_end(), end);
    assert_eq!(node.log.recovered(), None);
    assert_eq!(read_all(&node.log, end), ((0..end).collect(), vec![]));
    append_values(&node.log, 3).unwrap();
    assert_eq!(read_all(&node.log, end + 3).0.len() as i64, end + 3);
    assert_eq!(node.log.recovered(), None, "a clean log needs no recovery");
}
