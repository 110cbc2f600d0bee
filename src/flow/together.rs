//! A run that carries each record exactly once: what came of records and the position behind them are one transaction;
//! must never commit the one without the other.
//!
//! Whatever goes wrong in a transaction, it is aborted, and the group is joined anew: reading begins again at the
//! positions that were committed last, so nothing of what was carried is missing or there twice.

use super::group::LATE;
use super::runner::Runner;
use super::{FlowError, Host, Lines};
use crate::client::group::{Committed, Member};
use crate::client::producer::Producer;
use crate::client::{Client, ClientError};
use crate::model::id::TopicPartition;

/// The producer of a run. Every run has an id of its own: members of one group must not fence each other, and what the
/// group went on without is refused by its positions (KIP-447).
pub(super) async fn producer(client: &Client, group: &str, once: bool) -> Result<Producer, FlowError> {
    if !once {
        return Ok(Producer::new(client).await?);
    }
    let id = format!("klog-pipeline-{group}-{:016x}", fastrand::u64(..));
    let mut producer = Producer::transactional(client, &id).await?;
    producer.begin()?;
    Ok(producer)
}

impl<L: Lines, H: Host> Runner<'_, L, H> {
    /// Commits what was carried and the positions behind it as one, and begins the next transaction.
    pub(super) async fn commit_together(&mut self) -> Result<(), FlowError> {
        self.ledger.settle(0);
        let positions = self.ledger.uncommitted();
        self.uncommitted = None;
        let Some(member) = self.member.as_ref().filter(|_| !positions.is_empty()) else { return Ok(()) };
        if member.generation() != self.generation {
            return self.start_over(LATE).await;
        }
        let offsets: Vec<_> =
            positions.iter().map(|(partition, offset)| (partition.clone(), Committed::at(*offset))).collect();
        let whom = member.metadata();
        let mut done = self.producer.send_offsets(&whom, &offsets).await;
        if done.is_ok() {
            done = self.producer.commit().await;
        }
        match done {
            Ok(()) => {
                self.ledger.committed(&positions);
                Ok(self.producer.begin()?)
            }
            Err(error) => self.start_over(error).await,
        }
    }

    /// Aborts what is open and goes on from what was committed last. Ends the run where the transaction's fate is not
    /// known, or another has its id: the next run goes on from what was committed, whatever that is.
    pub(super) async fn start_over(&mut self, why: ClientError) -> Result<(), FlowError> {
        self.host.notice(&format!("a transaction is aborted, what was in it is carried again: {why}"));
        self.producer.abort().await?;
        for partition in self.seats.keys().cloned().collect::<Vec<_>>() {
            self.give_up(&partition);
        }
        self.last.clear();
        self.assigned = false;
        self.commit_at = None;
        self.uncommitted = Some(why);
        self.starts += 1;
        self.leave().await;
        self.member = Some(Member::join(&self.client, &self.job.group, &self.topics).await?);
        Ok(self.producer.begin()?)
    }

    /// Whether partitions that are not committed have gone to others: then what came of them must go too.
    pub(super) fn must_start_over(&mut self, partitions: &[TopicPartition]) -> bool {
        self.ledger.settle(0);
        let open = self.ledger.uncommitted();
        self.job.exactly_once && open.iter().any(|(partition, _)| partitions.contains(partition))
    }
}
