//! Offsets of a group within transactions: when they count, who may commit them, and that no crash tears them.

use std::time::Duration;

use klog::wire::error::ErrorCode;
use klog::wire::messages::add_offsets_to_txn::AddOffsetsToTxnRequest;
use klog::wire::messages::delete_groups::DeleteGroupsRequest;
use klog::wire::messages::end_txn::{EndTxnRequest, EndTxnResponse};
use klog::wire::messages::init_producer_id::InitProducerIdRequest;
use klog::wire::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use klog::wire::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use klog::wire::messages::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};

use crate::rig::{NOW, Rig};

const UNSTABLE: ErrorCode = ErrorCode::UNSTABLE_OFFSET_COMMIT;
const OK: ErrorCode = ErrorCode::NONE;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Producer(i64, i16);

async fn init(rig: &Rig, id: &str) -> Producer {
    let request = InitProducerIdRequest {
        transactional_id: Some(id.to_owned()),
        transaction_timeout_ms: 60_000,
        ..Default::default()
    };
    loop {
        let answer = rig.call(&request, 4).await;
        if answer.error_code != ErrorCode::CONCURRENT_TRANSACTIONS {
            assert_eq!(answer.error_code, OK);
            return Producer(answer.producer_id, answer.producer_epoch);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn request(id: &str, Producer(producer_id, producer_epoch): Producer, offset: i64) -> TxnOffsetCommitRequest {
    let partition = |partition_index| TxnOffsetCommitRequestPartition {
        partition_index,
        committed_offset: offset,
        committed_leader_epoch: -1,
        committed_metadata: None,
    };
    let partitions = vec![partition(0), partition(1)];
    TxnOffsetCommitRequest {
        transactional_id: id.to_owned(),
        group_id: "g".to_owned(),
        producer_id,
        producer_epoch,
        generation_id: -1,
        topics: vec![TxnOffsetCommitRequestTopic { name: "t".to_owned(), partitions }],
        ..Default::default()
    }
}

/// The codes of partitions 0 and 1, which the topic `t` has and has not.
async fn told(rig: &Rig, request: &TxnOffsetCommitRequest, version: i16) -> (ErrorCode, ErrorCode) {
    let answer = rig.call(request, version).await;
    let codes: Vec<_> = answer.topics[0].partitions.iter().map(|one| one.error_code).collect();
    (codes[0], codes[1])
}

async fn commit(rig: &Rig, id: &str, producer: Producer, offset: i64, version: i16) -> ErrorCode {
    let (code, other) = told(rig, &request(id, producer, offset), version).await;
    assert_eq!(other, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    code
}

async fn add(
    rig: &Rig,
    id: &str,
    Producer(producer_id, producer_epoch): Producer,
    version: i16,
) -> ErrorCode {
    let request = AddOffsetsToTxnRequest {
        transactional_id: id.to_owned(),
        producer_id,
        producer_epoch,
        group_id: "g".to_owned(),
    };
    rig.call(&request, version).await.error_code
}

async fn end(rig: &Rig, id: &str, producer: Producer, committed: bool, version: i16) -> EndTxnResponse {
    let Producer(producer_id, producer_epoch) = producer;
    let request = EndTxnRequest { transactional_id: id.to_owned(), producer_id, producer_epoch, committed };
    rig.call(&request, version).await
}

async fn plain(rig: &Rig, offset: i64) {
    let partition = OffsetCommitRequestPartition { committed_offset: offset, ..Default::default() };
    let topic =
        OffsetCommitRequestTopic { name: "t".into(), partitions: vec![partition], ..Default::default() };
    let request = OffsetCommitRequest {
        group_id: "g".into(),
        generation_id_or_member_epoch: -1,
        topics: vec![topic],
        ..Default::default()
    };
    assert_eq!(rig.call(&request, 9).await.topics[0].partitions[0].error_code, OK);
}

/// What a reader is told of partition 0, asked for by name or as one of all.
async fn offset(rig: &Rig, stable: bool, all: bool) -> Option<(i64, ErrorCode)> {
    let topic =
        OffsetFetchRequestTopics { name: "t".to_owned(), partition_indexes: vec![0], ..Default::default() };
    let group = OffsetFetchRequestGroup {
        group_id: "g".to_owned(),
        member_epoch: -1,
        topics: if all { None } else { Some(vec![topic]) },
        ..Default::default()
    };
    let request = OffsetFetchRequest { groups: vec![group], require_stable: stable, ..Default::default() };
    let answer = rig.call(&request, 9).await;
    assert_eq!(answer.groups[0].error_code, OK);
    let told = answer.groups[0].topics.first().map(|topic| &topic.partitions[0])?;
    Some((told.committed_offset, told.error_code))
}

async fn rig() -> Rig {
    let rig = Rig::new();
    assert_eq!(rig.create("t", 1, &[]).await, OK);
    rig
}

#[tokio::test]
async fn a_commit_of_the_second_protocol_counts_with_its_transaction() {
    let rig = rig().await;
    let first = init(&rig, "tx").await;
    assert_eq!(commit(&rig, "tx", first, 5, 5).await, OK, "it brings the partition in by itself");
    assert_eq!(offset(&rig, false, false).await, Some((-1, OK)));
    assert_eq!(offset(&rig, true, false).await, Some((-1, UNSTABLE)));
    assert_eq!(offset(&rig, true, true).await, None, "of all there are, it is none yet");
    let ended = end(&rig, "tx", first, true, 5).await;
    assert_eq!(ended.error_code, OK);
    let next = Producer(ended.producer_id, ended.producer_epoch);
    assert_eq!(next, Producer(first.0, first.1 + 1), "each transaction has an epoch of its own");
    assert_eq!(offset(&rig, true, false).await, Some((5, OK)));
    assert_eq!(commit(&rig, "tx", first, 6, 5).await, ErrorCode::INVALID_PRODUCER_EPOCH, "a late one");
    assert_eq!(commit(&rig, "tx", next, 7, 5).await, OK);
    assert_eq!(offset(&rig, false, true).await, Some((5, OK)));
    assert_eq!(offset(&rig, true, true).await, Some((-1, UNSTABLE)));
    assert_eq!(end(&rig, "tx", next, false, 5).await.error_code, OK);
    assert_eq!(offset(&rig, true, true).await, Some((5, OK)));
}

#[tokio::test]
async fn clients_of_the_first_protocol_bring_the_partition_in_beforehand_or_are_refused() {
    let rig = rig().await;
    let producer = init(&rig, "tx").await;
    for (version, refusal) in [
        (0, ErrorCode::INVALID_TXN_STATE),
        (3, ErrorCode::INVALID_TXN_STATE),
        (4, ErrorCode::TRANSACTION_ABORTABLE),
    ] {
        assert_eq!(commit(&rig, "tx", producer, 1, version).await, refusal, "version {version}");
    }
    for (round, version) in [(0, 0), (1, 3), (2, 4)] {
        assert_eq!(add(&rig, "tx", producer, version).await, OK);
        assert_eq!(commit(&rig, "tx", producer, round, version).await, OK);
        assert_eq!(end(&rig, "tx", producer, true, 3).await.error_code, OK);
        assert_eq!(offset(&rig, true, false).await, Some((round, OK)));
        let late = commit(&rig, "tx", producer, 99, 4).await;
        assert_eq!(late, ErrorCode::TRANSACTION_ABORTABLE, "its transaction is over");
        assert_eq!(offset(&rig, true, false).await, Some((round, OK)), "nothing hangs");
    }
}

#[tokio::test]
async fn who_is_not_the_producer_is_refused() {
    let rig = rig().await;
    let old = init(&rig, "tx").await;
    let new = init(&rig, "tx").await;
    assert_eq!(commit(&rig, "tx", old, 1, 5).await, ErrorCode::INVALID_PRODUCER_EPOCH);
    assert_eq!(add(&rig, "tx", old, 4).await, ErrorCode::PRODUCER_FENCED);
    assert_eq!(add(&rig, "tx", old, 1).await, ErrorCode::INVALID_PRODUCER_EPOCH, "all that it knows");
    let mapping = ErrorCode::INVALID_PRODUCER_ID_MAPPING;
    assert_eq!(commit(&rig, "tx", Producer(new.0 + 77, 0), 1, 5).await, mapping);
    assert_eq!(commit(&rig, "other", new, 1, 5).await, mapping);
    assert_eq!(commit(&rig, "", new, 1, 5).await, ErrorCode::INVALID_REQUEST);
    let nobody = TxnOffsetCommitRequest { group_id: String::new(), ..request("tx", new, 1) };
    let answer = told(&rig, &nobody, 5).await;
    assert_eq!(answer, (ErrorCode::INVALID_GROUP_ID, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    let member = TxnOffsetCommitRequest { generation_id: 3, member_id: "m".into(), ..request("tx", new, 1) };
    assert_eq!(told(&rig, &member, 5).await.0, ErrorCode::ILLEGAL_GENERATION, "no such group");
    assert_eq!(commit(&rig, "tx", new, 1, 5).await, OK);
    let member = TxnOffsetCommitRequest { generation_id: 3, member_id: "m".into(), ..request("tx", new, 1) };
    assert_eq!(told(&rig, &member, 5).await.0, ErrorCode::UNKNOWN_MEMBER_ID);
    let mut long = request("tx", new, 2);
    long.topics[0].partitions[0].committed_metadata = Some("x".repeat(5_000));
    assert_eq!(told(&rig, &long, 5).await.0, ErrorCode::OFFSET_METADATA_TOO_LARGE);
    assert_eq!(end(&rig, "tx", new, true, 5).await.error_code, OK);
    assert_eq!(offset(&rig, true, false).await, Some((1, OK)));
}

#[tokio::test]
async fn an_open_transaction_outlives_power_cuts_and_the_later_record_counts() {
    let mut rig = rig().await;
    let mut producer = init(&rig, "tx").await;
    for round in 0..4i64 {
        let before = offset(&rig, false, false).await;
        assert_eq!(commit(&rig, "tx", producer, 100 + round, 5).await, OK);
        if round == 1 {
            plain(&rig, 50).await;
        }
        rig.cut_power();
        assert_eq!(offset(&rig, true, false).await, Some((-1, UNSTABLE)), "round {round}");
        if round != 1 {
            assert_eq!(offset(&rig, false, false).await, before);
        }
        let ended = end(&rig, "tx", producer, round != 2, 5).await;
        assert_eq!(ended.error_code, OK);
        producer = Producer(ended.producer_id, ended.producer_epoch);
        if round % 2 == 0 {
            rig.cut_power();
        } else {
            rig.restart().await;
        }
        let expected = [100, 50, 50, 103][round as usize];
        assert_eq!(offset(&rig, true, false).await, Some((expected, OK)), "round {round}");
    }
}

#[tokio::test]
async fn a_new_producer_of_the_id_ends_what_the_old_one_left_open() {
    let mut rig = rig().await;
    plain(&rig, 1).await;
    let old = init(&rig, "tx").await;
    assert_eq!(commit(&rig, "tx", old, 9, 5).await, OK);
    rig.kill();
    let new = init(&rig, "tx").await;
    assert_eq!(offset(&rig, true, false).await, Some((1, OK)));
    assert_eq!(commit(&rig, "tx", old, 9, 5).await, ErrorCode::INVALID_PRODUCER_EPOCH);
    assert_eq!(commit(&rig, "tx", new, 2, 5).await, OK);
    assert_eq!(end(&rig, "tx", new, true, 5).await.error_code, OK);
    assert_eq!(offset(&rig, true, false).await, Some((2, OK)));
}

#[tokio::test]
async fn a_deleted_group_takes_along_what_was_to_be_committed() {
    let rig = rig().await;
    let producer = init(&rig, "tx").await;
    assert_eq!(commit(&rig, "tx", producer, 9, 5).await, OK);
    let request = DeleteGroupsRequest { groups_names: vec!["g".to_owned()] };
    assert_eq!(rig.call(&request, 2).await.results[0].error_code, OK);
    assert_eq!(offset(&rig, true, false).await, Some((-1, OK)));
    assert_eq!(end(&rig, "tx", producer, true, 5).await.error_code, OK);
    assert_eq!(offset(&rig, true, false).await, Some((-1, OK)));
}

/// As Kafka's: while its log takes no record, the coordinator of the group is to be looked for again; nothing is lost.
#[tokio::test]
async fn a_full_disk_refuses_the_commit_and_the_end_waits_for_space() {
    let rig = rig().await;
    let producer = init(&rig, "tx").await;
    assert_eq!(commit(&rig, "tx", producer, 5, 5).await, OK);
    rig.disk.set_capacity(Some(0));
    let refused = commit(&rig, "tx", producer, 6, 5).await;
    assert_eq!(refused, ErrorCode::NOT_COORDINATOR);
    rig.disk.set_capacity(None);
    assert_eq!(end(&rig, "tx", producer, true, 5).await.error_code, OK);
    assert_eq!(offset(&rig, true, false).await, Some((5, OK)));
}

/// Time-outs are counted by the clock that nobody sets; what is on disk of the other can not make them longer.
#[tokio::test]
async fn a_clock_set_back_by_a_day_holds_no_transaction_open() {
    for restarted in [false, true] {
        let mut rig = rig().await;
        plain(&rig, 1).await;
        let producer = init(&rig, "tx").await;
        assert_eq!(commit(&rig, "tx", producer, 5, 5).await, OK);
        rig.clock.set_wall_ms(NOW - 24 * 60 * 60 * 1_000);
        if restarted {
            rig.kill();
        }
        // All of the coordinator is read, as soon after a start.
        rig.broker.transactions().list(&rig.broker).await.unwrap();
        rig.broker.transactions().tick(&rig.broker).await;
        assert_eq!(offset(&rig, true, false).await, Some((-1, UNSTABLE)), "it is not over yet");
        rig.clock.advance(Duration::from_secs(75));
        rig.broker.transactions().tick(&rig.broker).await;
        for _ in 0..400 {
            if offset(&rig, true, false).await == Some((1, OK)) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(offset(&rig, true, false).await, Some((1, OK)), "restarted {restarted}");
    }
}
