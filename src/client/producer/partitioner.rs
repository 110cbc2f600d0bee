//! Which partition a record goes to: murmur2 of its key as the Java client has it, else the sticky one; never random per record.

use std::num::NonZeroU32;

/// Kafka's murmur2 (32 bits, seed 0x9747b28c).
pub fn murmur2(key: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ key.len() as u32;
    let (words, tail) = key.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k = (k ^ (k >> 24)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    if !tail.is_empty() {
        for (place, &byte) in tail.iter().enumerate() {
            hash ^= u32::from(byte) << (8 * place);
        }
        hash = hash.wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// The partition of a key among `count`: the Java client's rule, which makes the hash positive first.
pub fn partition_of(key: &[u8], count: NonZeroU32) -> i32 {
    ((murmur2(key) & 0x7fff_ffff) % count) as i32
}

/// The partition of records without a key: one until its batch is closed, then another (KIP-480).
#[derive(Debug, Clone, Default)]
pub(super) struct Sticky {
    current: i32,
}

impl Sticky {
    /// Begins at a partition drawn by the caller.
    pub(super) fn new(drawn: u32, count: NonZeroU32) -> Self {
        Self { current: (drawn % count) as i32 }
    }

    /// Where the next record without a key goes.
    pub(super) fn current(&self) -> i32 {
        self.current
    }

    /// A batch of `partition` was closed: if records without a key went there, they go elsewhere from now on.
    pub(super) fn closed(&mut self, partition: i32, drawn: u32, count: NonZeroU32) {
        if partition == self.current && count.get() > 1 {
            let others = count.get() - 1;
            self.current = ((self.current as u32 + 1 + drawn % others) % count) as i32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur2_gives_what_the_java_client_gives() {
        // Known answers of org.apache.kafka.common.utils.Utils.murmur2.
        for (key, hash) in [
            ("21", -973_932_308i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
    }

    #[test]
    fn sticky_stays_until_its_batch_is_closed_and_then_moves_elsewhere() {
        let count = NonZeroU32::new(3).unwrap();
        let mut sticky = Sticky::new(7, count);
        assert_eq!(sticky.current(), 1);
        sticky.closed(0, 0, count);
        assert_eq!(sticky.current(), 1);
        for drawn in 0..20 {
            let before = sticky.current();
            sticky.closed(before, drawn, count);
            assert!(sticky.current() != before && (0..3).contains(&sticky.current()));
        }
        let alone = NonZeroU32::new(1).unwrap();
        let mut sticky = Sticky::new(7, alone);
        sticky.closed(0, 5, alone);
        assert_eq!(sticky.current(), 0);
    }
}
