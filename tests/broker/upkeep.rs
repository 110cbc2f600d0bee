//! What topic settings say and the log does: compaction in the background, codecs of stored batches, time-outs of syncs and
//! of deleted files.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use klog::record::{Batch, BatchBuilder, Codec, Compressor, Decompressor, ProducerStamp};
use klog::storage::disk::Disk;
use klog::wire::error::ErrorCode;
use klog::wire::messages::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};

use crate::rig::{NOW, Rig, batch, fetch_request, stamped};

fn keyed(pairs: &[(&str, &str)], codec: Codec) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    for (key, value) in pairs {
        builder.push(NOW, Some(key.as_bytes()), Some(value.as_bytes()), &[]);
    }
    builder.finish(ProducerStamp::NONE, codec.into(), &mut Compressor::new()).unwrap()
}

/// All records of a partition, as a consumer gets them: one fetch after the other.
async fn consume(rig: &Rig, name: &str) -> Vec<(i64, String, String)> {
    let partition = rig.broker.partition(name, 0).unwrap();
    let (mut from, end, mut all) = (partition.log_start(), partition.high_watermark(), Vec::new());
    while from < end {
        let answer = rig.call(&fetch_request(name, 0, from), 12).await;
        let found = &answer.responses[0].partitions[0];
        assert_eq!(found.error_code, ErrorCode::NONE);
        let mut rest = found.records.as_deref().unwrap_or_default();
        assert!(!rest.is_empty(), "a consumer at {from} of {end} waits for ever");
        while let Some((batch, behind)) = Batch::split_first(rest).unwrap() {
            for record in Decompressor::new().records(&batch, 1 << 24).unwrap() {
                let record = record.unwrap();
                let text =
                    |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap_or_default().to_vec()).unwrap();
                all.push((record.offset, text(record.key), text(record.value)));
            }
            from = batch.last_offset() + 1;
            rest = behind;
        }
    }
    all
}

#[tokio::test]
async fn a_compacted_topic_is_cleaned_and_read_as_before() {
    let mut rig = Rig::with(&[("log.cleaner.dedupe.buffer.size", "2000000")]);
    let configs =
        [("cleanup.policy", "compact"), ("segment.bytes", "1048576"), ("min.cleanable.dirty.ratio", "0.1")];
    rig.create("t", 1, &configs).await;
    let no_key = rig.produce("t", &["a"]).await;
    assert_eq!((no_key.error_code, no_key.record_errors.len()), (ErrorCode::INVALID_RECORD, 1));
    let large = "x".repeat(20_000);
    for n in 0..300 {
        let (key, value) = (format!("k{}", n % 10), format!("{n} {large}"));
        rig.send("t", 0, -1, keyed(&[(&key, &value)], Codec::None)).await;
    }
    let before = consume(&rig, "t").await;
    assert_eq!(before.len(), 300);
    rig.broker.clean();
    let left = consume(&rig, "t").await;
    assert!(left.len() < 80 && left.iter().all(|record| before[record.0 as usize] == *record));
    let keys: BTreeSet<_> = left.iter().map(|record| record.1.clone()).collect();
    assert_eq!(keys.len(), 10);
    let text = rig.disk.content(Path::new("/data/cleaner-offset-checkpoint")).unwrap();
    assert!(String::from_utf8(text).unwrap().starts_with("0\n1\nt 0 "));
    rig.kill();
    assert_eq!(consume(&rig, "t").await, left);
    rig.restart().await;
    assert_eq!(consume(&rig, "t").await, left);
    let asked = ListOffsetsPartition { timestamp: -3, current_leader_epoch: -1, ..Default::default() };
    let topics = vec![ListOffsetsTopic { name: "t".to_owned(), partitions: vec![asked] }];
    let answer = rig.call(&ListOffsetsRequest { replica_id: -1, topics, ..Default::default() }, 7).await;
    assert_eq!(
        answer.topics[0].partitions[0].offset, left[0].0,
        "all have one timestamp: the first that is left"
    );
}

#[tokio::test]
async fn the_cleaner_wakes_by_itself_and_sleeps_when_nothing_is_dirty() {
    let rig = Rig::with(&[("log.cleaner.backoff.ms", "10")]);
    let configs =
        [("cleanup.policy", "compact"), ("segment.bytes", "1048576"), ("min.cleanable.dirty.ratio", "0.1")];
    rig.create("t", 1, &configs).await;
    let tasks = tokio::spawn(rig.broker.clone().tasks());
    let large = "x".repeat(100_000);
    for _ in 0..30 {
        rig.send("t", 0, -1, keyed(&[("k", &large)], Codec::None)).await;
    }
    let log = rig.broker.partition("t", 0).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while log.log().size().unwrap() > 1_500_000 {
        assert!(Instant::now() < deadline, "never compacted");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    rig.broker.close().await.unwrap();
    tasks.await.unwrap();
}

/// The look comes `log.cleaner.backoff.ms` after the append that rang, when what it wrote is durable, and not at once
/// because the cleaner slept for longer than that: nothing would wake it again.
#[tokio::test]
async fn one_append_after_a_pause_is_enough_to_have_the_segment_before_it_compacted() {
    let rig = Rig::with(&[("log.cleaner.backoff.ms", "50")]);
    let configs =
        [("cleanup.policy", "compact"), ("segment.bytes", "1048576"), ("min.cleanable.dirty.ratio", "0.01")];
    rig.create("t", 1, &configs).await;
    let tasks = tokio::spawn(rig.broker.clone().tasks());
    let log = rig.broker.partition("t", 0).unwrap();
    let large = "x".repeat(600_000);
    for round in 0..5 {
        rig.send("t", 0, -1, keyed(&[("k", &large)], Codec::None)).await;
        // Every append closes the segment before it; the last of the closed ones and the active one stay.
        let deadline = Instant::now() + Duration::from_secs(20);
        while log.log().size().unwrap() > 1_300_000 {
            assert!(Instant::now() < deadline, "append {round} was never looked at");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    rig.broker.close().await.unwrap();
    tasks.await.unwrap();
}

#[tokio::test]
async fn batches_are_kept_under_the_topics_codec() {
    let rig = Rig::new();
    let values: Vec<String> = (0..50).map(|n| format!("value {n} {}", "y".repeat(200))).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    for (kind, codec) in [
        ("gzip", Codec::Gzip),
        ("snappy", Codec::Snappy),
        ("lz4", Codec::Lz4),
        ("zstd", Codec::Zstd),
        ("uncompressed", Codec::None),
    ] {
        let level = format!("compression.{kind}.level");
        let mut configs = vec![("compression.type", kind)];
        if codec.levels().is_some() {
            configs.push((&level, "7"));
        }
        assert_eq!(rig.create(kind, 1, &configs).await, ErrorCode::NONE);
        let stamp = ProducerStamp { id: 3, epoch: 0, base_sequence: 0, transactional: false };
        let plain = stamped(&values, stamp);
        let zipped = {
            let mut builder = BatchBuilder::new();
            values.iter().for_each(|value| builder.push(NOW, None, Some(value.as_bytes()), &[]));
            builder.finish(ProducerStamp::NONE, Codec::Gzip.into(), &mut Compressor::new()).unwrap()
        };
        for (n, sent) in [plain.clone(), zipped, plain].into_iter().enumerate() {
            let answer = rig.send(kind, 0, -1, sent).await;
            let expected = [0, 50, 0][n];
            assert_eq!(
                (answer.error_code, answer.base_offset),
                (ErrorCode::NONE, expected),
                "the third is known"
            );
        }
        let stored = rig.disk.content(Path::new(&format!("/data/{kind}-0/{:020}.log", 0))).unwrap();
        let mut rest = stored.as_slice();
        let mut offset = 0;
        while let Some((batch, behind)) = Batch::split_first(rest).unwrap() {
            assert!(batch.crc_ok());
            assert_eq!((batch.codec(), batch.base_offset()), (Ok(codec), offset), "{kind}");
            offset = batch.last_offset() + 1;
            rest = behind;
        }
        assert_eq!(offset, 100);
        assert_eq!(rig.values(kind, 0, 0).await, values.repeat(2));
    }
    // What fits only compressed is not kept uncompressed; a bomb is not unpacked.
    rig.create("small", 1, &[("compression.type", "uncompressed"), ("max.message.bytes", "5000")]).await;
    for len in [10_000, 40_000_000] {
        let zeros = "0".repeat(len);
        let bomb = keyed(&[("k", &zeros)], Codec::Zstd);
        assert!(bomb.len() < 5000);
        assert_eq!(rig.send("small", 0, -1, bomb).await.error_code, ErrorCode::MESSAGE_TOO_LARGE);
    }
}

#[tokio::test]
async fn an_unsynced_topic_is_synced_after_so_many_records_or_so_long() {
    let rig = Rig::new();
    rig.create("count", 1, &[("flush.messages", "10")]).await;
    rig.create("time", 1, &[("flush.messages", "1000000"), ("flush.ms", "500")]).await;
    for name in ["count", "time"] {
        for _ in 0..9 {
            assert_eq!(rig.send(name, 0, -1, batch(&["a"])).await.error_code, ErrorCode::NONE);
        }
        let partition = rig.broker.partition(name, 0).unwrap();
        assert_eq!((partition.high_watermark(), partition.log().durable_end()), (9, 0), "{name}");
        if name == "count" {
            rig.send(name, 0, -1, batch(&["a"])).await;
        } else {
            rig.clock.advance(Duration::from_millis(501));
            // The flusher sleeps by the machine's clock, but no longer than the 500 ms.
        }
        let deadline = Instant::now() + Duration::from_secs(20);
        while partition.log().durable_end() < 9 {
            assert!(Instant::now() < deadline, "{name}: never synced");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test]
async fn a_deleted_segments_files_stay_for_their_time() {
    let mut rig = Rig::new();
    let configs = [("segment.bytes", "1048576"), ("retention.ms", "1000"), ("file.delete.delay.ms", "5000")];
    rig.create("t", 1, &configs).await;
    let large = "x".repeat(400_000);
    for _ in 0..6 {
        rig.produce("t", &[&large]).await;
    }
    let deleted = |rig: &Rig| {
        let entries = rig.disk.list(Path::new("/data/t-0")).unwrap();
        entries.iter().filter(|entry| entry.name.ends_with(".log.deleted")).count()
    };
    assert_eq!(rig.broker.retain(), None, "nothing is past its time");
    rig.clock.advance(Duration::from_millis(1500));
    assert_eq!(rig.broker.retain(), Some(Duration::from_millis(5000)));
    assert_eq!((deleted(&rig), rig.broker.partition("t", 0).unwrap().log_start()), (3, 6));
    rig.clock.advance(Duration::from_millis(4999));
    rig.broker.retain();
    assert_eq!(deleted(&rig), 3);
    rig.clock.advance(Duration::from_millis(1));
    assert_eq!(rig.broker.retain(), None);
    assert_eq!(deleted(&rig), 0);
    // What a process could not remove any more goes when the log is opened again.
    rig.produce("t", &["last"]).await;
    rig.clock.advance(Duration::from_millis(10_000));
    rig.broker.retain();
    assert_eq!(deleted(&rig), 1);
    rig.kill();
    rig.broker.partition("t", 0).unwrap().log().size().unwrap();
    assert_eq!(deleted(&rig), 0);
}
