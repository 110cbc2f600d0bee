//! The part of `answers` for the APIs of transactions.

use klog::wire::api::ApiKey;
use klog::wire::messages::add_offsets_to_txn::AddOffsetsToTxnRequest;
use klog::wire::messages::add_partitions_to_txn::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use klog::wire::messages::describe_transactions::DescribeTransactionsRequest;
use klog::wire::messages::end_txn::EndTxnRequest;
use klog::wire::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use klog::wire::messages::list_transactions::ListTransactionsRequest;
use klog::wire::messages::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use klog::wire::messages::write_txn_markers::{
    WritableTxnMarker, WritableTxnMarkerTopic, WriteTxnMarkersRequest,
};

use crate::answers::answered;
use crate::rig::Rig;

/// Calls an API in a version, well and badly; whether it is one of these.
pub(crate) async fn one(rig: &Rig, key: ApiKey, version: i16) -> bool {
    let id = || "t".to_owned();
    let asked = InitProducerIdRequest {
        transactional_id: Some(id()),
        transaction_timeout_ms: 1000,
        ..Default::default()
    };
    let producer = answered(rig, &asked, 5).await;
    match key {
        ApiKey::AddPartitionsToTxn => {
            for topic in ["t", "none"] {
                let topics = vec![AddPartitionsToTxnTopic { name: topic.to_owned(), partitions: vec![0] }];
                let mut request = AddPartitionsToTxnRequest::default();
                if version < 4 {
                    request.v3_and_below_transactional_id = id();
                    request.v3_and_below_producer_id = producer.producer_id;
                    request.v3_and_below_producer_epoch = producer.producer_epoch;
                    request.v3_and_below_topics = topics;
                } else {
                    request.transactions = vec![AddPartitionsToTxnTransaction {
                        transactional_id: id(),
                        producer_id: producer.producer_id,
                        producer_epoch: producer.producer_epoch,
                        verify_only: topic == "none",
                        topics,
                    }];
                }
                answered(rig, &request, version).await;
            }
        }
        ApiKey::AddOffsetsToTxn | ApiKey::TxnOffsetCommit => offsets(rig, key, version, &producer).await,
        ApiKey::EndTxn => {
            for committed in [true, false] {
                let request = EndTxnRequest {
                    transactional_id: id(),
                    producer_id: producer.producer_id,
                    producer_epoch: producer.producer_epoch,
                    committed,
                };
                answered(rig, &request, version).await;
            }
        }
        ApiKey::WriteTxnMarkers => {
            let topic =
                |name: &str| WritableTxnMarkerTopic { name: name.to_owned(), partition_indexes: vec![0] };
            let marker = WritableTxnMarker {
                producer_id: 77,
                topics: vec![topic("t"), topic("none")],
                ..Default::default()
            };
            answered(rig, &WriteTxnMarkersRequest { markers: vec![marker] }, version).await;
        }
        ApiKey::DescribeTransactions => {
            let transactional_ids = vec![id(), "none".to_owned(), String::new()];
            answered(rig, &DescribeTransactionsRequest { transactional_ids }, version).await;
        }
        ApiKey::ListTransactions => {
            let state_filters = vec!["Ongoing".to_owned(), "nonsense".to_owned()];
            answered(rig, &ListTransactionsRequest { state_filters, ..Default::default() }, version).await;
            answered(rig, &ListTransactionsRequest::default(), version).await;
        }
        _ => return false,
    }
    true
}

async fn offsets(rig: &Rig, key: ApiKey, version: i16, producer: &InitProducerIdResponse) {
    let id = || "t".to_owned();
    if key == ApiKey::AddOffsetsToTxn {
        for group in ["g", ""] {
            let request = AddOffsetsToTxnRequest {
                transactional_id: id(),
                producer_id: producer.producer_id,
                producer_epoch: producer.producer_epoch,
                group_id: group.to_owned(),
            };
            answered(rig, &request, version).await;
        }
    } else {
        for topic in ["t", "none"] {
            let partitions = vec![TxnOffsetCommitRequestPartition::default()];
            let request = TxnOffsetCommitRequest {
                transactional_id: id(),
                group_id: "g".to_owned(),
                producer_id: producer.producer_id,
                producer_epoch: producer.producer_epoch,
                generation_id: -1,
                topics: vec![TxnOffsetCommitRequestTopic { name: topic.to_owned(), partitions }],
                ..Default::default()
            };
            answered(rig, &request, version).await;
        }
    }
}
