//! The table of keys: the last offset of each key that was seen, by a 128-bit hash of the key, in memory that is fixed
//! when it is made; it never holds a key itself.
//!
//! Two SipHash values under keys drawn for each table stand for a record's key: that two keys of one log meet is as good
//! as impossible, also for who would like them to.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Bytes of one place in the table.
const SLOT: usize = size_of::<Slot>();
/// Least number of places: a table that holds nothing gets nowhere.
const LEAST: usize = 16;

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    hash: (u64, u64),
    /// The offset and one; 0 for a free place, so that memory that was never used is never touched.
    offset: u64,
}

/// Keys and their last offsets.
pub(in crate::storage) struct OffsetMap {
    slots: Vec<Slot>,
    used: usize,
    limit: usize,
    hashers: (RandomState, RandomState),
}

impl OffsetMap {
    /// A table of at most `memory` bytes, filled to `load_percent` of its places at most, that need not hold more than
    /// `keys`.
    pub(in crate::storage) fn new(memory: usize, load_percent: usize, keys: u64) -> Self {
        let load = load_percent.clamp(1, 95);
        let wanted = usize::try_from(keys.saturating_mul(100) / load as u64 + 1).unwrap_or(usize::MAX);
        let places = (memory / SLOT).min(wanted).max(LEAST);
        Self {
            slots: vec![Slot::default(); places],
            used: 0,
            limit: (places * load / 100).max(1),
            hashers: (RandomState::new(), RandomState::new()),
        }
    }

    /// Notes that `key` is at `offset`; `false`, and nothing noted, where the key is new and the table full.
    pub(in crate::storage) fn put(&mut self, key: &[u8], offset: i64) -> bool {
        let hash = self.hash(key);
        let full = self.used >= self.limit;
        let at = self.place(hash);
        let Some(slot) = self.slots.get_mut(at) else { return false };
        let offset = u64::try_from(offset).unwrap_or(0) + 1;
        if slot.offset == 0 {
            if full {
                return false;
            }
            *slot = Slot { hash, offset };
            self.used += 1;
        } else {
            slot.offset = slot.offset.max(offset);
        }
        true
    }

    /// The last offset at which `key` was seen.
    pub(in crate::storage) fn get(&self, key: &[u8]) -> Option<i64> {
        let slot = self.slots.get(self.place(self.hash(key)))?;
        slot.offset.checked_sub(1).and_then(|offset| i64::try_from(offset).ok())
    }

    /// Where the hash is, or the free place where it belongs; there always is one, since the table is never full.
    fn place(&self, hash: (u64, u64)) -> usize {
        let count = self.slots.len();
        let mut at = ((u128::from(hash.0) * count as u128) >> 64) as usize;
        while let Some(slot) = self.slots.get(at) {
            if slot.offset == 0 || slot.hash == hash {
                return at;
            }
            at = if at + 1 == count { 0 } else { at + 1 };
        }
        at
    }

    fn hash(&self, key: &[u8]) -> (u64, u64) {
        let of = |state: &RandomState| {
            let mut hasher = state.build_hasher();
            hasher.write(key);
            hasher.finish()
        };
        (of(&self.hashers.0), of(&self.hashers.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_offset_of_each_key_is_known_until_it_is_full() {
        let mut map = OffsetMap::new(100 * SLOT, 90, u64::MAX);
        assert_eq!(map.get(b"none"), None);
        for n in 0..90i64 {
            assert!(map.put(n.to_string().as_bytes(), n));
        }
        assert!(!map.put(b"new", 100), "90 of 100 places");
        assert!(map.put(b"7", 107) && map.put(b"8", 3), "a known key always fits");
        assert_eq!(
            (map.get(b"7"), map.get(b"8"), map.get(b"0"), map.get(b"new")),
            (Some(107), Some(8), Some(0), None)
        );
        assert!((0..90).all(|n: i64| map.get(n.to_string().as_bytes()).is_some()));
    }

    #[test]
    fn memory_is_no_more_than_what_is_needed() {
        assert_eq!(OffsetMap::new(1 << 20, 90, 90).slots.len(), 101);
        assert_eq!(OffsetMap::new(1 << 20, 90, u64::MAX).slots.len(), (1 << 20) / SLOT);
        let mut least = OffsetMap::new(0, 90, 0);
        assert!(least.put(b"", 0));
        assert_eq!(least.get(b""), Some(0));
        assert_eq!(SLOT, 24);
    }
}
