//! Which bytes of a segment's file are known to be as they were written, so that a reader does not check them again;
//! it reads nothing itself.

use std::ops::Range;

/// Most ranges that are remembered of a segment: as many readers as lie apart in it before one checks again what another did.
const MAX_RANGES: usize = 16;

/// What was written or checked since the last [`Checked::forget`].
#[derive(Debug)]
pub(super) struct Checked {
    /// What lies from here on was written by this process since then.
    written_from: u64,
    /// What was checked before it, in bytes: ascending, apart from each other.
    ranges: Vec<Range<u64>>,
}

impl Checked {
    /// Of a file whose first `size` bytes were there before.
    pub(super) fn behind(size: u64) -> Self {
        Self { written_from: size, ranges: Vec::new() }
    }

    /// Whether all of `range` is known to be as it was written.
    pub(super) fn covers(&self, range: &Range<u64>) -> bool {
        let end = range.end.min(self.written_from);
        range.start >= end || self.ranges.iter().any(|known| known.start <= range.start && end <= known.end)
    }

    /// Adds what was found to be as it was written. Where too many ranges lie apart, the shortest is forgotten.
    pub(super) fn add(&mut self, range: Range<u64>) {
        let from = self.ranges.partition_point(|known| known.end < range.start);
        let to = self.ranges.partition_point(|known| known.start <= range.end);
        let touched = self.ranges.get(from..to).unwrap_or_default();
        let start = touched.first().map_or(range.start, |first| first.start.min(range.start));
        let end = touched.last().map_or(range.end, |last| last.end.max(range.end));
        self.ranges.splice(from..to, std::iter::once(start..end));
        if self.ranges.len() > MAX_RANGES {
            let shortest = self.ranges.iter().enumerate().min_by_key(|(_, known)| known.end - known.start);
            if let Some((at, _)) = shortest {
                self.ranges.remove(at);
            }
        }
    }

    /// From now on only what is written behind `size` is known.
    pub(super) fn forget(&mut self, size: u64) {
        *self = Self::behind(size);
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_written_since_is_known_and_what_was_there_is_not() {
        let checked = Checked::behind(100);
        assert!(checked.covers(&(100..400)));
        assert!(checked.covers(&(250..250)));
        assert!(!checked.covers(&(99..101)));
    }

    #[test]
    fn ranges_that_touch_are_one_and_reach_what_was_written() {
        let mut checked = Checked::behind(100);
        checked.add(0..30);
        checked.add(60..90);
        assert!(!checked.covers(&(0..90)));
        checked.add(30..60);
        assert!(checked.ranges.len() == 1 && checked.covers(&(0..90)));
        assert!(!checked.covers(&(80..120)));
        checked.add(90..100);
        assert!(checked.covers(&(0..1_000)));
        checked.forget(1_000);
        assert!(!checked.covers(&(0..10)));
        assert!(checked.covers(&(1_000..1_010)));
    }

    proptest! {
        #[test]
        fn nothing_is_known_that_was_not_added(added in vec((0u64..200, 1u64..20), 0..60)) {
            let mut checked = Checked::behind(220);
            let mut bytes = [false; 220];
            for (start, len) in added {
                let range = start..start + len;
                checked.add(range.clone());
                (range.start..range.end).for_each(|at| bytes[at as usize] = true);
                prop_assert!(checked.ranges.len() <= MAX_RANGES);
                prop_assert!(checked.ranges.windows(2).all(|pair| pair[0].end < pair[1].start));
                for at in 0..220 {
                    prop_assert!(bytes[at as usize] || !checked.covers(&(at..at + 1)));
                }
            }
        }
    }
}
