//! The threads that run the pipeline: chunks in, blocks out, in order; they talk to nobody else.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::block::{Block, Target};
use crate::client::consumer::Chunk;
use crate::client::producer::fits;
use crate::client::{ClientError, Decompressor, Record};
use crate::model::time::{Clock, SystemClock};
use crate::pipeline::{Input, OnError, Pipeline, Scratch, jq};

/// Results of a slow filter are not held back for longer than this.
const SOON: Duration = Duration::from_millis(20);
/// Bytes that may come of one record.
const MOST_OF_ONE: usize = 64 << 20;

/// What all workers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) pipeline: Pipeline,
    pub(super) on_error: OnError,
    /// The largest batch of each target; `usize::MAX` for stdout.
    pub(super) limits: Vec<usize>,
    /// Set once: workers end after the record in hand.
    pub(super) stop: AtomicBool,
}

/// What is to be run.
#[derive(Debug)]
pub(super) enum Work {
    /// Records of a partition.
    Chunk(Chunk),
    /// Whole lines of stdin; `first` is the number of the first, from 1.
    Lines { bytes: Bytes, first: u64 },
}

/// Work, and whose it is.
#[derive(Debug)]
pub(super) struct Order {
    /// The number of the holding of the partition.
    pub(super) seat: u64,
    /// False once the partition is not held any more: the work is pointless.
    pub(super) alive: Arc<AtomicBool>,
    pub(super) work: Work,
}

/// What came of a piece of work.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) seat: u64,
    pub(super) block: Block,
    /// The position after what this block covers.
    pub(super) next: i64,
    /// Where the first bad record lies, and why it is bad.
    pub(super) first_bad: Option<BadRecord>,
    /// Whether nothing more comes of this piece of work.
    pub(super) last: bool,
    /// Why the rest of the work was not done, if it failed.
    pub(super) failure: Option<Ended>,
}

/// A bad record.
#[derive(Debug, Clone)]
pub(super) struct BadRecord {
    pub(super) at: String,
    pub(super) step: String,
    pub(super) reason: String,
}

/// Why a worker stopped in the middle.
#[derive(Debug)]
pub(super) enum Ended {
    /// At a bad record.
    Bad(BadRecord),
    /// At damaged data.
    Client(ClientError),
}

/// Starts a worker; it ends when the order's sender, or the results' receiver, is gone.
pub(super) fn spawn(
    shared: Arc<Shared>,
    orders: mpsc::UnboundedReceiver<Order>,
    results: mpsc::Sender<Done>,
) -> io::Result<()> {
    let run = move || Worker::new(shared, results).run(orders);
    std::thread::Builder::new().name("pipeline".into()).stack_size(jq::STACK).spawn(run).map(drop)
}

struct Worker {
    shared: Arc<Shared>,
    results: mpsc::Sender<Done>,
    scratch: Scratch,
    decompressor: Decompressor,
    open: Open,
}

/// The block being filled.
struct Open {
    block: Block,
    since: Instant,
    first_bad: Option<BadRecord>,
}

impl Worker {
    fn new(shared: Arc<Shared>, results: mpsc::Sender<Done>) -> Self {
        let open = Open { block: Block::default(), since: Instant::now(), first_bad: None };
        Self { shared, results, scratch: Scratch::default(), decompressor: Decompressor::new(), open }
    }

    fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        while let Some(order) = orders.blocking_recv() {
            let sent = match order.work {
                Work::Chunk(ref chunk) => self.chunk(&order, chunk),
                Work::Lines { ref bytes, first } => self.lines(&order, bytes, first),
            };
            if sent.is_none() {
                return;
            }
        }
    }

    /// Whether to go on with an order.
    fn goes_on(&self, order: &Order) -> bool {
        !self.shared.stop.load(Ordering::Relaxed) && order.alive.load(Ordering::Relaxed)
    }

    fn chunk(&mut self, order: &Order, chunk: &Chunk) -> Option<()> {
        let mut next = chunk.start();
        let (mut failure, mut gone) = (None, false);
        self.open.since = Instant::now();
        if self.goes_on(order) {
            let mut decompressor = std::mem::take(&mut self.decompressor);
            let place = (&*chunk.partition.topic, chunk.partition.partition);
            let visited = chunk.visit(next, &mut decompressor, |_, record| {
                if let Err(bad) = self.record(&record, place) {
                    failure = Some(Ended::Bad(bad));
                    return ControlFlow::Break(());
                }
                next = record.offset + 1;
                if self.is_due() && self.send(order.seat, next, false, None).is_none() {
                    gone = true;
                }
                match gone || !self.goes_on(order) {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            });
            self.decompressor = decompressor;
            match visited {
                // Behind the last record there may be gaps and markers.
                Ok(after) if failure.is_none() => next = after,
                Ok(_) => {}
                Err(error) => failure = Some(Ended::Client(error)),
            }
        }
        if gone { None } else { self.send(order.seat, next, true, failure) }
    }

    fn lines(&mut self, order: &Order, bytes: &Bytes, first: u64) -> Option<()> {
        let now = SystemClock::default().wall_ms();
        let mut line = i64::try_from(first).unwrap_or(i64::MAX);
        let mut rest: &[u8] = bytes;
        let mut failure = None;
        self.open.since = Instant::now();
        while !rest.is_empty() && self.goes_on(order) {
            let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            let (value, behind) = rest.split_at(end);
            rest = behind.get(1..).unwrap_or_default();
            let headers = Default::default();
            let record = Record { offset: line, timestamp: now, key: None, value: Some(value), headers };
            if let Err(bad) = self.record(&record, (STDIN, 0)) {
                failure = Some(Ended::Bad(bad));
                break;
            }
            line += 1;
            if self.is_due() {
                self.send(order.seat, line, false, None)?;
            }
        }
        self.send(order.seat, line, true, failure)
    }

    fn is_due(&self) -> bool {
        self.open.block.is_full() || self.open.since.elapsed() >= SOON
    }

    /// Hands over the block and begins a new one; nothing where nobody takes it any more.
    fn send(&mut self, seat: u64, next: i64, last: bool, failure: Option<Ended>) -> Option<()> {
        let block = std::mem::take(&mut self.open.block);
        let first_bad = self.open.first_bad.take();
        self.results.blocking_send(Done { seat, block, next, first_bad, last, failure }).ok()?;
        self.open.since = Instant::now();
        Some(())
    }

    /// Runs one record. A bad one is dealt with as it is to be; where that is to stop, it is given back.
    fn record(&mut self, record: &Record<'_>, place: (&str, i32)) -> Result<(), BadRecord> {
        let shared = &self.shared;
        let block = &mut self.open.block;
        let mark = block.mark();
        let headers = block.add_headers(record.headers);
        let input = Input { key: record.key, value: record.value };
        let mut heads = Vec::new();
        let outcome = shared.pipeline.run(input, &mut self.scratch, &mut |item| {
            let limit = shared.limits.get(item.target).copied().unwrap_or(usize::MAX);
            if !record.headers.is_empty() && heads.is_empty() {
                heads.extend(record.headers);
            }
            if !fits(limit, record.timestamp, item.key, item.value, &heads) {
                let size = item.value.map_or(0, <[u8]>::len);
                return Err(format!(
                    "the result has {size} bytes, too large for its topic ({limit} allowed)"
                ));
            }
            if block.since(mark) > MOST_OF_ONE {
                return Err(format!("more than {MOST_OF_ONE} bytes came of one record"));
            }
            let target = Target::Sink(item.target);
            block.add_out(target, record.timestamp, (item.key, item.value), headers.clone());
            Ok(())
        });
        if let Err(bad) = outcome {
            block.back_to(mark);
            let step = shared.pipeline.step_name(bad.step);
            let what = BadRecord {
                at: match place.0 {
                    STDIN => format!("line {}", record.offset),
                    topic => format!("{topic}-{}@{}", place.1, record.offset),
                },
                step: step.to_owned(),
                reason: bad.reason,
            };
            match shared.on_error {
                OnError::Stop => return Err(what),
                OnError::Skip => {}
                OnError::DeadLetter(_) => block.add_dead_letter(record, place, (step, &what.reason)),
            }
            block.bad += 1;
            self.open.first_bad.get_or_insert(what);
        }
        block.read += 1;
        block.read_bytes += (record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len)) as u64;
        Ok(())
    }
}

/// What stands for the topic of a record that came from stdin.
const STDIN: &str = "-";
