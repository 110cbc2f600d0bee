//! ConsumerGroupHeartbeat, versions 0 and 1: a member of a consumer group joins, stays or leaves (KIP-848); from 1 on
//! it makes its own id and may subscribe by pattern. Refused with INVALID_REQUEST: a heartbeat that lacks what its
//! epoch asks for. Topics that the client may not know of: TOPIC_AUTHORIZATION_FAILED.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::group_code::code;
use crate::auth::acl::{Operation, ResourceType};
use crate::broker::groups::request::{Beat, ConsumerHeartbeat};
use crate::broker::{Broker, Peer};
use crate::model::id::TopicId;
use crate::wire::error::ErrorCode;
use crate::wire::frame::RequestHeader;
use crate::wire::messages::consumer_group_heartbeat::{
    Assignment, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, TopicPartitions,
};

/// The lowest epoch: a static member that leaves for a while.
const AWAY: i32 = -2;

/// Answers a ConsumerGroupHeartbeat.
pub async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    header: &RequestHeader,
    request: ConsumerGroupHeartbeatRequest,
) -> ConsumerGroupHeartbeatResponse {
    if let Err(denied) = broker.may(peer, Operation::Read, ResourceType::Group, &request.group_id) {
        return refused(ErrorCode::GROUP_AUTHORIZATION_FAILED, denied.to_string());
    }
    for topic in request.subscribed_topic_names.iter().flatten() {
        if let Err(denied) = broker.may(peer, Operation::Describe, ResourceType::Topic, topic) {
            return refused(ErrorCode::TOPIC_AUTHORIZATION_FAILED, denied.to_string());
        }
    }
    if let Err(why) = check(&request, header.api_version) {
        return refused(ErrorCode::INVALID_REQUEST, why.to_owned());
    }
    let beat = heartbeat(broker, peer, header, request);
    let may_see = |topic: &str| broker.would_let(peer, Operation::Describe, ResourceType::Topic, topic);
    match broker.groups().consumer_heartbeat(broker, beat, &may_see).await {
        Ok(beat) => accepted(beat),
        Err(error) => refused(code(error), error.to_string()),
    }
}

fn refused(error_code: ErrorCode, why: String) -> ConsumerGroupHeartbeatResponse {
    ConsumerGroupHeartbeatResponse {
        error_code,
        error_message: Some(why),
        ..ConsumerGroupHeartbeatResponse::default()
    }
}

/// What must be there, by Kafka's rules.
fn check(request: &ConsumerGroupHeartbeatRequest, version: i16) -> Result<(), &'static str> {
    let empty = |text: &Option<String>| text.as_deref() == Some("");
    let epoch = request.member_epoch;
    if request.member_id.is_empty() && (version >= 1 || epoch > 0 || epoch == -1) {
        return Err("the member id is empty");
    }
    if request.group_id.is_empty() {
        return Err("the group id is empty");
    }
    if empty(&request.instance_id) {
        return Err("the instance id is empty; null says that there is none");
    }
    if empty(&request.rack_id) {
        return Err("the rack id is empty; null says that there is none");
    }
    if epoch < AWAY {
        return Err("the member epoch is below -2");
    }
    if epoch == AWAY && request.member_id.is_empty() {
        return Err("the member id is empty");
    }
    if epoch == AWAY && request.instance_id.is_none() {
        return Err("only a static member leaves for a while: it needs an instance id");
    }
    if epoch == 0 && request.rebalance_timeout_ms == -1 {
        return Err("a member that joins gives its rebalance time-out");
    }
    if epoch == 0 && request.topic_partitions.as_ref().is_none_or(|has| !has.is_empty()) {
        return Err("a member that joins says that it has no partitions");
    }
    if epoch == 0 && request.subscribed_topic_names.is_none() && request.subscribed_topic_regex.is_none() {
        return Err("a member that joins subscribes, by names or by a pattern");
    }
    Ok(())
}

fn heartbeat(
    broker: &Broker,
    peer: &Peer,
    header: &RequestHeader,
    request: ConsumerGroupHeartbeatRequest,
) -> ConsumerHeartbeat {
    let timing = broker.groups().timing(broker, &request.group_id);
    let owned = request.topic_partitions.map(|topics| {
        let mut owned: BTreeMap<TopicId, BTreeSet<i32>> = BTreeMap::new();
        for topic in topics {
            owned.entry(topic.topic_id).or_default().extend(topic.partitions);
        }
        owned
    });
    ConsumerHeartbeat {
        group: request.group_id.into(),
        member_id: request.member_id,
        epoch: request.member_epoch,
        instance_id: request.instance_id,
        rack_id: request.rack_id,
        rebalance_timeout_ms: request.rebalance_timeout_ms,
        topics: request.subscribed_topic_names,
        regex: request.subscribed_topic_regex,
        assignor: request.server_assignor,
        owned,
        client_id: header.client_id.clone().unwrap_or_default(),
        client_host: peer.client_host.clone(),
        draw: broker.groups().draw(),
        timing,
    }
}

fn accepted(beat: Beat) -> ConsumerGroupHeartbeatResponse {
    let assignment = beat.assignment.map(|parts| {
        let topics = parts.into_iter().map(|(topic_id, partitions)| TopicPartitions {
            topic_id,
            partitions: partitions.into_iter().collect(),
        });
        Assignment { topic_partitions: topics.collect() }
    });
    ConsumerGroupHeartbeatResponse {
        member_id: Some(beat.member_id),
        member_epoch: beat.epoch,
        heartbeat_interval_ms: beat.interval_ms,
        assignment,
        ..ConsumerGroupHeartbeatResponse::default()
    }
}
