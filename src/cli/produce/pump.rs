//! Carries records from the input to the producer; allocates nothing per line.

use std::collections::HashMap;
use std::io::{IsTerminal, Read};
use std::rc::Rc;
use std::time::Duration;

use memchr::memmem;
use tokio::time::{Instant, sleep_until};

use super::buffer::Buffer;
use super::no_topic;
use super::plan::{Plan, Shape};
use super::stdin::Stdin;
use super::take::Taken;
use super::transaction::{self, Due};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, plain};
use crate::cli::output::{self, Progress};
use crate::cli::signals::Signals;
use crate::client::producer::{Producer, Pushed, Topic};
use crate::client::{Client, ClientError};
use crate::model::time::{Clock, SystemClock};
use crate::model::units::show_size;

/// How often failures of delivery are looked for, and progress shown, while no input comes.
const LOOK: Duration = Duration::from_millis(200);
/// Bytes that a JSON envelope may need for one byte of the record, and for the rest of it.
const ENVELOPE_FACTOR: usize = 6;
const ENVELOPE_REST: usize = 64 * 1024;
/// What envelopes that name their topics may have: the broker says what each takes.
const LIMIT_OF_ANY: usize = 64 << 20;
/// Bytes of a record too large that are counted at most; more are "more than" these.
const MOST_COUNTED: u64 = 1 << 30;

/// The state of a run.
pub(super) struct Pump<'c> {
    pub(super) context: &'c Context,
    pub(super) producer: Producer,
    pub(super) plan: Plan,
    pub(super) topic: Option<Topic>,
    /// Topics that envelopes named.
    pub(super) topics: HashMap<String, Topic>,
    /// Bytes that a record may have as a batch of its own, where the command line names the topic.
    pub(super) limit: usize,
    /// How often a batch not yet full may be too old.
    tick: Duration,
    /// Records seen, bad ones too: the number of the line.
    pub(super) number: u64,
    pub(super) skipped: u64,
    pub(super) turn: u64,
    progress: Progress,
    tee: bool,
    /// When the transaction in hand is to be committed.
    pub(super) due: Due,
    /// Records pushed before the transaction in hand.
    pub(super) committed: u64,
    /// Nobody knows whether the last commit was done.
    pub(super) unknown: bool,
}

impl<'c> Pump<'c> {
    pub(super) async fn new(context: &'c Context, client: &Client, plan: Plan) -> Result<Pump<'c>, Failure> {
        let producer = match &plan.txn {
            Some(txn) => {
                output::detail(context, &format!("transactional id {}", txn.id));
                Producer::transactional(client, &txn.id).await
            }
            None => Producer::new(client).await,
        };
        let mut producer = producer.map_err(|error| transaction::refused(context, &plan, &error))?;
        let (mut topic, mut limit) = (None, LIMIT_OF_ANY);
        if let Some(name) = &plan.topic {
            let found = producer.topic(name).await.map_err(|error| no_topic(context, &error, name))?;
            let count = producer.partitions(found);
            if let Some(partition) = plan.partition.filter(|&partition| partition >= count) {
                let what = format!("no partition {partition} of topic {name}, which has {count}");
                return Err(Failure::missing(what, format!("allowed are 0 to {}", count - 1)));
            }
            limit = producer.limit(found);
            topic = Some(found);
        }
        let tee = plan.tee;
        let tick = client.options().linger.clamp(Duration::from_millis(1), LOOK);
        let mut progress = Progress::new(context, "produced");
        if std::io::stdin().is_terminal() {
            // Somebody types there.
            progress.clear();
        }
        Ok(Pump {
            context,
            producer,
            plan,
            topic,
            topics: HashMap::new(),
            limit,
            tick,
            number: 0,
            skipped: 0,
            turn: 0,
            progress,
            tee,
            due: Due::NEVER,
            committed: 0,
            unknown: false,
        })
    }

    /// Runs until the input ends, a signal comes or something fails; then sends what is in hand.
    pub(super) async fn run(mut self, signals: &Signals) -> Result<Exit, Failure> {
        let shape = Rc::clone(&self.plan.shape);
        self.begin()?;
        let read = match &*shape {
            Shape::Files(files) => self.files(files, signals).await,
            _ => self.stdin(signals).await,
        };
        let ended = match self.plan.txn {
            Some(_) => self.end(read, signals).await,
            // Whatever ended the input: the records before it are delivered.
            None => {
                let flushed = self.flush().await;
                read.and(flushed)
            }
        };
        self.progress.clear();
        ended?;
        self.summary();
        Ok(if self.skipped > 0 { Exit::Partly } else { Exit::Done })
    }

    fn summary(&self) {
        let done = self.producer.progress();
        if self.skipped > 0 {
            let safe = if self.plan.txn.is_some() { done.committed } else { done.acknowledged };
            let text = format!("{safe} records produced, {} skipped", self.skipped);
            output::complain(&format!("klog: {text}"));
        } else if output::stderr_is_lively(self.context) {
            let bytes = show_size(done.acknowledged_bytes);
            output::notice(self.context, &format!("{} records ({bytes}) produced", done.acknowledged));
        }
    }

    /// Reads stdin to its end or to a signal.
    async fn stdin(&mut self, signals: &Signals) -> Result<(), Failure> {
        let stdin = Stdin::open();
        let mut buffer = Buffer::new();
        while self.input(&stdin, signals).await? {
            let Some(len) = stdin.read(buffer.space()).map_err(|error| unreadable(&error))? else { continue };
            buffer.filled(len);
            self.drain(&mut buffer, len == 0, signals).await?;
            if len == 0 {
                return Ok(());
            }
            if buffer.len() > self.most_held() {
                return Err(self.too_long(&stdin, &buffer, signals).await);
            }
            let done = self.producer.progress();
            self.progress.at(done.acknowledged, done.acknowledged_bytes);
            if self.plan.eager && done.unacknowledged_bytes == 0 && !stdin.is_waiting() {
                self.producer.send_now();
            }
            // Files are always ready: without this nothing would leave before a batch is full.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Waits for input; false at a signal or a failure of delivery, which ends the input as well.
    async fn input(&mut self, stdin: &Stdin, signals: &Signals) -> Result<bool, Failure> {
        loop {
            let (done, far) = (self.producer.progress(), Instant::now() + LOOK);
            let busy = done.pushed > done.acknowledged;
            tokio::select! {
                biased;
                _ = signals.wait() => return Ok(false),
                ready = stdin.ready() => return ready.map(|()| true).map_err(|error| unreadable(&error)),
                () = sleep_until(self.due.at.unwrap_or(far)), if self.due.at.is_some() => self.turn(signals).await?,
                () = tokio::time::sleep(self.tick), if busy => {
                    self.progress.at(done.acknowledged, done.acknowledged_bytes);
                    // The error is kept: the flush tells it. Reading on would wait for input that may never come.
                    if self.producer.ready().await.is_err() {
                        return Ok(false);
                    }
                }
            }
        }
    }

    /// Takes every whole record out of the buffer.
    async fn drain(&mut self, buffer: &mut Buffer, at_end: bool, signals: &Signals) -> Result<(), Failure> {
        let now = self.plan.timestamp.unwrap_or_else(|| SystemClock::default().wall_ms());
        loop {
            let taken = self.take(buffer.data(), buffer.searched(), at_end, now)?;
            let (Taken::All(len) | Taken::Full(len) | Taken::NewTopic(len, _)) = taken;
            if self.tee && len > 0 {
                self.tee = output::data(buffer.data().get(..len).unwrap_or_default())?;
            }
            buffer.take(len);
            match taken {
                Taken::All(_) => break,
                Taken::Full(_) => self.make_room(signals).await?,
                Taken::NewTopic(_, name) => {
                    let topic = self.producer.topic(&name).await;
                    let topic = topic.map_err(|error| no_topic(self.context, &error, &name))?;
                    self.topics.insert(name, topic);
                }
            }
        }
        self.turn(signals).await?;
        if let Shape::Lines { delimiter, .. } = &*self.plan.shape {
            buffer.all_searched_but(delimiter.len() - 1);
        }
        Ok(())
    }

    /// Bytes of an unfinished record that are held at most.
    fn most_held(&self) -> usize {
        match *self.plan.shape {
            Shape::Envelope(_) | Shape::Format { .. } => {
                self.limit.saturating_mul(ENVELOPE_FACTOR).saturating_add(ENVELOPE_REST)
            }
            _ => self.limit,
        }
    }

    /// Counts how long the unfinished record in the buffer is, holding nothing more of it.
    async fn too_long(&mut self, stdin: &Stdin, buffer: &Buffer, signals: &Signals) -> Failure {
        self.number += 1;
        let delimiter = match &*self.plan.shape {
            Shape::Lines { delimiter, .. } | Shape::Format { delimiter, .. } => delimiter.clone(),
            _ => vec![b'\n'],
        };
        let whole = matches!(*self.plan.shape, Shape::Whole { .. });
        let mut scratch = vec![0; 1 << 20];
        let (mut size, mut tail) = (buffer.len() as u64, Vec::new());
        while size < MOST_COUNTED {
            match self.input(stdin, signals).await {
                Ok(true) => {}
                _ => break,
            }
            let len = match stdin.read(&mut scratch) {
                Ok(Some(len)) => len,
                Ok(None) => continue,
                Err(_) => 0,
            };
            if len == 0 {
                return self.too_large(size, "", self.limit);
            }
            // A delimiter may lie across two reads.
            let joined = [tail.as_slice(), scratch.get(..len).unwrap_or_default()].concat();
            if !whole && let Some(end) = memmem::find(&joined, &delimiter) {
                return self.too_large(size - tail.len() as u64 + end as u64, "", self.limit);
            }
            size += len as u64;
            let keep = joined.len().saturating_sub(delimiter.len() - 1);
            tail = joined.get(keep..).unwrap_or_default().to_vec();
        }
        self.too_large(size, "or more", self.limit)
    }

    /// Sends each file as one record.
    async fn files(&mut self, files: &[std::path::PathBuf], signals: &Signals) -> Result<(), Failure> {
        for path in files {
            if signals.received().is_some() {
                return Ok(());
            }
            self.number += 1;
            let mut bytes = Vec::new();
            // One byte over the limit tells that it is too large; it is not read further.
            let read = std::fs::File::open(path).and_then(|file| {
                let size = file.metadata().map(|facts| facts.len()).unwrap_or(0);
                file.take(self.limit as u64 + 1).read_to_end(&mut bytes).map(|len| size.max(len as u64))
            });
            let size = read.map_err(|error| Failure::io("read", path, &error))?;
            if bytes.len() > self.limit {
                let failure = self.too_large(size, "", self.limit);
                return Err(Failure { what: format!("{}: {}", path.display(), failure.what), ..failure });
            }
            let now = self.plan.timestamp.unwrap_or_else(|| SystemClock::default().wall_ms());
            if self.whole(&bytes, now)? == Pushed::Full {
                self.make_room(signals).await?;
            }
            self.turn(signals).await?;
        }
        Ok(())
    }

    /// Waits until the producer takes more; commits the transaction in hand where it is due.
    async fn make_room(&mut self, signals: &Signals) -> Result<(), Failure> {
        self.producer.ready().await.map_err(|error| self.explain(&error))?;
        self.turn(signals).await
    }

    /// Waits until everything is acknowledged, showing progress.
    pub(super) async fn flush(&mut self) -> Result<(), Failure> {
        loop {
            let flushed = tokio::select! {
                flushed = self.producer.flush() => Some(flushed),
                () = tokio::time::sleep(LOOK) => None,
            };
            let done = self.producer.progress();
            self.progress.at(done.acknowledged, done.acknowledged_bytes);
            if let Some(flushed) = flushed {
                return flushed.map_err(|error| self.explain(&error));
            }
        }
    }

    /// An error of the producer, with what is safe.
    pub(super) fn explain(&self, error: &ClientError) -> Failure {
        if self.plan.txn.is_some() {
            return self.explain_transaction(error);
        }
        let done = self.producer.progress();
        let failure = self.plan.explain(self.context, error);
        let safe = format!("{} of {} records are acknowledged and safe", done.acknowledged, done.pushed);
        let next = if failure.next.is_empty() { safe } else { format!("{safe}; {}", failure.next) };
        Failure { next, ..failure }
    }
}

fn unreadable(error: &std::io::Error) -> Failure {
    Failure::failed(format!("can't read stdin: {}", plain(error)), "")
}
