//! Users and access rules through their APIs: what rules do to requests, and that both survive a power cut once they
//! were answered.

use bytes::Bytes;
use klog::auth::acl::{Operation, PatternType, Permission, ResourceType};
use klog::broker::Peer;
use klog::broker::api::{self, Outcome};
use klog::wire::Request;
use klog::wire::error::ErrorCode;
use klog::wire::frame;
use klog::wire::messages::alter_user_scram_credentials::{
    AlterUserScramCredentialsRequest, ScramCredentialDeletion, ScramCredentialUpsertion,
};
use klog::wire::messages::create_acls::{AclCreation, CreateAclsRequest};
use klog::wire::messages::create_topics::CreateTopicsRequest;
use klog::wire::messages::delete_acls::{DeleteAclsFilter, DeleteAclsRequest};
use klog::wire::messages::describe_acls::DescribeAclsRequest;
use klog::wire::messages::describe_user_scram_credentials::{DescribeUserScramCredentialsRequest, UserName};
use klog::wire::messages::fetch::FetchRequest;
use klog::wire::messages::init_producer_id::InitProducerIdRequest;

use crate::rig::{Rig, batch, fetch_request, produce_request, response, topic};

/// Rules count although no listener demands authentication.
pub(crate) const ENFORCED: &[(&str, &str)] = &[
    ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer"),
    ("super.users", "User:root;User:CN=boss,O=x"),
    ("connection.failed.authentication.delay.ms", "1"),
];

pub(crate) fn anonymous() -> Peer {
    Peer::new(false, ("127.0.0.1".to_owned(), 9092), "/127.0.0.1")
}

/// Whoever runs the daemon, on its Unix socket.
pub(crate) fn own() -> Peer {
    let mut peer = Peer::new(true, ("unix".to_owned(), 0), "/unix");
    peer.superuser = true;
    peer
}

fn named(principal: &str) -> Peer {
    anonymous().known_as(principal.to_owned())
}

pub(crate) async fn outcome<R: Request>(rig: &Rig, peer: &Peer, request: &R, version: i16) -> Outcome {
    let framed = frame::request_frame(request, version, 7, Some("test")).unwrap();
    let (header, body) = frame::split_request(Bytes::from(framed).slice(4..)).unwrap();
    api::call(&rig.broker, peer, &header, body).await
}

pub(crate) async fn call<R: Request>(rig: &Rig, peer: &Peer, request: &R, version: i16) -> R::Response {
    response::<R>(outcome(rig, peer, request, version).await, version).await
}

pub(crate) fn describe_all() -> DescribeAclsRequest {
    DescribeAclsRequest {
        resource_type_filter: 1,
        pattern_type_filter: 1,
        operation: 1,
        permission_type: 1,
        ..Default::default()
    }
}

fn creation(principal: &str, operation: Operation, resource: ResourceType, name: &str) -> AclCreation {
    AclCreation {
        resource_type: resource.code(),
        resource_name: name.to_owned(),
        resource_pattern_type: PatternType::Literal.code(),
        principal: principal.to_owned(),
        host: "*".to_owned(),
        operation: operation.code(),
        permission_type: Permission::Allow.code(),
    }
}

async fn create(rig: &Rig, creations: Vec<AclCreation>) -> Vec<ErrorCode> {
    let answer = call(rig, &own(), &CreateAclsRequest { creations }, 3).await;
    answer.results.into_iter().map(|result| result.error_code).collect()
}

async fn delete_all(rig: &Rig) -> usize {
    let filter = DeleteAclsFilter {
        resource_type_filter: 1,
        pattern_type_filter: 1,
        operation: 1,
        permission_type: 1,
        ..Default::default()
    };
    let answer = call(rig, &own(), &DeleteAclsRequest { filters: vec![filter] }, 3).await;
    answer.filter_results[0].matching_acls.len()
}

async fn make_topic(rig: &Rig, name: &str) {
    let request = CreateTopicsRequest { topics: vec![topic(name, 1, &[])], ..Default::default() };
    assert_eq!(call(rig, &own(), &request, 7).await.topics[0].error_code, ErrorCode::NONE);
}

async fn produced(rig: &Rig, peer: &Peer, name: &str) -> (ErrorCode, Option<String>) {
    let mut answer = call(rig, peer, &produce_request(name, 0, -1, batch(&["x"])), 12).await;
    let answer = answer.responses.remove(0).partition_responses.remove(0);
    (answer.error_code, answer.error_message)
}

async fn fetched(rig: &Rig, peer: &Peer, name: &str) -> ErrorCode {
    call(rig, peer, &fetch_request(name, 0, 0), 12).await.responses[0].partitions[0].error_code
}

pub(crate) fn upsertion(name: &str, password: &str) -> ScramCredentialUpsertion {
    let mechanism = klog::auth::credential::ScramMechanism::Sha256;
    let salted = mechanism.salted_password(password.as_bytes(), b"some salt", 4096);
    ScramCredentialUpsertion {
        name: name.to_owned(),
        mechanism: 1,
        iterations: 4096,
        salt: Bytes::from_static(b"some salt"),
        salted_password: salted.into(),
    }
}

pub(crate) async fn alter_users(
    rig: &Rig,
    deletions: Vec<ScramCredentialDeletion>,
    upsertions: Vec<ScramCredentialUpsertion>,
) -> Vec<(String, ErrorCode)> {
    let request = AlterUserScramCredentialsRequest { deletions, upsertions };
    let answer = call(rig, &own(), &request, 0).await;
    answer.results.into_iter().map(|result| (result.user, result.error_code)).collect()
}

#[tokio::test]
async fn without_a_demand_for_authentication_everyone_may_do_everything() {
    let rig = Rig::new();
    make_topic(&rig, "t").await;
    // Rules can be made before they count.
    assert_eq!(
        create(&rig, vec![creation("User:a", Operation::Read, ResourceType::Topic, "t")]).await,
        [ErrorCode::NONE]
    );
    assert_eq!(produced(&rig, &anonymous(), "t").await.0, ErrorCode::NONE);
    assert_eq!(call(&rig, &anonymous(), &describe_all(), 3).await.resources.len(), 1);
}

#[tokio::test]
async fn rules_allow_what_they_say_and_end_when_they_go() {
    let rig = Rig::with(ENFORCED);
    make_topic(&rig, "t").await;
    let alice = named("User:alice");
    let (code, message) = produced(&rig, &alice, "t").await;
    assert_eq!(code, ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    assert_eq!(message.as_deref(), Some("User:alice may not Write Topic t"));
    create(&rig, vec![creation("User:alice", Operation::Write, ResourceType::Topic, "t")]).await;
    assert_eq!(produced(&rig, &alice, "t").await.0, ErrorCode::NONE);
    assert_eq!(fetched(&rig, &alice, "t").await, ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    assert_eq!(produced(&rig, &named("User:bob"), "t").await.0, ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    for boss in [own(), named("User:root"), named("User:CN=boss,O=x")] {
        assert_eq!(produced(&rig, &boss, "t").await.0, ErrorCode::NONE);
        assert_eq!(fetched(&rig, &boss, "t").await, ErrorCode::NONE);
    }
    // Deny wins.
    let deny = AclCreation {
        permission_type: Permission::Deny.code(),
        resource_pattern_type: PatternType::Prefixed.code(),
        ..creation("User:*", Operation::All, ResourceType::Topic, "t")
    };
    create(&rig, vec![deny]).await;
    assert_eq!(produced(&rig, &alice, "t").await.0, ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    assert_eq!(produced(&rig, &named("User:root"), "t").await.0, ErrorCode::NONE);
    assert_eq!(delete_all(&rig).await, 2);
    assert_eq!(produced(&rig, &alice, "t").await.0, ErrorCode::TOPIC_AUTHORIZATION_FAILED);
}

#[tokio::test]
async fn a_fetch_session_does_not_outlive_the_right_to_read() {
    let rig = Rig::with(ENFORCED);
    make_topic(&rig, "t").await;
    let alice = named("User:alice");
    create(&rig, vec![creation("User:alice", Operation::Read, ResourceType::Topic, "t")]).await;
    let first = FetchRequest { session_epoch: 0, ..fetch_request("t", 0, 0) };
    let answer = call(&rig, &alice, &first, 12).await;
    assert_ne!(answer.session_id, 0);
    assert_eq!(answer.responses[0].partitions[0].error_code, ErrorCode::NONE);
    delete_all(&rig).await;
    let next = FetchRequest {
        session_id: answer.session_id,
        session_epoch: 1,
        topics: Vec::new(),
        ..fetch_request("t", 0, 0)
    };
    let answer = call(&rig, &alice, &next, 12).await;
    assert_eq!(answer.responses[0].partitions[0].error_code, ErrorCode::TOPIC_AUTHORIZATION_FAILED);
}

#[tokio::test]
async fn who_may_write_somewhere_may_be_an_idempotent_producer() {
    let rig = Rig::with(ENFORCED);
    let alice = named("User:alice");
    let asked = InitProducerIdRequest::default();
    assert_eq!(call(&rig, &alice, &asked, 4).await.error_code, ErrorCode::CLUSTER_AUTHORIZATION_FAILED);
    create(&rig, vec![creation("User:alice", Operation::Write, ResourceType::Topic, "t")]).await;
    assert_eq!(call(&rig, &alice, &asked, 4).await.error_code, ErrorCode::NONE);
    delete_all(&rig).await;
    let cluster = creation("User:alice", Operation::IdempotentWrite, ResourceType::Cluster, "kafka-cluster");
    create(&rig, vec![cluster]).await;
    assert_eq!(call(&rig, &alice, &asked, 4).await.error_code, ErrorCode::NONE);
}

#[tokio::test]
async fn open_resources_are_open_only_where_the_setting_says_so() {
    let settings = [ENFORCED, &[("allow.everyone.if.no.acl.found", "true")]].concat();
    let rig = Rig::with(&settings);
    make_topic(&rig, "t").await;
    make_topic(&rig, "u").await;
    create(&rig, vec![creation("User:alice", Operation::Read, ResourceType::Topic, "t")]).await;
    let bob = named("User:bob");
    assert_eq!(produced(&rig, &bob, "u").await.0, ErrorCode::NONE);
    assert_eq!(produced(&rig, &bob, "t").await.0, ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    assert_eq!(fetched(&rig, &named("User:alice"), "t").await, ErrorCode::NONE);
}

#[tokio::test]
async fn bad_rules_and_filters_are_refused_and_good_ones_beside_them_made() {
    let rig = Rig::with(ENFORCED);
    let good = || creation("User:a", Operation::Read, ResourceType::Topic, "t");
    let codes = create(
        &rig,
        vec![
            AclCreation { resource_type: 1, ..good() },
            AclCreation { resource_pattern_type: 2, ..good() },
            AclCreation { operation: 0, ..good() },
            AclCreation { permission_type: 1, ..good() },
            AclCreation { resource_name: String::new(), ..good() },
            AclCreation { host: String::new(), ..good() },
            AclCreation { principal: "alice".to_owned(), ..good() },
            AclCreation { principal: "Group:x".to_owned(), ..good() },
            creation("User:a", Operation::Alter, ResourceType::Cluster, "other"),
            good(),
            good(),
        ],
    )
    .await;
    let mut expected = [ErrorCode::INVALID_REQUEST; 11];
    expected[7] = ErrorCode::INVALID_PRINCIPAL_TYPE;
    (expected[9], expected[10]) = (ErrorCode::NONE, ErrorCode::NONE);
    assert_eq!(codes, expected);
    let there = call(&rig, &own(), &describe_all(), 3).await;
    assert_eq!((there.resources.len(), there.resources[0].acls.len()), (1, 1));
    let bad = DescribeAclsRequest { operation: 0, ..describe_all() };
    assert_eq!(call(&rig, &own(), &bad, 3).await.error_code, ErrorCode::INVALID_REQUEST);
    let filters = vec![DeleteAclsFilter { resource_type_filter: 99, ..Default::default() }];
    let answer = call(&rig, &own(), &DeleteAclsRequest { filters }, 3).await;
    assert_eq!(answer.filter_results[0].error_code, ErrorCode::INVALID_REQUEST);
    let matching = DescribeAclsRequest {
        resource_name_filter: Some("t".to_owned()),
        pattern_type_filter: 2,
        ..describe_all()
    };
    assert_eq!(call(&rig, &own(), &matching, 3).await.resources.len(), 1);
}

#[tokio::test]
async fn users_are_described_without_their_keys_and_refused_as_kafka_does() {
    let rig = Rig::with(ENFORCED);
    let bad = ScramCredentialUpsertion { iterations: 100, ..upsertion("bob", "x") };
    let gone = ScramCredentialDeletion { name: "carol".to_owned(), mechanism: 2 };
    let answers = alter_users(&rig, vec![gone], vec![upsertion("alice", "secret"), bad]).await;
    let expected = [
        ("carol".to_owned(), ErrorCode::RESOURCE_NOT_FOUND),
        ("alice".to_owned(), ErrorCode::NONE),
        ("bob".to_owned(), ErrorCode::UNACCEPTABLE_CREDENTIAL),
    ];
    assert_eq!(answers, expected);
    let asked = |names: &[&str]| DescribeUserScramCredentialsRequest {
        users: Some(names.iter().map(|name| UserName { name: (*name).to_owned() }).collect()),
    };
    let answer = call(&rig, &own(), &asked(&["alice", "bob", "x", "x"]), 0).await;
    let codes: Vec<_> = answer.results.iter().map(|one| (one.user.as_str(), one.error_code)).collect();
    let expected = [
        ("alice", ErrorCode::NONE),
        ("bob", ErrorCode::RESOURCE_NOT_FOUND),
        ("x", ErrorCode::DUPLICATE_RESOURCE),
    ];
    assert_eq!(codes, expected);
    let info = &answer.results[0].credential_infos;
    assert_eq!((info.len(), info[0].mechanism, info[0].iterations), (1, 1, 4096));
    assert_eq!(call(&rig, &own(), &asked(&[]), 0).await.results.len(), 1);
}

#[tokio::test]
async fn what_was_answered_survives_a_power_cut() {
    let mut rig = Rig::with(ENFORCED);
    make_topic(&rig, "t").await;
    alter_users(&rig, Vec::new(), vec![upsertion("alice", "secret"), upsertion("bob", "x")]).await;
    create(
        &rig,
        vec![
            creation("User:alice", Operation::Write, ResourceType::Topic, "t"),
            creation("User:alice", Operation::Read, ResourceType::Topic, "t"),
        ],
    )
    .await;
    rig.cut_power();
    let users: Vec<String> = rig.broker.users(None).into_iter().map(|(user, _)| user).collect();
    assert_eq!(users, ["alice", "bob"]);
    assert_eq!(produced(&rig, &named("User:alice"), "t").await.0, ErrorCode::NONE);
    assert_eq!(fetched(&rig, &named("User:alice"), "t").await, ErrorCode::NONE);
    let gone = ScramCredentialDeletion { name: "bob".to_owned(), mechanism: 1 };
    alter_users(&rig, vec![gone], Vec::new()).await;
    let filter = DeleteAclsFilter {
        resource_type_filter: 1,
        pattern_type_filter: 1,
        operation: Operation::Write.code(),
        permission_type: 1,
        ..Default::default()
    };
    call(&rig, &own(), &DeleteAclsRequest { filters: vec![filter] }, 3).await;
    rig.cut_power();
    assert_eq!(rig.broker.users(None).len(), 1);
    assert_eq!(produced(&rig, &named("User:alice"), "t").await.0, ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    assert_eq!(fetched(&rig, &named("User:alice"), "t").await, ErrorCode::NONE);
    // What could not be kept is not there.
    rig.disk.fail_sync(0);
    let failed = create(&rig, vec![creation("User:bob", Operation::Read, ResourceType::Topic, "t")]).await;
    assert_ne!(failed, [ErrorCode::NONE]);
    assert_eq!(fetched(&rig, &named("User:bob"), "t").await, ErrorCode::TOPIC_AUTHORIZATION_FAILED);
}
