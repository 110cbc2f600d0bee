//! What all connections of a server share; must never hold anything of a single one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use tokio::time::Instant;

use super::budget::Budget;
use super::meters::Meters;
use super::options::Limits;
use crate::net::SocketOptions;

#[derive(Debug)]
pub(super) struct Shared<S> {
    pub(super) service: Arc<S>,
    pub(super) limits: Limits,
    pub(super) sockets: SocketOptions,
    pub(super) budget: Arc<Budget>,
    pub(super) stop: Arc<Stop>,
    pub(super) meters: Arc<Meters>,
}

/// The server's end, as connections see it.
#[derive(Debug, Default)]
pub(super) struct Stop {
    flag: AtomicBool,
    since: OnceLock<Instant>,
    notify: Arc<Notify>,
}

impl Stop {
    /// Begins to stop; everything that listens is woken.
    pub(super) fn begin(&self) {
        self.since.get_or_init(Instant::now);
        self.flag.store(true, Ordering::Release);
        self.notify.notify_waiters();
    }

    pub(super) fn now(&self) -> bool {
        self.flag.load(Ordering::Acquire)
    }

    /// Wakes who polled it before the stop. Who polls it first must look at [`Stop::now`] afterwards.
    pub(super) fn listen(&self) -> OwnedNotified {
        Arc::clone(&self.notify).notified_owned()
    }

    /// When answers in hand are no longer waited for.
    pub(super) fn deadline(&self, drain: Duration) -> Instant {
        *self.since.get_or_init(Instant::now) + drain
    }
}
