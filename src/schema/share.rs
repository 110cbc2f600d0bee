//! Keys and values of `__share_group_state` as Apache Kafka 4.3 writes them (`ShareSnapshotValue.json` and so on in
//! its share coordinator); klog reads them only.

use crate::codec::structs;
use crate::model::id::TopicId;

structs! {
    /// Which share partition: the key of both kinds.
    pub struct SharePartitionKey {
        /// The share group.
        group_id: String,
        /// The topic.
        topic_id: TopicId,
        /// The partition.
        partition: i32,
    }

    /// Kind 0: all there is to know of a share partition.
    pub struct ShareSnapshot {
        snapshot_epoch: i32,
        state_epoch: i32,
        leader_epoch: i32,
        /// Everything before it is done with; -1 for not begun.
        start_offset: i64,
        delivery_complete_count: i32 [0.., tag 0] = -1,
        /// ms since 1970.
        create_timestamp: i64,
        /// ms since 1970.
        write_timestamp: i64,
        state_batches: Vec<StateBatch>,
    }

    /// Kind 1: what changed since the snapshot.
    pub struct ShareUpdate {
        snapshot_epoch: i32,
        leader_epoch: i32,
        start_offset: i64,
        delivery_complete_count: i32 [0.., tag 0] = -1,
        state_batches: Vec<StateBatch>,
    }

    /// Records that share a state.
    pub struct StateBatch {
        first_offset: i64,
        last_offset: i64,
        /// 0 available, 2 acknowledged, 4 archived.
        delivery_state: i8,
        delivery_count: i16,
    }
}
