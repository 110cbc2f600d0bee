//! klog's messages against the kafka-protocol crate, with drawn values in every version that both know.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[macro_use]
#[path = "oracle/apis.rs"]
mod apis;
#[path = "oracle/draw.rs"]
mod draw;

use bytes::{Bytes, BytesMut};
use draw::Draw;
use kafka_protocol::protocol::{Decodable, Encodable, Message};

const BODIES: u64 = 400;

/// The other crate's side of a request or a response.
struct Other {
    word: &'static str,
    key: i16,
    versions: std::ops::RangeInclusive<i16>,
    again: fn(&Bytes, i16) -> Result<Vec<u8>, String>,
}

fn again<M: Decodable + Encodable>(body: &Bytes, version: i16) -> Result<Vec<u8>, String> {
    let mut rest = body.clone();
    let message = M::decode(&mut rest, version).map_err(|error| format!("decode: {error:?}"))?;
    if !rest.is_empty() {
        return Err(format!("{} bytes left", rest.len()));
    }
    let mut encoded = BytesMut::new();
    message.encode(&mut encoded, version).map_err(|error| format!("encode: {error:?}"))?;
    Ok(encoded.to_vec())
}

fn versions<M: Message>() -> std::ops::RangeInclusive<i16> {
    M::VERSIONS.min..=M::VERSIONS.max
}

macro_rules! others {
    ($($module:ident $request:ident $response:ident),*) => {
        fn others() -> Vec<Other> {
            use kafka_protocol::messages::*;
            use klog::wire::{Message as _, messages};
            vec![$(
                Other {
                    word: "request",
                    key: messages::$module::$request::KEY.code(),
                    versions: versions::<$request>(),
                    again: again::<$request>,
                },
                Other {
                    word: "response",
                    key: messages::$module::$response::KEY.code(),
                    versions: versions::<$response>(),
                    again: again::<$response>,
                },
            )*]
        }
    };
}

each_api!(others);

#[test]
fn drawn_bodies_pass_through_klog_and_the_crate_unchanged() {
    let others = others();
    let (mut both, mut alone) = (0, Vec::new());
    for kind in apis::kinds() {
        let other =
            others.iter().find(|other| other.word == kind.word && other.key == kind.key.code()).unwrap();
        for version in kind.versions() {
            let shape = (kind.shape)(version);
            for seed in 0..BODIES {
                let case = format!("{} {} {version}, seed {seed}", kind.key, kind.word);
                let flexible = kind.key.is_flexible(version);
                let body = Bytes::from(Draw::new(seed, flexible).body(&shape));
                let (left, encoded) =
                    (kind.again)(body.clone(), version).unwrap_or_else(|e| panic!("{case}: {e}"));
                assert_eq!(left, 0, "{case}");
                let encoded = Bytes::from(encoded.unwrap_or_else(|e| panic!("{case}: {e}")));
                assert_eq!(encoded, body, "{case}");
                if other.versions.contains(&version) {
                    let theirs = (other.again)(&encoded, version).unwrap_or_else(|e| panic!("{case}: {e}"));
                    assert_eq!(Bytes::from(theirs), body, "{case}, the other crate");
                }
            }
            if other.versions.contains(&version) {
                both += 1;
            } else {
                alone.push((kind.key, kind.word, version));
            }
        }
    }
    println!("{both} versions against the crate; klog alone knows {alone:?}");
    assert!(both > 200, "only {both} versions were compared");
}

#[test]
fn tagged_fields_of_a_later_kafka_are_passed_over() {
    let mut met = 0;
    for kind in apis::kinds() {
        for version in kind.versions().filter(|&version| kind.key.is_flexible(version)) {
            let shape = (kind.shape)(version);
            for seed in 0..BODIES {
                let [known, body] = [false, true]
                    .map(|unknown_tags| Draw { unknown_tags, ..Draw::new(seed, true) }.body(&shape));
                let (left, encoded) = (kind.again)(Bytes::from(body.clone()), version).unwrap();
                assert_eq!(left, 0);
                let encoded = Bytes::from(encoded.unwrap());
                // What comes out no longer has them, and says the same when it comes in again.
                assert!(encoded.len() <= body.len());
                assert_eq!((kind.again)(encoded.clone(), version).unwrap().1.unwrap(), encoded);
                met += usize::from(encoded.len() < body.len() && body != known);
            }
        }
    }
    assert!(met > 1000, "only {met} bodies had such fields");
}
