//! Records of `__consumer_offsets` for consumer groups of KIP-848, which klog keeps, and for share groups (KIP-932) and
//! streams groups (KIP-1071), which it only reads, as Apache Kafka 4.3 defines them; it decides nothing about any group.
//!
//! All are flexible from version 0 on, the only one so far. Partitions are indexes, epochs rise, times are ms since
//! 1970. (`ConsumerGroupMetadataValue.json` and so on in Kafka's group coordinator.)

use bytes::Bytes;

use super::{SchemaError, whole};
use crate::codec::{Reader, Version, Wire, Writer, structs};
use crate::model::id::TopicId;

/// The kinds of record that a consumer group is kept in.
pub mod kind {
    /// [`super::ConsumerGroupMetadata`] under a [`super::GroupKey`].
    pub const METADATA: i16 = 3;
    /// [`super::ConsumerGroupMemberMetadata`] under a [`super::MemberKey`].
    pub const MEMBER: i16 = 5;
    /// [`super::TargetAssignmentMetadata`] under a [`super::GroupKey`].
    pub const TARGET_METADATA: i16 = 6;
    /// [`super::TargetAssignmentMember`] under a [`super::MemberKey`].
    pub const TARGET_MEMBER: i16 = 7;
    /// [`super::ConsumerGroupCurrentMemberAssignment`] under a [`super::MemberKey`].
    pub const CURRENT: i16 = 8;
    /// [`super::ConsumerGroupRegularExpression`] under a [`super::RegularExpressionKey`].
    pub const REGEX: i16 = 16;
}

/// The only version of these values so far, flexible.
const NEWEST: i16 = 0;

/// The body of a key of these kinds, which is not flexible.
///
/// # Errors
/// A text is too long.
pub fn encode_key(key: &impl Wire) -> Result<Bytes, SchemaError> {
    let mut writer = Writer::with_capacity(64);
    key.write(&mut writer, Version::new(0, None))?;
    Ok(writer.into_bytes())
}

/// Reads the body of a key of these kinds.
///
/// # Errors
/// The bytes are not such a key, whole.
pub fn decode_key<T: Wire>(key: Bytes, what: &'static str) -> Result<T, SchemaError> {
    let mut reader = Reader::new(key);
    let key = T::read(&mut reader, Version::new(0, None))?;
    whole(&reader, what)?;
    Ok(key)
}

/// A value of these kinds as it is stored.
///
/// # Errors
/// A text is too long.
pub fn encode_value(value: &impl Wire) -> Result<Bytes, SchemaError> {
    let mut writer = Writer::with_capacity(64);
    writer.i16(NEWEST);
    value.write(&mut writer, Version::new(NEWEST, Some(0)))?;
    Ok(writer.into_bytes())
}

/// Reads a value of these kinds.
///
/// # Errors
/// Another version than 0, or bytes that are not such a value, whole.
pub fn decode_value<T: Wire>(value: Bytes, what: &'static str) -> Result<T, SchemaError> {
    let mut reader = Reader::new(value);
    let version = reader.i16()?;
    if version != NEWEST {
        return Err(SchemaError::Version { what, found: version.into(), min: 0, max: NEWEST });
    }
    let value = T::read(&mut reader, Version::new(NEWEST, Some(0)))?;
    whole(&reader, what)?;
    Ok(value)
}

structs! {
    /// Which group: the key of most values here.
    pub struct GroupKey {
        /// The group.
        group_id: String,
    }

    /// Which member of which group.
    pub struct MemberKey {
        /// The group.
        group_id: String,
        /// The member.
        member_id: String,
    }

    /// Kind 3: a consumer group.
    pub struct ConsumerGroupMetadata {
        /// Rises whenever members or subscriptions change.
        epoch: i32,
        /// Of the topics subscribed to.
        metadata_hash: i64 [0.., tag 0],
    }

    /// Kind 4: the topics of a consumer group, as Kafka up to 4.0 kept them.
    pub struct ConsumerGroupPartitionMetadata {
        /// One by one.
        topics: Vec<TopicMetadata>,
    }

    /// A topic as a group saw it.
    pub struct TopicMetadata {
        topic_id: TopicId,
        topic_name: String,
        num_partitions: i32,
        partition_metadata: Vec<PartitionMetadata>,
    }

    /// A partition and where its replicas stand.
    pub struct PartitionMetadata {
        partition: i32,
        racks: Vec<String>,
    }

    /// Kind 5: a member of a consumer group, as it described itself.
    pub struct ConsumerGroupMemberMetadata {
        instance_id: Option<String>,
        rack_id: Option<String>,
        client_id: String,
        client_host: String,
        subscribed_topic_names: Vec<String>,
        subscribed_topic_regex: Option<String>,
        rebalance_timeout_ms: i32 = -1,
        server_assignor: Option<String>,
        /// What a member of the classic protocol told besides.
        classic_member_metadata: Option<ClassicMemberMetadata> [0.., tag 0] = Some(ClassicMemberMetadata::default()),
    }

    /// A member that speaks the classic protocol in a group of the new one.
    pub struct ClassicMemberMetadata {
        session_timeout_ms: i32,
        supported_protocols: Vec<ClassicProtocol>,
    }

    /// An assignor of the classic protocol and what the member tells it.
    pub struct ClassicProtocol {
        name: String,
        metadata: Bytes,
    }

    /// Kinds 6, 12 and 20: which epoch the wanted assignment is of.
    pub struct TargetAssignmentMetadata {
        assignment_epoch: i32,
        assignment_timestamp: i64 [0.., tag 0, ignorable],
    }

    /// Kinds 7 and 13: what a member is to have.
    pub struct TargetAssignmentMember {
        topic_partitions: Vec<TopicPartitions>,
    }

    /// Partitions of one topic.
    pub struct TopicPartitions {
        topic_id: TopicId,
        partitions: Vec<i32>,
    }

    /// Kind 8: what a member of a consumer group has.
    pub struct ConsumerGroupCurrentMemberAssignment {
        member_epoch: i32,
        previous_member_epoch: i32,
        /// 0 stable, 1 has to revoke, 2 waits for what others revoke, 127 unknown.
        state: i8,
        assigned_partitions: Vec<OwnedPartitions>,
        partitions_pending_revocation: Vec<OwnedPartitions>,
    }

    /// Partitions of one topic and the epochs in which the member got them.
    pub struct OwnedPartitions {
        topic_id: TopicId,
        partitions: Vec<i32>,
        assignment_epochs: Option<Vec<i32>> [0.., tag 0] = Some(Vec::new()),
    }

    /// The key of kind 16.
    pub struct RegularExpressionKey {
        group_id: String,
        regular_expression: String,
    }

    /// Kind 16: what a regular expression came to.
    pub struct ConsumerGroupRegularExpression {
        topics: Vec<String>,
        /// Of the metadata image it was held against.
        version: i64,
        timestamp: i64,
    }

    /// Kind 10: a member of a share group.
    pub struct ShareGroupMemberMetadata {
        rack_id: Option<String>,
        client_id: String,
        client_host: String,
        subscribed_topic_names: Vec<String>,
    }

    /// Kind 11: a share group.
    pub struct ShareGroupMetadata {
        epoch: i32,
        metadata_hash: i64,
    }

    /// Kind 14: what a member of a share group has.
    pub struct ShareGroupCurrentMemberAssignment {
        member_epoch: i32,
        previous_member_epoch: i32,
        state: i8,
        assigned_partitions: Vec<TopicPartitions>,
    }

    /// Kind 15: which partitions have share state.
    pub struct ShareGroupStatePartitionMetadata {
        initializing_topics: Vec<TopicPartitionsInfo>,
        initialized_topics: Vec<TopicPartitionsInfo>,
        deleting_topics: Vec<TopicInfo>,
    }

    /// Partitions of a topic, with its name.
    pub struct TopicPartitionsInfo {
        topic_id: TopicId,
        topic_name: String,
        partitions: Vec<i32>,
    }

    /// A topic's id and name.
    pub struct TopicInfo {
        topic_id: TopicId,
        topic_name: String,
    }

    /// Kind 17: a streams group.
    pub struct StreamsGroupMetadata {
        epoch: i32,
        metadata_hash: i64,
        validated_topology_epoch: i32 [0.., tag 0] = -1,
        last_assignment_configs: Option<Vec<AssignmentConfig>> [0.., tag 1] = Some(Vec::new()),
    }

    /// A setting that the last assignment was made by.
    pub struct AssignmentConfig {
        key: String,
        value: String,
    }

    /// Kind 19: a member of a streams group.
    pub struct StreamsGroupMemberMetadata {
        instance_id: Option<String>,
        rack_id: Option<String>,
        client_id: String,
        client_host: String,
        rebalance_timeout_ms: i32 = -1,
        topology_epoch: i32,
        process_id: String,
        user_endpoint: Option<Endpoint>,
        client_tags: Vec<Tag>,
    }

    /// Where a member answers queries.
    pub struct Endpoint {
        host: String,
        port: u16,
    }

    /// A tag that a member carries.
    pub struct Tag {
        key: String,
        value: String,
    }

    /// Kind 21: the tasks a member is to have.
    pub struct StreamsGroupTargetAssignmentMember {
        active_tasks: Vec<Tasks>,
        standby_tasks: Vec<Tasks>,
        warmup_tasks: Vec<Tasks>,
    }

    /// Tasks of one subtopology.
    pub struct Tasks {
        subtopology_id: String,
        partitions: Vec<i32>,
    }

    /// Kind 22: the tasks a member has.
    pub struct StreamsGroupCurrentMemberAssignment {
        member_epoch: i32,
        previous_member_epoch: i32,
        state: i8,
        active_tasks: Vec<OwnedTasks>,
        standby_tasks: Vec<OwnedTasks>,
        warmup_tasks: Vec<OwnedTasks>,
        active_tasks_pending_revocation: Vec<OwnedTasks>,
        standby_tasks_pending_revocation: Vec<OwnedTasks>,
        warmup_tasks_pending_revocation: Vec<OwnedTasks>,
    }

    /// Tasks of one subtopology and the epochs in which the member got them.
    pub struct OwnedTasks {
        subtopology_id: String,
        partitions: Vec<i32>,
        assignment_epochs: Option<Vec<i32>> [0.., tag 0] = Some(Vec::new()),
    }

    /// Kind 23: what a streams group runs.
    pub struct StreamsGroupTopology {
        epoch: i32,
        subtopologies: Vec<Subtopology>,
    }

    /// A part of a topology whose tasks go together.
    pub struct Subtopology {
        subtopology_id: String,
        source_topics: Vec<String>,
        source_topic_regex: Vec<String>,
        state_changelog_topics: Vec<InnerTopic>,
        repartition_sink_topics: Vec<String>,
        repartition_source_topics: Vec<InnerTopic>,
        copartition_groups: Vec<CopartitionGroup>,
    }

    /// A topic that a topology makes for itself.
    pub struct InnerTopic {
        name: String,
        partitions: i32,
        replication_factor: i16,
        topic_configs: Vec<TopicConfig>,
    }

    /// A setting of such a topic.
    pub struct TopicConfig {
        key: String,
        value: String,
    }

    /// Topics, by their places in the subtopology, that have equally many partitions.
    pub struct CopartitionGroup {
        source_topics: Vec<i16>,
        source_topic_regex: Vec<i16>,
        repartition_source_topics: Vec<i16>,
    }
}
