//! What transactions change for readers: records up to the last stable offset, the aborted ones named, offsets by it.

use std::time::Duration;

use klog::record::ProducerStamp;
use klog::wire::error::ErrorCode;
use klog::wire::messages::fetch::FetchResponse;
use klog::wire::messages::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};

use crate::rig::{NOW, Rig, fetch_request, stamped, values_of};

fn transactional(id: i64, epoch: i16, base_sequence: i32) -> ProducerStamp {
    ProducerStamp { id, epoch, base_sequence, transactional: true }
}

async fn fetch(rig: &Rig, offset: i64, isolation_level: i8) -> FetchResponse {
    let mut request = fetch_request("t", 0, offset);
    request.isolation_level = isolation_level;
    rig.call(&request, 12).await
}

async fn listed(rig: &Rig, timestamp: i64, isolation_level: i8) -> i64 {
    let asked = ListOffsetsPartition { timestamp, current_leader_epoch: -1, ..Default::default() };
    let topics = vec![ListOffsetsTopic { name: "t".to_owned(), partitions: vec![asked] }];
    let request = ListOffsetsRequest { isolation_level, topics, ..Default::default() };
    let answer = rig.call(&request, 9).await;
    let partition = &answer.topics[0].partitions[0];
    assert_eq!(partition.error_code, ErrorCode::NONE);
    partition.offset
}

#[tokio::test]
async fn a_reader_at_read_committed_sees_what_is_stable_and_hears_what_was_aborted() {
    let mut rig = Rig::new();
    rig.create("t", 1, &[]).await;
    rig.produce("t", &["a"]).await; // 0
    let partition = rig.broker.partition("t", 0).unwrap();
    let batch = stamped(&["b", "c"], transactional(5, 0, 0));
    let refused = rig.send("t", 0, -1, batch.clone()).await;
    assert_ne!(refused.error_code, ErrorCode::NONE, "no coordinator knows of it");
    let guard = partition.begin_verification(5, 0, 0).unwrap();
    let appended = partition.append_client(&batch, 12, NOW, guard).unwrap(); // 1, 2
    partition.durable(appended.last_offset).await.unwrap();
    rig.produce("t", &["d"]).await; // 3
    for (isolation, values, mark) in [(0, &["a", "b", "c", "d"][..], 4), (1, &["a"], 1)] {
        let answer = fetch(&rig, 0, isolation).await;
        assert_eq!(values_of(&answer), values);
        let data = &answer.responses[0].partitions[0];
        assert_eq!((data.high_watermark, data.last_stable_offset), (4, 1));
        assert_eq!(data.aborted_transactions.is_some(), isolation == 1);
        assert_eq!(listed(&rig, -1, isolation).await, mark);
        assert_eq!(listed(&rig, NOW, isolation).await, 0);
    }
    assert_eq!(values_of(&fetch(&rig, 1, 1).await), Vec::<String>::new());

    // A reader that waits hears of the end of what held it up.
    let mut request = fetch_request("t", 0, 1);
    (request.isolation_level, request.max_wait_ms) = (1, 20_000);
    let ends = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let marker = partition.append_marker(5, 1, false, 0, 2, NOW).unwrap(); // 4
        partition.durable(marker.last_offset).await.unwrap();
    };
    let (answer, ()) = tokio::join!(rig.call(&request, 12), ends);
    let data = &answer.responses[0].partitions[0];
    assert_eq!((data.high_watermark, data.last_stable_offset), (5, 5));
    let aborted = data.aborted_transactions.as_ref().unwrap();
    assert_eq!((aborted[0].producer_id, aborted[0].first_offset, aborted.len()), (5, 1, 1));

    drop(partition);
    rig.kill();
    let answer = fetch(&rig, 3, 1).await;
    let data = &answer.responses[0].partitions[0];
    assert_eq!(data.last_stable_offset, 5);
    assert_eq!(data.aborted_transactions.as_ref().unwrap().len(), 1, "it reaches into what is read");
    let behind = fetch(&rig, 5, 1).await;
    assert_eq!(behind.responses[0].partitions[0].aborted_transactions, Some(Vec::new()));
}
