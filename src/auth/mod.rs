//! Who may do what, and the steps by which someone shows who he is; it must never know a socket or a file.

pub mod acl;
pub mod certificate;
pub mod credential;
mod der;
mod error;
pub mod plain;
pub mod rules;
pub mod scram;

pub use error::AuthError;

/// The name of the mechanism that sends the password as it is (RFC 4616).
pub const PLAIN: &str = "PLAIN";

/// Most bytes of one step of a mechanism; none needs more than a few hundred.
pub const MAX_STEP: usize = 16 * 1024;

/// The type of every principal: Kafka's own authoriser knows no other.
pub const USER: &str = "User:";
