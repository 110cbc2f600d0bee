//! Segments that compaction wrote: the inspector finds nothing wrong with gaps, batches without records, horizons and
//! merged files, and reads the records that are left.

use klog::storage::{CompactOptions, LogSettings};

use super::rig::{self, NOW, Template};

#[test]
fn compacted_segments_are_sound_and_read_as_the_log_reads_them() {
    for (batches, plain) in [(40, true), (90, true), (90, false)] {
        let disk = Template::new(true, batches, plain).disk(1);
        let node = rig::open(&disk).unwrap();
        node.log.set_settings(LogSettings { compact: true, delete_retention_ms: 10, ..rig::settings() });
        for now in [NOW, NOW, NOW + 1000] {
            let options = CompactOptions { memory: 1 << 16, load_percent: 90, now_ms: now, upto: i64::MAX };
            let done = node.log.compact(&options, &mut |_| true).unwrap();
            assert!(now > NOW || done.removed > 0 || done.passes == 0, "{done:?}");
            let report = rig::verified(&disk);
            assert!(report.findings.is_empty(), "{batches} {plain}: {:?}", report.findings);
        }
        let left = rig::readable(&node.log);
        let dumped: Vec<i64> = rig::dumped(&disk).into_iter().map(|(offset, _)| offset).collect();
        // Markers of transactions are no records of a dump.
        assert!(
            dumped.iter().all(|offset| left.contains(offset)) && !dumped.is_empty(),
            "{left:?} {dumped:?}"
        );
        assert!(left.len() < 5 * batches as usize);
    }
}
