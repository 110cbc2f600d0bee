//! The marks of a partition as types: log start <= last stable <= high watermark <= log end, asserted where one
//! moves; the high watermark never goes back once records were written.

use std::sync::atomic::{AtomicI64, Ordering};

/// The offset behind the last record written; it may be ahead of what a power cut leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogEnd(pub i64);

/// All marks at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    /// Log start offset: the first record that is there.
    pub log_start: i64,
    /// Last stable offset: the end of what read_committed consumers may see.
    pub last_stable: i64,
    /// High watermark: the end of what consumers may see.
    pub high_watermark: i64,
    /// Log end offset.
    pub log_end: LogEnd,
}

impl Marks {
    /// The end of what a consumer may see: at read_committed the last stable offset, else the high watermark.
    pub fn end(&self, committed: bool) -> i64 {
        if committed { self.last_stable } else { self.high_watermark }
    }
}

/// The end of what consumers may see.
#[derive(Debug)]
pub struct HighWatermark(AtomicI64);

impl HighWatermark {
    /// At open: what is on disk is visible.
    pub fn new(offset: i64) -> Self {
        Self(AtomicI64::new(offset))
    }

    /// Where it stands.
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Takes it back to the end that a log was found to have: it was taken from a checkpoint that promised more.
    pub fn begin_at_most(&self, end: LogEnd) {
        self.0.fetch_min(end.0, Ordering::SeqCst);
    }

    /// Moves it forward to `to`, which lies at or below the log's end; whether it moved. A mark behind is ignored:
    /// two syncs may report in either order.
    pub fn advance(&self, to: i64, end: LogEnd) -> bool {
        debug_assert!(to <= end.0, "high watermark {to} beyond the log's end {}", end.0);
        self.0.fetch_max(to.min(end.0), Ordering::SeqCst) < to.min(end.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_high_watermark_only_moves_forward() {
        let mark = HighWatermark::new(5);
        assert!(mark.advance(8, LogEnd(9)));
        assert!(!mark.advance(6, LogEnd(9)));
        assert!(!mark.advance(8, LogEnd(9)));
        assert_eq!(mark.get(), 8);
    }

    #[test]
    #[should_panic(expected = "beyond the log's end")]
    fn the_high_watermark_never_passes_the_logs_end() {
        HighWatermark::new(0).advance(3, LogEnd(2));
    }
}
