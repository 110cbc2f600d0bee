//! The task of a member: join, sync, heartbeat, and again; says what happens as events and waits for the caller
//! before anything is given up.
//!
//! The lock guards the member's identity, which commits read; it is never held across an await.

use super::GroupEvent;
use super::assignor::Assignor;
use super::offsets::Membership;
use super::protocol;
use crate::client::cluster::Lane;
use crate::client::retry::pause;
use crate::client::{Client, ClientError};
use crate::model::id::TopicPartition;
use crate::wire::error::ErrorCode;
use crate::wire::messages::heartbeat::HeartbeatRequest;
use crate::wire::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse};
use crate::wire::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, sleep_until};

/// What the network may take beyond the time the broker itself waits for the members.
const JOIN_SLACK: Duration = Duration::from_secs(5);

/// What the caller's side and the task share.
#[derive(Debug)]
pub(super) struct Shared {
    membership: Mutex<Membership>,
    /// Where a generation is no round of the group's (KIP-848): how many assignments there were, -1 for none.
    round: AtomicI32,
    /// How many times the caller was asked to give partitions up, and how many times it has.
    asked: AtomicU64,
    answered: AtomicU64,
    /// The second has changed.
    proceed: Notify,
}

impl Shared {
    pub(super) fn new(instance_id: Option<String>) -> Self {
        let membership = Membership { generation: -1, member_id: String::new(), instance_id };
        Self {
            membership: Mutex::new(membership),
            round: AtomicI32::new(-1),
            asked: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            proceed: Notify::new(),
        }
    }

    /// The caller is about to be asked to give something up; answers the question's number. It answers all of them, one
    /// after the other, so that a late answer to an earlier one is never taken for this one's.
    pub(super) fn ask(&self) -> u64 {
        self.asked.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// The caller has delivered and committed what it was asked for first of what it has not answered.
    pub(super) fn proceed(&self) {
        let asked = self.asked.load(Ordering::Acquire);
        let next = |answered: u64| (answered < asked).then_some(answered + 1);
        if self.answered.fetch_update(Ordering::AcqRel, Ordering::Acquire, next).is_ok() {
            self.proceed.notify_one();
        }
    }

    /// Answers once the caller has answered that question.
    pub(super) async fn answered(&self, question: u64) {
        while self.answered.load(Ordering::Acquire) < question {
            self.proceed.notified().await;
        }
    }

    pub(super) fn membership(&self) -> Membership {
        self.membership.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn round(&self) -> i32 {
        self.round.load(Ordering::Relaxed)
    }

    pub(super) fn set_round(&self, round: i32) {
        self.round.store(round, Ordering::Relaxed);
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Membership)) {
        change(&mut self.membership.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Number of partitions by topic: what a division was made from.
type Counts = BTreeMap<Arc<str>, i32>;

struct Task {
    client: Client,
    group: String,
    topics: Vec<String>,
    assignors: Vec<Assignor>,
    /// Whether partitions are kept while a rebalance goes on.
    cooperative: bool,
    shared: Arc<Shared>,
    lane: Lane,
    events: mpsc::UnboundedSender<Result<GroupEvent, ClientError>>,
    owned: Vec<TopicPartition>,
    /// As the leader: all topics of the group, and what the division was made from.
    led: Option<(Vec<String>, Counts)>,
    looked: Instant,
}

impl Drop for Task {
    fn drop(&mut self) {
        self.client.close_lane(self.lane);
    }
}

/// Why a generation ended.
enum Ended {
    /// The group rebalances.
    Rebalance,
    /// The group went on without this member.
    Lost,
}

/// The member's task; ends with an error that is final, or when the caller is gone.
pub(super) fn run(
    client: Client,
    group: &str,
    topics: &[String],
    shared: Arc<Shared>,
    events: mpsc::UnboundedSender<Result<GroupEvent, ClientError>>,
) -> Result<impl Future<Output = ()> + use<>, ClientError> {
    let assignors: Vec<Assignor> =
        client.options().assignors.iter().filter_map(|name| Assignor::by_name(name)).collect();
    if assignors.is_empty() {
        let text = "partition.assignment.strategy names no assignor that klog has".to_owned();
        return Err(ClientError::Option(text));
    }
    let cooperative = assignors.iter().all(|assignor| assignor.is_cooperative());
    let (group, topics) = (group.to_owned(), topics.to_vec());
    Ok(async move {
        let (looked, lane) = (Instant::now(), client.join_lane());
        let mut task = Task {
            client,
            group,
            topics,
            assignors,
            cooperative,
            shared,
            lane,
            events,
            owned: Vec::new(),
            led: None,
            looked,
        };
        if let Err(error) = task.run().await {
            let _ = task.events.send(Err(error));
        }
    })
}

impl Task {
    async fn run(&mut self) -> Result<(), ClientError> {
        loop {
            let assigned = self.join().await?;
            let again = self.take(assigned).await?;
            let ended = match again {
                // Partitions were given up: the round that gives them to others follows at once.
                Some(ended) => ended,
                None => self.stay().await?,
            };
            match ended {
                Ended::Lost => self.lose(),
                Ended::Rebalance => {}
            }
        }
    }

    fn say(&self, event: GroupEvent) -> Result<(), ClientError> {
        self.events.send(Ok(event)).map_err(|_| ClientError::Closed)
    }

    /// The group went on without us: what we owned is void, and so is the member's id.
    fn lose(&mut self) {
        self.shared.change(|membership| {
            membership.generation = -1;
            membership.member_id.clear();
        });
        self.led = None;
        let partitions = std::mem::take(&mut self.owned);
        if !partitions.is_empty() {
            let _ = self.say(GroupEvent::Lost { partitions });
        }
    }

    /// Joins and syncs until there is an assignment.
    async fn join(&mut self) -> Result<Vec<TopicPartition>, ClientError> {
        let mut failures = 0;
        loop {
            let error = match self.join_once().await {
                Ok(Some(assigned)) => return Ok(assigned),
                // The group began another round, or wants our new id: at once again.
                Ok(None) => continue,
                Err(error) => error,
            };
            match error.code() {
                Some(ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::ILLEGAL_GENERATION) => self.lose(),
                Some(ErrorCode::REBALANCE_IN_PROGRESS) => {}
                _ if error.is_retriable() => {}
                _ => return Err(error),
            }
            failures += 1;
            let options = self.client.options();
            sleep(pause(failures, options.retry_backoff, options.retry_backoff_max, fastrand::f64())).await;
        }
    }

    async fn join_once(&mut self) -> Result<Option<Vec<TopicPartition>>, ClientError> {
        let options = self.client.options().clone();
        let (_, connection) = self.client.coordinator(&self.group, self.lane).await?;
        let membership = self.shared.membership();
        let owned: &[TopicPartition] = if self.cooperative { &self.owned } else { &[] };
        let metadata = protocol::subscription(&self.topics, owned, membership.generation).unwrap_or_default();
        let request = JoinGroupRequest {
            group_id: self.group.clone(),
            session_timeout_ms: millis(options.session_timeout),
            rebalance_timeout_ms: millis(options.rebalance_timeout),
            member_id: membership.member_id.clone(),
            group_instance_id: membership.instance_id.clone(),
            protocol_type: "consumer".to_owned(),
            protocols: self
                .assignors
                .iter()
                .map(|one| JoinGroupRequestProtocol {
                    name: one.name().to_owned(),
                    metadata: metadata.clone(),
                })
                .collect(),
            reason: None,
        };
        let answer = connection.call(&request, options.rebalance_timeout + JOIN_SLACK).await?;
        match answer.error_code {
            ErrorCode::NONE => {}
            ErrorCode::MEMBER_ID_REQUIRED => {
                self.shared.change(|membership| membership.member_id = answer.member_id);
                return Ok(None);
            }
            code => return Err(self.client.coordinator_error(&self.group, code, None)),
        }
        self.shared.change(|membership| {
            membership.member_id.clone_from(&answer.member_id);
            membership.generation = answer.generation_id;
        });
        let assignments = match answer.leader == answer.member_id {
            true => self.divide(&answer).await?,
            false => {
                self.led = None;
                Vec::new()
            }
        };
        self.sync(&answer, assignments).await
    }

    /// The leader's work: everyone's partitions.
    async fn divide(
        &mut self,
        answer: &JoinGroupResponse,
    ) -> Result<Vec<SyncGroupRequestAssignment>, ClientError> {
        let members: Vec<_> = answer.members.iter().map(protocol::subscriber).collect();
        let wanted: BTreeSet<&str> =
            members.iter().flat_map(|member| member.topics.iter().map(|topic| &**topic)).collect();
        let topics: Vec<String> = wanted.into_iter().map(str::to_owned).collect();
        let counts = self.counts(&topics).await?;
        self.looked = Instant::now();
        let name = answer.protocol_name.as_deref().unwrap_or_default();
        let Some(assignor) = Assignor::by_name(name) else {
            let code = ErrorCode::INCONSISTENT_GROUP_PROTOCOL;
            let message =
                Some(format!("the group chose the assignor {name:?}, which this member does not have"));
            return Err(ClientError::broker(code, format!("group {}", self.group), message));
        };
        let division = assignor.assign(&members, &counts);
        self.led = Some((topics, counts));
        Ok(if answer.skip_assignment { Vec::new() } else { protocol::assignments(&division) })
    }

    async fn counts(&self, topics: &[String]) -> Result<Counts, ClientError> {
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        self.client.refresh(Some(&names), false).await?;
        let views = names.iter().filter_map(|name| self.client.known(name));
        Ok(views.map(|view| (view.name.clone(), view.count())).collect())
    }

    async fn sync(
        &mut self,
        joined: &JoinGroupResponse,
        assignments: Vec<SyncGroupRequestAssignment>,
    ) -> Result<Option<Vec<TopicPartition>>, ClientError> {
        let options = self.client.options();
        let (_, connection) = self.client.coordinator(&self.group, self.lane).await?;
        let membership = self.shared.membership();
        let request = SyncGroupRequest {
            group_id: self.group.clone(),
            generation_id: membership.generation,
            member_id: membership.member_id,
            group_instance_id: membership.instance_id,
            protocol_type: Some("consumer".to_owned()),
            protocol_name: joined.protocol_name.clone(),
            assignments,
        };
        let answer = connection.call(&request, options.rebalance_timeout + JOIN_SLACK).await?;
        match answer.error_code {
            ErrorCode::NONE => {}
            ErrorCode::REBALANCE_IN_PROGRESS => return Ok(None),
            code => return Err(self.client.coordinator_error(&self.group, code, None)),
        }
        let assigned = protocol::assigned(answer.assignment).ok_or_else(|| {
            let message = Some("the leader sent an assignment that can not be read".to_owned());
            ClientError::broker(ErrorCode::UNKNOWN_SERVER_ERROR, format!("group {}", self.group), message)
        })?;
        Ok(Some(assigned))
    }

    /// Takes over an assignment. What moves away is given up first, and then another round is needed.
    async fn take(&mut self, all: Vec<TopicPartition>) -> Result<Option<Ended>, ClientError> {
        let gone: Vec<_> = self.owned.iter().filter(|one| !all.contains(one)).cloned().collect();
        let mut again = None;
        if !gone.is_empty() {
            again = Some(Ended::Rebalance);
            if let Ended::Lost = self.prepare(gone).await? {
                return Ok(Some(Ended::Lost));
            }
        }
        let added = all.iter().filter(|one| !self.owned.contains(one)).cloned().collect();
        self.owned.clone_from(&all);
        let generation = self.shared.membership().generation;
        self.say(GroupEvent::Assigned { all, added, generation })?;
        Ok(again)
    }

    /// Asks the caller to deliver and commit, and keeps the session until it has.
    async fn prepare(&mut self, revoked: Vec<TopicPartition>) -> Result<Ended, ClientError> {
        let within = self.client.options().rebalance_timeout;
        let kept: Vec<_> = self.owned.iter().filter(|one| !revoked.contains(one)).cloned().collect();
        let question = self.shared.ask();
        self.say(GroupEvent::Prepare { revoked, within })?;
        let mut beat = Instant::now() + self.client.options().heartbeat_interval;
        loop {
            tokio::select! {
                () = self.shared.answered(question) => {
                    self.owned = kept;
                    return Ok(Ended::Rebalance);
                }
                () = sleep_until(beat) => {
                    beat = Instant::now() + self.client.options().heartbeat_interval;
                    if let Some(Ended::Lost) = self.heartbeat().await? {
                        return Ok(Ended::Lost);
                    }
                }
            }
        }
    }

    /// Keeps the session until the generation ends.
    async fn stay(&mut self) -> Result<Ended, ClientError> {
        loop {
            sleep(self.client.options().heartbeat_interval).await;
            if self.events.is_closed() {
                return Err(ClientError::Closed);
            }
            let ended = match self.heartbeat().await? {
                Some(ended) => Some(ended),
                None if self.topics_changed().await => Some(Ended::Rebalance),
                None => None,
            };
            match ended {
                None => {}
                Some(Ended::Lost) => return Ok(Ended::Lost),
                Some(Ended::Rebalance) => {
                    let revoked = if self.cooperative { Vec::new() } else { self.owned.clone() };
                    return self.prepare(revoked).await;
                }
            }
        }
    }

    /// One heartbeat. A coordinator that can not be reached is tried again with the next one.
    async fn heartbeat(&self) -> Result<Option<Ended>, ClientError> {
        let membership = self.shared.membership();
        let request = HeartbeatRequest {
            group_id: self.group.clone(),
            generation_id: membership.generation,
            member_id: membership.member_id,
            group_instance_id: membership.instance_id,
        };
        let limit = self.client.options().session_timeout;
        let outcome = match self.client.coordinator(&self.group, Lane::Main).await {
            Ok((_, connection)) => connection.call(&request, limit).await,
            Err(error) => Err(error),
        };
        let error = match outcome {
            Ok(answer) if answer.error_code.is_ok() => return Ok(None),
            Ok(answer) => self.client.coordinator_error(&self.group, answer.error_code, None),
            Err(error) => error,
        };
        match error.code() {
            Some(ErrorCode::REBALANCE_IN_PROGRESS) => Ok(Some(Ended::Rebalance)),
            Some(ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::ILLEGAL_GENERATION) => Ok(Some(Ended::Lost)),
            _ if error.is_retriable() => Ok(None),
            _ => Err(error),
        }
    }

    /// As the leader: whether a topic came, went or grew. Those that do not exist yet are looked for with every
    /// heartbeat, the others with the age of the metadata.
    async fn topics_changed(&mut self) -> bool {
        let Some((topics, counts)) = self.led.clone() else { return false };
        let due =
            topics.len() > counts.len() || self.looked.elapsed() >= self.client.options().metadata_max_age;
        if !due {
            return false;
        }
        self.looked = Instant::now();
        self.counts(&topics).await.is_ok_and(|now| now != counts)
    }
}

fn millis(time: Duration) -> i32 {
    i32::try_from(time.as_millis()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_late_answer_is_not_the_next_questions() {
        let shared = Arc::new(Shared::new(None));
        let within = Duration::from_millis(20);
        let is_answered =
            async |question| tokio::time::timeout(within, shared.answered(question)).await.is_ok();
        shared.proceed();
        let first = shared.ask();
        assert!(!is_answered(first).await, "an answer to nothing");
        // The group went on without the member, which is asked again before the caller has answered.
        let second = shared.ask();
        shared.proceed();
        assert!(is_answered(first).await && !is_answered(second).await);
        shared.proceed();
        assert!(is_answered(second).await);
    }
}
