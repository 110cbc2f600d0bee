//! What the protocol's bytes cost: Produce and Fetch taken apart and put together, Metadata at ten thousand partitions.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use klog::wire::frame::{decode_body, request_frame, request_pieces, response_bytes, split_request};
use klog::wire::messages::fetch::{
    FetchPartition, FetchRequest, FetchResponse, FetchTopic, FetchableTopicResponse, PartitionData,
};
use klog::wire::messages::metadata::{MetadataResponse, MetadataResponsePartition, MetadataResponseTopic};
use klog::wire::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};

const BATCH: usize = 128 * 1024;

fn produce(partitions: i32) -> ProduceRequest {
    let records = Bytes::from(vec![7; BATCH]);
    let partition_data =
        (0..partitions).map(|index| PartitionProduceData { index, records: Some(records.clone()) }).collect();
    let topic = TopicProduceData { name: "lines".to_owned(), partition_data, ..TopicProduceData::default() };
    ProduceRequest { acks: -1, timeout_ms: 30_000, topic_data: vec![topic], ..ProduceRequest::default() }
}

fn fetch(partitions: i32) -> FetchRequest {
    let partitions =
        (0..partitions).map(|partition| FetchPartition { partition, ..FetchPartition::default() }).collect();
    let topic = FetchTopic { topic: "lines".to_owned(), partitions, ..FetchTopic::default() };
    FetchRequest { topics: vec![topic], ..FetchRequest::default() }
}

fn fetched(partitions: i32, records: &Bytes) -> FetchResponse {
    let partitions = (0..partitions)
        .map(|partition_index| PartitionData {
            partition_index,
            records: Some(records.clone()),
            ..PartitionData::default()
        })
        .collect();
    let topic =
        FetchableTopicResponse { topic: "lines".to_owned(), partitions, ..FetchableTopicResponse::default() };
    FetchResponse { responses: vec![topic], ..FetchResponse::default() }
}

fn produce_and_fetch(criterion: &mut Criterion) {
    for partitions in [1, 100] {
        let mut group = criterion.benchmark_group(format!("{partitions} partitions"));
        group.throughput(Throughput::Elements(partitions as u64));
        let frame = Bytes::from(request_frame(&produce(partitions), 9, 1, Some("bench")).unwrap()).slice(4..);
        group.bench_function("produce request decode", |bencher| {
            bencher.iter(|| {
                let (header, body) = split_request(frame.clone()).unwrap();
                decode_body::<ProduceRequest>(body, header.api_version).unwrap()
            });
        });
        let request = produce(partitions);
        let records: Vec<Bytes> =
            request.topic_data[0].partition_data.iter().filter_map(|data| data.records.clone()).collect();
        group.bench_function("produce request pieces", |bencher| {
            bencher.iter(|| request_pieces(black_box(&request), 9, 1, Some("bench"), &records).unwrap());
        });
        let frame = Bytes::from(request_frame(&fetch(partitions), 12, 1, Some("bench")).unwrap()).slice(4..);
        group.bench_function("fetch request decode", |bencher| {
            bencher.iter(|| {
                let (header, body) = split_request(frame.clone()).unwrap();
                decode_body::<FetchRequest>(body, header.api_version).unwrap()
            });
        });
        let lengths = vec![BATCH; partitions as usize];
        let response = fetched(partitions, &Bytes::new());
        group.bench_function("fetch response parts", |bencher| {
            bencher.iter(|| black_box(&response).encode_parts(12, 1, &lengths).unwrap());
        });
        let body =
            response_bytes(&fetched(partitions, &Bytes::from(vec![7; BATCH])), 12, 1).unwrap().slice(5..);
        group.bench_function("fetch response decode", |bencher| {
            bencher.iter(|| decode_body::<FetchResponse>(body.clone(), 12).unwrap());
        });
        group.finish();
    }
}

fn metadata(criterion: &mut Criterion) {
    let topics = (0..1000).map(|number| MetadataResponseTopic {
        name: Some(format!("topic-{number}")),
        partitions: (0..10)
            .map(|partition_index| MetadataResponsePartition {
                partition_index,
                replica_nodes: vec![1],
                isr_nodes: vec![1],
                ..MetadataResponsePartition::default()
            })
            .collect(),
        ..MetadataResponseTopic::default()
    });
    let response = MetadataResponse { topics: topics.collect(), ..MetadataResponse::default() };
    let body = response_bytes(&response, 12, 1).unwrap().slice(5..);
    let mut group = criterion.benchmark_group("10000 partitions");
    group.throughput(Throughput::Elements(10_000));
    group.bench_function("metadata response encode", |bencher| {
        bencher.iter(|| response_bytes(black_box(&response), 12, 1).unwrap());
    });
    group.bench_function("metadata response decode", |bencher| {
        bencher.iter(|| decode_body::<MetadataResponse>(body.clone(), 12).unwrap());
    });
    group.finish();
}

criterion_group!(benches, produce_and_fetch, metadata);
criterion_main!(benches);
