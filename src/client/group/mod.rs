//! A member of a consumer group, by the classic protocol or the newer one (KIP-848): joins, keeps its session alive in
//! a task of its own, and never gives a partition away before the caller said that its records were delivered.

pub mod assignor;
mod consumer;
mod membership;
pub(super) mod offsets;
mod protocol;

use super::options::GroupProtocol;
use super::{Client, ClientError};
use crate::model::id::TopicPartition;
use crate::wire::error::ErrorCode;
use crate::wire::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use membership::Shared;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// An offset kept by the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The next offset to read.
    pub offset: i64,
    /// The leader epoch of the last record read, -1 when unknown.
    pub leader_epoch: i32,
    /// Free text beside it; klog writes none.
    pub metadata: String,
}

impl Committed {
    /// An offset alone.
    pub fn at(offset: i64) -> Self {
        Self { offset, leader_epoch: -1, metadata: String::new() }
    }
}

/// As whom a group's offsets are sent within a transaction (KIP-447): the coordinator refuses those of a member that the
/// group went on without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMetadata {
    /// The group's name.
    pub group: String,
    /// The member's generation or epoch, -1 for nobody's.
    pub generation: i32,
    /// The member's id, empty for nobody's.
    pub member_id: String,
    /// The static member's name.
    pub instance_id: Option<String>,
}

impl GroupMetadata {
    /// The group without a member of it, for positions that no group protocol guards.
    pub fn of(group: &str) -> Self {
        Self { group: group.to_owned(), generation: -1, member_id: String::new(), instance_id: None }
    }
}

/// Pause before a commit is tried with the epoch that the member has by then.
const EPOCH_PAUSE: Duration = Duration::from_millis(50);
/// How often that is tried.
const EPOCH_ATTEMPTS: u32 = 40;

/// What happens in the group, in this order for each rebalance: `Prepare`, then `Assigned`; or `Lost` at any time. By
/// the newer protocol there is no `Prepare` where nothing is given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupEvent {
    /// A rebalance begins. Deliver what was handed out, commit, stop reading `revoked`, then call
    /// [`Member::proceed`]. The session is kept meanwhile. The first join has none.
    Prepare {
        /// Partitions given up now: all under an eager assignor; under cooperative-sticky, and by the newer protocol,
        /// those that move away.
        revoked: Vec<TopicPartition>,
        /// After this the group goes on without this member.
        within: Duration,
    },
    /// The partitions from now on.
    Assigned {
        /// All of them.
        all: Vec<TopicPartition>,
        /// Those that this member did not own when the event was sent; begin at their committed offsets.
        added: Vec<TopicPartition>,
        /// The group's generation; by the newer protocol a count of this member's assignments.
        generation: i32,
    },
    /// The group went on without this member: its partitions belong to others already, commits for them fail.
    /// The member joins again by itself.
    Lost {
        /// What was lost.
        partitions: Vec<TopicPartition>,
    },
}

/// A member of a group. Dropping it ends the heartbeats without a word; [`Member::leave`] says good-bye.
#[derive(Debug)]
pub struct Member {
    client: Client,
    group: String,
    shared: Arc<Shared>,
    events: mpsc::UnboundedReceiver<Result<GroupEvent, ClientError>>,
    task: JoinHandle<()>,
    failure: Option<ClientError>,
}

impl Member {
    /// Begins to join `group` for `topics` with the client's options (protocol, session, assignors, instance id); the
    /// first [`GroupEvent::Assigned`] tells the partitions. Topics that do not exist yet are watched for.
    ///
    /// # Errors
    /// [`ClientError::Option`] for assignors that do not exist; everything else comes as an event.
    pub async fn join(client: &Client, group: &str, topics: &[String]) -> Result<Self, ClientError> {
        let (sender, events) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::new(client.options().instance_id.clone()));
        let task = match client.options().group_protocol {
            GroupProtocol::Classic => {
                tokio::spawn(membership::run(client.clone(), group, topics, shared.clone(), sender)?)
            }
            GroupProtocol::Consumer => {
                tokio::spawn(consumer::run(client.clone(), group, topics, shared.clone(), sender))
            }
        };
        Ok(Self { client: client.clone(), group: group.to_owned(), shared, events, task, failure: None })
    }

    /// The next event. Retries what can be retried. Cancel-safe.
    ///
    /// # Errors
    /// What no retry mends (fenced, not allowed, settings the group refuses); it is final.
    pub async fn next(&mut self) -> Result<GroupEvent, ClientError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let event = self.events.recv().await.unwrap_or(Err(ClientError::Closed));
        event.inspect_err(|error| self.failure = Some(error.clone()))
    }

    /// Answers [`GroupEvent::Prepare`]: goes on with the rebalance.
    pub fn proceed(&self) {
        self.shared.proceed();
    }

    /// The group's offsets of these partitions, in the order asked; `None` where there is none.
    ///
    /// # Errors
    /// What the coordinator says; failures of the connection, after `api_timeout`.
    pub async fn committed(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Option<Committed>>, ClientError> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let found = offsets::fetch(&self.client, &self.group, Some(partitions)).await?;
        let one = |partition| found.iter().find(|(of, _)| of == partition).and_then(|(_, kept)| kept.clone());
        Ok(partitions.iter().map(one).collect())
    }

    /// Commits the next offsets to read, with this member's generation.
    ///
    /// # Errors
    /// ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID and REBALANCE_IN_PROGRESS where the group went on without this member
    /// (nothing is kept then); failures of the connection, after `api_timeout`.
    pub async fn commit(&self, offsets: &[(TopicPartition, Committed)]) -> Result<(), ClientError> {
        let mut attempts = 0;
        loop {
            let membership = self.shared.membership();
            if membership.generation < 0 {
                // Without a generation the coordinator would take it for a commit from outside.
                return Err(self.client.coordinator_error(&self.group, ErrorCode::UNKNOWN_MEMBER_ID, None));
            }
            let outcome = offsets::commit(&self.client, &self.group, &membership, offsets).await;
            let stale =
                outcome.as_ref().err().and_then(ClientError::code) == Some(ErrorCode::STALE_MEMBER_EPOCH);
            if !stale || attempts == EPOCH_ATTEMPTS {
                return outcome;
            }
            // The epoch rose under way; the member hears of it with a heartbeat's answer.
            attempts += 1;
            tokio::time::sleep(EPOCH_PAUSE).await;
        }
    }

    fn is_classic(&self) -> bool {
        self.client.options().group_protocol == GroupProtocol::Classic
    }

    /// The generation of its last assignment, -1 while it has none.
    pub fn generation(&self) -> i32 {
        if self.is_classic() { self.shared.membership().generation } else { self.shared.round() }
    }

    /// As whom this member's offsets go into a transaction now; a generation of -1 while it is in no group.
    pub fn metadata(&self) -> GroupMetadata {
        let membership = self.shared.membership();
        GroupMetadata {
            group: self.group.clone(),
            generation: membership.generation,
            member_id: membership.member_id,
            instance_id: membership.instance_id,
        }
    }

    /// This member's id, empty before the first join of a classic group.
    pub fn member_id(&self) -> String {
        self.shared.membership().member_id
    }

    /// Leaves the group, so that the others take over at once. A static member's partitions wait for it until its
    /// session ends, as in Kafka.
    ///
    /// # Errors
    /// What the coordinator says; failures of the connection. The membership ends in any case.
    pub async fn leave(self) -> Result<(), ClientError> {
        self.task.abort();
        if !self.is_classic() {
            return consumer::leave(&self.client, &self.group, &self.shared).await;
        }
        let membership = self.shared.membership();
        if membership.member_id.is_empty() || membership.instance_id.is_some() {
            return Ok(());
        }
        let (_, connection) = self.client.coordinator(&self.group, super::cluster::Lane::Main).await?;
        let version = connection.version(crate::wire::api::ApiKey::LeaveGroup)?;
        let identity = MemberIdentity {
            member_id: membership.member_id.clone(),
            group_instance_id: None,
            reason: Some("the consumer is done".to_owned()),
        };
        let request = LeaveGroupRequest {
            group_id: self.group.clone(),
            member_id: if version < 3 { membership.member_id } else { String::new() },
            members: if version < 3 { Vec::new() } else { vec![identity] },
        };
        let answer = connection.call_in(&request, version, self.client.options().request_timeout).await?;
        let code = answer.members.first().map_or(answer.error_code, |member| member.error_code);
        match code {
            // It had been taken out before.
            ErrorCode::NONE | ErrorCode::UNKNOWN_MEMBER_ID => Ok(()),
            code => Err(self.client.coordinator_error(&self.group, code, None)),
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Commits offsets of a group without being a member; refused while it has members.
///
/// # Errors
/// What the coordinator says; failures of the connection, after `api_timeout`.
pub async fn commit_without_membership(
    client: &Client,
    group: &str,
    offsets: &[(TopicPartition, Committed)],
) -> Result<(), ClientError> {
    offsets::commit(client, group, &offsets::Membership { generation: -1, ..Default::default() }, offsets)
        .await
}
