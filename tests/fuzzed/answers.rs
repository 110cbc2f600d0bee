//! Any bytes as a broker's answer: the client reads or refuses them, and what it makes of fetched batches always gets on.
//!
//! The first byte is an API's key (255: fetched records alone), the second a version, the rest is the body.

use std::ops::ControlFlow;

use bytes::Bytes;
use klog::client::consumer::Chunk;
use klog::client::{ClientError, Decompressor};
use klog::model::id::TopicPartition;
use klog::wire::api::ApiKey;
use klog::wire::frame::{ResponseHeader, decode_body};
use klog::wire::limits;
use klog::wire::messages::fetch::{AbortedTransaction, FetchResponse, PartitionData};

use crate::apis::{self, Kind};
use crate::memory::memory;
use crate::requests::{chosen, read};

thread_local! {
    static KINDS: Vec<Kind> = apis::kinds().into_iter().filter(|kind| !kind.is_request()).collect();
}

pub(crate) fn run(data: &[u8]) {
    let [kind, version, body @ ..] = data else { return };
    if *kind == u8::MAX {
        return records(*version, body);
    }
    KINDS.with(|kinds| {
        let kind = chosen(kinds, *kind);
        let versions = kind.versions();
        let version = versions.start() + i16::from(*version) % (versions.end() - versions.start() + 1);
        let body = Bytes::copy_from_slice(body);
        read(kind, version, body.clone(), limits::RESPONSE_MEMORY_FACTOR);
        let mut reader = klog::codec::Reader::new(body.clone());
        if ResponseHeader::decode(&mut reader, kind.key, version).is_ok() {
            read(kind, version, reader.rest(), limits::RESPONSE_MEMORY_FACTOR);
        }
        if kind.key == ApiKey::Fetch
            && let Ok(answer) = decode_body::<FetchResponse>(body, version)
        {
            for data in answer.responses.into_iter().flat_map(|topic| topic.partitions) {
                fetched(0, None, data, version % 2 == 0);
            }
        }
    });
}

/// A start, a stop, aborted transactions, and then batches.
fn records(flags: u8, data: &[u8]) {
    let Some((start, data)) = data.split_first_chunk() else { return };
    let Some((stop, data)) = data.split_first_chunk() else { return };
    let Some((&aborted, mut data)) = data.split_first() else { return };
    let mut transactions = Vec::new();
    for _ in 0..aborted % 8 {
        let Some((producer, rest)) = data.split_first_chunk() else { return };
        let Some((first, rest)) = rest.split_first_chunk() else { return };
        let (producer_id, first_offset) = (i64::from_be_bytes(*producer), i64::from_be_bytes(*first));
        transactions.push(AbortedTransaction { producer_id, first_offset });
        data = rest;
    }
    let stop = (flags & 2 != 0).then_some(i64::from_be_bytes(*stop));
    let answer = PartitionData {
        records: Some(Bytes::copy_from_slice(data)),
        aborted_transactions: Some(transactions),
        ..PartitionData::default()
    };
    // A position is never negative.
    fetched(i64::from_be_bytes(*start).max(0), stop, answer, flags & 1 != 0);
}

/// A visit comes to an end, sees nothing from outside the span asked for, and one that stops after each record gets on.
fn fetched(start: i64, stop: Option<i64>, data: PartitionData, committed: bool) {
    let partition = TopicPartition::new("t", 0);
    for check_crcs in [true, false] {
        let chunk = Chunk::fetched(&partition, (start, stop), data.clone(), committed, check_crcs);
        let (chunk, after) = match chunk {
            Ok(Some(chunk)) => chunk,
            Ok(None) => continue,
            Err(ClientError::Corrupt { .. }) => continue,
            Err(error) => panic!("{error}"),
        };
        assert!(after > start, "the position does not get on: {after} after {start}");
        assert!(chunk.start() == start && chunk.next_offset() >= start && chunk.next_offset() <= after);
        let mut inflate = Decompressor::new();
        let mut seen = 0usize;
        let (took, whole) = memory(|| {
            chunk.visit(start, &mut inflate, |_, record| {
                assert!(
                    (start..chunk.next_offset()).contains(&record.offset),
                    "{} is outside",
                    record.offset
                );
                assert_eq!(
                    record.headers.count(),
                    record.headers.len(),
                    "headers are walked before they are given"
                );
                seen += 1;
                ControlFlow::Continue(())
            })
        });
        // Twice the most that a batch may inflate to: a buffer grows by doubling.
        assert!(took <= (2 << 30) + (20 << 20), "{took} bytes");
        assert!(whole.as_ref().map_or(true, |&next| next == chunk.next_offset()), "{whole:?}");
        if took > 32 << 20 {
            continue;
        }
        let mut from = start;
        for _ in 0..seen.min(5) {
            let next = chunk.visit(from, &mut inflate, |_, _| ControlFlow::Break(()));
            // Offsets may repeat: then less is left to see, and the damage behind it comes sooner.
            let Ok(next) = next else { break };
            assert!(next > from || next == chunk.next_offset(), "{next} after {from}");
            from = next;
        }
    }
}
