//! The task of a member of a consumer group (KIP-848): heartbeats that carry what it has and bring what it is to
//! have; nothing is given up before the caller said that its records were delivered.
//!
//! The coordinator divides the partitions. What it takes away is given up first, told with the next heartbeat, and
//! only then given to others; what it gives is taken at once. An epoch that rises without a change is no rebalance.

use super::GroupEvent;
use super::membership::Shared;
use crate::client::cluster::Lane;
use crate::client::connection::Connection;
use crate::client::retry::pause;
use crate::client::{Client, ClientError};
use crate::model::id::{TopicId, TopicPartition};
use crate::wire::api::ApiKey;
use crate::wire::error::ErrorCode;
use crate::wire::messages::consumer_group_heartbeat::{
    Assignment, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, TopicPartitions,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// Epochs with a meaning of their own.
const JOINING: i32 = 0;
const LEAVING: i32 = -1;
const LEAVING_FOR_A_WHILE: i32 = -2;

/// How long a static member waits for the session of the one that had its name before.
const PREDECESSOR: Duration = Duration::from_secs(60);

/// How often the coordinator is asked while it is not known what there is to read.
const SOON: Duration = Duration::from_secs(1);

/// After so many questions without an answer a member believes that there is nothing for it.
const DOUBTS: u32 = 3;

/// Partitions as the protocol names them.
type Partitions = BTreeSet<(TopicId, i32)>;

struct Task {
    client: Client,
    group: String,
    topics: Vec<String>,
    shared: Arc<Shared>,
    events: mpsc::UnboundedSender<Result<GroupEvent, ClientError>>,
    /// The member's epoch, [`JOINING`] while it is in no group.
    epoch: i32,
    /// What it reads.
    owned: Partitions,
    /// What the coordinator heard of that last; `None`: everything is to be said anew.
    told: Option<Partitions>,
    /// The next heartbeat says what it has, whatever was told before.
    answers: bool,
    /// What it is to have; `None` before the first answer that says so.
    target: Option<Partitions>,
    /// Names of the topics it has or had.
    names: BTreeMap<TopicId, Arc<str>>,
    interval: Duration,
    /// The caller knows what there is to read.
    settled: bool,
    doubts: u32,
    round: i32,
}

/// What a heartbeat came to.
enum Beat {
    /// The member is in the group.
    Fine,
    /// The coordinator was not reached, or could not say.
    Missed,
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
) -> impl Future<Output = ()> + use<> {
    let mut topics = topics.to_vec();
    topics.sort();
    let interval = client.options().heartbeat_interval;
    // Members make their ids themselves, as the newer version wants it.
    let id = TopicId(fastrand::u128(1..).to_be_bytes()).to_string();
    shared.change(|membership| membership.member_id = id);
    let mut task = Task {
        client,
        group: group.to_owned(),
        topics,
        shared,
        events,
        epoch: JOINING,
        owned: Partitions::new(),
        told: None,
        answers: false,
        target: None,
        names: BTreeMap::new(),
        interval,
        settled: false,
        doubts: 0,
        round: 0,
    };
    async move {
        if let Err(error) = task.run().await {
            let _ = task.events.send(Err(error));
        }
    }
}

impl Task {
    async fn run(&mut self) -> Result<(), ClientError> {
        let mut begun = Instant::now();
        let mut missed = 0;
        loop {
            let beat = self.heartbeat(begun).await?;
            if self.events.is_closed() {
                return Err(ClientError::Closed);
            }
            match beat {
                Beat::Fine => missed = 0,
                Beat::Lost => {
                    self.lose();
                    begun = Instant::now();
                    sleep(self.client.options().retry_backoff).await;
                    continue;
                }
                Beat::Missed => {
                    missed += 1;
                    let options = self.client.options();
                    let (shortest, longest) = (options.retry_backoff, options.retry_backoff_max);
                    sleep(pause(missed, shortest, longest, fastrand::f64())).await;
                    continue;
                }
            }
            let reconciled = self.reconcile(begun).await?;
            if self.epoch == JOINING {
                begun = Instant::now();
            }
            if reconciled {
                // The coordinator waits to hear of it, and so do the others.
                continue;
            }
            sleep(if self.settled { self.interval } else { self.interval.min(SOON) }).await;
        }
    }

    fn say(&self, event: GroupEvent) -> Result<(), ClientError> {
        self.events.send(Ok(event)).map_err(|_| ClientError::Closed)
    }

    /// One heartbeat, and what its answer changes. What the coordinator knows already is left out.
    async fn heartbeat(&mut self, begun: Instant) -> Result<Beat, ClientError> {
        let limit = self.client.options().request_timeout;
        let answer = match self.client.coordinator(&self.group, Lane::Main).await {
            Ok((_, connection)) => {
                if connection.version(ApiKey::ConsumerGroupHeartbeat).is_err() {
                    return Err(unsupported(&self.group, &connection));
                }
                let request = self.request();
                let answer = connection.call(&request, limit).await;
                if let Ok(answer) = &answer
                    && answer.error_code == ErrorCode::UNSUPPORTED_VERSION
                {
                    return Err(unsupported(&self.group, &connection));
                }
                answer
            }
            Err(error) => Err(error),
        };
        let error = match answer {
            Ok(answer) if answer.error_code.is_ok() => {
                self.take(answer);
                return Ok(Beat::Fine);
            }
            Ok(answer) => self.client.coordinator_error(&self.group, answer.error_code, answer.error_message),
            Err(error) => error,
        };
        // Whether it was heard is not known.
        self.told = None;
        match error.code() {
            Some(ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::FENCED_MEMBER_EPOCH) => Ok(Beat::Lost),
            // It came to its end, or to be a classic one, while this member was away.
            Some(ErrorCode::GROUP_ID_NOT_FOUND) if self.epoch > JOINING => Ok(Beat::Lost),
            // The one that had the name before may have been killed: its session ends by itself.
            Some(ErrorCode::UNRELEASED_INSTANCE_ID) if begun.elapsed() < PREDECESSOR => Ok(Beat::Missed),
            _ if error.is_retriable() => Ok(Beat::Missed),
            _ => Err(error),
        }
    }

    fn request(&self) -> ConsumerGroupHeartbeatRequest {
        let options = self.client.options();
        let membership = self.shared.membership();
        let anew = self.told.is_none();
        let changed = self.answers || self.told.as_ref() != Some(&self.owned);
        ConsumerGroupHeartbeatRequest {
            group_id: self.group.clone(),
            member_id: membership.member_id,
            member_epoch: self.epoch,
            instance_id: membership.instance_id,
            rebalance_timeout_ms: if anew { millis(options.rebalance_timeout) } else { -1 },
            subscribed_topic_names: anew.then(|| self.topics.clone()),
            server_assignor: options.remote_assignor.clone().filter(|_| anew),
            topic_partitions: changed.then(|| by_topic(&self.owned)),
            ..ConsumerGroupHeartbeatRequest::default()
        }
    }

    fn take(&mut self, answer: ConsumerGroupHeartbeatResponse) {
        self.told = Some(self.owned.clone());
        self.answers = false;
        self.epoch = answer.member_epoch;
        self.shared.change(|membership| {
            membership.generation = answer.member_epoch;
            if let Some(id) = answer.member_id.filter(|id| !id.is_empty()) {
                membership.member_id = id;
            }
        });
        if let Ok(interval @ 1..) = u64::try_from(answer.heartbeat_interval_ms) {
            self.interval = Duration::from_millis(interval);
        }
        match answer.assignment {
            Some(assignment) => {
                self.target = Some(flat(assignment));
                // The coordinator waits to hear what there is, also where nothing of it could be taken.
                self.answers = true;
            }
            // Who joins has nothing before he is told of something.
            None => drop(self.target.get_or_insert_default()),
        }
    }

    /// The group went on without us: what we had is void. The member's id stays.
    fn lose(&mut self) {
        self.epoch = JOINING;
        self.shared.change(|membership| membership.generation = -1);
        self.shared.set_round(-1);
        (self.told, self.target, self.settled, self.doubts) = (None, None, false, 0);
        let owned = std::mem::take(&mut self.owned);
        let partitions = self.named(&owned);
        if !partitions.is_empty() {
            let _ = self.say(GroupEvent::Lost { partitions });
        }
    }

    /// Gives up what goes and takes what comes; whether the coordinator has something to hear of it.
    async fn reconcile(&mut self, begun: Instant) -> Result<bool, ClientError> {
        let mut changed = false;
        // While something is given up the target may move.
        while let Some(target) = self.target.clone() {
            let gone: Partitions = self.owned.difference(&target).copied().collect();
            if gone.is_empty() {
                break;
            }
            if let Beat::Lost = self.give_up(&gone, begun).await? {
                self.lose();
                return Ok(true);
            }
            self.owned.retain(|one| !gone.contains(one));
            self.settled = false;
            changed = true;
        }
        let Some(target) = self.target.clone() else { return Ok(changed) };
        self.learn_names(&target).await;
        // A topic that nobody here has heard of yet is taken with a later heartbeat.
        let known = |one: &&(TopicId, i32)| self.names.contains_key(&one.0);
        let added: Partitions = target.difference(&self.owned).filter(known).copied().collect();
        let grown = !added.is_empty();
        self.owned.extend(&added);
        if grown || (!self.settled && (!self.owned.is_empty() || self.is_nothing_for_us().await)) {
            self.settled = true;
            self.doubts = 0;
            self.round += 1;
            self.shared.set_round(self.round);
            let (all, added) = (self.named(&self.owned), self.named(&added));
            self.say(GroupEvent::Assigned { all, added, generation: self.round })?;
        }
        Ok(changed || grown)
    }

    /// Asks the caller to deliver and commit, and keeps the session until it has.
    async fn give_up(&mut self, gone: &Partitions, begun: Instant) -> Result<Beat, ClientError> {
        let within = self.client.options().rebalance_timeout;
        let question = self.shared.ask();
        self.say(GroupEvent::Prepare { revoked: self.named(gone), within })?;
        let shared = self.shared.clone();
        let mut beat = Instant::now() + self.interval;
        loop {
            tokio::select! {
                () = shared.answered(question) => return Ok(Beat::Fine),
                () = sleep_until(beat) => {
                    if let Beat::Lost = self.heartbeat(begun).await? {
                        return Ok(Beat::Lost);
                    }
                    beat = Instant::now() + self.interval;
                }
            }
        }
    }

    /// Whether the group has come to rest without a partition for this member. An empty assignment alone may only mean
    /// that the division is still to come, or that others have not given up theirs yet.
    async fn is_nothing_for_us(&mut self) -> bool {
        let asked = timeout(SOON, self.client.describe_group(&self.group)).await;
        let Ok(Ok(group)) = asked else {
            self.doubts += 1;
            return self.doubts > DOUBTS;
        };
        let id = self.shared.membership().member_id;
        let rests = group.state == "Stable" && group.epoch == Some(self.epoch);
        let me = group.members.iter().find(|member| member.member_id == id);
        rests && me.and_then(|me| me.target.as_ref()).is_some_and(Vec::is_empty)
    }

    async fn learn_names(&mut self, wanted: &Partitions) {
        for attempt in 0..2 {
            let mut unknown = false;
            for (id, _) in wanted {
                if !self.names.contains_key(id) {
                    match self.client.name_of(*id) {
                        Some(name) => drop(self.names.insert(*id, name)),
                        None => unknown = true,
                    }
                }
            }
            if !unknown || attempt > 0 {
                return;
            }
            let topics: Vec<&str> = self.topics.iter().map(String::as_str).collect();
            // What can not be asked now is asked with a later heartbeat.
            let _ = self.client.refresh(Some(&topics), false).await;
        }
    }

    fn named(&self, partitions: &Partitions) -> Vec<TopicPartition> {
        let name =
            |(id, index): &(TopicId, i32)| Some(TopicPartition::new(self.names.get(id)?.clone(), *index));
        let mut named: Vec<_> = partitions.iter().filter_map(name).collect();
        named.sort();
        named
    }
}

/// Says good-bye: for good, or for a while as a static member, whose partitions wait for it until its session ends.
///
/// # Errors
/// What the coordinator says; failures of the connection.
pub(super) async fn leave(client: &Client, group: &str, shared: &Shared) -> Result<(), ClientError> {
    let membership = shared.membership();
    let (_, connection) = client.coordinator(group, Lane::Main).await?;
    let request = ConsumerGroupHeartbeatRequest {
        group_id: group.to_owned(),
        member_id: membership.member_id,
        member_epoch: if membership.instance_id.is_some() { LEAVING_FOR_A_WHILE } else { LEAVING },
        instance_id: membership.instance_id,
        ..ConsumerGroupHeartbeatRequest::default()
    };
    let answer = connection.call(&request, client.options().request_timeout).await?;
    match answer.error_code {
        // It had been taken out before.
        ErrorCode::NONE | ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::GROUP_ID_NOT_FOUND => Ok(()),
        code => Err(client.coordinator_error(group, code, answer.error_message)),
    }
}

fn unsupported(group: &str, connection: &Connection) -> ClientError {
    let message = format!(
        "the broker at {} does not speak the consumer group protocol (group.protocol=consumer)",
        connection.address()
    );
    ClientError::broker(ErrorCode::UNSUPPORTED_VERSION, format!("group {group}"), Some(message))
}

fn by_topic(partitions: &Partitions) -> Vec<TopicPartitions> {
    let mut topics: BTreeMap<TopicId, Vec<i32>> = BTreeMap::new();
    for (id, index) in partitions {
        topics.entry(*id).or_default().push(*index);
    }
    topics.into_iter().map(|(topic_id, partitions)| TopicPartitions { topic_id, partitions }).collect()
}

fn flat(assignment: Assignment) -> Partitions {
    let topics = assignment.topic_partitions.into_iter();
    topics.flat_map(|topic| topic.partitions.into_iter().map(move |index| (topic.topic_id, index))).collect()
}

fn millis(time: Duration) -> i32 {
    i32::try_from(time.as_millis()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_both_ways() {
        let (a, b) = (TopicId([1; 16]), TopicId([2; 16]));
        let partitions = Partitions::from([(a, 3), (b, 0), (a, 1)]);
        let topics = by_topic(&partitions);
        assert_eq!(topics.len(), 2);
        assert_eq!(topics[0], TopicPartitions { topic_id: a, partitions: vec![1, 3] });
        assert_eq!(flat(Assignment { topic_partitions: topics }), partitions);
    }
}
