//! The APIs of which topics and partitions there are; a table, no behaviour of its own.

use super::super::{create_topics, delete_topics, metadata};
use super::family;

family! { broker, peer, header:
    Metadata => |asked| metadata::handle(broker, peer, header.api_version, asked);
    CreateTopics => |asked| create_topics::handle(broker, header.api_version, asked);
    DeleteTopics => |asked| delete_topics::handle(broker, header.api_version, asked);
}
