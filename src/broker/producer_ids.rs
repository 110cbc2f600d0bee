//! Ids for idempotent producers, drawn in blocks from the catalog; an id is never given out twice, not even after a
//! power cut.
//!
//! Locks: `block` guards what is left of the block in hand.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use super::catalog::PRODUCER_ID_BLOCK;
use super::{Broker, BrokerError};

/// What is left of the block in hand.
#[derive(Debug, Default)]
pub(super) struct ProducerIds {
    block: Mutex<Range<i64>>,
}

impl ProducerIds {
    fn take(&self) -> Option<i64> {
        self.block.lock().unwrap_or_else(PoisonError::into_inner).next()
    }

    /// A new block where the one in hand is used up, and the first id of it. Two who come at once draw two blocks;
    /// what was left of the other one is never given out.
    fn refill(&self, first: i64) -> i64 {
        let mut block = self.block.lock().unwrap_or_else(PoisonError::into_inner);
        *block = first + 1..first + PRODUCER_ID_BLOCK;
        first
    }
}

impl Broker {
    /// An id that no producer ever had.
    ///
    /// # Errors
    /// The catalog could not be written.
    pub async fn new_producer_id(self: &Arc<Self>) -> Result<i64, BrokerError> {
        if let Some(id) = self.producer_ids.take() {
            return Ok(id);
        }
        self.blocking(|broker| {
            let first = broker.change(|catalog| Ok(catalog.take_producer_ids(broker.node_id)))?;
            Ok(broker.producer_ids.refill(first))
        })
        .await?
    }
}
