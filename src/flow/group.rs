//! The group's side of a run: partitions that come and go, and commits over what every sink has.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::time::Instant;

use super::runner::{Runner, Seat};
use super::{FlowError, Host, Lines};
use crate::client::consumer::Position;
use crate::client::group::{Committed, GroupEvent};
use crate::client::options::Reset;
use crate::client::{ClientError, ErrorKind};
use crate::model::id::{TopicId, TopicPartition};

/// What a transaction meets that holds results of partitions which others have by now.
pub(super) const LATE: ClientError = ClientError::Transaction("the group went on without this member");

impl<L: Lines, H: Host> Runner<'_, L, H> {
    /// What the group said.
    pub(super) async fn group_event(&mut self, event: GroupEvent) -> Result<(), FlowError> {
        match event {
            GroupEvent::Prepare { revoked, within } => {
                // What the sinks do not have by then is carried again by whoever gets the partition.
                let starts = self.starts;
                let kept = async {
                    self.deliver(Some(within / 4)).await?;
                    self.commit().await
                };
                let kept = tokio::time::timeout(within / 2, kept).await;
                if self.starts != starts && kept.is_ok() {
                    return kept.unwrap_or(Ok(()));
                }
                match kept {
                    Ok(outcome) => outcome?,
                    Err(_) if self.job.exactly_once => return self.start_over(LATE).await,
                    Err(_) => {}
                }
                for partition in &revoked {
                    let topic = self.consumer.topic_of(partition);
                    if let Some(carried) = self.give_up(partition) {
                        self.last.insert(partition.clone(), (topic, carried));
                    }
                }
                // Until the next assignment nothing is known of what there is to do.
                self.assigned = false;
                if let Some(member) = &self.member {
                    member.proceed();
                }
            }
            GroupEvent::Assigned { all, added, generation } => {
                self.generation = generation;
                let lost: Vec<_> = self.seats.keys().filter(|held| !all.contains(held)).cloned().collect();
                if self.must_start_over(&lost) {
                    return self.start_over(LATE).await;
                }
                for partition in &lost {
                    self.give_up(partition);
                }
                self.take_over(&added).await?;
                self.last.clear();
                self.assigned = true;
                let names: Vec<_> = all.iter().map(ToString::to_string).collect();
                self.host.detail(&format!("assigned: {}", names.join(", ")));
            }
            GroupEvent::Lost { partitions } => {
                if self.must_start_over(&partitions) {
                    return self.start_over(LATE).await;
                }
                for partition in &partitions {
                    self.give_up(partition);
                }
                self.last.clear();
                self.assigned = false;
                self.host.detail("the group went on without this member; it joins again");
            }
        }
        Ok(())
    }

    /// Stops reading a partition; what workers still make of it is dropped. Gives the offset after the last record
    /// that was put into the sinks.
    pub(super) fn give_up(&mut self, partition: &TopicPartition) -> Option<i64> {
        self.consumer.unassign(partition);
        let carried = self.ledger.release(partition);
        if let Some(seat) = self.seats.remove(partition) {
            seat.alive.store(false, Ordering::Relaxed);
        }
        carried
    }

    /// Begins to read new partitions at the group's offsets.
    async fn take_over(&mut self, added: &[TopicPartition]) -> Result<(), FlowError> {
        let Some(member) = self.member.as_ref().filter(|_| !added.is_empty()) else { return Ok(()) };
        let stored: HashMap<&TopicPartition, i64> = added
            .iter()
            .zip(member.committed(added).await?)
            .filter_map(|(partition, kept)| Some((partition, kept?.offset)))
            .collect();
        let position = match self.client.options().reset {
            Reset::Start | Reset::Fail => Position::Start,
            Reset::End => Position::End,
        };
        if stored.is_empty() && !std::mem::replace(&mut self.told_new, true) && self.is_new().await {
            let place = if position == Position::End { "end" } else { "start" };
            let topics = self.topics.join(", ");
            let text = format!("group {} is new: it begins at the {place} of {topics}", self.job.group);
            self.host.notice(&text);
        }
        let unknown: Vec<_> =
            added.iter().filter(|one| !stored.contains_key(one)).map(|one| (one.clone(), position)).collect();
        let mut found = self.consumer.resolve(&unknown).await?.into_iter();
        let mut decided = false;
        for partition in added {
            let kept = stored.get(partition).copied();
            let Some(offset) = kept.or_else(|| found.next()) else { continue };
            // What came straight back goes on after the last record that was put into the sinks.
            let (topic, last) = self.last.get(partition).copied().unwrap_or((TopicId::ZERO, offset));
            self.read_from(topic, partition, offset.max(last));
            if kept.is_none() && position == Position::End {
                // Where a group begins at the end is kept at once: the next run must not begin at a later end.
                self.ledger.begin_at(partition, offset);
                decided = true;
            }
        }
        if decided { self.commit().await } else { Ok(()) }
    }

    /// Whether the group has no offset at all. Not knowing is no reason to fail.
    async fn is_new(&self) -> bool {
        self.client.group_offsets(&self.job.group).await.is_ok_and(|offsets| offsets.is_empty())
    }

    /// The topic was made anew: all of it is new. With `--once` the ends were the old topic's.
    pub(super) fn begin_anew(&mut self, partition: &TopicPartition) {
        self.away.remove(partition);
        self.give_up(partition);
        if self.job.once {
            let text = format!("{partition} does not exist any more: its topic was deleted and made anew");
            return self.host.notice(&text);
        }
        let text = format!("{partition}: the topic was deleted and made anew; reading goes on at its start");
        self.host.notice(&text);
        self.read_from(TopicId::ZERO, partition, 0);
        // A position of the old topic may have been committed by name.
        self.ledger.begin_at(partition, 0);
        self.commit_soon();
    }

    pub(super) fn read_from(&mut self, topic: TopicId, partition: &TopicPartition, offset: i64) {
        let stop = self.stops.get(partition).copied();
        // A partition that came after the ends were looked up belongs to a later run.
        let ended = self.job.once && stop.is_none_or(|stop| offset >= stop);
        self.seats_made += 1;
        let seat = Seat {
            number: self.seats_made,
            worker: self.least_busy(),
            alive: Arc::new(AtomicBool::new(true)),
            ended,
            seen: (offset, offset),
        };
        self.ledger.hold(partition, offset);
        self.seats.insert(partition.clone(), seat);
        if !ended {
            self.consumer.assign_of(topic, partition.clone(), offset, stop);
        }
    }

    /// Waits until every sink has all that was put into it, then commits the positions before which nothing is
    /// missing. A commit that a rebalance forbids is no failure: whoever has the partition carries it again.
    pub(super) async fn commit(&mut self) -> Result<(), FlowError> {
        if self.job.exactly_once {
            return self.commit_together().await;
        }
        self.producer.flush().await?;
        self.push_lines()?;
        self.ledger.settle(self.lines.as_ref().map_or(0, Lines::delivered));
        let positions = self.ledger.uncommitted();
        self.uncommitted = None;
        let Some(member) = self.member.as_ref().filter(|_| !positions.is_empty()) else { return Ok(()) };
        if member.generation() != self.generation {
            // The group went on without us; what was said of these partitions is void.
            return Ok(());
        }
        let offsets: Vec<_> =
            positions.iter().map(|(partition, offset)| (partition.clone(), Committed::at(*offset))).collect();
        match member.commit(&offsets).await {
            Ok(()) => self.ledger.committed(&positions),
            Err(error) if is_passing(&error) => {
                self.host.notice(&format!("offsets were not committed: {error}"));
                self.uncommitted = Some(error);
                self.commit_soon();
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// A commit is due some time after something was carried.
    pub(super) fn commit_soon(&mut self) {
        if self.commit_at.is_none() && self.member.is_some() {
            self.commit_at = Some(Instant::now() + self.client.options().commit_interval);
        }
    }
}

/// Whether a later commit may succeed, or another member's.
fn is_passing(error: &ClientError) -> bool {
    error.kind() != ErrorKind::NotAllowed
}
