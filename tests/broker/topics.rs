//! Topics: made, listed, described, deleted, and still so after a power cut; what ApiVersions says.

use klog::broker::api::{Outcome, SERVED};
use klog::model::id::TopicId;
use klog::wire::error::ErrorCode;
use klog::wire::frame::{RequestHeader, response_body};
use klog::wire::messages::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use klog::wire::messages::create_topics::{CreatableReplicaAssignment, CreatableTopic, CreateTopicsRequest};
use klog::wire::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use klog::wire::messages::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};
use klog::wire::messages::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};

use crate::produce::until;
use crate::rig::{Rig, joined, topic};

fn named(name: &str) -> MetadataRequest {
    let topic = MetadataRequestTopic { name: Some(name.to_owned()), ..Default::default() };
    MetadataRequest { topics: Some(vec![topic]), allow_auto_topic_creation: false, ..Default::default() }
}

fn everything() -> MetadataRequest {
    MetadataRequest { topics: None, ..Default::default() }
}

fn names(answer: &MetadataResponse) -> Vec<&str> {
    answer.topics.iter().map(|topic| topic.name.as_deref().unwrap()).collect()
}

#[tokio::test]
async fn a_topic_that_was_made_survives_a_power_cut() {
    let mut rig = Rig::new();
    assert_eq!(rig.create("t", 3, &[("retention.ms", "77")]).await, ErrorCode::NONE);
    let id = rig.broker.topic_id("t").unwrap();
    rig.cut_power();
    let answer = rig.call(&named("t"), 12).await;
    assert_eq!(answer.topics[0].topic_id, id);
    assert_eq!(answer.topics[0].partitions.len(), 3);
    assert_eq!(rig.broker.topic("t").unwrap().settings().log.retention_ms, 77);
    for partition in 0..3 {
        let answer = rig.send("t", partition, -1, crate::rig::batch(&["a"])).await;
        assert_eq!(answer.error_code, ErrorCode::NONE);
    }
    assert_eq!(rig.broker.cluster_id().len(), 22);
}

#[tokio::test]
async fn topics_are_made_and_deleted_in_every_version() {
    let rig = Rig::new();
    for version in 2..=7 {
        let request = CreateTopicsRequest { topics: vec![topic("t", 2, &[])], ..Default::default() };
        assert_eq!(rig.call(&request, version).await.topics[0].error_code, ErrorCode::NONE, "{version}");
        let version = version - 1;
        let mut request = DeleteTopicsRequest { topic_names: vec!["t".to_owned()], ..Default::default() };
        if version >= 6 {
            request.topics = vec![DeleteTopicState { name: request.topic_names.pop(), ..Default::default() }];
        }
        assert_eq!(rig.call(&request, version).await.responses[0].error_code, ErrorCode::NONE, "{version}");
    }
}

#[tokio::test]
async fn after_a_checkpoint_a_start_looks_only_at_what_was_written_since() {
    let mut rig = Rig::new();
    rig.create("many", 20, &[]).await;
    rig.create("one", 1, &[]).await;
    rig.broker.checkpoint();
    rig.produce("one", &["a"]).await;
    rig.kill();
    let dirty: Vec<String> = rig.broker.folder().dirty_at_open().iter().map(ToString::to_string).collect();
    assert_eq!(dirty, ["one-0"]);
    rig.broker.checkpoint();
    rig.kill();
    assert_eq!(rig.broker.folder().dirty_at_open(), []);
    assert_eq!(rig.values("one", 0, 0).await, ["a"]);
}

#[tokio::test]
async fn a_topic_whose_making_failed_is_not_there() {
    let rig = Rig::new();
    rig.create("before", 1, &[]).await;
    let folders = rig.disk.syncs();
    // Whatever sync of the making fails, it is all or nothing.
    for after in 0..8 {
        let rig = Rig::new();
        rig.disk.fail_sync(after);
        let made = rig.create("t", 1, &[]).await;
        let there = rig.broker.topic("t").is_some();
        assert_eq!(made == ErrorCode::NONE, there, "sync {after}: {}", made.name());
    }
    assert!(folders > 0);
}

#[tokio::test]
async fn topics_are_listed_in_every_version() {
    let rig = Rig::new();
    rig.create("b", 2, &[]).await;
    rig.create("a", 1, &[]).await;
    for version in 0..=13 {
        let request = if version == 0 {
            MetadataRequest { topics: Some(Vec::new()), ..Default::default() }
        } else {
            everything()
        };
        let answer = rig.call(&request, version).await;
        assert_eq!(names(&answer), ["a", "b"], "version {version}");
        assert_eq!((answer.brokers[0].node_id, answer.brokers[0].port), (1, 9092));
        assert_eq!(answer.topics[1].partitions.len(), 2);
        assert_eq!(answer.topics[0].topic_authorized_operations, i32::MIN);
        if version >= 1 {
            assert_eq!(answer.controller_id, 1);
            let none = MetadataRequest { topics: Some(Vec::new()), ..Default::default() };
            assert!(rig.call(&none, version).await.topics.is_empty());
        }
    }
    let asked = MetadataRequest { include_topic_authorized_operations: true, ..everything() };
    assert_eq!(rig.call(&asked, 9).await.topics[0].topic_authorized_operations, 3576);
}

#[tokio::test]
async fn topics_are_made_when_asked_for_where_that_is_allowed() {
    let rig = Rig::with(&[("num.partitions", "4")]);
    let allowed = |name: &str| MetadataRequest { allow_auto_topic_creation: true, ..named(name) };
    let answer = rig.call(&named("t"), 9).await;
    assert_eq!(answer.topics[0].error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let answer = rig.call(&allowed("t"), 9).await;
    assert_eq!((answer.topics[0].error_code, answer.topics[0].partitions.len()), (ErrorCode::NONE, 4));
    let answer = rig.call(&allowed("a/b"), 9).await;
    assert_eq!(answer.topics[0].error_code, ErrorCode::INVALID_TOPIC_EXCEPTION);
    let never = Rig::with(&[("auto.create.topics.enable", "false")]);
    let answer = never.call(&allowed("t"), 9).await;
    assert_eq!(answer.topics[0].error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
}

#[tokio::test]
async fn topics_are_found_by_id() {
    let rig = Rig::new();
    rig.create("t", 1, &[]).await;
    let by_id = |id| MetadataRequest {
        topics: Some(vec![MetadataRequestTopic { topic_id: id, name: None }]),
        ..Default::default()
    };
    let answer = rig.call(&by_id(rig.broker.topic_id("t").unwrap()), 12).await;
    assert_eq!(names(&answer), ["t"]);
    let answer = rig.call(&by_id(TopicId([9; 16])), 12).await;
    assert_eq!((answer.topics[0].error_code, &answer.topics[0].name), (ErrorCode::UNKNOWN_TOPIC_ID, &None));
}

#[tokio::test]
async fn what_can_not_be_made_is_refused_and_only_checked_is_not_made() {
    let rig = Rig::new();
    rig.create("there", 1, &[]).await;
    let assigned = |indexes: &[i32], node| CreatableTopic {
        num_partitions: -1,
        assignments: indexes
            .iter()
            .map(|index| CreatableReplicaAssignment { partition_index: *index, broker_ids: vec![node] })
            .collect(),
        ..topic("x", -1, &[])
    };
    for (new, code) in [
        (topic("there", 1, &[]), ErrorCode::TOPIC_ALREADY_EXISTS),
        (topic("a b", 1, &[]), ErrorCode::INVALID_TOPIC_EXCEPTION),
        (topic("x", 0, &[]), ErrorCode::INVALID_PARTITIONS),
        (topic("x", 1, &[("retention", "1")]), ErrorCode::INVALID_CONFIG),
        (topic("x", 1, &[("retention.ms", "soon")]), ErrorCode::INVALID_CONFIG),
        (
            CreatableTopic { replication_factor: 3, ..topic("x", 1, &[]) },
            ErrorCode::INVALID_REPLICATION_FACTOR,
        ),
        (assigned(&[0, 2], 1), ErrorCode::INVALID_REPLICA_ASSIGNMENT),
        (assigned(&[0], 7), ErrorCode::INVALID_REPLICA_ASSIGNMENT),
        (topic("__cluster_metadata", 1, &[]), ErrorCode::INVALID_REQUEST),
    ] {
        let name = new.name.clone();
        let request = CreateTopicsRequest { topics: vec![new], ..Default::default() };
        for version in 2..=7 {
            let answer = rig.call(&request, version).await;
            assert_eq!(answer.topics[0].error_code, code, "{name} in version {version}");
        }
    }
    let twice =
        CreateTopicsRequest { topics: vec![topic("x", 1, &[]), topic("x", 1, &[])], ..Default::default() };
    let answer = rig.call(&twice, 7).await;
    assert!(answer.topics.iter().all(|topic| topic.error_code == ErrorCode::INVALID_REQUEST));
    let check =
        CreateTopicsRequest { topics: vec![topic("x", 2, &[])], validate_only: true, ..Default::default() };
    assert_eq!(rig.call(&check, 7).await.topics[0].error_code, ErrorCode::NONE);
    assert!(rig.broker.topic("x").is_none());
    let good = CreateTopicsRequest { topics: vec![assigned(&[1, 0], 1)], ..Default::default() };
    let answer = rig.call(&good, 7).await;
    let made = &answer.topics[0];
    assert_eq!((made.error_code, made.num_partitions, made.replication_factor), (ErrorCode::NONE, 2, 1));
    assert_eq!(Some(made.topic_id), rig.broker.topic_id("x"));
    let configs = made.configs.as_ref().unwrap();
    assert!(
        configs.iter().any(|config| config.name == "flush.messages" && config.value.as_deref() == Some("1"))
    );
}

#[tokio::test]
async fn unsynced_bytes_of_a_deleted_topic_are_counted_no_more() {
    let rig = Rig::new();
    rig.create("t", 1, &[("flush.messages", "9223372036854775807")]).await;
    rig.produce("t", &["a", "b"]).await;
    assert!(rig.broker.unsynced_bytes() > 0);
    let request = DeleteTopicsRequest { topic_names: vec!["t".to_owned()], ..Default::default() };
    assert_eq!(rig.call(&request, 5).await.responses[0].error_code, ErrorCode::NONE);
    // The catalog's own records are synced by now, and soon counted so.
    until(|| rig.broker.unsynced_bytes() == 0).await;
}

#[tokio::test]
async fn a_deleted_topic_is_gone_and_its_name_is_free() {
    let mut rig = Rig::new();
    rig.create("t", 1, &[]).await;
    let old = rig.broker.topic_id("t").unwrap();
    rig.produce("t", &["old"]).await;
    let by_name = DeleteTopicsRequest { topic_names: vec!["t".to_owned()], ..Default::default() };
    assert_eq!(rig.call(&by_name, 5).await.responses[0].error_code, ErrorCode::NONE);
    assert_eq!(rig.call(&by_name, 5).await.responses[0].error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    rig.create("t", 1, &[]).await;
    assert_ne!(rig.broker.topic_id("t").unwrap(), old);
    rig.cut_power();
    assert!(rig.values("t", 0, 0).await.is_empty());
    rig.produce("t", &["new"]).await;
    assert_eq!(rig.values("t", 0, 0).await, ["new"]);

    let by_id = |topic_id| DeleteTopicsRequest {
        topics: vec![DeleteTopicState { name: None, topic_id }],
        ..Default::default()
    };
    assert_eq!(rig.call(&by_id(old), 6).await.responses[0].error_code, ErrorCode::UNKNOWN_TOPIC_ID);
    let id = rig.broker.topic_id("t").unwrap();
    let mut both = by_id(id);
    both.topics.push(DeleteTopicState { name: Some("t".to_owned()), ..Default::default() });
    let answer = rig.call(&both, 6).await;
    assert_eq!((answer.responses.len(), answer.responses[0].error_code), (1, ErrorCode::INVALID_REQUEST));
    assert_eq!(rig.call(&by_id(id), 6).await.responses[0].error_code, ErrorCode::NONE);
    rig.cut_power();
    assert!(rig.broker.topic("t").is_none());
}

#[tokio::test]
async fn settings_are_described_with_where_they_come_from() {
    let rig = Rig::with(&[("log.retention.hours", "2")]);
    rig.create("t", 1, &[("segment.bytes", "2097152")]).await;
    let ask = |resource_type, resource_name: &str, keys: Option<Vec<String>>| DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type,
            resource_name: resource_name.to_owned(),
            configuration_keys: keys,
        }],
        include_synonyms: true,
        include_documentation: true,
    };
    for version in 1..=4 {
        let mut request = ask(2, "t", None);
        request.include_documentation &= version >= 3;
        let answer = rig.call(&request, version).await;
        let configs = &answer.results[0].configs;
        assert_eq!(configs.len(), 33);
        let of = |name: &str| configs.iter().find(|config| config.name == name).unwrap();
        let source = |name: &str| (of(name).value.as_deref().unwrap(), of(name).config_source);
        assert_eq!(source("segment.bytes"), ("2097152", 1));
        assert_eq!(source("retention.ms"), ("7200000", 4));
        assert_eq!(source("flush.messages"), ("1", 5));
        let steps: Vec<_> = of("retention.ms").synonyms.iter().map(|step| step.name.as_str()).collect();
        assert_eq!(steps, ["log.retention.hours"]);
        assert_eq!(of("segment.ms").documentation.is_some(), version >= 3);
    }
    let broker = rig.call(&ask(4, "1", Some(vec!["node.id".to_owned()])), 4).await;
    assert_eq!(broker.results[0].configs[0].value.as_deref(), Some("1"));
    assert_eq!(broker.results[0].configs.len(), 1);
    for (kind, name, code) in [
        (2, "no", ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        (4, "9", ErrorCode::INVALID_REQUEST),
        (4, "x", ErrorCode::INVALID_REQUEST),
        (16, "x", ErrorCode::NONE),
        (16, "", ErrorCode::INVALID_REQUEST),
        (32, "g", ErrorCode::NONE),
        (8, "1", ErrorCode::NONE),
        (8, "", ErrorCode::INVALID_REQUEST),
        (77, "x", ErrorCode::INVALID_REQUEST),
        (2, "a/b", ErrorCode::INVALID_TOPIC_EXCEPTION),
    ] {
        assert_eq!(rig.call(&ask(kind, name, None), 4).await.results[0].error_code, code);
    }
}

#[tokio::test]
async fn versions_are_told_and_unknown_ones_answered_in_version_0() {
    let rig = Rig::new();
    for version in 0..=4 {
        let request = ApiVersionsRequest {
            client_software_name: "test".to_owned(),
            client_software_version: "1.0".to_owned(),
        };
        let answer = rig.call(&request, version).await;
        assert_eq!(answer.error_code, ErrorCode::NONE);
        assert_eq!(answer.api_keys.len(), SERVED.len());
        let produce = answer.api_keys.iter().find(|api| api.api_key == 0).unwrap();
        assert_eq!((produce.min_version, produce.max_version), (0, 13));
    }
    let header = RequestHeader { api_key: 18, api_version: 99, correlation_id: 5, client_id: None };
    let Outcome::Reply(reply) = rig.raw(&header, &[]).await else { panic!("no answer") };
    let answer = response_body::<ApiVersionsResponse>(joined(&reply), 0).unwrap();
    assert_eq!(answer.error_code, ErrorCode::UNSUPPORTED_VERSION);
    assert_eq!((answer.api_keys[0].api_key, answer.api_keys[0].max_version), (18, 4));
    for (api_key, api_version) in [(0, 2), (1, 3), (3, 14), (24, 0), (999, 0)] {
        let header = RequestHeader { api_key, api_version, correlation_id: 5, client_id: None };
        assert!(matches!(rig.raw(&header, &[]).await, Outcome::Close(_)), "{api_key} {api_version}");
    }
    let header = RequestHeader { api_key: 3, api_version: 1, correlation_id: 5, client_id: None };
    assert!(matches!(rig.raw(&header, &[0x7f, 0xff, 0xff, 0xff]).await, Outcome::Close(_)));
}
