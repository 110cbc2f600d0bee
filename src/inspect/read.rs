//! Records of a segment within a range of offsets, or of times for a stream; damage is handed on and passed over.

use super::scan::{Piece, Scan};
use super::{InspectError, MAX_INFLATED};
use crate::inspect::finding::Problem;
use crate::record::{BatchHeader, Decompressor, Record, RecordError};

/// A place to begin or to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// At an offset.
    Offset(i64),
    /// At the first record at or after this time, ms.
    Time(i64),
}

/// Which records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Select {
    /// From here on, this one included.
    pub from: Bound,
    /// Up to here, this one not included.
    pub to: Bound,
    /// Records of control batches too.
    pub control: bool,
}

impl Select {
    /// All records but control records.
    pub const ALL: Select = Select { from: Bound::Offset(0), to: Bound::Offset(i64::MAX), control: false };

    /// Whether nothing of the batch, nor of what follows, is wanted.
    fn is_past(&self, header: &BatchHeader) -> bool {
        matches!(self.to, Bound::Offset(to) if header.base_offset >= to)
    }

    /// Whether nothing of the batch is wanted, though what follows may be.
    fn is_before(&self, header: &BatchHeader) -> bool {
        match self.from {
            Bound::Offset(from) => header.last_offset() < from,
            Bound::Time(from) => header.max_timestamp < from,
        }
    }
}

/// What reading comes to.
#[derive(Debug)]
pub enum Event<'e> {
    /// A record and its batch's header.
    Record(&'e BatchHeader, &'e Record<'e>),
    /// A batch, before its records: where it lies and how long it is.
    Batch(u64, &'e BatchHeader),
    /// Something that can not be read: where in the file, and what.
    Problem(u64, Problem),
    /// Messages of format 0 or 1 that are passed over: where, the format, how many.
    Legacy(u64, u8, u64),
    /// The last batch is being written: where it begins.
    Growing(u64),
}

/// What to do after an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Go on.
    On,
    /// Stop reading.
    Stop,
}

/// Hands on what a scan finds within `select`; whether to go on with what follows.
///
/// # Errors
/// `Io`.
pub fn segment(
    scan: &mut Scan,
    select: &mut Select,
    records: bool,
    inflate: &mut Decompressor,
    on: &mut dyn FnMut(Event<'_>) -> Next,
) -> Result<Next, InspectError> {
    while let Some(piece) = scan.next()? {
        let next = match piece {
            Piece::Batch(at, batch) => {
                let header = batch.header();
                if select.is_past(&header) {
                    return Ok(Next::Stop);
                }
                if select.is_before(&header) || (records && header.is_control() && !select.control) {
                    continue;
                }
                let next = on(Event::Batch(at, &header));
                if records && next == Next::On {
                    match walk(inflate.records(&batch, MAX_INFLATED), &header, select, on) {
                        Ok(next) => next,
                        Err(error) => {
                            let offsets = header.base_offset..header.next_offset();
                            on(Event::Problem(at, Problem::Records { offsets, error }))
                        }
                    }
                } else {
                    next
                }
            }
            Piece::Damage(damage) => on(Event::Problem(damage.position.start, Problem::Damage(damage))),
            Piece::Legacy(at, last, count) => on(Event::Legacy(at.start, last.magic, count)),
            Piece::Growing(at, _) => on(Event::Growing(at)),
        };
        if next == Next::Stop {
            return Ok(Next::Stop);
        }
    }
    Ok(Next::On)
}

fn walk(
    records: Result<crate::record::Records<'_>, RecordError>,
    header: &BatchHeader,
    select: &mut Select,
    on: &mut dyn FnMut(Event<'_>) -> Next,
) -> Result<Next, RecordError> {
    for record in records? {
        let record = record?;
        match select.from {
            Bound::Offset(from) if record.offset < from => continue,
            Bound::Time(from) if record.timestamp < from => continue,
            // Times may go back and forth; what follows the first record is wanted whatever its time.
            Bound::Time(_) => select.from = Bound::Offset(record.offset),
            Bound::Offset(_) => {}
        }
        let past = match select.to {
            Bound::Offset(to) => record.offset >= to,
            Bound::Time(to) => record.timestamp >= to,
        };
        if past || on(Event::Record(header, &record)) == Next::Stop {
            return Ok(Next::Stop);
        }
    }
    Ok(Next::On)
}
