//! Holds all files of a partition against each other: batches, records, indexes, epochs, names; it decides what is wrong.
//!
//! What is not wrong: index files that are longer than their entries (Kafka allocates them ahead), missing or short
//! indexes of the last segment (klog keeps those in memory), gaps between offsets within a segment (compaction), and the
//! half batch at the end of a log that a daemon is writing.

use std::path::PathBuf;
use std::sync::mpsc::SyncSender;

use super::finding::{Finding, Problem};
use super::indexes::{OffsetCheck, TimeCheck, TxnCheck};
use super::scan::{Piece, Scan};
use super::{InspectError, MAX_INFLATED, Meter, Partition, SegmentFile, Source, folder, parallel};
use crate::model::id::TopicId;
use crate::record::{Batch, BatchHeader, Decompressor, RecordError, TimestampType};
use crate::storage::Disk;
use crate::storage::scan::{EPOCHS, METADATA, epochs, is_snapshot};

/// Findings that are listed one by one; more are counted.
const LISTED: usize = 10_000;
/// Changes of the leader epoch that are remembered of one segment.
const RUNS: usize = 10_000;
/// Small files are not larger than this.
const SMALL: u64 = 256 << 20;

/// Batches one after the other that have the same leader epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochRun {
    /// The epoch.
    pub epoch: i32,
    /// First offset of its first batch.
    pub first: i64,
    /// First offset of its last batch.
    pub last: i64,
}

/// What one segment came to.
#[derive(Debug, Clone, Default)]
pub struct SegmentReport {
    /// What is wrong, in the order of the file.
    pub findings: Vec<Finding>,
    /// How many more there are.
    pub more: u64,
    /// The first offset, where its name says another.
    pub misnamed: Option<i64>,
    /// The offset behind the last batch.
    pub end: i64,
    /// Whole batches.
    pub batches: u64,
    /// Their records.
    pub records: u64,
    /// Bytes looked at.
    pub bytes: u64,
    /// Messages of format 0 and 1.
    pub legacy: u64,
    /// Whether offsets are missing where no damage is, as compaction leaves it.
    pub has_gaps: bool,
    /// Where a last batch begins that is still being written.
    pub growing: Option<u64>,
    /// The leader epochs, in order.
    pub epochs: Vec<EpochRun>,
    /// It was gone when it was to be opened: deleted by the daemon that holds the folder.
    pub gone: bool,
}

impl SegmentReport {
    fn add(&mut self, finding: Finding) {
        if self.findings.len() < LISTED { self.findings.push(finding) } else { self.more += 1 }
    }
}

/// What a partition came to.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// How many more there are than are listed.
    pub more: u64,
    /// Segments looked at.
    pub segments: u64,
    /// Bytes looked at.
    pub bytes: u64,
    /// Whole batches.
    pub batches: u64,
    /// Their records.
    pub records: u64,
    /// Messages of format 0 and 1, which are checked but not looked into.
    pub legacy: u64,
    /// The file whose last batch is still being written, and where it begins.
    pub growing: Option<(PathBuf, u64)>,
}

/// Looks at everything of a partition. `meter` counts bytes, `tick` is called while it takes its time.
///
/// # Errors
/// `Io`.
pub fn partition(
    disk: &dyn Disk,
    partition: &Partition,
    threads: usize,
    meter: &Meter,
    tick: impl FnMut(),
) -> Result<Report, InspectError> {
    let mut report = Report::default();
    let mut join = Join::new(partition);
    let mut failed = None;
    parallel::ordered(
        &partition.segments,
        threads,
        |_, file, sender: &SyncSender<Result<SegmentReport, InspectError>>| {
            let _ = sender.send(segment(disk, file, meter));
        },
        |at, done| match done {
            Ok(done) => {
                if let Some(file) = partition.segments.get(at) {
                    join.take(&mut report, file, done);
                }
                true
            }
            Err(error) => {
                failed = Some(error);
                false
            }
        },
        tick,
    );
    if let Some(error) = failed {
        return Err(error);
    }
    let Join { runs, end, .. } = join;
    if partition.is_whole {
        beside(disk, partition, &mut report, &runs, end)?;
    }
    Ok(report)
}

/// [`partition`], but for one that changes meanwhile: what a daemon rolled, merged or removed since the folder was listed
/// looks wrong beside that list. Where anything is found in a folder that is live, or gone by now, the folder is listed and
/// looked at once more, and only that counts.
///
/// # Errors
/// `Io`.
pub fn settled(
    disk: &dyn Disk,
    listed: &Partition,
    threads: usize,
    meter: &Meter,
    mut tick: impl FnMut(),
) -> Result<Report, InspectError> {
    let first = partition(disk, listed, threads, meter, &mut tick);
    if first.as_ref().is_ok_and(|report| report.findings.is_empty()) {
        return first;
    }
    let gone = std::io::ErrorKind::NotFound;
    if disk.list(&listed.dir).is_err_and(|error| error.kind() == gone) {
        return Ok(Report::default());
    }
    if !listed.is_live {
        return first;
    }
    let path = match listed.segments.first().filter(|_| !listed.is_whole) {
        Some(file) => &file.path,
        None => &listed.dir,
    };
    let mut report = Report::default();
    let found = match folder::open(disk, path) {
        // The one file that was asked for.
        Err(InspectError::Io { source, .. }) if source.kind() == gone => return Ok(report),
        done => done?,
    };
    // A folder that is empty by now is no partition any more, and holds none.
    for again in found.iter().filter(|again| again.dir == listed.dir) {
        report = partition(disk, again, threads, &Meter::default(), &mut tick)?;
    }
    Ok(report)
}

/// What joins one segment to the next.
struct Join<'p> {
    partition: &'p Partition,
    runs: Vec<EpochRun>,
    end: Option<i64>,
    has_gaps: bool,
    missing: Vec<Finding>,
    before: Option<PathBuf>,
}

impl<'p> Join<'p> {
    fn new(partition: &'p Partition) -> Self {
        Self { partition, runs: Vec::new(), end: None, has_gaps: false, missing: Vec::new(), before: None }
    }

    fn take(&mut self, report: &mut Report, file: &SegmentFile, done: SegmentReport) {
        if done.gone {
            self.end = None;
            return;
        }
        report.segments += 1;
        report.bytes += done.bytes;
        report.batches += done.batches;
        report.records += done.records;
        report.legacy += done.legacy;
        report.more += done.more;
        report.growing = done.growing.map(|at| (file.path.clone(), at)).or(report.growing.take());
        self.has_gaps |= done.has_gaps;
        if let (Some(end), Some(base), None) = (self.end, file.base, done.misnamed) {
            let path = self.before.take().unwrap_or_else(|| file.path.clone());
            if end < base {
                let problem = Problem::Missing { offsets: end..base };
                self.missing.push(Finding { path, position: None, problem });
            } else if end > base {
                let problem = Problem::Overlap { offsets: base..end };
                report.findings.push(Finding { path, position: None, problem });
            }
        }
        // A file in another's place says nothing about its neighbours; nor does one that holds no batch of its own.
        let empty_log = done.batches == 0 && done.legacy == 0 && file.size == 0;
        self.end =
            (done.misnamed.is_none()).then(|| if empty_log { file.base.unwrap_or(0) } else { done.end });
        self.before = Some(file.path.clone());
        let room = LISTED.saturating_sub(report.findings.len());
        report.more += done.findings.len().saturating_sub(room) as u64;
        report.findings.extend(done.findings.into_iter().take(room));
        for (at, run) in done.epochs.into_iter().enumerate() {
            match self.runs.last_mut() {
                Some(last) if last.epoch == run.epoch => last.last = run.last,
                last => {
                    // Within the segment that was said already.
                    if let Some(last) = last.filter(|last| at == 0 && last.epoch > run.epoch) {
                        let problem =
                            Problem::Epoch { offset: run.first, before: last.epoch, found: run.epoch };
                        report.findings.push(Finding { path: file.path.clone(), position: None, problem });
                    }
                    self.runs.push(run);
                }
            }
        }
        if file.is_last {
            // Compaction leaves gaps everywhere: one between two segments says nothing then.
            let missing = std::mem::take(&mut self.missing);
            if !self.has_gaps && self.partition.is_whole {
                report.findings.extend(missing);
            }
        }
    }
}

/// Looks at one segment and its indexes.
///
/// # Errors
/// `Io`.
pub fn segment(disk: &dyn Disk, file: &SegmentFile, meter: &Meter) -> Result<SegmentReport, InspectError> {
    let source = match file.open(disk) {
        Err(InspectError::Io { source, .. })
            if file.is_live && source.kind() == std::io::ErrorKind::NotFound =>
        {
            return Ok(SegmentReport { gone: true, ..SegmentReport::default() });
        }
        done => done?,
    };
    let indexes = Indexes::open(disk, file)?;
    scanned(source, file, indexes, meter)
}

/// Looks at a stream as at a segment without a name.
///
/// # Errors
/// `Io`.
pub fn stream(source: Source, file: &SegmentFile, meter: &Meter) -> Result<SegmentReport, InspectError> {
    scanned(source, file, Indexes::default(), meter)
}

fn scanned(
    source: Source,
    file: &SegmentFile,
    mut indexes: Indexes,
    meter: &Meter,
) -> Result<SegmentReport, InspectError> {
    let mut scan = Scan::new(source, &file.path, file.limits());
    let mut report = SegmentReport::default();
    let mut inflate = Decompressor::new();
    let (mut due, mut starts_late) = (None, false);
    let problem = |position, problem| Finding { path: file.path.clone(), position: Some(position), problem };
    while let Some(piece) = scan.next()? {
        match piece {
            Piece::Batch(at, batch) => {
                let header = batch.header();
                // Where compaction took the first batches away.
                starts_late |= report.batches == 0 && file.base.is_some_and(|base| header.base_offset > base);
                report.batches += 1;
                report.records += u64::try_from(header.count).unwrap_or(0);
                let gap = due.is_some_and(|due| header.base_offset > due);
                report.has_gaps |= gap || header.count <= header.last_offset_delta;
                due = Some(header.next_offset());
                note_epoch(&mut report, at, &header, &problem);
                match records(&batch, &header, &mut inflate) {
                    Ok(None) => {}
                    Ok(Some(wrong)) => report.add(problem(at, wrong)),
                    Err(error) => {
                        let offsets = header.base_offset..header.next_offset();
                        report.add(problem(at, Problem::Records { offsets, error }));
                    }
                }
                indexes.batch(at, &batch, &header)?;
            }
            Piece::Damage(damage) => {
                due = None;
                indexes.skip(&damage.position)?;
                report.add(problem(damage.position.start, Problem::Damage(damage)));
            }
            Piece::Legacy(_, _, count) => report.legacy += count,
            Piece::Growing(at, _) => report.growing = Some(at),
        }
        scan.measure(meter);
    }
    report.end = scan.expected();
    report.bytes = scan.position();
    report.misnamed = scan.misnamed().filter(|_| file.base.is_some());
    report.has_gaps |= starts_late && report.misnamed.is_none() && report.findings.is_empty();
    if let Some(first) = report.misnamed {
        // Its indexes may be its own or those of the name: either way they are made again with it.
        let renamed =
            Finding { path: file.path.clone(), position: None, problem: Problem::Misnamed { first } };
        report.findings.insert(0, renamed);
    } else if report.legacy == 0 {
        for finding in indexes.end(file, report.bytes, report.end)? {
            report.add(finding);
        }
    }
    Ok(report)
}

fn note_epoch(
    report: &mut SegmentReport,
    at: u64,
    header: &BatchHeader,
    problem: &impl Fn(u64, Problem) -> Finding,
) {
    let (epoch, offset) = (header.leader_epoch, header.base_offset);
    if epoch < 0 {
        // -1 is that of nobody: of an empty batch that a repair left, or from before there were epochs.
        if epoch < -1 {
            let before = report.epochs.last().map_or(-1, |run| run.epoch);
            report.add(problem(at, Problem::Epoch { offset, before, found: epoch }));
        }
        return;
    }
    match report.epochs.last_mut() {
        Some(run) if run.epoch == epoch => run.last = offset,
        last => {
            if let Some(before) = last.map(|run| run.epoch).filter(|&before| before > epoch) {
                report.add(problem(at, Problem::Epoch { offset, before, found: epoch }));
            }
            if report.epochs.len() < RUNS {
                report.epochs.push(EpochRun { epoch, first: offset, last: offset });
            }
        }
    }
}

/// Holds a batch's records against its header.
fn records(
    batch: &Batch<'_>,
    header: &BatchHeader,
    inflate: &mut Decompressor,
) -> Result<Option<Problem>, RecordError> {
    let mut records = inflate.records(batch, MAX_INFLATED)?;
    let (mut max_timestamp, mut before) = (-1, header.base_offset - 1);
    let mut found = 0;
    for record in records.by_ref() {
        let record = record?;
        if record.offset <= before || record.offset > header.last_offset() {
            let what = "its offset does not follow, or is behind the batch's last";
            return Err(RecordError::Malformed { index: found, what });
        }
        before = record.offset;
        max_timestamp = max_timestamp.max(record.timestamp);
        found += 1;
    }
    if found != header.count {
        return Err(RecordError::Malformed { index: found, what: "missing" });
    }
    match records.remaining() {
        0 => {}
        left => return Err(RecordError::TrailingBytes { left }),
    }
    let told = header.timestamp_type() == TimestampType::Create && found > 0;
    Ok((told && max_timestamp != header.max_timestamp).then(|| Problem::MaxTimestamp {
        offsets: header.base_offset..header.next_offset(),
        header: header.max_timestamp,
        records: max_timestamp,
    }))
}

/// The index files of a segment that are there.
#[derive(Default)]
struct Indexes {
    offsets: Option<OffsetCheck>,
    times: Option<TimeCheck>,
    txns: Option<TxnCheck>,
}

impl Indexes {
    fn open(disk: &dyn Disk, file: &SegmentFile) -> Result<Self, InspectError> {
        let base = file.base.unwrap_or(0);
        let there = |size: Option<u64>| size.is_some_and(|size| size > 0) && file.base.is_some();
        let mut found = Self::default();
        if there(file.index) {
            found.offsets = unless_gone(OffsetCheck::open(disk, &file.beside("index"), base))?;
        }
        if there(file.timeindex) {
            found.times = unless_gone(TimeCheck::open(disk, &file.beside("timeindex"), base))?;
        }
        if there(file.txnindex) {
            found.txns = unless_gone(TxnCheck::open(disk, &file.beside("txnindex")))?;
        }
        Ok(found)
    }

    fn batch(&mut self, at: u64, batch: &Batch<'_>, header: &BatchHeader) -> Result<(), InspectError> {
        if let Some(check) = &mut self.offsets {
            check.batch(at, header)?;
        }
        if let Some(check) = &mut self.times {
            check.batch(header)?;
        }
        if let Some(check) = &mut self.txns {
            check.batch(batch)?;
        }
        Ok(())
    }

    fn skip(&mut self, damage: &std::ops::Range<u64>) -> Result<(), InspectError> {
        self.offsets.as_mut().map_or(Ok(()), |check| check.skip(damage))
    }

    fn end(self, file: &SegmentFile, size: u64, end: i64) -> Result<Vec<Finding>, InspectError> {
        let mut found = Vec::new();
        if file.is_live && file.is_last {
            return Ok(found);
        }
        if file.size > 0 && !file.is_last && !file.is_live && file.base.is_some() {
            for (there, extension) in [(file.index, "index"), (file.timeindex, "timeindex")] {
                if there.is_none() {
                    let path = file.beside(extension);
                    found.push(Finding { path, position: None, problem: Problem::NoIndex });
                }
            }
        }
        if let Some(check) = self.offsets {
            found.extend(check.end(size)?);
        }
        if let Some(check) = self.times {
            found.extend(check.end(end, !file.is_last && !file.is_live)?);
        }
        if let Some(check) = self.txns {
            found.extend(check.end(end)?);
        }
        Ok(found)
    }
}

/// `None` for a file that was removed since the folder was listed.
fn unless_gone<T>(opened: Result<T, InspectError>) -> Result<Option<T>, InspectError> {
    match opened {
        Err(InspectError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        done => done.map(Some),
    }
}

/// What lies beside the segments: snapshots, epochs, the topic's id, indexes without a log.
fn beside(
    disk: &dyn Disk,
    partition: &Partition,
    report: &mut Report,
    runs: &[EpochRun],
    end: Option<i64>,
) -> Result<(), InspectError> {
    let last = partition.snapshots.last().map(|(offset, _)| *offset);
    for (offset, path) in &partition.snapshots {
        // The newest may be half written by a daemon that is at it.
        let busy = partition.is_live && Some(*offset) == last;
        if let Some(bytes) = small(disk, path)?
            && !is_snapshot(&bytes)
            && !busy
        {
            let what = "it is no whole producer snapshot: version, size or CRC is wrong".to_owned();
            let problem = Problem::BadFile { what };
            report.findings.push(Finding { path: path.clone(), position: None, problem });
        }
    }
    if partition.has_epochs {
        let path = partition.dir.join(EPOCHS);
        let bytes = small(disk, &path)?.unwrap_or_default();
        for problem in epoch_problems(&bytes, runs, end.filter(|_| !partition.is_live)) {
            report.findings.push(Finding { path: path.clone(), position: None, problem });
        }
    }
    if partition.has_metadata && topic_id(disk, partition)?.is_none() {
        let what = "it does not say the topic's id as \"version: 0\" and \"topic_id: ...\" do".to_owned();
        let path = partition.dir.join(METADATA);
        report.findings.push(Finding { path, position: None, problem: Problem::BadFile { what } });
    }
    for path in partition.orphans.iter().filter(|_| !partition.is_live) {
        let what = "there is no log of this base offset".to_owned();
        report.findings.push(Finding {
            path: path.clone(),
            position: None,
            problem: Problem::Index { what },
        });
    }
    Ok(())
}

fn small(disk: &dyn Disk, path: &std::path::Path) -> Result<Option<Vec<u8>>, InspectError> {
    match Source::open(disk, path) {
        Ok(Source::File { file, size }) if size <= SMALL => {
            let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
            match crate::storage::disk::read_exact_at(file.as_ref(), &mut bytes, 0) {
                Ok(()) => Ok(Some(bytes)),
                Err(error) => Err(InspectError::io("read", path)(error)),
            }
        }
        Ok(_) => Ok(None),
        Err(InspectError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The topic id of `partition.metadata`; `None` where it is missing or can not be read.
///
/// # Errors
/// `Io`.
pub fn topic_id(disk: &dyn Disk, partition: &Partition) -> Result<Option<TopicId>, InspectError> {
    let Some(bytes) = small(disk, &partition.dir.join(METADATA))? else { return Ok(None) };
    let Ok(text) = std::str::from_utf8(&bytes) else { return Ok(None) };
    let mut lines = text.lines();
    let version = lines.next().is_some_and(|line| line.trim_end() == "version: 0");
    let id = lines.next().and_then(|line| line.strip_prefix("topic_id: "));
    Ok(id.and_then(|id| id.trim_end().parse().ok()).filter(|_| version))
}

/// How the epochs' checkpoint contradicts the batches. Its first entry moves with the log's start.
fn epoch_problems(bytes: &[u8], runs: &[EpochRun], end: Option<i64>) -> Vec<Problem> {
    let Some(entries) = epochs(bytes) else {
        let what = "it is no checkpoint of leader epochs: version, count or order is wrong".to_owned();
        return vec![Problem::BadFile { what }];
    };
    let mut found = Vec::new();
    let mut say = |what: String| found.push(Problem::EpochCheckpoint { what });
    for (at, &(epoch, from)) in entries.iter().enumerate() {
        if let Some(end) = end.filter(|&end| from > end) {
            say(format!("epoch {epoch} begins at offset {from}, and the log ends before {end}"));
        }
        if at == 0 {
            continue;
        }
        if let Some(run) = runs.iter().find(|run| run.epoch >= epoch && run.first < from && run.epoch >= 0) {
            let (own, first) = (run.epoch, run.first);
            say(format!("epoch {epoch} begins at offset {from}, and the batch at {first} has epoch {own}"));
        }
        if let Some(run) = runs.iter().find(|run| run.epoch < epoch && run.last >= from && run.epoch >= 0) {
            let (own, last) = (run.epoch, run.last);
            say(format!("epoch {epoch} begins at offset {from}, and the batch at {last} has epoch {own}"));
        }
    }
    let newest = entries.last().map_or(-1, |&(epoch, _)| epoch);
    let oldest = entries.first().map_or(i32::MAX, |&(epoch, _)| epoch);
    for run in runs.iter().filter(|run| (oldest..newest).contains(&run.epoch)) {
        if !entries.iter().any(|&(epoch, _)| epoch == run.epoch) {
            say(format!("epoch {} of the batch at offset {} is not in it", run.epoch, run.first));
        }
    }
    found.truncate(10);
    found
}
