//! Group commit: a few threads that sync the logs with fresh appends, each file once for all who wait on it; a log is
//! never synced by two threads at once, since only one of them would be told of a failure.
//!
//! Locks: `queue` guards which partitions are due and which may wait; it is held for a push or a pop.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::Notify;

use super::partition::Partition;
use crate::model::time::Clock;

/// Threads that sync; files are synced in parallel up to this number.
const THREADS: usize = 4;
/// Unsynced bytes of one data folder at which a produce is parked: well below where the kernel would make the writer
/// sleep instead.
pub(super) const UNSYNCED_BYTES_CAP: u64 = 1 << 30;

/// When a partition that may stay unsynced for a while is due: the time of `flush.ms`, and a number that tells equal
/// times apart.
pub(super) type Due = (Duration, u64);

#[derive(Default)]
struct Queue {
    ready: VecDeque<Arc<Partition>>,
    lazy: BTreeMap<Due, Arc<Partition>>,
    next: u64,
    stopping: bool,
}

/// The flusher of one data folder.
pub(super) struct Flusher {
    queue: Mutex<Queue>,
    wake: Condvar,
    unsynced: AtomicU64,
    room: Notify,
    clock: Arc<dyn Clock>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Flusher {
    /// Starts the threads; they sleep until something is appended.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(super) fn start(clock: Arc<dyn Clock>) -> std::io::Result<Arc<Self>> {
        let flusher = Arc::new(Self {
            queue: Mutex::default(),
            wake: Condvar::new(),
            unsynced: AtomicU64::new(0),
            room: Notify::new(),
            clock,
            threads: Mutex::default(),
        });
        for number in 0..THREADS {
            let own = Arc::clone(&flusher);
            let thread = std::thread::Builder::new()
                .name(format!("klog-sync-{number}"))
                .stack_size(256 << 10)
                .spawn(move || own.run())?;
            flusher.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        }
        Ok(flusher)
    }

    /// Lets `partition` be synced as soon as a thread is free. The caller made sure it is not queued yet.
    pub(super) fn push(&self, partition: Arc<Partition>) {
        self.queue().ready.push_back(partition);
        self.wake.notify_one();
    }

    /// Lets `partition` be synced `within` that time, or earlier when the unsynced bytes grow. Answers what
    /// [`Flusher::forget`] takes; `None` where it goes to the threads at once.
    pub(super) fn push_lazy(&self, partition: &Arc<Partition>, within: Option<Duration>) -> Option<Due> {
        if self.unsynced() >= UNSYNCED_BYTES_CAP / 2 {
            if partition.queue_for_sync() {
                self.push(Arc::clone(partition));
            }
            return None;
        }
        let at =
            within.and_then(|within| self.clock.monotonic().checked_add(within)).unwrap_or(Duration::MAX);
        let mut queue = self.queue();
        queue.next += 1;
        let due = (at, queue.next);
        let first = queue.lazy.first_key_value().is_none_or(|(first, _)| due < *first);
        queue.lazy.insert(due, Arc::clone(partition));
        drop(queue);
        if first && at != Duration::MAX {
            // One thread must take the new time; which one does not matter.
            self.wake.notify_one();
        }
        Some(due)
    }

    /// Takes a partition back that was lazy: it was synced for another reason.
    pub(super) fn forget(&self, due: Due) {
        self.queue().lazy.remove(&due);
    }

    /// Counts bytes that were appended; over half the cap, logs that need no sync are synced as well.
    pub(super) fn appended(&self, bytes: u64) {
        let before = self.unsynced.fetch_add(bytes, Ordering::Relaxed);
        let half = UNSYNCED_BYTES_CAP / 2;
        if before < half && before + bytes >= half {
            let mut queue = self.queue();
            for (_, partition) in std::mem::take(&mut queue.lazy) {
                if partition.queue_for_sync() {
                    queue.ready.push_back(partition);
                }
            }
            drop(queue);
            self.wake.notify_all();
        }
    }

    /// Counts bytes that a sync covered (or that were given up) and lets parked produces go on.
    pub(super) fn synced(&self, bytes: u64) {
        let before = self.unsynced.fetch_sub(bytes, Ordering::Relaxed);
        if before >= UNSYNCED_BYTES_CAP {
            self.room.notify_waiters();
        }
    }

    /// Bytes appended that no sync has covered.
    pub(super) fn unsynced(&self) -> u64 {
        self.unsynced.load(Ordering::Relaxed)
    }

    /// The time by the clock that logs are due by.
    pub(super) fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    /// Answers when there is room below the cap: at once, nearly always.
    pub(super) async fn room(&self) {
        while self.unsynced() >= UNSYNCED_BYTES_CAP {
            let waiting = self.room.notified();
            tokio::pin!(waiting);
            waiting.as_mut().enable();
            if self.unsynced() < UNSYNCED_BYTES_CAP {
                return;
            }
            waiting.await;
        }
    }

    /// Ends the threads after what is queued was synced.
    pub(super) fn stop(&self) {
        self.queue().stopping = true;
        self.wake.notify_all();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a sync thread panicked");
            }
        }
    }

    fn run(&self) {
        while let Some(partition) = self.next() {
            if partition.sync() {
                self.push(partition);
            }
        }
    }

    fn next(&self) -> Option<Arc<Partition>> {
        let mut queue = self.queue();
        loop {
            if let Some(partition) = queue.ready.pop_front() {
                return Some(partition);
            }
            if queue.stopping {
                return None;
            }
            let now = self.clock.monotonic();
            let wait = match queue.lazy.first_key_value() {
                Some((&(at, _), _)) if at <= now => {
                    let (_, partition) = queue.lazy.pop_first()?;
                    if partition.queue_for_sync() {
                        return Some(partition);
                    }
                    continue;
                }
                Some((&(at, _), _)) if at != Duration::MAX => Some(at - now),
                _ => None,
            };
            queue = match wait {
                Some(wait) => self.wake.wait_timeout(queue, wait).unwrap_or_else(PoisonError::into_inner).0,
                None => self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
