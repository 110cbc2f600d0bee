//! A member of a classic consumer group: joins, keeps its session alive in a task of its own, and never gives a
//! partition away before the caller said that its records were delivered.

pub mod assignor;
mod coordinator;
pub(super) mod offsets;

use super::{Client, ClientError};
use crate::model::id::TopicPartition;
use std::time::Duration;

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

/// What happens in the group, in this order for each rebalance: `Prepare`, then `Assigned`; or `Lost` at any time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupEvent {
    /// A rebalance begins. Deliver what was handed out, commit, stop reading `revoked`, then call
    /// [`Member::proceed`]. The session is kept meanwhile.
    Prepare {
        /// Partitions given up now: all under an eager assignor; under cooperative-sticky those that move away.
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
        /// The group's generation.
        generation: i32,
    },
    /// The group went on without this member: its partitions belong to others already, commits for them fail.
    /// The member joins again by itself.
    Lost {
        /// What was lost.
        partitions: Vec<TopicPartition>,
    },
}

/// A member of a group.
#[derive(Debug)]
pub struct Member {
    _client: Client,
}

impl Member {
    /// Begins to join `group` for `topics` with the client's options (session, assignors, instance id); the first
    /// [`GroupEvent::Assigned`] tells the partitions. Topics that do not exist yet are watched for.
    pub async fn join(_client: &Client, _group: &str, _topics: &[String]) -> Result<Self, ClientError> {
        unimplemented!()
    }

    /// The next event. Retries what can be retried; an error is final. Cancel-safe.
    pub async fn next(&mut self) -> Result<GroupEvent, ClientError> {
        unimplemented!()
    }

    /// Answers [`GroupEvent::Prepare`]: goes on with the rebalance.
    pub fn proceed(&self) {
        unimplemented!()
    }

    /// The group's offsets of these partitions, in the order asked; `None` where there is none.
    pub async fn committed(
        &self,
        _partitions: &[TopicPartition],
    ) -> Result<Vec<Option<Committed>>, ClientError> {
        unimplemented!()
    }

    /// Commits the next offsets to read, with this member's generation.
    pub async fn commit(&self, _offsets: &[(TopicPartition, Committed)]) -> Result<(), ClientError> {
        unimplemented!()
    }

    /// This member's id, empty before the first join.
    pub fn member_id(&self) -> String {
        unimplemented!()
    }

    /// Leaves the group (a static member stays until its session ends, as in Kafka).
    pub async fn leave(self) -> Result<(), ClientError> {
        unimplemented!()
    }
}
