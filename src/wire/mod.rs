//! The Kafka protocol as bytes: frames, message definitions, error codes.

pub mod api;
pub mod error;
pub mod frame;
pub mod limits;
mod message;
pub mod messages;

pub use crate::codec::{DecodeError, EncodeError};
pub use message::{Message, Request};
