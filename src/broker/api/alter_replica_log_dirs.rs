//! AlterReplicaLogDirs (34), versions 1 and 2: moves between data folders (KIP-113). There is one folder: to it all
//! partitions have moved already; any other is refused with LOG_DIR_NOT_FOUND.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::operations;
use crate::auth::acl::Operation;
use crate::broker::{Broker, Peer};
use crate::wire::error::ErrorCode;
use crate::wire::messages::alter_replica_log_dirs::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult, AlterReplicaLogDirsRequest,
    AlterReplicaLogDirsResponse,
};

pub(super) async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    request: AlterReplicaLogDirsRequest,
) -> AlterReplicaLogDirsResponse {
    let denied = operations::cluster(broker, peer, Operation::Alter).err().map(|(code, _)| code);
    // A partition named for several folders gets the last one's answer, as in Kafka.
    let mut topics: BTreeMap<String, BTreeMap<i32, ErrorCode>> = BTreeMap::new();
    for dir in request.dirs {
        let is_here = Path::new(&dir.path) == broker.folder().path();
        for topic in dir.topics {
            let found = broker.topic(&topic.name);
            for partition in topic.partitions {
                let code = match denied {
                    Some(code) => code,
                    None if !is_here => ErrorCode::LOG_DIR_NOT_FOUND,
                    None if found.as_ref().is_some_and(|topic| topic.has(partition)) => ErrorCode::NONE,
                    None => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                };
                topics.entry(topic.name.clone()).or_default().insert(partition, code);
            }
        }
    }
    let results = topics.into_iter().map(|(topic_name, partitions)| {
        let partitions = partitions.into_iter().map(|(partition_index, error_code)| {
            AlterReplicaLogDirPartitionResult { partition_index, error_code }
        });
        AlterReplicaLogDirTopicResult { topic_name, partitions: partitions.collect() }
    });
    AlterReplicaLogDirsResponse { results: results.collect(), ..Default::default() }
}
