//! What a reader of foreign segment files needs of storage: headers, index entries, names; it opens nothing and never writes.

use super::batches;
use super::epochs::Epochs;
use super::index;
use super::producers::Producers;
use crate::record::BatchHeader;

/// Bytes of an `.index` entry.
pub const OFFSET_ENTRY: usize = index::OFFSET_ENTRY;
/// Bytes of a `.timeindex` entry.
pub const TIME_ENTRY: usize = index::TIME_ENTRY;
/// Bytes of a `.txnindex` entry (Kafka's `AbortedTxn`).
pub const TXN_ENTRY: usize = 2 + 8 + 8 + 8 + 8;
/// The name of the file of leader epochs within a partition's folder.
pub const EPOCHS: &str = super::epochs::FILE;
/// The name of the file of the topic's id within a partition's folder.
pub const METADATA: &str = "partition.metadata";
/// The name of the lock within a data folder (Apache Kafka's too).
pub const LOCK: &str = ".lock";

/// Bytes before a message of format 0 or 1: offset and size.
const LEGACY_PREFIX: usize = 12;
/// The least size such a message announces: CRC, magic, attributes, two lengths.
const LEGACY_LEAST: usize = 14;

/// One entry of `.index`: a batch's last offset less the segment's base, and where that batch starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetEntry {
    /// Last offset less the segment's base.
    pub relative: i32,
    /// Where the batch starts, in bytes.
    pub position: u32,
}

/// One entry of `.timeindex`: the largest timestamp so far, and the batch that brought it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeEntry {
    /// In ms.
    pub timestamp: i64,
    /// Last offset of that batch less the segment's base.
    pub relative: i32,
}

/// One entry of `.txnindex`: an aborted transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedTxn {
    /// Version of the entry; 0 is known.
    pub version: i16,
    /// Who aborted.
    pub producer_id: i64,
    /// First offset of the transaction.
    pub first_offset: i64,
    /// Offset of its abort marker.
    pub last_offset: i64,
    /// The last stable offset when it was aborted.
    pub last_stable_offset: i64,
}

impl OffsetEntry {
    /// Reads an entry's bytes.
    pub fn read(raw: &[u8; OFFSET_ENTRY]) -> OffsetEntry {
        let entry = index::offset_entry(raw);
        OffsetEntry { relative: entry.relative, position: entry.position }
    }
}

impl TimeEntry {
    /// Reads an entry's bytes.
    pub fn read(raw: &[u8; TIME_ENTRY]) -> TimeEntry {
        let entry = index::time_entry(raw);
        TimeEntry { timestamp: entry.timestamp, relative: entry.relative }
    }
}

impl AbortedTxn {
    /// Reads an entry's bytes.
    pub fn read(raw: &[u8; TXN_ENTRY]) -> AbortedTxn {
        let long = |at: usize| {
            let part = raw.get(at..).and_then(|rest| rest.first_chunk()).copied();
            part.map_or(0, i64::from_be_bytes)
        };
        AbortedTxn {
            version: i16::from_be_bytes([raw[0], raw[1]]),
            producer_id: long(2),
            first_offset: long(10),
            last_offset: long(18),
            last_stable_offset: long(26),
        }
    }
}

/// The header at the start of `bytes`, if a log may hold it: all that a broker asks of the fields it does not use itself
/// is that a producer put them there. Right for a place where a batch is due, beside its CRC.
pub fn possible(bytes: &[u8]) -> Option<BatchHeader> {
    batches::plausible(bytes)
}

/// The header at the start of `bytes`, if it is one as producers write them: every field is possible by itself and beside
/// the others. For looking for a batch among bytes that are none; the CRC is not looked at.
pub fn plausible(bytes: &[u8]) -> Option<BatchHeader> {
    let header = batches::plausible(bytes)?;
    let possible = header.attributes & !0x7f == 0
        && header.codec().is_ok()
        && header.count >= 0
        && i64::from(header.count) <= i64::from(header.last_offset_delta) + 1
        && header.leader_epoch >= -1
        && header.max_timestamp >= -1
        && header.producer_id >= -1
        && header.producer_epoch >= -1
        && header.base_sequence >= -1;
    possible.then_some(header)
}

/// A whole message (or wrapper of compressed ones) of format 0 or 1, which Kafka wrote before 0.11.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Legacy {
    /// Its offset; a wrapper's is that of its last message.
    pub offset: i64,
    /// 0 or 1.
    pub magic: u8,
    /// Bytes with its prefix.
    pub size: usize,
}

/// The size with its prefix that a message of format 0 or 1 at the start of `bytes` announces, if one can be there.
pub fn legacy_size(bytes: &[u8]) -> Option<usize> {
    let magic = *bytes.get(16)?;
    let attributes = *bytes.get(17)?;
    let size = usize::try_from(i32::from_be_bytes(*bytes.get(8..)?.first_chunk()?)).ok()?;
    let offset = i64::from_be_bytes(*bytes.first_chunk()?);
    let possible = magic < 2 && attributes & 0xf0 == 0 && size >= LEGACY_LEAST && offset >= 0;
    possible.then(|| LEGACY_PREFIX + size)
}

/// The message of format 0 or 1 that `bytes` are, if their CRC-32 agrees.
pub fn legacy(bytes: &[u8]) -> Option<Legacy> {
    let size = legacy_size(bytes)?;
    let whole = bytes.get(..size)?;
    let crc = u32::from_be_bytes(*whole.get(LEGACY_PREFIX..)?.first_chunk()?);
    let covered = whole.get(LEGACY_PREFIX + 4..)?;
    let offset = i64::from_be_bytes(*whole.first_chunk()?);
    (crc32fast::hash(covered) == crc).then(|| Legacy { offset, magic: whole[16], size })
}

/// A file name within a partition's folder: `<base offset, 20 digits>.<extension>`.
pub fn file_name(base: i64, extension: &str) -> String {
    super::segment::file_name(base, extension)
}

/// The base offset and extension of such a name.
pub fn split_name(name: &str) -> Option<(i64, &str)> {
    let (digits, extension) = name.split_once('.')?;
    let whole = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    whole.then(|| digits.parse().ok()).flatten().map(|base| (base, extension))
}

/// The leader epochs and their first offsets of a `leader-epoch-checkpoint`; `None` where it is not as it should be.
pub fn epochs(text: &[u8]) -> Option<Vec<(i32, i64)>> {
    Epochs::from_text(text).map(|epochs| epochs.entries().to_vec())
}

/// Whether the bytes of a `.snapshot` are whole: version, CRC, count.
pub fn is_snapshot(bytes: &[u8]) -> bool {
    Producers::from_snapshot(bytes, 0).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(magic: u8) -> Vec<u8> {
        let mut body = vec![magic, 0];
        if magic == 1 {
            body.extend_from_slice(&5i64.to_be_bytes());
        }
        body.extend_from_slice(&(-1i32).to_be_bytes());
        body.extend_from_slice(&2i32.to_be_bytes());
        body.extend_from_slice(b"hi");
        let mut bytes = 7i64.to_be_bytes().to_vec();
        bytes.extend_from_slice(&(body.len() as i32 + 4).to_be_bytes());
        bytes.extend_from_slice(&crc32fast::hash(&body).to_be_bytes());
        bytes.extend_from_slice(&body);
        bytes
    }

    #[test]
    fn old_formats_are_known_by_their_crc() {
        for magic in [0, 1] {
            let mut bytes = message(magic);
            let size = bytes.len();
            assert_eq!(legacy(&bytes), Some(Legacy { offset: 7, magic, size }));
            assert_eq!(plausible(&bytes), None);
            bytes[size - 1] ^= 1;
            assert_eq!(legacy(&bytes), None);
            assert_eq!(legacy(&bytes[..size - 1]), None);
        }
    }

    #[test]
    fn names_are_twenty_digits_and_an_extension() {
        assert_eq!(split_name("00000000000000000012.timeindex"), Some((12, "timeindex")));
        for name in ["12.log", "0000000000000000001x.log", "+0000000000000000012.log", "x", ""] {
            assert_eq!(split_name(name), None, "{name}");
        }
    }
}
