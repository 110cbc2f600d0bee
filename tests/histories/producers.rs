//! Producers: idempotent ones that send until they know, with several batches under way, and plain ones that send once.

use std::collections::HashMap;

use klog::record::{BatchBuilder, Codec, Compression, Compressor, ProducerStamp};
use klog::wire::error::ErrorCode;
use klog::wire::messages::init_producer_id::InitProducerIdRequest;
use klog::wire::messages::produce::{
    PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData,
};

use crate::carrier::UnderWay;
use crate::history::{Kind, Log, Outcome, Producer, Send, Value};
use crate::world::{Client, logs};

/// How often a batch is sent again before its client gives up.
const TRIES: usize = 400;

/// What an answer to a produce says for certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    Stored(Option<i64>),
    Refused(ErrorCode),
    Unsure(Option<ErrorCode>),
}

pub(crate) fn said(answer: Option<ProduceResponse>) -> Said {
    let Some(answer) = answer else { return Said::Unsure(None) };
    let partition = &answer.responses[0].partition_responses[0];
    match partition.error_code {
        ErrorCode::NONE => Said::Stored(Some(partition.base_offset).filter(|&base| base >= 0)),
        ErrorCode::DUPLICATE_SEQUENCE_NUMBER => Said::Stored(None),
        code @ (ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
        | ErrorCode::INVALID_PRODUCER_EPOCH
        | ErrorCode::PRODUCER_FENCED
        | ErrorCode::INVALID_PRODUCER_ID_MAPPING
        | ErrorCode::UNKNOWN_PRODUCER_ID
        | ErrorCode::INVALID_TXN_STATE
        | ErrorCode::TRANSACTION_ABORTABLE
        | ErrorCode::INVALID_TIMESTAMP) => Said::Refused(code),
        // A failed sync, a full disk, a broker that closes: it may or may not be there.
        code @ (ErrorCode::KAFKA_STORAGE_ERROR
        | ErrorCode::NOT_LEADER_OR_FOLLOWER
        | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        | ErrorCode::REQUEST_TIMED_OUT
        | ErrorCode::CONCURRENT_TRANSACTIONS
        | ErrorCode::COORDINATOR_NOT_AVAILABLE
        | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
        | ErrorCode::NOT_COORDINATOR
        | ErrorCode::NOT_ENOUGH_REPLICAS
        | ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND
        | ErrorCode::UNKNOWN_SERVER_ERROR) => Said::Unsure(Some(code)),
        code => panic!("an answer to Produce that no client here earned: {code}"),
    }
}

/// A batch, what it says and how it is sent.
pub(crate) struct Batch {
    pub(crate) log: Log,
    pub(crate) values: Vec<Value>,
    pub(crate) of: Option<Value>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) invoked: u64,
}

/// The text of a value: itself, and padding that makes records of all sizes.
pub(crate) fn text(value: Value) -> String {
    format!("{value} {}", "x".repeat((value % 7 * value % 40) as usize))
}

impl Client {
    /// A batch of values that nobody sent before.
    pub(crate) fn batch(&mut self, log: Log, count: usize, stamp: ProducerStamp, of: Option<Value>) -> Batch {
        let values: Vec<_> = (0..count).map(|_| self.world.recorder.number()).collect();
        let mut builder = BatchBuilder::new();
        for value in &values {
            builder.push((self.world.wall_ms)(), None, Some(text(*value).as_bytes()), &[]);
        }
        let codec = *self.random.choice(&[Codec::None, Codec::None, Codec::Lz4, Codec::Zstd]).unwrap();
        let compression = Compression { codec, level: None };
        let bytes = builder.finish(stamp, compression, &mut Compressor::new()).unwrap();
        Batch { log, values, of, bytes, invoked: 0 }
    }

    pub(crate) async fn send(
        &mut self,
        batch: &mut Batch,
        acks: i16,
        txn: Option<&str>,
        version: i16,
    ) -> UnderWay<ProduceRequest> {
        if batch.invoked == 0 {
            batch.invoked = self.world.recorder.now();
        }
        let data =
            PartitionProduceData { index: batch.log.partition, records: Some(batch.bytes.clone().into()) };
        let request = ProduceRequest {
            transactional_id: txn.map(str::to_owned),
            acks,
            timeout_ms: 10_000,
            topic_data: vec![TopicProduceData {
                name: batch.log.topic.to_owned(),
                partition_data: vec![data],
                ..Default::default()
            }],
        };
        self.line.begin(&request, version).await
    }

    /// Takes down what came of a batch.
    pub(crate) fn sent(
        &self,
        batch: Batch,
        durable: bool,
        txn: Option<u64>,
        producer: Option<Producer>,
        (outcome, base): (Outcome, Option<i64>),
    ) {
        let Batch { log, values, of, invoked, .. } = batch;
        let send = Send { log, values, txn, of, once: true, durable, base };
        self.world.recorder.done_by(self.process, producer, invoked, outcome, Kind::Send(send));
    }

    /// A producer id of its own; `None` when it is time to stop.
    async fn producer_id(&mut self) -> Option<ProducerStamp> {
        while !self.stopped() {
            let request = InitProducerIdRequest {
                transaction_timeout_ms: 60_000,
                producer_epoch: -1,
                ..Default::default()
            };
            match self.line.call(&request, 4).await {
                Some(answer) if answer.error_code.is_ok() => {
                    let (id, epoch) = (answer.producer_id, answer.producer_epoch);
                    return Some(ProducerStamp { id, epoch, base_sequence: 0, transactional: false });
                }
                _ => self.back_off().await,
            }
        }
        None
    }
}

/// Sends each batch until it is known to be stored, under one sequence, up to five at a time.
pub(crate) async fn idempotent(mut client: Client) {
    while let Some(mut stamp) = client.producer_id().await {
        let mut sequences: HashMap<Log, i32> = HashMap::new();
        let mut alive = true;
        while alive && !client.stopped() {
            let log = *client.random.choice(&logs()).unwrap();
            let mut under_way = Vec::new();
            for _ in 0..client.random.usize(1..=4) {
                let count = client.random.usize(1..=5);
                let sequence = sequences.entry(log).or_default();
                stamp.base_sequence = *sequence;
                *sequence += count as i32;
                let mut batch = client.batch(log, count, stamp, None);
                let answer = client.send(&mut batch, -1, None, 9).await;
                under_way.push((batch, answer));
            }
            let mut batches = Vec::new();
            for (batch, answer) in under_way {
                batches.push((batch, said(answer.answer().await)));
            }
            for (mut batch, mut said) in batches {
                let first = batch.invoked;
                let mut tries = 0;
                while alive && tries < TRIES && !matches!(said, Said::Stored(_)) {
                    // An earlier batch that was lost makes the ones behind it refused: they are sent again as well.
                    client.back_off().await;
                    let answer = client.send(&mut batch, -1, None, 9).await;
                    said = self::said(answer.answer().await);
                    tries += 1;
                    alive = !matches!(said, Said::Refused(_));
                }
                debug_assert_eq!(first, batch.invoked);
                let outcome = match said {
                    Said::Stored(base) => (Outcome::Ok, base),
                    Said::Refused(_) if tries == 0 => (Outcome::Fail, None),
                    Said::Refused(_) | Said::Unsure(_) => (Outcome::Unknown, None),
                };
                alive &= outcome.0 == Outcome::Ok;
                client.sent(batch, true, None, None, outcome);
            }
            client.pause().await;
        }
    }
}

/// Sends each batch once, without a producer id; some do not wait for the disk.
pub(crate) async fn plain(mut client: Client) {
    while !client.stopped() {
        let log = *client.random.choice(&logs()).unwrap();
        let acks = if client.random.u8(0..3) == 0 { 1 } else { -1 };
        let count = client.random.usize(1..=3);
        let mut batch = client.batch(log, count, ProducerStamp::NONE, None);
        let outcome = match said(client.send(&mut batch, acks, None, 9).await.answer().await) {
            Said::Stored(base) => (Outcome::Ok, base),
            Said::Refused(_) => (Outcome::Fail, None),
            Said::Unsure(_) => (Outcome::Unknown, None),
        };
        let lost = outcome.0 != Outcome::Ok;
        client.sent(batch, acks == -1, None, None, outcome);
        if lost {
            client.back_off().await;
        }
        client.pause().await;
    }
}
