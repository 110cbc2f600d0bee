//! Thousands of random damages: every one that a CRC covers is found, no whole batch is called damaged, and a repaired
//! folder opens with all of them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use klog::inspect::{Meter, Problem, mend};
use klog::storage::Disk;
use klog::storage::repair;
use klog::storage::sim::SimDisk;

use super::rig::{self, Luck, Original, Template};

fn rounds() -> u64 {
    let long = std::env::var_os("KLOG_TEST_LONG").is_some_and(|value| !value.is_empty());
    if long { 10_000 } else { 300 }
}

/// What was done, for the message of a failure.
fn hurt(disk: &SimDisk, template: &Template, luck: &mut Luck) -> String {
    let logs = template.logs();
    let log = logs[luck.below(logs.len() as u64) as usize].clone();
    let mut bytes = disk.content(&log).unwrap_or_default();
    let at = luck.below(bytes.len() as u64 + 1) as usize;
    let len = 1 + luck.below(200) as usize;
    let end = (at + len).min(bytes.len());
    let what = luck.below(14);
    match what {
        0..=2 if at < bytes.len() => bytes[at] ^= 1 << luck.below(8),
        3 => bytes[at..end].iter_mut().for_each(|byte| *byte = luck.below(256) as u8),
        4 => bytes[at..end].fill(0),
        5 => bytes.truncate(at),
        6 => {
            // A length or another field of some header.
            let here: Vec<&Original> = template.batches.iter().filter(|batch| batch.file == log).collect();
            if let Some(batch) = here.get(luck.below(here.len() as u64) as usize) {
                let field = batch.at + luck.below(61) as usize;
                if field < bytes.len() {
                    bytes[field] = luck.below(256) as u8;
                }
            }
        }
        7 => {
            let noise: Vec<u8> = (0..len).map(|_| luck.below(256) as u8).collect();
            bytes.splice(at..at, noise);
        }
        8 => drop(bytes.drain(at..end)),
        9 => bytes.extend((0..len).map(|n| if len.is_multiple_of(2) { 0 } else { n as u8 })),
        10 => return hurt_beside(disk, luck),
        11 => {
            let other = &logs[luck.below(logs.len() as u64) as usize];
            let theirs = disk.content(other).unwrap_or_default();
            rig::put(disk, other, &bytes);
            bytes = theirs;
        }
        12 => return remove_beside(disk, luck),
        _ => {}
    }
    rig::put(disk, &log, &bytes);
    format!("{what} of {} at {at}, {len}", log.display())
}

fn beside(disk: &SimDisk, luck: &mut Luck) -> PathBuf {
    let mut names: Vec<String> =
        disk.list(Path::new(rig::DIR)).unwrap().into_iter().map(|entry| entry.name).collect();
    names.retain(|name| !name.ends_with(".log") && name != "partition.metadata");
    names.sort();
    Path::new(rig::DIR).join(&names[luck.below(names.len() as u64) as usize])
}

fn hurt_beside(disk: &SimDisk, luck: &mut Luck) -> String {
    let path = beside(disk, luck);
    let mut bytes = disk.content(&path).unwrap();
    if !bytes.is_empty() {
        let at = luck.below(bytes.len() as u64) as usize;
        bytes[at] = luck.below(256) as u8;
    }
    rig::put(disk, &path, &bytes);
    format!("a byte of {}", path.display())
}

fn remove_beside(disk: &SimDisk, luck: &mut Luck) -> String {
    let path = beside(disk, luck);
    disk.remove(&path).unwrap();
    format!("{} removed", path.display())
}

/// The batches that are still there byte for byte. Left out is the only one of a file that lies in another's place: that
/// may as well be a batch in its own place whose offset, outside of the CRC, was changed.
fn intact<'t>(disk: &SimDisk, template: &'t Template) -> Vec<&'t Original> {
    let mut whole = Vec::new();
    for log in template.logs() {
        let bytes = disk.content(&log).unwrap();
        let here: Vec<_> = template.batches.iter().filter(|batch| memmem(&bytes, &batch.bytes)).collect();
        let misplaced = here.iter().any(|batch| batch.file != log);
        if here.len() > 1 || !misplaced {
            whole.extend(here);
        }
    }
    whole
}

fn memmem(within: &[u8], what: &[u8]) -> bool {
    within.windows(what.len()).any(|window| window == what)
}

/// Bytes that the CRC covers, or that say where the batch ends.
fn covered(batch: &[u8]) -> (&[u8], &[u8]) {
    (&batch[8..12], &batch[16..])
}

#[test]
fn whatever_is_done_to_a_folder() {
    let templates = [
        Template::new(true, 45, false),
        Template::new(false, 45, false),
        Template::new(true, 60, true),
        Template::new(false, 8, false),
    ];
    let first: u64 = std::env::var("KLOG_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0);
    for seed in first..first + rounds() {
        let template = &templates[(seed % 4) as usize];
        let mut luck = Luck(seed * 7919);
        let disk = template.disk(seed);
        let times = 1 + luck.below(3);
        let done: Vec<String> = (0..times).map(|_| hurt(&disk, template, &mut luck)).collect();
        let about = format!("seed {seed}: {}", done.join("; "));
        one_round(&disk, template, &about);
    }
}

fn one_round(disk: &std::sync::Arc<SimDisk>, template: &Template, about: &str) {
    let whole = intact(disk, template);
    let report = rig::verified(disk);
    let found: BTreeSet<Vec<u8>> = rig::scanned(disk).into_iter().collect();
    for batch in &whole {
        assert!(
            found.contains(&batch.bytes),
            "{about}: the whole batch {} is called damaged\n{:#?}",
            batch.base,
            report.findings
        );
    }
    for bytes in &found {
        let known = template.batches.iter().any(|batch| covered(&batch.bytes) == covered(bytes));
        assert!(known, "{about}: bytes that were never written are called a batch");
    }
    // A batch that is not there any more, nor cut off at the very end, is missed.
    let gone = template.batches.len() - whole.len();
    let last_whole = whole.iter().map(|batch| batch.base).max().unwrap_or(-1);
    let missed = template.batches.iter().any(|batch| {
        batch.base < last_whole && !found.iter().any(|bytes| covered(bytes) == covered(&batch.bytes))
    });
    if missed {
        assert!(!report.findings.is_empty(), "{about}: {gone} batches are gone and nothing is said");
    }
    let dumped: BTreeSet<String> = rig::dumped(disk).into_iter().map(|(_, value)| value).collect();
    for batch in whole.iter().filter(|batch| !batch.control) {
        for offset in &batch.offsets {
            assert!(dumped.contains(&rig::value(*offset)), "{about}: offset {offset} is not dumped");
        }
    }
    repaired(disk, &whole, about);
}

fn repaired(disk: &std::sync::Arc<SimDisk>, whole: &[&Original], about: &str) {
    let plan = mend::plan(disk.as_ref(), &rig::partition(disk), 1, &Meter::default()).unwrap().plan;
    let before: u64 = disk.used();
    let kept = repair::mend(disk.as_ref(), &plan, rig::NOW).unwrap();
    let kept: u64 = kept.iter().map(|path| disk.content(path).unwrap().len() as u64).sum();
    let report = rig::verified(disk);
    let left: Vec<_> = report
        .findings
        .iter()
        .filter(|finding| {
            // An index of aborted transactions is told of and left, as `Mend::left` counts it.
            finding.path.extension().is_none_or(|ending| ending != "txnindex")
                && !matches!(
                    finding.problem,
                    Problem::Missing { .. } | Problem::Epoch { .. } | Problem::EpochCheckpoint { .. }
                )
        })
        // No repair takes away what says what was aborted, as `Mend::left` counts it.
        .filter(|finding| {
            !matches!(finding.problem, Problem::Index { .. })
                || finding.path.extension().is_none_or(|ending| ending != "txnindex")
        })
        .collect();
    assert!(left.is_empty(), "{about}: after the repair {left:#?}\nwhat was done: {plan:#?} {before} {kept}");
    let node = rig::open(disk).unwrap_or_else(|error| panic!("{about}: it does not open: {error}"));
    let readable: BTreeSet<i64> = rig::readable(&node.log).into_iter().collect();
    for batch in whole {
        for offset in &batch.offsets {
            assert!(
                readable.contains(offset),
                "{about}: offset {offset} is gone after the repair: {:?}\n{plan:#?}",
                node.log.recovered()
            );
        }
    }
    // And it takes records again.
    let end = node.log.log_end();
    rig::append(
        &node.log,
        &rig::batch(end, 2, klog::record::Codec::None, klog::record::ProducerStamp::NONE),
        200,
    );
    assert_eq!(node.log.log_end(), end + 2, "{about}");
    rig::close(&node);
}
