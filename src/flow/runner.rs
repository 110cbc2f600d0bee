//! The loop of a run: orders to workers, blocks to sinks, positions to the group, until one of the ends.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, TryLockError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use super::ledger::Ledger;
use super::worker::{self, Done, Open, Order, Shared, Work};
use super::{Counts, End, FlowError, Host, Job, Lines, Source, source, stdin, together};
use crate::client::consumer::{Consumer, Event};
use crate::client::group::{GroupEvent, Member};
use crate::client::producer::{Producer, Topic};
use crate::client::{Client, ClientError};
use crate::model::id::{TopicId, TopicPartition};
use crate::pipeline::spec::STREAM;

/// Pieces of work that lie with each worker at most, the one in hand included.
const AHEAD: usize = 3;
/// Blocks that wait to be pushed at most.
const BLOCKS: usize = 8;
/// How long the records in hand are waited for at a signal; a filter may never end.
const IN_HAND: Duration = Duration::from_secs(2);
/// How long acknowledgements are waited for when a run ends early.
const ACKNOWLEDGE: Duration = Duration::from_secs(10);
/// How long a look at the topics may take that match a pattern.
const LOOKING: Duration = Duration::from_secs(5);
/// How long leaving the group may take; the session's time-out ends it otherwise.
const LEAVING: Duration = Duration::from_secs(2);
/// How often topics that match a pattern are looked for anew.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// Between two looks at workers that have work: what a slow filter made so far is carried, one that failed is noticed.
const LOOK_AFTER: Duration = Duration::from_millis(100);
/// Between two looks at a pipe that tells nobody that it is empty.
const LOOK: Duration = Duration::from_millis(2);
const FAR: Duration = Duration::from_secs(24 * 3600);
/// Bytes that wait for a slow reader of stdout at most before no more is taken.
const MOST_WAITING: usize = 1 << 20;

/// A partition that is held.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) number: u64,
    pub(super) worker: usize,
    pub(super) alive: Arc<AtomicBool>,
    /// Nothing more comes from the consumer.
    pub(super) ended: bool,
    /// High watermark and position, as last seen.
    pub(super) seen: (i64, i64),
}

/// A worker as the runner sees it.
#[derive(Debug)]
struct Hand {
    orders: mpsc::UnboundedSender<Order>,
    open: Arc<Mutex<Open>>,
    /// Pieces of work that it has.
    load: usize,
}

/// The state of a run.
pub(super) struct Runner<'h, L, H> {
    pub(super) client: Client,
    pub(super) job: Plan,
    pub(super) host: &'h mut H,
    pub(super) lines: Option<L>,
    pub(super) shared: Arc<Shared>,
    pub(super) producer: Producer,
    /// The topic of each target; nothing stands for stdout.
    pub(super) targets: Vec<Option<Topic>>,
    pub(super) dead_letters: Option<Topic>,
    pub(super) consumer: Consumer,
    pub(super) member: Option<Member>,
    pub(super) topics: Vec<String>,
    /// Where partitions end for this run.
    pub(super) stops: HashMap<TopicPartition, i64>,
    pub(super) seats: HashMap<TopicPartition, Seat>,
    pub(super) seats_made: u64,
    /// Whether the partitions of this member are known: not before the first assignment, nor in a rebalance.
    pub(super) assigned: bool,
    /// The generation of that assignment.
    pub(super) generation: i32,
    /// Whether it was said that the group is new.
    pub(super) told_new: bool,
    /// Where partitions stood that were just given up, should they come straight back.
    pub(super) last: HashMap<TopicPartition, (TopicId, i64)>,
    /// Partitions that were said not to exist, and nothing came of them since.
    pub(super) away: HashSet<TopicPartition>,
    /// Why the last commit was not kept, if it was not.
    pub(super) uncommitted: Option<ClientError>,
    /// How often a transaction was aborted and the group joined anew.
    pub(super) starts: u32,
    pub(super) ledger: Ledger,
    pub(super) counts: Counts,
    stdin: Option<mpsc::Receiver<Result<stdin::Lines, FlowError>>>,
    hands: Vec<Hand>,
    /// Which worker a holding's work lies with.
    owners: HashMap<u64, usize>,
    results: mpsc::Receiver<Done>,
    pub(super) commit_at: Option<Instant>,
    look_at: Option<Instant>,
    /// When workers that are at work are looked at.
    open_at: Instant,
    /// True once the run is to stop.
    stop: watch::Receiver<bool>,
}

/// What of the job the runner needs while it runs.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) source: Source,
    pub(super) group: String,
    pub(super) once: bool,
    pub(super) exactly_once: bool,
}

impl<'h, L: Lines, H: Host> Runner<'h, L, H> {
    /// Finds source and sinks, starts the workers, and begins to read or to join the group. Nothing where the run was
    /// told to stop, or the reader of stdout left, while a topic was waited for.
    pub(super) async fn new(
        client: &Client,
        job: Job,
        lines: Option<L>,
        host: &'h mut H,
        mut stop: watch::Receiver<bool>,
    ) -> Result<Option<Self>, FlowError> {
        let topics = tokio::select! {
            biased;
            () = told(&mut stop) => return Ok(None),
            () = hung_up(lines.as_ref()) => return Ok(None),
            topics = source::topics(client, &job.source, job.once, host) => topics?,
        };
        let mut producer = together::producer(client, job.exactly_once.as_deref()).await?;
        let (mut targets, mut limits) = (Vec::new(), Vec::new());
        for name in job.pipeline.targets() {
            let topic = if name == STREAM { None } else { Some(producer.topic(name).await?) };
            limits.push(topic.map_or(usize::MAX, |topic| producer.limit(topic)));
            targets.push(topic);
        }
        let Job { pipeline, source, group, once, exactly_once, on_error, threads } = job;
        let shared = Arc::new(Shared { pipeline, on_error, limits, stop: AtomicBool::new(false) });
        let (hands, results) = start_workers(&shared, &source, threads)?;
        let consumer = Consumer::new(client);
        let stops = if once { source::ends(client, &consumer, &topics).await? } else { HashMap::new() };
        let look_at = matches!(source, Source::Patterns(_)).then(|| Instant::now() + LOOK_AGAIN);
        let (member, stdin) = match source {
            Source::Stdin => (None, Some(stdin::start()?)),
            _ => (Some(Member::join(client, &group, &topics).await?), None),
        };
        Ok(Some(Self {
            client: client.clone(),
            job: Plan { source, group, once, exactly_once: exactly_once.is_some() },
            host,
            lines,
            shared,
            producer,
            targets,
            dead_letters: None,
            consumer,
            member,
            topics,
            stops,
            seats: HashMap::new(),
            seats_made: 0,
            assigned: false,
            generation: -1,
            told_new: false,
            last: HashMap::new(),
            away: HashSet::new(),
            uncommitted: None,
            starts: 0,
            ledger: Ledger::default(),
            counts: Counts::default(),
            stdin,
            hands,
            owners: HashMap::new(),
            results,
            commit_at: None,
            look_at: look_at.filter(|_| !once),
            open_at: Instant::now(),
            stop,
        }))
    }

    /// Runs to one of the ends, then does what that end asks for.
    pub(super) async fn run(mut self) -> Result<(End, Counts), FlowError> {
        let end = loop {
            match self.turn().await {
                Ok(None) => {}
                Ok(Some(end)) => break Ok(end),
                Err(error) => break Err(error),
            }
        };
        let outcome = match end {
            Ok(end) => self.finish(end).await.map(|()| end),
            Err(error) => {
                // What was carried before is kept, and its position too; the first failure is the one to tell.
                if !matches!(error, FlowError::Stream { .. }) {
                    let _ = self.deliver(None).await;
                }
                let _ = timeout(ACKNOWLEDGE, self.commit()).await;
                self.leave().await;
                Err(error)
            }
        };
        outcome.map(|end| (end, self.counts))
    }

    fn outstanding(&self) -> usize {
        self.hands.iter().map(|hand| hand.load).sum()
    }

    fn is_complete(&self) -> bool {
        let read = match self.job.source {
            Source::Stdin => self.stdin.is_none(),
            // While the group has gone on and has not said how, positions can not be kept and partitions may come.
            _ => {
                let member = self.member.as_ref();
                let settled = member.is_none_or(|member| member.generation() == self.generation);
                self.job.once && self.assigned && settled && self.seats.values().all(|seat| seat.ended)
            }
        };
        read && self.outstanding() == 0
    }

    fn is_backed_up(&self) -> bool {
        self.lines.as_ref().is_some_and(|lines| lines.waiting() >= MOST_WAITING)
    }

    /// Waits for whatever comes first, and does it.
    async fn turn(&mut self) -> Result<Option<End>, FlowError> {
        if self.lines.as_ref().is_some_and(Lines::is_closed) {
            return Ok(Some(End::HangUp));
        }
        if self.is_complete() {
            self.commit().await?;
            // Where the group went on just then, others may have come to the partitions, or this member to more.
            if self.is_complete() && self.ledger.uncommitted().is_empty() {
                return Ok(Some(End::Complete));
            }
        }
        let far = Instant::now() + FAR;
        let (commit, look) = (self.commit_at.unwrap_or(far), self.look_at.unwrap_or(far));
        let waiting = self.lines.as_ref().is_some_and(|lines| lines.waiting() > 0);
        let (busy, take) = (self.outstanding() > 0, !self.is_backed_up());
        let (seats, hands) = (&self.seats, &self.hands);
        let has_room = |worker: usize| hands.get(worker).is_some_and(|hand| hand.load < AHEAD);
        let wanted =
            |partition: &TopicPartition| seats.get(partition).is_none_or(|seat| has_room(seat.worker));
        tokio::select! {
            biased;
            () = told(&mut self.stop) => return Ok(Some(End::Stopped)),
            () = hung_up(self.lines.as_ref()) => return Ok(Some(End::HangUp)),
            event = next_of(self.member.as_mut()) => self.group_event(event?).await?,
            () = sleep_until(commit) => {
                self.commit_at = None;
                self.commit().await?;
            }
            () = sleep_until(look) => self.look_again().await?,
            ready = writable(self.lines.as_ref()), if waiting => {
                ready.map_err(stdout)?;
                self.push_lines()?;
            }
            Some(done) = self.results.recv(), if take => self.done(done).await?,
            event = self.consumer.next_where(wanted) => self.event(event?)?,
            piece = piece_of(self.stdin.as_mut()), if has_room(0) => self.piece(piece)?,
            () = sleep_until(self.open_at), if busy && take => {
                self.open_at = Instant::now() + LOOK_AFTER;
                self.take_open().await?;
            }
        }
        Ok(None)
    }

    /// A block came back.
    async fn done(&mut self, done: Done) -> Result<(), FlowError> {
        if done.last
            && let Some(hand) = self.owners.get(&done.seat).and_then(|&worker| self.hands.get_mut(worker))
        {
            hand.load -= 1;
        }
        self.take(done).await?;
        self.host.progress(&self.counts);
        // Nothing is coming at the moment: let what there is go.
        if self.outstanding() == 0 && self.results.is_empty() {
            self.producer.send_now();
            self.push_lines()?;
        }
        Ok(())
    }

    fn event(&mut self, event: Event) -> Result<(), FlowError> {
        match event {
            Event::Chunk(chunk) => {
                self.away.remove(&chunk.partition);
                let Some(seat) = self.seats.get_mut(&chunk.partition) else { return Ok(()) };
                seat.seen = (chunk.high_watermark(), seat.seen.1);
                let (number, worker, alive) = (seat.number, seat.worker, Arc::clone(&seat.alive));
                self.order(worker, Order { seat: number, alive, work: Work::Chunk(chunk) })?;
            }
            Event::Stopped(partition) => {
                if let Some(seat) = self.seats.get_mut(&partition) {
                    seat.ended = true;
                }
            }
            Event::Gone { partition, topic } => {
                if self.away.insert(partition.clone()) {
                    self.host.notice(&format!("{partition} does not exist any more"));
                }
                let carried = self.give_up(&partition);
                if let Some(carried) = carried.filter(|_| !self.job.once) {
                    // It may come back before the group has noticed anything, which then hands nothing out anew.
                    self.read_from(topic, &partition, carried);
                }
            }
            Event::Replaced(partition) => self.begin_anew(&partition),
            Event::Moved { partition, from, to } if to > from => self.host.notice(&format!(
                "{partition}: records {from} to {} are gone ({} records); reading goes on at {to}",
                to - 1,
                to - from
            )),
            Event::Moved { partition, from, to } => self
                .host
                .notice(&format!("{partition}: offset {from} does not exist; reading goes on at {to}")),
        }
        Ok(())
    }

    /// Lines of stdin came, or their end.
    fn piece(&mut self, piece: Option<Result<stdin::Lines, FlowError>>) -> Result<(), FlowError> {
        let Some(stdin::Lines { bytes, first }) = piece.transpose()? else {
            self.stdin = None;
            return Ok(());
        };
        let alive = Arc::new(AtomicBool::new(true));
        self.order(0, Order { seat: 0, alive, work: Work::Lines { bytes, first } })
    }

    fn order(&mut self, worker: usize, order: Order) -> Result<(), FlowError> {
        self.owners.insert(order.seat, worker);
        let hand = self.hands.get_mut(worker);
        let sent = hand.is_some_and(|hand| {
            hand.load += 1;
            hand.orders.send(order).is_ok()
        });
        if sent { Ok(()) } else { Err(FlowError::Worker) }
    }

    /// The worker with the least to do, by partitions.
    pub(super) fn least_busy(&self) -> usize {
        let held = |worker: &usize| self.seats.values().filter(|seat| seat.worker == *worker).count();
        (0..self.hands.len()).min_by_key(held).unwrap_or(0)
    }

    /// Topics that match a pattern may be there that were not before: then the group is joined anew.
    async fn look_again(&mut self) -> Result<(), FlowError> {
        self.look_at = Some(Instant::now() + LOOK_AGAIN);
        let Source::Patterns(patterns) = &self.job.source else { return Ok(()) };
        // A broker that is away is asked again later.
        let Ok(Ok(topics)) = timeout(LOOKING, self.client.topics()).await else { return Ok(()) };
        let found = patterns.select(&topics);
        if found == self.topics || found.is_empty() {
            return Ok(());
        }
        self.host.detail(&format!("topics that match by now: {}", found.join(", ")));
        self.commit().await?;
        for partition in self.seats.keys().cloned().collect::<Vec<_>>() {
            self.give_up(&partition);
        }
        self.leave().await;
        self.assigned = false;
        self.member = Some(Member::join(&self.client, &self.job.group, &found).await?);
        self.topics = found;
        Ok(())
    }

    /// What the end asks for: finish what is in hand, deliver, commit, leave.
    async fn finish(&mut self, end: End) -> Result<(), FlowError> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let done = match end {
            End::HangUp => self.abandon().await,
            End::Stopped => match self.drain().await {
                Ok(()) => self.commit().await,
                failed => failed,
            },
            End::Complete => match self.deliver(None).await {
                // A signal cuts the wait short, not the commit of what was taken until then.
                Ok(all) if all || *self.stop.borrow() => self.commit().await,
                Ok(_) => self.abandon().await,
                Err(error) => Err(error),
            },
        };
        self.leave().await;
        match (done, self.uncommitted.take()) {
            (Ok(()), Some(error)) if end == End::Complete => Err(FlowError::NotCommitted(error)),
            (done, _) => done,
        }
    }

    /// The reader of stdout left: nothing further is committed. What stdin gave can not be read again, so what is on
    /// its way to topics still goes there.
    async fn abandon(&mut self) -> Result<(), FlowError> {
        if matches!(self.job.source, Source::Stdin) {
            let _ = timeout(ACKNOWLEDGE, self.producer.flush()).await;
        }
        Ok(())
    }

    /// Takes what workers have done but not handed over.
    async fn take_open(&mut self) -> Result<(), FlowError> {
        let mut found = Vec::new();
        for hand in self.hands.iter().filter(|hand| hand.load > 0) {
            // Who holds the lock hands over just now, or is about to be done with a record.
            let mut open = match hand.open.try_lock() {
                Ok(open) => open,
                Err(TryLockError::Poisoned(failed)) => failed.into_inner(),
                Err(TryLockError::WouldBlock) => continue,
            };
            while let Ok(done) = self.results.try_recv() {
                found.push(done);
            }
            found.extend(open.take());
            if hand.orders.is_closed() {
                return Err(FlowError::Worker);
            }
        }
        for done in found {
            self.done(done).await?;
        }
        // A slow filter fills no batch for a long time.
        self.producer.send_now();
        Ok(())
    }

    /// Takes what workers still have, until they have nothing or the time is over.
    async fn drain(&mut self) -> Result<(), FlowError> {
        let until = Instant::now() + IN_HAND;
        while self.outstanding() > 0 {
            match timeout_at(until, self.results.recv()).await {
                Ok(Some(done)) => self.done(done).await?,
                Ok(None) => return Ok(()),
                Err(_) => return self.take_open().await,
            }
        }
        Ok(())
    }

    /// Waits until stdout took everything and, where positions are kept, its reader too. False where that did not come
    /// about: told to stop, the reader left, or `within` over.
    pub(super) async fn deliver(&mut self, within: Option<Duration>) -> Result<bool, FlowError> {
        let until = Instant::now() + within.unwrap_or(FAR);
        loop {
            self.push_lines()?;
            let Some(lines) = &self.lines else { return Ok(true) };
            let waiting = lines.waiting() > 0;
            if lines.is_closed() {
                return Ok(false);
            }
            if !waiting && (self.member.is_none() || lines.delivered() == lines.end()) {
                return Ok(true);
            }
            tokio::select! {
                biased;
                () = told(&mut self.stop) => return Ok(false),
                () = lines.hung_up() => return Ok(false),
                ready = lines.writable(), if waiting => ready.map_err(stdout)?,
                () = sleep(LOOK), if !waiting => {}
                () = sleep_until(until) => return Ok(false),
            }
        }
    }

    pub(super) fn push_lines(&mut self) -> Result<(), FlowError> {
        self.lines.as_mut().map_or(Ok(()), Lines::push).map_err(stdout)
    }

    pub(super) async fn leave(&mut self) {
        if let Some(member) = self.member.take() {
            // Whether or not the broker hears it, the run ends.
            let _ = timeout(LEAVING, member.leave()).await;
        }
    }
}

/// Workers: for stdin one, for topics one for each core.
fn start_workers(
    shared: &Arc<Shared>,
    source: &Source,
    threads: usize,
) -> Result<(Vec<Hand>, mpsc::Receiver<Done>), FlowError> {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let count = match (source, threads) {
        (Source::Stdin, _) => 1,
        (_, 0) => cores(),
        (_, threads) => threads,
    };
    let (sender, results) = mpsc::channel(BLOCKS);
    let mut hands = Vec::new();
    for _ in 0..count {
        let (orders, taken) = mpsc::unbounded_channel();
        let open = worker::spawn(Arc::clone(shared), taken, sender.clone()).map_err(FlowError::Thread)?;
        hands.push(Hand { orders, open, load: 0 });
    }
    Ok((hands, results))
}

pub(super) fn stdout(error: std::io::Error) -> FlowError {
    FlowError::Stream { doing: "write to stdout", error }
}

/// Returns once the run is told to stop.
async fn told(stop: &mut watch::Receiver<bool>) {
    // The sender lives for as long as the run.
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending().await
    }
}

async fn next_of(member: Option<&mut Member>) -> Result<GroupEvent, ClientError> {
    match member {
        Some(member) => member.next().await,
        None => std::future::pending().await,
    }
}

async fn piece_of(
    stdin: Option<&mut mpsc::Receiver<Result<stdin::Lines, FlowError>>>,
) -> Option<Result<stdin::Lines, FlowError>> {
    match stdin {
        Some(stdin) => stdin.recv().await,
        None => std::future::pending().await,
    }
}

async fn hung_up<L: Lines>(lines: Option<&L>) {
    match lines {
        Some(lines) => lines.hung_up().await,
        None => std::future::pending().await,
    }
}

async fn writable<L: Lines>(lines: Option<&L>) -> std::io::Result<()> {
    match lines {
        Some(lines) => lines.writable().await,
        None => std::future::pending().await,
    }
}
