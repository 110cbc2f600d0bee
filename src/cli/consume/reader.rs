//! The loop of `klog consume`: fetched records into stdout, with an eye on its reader, signals, the group and time.

use std::collections::{HashMap, HashSet};
use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::lookout::Lookout;
use super::plan::{Output, Plan};
use super::sink::Sink;
use crate::cli::context::Context;
use crate::cli::envelope;
use crate::cli::exit::{Exit, Failure, plain};
use crate::cli::format::Fields;
use crate::cli::output::{self, Progress};
use crate::cli::signals::Signals;
use crate::client::consumer::{Chunk, Consumer, Event};
use crate::client::group::{GroupEvent, Member};
use crate::client::{BatchHeader, Client, ClientError, Decompressor, Record, TopicView};
use crate::flow::ledger::Ledger;
use crate::model::id::{TopicId, TopicPartition};
use crate::model::time::{Clock, SystemClock};

/// How often a pipe is looked at while its reader is waited for; a pipe tells nobody that it is empty.
const LOOK: Duration = Duration::from_millis(2);
pub(super) const FAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// Why reading ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Everything asked for was read.
    Complete,
    /// `-n` records were read.
    Count,
    /// Nothing came for `--idle`.
    Idle,
    /// The time of `--deadline`.
    Deadline,
    /// The time of `--until`.
    Until,
    /// A signal.
    Signal,
    /// The reader of stdout left.
    HangUp,
}

/// The state of a run.
pub(super) struct Reader<'c> {
    pub(super) context: &'c Context,
    pub(super) plan: Plan,
    pub(super) signals: &'c Signals,
    pub(super) client: Client,
    pub(super) consumer: Consumer,
    pub(super) member: Option<Member>,
    pub(super) sink: Sink,
    pub(super) ledger: Ledger,
    /// Where partitions end for this run.
    pub(super) stops: HashMap<TopicPartition, i64>,
    /// Partitions that are still to give something; without stops all of them are.
    pub(super) open: HashSet<TopicPartition>,
    /// With a group: whether partitions were assigned at all.
    pub(super) assigned: bool,
    /// The generation of the last assignment, -1 before one.
    pub(super) generation: i32,
    /// The chunk in hand, and the offset to go on from.
    pub(super) chunk: Option<(Chunk, i64)>,
    /// Where partitions stood that were just given up, and in which topic, should they come straight back.
    pub(super) last: HashMap<TopicPartition, (TopicId, i64)>,
    /// Partitions that were said not to exist, and nothing came of them since.
    away: HashSet<TopicPartition>,
    /// Without a group or an end: who looks for partitions that come.
    pub(super) lookout: Option<Lookout>,
    scratch: Decompressor,
    records: u64,
    progress: Progress,
    idle_since: Instant,
    begun: Instant,
    pub(super) commit_at: Option<Instant>,
}

impl<'c> Reader<'c> {
    pub(super) fn with(
        context: &'c Context,
        plan: Plan,
        signals: &'c Signals,
        sink: Sink,
        client: Client,
        begun: Instant,
    ) -> Reader<'c> {
        let mut progress = Progress::new(context, "consumed");
        if std::io::stdout().is_terminal() {
            // The records are on the screen themselves.
            progress.clear();
        }
        Reader {
            context,
            plan,
            signals,
            consumer: Consumer::new(&client),
            client,
            member: None,
            sink,
            ledger: Ledger::default(),
            stops: HashMap::new(),
            open: HashSet::new(),
            assigned: false,
            generation: -1,
            chunk: None,
            last: HashMap::new(),
            away: HashSet::new(),
            lookout: None,
            scratch: Decompressor::new(),
            records: 0,
            progress,
            idle_since: begun,
            begun,
            commit_at: None,
        }
    }

    /// Reads a partition from an offset on, unless its end is there already. `topic` is the one that the offset is of,
    /// zero for whichever has the name.
    pub(super) fn read_from(&mut self, topic: TopicId, partition: &TopicPartition, offset: i64) {
        let stop = self.stops.get(partition).copied();
        self.ledger.hold(partition, offset);
        // Where the run has ends, a partition that came later belongs to a later run.
        if stop.map_or(self.stops.is_empty(), |stop| offset < stop) {
            self.open.insert(partition.clone());
            self.consumer.assign_of(topic, partition.clone(), offset, stop);
        }
    }

    /// Runs to one of the ends, then does what that end asks for.
    pub(super) async fn run(mut self) -> Result<Exit, Failure> {
        let end = self.read().await;
        self.progress.clear();
        let end = match end {
            Ok(end) => end,
            Err(failure) => {
                // What was read before goes out, and is committed as far as it was taken.
                let _ = self.sink.push();
                let _ = self.commit_delivered().await;
                self.leave().await;
                return Err(failure);
            }
        };
        self.finish(end).await
    }

    async fn read(&mut self) -> Result<End, Failure> {
        loop {
            if let Some(end) = self.ended() {
                return Ok(end);
            }
            if self.chunk.is_some() && self.sink.has_room() {
                self.write_chunk()?;
                // The tasks of the group and the connections run when this one lets them.
                tokio::task::yield_now().await;
                continue;
            }
            if self.chunk.is_none() {
                if let Some(event) = self.consumer.try_next() {
                    self.event(event)?;
                    continue;
                }
                self.push()?;
            }
            if let Some(end) = self.wait().await? {
                return Ok(end);
            }
        }
    }

    /// An end that is reached now.
    fn ended(&self) -> Option<End> {
        if self.signals.received().is_some() {
            return Some(End::Signal);
        }
        if self.sink.is_closed() {
            return Some(End::HangUp);
        }
        if self.plan.count.is_some_and(|count| self.records >= count) {
            return Some(End::Count);
        }
        // While the group has gone on and has not said how, positions can not be kept and partitions may come.
        let settled =
            self.member.as_ref().is_none_or(|member| self.assigned && member.generation() == self.generation);
        // A member stays one until its reader has all of it: what another gives up meanwhile is read too.
        let handed_over = self.member.is_none() || self.is_delivered();
        (settled && self.is_read() && handed_over).then_some(End::Complete)
    }

    /// Whether all there is to read was read, where the command reads to an end.
    fn is_read(&self) -> bool {
        let bounded = self.plan.exit || self.plan.stop.is_some();
        bounded && self.open.is_empty() && self.chunk.is_none()
    }

    /// Whether all that was read was written and, where positions are committed, taken.
    fn is_delivered(&self) -> bool {
        self.sink.waiting() == 0 && (!self.plan.commit || self.sink.delivered() == self.sink.written())
    }

    /// Waits for whatever comes first.
    async fn wait(&mut self) -> Result<Option<End>, Failure> {
        let far = self.begun + FAR;
        let idle = self.plan.idle.map_or(far, |idle| self.idle_since + idle);
        let deadline = self.plan.deadline.map_or(far, |deadline| self.begun + deadline);
        let until = self.plan.until.map_or(far, |until| {
            let left = until.saturating_sub(SystemClock::default().wall_ms());
            Instant::now() + Duration::from_millis(u64::try_from(left).unwrap_or(0)).min(FAR)
        });
        let commit = self.commit_at.unwrap_or(far);
        let (busy, waiting) = (self.chunk.is_some(), self.sink.waiting() > 0);
        let lingers = self.member.is_some() && self.is_read() && !waiting;
        tokio::select! {
            biased;
            _ = self.signals.wait() => return Ok(Some(End::Signal)),
            () = self.sink.hung_up() => return Ok(Some(End::HangUp)),
            event = next_of(&mut self.member), if self.member.is_some() => {
                let event = event.map_err(|error| self.group_failed(&error))?;
                self.group_event(event).await?;
            }
            () = sleep_until(commit), if self.commit_at.is_some() => self.commit_running().await?,
            ready = self.sink.writable(), if waiting => {
                ready.map_err(|error| stdout_failed(&error))?;
                self.push()?;
            }
            event = self.consumer.next(), if !busy => self.event(event)?,
            view = view_of(&mut self.lookout), if !busy => self.take_new(&view),
            () = sleep_until(idle), if self.plan.idle.is_some() && !waiting => return Ok(Some(End::Idle)),
            () = sleep_until(deadline), if self.plan.deadline.is_some() => return Ok(Some(End::Deadline)),
            () = sleep_until(until), if self.plan.until.is_some() => return Ok(Some(End::Until)),
            () = tokio::time::sleep(LOOK), if lingers => {}
        }
        Ok(None)
    }

    fn push(&mut self) -> Result<(), Failure> {
        self.sink.push().map_err(|error| stdout_failed(&error))
    }

    fn event(&mut self, event: Result<Event, ClientError>) -> Result<(), Failure> {
        match event.map_err(|error| self.plan.explain(self.context, &error))? {
            Event::Chunk(chunk) => {
                let from = chunk.start();
                self.away.remove(&chunk.partition);
                self.chunk = Some((chunk, from));
            }
            Event::Stopped(partition) => {
                self.open.remove(&partition);
            }
            Event::Gone { partition, topic } => {
                self.open.remove(&partition);
                let written = self.ledger.release(&partition);
                if let Some(lookout) = &self.lookout {
                    self.last.extend(written.map(|written| (partition.clone(), (topic, written))));
                    lookout.look_soon();
                }
                if self.away.insert(partition.clone()) {
                    output::notice(self.context, &format!("{partition} does not exist any more"));
                }
                if let Some(written) = written
                    && self.member.is_some()
                    && self.stops.is_empty()
                {
                    // It may come back before the group has noticed anything, which then hands nothing out anew.
                    self.read_from(topic, &partition, written);
                }
            }
            Event::Replaced(partition) => self.begin_anew(&partition),
            Event::Moved { partition, from, to } if to > from => {
                let text = format!(
                    "{partition}: records {from} to {} are gone ({} records); reading goes on at {to}",
                    to - 1,
                    to - from
                );
                output::notice(self.context, &text);
            }
            Event::Moved { partition, from, to } => {
                let text = format!("{partition}: offset {from} does not exist; reading goes on at {to}");
                output::notice(self.context, &text);
            }
        }
        Ok(())
    }

    /// Begins to read the partitions that came to a topic which is followed: at their start, for all in them is new.
    fn take_new(&mut self, view: &TopicView) {
        for index in 0..view.count() {
            let partition = TopicPartition::new(view.name.clone(), index);
            let wanted = self.plan.partitions.as_ref().is_none_or(|wanted| wanted.contains(&index));
            if !wanted || self.open.contains(&partition) {
                continue;
            }
            self.away.remove(&partition);
            // What was away for a while only is read on.
            let back =
                self.last.remove(&partition).filter(|(topic, _)| !topic.is_zero() && *topic == view.id);
            let (topic, offset) = back.unwrap_or((TopicId::ZERO, 0));
            output::notice(
                self.context,
                &format!("{partition} is there now; reading it from offset {offset} on"),
            );
            self.read_from(topic, &partition, offset);
        }
    }

    /// The topic was made anew: all of it is new. Where the run has ends, they were the old topic's.
    fn begin_anew(&mut self, partition: &TopicPartition) {
        self.away.remove(partition);
        self.open.remove(partition);
        self.ledger.release(partition);
        if !self.stops.is_empty() {
            let text = format!("{partition} does not exist any more: its topic was deleted and made anew");
            return output::notice(self.context, &text);
        }
        let text = format!("{partition}: the topic was deleted and made anew; reading goes on at its start");
        output::notice(self.context, &text);
        self.read_from(TopicId::ZERO, partition, 0);
        if self.plan.commit {
            // A position of the old topic may have been committed by name.
            self.ledger.begin_at(partition, 0);
            let soon = Instant::now() + self.plan.options.commit_interval;
            self.commit_at.get_or_insert(soon);
        }
    }

    /// Writes the records of the chunk in hand until it ends or stdout's reader is too far behind.
    fn write_chunk(&mut self) -> Result<(), Failure> {
        let Some((chunk, from)) = self.chunk.take() else { return Ok(()) };
        let slot = self.ledger.slot(&chunk.partition);
        let left = self.plan.count.map_or(u64::MAX, |count| count.saturating_sub(self.records));
        let marked = self.plan.commit && self.sink.is_watched();
        let before = (self.records, self.sink.end());
        let markers = if self.plan.control { chunk.markers(from) } else { Vec::new() };
        let mut markers = markers.into_iter().peekable();
        let (mut failed, mut records) = (None, 0);
        let (sink, ledger, plan) = (&mut self.sink, &mut self.ledger, &self.plan);
        let topic = &chunk.partition;
        let next = chunk.visit(from, &mut self.scratch, |header, record| {
            while let Some(marker) = markers.next_if(|marker| marker.offset < record.offset) {
                envelope::write_marker(sink.buffer(), topic, &marker);
            }
            write_record(&plan.output, sink.buffer(), topic, header, &record);
            records += 1;
            if marked {
                ledger.wrote(slot, sink.end(), record.offset + 1);
                if ledger.is_long() {
                    ledger.settle(sink.surely_delivered());
                }
            }
            if let Err(error) = sink.flow() {
                failed = Some(stdout_failed(&error));
            }
            let go_on = failed.is_none() && records < left && sink.has_room() && !sink.is_closed();
            if go_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        if let Some(failure) = failed {
            return Err(failure);
        }
        let next = next.map_err(|error| self.plan.explain(self.context, &error))?;
        while let Some(marker) = markers.next_if(|marker| marker.offset < next) {
            envelope::write_marker(self.sink.buffer(), &chunk.partition, &marker);
        }
        self.records += records;
        let end = self.sink.end();
        match marked {
            true => self.ledger.wrote(slot, end, next),
            false => self.ledger.wrote_and_delivered(slot, next),
        }
        if self.records > before.0 {
            self.idle_since = Instant::now();
            if self.plan.commit && self.commit_at.is_none() {
                self.commit_at = Some(self.idle_since + self.plan.options.commit_interval);
            }
            self.progress.at(self.records, end);
        }
        if next < chunk.next_offset() && records < left {
            self.chunk = Some((chunk, next));
        }
        Ok(())
    }

    /// What the end asks for: deliver, commit, leave, say.
    async fn finish(mut self, end: End) -> Result<Exit, Failure> {
        output::detail(self.context, &format!("stopped: {}", self.reason(end)));
        let handed_over = self.hand_over(end).await;
        // Whatever came of that: a member that stays would keep its partitions from the others.
        self.leave().await;
        handed_over?;
        if end != End::HangUp && output::stderr_is_lively(self.context) && !std::io::stdout().is_terminal() {
            output::notice(self.context, &format!("{} records consumed", self.records));
        }
        if end == End::Deadline
            && let Some(count) = self.plan.count
        {
            return Err(Failure::new(
                Exit::NotInTime,
                format!("{} of {count} records came before the deadline", self.records),
                "give a longer --deadline, or fewer records with -n",
            ));
        }
        Ok(Exit::Done)
    }

    /// Delivers and commits what the end asks for.
    async fn hand_over(&mut self, end: End) -> Result<(), Failure> {
        match end {
            End::HangUp => {}
            End::Signal => {
                self.cut_to_record();
                self.push()?;
                self.commit_delivered().await?;
            }
            End::Complete | End::Count | End::Idle | End::Deadline | End::Until => {
                // A signal cuts the wait short, not the commit of what was taken until then.
                if self.deliver(None).await? || self.signals.received().is_some() {
                    self.commit_delivered().await?;
                }
            }
        }
        Ok(())
    }

    fn reason(&self, end: End) -> &'static str {
        match end {
            End::Complete => "the end was reached",
            End::Count => "-n records were read",
            End::Idle => "nothing came for the time of --idle",
            End::Deadline => "the time of --deadline is over",
            End::Until => "the time of --until has come",
            End::Signal => "a signal came",
            End::HangUp => "nobody reads stdout any more",
        }
    }

    /// At a signal nothing more is begun: what waits behind the record in hand is dropped.
    fn cut_to_record(&mut self) {
        if let Some(end) = self.ledger.boundary(self.sink.written()) {
            self.sink.cut(end);
        }
    }

    /// Writes all that waits and, where positions are committed, waits until it was taken. False where that did not
    /// come about: a signal, a reader that left, or `within` over.
    pub(super) async fn deliver(&mut self, within: Option<Duration>) -> Result<bool, Failure> {
        let until = Instant::now() + within.unwrap_or(FAR);
        loop {
            self.push()?;
            if self.sink.is_closed() || self.signals.received().is_some() {
                return Ok(false);
            }
            let waiting = self.sink.waiting() > 0;
            if self.is_delivered() {
                return Ok(true);
            }
            tokio::select! {
                biased;
                _ = self.signals.wait() => return Ok(false),
                () = self.sink.hung_up() => return Ok(false),
                () = sleep_until(until) => return Ok(false),
                ready = self.sink.writable(), if waiting => ready.map_err(|error| stdout_failed(&error))?,
                () = tokio::time::sleep(LOOK), if !waiting => {}
            }
        }
    }
}

/// The next event of the group; only asked for with one.
async fn next_of(member: &mut Option<Member>) -> Result<GroupEvent, ClientError> {
    match member {
        Some(member) => member.next().await,
        None => std::future::pending().await,
    }
}

/// What a topic is like now; only told while topics are followed without a group.
async fn view_of(lookout: &mut Option<Lookout>) -> Arc<TopicView> {
    match lookout {
        Some(lookout) => lookout.next().await,
        None => std::future::pending().await,
    }
}

fn stdout_failed(error: &std::io::Error) -> Failure {
    Failure::failed(
        format!("can't write to stdout: {}", plain(error)),
        "the records not written are read again next time",
    )
}

/// Appends one record as the command was told to.
#[inline(always)]
fn write_record(
    how: &Output,
    out: &mut Vec<u8>,
    partition: &TopicPartition,
    header: &BatchHeader,
    record: &Record<'_>,
) {
    match how {
        Output::Value { delimiter, key } => {
            if let Some(delimiter) = key {
                out.extend_from_slice(record.key.unwrap_or_default());
                out.extend_from_slice(delimiter);
            }
            out.extend_from_slice(record.value.unwrap_or_default());
            match delimiter.as_slice() {
                &[byte] => out.push(byte),
                several => out.extend_from_slice(several),
            }
        }
        Output::Format(format) => format.write(out, &fields(partition, header, record)),
        Output::Envelope(values) => envelope::write(out, &fields(partition, header, record), *values),
    }
}

fn fields<'a>(partition: &'a TopicPartition, header: &BatchHeader, record: &Record<'a>) -> Fields<'a> {
    Fields {
        topic: &partition.topic,
        partition: partition.partition,
        offset: record.offset,
        leader_epoch: header.leader_epoch,
        timestamp: record.timestamp,
        key: record.key,
        value: record.value,
        headers: record.headers,
    }
}
