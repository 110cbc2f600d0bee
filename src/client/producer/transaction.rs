//! The transactions of a producer (KIP-98, KIP-890): begin, positions, commit, abort; never commits what had an error.
//!
//! After the first error in a transaction nothing more of it is sent and only the abort is left. A commit whose answer
//! never came is neither: that is said as [`ClientError::CommitUnknown`], and the commit may be tried again.

use super::queue::Identity;
use super::sender::{Shared, State};
use super::{Open, Producer};
use crate::client::cluster::{Coordinated, Lane};
use crate::client::connection::Connection;
use crate::client::group::{Committed, GroupMetadata};
use crate::client::retry::{self, Attempts, Outcome, Step, outcome};
use crate::client::{Client, ClientError};
use crate::model::id::TopicPartition;
use crate::wire::Request;
use crate::wire::api::ApiKey;
use crate::wire::error::ErrorCode;
use crate::wire::messages::add_offsets_to_txn::AddOffsetsToTxnRequest;
use crate::wire::messages::add_partitions_to_txn::{AddPartitionsToTxnRequest, AddPartitionsToTxnTopic};
use crate::wire::messages::end_txn::EndTxnRequest;
use crate::wire::messages::init_producer_id::InitProducerIdRequest;
use crate::wire::messages::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// What a broker aborts a transaction after, where nothing else is said: Kafka's default.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// The feature, and its level from which on a produce adds its partition to the transaction by itself.
const FEATURE: (&str, i16) = ("transaction.version", 2);
/// The newest versions that do not.
const EXPLICIT_PRODUCE: i16 = 11;
const EXPLICIT_OFFSETS: i16 = 4;
const EXPLICIT_END: i16 = 4;
/// The newest version of AddPartitionsToTxn that clients speak; later ones are between brokers.
const ADD_BY_CLIENTS: i16 = 3;
/// From here on InitProducerId takes the epoch that is to rise, and TxnOffsetCommit the member.
const WITH_EPOCH: i16 = 3;
const WITH_MEMBER: i16 = 3;

/// Where a transactional producer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// No transaction.
    Idle,
    /// Records may be pushed.
    Open,
    /// It is being ended; `uncertain`: an attempt to commit went without an answer.
    Ending { uncertain: bool },
}

/// The transaction of a producer, shared with the task that sends.
#[derive(Debug)]
pub(super) struct Txn {
    pub(super) id: Arc<str>,
    stage: Stage,
    /// Brokers add partitions to this transaction by themselves (KIP-890).
    implicit: bool,
    /// So will those of the next.
    implicit_next: bool,
    /// The broker may know of the transaction.
    pub(super) sent: bool,
    /// Positions are on their way: without all of them there is no commit.
    positions: bool,
    /// Partitions that the coordinator was told of.
    added: HashSet<(u32, i32)>,
    /// It is being told of more.
    pub(super) adding: bool,
    /// Another producer has the id, or this one must not have it.
    pub(super) fatal: bool,
    /// Records acknowledged before this transaction.
    before: u64,
}

impl Txn {
    /// Whether batches of the partition may leave.
    pub(super) fn has(&self, topic: u32, partition: i32) -> bool {
        self.implicit || self.added.contains(&(topic, partition))
    }
}

/// The newest version of Produce that may be used.
pub(super) fn newest_produce(state: &State) -> i16 {
    match &state.txn {
        Some(txn) if !txn.implicit => EXPLICIT_PRODUCE,
        _ => i16::MAX,
    }
}

/// Tells the coordinator of partitions that have something to send, beside the sending.
pub(super) fn add_partitions(client: &Client, shared: &Arc<Shared>) {
    let (id, identity, list) = {
        let mut state = shared.state();
        let missing: Vec<(u32, i32)> = match &state.txn {
            Some(txn) if !txn.adding && state.failure.is_none() => state
                .busy()
                .iter()
                .filter(|(topic, partition)| !txn.has(*topic, *partition))
                .copied()
                .collect(),
            _ => return,
        };
        let named: Vec<_> = missing.iter().map(|&(topic, one)| state.partition(topic, one)).collect();
        let identity = state.identity;
        let Some(txn) = state.txn.as_mut().filter(|_| !missing.is_empty()) else { return };
        (txn.adding, txn.sent) = (true, true);
        (txn.id.clone(), identity, missing.into_iter().zip(named).collect::<Vec<_>>())
    };
    let (client, shared) = (client.clone(), shared.clone());
    tokio::spawn(async move {
        let mut attempts = Attempts::within(client.options().delivery_timeout, client.options());
        let partitions: Vec<_> = list.iter().map(|(_, partition)| partition).collect();
        let told = loop {
            match tell(&client, &id, identity, &partitions).await {
                Ok(()) => break Ok(()),
                Err(error) => match attempts.after(error).await {
                    Ok(()) if shared.state().failure.is_none() => {}
                    Ok(()) => break Ok(()),
                    Err(error) => break Err(error),
                },
            }
        };
        {
            let mut state = shared.state();
            if let Some(txn) = &mut state.txn {
                txn.adding = false;
                if told.is_ok() {
                    txn.added.extend(list.iter().map(|(key, _)| *key));
                }
            }
            if let Err(error) = told {
                state.fail(error);
            }
        }
        shared.work.notify_one();
        shared.progressed.notify_waiters();
    });
}

/// AddPartitionsToTxn, once.
async fn tell(
    client: &Client,
    id: &str,
    identity: Identity,
    partitions: &[&TopicPartition],
) -> Result<(), ClientError> {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for partition in partitions {
        topics.entry(&partition.topic).or_default().push(partition.partition);
    }
    let topics = topics.into_iter();
    let request = AddPartitionsToTxnRequest {
        v3_and_below_transactional_id: id.to_owned(),
        v3_and_below_producer_id: identity.id,
        v3_and_below_producer_epoch: identity.epoch,
        v3_and_below_topics: topics
            .map(|(name, partitions)| AddPartitionsToTxnTopic { name: name.to_owned(), partitions })
            .collect(),
        ..AddPartitionsToTxnRequest::default()
    };
    let of = Coordinated::Transaction(id.to_owned());
    let (answer, _) = ask(client, &of, &request, ADD_BY_CLIENTS).await?;
    let results = answer.results_by_topic_v3_and_below.iter();
    let codes =
        results.flat_map(|topic| topic.results_by_partition.iter().map(|one| one.partition_error_code));
    // What was not tried for another's error says nothing by itself.
    let worst = codes
        .filter(|code| !code.is_ok())
        .max_by_key(|code| (*code != ErrorCode::OPERATION_NOT_ATTEMPTED, !code.retriable()));
    match worst {
        None => Ok(()),
        Some(code) => Err(client.coordinator_error_of(&of, code, words(code))),
    }
}

/// One request to a coordinator, in a version of at most `newest`, and the connection it went over.
async fn ask<R: Request>(
    client: &Client,
    of: &Coordinated,
    request: &R,
    newest: i16,
) -> Result<(R::Response, Arc<Connection>), ClientError> {
    let (_, connection) = client.coordinator_of(of, Lane::Main).await?;
    let version = connection.version(R::KEY)?.min(newest);
    let answer = connection.call_in(request, version, client.options().request_timeout).await?;
    Ok((answer, connection))
}

/// What a code means to somebody who does not know the protocol.
fn words(code: ErrorCode) -> Option<String> {
    let text = match code {
        ErrorCode::PRODUCER_FENCED | ErrorCode::INVALID_PRODUCER_EPOCH => {
            "another producer has taken over, or the transaction took too long"
        }
        ErrorCode::INVALID_TXN_STATE => {
            "the broker has ended the transaction before, by its time-out perhaps"
        }
        ErrorCode::INVALID_TRANSACTION_TIMEOUT => "its time-out is longer than the broker allows",
        _ => return None,
    };
    Some(text.to_owned())
}

/// InitProducerId with retries: ends what an earlier producer of the id left open, and fences it. With `current` the
/// id's own epoch rises, which fails where another producer has come. Says too whether partitions are added by
/// themselves.
async fn init(client: &Client, id: &str, current: Option<Identity>) -> Result<(Identity, bool), ClientError> {
    let mut attempts = Attempts::within(client.options().api_timeout, client.options());
    loop {
        match init_once(client, id, current).await {
            Ok(found) => return Ok(found),
            Err(error) => attempts.after(error).await?,
        }
    }
}

async fn init_once(
    client: &Client,
    id: &str,
    current: Option<Identity>,
) -> Result<(Identity, bool), ClientError> {
    let of = Coordinated::Transaction(id.to_owned());
    let (_, connection) = client.coordinator_of(&of, Lane::Main).await?;
    let version = connection.version(ApiKey::InitProducerId)?;
    let current = current.filter(|_| version >= WITH_EPOCH).unwrap_or(Identity::NONE);
    let timeout = client.options().transaction_timeout.unwrap_or(DEFAULT_TIMEOUT);
    let request = InitProducerIdRequest {
        transactional_id: Some(id.to_owned()),
        transaction_timeout_ms: i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX),
        producer_id: current.id,
        producer_epoch: current.epoch,
    };
    let answer = connection.call_in(&request, version, client.options().request_timeout).await?;
    match answer.error_code {
        ErrorCode::NONE => {
            let (id, epoch) = (answer.producer_id, answer.producer_epoch);
            Ok((Identity { id, epoch, transactional: true }, is_implicit(&connection)))
        }
        code => Err(client.coordinator_error_of(&of, code, words(code))),
    }
}

fn is_implicit(connection: &Connection) -> bool {
    let speaks = connection.version(ApiKey::Produce).is_ok_and(|version| version > EXPLICIT_PRODUCE);
    speaks && connection.feature(FEATURE.0) >= FEATURE.1
}

/// Marks a call that must come to its end; dropped before, the transaction has failed.
struct Unfinished<'s>(&'s Shared);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        if state.txn.as_ref().is_some_and(|txn| txn.positions) {
            state.fail(ClientError::Transaction("positions were on their way when their call was dropped"));
        }
    }
}

impl Producer {
    /// A producer of transactions with this transactional id and the client's `transaction.timeout.ms`. A transaction
    /// that an earlier producer of the id left open is ended, and that producer is fenced: whatever it still sends is
    /// refused. Records may be pushed between [`Producer::begin`] and [`Producer::commit`] or [`Producer::abort`].
    /// Dropping the producer leaves an open transaction to its time-out.
    ///
    /// # Errors
    /// [`ClientError::Option`] without `acks=all` and idempotence; what the coordinator says; failures of the
    /// connection, after `api_timeout`.
    ///
    /// ```no_run
    /// # async fn example(client: klog::client::Client) -> Result<(), klog::client::ClientError> {
    /// use klog::client::producer::Producer;
    /// let mut producer = Producer::transactional(&client, "billing-1").await?;
    /// let topic = producer.topic("orders").await?;
    /// producer.begin()?;
    /// producer.push(topic, None, 1_730_000_000_000, None, Some(b"both"), &[])?;
    /// producer.push(topic, None, 1_730_000_000_000, None, Some(b"or none"), &[])?;
    /// if producer.commit().await.is_err() {
    ///     producer.abort().await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn transactional(client: &Client, id: &str) -> Result<Self, ClientError> {
        if !client.options().is_idempotent() {
            let text = "transactions need acks=all and enable.idempotence=true";
            return Err(ClientError::Option(text.to_owned()));
        }
        let (identity, implicit) = init(client, id, None).await?;
        let producer = Self::with(client, identity);
        producer.shared.state().txn = Some(Txn {
            id: Arc::from(id),
            stage: Stage::Idle,
            implicit,
            implicit_next: implicit,
            sent: false,
            positions: false,
            added: HashSet::new(),
            adding: false,
            fatal: false,
            before: 0,
        });
        Ok(producer)
    }

    /// Begins a transaction: brokers learn of it with its first records or positions.
    ///
    /// # Errors
    /// [`ClientError::Transaction`] where one is open or the producer has no transactions; the failure that made the
    /// producer useless.
    pub fn begin(&mut self) -> Result<(), ClientError> {
        let mut state = self.shared.state();
        if let Some(failure) = &state.failure {
            return Err(failure.clone());
        }
        let before = state.progress.acknowledged;
        let Some(txn) = &mut state.txn else { return Err(NOT_TRANSACTIONAL) };
        if txn.stage != Stage::Idle {
            return Err(ClientError::Transaction("a transaction is open already"));
        }
        (txn.stage, txn.sent, txn.positions) = (Stage::Open, false, false);
        (txn.implicit, txn.before) = (txn.implicit_next, before);
        txn.added.clear();
        Ok(())
    }

    /// Whether a transaction is open or being ended.
    pub fn in_transaction(&self) -> bool {
        self.shared.state().txn.as_ref().is_some_and(|txn| txn.stage != Stage::Idle)
    }

    /// Sends positions of a group that count once the transaction is committed: the next offsets to read. The
    /// coordinator refuses those of a member that the group went on without; the transaction can only be aborted then.
    ///
    /// # Errors
    /// [`ClientError::Transaction`] where no transaction is open; the first failure of the transaction; what the
    /// coordinators say; failures of the connection, after `api_timeout`.
    pub async fn send_offsets(
        &mut self,
        group: &GroupMetadata,
        offsets: &[(TopicPartition, Committed)],
    ) -> Result<(), ClientError> {
        let (id, identity, implicit) = {
            let mut state = self.shared.state();
            if let Some(failure) = &state.failure {
                return Err(failure.clone());
            }
            let identity = state.identity;
            let Some(txn) = &mut state.txn else { return Err(NOT_TRANSACTIONAL) };
            if txn.stage != Stage::Open {
                return Err(NO_TRANSACTION);
            }
            if offsets.is_empty() {
                return Ok(());
            }
            (txn.sent, txn.positions) = (true, true);
            (txn.id.clone(), identity, txn.implicit)
        };
        let unfinished = Unfinished(&self.shared);
        let sent = self.try_send_offsets(&id, identity, implicit, (group, offsets)).await;
        {
            let mut state = self.shared.state();
            if let Some(txn) = &mut state.txn {
                txn.positions = false;
            }
            if let Err(error) = &sent {
                state.fail(error.clone());
            }
        }
        drop(unfinished);
        sent
    }

    async fn try_send_offsets(
        &self,
        id: &str,
        identity: Identity,
        implicit: bool,
        (group, offsets): (&GroupMetadata, &[(TopicPartition, Committed)]),
    ) -> Result<(), ClientError> {
        let (client, limit) = (&self.client, self.client.options().api_timeout);
        if !implicit {
            let request = AddOffsetsToTxnRequest {
                transactional_id: id.to_owned(),
                producer_id: identity.id,
                producer_epoch: identity.epoch,
                group_id: group.group.clone(),
            };
            let of = Coordinated::Transaction(id.to_owned());
            let mut attempts = Attempts::within(limit, client.options());
            loop {
                let error = match ask(client, &of, &request, i16::MAX).await {
                    Ok((answer, _)) if answer.error_code.is_ok() => break,
                    Ok((answer, _)) => {
                        client.coordinator_error_of(&of, answer.error_code, words(answer.error_code))
                    }
                    Err(error) => error,
                };
                attempts.after(error).await?;
            }
        }
        let newest = if implicit { i16::MAX } else { EXPLICIT_OFFSETS };
        let mut attempts = Attempts::within(limit, client.options());
        loop {
            match offsets_once(client, (id, identity), newest, group, offsets).await {
                Ok(()) => return Ok(()),
                Err(error) => attempts.after(error).await?,
            }
        }
    }

    /// Sends what was pushed, waits until all of it is acknowledged, and commits: readers of committed records see all
    /// of it, and positions sent count. Without records and positions nothing is said to the broker. Cancel-safe: may be
    /// called again.
    ///
    /// # Errors
    /// [`ClientError::CommitUnknown`]: the broker may have committed; another call may find out. Anything else: it is
    /// not committed, and [`Producer::abort`] comes next. The first failure of the transaction; what the coordinator
    /// says; failures of the connection, after `api_timeout`.
    pub async fn commit(&mut self) -> Result<(), ClientError> {
        match self.stage()? {
            Stage::Idle => return Err(NO_TRANSACTION),
            // Also where only positions are to be sent: an earlier failure shows here.
            Stage::Open => self.flush().await?,
            Stage::Ending { .. } if self.shared.state().failure.is_some() => self.flush().await?,
            Stage::Ending { .. } => {}
        }
        if self.is_unsent() {
            self.ended(true);
            return Ok(());
        }
        let mut attempts = Attempts::within(self.client.options().api_timeout, self.client.options());
        loop {
            let error = match self.end_once(true).await {
                Ok(()) => {
                    self.ended(true);
                    return Ok(());
                }
                Err(error) => error,
            };
            let Err(error) = attempts.after(error).await else { continue };
            return Err(self.not_committed(error));
        }
    }

    /// What a commit that came to no end means: it was not done, or nobody knows.
    fn not_committed(&self, error: ClientError) -> ClientError {
        let mut state = self.shared.state();
        let Some(txn) = &mut state.txn else { return NOT_TRANSACTIONAL };
        let refused = error.code().is_some_and(|code| matches!(retry::end(code, true), retry::End::Refused));
        if txn.stage == (Stage::Ending { uncertain: true }) && !refused {
            return match error {
                ClientError::CommitUnknown { .. } => error,
                other => ClientError::CommitUnknown { id: txn.id.to_string(), last: other.to_string() },
            };
        }
        txn.stage = Stage::Open;
        state.fail(error.clone());
        error
    }

    /// Drops what is not sent, waits for the answers under way, and aborts: no reader of committed records sees
    /// anything of the transaction. The failure it had is over then, and another may begin. Without a transaction
    /// nothing happens. Cancel-safe: may be called again.
    ///
    /// # Errors
    /// [`ClientError::CommitUnknown`] after a commit that was, and may have been done; that another producer has the
    /// transactional id, which is final: the broker has ended the transaction; failures of the connection, after
    /// `api_timeout`: the broker aborts by the transaction's time-out.
    pub async fn abort(&mut self) -> Result<(), ClientError> {
        let stage = self.stage()?;
        if stage == Stage::Idle {
            return match &self.shared.state().failure {
                Some(failure) => Err(failure.clone()),
                None => Ok(()),
            };
        }
        // Nothing more leaves.
        self.shared.state().fail(ClientError::Transaction("the transaction is being aborted"));
        let failure = self.wait_until(|_, _| false).await.err().unwrap_or(NO_TRANSACTION);
        self.topics.iter_mut().flat_map(|front| &mut front.open).for_each(|open| *open = Open::default());
        if self.shared.state().txn.as_ref().is_some_and(|txn| txn.fatal) {
            return Err(failure);
        }
        if !self.is_unsent() {
            let uncertain = stage == Stage::Ending { uncertain: true };
            let mut attempts = Attempts::within(self.client.options().api_timeout, self.client.options());
            loop {
                let error = match self.abort_once(uncertain).await {
                    Ok(()) => break,
                    Err(error) => error,
                };
                attempts.after(error).await.inspect_err(|error| self.give_up(error))?;
            }
        }
        self.ended(false);
        Ok(())
    }

    /// A failure of the abort that is final takes the place of what led to it.
    fn give_up(&self, error: &ClientError) {
        let mut state = self.shared.state();
        let fatal = error.code().is_some_and(|code| outcome(Step::Init, code) == Outcome::Fatal);
        if fatal {
            state.failure = Some(error.clone());
        }
        if let Some(txn) = &mut state.txn {
            txn.fatal |= fatal;
        }
    }

    fn stage(&self) -> Result<Stage, ClientError> {
        self.shared.state().txn.as_ref().map(|txn| txn.stage).ok_or(NOT_TRANSACTIONAL)
    }

    /// Whether no broker can know of the transaction.
    fn is_unsent(&self) -> bool {
        self.shared.state().txn.as_ref().is_some_and(|txn| !txn.sent)
    }

    fn ended(&self, committed: bool) {
        let mut state = self.shared.state();
        if !committed {
            state.clear();
        }
        let acknowledged = state.progress.acknowledged;
        let Some(txn) = &mut state.txn else { return };
        (txn.stage, txn.positions) = (Stage::Idle, false);
        let before = txn.before;
        if committed {
            state.progress.committed += acknowledged - before;
        }
    }

    /// EndTxn, once.
    async fn end_once(&self, commit: bool) -> Result<(), ClientError> {
        let (id, identity, implicit, uncertain) = {
            let state = self.shared.state();
            let Some(txn) = &state.txn else { return Err(NOT_TRANSACTIONAL) };
            let uncertain = txn.stage == Stage::Ending { uncertain: true };
            (txn.id.clone(), state.identity, txn.implicit, uncertain)
        };
        let of = Coordinated::Transaction(id.to_string());
        let (_, connection) = self.client.coordinator_of(&of, Lane::Main).await?;
        let newest = if implicit { i16::MAX } else { EXPLICIT_END };
        let version = connection.version(ApiKey::EndTxn)?.min(newest);
        let request = EndTxnRequest {
            transactional_id: id.to_string(),
            producer_id: identity.id,
            producer_epoch: identity.epoch,
            committed: commit,
        };
        // From here on the request may arrive, whatever becomes of its answer.
        self.set_stage(Stage::Ending { uncertain: uncertain || commit });
        let answer = connection.call_in(&request, version, self.client.options().request_timeout).await?;
        let code = answer.error_code;
        self.set_stage(Stage::Ending { uncertain: uncertain || (commit && retry::may_be_decided(code)) });
        match retry::end(code, uncertain) {
            retry::End::Ended => {
                let mut state = self.shared.state();
                if let Some(txn) = &mut state.txn {
                    txn.implicit_next = is_implicit(&connection);
                }
                if implicit && answer.producer_id >= 0 {
                    let (id, epoch) = (answer.producer_id, answer.producer_epoch);
                    state.begin_as(Identity { id, epoch, transactional: true });
                }
                Ok(())
            }
            retry::End::Unknown => {
                let last = ClientError::broker(code, of.to_string(), words(code)).to_string();
                Err(ClientError::CommitUnknown { id: id.to_string(), last })
            }
            retry::End::Again(_) | retry::End::Refused | retry::End::Fatal => {
                Err(self.client.coordinator_error_of(&of, code, words(code)))
            }
        }
    }

    /// Aborts, once. By the older rules the epoch rises by a request of its own: what became of the sequences is not
    /// known. The same request finds out whose the id is where the coordinator takes no end from this epoch.
    async fn abort_once(&self, uncertain: bool) -> Result<(), ClientError> {
        let ended = self.end_once(false).await;
        let (id, identity, implicit) = {
            let state = self.shared.state();
            let Some(txn) = &state.txn else { return Err(NOT_TRANSACTIONAL) };
            (txn.id.clone(), state.identity, txn.implicit)
        };
        match ended {
            Ok(()) if implicit => return Ok(()),
            Ok(()) => {}
            Err(error) if error.is_retriable() => return Err(error),
            Err(error) if uncertain => {
                let last = match error {
                    ClientError::CommitUnknown { last, .. } => last,
                    other => other.to_string(),
                };
                return Err(ClientError::CommitUnknown { id: id.to_string(), last });
            }
            Err(_) => {}
        }
        let (identity, implicit) = init_once(&self.client, &id, Some(identity)).await?;
        let mut state = self.shared.state();
        state.clear();
        state.begin_as(identity);
        if let Some(txn) = &mut state.txn {
            txn.implicit_next = implicit;
        }
        Ok(())
    }

    fn set_stage(&self, stage: Stage) {
        if let Some(txn) = &mut self.shared.state().txn {
            txn.stage = stage;
        }
    }
}

/// TxnOffsetCommit, once.
async fn offsets_once(
    client: &Client,
    (id, identity): (&str, Identity),
    newest: i16,
    group: &GroupMetadata,
    offsets: &[(TopicPartition, Committed)],
) -> Result<(), ClientError> {
    let of = Coordinated::Group(group.group.clone());
    let (_, connection) = client.coordinator_of(&of, Lane::Main).await?;
    let version = connection.version(ApiKey::TxnOffsetCommit)?.min(newest);
    let mut topics: BTreeMap<&str, Vec<TxnOffsetCommitRequestPartition>> = BTreeMap::new();
    for (partition, kept) in offsets {
        topics.entry(&partition.topic).or_default().push(TxnOffsetCommitRequestPartition {
            partition_index: partition.partition,
            committed_offset: kept.offset,
            committed_leader_epoch: kept.leader_epoch,
            committed_metadata: Some(kept.metadata.clone()),
        });
    }
    let topics = topics.into_iter();
    let known = version >= WITH_MEMBER;
    let request = TxnOffsetCommitRequest {
        transactional_id: id.to_owned(),
        group_id: group.group.clone(),
        producer_id: identity.id,
        producer_epoch: identity.epoch,
        generation_id: if known { group.generation } else { -1 },
        member_id: if known { group.member_id.clone() } else { String::new() },
        group_instance_id: group.instance_id.clone().filter(|_| known),
        topics: topics
            .map(|(name, partitions)| TxnOffsetCommitRequestTopic { name: name.to_owned(), partitions })
            .collect(),
    };
    let answer = connection.call_in(&request, version, client.options().request_timeout).await?;
    let codes = answer.topics.iter().flat_map(|topic| topic.partitions.iter().map(|one| one.error_code));
    // One that no retry mends decides.
    let worst = codes.filter(|code| !code.is_ok()).max_by_key(|code| !code.retriable());
    match worst {
        None => Ok(()),
        Some(code) => Err(client.coordinator_error_of(&of, code, words(code))),
    }
}

pub(super) const NO_TRANSACTION: ClientError = ClientError::Transaction("no transaction is open");
const NOT_TRANSACTIONAL: ClientError = ClientError::Transaction("the producer has no transactional id");

impl Txn {
    /// Whether records may be pushed.
    pub(super) fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }
}
