//! Records, bytes and rate while a command runs: on stderr, only on a terminal, off with `-q`.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::super::context::Context;
use crate::model::units::show_size;

const EVERY: Duration = Duration::from_millis(100);

/// A line of progress. Telling it something costs a clock read; it draws ten times a second at most.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    begun: Instant,
    drawn: Instant,
    records: u64,
    bytes: u64,
}

impl Progress {
    /// A line that says `doing`, shown only where the context and the terminal allow.
    pub fn new(context: &Context, doing: &'static str) -> Self {
        let now = Instant::now();
        let bar = super::stderr_is_lively(context).then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
            if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {msg}") {
                bar.set_style(style);
            }
            bar.set_prefix(doing);
            bar
        });
        Self { bar, begun: now, drawn: now, records: 0, bytes: 0 }
    }

    /// A bar that fills up to `total` bytes.
    pub fn of(context: &Context, doing: &'static str, total: u64) -> Self {
        let progress = Self::new(context, doing);
        if let Some(bar) = &progress.bar {
            bar.set_length(total);
            if let Ok(style) = ProgressStyle::with_template("{prefix} {wide_bar} {percent}% {msg} {eta}") {
                bar.set_style(style);
            }
        }
        progress
    }

    /// So many bytes of the total so far.
    pub fn fill(&mut self, bytes: u64) {
        let Some(bar) = &self.bar else { return };
        let now = Instant::now();
        if now - self.drawn < EVERY {
            return;
        }
        self.drawn = now;
        let ms = (now - self.begun).as_millis().max(1);
        let rate = u64::try_from(u128::from(bytes) * 1000 / ms).unwrap_or(u64::MAX);
        bar.set_position(bytes);
        bar.set_message(format!("{}, {}/s", show_size(bytes), show_size(rate)));
    }

    /// Whether anything is drawn, so that callers may skip counting.
    pub fn is_shown(&self) -> bool {
        self.bar.is_some()
    }

    /// So many records and bytes in all so far.
    pub fn at(&mut self, records: u64, bytes: u64) {
        self.with(records, bytes, String::new);
    }

    /// As [`Progress::at`], with more words behind, made only when they are drawn.
    pub fn with(&mut self, records: u64, bytes: u64, more: impl FnOnce() -> String) {
        let Some(bar) = &self.bar else { return };
        (self.records, self.bytes) = (records, bytes);
        let now = Instant::now();
        if now - self.drawn < EVERY {
            return;
        }
        self.drawn = now;
        bar.set_message(line(records, bytes, now - self.begun) + &more());
        bar.tick();
    }

    /// Lets something be printed where the line stands, which is drawn again below it.
    pub fn aside(&self, say: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(say),
            None => say(),
        }
    }

    /// Takes the line away, so that what is printed next stands alone.
    pub fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// `1234 records, 5.1M, 300 records/s, 1.2M/s`
pub fn line(records: u64, bytes: u64, took: Duration) -> String {
    let ms = took.as_millis().max(1);
    let rate = |count: u64| u64::try_from(u128::from(count) * 1000 / ms).unwrap_or(u64::MAX);
    format!(
        "{records} records, {}, {} records/s, {}/s",
        show_size(bytes),
        rate(records),
        show_size(rate(bytes))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_counts_and_divides() {
        let text = line(1000, 4096, Duration::from_secs(2));
        assert_eq!(text, "1000 records, 4K, 500 records/s, 2K/s");
        assert_eq!(line(0, 0, Duration::ZERO), "0 records, 0, 0 records/s, 0/s");
    }
}
