//! Frames of Apache Kafka's own message classes, decoded and encoded back; never frames that klog made.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "oracle/apis.rs"]
mod apis;

use std::collections::HashMap;

use bytes::Bytes;
use klog::codec::Writer;
use klog::wire::api::{APIS, ApiKey};
use klog::wire::frame::{RequestHeader, ResponseHeader};

const FRAMES: &str = include_str!("golden/frames.txt");

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn every_version_of_kafkas_own_frames_comes_back_byte_for_byte() {
    let kinds = apis::kinds();
    let mut seen: HashMap<(String, i16, i16), usize> = HashMap::new();
    for line in FRAMES.lines().filter(|line| !line.starts_with("headers ")) {
        let mut words = line.split(' ');
        let word = words.next().unwrap();
        let [key, version] = [(); 2].map(|()| words.next().unwrap().parse::<i16>().unwrap());
        let bytes = Bytes::from(unhex(words.next().unwrap_or_default()));
        let kind = kinds.iter().find(|kind| kind.word == word && kind.key.code() == key).unwrap();
        let (left, encoded) = (kind.again)(bytes.clone(), version).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert_eq!(left, 0, "{line}");
        assert_eq!(encoded.unwrap_or_else(|e| panic!("{e}: {line}")), bytes, "{line}");
        *seen.entry((word.to_owned(), key, version)).or_default() += 1;
    }
    for kind in &kinds {
        for version in kind.versions() {
            let frames = seen.get(&(kind.word.to_owned(), kind.key.code(), version));
            assert!(
                frames.is_some_and(|&n| n >= 6),
                "{} {} {version} has too few frames",
                kind.key,
                kind.word
            );
        }
    }
}

#[test]
fn versions_and_headers_of_every_api_are_kafkas() {
    let mut met = 0;
    for line in FRAMES.lines().filter_map(|line| line.strip_prefix("headers ")) {
        let [key, version, request, response] =
            line.split(' ').map(|word| word.parse::<i16>().unwrap()).collect::<Vec<_>>()[..]
        else {
            panic!("{line}")
        };
        let key = ApiKey::from_code(key).unwrap();
        assert!(key.supports(version), "{line}");
        let mut writer = Writer::new();
        RequestHeader::new(key, version, 1, None).encode(&mut writer).unwrap();
        assert_eq!(writer.len(), if request == 2 { 11 } else { 10 }, "{line}");
        let mut writer = Writer::new();
        ResponseHeader { correlation_id: 1 }.encode(&mut writer, key, version);
        assert_eq!(writer.len(), if response == 1 { 5 } else { 4 }, "{line}");
        met += 1;
    }
    let known: i16 = APIS.iter().map(|api| api.max - api.min + 1).filter(|&versions| versions > 0).sum();
    assert_eq!(met, known);
}

#[test]
fn every_message_file_is_among_the_apis_tested() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/wire/messages");
    let files = std::fs::read_dir(folder).unwrap().count() - 1;
    assert_eq!(apis::kinds().len(), 2 * files, "tests/oracle/apis.rs lacks an API");
}
