//! One row of facts a segment, from names, sizes and a few headers; what would cost a walk over a large file is left out.

use super::scan::{Piece, Scan};
use super::{InspectError, Partition, SegmentFile, seek};
use crate::storage::Disk;

/// Segments up to this size are walked for their counts.
const WALKED: u64 = 64 << 20;

/// What is known of a segment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The first offset in it.
    pub first_offset: Option<i64>,
    /// The last offset in it.
    pub last_offset: Option<i64>,
    /// Whole batches, where it is not too large to count them.
    pub batches: Option<u64>,
    /// Their records.
    pub records: Option<u64>,
    /// Timestamp of the first batch, ms.
    pub first_timestamp: Option<i64>,
    /// Largest timestamp, ms.
    pub last_timestamp: Option<i64>,
    /// Whether damage was met.
    pub is_damaged: bool,
    /// The format of its messages where that is not 2.
    pub legacy: Option<u8>,
}

/// Looks at one segment of a partition.
///
/// # Errors
/// `Io`.
pub fn of(disk: &dyn Disk, partition: &Partition, at: usize) -> Result<Facts, InspectError> {
    let mut facts = Facts::default();
    let Some(file) = partition.segments.get(at) else { return Ok(facts) };
    if file.size <= WALKED {
        return walk(disk, file);
    }
    let mut scan = Scan::new(file.open(disk)?, &file.path, file.limits());
    match scan.next()? {
        Some(Piece::Batch(_, batch)) => {
            facts.first_offset = Some(batch.base_offset());
            facts.first_timestamp = Some(batch.max_timestamp()).filter(|&time| time >= 0);
        }
        Some(Piece::Damage(_)) => facts.is_damaged = true,
        Some(Piece::Legacy(_, last, _)) => facts.legacy = Some(last.magic),
        _ => {}
    }
    if facts.legacy.is_none() {
        let alone = Partition { segments: vec![file.clone()], ..partition.clone() };
        facts.last_offset = seek::ends(disk, &alone)?.map(|(_, end)| end - 1);
        facts.last_timestamp = seek::last_time(disk, file)?;
    }
    Ok(facts)
}

fn walk(disk: &dyn Disk, file: &SegmentFile) -> Result<Facts, InspectError> {
    let mut facts = Facts { batches: Some(0), records: Some(0), ..Facts::default() };
    let mut scan = Scan::new(file.open(disk)?, &file.path, file.limits());
    while let Some(piece) = scan.next()? {
        match piece {
            Piece::Batch(_, batch) => {
                facts.batches = facts.batches.map(|count| count + 1);
                let records = u64::try_from(batch.count()).unwrap_or(0);
                facts.records = facts.records.map(|count| count + records);
                facts.first_offset.get_or_insert(batch.base_offset());
                facts.last_offset = Some(batch.last_offset());
                if batch.max_timestamp() >= 0 {
                    facts.first_timestamp.get_or_insert(batch.max_timestamp());
                    facts.last_timestamp = facts.last_timestamp.max(Some(batch.max_timestamp()));
                }
            }
            Piece::Damage(_) => facts.is_damaged = true,
            Piece::Legacy(_, last, count) => {
                facts.legacy = Some(last.magic);
                facts.records = facts.records.map(|sum| sum + count);
                facts.last_offset = Some(last.offset);
            }
            Piece::Growing(..) => {}
        }
    }
    Ok(facts)
}
