//! AlterReplicaLogDirs (34): replicas are to move between data folders of a broker (KIP-113).

use crate::codec::structs;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Where replicas are to lie.
    pub struct AlterReplicaLogDirsRequest {
        dirs: Vec<AlterReplicaLogDir>,
    }

    /// A data folder, by its absolute path, and what is to lie there.
    pub struct AlterReplicaLogDir {
        path: String,
        topics: Vec<AlterReplicaLogDirTopic>,
    }

    /// Partitions of one topic.
    pub struct AlterReplicaLogDirTopic {
        name: String,
        partitions: Vec<i32>,
    }

    /// What became of it.
    pub struct AlterReplicaLogDirsResponse {
        throttle_time_ms: i32,
        results: Vec<AlterReplicaLogDirTopicResult>,
    }

    /// What became of the partitions of one topic.
    pub struct AlterReplicaLogDirTopicResult {
        topic_name: String,
        partitions: Vec<AlterReplicaLogDirPartitionResult>,
    }

    /// What became of one partition.
    pub struct AlterReplicaLogDirPartitionResult {
        partition_index: i32,
        error_code: ErrorCode,
    }
}

api!(AlterReplicaLogDirs: AlterReplicaLogDirsRequest => AlterReplicaLogDirsResponse);
