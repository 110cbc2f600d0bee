//! The transaction coordinator (KIP-98, KIP-890), over `__transaction_state`; the protocol's structs stop above this.
//!
//! A transactional id belongs to the shard (partition of the topic) that Kafka's hash of it says. `decide` decides,
//! purely, over the fold in `state`; `shard` appends; `ending` writes markers; here shards are found and time is brought
//! to them. All shards are read soon after the start: markers that a crash left unwritten hold up consumers.
//!
//! The mutexes here guard the table of shards and the clockwork's alarm and are never held while a shard's is waited for.

mod core;
mod decide;
mod ending;
pub mod request;
mod shard;
pub mod state;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OnceCell};

use crate::model::id::TopicPartition;
use crate::model::name::TRANSACTION_STATE;

use self::decide::{Decision, Init};
use self::request::{Description, EndRequest, Listing, Moment, Producer, Rules, TxnError};
use self::shard::{Shard, Stored};
use super::groups;
use super::settings::Settings;
use super::{Broker, Partition};

type Slot = Arc<OnceCell<Arc<Shard>>>;

/// How long the answer to an EndTxn waits for the markers, so that whoever got it reads what was committed. The decision
/// is on disk by then: where markers take longer the answer is the same.
const MARKERS_WITHIN: Duration = Duration::from_millis(500);
/// The least time between two readings of a lost shard that nobody asks for, in ms.
const RELOAD_MS: i64 = 1000;

/// All transactional ids this node coordinates.
pub struct Transactions {
    rules: Rules,
    shards: Mutex<HashMap<i32, Slot>>,
    /// Told when there is work earlier than the clockwork sleeps.
    sooner: Arc<Notify>,
    /// Until when the clockwork sleeps: monotonic ms.
    sleeps_until: Mutex<i64>,
    /// Whether it was said that a limit is reached.
    limit_told: AtomicBool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn moment(broker: &Broker) -> Moment {
    Moment { time: groups::now(&**broker.clock()), level: broker.feature_level("transaction.version") }
}

impl Transactions {
    /// Under `settings`.
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            rules: Rules::of(settings),
            shards: Mutex::default(),
            sooner: Arc::new(Notify::new()),
            sleeps_until: Mutex::new(i64::MAX),
            limit_told: AtomicBool::new(false),
        }
    }

    /// InitProducerId: the producer that the id has from now on. `expected` is what the client says it had.
    ///
    /// # Errors
    /// `Concurrent` while a transaction before is being ended; one under way is aborted so. `InvalidRequest` for the
    /// empty id, `IdTooLong` and `TooManyIds` for new ones past a limit, `InvalidTimeout`, `Fenced`.
    pub async fn init_producer_id(
        &self,
        broker: &Arc<Broker>,
        transactional_id: &str,
        timeout_ms: i32,
        expected: Option<Producer>,
    ) -> Result<Producer, TxnError> {
        if transactional_id.is_empty() {
            return Err(TxnError::InvalidRequest);
        }
        let shard = self.shard(broker, transactional_id).await?;
        let id: Arc<str> = transactional_id.into();
        let decided = self
            .decide(broker, &shard, |core, fresh, at| core.init(&id, timeout_ms, expected, fresh, at))
            .await;
        self.tell_limit(&decided);
        let stored = decided?;
        shard.durable(stored.offset).await?;
        match stored.answer {
            Init::Given(producer) => Ok(producer),
            Init::Aborting => {
                // The answer is as Kafka's; it comes when asking again is likely to help.
                ending::wait_for(&shard, transactional_id, MARKERS_WITHIN).await;
                Err(TxnError::Concurrent)
            }
        }
    }

    /// Adds partitions to the producer's transaction, durably; it waits a little for the end of the one before.
    ///
    /// # Errors
    /// `InvalidProducerId`, `Fenced`, `Concurrent`, `TooManyPartitions`, `InvalidRequest` for the empty id.
    pub async fn add_partitions(
        &self,
        broker: &Arc<Broker>,
        transactional_id: &str,
        producer_id: i64,
        epoch: i16,
        partitions: Vec<TopicPartition>,
    ) -> Result<(), TxnError> {
        let producer = Producer { id: producer_id, epoch };
        let version = broker.feature_level("transaction.version");
        self.add_partitions_as(broker, transactional_id, producer, &partitions, version).await
    }

    /// [`Transactions::add_partitions`] by a client that knows the given transaction version.
    ///
    /// # Errors
    /// As there.
    pub async fn add_partitions_as(
        &self,
        broker: &Arc<Broker>,
        transactional_id: &str,
        producer: Producer,
        partitions: &[TopicPartition],
        client_version: i16,
    ) -> Result<(), TxnError> {
        let shard = self.known_shard(broker, transactional_id).await?;
        let id: Arc<str> = transactional_id.into();
        let add = || {
            let at = moment(broker);
            shard.act(at, |core| {
                let record = core.add(&id, producer, partitions, client_version, at)?;
                Ok(Decision::Done((), record))
            })
        };
        let mut added = add();
        if matches!(added, Err(TxnError::Concurrent)) {
            let patience = Duration::from_millis(u64::try_from(self.rules.patience_ms).unwrap_or(0));
            ending::wait_for(&shard, transactional_id, patience).await;
            added = add();
        }
        self.tell_limit(&added);
        let Some(stored) = added? else { return Err(TxnError::NotAvailable) };
        self.look_ahead(&shard);
        shard.durable(stored.offset).await
    }

    /// Whether the partition takes part in the producer's transaction.
    ///
    /// # Errors
    /// `Abortable` if not; `InvalidProducerId`, `Fenced`, `Concurrent`, `InvalidRequest` for the empty id.
    pub async fn verify(
        &self,
        broker: &Arc<Broker>,
        transactional_id: &str,
        producer_id: i64,
        epoch: i16,
        partition: &TopicPartition,
    ) -> Result<(), TxnError> {
        let shard = self.known_shard(broker, transactional_id).await?;
        let producer = Producer { id: producer_id, epoch };
        let (verified, offset) = shard.read(|core| core.verify(transactional_id, producer, partition))?;
        verified?;
        shard.durable(offset).await
    }

    /// EndTxn: decides the end of a transaction, durably; the markers follow, and are waited for a short while. Answers
    /// the producer that the next transaction is to be of.
    ///
    /// # Errors
    /// `InvalidProducerId`, `Fenced`, `Concurrent`, `InvalidState`, `InvalidRequest` for the empty id.
    pub async fn end(&self, broker: &Arc<Broker>, asked: EndRequest<'_>) -> Result<Producer, TxnError> {
        let shard = self.known_shard(broker, asked.transactional_id).await?;
        let decide = |core: &core::Core, fresh, at| core.end(&asked, fresh, at);
        let stored = self.decide(broker, &shard, decide).await?;
        shard.durable(stored.offset).await?;
        ending::wait_for(&shard, asked.transactional_id, MARKERS_WITHIN).await;
        Ok(stored.answer)
    }

    /// Whether this node's coordinator has come to an epoch: markers of a later one would shut out its own.
    pub fn knows_epoch(broker: &Broker, coordinator_epoch: i32) -> bool {
        let own = broker.topic(TRANSACTION_STATE).map_or(0, |topic| topic.leader_epoch());
        coordinator_epoch <= own.max(0)
    }

    /// An id and its transaction; `None` if there is no such id.
    ///
    /// # Errors
    /// `InvalidRequest` for the empty id; `NotCoordinator`, `NotAvailable`.
    pub async fn describe(
        &self,
        broker: &Arc<Broker>,
        transactional_id: &str,
    ) -> Result<Option<Description>, TxnError> {
        let shard = match self.known_shard(broker, transactional_id).await {
            Err(TxnError::InvalidProducerId) => return Ok(None),
            other => other?,
        };
        let (described, offset) = shard.read(|core| core.describe(transactional_id))?;
        shard.durable(offset).await?;
        Ok(described)
    }

    /// All transactional ids, by name.
    ///
    /// # Errors
    /// `NotCoordinator`, `NotAvailable`.
    pub async fn list(&self, broker: &Arc<Broker>) -> Result<Vec<Listing>, TxnError> {
        let mut all = Vec::new();
        for index in 0..broker.partition_count(TRANSACTION_STATE).unwrap_or(0) {
            let shard = self.load(broker, index).await?;
            let (listed, offset) = shard.read(core::Core::list)?;
            shard.durable(offset).await?;
            all.extend(listed);
        }
        all.sort_by(|one, other| one.transactional_id.cmp(&other.transactional_id));
        Ok(all)
    }

    /// Says once that a limit is reached, and again when it was not meanwhile: codes alone name none.
    fn tell_limit<T>(&self, decided: &Result<T, TxnError>) {
        let limit = decided.as_ref().err().filter(|error| error.is_limit());
        match limit {
            None => self.limit_told.store(false, Ordering::Relaxed),
            Some(error) if !self.limit_told.swap(true, Ordering::Relaxed) => {
                tracing::warn!(%error, "a transactional producer is refused");
            }
            Some(_) => {}
        }
    }

    /// Lets the core decide, with a fresh producer id where it wants one; the markers of an end that it decides are
    /// begun.
    async fn decide<T>(
        &self,
        broker: &Arc<Broker>,
        shard: &Arc<Shard>,
        decide: impl Fn(&core::Core, Option<i64>, Moment) -> Result<Decision<T>, TxnError>,
    ) -> Result<Stored<T>, TxnError> {
        let mut fresh = None;
        loop {
            let at = moment(broker);
            if let Some(stored) = shard.act(at, |core| decide(core, fresh, at))? {
                self.look_ahead(shard);
                if let Some(id) = stored.prepared.clone() {
                    ending::begin(broker, shard, id, stored.offset);
                }
                return Ok(stored);
            }
            let drawn = broker.new_producer_id().await.map_err(|error| {
                tracing::error!(%error, "no producer id can be given out");
                TxnError::NotAvailable
            })?;
            fresh = Some(drawn);
        }
    }

    /// The shard of an id; the topic is made if it is not there.
    async fn shard(&self, broker: &Arc<Broker>, id: &str) -> Result<Arc<Shard>, TxnError> {
        if broker.partition_count(TRANSACTION_STATE).is_none() {
            broker.ensure_internal(TRANSACTION_STATE).await.map_err(|_| TxnError::NotAvailable)?;
        }
        self.known_shard(broker, id).await
    }

    /// The shard of an id; while there was never one, no id has a producer.
    async fn known_shard(&self, broker: &Arc<Broker>, id: &str) -> Result<Arc<Shard>, TxnError> {
        if id.is_empty() {
            return Err(TxnError::InvalidRequest);
        }
        let count = broker.partition_count(TRANSACTION_STATE).ok_or(TxnError::InvalidProducerId)?;
        self.load(broker, groups::shard_of(id, count)).await
    }

    /// A shard by its index, read from its log if it is not at hand. `NotAvailable` while that log takes nothing.
    async fn load(&self, broker: &Arc<Broker>, index: i32) -> Result<Arc<Shard>, TxnError> {
        let slot = {
            let mut shards = locked(&self.shards);
            let slot = shards.entry(index).or_default();
            if slot.get().is_some_and(|shard| shard.is_lost()) {
                *slot = Slot::default();
            }
            slot.clone()
        };
        if let Some(failed) = slot.get().filter(|shard| shard.is_failed()) {
            failed.lose();
            return Err(TxnError::NotAvailable);
        }
        let shard = slot.get_or_try_init(|| async {
            let partition = broker.partition(TRANSACTION_STATE, index).ok_or(TxnError::NotAvailable)?;
            if partition.log().is_failed() {
                return Err(TxnError::NotAvailable);
            }
            let (rules, time) = (self.rules, groups::now(&**broker.clock()));
            let loaded = read_log(partition, rules, time, Arc::clone(&self.sooner)).await?;
            self.look_ahead(&loaded);
            Ok(loaded)
        });
        let shard = shard.await.cloned()?;
        self.attend(broker, &shard);
        Ok(shard)
    }

    /// Finds a writer for markers that have none: of ends that a crash, or a task that was dropped, left unfinished.
    fn attend(&self, broker: &Arc<Broker>, shard: &Arc<Shard>) {
        // What a closing broker leaves unfinished the next start finds.
        if broker.is_closing() || shard.is_failed() || !shard.take_unattended() {
            return;
        }
        let Ok(((), offset)) = shard.read(|_| ()) else { return };
        for id in shard.unattended() {
            ending::begin(broker, shard, id, offset);
        }
    }

    /// Makes the clockwork get up earlier if the shard needs that.
    fn look_ahead(&self, shard: &Shard) {
        let at = shard.deadline().unwrap_or(i64::MAX);
        if at < *locked(&self.sleeps_until) {
            self.sooner.notify_one();
        }
    }

    fn at_hand(&self) -> Vec<Arc<Shard>> {
        locked(&self.shards).values().filter_map(|slot| slot.get().cloned()).collect()
    }

    fn earliest(&self) -> Option<i64> {
        self.at_hand().iter().filter_map(|shard| shard.deadline()).min()
    }

    /// Reads the shards that are not at hand; whether all are then.
    async fn load_all(&self, broker: &Arc<Broker>) -> bool {
        let mut all = true;
        for index in 0..broker.partition_count(TRANSACTION_STATE).unwrap_or(0) {
            all &= self.load(broker, index).await.is_ok();
        }
        all
    }

    /// Aborts what took too long, forgets ids nobody uses.
    pub async fn tick(&self, broker: &Arc<Broker>) {
        for shard in self.at_hand() {
            let at = moment(broker);
            if shard.deadline().is_none_or(|due| due > at.time.mono_ms) {
                continue;
            }
            // A failure has lost the shard, or is tried again after a while.
            for id in shard.tick(at).unwrap_or_default() {
                tracing::info!(transactional_id = %id, "the transaction took longer than it may and is aborted");
                let _ =
                    self.decide(broker, &shard, |core, fresh, at| core.abort_overdue(&id, fresh, at)).await;
            }
        }
    }
}

async fn read_log(
    partition: Arc<Partition>,
    rules: Rules,
    time: groups::request::Now,
    sooner: Arc<Notify>,
) -> Result<Arc<Shard>, TxnError> {
    let read = tokio::task::spawn_blocking(move || Shard::load(partition, rules, time, sooner)).await;
    match read {
        Ok(Ok(shard)) => Ok(Arc::new(shard)),
        Ok(Err(error)) => {
            tracing::error!(%error, "the transaction topic can not be read");
            Err(TxnError::NotAvailable)
        }
        Err(_) => Err(TxnError::NotAvailable),
    }
}

/// The clockwork: reads the shards, brings time to them. It sleeps until something is due and never ends by itself.
pub async fn run(broker: Arc<Broker>) {
    let transactions = broker.transactions();
    let mut reload_ms = i64::MIN;
    loop {
        let mut now = groups::now(&**broker.clock()).mono_ms;
        let lost = transactions.at_hand().iter().any(|shard| shard.is_lost());
        let mut next = i64::MAX;
        if now >= reload_ms || !lost {
            if !transactions.load_all(&broker).await || lost {
                reload_ms = now.saturating_add(RELOAD_MS);
                next = reload_ms;
            }
        } else {
            next = reload_ms;
        }
        transactions.tick(&broker).await;
        now = groups::now(&**broker.clock()).mono_ms;
        next = next.min(transactions.earliest().unwrap_or(i64::MAX));
        *locked(&transactions.sleeps_until) = next;
        // What came due between the look and the line above has told `sooner` nothing: look once more.
        if transactions.earliest().is_some_and(|at| at < next) {
            continue;
        }
        if next == i64::MAX {
            transactions.sooner.notified().await;
        } else {
            let wait = u64::try_from(next.saturating_sub(now)).unwrap_or(0);
            // What was told to come sooner cuts the sleep short.
            let _ = tokio::time::timeout(Duration::from_millis(wait), transactions.sooner.notified()).await;
        }
    }
}
