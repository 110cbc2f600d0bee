//! What a repair of a partition would do, as a plan; it reads, decides, and leaves the writing to storage.

use std::collections::BTreeMap;
use std::sync::mpsc::SyncSender;

use super::finding::{Cause, Finding, Problem};
use super::scan::{Damage, Piece, Scan};
use super::verify::{self, Report};
use super::{InspectError, Meter, Partition, SegmentFile, parallel};
use crate::storage::Disk;
use crate::storage::repair::{Cut, Plan, SegmentPlan, unfinished_name};
use crate::storage::scan::{EPOCHS, METADATA, split_name};

/// What one segment needs.
struct Looked {
    plan: SegmentPlan,
    first: Option<i64>,
    end: i64,
    epochs: Vec<(i32, i64)>,
    has_legacy: bool,
}

/// A plan and the findings it rests on.
#[derive(Debug)]
pub struct Mend {
    /// What is to be done.
    pub plan: Plan,
    /// What is wrong.
    pub report: Report,
}

impl Mend {
    /// How many problems there will still be when the plan is carried out: those that nothing here can mend.
    pub fn left(&self) -> u64 {
        let findings = &self.report.findings;
        if self.plan.is_empty() {
            return findings.len() as u64 + self.report.more;
        }
        let planned = |finding: &&Finding| self.plan.aside.contains(&finding.path);
        // Files that get their own names, or none, may have been all that was out of order.
        let moves = self.plan.segments.iter().any(|one| one.aside || one.rename_to.is_some());
        let left =
            findings.iter().filter(|finding| !planned(finding)).filter(|finding| match finding.problem {
                Problem::Records { .. }
                | Problem::MaxTimestamp { .. }
                | Problem::Epoch { .. }
                | Problem::BadFile { .. } => finding.path.file_name().is_none_or(|name| name != EPOCHS),
                Problem::Missing { .. } | Problem::Overlap { .. } => !moves,
                Problem::Index { .. } => finding.path.extension().is_some_and(|ending| ending == "txnindex"),
                Problem::Damage(_)
                | Problem::Misnamed { .. }
                | Problem::NoIndex
                | Problem::EpochCheckpoint { .. } => false,
            });
        left.count() as u64
    }
}

/// Looks at everything of a partition and says what a repair would do.
///
/// # Errors
/// `Io`.
pub fn plan(
    disk: &dyn Disk,
    partition: &Partition,
    threads: usize,
    meter: &Meter,
) -> Result<Mend, InspectError> {
    let report = verify::partition(disk, partition, threads, meter, || {})?;
    let mut plan = Plan {
        dir: partition.dir.clone(),
        segments: Vec::new(),
        aside: Vec::new(),
        epochs: None,
        unfinished: Vec::new(),
    };
    let mut looked = Vec::new();
    let mut failed = None;
    let wrong = by_base(&report.findings);
    let has_findings = !report.findings.is_empty();
    parallel::ordered(
        if has_findings { partition.segments.as_slice() } else { &[] },
        threads,
        |_, file, sender: &SyncSender<Result<Looked, InspectError>>| {
            let _ = sender.send(look(disk, file));
        },
        |_, done| match done {
            Ok(done) => {
                looked.push(done);
                true
            }
            Err(error) => {
                failed = Some(error);
                false
            }
        },
        || {},
    );
    if let Some(error) = failed {
        return Err(error);
    }
    place(&mut looked);
    hand_on_epochs(&mut looked);
    plan.unfinished = unfinished(disk, partition, &looked)?;
    for one in &mut looked {
        one.plan.reindex |= wrong.get(&one.plan.base).is_some_and(|wrong| *wrong);
        one.plan.reindex &= !one.has_legacy;
    }
    let bad_epochs = report.findings.iter().any(|finding| finding.path == partition.dir.join(EPOCHS));
    // Of a segment that an earlier repair left on its way nothing was read: the epochs wait for the next repair.
    if bad_epochs && plan.unfinished.is_empty() {
        let kept = looked.iter().filter(|one| !one.plan.aside);
        let mut epochs: Vec<_> = kept.flat_map(|one| one.epochs.iter().copied()).collect();
        // Files may lie in each other's place still.
        epochs.sort_by_key(|&(_, offset)| offset);
        plan.epochs = Some(epochs);
    }
    for finding in &report.findings {
        let name = finding.path.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        let is_small = matches!(finding.problem, Problem::BadFile { .. });
        // An index whose log comes back with this repair is none.
        let comes = split_name(&name).is_some_and(|(base, _)| plan.unfinished.contains(&base));
        let is_orphan = partition.orphans.contains(&finding.path) && !comes;
        // An index of aborted transactions stays: without one, what was aborted would be read as if it were not.
        if is_orphan || is_small && (name == METADATA || name == EPOCHS || name.ends_with(".snapshot")) {
            let waits = name == EPOCHS && !plan.unfinished.is_empty();
            plan.aside.extend((!waits).then(|| finding.path.clone()));
        }
    }
    plan.aside.dedup();
    plan.segments = looked.into_iter().map(|one| one.plan).filter(|plan| !plan.is_empty()).collect();
    Ok(Mend { plan, report })
}

/// Which segments have indexes that have to be made again.
fn by_base(findings: &[Finding]) -> BTreeMap<i64, bool> {
    let mut wrong = BTreeMap::new();
    for finding in findings {
        let name = finding.path.file_name().map(|name| name.to_string_lossy().into_owned());
        let Some((base, extension)) = name.as_deref().and_then(split_name) else { continue };
        let index = matches!(finding.problem, Problem::NoIndex | Problem::Index { .. });
        *wrong.entry(base).or_default() |= index && extension != "txnindex";
    }
    wrong
}

fn look(disk: &dyn Disk, file: &SegmentFile) -> Result<Looked, InspectError> {
    let mut scan = Scan::new(file.open(disk)?, &file.path, file.limits());
    let base = file.base.unwrap_or(0);
    let mut looked = Looked {
        plan: SegmentPlan {
            base,
            size: file.size,
            cuts: Vec::new(),
            rename_to: None,
            aside: false,
            reindex: false,
        },
        first: None,
        end: base,
        epochs: Vec::new(),
        has_legacy: false,
    };
    let mut epoch = -1;
    while let Some(piece) = scan.next()? {
        match piece {
            Piece::Batch(_, batch) => {
                looked.first.get_or_insert(batch.base_offset());
                if batch.leader_epoch() < 0 {
                    continue;
                }
                epoch = batch.leader_epoch();
                if looked.epochs.last().is_none_or(|&(last, _)| last < epoch) {
                    looked.epochs.push((epoch, batch.base_offset()));
                }
            }
            Piece::Damage(damage) => looked.plan.cuts.push(cut(file, damage, epoch)),
            Piece::Legacy(..) => looked.has_legacy = true,
            Piece::Growing(..) => {}
        }
    }
    looked.end = scan.expected();
    if let Some(first) = scan.misnamed() {
        looked.plan.rename_to = Some(first);
    }
    if let Some(size) = scan.size() {
        looked.plan.size = size;
    }
    Ok(looked)
}

/// A batch that stands for what was cut out has the epoch of the batch before it, in an earlier segment where it is a
/// segment's first; where there is none, that of the batch behind it.
fn hand_on_epochs(looked: &mut [Looked]) {
    let mut order: Vec<&mut Looked> = looked.iter_mut().filter(|one| !one.plan.aside).collect();
    order.sort_by_key(|one| one.plan.target());
    let mut before = order.iter().find_map(|one| one.epochs.first()).map_or(-1, |&(epoch, _)| epoch);
    for one in order {
        for cut in one.plan.cuts.iter_mut().filter(|cut| cut.leader_epoch < 0) {
            cut.leader_epoch = before;
        }
        before = one.epochs.last().map_or(before, |&(epoch, _)| epoch);
    }
}

/// What is cut at the end of the log leaves nothing; elsewhere an empty batch stands for the offsets.
fn cut(file: &SegmentFile, damage: Damage, leader_epoch: i32) -> Cut {
    let at_log_end = damage.to_end && file.is_last;
    // A batch whose offset only is wrong holds none of the offsets that are due.
    let keeps_offsets = matches!(damage.cause, Cause::Zeros) && at_log_end;
    let offsets =
        if at_log_end || keeps_offsets { damage.offsets.start..damage.offsets.start } else { damage.offsets };
    Cut { position: damage.position, offsets, leader_epoch }
}

/// Files in another's place get their own names, where those are free and their offsets go between their neighbours';
/// otherwise they are set aside whole. A file without any whole batch keeps no name from another.
fn place(looked: &mut [Looked]) {
    let stays = |one: &&Looked| one.plan.rename_to.is_none() && one.first.is_some();
    let mut taken: Vec<(i64, i64)> =
        looked.iter().filter(stays).map(|one| (one.plan.base, one.end)).collect();
    let mut placed = Vec::new();
    let mut moved: Vec<_> = looked.iter_mut().filter(|one| one.plan.rename_to.is_some()).collect();
    moved.sort_by_key(|one| one.plan.rename_to);
    for one in moved {
        let target = one.plan.target();
        let free = taken.iter().all(|&(base, end)| one.end <= base || (end <= target && base < target));
        if free {
            taken.push((target, one.end));
            placed.push(target..one.end);
        } else {
            one.plan.rename_to = None;
            one.plan.cuts.clear();
            one.plan.aside = true;
        }
    }
    for one in looked.iter_mut().filter(|one| one.plan.rename_to.is_none() && one.first.is_none()) {
        let (base, end) = (one.plan.base, one.end);
        if placed.iter().any(|range| range.start == base || (range.start < end && base < range.end)) {
            one.plan.cuts.clear();
            one.plan.aside = true;
        }
    }
}

/// Segments that an earlier repair had written or was renaming, and whose own name is free, or will be.
fn unfinished(disk: &dyn Disk, partition: &Partition, looked: &[Looked]) -> Result<Vec<i64>, InspectError> {
    let entries = disk.list(&partition.dir).map_err(InspectError::io("read", &partition.dir))?;
    let mut found: Vec<i64> = entries
        .iter()
        .filter_map(|entry| entry.name.strip_suffix(".log.tmp"))
        .filter_map(|digits| split_name(&format!("{digits}.log")).map(|(base, _)| base))
        .filter(|&base| entries.iter().any(|entry| entry.name == unfinished_name(base)))
        .filter(|&base| {
            let leaves = |one: &&Looked| one.plan.aside || one.plan.rename_to.is_some();
            let vacated = looked.iter().filter(leaves).any(|one| one.plan.base == base);
            let wanted = looked.iter().any(|one| one.plan.rename_to == Some(base));
            let held = partition.segments.iter().any(|segment| segment.base == Some(base));
            (vacated || !held) && !wanted
        })
        .collect();
    found.sort_unstable();
    Ok(found)
}
