//! `klog segment dump`: records or batches of segment files to stdout; goes on behind damage and says so on stderr.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;

use super::grep::Grep;
use super::place::{Places, no_index};
use super::{Input, batches, complain, draw, open_all, progress, stdin};
use crate::cli::context::Context;
use crate::cli::envelope::{self, Values};
use crate::cli::exit::{Exit, Failure};
use crate::cli::format::{self, Fields, Format};
use crate::cli::output::{self, Progress};
use crate::inspect::read::{self, Bound, Event, Next, Select};
use crate::inspect::{
    BatchHeader, Decompressor, InspectError, Meter, Partition, Problem, Record, Scan, SegmentFile, machine,
    parallel, seek,
};

/// Bytes that go to stdout together.
const PIECE: usize = 96 << 10;

/// The flags of `klog segment dump`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Data folders, partitions' folders (t-0), segments in them, or - for a segment on stdin
    #[arg(required = true, value_name = "FILE|DIR", value_hint = clap::ValueHint::AnyPath)]
    paths: Vec<PathBuf>,

    /// Where to begin, and where to end: start, end, N, +N, -N, @TIME, ranges N:M, @T1:@T2, :end [default: start]
    #[arg(
        short = 'o',
        long,
        value_name = "WHERE[:END]",
        allow_hyphen_values = true,
        conflicts_with = "since"
    )]
    offset: Option<String>,

    /// Begin at a time: RFC 3339, a date, epoch ms, -1h
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,

    /// End at a time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,

    /// Stop after so many records (or batches)
    #[arg(short = 'n', long, value_name = "N")]
    count: Option<u64>,

    /// Only records that match: k:RE, v:RE or h:NAME=RE, after ! those that do not (repeatable; all have to hold)
    #[arg(long, value_name = "[!]k:RE|v:RE|h:NAME=RE", conflicts_with = "batches")]
    grep: Vec<String>,

    /// Batches instead of records: a line of tab-separated fields each, with -J a JSON object
    #[arg(long, conflicts_with_all = ["format", "delimiter", "null", "key_delimiter", "control"])]
    batches: bool,

    /// Control records (the ends of transactions) too
    #[arg(long)]
    control: bool,

    /// Write records by a format string, such as '%t %p %o %k %v\n'
    #[arg(short = 'f', long, value_name = "FORMAT", allow_hyphen_values = true, conflicts_with_all = ["json", "delimiter", "null", "key_delimiter"])]
    format: Option<String>,

    /// Write JSON envelopes, one a line; -J=json: values that are JSON stand there as they are
    #[arg(short = 'J', long, value_name = "json", num_args = 0..=1, require_equals = true,
          default_missing_value = "text", value_parser = ["text", "json"], hide_possible_values = true,
          conflicts_with_all = ["delimiter", "null", "key_delimiter"])]
    json: Option<String>,

    /// As -J=json
    #[arg(long, requires = "json")]
    json_values: bool,

    /// What is written after each value, a line end by default; escapes \n \t \0 \xNN
    #[arg(short = 'D', long, value_name = "DELIM", allow_hyphen_values = true)]
    delimiter: Option<String>,

    /// A NUL byte after each value
    #[arg(short = '0', long, conflicts_with = "delimiter")]
    null: bool,

    /// Write the key and DELIM before each value
    #[arg(short = 'K', long, value_name = "DELIM", allow_hyphen_values = true)]
    key_delimiter: Option<String>,
}

/// How what is found is written.
enum Shape {
    Value { delimiter: Vec<u8>, key: Option<Vec<u8>> },
    Format(Format),
    Envelope(Values),
    Batches { json: bool },
}

/// What one thread hands to the one that writes.
enum Out {
    Data(Vec<u8>),
    /// Where, and what is wrong.
    Problem(u64, Problem),
    Legacy(u64, u8, u64),
    Growing(u64),
    Failed(InspectError),
}

/// One segment to be read, and where in it to begin.
struct Item<'p> {
    partition: &'p Partition,
    segment: &'p SegmentFile,
    start: Option<(u64, i64)>,
    select: Select,
}

struct Dump<'c> {
    context: &'c Context,
    shape: Shape,
    greps: Vec<Grep>,
    control: bool,
    limit: Option<u64>,
    written: AtomicU64,
    meter: Meter,
    progress: Progress,
    exit: Exit,
}

/// Runs `klog segment dump`.
pub(super) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let (since, until) = (args.since.as_deref(), args.until.as_deref());
    let places = Places::parse(args.offset.as_deref(), since, until, "dump")?;
    let shape = shape(args)?;
    let greps = args.grep.iter().map(|text| Grep::parse(text)).collect::<Result<_, _>>();
    let greps: Vec<Grep> = greps.map_err(wrong("--grep"))?;
    for path in &args.paths {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        if matches!(extension, "index" | "timeindex" | "txnindex" | "snapshot") && path.is_file() {
            return Err(Failure::usage(
                format!("{} holds no records: it is a .{extension} file", path.display()),
                format!("see what is in it with: klog segment decode {}", path.display()),
            ));
        }
    }
    let inputs = open_all(&args.paths)?;
    let mut dump = Dump {
        context,
        shape,
        greps,
        control: args.control,
        limit: args.count,
        written: AtomicU64::new(0),
        meter: Meter::default(),
        progress: progress(context, "reading", &inputs),
        exit: Exit::Done,
    };
    if std::io::IsTerminal::is_terminal(&std::io::stdout()) {
        // Data and a bar would draw over each other.
        dump.progress.clear();
    }
    if let Shape::Batches { json: false } = dump.shape {
        let mut head = Vec::new();
        batches::head(&mut head);
        if !output::data(&head)? {
            return Ok(Exit::Done);
        }
    }
    for input in &inputs {
        if !dump.input(input, &places)? {
            // The reader is gone, or has what it wanted.
            return Ok(dump.exit);
        }
    }
    dump.progress.clear();
    let none = dump.written.load(Ordering::Relaxed) == 0;
    Ok(if none && !dump.greps.is_empty() && dump.exit == Exit::Done { Exit::NoMatch } else { dump.exit })
}

fn wrong(flag: &'static str) -> impl Fn(String) -> Failure {
    move |why| Failure::usage(format!("{flag}: {why}"), "see: klog segment dump --help")
}

fn shape(args: &Args) -> Result<Shape, Failure> {
    if args.batches {
        return Ok(Shape::Batches { json: args.json.is_some() });
    }
    if let Some(json) = &args.json {
        let embedded = args.json_values || json == "json";
        return Ok(Shape::Envelope(if embedded { Values::Json } else { Values::Text }));
    }
    if let Some(text) = &args.format {
        return Ok(Shape::Format(Format::parse(text).map_err(wrong("-f"))?));
    }
    let delimiter = match (&args.delimiter, args.null) {
        (_, true) => vec![0],
        (Some(text), _) => format::unescape(text).map_err(wrong("-D"))?,
        (None, false) => vec![b'\n'],
    };
    let key = args.key_delimiter.as_deref().map(format::unescape).transpose().map_err(wrong("-K"))?;
    Ok(Shape::Value { delimiter, key })
}

impl Dump<'_> {
    /// Writes one input; whether to go on with the next.
    fn input(&mut self, input: &Input, places: &Places) -> Result<bool, Failure> {
        match input {
            Input::Stdin(partition) => {
                let (from, to) = places.of_stream()?;
                let select = Select { from, to, control: self.control };
                self.partition(partition, None, select, true)
            }
            Input::Files(partitions) => {
                for partition in partitions {
                    let (from, to) = places.resolve(self.context, partition)?;
                    let select =
                        Select { from: Bound::Offset(from), to: Bound::Offset(to), control: self.control };
                    let place = match from {
                        ..1 => None,
                        from => seek::offset(machine().as_ref(), partition, from)?,
                    };
                    if place.is_some_and(|place| !place.by_index) {
                        output::notice(self.context, &no_index(partition));
                    }
                    if !self.partition(partition, place, select, false)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
        }
    }

    fn partition(
        &mut self,
        partition: &Partition,
        place: Option<seek::Place>,
        select: Select,
        is_stdin: bool,
    ) -> Result<bool, Failure> {
        let begin = place.map_or(0, |place| place.segment);
        let items: Vec<Item<'_>> = partition
            .segments
            .iter()
            .enumerate()
            .skip(begin)
            .filter(|(_, segment)| match (segment.base, select.to) {
                (Some(base), Bound::Offset(to)) => base < to,
                _ => true,
            })
            .map(|(at, segment)| Item {
                partition,
                segment,
                start: place
                    .filter(|place| place.segment == at && place.position > 0)
                    .map(|place| (place.position, place.offset)),
                select,
            })
            .collect();
        // A limit counts in the order of the records, so one thread reads them.
        let threads = if self.limit.is_some() { 1 } else { parallel::threads() };
        let worker = Worker {
            shape: &self.shape,
            greps: &self.greps,
            limit: self.limit,
            written: &self.written,
            meter: &self.meter,
        };
        let (context, exit, progress) = (self.context, &mut self.exit, &mut self.progress);
        let mut outcome = Ok(true);
        parallel::ordered(
            &items,
            threads,
            |_, item, sender| worker.item(item, is_stdin, sender),
            |at, out| {
                let path = items.get(at).map(|item| item.segment.path.as_path());
                match take(context, path.unwrap_or(&partition.dir), out, exit) {
                    Ok(true) => true,
                    stopped => {
                        outcome = stopped;
                        false
                    }
                }
            },
            || draw(progress, &self.meter),
        );
        let full = self.limit.is_some_and(|limit| self.written.load(Ordering::Relaxed) >= limit);
        outcome.map(|on| on && !full)
    }
}

/// Writes what a thread found; whether the reader of stdout is still there.
fn take(context: &Context, path: &std::path::Path, out: Out, exit: &mut Exit) -> Result<bool, Failure> {
    match out {
        Out::Data(bytes) => return output::data(&bytes),
        Out::Problem(at, problem) => {
            complain(path, Some(at), &problem.to_string());
            *exit = Exit::Corrupt;
        }
        Out::Legacy(at, magic, count) => {
            let what = format!(
                "{count} messages of format {magic} (before Kafka 0.11) are left out: klog reads format 2 only"
            );
            complain(path, Some(at), &what);
            if *exit == Exit::Done {
                *exit = Exit::Partly;
            }
        }
        Out::Growing(at) => {
            let text = format!("{} at {at}: the last batch is still being written", path.display());
            output::detail(context, &text);
        }
        Out::Failed(error) => return Err(error.into()),
    }
    Ok(true)
}

/// What the threads share.
struct Worker<'d> {
    shape: &'d Shape,
    greps: &'d [Grep],
    limit: Option<u64>,
    written: &'d AtomicU64,
    meter: &'d Meter,
}

impl Worker<'_> {
    fn item(&self, item: &Item<'_>, is_stdin: bool, sender: &SyncSender<Out>) {
        if let Err(error) = self.read(item, is_stdin, sender) {
            let gone = item.partition.is_live
                && matches!(&error, InspectError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound);
            if !gone {
                let _ = sender.send(Out::Failed(error));
            }
        }
    }

    fn is_full(&self) -> bool {
        self.limit.is_some_and(|limit| self.written.load(Ordering::Relaxed) >= limit)
    }

    fn read(&self, item: &Item<'_>, is_stdin: bool, sender: &SyncSender<Out>) -> Result<(), InspectError> {
        if self.is_full() {
            return Ok(());
        }
        let segment = item.segment;
        let source = if is_stdin { stdin() } else { segment.open(machine().as_ref())? };
        let mut scan = Scan::new(source, &segment.path, segment.limits());
        if let Some((position, offset)) = item.start {
            scan.start_at(position, offset);
        }
        let mut buf = Vec::with_capacity(PIECE);
        let mut select = item.select;
        let records = !matches!(self.shape, Shape::Batches { .. });
        let send = |buf: &mut Vec<u8>| {
            let full = std::mem::replace(buf, Vec::with_capacity(PIECE));
            if sender.send(Out::Data(full)).is_ok() { Next::On } else { Next::Stop }
        };
        let mut on = |event: Event<'_>| {
            let out = match event {
                Event::Record(header, record) => {
                    if !self.record(item.partition, header, record, &mut buf) {
                        return Next::On;
                    }
                    if buf.len() >= PIECE && send(&mut buf) == Next::Stop || self.is_full() {
                        return Next::Stop;
                    }
                    return Next::On;
                }
                Event::Batch(at, header) => {
                    self.meter.add(header.size() as u64);
                    if self.batch(at, header, true, &mut buf) && self.is_full()
                        || buf.len() >= PIECE && send(&mut buf) == Next::Stop
                    {
                        return Next::Stop;
                    }
                    return Next::On;
                }
                Event::Problem(at, problem) => {
                    if let Problem::Damage(damage) = &problem
                        && let Some(header) = &damage.header
                    {
                        self.batch(at, header, false, &mut buf);
                    }
                    Out::Problem(at, problem)
                }
                Event::Legacy(at, magic, count) => Out::Legacy(at, magic, count),
                Event::Growing(at) => Out::Growing(at),
            };
            // What was found before stands before.
            let gone = !buf.is_empty() && send(&mut buf) == Next::Stop || sender.send(out).is_err();
            if gone || self.is_full() { Next::Stop } else { Next::On }
        };
        read::segment(&mut scan, &mut select, records, &mut Decompressor::new(), &mut on)?;
        if !buf.is_empty() {
            let _ = sender.send(Out::Data(buf));
        }
        Ok(())
    }

    /// Appends a batch where batches are wanted; whether it did.
    fn batch(&self, at: u64, header: &BatchHeader, valid: bool, buf: &mut Vec<u8>) -> bool {
        let Shape::Batches { json } = self.shape else { return false };
        batches::write(buf, at, header, valid, *json);
        self.written.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Appends a record if it is wanted; whether it did.
    fn record(
        &self,
        partition: &Partition,
        header: &BatchHeader,
        record: &Record<'_>,
        buf: &mut Vec<u8>,
    ) -> bool {
        if !self.greps.iter().all(|grep| grep.wants(record)) {
            return false;
        }
        self.written.fetch_add(1, Ordering::Relaxed);
        let fields = || Fields {
            topic: &partition.topic,
            partition: partition.partition,
            offset: record.offset,
            leader_epoch: header.leader_epoch,
            timestamp: record.timestamp,
            key: record.key,
            value: record.value,
            headers: record.headers,
        };
        match self.shape {
            Shape::Value { delimiter, key } => {
                if let Some(between) = key {
                    buf.extend_from_slice(record.key.unwrap_or_default());
                    buf.extend_from_slice(between);
                }
                buf.extend_from_slice(record.value.unwrap_or_default());
                buf.extend_from_slice(delimiter);
            }
            Shape::Format(format) => format.write(buf, &fields()),
            Shape::Envelope(values) => envelope::write(buf, &fields(), *values),
            Shape::Batches { .. } => {}
        }
        true
    }
}
