//! A broker over the simulated disk and a clock that stands still, spoken to by encoded requests; no socket.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use klog::broker::api::{self, Outcome, Part, Reply};
use klog::broker::settings::Settings;
use klog::broker::{Broker, BrokerOptions, Peer};
use klog::model::time::ManualClock;
use klog::record::{Batch, BatchBuilder, Compression, Compressor, Decompressor, ProducerStamp};
use klog::storage::disk::read_exact_at;
use klog::storage::sim::SimDisk;
use klog::wire::Request;
use klog::wire::error::ErrorCode;
use klog::wire::frame::{self, RequestHeader, response_body};
use klog::wire::messages::create_topics::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use klog::wire::messages::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic};
use klog::wire::messages::produce::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, TopicProduceData,
};

pub(crate) const NOW: i64 = 1_700_000_000_000;

pub(crate) struct Rig {
    pub(crate) disk: Arc<SimDisk>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) broker: Arc<Broker>,
    settings: Settings,
    starts: u64,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    pub(crate) fn with(settings: &[(&str, &str)]) -> Self {
        let disk = SimDisk::new(7);
        let clock = Arc::new(ManualClock::new(NOW));
        let settings = Settings::parse(settings.iter().copied()).unwrap();
        let broker = open(&disk, &clock, &settings, 1);
        Self { disk, clock, broker, settings, starts: 1 }
    }

    /// The broker of a disk that another one has left, with the settings of default.
    pub(crate) fn on(disk: Arc<SimDisk>) -> Self {
        let clock = Arc::new(ManualClock::new(NOW));
        let settings = Settings::default();
        let broker = open(&disk, &clock, &settings, 9);
        Self { disk, clock, broker, settings, starts: 9 }
    }

    /// Power is cut; the machine and the broker come back.
    pub(crate) fn cut_power(&mut self) {
        self.disk.cut_power_at(self.disk.steps());
        self.disk.restart();
        self.reopen();
    }

    /// The process is killed and comes back.
    pub(crate) fn kill(&mut self) {
        self.disk.kill();
        self.reopen();
    }

    pub(crate) async fn restart(&mut self) {
        self.broker.close().await.unwrap();
        self.disk.kill();
        self.reopen();
    }

    fn reopen(&mut self) {
        self.starts += 1;
        self.broker = open(&self.disk, &self.clock, &self.settings, self.starts);
    }

    pub(crate) async fn outcome<R: Request>(&self, request: &R, version: i16) -> Outcome {
        let framed = frame::request_frame(request, version, 42, Some("test")).unwrap();
        let (header, body) = frame::split_request(Bytes::from(framed).slice(4..)).unwrap();
        api::call(&self.broker, &peer(), &header, body).await
    }

    pub(crate) async fn call<R: Request>(&self, request: &R, version: i16) -> R::Response {
        response::<R>(self.outcome(request, version).await, version).await
    }

    pub(crate) async fn raw(&self, header: &RequestHeader, body: &'static [u8]) -> Outcome {
        api::call(&self.broker, &peer(), header, Bytes::from_static(body)).await
    }

    pub(crate) async fn create(&self, name: &str, partitions: i32, configs: &[(&str, &str)]) -> ErrorCode {
        let request =
            CreateTopicsRequest { topics: vec![topic(name, partitions, configs)], ..Default::default() };
        self.call(&request, 7).await.topics[0].error_code
    }

    pub(crate) async fn produce(&self, name: &str, values: &[&str]) -> PartitionProduceResponse {
        self.send(name, 0, -1, batch(values)).await
    }

    pub(crate) async fn send(
        &self,
        name: &str,
        partition: i32,
        acks: i16,
        batch: Vec<u8>,
    ) -> PartitionProduceResponse {
        let request = produce_request(name, partition, acks, batch);
        let mut answer = self.call(&request, 12).await;
        answer.responses.remove(0).partition_responses.remove(0)
    }

    /// All values from `offset` on that one fetch gives.
    pub(crate) async fn values(&self, name: &str, partition: i32, offset: i64) -> Vec<String> {
        let answer = self.call(&fetch_request(name, partition, offset), 12).await;
        values_of(&answer)
    }
}

fn open(disk: &Arc<SimDisk>, clock: &Arc<ManualClock>, settings: &Settings, seed: u64) -> Arc<Broker> {
    let options =
        BrokerOptions { settings: settings.clone(), seed: Some(seed), ..BrokerOptions::new("/data") };
    Broker::open(options, Arc::clone(disk) as _, Arc::clone(clock) as _).unwrap()
}

pub(crate) fn peer() -> Peer {
    Peer::new(false, ("127.0.0.1".to_owned(), 9092), "/127.0.0.1")
}

pub(crate) async fn response<R: Request>(outcome: Outcome, version: i16) -> R::Response {
    let reply = match outcome {
        Outcome::Reply(reply) | Outcome::Last(reply, _) => reply,
        Outcome::Later(later) => {
            tokio::time::timeout(Duration::from_secs(20), later).await.expect("the sync never came")
        }
        Outcome::None => panic!("no answer"),
        Outcome::Close(reason) => panic!("closed: {reason}"),
    };
    response_body::<R::Response>(joined(&reply), version).unwrap()
}

pub(crate) fn joined(reply: &Reply) -> Bytes {
    let mut bytes = Vec::new();
    for part in &reply.parts {
        assert!(!part.is_empty(), "a server has nothing to do for an empty part");
        match part {
            Part::Bytes(part) => bytes.extend_from_slice(part),
            Part::File { file, position, len } => {
                let start = bytes.len();
                bytes.resize(start + len, 0);
                read_exact_at(&**file, &mut bytes[start..], *position).unwrap();
            }
        }
    }
    bytes.into()
}

pub(crate) fn topic(name: &str, partitions: i32, configs: &[(&str, &str)]) -> CreatableTopic {
    let config = |(name, value): &(&str, &str)| CreatableTopicConfig {
        name: (*name).to_owned(),
        value: Some((*value).to_owned()),
    };
    CreatableTopic {
        name: name.to_owned(),
        num_partitions: partitions,
        replication_factor: -1,
        configs: configs.iter().map(config).collect(),
        ..Default::default()
    }
}

pub(crate) fn batch(values: &[&str]) -> Vec<u8> {
    stamped(values, ProducerStamp::NONE)
}

pub(crate) fn stamped(values: &[&str], stamp: ProducerStamp) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    for value in values {
        builder.push(NOW, None, Some(value.as_bytes()), &[]);
    }
    builder.finish(stamp, Compression::NONE, &mut Compressor::new()).unwrap()
}

pub(crate) fn produce_request(name: &str, partition: i32, acks: i16, batch: Vec<u8>) -> ProduceRequest {
    let data = PartitionProduceData { index: partition, records: Some(batch.into()) };
    ProduceRequest {
        acks,
        timeout_ms: 30_000,
        topic_data: vec![TopicProduceData {
            name: name.to_owned(),
            partition_data: vec![data],
            ..Default::default()
        }],
        ..Default::default()
    }
}

pub(crate) fn fetch_request(name: &str, partition: i32, offset: i64) -> FetchRequest {
    let wanted = FetchPartition {
        partition,
        fetch_offset: offset,
        partition_max_bytes: 1 << 20,
        ..Default::default()
    };
    FetchRequest {
        max_wait_ms: 0,
        min_bytes: 1,
        topics: vec![FetchTopic { topic: name.to_owned(), partitions: vec![wanted], ..Default::default() }],
        ..Default::default()
    }
}

pub(crate) fn values_of(answer: &FetchResponse) -> Vec<String> {
    let mut values = Vec::new();
    for topic in &answer.responses {
        for partition in &topic.partitions {
            assert_eq!(partition.error_code, ErrorCode::NONE);
            let mut rest = partition.records.as_deref().unwrap_or_default();
            while let Some((batch, behind)) = Batch::split_first(rest).unwrap() {
                for record in Decompressor::new().records(&batch, 1 << 20).unwrap() {
                    let record = record.unwrap();
                    values.push(String::from_utf8(record.value.unwrap().to_vec()).unwrap());
                }
                rest = behind;
            }
        }
    }
    values
}
