//! Every API that is served, asked by a client without any right, one by one: none lets it through, and none tells it
//! what there is.

use klog::broker::Peer;
use klog::broker::api::SERVED;
use klog::wire::api::ApiKey;
use klog::wire::error::ErrorCode;
use klog::wire::messages::alter_user_scram_credentials as alter_users;
use klog::wire::messages::{
    add_offsets_to_txn, add_partitions_to_txn, alter_configs, alter_partition_reassignments,
    alter_replica_log_dirs, api_versions, consumer_group_describe, consumer_group_heartbeat, create_acls,
    create_partitions, create_topics, delete_acls, delete_groups, delete_records, delete_topics,
    describe_client_quotas, describe_cluster, describe_configs, describe_groups, describe_log_dirs,
    describe_producers, describe_quorum, describe_topic_partitions, describe_transactions,
    describe_user_scram_credentials, elect_leaders, end_txn, find_coordinator, heartbeat,
    incremental_alter_configs, init_producer_id, join_group, leave_group, list_config_resources, list_groups,
    list_offsets, list_partition_reassignments, list_transactions, metadata, offset_commit, offset_delete,
    offset_fetch, offset_for_leader_epoch, sasl_authenticate, sasl_handshake, sync_group, txn_offset_commit,
    update_features, write_txn_markers,
};

use crate::access::{ENFORCED, anonymous, call, describe_all, own};
use crate::rig::{Rig, batch, fetch_request, produce_request, topic};

const TOPIC: ErrorCode = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
const GROUP: ErrorCode = ErrorCode::GROUP_AUTHORIZATION_FAILED;
const CLUSTER: ErrorCode = ErrorCode::CLUSTER_AUTHORIZATION_FAILED;

fn t() -> String {
    "t".to_owned()
}

fn g() -> String {
    "g".to_owned()
}

/// What a client without rights is to be told by an API; `None` where it needs no right.
fn expected(key: ApiKey) -> Option<ErrorCode> {
    Some(match key {
        ApiKey::ApiVersions => return None,
        // It hears only who the node is, and that it may do nothing.
        ApiKey::DescribeCluster => return None,
        // It hears of no group.
        ApiKey::ListGroups => return None,
        // The listener asks for no authentication.
        ApiKey::SaslHandshake | ApiKey::SaslAuthenticate => ErrorCode::ILLEGAL_SASL_STATE,
        ApiKey::Produce
        | ApiKey::Fetch
        | ApiKey::ListOffsets
        | ApiKey::Metadata
        | ApiKey::CreateTopics
        | ApiKey::DeleteTopics
        | ApiKey::DeleteRecords
        | ApiKey::OffsetForLeaderEpoch
        | ApiKey::DescribeConfigs
        | ApiKey::AlterConfigs
        | ApiKey::IncrementalAlterConfigs
        | ApiKey::CreatePartitions
        | ApiKey::DescribeProducers
        | ApiKey::DescribeTopicPartitions => TOPIC,
        ApiKey::OffsetCommit
        | ApiKey::OffsetFetch
        | ApiKey::FindCoordinator
        | ApiKey::JoinGroup
        | ApiKey::Heartbeat
        | ApiKey::LeaveGroup
        | ApiKey::SyncGroup
        | ApiKey::DescribeGroups
        | ApiKey::DeleteGroups
        | ApiKey::OffsetDelete
        | ApiKey::ConsumerGroupHeartbeat
        | ApiKey::ConsumerGroupDescribe => GROUP,
        // It hears of no transactional id.
        ApiKey::ListTransactions => return None,
        ApiKey::AddPartitionsToTxn
        | ApiKey::AddOffsetsToTxn
        | ApiKey::TxnOffsetCommit
        | ApiKey::EndTxn
        | ApiKey::DescribeTransactions => ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        ApiKey::WriteTxnMarkers
        | ApiKey::InitProducerId
        | ApiKey::DescribeAcls
        | ApiKey::CreateAcls
        | ApiKey::DeleteAcls
        | ApiKey::DescribeUserScramCredentials
        | ApiKey::DescribeClientQuotas
        | ApiKey::AlterUserScramCredentials
        | ApiKey::AlterReplicaLogDirs
        | ApiKey::DescribeLogDirs
        | ApiKey::ElectLeaders
        | ApiKey::AlterPartitionReassignments
        | ApiKey::ListPartitionReassignments
        | ApiKey::DescribeQuorum
        | ApiKey::UpdateFeatures
        | ApiKey::ListConfigResources => CLUSTER,
        other => panic!("{} is served, and nobody has said who may use it", other.name()),
    })
}

/// The first error that an answer holds.
async fn told(rig: &Rig, peer: &Peer, key: ApiKey) -> ErrorCode {
    match key {
        ApiKey::Produce
        | ApiKey::Fetch
        | ApiKey::ListOffsets
        | ApiKey::OffsetForLeaderEpoch
        | ApiKey::DeleteRecords
        | ApiKey::DescribeProducers
        | ApiKey::InitProducerId => told_of_records(rig, peer, key).await,
        ApiKey::Metadata
        | ApiKey::CreateTopics
        | ApiKey::DeleteTopics
        | ApiKey::CreatePartitions
        | ApiKey::DescribeTopicPartitions
        | ApiKey::DescribeConfigs
        | ApiKey::AlterConfigs
        | ApiKey::IncrementalAlterConfigs
        | ApiKey::ListConfigResources => told_of_topics(rig, peer, key).await,
        ApiKey::OffsetCommit
        | ApiKey::OffsetFetch
        | ApiKey::FindCoordinator
        | ApiKey::JoinGroup
        | ApiKey::Heartbeat
        | ApiKey::LeaveGroup
        | ApiKey::SyncGroup => told_of_membership(rig, peer, key).await,
        ApiKey::DescribeGroups
        | ApiKey::ListGroups
        | ApiKey::DeleteGroups
        | ApiKey::OffsetDelete
        | ApiKey::ConsumerGroupHeartbeat
        | ApiKey::ConsumerGroupDescribe => told_of_groups(rig, peer, key).await,
        ApiKey::DescribeAcls
        | ApiKey::CreateAcls
        | ApiKey::DeleteAcls
        | ApiKey::DescribeUserScramCredentials
        | ApiKey::DescribeClientQuotas
        | ApiKey::AlterUserScramCredentials
        | ApiKey::SaslHandshake
        | ApiKey::SaslAuthenticate => told_of_access(rig, peer, key).await,
        ApiKey::AddPartitionsToTxn
        | ApiKey::AddOffsetsToTxn
        | ApiKey::TxnOffsetCommit
        | ApiKey::EndTxn
        | ApiKey::WriteTxnMarkers
        | ApiKey::DescribeTransactions
        | ApiKey::ListTransactions => told_of_transactions(rig, peer, key).await,
        _ => told_of_the_node(rig, peer, key).await,
    }
}

async fn told_of_records(rig: &Rig, peer: &Peer, key: ApiKey) -> ErrorCode {
    match key {
        ApiKey::Produce => {
            let answer = call(rig, peer, &produce_request("t", 0, -1, batch(&["x"])), 12).await;
            answer.responses[0].partition_responses[0].error_code
        }
        ApiKey::Fetch => {
            call(rig, peer, &fetch_request("t", 0, 0), 12).await.responses[0].partitions[0].error_code
        }
        ApiKey::ListOffsets => {
            let asked = list_offsets::ListOffsetsPartition { timestamp: -1, ..Default::default() };
            let topics = vec![list_offsets::ListOffsetsTopic { name: t(), partitions: vec![asked] }];
            let request = list_offsets::ListOffsetsRequest { topics, ..Default::default() };
            call(rig, peer, &request, 7).await.topics[0].partitions[0].error_code
        }
        ApiKey::OffsetForLeaderEpoch => {
            let partitions = vec![offset_for_leader_epoch::OffsetForLeaderPartition::default()];
            let topics = vec![offset_for_leader_epoch::OffsetForLeaderTopic { topic: t(), partitions }];
            let request =
                offset_for_leader_epoch::OffsetForLeaderEpochRequest { topics, ..Default::default() };
            call(rig, peer, &request, 4).await.topics[0].partitions[0].error_code
        }
        ApiKey::DeleteRecords => {
            let partitions = vec![delete_records::DeleteRecordsPartition { partition_index: 0, offset: 0 }];
            let topics = vec![delete_records::DeleteRecordsTopic { name: t(), partitions }];
            let request = delete_records::DeleteRecordsRequest { topics, timeout_ms: 1000 };
            call(rig, peer, &request, 2).await.topics[0].partitions[0].error_code
        }
        ApiKey::DescribeProducers => {
            let topics = vec![describe_producers::TopicRequest { name: t(), partition_indexes: vec![0] }];
            let request = describe_producers::DescribeProducersRequest { topics };
            call(rig, peer, &request, 0).await.topics[0].partitions[0].error_code
        }
        _ => call(rig, peer, &init_producer_id::InitProducerIdRequest::default(), 4).await.error_code,
    }
}

async fn told_of_topics(rig: &Rig, peer: &Peer, key: ApiKey) -> ErrorCode {
    match key {
        ApiKey::Metadata => {
            let asked = metadata::MetadataRequestTopic { name: Some(t()), ..Default::default() };
            let request = metadata::MetadataRequest { topics: Some(vec![asked]), ..Default::default() };
            call(rig, peer, &request, 12).await.topics[0].error_code
        }
        ApiKey::CreateTopics => {
            let topics = vec![topic("new", 1, &[])];
            let request = create_topics::CreateTopicsRequest { topics, ..Default::default() };
            call(rig, peer, &request, 7).await.topics[0].error_code
        }
        ApiKey::DeleteTopics => {
            let topics = vec![delete_topics::DeleteTopicState { name: Some(t()), ..Default::default() }];
            let request = delete_topics::DeleteTopicsRequest { topics, ..Default::default() };
            call(rig, peer, &request, 6).await.responses[0].error_code
        }
        ApiKey::CreatePartitions => {
            let topics =
                vec![create_partitions::CreatePartitionsTopic { name: t(), count: 9, assignments: None }];
            let request = create_partitions::CreatePartitionsRequest { topics, ..Default::default() };
            call(rig, peer, &request, 3).await.results[0].error_code
        }
        ApiKey::DescribeTopicPartitions => {
            let topics = vec![describe_topic_partitions::TopicRequest { name: t() }];
            let request =
                describe_topic_partitions::DescribeTopicPartitionsRequest { topics, ..Default::default() };
            call(rig, peer, &request, 0).await.topics[0].error_code
        }
        ApiKey::DescribeConfigs => {
            let asked = describe_configs::DescribeConfigsResource {
                resource_type: 2,
                resource_name: t(),
                configuration_keys: None,
            };
            let request =
                describe_configs::DescribeConfigsRequest { resources: vec![asked], ..Default::default() };
            call(rig, peer, &request, 4).await.results[0].error_code
        }
        ApiKey::AlterConfigs => {
            let asked = alter_configs::AlterConfigsResource {
                resource_type: 2,
                resource_name: t(),
                configs: Vec::new(),
            };
            let request = alter_configs::AlterConfigsRequest { resources: vec![asked], validate_only: false };
            call(rig, peer, &request, 2).await.responses[0].error_code
        }
        ApiKey::IncrementalAlterConfigs => {
            let asked = incremental_alter_configs::AlterConfigsResource {
                resource_type: 2,
                resource_name: t(),
                configs: Vec::new(),
            };
            let request = incremental_alter_configs::IncrementalAlterConfigsRequest {
                resources: vec![asked],
                validate_only: false,
            };
            call(rig, peer, &request, 1).await.responses[0].error_code
        }
        _ => {
            let request = list_config_resources::ListConfigResourcesRequest::default();
            call(rig, peer, &request, 1).await.error_code
        }
    }
}

async fn told_of_membership(rig: &Rig, peer: &Peer, key: ApiKey) -> ErrorCode {
    match key {
        ApiKey::OffsetCommit => {
            let partitions = vec![offset_commit::OffsetCommitRequestPartition::default()];
            let topic =
                offset_commit::OffsetCommitRequestTopic { name: t(), partitions, ..Default::default() };
            let request = offset_commit::OffsetCommitRequest {
                group_id: g(),
                topics: vec![topic],
                ..Default::default()
            };
            call(rig, peer, &request, 9).await.topics[0].partitions[0].error_code
        }
        ApiKey::OffsetFetch => {
            let group = offset_fetch::OffsetFetchRequestGroup { group_id: g(), ..Default::default() };
            let request = offset_fetch::OffsetFetchRequest { groups: vec![group], ..Default::default() };
            call(rig, peer, &request, 8).await.groups[0].error_code
        }
        ApiKey::FindCoordinator => {
            let request = find_coordinator::FindCoordinatorRequest {
                coordinator_keys: vec![g()],
                ..Default::default()
            };
            call(rig, peer, &request, 4).await.coordinators[0].error_code
        }
        ApiKey::JoinGroup => {
            let protocol =
                join_group::JoinGroupRequestProtocol { name: "range".to_owned(), ..Default::default() };
            let request = join_group::JoinGroupRequest {
                group_id: g(),
                session_timeout_ms: 10_000,
                protocol_type: "consumer".to_owned(),
                protocols: vec![protocol],
                ..Default::default()
            };
            call(rig, peer, &request, 9).await.error_code
        }
        ApiKey::Heartbeat => {
            let request = heartbeat::HeartbeatRequest { group_id: g(), ..Default::default() };
            call(rig, peer, &request, 4).await.error_code
        }
        ApiKey::LeaveGroup => {
            let request = leave_group::LeaveGroupRequest { group_id: g(), ..Default::default() };
            call(rig, peer, &request, 5).await.error_code
        }
        _ => {
            let request = sync_group::SyncGroupRequest { group_id: g(), ..Default::default() };
            call(rig, peer, &request, 5).await.error_code
        }
    }
}

async fn told_of_groups(rig: &Rig, peer: &Peer, key: ApiKey) -> ErrorCode {
    match key {
        ApiKey::DescribeGroups => {
            let request = describe_groups::DescribeGroupsRequest { groups: vec![g()], ..Default::default() };
            call(rig, peer, &request, 5).await.groups[0].error_code
        }
        ApiKey::ListGroups => call(rig, peer, &list_groups::ListGroupsRequest::default(), 5).await.error_code,
        ApiKey::DeleteGroups => {
            let request = delete_groups::DeleteGroupsRequest { groups_names: vec![g()] };
            call(rig, peer, &request, 2).await.results[0].error_code
        }
        ApiKey::OffsetDelete => {
            let request = offset_delete::OffsetDeleteRequest { group_id: g(), ..Default::default() };
            call(rig, peer, &request, 0).await.error_code
        }
        ApiKey::ConsumerGroupHeartbeat => {
            let request = consumer_group_heartbeat::ConsumerGroupHeartbeatRequest {
                group_id: g(),
                member_id: "m".to_owned(),
                rebalance_timeout_ms: 1000,
                subscribed_topic_names: Some(vec![t()]),
                topic_partitions: Some(Vec::new()),
                ..Default::default()
            };
            call(rig, peer, &request, 1).await.error_code
        }
        _ => {
            let request = consumer_group_describe::ConsumerGroupDescribeRequest {
                group_ids: vec![g()],
                ..Default::default()
            };
            call(rig, peer, &request, 1).await.groups[0].error_code
        }
    }
}

async fn told_of_transactions(rig: &Rig, peer: &Peer, key: ApiKey) -> ErrorCode {
    match key {
        ApiKey::AddPartitionsToTxn => {
            let topic = add_partitions_to_txn::AddPartitionsToTxnTopic { name: t(), partitions: vec![0] };
            let request = add_partitions_to_txn::AddPartitionsToTxnRequest {
                v3_and_below_transactional_id: "x".to_owned(),
                v3_and_below_topics: vec![topic.clone()],
                ..Default::default()
            };
            // Brokers ask for several; who is none is told so.
            let transaction = add_partitions_to_txn::AddPartitionsToTxnTransaction {
                transactional_id: "x".to_owned(),
                topics: vec![topic],
                ..Default::default()
            };
            let as_broker = add_partitions_to_txn::AddPartitionsToTxnRequest {
                transactions: vec![transaction],
                ..Default::default()
            };
            let answer = call(rig, peer, &request, 3).await;
            let told = answer.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code;
            let refused = told == ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
            assert_eq!(call(rig, peer, &as_broker, 5).await.error_code == CLUSTER, refused);
            told
        }
        ApiKey::AddOffsetsToTxn => {
            let request = add_offsets_to_txn::AddOffsetsToTxnRequest {
                transactional_id: "x".to_owned(),
                group_id: g(),
                ..Default::default()
            };
            call(rig, peer, &request, 4).await.error_code
        }
        ApiKey::TxnOffsetCommit => {
            let partitions = vec![txn_offset_commit::TxnOffsetCommitRequestPartition::default()];
            let request = txn_offset_commit::TxnOffsetCommitRequest {
                transactional_id: "x".to_owned(),
                group_id: g(),
                topics: vec![txn_offset_commit::TxnOffsetCommitRequestTopic { name: t(), partitions }],
                ..Default::default()
            };
            call(rig, peer, &request, 5).await.topics[0].partitions[0].error_code
        }
        ApiKey::EndTxn => {
            let request = end_txn::EndTxnRequest { transactional_id: "x".to_owned(), ..Default::default() };
            call(rig, peer, &request, 5).await.error_code
        }
        ApiKey::WriteTxnMarkers => {
            let topics =
                vec![write_txn_markers::WritableTxnMarkerTopic { name: t(), partition_indexes: vec![0] }];
            let marker = write_txn_markers::WritableTxnMarker { topics, ..Default::default() };
            let request = write_txn_markers::WriteTxnMarkersRequest { markers: vec![marker] };
            call(rig, peer, &request, 1).await.markers[0].topics[0].partitions[0].error_code
        }
        ApiKey::DescribeTransactions => {
            let request = describe_transactions::DescribeTransactionsRequest {
                transactional_ids: vec!["x".to_owned()],
            };
            call(rig, peer, &request, 0).await.transaction_states[0].error_code
        }
        _ => call(rig, peer, &list_transactions::ListTransactionsRequest::default(), 2).await.error_code,
    }
}

async fn told_of_access(rig: &Rig, peer: &Peer, key: ApiKey) -> ErrorCode {
    match key {
        ApiKey::DescribeAcls => call(rig, peer, &describe_all(), 3).await.error_code,
        ApiKey::CreateAcls => {
            let creation = create_acls::AclCreation {
                resource_type: 2,
                resource_name: t(),
                principal: "User:ANONYMOUS".to_owned(),
                host: "*".to_owned(),
                operation: 2,
                permission_type: 3,
                ..Default::default()
            };
            let request = create_acls::CreateAclsRequest { creations: vec![creation] };
            call(rig, peer, &request, 3).await.results[0].error_code
        }
        ApiKey::DeleteAcls => {
            let filter = delete_acls::DeleteAclsFilter {
                resource_type_filter: 1,
                pattern_type_filter: 1,
                operation: 1,
                permission_type: 1,
                ..Default::default()
            };
            let request = delete_acls::DeleteAclsRequest { filters: vec![filter] };
            call(rig, peer, &request, 3).await.filter_results[0].error_code
        }
        ApiKey::DescribeUserScramCredentials => {
            let request = describe_user_scram_credentials::DescribeUserScramCredentialsRequest::default();
            call(rig, peer, &request, 0).await.error_code
        }
        ApiKey::DescribeClientQuotas => {
            let request = describe_client_quotas::DescribeClientQuotasRequest::default();
            call(rig, peer, &request, 1).await.error_code
        }
        ApiKey::AlterUserScramCredentials => {
            let upsertion = alter_users::ScramCredentialUpsertion {
                name: "eve".to_owned(),
                mechanism: 1,
                iterations: 4096,
                salt: b"salt".as_slice().into(),
                salted_password: b"salted".as_slice().into(),
            };
            let request = alter_users::AlterUserScramCredentialsRequest {
                upsertions: vec![upsertion],
                ..Default::default()
            };
            call(rig, peer, &request, 0).await.results[0].error_code
        }
        ApiKey::SaslHandshake => {
            let request = sasl_handshake::SaslHandshakeRequest { mechanism: "PLAIN".to_owned() };
            call(rig, peer, &request, 1).await.error_code
        }
        _ => {
            let request =
                sasl_authenticate::SaslAuthenticateRequest { auth_bytes: b"\0a\0b".as_slice().into() };
            call(rig, peer, &request, 2).await.error_code
        }
    }
}

async fn told_of_the_node(rig: &Rig, peer: &Peer, key: ApiKey) -> ErrorCode {
    match key {
        ApiKey::ApiVersions => {
            call(rig, peer, &api_versions::ApiVersionsRequest::default(), 0).await.error_code
        }
        ApiKey::DescribeCluster => {
            call(rig, peer, &describe_cluster::DescribeClusterRequest::default(), 2).await.error_code
        }
        ApiKey::AlterReplicaLogDirs => {
            let topics =
                vec![alter_replica_log_dirs::AlterReplicaLogDirTopic { name: t(), partitions: vec![0] }];
            let dirs = vec![alter_replica_log_dirs::AlterReplicaLogDir { path: "/data".to_owned(), topics }];
            let request = alter_replica_log_dirs::AlterReplicaLogDirsRequest { dirs };
            call(rig, peer, &request, 2).await.results[0].partitions[0].error_code
        }
        ApiKey::DescribeLogDirs => {
            call(rig, peer, &describe_log_dirs::DescribeLogDirsRequest::default(), 5).await.error_code
        }
        ApiKey::ElectLeaders => {
            call(rig, peer, &elect_leaders::ElectLeadersRequest::default(), 2).await.error_code
        }
        ApiKey::AlterPartitionReassignments => {
            let request = alter_partition_reassignments::AlterPartitionReassignmentsRequest::default();
            call(rig, peer, &request, 1).await.error_code
        }
        ApiKey::ListPartitionReassignments => {
            let request = list_partition_reassignments::ListPartitionReassignmentsRequest::default();
            call(rig, peer, &request, 0).await.error_code
        }
        ApiKey::DescribeQuorum => {
            let partitions = vec![describe_quorum::PartitionData::default()];
            let name = "__cluster_metadata".to_owned();
            let topics = vec![describe_quorum::TopicData { topic_name: name, partitions }];
            call(rig, peer, &describe_quorum::DescribeQuorumRequest { topics }, 2).await.error_code
        }
        ApiKey::UpdateFeatures => {
            call(rig, peer, &update_features::UpdateFeaturesRequest::default(), 2).await.error_code
        }
        other => panic!("no request of {} is made here", other.name()),
    }
}

#[tokio::test]
async fn a_client_without_rights_is_refused_by_every_api() {
    let rig = Rig::with(ENFORCED);
    let admin = own();
    let request =
        create_topics::CreateTopicsRequest { topics: vec![topic("t", 1, &[])], ..Default::default() };
    assert_eq!(call(&rig, &admin, &request, 7).await.topics[0].error_code, ErrorCode::NONE);
    let nobody = anonymous();
    let mut wrong = Vec::new();
    for key in SERVED {
        let wanted = expected(*key).unwrap_or(ErrorCode::NONE);
        let found = told(&rig, &nobody, *key).await;
        if found != wanted {
            wrong.push((key.name(), found));
        }
    }
    assert_eq!(wrong, []);
    // Nothing came of any of it.
    assert_eq!(rig.broker.topics().len(), 1, "the offsets' topic is not made for it either");
    assert_eq!(rig.broker.partition_count("t"), Some(1));
    assert_eq!(rig.broker.partition("t", 0).unwrap().log_end(), 0);
    assert!(rig.broker.users(None).is_empty());
    assert!(call(&rig, &admin, &describe_all(), 3).await.resources.is_empty());
    // The same requests from the daemon's own user are refused by none.
    for key in SERVED {
        let code = told(&rig, &admin, *key).await;
        assert!(![TOPIC, GROUP, CLUSTER].contains(&code), "{}: {}", key.name(), code.name());
    }
}

/// What a client without rights is told must not depend on whether there is such a topic.
#[tokio::test]
async fn what_there_is_is_not_told_to_those_who_may_not_see_it() {
    let rig = Rig::with(ENFORCED);
    let nobody = anonymous();
    let of_topics = |key: &&ApiKey| expected(**key) == Some(TOPIC);
    let mut before = Vec::new();
    for key in SERVED.iter().filter(of_topics) {
        before.push(told(&rig, &nobody, *key).await);
    }
    let request =
        create_topics::CreateTopicsRequest { topics: vec![topic("t", 1, &[])], ..Default::default() };
    call(&rig, &own(), &request, 7).await;
    for (key, before) in SERVED.iter().filter(of_topics).zip(before) {
        assert_eq!(told(&rig, &nobody, *key).await, before, "{}", key.name());
    }
    let all = metadata::MetadataRequest { topics: None, ..Default::default() };
    assert!(call(&rig, &nobody, &all, 12).await.topics.is_empty());
    assert_eq!(call(&rig, &own(), &all, 12).await.topics.len(), 1);
}
