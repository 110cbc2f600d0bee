//! The producer: records go straight from the caller's buffer into the current batch of a partition, batches leave
//! pipelined and in order; never acknowledges what the broker did not.

pub mod partitioner;

use super::{Client, ClientError};
use crate::record::Header;
use std::sync::Arc;

/// A topic this producer knows, an index that is cheap to copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Topic(pub(super) u32);

/// What a producer has done so far; all counts are records unless they say bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Records pushed.
    pub pushed: u64,
    /// Records acknowledged: these are safe. (With `acks=0`: handed to the system.)
    pub acknowledged: u64,
    /// Bytes of keys and values acknowledged.
    pub acknowledged_bytes: u64,
    /// Bytes of batches sent and not acknowledged, or waiting to be sent.
    pub unacknowledged_bytes: u64,
}

/// An acknowledged batch, for whoever wants to say where records went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The first record's offset; -1 where the broker did not tell (`acks=0`, a duplicate it had already).
    pub base_offset: i64,
    /// How many records.
    pub count: u32,
}

/// Whether the caller goes on pushing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// The record is in; there is room for more.
    Room,
    /// The record is in and a batch became full: call [`Producer::ready`] before the next push.
    Full,
}

/// A producer. Pushing is synchronous and allocates nothing per record; sending goes on in a task of the runtime
/// whenever the caller awaits.
///
/// ```ignore
/// let mut producer = Producer::new(&client).await?;
/// let topic = producer.topic("orders").await?;
/// for line in lines {
///     if producer.push(topic, None, now, None, Some(line), &[])? == Pushed::Full {
///         producer.ready().await?;
///     }
/// }
/// producer.flush().await?;
/// ```
#[derive(Debug)]
pub struct Producer {
    _client: Client,
}

impl Producer {
    /// A producer with the client's options; idempotent ones ask the broker for their id here.
    pub async fn new(_client: &Client) -> Result<Self, ClientError> {
        unimplemented!()
    }

    /// Learns about a topic, which the broker may make by that.
    pub async fn topic(&mut self, _name: &str) -> Result<Topic, ClientError> {
        unimplemented!()
    }

    /// How many partitions the topic has.
    pub fn partitions(&self, _topic: Topic) -> i32 {
        unimplemented!()
    }

    /// Puts a record into the current batch of its partition: `partition` if given (must be below
    /// [`Producer::partitions`]), else murmur2 of the key, else the sticky one. `timestamp` is in ms since 1970.
    ///
    /// Fails at once for a record over `max_request_bytes`, and with the first failure of delivery from then on.
    pub fn push(
        &mut self,
        _topic: Topic,
        _partition: Option<i32>,
        _timestamp: i64,
        _key: Option<&[u8]>,
        _value: Option<&[u8]>,
        _headers: &[Header<'_>],
    ) -> Result<Pushed, ClientError> {
        unimplemented!()
    }

    /// Lets sending go on and waits until there is room (`buffer_memory`, `max_in_flight`). Cancel-safe.
    pub async fn ready(&mut self) -> Result<(), ClientError> {
        unimplemented!()
    }

    /// Closes every current batch so that it leaves now: for callers whose input has nothing more at the moment.
    pub fn send_now(&mut self) {
        unimplemented!()
    }

    /// Sends everything and waits until it is acknowledged. Cancel-safe: may be called again.
    pub async fn flush(&mut self) -> Result<(), ClientError> {
        unimplemented!()
    }

    /// What has been done so far. Costs no lock worth speaking of.
    pub fn progress(&self) -> Progress {
        unimplemented!()
    }

    /// Asks for a [`Receipt`] per acknowledged batch from now on, taken by [`Producer::receipts`].
    pub fn keep_receipts(&mut self) {
        unimplemented!()
    }

    /// The receipts since the last call.
    pub fn receipts(&mut self) -> Vec<Receipt> {
        unimplemented!()
    }
}
