//! The Kafka APIs that are served, one file each, and the one place that a request goes through; what is not in the
//! table is never answered with anything but UNSUPPORTED_VERSION.

pub mod describe_groups;
pub mod find_coordinator;
mod group_code;
pub mod heartbeat;
pub mod join_group;
pub mod leave_group;
pub mod list_groups;
pub mod offset_commit;
pub mod offset_fetch;
pub mod sync_group;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

use crate::storage::DiskFile;

/// What a request led to.
pub enum Outcome {
    /// The answer.
    Reply(Reply),
    /// The answer comes when something is durable; meanwhile the connection's next request may be read and begun.
    Later(Pin<Box<dyn Future<Output = Reply> + Send>>),
    /// No answer at all (Produce with acks=0).
    None,
    /// The connection is to be closed; the text says why.
    Close(String),
}

/// An answer, response header included, without the length prefix (it is [`Reply::len`]).
#[derive(Debug, Default)]
pub struct Reply {
    /// What is sent, in order.
    pub parts: Vec<Part>,
}

impl Reply {
    /// The answer's size in bytes.
    pub fn len(&self) -> usize {
        self.parts.iter().map(Part::len).sum()
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A piece of an answer.
#[derive(Debug, Clone)]
pub enum Part {
    /// Bytes in memory.
    Bytes(Bytes),
    /// A range of a segment's file, which holds at least that much.
    File {
        /// The file.
        file: Arc<dyn DiskFile>,
        /// Where the range starts, in bytes.
        position: u64,
        /// How many bytes.
        len: usize,
    },
}

impl Part {
    /// How many bytes the part is.
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::File { len, .. } => *len,
        }
    }

    /// Whether the part is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
