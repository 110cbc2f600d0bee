//! Where an offset or a time lies: by binary search in the index files, then from header to header; what an index says is
//! held against the log before it is believed.

use std::path::Path;

use super::scan::{Piece, Scan};
use super::{InspectError, MAX_INFLATED, Partition, SegmentFile, Source};
use crate::record::{Batch, BatchHeader, Decompressor, HEADER_LEN};
use crate::storage::scan::{OFFSET_ENTRY, OffsetEntry, TIME_ENTRY, TimeEntry, possible};
use crate::storage::{Disk, DiskFile};

/// Bytes read at once while going from header to header.
const HOP: usize = 4096;
/// A batch up to this size is read whole before an index that leads to it is believed.
const CHECKED: usize = 1 << 20;

/// Where to begin reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Which segment of the partition.
    pub segment: usize,
    /// Where in it a batch begins, in bytes.
    pub position: u64,
    /// The least offset of that batch.
    pub offset: i64,
    /// Whether an index led there; without one, headers were followed from the segment's start.
    pub by_index: bool,
}

/// Where to begin for the record at `target`, or the first one behind it; `None` in an empty partition.
///
/// # Errors
/// `Io`.
pub fn offset(disk: &dyn Disk, partition: &Partition, target: i64) -> Result<Option<Place>, InspectError> {
    let at = partition.segments.partition_point(|segment| segment.base.is_some_and(|base| base <= target));
    let at = at.saturating_sub(1);
    let Some(segment) = partition.segments.get(at) else { return Ok(None) };
    in_segment(disk, segment, target)
        .map(|(position, offset, by_index)| Some(Place { segment: at, position, offset, by_index }))
}

/// Position and least offset of the batch in which `target` is or behind which it would be, and whether an index led there.
fn in_segment(disk: &dyn Disk, segment: &SegmentFile, target: i64) -> Result<(u64, i64, bool), InspectError> {
    let base = segment.base.unwrap_or(0);
    let start = (0, base, false);
    if target <= base || segment.size == 0 {
        return Ok((0, base, true));
    }
    let Source::File { file, size } = segment.open(disk)? else { return Ok(start) };
    let read = InspectError::io("read", &segment.path);
    let mut hops = Hops::new(file.as_ref(), size);
    let (mut position, mut due, mut by_index) = start;
    if let Some(entry) = floor(disk, segment, target - base)? {
        let at = u64::from(entry.position);
        // The index is believed where a whole batch lies at its word.
        if let Some(header) =
            whole_batch(file.as_ref(), at, size).map_err(InspectError::io("read", &segment.path))?
            && (header.base_offset..=header.last_offset()).contains(&entry_offset(base, entry.relative))
        {
            (position, due, by_index) = (at, header.base_offset, true);
        }
    }
    let walked = (|| -> std::io::Result<()> {
        while let Some(header) = hops.header(position)? {
            if header.next_offset() > target || header.base_offset < due {
                break;
            }
            position += header.size() as u64;
            due = header.next_offset();
        }
        Ok(())
    })();
    walked.map_err(read)?;
    Ok((position, due, by_index || segment.size <= HOP as u64))
}

/// The offset that an index entry means: one of its batch, mostly the last; Apache Kafka's cleaner up to 4.0 wrote that of
/// the last record that it left.
fn entry_offset(base: i64, relative: i32) -> i64 {
    base.saturating_add(i64::from(relative))
}

/// The header of a whole batch at `at`, with a good CRC where that costs little.
fn whole_batch(file: &dyn DiskFile, at: u64, size: u64) -> std::io::Result<Option<BatchHeader>> {
    let mut head = [0; HEADER_LEN];
    if size.saturating_sub(at) < HEADER_LEN as u64 {
        return Ok(None);
    }
    crate::storage::disk::read_exact_at(file, &mut head, at)?;
    let Some(header) = possible(&head).filter(|header| header.size() as u64 <= size - at) else {
        return Ok(None);
    };
    if header.size() > CHECKED {
        return Ok(Some(header));
    }
    let mut bytes = vec![0; header.size()];
    crate::storage::disk::read_exact_at(file, &mut bytes, at)?;
    Ok(Batch::exactly(&bytes).is_ok_and(|batch| batch.crc_ok()).then_some(header))
}

/// Headers at positions, a few KiB a read.
struct Hops<'f> {
    file: &'f dyn DiskFile,
    size: u64,
    chunk: [u8; HOP],
    start: u64,
    len: usize,
}

impl<'f> Hops<'f> {
    fn new(file: &'f dyn DiskFile, size: u64) -> Self {
        Self { file, size, chunk: [0; HOP], start: 0, len: 0 }
    }

    /// The header of the batch at `at`, if one can be there and ends within the file.
    fn header(&mut self, at: u64) -> std::io::Result<Option<BatchHeader>> {
        if self.size.saturating_sub(at) < HEADER_LEN as u64 {
            return Ok(None);
        }
        if at < self.start || at + HEADER_LEN as u64 > self.start + self.len as u64 {
            (self.start, self.len) = (at, 0);
            while self.len < HEADER_LEN {
                let into = self.chunk.get_mut(self.len..).unwrap_or_default();
                match self.file.read_at(into, at + self.len as u64)? {
                    0 => return Ok(None),
                    read => self.len += read,
                }
            }
        }
        let from = usize::try_from(at - self.start).unwrap_or(0);
        let header = self.chunk.get(from..self.len).and_then(possible);
        Ok(header.filter(|header| header.size() as u64 <= self.size - at))
    }
}

/// The `n`-th entry of an index file.
fn entry<const N: usize>(file: &dyn DiskFile, n: u64) -> std::io::Result<[u8; N]> {
    let mut raw = [0; N];
    crate::storage::disk::read_exact_at(file, &mut raw, n * N as u64)?;
    Ok(raw)
}

/// How many of `count` entries, which ascend, `below` is true for; zeros behind the first are space not written yet.
fn search<const N: usize>(
    file: &dyn DiskFile,
    count: u64,
    below: impl Fn(&[u8; N]) -> bool,
) -> std::io::Result<u64> {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        let raw = entry::<N>(file, middle)?;
        if below(&raw) && (raw != [0; N] || middle == 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

/// An open index file and its size.
type IndexFile = (std::sync::Arc<dyn DiskFile>, u64);

fn index_file(disk: &dyn Disk, path: &Path) -> Result<Option<IndexFile>, InspectError> {
    match Source::open(disk, path) {
        Ok(Source::File { file, size }) if size > 0 => Ok(Some((file, size))),
        Ok(_) => Ok(None),
        Err(InspectError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The last entry of a segment's offset index at or below `relative`.
fn floor(disk: &dyn Disk, segment: &SegmentFile, relative: i64) -> Result<Option<OffsetEntry>, InspectError> {
    let path = segment.beside("index");
    if segment.index.is_none_or(|size| size == 0) {
        return Ok(None);
    }
    let Some((file, size)) = index_file(disk, &path)? else { return Ok(None) };
    let find = || -> std::io::Result<Option<OffsetEntry>> {
        let below = |raw: &[u8; OFFSET_ENTRY]| i64::from(OffsetEntry::read(raw).relative) <= relative;
        let count = search(file.as_ref(), size / OFFSET_ENTRY as u64, below)?;
        let Some(last) = count.checked_sub(1) else { return Ok(None) };
        let raw = entry::<OFFSET_ENTRY>(file.as_ref(), last)?;
        Ok((raw != [0; OFFSET_ENTRY]).then(|| OffsetEntry::read(&raw)))
    };
    find().map_err(InspectError::io("read", &path))
}

/// The last entry of a segment's time index, and the last one below `timestamp`.
fn times(
    disk: &dyn Disk,
    segment: &SegmentFile,
    timestamp: i64,
) -> Result<(Option<TimeEntry>, Option<TimeEntry>), InspectError> {
    let path = segment.beside("timeindex");
    if segment.timeindex.is_none_or(|size| size == 0) {
        return Ok((None, None));
    }
    let Some((file, size)) = index_file(disk, &path)? else { return Ok((None, None)) };
    let find = || -> std::io::Result<_> {
        let at = |count: u64| -> std::io::Result<Option<TimeEntry>> {
            let Some(last) = count.checked_sub(1) else { return Ok(None) };
            let raw = entry::<TIME_ENTRY>(file.as_ref(), last)?;
            Ok((raw != [0; TIME_ENTRY]).then(|| TimeEntry::read(&raw)))
        };
        let count = size / TIME_ENTRY as u64;
        let all = search(file.as_ref(), count, |_: &[u8; TIME_ENTRY]| true)?;
        let below = search(file.as_ref(), count, |raw: &[u8; TIME_ENTRY]| {
            TimeEntry::read(raw).timestamp < timestamp
        })?;
        Ok((at(all)?, at(below)?))
    };
    find().map_err(InspectError::io("read", &path))
}

/// Where to begin for the first record at or after `timestamp` (ms); `None` where all segments are known to be earlier.
///
/// # Errors
/// `Io`.
pub fn time(disk: &dyn Disk, partition: &Partition, timestamp: i64) -> Result<Option<Place>, InspectError> {
    for (at, segment) in partition.segments.iter().enumerate() {
        let base = segment.base.unwrap_or(0);
        let (last, below) = times(disk, segment, timestamp)?;
        // A closed segment's index ends with its largest timestamp; that of the last one may lag behind.
        if !segment.is_last && last.is_some_and(|last| last.timestamp < timestamp) {
            continue;
        }
        let target = below.map_or(base, |entry| entry_offset(base, entry.relative).saturating_add(1));
        let (position, offset, by_index) = in_segment(disk, segment, target)?;
        let by_index = by_index && (last.is_some() || segment.is_last);
        return Ok(Some(Place { segment: at, position, offset, by_index }));
    }
    Ok(None)
}

/// The offset of the first record at or after `timestamp` (ms), and whether indexes led there; `None` where there is none.
///
/// # Errors
/// `Io`.
pub fn first_since(
    disk: &dyn Disk,
    partition: &Partition,
    timestamp: i64,
) -> Result<Option<(i64, bool)>, InspectError> {
    let Some(place) = time(disk, partition, timestamp)? else { return Ok(None) };
    let mut inflate = Decompressor::new();
    for (at, segment) in partition.segments.iter().enumerate().skip(place.segment) {
        let mut scan = Scan::new(segment.open(disk)?, &segment.path, segment.limits());
        if at == place.segment && place.position > 0 {
            scan.start_at(place.position, place.offset);
        }
        while let Some(piece) = scan.next()? {
            let Piece::Batch(_, batch) = piece else { continue };
            if batch.max_timestamp() < timestamp || batch.is_control() {
                continue;
            }
            let Ok(mut records) = inflate.records(&batch, MAX_INFLATED) else { continue };
            let found = records.find_map(|record| record.ok().filter(|record| record.timestamp >= timestamp));
            if let Some(record) = found {
                return Ok(Some((record.offset, place.by_index)));
            }
        }
    }
    Ok(None)
}

/// The first offset there is and the one behind the last, as the headers say.
///
/// # Errors
/// `Io`.
pub fn ends(disk: &dyn Disk, partition: &Partition) -> Result<Option<(i64, i64)>, InspectError> {
    let Some(first) = partition.segments.iter().find(|segment| segment.size > 0) else {
        let base = partition.segments.last().and_then(|segment| segment.base);
        return Ok(base.map(|base| (base, base)));
    };
    let mut scan = Scan::new(first.open(disk)?, &first.path, first.limits());
    let mut start = first.base.unwrap_or(0);
    if let Some(Piece::Batch(_, batch)) = scan.next()? {
        start = batch.base_offset();
    }
    let Some(last) = partition.segments.iter().rfind(|segment| segment.size > 0) else { return Ok(None) };
    let (_, end, _) = in_segment(disk, last, i64::MAX - 1)?;
    let named = partition.segments.last().and_then(|segment| segment.base).unwrap_or(end);
    Ok(Some((start, end.max(named).max(start))))
}

/// The largest timestamp (ms) that a segment's time index knows.
///
/// # Errors
/// `Io`.
pub fn last_time(disk: &dyn Disk, segment: &SegmentFile) -> Result<Option<i64>, InspectError> {
    Ok(times(disk, segment, 0)?.0.map(|entry| entry.timestamp))
}
