//! JSON in, JSON out: specification, stages, the jq engine; does no I/O and knows no Kafka.

pub mod case;
pub mod depth;
pub mod engine;
mod fast;
pub mod file;
pub mod jq;
mod json;
pub mod spec;

pub use engine::{Bad, Input, Item, Pipeline, Scratch};
pub use spec::{From, OnError, Reset, Spec, SpecError, Step, Work};
