//! DescribeLogDirs (35), versions 1 to 5: the one data folder, its space, and what lies there of each partition
//! (KIP-113, KIP-827). Partitions that are not there are left out.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::operations;
use crate::auth::acl::Operation;
use crate::broker::{Broker, Peer, Topic};
use crate::wire::error::ErrorCode;
use crate::wire::messages::describe_log_dirs::{
    DescribableLogDirTopic, DescribeLogDirsPartition, DescribeLogDirsRequest, DescribeLogDirsResponse,
    DescribeLogDirsResult, DescribeLogDirsTopic,
};

pub(super) async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    request: DescribeLogDirsRequest,
) -> DescribeLogDirsResponse {
    if let Err((error_code, _)) = operations::cluster(broker, peer, Operation::Describe) {
        return DescribeLogDirsResponse { error_code, ..Default::default() };
    }
    let described = broker.blocking(move |broker| describe(broker, request.topics)).await;
    match described {
        Ok(result) => DescribeLogDirsResponse { results: vec![result], ..Default::default() },
        Err(error) => {
            DescribeLogDirsResponse { error_code: super::error::of_broker(&error), ..Default::default() }
        }
    }
}

fn describe(broker: &Broker, asked: Option<Vec<DescribableLogDirTopic>>) -> DescribeLogDirsResult {
    let topics: Vec<DescribeLogDirsTopic> = match asked {
        None => {
            broker.topics().iter().map(|topic| sizes(broker, topic, 0..topic.partition_count())).collect()
        }
        Some(asked) => {
            let named = asked.into_iter().filter_map(|one| {
                let topic = broker.topic(&one.topic)?;
                let once: BTreeSet<i32> =
                    one.partitions.into_iter().filter(|partition| topic.has(*partition)).collect();
                Some(sizes(broker, &topic, once.into_iter()))
            });
            named.filter(|topic| !topic.partitions.is_empty()).collect()
        }
    };
    let space = broker.folder().space();
    let (total, free) = space.as_ref().copied().unwrap_or((0, 0));
    let bytes = |bytes: u64| if space.is_ok() { i64::try_from(bytes).unwrap_or(i64::MAX) } else { -1 };
    DescribeLogDirsResult {
        error_code: ErrorCode::NONE,
        log_dir: broker.folder().path().display().to_string(),
        topics,
        total_bytes: bytes(total),
        usable_bytes: bytes(free),
        is_cordoned: false,
    }
}

fn sizes(broker: &Broker, topic: &Topic, partitions: impl Iterator<Item = i32>) -> DescribeLogDirsTopic {
    let partition = |partition_index| DescribeLogDirsPartition {
        partition_index,
        partition_size: i64::try_from(broker.partition_bytes(topic, partition_index)).unwrap_or(i64::MAX),
        ..Default::default()
    };
    DescribeLogDirsTopic { name: topic.name().to_string(), partitions: partitions.map(partition).collect() }
}
