//! How many different keys there are, in bounded memory: exact up to a few thousand, then an estimate (HyperLogLog).

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hasher};

/// Keys that are counted exactly.
const EXACT: usize = 4096;
/// Registers of the estimate: 2^14 bytes give a standard error of 0.8 %.
const BITS: u32 = 14;

/// A count of different keys.
#[derive(Debug, Clone)]
pub enum Distinct {
    /// Few so far: their hashes.
    Exact(HashSet<u64>),
    /// Many: for each register the longest run of zeros seen.
    Estimate(Vec<u8>),
}

impl Default for Distinct {
    fn default() -> Self {
        Self::Exact(HashSet::new())
    }
}

impl Distinct {
    /// Takes in a key.
    pub fn add(&mut self, key: &[u8]) {
        let mut hasher = DefaultHasher::new();
        hasher.write(key);
        self.add_hash(hasher.finish());
    }

    fn add_hash(&mut self, hash: u64) {
        match self {
            Self::Exact(seen) => {
                seen.insert(hash);
                if seen.len() > EXACT {
                    let seen = std::mem::take(seen);
                    *self = Self::Estimate(vec![0; 1 << BITS]);
                    seen.into_iter().for_each(|hash| self.add_hash(hash));
                }
            }
            Self::Estimate(registers) => {
                let register = usize::try_from(hash >> (64 - BITS)).unwrap_or(0);
                let run = (hash << BITS | 1 << (BITS - 1)).leading_zeros() as u8 + 1;
                if let Some(longest) = registers.get_mut(register) {
                    *longest = run.max(*longest);
                }
            }
        }
    }

    /// Takes in what another count saw.
    pub fn merge(&mut self, other: Distinct) {
        match other {
            Self::Exact(seen) => seen.into_iter().for_each(|hash| self.add_hash(hash)),
            Self::Estimate(theirs) => {
                if let Self::Exact(seen) = self {
                    let seen = std::mem::take(seen);
                    *self = Self::Estimate(vec![0; 1 << BITS]);
                    seen.into_iter().for_each(|hash| self.add_hash(hash));
                }
                if let Self::Estimate(mine) = self {
                    for (mine, theirs) in mine.iter_mut().zip(theirs) {
                        *mine = theirs.max(*mine);
                    }
                }
            }
        }
    }

    /// Whether [`Distinct::count`] is exact.
    pub fn is_exact(&self) -> bool {
        matches!(self, Self::Exact(_))
    }

    /// How many there are, or about how many.
    pub fn count(&self) -> u64 {
        let registers = match self {
            Self::Exact(seen) => return seen.len() as u64,
            Self::Estimate(registers) => registers,
        };
        let m = registers.len() as f64;
        let sum: f64 = registers.iter().map(|&run| (-f64::from(run)).exp2()).sum();
        let raw = 0.7213 / (1.0 + 1.079 / m) * m * m / sum;
        let empty = registers.iter().filter(|&&run| run == 0).count();
        // Few keys for the registers: how many are empty says more.
        let estimate = if raw <= 2.5 * m && empty > 0 { m * (m / empty as f64).ln() } else { raw };
        estimate.round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_exact_and_many_within_three_errors() {
        for many in [0u64, 1, 100, 4096, 4097, 20_000, 100_000, 1_000_000] {
            let (mut one, mut two) = (Distinct::default(), Distinct::default());
            for n in 0..many {
                let to = if n % 2 == 0 { &mut one } else { &mut two };
                to.add(format!("key {n}").as_bytes());
                to.add(format!("key {}", n / 2).as_bytes());
            }
            one.merge(two);
            let found = one.count();
            if many <= 4096 {
                assert!(one.is_exact());
                assert_eq!(found, many);
            } else {
                assert!(found.abs_diff(many) * 1000 <= many * 25, "{found} of {many}");
            }
        }
    }
}
