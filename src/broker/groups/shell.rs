//! The shell's part for consumer groups and for what admins take away: finds the shard, shows it the topics, waits for
//! the disk; it decides nothing.

use std::sync::Arc;

use super::request::{
    Assignors, Beat, ConsumerDescription, ConsumerHeartbeat, ConsumerRules, GroupError, Timing,
};
use super::topics::{SeenTopic, Topics};
use super::{Groups, locked, now};
use crate::broker::Broker;
use crate::broker::settings::Settings;
use crate::model::id::TopicPartition;

/// The rules of consumer groups under `settings`.
pub(super) fn consumer_rules(settings: &Settings) -> ConsumerRules {
    let int = |name| i32::try_from(settings.int(name)).unwrap_or(i32::MAX);
    let names = settings.text("group.consumer.assignors").unwrap_or_default();
    let policy = settings.text("group.consumer.migration.policy").unwrap_or_default();
    let is =
        |wanted: &str| policy.eq_ignore_ascii_case(wanted) || policy.eq_ignore_ascii_case("bidirectional");
    ConsumerRules {
        timing: Timing {
            session_ms: int("group.consumer.session.timeout.ms"),
            interval_ms: int("group.consumer.heartbeat.interval.ms"),
            assignment_interval_ms: int("group.consumer.assignment.interval.ms"),
        },
        max_size: settings.size("group.consumer.max.size"),
        assignors: Assignors::of(names.split(',')),
        upgrade: is("upgrade"),
        downgrade: is("downgrade"),
    }
}

impl Groups {
    /// The topics as they are now; made anew only when they have changed.
    pub(super) fn topics(&self, broker: &Broker) -> Arc<Topics> {
        let mut seen = locked(&self.topics);
        if seen.version() != broker.topics_version() {
            *seen = Arc::new(broker.with_catalog(|catalog| {
                let topics = catalog.topics().map(|entry| {
                    let partitions = i32::try_from(entry.partitions.len()).unwrap_or(i32::MAX);
                    (Arc::clone(&entry.name), SeenTopic { id: entry.id, partitions })
                });
                Topics::new(catalog.topic_changes(), topics)
            }));
        }
        Arc::clone(&seen)
    }

    /// What members of a consumer group are timed by: its own settings, else the broker's.
    pub fn timing(&self, broker: &Broker, group: &str) -> Timing {
        let settings = broker.group_settings(group);
        Timing {
            session_ms: settings.consumer_session_timeout_ms,
            interval_ms: settings.consumer_heartbeat_interval_ms,
            assignment_interval_ms: settings.consumer_assignment_interval_ms,
        }
    }

    /// A member of a consumer group says it is there, joins or leaves. `may_see` tells which topics a pattern may come
    /// to.
    pub async fn consumer_heartbeat(
        &self,
        broker: &Arc<Broker>,
        beat: ConsumerHeartbeat,
        may_see: &(dyn Fn(&str) -> bool + Sync),
    ) -> Result<Beat, GroupError> {
        let shard = self.shard(broker, &beat.group).await?;
        let time = now(&**broker.clock());
        let topics = self.topics(broker);
        let (beaten, offset) = shard.act(time, |core| {
            core.see(topics);
            core.consumer_heartbeat(beat, may_see, time)
        })?;
        self.look_ahead(&shard);
        shard.durable(offset).await?;
        beaten
    }

    /// A consumer group's state and members; `None` if there is no such group, or it is a classic one.
    pub async fn describe_consumer(
        &self,
        broker: &Arc<Broker>,
        group: &str,
    ) -> Result<Option<ConsumerDescription>, GroupError> {
        let Some(shard) = self.known_shard(broker, group).await? else { return Ok(None) };
        let time = now(&**broker.clock());
        let topics = self.topics(broker);
        let (described, offset) = shard.act(time, |core| {
            core.see(topics);
            (core.describe_consumer(group), Default::default())
        })?;
        shard.durable(offset).await?;
        Ok(described)
    }

    /// Takes a group away, offsets and all; nobody may be in it.
    pub async fn delete(&self, broker: &Arc<Broker>, group: &str) -> Result<(), GroupError> {
        let shard = self.known_shard(broker, group).await?.ok_or(GroupError::GroupNotFound)?;
        let time = now(&**broker.clock());
        let (deleted, offset) = shard.act(time, |core| core.delete_group(&group.into()))?;
        shard.durable(offset).await?;
        deleted
    }

    /// Takes offsets away: one result each, in their order. Those of topics that the group reads stay.
    pub async fn delete_offsets(
        &self,
        broker: &Arc<Broker>,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Result<(), GroupError>>, GroupError> {
        let shard = self.known_shard(broker, group).await?.ok_or(GroupError::GroupNotFound)?;
        let time = now(&**broker.clock());
        let (deleted, offset) = shard.act(time, |core| core.delete_offsets(&group.into(), partitions))?;
        shard.durable(offset).await?;
        deleted
    }

    /// Whether someone that says it is this member may ask for offsets. Members of classic groups always may.
    pub async fn may_ask(
        &self,
        broker: &Arc<Broker>,
        group: &str,
        member_id: Option<&str>,
        epoch: i32,
    ) -> Result<(), GroupError> {
        let Some(shard) = self.known_shard(broker, group).await? else { return Ok(()) };
        shard
            .read(|core| match core.durable.consumers.get(group) {
                Some(group) => group.may_ask(member_id, epoch),
                None => Ok(()),
            })?
            .0
    }
}
