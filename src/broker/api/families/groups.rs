//! The APIs of groups and their offsets; a table, no behaviour of its own.

use super::super::{
    add_offsets_to_txn, consumer_group_describe, consumer_group_heartbeat, delete_groups, describe_groups,
    find_coordinator, heartbeat, join_group, leave_group, list_groups, offset_commit, offset_delete,
    offset_fetch, sync_group, txn_offset_commit,
};
use super::family;

family! { broker, peer, header:
    OffsetCommit => |asked| offset_commit::handle(broker, peer, header, asked);
    OffsetFetch => |asked| offset_fetch::handle(broker, peer, header, asked);
    FindCoordinator => |asked| find_coordinator::handle(broker, peer, header, asked);
    JoinGroup => |asked| join_group::handle(broker, peer, header, asked);
    Heartbeat => |asked| heartbeat::handle(broker, peer, header, asked);
    LeaveGroup => |asked| leave_group::handle(broker, peer, header, asked);
    SyncGroup => |asked| sync_group::handle(broker, peer, header, asked);
    AddOffsetsToTxn => |asked| add_offsets_to_txn::handle(broker, peer, header.api_version, asked);
    TxnOffsetCommit => |asked| txn_offset_commit::handle(broker, peer, header.api_version, asked);
    DescribeGroups => |asked| describe_groups::handle(broker, peer, header, asked);
    ListGroups => |asked| list_groups::handle(broker, peer, header, asked);
    DeleteGroups => |asked| delete_groups::handle(broker, peer, header, asked);
    OffsetDelete => |asked| offset_delete::handle(broker, peer, header, asked);
    ConsumerGroupHeartbeat => |asked| consumer_group_heartbeat::handle(broker, peer, header, asked);
    ConsumerGroupDescribe => |asked| consumer_group_describe::handle(broker, peer, header, asked);
}
