//! CreateTopics (19): topics to make.

use crate::codec::structs;
use crate::model::id::TopicId;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Topics to make, or only to check.
    pub struct CreateTopicsRequest {
        topics: Vec<CreatableTopic>,
        timeout_ms: i32 = 60000,
        validate_only: bool,
    }

    /// A topic to make. Partitions and replication -1: the broker's default, or said by the assignments.
    pub struct CreatableTopic {
        name: String,
        num_partitions: i32,
        replication_factor: i16,
        assignments: Vec<CreatableReplicaAssignment>,
        configs: Vec<CreatableTopicConfig>,
    }

    /// The brokers that are to hold a partition.
    pub struct CreatableReplicaAssignment {
        partition_index: i32,
        broker_ids: Vec<i32>,
    }

    /// A setting; `None` for its default.
    pub struct CreatableTopicConfig {
        name: String,
        value: Option<String>,
    }

    /// What became of each topic.
    pub struct CreateTopicsResponse {
        throttle_time_ms: i32,
        topics: Vec<CreatableTopicResult>,
    }

    /// What became of one topic; from version 5 on with its settings (KIP-525).
    pub struct CreatableTopicResult {
        name: String,
        topic_id: TopicId [7.., ignorable],
        error_code: ErrorCode,
        error_message: Option<String>,
        topic_config_error_code: ErrorCode [5.., tag 0, ignorable],
        num_partitions: i32 [5.., ignorable] = -1,
        replication_factor: i16 [5.., ignorable] = -1,
        configs: Option<Vec<CreatableTopicConfigs>> [5.., ignorable],
    }

    /// A setting of the new topic and where its value comes from.
    pub struct CreatableTopicConfigs {
        name: String,
        value: Option<String>,
        read_only: bool,
        config_source: i8 = -1,
        is_sensitive: bool,
    }
}

api!(CreateTopics: CreateTopicsRequest => CreateTopicsResponse);
