//! Consumer groups through the broker's own entrance, on a real folder: what clients see, and what a restart keeps.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use klog::broker::api::{Outcome, Part, call};
use klog::broker::settings::Settings;
use klog::broker::{Broker, BrokerOptions, Peer};
use klog::model::time::{Clock, SystemClock};
use klog::storage::sim::SimDisk;
use klog::storage::{Disk, RealDisk};
use klog::wire::Request;
use klog::wire::error::ErrorCode;
use klog::wire::frame;
use klog::wire::messages::consumer_group_describe::ConsumerGroupDescribeRequest;
use klog::wire::messages::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
};
use klog::wire::messages::create_topics::{CreatableTopic, CreateTopicsRequest};
use klog::wire::messages::delete_groups::DeleteGroupsRequest;
use klog::wire::messages::delete_topics::DeleteTopicsRequest;
use klog::wire::messages::describe_groups::DescribeGroupsRequest;
use klog::wire::messages::find_coordinator::FindCoordinatorRequest;
use klog::wire::messages::heartbeat::HeartbeatRequest;
use klog::wire::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse};
use klog::wire::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use klog::wire::messages::list_groups::ListGroupsRequest;
use klog::wire::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use klog::wire::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use klog::wire::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse};

fn open(folder: &std::path::Path, settings: &[(&str, &str)]) -> Arc<Broker> {
    let mut options = BrokerOptions::new(folder);
    options.settings = Settings::parse(settings.iter().copied()).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let broker = Broker::open(options, Arc::new(RealDisk), clock).unwrap();
    tokio::spawn(Arc::clone(&broker).tasks());
    broker
}

fn open_on(disk: &Arc<SimDisk>) -> Option<Arc<Broker>> {
    let disk: Arc<dyn Disk> = Arc::<SimDisk>::clone(disk);
    Broker::open(BrokerOptions::new("/data"), disk, Arc::new(SystemClock::new())).ok()
}

/// Closes the broker and waits until nobody holds its folder any more.
async fn shut(broker: Arc<Broker>) {
    broker.close().await.unwrap();
    let all_gone = async {
        while Arc::strong_count(&broker) > 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), all_gone).await.unwrap();
}

/// Sends a request the way a connection does and reads the answer.
async fn ask<R: Request>(broker: &Arc<Broker>, version: i16, request: &R) -> R::Response {
    let peer = Peer::new(false, ("127.0.0.1".to_owned(), 9092), "/127.0.0.1");
    let framed = Bytes::from(frame::request_frame(request, version, 1, Some("tester")).unwrap());
    let (header, body) = frame::split_request(framed.slice(4..)).unwrap();
    let reply = match call(broker, &peer, &header, body).await {
        Outcome::Reply(reply) | Outcome::Last(reply, _) => reply,
        Outcome::Later(later) => later.await,
        Outcome::None => panic!("no answer"),
        Outcome::Close(why) => panic!("closed: {why}"),
    };
    let mut bytes = Vec::new();
    for part in reply.parts {
        match part {
            Part::Bytes(part) => bytes.extend_from_slice(&part),
            Part::File { .. } => panic!("a file in an answer about groups"),
        }
    }
    frame::response_body(bytes.into(), version).unwrap()
}

async fn topic(broker: &Arc<Broker>, name: &str, partitions: i32) {
    let topic = CreatableTopic {
        name: name.to_owned(),
        num_partitions: partitions,
        replication_factor: 1,
        ..CreatableTopic::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 5_000, ..Default::default() };
    let made = ask(broker, 7, &request).await;
    assert!(made.topics[0].error_code.is_ok(), "{made:?}");
}

async fn coordinator(broker: &Arc<Broker>) {
    let request = FindCoordinatorRequest {
        coordinator_keys: vec!["g".to_owned(), "other".to_owned()],
        ..Default::default()
    };
    let found = ask(broker, 6, &request).await;
    assert_eq!(found.coordinators.len(), 2);
    for one in found.coordinators {
        assert_eq!((one.error_code, one.node_id), (ErrorCode::NONE, broker.node_id()));
        assert_eq!((one.host.as_str(), one.port), ("127.0.0.1", 9092));
    }
}

async fn join(broker: &Arc<Broker>, member_id: &str, version: i16) -> JoinGroupResponse {
    let protocol = JoinGroupRequestProtocol {
        name: "range".to_owned(),
        metadata: Bytes::from_static(&[0, 0, 0, 0, 0, 1, 0, 1, b't', 255, 255, 255, 255]),
    };
    let request = JoinGroupRequest {
        group_id: "g".to_owned(),
        session_timeout_ms: 6_000,
        rebalance_timeout_ms: 6_000,
        member_id: member_id.to_owned(),
        protocol_type: "consumer".to_owned(),
        protocols: vec![protocol],
        ..Default::default()
    };
    ask(broker, version, &request).await
}

async fn sync(broker: &Arc<Broker>, joined: &JoinGroupResponse) -> SyncGroupResponse {
    let assignments = joined.members.iter().map(|member| SyncGroupRequestAssignment {
        member_id: member.member_id.clone(),
        assignment: Bytes::copy_from_slice(member.member_id.as_bytes()),
    });
    let request = SyncGroupRequest {
        group_id: "g".to_owned(),
        generation_id: joined.generation_id,
        member_id: joined.member_id.clone(),
        protocol_type: joined.protocol_type.clone(),
        protocol_name: joined.protocol_name.clone(),
        assignments: assignments.collect(),
        ..Default::default()
    };
    ask(broker, 5, &request).await
}

fn commit_of(generation: i32, member_id: &str, offsets: &[(i32, i64)]) -> OffsetCommitRequest {
    let partitions =
        offsets.iter().map(|&(partition_index, committed_offset)| OffsetCommitRequestPartition {
            partition_index,
            committed_offset,
            committed_leader_epoch: 3,
            committed_metadata: Some(format!("at {committed_offset}")),
        });
    let topic = OffsetCommitRequestTopic {
        name: "t".to_owned(),
        partitions: partitions.collect(),
        ..Default::default()
    };
    OffsetCommitRequest {
        group_id: "g".to_owned(),
        generation_id_or_member_epoch: generation,
        member_id: member_id.to_owned(),
        topics: vec![topic],
        ..Default::default()
    }
}

async fn commit(
    broker: &Arc<Broker>,
    generation: i32,
    member_id: &str,
    offsets: &[(i32, i64)],
) -> Vec<ErrorCode> {
    let answer = ask(broker, 9, &commit_of(generation, member_id, offsets)).await;
    answer.topics[0].partitions.iter().map(|one| one.error_code).collect()
}

/// Offsets by version 8, all topics.
async fn fetch_all(broker: &Arc<Broker>) -> Vec<(String, i32, i64, String)> {
    let group = OffsetFetchRequestGroup { group_id: "g".to_owned(), topics: None, ..Default::default() };
    let answer = ask(broker, 8, &OffsetFetchRequest { groups: vec![group], ..Default::default() }).await;
    assert!(answer.groups[0].error_code.is_ok());
    let mut all = Vec::new();
    for topic in &answer.groups[0].topics {
        for one in &topic.partitions {
            let note = one.metadata.clone().unwrap_or_default();
            all.push((topic.name.clone(), one.partition_index, one.committed_offset, note));
        }
    }
    all
}

#[tokio::test]
async fn a_group_lives_through_its_apis_and_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let broker = open(folder.path(), &[]);
    topic(&broker, "t", 2).await;
    coordinator(&broker).await;
    let first = join(&broker, "", 9).await;
    assert_eq!(first.error_code, ErrorCode::MEMBER_ID_REQUIRED);
    assert!(first.member_id.starts_with("tester-"));
    let joined = join(&broker, &first.member_id, 9).await;
    assert_eq!((joined.error_code, joined.generation_id), (ErrorCode::NONE, 1));
    assert_eq!((joined.leader.as_str(), joined.members.len()), (joined.member_id.as_str(), 1));
    let synced = sync(&broker, &joined).await;
    assert_eq!((synced.error_code, &synced.assignment[..]), (ErrorCode::NONE, joined.member_id.as_bytes()));
    let beat = HeartbeatRequest {
        group_id: "g".to_owned(),
        generation_id: 1,
        member_id: joined.member_id.clone(),
        ..Default::default()
    };
    assert!(ask(&broker, 4, &beat).await.error_code.is_ok());
    let none = ErrorCode::NONE;
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    assert_eq!(commit(&broker, 1, &joined.member_id, &[(0, 5), (1, 7), (2, 9)]).await, [none, none, unknown]);
    assert_eq!(commit(&broker, 2, &joined.member_id, &[(0, 6)]).await, [ErrorCode::ILLEGAL_GENERATION]);
    shut(broker).await;

    let broker = open(folder.path(), &[]);
    let kept = vec![("t".to_owned(), 0, 5, "at 5".to_owned()), ("t".to_owned(), 1, 7, "at 7".to_owned())];
    assert_eq!(fetch_all(&broker).await, kept);
    assert!(ask(&broker, 4, &beat).await.error_code.is_ok(), "the generation goes on");
    let leave = LeaveGroupRequest {
        group_id: "g".to_owned(),
        members: vec![MemberIdentity { member_id: joined.member_id.clone(), ..Default::default() }],
        ..Default::default()
    };
    assert!(ask(&broker, 5, &leave).await.members[0].error_code.is_ok());
    let describe = DescribeGroupsRequest { groups: vec!["g".to_owned()], ..Default::default() };
    assert_eq!(ask(&broker, 6, &describe).await.groups[0].group_state, "Empty");
    assert_eq!(commit(&broker, -1, "", &[(0, 11)]).await, [none], "a reset from outside");
    assert_eq!(fetch_all(&broker).await[0].2, 11);
    broker.close().await.unwrap();
}

#[tokio::test]
async fn every_version_of_every_group_api_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let broker = open(folder.path(), &[]);
    topic(&broker, "t", 1).await;
    for version in 0..=6 {
        let request = FindCoordinatorRequest {
            key: if version < 4 { "g".to_owned() } else { String::new() },
            coordinator_keys: if version < 4 { vec![] } else { vec!["g".to_owned()] },
            ..Default::default()
        };
        let found = ask(&broker, version, &request).await;
        let node = found.coordinators.first().map_or(found.node_id, |one| one.node_id);
        assert_eq!(node, broker.node_id(), "version {version}");
        if version > 0 {
            let refused = ask(&broker, version, &FindCoordinatorRequest { key_type: 2, ..request }).await;
            let code = refused.coordinators.first().map_or(refused.error_code, |one| one.error_code);
            assert_eq!(code, ErrorCode::INVALID_REQUEST);
        }
    }
    for version in 0..=9 {
        let mut joined = join(&broker, "", version).await;
        if version >= 4 {
            assert_eq!(joined.error_code, ErrorCode::MEMBER_ID_REQUIRED);
            joined = join(&broker, &joined.member_id, version).await;
        }
        assert_eq!(joined.protocol_name.as_deref(), Some("range"), "version {version}");
        joined.protocol_type.get_or_insert_with(|| "consumer".to_owned());
        assert!(sync(&broker, &joined).await.error_code.is_ok());
        let stranger = join(&broker, "nobody", version).await;
        assert_eq!(stranger.error_code, ErrorCode::UNKNOWN_MEMBER_ID);
        let leave = LeaveGroupRequest {
            group_id: "g".to_owned(),
            member_id: joined.member_id.clone(),
            ..Default::default()
        };
        let left = ask(&broker, (version % 3).min(2), &leave).await;
        assert!(left.error_code.is_ok(), "version {version}");
    }
    for version in 0..=5 {
        let listed = ask(&broker, version, &ListGroupsRequest::default()).await;
        assert_eq!(listed.groups.len(), 1);
        if version >= 4 {
            let in_state = |state: &str| ListGroupsRequest {
                states_filter: vec![state.to_owned()],
                ..Default::default()
            };
            assert!(ask(&broker, version, &in_state("stable")).await.groups.is_empty());
            assert_eq!(ask(&broker, version, &in_state("eMPTY")).await.groups[0].group_state, "Empty");
        }
    }
    let nobody = DescribeGroupsRequest { groups: vec!["nobody".to_owned()], ..Default::default() };
    for version in 0..=6 {
        let described = ask(&broker, version, &nobody).await.groups.remove(0);
        let code = if version < 6 { ErrorCode::NONE } else { ErrorCode::GROUP_ID_NOT_FOUND };
        assert_eq!((described.error_code, described.group_state.as_str()), (code, "Dead"));
    }
    broker.close().await.unwrap();
}

#[tokio::test]
async fn offsets_are_committed_and_fetched_in_every_version() {
    let folder = tempfile::tempdir().unwrap();
    let broker = open(folder.path(), &[]);
    topic(&broker, "t", 1).await;
    assert!(fetch_all(&broker).await.is_empty(), "no group was ever made");
    let id = broker.topic_id("t").unwrap();
    for version in 2..=10i16 {
        let mut request = commit_of(-1, "", &[(0, i64::from(version))]);
        if version >= 10 {
            request.topics[0].topic_id = id;
            request.topics[0].name.clear();
        }
        let answer = ask(&broker, version, &request).await;
        assert!(answer.topics[0].partitions[0].error_code.is_ok(), "commit {version}");
        for fetched in 1..=10i16 {
            let offset = fetch_in(&broker, fetched, id).await;
            assert_eq!(offset, Some(i64::from(version)), "commit {version}, fetch {fetched}");
        }
    }
    let mut request = commit_of(-1, "", &[(0, 1)]);
    request.topics[0].topic_id.0 = [9; 16];
    let answer = ask(&broker, 10, &request).await;
    assert_eq!(answer.topics[0].partitions[0].error_code, ErrorCode::UNKNOWN_TOPIC_ID);
    broker.close().await.unwrap();
}

async fn fetch_in(broker: &Arc<Broker>, version: i16, id: klog::model::id::TopicId) -> Option<i64> {
    if version < 8 {
        let topics = vec![OffsetFetchRequestTopic { name: "t".to_owned(), partition_indexes: vec![0] }];
        let request =
            OffsetFetchRequest { group_id: "g".to_owned(), topics: Some(topics), ..Default::default() };
        let answer = ask(broker, version, &request).await;
        assert!(answer.error_code.is_ok());
        return answer.topics[0].partitions.first().map(|one| one.committed_offset);
    }
    let topic = OffsetFetchRequestTopics {
        name: if version < 10 { "t".to_owned() } else { String::new() },
        topic_id: if version < 10 { Default::default() } else { id },
        partition_indexes: vec![0],
    };
    let group =
        OffsetFetchRequestGroup { group_id: "g".to_owned(), topics: Some(vec![topic]), ..Default::default() };
    let answer =
        ask(broker, version, &OffsetFetchRequest { groups: vec![group], ..Default::default() }).await;
    answer.groups[0].topics[0].partitions.first().map(|one| one.committed_offset)
}

#[tokio::test]
async fn a_topic_that_is_deleted_and_made_again_has_no_offsets() {
    let folder = tempfile::tempdir().unwrap();
    let broker = open(folder.path(), &[]);
    topic(&broker, "t", 1).await;
    assert_eq!(commit(&broker, -1, "", &[(0, 5)]).await, [ErrorCode::NONE]);
    let delete =
        DeleteTopicsRequest { topic_names: vec!["t".to_owned()], timeout_ms: 5_000, ..Default::default() };
    assert!(ask(&broker, 5, &delete).await.responses[0].error_code.is_ok());
    assert_eq!(commit(&broker, -1, "", &[(0, 5)]).await, [ErrorCode::UNKNOWN_TOPIC_OR_PARTITION]);
    topic(&broker, "t", 1).await;
    assert!(fetch_all(&broker).await.is_empty());
    assert_eq!(fetch_in(&broker, 7, Default::default()).await, Some(-1));
    broker.close().await.unwrap();
}

#[tokio::test]
async fn a_member_that_falls_silent_lets_the_waiting_one_in() {
    let folder = tempfile::tempdir().unwrap();
    let broker = open(folder.path(), &[("group.min.session.timeout.ms", "1")]);
    topic(&broker, "t", 1).await;
    let first = join(&broker, "", 3).await;
    assert!(sync(&broker, &typed(first.clone())).await.error_code.is_ok());
    // The second waits until the first, which never says another word, is given up.
    let second = tokio::time::timeout(Duration::from_secs(20), join(&broker, "", 3)).await.unwrap();
    assert_eq!((second.error_code, second.generation_id, second.members.len()), (ErrorCode::NONE, 2, 1));
    broker.close().await.unwrap();
}

fn typed(mut joined: JoinGroupResponse) -> JoinGroupResponse {
    joined.protocol_type.get_or_insert_with(|| "consumer".to_owned());
    joined
}

#[tokio::test]
async fn a_closing_broker_waits_for_no_member() {
    let folder = tempfile::tempdir().unwrap();
    let broker = open(folder.path(), &[]);
    topic(&broker, "t", 1).await;
    let first = join(&broker, "", 3).await;
    assert!(sync(&broker, &typed(first)).await.error_code.is_ok());
    let other = Arc::clone(&broker);
    let parked = tokio::spawn(async move { join(&other, "", 3).await });
    let describe = DescribeGroupsRequest { groups: vec!["g".to_owned()], ..Default::default() };
    while ask(&broker, 5, &describe).await.groups[0].group_state != "PreparingRebalance" {
        tokio::task::yield_now().await;
    }
    broker.close().await.unwrap();
    let refused = tokio::time::timeout(Duration::from_secs(5), parked).await.unwrap().unwrap();
    assert_eq!(refused.error_code, ErrorCode::NOT_COORDINATOR);
}

/// Commits until the power goes; answers the last offset that was acknowledged.
async fn commit_until_dark(disk: &Arc<SimDisk>) -> i64 {
    let Some(broker) = open_on(disk) else { return -1 };
    let new = CreatableTopic {
        name: "t".to_owned(),
        num_partitions: 1,
        replication_factor: 1,
        ..Default::default()
    };
    let made =
        ask(&broker, 7, &CreateTopicsRequest { topics: vec![new], timeout_ms: 5_000, ..Default::default() })
            .await;
    let mut acknowledged = -1;
    if made.topics[0].error_code.is_ok() {
        for offset in 0..6 {
            match commit(&broker, -1, "", &[(0, offset)]).await[..] {
                [ErrorCode::NONE] => acknowledged = offset,
                _ => break,
            }
        }
    }
    // A power cut leaves nothing to close properly; this ends the threads.
    let _ = broker.close().await;
    acknowledged
}

#[tokio::test]
async fn a_power_cut_takes_back_no_acknowledged_offset() {
    let disk = SimDisk::new(1);
    assert_eq!(commit_until_dark(&disk).await, 5);
    let steps = disk.steps();
    assert!(steps > 20, "{steps}");
    let mut survived = 0;
    for cut in 1..steps {
        let disk = SimDisk::new(cut);
        disk.cut_power_at(cut);
        let acknowledged = commit_until_dark(&disk).await;
        disk.restart();
        let broker = open_on(&disk).expect("opens after a power cut");
        let kept = if broker.partition_count("t").is_some() {
            fetch_in(&broker, 7, Default::default()).await.unwrap()
        } else {
            -1
        };
        assert!(kept >= acknowledged, "cut at step {cut}: {acknowledged} was acknowledged, {kept} is kept");
        survived += i64::from(acknowledged >= 0);
        broker.close().await.unwrap();
    }
    assert!(survived > 0, "no cut came after an acknowledged commit");
}

#[tokio::test]
async fn a_failed_sync_is_no_acknowledgement_and_the_group_goes_back_to_what_is_on_disk() {
    let disk = SimDisk::new(2);
    let broker = open_on(&disk).unwrap();
    topic(&broker, "t", 1).await;
    assert_eq!(commit(&broker, -1, "", &[(0, 1)]).await, [ErrorCode::NONE]);
    disk.fail_sync(0);
    assert_eq!(commit(&broker, -1, "", &[(0, 2)]).await, [ErrorCode::NOT_COORDINATOR]);
    assert_eq!(fetch_in(&broker, 7, Default::default()).await, Some(1), "read from the log again");
    let _ = broker.close().await;
}

fn beat(member_id: &str, member_epoch: i32) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: "new".to_owned(),
        member_id: member_id.to_owned(),
        member_epoch,
        ..ConsumerGroupHeartbeatRequest::default()
    }
}

fn arriving(member_id: &str, pattern: &str) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        rebalance_timeout_ms: 60_000,
        subscribed_topic_regex: Some(pattern.to_owned()),
        topic_partitions: Some(Vec::new()),
        ..beat(member_id, 0)
    }
}

/// How many partitions an answer gives.
fn given(answer: &ConsumerGroupHeartbeatResponse) -> Option<usize> {
    let assignment = answer.assignment.as_ref()?;
    Some(assignment.topic_partitions.iter().map(|topic| topic.partitions.len()).sum())
}

#[tokio::test]
async fn a_consumer_group_lives_through_a_restart_and_ends_with_its_tombstones() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [("group.consumer.assignment.interval.ms", "0")];
    let broker = open(folder.path(), &settings);
    topic(&broker, "orders", 3).await;
    let joined = ask(&broker, 1, &arriving("m", "ord.*")).await;
    assert_eq!((joined.error_code, joined.member_epoch, given(&joined)), (ErrorCode::NONE, 2, Some(3)));
    assert_eq!(joined.heartbeat_interval_ms, 5_000);
    let refused = ask(&broker, 1, &arriving("", "ord.*")).await;
    assert_eq!(refused.error_code, ErrorCode::INVALID_REQUEST);
    topic(&broker, "ordinary", 2).await;
    let grown = ask(&broker, 1, &beat("m", 2)).await;
    assert_eq!((grown.member_epoch, given(&grown)), (3, Some(5)));
    shut(broker).await;

    let broker = open(folder.path(), &settings);
    let alive = ask(&broker, 1, &beat("m", 3)).await;
    assert_eq!((alive.error_code, alive.member_epoch, given(&alive)), (ErrorCode::NONE, 3, None));
    let whole = ConsumerGroupHeartbeatRequest { member_epoch: 3, ..arriving("m", "ord.*") };
    assert_eq!(given(&ask(&broker, 1, &whole).await), Some(5));
    let asked =
        ConsumerGroupDescribeRequest { group_ids: vec!["new".into(), "none".into()], ..Default::default() };
    let told = ask(&broker, 1, &asked).await.groups;
    assert_eq!(
        (told[0].group_state.as_str(), told[0].group_epoch, told[0].assignor_name.as_str()),
        ("Stable", 3, "uniform")
    );
    assert_eq!(
        (told[0].members[0].member_type, told[0].members[0].assignment.topic_partitions.len()),
        (1, 2)
    );
    assert_eq!(told[1].error_code, ErrorCode::GROUP_ID_NOT_FOUND);
    let listed =
        ask(&broker, 5, &ListGroupsRequest { types_filter: vec!["Consumer".into()], ..Default::default() })
            .await;
    assert_eq!((listed.groups.len(), listed.groups[0].group_type.as_str()), (1, "consumer"));
    let delete = DeleteGroupsRequest { groups_names: vec!["new".into()] };
    assert_eq!(ask(&broker, 2, &delete).await.results[0].error_code, ErrorCode::NON_EMPTY_GROUP);
    assert_eq!(ask(&broker, 1, &beat("m", -1)).await.member_epoch, -1);
    assert_eq!(ask(&broker, 2, &delete).await.results[0].error_code, ErrorCode::NONE);
    assert_eq!(ask(&broker, 2, &delete).await.results[0].error_code, ErrorCode::GROUP_ID_NOT_FOUND);
    shut(broker).await;

    let broker = open(folder.path(), &settings);
    assert!(ask(&broker, 5, &ListGroupsRequest::default()).await.groups.is_empty(), "nothing of it is left");
    shut(broker).await;
}
