//! The one signal that the broker closes: set once, seen by all who wait; never taken back.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Whether the broker closes.
#[derive(Debug, Default)]
pub(super) struct Closing {
    set: AtomicBool,
    told: Notify,
}

impl Closing {
    /// Sets it; whether it was not set before.
    pub(super) fn set(&self) -> bool {
        let first = !self.set.swap(true, Ordering::AcqRel);
        self.told.notify_waiters();
        first
    }

    /// Whether it is set.
    pub(super) fn is_set(&self) -> bool {
        self.set.load(Ordering::Acquire)
    }

    /// Answers once it is set.
    pub(super) async fn cancelled(&self) {
        loop {
            let told = self.told.notified();
            tokio::pin!(told);
            told.as_mut().enable();
            if self.is_set() {
                return;
            }
            told.await;
        }
    }
}
