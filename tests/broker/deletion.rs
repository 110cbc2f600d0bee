//! DeleteRecords below its API, and settings that change while the log is in use.

use std::collections::BTreeMap;
use std::sync::Arc;

use klog::broker::BrokerError;
use klog::broker::topic_settings::TopicSettings;
use klog::storage::StorageError;
use klog::wire::error::ErrorCode;

use crate::rig::{Rig, fetch_request};

async fn error_at(rig: &Rig, offset: i64) -> ErrorCode {
    rig.call(&fetch_request("t", 0, offset), 12).await.responses[0].partitions[0].error_code
}

#[tokio::test]
async fn deleted_records_stay_deleted() {
    let mut rig = Rig::new();
    // Segments of 1 MiB, so that whole ones fall below the start.
    rig.create("t", 1, &[("segment.bytes", "1048576"), ("file.delete.delay.ms", "0")]).await;
    let large = "x".repeat(400_000);
    for _ in 0..8 {
        rig.produce("t", &[&large]).await;
    }
    let partition = rig.broker.partition("t", 0).unwrap();
    let used = rig.disk.used();
    assert_eq!(partition.delete_records(5).unwrap(), 5);
    assert!(rig.disk.used() + 1_600_000 <= used, "whole segments below the start are gone");
    assert_eq!(partition.delete_records(3).unwrap(), 5, "it never goes back");
    for beyond in [9, -2, i64::MAX] {
        let refused = partition.delete_records(beyond);
        let Err(BrokerError::Storage(error)) = refused else { panic!("{refused:?}") };
        assert!(matches!(*error, StorageError::OffsetOutOfRange { .. }));
    }
    drop(partition);
    for cut in [false, true] {
        if cut {
            rig.cut_power()
        } else {
            rig.kill()
        }
        assert_eq!(rig.broker.partition("t", 0).unwrap().log_start(), 5);
        assert_eq!(error_at(&rig, 4).await, ErrorCode::OFFSET_OUT_OF_RANGE);
        assert_eq!(rig.values("t", 0, 5).await.len(), 1, "the rest of its segment");
    }
    // All of it: the high watermark.
    assert_eq!(rig.broker.partition("t", 0).unwrap().delete_records(-1).unwrap(), 8);
    rig.cut_power();
    let partition = rig.broker.partition("t", 0).unwrap();
    assert_eq!((partition.log_start(), partition.high_watermark(), partition.log_end()), (8, 8, 8));
    assert_eq!(rig.produce("t", &["next"]).await.base_offset, 8);
    assert_eq!(rig.values("t", 0, 8).await, ["next"]);
}

#[tokio::test]
async fn changed_settings_count_for_open_logs() {
    let rig = Rig::new();
    rig.create("t", 2, &[("flush.messages", "1000"), ("max.message.bytes", "100000")]).await;
    assert_eq!(rig.produce("t", &["a"]).await.error_code, ErrorCode::NONE);
    let topic = rig.broker.topic("t").unwrap();
    let partition = rig.broker.partition("t", 0).unwrap();
    assert_eq!(partition.log().durable_end(), 0);
    let given = BTreeMap::from([("max.message.bytes".to_owned(), "100".to_owned())]);
    topic.change_settings(Arc::new(TopicSettings::of(given, &rig.broker.settings())));
    // Back to a sync for each batch: what waited is synced now.
    partition.durable(0).await.unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while partition.log().durable_end() < 1 {
        assert!(std::time::Instant::now() < deadline, "never synced");
        tokio::task::yield_now().await;
    }
    let too_large = rig.produce("t", &["x".repeat(200).as_str()]).await;
    assert_eq!(too_large.error_code, ErrorCode::MESSAGE_TOO_LARGE);
    let opened_later = rig.broker.partition("t", 1).unwrap();
    assert_eq!(opened_later.log().settings().flush_messages, 1);
}
