//! The APIs of what is in partitions; a table, no behaviour of its own.

use super::super::{init_producer_id, list_offsets};
use super::family;

family! { broker, peer, header:
    ListOffsets => |asked| list_offsets::handle(broker, header.api_version, asked);
    InitProducerId => |asked| init_producer_id::handle(broker, asked);
}
