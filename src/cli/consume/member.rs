//! The group's side of reading: commits over what was delivered, and partitions that come and go.

use std::time::Duration;

use tokio::time::Instant;

use super::reader::Reader;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output;
use crate::client::consumer::Position;
use crate::client::group::{Committed, GroupEvent};
use crate::client::options::{GroupProtocol, Reset};
use crate::client::{ClientError, ErrorKind};
use crate::model::id::{TopicId, TopicPartition};

/// How long leaving the group may take; the session's time-out ends it otherwise.
const LEAVING: Duration = Duration::from_secs(2);

/// Kafka's codes for a protocol or an assignor that the broker has not, and for a static member's name that another has.
const UNSUPPORTED_VERSION: i16 = 35;
const FENCED_INSTANCE_ID: i16 = 82;
const UNRELEASED_INSTANCE_ID: i16 = 111;
const UNSUPPORTED_ASSIGNOR: i16 = 112;

impl Reader<'_> {
    /// What the group said.
    pub(super) async fn group_event(&mut self, event: GroupEvent) -> Result<(), Failure> {
        match event {
            GroupEvent::Prepare { revoked, within } => {
                // The reader may take its time, but not the group's.
                self.deliver(Some(within / 2)).await?;
                self.commit_delivered().await?;
                for partition in &revoked {
                    self.give_up(partition, true);
                }
                // Until the next assignment nothing is known of what there is to read.
                self.assigned = false;
                if let Some(member) = &self.member {
                    member.proceed();
                }
            }
            GroupEvent::Assigned { all, added, generation } => {
                self.generation = generation;
                self.open.retain(|partition| all.contains(partition));
                self.take_over(&added).await?;
                self.last.clear();
                self.assigned = true;
                output::detail(self.context, &assignment(&all));
            }
            GroupEvent::Lost { partitions } => {
                for partition in &partitions {
                    self.give_up(partition, false);
                }
                self.last.clear();
                self.assigned = false;
                output::detail(self.context, "the group went on without this member; it joins again");
            }
        }
        Ok(())
    }

    /// Why the membership ended.
    pub(super) fn group_failed(&self, error: &ClientError) -> Failure {
        let failure = self.plan.explain(self.context, error);
        let newer = self.plan.options.group_protocol == GroupProtocol::Consumer;
        match error.code().map(|code| code.code()) {
            Some(UNSUPPORTED_VERSION) if newer => {
                let next = "leave --group-protocol consumer out (and -X group.protocol=consumer): classic is \
                            spoken everywhere";
                Failure { next: next.to_owned(), ..failure }
            }
            Some(UNSUPPORTED_ASSIGNOR) => Failure {
                next: "give another with -X group.remote.assignor, or leave it out".to_owned(),
                ..failure
            },
            Some(UNRELEASED_INSTANCE_ID) => Failure {
                next: "a static member of that name is in the group; stop it, or give another --instance-id"
                    .to_owned(),
                ..failure
            },
            Some(FENCED_INSTANCE_ID) => Failure {
                next: "another process joined with the same --instance-id; give each a name of its own"
                    .to_owned(),
                ..failure
            },
            _ => failure,
        }
    }

    /// Stops reading a partition; `remember` where it stood, for it may come straight back.
    fn give_up(&mut self, partition: &TopicPartition, remember: bool) {
        let topic = self.consumer.topic_of(partition);
        self.consumer.unassign(partition);
        self.open.remove(partition);
        if self.chunk.as_ref().is_some_and(|(chunk, _)| chunk.partition == *partition) {
            self.chunk = None;
        }
        if let Some(written) = self.ledger.release(partition)
            && remember
        {
            self.last.insert(partition.clone(), (topic, written));
        }
    }

    /// Begins to read new partitions at the group's offsets.
    async fn take_over(&mut self, added: &[TopicPartition]) -> Result<(), Failure> {
        let explain = |error: ClientError| self.plan.explain(self.context, &error);
        let Some(member) = self.member.as_ref().filter(|_| !added.is_empty()) else { return Ok(()) };
        let committed = member.committed(added).await.map_err(explain)?;
        let mut starts = Vec::with_capacity(added.len());
        for (partition, committed) in added.iter().zip(committed) {
            let stored = committed.map(|committed| committed.offset);
            // What came straight back goes on after the last record written.
            let (topic, last) =
                self.last.get(partition).map_or((TopicId::ZERO, None), |&(topic, last)| (topic, Some(last)));
            starts.push((topic, partition, stored.max(last)));
        }
        let unknown: Vec<_> = starts
            .iter()
            .filter(|(_, _, start)| start.is_none())
            .map(|(_, partition, _)| (*partition).clone())
            .collect();
        let position = match self.plan.options.reset {
            Reset::Start => Position::Start,
            Reset::End => Position::End,
            Reset::Fail => {
                if let Some(partition) = unknown.first() {
                    return Err(Failure::new(
                        Exit::Failed,
                        format!(
                            "the group has no offset for {partition}, and --reset fail forbids to choose one"
                        ),
                        "choose one with --reset start or --reset end",
                    ));
                }
                Position::Start
            }
        };
        let wanted: Vec<_> = unknown.iter().map(|partition| (partition.clone(), position)).collect();
        let mut found = self.consumer.resolve(&wanted).await.map_err(explain)?.into_iter();
        let mut decided = false;
        for (topic, partition, start) in starts {
            let Some(offset) = start.or_else(|| found.next()) else { continue };
            self.read_from(topic, partition, offset);
            if start.is_none() && position == Position::End {
                // Where a group begins at the end is kept at once: the next run must not begin at a later end.
                self.ledger.begin_at(partition, offset);
                decided = true;
            }
        }
        if decided { self.commit_delivered().await } else { Ok(()) }
    }

    /// The commit that comes round while reading.
    pub(super) async fn commit_running(&mut self) -> Result<(), Failure> {
        self.commit_at = Some(Instant::now() + self.plan.options.commit_interval);
        self.commit_delivered().await
    }

    /// Commits every position that was delivered. A commit that a rebalance forbids is no failure: whoever takes the
    /// partition over reads from the offset before.
    pub(super) async fn commit_delivered(&mut self) -> Result<(), Failure> {
        if !self.plan.commit {
            return Ok(());
        }
        if !self.sink.is_watched() {
            self.sink.push().map_err(|error| {
                Failure::failed(format!("can't write to stdout: {error}"), "make room, then run it again")
            })?;
        }
        self.ledger.settle(self.sink.delivered());
        let positions = self.ledger.uncommitted();
        let Some(member) = self.member.as_ref().filter(|_| !positions.is_empty()) else { return Ok(()) };
        if member.generation() != self.generation {
            // The group went on without us; what was said of these partitions is void.
            return Ok(());
        }
        let offsets: Vec<_> = positions
            .iter()
            .map(|(partition, offset)| {
                let metadata = String::new();
                (partition.clone(), Committed { offset: *offset, leader_epoch: -1, metadata })
            })
            .collect();
        match member.commit(&offsets).await {
            Ok(()) => {
                self.ledger.committed(&positions);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::NotAllowed => {
                Err(self.plan.explain(self.context, &error))
            }
            Err(error) => {
                output::detail(self.context, &format!("offsets were not committed: {error}"));
                Ok(())
            }
        }
    }

    /// Leaves the group, if there is one.
    pub(super) async fn leave(&mut self) {
        if let Some(member) = self.member.take() {
            // Whether or not the broker hears it, this process ends.
            let _ = tokio::time::timeout(LEAVING, member.leave()).await;
        }
    }
}

fn assignment(all: &[TopicPartition]) -> String {
    let names: Vec<_> = all.iter().map(ToString::to_string).collect();
    match names.is_empty() {
        true => "assigned: no partition".to_owned(),
        false => format!("assigned: {}", names.join(", ")),
    }
}
