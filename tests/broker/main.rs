//! The broker as a value, over the simulated disk: what its APIs answer, and what of it survives a power cut.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod access;
mod access_answers;
mod admin;
mod admin_answers;
mod alike;
mod answers;
mod committed_reads;
mod deletion;
mod faults;
mod fetch;
mod flipped;
mod observe;
mod produce;
mod refusal_log;
mod refusals;
mod rig;
mod sasl;
mod topics;
mod transaction_answers;
mod transactions;
mod txn_offsets;
mod upkeep;
