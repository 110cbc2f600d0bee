//! What can be wrong with a partition's files, as facts, and what each means for the data; it decides nothing.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use super::scan::Damage;
use crate::record::RecordError;

/// Why bytes are no batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The batch's CRC-32C is another one than its header says.
    Crc {
        /// What the header says.
        stored: u32,
        /// What the bytes give.
        computed: u32,
    },
    /// The file ends before the batch does.
    Truncated {
        /// Bytes the batch announces.
        needed: u64,
        /// Bytes there are.
        found: u64,
    },
    /// Only zeros: space that was allocated before it was written, or what a power cut left.
    Zeros,
    /// No batch begins here: the magic byte is none that Kafka has.
    Magic(u8),
    /// The length can not be one.
    Length(i32),
    /// Another field of the header is impossible.
    Header,
    /// The CRC is right, but the offsets do not follow those before, and what comes after agrees with those.
    Order {
        /// Base offset found.
        found: i64,
        /// The least that was due.
        due: i64,
    },
}

impl Cause {
    /// What is wrong with bytes (up to a header's) that begin no batch.
    pub(super) fn of_no_header(bytes: &[u8]) -> Cause {
        let length = bytes.get(8..).and_then(|rest| rest.first_chunk()).copied().map(i32::from_be_bytes);
        match (bytes.get(16), length) {
            _ if bytes.iter().all(|&byte| byte == 0) => Cause::Zeros,
            (Some(&magic), _) if magic > 2 => Cause::Magic(magic),
            (Some(_), Some(length)) if length < 49 => Cause::Length(length),
            _ if bytes.len() < crate::record::HEADER_LEN => {
                Cause::Truncated { needed: crate::record::HEADER_LEN as u64, found: bytes.len() as u64 }
            }
            _ => Cause::Header,
        }
    }

    /// Whether a writer that is not done yet leaves this.
    pub(super) fn is_unfinished(&self) -> bool {
        matches!(self, Cause::Truncated { .. } | Cause::Zeros)
    }

    /// A word for scripts.
    pub fn word(&self) -> &'static str {
        match self {
            Cause::Crc { .. } => "crc",
            Cause::Truncated { .. } => "torn",
            Cause::Zeros => "zeros",
            Cause::Magic(_) | Cause::Length(_) | Cause::Header => "header",
            Cause::Order { .. } => "order",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Crc { stored, computed } => {
                write!(out, "the CRC is {computed:08x} where the header says {stored:08x}")
            }
            Cause::Truncated { needed, found } => {
                write!(out, "the batch is cut short: {found} bytes of {needed}")
            }
            Cause::Zeros => f_str(out, "zeros: allocated but not written"),
            Cause::Magic(magic) => write!(out, "no batch begins here: the format byte is {magic} (0 to 2)"),
            Cause::Length(length) => write!(out, "no batch begins here: its length is {length}"),
            Cause::Header => f_str(out, "no batch begins here: its header is impossible"),
            Cause::Order { found, due } => {
                write!(out, "the batch begins at offset {found} where {due} is due")
            }
        }
    }
}

fn f_str(out: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    out.write_str(text)
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// In which file or folder.
    pub path: PathBuf,
    /// At which byte of it, where there is one.
    pub position: Option<u64>,
    /// What it is.
    pub problem: Problem,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// Bytes that are no batch.
    Damage(Damage),
    /// The file's name says another base offset than its first batch: renamed or swapped.
    Misnamed {
        /// Its first offset.
        first: i64,
    },
    /// A batch with a good CRC whose records are not as they should be.
    Records {
        /// Its offsets.
        offsets: Range<i64>,
        /// What is wrong.
        error: RecordError,
    },
    /// The header's largest timestamp is not the records'.
    MaxTimestamp {
        /// The batch's offsets.
        offsets: Range<i64>,
        /// What the header says, in ms.
        header: i64,
        /// What the records say, in ms.
        records: i64,
    },
    /// The leader epoch falls from one batch to the next.
    Epoch {
        /// The batch's base offset.
        offset: i64,
        /// The epoch before.
        before: i32,
        /// Its own.
        found: i32,
    },
    /// Offsets are missing between two segments.
    Missing {
        /// Which.
        offsets: Range<i64>,
    },
    /// A segment holds offsets that the next one should.
    Overlap {
        /// Which.
        offsets: Range<i64>,
    },
    /// An index file of a closed segment is not there.
    NoIndex,
    /// An index file is not as it should be.
    Index {
        /// What is wrong.
        what: String,
    },
    /// A small file (snapshot, epochs, topic id) can not be read.
    BadFile {
        /// What is wrong.
        what: String,
    },
    /// The epochs' checkpoint contradicts the batches.
    EpochCheckpoint {
        /// How.
        what: String,
    },
}

impl Problem {
    /// A word for scripts.
    pub fn word(&self) -> &'static str {
        match self {
            Problem::Damage(damage) => damage.cause.word(),
            Problem::Misnamed { .. } => "misnamed",
            Problem::Records { .. } => "records",
            Problem::MaxTimestamp { .. } => "max_timestamp",
            Problem::Epoch { .. } => "epoch",
            Problem::Missing { .. } => "missing",
            Problem::Overlap { .. } => "overlap",
            Problem::NoIndex => "no_index",
            Problem::Index { .. } => "index",
            Problem::BadFile { .. } => "file",
            Problem::EpochCheckpoint { .. } => "epochs",
        }
    }

    /// What it means for the data.
    pub fn saved(&self) -> String {
        match self {
            Problem::Damage(damage) if matches!(damage.cause, Cause::Zeros) && damage.to_end => {
                "nothing is lost by cutting it off".to_owned()
            }
            Problem::Damage(damage) if matches!(damage.cause, Cause::Order { .. }) => {
                "the records are whole; all other batches can be read".to_owned()
            }
            Problem::Damage(damage) if damage.to_end => {
                "everything before it; a repair cuts it off into a file beside".to_owned()
            }
            Problem::Damage(_) => "everything before and behind it".to_owned(),
            Problem::Misnamed { first } => {
                format!("everything, once it is named {}", crate::storage::scan::file_name(*first, "log"))
            }
            Problem::Records { .. } => "the records of the batch before the bad one".to_owned(),
            Problem::MaxTimestamp { .. } => "everything; look-ups by time may be wrong here".to_owned(),
            Problem::Epoch { .. } => "everything; one of the two epochs is wrong".to_owned(),
            Problem::Missing { .. } => "everything else: a segment or its tail is gone".to_owned(),
            Problem::Overlap { .. } => "everything; which file is right is not known".to_owned(),
            Problem::NoIndex | Problem::Index { .. } => {
                "everything: the index can be made again from the log".to_owned()
            }
            Problem::BadFile { .. } | Problem::EpochCheckpoint { .. } => {
                "everything: it can be made again from the log".to_owned()
            }
        }
    }

    /// Whether bytes of a log are affected, not only files that can be made again.
    pub fn is_loss(&self) -> bool {
        matches!(self, Problem::Damage(_) | Problem::Records { .. } | Problem::Missing { .. })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Damage(damage) => write!(out, "{damage}"),
            Problem::Misnamed { first } => {
                write!(out, "the file's first offset is {first}, which is not what its name says")
            }
            Problem::Records { offsets, error } => {
                write!(out, "the batch of offsets {}: {error}", span(offsets))
            }
            Problem::MaxTimestamp { offsets, header, records } => write!(
                out,
                "the batch of offsets {}: its largest timestamp is {records}, its header says {header}",
                span(offsets)
            ),
            Problem::Epoch { offset, before, found } => {
                write!(out, "the leader epoch falls from {before} to {found} at offset {offset}")
            }
            Problem::Missing { offsets } => {
                write!(out, "offsets {} are missing before the next segment", span(offsets))
            }
            Problem::Overlap { offsets } => {
                write!(out, "offsets {} belong into the next segment", span(offsets))
            }
            Problem::NoIndex => f_str(out, "the index is missing"),
            Problem::Index { what } | Problem::BadFile { what } | Problem::EpochCheckpoint { what } => {
                f_str(out, what)
            }
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.position.end - self.position.start;
        write!(out, "{bytes} bytes are no batch: {}", self.cause)?;
        match (self.offsets.is_empty(), self.to_end) {
            (false, _) => write!(out, "; offsets {} can not be read", span(&self.offsets)),
            (true, true) if self.cause != Cause::Zeros => {
                write!(out, "; offsets from {} on can not be read", self.offsets.start)
            }
            _ => Ok(()),
        }
    }
}

/// `7` or `7 to 9`, of a range whose end is not in it.
pub fn span(offsets: &Range<i64>) -> String {
    let last = offsets.end.saturating_sub(1);
    if last <= offsets.start { offsets.start.to_string() } else { format!("{} to {last}", offsets.start) }
}
