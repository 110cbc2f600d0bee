//! `klog segment cut`: a range of records as a folder or segment of its own; never writes over anything.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::place::Places;
use super::{Input, complain, open_all, written};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output;
use crate::inspect::scan::Piece;
use crate::inspect::{Decompressor, InspectError, Partition, Scan, split_name, trimmed};
use crate::storage::repair::{Disk, RealDisk, SegmentWriter, finish_folder, new_folder, new_segment};

/// A segment's positions have 31 bits, as Kafka reads them.
const MOST: u64 = 1 << 31;

/// The flags of `klog segment cut`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A partition's folder, or a segment
    #[arg(value_name = "SRC", value_hint = clap::ValueHint::AnyPath)]
    source: PathBuf,

    /// A new folder; where it ends with .log, a new segment
    #[arg(value_name = "DST", value_hint = clap::ValueHint::AnyPath)]
    target: PathBuf,

    /// Where to begin, and where to end: N:M (M is left out), @T1:@T2, -N ... as in dump
    #[arg(short = 'o', long, value_name = "WHERE[:END]", allow_hyphen_values = true)]
    offset: String,
}

/// Runs `klog segment cut`.
pub(super) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let places = Places::parse(Some(&args.offset), None, None, "cut")?;
    let inputs = open_all(std::slice::from_ref(&args.source))?;
    let partition = match inputs.as_slice() {
        [Input::Files(partitions)] => match partitions.as_slice() {
            [one] => one,
            _ => {
                return Err(Failure::usage(
                    format!("{} holds {} partitions", args.source.display(), partitions.len()),
                    "name one of them: klog segment cut DIR/t-0 DST -o N:M",
                ));
            }
        },
        _ => return Err(InspectError::Stream { what: "cut", path: "stdin".into() }.into()),
    };
    let (from, to) = places.resolve(context, partition)?;
    let single = args.target.extension().is_some_and(|extension| extension == "log");
    // The target is made once it is known that there is something to write.
    let indexes = ["index", "timeindex"].map(|extension| args.target.with_extension(extension));
    for path in std::iter::once(&args.target).chain(indexes.iter().filter(|_| single)) {
        if path.symlink_metadata().is_ok() {
            return Err(Failure::failed(
                format!("{} is there already", path.display()),
                "name one that is not",
            ));
        }
    }
    let mut cut = Cut {
        partition,
        target: &args.target,
        single,
        range: from..to,
        disk: &RealDisk,
        writer: None,
        base: 0,
        made: false,
        epochs: Vec::new(),
        records: 0,
        exit: Exit::Done,
    };
    cut.copy()?;
    let (records, exit) = (cut.records, cut.exit);
    if !cut.made {
        return Err(Failure::new(
            if exit == Exit::Done { Exit::NoMatch } else { exit },
            format!("{} holds no records in {}: nothing was written", args.source.display(), args.offset),
            format!("see what it holds with: klog segment list {}", args.source.display()),
        ));
    }
    output::notice(context, &format!("{records} records written to {}", args.target.display()));
    Ok(exit)
}

struct Cut<'c> {
    partition: &'c Partition,
    target: &'c Path,
    single: bool,
    range: Range<i64>,
    disk: &'static dyn Disk,
    writer: Option<SegmentWriter<'static>>,
    /// What the offsets in the indexes of the segment under way are relative to.
    base: i64,
    /// Whether the target is there, be it without a record: batches that compaction emptied are copied too.
    made: bool,
    epochs: Vec<(i32, i64)>,
    records: u64,
    exit: Exit,
}

impl Cut<'_> {
    fn copy(&mut self) -> Result<(), Failure> {
        let mut inflate = Decompressor::new();
        for segment in &self.partition.segments {
            if segment.next.is_some_and(|next| next <= self.range.start)
                || segment.base.is_some_and(|base| base >= self.range.end)
            {
                continue;
            }
            if !self.single {
                self.close()?;
            }
            let mut scan = Scan::new(segment.open(self.disk)?, &segment.path, segment.limits());
            while let Some(piece) = scan.next()? {
                match piece {
                    Piece::Batch(at, batch) => {
                        let header = batch.header();
                        if header.base_offset >= self.range.end {
                            break;
                        }
                        if header.last_offset() < self.range.start {
                            continue;
                        }
                        let whole =
                            header.base_offset >= self.range.start && header.next_offset() <= self.range.end;
                        let last = header.last_offset().min(self.range.end.saturating_sub(1));
                        if whole {
                            self.put(header.base_offset..last, header.count, batch.bytes())?;
                            continue;
                        }
                        match trimmed(&batch, &self.range, &mut inflate) {
                            Ok(Some((base, count, bytes))) => self.put(base..last, count, &bytes)?,
                            Ok(None) => {}
                            Err(error) => {
                                complain(&segment.path, Some(at), &error.to_string());
                                self.exit = Exit::Corrupt;
                            }
                        }
                    }
                    Piece::Damage(damage) => {
                        complain(&segment.path, Some(damage.position.start), &damage.to_string());
                        self.exit = Exit::Corrupt;
                    }
                    Piece::Legacy(at, last, count) => {
                        let what = format!("{count} messages of format {} are left out", last.magic);
                        complain(&segment.path, Some(at.start), &what);
                        if self.exit == Exit::Done {
                            self.exit = Exit::Partly;
                        }
                    }
                    Piece::Growing(..) => {}
                }
            }
        }
        self.close()?;
        if !self.single && self.made {
            let like = self.partition.has_metadata.then_some(self.partition.dir.as_path());
            finish_folder(self.disk, self.target, &self.epochs, like).map_err(|error| written(&error))?;
        }
        Ok(())
    }

    /// Appends a batch of these offsets (the last one is the end) to the segment under way, which begins with it where
    /// there is none.
    fn put(&mut self, offsets: Range<i64>, count: i32, bytes: &[u8]) -> Result<(), Failure> {
        let size = bytes.len() as u64;
        let is_far = offsets.end.saturating_sub(self.base) > i64::from(i32::MAX);
        if self.writer.as_ref().is_some_and(|writer| is_far || writer.size() + size > MOST) {
            if self.single {
                return Err(self.too_much());
            }
            self.close()?;
        }
        if self.writer.is_none() {
            self.writer = Some(self.begin(offsets)?);
        }
        if let Some(writer) = &mut self.writer {
            writer.append(bytes).map_err(|error| written(&error))?;
        }
        self.records += u64::try_from(count).unwrap_or(0);
        Ok(())
    }

    fn too_much(&self) -> Failure {
        Failure::failed(
            format!("the records do not fit into one segment of {MOST} bytes and {} offsets", i32::MAX),
            "name a folder as DST: it gets several segments",
        )
    }

    fn begin(&mut self, offsets: Range<i64>) -> Result<SegmentWriter<'static>, Failure> {
        let first = offsets.start;
        if self.single {
            // The name of a segment says what the offsets in its indexes are relative to.
            let name = self.target.file_name().and_then(|name| name.to_str()).and_then(split_name);
            self.base = name.map_or(first, |(base, _)| base);
            if self.base > first {
                return Err(Failure::usage(
                    format!(
                        "{} is the name of offset {}, and the first record is {first}",
                        self.target.display(),
                        self.base
                    ),
                    format!("name it {first:020}.log"),
                ));
            }
            if offsets.end - self.base > i64::from(i32::MAX) {
                return Err(self.too_much());
            }
            self.made = true;
            return new_segment(self.disk, self.target, self.base).map_err(|error| written(&error));
        }
        if !self.made {
            new_folder(self.disk, self.target).map_err(|error| written(&error))?;
            self.made = true;
        }
        self.base = first;
        let path = self.target.join(format!("{first:020}.log"));
        new_segment(self.disk, &path, first).map_err(|error| written(&error))
    }

    fn close(&mut self) -> Result<(), Failure> {
        if let Some(writer) = self.writer.take() {
            self.epochs.extend_from_slice(writer.epochs());
            writer.finish().map_err(|error| written(&error))?;
        }
        Ok(())
    }
}
