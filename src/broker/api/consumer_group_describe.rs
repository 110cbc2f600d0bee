//! ConsumerGroupDescribe, versions 0 and 1: consumer groups and their members (KIP-848); classic groups are
//! GROUP_ID_NOT_FOUND here. Members' topics that the client may not know of hide the whole group.

use std::sync::Arc;

use super::group_access::{may, may_topic, operations};
use super::group_code::code;
use crate::auth::acl::Operation;
use crate::broker::groups::request::{ConsumerDescription, DescribedConsumer, DescribedParts};
use crate::broker::{Broker, Peer};
use crate::wire::error::ErrorCode;
use crate::wire::frame::RequestHeader;
use crate::wire::messages::consumer_group_describe::{
    Assignment, ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, DescribedGroup, Member,
    TopicPartitions,
};

/// Answers a ConsumerGroupDescribe.
pub async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    _header: &RequestHeader,
    request: ConsumerGroupDescribeRequest,
) -> ConsumerGroupDescribeResponse {
    let mut groups = Vec::with_capacity(request.group_ids.len());
    for id in request.group_ids {
        let mut group = describe(broker, peer, id).await;
        if request.include_authorized_operations && group.error_code.is_ok() {
            group.authorized_operations = operations(broker, peer, &group.group_id);
        }
        groups.push(group);
    }
    ConsumerGroupDescribeResponse { groups, ..ConsumerGroupDescribeResponse::default() }
}

async fn describe(broker: &Arc<Broker>, peer: &Peer, id: String) -> DescribedGroup {
    let refused = |id, error_code, why: Option<String>| DescribedGroup {
        group_id: id,
        error_code,
        error_message: why,
        ..DescribedGroup::default()
    };
    if let Err(error_code) = may(broker, peer, Operation::Describe, &id) {
        return refused(id, error_code, None);
    }
    if id.is_empty() {
        return refused(id, ErrorCode::INVALID_GROUP_ID, None);
    }
    let description = match broker.groups().describe_consumer(broker, &id).await {
        Ok(Some(description)) => description,
        Ok(None) => {
            let why = format!("there is no consumer group {id:?}");
            return refused(id, ErrorCode::GROUP_ID_NOT_FOUND, Some(why));
        }
        Err(error) => return refused(id, code(error), Some(error.to_string())),
    };
    let mut shown =
        description.members.iter().flat_map(|member| member.assignment.iter().chain(&member.target));
    if shown.any(|parts| !may_topic(broker, peer, Operation::Describe, &parts.topic)) {
        let why = "the group has topics that the client may not describe".to_owned();
        return refused(id, ErrorCode::TOPIC_AUTHORIZATION_FAILED, Some(why));
    }
    described(id, description)
}

fn described(id: String, description: ConsumerDescription) -> DescribedGroup {
    DescribedGroup {
        group_id: id,
        group_state: description.state.to_owned(),
        group_epoch: description.epoch,
        assignment_epoch: description.target_epoch,
        assignor_name: description.assignor,
        members: description.members.into_iter().map(member).collect(),
        ..DescribedGroup::default()
    }
}

fn member(member: DescribedConsumer) -> Member {
    Member {
        member_id: member.member_id,
        instance_id: member.instance_id,
        rack_id: member.rack_id,
        member_epoch: member.epoch,
        client_id: member.client_id,
        client_host: member.client_host,
        subscribed_topic_names: member.topics,
        // Never null, as in Kafka.
        subscribed_topic_regex: Some(member.regex.unwrap_or_default()),
        assignment: assignment(member.assignment),
        target_assignment: assignment(member.target),
        member_type: if member.classic { 0 } else { 1 },
    }
}

fn assignment(parts: Vec<DescribedParts>) -> Assignment {
    let topics = parts.into_iter().map(|parts| TopicPartitions {
        topic_id: parts.topic_id,
        topic_name: parts.topic.to_string(),
        partitions: parts.partitions,
    });
    Assignment { topic_partitions: topics.collect() }
}
