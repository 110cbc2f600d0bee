//! One look at what a fetch can be given now: for each partition a plan or the reason there is none; it moves no bytes
//! and waits for nothing.

use std::sync::Arc;

use super::{error, operations};
use crate::auth::acl::Operation;
use crate::broker::fetch_session::{TopicKey, Want, Wanted};
use crate::broker::{Broker, Partition, Peer, Topic};
use crate::storage::{ReadPlan, StorageError};
use crate::wire::error::ErrorCode;
use crate::wire::messages::fetch::{AbortedTransaction, EpochEndOffset, FetchRequest, PartitionData};

const READ_COMMITTED: i8 = 1;

/// What bounds an answer, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// It is held back until there is this much.
    pub(super) min_bytes: usize,
    /// All records together, a first batch aside.
    pub(super) max_bytes: usize,
    /// Whether records end at the last stable offset (read_committed).
    pub(super) committed: bool,
}

impl Limits {
    /// Of a request, within the broker's own.
    pub(super) fn of(broker: &Broker, request: &FetchRequest) -> Self {
        let size = |bytes: i32| usize::try_from(bytes).unwrap_or(0);
        let max_bytes = size(request.max_bytes).min(broker.settings().size("fetch.max.bytes"));
        let committed = request.isolation_level == READ_COMMITTED;
        Self { min_bytes: size(request.min_bytes).min(max_bytes), max_bytes, committed }
    }
}

/// What a partition gives: the answer's fields, and where the records are.
pub(super) struct Found {
    pub(super) topic: TopicKey,
    pub(super) data: PartitionData,
    pub(super) plan: Option<ReadPlan>,
    /// The consumer's log parts from this one; `data` says where.
    pub(super) diverges: bool,
    /// The partition, where there is one.
    pub(super) partition: Option<Arc<Partition>>,
}

impl Found {
    /// Bytes of records.
    pub(super) fn len(&self) -> usize {
        self.plan.as_ref().map_or(0, |plan| plan.len)
    }
}

/// The partition that is meant, if the peer may read it: asked anew at every look, so that no session outlives a right.
pub(super) fn resolve(
    broker: &Broker,
    peer: &Peer,
    topic: &TopicKey,
    partition: i32,
) -> Result<(Arc<Topic>, Arc<Partition>), ErrorCode> {
    let may_read =
        |name: &str| operations::topic(broker, peer, Operation::Read, name).map_err(|(code, _)| code);
    let topic = match topic {
        TopicKey::Name(name) => {
            may_read(name)?;
            broker.topic(name).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?
        }
        TopicKey::Id(id) => {
            let topic = broker.topic_by_id(id).ok_or(ErrorCode::UNKNOWN_TOPIC_ID)?;
            may_read(topic.name())?;
            topic
        }
    };
    let found = broker.partition_of(&topic, partition).map_err(|error| error::of_storage(&error))?;
    let found = found.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    Ok((topic, found))
}

/// Looks at all partitions in order. The first that has anything gives at least one batch whatever the limits; once
/// the limit is reached the rest are only told their marks.
pub(super) fn read(broker: &Broker, peer: &Peer, wants: &[Want], limits: Limits) -> Vec<Found> {
    let mut left = limits.max_bytes;
    let mut first = true;
    let mut found = Vec::with_capacity(wants.len());
    for (topic, index, wanted) in wants {
        let mut data = PartitionData { partition_index: *index, ..nothing() };
        let mut partition = None;
        let looked = resolve(broker, peer, topic, *index).and_then(|(_, found)| {
            look(partition.insert(found), wanted, (left, first, limits.committed), &mut data)
        });
        let (plan, diverges) = match looked {
            Ok(Look::Plan(plan)) => (plan, false),
            Ok(Look::Diverges) => (None, true),
            Err(error_code) => {
                data = PartitionData { partition_index: *index, error_code, ..nothing() };
                (None, false)
            }
        };
        if let Some(plan) = &plan {
            left = left.saturating_sub(plan.len);
            first = false;
        }
        found.push(Found { topic: topic.clone(), data, plan, diverges, partition });
    }
    found
}

fn nothing() -> PartitionData {
    PartitionData { high_watermark: -1, ..PartitionData::default() }
}

enum Look {
    Plan(Option<ReadPlan>),
    Diverges,
}

fn look(
    partition: &Partition,
    wanted: &Wanted,
    (left, first, committed): (usize, bool, bool),
    data: &mut PartitionData,
) -> Result<Look, ErrorCode> {
    error::check_epoch(partition, wanted.current_leader_epoch)?;
    let marks = partition.marks();
    data.high_watermark = marks.high_watermark;
    data.last_stable_offset = marks.last_stable;
    data.log_start_offset = marks.log_start;
    if wanted.last_fetched_epoch >= 0
        && let Some(diverging_epoch) = divergence(partition, wanted)?
    {
        data.diverging_epoch = diverging_epoch;
        return Ok(Look::Diverges);
    }
    let max = usize::try_from(wanted.max_bytes).unwrap_or(0).min(left);
    let explain = |failed: StorageError| {
        if !matches!(failed, StorageError::OffsetOutOfRange { .. }) {
            partition.tell_read_failed(wanted.offset, &failed);
        }
        error::of_storage(&failed)
    };
    let plan = partition.plan(&marks, wanted.offset, max, first, committed).map_err(explain)?;
    if committed {
        let aborted = match &plan {
            Some(plan) => partition.aborted(wanted.offset, plan).map_err(explain)?,
            None => Vec::new(),
        };
        let said = aborted.iter().map(|aborted| AbortedTransaction {
            producer_id: aborted.producer_id,
            first_offset: aborted.first_offset,
        });
        data.aborted_transactions = Some(said.collect());
    }
    Ok(Look::Plan(plan))
}

/// Where the log of the consumer's last epoch ends here, if that is before what the consumer has (KIP-595).
fn divergence(partition: &Partition, wanted: &Wanted) -> Result<Option<EpochEndOffset>, ErrorCode> {
    let end =
        partition.log().epoch_end(wanted.last_fetched_epoch).map_err(|error| error::of_storage(&error))?;
    let Some((epoch, end_offset)) = end else { return Ok(None) };
    let parts = epoch < wanted.last_fetched_epoch || end_offset < wanted.offset;
    Ok(parts.then_some(EpochEndOffset { epoch, end_offset }))
}
