//! Names, offsets, time and units as plain values; no I/O, no third-party crate.

pub mod id;
pub mod name;
pub mod time;
pub mod txn;
pub mod units;
