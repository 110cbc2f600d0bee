//! The APIs of what is in partitions; a table, no behaviour of its own.

use super::super::{delete_records, describe_producers, list_offsets, offset_for_leader_epoch};
use super::family;

family! { broker, peer, header:
    ListOffsets => |asked| list_offsets::handle(broker, peer, header.api_version, asked);
    DeleteRecords => |asked| delete_records::handle(broker, peer, asked);
    OffsetForLeaderEpoch => |asked| offset_for_leader_epoch::handle(broker, peer, asked);
    DescribeProducers => |asked| describe_producers::handle(broker, peer, asked);
}
