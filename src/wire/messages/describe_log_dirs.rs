//! DescribeLogDirs (35): the data folders of a broker and the sizes of what lies there (KIP-113, KIP-827).

use crate::codec::structs;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Which partitions; `None` for all.
    pub struct DescribeLogDirsRequest {
        topics: Option<Vec<DescribableLogDirTopic>>,
    }

    /// Partitions of one topic.
    pub struct DescribableLogDirTopic {
        topic: String,
        partitions: Vec<i32>,
    }

    /// The data folders.
    pub struct DescribeLogDirsResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode [3.., ignorable],
        results: Vec<DescribeLogDirsResult>,
    }

    /// A data folder; bytes are -1 where they are not known.
    pub struct DescribeLogDirsResult {
        error_code: ErrorCode,
        log_dir: String,
        topics: Vec<DescribeLogDirsTopic>,
        total_bytes: i64 [4.., ignorable] = -1,
        usable_bytes: i64 [4.., ignorable] = -1,
        is_cordoned: bool [5.., ignorable],
    }

    /// What lies there of one topic.
    pub struct DescribeLogDirsTopic {
        name: String,
        partitions: Vec<DescribeLogDirsPartition>,
    }

    /// A partition's size in bytes, and how far it is behind the current replica.
    pub struct DescribeLogDirsPartition {
        partition_index: i32,
        partition_size: i64,
        offset_lag: i64,
        is_future_key: bool,
    }
}

api!(DescribeLogDirs: DescribeLogDirsRequest => DescribeLogDirsResponse);
