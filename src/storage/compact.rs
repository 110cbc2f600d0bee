//! The parts of compaction that know no log: the table of keys, what became of transactions, new segments beside the old
//! ones, and the swap that a power cut can not halve. Nothing here decides which records stay.

pub(super) mod map;
pub(super) mod output;
pub(super) mod swap;
pub(super) mod transactions;
