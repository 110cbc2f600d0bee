//! SCRAM (RFC 5802, RFC 7677) with SHA-256 and SHA-512, both sides, as pure state machines: a step goes in, a step or
//! a refusal comes out; neither side ever goes on after a refusal. No channel binding and no SASLprep, as in Kafka.

mod client;
mod message;
mod server;
#[cfg(test)]
mod tests;

pub use super::credential::ScramMechanism as Mechanism;
pub use client::Client;
pub use message::nonce;
pub use server::Server;
