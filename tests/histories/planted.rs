//! Bugs that are planted to see whether the checker finds them. Each sits outside of the broker, at its disk or between it and its
//! clients, and makes the whole behave as a broker with that bug would: the product holds no hook for them.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use klog::record::{Batch, ProducerStamp, set_producer};
use klog::wire::Request;
use klog::wire::api::ApiKey;
use klog::wire::frame::{
    RequestHeader, decode_body, request_frame, response_body, response_bytes, split_request,
};
use klog::wire::messages::end_txn::EndTxnRequest;
use klog::wire::messages::fetch::{FetchRequest, FetchResponse};
use klog::wire::messages::init_producer_id::InitProducerIdRequest;
use klog::wire::messages::produce::ProduceRequest;

use crate::carrier::{Carrier, Later};
use crate::layers::Hand;
use crate::node::{Node, segments};
use crate::simulated::{Plant, SlowSyncs};

fn is_log(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "log")
}

fn is_user_topic(path: &Path) -> bool {
    let folder = path.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default();
    folder.starts_with("in-") || folder.starts_with("out-")
}

/// Syncs of segments are reported as done, and half of them are not.
pub(crate) struct SyncSkipped;

struct Forgetful(Mutex<fastrand::Rng>);

impl Hand for Forgetful {
    fn lets_sync(&self, path: &Path) -> bool {
        !is_log(path) || !is_user_topic(path) || self.0.lock().unwrap().bool()
    }
}

impl Plant for SyncSkipped {
    fn hand(&self, seed: u64) -> Arc<dyn Hand> {
        Arc::new(Forgetful(Mutex::new(fastrand::Rng::with_seed(seed))))
    }
}

/// Of the markers that end transactions in the partitions of users, one in three is written for a producer that is not.
pub(crate) struct MarkerLost;

struct MarkerThief(Mutex<fastrand::Rng>);

impl Hand for MarkerThief {
    fn writes(&self, path: &Path, mut bytes: Vec<u8>) -> Vec<u8> {
        if !is_log(path) || !is_user_topic(path) {
            return bytes;
        }
        let Ok(batch) = Batch::exactly(&bytes) else { return bytes };
        let header = batch.header();
        if header.is_control() && self.0.lock().unwrap().u8(0..3) == 0 {
            let stamp = ProducerStamp {
                id: header.producer_id + (1 << 40),
                epoch: header.producer_epoch,
                base_sequence: -1,
                transactional: true,
            };
            set_producer(&mut bytes, stamp);
        }
        bytes
    }
}

impl Plant for MarkerLost {
    fn hand(&self, seed: u64) -> Arc<dyn Hand> {
        Arc::new(MarkerThief(Mutex::new(fastrand::Rng::with_seed(seed))))
    }
}

fn answered(bytes: Option<Bytes>) -> Later {
    Box::pin(std::future::ready(bytes))
}

fn framed<R: Request>(request: &R, header: &RequestHeader) -> Bytes {
    let client = header.client_id.as_deref();
    Bytes::from(request_frame(request, header.api_version, header.correlation_id, client).unwrap()).slice(4..)
}

/// The high watermark follows what is written, not what is synced: readers are shown the segment's file to its end.
pub(crate) struct WatermarkBeforeSync;

struct Revealing(Arc<Node>);

impl Revealing {
    /// Every batch of a partition from an offset on, synced or not.
    fn behind(&self, topic: &str, partition: i32, from: i64) -> (Vec<u8>, i64) {
        let mut found = Vec::new();
        let mut end = from;
        for path in segments(&*self.0.disk, &PathBuf::from(format!("/data/{topic}-{partition}"))) {
            let bytes = self.0.disk.content(&path).unwrap_or_default();
            let mut rest = bytes.as_slice();
            while let Ok(Some((batch, behind))) = Batch::split_first(rest) {
                if batch.last_offset() >= from && batch.crc_ok() {
                    found.extend_from_slice(batch.bytes());
                    end = batch.last_offset() + 1;
                }
                rest = behind;
            }
        }
        (found, end)
    }

    fn reveal(&self, request: &FetchRequest, answer: &mut FetchResponse) {
        for topic in &mut answer.responses {
            let Some(asked) = request.topics.iter().find(|asked| asked.topic == topic.topic) else {
                continue;
            };
            for data in &mut topic.partitions {
                let mut asked = asked.partitions.iter();
                let Some(asked) = asked.find(|asked| asked.partition == data.partition_index) else {
                    continue;
                };
                if !data.error_code.is_ok() {
                    continue;
                }
                let (bytes, end) = self.behind(&topic.topic, data.partition_index, asked.fetch_offset);
                data.high_watermark = data.high_watermark.max(end);
                if request.isolation_level == 0 {
                    data.records = Some(bytes.into());
                }
            }
        }
    }
}

impl Carrier for Revealing {
    fn begin(&self, frame: Bytes) -> Pin<Box<dyn Future<Output = Later> + Send + '_>> {
        Box::pin(async move {
            let (header, body) = split_request(frame.clone()).unwrap();
            if header.key() != Some(ApiKey::Fetch) {
                return self.0.begin(frame).await;
            }
            let request: FetchRequest = decode_body(body, header.api_version).unwrap();
            let Some(bytes) = self.0.begin(frame).await.await else { return answered(None) };
            let mut answer: FetchResponse = response_body(bytes, header.api_version).unwrap();
            self.reveal(&request, &mut answer);
            answered(response_bytes(&answer, header.api_version, header.correlation_id).ok())
        })
    }
}

impl Plant for WatermarkBeforeSync {
    fn hand(&self, _: u64) -> Arc<dyn Hand> {
        Arc::new(SlowSyncs(Duration::from_millis(5)))
    }

    fn between(&self, node: &Arc<Node>) -> Arc<dyn Carrier> {
        Arc::new(Revealing(Arc::clone(node)))
    }
}

/// What a changing carrier does to produces; everything else passes.
trait Change: Send + Sync + 'static {
    fn produce(&self, request: &mut ProduceRequest);
    fn end(&self, _: &mut EndTxnRequest) {}
    /// A producer with a transactional id was told its id and epoch.
    fn told(&self, _: &str, _: i64, _: i16) {}
}

struct Changing<C> {
    node: Arc<Node>,
    change: C,
}

impl<C: Change> Carrier for Changing<C> {
    fn begin(&self, frame: Bytes) -> Pin<Box<dyn Future<Output = Later> + Send + '_>> {
        Box::pin(async move {
            let (header, body) = split_request(frame.clone()).unwrap();
            let version = header.api_version;
            match header.key() {
                Some(ApiKey::Produce) => {
                    let mut request: ProduceRequest = decode_body(body, version).unwrap();
                    self.change.produce(&mut request);
                    self.node.begin(framed(&request, &header)).await
                }
                Some(ApiKey::EndTxn) => {
                    let mut request: EndTxnRequest = decode_body(body, version).unwrap();
                    self.change.end(&mut request);
                    let answer = self.node.begin(framed(&request, &header)).await.await;
                    if let Some(bytes) = &answer {
                        let said =
                            response_body::<<EndTxnRequest as Request>::Response>(bytes.clone(), version);
                        let said = said.unwrap();
                        if said.error_code.is_ok() && said.producer_id >= 0 {
                            self.change.told(
                                &request.transactional_id,
                                said.producer_id,
                                said.producer_epoch,
                            );
                        }
                    }
                    answered(answer)
                }
                Some(ApiKey::InitProducerId) => {
                    let request: InitProducerIdRequest = decode_body(body, version).unwrap();
                    let answer = self.node.begin(frame).await.await;
                    if let (Some(bytes), Some(name)) = (&answer, &request.transactional_id) {
                        let said = response_body::<<InitProducerIdRequest as Request>::Response>(
                            bytes.clone(),
                            version,
                        );
                        let said = said.unwrap();
                        if said.error_code.is_ok() {
                            self.change.told(name, said.producer_id, said.producer_epoch);
                        }
                    }
                    answered(answer)
                }
                _ => self.node.begin(frame).await,
            }
        })
    }
}

fn batches(request: &mut ProduceRequest, mut each: impl FnMut(&str, i32, &mut Vec<u8>)) {
    for topic in &mut request.topic_data {
        for data in &mut topic.partition_data {
            if let Some(records) = &mut data.records {
                let mut bytes = records.to_vec();
                each(&topic.name, data.index, &mut bytes);
                *records = bytes.into();
            }
        }
    }
}

/// A batch that is sent again is stored again: it is passed on as one that nobody counts.
pub(crate) struct DuplicateCheckOff;

type Sequence = (i64, i16, String, i32, i32);

#[derive(Default)]
struct Repeating(Mutex<HashSet<Sequence>>);

impl Change for Repeating {
    fn produce(&self, request: &mut ProduceRequest) {
        if request.transactional_id.is_some() {
            return;
        }
        batches(request, |topic, partition, bytes| {
            let header = Batch::exactly(bytes).unwrap().header();
            let key = (
                header.producer_id,
                header.producer_epoch,
                topic.to_owned(),
                partition,
                header.base_sequence,
            );
            if header.has_producer_id() && !self.0.lock().unwrap().insert(key) {
                set_producer(bytes, ProducerStamp::NONE);
            }
        });
    }
}

impl Plant for DuplicateCheckOff {
    fn hand(&self, _: u64) -> Arc<dyn Hand> {
        Arc::new(SlowSyncs(Duration::from_millis(1)))
    }

    fn between(&self, node: &Arc<Node>) -> Arc<dyn Carrier> {
        Arc::new(Changing { node: Arc::clone(node), change: Repeating::default() })
    }
}

/// What a fenced incarnation sends is taken as if the present one had sent it.
pub(crate) struct FencingOff;

#[derive(Default)]
struct Unfencing(Mutex<HashMap<String, (i64, i16)>>);

impl Change for Unfencing {
    fn produce(&self, request: &mut ProduceRequest) {
        let Some(name) = request.transactional_id.clone() else { return };
        let Some((id, epoch)) = self.0.lock().unwrap().get(&name).copied() else { return };
        batches(request, |_, _, bytes| {
            let header = Batch::exactly(bytes).unwrap().header();
            if (header.producer_id, header.producer_epoch) < (id, epoch) {
                set_producer(bytes, ProducerStamp { id, epoch, base_sequence: 0, transactional: true });
            }
        });
    }

    fn end(&self, request: &mut EndTxnRequest) {
        if let Some((id, epoch)) = self.0.lock().unwrap().get(&request.transactional_id).copied() {
            (request.producer_id, request.producer_epoch) = (id, epoch);
        }
    }

    fn told(&self, name: &str, id: i64, epoch: i16) {
        let mut known = self.0.lock().unwrap();
        let newest = known.entry(name.to_owned()).or_insert((id, epoch));
        *newest = (*newest).max((id, epoch));
    }
}

impl Plant for FencingOff {
    fn hand(&self, _: u64) -> Arc<dyn Hand> {
        Arc::new(SlowSyncs(Duration::ZERO))
    }

    fn between(&self, node: &Arc<Node>) -> Arc<dyn Carrier> {
        Arc::new(Changing { node: Arc::clone(node), change: Unfencing::default() })
    }
}
