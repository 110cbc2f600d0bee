//! DeleteRecords (21): records before an offset are to go (KIP-107).

use crate::codec::structs;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Moves log starts up.
    pub struct DeleteRecordsRequest {
        topics: Vec<DeleteRecordsTopic>,
        timeout_ms: i32,
    }

    /// Partitions of one topic.
    pub struct DeleteRecordsTopic {
        name: String,
        partitions: Vec<DeleteRecordsPartition>,
    }

    /// The offset before which records are to go; -1 is the high watermark.
    pub struct DeleteRecordsPartition {
        partition_index: i32,
        offset: i64,
    }

    /// Where logs now start.
    pub struct DeleteRecordsResponse {
        throttle_time_ms: i32,
        topics: Vec<DeleteRecordsTopicResult>,
    }

    /// Where the logs of one topic now start.
    pub struct DeleteRecordsTopicResult {
        name: String,
        partitions: Vec<DeleteRecordsPartitionResult>,
    }

    /// The new log start offset, the low watermark; -1 with an error.
    pub struct DeleteRecordsPartitionResult {
        partition_index: i32,
        low_watermark: i64,
        error_code: ErrorCode,
    }
}

api!(DeleteRecords: DeleteRecordsRequest => DeleteRecordsResponse);
