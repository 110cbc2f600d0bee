//! The consumer of partitions named by the caller: reads ahead, gives out fetched bytes as they came, never a
//! record past the isolation level's mark.

mod chunk;
mod fetcher;
mod positions;

use super::{Client, ClientError};
use crate::model::id::{TopicId, TopicPartition};
use fetcher::Shared;
use std::sync::Arc;

pub use chunk::{Chunk, Marker};

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
#[derive(Debug, Clone)]
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
        /// The position from now on. Where it is the larger one, the difference is what was lost.
        to: i64,
    },
    /// The partition no longer exists; nothing more comes from it. Said once.
    Gone {
        /// Which.
        partition: TopicPartition,
        /// The id of the topic it was found in, as [`Consumer::topic_of`] gave it.
        topic: TopicId,
    },
    /// The topic was deleted and another has its name: positions of the old one mean nothing there. Nothing more comes
    /// from the old one, and nothing from the new one before it is assigned. Said once.
    Replaced(TopicPartition),
}

/// A consumer of partitions that the caller names. Fetching goes on in a task of the runtime whenever the caller
/// awaits; at most two chunks of a partition lie ready, and the next fetch is under way before they are taken.
#[derive(Debug)]
pub struct Consumer {
    client: Client,
    shared: Arc<Shared>,
}

impl Consumer {
    /// A consumer with the client's options, of no partition yet. Must be called in the runtime.
    pub fn new(client: &Client) -> Self {
        let shared = Arc::new(Shared::default());
        tokio::spawn(fetcher::run(client.clone(), shared.clone()));
        Self { client: client.clone(), shared }
    }

    /// Begins (or goes on elsewhere) at `offset`; nothing at or after `stop` is given out. What was read ahead of
    /// another position is dropped.
    pub fn assign(&mut self, partition: TopicPartition, offset: i64, stop: Option<i64>) {
        self.assign_of(TopicId::ZERO, partition, offset, stop);
    }

    /// As [`Consumer::assign`], at an offset of the topic with this id (zero: whichever has the name):
    /// [`Event::Replaced`] comes instead of records where it is another by now.
    pub fn assign_of(&mut self, topic: TopicId, partition: TopicPartition, offset: i64, stop: Option<i64>) {
        self.shared.state().assign(topic, partition, offset, stop);
        self.shared.work.notify_one();
    }

    /// The id of the topic that a partition being read was found in; zero before anything came, and of brokers that
    /// do not tell.
    pub fn topic_of(&self, partition: &TopicPartition) -> TopicId {
        self.shared.state().topic_of(partition)
    }

    /// Stops reading a partition and drops what was read ahead.
    pub fn unassign(&mut self, partition: &TopicPartition) {
        self.shared.state().unassign(partition);
        self.shared.work.notify_one();
    }

    /// Partitions being read, with the offset after the last chunk given out.
    pub fn positions(&self) -> Vec<(TopicPartition, i64)> {
        self.shared.state().positions()
    }

    /// The next event; waits for ever where there is none. Lost connections are retried without end. Cancel-safe.
    ///
    /// # Errors
    /// What no retry mends: damaged data, a position out of range under [`super::options::Reset::Fail`], a broker's no.
    pub async fn next(&mut self) -> Result<Event, ClientError> {
        self.next_where(|_| true).await
    }

    /// Like [`Consumer::next`], but leaves chunks of partitions that are not `wanted` where they are; reading ahead of
    /// those stops by itself.
    ///
    /// # Errors
    /// As [`Consumer::next`].
    pub async fn next_where(
        &mut self,
        wanted: impl Fn(&TopicPartition) -> bool,
    ) -> Result<Event, ClientError> {
        loop {
            if let Some(event) = self.take(&wanted) {
                return event;
            }
            // One permit is kept when an event came since the look.
            self.shared.arrived.notified().await;
        }
    }

    /// Like [`Consumer::next`] but at once: `None` when nothing is there yet.
    pub fn try_next(&mut self) -> Option<Result<Event, ClientError>> {
        self.take(|_| true)
    }

    fn take(&mut self, wanted: impl Fn(&TopicPartition) -> bool) -> Option<Result<Event, ClientError>> {
        let event = self.shared.state().take(wanted);
        if event.is_some() {
            // There is room to read further ahead.
            self.shared.work.notify_one();
        }
        event
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.shared.state().closed = true;
        self.shared.work.notify_one();
    }
}
