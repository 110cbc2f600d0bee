//! Counters, gauges and histograms as plain values; knows neither who counts nor who reads.
//!
//! Recording is a few relaxed additions and never allocates. What many threads record at once is [`Sharded`]: each
//! thread adds to a part of its own, and only who reads walks over all of them.

mod histogram;
mod snapshot;
mod text;

pub use histogram::{Histogram, Values};
pub use snapshot::{
    Disk, Group, GroupPartition, Listener, Node, Partition, Produced, Rates, Recovery, RequestErrors,
    Requests, Syncs, Topic,
};
pub use text::{Kind, Labels, Text};

use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};

/// What only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it.
    pub fn add(&self, by: u64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    /// What it has come to.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What rises and falls.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// Adds to it; a negative number takes away.
    pub fn add(&self, by: i64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    /// What it stands at.
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Two cache lines of its own: processors fetch lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Apart<T>(T);

/// Parts that threads record into without meeting one another.
#[derive(Debug)]
pub struct Sharded<T> {
    shards: Box<[Apart<T>]>,
}

/// Threads are numbered as they come.
static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static THREAD: usize = THREADS.fetch_add(1, Ordering::Relaxed);
}

impl<T: Default> Sharded<T> {
    /// Parts for about `threads` threads, at least 1 and at most 16.
    pub fn new(threads: usize) -> Self {
        Self { shards: (0..threads.clamp(1, 16)).map(|_| Apart::default()).collect() }
    }
}

impl<T> Sharded<T> {
    /// This thread's part; none only where there are no parts at all.
    pub fn mine(&self) -> Option<&T> {
        let number = THREAD.with(|number| *number);
        self.shards.get(number % self.shards.len().max(1)).map(|shard| &shard.0)
    }

    /// All parts.
    pub fn all(&self) -> impl Iterator<Item = &T> {
        self.shards.iter().map(|shard| &shard.0)
    }

    /// A number of every part, added up.
    pub fn sum(&self, of: impl Fn(&T) -> u64) -> u64 {
        self.all().map(of).fold(0, u64::wrapping_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_between_threads() {
        let parts: Sharded<Counter> = Sharded::new(4);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..1000).for_each(|_| parts.mine().unwrap().add(2)));
            }
        });
        assert_eq!(parts.sum(Counter::get), 16_000);
        assert_eq!(Sharded::<Counter>::new(0).all().count(), 1);
    }

    #[test]
    fn gauges_fall_too() {
        let gauge = Gauge::default();
        gauge.add(3);
        gauge.add(-5);
        assert_eq!(gauge.get(), -2);
    }
}
