//! ConsumerGroupDescribe (69): consumer groups and their members (KIP-848).

use crate::codec::structs;
use crate::model::id::TopicId;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Which groups.
    pub struct ConsumerGroupDescribeRequest {
        group_ids: Vec<String>,
        include_authorized_operations: bool,
    }

    /// The groups.
    pub struct ConsumerGroupDescribeResponse {
        throttle_time_ms: i32,
        groups: Vec<DescribedGroup>,
    }

    /// A group. Authorized operations are a bit field, `i32::MIN` when not asked for.
    pub struct DescribedGroup {
        error_code: ErrorCode,
        error_message: Option<String>,
        group_id: String,
        group_state: String,
        group_epoch: i32,
        assignment_epoch: i32,
        assignor_name: String,
        members: Vec<Member>,
        authorized_operations: i32 = i32::MIN,
    }

    /// A member; its type is 0 for the classic protocol, 1 for the consumer protocol, -1 where not told.
    pub struct Member {
        member_id: String,
        instance_id: Option<String>,
        rack_id: Option<String>,
        member_epoch: i32,
        client_id: String,
        client_host: String,
        subscribed_topic_names: Vec<String>,
        subscribed_topic_regex: Option<String>,
        assignment: Assignment,
        target_assignment: Assignment,
        member_type: i8 [1.., ignorable] = -1,
    }

    /// Partitions that a member has or is to have.
    pub struct Assignment {
        topic_partitions: Vec<TopicPartitions>,
    }

    /// Partitions of one topic.
    pub struct TopicPartitions {
        topic_id: TopicId,
        topic_name: String,
        partitions: Vec<i32>,
    }
}

api!(ConsumerGroupDescribe: ConsumerGroupDescribeRequest => ConsumerGroupDescribeResponse);
