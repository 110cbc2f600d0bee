//! What both sides of the protocol say of transactions; names only.

/// The states of a transactional id as Kafka 4.3 names them, at their number in `__transaction_state`.
pub const STATES: [&str; 8] = [
    "Empty",
    "Ongoing",
    "PrepareCommit",
    "PrepareAbort",
    "CompleteCommit",
    "CompleteAbort",
    "Dead",
    "PrepareEpochFence",
];
