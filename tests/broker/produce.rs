//! Producing: what is acknowledged is on disk, what is refused leaves nothing, duplicates are told apart.

use std::time::Duration;

use klog::broker::api::Outcome;
use klog::record::{BatchBuilder, ProducerStamp};
use klog::storage::disk::{Disk, Mode};
use klog::wire::error::ErrorCode;
use klog::wire::messages::init_producer_id::InitProducerIdRequest;
use klog::wire::messages::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};

use crate::rig::{NOW, Rig, batch, fetch_request, produce_request, stamped};

#[tokio::test]
async fn what_is_acknowledged_survives_a_power_cut() {
    let mut rig = Rig::new();
    assert_eq!(rig.create("t", 2, &[]).await, ErrorCode::NONE);
    for round in 0..5 {
        let answer = rig.produce("t", &["a", "b"]).await;
        assert_eq!((answer.error_code, answer.base_offset), (ErrorCode::NONE, round * 2));
        rig.cut_power();
    }
    assert_eq!(rig.values("t", 0, 0).await, ["a", "b", "a", "b", "a", "b", "a", "b", "a", "b"]);
}

#[tokio::test]
async fn nothing_is_seen_before_it_is_durable() {
    let rig = Rig::new();
    rig.create("t", 1, &[]).await;
    rig.produce("t", &["first"]).await;
    rig.disk.fail_sync(0);
    let failed = rig.produce("t", &["lost"]).await;
    assert_eq!(failed.error_code, ErrorCode::KAFKA_STORAGE_ERROR);
    assert_eq!(rig.values("t", 0, 0).await, ["first"]);
    // A failed sync is never tried again.
    assert_eq!(rig.produce("t", &["more"]).await.error_code, ErrorCode::KAFKA_STORAGE_ERROR);
    assert_eq!(rig.values("t", 0, 0).await, ["first"]);
}

/// Written is not visible: whoever looks right after the write sees no more than what a sync has covered by then.
#[tokio::test]
async fn the_high_watermark_never_passes_the_durable_end() {
    let rig = Rig::new();
    rig.create("t", 1, &[]).await;
    let partition = rig.broker.partition("t", 0).unwrap();
    for _ in 0..300 {
        rig.send("t", 0, 1, batch(&["a"])).await;
        // In this order: the durable end may only have moved on since.
        let seen = rig.call(&fetch_request("t", 0, 0), 12).await.responses[0].partitions[0].high_watermark;
        let durable = partition.log().durable_end();
        assert!(seen <= durable, "{seen} is shown, {durable} is durable");
    }
}

/// Records written in the place of lost ones are no more durable for it.
#[tokio::test]
async fn a_file_that_lost_its_tail_while_stopped_acknowledges_nothing_unsynced() {
    let mut rig = Rig::new();
    rig.create("t", 1, &[]).await;
    for value in ["a", "b", "c"] {
        rig.produce("t", &[value]).await;
    }
    rig.restart().await;
    let path = std::path::Path::new("/data/t-0/00000000000000000000.log");
    let file = rig.disk.open(path, Mode::Write).unwrap();
    file.set_len(file.len().unwrap() / 3).unwrap();
    assert_eq!(rig.values("t", 0, 0).await, ["a"]);
    rig.disk.fail_sync(0);
    assert_eq!(rig.produce("t", &["d"]).await.error_code, ErrorCode::KAFKA_STORAGE_ERROR);
}

/// Nobody has used the log since the start: its end is looked for, not taken from the checkpoint.
#[tokio::test]
async fn a_file_that_lost_its_tail_while_stopped_ends_where_its_records_do() {
    let mut rig = Rig::new();
    rig.create("t", 1, &[]).await;
    for value in ["a", "b", "c"] {
        rig.produce("t", &[value]).await;
    }
    rig.restart().await;
    let path = std::path::Path::new("/data/t-0/00000000000000000000.log");
    let file = rig.disk.open(path, Mode::Write).unwrap();
    file.set_len(file.len().unwrap() - 10).unwrap();
    assert_eq!(settle(&rig, "t").await, 2);
    assert_eq!(rig.values("t", 0, 0).await, ["a", "b"]);
    assert_eq!(rig.produce("t", &["d"]).await.error_code, ErrorCode::NONE);
    assert_eq!((settle(&rig, "t").await, rig.values("t", 0, 2).await), (3, vec!["d".to_owned()]));
}

/// A power cut can leave a record and take the note that its log was being written: nobody syncs it any more.
#[tokio::test]
async fn a_log_that_is_longer_than_was_noted_is_seen_to_its_end() {
    let mut rig = Rig::new();
    rig.create("t", 1, &[]).await;
    rig.produce("t", &["a"]).await;
    rig.restart().await;
    let path = std::path::Path::new("/data/klog-checkpoint");
    let before = rig.disk.content(path).unwrap();
    rig.produce("t", &["b"]).await;
    rig.restart().await;
    let file = rig.disk.open(path, Mode::Write).unwrap();
    file.set_len(0).unwrap();
    file.write_vectored_at(&[std::io::IoSlice::new(&before)], 0).unwrap();
    rig.kill();
    assert_eq!(rig.values("t", 0, 0).await, ["a"], "all that the checkpoint knows");
    let end = tokio::time::timeout(std::time::Duration::from_secs(10), settle(&rig, "t")).await;
    assert_eq!(end, Ok(2));
    assert_eq!(rig.values("t", 0, 0).await, ["a", "b"]);
}

#[tokio::test]
async fn acks_decide_when_and_whether_there_is_an_answer() {
    let rig = Rig::new();
    rig.create("t", 1, &[]).await;
    assert!(matches!(rig.outcome(&produce_request("t", 0, -1, batch(&["a"])), 9).await, Outcome::Later(_)));
    assert!(matches!(rig.outcome(&produce_request("t", 0, 1, batch(&["b"])), 9).await, Outcome::Reply(_)));
    assert!(matches!(rig.outcome(&produce_request("t", 0, 0, batch(&["c"])), 9).await, Outcome::None));
    let refused = rig.send("t", 0, 2, batch(&["d"])).await;
    assert_eq!(refused.error_code, ErrorCode::INVALID_REQUIRED_ACKS);
    assert!(matches!(rig.outcome(&produce_request("no", 0, 0, batch(&["e"])), 9).await, Outcome::Close(_)));
    settle(&rig, "t").await;
    assert_eq!(rig.values("t", 0, 0).await, ["a", "b", "c"]);
}

#[tokio::test]
async fn every_version_is_answered() {
    let rig = Rig::new();
    rig.create("t", 1, &[]).await;
    let id = rig.broker.topic_id("t").unwrap();
    for (offset, version) in (3..=13).enumerate() {
        let mut request = produce_request("t", 0, -1, batch(&["a"]));
        if version >= 13 {
            request.topic_data[0].topic_id = id;
        }
        let answer = rig.call(&request, version).await;
        let partition = &answer.responses[0].partition_responses[0];
        assert_eq!(
            (partition.error_code, partition.base_offset),
            (ErrorCode::NONE, offset as i64),
            "{version}"
        );
        request.topic_data[0].name = "gone".to_owned();
        request.topic_data[0].topic_id.0[0] ^= 1;
        let code = rig.call(&request, version).await.responses[0].partition_responses[0].error_code;
        let wanted =
            if version >= 13 { ErrorCode::UNKNOWN_TOPIC_ID } else { ErrorCode::UNKNOWN_TOPIC_OR_PARTITION };
        assert_eq!(code, wanted);
    }
}

#[tokio::test]
async fn without_syncs_the_answer_comes_at_once_and_is_seen_at_once() {
    let rig = Rig::new();
    rig.create("t", 1, &[("flush.messages", "9223372036854775807")]).await;
    let before = rig.disk.syncs();
    for _ in 0..10 {
        assert_eq!(rig.produce("t", &["a"]).await.error_code, ErrorCode::NONE);
    }
    assert_eq!(rig.values("t", 0, 0).await.len(), 10);
    assert_eq!(rig.disk.syncs(), before);
}

#[tokio::test]
async fn so_many_records_or_so_much_time_bring_a_sync() {
    let rig = Rig::new();
    rig.create("many", 1, &[("flush.messages", "3")]).await;
    rig.produce("many", &["a"]).await;
    rig.produce("many", &["b"]).await;
    let durable = |name: &str| rig.broker.partition(name, 0).unwrap().log().durable_end();
    assert_eq!(durable("many"), 0);
    rig.produce("many", &["c"]).await;
    until(|| durable("many") == 3).await;

    rig.create("slow", 1, &[("flush.messages", "1000"), ("flush.ms", "20")]).await;
    rig.produce("slow", &["a"]).await;
    assert_eq!(durable("slow"), 0);
    rig.clock.advance(Duration::from_millis(30));
    until(|| durable("slow") == 1).await;
}

#[tokio::test]
async fn the_end_that_is_listed_covers_everything_appended_before() {
    let rig = Rig::new();
    rig.create("t", 1, &[]).await;
    // Written, not waited for.
    rig.send("t", 0, 1, batch(&["a", "b", "c"])).await;
    assert_eq!(settle(&rig, "t").await, 3);
    assert_eq!(rig.values("t", 0, 0).await.len(), 3);
}

#[tokio::test]
async fn bad_batches_are_refused_with_the_reason() {
    let rig = Rig::new();
    rig.create("t", 1, &[("max.message.bytes", "200")]).await;
    rig.create("compacted", 1, &[("cleanup.policy", "compact")]).await;
    let mut torn = batch(&["abc"]);
    let last = torn.len() - 1;
    torn[last] ^= 1;
    let two = [batch(&["a"]), batch(&["b"])].concat();
    let large = batch(&["x".repeat(300).as_str()]);
    let transactional =
        stamped(&["a"], ProducerStamp { id: 1, epoch: 0, base_sequence: 0, transactional: true });
    for (name, partition, bytes, code) in [
        ("t", 0, torn, ErrorCode::CORRUPT_MESSAGE),
        ("t", 0, two, ErrorCode::INVALID_RECORD),
        ("t", 0, Vec::new(), ErrorCode::INVALID_RECORD),
        ("t", 0, large, ErrorCode::MESSAGE_TOO_LARGE),
        ("t", 0, transactional, ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED),
        ("t", 1, batch(&["a"]), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        ("other", 0, batch(&["a"]), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        ("compacted", 0, batch(&["a"]), ErrorCode::INVALID_RECORD),
    ] {
        assert_eq!(rig.send(name, partition, -1, bytes).await.error_code, code, "{name} {partition}");
    }
    assert_eq!(settle(&rig, "t").await, 0);
    let mut old = produce_request("t", 0, -1, batch(&["a"]));
    old.transactional_id = Some("me".to_owned());
    let answer = rig.call(&old, 9).await;
    let code = answer.responses[0].partition_responses[0].error_code;
    assert_eq!(code, ErrorCode::NONE, "the id alone makes no transaction");
}

#[tokio::test]
async fn sequences_tell_duplicates_and_gaps_apart_across_a_kill() {
    let mut rig = Rig::new();
    rig.create("t", 1, &[]).await;
    let id = rig.call(&InitProducerIdRequest::default(), 4).await.producer_id;
    let of = |values: &[&str], base_sequence| {
        stamped(values, ProducerStamp { id, epoch: 0, base_sequence, transactional: false })
    };
    assert_eq!(rig.send("t", 0, -1, of(&["a", "b"], 0)).await.base_offset, 0);
    assert_eq!(rig.send("t", 0, -1, of(&["c"], 2)).await.base_offset, 2);
    rig.kill();
    let again = rig.send("t", 0, -1, of(&["c"], 2)).await;
    assert_eq!((again.error_code, again.base_offset), (ErrorCode::NONE, 2));
    let gap = rig.send("t", 0, -1, of(&["e"], 4)).await;
    assert_eq!(gap.error_code, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!(rig.send("t", 0, -1, of(&["d"], 3)).await.base_offset, 3);
    assert_eq!(rig.values("t", 0, 0).await, ["a", "b", "c", "d"]);
}

/// A batch of one producer, its one record stamped `timestamp`.
fn aged(id: i64, base_sequence: i32, timestamp: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    builder.push(timestamp, None, Some(format!("{id} {base_sequence}").as_bytes()), &[]);
    let stamp = ProducerStamp { id, epoch: 0, base_sequence, transactional: false };
    builder.finish_plain(stamp).unwrap()
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[tokio::test]
async fn what_the_records_are_stamped_is_nothing_to_idempotence() {
    let day_ms = DAY.as_millis() as i64;
    for timestamp in [-1, NOW - 2_000 * day_ms, NOW] {
        let mut rig = Rig::new();
        rig.create("t", 1, &[("retention.ms", "-1")]).await;
        rig.send("t", 0, -1, aged(7, 0, timestamp)).await;
        for meanwhile in ["nothing", "a checkpoint", "a clock set forward", "a kill", "a restart"] {
            // So that the checkpoint has something to look at.
            rig.produce("t", &["other"]).await;
            match meanwhile {
                "a kill" => rig.kill(),
                "a restart" => rig.restart().await,
                "a clock set forward" => rig.clock.set_wall_ms(NOW + 2 * day_ms),
                _ => {}
            }
            if meanwhile != "nothing" {
                rig.broker.checkpoint();
            }
            let again = rig.send("t", 0, -1, aged(7, 0, timestamp)).await;
            let found = (again.error_code, again.base_offset);
            assert_eq!(found, (ErrorCode::NONE, 0), "stamped {timestamp}, after {meanwhile}");
        }
        let stored = rig.values("t", 0, 0).await;
        assert_eq!(stored.iter().filter(|value| *value == "7 0").count(), 1, "{stored:?}");
    }
}

fn remembered(rig: &Rig) -> Vec<i64> {
    let partition = rig.broker.partition("t", 0).unwrap();
    partition.log().active_producers().unwrap().iter().map(|producer| producer.producer_id).collect()
}

#[tokio::test]
async fn a_producer_that_is_idle_is_forgotten_by_the_clock_that_nobody_sets() {
    let mut rig = Rig::new();
    rig.create("t", 1, &[]).await;
    rig.send("t", 0, -1, aged(7, 0, NOW)).await;
    // Of records that are still to come: it does not stay for ever.
    rig.send("t", 0, -1, aged(8, 0, NOW + 3_600_000)).await;
    rig.clock.advance(DAY / 2);
    rig.send("t", 0, -1, aged(9, 0, NOW)).await;
    rig.broker.checkpoint();
    assert_eq!(remembered(&rig), [7, 8, 9]);
    rig.clock.advance(DAY / 2);
    rig.produce("t", &["other"]).await;
    rig.broker.checkpoint();
    assert_eq!(remembered(&rig), [9], "idle for a day");
    // How long it was idle before a start is not known: there it begins anew.
    rig.kill();
    rig.clock.advance(DAY * 3 / 4);
    rig.produce("t", &["other"]).await;
    rig.broker.checkpoint();
    assert!(remembered(&rig).contains(&9));
    rig.clock.advance(DAY);
    rig.produce("t", &["other"]).await;
    rig.broker.checkpoint();
    assert!(remembered(&rig).is_empty());
}

#[tokio::test]
async fn idle_producers_are_forgotten_where_nobody_writes_any_more_too() {
    let rig = Rig::with(&[("producer.id.expiration.ms", "300")]);
    rig.create("t", 1, &[]).await;
    let tasks = tokio::spawn(rig.broker.clone().tasks());
    rig.send("t", 0, -1, aged(7, 0, NOW)).await;
    rig.broker.checkpoint();
    assert_eq!(remembered(&rig), [7]);
    rig.clock.advance(Duration::from_secs(1));
    until(|| remembered(&rig).is_empty()).await;
    rig.broker.close().await.unwrap();
    tasks.await.unwrap();
}

#[tokio::test]
async fn producer_ids_are_never_given_out_twice() {
    let mut rig = Rig::new();
    let mut seen = std::collections::HashSet::new();
    for _ in 0..3 {
        for version in 0..=5 {
            let answer = rig.call(&InitProducerIdRequest::default(), version).await;
            assert_eq!((answer.error_code, answer.producer_epoch), (ErrorCode::NONE, 0));
            assert!(seen.insert(answer.producer_id), "{} came twice", answer.producer_id);
        }
        rig.cut_power();
    }
    let request = InitProducerIdRequest { transactional_id: Some("t".to_owned()), ..Default::default() };
    let refused = rig.call(&request, 4).await;
    assert_eq!(refused.error_code, ErrorCode::INVALID_TRANSACTION_TIMEOUT);
}

#[tokio::test]
async fn log_append_time_is_the_brokers() {
    let rig = Rig::new();
    rig.create("t", 1, &[("message.timestamp.type", "LogAppendTime")]).await;
    rig.clock.advance(Duration::from_secs(5));
    assert_eq!(rig.produce("t", &["a"]).await.log_append_time_ms, NOW + 5000);
    rig.create("own", 1, &[]).await;
    assert_eq!(rig.produce("own", &["a"]).await.log_append_time_ms, -1);
}

/// The end of partition 0 as ListOffsets says it.
pub(crate) async fn settle(rig: &Rig, name: &str) -> i64 {
    let asked = ListOffsetsPartition { timestamp: -1, ..Default::default() };
    let topic = ListOffsetsTopic { name: name.to_owned(), partitions: vec![asked] };
    let request = ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() };
    let answer = rig.call(&request, 7).await;
    let partition = &answer.topics[0].partitions[0];
    assert_eq!(partition.error_code, ErrorCode::NONE);
    partition.offset
}

/// Waits for a condition, not for a time.
pub(crate) async fn until(met: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while !met() {
        assert!(std::time::Instant::now() < deadline, "it never came");
        tokio::task::yield_now().await;
    }
}
