//! Bytes that no client sends, for every API and version: an answer or a closed connection, and the daemon goes on.

use std::io::ErrorKind;
use std::time::Duration;

use klog::broker::api::SERVED;
use klog::wire::api::ApiKey;

use crate::child::Server;
use crate::peer::{Peer, frame};

/// A whole frame of an API in a version, with the tag section of flexible headers.
fn request(key: ApiKey, version: i16, body: &[u8]) -> Vec<u8> {
    let tags: &[u8] = if key.is_flexible(version) { &[0] } else { &[] };
    frame(key.code(), version, 42, &[tags, body].concat())
}

/// Bodies that lie about what follows.
fn lies(random: &mut fastrand::Rng) -> Vec<Vec<u8>> {
    let mut bodies: Vec<Vec<u8>> = vec![
        vec![],
        vec![0x7f, 0xff, 0xff, 0xff],
        vec![0xff, 0xff, 0xff, 0xff, 0x07],
        vec![0xff; 64],
        vec![0x80; 64],
        vec![0; 64],
        vec![0x7f; 20_000],
    ];
    // A count of two thousand million behind any number of other fields.
    for fields in [2, 4, 6, 8, 10, 12, 14, 16, 20, 21] {
        bodies.push([vec![0; fields], vec![0x7f, 0xff, 0xff, 0xff], vec![0; 40]].concat());
        bodies.push([vec![1; fields], vec![0xff, 0xff, 0xff, 0xff, 0x07], vec![1; 40]].concat());
    }
    for length in [1, 10, 100, 1000] {
        bodies.push((0..length).map(|_| random.u8(..)).collect());
    }
    bodies
}

/// Whether silence is an answer too: long polls, groups, and Produce with acks=0.
fn parks(key: ApiKey) -> bool {
    matches!(key, ApiKey::Produce | ApiKey::Fetch | ApiKey::JoinGroup | ApiKey::SyncGroup)
}

#[test]
fn lies_in_every_api_and_version_are_answered_or_refused() {
    let server = Server::start("broker");
    let mut random = fastrand::Rng::with_seed(3);
    let (mut answered, mut closed, mut parked) = (0, 0, 0);
    for &key in SERVED {
        for version in key.advertised_min_version()..=key.max_version() + 1 {
            for body in lies(&mut random) {
                let mut peer = Peer::dial(&server.address);
                if parks(key) {
                    let Peer::Tcp(stream) = &peer else { panic!("TCP is dialled") };
                    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
                }
                peer.send(&request(key, version, &body));
                match peer.answer() {
                    Ok(answer) => {
                        assert_eq!(answer[..4], [0, 0, 0, 42], "{} v{version}", key.name());
                        answered += 1;
                    }
                    Err(error)
                        if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) =>
                    {
                        closed += 1;
                    }
                    Err(error) => {
                        assert!(parks(key), "{} v{version}: {error}; body {body:x?}", key.name());
                        parked += 1;
                    }
                }
            }
        }
    }
    let most = server.memory("VmHWM");
    println!("{answered} answered, {closed} closed, {parked} parked; most memory {most} KiB");
    assert!(answered > 100 && closed > 1000, "{answered}, {closed}");
    assert!(most < 64 << 10, "{most} KiB");
    let mut peer = Peer::dial(&server.address);
    peer.send(&request(ApiKey::ApiVersions, 0, &[]));
    assert_eq!(peer.answer().unwrap()[..6], [0, 0, 0, 42, 0, 0]);
}

#[test]
fn api_versions_of_a_later_kafka_is_answered_in_version_0() {
    let server = Server::start("broker");
    let mut peer = Peer::dial(&server.address);
    for version in [5, 99, i16::MAX] {
        peer.send(&frame(18, version, 42, &[0, 5, b'x', 2, b'1', 0, 9, 9]));
        let answer = peer.answer().unwrap();
        assert_eq!(answer[..6], [0, 0, 0, 42, 0, 35], "UNSUPPORTED_VERSION");
        assert_eq!((answer.len() - 10) % 6, 0, "version 0 has six bytes an API");
    }
}
