//! ConsumerGroupDescribe and lists: groups as they stand; nothing is decided here.

use std::sync::Arc;

use super::super::core::Core;
use super::super::request::{ConsumerDescription, DescribedConsumer, DescribedParts};
use super::super::topics::Topics;
use super::{ConsumerGroup, Parts, without_epochs};

impl Core {
    /// Describes a consumer group; `None` if there is none of that name. `default_assignor` stands where no member
    /// wishes for another.
    pub(in super::super) fn describe_consumer(&self, id: &str) -> Option<ConsumerDescription> {
        let group = self.durable.consumers.get(id)?;
        let members = group.members.iter().map(|(id, member)| DescribedConsumer {
            member_id: id.to_string(),
            instance_id: member.profile.instance_id.clone(),
            rack_id: member.profile.rack_id.clone(),
            epoch: member.current.epoch,
            client_id: member.profile.client_id.clone(),
            client_host: member.profile.client_host.clone(),
            topics: member.profile.topics.iter().map(|name| name.to_string()).collect(),
            regex: member.profile.regex.clone(),
            assignment: named(&without_epochs(&member.current.assigned), &self.topics),
            target: named(group.target_of(id), &self.topics),
            classic: member.profile.classic.is_some(),
        });
        Some(ConsumerDescription {
            state: group.state(),
            epoch: group.epoch,
            target_epoch: group.target_epoch,
            assignor: self.preferred(group).to_owned(),
            members: members.collect(),
        })
    }

    fn preferred(&self, group: &ConsumerGroup) -> &'static str {
        let assignors = self.rules.consumer.assignors;
        super::heartbeat::preferred(group, assignors).name()
    }
}

/// Partitions with the names of their topics; topics that are gone have none and are left out.
fn named(parts: &Parts, topics: &Topics) -> Vec<DescribedParts> {
    let known = parts.iter().filter_map(|(id, partitions)| {
        Some(DescribedParts {
            topic_id: *id,
            topic: Arc::clone(topics.name(id)?),
            partitions: partitions.iter().copied().collect(),
        })
    });
    known.collect()
}
