//! Fetching: limits, offsets out of range, long polling, incremental sessions, epochs.

use std::time::Duration;

use klog::wire::error::ErrorCode;
use klog::wire::messages::fetch::{FetchPartition, FetchRequest, FetchTopic, ForgottenTopic};
use klog::wire::messages::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};

use crate::rig::{NOW, Rig, fetch_request, response, values_of};

#[tokio::test]
async fn both_ends_of_the_log_are_kept() {
    let rig = Rig::new();
    rig.create("t", 1, &[]).await;
    rig.produce("t", &["a", "b"]).await;
    for (offset, code) in
        [(-1, ErrorCode::OFFSET_OUT_OF_RANGE), (2, ErrorCode::NONE), (3, ErrorCode::OFFSET_OUT_OF_RANGE)]
    {
        let answer = rig.call(&fetch_request("t", 0, offset), 12).await;
        assert_eq!(answer.responses[0].partitions[0].error_code, code, "{offset}");
    }
    assert_eq!(rig.values("t", 0, 1).await, ["a", "b"], "the batch that holds the offset comes whole");
}

#[tokio::test]
async fn the_first_batch_is_always_whole_and_limits_hold_behind_it() {
    let rig = Rig::new();
    rig.create("t", 2, &[]).await;
    let large = "x".repeat(1000);
    for partition in 0..2 {
        for _ in 0..3 {
            rig.send("t", partition, -1, crate::rig::batch(&[&large])).await;
        }
    }
    let mut request = fetch_request("t", 0, 0);
    let second = FetchPartition { partition: 1, ..request.topics[0].partitions[0].clone() };
    request.topics[0].partitions.push(second);
    for (max_bytes, partition_max, expected) in
        [(1, 1 << 20, [1, 0]), (1 << 20, 1, [1, 0]), (2500, 1 << 20, [2, 0]), (3500, 2500, [2, 1])]
    {
        request.max_bytes = max_bytes;
        request.topics[0]
            .partitions
            .iter_mut()
            .for_each(|partition| partition.partition_max_bytes = partition_max);
        let answer = rig.call(&request, 12).await;
        let counts = answer.responses[0]
            .partitions
            .iter()
            .map(|partition| partition.records.as_ref().map_or(0, |records| records.len() / 1000));
        assert_eq!(counts.collect::<Vec<_>>(), expected, "{max_bytes} {partition_max}");
    }
}

#[tokio::test]
async fn all_versions_find_what_was_written() {
    let rig = Rig::new();
    rig.create("t", 1, &[]).await;
    rig.produce("t", &["a"]).await;
    let id = rig.broker.topic_id("t").unwrap();
    for version in 4..=18 {
        let mut request = fetch_request("t", 0, 0);
        if version >= 13 {
            request.topics[0].topic_id = id;
        }
        let answer = rig.call(&request, version).await;
        assert_eq!(values_of(&answer), ["a"], "version {version}");
        let data = &answer.responses[0].partitions[0];
        assert_eq!((data.high_watermark, data.last_stable_offset), (1, 1));
        assert_eq!(data.aborted_transactions, None);
        request.isolation_level = 1;
        let committed = rig.call(&request, version).await;
        assert_eq!(committed.responses[0].partitions[0].aborted_transactions, Some(Vec::new()));
    }
    let mut unknown = fetch_request("t", 0, 0);
    unknown.topics[0].topic_id.0 = [9; 16];
    let answer = rig.call(&unknown, 13).await;
    assert_eq!(answer.responses[0].partitions[0].error_code, ErrorCode::UNKNOWN_TOPIC_ID);
}

#[tokio::test]
async fn a_waiting_fetch_is_woken_by_a_produce() {
    let rig = Rig::new();
    rig.create("t", 1, &[]).await;
    let request = FetchRequest { max_wait_ms: 60_000, ..fetch_request("t", 0, 0) };
    let waiting = rig.outcome(&request, 12);
    tokio::pin!(waiting);
    let early = std::future::poll_fn(|cx| std::task::Poll::Ready(waiting.as_mut().poll(cx).is_ready())).await;
    assert!(!early, "there was nothing to answer yet");
    assert_eq!(rig.produce("t", &["a"]).await.error_code, ErrorCode::NONE);
    let woken = tokio::time::timeout(Duration::from_secs(20), waiting);
    let answer = response::<FetchRequest>(woken.await.expect("the fetch slept on"), 12).await;
    assert_eq!(values_of(&answer), ["a"]);
}

#[tokio::test]
async fn a_fetch_waits_no_longer_than_it_asked_to() {
    let rig = Rig::new();
    rig.create("t", 1, &[]).await;
    rig.produce("t", &["too little"]).await;
    let begin = tokio::time::Instant::now();
    let request = FetchRequest { max_wait_ms: 80, min_bytes: 1 << 20, ..fetch_request("t", 0, 0) };
    let answer = rig.call(&request, 12).await;
    assert!((80..20_000).contains(&begin.elapsed().as_millis()));
    assert_eq!(values_of(&answer), ["too little"]);
    let unknown = FetchRequest { max_wait_ms: 60_000, ..fetch_request("none", 0, 0) };
    let answer = rig.call(&unknown, 12).await;
    assert!(begin.elapsed().as_secs() < 30, "an error is said at once");
    assert_eq!(answer.responses[0].partitions[0].error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
}

#[tokio::test]
async fn a_session_says_only_what_changed() {
    let rig = Rig::new();
    rig.create("t", 3, &[]).await;
    let mut request = fetch_request("t", 0, 0);
    for index in 1..3 {
        let partition = FetchPartition { partition: index, ..request.topics[0].partitions[0].clone() };
        request.topics[0].partitions.push(partition);
    }
    request.session_epoch = 0;
    let full = rig.call(&request, 12).await;
    assert_ne!(full.session_id, 0);
    assert_eq!(full.responses[0].partitions.len(), 3);

    let next = |epoch| FetchRequest {
        session_id: full.session_id,
        session_epoch: epoch,
        topics: Vec::new(),
        ..request.clone()
    };
    assert!(rig.call(&next(1), 12).await.responses.is_empty());
    rig.send("t", 1, -1, crate::rig::batch(&["b"])).await;
    let changed = rig.call(&next(2), 12).await;
    assert_eq!(changed.responses[0].partitions.len(), 1);
    assert_eq!(values_of(&changed), ["b"]);

    let mut moved = next(3);
    moved.topics = vec![FetchTopic {
        topic: "t".to_owned(),
        partitions: vec![FetchPartition {
            partition: 1,
            fetch_offset: 1,
            partition_max_bytes: 1 << 20,
            ..Default::default()
        }],
        ..Default::default()
    }];
    moved.forgotten_topics_data =
        vec![ForgottenTopic { topic: "t".to_owned(), partitions: vec![2], ..Default::default() }];
    assert!(rig.call(&moved, 12).await.responses.is_empty());
    rig.send("t", 2, -1, crate::rig::batch(&["c"])).await;
    assert!(rig.call(&next(4), 12).await.responses.is_empty(), "partition 2 was forgotten");

    assert_eq!(rig.call(&next(4), 12).await.error_code, ErrorCode::INVALID_FETCH_SESSION_EPOCH);
    let stranger = FetchRequest { session_id: full.session_id ^ 1, ..next(5) };
    assert_eq!(rig.call(&stranger, 12).await.error_code, ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
    let by_id = FetchRequest { ..next(5) };
    assert_eq!(rig.call(&by_id, 13).await.error_code, ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR);
}

#[tokio::test]
async fn an_epoch_of_the_past_or_the_future_is_refused() {
    let mut rig = Rig::new();
    rig.create("t", 1, &[]).await;
    rig.produce("t", &["a"]).await;
    rig.kill();
    for (epoch, code) in [
        (0, ErrorCode::FENCED_LEADER_EPOCH),
        (1, ErrorCode::NONE),
        (2, ErrorCode::UNKNOWN_LEADER_EPOCH),
        (-1, ErrorCode::NONE),
    ] {
        let mut request = fetch_request("t", 0, 0);
        request.topics[0].partitions[0].current_leader_epoch = epoch;
        let answer = rig.call(&request, 12).await;
        assert_eq!(answer.responses[0].partitions[0].error_code, code, "epoch {epoch}");
    }
    rig.restart().await;
    let mut request = fetch_request("t", 0, 0);
    request.topics[0].partitions[0].current_leader_epoch = 1;
    let answer = rig.call(&request, 12).await;
    assert_eq!(values_of(&answer), ["a"], "a clean stop leaves the epoch as it is");
}

#[tokio::test]
async fn offsets_are_found_by_time() {
    let rig = Rig::new();
    rig.create("t", 1, &[]).await;
    for step in 0..3 {
        let mut builder = klog::record::BatchBuilder::new();
        builder.push(NOW + step * 10, None, Some(b"a"), &[]);
        builder.push(NOW + step * 10 + 5, None, Some(b"b"), &[]);
        let stamp = klog::record::ProducerStamp::NONE;
        rig.send("t", 0, -1, builder.finish_plain(stamp).unwrap()).await;
    }
    for (version, timestamp, expected) in [
        (1, -2, (ErrorCode::NONE, -1, 0)),
        (1, -1, (ErrorCode::NONE, -1, 6)),
        (5, NOW + 11, (ErrorCode::NONE, NOW + 15, 3)),
        (5, NOW + 20, (ErrorCode::NONE, NOW + 20, 4)),
        (5, NOW + 100, (ErrorCode::NONE, -1, -1)),
        (7, -3, (ErrorCode::NONE, NOW + 25, 5)),
        (6, -3, (ErrorCode::UNSUPPORTED_VERSION, -1, -1)),
        (8, -4, (ErrorCode::NONE, -1, 0)),
        (9, -5, (ErrorCode::NONE, -1, -1)),
        (11, -6, (ErrorCode::NONE, -1, -1)),
        (11, -7, (ErrorCode::UNSUPPORTED_VERSION, -1, -1)),
    ] {
        let asked = ListOffsetsPartition { timestamp, ..Default::default() };
        let topic = ListOffsetsTopic { name: "t".to_owned(), partitions: vec![asked] };
        let request = ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() };
        let answer = rig.call(&request, version).await;
        let found = &answer.topics[0].partitions[0];
        assert_eq!((found.error_code, found.timestamp, found.offset), expected, "{version} {timestamp}");
    }
}

#[tokio::test]
async fn nothing_behind_the_high_watermark_that_is_told_is_given() {
    let rig = Rig::new();
    rig.create("t", 1, &[]).await;
    rig.produce("t", &["a"]).await;
    let topic = rig.broker.topic("t").unwrap();
    let partition = rig.broker.partition_of(&topic, 0).unwrap().unwrap();
    let told = partition.marks();
    rig.produce("t", &["b"]).await;
    let plan = partition.plan(&told, 0, 1 << 20, true, false).unwrap().unwrap();
    assert_eq!((plan.end, told.high_watermark), (1, 1), "the mark moved between the look at it and the plan");
}
