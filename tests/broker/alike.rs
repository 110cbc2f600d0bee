//! Answers in which klog once differed from Apache Kafka 4.3, each as Kafka gives it (`tests/kafka/answers.py` asks both).

use klog::model::id::TopicId;
use klog::record::ProducerStamp;
use klog::wire::error::ErrorCode;
use klog::wire::messages::create_topics::CreateTopicsRequest;
use klog::wire::messages::delete_groups::DeleteGroupsRequest;
use klog::wire::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use klog::wire::messages::describe_client_quotas::{ComponentData, DescribeClientQuotasRequest};
use klog::wire::messages::elect_leaders::{ElectLeadersRequest, TopicPartitions};
use klog::wire::messages::list_groups::ListGroupsRequest;
use klog::wire::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use klog::wire::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};

use crate::rig::{NOW, Rig, batch, stamped, topic};

#[tokio::test]
async fn what_is_no_good_batch_is_told_apart() {
    let rig = Rig::new();
    rig.create("t", 1, &[]).await;
    let sent = async |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = batch(&["a"]);
        change(&mut bytes);
        rig.send("t", 0, -1, bytes).await.error_code
    };
    let (corrupt, invalid) = (ErrorCode::CORRUPT_MESSAGE, ErrorCode::INVALID_RECORD);
    assert_eq!(sent(&|bytes| bytes[16] = 3).await, corrupt, "a format that is none");
    assert_eq!(sent(&|bytes| bytes[16] = 0xff).await, corrupt, "another");
    assert_eq!(sent(&|bytes| bytes[16] = 1).await, invalid, "an old format");
    assert_eq!(sent(&|bytes| (bytes[11], bytes[16]) = (20, 0)).await, invalid, "an old, short message");
    assert_eq!(sent(&|bytes| (bytes[11], bytes[16]) = (13, 0)).await, corrupt, "shorter than any message");
    assert_eq!(sent(&|bytes| bytes[11] = 40).await, corrupt, "shorter than any batch");
    assert_eq!(sent(&|bytes| bytes[10] = 1).await, invalid, "longer than what there is");
    assert_eq!(sent(&|bytes| bytes.truncate(11)).await, invalid, "not even a length");
    assert_eq!(sent(&|bytes| *bytes.last_mut().unwrap() ^= 1).await, corrupt, "a wrong checksum");
    assert_eq!(sent(&|_| ()).await, ErrorCode::NONE);
}

#[tokio::test]
async fn a_duplicate_says_the_time_of_its_batch() {
    let rig = Rig::new();
    rig.create("t", 1, &[]).await;
    let stamp = ProducerStamp { id: 7, epoch: 0, base_sequence: 5, transactional: false };
    assert_eq!(rig.send("t", 0, -1, stamped(&["a"], stamp)).await.log_append_time_ms, -1);
    let again = rig.send("t", 0, -1, stamped(&["a"], stamp)).await;
    assert_eq!((again.error_code, again.base_offset, again.log_append_time_ms), (ErrorCode::NONE, 0, NOW));
}

#[tokio::test]
async fn a_topic_that_is_only_tried_gets_an_id_and_is_not_there() {
    let rig = Rig::new();
    let request = CreateTopicsRequest {
        topics: vec![topic("tried", 1, &[])],
        validate_only: true,
        ..CreateTopicsRequest::default()
    };
    let answer = rig.call(&request, 7).await;
    assert!(!answer.topics[0].topic_id.is_zero(), "{answer:?}");
    assert!(rig.broker.topic("tried").is_none());
}

#[tokio::test]
async fn a_topic_named_twice_for_deletion_stays_and_is_told_of_once() {
    let rig = Rig::new();
    rig.create("t", 1, &[]).await;
    let id = rig.broker.topic("t").unwrap().id();
    let named = || DeleteTopicState { name: Some("t".to_owned()), topic_id: TopicId::ZERO };
    let by_id = || DeleteTopicState { name: None, topic_id: id };
    for (topics, expected) in [
        (vec![named(), by_id()], (Some("t"), id)),
        (vec![by_id(), named()], (Some("t"), id)),
        (vec![named(), named()], (Some("t"), TopicId::ZERO)),
        (vec![by_id(), by_id()], (None, id)),
    ] {
        let answer = rig.call(&DeleteTopicsRequest { topics, ..Default::default() }, 6).await;
        let [one] = &answer.responses[..] else { panic!("{answer:?}") };
        assert_eq!((one.name.as_deref(), one.topic_id), expected);
        assert_eq!(one.error_code, ErrorCode::INVALID_REQUEST);
    }
    assert!(rig.broker.topic("t").is_some());
}

#[tokio::test]
async fn an_election_of_a_kind_that_is_none_is_refused_whole_and_by_partition() {
    let rig = Rig::new();
    rig.create("t", 1, &[]).await;
    let named = vec![TopicPartitions { topic: "t".to_owned(), partitions: vec![0] }];
    let request =
        ElectLeadersRequest { election_type: 9, topic_partitions: Some(named), ..Default::default() };
    let answer = rig.call(&request, 2).await;
    assert_eq!(answer.error_code, ErrorCode::INVALID_REQUEST);
    let none =
        ElectLeadersRequest { election_type: 9, topic_partitions: Some(Vec::new()), ..Default::default() };
    assert_eq!(rig.call(&none, 2).await.error_code, ErrorCode::NONE);
    let of_partition = answer.replica_election_results[0].partition_result[0].error_code;
    assert_eq!(of_partition, ErrorCode::INVALID_REQUEST);
}

#[tokio::test]
async fn what_was_committed_without_a_groups_name_can_be_deleted() {
    let rig = Rig::new();
    rig.create("t", 1, &[]).await;
    let asked = MetadataRequestTopic { name: Some("t".to_owned()), ..Default::default() };
    rig.call(&MetadataRequest { topics: Some(vec![asked]), ..Default::default() }, 12).await;
    let commit = |group: &str| OffsetCommitRequest {
        group_id: group.to_owned(),
        topics: vec![OffsetCommitRequestTopic {
            name: "t".to_owned(),
            partitions: vec![OffsetCommitRequestPartition { committed_offset: 5, ..Default::default() }],
            ..Default::default()
        }],
        ..Default::default()
    };
    for group in ["", "g"] {
        let answer = rig.call(&commit(group), 8).await;
        assert_eq!(answer.topics[0].partitions[0].error_code, ErrorCode::NONE, "{group:?}");
    }
    let listed = rig.call(&ListGroupsRequest::default(), 5).await;
    assert_eq!(listed.groups.iter().map(|group| group.group_id.as_str()).collect::<Vec<_>>(), ["", "g"]);
    let deletion = DeleteGroupsRequest { groups_names: vec![String::new()] };
    assert_eq!(rig.call(&deletion, 2).await.results[0].error_code, ErrorCode::NONE);
    assert_eq!(rig.call(&deletion, 2).await.results[0].error_code, ErrorCode::GROUP_ID_NOT_FOUND);
}

#[tokio::test]
async fn there_are_no_quotas_and_filters_that_say_nothing_are_refused() {
    let rig = Rig::new();
    let part = |kind: &str, match_type, name: Option<&str>| ComponentData {
        entity_type: kind.to_owned(),
        match_type,
        r#match: name.map(str::to_owned),
    };
    let asked = async |components: Vec<ComponentData>| {
        let answer = rig.call(&DescribeClientQuotasRequest { components, strict: false }, 1).await;
        assert_eq!(answer.entries.is_some_and(|all| all.is_empty()), answer.error_code.is_ok());
        answer.error_code
    };
    for good in [
        vec![],
        vec![part("user", 2, None)],
        vec![part("user", 1, None), part("client-id", 0, Some("one"))],
        vec![part("ip", 0, Some("127.0.0.1"))],
    ] {
        assert_eq!(asked(good).await, ErrorCode::NONE);
    }
    for bad in [
        vec![part("", 2, None)],
        vec![part("user", 0, None)],
        vec![part("user", 1, Some("x"))],
        vec![part("user", 9, None)],
        vec![part("user", 2, None), part("user", 0, Some("x"))],
        vec![part("user", 2, None), part("ip", 2, None)],
    ] {
        assert_eq!(asked(bad).await, ErrorCode::INVALID_REQUEST);
    }
    assert_eq!(asked(vec![part("team", 2, None)]).await, ErrorCode::UNSUPPORTED_VERSION);
}
