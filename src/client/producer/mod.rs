//! The producer: records go straight from the caller's buffer into the current batch of a partition, batches leave
//! pipelined and in order; never acknowledges what the broker did not.
//!
//! The batches being filled belong to the caller's side and need no lock. Sealed ones lie in [`queue`]s behind one
//! lock shared with the task that sends; it is held for moves of whole batches, never per record.

mod ordinals;
pub mod partitioner;
mod queue;
mod sender;
mod transaction;

use super::{Client, ClientError};
use crate::model::id::TopicPartition;
use crate::record::{BatchBuilder, Compressor, HEADER_LEN, Header, record_len};
use ordinals::Ordinals;
use partitioner::{Sticky, partition_of};
use queue::{Identity, Sealed, sequence_after};
use sender::{Shared, State};
use std::num::NonZeroU32;
use std::sync::Arc;
use tokio::time::Instant;

pub use transaction::DEFAULT_TIMEOUT;

/// A topic this producer knows, an index that is cheap to copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Topic(u32);

/// What a producer has done so far; all counts are records unless they say bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Records pushed.
    pub pushed: u64,
    /// Records acknowledged: these are safe. (With `acks=0`: handed to the system.)
    pub acknowledged: u64,
    /// Records of transactions that are committed.
    pub committed: u64,
    /// Bytes of keys and values acknowledged.
    pub acknowledged_bytes: u64,
    /// Bytes of sealed batches not acknowledged yet.
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
    /// The how manieth record pushed each was is run-coded here: `first` is that of the first record; further ones
    /// follow it without a gap unless records went to several partitions.
    pub first: u64,
}

/// Whether the caller goes on pushing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// The record is in; there is room for more.
    Room,
    /// The record is in and a batch became full: call [`Producer::ready`] before the next push.
    Full,
}

/// A batch being filled.
#[derive(Debug, Default)]
struct Open {
    builder: BatchBuilder,
    ordinals: Ordinals,
    content: u64,
    since: Option<Instant>,
}

/// A topic as the caller's side sees it.
#[derive(Debug)]
struct Front {
    name: Arc<str>,
    count: NonZeroU32,
    sticky: Sticky,
    /// The largest batch of this topic, bytes.
    limit: usize,
    open: Vec<Open>,
}

/// A producer. Pushing is synchronous and allocates nothing per record; sending goes on in a task of the runtime
/// whenever the caller awaits. A batch leaves when it is full, when it is older than `linger` at a call of
/// [`Producer::ready`], at [`Producer::send_now`] and at [`Producer::flush`]. Dropping the producer drops what is not
/// sent.
///
/// ```no_run
/// # async fn example(client: klog::client::Client, lines: Vec<Vec<u8>>) -> Result<(), klog::client::ClientError> {
/// use klog::client::producer::{Producer, Pushed};
/// let mut producer = Producer::new(&client).await?;
/// let topic = producer.topic("orders").await?;
/// for line in &lines {
///     if producer.push(topic, None, 1_730_000_000_000, None, Some(line), &[])? == Pushed::Full {
///         producer.ready().await?;
///     }
/// }
/// producer.flush().await?;
/// # Ok(())
/// # }
/// ```
pub struct Producer {
    client: Client,
    shared: Arc<Shared>,
    topics: Vec<Front>,
    compressor: Compressor,
    pushed: u64,
}

impl Producer {
    /// A producer with the client's options; idempotent ones ask the broker for their id here.
    ///
    /// # Errors
    /// What the broker says to InitProducerId; failures of the connection, after `api_timeout`.
    pub async fn new(client: &Client) -> Result<Self, ClientError> {
        Ok(Self::with(client, sender::new_identity(client).await?))
    }

    fn with(client: &Client, identity: Identity) -> Self {
        let shared = Arc::new(Shared::new(identity));
        tokio::spawn(sender::run(client.clone(), shared.clone()));
        Self { client: client.clone(), shared, topics: Vec::new(), compressor: Compressor::new(), pushed: 0 }
    }

    /// Learns about a topic, which the broker may make by that (`auto_create`).
    ///
    /// # Errors
    /// [`ClientError::UnknownTopic`]; what the broker says; failures of the connection.
    pub async fn topic(&mut self, name: &str) -> Result<Topic, ClientError> {
        if let Some(at) = self.topics.iter().position(|topic| &*topic.name == name) {
            return Ok(Topic(at as u32));
        }
        let view = self.client.topic(name, self.client.options().auto_create).await?;
        let options = self.client.options();
        let limit = match options.max_request_bytes {
            Some(limit) => limit,
            // Where the broker does not tell, its default.
            None => self.client.max_message_bytes(name).await.unwrap_or(1 << 20),
        };
        let count = u32::try_from(view.count()).ok().and_then(NonZeroU32::new);
        let count = count.ok_or_else(|| ClientError::UnknownTopic(name.to_owned()))?;
        self.shared.state().add_topic(&view);
        self.topics.push(Front {
            name: view.name.clone(),
            count,
            sticky: Sticky::new(fastrand::u32(..), count),
            limit,
            open: (0..count.get()).map(|_| Open::default()).collect(),
        });
        Ok(Topic(self.topics.len() as u32 - 1))
    }

    /// How many partitions the topic has.
    pub fn partitions(&self, topic: Topic) -> i32 {
        self.topics.get(topic.0 as usize).map_or(0, |front| front.count.get() as i32)
    }

    /// The largest batch the topic takes, bytes; a record must fit one by itself.
    pub fn limit(&self, topic: Topic) -> usize {
        self.topics.get(topic.0 as usize).map_or(0, |front| front.limit)
    }

    /// Puts a record into the current batch of its partition: `partition` if given (must be below
    /// [`Producer::partitions`]), else murmur2 of the key, else the sticky one. `timestamp` is in ms since 1970.
    ///
    /// # Errors
    /// [`ClientError::RecordTooLarge`] and [`ClientError::UnknownPartition`], which do no harm to what was pushed
    /// before, except that a transaction can only be aborted then; from the first failure of delivery on, that failure.
    #[inline]
    pub fn push(
        &mut self,
        topic: Topic,
        partition: Option<i32>,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header<'_>],
    ) -> Result<Pushed, ClientError> {
        let Some(front) = self.topics.get_mut(topic.0 as usize) else { return Err(ClientError::Closed) };
        let size = record_len(key.map(<[u8]>::len), value.map(<[u8]>::len), headers);
        let mut at = match (partition, key) {
            (Some(partition), _) => partition,
            (None, Some(key)) => partition_of(key, front.count),
            (None, None) => front.sticky.current(),
        };
        let limit = front.limit.min(self.client.options().batch_bytes.max(HEADER_LEN + size));
        let mut pushed = Pushed::Room;
        match front.open.get(at as usize) {
            Some(open) if open.builder.is_empty() || !open.builder.fits(size, limit) => {
                if !fits(front.limit, timestamp, key, value, headers) {
                    return Err(self.too_large(topic, HEADER_LEN + size));
                }
                if !open.builder.is_empty() {
                    self.seal(topic, at)?;
                    pushed = Pushed::Full;
                }
                if partition.is_none() && key.is_none() {
                    at = self.topics.get(topic.0 as usize).map_or(0, |front| front.sticky.current());
                }
                self.begin_batch(topic, at)?;
            }
            Some(_) => {}
            None => return Err(self.no_partition(topic, at)),
        }
        let open = self.topics.get_mut(topic.0 as usize).and_then(|front| front.open.get_mut(at as usize));
        let Some(open) = open else { return Err(self.no_partition(topic, at)) };
        open.ordinals.add(open.builder.count() as u32, self.pushed);
        open.builder.push(timestamp, key, value, headers);
        open.content += (key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len)) as u64;
        self.pushed += 1;
        Ok(pushed)
    }

    fn too_large(&self, topic: Topic, size: usize) -> ClientError {
        let limit = self.topics.get(topic.0 as usize).map(|front| front.limit);
        self.left_out(ClientError::RecordTooLarge { ordinal: self.pushed, size, limit })
    }

    /// A record that is not taken. A transaction without it is not what the caller meant: it can only be aborted.
    fn left_out(&self, error: ClientError) -> ClientError {
        let mut state = self.shared.state();
        if state.txn.is_some() {
            state.fail(error.clone());
        }
        error
    }

    fn no_partition(&self, topic: Topic, partition: i32) -> ClientError {
        let name =
            self.topics.get(topic.0 as usize).map_or_else(|| Arc::from(""), |front| front.name.clone());
        let partition = TopicPartition::new(name, partition);
        self.left_out(ClientError::UnknownPartition { partition, count: self.partitions(topic) })
    }

    /// A new batch: the only place per batch that looks at the clock, and where a failure stops the caller.
    #[cold]
    fn begin_batch(&mut self, topic: Topic, partition: i32) -> Result<(), ClientError> {
        let spare = {
            let mut state = self.shared.state();
            if let Some(failure) = &state.failure {
                return Err(failure.clone());
            }
            if state.txn.as_ref().is_some_and(|txn| !txn.is_open()) {
                return Err(transaction::NO_TRANSACTION);
            }
            state.spares.pop()
        };
        let front = self.topics.get_mut(topic.0 as usize);
        let Some(open) = front.and_then(|front| front.open.get_mut(partition as usize)) else {
            return Ok(());
        };
        if open.builder.is_empty() {
            if let Some(buffer) = spare {
                open.builder.recycle(buffer);
            }
            open.since = Some(Instant::now());
        }
        Ok(())
    }

    /// Closes the current batch of a partition and queues it.
    fn seal(&mut self, topic: Topic, partition: i32) -> Result<(), ClientError> {
        let Some(front) = self.topics.get_mut(topic.0 as usize) else { return Ok(()) };
        let Some(open) = front.open.get_mut(partition as usize).filter(|open| !open.builder.is_empty())
        else {
            return Ok(());
        };
        let compression = self.client.options().compression();
        let mut state = self.shared.state();
        let identity = state.identity;
        let Some(queue) = state.queue(topic.0, partition) else { return Ok(()) };
        let (sequence, count) = (queue.next_sequence, open.builder.count());
        let bytes = match open.builder.finish(identity.stamp(sequence), compression, &mut self.compressor) {
            Ok(bytes) => bytes.into(),
            Err(error) => {
                let failure = ClientError::Option(format!("{}: {error}", front.name));
                return Err(state.failure.get_or_insert(failure).clone());
            }
        };
        queue.next_sequence = sequence_after(sequence, count);
        queue.batches.push_back(Sealed {
            bytes,
            sequence,
            count,
            content: std::mem::take(&mut open.content),
            since: open.since.take().unwrap_or_else(Instant::now),
            ordinals: std::mem::take(&mut open.ordinals),
            under_way: None,
        });
        state.queued(topic.0, partition);
        drop(state);
        front.sticky.closed(partition, fastrand::u32(..), front.count);
        self.shared.work.notify_one();
        Ok(())
    }

    fn seal_where(&mut self, wanted: impl Fn(&Open) -> bool) -> Result<(), ClientError> {
        for topic in 0..self.topics.len() {
            let count = self.topics.get(topic).map_or(0, |front| front.open.len());
            for partition in 0..count {
                let open = self.topics.get(topic).and_then(|front| front.open.get(partition));
                if open.is_some_and(|open| !open.builder.is_empty() && wanted(open)) {
                    self.seal(Topic(topic as u32), partition as i32)?;
                }
            }
        }
        Ok(())
    }

    /// Lets sending go on and waits until there is room again (`buffer_memory`, and not many batches of one
    /// partition). Cancel-safe.
    ///
    /// # Errors
    /// The first failure of delivery.
    pub async fn ready(&mut self) -> Result<(), ClientError> {
        let (linger, now) = (self.client.options().linger, Instant::now());
        self.seal_where(|open| open.since.is_some_and(|since| since + linger <= now))?;
        // The sending task runs whenever this one waits: give it one turn also when there is room.
        tokio::task::yield_now().await;
        self.wait_until(|state, client| {
            state.has_room(client.options().buffer_memory as u64, client.options().max_in_flight)
        })
        .await
    }

    /// Closes every current batch so that it leaves now: for callers whose input has nothing more at the moment.
    /// A failure shows at the next call.
    pub fn send_now(&mut self) {
        // What can not be sealed is kept as the producer's failure.
        let _ = self.seal_where(|_| true);
    }

    /// Sends everything and waits until it is acknowledged. Cancel-safe: may be called again.
    ///
    /// # Errors
    /// The first failure of delivery, once nothing is under way any more: what [`Producer::progress`] calls
    /// acknowledged is final then.
    pub async fn flush(&mut self) -> Result<(), ClientError> {
        self.send_now();
        self.wait_until(|state, _| state.is_empty()).await
    }

    async fn wait_until(&self, reached: impl Fn(&State, &Client) -> bool) -> Result<(), ClientError> {
        loop {
            // Registered before the look, so that nothing is missed in between.
            let progressed = self.shared.progressed.notified();
            {
                let state = self.shared.state();
                match &state.failure {
                    Some(failure) if state.under_way() == 0 => return Err(failure.clone()),
                    Some(_) => {}
                    None if reached(&state, &self.client) => return Ok(()),
                    None => {}
                }
            }
            progressed.await;
        }
    }

    /// Records pushed so far, as [`Progress::pushed`].
    #[inline]
    pub fn pushed(&self) -> u64 {
        self.pushed
    }

    /// What has been done so far.
    pub fn progress(&self) -> Progress {
        Progress { pushed: self.pushed, ..self.shared.state().progress }
    }

    /// Asks for a [`Receipt`] per acknowledged batch from now on, taken by [`Producer::receipts`].
    pub fn keep_receipts(&mut self) {
        self.shared.state().receipts.get_or_insert_default();
    }

    /// The receipts since the last call.
    pub fn receipts(&mut self) -> Vec<Receipt> {
        self.shared.state().receipts.as_mut().map(std::mem::take).unwrap_or_default()
    }
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Producer").field("progress", &self.progress()).finish_non_exhaustive()
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.shared.state().closed = true;
        self.shared.work.notify_one();
    }
}

/// Whether a record, as an uncompressed batch of its own, is within `limit` bytes ([`Producer::limit`]).
#[inline]
pub fn fits(
    limit: usize,
    timestamp: i64,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[Header<'_>],
) -> bool {
    HEADER_LEN + record_len(key.map(<[u8]>::len), value.map(<[u8]>::len), headers) <= limit
        || alone_size(timestamp, key, value, headers) <= limit
}

/// Bytes that a record has as an uncompressed batch of its own: what `max.message.bytes` is held against.
#[cold]
fn alone_size(timestamp: i64, key: Option<&[u8]>, value: Option<&[u8]>, headers: &[Header<'_>]) -> usize {
    let mut alone = crate::record::BatchBuilder::new();
    alone.push(timestamp, key, value, headers);
    alone.len()
}
