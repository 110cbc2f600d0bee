//! The consumer of partitions named by the caller: reads ahead, gives out fetched bytes as they came, never a
//! record past the isolation level's mark.

mod positions;

use super::{Client, ClientError};
use crate::model::id::TopicPartition;
use crate::record::{BatchHeader, Decompressor, Record};
use std::ops::ControlFlow;

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// The first offset that exists.
    Start,
    /// The end: last stable offset or high watermark by isolation.
    End,
    /// An offset.
    Offset(i64),
    /// So many records' offsets after the first (`+N`).
    AfterStart(i64),
    /// So many offsets before the end (`-N`), not before the first.
    BeforeEnd(i64),
    /// The first record at or after a time, ms since 1970; the end when there is none.
    Time(i64),
}

/// What the consumer has to say.
#[derive(Debug)]
pub enum Event {
    /// Fetched bytes of one partition.
    Chunk(Chunk),
    /// The stop offset of a partition was reached; nothing more comes from it. Said once.
    Stopped(TopicPartition),
    /// The position was outside the log and was moved by the reset policy.
    Moved {
        /// Where.
        partition: TopicPartition,
        /// The position that was outside.
        from: i64,
        /// The position from now on.
        to: i64,
    },
    /// The partition no longer exists; nothing more comes from it. Said once.
    Gone(TopicPartition),
}

/// Fetched batches of one partition, whole, in order; checked while being visited.
#[derive(Debug)]
pub struct Chunk {
    /// Where they come from.
    pub partition: TopicPartition,
}

impl Chunk {
    /// Calls `each` for every record the reader may see, from `from` on, until it breaks. Returns the offset to go
    /// on from: after the last record visited, or after the whole chunk (gaps and control batches included).
    pub fn visit(
        &self,
        _from: i64,
        _scratch: &mut Decompressor,
        _each: impl FnMut(&BatchHeader, Record<'_>) -> ControlFlow<()>,
    ) -> Result<i64, ClientError> {
        unimplemented!()
    }

    /// The first offset the reader asked for; `visit(chunk.start(), ..)` sees everything.
    pub fn start(&self) -> i64 {
        unimplemented!()
    }

    /// The offset after this chunk, gaps and control batches included.
    pub fn next_offset(&self) -> i64 {
        unimplemented!()
    }

    /// High watermark of the partition when the chunk was fetched.
    pub fn high_watermark(&self) -> i64 {
        unimplemented!()
    }

    /// Bytes as fetched.
    pub fn bytes(&self) -> usize {
        unimplemented!()
    }
}

/// A consumer of partitions that the caller names.
#[derive(Debug)]
pub struct Consumer {
    client: Client,
}

impl Consumer {
    /// A consumer with the client's options, of no partition yet.
    pub fn new(_client: &Client) -> Self {
        unimplemented!()
    }

    /// Begins (or goes on elsewhere) at `offset`; nothing at or after `stop` is given out. What was read ahead of
    /// another position is dropped.
    pub fn assign(&mut self, _partition: TopicPartition, _offset: i64, _stop: Option<i64>) {
        unimplemented!()
    }

    /// Stops reading a partition and drops what was read ahead.
    pub fn unassign(&mut self, _partition: &TopicPartition) {
        unimplemented!()
    }

    /// Partitions being read, with the offset after the last chunk given out.
    pub fn positions(&self) -> Vec<(TopicPartition, i64)> {
        unimplemented!()
    }

    /// The next event; waits for ever where there is none. Lost connections are retried without end. Cancel-safe.
    pub async fn next(&mut self) -> Result<Event, ClientError> {
        unimplemented!()
    }

    /// Like [`Consumer::next`] but at once: `None` when nothing is there yet.
    pub fn try_next(&mut self) -> Option<Result<Event, ClientError>> {
        unimplemented!()
    }
}
