//! Kafka's primitive encodings, bounds-checked, and the one macro that messages are written in.

mod error;
mod field;
mod reader;
mod shape;
mod structs;
#[cfg(test)]
mod tests;
mod value;
mod writer;

pub use error::{DecodeError, EncodeError};
pub use field::{Struct, Version, Wire};
pub use reader::{ALLOWANCE_BASE, ALLOWANCE_FACTOR, MAX_STRING, Reader};
pub use shape::{FieldShape, Shape};
pub(crate) use structs::{field, structs};
pub use value::Value;
pub use writer::{Hole, Writer};
