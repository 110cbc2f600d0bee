//! What a log is told about itself, as plain values under Kafka's names; changeable at run time.

/// One log's settings (Kafka's topic settings that storage acts on).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// `segment.bytes`: a segment's largest size, 1 MiB to 2 GiB - 1 in Kafka (tests go lower).
    pub segment_bytes: u32,
    /// `segment.ms`: time between the first batch of a segment and the one that rolls it, by their timestamps.
    pub segment_ms: i64,
    /// `segment.jitter.ms`: most that is taken off `segment.ms`, so that segments are not all closed at once.
    pub segment_jitter_ms: i64,
    /// `preallocate`: whether a segment's whole size is reserved when it is made.
    pub preallocate: bool,
    /// `file.delete.delay.ms`: how long the files of a deleted segment stay, under names that end in `.deleted`.
    pub file_delete_delay_ms: i64,
    /// `segment.index.bytes`: largest size of either index.
    pub segment_index_bytes: u32,
    /// `index.interval.bytes`: bytes of log between two index entries.
    pub index_interval_bytes: u32,
    /// `retention.ms`: how long a segment is kept after its latest timestamp; -1 for ever.
    pub retention_ms: i64,
    /// `retention.bytes`: how much of the log is kept; -1 for all.
    pub retention_bytes: i64,
    /// Whether `cleanup.policy` has `delete`: retention acts only then.
    pub delete_by_retention: bool,
    /// Whether `cleanup.policy` has `compact`.
    pub compact: bool,
    /// `min.cleanable.dirty.ratio` in millionths: the dirty share above which a log is compacted.
    pub min_dirty_millionths: u32,
    /// `min.compaction.lag.ms`: how long a record stays out of compaction at least.
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`: how long at most; `i64::MAX` for no bound.
    pub max_compaction_lag_ms: i64,
    /// `delete.retention.ms`: how long compaction keeps tombstones and the markers of transactions that are gone.
    pub delete_retention_ms: i64,
    /// `flush.messages`: 1 means synced before visible (the broker acts on it).
    pub flush_messages: i64,
    /// `flush.ms`: longest time an append stays unsynced (the broker acts on it).
    pub flush_ms: i64,
    /// `producer.id.expiration.ms`: how long an idle producer's sequence is remembered.
    pub producer_expiration_ms: i64,
}

impl LogSettings {
    /// How long the segment at `base` of the log `name` takes batches, in ms: `segment.ms` less its share of the jitter,
    /// and no longer than `max.compaction.lag.ms` on a compacted topic (only closed segments are compacted).
    pub(super) fn roll_after_ms(&self, name: &str, base: i64) -> i64 {
        let most =
            if self.compact { self.segment_ms.min(self.max_compaction_lag_ms) } else { self.segment_ms };
        let jitter = self.segment_jitter_ms.min(most);
        if jitter <= 0 {
            return most;
        }
        // As good as chance for spreading, and the same at each look.
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(name.as_bytes());
        hasher.update(&base.to_be_bytes());
        let share = i128::from(jitter) * i128::from(hasher.finalize()) / (i128::from(u32::MAX) + 1);
        most - i64::try_from(share).unwrap_or(0)
    }
}

impl Default for LogSettings {
    /// Kafka's defaults, but `flush.messages` 1.
    fn default() -> Self {
        Self {
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 3_600_000,
            segment_jitter_ms: 0,
            preallocate: false,
            file_delete_delay_ms: 60_000,
            segment_index_bytes: 10 << 20,
            index_interval_bytes: 4096,
            retention_ms: 7 * 24 * 3_600_000,
            retention_bytes: -1,
            delete_by_retention: true,
            compact: false,
            min_dirty_millionths: 500_000,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            delete_retention_ms: 86_400_000,
            flush_messages: 1,
            flush_ms: i64::MAX,
            producer_expiration_ms: 86_400_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_is_taken_off_and_lags_close_segments() {
        let plain = LogSettings { segment_ms: 1000, ..LogSettings::default() };
        assert_eq!(plain.roll_after_ms("t-0", 0), 1000);
        let spread = LogSettings { segment_jitter_ms: 400, ..plain.clone() };
        let times: std::collections::BTreeSet<i64> =
            (0..200).map(|base| spread.roll_after_ms("t-0", base)).collect();
        assert!(times.len() > 50 && times.iter().all(|time| (601..=1000).contains(time)), "{times:?}");
        assert_eq!(spread.roll_after_ms("t-0", 7), spread.roll_after_ms("t-0", 7));
        assert_ne!(spread.roll_after_ms("t-0", 7), spread.roll_after_ms("t-1", 7));
        let more = LogSettings { segment_jitter_ms: i64::MAX, ..plain.clone() };
        assert!((1..=1000).contains(&more.roll_after_ms("t-0", 0)));
        let lag = LogSettings { max_compaction_lag_ms: 300, ..plain };
        assert_eq!(lag.roll_after_ms("t-0", 0), 1000, "of a compacted topic only");
        assert_eq!(LogSettings { compact: true, ..lag }.roll_after_ms("t-0", 0), 300);
    }
}
