//! The inspector on hostile files: it scans, verifies, counts, seeks, decodes and plans repairs without a panic or an end-
//! less loop, and without a write; and a repair leaves nothing more to repair.

use std::path::Path;

use klog::inspect::read::{self, Bound, Event, Next, Select};
use klog::inspect::{Decompressor, Meter, Partition, Scan, decode, facts, folder, mend, seek, stat, verify};
use klog::storage::repair::{self, Plan};
use klog::storage::sim::SimDisk;

use crate::edits::{self, Drawn};
use crate::rig;

pub(crate) fn run(data: &[u8]) {
    let mut drawn = Drawn(data);
    let how = drawn.byte();
    let (disk, changed) = edits::folder(&mut drawn);
    let steps = disk.steps();
    for path in &changed {
        decoded(&disk, path);
    }
    let Ok(mut partitions) = folder::open(disk.as_ref(), Path::new(rig::DIR)) else { return };
    let partition = partitions.remove(0);
    looked_at(&disk, &partition);
    assert_eq!(disk.steps(), steps, "looking changed something");
    if how & 1 != 0 {
        mended(&disk, partition);
    }
}

fn decoded(disk: &SimDisk, path: &Path) {
    let Some(kind) = decode::Kind::of(path) else { return };
    let mut rows = 0usize;
    let mut sink = |row: decode::Row| {
        assert!(row.len() <= kind.columns().len() || kind.columns().is_empty());
        rows += 1;
        rows < 20_000
    };
    let _ = decode::decode(disk, path, kind, &mut sink);
    assert!(rows <= 20_000);
}

/// All that only looks.
fn looked_at(disk: &SimDisk, partition: &Partition) {
    let meter = Meter::default();
    let report = verify::partition(disk, partition, 1, &meter, || {}).expect("a disk without faults is read");
    for finding in &report.findings {
        assert!(!finding.problem.word().is_empty() && !format!("{finding:?}").is_empty());
    }
    let counted = stat::partition(disk, partition, 1, &meter, || {}).expect("a disk without faults is read");
    assert_eq!(counted.batches, report.batches, "verify and stat count other batches");
    for (at, segment) in partition.segments.iter().enumerate() {
        facts::of(disk, partition, at).expect("a disk without faults is read");
        seek::last_time(disk, segment).expect("a disk without faults is read");
        for (from, to) in [
            (Bound::Offset(0), Bound::Offset(i64::MAX)),
            (Bound::Time(rig::NOW + 5), Bound::Time(rig::NOW + 30)),
            (Bound::Offset(9), Bound::Offset(12)),
        ] {
            let mut select = Select { from, to, control: true };
            let mut scan = Scan::new(segment.open(disk).unwrap(), &segment.path, segment.limits());
            let mut on = |event: Event<'_>| {
                if let Event::Record(_, record) = event {
                    assert!(!matches!(from, Bound::Offset(from) if record.offset < from));
                }
                Next::On
            };
            read::segment(&mut scan, &mut select, true, &mut Decompressor::new(), &mut on).unwrap();
        }
    }
    for offset in [0, 1, 7, 30, 60, i64::MAX] {
        if let Some(place) = seek::offset(disk, partition, offset).expect("a disk without faults is read") {
            assert!(place.segment < partition.segments.len());
        }
    }
    for time in [i64::MIN, 0, rig::NOW + 10, i64::MAX] {
        seek::time(disk, partition, time).expect("a disk without faults is read");
        seek::first_since(disk, partition, time).expect("a disk without faults is read");
    }
    seek::ends(disk, partition).expect("a disk without faults is read");
}

/// A repair goes through, and soon there is nothing left that another would do.
fn mended(disk: &SimDisk, mut partition: Partition) {
    for round in 0.. {
        let mend = mend::plan(disk, &partition, 1, &Meter::default()).expect("a disk without faults is read");
        // Where an empty segment lies within another one the epochs can be put right for only one of the two.
        let epochs_alone = Plan { epochs: None, ..mend.plan.clone() }.is_empty();
        if mend.plan.is_empty() || (round > 0 && epochs_alone) {
            return;
        }
        let findings = &mend.report.findings;
        assert!(round < 3, "the repair finds something again: {:?} for {findings:?}", mend.plan);
        repair::mend(disk, &mend.plan, rig::NOW + round).expect("a disk without faults is repaired");
        let Ok(mut partitions) = folder::open(disk, Path::new(rig::DIR)) else { return };
        partition = partitions.remove(0);
    }
}
