//! Metadata (3): which brokers and topics there are, and who leads each partition.

use crate::codec::structs;
use crate::model::id::TopicId;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Asks for brokers and topics. Topics `None` means all; so does an empty list in version 0, later it
    /// means none.
    pub struct MetadataRequest {
        topics: Option<Vec<MetadataRequestTopic>> [0.., null 1..],
        allow_auto_topic_creation: bool [4..] = true,
        include_cluster_authorized_operations: bool [8..=10],
        include_topic_authorized_operations: bool [8..],
    }

    /// A topic asked for: by name, from version 12 on by id as well.
    pub struct MetadataRequestTopic {
        topic_id: TopicId [10.., ignorable],
        name: Option<String> [0.., null 10..],
    }

    /// The brokers, the controller and the topics.
    pub struct MetadataResponse {
        throttle_time_ms: i32 [3.., ignorable],
        brokers: Vec<MetadataResponseBroker>,
        cluster_id: Option<String> [2.., ignorable],
        controller_id: i32 [1.., ignorable] = -1,
        topics: Vec<MetadataResponseTopic>,
        cluster_authorized_operations: i32 [8..=10] = i32::MIN,
        error_code: ErrorCode [13.., ignorable],
    }

    /// A broker's address.
    pub struct MetadataResponseBroker {
        node_id: i32,
        host: String,
        port: i32,
        rack: Option<String> [1.., ignorable],
    }

    /// A topic, or why it can not be described. Authorized operations are a bit field; `i32::MIN` when not
    /// asked for.
    pub struct MetadataResponseTopic {
        error_code: ErrorCode,
        name: Option<String> [0.., null 12..],
        topic_id: TopicId [10.., ignorable],
        is_internal: bool [1.., ignorable],
        partitions: Vec<MetadataResponsePartition>,
        topic_authorized_operations: i32 [8..] = i32::MIN,
    }

    /// A partition, its leader and its replicas.
    pub struct MetadataResponsePartition {
        error_code: ErrorCode,
        partition_index: i32,
        leader_id: i32,
        leader_epoch: i32 [7.., ignorable] = -1,
        replica_nodes: Vec<i32>,
        isr_nodes: Vec<i32>,
        offline_replicas: Vec<i32> [5.., ignorable],
    }
}

api!(Metadata: MetadataRequest => MetadataResponse);
