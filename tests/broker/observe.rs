//! What a look at the broker shows: counts of what was done, and what an admin must be told.

use std::time::Duration;

use klog::record::ProducerStamp;
use klog::wire::error::ErrorCode;

use crate::rig::{NOW, Rig, batch, fetch_request, stamped};

#[tokio::test]
async fn what_was_done_is_counted_once() {
    let rig = Rig::new();
    rig.create("t", 2, &[]).await;
    assert_eq!(rig.produce("t", &["a", "b"]).await.error_code, ErrorCode::NONE);
    let stamp = ProducerStamp { id: 5, epoch: 0, base_sequence: 0, transactional: false };
    let sent = stamped(&["c"], stamp);
    for _ in 0..2 {
        // The second one is a duplicate: answered, and not there again.
        assert_eq!(rig.send("t", 1, -1, sent.clone()).await.error_code, ErrorCode::NONE);
    }
    let bytes = (batch(&["a", "b"]).len() + sent.len()) as u64;
    assert_eq!(rig.values("t", 0, 0).await, ["a", "b"]);
    // Who waits for a sync is answered before what it covered is counted.
    while rig.broker.unsynced_bytes() > 0 {
        tokio::task::yield_now().await;
    }
    let node = rig.broker.observe().await.unwrap();
    assert_eq!((node.produced.records, node.produced.batches, node.produced.bytes), (3, 2, bytes));
    assert_eq!(node.fetched_bytes, batch(&["a", "b"]).len() as u64);
    let topic = node.topics.iter().find(|topic| topic.name == "t").unwrap();
    assert_eq!((topic.records(), topic.bytes(), topic.partitions.len()), (3, bytes, 2));
    assert_eq!(topic.partitions[1].produced.records, 1);
    assert_eq!((topic.partitions[1].log_end, topic.partitions[1].high_watermark), (1, 1));
    assert!(node.sync.duration.count() >= 2 && node.sync.batches.sum() >= 2 && node.sync.failures == 0);
    assert_eq!((node.unsynced_bytes, node.unready, node.groups.len()), (0, None, 0));
    assert_eq!((node.warnings(), node.errors), (Vec::new(), Vec::new()));
}

#[tokio::test]
async fn refusals_full_disks_and_failed_logs_are_seen() {
    let rig = Rig::new();
    rig.create("t", 1, &[]).await;
    rig.create("u", 1, &[]).await;
    rig.produce("t", &["a"]).await;
    rig.disk.set_capacity(Some(rig.disk.used()));
    assert_eq!(rig.produce("t", &["b"]).await.error_code, ErrorCode::KAFKA_STORAGE_ERROR);
    let node = rig.broker.observe().await.unwrap();
    assert_eq!((node.unready, rig.broker.unready()), (Some("the disk is full"), Some("the disk is full")));
    assert_eq!(node.warnings(), ["the disk is full: appends to 1 partitions are refused"]);
    rig.disk.set_capacity(None);
    assert_eq!(rig.produce("t", &["b"]).await.error_code, ErrorCode::NONE);
    assert_eq!(rig.broker.unready(), None);

    rig.disk.fail_sync(0);
    assert_eq!(rig.produce("u", &["lost"]).await.error_code, ErrorCode::KAFKA_STORAGE_ERROR);
    let fetch = rig.call(&fetch_request("none", 0, 0), 12).await;
    assert_eq!(fetch.responses[0].partitions[0].error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let node = rig.broker.observe().await.unwrap();
    assert_eq!(node.sync.failures, 1);
    let failed = "u-0 takes no appends after an I/O error (it was cut to offset 0): see the log, mend the disk, restart";
    assert_eq!((node.warnings(), node.unready), (vec![failed.to_owned()], None));
    let errors: Vec<_> = node.errors.iter().map(|one| (one.api, one.error, one.count)).collect();
    let unknown = ("Fetch", "UNKNOWN_TOPIC_OR_PARTITION", 1);
    assert_eq!(errors, [unknown, ("Produce", "KAFKA_STORAGE_ERROR", 2)]);
}

/// Nobody appends any more, so nobody finds that there is space again.
#[tokio::test]
async fn a_full_disk_is_forgotten_when_no_traffic_comes() {
    let rig = Rig::new();
    rig.create("t", 1, &[]).await;
    rig.produce("t", &["a"]).await;
    rig.disk.set_capacity(Some(rig.disk.used()));
    for _ in 0..2 {
        assert_eq!(rig.produce("t", &["b"]).await.error_code, ErrorCode::KAFKA_STORAGE_ERROR);
        rig.clock.advance(Duration::from_secs(29));
        assert_eq!(rig.broker.unready(), Some("the disk is full"));
        rig.clock.advance(Duration::from_secs(2));
        assert_eq!(rig.broker.unready(), None);
        assert_eq!(rig.broker.observe().await.unwrap().warnings(), Vec::<String>::new());
    }
    rig.disk.set_capacity(None);
    assert_eq!(rig.produce("t", &["b"]).await.error_code, ErrorCode::NONE);
    assert_eq!(rig.broker.unready(), None);
}

#[tokio::test]
async fn time_up_does_not_follow_a_clock_that_is_set() {
    let rig = Rig::new();
    rig.clock.advance(Duration::from_secs(5));
    rig.clock.set_wall_ms(NOW - 3_600_000);
    let node = rig.broker.observe().await.unwrap();
    assert_eq!((node.started_ms, node.up), (NOW, Duration::from_secs(5)));
}

#[tokio::test]
async fn a_closing_broker_is_not_ready() {
    let mut rig = Rig::new();
    rig.create("t", 1, &[]).await;
    rig.produce("t", &["a"]).await;
    let before = std::sync::Arc::clone(&rig.broker);
    rig.kill();
    let recovery = rig.broker.observe().await.unwrap().recovery;
    assert!(!recovery.clean && recovery.logs >= 1, "{recovery:?}");
    drop(before);
    rig.broker.close().await.unwrap();
    assert_eq!(rig.broker.unready(), Some("stopping"));
}
