//! One connection, from its first byte to its last, as one future; must never answer out of order, nor hold what a slow peer does not take.
//!
//! It polls its call, its pending answers and its socket itself, in one task: an acknowledgement is one wake-up
//! from the flusher and one write.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::AsyncWrite;
use tokio::time::Instant;

use super::budget::Claim;
use super::clock::{Deadlines, Silence};
use super::end::End;
use super::input::{Failure, Frame, Input, Read};
use super::meters::{Ledger, ListenerMeter, Mark};
use super::output::{Flushed, Output};
use super::service::{Call, Service};
use super::shared::Shared;
use crate::auth::MAX_STEP;
use crate::broker::Peer;
use crate::broker::api::{Outcome, Reply};
use crate::net::Stream;
use crate::wire::api::ApiKey;
use crate::wire::frame::split_request;
use crate::wire::limits::{LENGTH_PREFIX, MIN_REQUEST};

/// Answers that may be waited for before the next request of the connection is begun.
const IN_FLIGHT: usize = 128;
/// Answers in memory that the peer has not taken before the next request is begun, in bytes ...
const UNTAKEN: usize = 64 << 10;
/// ... and in pieces, of which files hold a descriptor.
const UNTAKEN_PIECES: usize = 64;
/// The longest frame of a peer that has not authenticated yet, whatever `sasl.server.max.receive.size` says: a step of a
/// mechanism, a request's head, and no room for much else.
const UNPROVEN_FRAME: usize = MAX_STEP + (4 << 10);
/// How long a peer may take to authenticate where its listener demands that.
const UNPROVEN: Duration = Duration::from_secs(60);
/// Requests after which other connections of the worker get their turn.
const TURN: usize = 16;

enum Answer {
    Ready(Reply, Mark),
    Later(Pin<Box<dyn Future<Output = Reply> + Send>>, Mark),
}

struct Running {
    call: Call,
    /// Whether it may be left when the server stops or the peer has gone: it only waits.
    waits: bool,
    mark: Mark,
    /// Its frame's room, given back when it is done.
    _claim: Option<Claim>,
}

pub(super) struct Connection<S: Service> {
    shared: Arc<Shared<S>>,
    peer: Arc<Peer>,
    stream: Stream,
    input: Input,
    output: Output,
    ledger: Ledger,
    running: Option<Running>,
    /// Answers behind one that is waited for, in order.
    answers: VecDeque<Answer>,
    /// Bytes of those that are ready.
    ready: usize,
    /// The peer sends no more.
    ended: bool,
    /// The peer has yet to prove who it is: its frames are bounded more tightly.
    unproven: bool,
    /// When it came.
    begun: Instant,
    /// Why it ends once the answers so far are sent; nothing more is read or begun.
    last: Option<String>,
    silence: Silence,
    deadlines: Deadlines,
}

impl<S: Service> Connection<S> {
    pub(super) fn new(
        shared: Arc<Shared<S>>,
        peer: Arc<Peer>,
        stream: Stream,
        listener: Arc<ListenerMeter>,
    ) -> Self {
        let limits = &shared.limits;
        let input = Input::new(Arc::clone(&shared.budget), limits.request_max_bytes);
        let deadlines = Deadlines::new(limits.idle, shared.stop.listen());
        let mut connection = Self {
            stream,
            input,
            output: Output::default(),
            ledger: Ledger::new(listener),
            running: None,
            answers: VecDeque::new(),
            ready: 0,
            ended: false,
            unproven: !peer.is_admitted(),
            begun: Instant::now(),
            last: None,
            peer,
            silence: Silence::default(),
            deadlines,
            shared,
        };
        connection.bound();
        connection
    }

    /// How long a frame may be, by how far the peer has authenticated.
    fn bound(&mut self) {
        if !self.unproven {
            return;
        }
        let limits = &self.shared.limits;
        self.unproven = !self.peer.is_admitted();
        let longest = if self.unproven {
            limits.sasl_max_bytes.min(UNPROVEN_FRAME).min(limits.request_max_bytes)
        } else {
            limits.request_max_bytes
        };
        self.input.bound(if self.peer.speaks_raw() { 0 } else { MIN_REQUEST }, longest);
    }

    /// Does all that can be done now.
    fn turn(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        let mut begun = 0;
        loop {
            let mut moved = self.answer(cx)?;
            moved |= self.work(cx, &mut begun)?;
            moved |= self.flush(cx)?;
            if begun >= TURN {
                cx.waker().wake_by_ref();
                return Ok(());
            }
            if self.done() {
                if let Some(reason) = self.last.take() {
                    return Err(End::Broker(reason));
                }
                return Err(if self.input.unfinished() { End::Truncated } else { End::Closed });
            }
            moved |= self.read(cx)?;
            if !moved {
                return Ok(());
            }
        }
    }

    /// Whether the peer has gone and has had all its answers.
    fn done(&self) -> bool {
        (self.ended || self.last.is_some())
            && self.running.is_none()
            && self.answers.is_empty()
            && self.output.is_empty()
    }

    /// Whether the next request may be begun.
    fn open(&self) -> bool {
        let (memory, pieces) = self.output.waiting();
        self.answers.len() < IN_FLIGHT
            && self.ready + memory < UNTAKEN
            && pieces < UNTAKEN_PIECES
            && self.last.is_none()
            && !self.shared.stop.now()
    }

    /// Moves answers to the output, as far as they are there.
    fn answer(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        let mut moved = false;
        while let Some(answer) = self.answers.front_mut() {
            let (reply, mark) = match answer {
                Answer::Ready(reply, mark) => {
                    self.ready = self.ready.saturating_sub(reply.len());
                    (std::mem::take(reply), *mark)
                }
                Answer::Later(later, mark) => match later.as_mut().poll(cx) {
                    Poll::Ready(reply) => (reply, *mark),
                    Poll::Pending => break,
                },
            };
            self.answers.pop_front();
            self.send(reply, mark)?;
            moved = true;
        }
        Ok(moved)
    }

    fn send(&mut self, reply: Reply, mark: Mark) -> Result<(), End> {
        self.ledger.pushed(reply.len() + LENGTH_PREFIX, mark);
        if self.output.push(reply) { Ok(()) } else { Err(End::TooLong) }
    }

    /// Finishes the request under way and begins those that are here.
    fn work(&mut self, cx: &mut Context<'_>, begun: &mut usize) -> Result<bool, End> {
        let mut moved = false;
        loop {
            if let Some(running) = &mut self.running {
                let Poll::Ready(outcome) = running.call.as_mut().poll(cx) else { return Ok(moved) };
                let mark = running.mark;
                self.running = None;
                self.outcome(outcome, mark)?;
                self.bound();
                moved = true;
            }
            if *begun >= TURN || !self.open() {
                return Ok(moved);
            }
            let Some(frame) = self.input.take().map_err(End::Refused)? else { return Ok(moved) };
            self.begin(frame)?;
            *begun += 1;
        }
    }

    fn begin(&mut self, frame: Frame) -> Result<(), End> {
        self.silence.over();
        if self.peer.speaks_raw() {
            let call = self.shared.service.call_raw(&self.peer, frame.bytes);
            let mark = Mark::now(Some(ApiKey::SaslAuthenticate));
            self.running = Some(Running { call, waits: false, mark, _claim: frame.claim });
            return Ok(());
        }
        let (header, body) = split_request(frame.bytes).map_err(|error| End::Header(Box::new(error)))?;
        let mark = Mark::now(header.key());
        let waits = matches!(header.key(), Some(ApiKey::Fetch | ApiKey::JoinGroup | ApiKey::SyncGroup));
        let call = self.shared.service.call(&self.peer, header, body);
        self.running = Some(Running { call, waits, mark, _claim: frame.claim });
        Ok(())
    }

    fn outcome(&mut self, outcome: Outcome, mark: Mark) -> Result<(), End> {
        let reply = match outcome {
            Outcome::Reply(reply) => reply,
            Outcome::Later(later) => {
                self.answers.push_back(Answer::Later(later, mark));
                return Ok(());
            }
            Outcome::None => {
                Ledger::done(&self.shared.meters, mark);
                return Ok(());
            }
            Outcome::Last(reply, reason) => {
                self.last = Some(reason);
                reply
            }
            // What was asked before still gets its answer.
            Outcome::Close(reason) => {
                self.last = Some(reason);
                return Ok(());
            }
        };
        if self.answers.is_empty() {
            return self.send(reply, mark);
        }
        self.ready += reply.len();
        self.answers.push_back(Answer::Ready(reply, mark));
        Ok(())
    }

    fn flush(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        if self.output.is_empty() {
            return Ok(false);
        }
        match self.output.poll_flush(cx, &mut self.stream) {
            Poll::Ready(Ok(Flushed::All(bytes))) => {
                self.ledger.sent(bytes, &self.shared.meters);
                self.deadlines.active();
                Ok(true)
            }
            // What is left waits for the peer, or for the other connections' turn: the waker is set.
            Poll::Ready(Ok(Flushed::Some(bytes))) => {
                self.ledger.sent(bytes, &self.shared.meters);
                self.deadlines.active();
                Ok(false)
            }
            Poll::Ready(Err(error)) => Err(End::Io(error)),
            Poll::Pending => Ok(false),
        }
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        if self.ended || self.last.is_some() || self.shared.stop.now() {
            return Ok(false);
        }
        let wanted = self.running.is_none() && self.open();
        let read = if wanted {
            self.input.poll_read(cx, &mut self.stream)
        } else {
            self.input.poll_watch(cx, &mut self.stream)
        };
        match read {
            Poll::Ready(Ok(Read::Some(bytes))) => {
                self.ledger.received(bytes);
                self.silence.heard(bytes);
                self.deadlines.active();
                // What was read on the side waits for its turn; only the end of the stream was looked for.
                Ok(true)
            }
            Poll::Ready(Ok(Read::End)) => {
                self.ended = true;
                self.deadlines.active();
                Ok(true)
            }
            Poll::Ready(Err(Failure::Refused(refusal))) => Err(End::Refused(refusal)),
            Poll::Ready(Err(Failure::Io(error))) => Err(End::Io(error)),
            Poll::Pending => {
                let waiting = wanted && self.input.unfinished() && self.input.reading();
                if waiting {
                    self.silence.begin()
                } else {
                    self.silence.over()
                }
                Ok(false)
            }
        }
    }

    /// The end that has come by the time, if one has; sees to it that the next one wakes the task.
    fn time(&mut self, cx: &mut Context<'_>) -> Option<End> {
        self.deadlines.watch_stop(cx);
        let limits = &self.shared.limits;
        if self.shared.stop.now() {
            let waits = self.running.as_ref().is_some_and(|running| running.waits);
            let in_hand = (self.running.is_some() && !waits) || !self.answers.is_empty();
            if !in_hand && self.output.is_empty() {
                return Some(End::Stopped);
            }
            let at = self.shared.stop.deadline(limits.drain);
            return self.deadlines.due(cx, Some(at), None).then_some(End::Stopped);
        }
        let quiet = self.running.is_none() && self.answers.is_empty();
        let ending = self.ended || self.last.is_some();
        let stall = self.silence.deadline(limits, self.input.in_the_way());
        let (at, end) = match stall {
            Some(at) => (Some(at), End::Stalled),
            None if quiet || ending => (Some(self.deadlines.idle(ending)), End::Idle),
            None => (None, End::Idle),
        };
        let proof = self.unproven.then(|| self.begun + UNPROVEN);
        let (at, end) = match proof {
            Some(proof) if at.is_none_or(|at| proof < at) => (Some(proof), End::Idle),
            _ => (at, end),
        };
        let check = self.silence.next_look(limits, self.input.holds_room());
        self.deadlines.due(cx, at, check).then_some(end)
    }
}

impl<S: Service> Future for Connection<S> {
    type Output = End;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<End> {
        let this = self.get_mut();
        let end = match this.turn(cx) {
            Err(end) => Some(end),
            Ok(()) => this.time(cx),
        };
        let Some(end) = end else { return Poll::Pending };
        if this.stream.is_tls() {
            // TLS's own goodbye, if the socket takes it at once.
            let _ = Pin::new(&mut this.stream).poll_shutdown(cx);
        }
        Poll::Ready(end)
    }
}
