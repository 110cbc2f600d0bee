//! Every API that is served answers in every version it advertises: no field is set that the version can not say.

use std::time::Duration;

use bytes::Bytes;
use klog::broker::api::{self, Outcome, SERVED};
use klog::record::ProducerStamp;
use klog::wire::Request;
use klog::wire::api::ApiKey;
use klog::wire::error::ErrorCode;
use klog::wire::messages::api_versions::ApiVersionsRequest;
use klog::wire::messages::create_topics::CreateTopicsRequest;
use klog::wire::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use klog::wire::messages::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};
use klog::wire::messages::describe_groups::DescribeGroupsRequest;
use klog::wire::messages::fetch::FetchRequest;
use klog::wire::messages::find_coordinator::FindCoordinatorRequest;
use klog::wire::messages::heartbeat::HeartbeatRequest;
use klog::wire::messages::init_producer_id::InitProducerIdRequest;
use klog::wire::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse};
use klog::wire::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use klog::wire::messages::list_groups::ListGroupsRequest;
use klog::wire::messages::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use klog::wire::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use klog::wire::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use klog::wire::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use klog::wire::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};

use crate::rig::{Rig, fetch_request, produce_request, response, stamped, topic};

/// Calls and decodes the answer; one that can not be encoded closes the connection.
pub(crate) async fn answered<R: Request>(rig: &Rig, request: &R, version: i16) -> R::Response {
    let outcome = tokio::time::timeout(Duration::from_secs(20), rig.outcome(request, version)).await;
    let outcome = outcome.unwrap_or_else(|_| panic!("{} {version} never came back", R::KEY.name()));
    if let Outcome::Close(reason) = &outcome {
        panic!("{} {version}: {reason}", R::KEY.name());
    }
    response::<R>(outcome, version).await
}

fn versions(key: ApiKey) -> std::ops::RangeInclusive<i16> {
    key.min_version()..=key.max_version()
}

#[tokio::test]
async fn every_api_answers_in_every_version() {
    let rig = Rig::new();
    rig.create("t", 1, &[]).await;
    let mut seen = Vec::new();
    for &key in SERVED {
        for version in versions(key) {
            let name = key.name();
            assert!(one(&rig, key, version).await, "{name} is served but not tested");
            seen.push((key, version));
        }
    }
    assert!(seen.len() > 130, "only {} pairs", seen.len());
}

async fn one(rig: &Rig, key: ApiKey, version: i16) -> bool {
    match key {
        ApiKey::Produce => produce(rig, version).await,
        ApiKey::Fetch => fetch(rig, version).await,
        ApiKey::ListOffsets => list_offsets(rig, version).await,
        ApiKey::Metadata => metadata(rig, version).await,
        ApiKey::CreateTopics => {
            let topics = vec![topic(&format!("c{version}"), 1, &[]), topic("no/good", 1, &[])];
            answered(rig, &CreateTopicsRequest { topics, ..Default::default() }, version).await;
        }
        ApiKey::DeleteTopics => delete_topics(rig, version).await,
        ApiKey::DescribeConfigs => describe_configs(rig, version).await,
        ApiKey::InitProducerId => {
            answered(rig, &InitProducerIdRequest::default(), version).await;
            let refused =
                InitProducerIdRequest { transactional_id: Some("t".to_owned()), ..Default::default() };
            answered(rig, &refused, version).await;
        }
        ApiKey::ApiVersions => {
            let (name, number) = ("test".to_owned(), "1".to_owned());
            let request = ApiVersionsRequest { client_software_name: name, client_software_version: number };
            answered(rig, &request, version).await;
            answered(rig, &ApiVersionsRequest::default(), version).await;
        }
        ApiKey::FindCoordinator => {
            for key_type in (0..3).filter(|kind| *kind == 0 || version >= 1) {
                let mut request = FindCoordinatorRequest { key_type, ..Default::default() };
                match version {
                    ..=3 => request.key = "g".to_owned(),
                    _ => request.coordinator_keys = vec!["g".to_owned(), "h".to_owned()],
                }
                answered(rig, &request, version).await;
            }
        }
        ApiKey::OffsetCommit => offset_commit(rig, version).await,
        ApiKey::OffsetFetch => offset_fetch(rig, version).await,
        ApiKey::ListGroups => {
            member(rig, "listed", 9).await;
            answered(rig, &ListGroupsRequest::default(), version).await;
        }
        ApiKey::DescribeGroups => {
            member(rig, "described", 9).await;
            let groups = vec!["described".to_owned(), "none".to_owned()];
            let include_authorized_operations = version >= 3;
            answered(rig, &DescribeGroupsRequest { groups, include_authorized_operations }, version).await;
        }
        ApiKey::JoinGroup => {
            let joined = member(rig, &format!("join{version}"), version).await;
            assert_eq!(joined.error_code, ErrorCode::NONE, "JoinGroup {version}");
        }
        ApiKey::SyncGroup => sync_group(rig, version).await,
        ApiKey::Heartbeat => {
            let member_id = "nobody".to_owned();
            let request = HeartbeatRequest { group_id: "g".to_owned(), member_id, ..Default::default() };
            answered(rig, &request, version).await;
        }
        ApiKey::LeaveGroup => leave_group(rig, version).await,
        _ => {
            return crate::admin_answers::one(rig, key, version).await
                || crate::access_answers::one(rig, key, version).await
                || crate::transaction_answers::one(rig, key, version).await;
        }
    }
    true
}

async fn produce(rig: &Rig, version: i16) {
    let good = stamped(&["a"], ProducerStamp::NONE);
    let mut bad = good.clone();
    bad[40] ^= 1;
    for batch in [good, bad, Vec::new()] {
        let mut request = produce_request("t", 0, -1, batch);
        request.topic_data[0].partition_data.push(klog::wire::messages::produce::PartitionProduceData {
            index: 7,
            records: Some(Bytes::new()),
        });
        if version >= 13 {
            request.topic_data[0].topic_id = rig.broker.topic_id("t").unwrap();
        }
        answered(rig, &request, version).await;
    }
}

async fn fetch(rig: &Rig, version: i16) {
    rig.produce("t", &["a"]).await;
    for (offset, session_epoch) in [(0, -1), (1 << 40, -1), (0, 0), (0, 5)] {
        let mut request: FetchRequest = fetch_request("t", 0, offset);
        if version >= 7 {
            (request.session_id, request.session_epoch) = (0, session_epoch);
        }
        if version >= 12 {
            request.topics[0].partitions[0].last_fetched_epoch = 9;
        }
        if version >= 13 {
            request.topics[0].topic_id = rig.broker.topic_id("t").unwrap();
        }
        answered(rig, &request, version).await;
    }
}

async fn list_offsets(rig: &Rig, version: i16) {
    for timestamp in (-7..=0).chain([i64::MAX]) {
        let asked =
            |partition_index| ListOffsetsPartition { partition_index, timestamp, ..Default::default() };
        let topics = vec![ListOffsetsTopic { name: "t".to_owned(), partitions: vec![asked(0), asked(3)] }];
        answered(rig, &ListOffsetsRequest { replica_id: -1, topics, ..Default::default() }, version).await;
    }
}

async fn metadata(rig: &Rig, version: i16) {
    let named = |name: &str| MetadataRequestTopic { name: Some(name.to_owned()), ..Default::default() };
    let mut topics = vec![named("t"), named("no/good"), named("absent")];
    if version >= 10 {
        let by_id = |topic_id| MetadataRequestTopic { topic_id, name: None };
        let id = rig.broker.topic_id("t").unwrap();
        topics.extend([by_id(id), by_id(klog::model::id::TopicId([9; 16])), by_id(Default::default())]);
    }
    let request = MetadataRequest {
        topics: Some(topics),
        allow_auto_topic_creation: version < 4,
        include_cluster_authorized_operations: (8..=10).contains(&version),
        include_topic_authorized_operations: version >= 8,
    };
    answered(rig, &request, version).await;
    if version >= 1 {
        answered(rig, &MetadataRequest { topics: None, ..Default::default() }, version).await;
    }
}

async fn delete_topics(rig: &Rig, version: i16) {
    rig.create("gone", 1, &[]).await;
    let mut request = DeleteTopicsRequest::default();
    if version >= 6 {
        let topic_id = klog::model::id::TopicId([9; 16]);
        request.topics = vec![
            DeleteTopicState { name: Some("gone".to_owned()), ..Default::default() },
            DeleteTopicState { name: None, topic_id },
            DeleteTopicState::default(),
        ];
    } else {
        request.topic_names = vec!["gone".to_owned(), "none".to_owned(), "__consumer_offsets".to_owned()];
    }
    answered(rig, &request, version).await;
}

async fn describe_configs(rig: &Rig, version: i16) {
    let resource = |resource_type, name: &str| DescribeConfigsResource {
        resource_type,
        resource_name: name.to_owned(),
        configuration_keys: None,
    };
    let resources =
        vec![resource(2, "t"), resource(2, "none"), resource(4, "1"), resource(4, ""), resource(8, "x")];
    let include_documentation = version >= 3;
    let request = DescribeConfigsRequest { resources, include_synonyms: true, include_documentation };
    answered(rig, &request, version).await;
}

async fn offset_commit(rig: &Rig, version: i16) {
    let partition = OffsetCommitRequestPartition { committed_offset: 1, ..Default::default() };
    let absent = OffsetCommitRequestPartition { partition_index: 9, ..Default::default() };
    let topic_id = if version >= 10 { rig.broker.topic_id("t").unwrap() } else { Default::default() };
    let partitions = vec![partition, absent];
    let topics = vec![OffsetCommitRequestTopic { name: "t".to_owned(), topic_id, partitions }];
    let request = OffsetCommitRequest { group_id: "kept".to_owned(), topics, ..Default::default() };
    let answer = answered(rig, &request, version).await;
    assert_eq!(answer.topics[0].partitions[0].error_code, ErrorCode::NONE, "{version}");
}

async fn offset_fetch(rig: &Rig, version: i16) {
    offset_commit(rig, 9).await;
    for all in [false, true] {
        let mut request = OffsetFetchRequest::default();
        if version >= 8 {
            let topic_id = rig.broker.topic_id("t").unwrap();
            let topics = vec![OffsetFetchRequestTopics {
                name: "t".to_owned(),
                topic_id: if version >= 10 { topic_id } else { Default::default() },
                partition_indexes: vec![0, 5],
            }];
            let topics = (!all).then_some(topics);
            request.groups =
                vec![OffsetFetchRequestGroup { group_id: "kept".to_owned(), topics, ..Default::default() }];
        } else {
            let topics =
                vec![OffsetFetchRequestTopic { name: "t".to_owned(), partition_indexes: vec![0, 5] }];
            request.group_id = "kept".to_owned();
            request.topics = if all && version >= 2 { None } else { Some(topics) };
        }
        answered(rig, &request, version).await;
    }
}

/// Joins until there is a generation; the only member leads.
async fn member(rig: &Rig, group: &str, version: i16) -> JoinGroupResponse {
    let metadata = Bytes::from_static(b"\0\0");
    let mut request = JoinGroupRequest {
        group_id: group.to_owned(),
        session_timeout_ms: 10_000,
        protocol_type: "consumer".to_owned(),
        protocols: vec![JoinGroupRequestProtocol { name: "range".to_owned(), metadata }],
        ..Default::default()
    };
    if version >= 1 {
        request.rebalance_timeout_ms = 10_000;
    }
    if version >= 5 {
        request.group_instance_id = Some("static".to_owned());
    }
    let joined = answered(rig, &request, version).await;
    if joined.error_code != ErrorCode::MEMBER_ID_REQUIRED {
        return joined;
    }
    request.member_id = joined.member_id;
    answered(rig, &request, version).await
}

async fn sync_group(rig: &Rig, version: i16) {
    let group = format!("sync{version}");
    let joined = member(rig, &group, 4).await;
    let (name, kind) = (Some("range".to_owned()), Some("consumer".to_owned()));
    let assignment = Bytes::from_static(b"mine");
    let request = SyncGroupRequest {
        group_id: group,
        generation_id: joined.generation_id,
        member_id: joined.member_id.clone(),
        protocol_type: kind.filter(|_| version >= 5),
        protocol_name: name.filter(|_| version >= 5),
        assignments: vec![SyncGroupRequestAssignment { member_id: joined.member_id, assignment }],
        ..Default::default()
    };
    let answer = answered(rig, &request, version).await;
    assert_eq!((answer.error_code, &answer.assignment[..]), (ErrorCode::NONE, &b"mine"[..]), "{version}");
}

async fn leave_group(rig: &Rig, version: i16) {
    let group_id = format!("leave{version}");
    let joined = member(rig, &group_id, 4).await;
    let mut request = LeaveGroupRequest { group_id, ..Default::default() };
    let mine = joined.member_id;
    if version >= 3 {
        let member = |member_id| MemberIdentity { member_id, ..Default::default() };
        request.members = vec![member(mine), member("nobody".to_owned())];
    } else {
        request.member_id = mine;
    }
    assert_eq!(answered(rig, &request, version).await.error_code, ErrorCode::NONE, "{version}");
}

#[tokio::test]
async fn what_is_not_served_closes() {
    let rig = Rig::new();
    for code in [-1, 4, 24, 1000] {
        let header = klog::wire::frame::RequestHeader {
            api_key: code,
            ..klog::wire::frame::RequestHeader::new(ApiKey::Metadata, 0, 1, None)
        };
        let outcome = api::call(&rig.broker, &crate::rig::peer(), &header, Bytes::new()).await;
        assert!(matches!(outcome, Outcome::Close(_)), "{code}");
    }
}
