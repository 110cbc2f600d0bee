//! Readers: fetches as clients make them, with the aborted transactions passed over by read_committed ones; also the last reading.

use std::collections::{BTreeMap, HashSet};

use klog::record::{Batch, ControlMarker, Decompressor};
use klog::wire::error::ErrorCode;
use klog::wire::messages::fetch::{FetchPartition, FetchRequest, FetchTopic, PartitionData};

use crate::history::{Kind, Log, Outcome, Poll, Value};
use crate::world::{Client, TOPICS, logs};

/// How one reads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    pub(crate) reader: u64,
    pub(crate) committed: bool,
    pub(crate) last: bool,
    pub(crate) txn: Option<u64>,
    /// Most bytes of one partition.
    pub(crate) bytes: i32,
}

/// What one fetch gave of a partition.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) records: Vec<(i64, Value)>,
    pub(crate) next: i64,
    pub(crate) high: i64,
}

impl Client {
    /// Fetches from each position and takes down what was given. The positions move on. `None` without an answer.
    pub(crate) async fn poll(
        &mut self,
        positions: &mut BTreeMap<Log, i64>,
        how: Reading,
    ) -> Option<BTreeMap<Log, Given>> {
        let topics = TOPICS.iter().filter_map(|(topic, _)| {
            let wanted = positions.iter().filter(|(log, _)| log.topic == *topic);
            let partitions: Vec<_> = wanted
                .map(|(log, offset)| FetchPartition {
                    partition: log.partition,
                    fetch_offset: *offset,
                    partition_max_bytes: how.bytes,
                    ..Default::default()
                })
                .collect();
            let topic = FetchTopic { topic: (*topic).to_owned(), partitions, ..Default::default() };
            (!topic.partitions.is_empty()).then_some(topic)
        });
        let request = FetchRequest {
            max_wait_ms: if how.last { 0 } else { 5 },
            min_bytes: 1,
            isolation_level: i8::from(how.committed),
            topics: topics.collect(),
            ..Default::default()
        };
        let invoked = self.world.recorder.now();
        let answer = self.line.call(&request, 12).await?;
        let mut all = BTreeMap::new();
        for topic in answer.responses {
            let Some((name, _)) = TOPICS.iter().find(|(name, _)| *name == topic.topic) else { continue };
            for data in topic.partitions {
                let log = Log { topic: name, partition: data.partition_index };
                let Some(position) = positions.get_mut(&log) else { continue };
                if let Some(given) = self.take(log, *position, &data, how, invoked) {
                    *position = given.next;
                    all.insert(log, given);
                }
            }
        }
        Some(all)
    }

    fn take(&self, log: Log, from: i64, data: &PartitionData, how: Reading, invoked: u64) -> Option<Given> {
        let done = |kind| self.world.recorder.done(self.process, invoked, Outcome::Ok, kind);
        match data.error_code {
            ErrorCode::NONE => {
                let (records, next, damaged) = records(data, from, how.committed);
                if let Some(offsets) = damaged {
                    let next = offsets.end;
                    done(Kind::Damaged { log, offsets: from.max(offsets.start)..next });
                    return Some(Given { records: Vec::new(), next, high: i64::MAX });
                }
                let Reading { reader, committed, last, txn, .. } = how;
                let (high, stable) = (data.high_watermark, data.last_stable_offset);
                let stable = if stable < 0 { high } else { stable };
                let given = Given { records, next, high };
                let records = given.records.clone();
                done(Kind::Poll(Poll {
                    reader,
                    log,
                    committed,
                    from,
                    records,
                    next,
                    high,
                    stable,
                    last,
                    txn,
                }));
                Some(given)
            }
            ErrorCode::CORRUPT_MESSAGE => {
                done(Kind::Damaged { log, offsets: from..from + 1 });
                // Its high watermark says nothing.
                Some(Given { records: Vec::new(), next: from + 1, high: i64::MAX })
            }
            ErrorCode::OFFSET_OUT_OF_RANGE => {
                done(Kind::OutOfRange { log, offset: from });
                None
            }
            _ => None,
        }
    }
}

/// The records of an answer from `from` on, and where to go on, as consumers do it. A batch with a wrong checksum ends
/// the reading before it; where it is the first, its offsets are the third part.
fn records(
    data: &PartitionData,
    from: i64,
    committed: bool,
) -> (Vec<(i64, Value)>, i64, Option<std::ops::Range<i64>>) {
    let mut aborted: Vec<_> = data.aborted_transactions.iter().flatten().collect();
    aborted.sort_by_key(|txn| txn.first_offset);
    let mut aborted = aborted.into_iter().peekable();
    let mut passed_over: HashSet<i64> = HashSet::new();
    let (mut found, mut next) = (Vec::new(), from);
    let mut rest = data.records.as_deref().unwrap_or_default();
    while let Ok(Some((batch, behind))) = Batch::split_first(rest) {
        rest = behind;
        let header = batch.header();
        if !batch.crc_ok() {
            let damaged = (next == from).then(|| header.base_offset..header.next_offset());
            return (found, next, damaged);
        }
        next = next.max(header.next_offset());
        while let Some(txn) = aborted.next_if(|txn| txn.first_offset <= header.last_offset()) {
            passed_over.insert(txn.producer_id);
        }
        let mut inflate = Decompressor::new();
        let records = inflate.records(&batch, 1 << 20).unwrap();
        if header.is_control() {
            let marker = records.filter_map(Result::ok).find_map(|record| ControlMarker::of(&record));
            if let Some(ControlMarker::Abort { .. }) = marker {
                passed_over.remove(&header.producer_id);
            }
            continue;
        }
        if committed && header.is_transactional() && passed_over.contains(&header.producer_id) {
            continue;
        }
        for record in records {
            let record = record.unwrap();
            if record.offset >= from {
                let text = std::str::from_utf8(record.value.unwrap()).unwrap();
                found.push((record.offset, text.split(' ').next().unwrap().parse().unwrap()));
            }
        }
    }
    (found, next, None)
}

/// Follows all partitions from their beginning, and begins again now and then.
pub(crate) async fn follow(mut client: Client, committed: bool) {
    while !client.stopped() {
        let reader = client.world.recorder.number();
        let mut positions: BTreeMap<_, _> = logs().into_iter().map(|log| (log, 0)).collect();
        for _ in 0..client.random.usize(20..200) {
            let bytes = client.random.i32(100..8000);
            let how = Reading { reader, committed, last: false, txn: None, bytes };
            if client.poll(&mut positions, how).await.is_none() {
                client.back_off().await;
            }
            client.pause().await;
            if client.stopped() {
                break;
            }
        }
    }
}

/// Reads everything, when nobody writes any more.
pub(crate) async fn read_to_the_end(mut client: Client) {
    for committed in [false, true] {
        let reader = client.world.recorder.number();
        for log in logs() {
            let mut positions = BTreeMap::from([(log, 0)]);
            let mut silent = 0;
            while silent < 200 {
                let how = Reading { reader, committed, last: true, txn: None, bytes: 1 << 20 };
                let before = positions[&log];
                let given = client.poll(&mut positions, how).await;
                match given.and_then(|mut given| given.remove(&log)) {
                    Some(given) if given.next >= given.high => break,
                    Some(given) if given.next > before => silent = 0,
                    // A committed reader that comes no further, or a broker that does not answer.
                    _ => {
                        silent += 1;
                        client.back_off().await;
                    }
                }
            }
        }
    }
}
