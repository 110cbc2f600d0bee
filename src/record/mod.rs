//! The record batch (magic 2) as bytes: view, iterate, build, compress, validate; it must never trust a length.
//!
//! The format is that of <https://kafka.apache.org/documentation/#messageformat> (KIP-98, KIP-482 does not
//! touch it): a header of 61 bytes, then records of varints, all of them compressed as one block or none.

mod batch;
mod builder;
mod codec;
mod control;
mod crc;
mod error;
mod filter;
mod iter;
mod rewrite;
#[cfg(test)]
mod tests;
mod trim;
mod validate;
mod varint;

pub use batch::{Batch, BatchHeader, HEADER_LEN, LENGTH_PREFIX, NO_PRODUCER_ID, TimestampType, WRITE_PREFIX};
pub use builder::{BatchBuilder, ProducerStamp, record_len};
pub use codec::{Codec, Compression, Compressor, Decompressor};
pub use control::{ControlMarker, end_transaction_batch};
pub use crc::{Crc, crc32c};
pub use error::{RecordError, RecordFault, RecordFaultKind};
pub use filter::{Filter, Horizon, Left, without_records};
pub use iter::{Header, Headers, Record, Records};
pub use rewrite::{Restamp, recompress, restamp_header, set_producer};
pub use trim::{empty_batch, trim};
pub use validate::{BatchSummary, Rules, TimestampRule, validate_produce};
