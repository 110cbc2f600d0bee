//! Bytes that no client should send: decoders must refuse them without a panic and without much memory.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[macro_use]
#[path = "oracle/apis.rs"]
mod apis;
#[path = "oracle/draw.rs"]
mod draw;
#[path = "fuzzed/memory.rs"]
mod memory;

use bytes::Bytes;
use draw::Draw;
use fastrand::Rng;
use klog::codec::{DecodeError, Reader, Writer};
use klog::wire::Request;
use klog::wire::api::ApiKey;
use klog::wire::frame::RequestHeader;
use klog::wire::limits;
use klog::wire::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use klog::wire::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use klog::wire::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use klog::wire::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use klog::wire::messages::produce::ProduceRequest;
use memory::memory;

/// Decodes `body` and checks what that took.
fn decode(kind: &apis::Kind, version: i16, body: Vec<u8>, case: &str) -> Result<usize, DecodeError> {
    let body = Bytes::from(body);
    let len = body.len();
    let (memory, decoded) = memory(|| (kind.decode)(body, version));
    let factor =
        if kind.is_request() { limits::REQUEST_MEMORY_FACTOR } else { limits::RESPONSE_MEMORY_FACTOR };
    // Arrays by the limit, and the strings, which are no longer than the body.
    let allowed = (factor + 1) * len + limits::REQUEST_MEMORY_BASE + 1024;
    assert!(memory <= allowed, "{} {} {version}, {case}: {memory} bytes for {len}", kind.key, kind.word);
    decoded
}

/// A valid body and the places of its counts.
fn valid(kind: &apis::Kind, version: i16, seed: u64) -> (Vec<u8>, Vec<usize>, Rng) {
    let mut draw = Draw::new(seed, kind.key.is_flexible(version));
    draw.unknown_tags = seed % 2 == 1;
    let body = draw.body(&(kind.shape)(version));
    (body, draw.counts, draw.random)
}

const EXTREMES: [&[u8]; 6] = [
    &[0x7f, 0xff, 0xff, 0xff],
    &[0x80, 0, 0, 0],
    &[0xff, 0xff, 0xff, 0xff],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff; 10],
    &[0xff, 0xff, 0xff, 0x07],
];

#[test]
fn garbage_is_refused_or_read_but_never_more() {
    for kind in apis::kinds() {
        for version in kind.versions() {
            let mut random = Rng::with_seed(version as u64);
            for round in 0..200 {
                let len = random.usize(..if round % 20 == 0 { 4096 } else { 64 });
                let sparse = random.u8(1..=8);
                let body =
                    (0..len).map(|_| if random.u8(..sparse) == 0 { random.u8(..) } else { 0 }).collect();
                let _ = decode(&kind, version, body, &format!("garbage {round}"));
            }
        }
    }
}

#[test]
fn mutated_bodies_are_refused_or_read_but_never_more() {
    for kind in apis::kinds() {
        for version in kind.versions() {
            for seed in 0..200 {
                let (mut body, _, mut random) = valid(&kind, version, seed);
                for _ in 0..random.usize(1..4) {
                    let at = random.usize(..=body.len());
                    match random.u8(..4) {
                        0 => body.truncate(at),
                        1 => body
                            .splice(at..at, EXTREMES[random.usize(..EXTREMES.len())].iter().copied())
                            .for_each(drop),
                        2 => {
                            let extreme = EXTREMES[random.usize(..EXTREMES.len())];
                            body.iter_mut().skip(at).zip(extreme).for_each(|(byte, new)| *byte = *new);
                        }
                        _ => body.iter_mut().skip(at).take(1).for_each(|byte| *byte = random.u8(..)),
                    }
                }
                let _ = decode(&kind, version, body, &format!("seed {seed}"));
            }
        }
    }
}

#[test]
fn every_prefix_of_a_valid_body_is_refused() {
    for kind in apis::kinds() {
        for version in kind.versions() {
            let (body, _, _) = valid(&kind, version, 2);
            assert_eq!(decode(&kind, version, body.clone(), "whole"), Ok(0));
            for len in 0..body.len() {
                let cut = decode(&kind, version, body[..len].to_vec(), "cut");
                assert!(cut.is_err(), "{} {} {version}: {len} of {} bytes", kind.key, kind.word, body.len());
            }
        }
    }
}

/// `count` as `flexible` versions or others say it, for an array.
fn announce(count: u32, flexible: bool) -> Vec<u8> {
    let mut writer = Writer::new();
    if flexible {
        writer.uvarint(count.saturating_add(1))
    } else {
        writer.u32(count)
    }
    writer.into_vec()
}

#[test]
fn every_count_may_lie() {
    let mut places = 0;
    for kind in apis::kinds() {
        for version in kind.versions() {
            let flexible = kind.key.is_flexible(version);
            for seed in (0..40).step_by(2) {
                let (body, counts, _) = valid(&kind, version, seed);
                for at in counts {
                    places += 1;
                    for count in [i32::MAX as u32 - 1, i32::MAX as u32, 1 << 24, 0x8000_0000, u32::MAX - 2] {
                        let lie = [&body[..at], &announce(count, flexible), &[0; 100]].concat();
                        let refused = decode(&kind, version, lie, &format!("count {count} at {at}"));
                        assert!(refused.is_err(), "{} {} {version}", kind.key, kind.word);
                    }
                }
            }
        }
    }
    assert!(places > 1000, "only {places} counts were met");
}

#[test]
fn the_smallest_elements_in_the_largest_number_take_little_memory() {
    for kind in apis::kinds() {
        for version in kind.versions() {
            let flexible = kind.key.is_flexible(version);
            let (body, counts, _) = valid(&kind, version, 4);
            for at in counts.into_iter().take(8) {
                for (filler, elements) in [(0u8, 30_000u32), (1, 60_000), (0, 100_000), (1, 10_000)] {
                    let filler = vec![filler; 200_000];
                    let dense = [&body[..at], &announce(elements, flexible), &filler].concat();
                    let _ = decode(&kind, version, dense, &format!("{elements} elements at {at}"));
                }
            }
        }
    }
}

fn refused<R: Request + std::fmt::Debug>(version: i16, body: &[u8]) {
    let body = Bytes::copy_from_slice(body);
    let (memory, decoded) = memory(|| R::decode(&mut Reader::new(body), version));
    assert!(decoded.is_err(), "{} {version}: {decoded:?}", R::KEY);
    assert!(memory < 1024, "{} {version}: {memory} bytes", R::KEY);
}

#[test]
fn the_well_known_huge_counts_cost_nothing() {
    refused::<MetadataRequest>(1, &[0x7f, 0xff, 0xff, 0xff]);
    refused::<ProduceRequest>(3, &[0xff, 0xff, 0, 1, 0, 0, 0, 1, 0x7f, 0xff, 0xff, 0xff]);
    let fetch: Vec<u8> = [&[0; 17][..], &[0x7f, 0xff, 0xff, 0xff]].concat();
    refused::<FetchRequest>(4, &fetch);
    for version in 0..3 {
        refused::<ProduceRequest>(version, &[0; 64]);
    }
}

/// Encodes an honest request in every version and checks that it is read.
fn honest<R: Request + Clone>(request: &R, spell: impl Fn(&mut R, i16)) {
    for version in R::KEY.min_version()..=R::KEY.max_version() {
        let mut request = request.clone();
        spell(&mut request, version);
        let mut writer = Writer::new();
        request.encode(&mut writer, version).unwrap();
        let read = R::decode(&mut Reader::new(writer.into_bytes()), version).map(|_| ());
        assert_eq!(read, Ok(()), "{} {version}", R::KEY);
    }
}

#[test]
fn honest_requests_about_ten_thousand_topics_are_read() {
    let names = || (0..10_000).map(|number| format!("t{number:04}"));
    let topics =
        names().map(|name| MetadataRequestTopic { name: Some(name), ..MetadataRequestTopic::default() });
    honest(&MetadataRequest { topics: Some(topics.collect()), ..MetadataRequest::default() }, |_, _| ());
    let topics = names().map(|topic| FetchTopic {
        topic,
        partitions: vec![FetchPartition::default()],
        ..FetchTopic::default()
    });
    honest(&FetchRequest { topics: topics.collect(), ..FetchRequest::default() }, |_, _| ());
    let topics = names().map(|name| OffsetCommitRequestTopic {
        name,
        partitions: vec![OffsetCommitRequestPartition::default()],
        ..OffsetCommitRequestTopic::default()
    });
    honest(&OffsetCommitRequest { topics: topics.collect(), ..OffsetCommitRequest::default() }, |_, _| ());
    let request = DeleteTopicsRequest { topic_names: names().collect(), ..DeleteTopicsRequest::default() };
    honest(&request, |request, version| {
        if version > 5 {
            let names = request.topic_names.drain(..).map(Some);
            request.topics =
                names.map(|name| DeleteTopicState { name, ..DeleteTopicState::default() }).collect();
        }
    });
}

#[test]
fn headers_of_garbage_are_refused_or_read() {
    let mut random = Rng::with_seed(9);
    for _ in 0..20_000 {
        let len = random.usize(..40);
        let mut bytes: Vec<u8> = (0..len).map(|_| random.u8(..)).collect();
        if let (Some(first), true) = (bytes.get_mut(..2), random.bool()) {
            first.copy_from_slice(&ApiKey::Metadata.code().to_be_bytes());
        }
        let bytes = Bytes::from(bytes);
        let (memory, _) = memory(|| RequestHeader::decode(&mut Reader::new(bytes)).is_ok());
        assert!(memory <= len, "{memory} bytes for {len}");
    }
}
