//! ConsumerGroupHeartbeat (68): a member of a consumer group is there (KIP-848).

use crate::codec::structs;
use crate::model::id::TopicId;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Epoch 0 joins, -1 leaves, -2 leaves for a while (static members); `None` says that nothing changed since
    /// the last one.
    pub struct ConsumerGroupHeartbeatRequest {
        group_id: String,
        member_id: String,
        member_epoch: i32,
        instance_id: Option<String>,
        rack_id: Option<String>,
        rebalance_timeout_ms: i32 = -1,
        subscribed_topic_names: Option<Vec<String>>,
        subscribed_topic_regex: Option<String> [1..],
        server_assignor: Option<String>,
        topic_partitions: Option<Vec<TopicPartitions>>,
    }

    /// Partitions of one topic.
    pub struct TopicPartitions {
        topic_id: TopicId,
        partitions: Vec<i32>,
    }

    /// The epoch and, where it changed, what the member is to have.
    pub struct ConsumerGroupHeartbeatResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<String>,
        member_id: Option<String>,
        member_epoch: i32,
        heartbeat_interval_ms: i32,
        assignment: Option<Assignment>,
    }

    /// What a member is to have.
    pub struct Assignment {
        topic_partitions: Vec<TopicPartitions>,
    }
}

api!(ConsumerGroupHeartbeat: ConsumerGroupHeartbeatRequest => ConsumerGroupHeartbeatResponse);
