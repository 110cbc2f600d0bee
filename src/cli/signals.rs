//! SIGINT, SIGTERM and SIGHUP as something a command can wait for; never runs code inside a signal handler.
//!
//! The three are blocked in every thread and taken by one of their own. The first is published: as a value, as a
//! readable descriptor for `poll`, and to async waiters. The second ends the process at once. A command that has
//! finished what it had in hand calls [`Signals::end`], and the shell sees the signal. A signal that was ignored when
//! klog started (`nohup`, a background job of a plain `sh`) stays ignored.

use std::io::{self, PipeReader, PipeWriter, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::signal::{SigSet, Signal};
use tokio::sync::Notify;

use super::os;

const CAUGHT: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// The signals of this process; made once, before any other thread.
#[derive(Clone)]
pub struct Signals {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Signals {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Signals").field("first", &self.received()).finish_non_exhaustive()
    }
}

struct Shared {
    /// The first signal's number; 0 before.
    first: AtomicI32,
    waiters: Notify,
    /// What a hang-up does instead of ending, if anything.
    hangup: Mutex<Option<Arc<dyn Fn() + Send + Sync>>>,
    /// Readable (at its end) from the first signal on.
    readable: PipeReader,
}

impl Signals {
    /// Blocks the signals and starts the thread that takes them. Call before any other thread is started, for
    /// threads inherit what is blocked.
    pub fn catch() -> io::Result<Self> {
        let ignored = ignored_signals();
        let mut caught = SigSet::empty();
        CAUGHT.into_iter().filter(|&signal| ignored >> (signal as i32 - 1) & 1 == 0).for_each(|signal| {
            caught.add(signal);
        });
        caught.thread_block()?;
        let (readable, writer) = io::pipe()?;
        let shared = Arc::new(Shared {
            first: AtomicI32::new(0),
            waiters: Notify::new(),
            hangup: Mutex::default(),
            readable,
        });
        let taker = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("signals".into())
            .stack_size(64 * 1024)
            .spawn(move || take(&caught, &taker, writer))?;
        Ok(Self { shared })
    }

    /// From now on SIGHUP does this instead of ending the process, each time on a thread of its own.
    pub fn on_hangup(&self, action: impl Fn() + Send + Sync + 'static) {
        *self.shared.hangup.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(action));
    }

    /// The first signal that came, if one did.
    pub fn received(&self) -> Option<Signal> {
        Signal::try_from(self.shared.first.load(Ordering::Acquire)).ok()
    }

    /// Waits for the first signal; at once when it came already.
    pub async fn wait(&self) -> Signal {
        loop {
            let notified = self.shared.waiters.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if let Some(signal) = self.received() {
                return signal;
            }
            notified.await;
        }
    }

    /// Readable from the first signal on, for `poll` beside other descriptors. Nothing is to be read from it.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.shared.readable.as_fd()
    }

    /// The last thing a command does after a signal: the default action comes back and the signal is raised again.
    /// Returns when none came.
    pub fn end(&self) {
        if let Some(signal) = self.received() {
            os::die_of(signal)
        }
    }
}

fn take(caught: &SigSet, shared: &Shared, writer: PipeWriter) {
    let mut writer = Some(writer);
    // With every one of them ignored there is nothing to wait for.
    while caught.iter().next().is_some() {
        let Ok(signal) = caught.wait() else { continue };
        let action = shared.hangup.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(action) = action.filter(|_| signal == Signal::SIGHUP) {
            // This thread's stack is small, and the next signal must not wait.
            let _ = std::thread::Builder::new().name("hangup".into()).spawn(move || action());
            continue;
        }
        let Some(mut end) = writer.take() else { os::die_of(signal) };
        shared.first.store(signal as i32, Ordering::Release);
        shared.waiters.notify_waiters();
        let _ = end.write_all(&[0]);
    }
}

/// The signals this process ignores, as the kernel's mask (bit n-1 is signal n).
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
