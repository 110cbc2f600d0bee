//! A histogram of fixed exponential buckets, two to an octave; recording is two relaxed additions and no look-up.

use std::sync::atomic::{AtomicU64, Ordering};

/// Powers of two that are told apart.
const OCTAVES: u32 = 23;
/// Buckets below the last one, which is without bound.
const BOUNDED: usize = 2 * OCTAVES as usize;

/// How often which sizes came. A value `v` falls into the first bucket whose bound is at or above it (Prometheus' `le`).
#[derive(Debug)]
pub struct Histogram {
    /// The bound of the first bucket is two to this power.
    first: u32,
    buckets: [AtomicU64; BOUNDED + 1],
    sum: AtomicU64,
}

impl Histogram {
    /// For durations in nanoseconds: from 8 us to 34 s, then one without bound.
    pub const fn of_nanoseconds() -> Self {
        Self::from(13)
    }

    /// For small numbers of things: from 1 to 4 million.
    pub const fn of_numbers() -> Self {
        Self::from(0)
    }

    const fn from(first: u32) -> Self {
        Self { first, buckets: [const { AtomicU64::new(0) }; BOUNDED + 1], sum: AtomicU64::new(0) }
    }

    /// Counts one value.
    pub fn record(&self, value: u64) {
        if let Some(bucket) = self.buckets.get(place(value, self.first)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// What was counted so far. Values that come meanwhile may be in the sum and not yet in a bucket, or the reverse.
    pub fn values(&self) -> Values {
        Values {
            first: self.first,
            buckets: self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect(),
            sum: self.sum.load(Ordering::Relaxed),
        }
    }
}

/// The bucket of a value: bounds are 2^k and 1.5 * 2^k.
fn place(value: u64, first: u32) -> usize {
    let below = value.saturating_sub(1);
    if below >> first == 0 {
        return 0;
    }
    // The highest bit says which octave, the one behind it which half.
    let octave = 63 - below.leading_zeros();
    // Between 1 and 2 there is no number: the first half of that octave is its bound alone.
    let half = if octave == 0 { 1 } else { (below >> (octave - 1)) & 1 };
    let place = 1 + 2 * (octave - first) as usize + half as usize;
    place.min(BOUNDED)
}

/// The bound of a bucket that has one.
fn bound(place: usize, first: u32) -> u64 {
    if place == 0 {
        return 1 << first;
    }
    let base = 1u64 << (first as usize + (place - 1) / 2);
    if place % 2 == 1 { base + base / 2 } else { base * 2 }
}

/// A histogram's numbers at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Values {
    first: u32,
    buckets: Vec<u64>,
    sum: u64,
}

impl Values {
    /// Those of no value at all, of a histogram of nanoseconds.
    pub fn none() -> Self {
        Histogram::of_nanoseconds().values()
    }

    /// Takes another's in; both must be of one kind.
    pub fn merge(&mut self, other: &Self) {
        debug_assert_eq!(self.first, other.first, "histograms of different kinds");
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.sum = self.sum.wrapping_add(other.sum);
    }

    /// How many values there were.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// All values added up.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// Each octave's bound and how many values lie at or below it; the values beyond the last are in the count only.
    pub fn octaves(&self) -> Vec<(u64, u64)> {
        let mut below = 0;
        let mut octaves = Vec::with_capacity(OCTAVES as usize);
        for (place, count) in self.buckets.iter().enumerate().take(BOUNDED) {
            below += count;
            if place % 2 == 0 {
                octaves.push((bound(place, self.first), below));
            }
        }
        octaves
    }

    /// The value that `share` (0 to 1) of all values lie at or below: between the bounds of its bucket, so within a
    /// third of it, above the first bucket. None without values.
    pub fn quantile(&self, share: f64) -> Option<u64> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let wanted = ((count as f64 * share).ceil() as u64).clamp(1, count);
        let mut below = 0;
        for (place, &here) in self.buckets.iter().enumerate() {
            if below + here >= wanted {
                let from = if place == 0 { 0 } else { bound(place - 1, self.first) };
                let to = bound(place.min(BOUNDED - 1), self.first).max(from);
                return Some(from + ((to - from) as f64 * (wanted - below) as f64 / here as f64) as u64);
            }
            below += here;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_lies_at_or_below_its_bound_and_above_the_one_before() {
        for first in [0, 13] {
            let probe = |value: u64| {
                let at = place(value, first);
                if at < BOUNDED {
                    assert!(value <= bound(at, first), "{value} in bucket {at}");
                }
                if at > 0 {
                    assert!(value > bound(at - 1, first), "{value} in bucket {at}");
                }
            };
            (0..70_000).for_each(probe);
            for bit in 0..64 {
                for near in [1u64 << bit, (1 << bit) | (1 << bit) >> 1] {
                    [near.saturating_sub(1), near, near.saturating_add(1)].into_iter().for_each(probe);
                }
            }
            probe(u64::MAX);
        }
    }

    #[test]
    fn octaves_add_up_and_bounds_count_in() {
        let histogram = Histogram::of_numbers();
        [1, 2, 2, 3, 4, 5, 1 << 40].into_iter().for_each(|value| histogram.record(value));
        let values = histogram.values();
        assert_eq!(values.octaves()[..4], [(1, 1), (2, 3), (4, 5), (8, 6)]);
        assert_eq!(values.octaves().last(), Some(&(1 << 22, 6)));
        assert_eq!((values.count(), values.sum()), (7, 17 + (1 << 40)));
    }

    #[test]
    fn quantiles_are_near() {
        let histogram = Histogram::of_nanoseconds();
        assert_eq!(histogram.values().quantile(0.5), None);
        (1..=1000u64).for_each(|ms| histogram.record(ms * 1_000_000));
        let values = histogram.values();
        for (share, ms) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1000.0)] {
            let found = values.quantile(share).unwrap() as f64 / 1e6;
            assert!((found / ms - 1.0).abs() < 0.34, "{share}: {found} for {ms}");
        }
        let mut both = values.clone();
        both.merge(&values);
        assert_eq!((both.count(), both.quantile(0.5)), (2000, values.quantile(0.5)));
    }
}
