//! New headers for batches whose payload stays as it is; never touches the payload.

use super::batch::{Batch, HEADER_LEN};
use super::builder::ProducerStamp;

/// What a broker sets at append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restamp {
    /// Offset of the first record.
    pub base_offset: i64,
    /// The partition's leader epoch.
    pub leader_epoch: i32,
    /// `Some(now)` on a topic of log-append time: becomes the largest timestamp, with the attribute.
    pub log_append_time: Option<i64>,
    /// The largest timestamp found by the walk ([`super::BatchSummary::max_timestamp`]); replaces a wrong one.
    pub max_timestamp: i64,
}

/// The header a broker stores for `batch`: a copy with offset and epoch set, and where the timestamps change,
/// a new CRC.
pub fn restamp_header(_batch: &Batch<'_>, _stamp: &Restamp) -> [u8; HEADER_LEN] {
    unimplemented!()
}

/// Sets producer id, epoch and sequence of a finished batch in place, with a new CRC (a producer whose epoch was
/// raised while the batch waited). Does nothing to bytes shorter than a header.
pub fn set_producer(_batch: &mut [u8], _stamp: ProducerStamp) {
    unimplemented!()
}
