//! The entries of a `.txnindex` (Kafka's `AbortedTxn`, version 0): aborted transactions by their marker's offset; it
//! decides which entries can be believed, and opens no files.

use super::transactions::Ended;

/// Bytes of an entry: version, producer id, first and last offset, last stable offset.
pub(super) const ENTRY: usize = 2 + 4 * 8;
const VERSION: i16 = 0;

/// One aborted transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) producer_id: i64,
    pub(super) first_offset: i64,
    /// The marker's offset.
    pub(super) last_offset: i64,
    /// The last stable offset once it was aborted: no entry behind concerns who reads only below it.
    pub(super) stable_offset: i64,
}

impl Entry {
    /// Of a transaction that ended; `None` where it was committed.
    pub(super) fn of(ended: &Ended, stable_offset: i64) -> Option<Self> {
        let Ended { producer_id, first_offset, last_offset, aborted } = *ended;
        aborted.then_some(Self { producer_id, first_offset, last_offset, stable_offset })
    }

    fn read(raw: &[u8; ENTRY]) -> Option<Self> {
        let (version, rest) = raw.split_first_chunk()?;
        let (words, _) = rest.as_chunks::<8>();
        let [producer_id, first_offset, last_offset, stable_offset] = words else { return None };
        let entry = Self {
            producer_id: i64::from_be_bytes(*producer_id),
            first_offset: i64::from_be_bytes(*first_offset),
            last_offset: i64::from_be_bytes(*last_offset),
            stable_offset: i64::from_be_bytes(*stable_offset),
        };
        let possible = i16::from_be_bytes(*version) == VERSION
            && (0..entry.last_offset).contains(&entry.first_offset)
            && entry.producer_id >= 0
            && entry.stable_offset >= 0;
        possible.then_some(entry)
    }
}

/// The bytes of entries.
pub(super) fn encode(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(entries.len() * ENTRY);
    for entry in entries {
        bytes.extend_from_slice(&VERSION.to_be_bytes());
        for word in [entry.producer_id, entry.first_offset, entry.last_offset, entry.stable_offset] {
            bytes.extend_from_slice(&word.to_be_bytes());
        }
    }
    bytes
}

/// The entries of a segment that holds offsets `base` to `end` (exclusive), as far as they can be right; whether all can.
pub(super) fn decode(bytes: &[u8], base: i64, end: i64) -> (Vec<Entry>, bool) {
    let (raw, rest) = bytes.as_chunks::<ENTRY>();
    let mut entries: Vec<Entry> = Vec::with_capacity(raw.len());
    for raw in raw {
        let behind = entries.last().map_or(base, |last| last.last_offset + 1);
        match Entry::read(raw).filter(|entry| (behind..end).contains(&entry.last_offset)) {
            Some(entry) => entries.push(entry),
            None => return (entries, false),
        }
    }
    (entries, rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_have_kafkas_bytes_and_come_back_as_far_as_they_can_be_right() {
        let entries = [
            Entry { producer_id: 7, first_offset: 3, last_offset: 12, stable_offset: 5 },
            Entry { producer_id: 9, first_offset: 5, last_offset: 13, stable_offset: 14 },
        ];
        let bytes = encode(&entries);
        assert_eq!(bytes.len(), 68);
        assert_eq!(bytes[..18], [0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 3]);
        assert_eq!(decode(&bytes, 10, 14), (entries.to_vec(), true));
        assert_eq!(decode(&bytes, 10, 13), (entries[..1].to_vec(), false), "behind the segment's end");
        assert_eq!(decode(&bytes, 13, 14), (vec![], false), "before its base");
        assert_eq!(decode(&bytes[..50], 10, 14), (entries[..1].to_vec(), false));
        let mut wrong = bytes.clone();
        wrong[35] = 1;
        assert_eq!(decode(&wrong, 10, 14), (entries[..1].to_vec(), false), "another version");
        let twice = encode(&[entries[0], entries[0]]);
        assert_eq!(decode(&twice, 10, 14), (entries[..1].to_vec(), false), "offsets must rise");
        assert_eq!(decode(&[], 0, 0), (vec![], true));
    }
}
