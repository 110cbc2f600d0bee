//! The threads that run the pipeline: chunks in, blocks out, in order; they talk to nobody else.
//!
//! The block being filled lies behind a lock that its worker takes once a record, never while a filter runs, and
//! holds while it hands the block over. The runner only tries it: so it gets what is done already also where a filter
//! takes its time, and never ahead of an earlier block.

use std::io;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::block::{Block, Out, Target};
use crate::client::consumer::Chunk;
use crate::client::producer::fits;
use crate::client::{ClientError, Decompressor, Header, Record};
use crate::model::time::{Clock, SystemClock};
use crate::pipeline::{Bad, Input, OnError, Pipeline, Scratch, jq};

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
    /// The position after what this block covers; nothing where no work was done, which is no position either.
    pub(super) next: Option<i64>,
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

/// The block being filled.
#[derive(Debug, Default)]
pub(super) struct Open {
    seat: u64,
    block: Block,
    next: Option<i64>,
    first_bad: Option<BadRecord>,
}

impl Open {
    /// Takes out what is there, if any record was read for it.
    pub(super) fn take(&mut self) -> Option<Done> {
        (self.block.read > 0).then(|| self.hand_over(false, None))
    }

    fn hand_over(&mut self, last: bool, failure: Option<Ended>) -> Done {
        Done {
            seat: self.seat,
            block: std::mem::take(&mut self.block),
            next: self.next,
            first_bad: self.first_bad.take(),
            last,
            failure,
        }
    }
}

/// Starts a worker; it ends when the orders' sender, or the results' receiver, is gone.
pub(super) fn spawn(
    shared: Arc<Shared>,
    orders: mpsc::UnboundedReceiver<Order>,
    results: mpsc::Sender<Done>,
) -> io::Result<Arc<Mutex<Open>>> {
    let open = Arc::new(Mutex::new(Open::default()));
    let worker = Worker {
        shared,
        results,
        scratch: Scratch::default(),
        decompressor: Decompressor::new(),
        staged: Block::default(),
        open: Arc::clone(&open),
    };
    let run = move || worker.run(orders);
    std::thread::Builder::new().name("pipeline".into()).stack_size(jq::STACK).spawn(run)?;
    Ok(open)
}

struct Worker {
    shared: Arc<Shared>,
    results: mpsc::Sender<Done>,
    scratch: Scratch,
    decompressor: Decompressor,
    /// What came of the record in hand.
    staged: Block,
    open: Arc<Mutex<Open>>,
}

/// How a record went.
enum Went {
    /// On to the next.
    On,
    /// Nobody takes results any more, or the partition is given up.
    Away,
    /// It is bad, and that is to stop everything.
    Bad(BadRecord),
}

impl Worker {
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

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, order: &Order) {
        let mut open = self.open();
        // Work that is passed over must not move the position over work that was broken off before it.
        (open.seat, open.next) = (order.seat, None);
    }

    /// Whether to go on with an order.
    fn goes_on(&self, order: &Order) -> bool {
        !self.shared.stop.load(Ordering::Relaxed) && order.alive.load(Ordering::Relaxed)
    }

    fn chunk(&mut self, order: &Order, chunk: &Chunk) -> Option<()> {
        self.begin(order);
        let mut failure = None;
        if self.goes_on(order) {
            let mut decompressor = std::mem::take(&mut self.decompressor);
            let place = (&*chunk.partition.topic, chunk.partition.partition);
            let visited = chunk.visit(chunk.start(), &mut decompressor, |_, record| {
                match self.record(order, &record, place) {
                    Went::On => return ControlFlow::Continue(()),
                    Went::Away => {}
                    Went::Bad(bad) => failure = Some(Ended::Bad(bad)),
                }
                ControlFlow::Break(())
            });
            self.decompressor = decompressor;
            match visited {
                // Behind the last record there may be gaps and markers.
                Ok(after) if failure.is_none() => self.open().next = Some(after),
                Ok(_) => {}
                Err(error) => failure = Some(Ended::Client(error)),
            }
        }
        self.send(self.open(), true, failure)
    }

    fn lines(&mut self, order: &Order, bytes: &Bytes, first: u64) -> Option<()> {
        let now = SystemClock::default().wall_ms();
        let mut line = i64::try_from(first).unwrap_or(i64::MAX);
        self.begin(order);
        let mut rest: &[u8] = bytes;
        let mut failure = None;
        while !rest.is_empty() && self.goes_on(order) {
            let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            let (value, behind) = rest.split_at(end);
            rest = behind.get(1..).unwrap_or_default();
            if value.trim_ascii().is_empty() {
                // As jq reads it: nothing between values.
                line += 1;
                continue;
            }
            let headers = Default::default();
            let record = Record { offset: line, timestamp: now, key: None, value: Some(value), headers };
            match self.record(order, &record, (STDIN, 0)) {
                Went::On => line += 1,
                Went::Away => break,
                Went::Bad(bad) => {
                    failure = Some(Ended::Bad(bad));
                    break;
                }
            }
        }
        self.send(self.open(), true, failure)
    }

    /// Hands over the block; nothing where nobody takes it any more.
    fn send(&self, mut open: MutexGuard<'_, Open>, last: bool, failure: Option<Ended>) -> Option<()> {
        self.results.blocking_send(open.hand_over(last, failure)).ok()
    }

    /// Runs one record. A bad one is dealt with as it is to be; where that is to stop, it is given back.
    fn record(&mut self, order: &Order, record: &Record<'_>, place: (&str, i32)) -> Went {
        self.staged.clear();
        let mut first_bad = None;
        if let Err(bad) = self.transform(record) {
            self.staged.clear();
            let step = self.shared.pipeline.step_name(bad.step).to_owned();
            let at = match place {
                (STDIN, _) => format!("line {}", record.offset),
                (topic, partition) => format!("{topic}-{partition}@{}", record.offset),
            };
            match self.shared.on_error {
                OnError::Stop => return Went::Bad(BadRecord { at, step, reason: bad.reason }),
                OnError::Skip => {}
                OnError::DeadLetter(_) => self.staged.add_dead_letter(record, place, (&step, &bad.reason)),
            }
            self.staged.bad = 1;
            first_bad = Some(BadRecord { at, step, reason: bad.reason });
        }
        self.staged.read = 1;
        self.staged.read_bytes =
            (record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len)) as u64;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.block.append(&mut self.staged);
        open.next = Some(record.offset + 1);
        if open.first_bad.is_none() {
            open.first_bad = first_bad;
        }
        if open.block.is_full() && self.send(open, false, None).is_none() {
            return Went::Away;
        }
        if self.goes_on(order) { Went::On } else { Went::Away }
    }

    /// Runs one record through the pipeline into the stage.
    fn transform(&mut self, record: &Record<'_>) -> Result<(), Bad> {
        let (shared, staged) = (&self.shared, &mut self.staged);
        let headers = staged.add_headers(record.headers);
        let heads: Vec<Header<'_>> = record.headers.collect();
        let input = Input { key: record.key, value: record.value };
        shared.pipeline.run(input, &mut self.scratch, &mut |item| {
            let limit = shared.limits.get(item.target).copied().unwrap_or(usize::MAX);
            if !fits(limit, record.timestamp, item.key, item.value, &heads) {
                let size = item.value.map_or(0, <[u8]>::len);
                return Err(format!(
                    "the result has {size} bytes, too large for its topic ({limit} allowed)"
                ));
            }
            if staged.size() + staged.outs.len() * size_of::<Out>() > MOST_OF_ONE {
                return Err(format!("more than {MOST_OF_ONE} bytes came of one record"));
            }
            let target = Target::Sink(item.target);
            staged.add_out(target, record.timestamp, (item.key, item.value), headers.clone());
            Ok(())
        })
    }
}

/// What stands for the topic of a record that came from stdin.
const STDIN: &str = "-";
