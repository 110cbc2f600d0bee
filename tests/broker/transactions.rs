//! Transactions over the wire structs: what producers of each generation are told, what readers see of it, and that a
//! decided end is carried out whatever happens in between.

use std::time::Duration;

use klog::record::ProducerStamp;
use klog::wire::error::ErrorCode;
use klog::wire::messages::add_partitions_to_txn::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use klog::wire::messages::api_versions::ApiVersionsRequest;
use klog::wire::messages::create_partitions::{CreatePartitionsRequest, CreatePartitionsTopic};
use klog::wire::messages::describe_transactions::{DescribeTransactionsRequest, TransactionState};
use klog::wire::messages::end_txn::{EndTxnRequest, EndTxnResponse};
use klog::wire::messages::fetch::FetchResponse;
use klog::wire::messages::find_coordinator::FindCoordinatorRequest;
use klog::wire::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use klog::wire::messages::list_transactions::ListTransactionsRequest;
use klog::wire::messages::write_txn_markers::{
    WritableTxnMarker, WritableTxnMarkerTopic, WriteTxnMarkersRequest,
};

use crate::rig::{Rig, fetch_request, produce_request, stamped};

type Producer = (i64, i16);

async fn begun(rig: &Rig) {
    for topic in ["a", "b"] {
        rig.create(topic, 1, &[]).await;
    }
    let find =
        FindCoordinatorRequest { key_type: 1, coordinator_keys: vec!["t".to_owned()], ..Default::default() };
    assert_eq!(rig.call(&find, 4).await.coordinators[0].error_code, ErrorCode::NONE);
}

async fn init(rig: &Rig, id: &str, had: Option<Producer>, timeout_ms: i32) -> InitProducerIdResponse {
    let (producer_id, producer_epoch) = had.unwrap_or((-1, -1));
    let request = InitProducerIdRequest {
        transactional_id: Some(id.to_owned()),
        transaction_timeout_ms: timeout_ms,
        producer_id,
        producer_epoch,
    };
    rig.call(&request, 5).await
}

async fn given(rig: &Rig, id: &str) -> Producer {
    for _ in 0..20 {
        let answer = init(rig, id, None, 60_000).await;
        if answer.error_code != ErrorCode::CONCURRENT_TRANSACTIONS {
            assert_eq!(answer.error_code, ErrorCode::NONE);
            return (answer.producer_id, answer.producer_epoch);
        }
    }
    panic!("the transaction before never ended");
}

async fn send(
    rig: &Rig,
    id: &str,
    producer: Producer,
    topic: &str,
    sequence: i32,
    value: &str,
    version: i16,
) -> ErrorCode {
    let stamp =
        ProducerStamp { id: producer.0, epoch: producer.1, base_sequence: sequence, transactional: true };
    let mut request = produce_request(topic, 0, -1, stamped(&[value], stamp));
    request.transactional_id = Some(id.to_owned());
    rig.call(&request, version).await.responses[0].partition_responses[0].error_code
}

async fn add(rig: &Rig, id: &str, producer: Producer, topics: &[&str]) -> Vec<ErrorCode> {
    let topic = |name: &&str| AddPartitionsToTxnTopic { name: (*name).to_owned(), partitions: vec![0] };
    let request = AddPartitionsToTxnRequest {
        v3_and_below_transactional_id: id.to_owned(),
        v3_and_below_producer_id: producer.0,
        v3_and_below_producer_epoch: producer.1,
        v3_and_below_topics: topics.iter().map(topic).collect(),
        ..Default::default()
    };
    let answer = rig.call(&request, 3).await;
    let each = answer.results_by_topic_v3_and_below.iter();
    each.map(|topic| topic.results_by_partition[0].partition_error_code).collect()
}

async fn end(rig: &Rig, id: &str, producer: Producer, committed: bool, version: i16) -> EndTxnResponse {
    let request = EndTxnRequest {
        transactional_id: id.to_owned(),
        producer_id: producer.0,
        producer_epoch: producer.1,
        committed,
    };
    rig.call(&request, version).await
}

/// Ends a transaction as clients of KIP-890 do; answers the next one's producer.
async fn ended(rig: &Rig, id: &str, producer: Producer, committed: bool) -> Producer {
    let answer = end(rig, id, producer, committed, 5).await;
    assert_eq!(answer.error_code, ErrorCode::NONE);
    (answer.producer_id, answer.producer_epoch)
}

async fn described(rig: &Rig, id: &str) -> TransactionState {
    let request = DescribeTransactionsRequest { transactional_ids: vec![id.to_owned()] };
    rig.call(&request, 0).await.transaction_states.remove(0)
}

/// What a reader at read_committed is given of a topic: the last stable offset and the aborted transactions' starts.
async fn committed(rig: &Rig, topic: &str) -> (i64, Vec<i64>) {
    let mut request = fetch_request(topic, 0, 0);
    request.isolation_level = 1;
    let answer: FetchResponse = rig.call(&request, 12).await;
    let partition = &answer.responses[0].partitions[0];
    let aborted = partition.aborted_transactions.iter().flatten().map(|aborted| aborted.first_offset);
    (partition.last_stable_offset, aborted.collect())
}

#[tokio::test]
async fn producers_that_bump_at_each_end() {
    let rig = Rig::new();
    begun(&rig).await;
    let first = given(&rig, "t").await;
    assert_eq!(send(&rig, "t", first, "a", 0, "one", 12).await, ErrorCode::NONE);
    assert_eq!(send(&rig, "t", first, "a", 1, "two", 12).await, ErrorCode::NONE);
    assert_eq!(send(&rig, "t", first, "b", 0, "three", 12).await, ErrorCode::NONE);
    assert_eq!(committed(&rig, "a").await, (0, vec![]), "nothing is stable before the end");
    let open = described(&rig, "t").await;
    assert_eq!((open.transaction_state.as_str(), open.topics.len()), ("Ongoing", 2));
    let second = ended(&rig, "t", first, true).await;
    assert_eq!(second, (first.0, first.1 + 1));
    assert_eq!(committed(&rig, "a").await, (3, vec![]), "two records and the marker");
    assert_eq!(committed(&rig, "b").await, (2, vec![]));
    let again = end(&rig, "t", first, true, 5).await;
    assert_eq!((again.error_code, again.producer_epoch), (ErrorCode::NONE, second.1));
    let other = end(&rig, "t", first, false, 5).await;
    assert_eq!((other.error_code, other.producer_id), (ErrorCode::INVALID_TXN_STATE, -1));
    assert_eq!(send(&rig, "t", second, "a", 0, "four", 12).await, ErrorCode::NONE);
    assert_eq!(send(&rig, "t", first, "a", 2, "late", 12).await, ErrorCode::INVALID_PRODUCER_EPOCH);
    let third = ended(&rig, "t", second, false).await;
    assert_eq!(committed(&rig, "a").await, (5, vec![3]));
    assert_eq!(ended(&rig, "t", third, false).await, (third.0, third.1 + 1), "an abort of nothing");
    assert_eq!(described(&rig, "t").await.transaction_state, "CompleteAbort");
}

#[tokio::test]
async fn producers_of_the_first_version() {
    let rig = Rig::new();
    begun(&rig).await;
    let producer = given(&rig, "t").await;
    for (version, code) in [(11, ErrorCode::TRANSACTION_ABORTABLE), (10, ErrorCode::INVALID_TXN_STATE)] {
        assert_eq!(send(&rig, "t", producer, "a", 0, "x", version).await, code, "version {version}");
    }
    assert_eq!(add(&rig, "t", producer, &["a", "b"]).await, [ErrorCode::NONE; 2]);
    assert_eq!(send(&rig, "t", producer, "a", 0, "one", 9).await, ErrorCode::NONE);
    let refused = add(&rig, "t", producer, &["a", "none"]).await;
    assert_eq!(refused, [ErrorCode::OPERATION_NOT_ATTEMPTED, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION]);
    assert_eq!(end(&rig, "t", producer, true, 3).await.error_code, ErrorCode::NONE);
    assert_eq!(committed(&rig, "a").await, (2, vec![]));
    assert_eq!(committed(&rig, "b").await, (1, vec![]), "the marker goes wherever something could have been");
    assert_eq!(end(&rig, "t", producer, true, 3).await.error_code, ErrorCode::NONE, "a retry");
    // Between the transactions nothing is taken that the coordinator does not know of.
    assert_eq!(send(&rig, "t", producer, "a", 1, "late", 9).await, ErrorCode::INVALID_TXN_STATE);
    assert_eq!(add(&rig, "t", producer, &["a"]).await, [ErrorCode::NONE]);
    assert_eq!(send(&rig, "t", producer, "a", 1, "two", 9).await, ErrorCode::NONE);
    assert_eq!(end(&rig, "t", producer, false, 3).await.error_code, ErrorCode::NONE);
    assert_eq!(committed(&rig, "a").await, (4, vec![2]));
}

#[tokio::test]
async fn who_may_not_be_is_told_so() {
    let rig = Rig::new();
    begun(&rig).await;
    assert_eq!(init(&rig, "", None, 1000).await.error_code, ErrorCode::INVALID_REQUEST);
    for timeout_ms in [0, 900_001] {
        let answer = init(&rig, "t", None, timeout_ms).await;
        assert_eq!(answer.error_code, ErrorCode::INVALID_TRANSACTION_TIMEOUT);
    }
    assert_eq!(init(&rig, "t", Some((7, -1)), 1000).await.error_code, ErrorCode::INVALID_REQUEST);
    let unknown = ErrorCode::INVALID_PRODUCER_ID_MAPPING;
    assert_eq!(add(&rig, "new", (1, 0), &["a"]).await, [unknown]);
    assert_eq!(end(&rig, "new", (1, 0), true, 5).await.error_code, unknown);
    assert_eq!(send(&rig, "new", (1, 0), "a", 0, "x", 12).await, unknown);
    assert_eq!(described(&rig, "new").await.error_code, ErrorCode::TRANSACTIONAL_ID_NOT_FOUND);

    let old = given(&rig, "t").await;
    assert_eq!(send(&rig, "t", old, "a", 0, "torn", 12).await, ErrorCode::NONE);
    let aborting = init(&rig, "t", None, 1000).await;
    assert_eq!(aborting.error_code, ErrorCode::CONCURRENT_TRANSACTIONS);
    let new = given(&rig, "t").await;
    assert!(new.0 == old.0 && new.1 > old.1);
    assert_eq!(committed(&rig, "a").await, (2, vec![0]));
    assert_eq!(add(&rig, "t", old, &["a"]).await, [ErrorCode::PRODUCER_FENCED]);
    assert_eq!(end(&rig, "t", old, true, 5).await.error_code, ErrorCode::PRODUCER_FENCED);
    assert_eq!(end(&rig, "t", old, true, 1).await.error_code, ErrorCode::INVALID_PRODUCER_EPOCH);
    assert_eq!(init(&rig, "t", Some(old), 1000).await.error_code, ErrorCode::PRODUCER_FENCED);
    assert_eq!(send(&rig, "t", old, "a", 1, "late", 12).await, ErrorCode::INVALID_PRODUCER_EPOCH);
}

#[tokio::test]
async fn what_takes_too_long_is_aborted() {
    let rig = Rig::new();
    begun(&rig).await;
    let answer = init(&rig, "t", None, 5000).await;
    let producer = (answer.producer_id, answer.producer_epoch);
    assert_eq!(send(&rig, "t", producer, "a", 0, "slow", 12).await, ErrorCode::NONE);
    rig.clock.advance(Duration::from_millis(4999));
    rig.broker.transactions().tick(&rig.broker).await;
    assert_eq!(described(&rig, "t").await.transaction_state, "Ongoing");
    rig.clock.advance(Duration::from_secs(10));
    rig.broker.transactions().tick(&rig.broker).await;
    // The end is written by a task of its own.
    assert_eq!(given(&rig, "u").await.1, 0);
    completed(&rig, "t", "CompleteAbort").await;
    assert_eq!(committed(&rig, "a").await, (2, vec![0]));
    assert_eq!(end(&rig, "t", producer, true, 5).await.error_code, ErrorCode::INVALID_TXN_STATE);
    rig.clock.advance(Duration::from_secs(8 * 24 * 3600));
    rig.broker.transactions().tick(&rig.broker).await;
    assert_eq!(described(&rig, "t").await.error_code, ErrorCode::TRANSACTIONAL_ID_NOT_FOUND);
}

#[tokio::test]
async fn a_decided_end_is_carried_out_after_a_crash() {
    for committed_end in [true, false] {
        let mut rig = Rig::new();
        begun(&rig).await;
        let producer = given(&rig, "t").await;
        assert_eq!(send(&rig, "t", producer, "a", 0, "one", 12).await, ErrorCode::NONE);
        let decided = {
            let broker = std::sync::Arc::clone(&rig.broker);
            let runtime = std::thread::spawn(move || {
                // A runtime that ends with the answer: whatever was still to be written is not.
                let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
                let asked = klog::broker::transactions::request::EndRequest {
                    transactional_id: "t",
                    producer: klog::broker::transactions::request::Producer {
                        id: producer.0,
                        epoch: producer.1,
                    },
                    commit: committed_end,
                    client_version: 2,
                };
                let transactions = broker.transactions();
                runtime.block_on(async {
                    let end = transactions.end(&broker, asked);
                    // Polled once: decided and appended, nothing awaited.
                    tokio::pin!(end);
                    tokio::select! { biased; _ = &mut end => {} () = std::future::ready(()) => {} }
                });
            });
            runtime.join()
        };
        assert!(decided.is_ok());
        rig.broker.partition("__transaction_state", shard_of_t(&rig)).unwrap().settled().await.unwrap();
        rig.cut_power();
        // Whoever asks first has the markers written.
        let wanted = if committed_end { "CompleteCommit" } else { "CompleteAbort" };
        completed(&rig, "t", wanted).await;
        let aborted = if committed_end { vec![] } else { vec![0] };
        assert_eq!(committed(&rig, "a").await, (2, aborted));
        let next = (producer.0, producer.1 + 1);
        assert_eq!(send(&rig, "t", next, "a", 0, "two", 12).await, ErrorCode::NONE);
        ended(&rig, "t", next, true).await;
        assert_eq!(committed(&rig, "a").await.0, 4);
    }
}

/// Waits until the end of an id's transaction is carried out.
async fn completed(rig: &Rig, id: &str, wanted: &str) {
    for _ in 0..500 {
        if described(rig, id).await.transaction_state == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{id} is {}", described(rig, id).await.transaction_state);
}

#[tokio::test]
async fn a_full_disk_holds_an_end_up_and_takes_nothing_back() {
    let rig = Rig::new();
    begun(&rig).await;
    let producer = given(&rig, "t").await;
    assert_eq!(send(&rig, "t", producer, "a", 0, "one", 12).await, ErrorCode::NONE);
    let full = rig.disk.used();
    let mut room = 0;
    // Less and less is missing, until there is room for the decision and for no marker.
    loop {
        rig.disk.set_capacity(Some(full + room));
        let answer = end(&rig, "t", producer, true, 5).await;
        if answer.error_code == ErrorCode::NONE {
            break;
        }
        assert_eq!(answer.error_code, ErrorCode::NOT_COORDINATOR);
        assert_eq!(described(&rig, "t").await.transaction_state, "Ongoing");
        room += 20;
        assert!(room < 2000, "a decision has no more than that");
    }
    assert_eq!(described(&rig, "t").await.transaction_state, "PrepareCommit");
    assert_eq!(committed(&rig, "a").await, (0, vec![]));
    rig.disk.set_capacity(None);
    completed(&rig, "t", "CompleteCommit").await;
    assert_eq!(committed(&rig, "a").await, (2, vec![]));
}

#[tokio::test]
async fn a_decision_that_did_not_reach_the_disk_was_none() {
    let mut rig = Rig::new();
    begun(&rig).await;
    let producer = given(&rig, "t").await;
    assert_eq!(send(&rig, "t", producer, "a", 0, "one", 12).await, ErrorCode::NONE);
    rig.disk.fail_sync(0);
    assert_eq!(end(&rig, "t", producer, true, 5).await.error_code, ErrorCode::NOT_COORDINATOR);
    assert_eq!(committed(&rig, "a").await, (0, vec![]), "no marker goes before its decision");
    assert_eq!(described(&rig, "t").await.error_code, ErrorCode::COORDINATOR_NOT_AVAILABLE);
    rig.cut_power();
    assert_eq!(described(&rig, "t").await.transaction_state, "Ongoing");
    ended(&rig, "t", producer, false).await;
    assert_eq!(committed(&rig, "a").await, (2, vec![0]));
}

#[tokio::test]
async fn a_coordinator_whose_log_failed_writes_no_marker_twice() {
    let mut failed = 0;
    for after in 0..3 {
        let mut rig = Rig::new();
        begun(&rig).await;
        let producer = given(&rig, "t").await;
        assert_eq!(send(&rig, "t", producer, "a", 0, "one", 12).await, ErrorCode::NONE);
        rig.disk.fail_sync(after);
        end(&rig, "t", producer, true, 5).await;
        let markers = || rig.broker.partition("a", 0).unwrap().log_end();
        for _ in 0..12 {
            rig.clock.advance(Duration::from_secs(5));
            rig.broker.transactions().tick(&rig.broker).await;
            described(&rig, "t").await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let state = rig.broker.partition("__transaction_state", shard_of_t(&rig)).unwrap();
        if state.log().is_failed() {
            failed += 1;
            assert!(markers() <= 2, "sync {after}: a record and one marker, not {}", markers());
            assert_eq!(described(&rig, "t").await.error_code, ErrorCode::COORDINATOR_NOT_AVAILABLE);
        }
        rig.cut_power();
        let wanted = if after == 0 { "Ongoing" } else { "CompleteCommit" };
        completed(&rig, "t", wanted).await;
    }
    assert!(failed > 1, "the decision and the record that all is done");
}

#[tokio::test]
async fn the_coordinators_topics_keep_their_number_of_partitions() {
    let rig = Rig::new();
    begun(&rig).await;
    let topic = CreatePartitionsTopic {
        name: "__transaction_state".to_owned(),
        count: 20,
        ..CreatePartitionsTopic::default()
    };
    let request = CreatePartitionsRequest { topics: vec![topic], timeout_ms: 1000, ..Default::default() };
    let refused = rig.call(&request, 3).await.results.remove(0);
    assert_eq!(refused.error_code, ErrorCode::INVALID_REQUEST);
    assert!(refused.error_message.unwrap().contains("keeps its number of partitions"));
    assert_eq!(rig.broker.partition_count("__transaction_state"), Some(8));
}

#[tokio::test]
async fn a_marker_of_a_coordinator_to_come_is_refused() {
    let rig = Rig::new();
    begun(&rig).await;
    let producer = given(&rig, "t").await;
    assert_eq!(send(&rig, "t", producer, "a", 0, "one", 12).await, ErrorCode::NONE);
    let ask = async |coordinator_epoch, producer_epoch| {
        let topic = WritableTxnMarkerTopic { name: "a".to_owned(), partition_indexes: vec![0] };
        let marker = WritableTxnMarker {
            producer_id: producer.0,
            producer_epoch,
            coordinator_epoch,
            topics: vec![topic],
            ..Default::default()
        };
        let answer = rig.call(&WriteTxnMarkersRequest { markers: vec![marker] }, 1).await;
        answer.markers[0].topics[0].partitions[0].error_code
    };
    assert_eq!(ask(1000, producer.1).await, ErrorCode::INVALID_REQUEST);
    let next = ended(&rig, "t", producer, true).await;
    assert_eq!(committed(&rig, "a").await, (2, vec![]));

    // A log that knows such a coordinator all the same: an end is not done before its marker is there.
    let log = rig.broker.partition("a", 0).unwrap();
    log.append_marker(next.0, next.1, false, 1000, 0, 0).unwrap();
    assert_eq!(send(&rig, "t", next, "a", 0, "two", 12).await, ErrorCode::NONE);
    ended(&rig, "t", next, true).await;
    assert_eq!(described(&rig, "t").await.transaction_state, "PrepareCommit");
    assert_eq!(committed(&rig, "a").await.0, 3);
    // Whoever looks it up there may name the epoch that the log knows.
    assert_eq!(ask(1001, next.1 + 1).await, ErrorCode::INVALID_REQUEST);
    assert_eq!(ask(1000, next.1 + 1).await, ErrorCode::NONE);
    completed(&rig, "t", "CompleteCommit").await;
    assert_eq!(committed(&rig, "a").await.0, 5);
}

fn shard_of_t(rig: &Rig) -> i32 {
    klog::broker::groups::shard_of("t", rig.broker.partition_count("__transaction_state").unwrap())
}

#[tokio::test]
async fn what_is_open_is_found_again_after_a_power_cut() {
    let mut rig = Rig::new();
    begun(&rig).await;
    let producer = given(&rig, "t").await;
    assert_eq!(send(&rig, "t", producer, "a", 0, "one", 12).await, ErrorCode::NONE);
    rig.cut_power();
    let open = described(&rig, "t").await;
    assert_eq!((open.transaction_state.as_str(), open.producer_id), ("Ongoing", producer.0));
    assert_eq!(send(&rig, "t", producer, "a", 1, "two", 12).await, ErrorCode::NONE);
    ended(&rig, "t", producer, true).await;
    assert_eq!(committed(&rig, "a").await, (3, vec![]));
}

#[tokio::test]
async fn a_deleted_topic_holds_nothing_up() {
    let rig = Rig::new();
    begun(&rig).await;
    let producer = given(&rig, "t").await;
    assert_eq!(send(&rig, "t", producer, "a", 0, "one", 12).await, ErrorCode::NONE);
    assert_eq!(send(&rig, "t", producer, "b", 0, "two", 12).await, ErrorCode::NONE);
    rig.broker.delete_topic("a").unwrap();
    ended(&rig, "t", producer, true).await;
    assert_eq!(described(&rig, "t").await.transaction_state, "CompleteCommit");
    assert_eq!(committed(&rig, "b").await, (2, vec![]));
}

#[tokio::test]
async fn what_brokers_and_admins_ask() {
    let rig = Rig::new();
    begun(&rig).await;
    let producer = given(&rig, "t").await;
    assert_eq!(send(&rig, "t", producer, "a", 0, "one", 12).await, ErrorCode::NONE);
    let topic = |name: &str| AddPartitionsToTxnTopic { name: name.to_owned(), partitions: vec![0] };
    let verify = AddPartitionsToTxnRequest {
        transactions: vec![AddPartitionsToTxnTransaction {
            transactional_id: "t".to_owned(),
            producer_id: producer.0,
            producer_epoch: producer.1,
            verify_only: true,
            topics: vec![topic("a"), topic("b")],
        }],
        ..Default::default()
    };
    let answer = rig.call(&verify, 5).await;
    let codes: Vec<_> = answer.results_by_transaction[0]
        .topic_results
        .iter()
        .map(|topic| topic.results_by_partition[0].partition_error_code)
        .collect();
    assert_eq!(codes, [ErrorCode::NONE, ErrorCode::TRANSACTION_ABORTABLE]);

    let marker = |topic: &str| WritableTxnMarker {
        producer_id: producer.0,
        producer_epoch: producer.1,
        topics: vec![WritableTxnMarkerTopic { name: topic.to_owned(), partition_indexes: vec![0] }],
        ..Default::default()
    };
    let request = WriteTxnMarkersRequest { markers: vec![marker("a"), marker("none")] };
    let answer = rig.call(&request, 1).await;
    let codes: Vec<_> =
        answer.markers.iter().map(|marker| marker.topics[0].partitions[0].error_code).collect();
    assert_eq!(codes, [ErrorCode::NONE, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION]);
    assert_eq!(committed(&rig, "a").await, (2, vec![0]), "aborted by hand");
}

#[tokio::test]
async fn ids_are_listed_by_what_is_asked_for() {
    let rig = Rig::new();
    begun(&rig).await;
    let producer = given(&rig, "t").await;
    given(&rig, "other").await;
    assert_eq!(send(&rig, "t", producer, "a", 0, "one", 12).await, ErrorCode::NONE);
    let list = |request: ListTransactionsRequest| {
        let rig = &rig;
        async move { rig.call(&request, 2).await }
    };
    let names = |answer: klog::wire::messages::list_transactions::ListTransactionsResponse| {
        answer.transaction_states.into_iter().map(|one| one.transactional_id).collect::<Vec<_>>()
    };
    assert_eq!(names(list(ListTransactionsRequest::default()).await), ["other", "t"]);
    let ongoing = ListTransactionsRequest {
        state_filters: vec!["Ongoing".to_owned(), "Nonsense".to_owned()],
        ..Default::default()
    };
    let answer = list(ongoing).await;
    assert_eq!(answer.unknown_state_filters, ["Nonsense"]);
    assert_eq!(names(answer), ["t"]);
    for (pattern, found) in
        [("o.*", vec!["other"]), ("t|x", vec!["t"]), ("the", vec![]), ("", vec!["other", "t"])]
    {
        let by_name = ListTransactionsRequest {
            transactional_id_pattern: Some(pattern.to_owned()),
            ..Default::default()
        };
        assert_eq!(names(list(by_name).await), found, "{pattern}");
    }
    for broken in ["(", "a)|(?:b"] {
        let broken = ListTransactionsRequest {
            transactional_id_pattern: Some(broken.to_owned()),
            ..Default::default()
        };
        assert_eq!(list(broken).await.error_code, ErrorCode::INVALID_REGULAR_EXPRESSION);
    }
    let long = |duration_filter| ListTransactionsRequest {
        duration_filter,
        state_filters: vec!["Ongoing".to_owned()],
        ..Default::default()
    };
    rig.clock.advance(Duration::from_secs(5));
    assert_eq!(names(list(long(4999)).await), ["t"]);
    assert!(names(list(long(5000)).await).is_empty());
}

#[tokio::test]
async fn the_feature_is_finalized_and_hidden_from_those_who_do_not_take_level_0() {
    let rig = Rig::new();
    let named = |version| {
        let request = ApiVersionsRequest {
            client_software_name: "test".to_owned(),
            client_software_version: "1".to_owned(),
        };
        let rig = &rig;
        async move {
            let answer = rig.call(&request, version).await;
            let supported = answer.supported_features.iter().any(|known| known.name == "transaction.version");
            let level = answer.finalized_features.iter().find(|known| known.name == "transaction.version");
            (supported, level.map(|known| known.max_version_level))
        }
    };
    assert_eq!(named(4).await, (true, Some(2)));
    assert_eq!(named(3).await, (false, Some(2)));
}

#[tokio::test]
async fn an_end_that_is_complete_outlives_a_power_cut_where_the_topic_is_not_synced() {
    for commit in [true, false] {
        let mut rig = Rig::new();
        begun(&rig).await;
        rig.create("lazy", 1, &[("flush.messages", "1000000")]).await;
        let producer = given(&rig, "t").await;
        assert_eq!(send(&rig, "t", producer, "lazy", 0, "one", 12).await, ErrorCode::NONE);
        ended(&rig, "t", producer, commit).await;
        completed(&rig, "t", if commit { "CompleteCommit" } else { "CompleteAbort" }).await;
        let shard = rig.broker.partition("__transaction_state", shard_of_t(&rig)).unwrap();
        shard.settled().await.unwrap();
        drop(shard);
        rig.cut_power();
        let aborted = if commit { vec![] } else { vec![0] };
        assert_eq!(committed(&rig, "lazy").await, (2, aborted), "the record and the marker");
    }
}

#[tokio::test]
async fn an_end_by_hand_that_is_answered_outlives_a_power_cut_where_the_topic_is_not_synced() {
    let mut rig = Rig::new();
    begun(&rig).await;
    rig.create("lazy", 1, &[("flush.messages", "1000000")]).await;
    let producer = given(&rig, "t").await;
    assert_eq!(send(&rig, "t", producer, "lazy", 0, "one", 12).await, ErrorCode::NONE);
    let marker = WritableTxnMarker {
        producer_id: producer.0,
        producer_epoch: producer.1,
        topics: vec![WritableTxnMarkerTopic { name: "lazy".to_owned(), partition_indexes: vec![0] }],
        ..Default::default()
    };
    let answer = rig.call(&WriteTxnMarkersRequest { markers: vec![marker] }, 1).await;
    assert_eq!(answer.markers[0].topics[0].partitions[0].error_code, ErrorCode::NONE);
    assert_eq!(committed(&rig, "lazy").await, (2, vec![0]), "seen at once");
    rig.cut_power();
    assert_eq!(committed(&rig, "lazy").await, (2, vec![0]), "the record and the marker");
}

#[tokio::test]
async fn what_a_fenced_producer_still_sends_does_not_hold_up_the_one_that_took_over() {
    for version in [11, 12] {
        let rig = Rig::new();
        begun(&rig).await;
        let old = given(&rig, "t").await;
        let new = given(&rig, "t").await;
        assert!(new.1 > old.1);
        if version < 12 {
            assert_eq!(add(&rig, "t", new, &["a"]).await, [ErrorCode::NONE]);
        }
        for sequence in 0..3 {
            assert_eq!(send(&rig, "t", new, "a", sequence, "new", version).await, ErrorCode::NONE);
            // The old one, and an epoch that nobody gave.
            for producer in [old, (new.0, new.1 + 9)] {
                assert_ne!(send(&rig, "t", producer, "a", 0, "late", version).await, ErrorCode::NONE);
            }
        }
    }
}
