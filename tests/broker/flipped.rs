//! A bit that flips on the disk while the broker is down, after a clean stop, in the topics that the broker itself reads:
//! what the batch said is not believed, and everything else is served.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use klog::broker::OpenError;
use klog::record::Batch;
use klog::wire::error::ErrorCode;
use klog::wire::messages::describe_transactions::DescribeTransactionsRequest;
use klog::wire::messages::end_txn::EndTxnRequest;
use klog::wire::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use klog::wire::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use klog::wire::messages::offset_fetch::{OffsetFetchRequest, OffsetFetchRequestGroup};
use klog::wire::messages::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};

use crate::faults::{disk_of, files, metadata_log, open, some_world};
use crate::rig::Rig;

const OFFSETS: &str = "/data/__consumer_offsets-0/00000000000000000000.log";
const STATES: &str = "/data/__transaction_state-0/00000000000000000000.log";
const OK: ErrorCode = ErrorCode::NONE;
/// What lies before it in a batch is not under its CRC: the base offset, the length, the epoch, the magic, the CRC itself.
const UNDER_CRC: usize = 21;

type Files = BTreeMap<PathBuf, Vec<u8>>;

async fn rig() -> Rig {
    let one = [("offsets.topic.num.partitions", "1"), ("transaction.state.log.num.partitions", "1")];
    let rig = Rig::with(&one);
    assert_eq!(rig.create("t", 1, &[]).await, OK);
    rig
}

/// The disk after a clean stop.
async fn stopped(rig: Rig) -> Files {
    rig.broker.close().await.unwrap();
    rig.disk.kill();
    files(&rig.disk)
}

/// Where the batches of a log lie.
fn batches(log: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut rest = log;
    while let Some((_, behind)) = Batch::split_first(rest).unwrap() {
        found.push(log.len() - rest.len()..log.len() - behind.len());
        rest = behind;
    }
    found
}

fn flipped(all: &Files, path: &str, at: usize) -> Files {
    let mut damaged = all.clone();
    damaged.get_mut(Path::new(path)).unwrap()[at] ^= 1 << (at % 8);
    damaged
}

/// What the last of each name's values is, without those of one batch.
fn fold(said: &[(&'static str, i64)], without: usize) -> BTreeMap<&'static str, i64> {
    let kept = said.iter().enumerate().filter(|(at, _)| *at != without);
    kept.map(|(_, (name, value))| (*name, *value)).collect()
}

async fn commit(rig: &Rig, group: &str, offset: i64) {
    let partition = OffsetCommitRequestPartition { committed_offset: offset, ..Default::default() };
    let topic =
        OffsetCommitRequestTopic { name: "t".into(), partitions: vec![partition], ..Default::default() };
    let request = OffsetCommitRequest {
        group_id: group.into(),
        generation_id_or_member_epoch: -1,
        topics: vec![topic],
        ..Default::default()
    };
    assert_eq!(rig.call(&request, 9).await.topics[0].partitions[0].error_code, OK);
}

/// The one offset of a group, as a reader is told that waits for transactions.
async fn committed(rig: &Rig, group: &str, what: &str) -> Option<i64> {
    let group =
        OffsetFetchRequestGroup { group_id: group.to_owned(), member_epoch: -1, ..Default::default() };
    let group = OffsetFetchRequestGroup { topics: None, ..group };
    let request = OffsetFetchRequest { groups: vec![group], require_stable: true, ..Default::default() };
    let answer = rig.call(&request, 9).await;
    assert_eq!(answer.groups[0].error_code, OK, "{what}");
    let told = answer.groups[0].topics.first().map(|topic| &topic.partitions[0])?;
    assert_eq!(told.error_code, OK, "{what}");
    Some(told.committed_offset)
}

async fn init(rig: &Rig, id: &str) -> InitProducerIdResponse {
    let request = InitProducerIdRequest {
        transactional_id: Some(id.to_owned()),
        transaction_timeout_ms: 60_000,
        ..Default::default()
    };
    rig.call(&request, 5).await
}

/// Every seventh byte of each batch, and all that are not under its CRC.
fn places(batch: &Range<usize>) -> impl Iterator<Item = usize> + use<> {
    let (start, end) = (batch.start, batch.end);
    (start..start + UNDER_CRC).chain((start + UNDER_CRC..end).step_by(7))
}

#[tokio::test]
async fn a_committed_offset_that_was_changed_on_the_disk_is_not_believed() {
    let rig = rig().await;
    let said = [("g", 10), ("h", 7), ("g", 20), ("h", 8), ("i", 3), ("g", 40)];
    for (group, offset) in said {
        commit(&rig, group, offset).await;
    }
    let all = stopped(rig).await;
    let batches = batches(&all[Path::new(OFFSETS)]);
    assert_eq!(batches.len(), said.len(), "a batch each");
    for (number, batch) in batches.iter().enumerate() {
        for at in places(batch) {
            let what = format!("a flip at {} of batch {number}", at - batch.start);
            let rig = Rig::on(disk_of(&flipped(&all, OFFSETS, at)));
            let mut told = BTreeMap::new();
            for group in ["g", "h", "i"] {
                if let Some(offset) = committed(&rig, group, &what).await {
                    told.insert(group, offset);
                }
            }
            // The leader epoch says nothing about the records.
            let without = if (12..16).contains(&(at - batch.start)) { usize::MAX } else { number };
            assert_eq!(told, fold(&said, without), "{what}");
            commit(&rig, "g", 41).await;
            assert_eq!(committed(&rig, "g", &what).await, Some(41), "{what}");
        }
    }
}

#[tokio::test]
async fn a_producer_epoch_that_was_changed_on_the_disk_is_not_believed() {
    let rig = rig().await;
    let mut said = Vec::new();
    for id in ["tx", "ty", "tx", "tz", "ty", "tx"] {
        let mut given = init(&rig, id).await;
        while [ErrorCode::COORDINATOR_NOT_AVAILABLE, ErrorCode::NOT_COORDINATOR].contains(&given.error_code) {
            given = init(&rig, id).await;
        }
        assert_eq!(given.error_code, OK);
        said.push((id, given.producer_id << 16 | i64::from(given.producer_epoch)));
    }
    let all = stopped(rig).await;
    let batches = batches(&all[Path::new(STATES)]);
    assert_eq!(batches.len(), said.len(), "a batch each");
    for (number, batch) in batches.iter().enumerate() {
        for at in places(batch) {
            let what = format!("a flip at {} of batch {number}", at - batch.start);
            let rig = Rig::on(disk_of(&flipped(&all, STATES, at)));
            let ids = ["tx", "ty", "tz"].map(str::to_owned).to_vec();
            let request = DescribeTransactionsRequest { transactional_ids: ids };
            let answer = rig.call(&request, 0).await;
            let mut told = BTreeMap::new();
            for (state, id) in answer.transaction_states.iter().zip(["tx", "ty", "tz"]) {
                match state.error_code {
                    OK => drop(told.insert(id, state.producer_id << 16 | i64::from(state.producer_epoch))),
                    other => assert_eq!(other, ErrorCode::TRANSACTIONAL_ID_NOT_FOUND, "{what}"),
                }
            }
            let without = if (12..16).contains(&(at - batch.start)) { usize::MAX } else { number };
            assert_eq!(told, fold(&said, without), "{what}");
            assert_eq!(init(&rig, "tx").await.error_code, OK, "{what}");
        }
    }
}

#[tokio::test]
async fn a_name_that_was_changed_on_the_disk_is_no_topic_and_the_refusal_says_where_it_lies_and_what_to_do() {
    let all = some_world(true).await;
    let log = metadata_log(&all);
    let batches = batches(&all[&log]);
    let path = log.to_str().unwrap();
    let mut refused = BTreeSet::new();
    for (number, batch) in batches.iter().enumerate() {
        let (whole, _) = Batch::split_first(&all[&log][batch.clone()]).unwrap().unwrap();
        for at in (batch.start + UNDER_CRC..batch.end).step_by(17) {
            let what = format!("a flip at {} of batch {number}", at - batch.start);
            match open(&disk_of(&flipped(&all, path, at))) {
                Err(error @ OpenError::Damaged { .. }) => {
                    let told = error.to_string();
                    let range = format!("{} to {}", whole.base_offset(), whole.last_offset());
                    for part in
                        [range.as_str(), "/data/__cluster_metadata-0", "klog segment verify", "repair"]
                    {
                        assert!(told.contains(part), "{what}: {told} says {part}");
                    }
                    refused.insert(number);
                }
                // Where the head of the last segment's batches says another end than the checkpoint the tail is recovered.
                Ok(_) if number + 1 == batches.len() && at - batch.start < 61 => {}
                Err(error) => panic!("{what}: {error}"),
                Ok(_) => panic!("{what}: opened"),
            }
        }
    }
    assert_eq!(refused.len(), batches.len(), "a flip in any batch is met");
}

#[tokio::test]
async fn offsets_of_a_transaction_whose_marker_was_damaged_wait_no_more_and_do_not_count() {
    let rig = rig().await;
    commit(&rig, "g", 10).await;
    let mut producer = init(&rig, "tx").await;
    while producer.error_code != OK {
        producer = init(&rig, "tx").await;
    }
    let offset = |epoch, committed_offset| TxnOffsetCommitRequest {
        transactional_id: "tx".to_owned(),
        group_id: "g".to_owned(),
        producer_id: producer.producer_id,
        producer_epoch: epoch,
        generation_id: -1,
        topics: vec![TxnOffsetCommitRequestTopic {
            name: "t".to_owned(),
            partitions: vec![TxnOffsetCommitRequestPartition { committed_offset, ..Default::default() }],
        }],
        ..Default::default()
    };
    let answer = rig.call(&offset(producer.producer_epoch, 100), 5).await;
    assert_eq!(answer.topics[0].partitions[0].error_code, OK);
    let end = |epoch, committed| EndTxnRequest {
        transactional_id: "tx".to_owned(),
        producer_id: producer.producer_id,
        producer_epoch: epoch,
        committed,
    };
    let ended = rig.call(&end(producer.producer_epoch, false), 5).await;
    assert_eq!(ended.error_code, OK);
    assert_eq!(committed(&rig, "g", "aborted").await, Some(10));
    let all = stopped(rig).await;
    let batches = batches(&all[Path::new(OFFSETS)]);
    assert_eq!(batches.len(), 3, "an offset, one in the transaction, the marker");
    let rig = Rig::on(disk_of(&flipped(&all, OFFSETS, batches[2].end - 1)));
    assert_eq!(committed(&rig, "g", "without the marker").await, Some(10));
}
