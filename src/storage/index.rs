//! The two sparse indexes of a segment in Kafka's bytes; entries only ever point at the start of a batch.
//!
//! `.index`: 8 bytes an entry, a batch's last offset relative to the segment's base and the batch's position.
//! `.timeindex`: 12 bytes, the largest timestamp so far and the last offset (relative) of the batch that first
//! brought it, written only when later than the entry before. Both are big-endian and ascending, so that the bytes
//! themselves are searched, mapped or not.

use crate::record::BatchHeader;

/// Bytes of an offset index entry.
pub(super) const OFFSET_ENTRY: usize = 8;
/// Bytes of a time index entry.
pub(super) const TIME_ENTRY: usize = 12;

/// One entry of `.index`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OffsetEntry {
    /// A batch's last offset less the segment's base.
    pub(super) relative: i32,
    /// Where that batch starts.
    pub(super) position: u32,
}

impl OffsetEntry {
    /// Whether the batch that it leads to, in a segment from `base`, is the one that it was made of.
    pub(super) fn is_of(&self, base: i64, header: &BatchHeader) -> bool {
        header.last_offset() - base == i64::from(self.relative)
    }
}

/// One entry of `.timeindex`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TimeEntry {
    /// The largest timestamp (ms) up to here.
    pub(super) timestamp: i64,
    /// Last offset less the base of the batch that first brought it.
    pub(super) relative: i32,
}

pub(super) fn offset_entry(raw: &[u8; OFFSET_ENTRY]) -> OffsetEntry {
    let [a, b, c, d, e, f, g, h] = *raw;
    OffsetEntry { relative: i32::from_be_bytes([a, b, c, d]), position: u32::from_be_bytes([e, f, g, h]) }
}

pub(super) fn time_entry(raw: &[u8; TIME_ENTRY]) -> TimeEntry {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = *raw;
    TimeEntry {
        timestamp: i64::from_be_bytes([a, b, c, d, e, f, g, h]),
        relative: i32::from_be_bytes([i, j, k, l]),
    }
}

/// Adds an entry to the end of an offset index.
pub(super) fn push_offset(bytes: &mut Vec<u8>, entry: OffsetEntry) {
    bytes.extend_from_slice(&entry.relative.to_be_bytes());
    bytes.extend_from_slice(&entry.position.to_be_bytes());
}

/// Adds an entry to the end of a time index if it is later than the last one.
pub(super) fn push_time(bytes: &mut Vec<u8>, entry: TimeEntry) {
    if last_time(bytes).is_none_or(|last| entry.timestamp > last.timestamp) {
        bytes.extend_from_slice(&entry.timestamp.to_be_bytes());
        bytes.extend_from_slice(&entry.relative.to_be_bytes());
    }
}

/// The entry to start walking at for `relative`: the last one at or below it.
pub(super) fn floor(bytes: &[u8], relative: i64) -> Option<OffsetEntry> {
    let entries = bytes.as_chunks::<OFFSET_ENTRY>().0;
    let after = entries.partition_point(|raw| i64::from(offset_entry(raw).relative) <= relative);
    after.checked_sub(1).and_then(|at| entries.get(at)).map(offset_entry)
}

/// The last entry whose batch ends below `relative` and starts at or below `position`.
pub(super) fn last_within(bytes: &[u8], relative: i64, position: u64) -> Option<OffsetEntry> {
    let entries = bytes.as_chunks::<OFFSET_ENTRY>().0;
    let after = entries.partition_point(|raw| {
        let entry = offset_entry(raw);
        i64::from(entry.relative) < relative && u64::from(entry.position) <= position
    });
    after.checked_sub(1).and_then(|at| entries.get(at)).map(offset_entry)
}

/// The first entry whose batch starts behind `position`.
pub(super) fn first_behind(bytes: &[u8], position: u64) -> Option<OffsetEntry> {
    let entries = bytes.as_chunks::<OFFSET_ENTRY>().0;
    let at = entries.partition_point(|raw| u64::from(offset_entry(raw).position) <= position);
    entries.get(at).map(offset_entry)
}

/// The last entry of an offset index.
pub(super) fn last_offset(bytes: &[u8]) -> Option<OffsetEntry> {
    bytes.as_chunks::<OFFSET_ENTRY>().0.last().map(offset_entry)
}

/// The last entry of a time index.
pub(super) fn last_time(bytes: &[u8]) -> Option<TimeEntry> {
    bytes.as_chunks::<TIME_ENTRY>().0.last().map(time_entry)
}

/// The last entry with a timestamp below `timestamp`: everything up to its offset is earlier.
pub(super) fn time_below(bytes: &[u8], timestamp: i64) -> Option<TimeEntry> {
    let entries = bytes.as_chunks::<TIME_ENTRY>().0;
    let after = entries.partition_point(|raw| time_entry(raw).timestamp < timestamp);
    after.checked_sub(1).and_then(|at| entries.get(at)).map(time_entry)
}

/// How many bytes of an offset index can be trusted: whole entries, ascending in offset and position, positions below
/// `size` and offsets below `end` (relative). What a power cut left behind them (zeros, half entries) is not.
pub(super) fn trusted_offsets(bytes: &[u8], size: u64, end: i64) -> usize {
    let mut before: Option<OffsetEntry> = None;
    let entries = bytes.as_chunks::<OFFSET_ENTRY>().0;
    let good = entries.iter().map(offset_entry).take_while(|entry| {
        let ascending = before
            .is_none_or(|before| entry.relative > before.relative && entry.position > before.position)
            && entry.relative >= 0;
        before = Some(*entry);
        ascending && u64::from(entry.position) < size && i64::from(entry.relative) < end
    });
    good.count() * OFFSET_ENTRY
}

/// The same for a time index: ascending in timestamp and offset, offsets below `end` (relative).
pub(super) fn trusted_times(bytes: &[u8], end: i64) -> usize {
    let mut before: Option<TimeEntry> = None;
    let entries = bytes.as_chunks::<TIME_ENTRY>().0;
    let good = entries.iter().map(time_entry).take_while(|entry| {
        let ascending = before
            .is_none_or(|before| entry.timestamp > before.timestamp && entry.relative > before.relative)
            && entry.relative >= 0;
        before = Some(*entry);
        ascending && i64::from(entry.relative) < end
    });
    good.count() * TIME_ENTRY
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offsets(entries: &[(i32, u32)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for &(relative, position) in entries {
            push_offset(&mut bytes, OffsetEntry { relative, position });
        }
        bytes
    }

    #[test]
    fn entries_have_kafkas_bytes() {
        assert_eq!(offsets(&[(0x0102, 0x0304_0506)]), [0, 0, 1, 2, 3, 4, 5, 6]);
        let mut times = Vec::new();
        push_time(&mut times, TimeEntry { timestamp: 0x0102_0304_0506_0708, relative: 9 });
        assert_eq!(times, [1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 9]);
    }

    #[test]
    fn a_time_entry_is_written_only_when_later() {
        let mut times = Vec::new();
        for (timestamp, relative) in [(5, 1), (5, 2), (4, 3), (6, 4)] {
            push_time(&mut times, TimeEntry { timestamp, relative });
        }
        assert_eq!(times.len(), 2 * TIME_ENTRY);
        assert_eq!(last_time(&times), Some(TimeEntry { timestamp: 6, relative: 4 }));
        assert_eq!(time_below(&times, 6), Some(TimeEntry { timestamp: 5, relative: 1 }));
        assert_eq!(time_below(&times, 5), None);
    }

    #[test]
    fn lookups_find_the_entries_around() {
        let bytes = offsets(&[(9, 100), (19, 200), (29, 300)]);
        assert_eq!(floor(&bytes, 8), None);
        assert_eq!(floor(&bytes, 9).unwrap().position, 100);
        assert_eq!(floor(&bytes, 28).unwrap().position, 200);
        assert_eq!(last_within(&bytes, 29, 1000).unwrap().position, 200);
        assert_eq!(last_within(&bytes, 30, 299).unwrap().position, 200);
        assert_eq!(last_within(&bytes, 30, 300).unwrap().position, 300);
        assert_eq!(first_behind(&bytes, 200).unwrap().position, 300);
        assert_eq!(first_behind(&bytes, 300), None);
    }

    #[test]
    fn what_a_power_cut_leaves_is_not_trusted() {
        let mut bytes = offsets(&[(9, 100), (19, 200), (0, 0), (29, 300)]);
        assert_eq!(trusted_offsets(&bytes, 1000, 100), 16);
        bytes.truncate(13);
        assert_eq!(trusted_offsets(&bytes, 1000, 100), 8);
        assert_eq!(trusted_offsets(&bytes, 100, 100), 0);
        assert_eq!(trusted_offsets(&bytes, 1000, 9), 0);
        let mut times = Vec::new();
        push_time(&mut times, TimeEntry { timestamp: 5, relative: 1 });
        times.extend_from_slice(&[0; 12]);
        assert_eq!(trusted_times(&times, 100), 12);
        assert_eq!(trusted_times(&times, 1), 0);
    }
}
