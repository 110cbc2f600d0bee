//! The broker's source of randomness: the machine's, or a seeded one in tests; never a fixed one by accident.

use std::sync::{Mutex, PoisonError};

use crate::model::id::TopicId;

/// Where random bytes come from. The lock guards a seeded generator's state.
#[derive(Debug)]
pub(super) struct Random {
    seeded: Option<Mutex<fastrand::Rng>>,
}

impl Random {
    /// The machine's randomness, or with a seed the same numbers each time.
    pub(super) fn new(seed: Option<u64>) -> Self {
        Self { seeded: seed.map(|seed| Mutex::new(fastrand::Rng::with_seed(seed))) }
    }

    /// 16 random bytes.
    ///
    /// # Errors
    /// The machine has none to give.
    pub(super) fn bytes(&self) -> Result<[u8; 16], getrandom::Error> {
        let mut bytes = [0; 16];
        match &self.seeded {
            Some(generator) => {
                generator.lock().unwrap_or_else(PoisonError::into_inner).fill(&mut bytes);
            }
            None => getrandom::fill(&mut bytes)?,
        }
        Ok(bytes)
    }

    /// An id for a topic, a folder or a cluster. Never zero, never one that Kafka keeps for itself (those that begin
    /// with 14 zero bytes), never one whose text begins with a dash, which command lines would take for an option.
    ///
    /// # Errors
    /// The machine has no random bytes to give.
    pub(super) fn id(&self) -> Result<TopicId, getrandom::Error> {
        loop {
            let mut bytes = self.bytes()?;
            bytes[6] = bytes[6] & 0x0f | 0x40;
            bytes[8] = bytes[8] & 0x3f | 0x80;
            let id = TopicId(bytes);
            if !id.to_string().starts_with('-') {
                return Ok(id);
            }
        }
    }

    /// A seed for a generator of numbers that need not be secret.
    ///
    /// # Errors
    /// The machine has no random bytes to give.
    pub(super) fn seed(&self) -> Result<u64, getrandom::Error> {
        Ok(self.bytes()?.iter().fold(0, |seed: u64, byte| seed.rotate_left(8) ^ u64::from(*byte)))
    }

    /// A random number from 1 on.
    ///
    /// # Errors
    /// The machine has no random bytes to give.
    pub(super) fn positive(&self) -> Result<i32, getrandom::Error> {
        let bytes = self.bytes()?;
        let number = i32::from_be_bytes([bytes[0] & 0x7f, bytes[1], bytes[2], bytes[3]]);
        Ok(number.max(1))
    }
}
