//! JSON in, JSON out: specification, stages, the jq engine; does no I/O and knows no Kafka.

pub mod depth;
mod fast;
pub mod jq;
mod json;
