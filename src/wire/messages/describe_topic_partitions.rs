//! DescribeTopicPartitions (75): topics page by page (KIP-966).

use crate::codec::structs;
use crate::model::id::TopicId;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Which topics, none for all, and where to go on.
    pub struct DescribeTopicPartitionsRequest {
        topics: Vec<TopicRequest>,
        response_partition_limit: i32 = 2000,
        cursor: Option<Cursor>,
    }

    /// A topic.
    pub struct TopicRequest {
        name: String,
    }

    /// Where the next page begins.
    pub struct Cursor {
        topic_name: String,
        partition_index: i32,
    }

    /// A page of topics.
    pub struct DescribeTopicPartitionsResponse {
        throttle_time_ms: i32,
        topics: Vec<DescribeTopicPartitionsResponseTopic>,
        next_cursor: Option<Cursor>,
    }

    /// A topic.
    pub struct DescribeTopicPartitionsResponseTopic {
        error_code: ErrorCode,
        name: Option<String>,
        topic_id: TopicId,
        is_internal: bool,
        partitions: Vec<DescribeTopicPartitionsResponsePartition>,
        topic_authorized_operations: i32 = i32::MIN,
    }

    /// A partition and its replicas.
    pub struct DescribeTopicPartitionsResponsePartition {
        error_code: ErrorCode,
        partition_index: i32,
        leader_id: i32,
        leader_epoch: i32 = -1,
        replica_nodes: Vec<i32>,
        isr_nodes: Vec<i32>,
        eligible_leader_replicas: Option<Vec<i32>>,
        last_known_elr: Option<Vec<i32>>,
        offline_replicas: Vec<i32>,
    }
}

api!(DescribeTopicPartitions: DescribeTopicPartitionsRequest => DescribeTopicPartitionsResponse);
