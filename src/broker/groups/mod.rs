//! Groups of both protocols, classic and consumer (KIP-848), and their offsets, over `__consumer_offsets`; the protocol's structs stop above this.
//!
//! A group belongs to the shard (partition of the topic) that Kafka's hash of its name says. A shard is read from its
//! log when it is first needed. `core` and the files named after requests decide, purely; `durable` is the fold that
//! survives; `shard` appends, waits and answers; here shards are found and time is brought to them.
//!
//! The mutex here guards the table of shards and is never held while a shard's is waited for.

mod commit;
mod consumer;
mod core;
mod delete;
mod durable;
mod expiry;
mod group;
mod heartbeat;
mod join;
mod leave;
mod pending;
mod rebalance;
pub mod request;
mod shard;
mod shell;
mod sync;
#[cfg(test)]
mod tests;
mod topics;
mod txn;

pub use txn::TxnCommitError;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OnceCell};

use crate::model::id::TopicPartition;
use crate::model::name::CONSUMER_OFFSETS;
use crate::model::time::Clock;

use self::core::{Answer, Core};
use self::request::{
    Committed, Description, GroupError, JoinRefused, JoinRequest, Joined, KeptOffset, Leaver, Listing,
    NewOffset, Now, Observed, Rules, Sender, SyncRequest, Synced,
};
use self::shard::Shard;
use self::topics::Topics;
use super::settings::Settings;
use super::{Broker, Partition};

type Slot = Arc<OnceCell<Arc<Shard>>>;

/// All groups this node coordinates.
pub struct Groups {
    rules: Rules,
    shards: Mutex<HashMap<i32, Slot>>,
    draws: Mutex<fastrand::Rng>,
    /// The topics as last seen.
    topics: Mutex<Arc<Topics>>,
    /// Told when a shard has work earlier than the clockwork sleeps.
    sooner: Notify,
    /// Until when the clockwork sleeps: monotonic ms.
    sleeps_until: Mutex<i64>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The clock's time as groups count it.
pub fn now(clock: &dyn Clock) -> Now {
    let mono_ms = i64::try_from(clock.monotonic().as_millis()).unwrap_or(i64::MAX);
    Now { mono_ms, wall_ms: clock.wall_ms() }
}

/// The shard of a group: Java's hash of its name, as Kafka takes it.
pub fn shard_of(group: &str, shards: i32) -> i32 {
    let hash =
        group.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    hash.checked_abs().unwrap_or(0) % shards.max(1)
}

impl Groups {
    /// Groups under `settings`. `seed` makes the member ids that are drawn; it must differ from start to start.
    pub fn new(settings: &Settings, seed: u64) -> Self {
        let int = |name| i32::try_from(settings.int(name)).unwrap_or(i32::MAX);
        let size = |name| usize::try_from(settings.int(name)).unwrap_or(usize::MAX);
        let rules = Rules {
            min_session_timeout_ms: int("group.min.session.timeout.ms"),
            max_session_timeout_ms: int("group.max.session.timeout.ms"),
            initial_rebalance_delay_ms: int("group.initial.rebalance.delay.ms"),
            max_size: size("group.max.size"),
            offset_metadata_max_bytes: size("offset.metadata.max.bytes"),
            offsets_retention_ms: settings.int("offsets.retention.minutes").saturating_mul(60_000),
            offsets_retention_check_interval_ms: settings.int("offsets.retention.check.interval.ms"),
            consumer: shell::consumer_rules(settings),
        };
        Self {
            rules,
            shards: Mutex::default(),
            draws: Mutex::new(fastrand::Rng::with_seed(seed)),
            topics: Mutex::default(),
            sooner: Notify::new(),
            sleeps_until: Mutex::new(i64::MAX),
        }
    }

    /// Text that makes a member id unlike any other.
    pub fn draw(&self) -> String {
        let bits = locked(&self.draws).u128(..);
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            (bits >> 96) as u32,
            (bits >> 80) as u16,
            (bits >> 64) as u16,
            (bits >> 48) as u16,
            bits & 0xffff_ffff_ffff
        )
    }

    /// A member joins.
    pub async fn join(&self, broker: &Arc<Broker>, request: JoinRequest) -> Result<Joined, JoinRefused> {
        let member_id = request.member_id.clone();
        let refused = |error| JoinRefused { error, member_id: member_id.clone() };
        if request.group.is_empty() {
            return Err(refused(GroupError::InvalidGroup));
        }
        let shard = self.shard(broker, &request.group).await.map_err(refused)?;
        let time = now(&**broker.clock());
        let topics = self.topics(broker);
        let parked = shard
            .park(time, |core, ticket| {
                core.see(topics);
                core.join(request, ticket, time)
            })
            .map_err(refused)?;
        self.look_ahead(&shard);
        match parked.await {
            Ok((Answer::Join(answer), offset)) => {
                shard.durable(offset).await.map_err(refused)?;
                answer
            }
            Ok((Answer::Sync(_), _)) | Err(_) => Err(refused(GroupError::NotCoordinator)),
        }
    }

    /// A member asks for its assignment.
    pub async fn sync(&self, broker: &Arc<Broker>, request: SyncRequest) -> Result<Synced, GroupError> {
        if request.group.is_empty() {
            return Err(GroupError::InvalidGroup);
        }
        let shard = self.known_shard(broker, &request.group).await?.ok_or(GroupError::UnknownMember)?;
        let time = now(&**broker.clock());
        let topics = self.topics(broker);
        let parked = shard.park(time, |core, ticket| {
            core.see(topics);
            core.sync(request, ticket, time)
        })?;
        self.look_ahead(&shard);
        match parked.await {
            Ok((Answer::Sync(answer), offset)) => {
                shard.durable(offset).await?;
                answer
            }
            Ok((Answer::Join(_), _)) | Err(_) => Err(GroupError::NotCoordinator),
        }
    }

    /// A member is alive.
    pub async fn heartbeat(
        &self,
        broker: &Arc<Broker>,
        group: &str,
        from: Sender<'_>,
    ) -> Result<(), GroupError> {
        let shard = self.known_shard(broker, group).await?.ok_or(GroupError::UnknownMember)?;
        let time = now(&**broker.clock());
        let alive = shard.act(time, |core| (core.heartbeat(group, from, time), Default::default()))?.0;
        if alive.is_err() {
            self.look_ahead(&shard);
        }
        alive
    }

    /// Members leave: one result each, in their order.
    pub async fn leave(
        &self,
        broker: &Arc<Broker>,
        group: &str,
        leavers: &[Leaver],
    ) -> Result<Vec<Result<(), GroupError>>, GroupError> {
        let shard = self.known_shard(broker, group).await?.ok_or(GroupError::UnknownMember)?;
        let time = now(&**broker.clock());
        let topics = self.topics(broker);
        let (left, offset) = shard.act(time, |core| {
            core.see(topics);
            core.leave(group, leavers, time)
        })?;
        self.look_ahead(&shard);
        shard.durable(offset).await?;
        left
    }

    /// Keeps offsets: one result each, in their order, once they are on disk. `retention_ms` is the wish of old
    /// clients.
    pub async fn commit(
        &self,
        broker: &Arc<Broker>,
        group: &Arc<str>,
        from: Sender<'_>,
        retention_ms: Option<i64>,
        offsets: Vec<NewOffset>,
    ) -> Result<Vec<Result<(), GroupError>>, GroupError> {
        let shard = self.shard(broker, group).await?;
        let time = now(&**broker.clock());
        let (results, offset) =
            shard.act(time, |core| core.commit(group, from, retention_ms, offsets, time))?;
        self.look_ahead(&shard);
        shard.durable(offset).await?;
        results
    }

    /// The offsets kept for `partitions`, in their order. Offsets of an earlier topic of the same name are none; with
    /// `stable`, those are none either that a transaction under way may replace.
    pub async fn offsets(
        &self,
        broker: &Arc<Broker>,
        group: &str,
        partitions: &[TopicPartition],
        stable: bool,
    ) -> Result<Vec<Committed>, GroupError> {
        let Some(shard) = self.known_shard(broker, group).await? else {
            return Ok(vec![Committed::Nothing; partitions.len()]);
        };
        let ids: Vec<_> =
            partitions.iter().map(|asked| broker.topic_id(&asked.topic).unwrap_or_default()).collect();
        let find = |core: &Core| {
            let asked = partitions.iter().zip(&ids);
            asked.map(|(asked, id)| core.committed(group, asked, *id, stable)).collect()
        };
        let (found, offset) = shard.read(find)?;
        shard.durable(offset).await?;
        Ok(found)
    }

    /// All offsets of a group, by topic and partition. With `stable`, those are told as unstable that a transaction
    /// under way may replace; of partitions that have no offset yet, nothing is told, as in Kafka.
    pub async fn all_offsets(
        &self,
        broker: &Arc<Broker>,
        group: &str,
        stable: bool,
    ) -> Result<Vec<(TopicPartition, Committed)>, GroupError> {
        let Some(shard) = self.known_shard(broker, group).await? else { return Ok(Vec::new()) };
        let (found, offset) = shard.read(|core| {
            let all = core.offsets(group).into_iter().flatten();
            let told = |(at, kept): (&TopicPartition, &KeptOffset)| {
                (at.clone(), kept.clone(), stable && core.durable.pending.holds(group, at))
            };
            all.map(told).collect::<Vec<_>>()
        })?;
        shard.durable(offset).await?;
        let told = found.into_iter().filter_map(|(at, kept, unstable)| {
            let id = broker.topic_id(&at.topic).unwrap_or_default();
            let is_its = id.is_zero() || kept.topic_id.is_zero() || id == kept.topic_id;
            is_its.then_some((at, if unstable { Committed::Unstable } else { Committed::At(kept) }))
        });
        Ok(told.collect())
    }

    /// A group's state and members; `None` if there is no such group.
    pub async fn describe(
        &self,
        broker: &Arc<Broker>,
        group: &str,
    ) -> Result<Option<Description>, GroupError> {
        let Some(shard) = self.known_shard(broker, group).await? else { return Ok(None) };
        let (described, offset) = shard.read(|core| core.describe(group))?;
        shard.durable(offset).await?;
        Ok(described)
    }

    /// All groups, by name.
    pub async fn list(&self, broker: &Arc<Broker>) -> Result<Vec<Listing>, GroupError> {
        let mut all = Vec::new();
        for index in 0..broker.partition_count(CONSUMER_OFFSETS).unwrap_or(0) {
            let shard = self.load(broker, index).await?;
            let (listed, offset) = shard.read(Core::list)?;
            shard.durable(offset).await?;
            all.extend(listed);
        }
        all.sort_by(|one, other| one.group.cmp(&other.group));
        Ok(all)
    }

    /// All groups with the offsets they keep, for the metrics. It waits for no sync: what is seen here may still be
    /// taken back by a power cut.
    pub async fn observe(&self, broker: &Arc<Broker>) -> Result<Vec<Observed>, GroupError> {
        let mut all = Vec::new();
        for index in 0..broker.partition_count(CONSUMER_OFFSETS).unwrap_or(0) {
            let shard = self.load(broker, index).await?;
            all.extend(shard.read(Core::observe)?.0);
        }
        all.sort_by(|one, other| one.group.cmp(&other.group));
        Ok(all)
    }

    /// A topic was deleted: its offsets go, in every group. Answers when that is on disk.
    pub async fn topic_deleted(&self, broker: &Arc<Broker>, topic: &str) -> Result<(), GroupError> {
        for index in 0..broker.partition_count(CONSUMER_OFFSETS).unwrap_or(0) {
            let shard = self.load(broker, index).await?;
            let bears = broker.topic_id(topic).unwrap_or_default();
            let time = now(&**broker.clock());
            let ((), offset) = shard.act(time, |core| ((), core.topic_deleted(topic, bears)))?;
            shard.durable(offset).await?;
        }
        Ok(())
    }

    /// Lets every parked answer go (NOT_COORDINATOR), so that a closing broker waits for no member.
    pub fn close(&self) {
        let shards: Vec<_> =
            locked(&self.shards).drain().filter_map(|(_, slot)| slot.get().cloned()).collect();
        shards.iter().for_each(|shard| shard.lose());
    }

    /// How many shards there are; the topic is made if it is not there.
    async fn count(&self, broker: &Arc<Broker>) -> Result<i32, GroupError> {
        if let Some(count) = broker.partition_count(CONSUMER_OFFSETS) {
            return Ok(count);
        }
        broker.ensure_internal(CONSUMER_OFFSETS).await.map_err(|_| GroupError::NotAvailable)?;
        broker.partition_count(CONSUMER_OFFSETS).ok_or(GroupError::NotAvailable)
    }

    /// The shard of a group; the topic is made if it is not there.
    async fn shard(&self, broker: &Arc<Broker>, group: &str) -> Result<Arc<Shard>, GroupError> {
        self.load(broker, shard_of(group, self.count(broker).await?)).await
    }

    /// The shard of a group; none while no group was ever made.
    async fn known_shard(&self, broker: &Arc<Broker>, group: &str) -> Result<Option<Arc<Shard>>, GroupError> {
        match broker.partition_count(CONSUMER_OFFSETS) {
            Some(count) => self.load(broker, shard_of(group, count)).await.map(Some),
            None => Ok(None),
        }
    }

    /// A shard by its index, read from its log if it is not at hand.
    async fn load(&self, broker: &Arc<Broker>, index: i32) -> Result<Arc<Shard>, GroupError> {
        let slot = {
            let mut shards = locked(&self.shards);
            let slot = shards.entry(index).or_default();
            if slot.get().is_some_and(|shard| shard.is_lost()) {
                *slot = Slot::default();
            }
            slot.clone()
        };
        let shard = slot.get_or_try_init(|| async {
            let partition = broker.partition(CONSUMER_OFFSETS, index).ok_or(GroupError::NotAvailable)?;
            let (rules, time) = (self.rules, now(&**broker.clock()));
            let loaded = read_log(partition, rules, time).await?;
            self.look_ahead(&loaded);
            Ok(loaded)
        });
        shard.await.cloned()
    }

    /// Makes the clockwork get up earlier if the shard needs that.
    fn look_ahead(&self, shard: &Shard) {
        let at = shard.deadline().unwrap_or(i64::MAX);
        if at < *locked(&self.sleeps_until) {
            self.sooner.notify_one();
        }
    }

    /// Does what is due in every shard at hand. Returns the earliest monotonic ms at which there is more to do.
    pub fn tick(&self, time: Now) -> Option<i64> {
        let shards: Vec<_> = locked(&self.shards).values().filter_map(|slot| slot.get().cloned()).collect();
        for shard in &shards {
            if shard.deadline().is_some_and(|at| at <= time.mono_ms) {
                // A failure has lost the shard; it is read anew when someone asks.
                let _ = shard.act(time, |core| ((), core.tick(time)));
            }
        }
        shards.iter().filter_map(|shard| shard.deadline()).min()
    }
}

async fn read_log(partition: Arc<Partition>, rules: Rules, time: Now) -> Result<Arc<Shard>, GroupError> {
    let read = tokio::task::spawn_blocking(move || Shard::load(partition, rules, time)).await;
    match read {
        Ok(Ok(shard)) => Ok(Arc::new(shard)),
        Ok(Err(error)) => {
            tracing::error!(%error, "the offsets topic can not be read");
            Err(GroupError::NotAvailable)
        }
        Err(_) => Err(GroupError::NotAvailable),
    }
}

/// The clockwork: brings time to the shards. It sleeps until something is due and never ends by itself.
pub async fn run(broker: Arc<Broker>) {
    let groups = broker.groups();
    loop {
        let time = now(&**broker.clock());
        let next = groups.tick(time).unwrap_or(i64::MAX);
        *locked(&groups.sleeps_until) = next;
        // What came due between the look and the line above has told `sooner` nothing: look once more.
        if groups.earliest().is_some_and(|at| at < next) {
            continue;
        }
        let wait = u64::try_from(next.saturating_sub(time.mono_ms)).unwrap_or(0);
        if next == i64::MAX {
            groups.sooner.notified().await;
        } else {
            // What was told to come sooner cuts the sleep short.
            let _ = tokio::time::timeout(Duration::from_millis(wait), groups.sooner.notified()).await;
        }
    }
}

impl Groups {
    fn earliest(&self) -> Option<i64> {
        let shards: Vec<_> = locked(&self.shards).values().filter_map(|slot| slot.get().cloned()).collect();
        shards.iter().filter_map(|shard| shard.deadline()).min()
    }
}
