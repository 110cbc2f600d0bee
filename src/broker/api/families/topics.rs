//! The APIs of which topics and partitions there are; a table, no behaviour of its own.

use super::super::{
    alter_partition_reassignments, create_partitions, create_topics, delete_topics,
    describe_topic_partitions, elect_leaders, list_partition_reassignments, metadata,
};
use super::family;

family! { broker, peer, header:
    Metadata => |asked| metadata::handle(broker, peer, header.api_version, asked);
    CreateTopics => |asked| create_topics::handle(broker, peer, header.api_version, asked);
    DeleteTopics => |asked| delete_topics::handle(broker, peer, header.api_version, asked);
    CreatePartitions => |asked| create_partitions::handle(broker, peer, asked);
    ElectLeaders => |asked| elect_leaders::handle(broker, peer, header.api_version, asked);
    AlterPartitionReassignments => |asked| alter_partition_reassignments::handle(broker, peer, asked);
    ListPartitionReassignments => |asked| list_partition_reassignments::handle(broker, peer, asked);
    DescribeTopicPartitions => |asked| describe_topic_partitions::handle(broker, peer, asked);
}
