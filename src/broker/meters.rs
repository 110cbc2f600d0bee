//! What the broker counts while it works; it is only added to here, and read by `observe`.
//!
//! Locks: `errors` guards the counts of refused requests, `rates` two samples; each is held for a few map operations.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::metrics::{Counter, Histogram, Produced, Rates, RequestErrors, Sharded, Syncs};

/// Threads that record into parts of their own; more share.
const PARTS: usize = 8;
/// A rate is taken over at least this time.
const RATE_WINDOW: Duration = Duration::from_secs(1);

/// What is appended and read, as one place counts it.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    records: Counter,
    bytes: Counter,
    batches: Counter,
    fetched_bytes: Counter,
}

impl Traffic {
    /// A batch was appended.
    pub(super) fn appended(&self, records: u64, bytes: u64) {
        self.records.add(records);
        self.bytes.add(bytes);
        self.batches.add(1);
    }

    /// Records were given to a consumer.
    pub(super) fn fetched(&self, bytes: u64) {
        self.fetched_bytes.add(bytes);
    }

    /// What was appended so far.
    pub(super) fn produced(&self) -> Produced {
        Produced { records: self.records.get(), bytes: self.bytes.get(), batches: self.batches.get() }
    }

    /// What was read so far, in bytes.
    pub(super) fn fetched_bytes(&self) -> u64 {
        self.fetched_bytes.get()
    }
}

/// Sums that rates are made of, and when they were taken.
#[derive(Debug, Clone, Copy, Default)]
struct Sample {
    at: Duration,
    records: u64,
    bytes: u64,
    fetched_bytes: u64,
}

/// The counters of one node.
#[derive(Debug)]
pub(super) struct Meters {
    /// Of clients alone: what the broker writes for itself is in its partitions' own counts only.
    traffic: Sharded<Traffic>,
    sync_duration: Histogram,
    sync_batches: Histogram,
    sync_failures: Counter,
    errors: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
    /// The last sample, and the one before it, which is at least a window older.
    rates: Mutex<(Sample, Sample)>,
}

impl Meters {
    /// Nothing counted; `now` is the clock's monotonic time.
    pub(super) fn new(now: Duration) -> Self {
        let begin = Sample { at: now, ..Sample::default() };
        Self {
            traffic: Sharded::new(PARTS),
            sync_duration: Histogram::of_nanoseconds(),
            sync_batches: Histogram::of_numbers(),
            sync_failures: Counter::default(),
            errors: Mutex::default(),
            rates: Mutex::new((begin, begin)),
        }
    }

    /// A client's batch was appended.
    pub(super) fn appended(&self, records: u64, bytes: u64) {
        if let Some(mine) = self.traffic.mine() {
            mine.appended(records, bytes);
        }
    }

    /// Records were given to a consumer.
    pub(super) fn fetched(&self, bytes: u64) {
        if let Some(mine) = self.traffic.mine() {
            mine.fetched(bytes);
        }
    }

    /// A log was synced, or was not to be.
    pub(super) fn synced(&self, took: Duration, batches: u64, ok: bool) {
        self.sync_duration.record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        self.sync_batches.record(batches);
        self.sync_failures.add(u64::from(!ok));
    }

    /// A request, or its part for one partition, was refused.
    pub(super) fn refused(&self, api: &'static str, error: &'static str) {
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        *errors.entry((api, error)).or_default() += 1;
    }

    /// What was refused so far.
    pub(super) fn errors(&self) -> Vec<RequestErrors> {
        let errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        errors.iter().map(|(&(api, error), &count)| RequestErrors { api, error, count }).collect()
    }

    /// What clients appended so far.
    pub(super) fn produced(&self) -> Produced {
        self.traffic.all().map(Traffic::produced).fold(Produced::default(), |sum, one| Produced {
            records: sum.records + one.records,
            bytes: sum.bytes + one.bytes,
            batches: sum.batches + one.batches,
        })
    }

    /// What was given to consumers so far, in bytes.
    pub(super) fn fetched_bytes(&self) -> u64 {
        self.traffic.sum(Traffic::fetched_bytes)
    }

    /// Syncs so far.
    pub(super) fn syncs(&self) -> Syncs {
        Syncs {
            duration: self.sync_duration.values(),
            batches: self.sync_batches.values(),
            failures: self.sync_failures.get(),
        }
    }

    /// Takes a sample for the rates to come; answers the rates since the youngest one that is a window old. Nobody
    /// needs to come regularly: the answer says what time it is of.
    pub(super) fn sample(&self, now: Duration) -> Rates {
        let Produced { records, bytes, .. } = self.produced();
        let sample = Sample { at: now, records, bytes, fetched_bytes: self.fetched_bytes() };
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, before) = *rates;
        let old_enough = now.saturating_sub(last.at) >= RATE_WINDOW;
        let from = if old_enough { last } else { before };
        if old_enough {
            *rates = (sample, last);
        }
        let window = now.saturating_sub(from.at);
        let rate = |now: u64, then: u64| match window.as_secs_f64() {
            0.0 => 0.0,
            seconds => now.saturating_sub(then) as f64 / seconds,
        };
        Rates {
            window,
            records: rate(records, from.records),
            bytes: rate(bytes, from.bytes),
            fetched_bytes: rate(sample.fetched_bytes, from.fetched_bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_a_window_and_say_so() {
        let second = Duration::from_secs;
        let meters = Meters::new(second(10));
        meters.appended(100, 1000);
        let early = meters.sample(second(10) + Duration::from_millis(500));
        assert_eq!((early.window, early.records), (Duration::from_millis(500), 200.0));
        let first = meters.sample(second(20));
        assert_eq!((first.window, first.records, first.bytes), (second(10), 10.0, 100.0));
        meters.appended(60, 60);
        meters.fetched(30);
        // Half a second later the sample before serves still.
        let soon = meters.sample(second(20) + Duration::from_millis(500));
        assert_eq!(soon.window, Duration::from_millis(10_500));
        let later = meters.sample(second(23));
        assert_eq!((later.window, later.records, later.fetched_bytes), (second(3), 20.0, 10.0));
        assert_eq!(meters.sample(second(63)).records, 0.0);
    }

    #[test]
    fn refusals_are_counted_by_api_and_code() {
        let meters = Meters::new(Duration::ZERO);
        meters.refused("Produce", "A");
        meters.refused("Produce", "A");
        meters.refused("Fetch", "B");
        let found: Vec<_> = meters.errors().into_iter().map(|one| (one.api, one.error, one.count)).collect();
        assert_eq!(found, [("Fetch", "B", 1), ("Produce", "A", 2)]);
    }
}
