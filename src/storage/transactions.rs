//! Transactions of a log; a stand-in with the names only, until the log has them.

/// Lets the first batch of a transaction pass: who holds it asked the transaction's coordinator after the log gave it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard(pub u64);
