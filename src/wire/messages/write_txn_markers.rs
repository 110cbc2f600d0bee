//! WriteTxnMarkers (27): the ends of transactions, for their partitions (KIP-98): what a coordinator sends to brokers.

use crate::codec::structs;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Markers to write.
    pub struct WriteTxnMarkersRequest {
        markers: Vec<WritableTxnMarker>,
    }

    /// A marker and where it goes.
    pub struct WritableTxnMarker {
        producer_id: i64,
        producer_epoch: i16,
        transaction_result: bool,
        topics: Vec<WritableTxnMarkerTopic>,
        coordinator_epoch: i32,
        transaction_version: i8 [2.., ignorable],
    }

    /// Partitions of one topic.
    pub struct WritableTxnMarkerTopic {
        name: String,
        partition_indexes: Vec<i32>,
    }

    /// What became of each.
    pub struct WriteTxnMarkersResponse {
        markers: Vec<WritableTxnMarkerResult>,
    }

    /// What became of the markers of one producer.
    pub struct WritableTxnMarkerResult {
        producer_id: i64,
        topics: Vec<WritableTxnMarkerTopicResult>,
    }

    /// What became of the markers in one topic.
    pub struct WritableTxnMarkerTopicResult {
        name: String,
        partitions: Vec<WritableTxnMarkerPartitionResult>,
    }

    /// What became of one marker.
    pub struct WritableTxnMarkerPartitionResult {
        partition_index: i32,
        error_code: ErrorCode,
    }
}

api!(WriteTxnMarkers: WriteTxnMarkersRequest => WriteTxnMarkersResponse);
