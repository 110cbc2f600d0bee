//! A repair that the power ends at any moment leaves a folder that opens with every whole batch, or can be repaired again.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use klog::inspect::{Meter, mend};
use klog::storage::sim::SimDisk;
use klog::storage::{Disk, repair};

use super::rig::{self, Template};

fn hurt(disk: &SimDisk, template: &Template, swap: bool) -> BTreeSet<i64> {
    let logs = template.logs();
    // The third batch of the second segment, and half of the last batch of all.
    let second: Vec<_> = template.batches.iter().filter(|batch| batch.file == logs[1]).collect();
    let (victim, last) = (second[2], template.batches.last().unwrap());
    disk.flip_bit(&victim.file, victim.at + 70, 3);
    let content = disk.content(&last.file).unwrap();
    rig::put(disk, &last.file, &content[..last.at + 40]);
    if swap {
        let (first, third) = (disk.content(&logs[0]).unwrap(), disk.content(&logs[2]).unwrap());
        rig::put(disk, &logs[0], &third);
        rig::put(disk, &logs[2], &first);
    }
    disk.sync_all(Path::new("/")).unwrap();
    let lost = [victim.base, last.base];
    let kept = template.batches.iter().filter(|batch| !lost.contains(&batch.base));
    kept.flat_map(|batch| batch.offsets.iter().copied()).collect()
}

fn mended(disk: &SimDisk) -> bool {
    let plan = mend::plan(disk, &rig::partition(disk), 1, &Meter::default());
    plan.is_ok_and(|mend| repair::mend(disk, &mend.plan, rig::NOW).is_ok())
}

fn readable(disk: &Arc<SimDisk>) -> BTreeSet<i64> {
    let node = rig::open(disk).unwrap();
    rig::readable(&node.log).into_iter().collect()
}

#[test]
fn power_may_go_at_every_step_of_a_repair() {
    for swap in [false, true] {
        let template = Template::new(true, 30, false);
        let steps = {
            let disk = template.disk(1);
            hurt(&disk, &template, swap);
            let before = disk.steps();
            assert!(mended(&disk));
            disk.steps() - before
        };
        assert!(steps > 10, "{steps}");
        let long = std::env::var_os("KLOG_TEST_LONG").is_some_and(|value| !value.is_empty());
        let lives: u64 = if long { 100 } else { 3 };
        for (step, life) in (0..steps).flat_map(|step| (0..lives).map(move |life| (step, life))) {
            let disk = template.disk(step + 1000 * life);
            let kept = hurt(&disk, &template, swap);
            disk.cut_power_at(disk.steps() + step);
            assert!(!mended(&disk), "step {step} of {steps}");
            disk.restart();
            // Half a segment is not called as a whole one on its way to another name is.
            let names: Vec<String> =
                disk.list(Path::new(rig::DIR)).unwrap().into_iter().map(|entry| entry.name).collect();
            assert!(swap || !names.iter().any(|name| name.ends_with(".log.tmp")), "{names:?}");
            // Files in each other's place are nothing a daemon can read: the repair has to be ended first.
            if !swap {
                let copy = rig::copied(&disk);
                assert!(kept.is_subset(&readable(&copy)), "the power went at step {step}");
            }
            assert!(mended(&disk), "again after step {step}");
            let found = readable(&disk);
            let lost: Vec<_> = kept.difference(&found).collect();
            assert!(
                lost.is_empty(),
                "the power went at step {step} (swapped {swap}): {lost:?}\n{:#?}\n{:#?}",
                rig::verified(&disk).findings,
                rig::partition(&disk)
            );
        }
    }
}

#[test]
fn what_belongs_to_a_segment_on_its_way_stays_with_it() {
    let template = Template::new(true, 60, true);
    let disk = template.disk(1);
    let last = template.logs().pop().unwrap();
    let (epochs, txns) =
        (Path::new(rig::DIR).join("leader-epoch-checkpoint"), last.with_extension("txnindex"));
    let aborted = [&[0; 2][..], &[0; 32]].concat();
    rig::put(&disk, &txns, &aborted);
    let before = disk.content(&epochs).unwrap();
    // As a repair leaves it that the power ended between two names.
    disk.rename(&last, &last.with_extension("log.tmp")).unwrap();
    assert!(mended(&disk));
    assert!(disk.content(&last).is_some());
    assert_eq!((disk.content(&epochs).unwrap(), disk.content(&txns).unwrap()), (before, aborted));
    assert!(disk.content(&last.with_extension("index")).is_some());
}

#[test]
fn what_is_cut_out_is_kept_and_offsets_stay() {
    let template = Template::new(true, 30, true);
    let disk = template.disk(1);
    hurt(&disk, &template, false);
    let logs = template.logs();
    let damaged = disk.content(&logs[1]).unwrap();
    let victim = template.batches.iter().filter(|batch| batch.file == logs[1]).nth(2).unwrap();
    assert!(mended(&disk));
    let mut name = logs[1].as_os_str().to_owned();
    name.push(format!(".cut-{}", rig::NOW));
    let kept = disk.content(Path::new(&name)).unwrap();
    assert_eq!(kept, damaged[victim.at..victim.at + victim.bytes.len()]);
    let node = rig::open(&disk).unwrap();
    let last = template.batches.last().unwrap();
    // The daemon looks at it at once: it does not answer with the end that it remembers.
    assert_eq!(node.log.log_end(), last.base, "the torn batch is gone, nothing else");
    assert!(node.log.recovered().is_none_or(|recovered| recovered.damaged.is_empty()));
    assert!(rig::verified(&disk).findings.is_empty());
}

#[test]
fn a_folder_in_use_is_not_locked_twice() {
    let template = Template::new(true, 3, true);
    let disk = template.disk(1);
    let node = rig::open(&disk).unwrap();
    assert!(rig::partition(&disk).is_live);
    assert!(repair::lock(disk.as_ref(), Path::new("/data")).is_err());
    drop(node);
    assert!(!rig::partition(&disk).is_live);
    let held = repair::lock(disk.as_ref(), Path::new("/data")).unwrap();
    assert!(held.is_some() && rig::open(&disk).is_err());
}
