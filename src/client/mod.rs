//! Speaking to any Kafka broker, klog's daemon and Apache Kafka alike: cluster view, producer, consumer, group
//! member, admin calls. Knows nothing of terminals, config files or the broker's insides.
//!
//! Everything here expects a current-thread tokio runtime and runs on a many-threaded one too. Locks are
//! std mutexes held for a few instructions, never across an await.

pub mod admin;
pub mod consumer;
pub mod error;
pub mod group;
pub mod options;
pub mod patterns;
pub mod producer;

mod cluster;
mod connection;
mod coordinator;
mod pipe;
pub mod retry;
mod sasl;
pub mod security;

pub use crate::net::Address;
pub use crate::record::{BatchHeader, Codec, Compression, Decompressor, Header, Headers, Record};
pub use cluster::{Client, Node, PartitionView, TopicView};
pub use error::{ClientError, ErrorKind};
pub use options::ClientOptions;
