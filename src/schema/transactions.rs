//! Keys and values of `__transaction_state` as Apache Kafka 4.3 writes them (`TransactionLogKey.json`,
//! `TransactionLogValue.json` in its transaction coordinator); it decides nothing about a transaction.

use crate::codec::structs;

structs! {
    /// Which transactional id (kind 0).
    pub struct TransactionLogKey {
        /// The id.
        transactional_id: String,
    }

    /// A transactional id as it stands, versions 0 and 1; flexible in 1.
    pub struct TransactionLogValue {
        /// The producer id it has.
        producer_id: i64,
        /// The one before, -1 for none.
        previous_producer_id: i64 [1.., tag 0] = -1,
        /// The one it gets next, while one runs out of epochs; -1 for none.
        next_producer_id: i64 [1.., tag 1] = -1,
        /// The producer epoch, -1 for none.
        producer_epoch: i16,
        /// The epoch that goes with the next producer id, -1 for none.
        next_producer_epoch: i16 [1.., tag 3] = -1,
        /// How long a transaction may take: milliseconds.
        transaction_timeout_ms: i32,
        /// 0 empty, 1 ongoing, 2 prepare commit, 3 prepare abort, 4 complete commit, 5 complete abort, 6 dead,
        /// 7 prepare epoch fence.
        transaction_status: i8,
        /// The partitions taking part; none outside of a transaction.
        transaction_partitions: Option<Vec<TransactionPartitions>>,
        /// When this was written: ms since 1970.
        transaction_last_update_timestamp_ms: i64,
        /// When the transaction began: ms since 1970, -1 for none.
        transaction_start_timestamp_ms: i64,
        /// What the client can do (KIP-890).
        client_transaction_version: i16 [1.., tag 2],
    }

    /// Partitions of one topic that take part in a transaction.
    pub struct TransactionPartitions {
        /// The topic's name.
        topic: String,
        /// Its partitions.
        partition_ids: Vec<i32>,
    }
}
