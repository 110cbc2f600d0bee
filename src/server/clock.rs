//! When a connection has been silent for too long; one timer each, moved as rarely as can be.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::futures::OwnedNotified;
use tokio::time::{Instant, Sleep, sleep_until};

use super::options::Limits;

/// What must come within a stall's time while others wait for the room, in bytes: a drip would hold it for ever.
const TRICKLE: usize = 1 << 10;
/// How long a request goes on for a peer that has closed its end.
const GONE: Duration = Duration::from_secs(2);

/// How long the peer of an unfinished frame has been silent while the server was reading.
#[derive(Debug, Default)]
pub(super) struct Silence {
    since: Option<Instant>,
    trickle_since: Option<Instant>,
    trickle: usize,
}

impl Silence {
    /// The socket is empty, and the frame not whole.
    pub(super) fn begin(&mut self) {
        let now = *self.since.get_or_insert_with(Instant::now);
        self.trickle_since.get_or_insert(now);
    }

    /// Bytes came.
    pub(super) fn heard(&mut self, bytes: usize) {
        self.since = None;
        self.trickle += bytes;
        if self.trickle >= TRICKLE {
            self.over();
        }
    }

    /// The server does not wait for the peer.
    pub(super) fn over(&mut self) {
        *self = Self::default();
    }

    /// When the connection is given up, if nothing comes.
    pub(super) fn deadline(&self, limits: &Limits, in_the_way: bool) -> Option<Instant> {
        let late = self.since? + limits.stall;
        let contended = self.trickle_since.filter(|_| in_the_way).map(|since| since + limits.stall_contended);
        Some(contended.map_or(late, |contended| contended.min(late)))
    }

    /// When to look again whether others wait.
    pub(super) fn next_look(&self, limits: &Limits, holds_room: bool) -> Option<Instant> {
        self.since.filter(|_| holds_room).map(|_| Instant::now() + limits.stall_contended)
    }
}

/// The timer of a connection.
#[derive(Debug)]
pub(super) struct Deadlines {
    idle: Duration,
    last: Instant,
    touched: bool,
    sleep: Option<Pin<Box<Sleep>>>,
    stop: Pin<Box<OwnedNotified>>,
    watching: bool,
}

impl Deadlines {
    pub(super) fn new(idle: Duration, stop: OwnedNotified) -> Self {
        Self {
            idle,
            last: Instant::now(),
            touched: false,
            sleep: None,
            stop: Box::pin(stop),
            watching: false,
        }
    }

    /// Something happened.
    pub(super) fn active(&mut self) {
        self.touched = true;
    }

    /// When the connection is closed for want of anything happening.
    pub(super) fn idle(&mut self, ended: bool) -> Instant {
        if std::mem::take(&mut self.touched) {
            self.last = Instant::now();
        }
        self.last + if ended { GONE } else { self.idle }
    }

    /// Has the stop wake this task from now on. Registers once; later calls cost nothing.
    pub(super) fn watch_stop(&mut self, cx: &mut Context<'_>) {
        if !self.watching {
            self.watching = true;
            let _ = self.stop.as_mut().poll(cx);
        }
    }

    /// Whether `at` has come. If not, the task wakes no later than at the earlier of both.
    pub(super) fn due(&mut self, cx: &mut Context<'_>, at: Option<Instant>, look: Option<Instant>) -> bool {
        let Some(next) = at.into_iter().chain(look).min() else { return false };
        if at.is_some_and(|at| at <= Instant::now()) {
            return true;
        }
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(next)));
        // A timer that fires early costs one look; moving it with every byte would cost more.
        if sleep.deadline() > next {
            sleep.as_mut().reset(next);
        }
        while let Poll::Ready(()) = sleep.as_mut().poll(cx) {
            if next <= Instant::now() {
                cx.waker().wake_by_ref();
                break;
            }
            sleep.as_mut().reset(next);
        }
        false
    }
}
