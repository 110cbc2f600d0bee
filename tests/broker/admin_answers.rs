//! Every admin API in every version is asked once for what is there and once for what is not.

use klog::wire::api::ApiKey;
use klog::wire::messages::alter_partition_reassignments as reassign;
use klog::wire::messages::alter_replica_log_dirs as moves;
use klog::wire::messages::create_partitions::{CreatePartitionsRequest, CreatePartitionsTopic};
use klog::wire::messages::delete_records as deletion;
use klog::wire::messages::describe_cluster::DescribeClusterRequest;
use klog::wire::messages::describe_log_dirs::{DescribableLogDirTopic, DescribeLogDirsRequest};
use klog::wire::messages::describe_producers as producers;
use klog::wire::messages::describe_quorum as quorum;
use klog::wire::messages::describe_topic_partitions as paging;
use klog::wire::messages::elect_leaders::{ElectLeadersRequest, TopicPartitions};
use klog::wire::messages::list_config_resources::ListConfigResourcesRequest;
use klog::wire::messages::list_partition_reassignments::ListPartitionReassignmentsRequest;
use klog::wire::messages::offset_for_leader_epoch as epochs;
use klog::wire::messages::update_features::{FeatureUpdateKey, UpdateFeaturesRequest};
use klog::wire::messages::{alter_configs, incremental_alter_configs};

use crate::answers::answered;
use crate::rig::Rig;

const NAMES: [&str; 2] = ["t", "none"];

/// Whether the API is one of these.
pub(crate) async fn one(rig: &Rig, key: ApiKey, version: i16) -> bool {
    match key {
        ApiKey::DeleteRecords => delete_records(rig, version).await,
        ApiKey::OffsetForLeaderEpoch => offset_for_leader_epoch(rig, version).await,
        ApiKey::DescribeProducers => describe_producers(rig, version).await,
        ApiKey::CreatePartitions => create_partitions(rig, version).await,
        ApiKey::ElectLeaders => elect_leaders(rig, version).await,
        ApiKey::AlterPartitionReassignments => reassignments(rig, version).await,
        ApiKey::ListPartitionReassignments => {
            answered(rig, &ListPartitionReassignmentsRequest::default(), version).await;
        }
        ApiKey::DescribeTopicPartitions => {
            let topics = NAMES.map(|name| paging::TopicRequest { name: name.to_owned() }).to_vec();
            let request = paging::DescribeTopicPartitionsRequest { topics, ..Default::default() };
            answered(rig, &request, version).await;
        }
        ApiKey::AlterConfigs => alter_configs(rig, version).await,
        ApiKey::IncrementalAlterConfigs => incremental(rig, version).await,
        ApiKey::ListConfigResources => {
            answered(rig, &ListConfigResourcesRequest::default(), version).await;
        }
        ApiKey::DescribeCluster => {
            let mut request =
                DescribeClusterRequest { include_cluster_authorized_operations: true, ..Default::default() };
            answered(rig, &request, version).await;
            if version >= 1 {
                request.endpoint_type = 2;
                answered(rig, &request, version).await;
            }
        }
        ApiKey::DescribeQuorum => {
            let topic = |name: &str| quorum::TopicData {
                topic_name: name.to_owned(),
                partitions: vec![quorum::PartitionData { partition_index: 0 }],
            };
            let topics = vec![topic("__cluster_metadata"), topic("t")];
            answered(rig, &quorum::DescribeQuorumRequest { topics }, version).await;
        }
        ApiKey::DescribeLogDirs => {
            answered(rig, &DescribeLogDirsRequest { topics: None }, version).await;
            let topics = NAMES
                .map(|name| DescribableLogDirTopic { topic: name.to_owned(), partitions: vec![0, 9] })
                .to_vec();
            answered(rig, &DescribeLogDirsRequest { topics: Some(topics) }, version).await;
        }
        ApiKey::AlterReplicaLogDirs => {
            let topic =
                |name: &str| moves::AlterReplicaLogDirTopic { name: name.to_owned(), partitions: vec![0] };
            let dirs = ["/data", "/none"].map(|path| moves::AlterReplicaLogDir {
                path: path.to_owned(),
                topics: NAMES.map(topic).to_vec(),
            });
            answered(rig, &moves::AlterReplicaLogDirsRequest { dirs: dirs.to_vec() }, version).await;
        }
        ApiKey::UpdateFeatures => {
            for feature in ["group.version", "none"] {
                let update = FeatureUpdateKey {
                    feature: feature.to_owned(),
                    max_version_level: 1,
                    ..Default::default()
                };
                let request = UpdateFeaturesRequest { feature_updates: vec![update], ..Default::default() };
                answered(rig, &request, version).await;
            }
        }
        _ => return false,
    }
    true
}

async fn delete_records(rig: &Rig, version: i16) {
    let topics = NAMES
        .map(|name| deletion::DeleteRecordsTopic {
            name: name.to_owned(),
            partitions: vec![deletion::DeleteRecordsPartition { partition_index: 0, offset: 0 }],
        })
        .to_vec();
    answered(rig, &deletion::DeleteRecordsRequest { topics, timeout_ms: 1 }, version).await;
}

async fn offset_for_leader_epoch(rig: &Rig, version: i16) {
    let topics = NAMES
        .map(|name| epochs::OffsetForLeaderTopic {
            topic: name.to_owned(),
            partitions: vec![epochs::OffsetForLeaderPartition { partition: 0, ..Default::default() }],
        })
        .to_vec();
    answered(rig, &epochs::OffsetForLeaderEpochRequest { topics, ..Default::default() }, version).await;
}

async fn describe_producers(rig: &Rig, version: i16) {
    let topics = NAMES
        .map(|name| producers::TopicRequest { name: name.to_owned(), partition_indexes: vec![0, 9] })
        .to_vec();
    answered(rig, &producers::DescribeProducersRequest { topics }, version).await;
}

async fn create_partitions(rig: &Rig, version: i16) {
    let topic = |name: &str| CreatePartitionsTopic { name: name.to_owned(), count: 3, ..Default::default() };
    let topics = NAMES.map(topic).to_vec();
    answered(rig, &CreatePartitionsRequest { topics, ..Default::default() }, version).await;
}

async fn elect_leaders(rig: &Rig, version: i16) {
    let topics =
        NAMES.map(|name| TopicPartitions { topic: name.to_owned(), partitions: vec![0, 9] }).to_vec();
    for topic_partitions in [None, Some(topics)] {
        answered(rig, &ElectLeadersRequest { topic_partitions, ..Default::default() }, version).await;
    }
}

async fn reassignments(rig: &Rig, version: i16) {
    let topic = |name: &str| reassign::ReassignableTopic {
        name: name.to_owned(),
        partitions: [None, Some(vec![1]), Some(vec![2])]
            .map(|replicas| reassign::ReassignablePartition { partition_index: 0, replicas })
            .to_vec(),
    };
    let topics = NAMES.map(topic).to_vec();
    let request = reassign::AlterPartitionReassignmentsRequest { topics, ..Default::default() };
    answered(rig, &request, version).await;
}

async fn alter_configs(rig: &Rig, version: i16) {
    let resources = NAMES
        .map(|name| alter_configs::AlterConfigsResource {
            resource_type: 2,
            resource_name: name.to_owned(),
            configs: vec![alter_configs::AlterableConfig {
                name: "segment.ms".to_owned(),
                value: Some("100000".to_owned()),
            }],
        })
        .to_vec();
    answered(rig, &alter_configs::AlterConfigsRequest { resources, validate_only: false }, version).await;
}

async fn incremental(rig: &Rig, version: i16) {
    let resources = NAMES
        .map(|name| incremental_alter_configs::AlterConfigsResource {
            resource_type: 2,
            resource_name: name.to_owned(),
            configs: vec![incremental_alter_configs::AlterableConfig {
                name: "segment.ms".to_owned(),
                config_operation: 1,
                value: None,
            }],
        })
        .to_vec();
    let request =
        incremental_alter_configs::IncrementalAlterConfigsRequest { resources, validate_only: false };
    answered(rig, &request, version).await;
}
