//! What holds for every request, whatever it says: order, limits, time, ends.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use klog::net::Address;
use klog::server::{Limits, Server};

use crate::peer::{Peer, frame, until};
use crate::stand_in::{
    CLOSE, ECHO, FILE, LATER, NOTHING, PANIC, PARK, PEER, StandIn, TestFile, VIRTUAL, serve,
};

struct Fixture {
    folder: tempfile::TempDir,
    service: Arc<StandIn>,
    server: Server,
}

fn fixture(limits: Limits) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let service = Arc::new(StandIn::default());
    let server = serve(&service, folder.path(), limits);
    Fixture { folder, service, server }
}

impl Fixture {
    fn tcp(&self) -> Peer {
        Peer::dial(&self.server.addresses()[0])
    }

    fn both(&self) -> [Peer; 2] {
        [self.tcp(), Peer::dial(&self.server.addresses()[1])]
    }

    fn assert_serves(&self) {
        let mut peer = self.tcp();
        peer.send(&frame(18, 0, 77, &[ECHO]));
        assert_eq!(peer.answer().unwrap(), [0, 0, 0, 77, ECHO]);
    }
}

fn stop(server: Server) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(server.stop());
}

fn id(answer: &[u8]) -> i32 {
    i32::from_be_bytes(*answer.first_chunk().unwrap())
}

#[test]
fn answers_come_in_order_and_a_wait_holds_up_no_parsing() {
    let fixture = fixture(Limits::default());
    for mut peer in fixture.both() {
        let before = fixture.service.calls.load(Ordering::SeqCst);
        let mut burst = Vec::new();
        for correlation in 0..50 {
            let kind = [LATER, ECHO, NOTHING, ECHO, LATER][correlation as usize % 5];
            burst.extend(frame(0, 3, correlation, &[kind, correlation as u8]));
        }
        peer.send(&burst);
        until("every request is begun while the first waits", || {
            fixture.service.calls.load(Ordering::SeqCst) == before + 50
        });
        let mut expected = (0..50).filter(|n| n % 5 != 2);
        for _ in 0..20 {
            fixture.service.synced.notify_one();
            for next in expected.by_ref() {
                let answer = peer.answer().unwrap();
                assert_eq!((id(&answer), answer[5]), (next, next as u8));
                if matches!(next % 5, 3) {
                    break; // the next one waits for its sync
                }
                if next % 5 == 4 {
                    break;
                }
            }
        }
        assert_eq!(expected.next(), None);
    }
}

#[test]
fn frames_may_come_in_any_pieces() {
    let fixture = fixture(Limits::default());
    for mut peer in fixture.both() {
        for size in [1, 8 << 10, (8 << 10) - 13, 70_000, 300_000, 1 << 20, 5 << 20] {
            let body: Vec<u8> = (0..size).map(|n| if n == 0 { ECHO } else { n as u8 }).collect();
            let mut bytes = frame(0, 3, 1, &body);
            bytes.extend(frame(0, 3, 2, b"e-small"));
            for piece in [1, 3, 4, 7, 8189, 8192, 65536, usize::MAX] {
                if bytes.len() / piece > 10_000 {
                    continue;
                }
                let mut reader = match &peer {
                    Peer::Tcp(stream) => Peer::Tcp(stream.try_clone().unwrap()),
                    Peer::Unix(stream) => Peer::Unix(stream.try_clone().unwrap()),
                };
                std::thread::scope(|scope| {
                    scope.spawn(|| {
                        for piece in bytes.chunks(piece.min(bytes.len())) {
                            peer.send(piece);
                        }
                    });
                    let answer = reader.answer().unwrap();
                    assert!(id(&answer) == 1 && answer[4..] == body, "{size} in pieces of {piece}");
                    assert_eq!(reader.answer().unwrap(), b"\0\0\0\x02e-small");
                });
            }
        }
    }
}

#[test]
fn files_are_sent_whole_with_and_without_a_descriptor() {
    let folder = tempfile::tempdir().unwrap();
    let content: Vec<u8> = (0..3_000_017u32).flat_map(|n| n.to_be_bytes()).collect();
    for size in [0, 1, 4096, 4097, 65_536, content.len()] {
        let path = folder.path().join(format!("{size}"));
        std::fs::File::create(&path).unwrap().write_all(&content[..size]).unwrap();
        let open = |hidden| Arc::new(TestFile { file: std::fs::File::open(&path).unwrap(), hidden });
        let service =
            Arc::new(StandIn { file: Some(open(false)), in_memory: Some(open(true)), ..StandIn::default() });
        let own = tempfile::tempdir().unwrap();
        let server = serve(&service, own.path(), Limits::default());
        for address in server.addresses() {
            let mut peer = Peer::dial(address);
            for (n, kind) in [(1, FILE), (2, VIRTUAL), (3, FILE), (4, ECHO)] {
                peer.send(&frame(1, 4, n, &[kind]));
            }
            for n in 1..=3 {
                let answer = peer.answer().unwrap();
                assert_eq!(id(&answer), n);
                let expected = [&content[..size], b"end", &content[..size.min(1)]].concat();
                assert!(answer[4..] == expected, "{size}, answer {n}");
            }
            assert_eq!(id(&peer.answer().unwrap()), 4);
        }
    }
}

#[test]
fn a_file_that_ends_early_closes_the_connection() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    std::fs::write(&path, vec![1; 20 << 20]).unwrap();
    let file = TestFile { file: std::fs::File::open(&path).unwrap(), hidden: false };
    let service = Arc::new(StandIn { file: Some(Arc::new(file)), ..StandIn::default() });
    let server = serve(&service, folder.path(), Limits::default());
    let mut peer = Peer::dial(&server.addresses()[0]);
    peer.send(&frame(1, 4, 1, &[FILE]));
    until("the answer is begun", || service.calls.load(Ordering::SeqCst) == 1);
    std::fs::File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
    assert!(peer.closed_after().len() < 20 << 20);
}

#[test]
fn what_is_no_request_closes_the_connection_at_once() {
    let fixture = fixture(Limits::default());
    let hello = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let tls = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    let mut unknown = frame(0x7ffe, 0, 1, &[0; 100_000]);
    unknown.truncate(20_000);
    let cases: [&[u8]; 10] = [
        hello,
        &tls,
        &[0xff; 4],
        &[0x80, 0, 0, 0],
        &[0x7f, 0xff, 0xff, 0xff],
        &[0; 4],
        &[0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0],
        &frame(18, 0, 1, &[CLOSE]),
        &[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0x7f, 0xff], // a client id longer than the frame
        &unknown,
    ];
    for case in cases {
        for mut peer in fixture.both() {
            let _ = peer.stream().write_all(case);
            assert_eq!(peer.closed_after(), b"", "{case:x?}");
        }
    }
    fixture.assert_serves();
}

#[test]
fn a_defect_ends_one_connection() {
    let fixture = fixture(Limits::default());
    let mut others = fixture.both();
    for mut peer in fixture.both() {
        peer.send(&frame(18, 0, 1, &[PANIC]));
        assert_eq!(peer.closed_after(), b"");
    }
    for peer in &mut others {
        peer.send(&frame(18, 0, 1, &[ECHO]));
        peer.answer().unwrap();
    }
}

#[test]
fn a_peer_that_half_closes_gets_its_answers() {
    let fixture = fixture(Limits::default());
    for mut peer in fixture.both() {
        peer.send(&[frame(18, 0, 1, &[ECHO]), frame(0, 3, 2, &[LATER])].concat());
        peer.half_close();
        assert_eq!(id(&peer.answer().unwrap()), 1);
        fixture.service.synced.notify_one();
        assert_eq!(id(&peer.answer().unwrap()), 2);
        assert_eq!(peer.closed_after(), b"");
    }
}

#[test]
fn silence_in_a_request_ends_it_and_idleness_ends_a_connection() {
    let stall = Limits { stall: Duration::from_millis(300), ..Limits::default() };
    let slow = fixture(stall);
    for part in [3, 4, 13, 9_000, 49_999] {
        let mut peer = slow.tcp();
        peer.send(&frame(0, 3, 1, &[ECHO; 50_000])[..part]);
        let start = Instant::now();
        assert_eq!(peer.closed_after(), b"");
        assert!(start.elapsed() >= Duration::from_millis(250), "{part}");
    }
    // A peer that is slow, but not silent, is served; and between requests silence is no fault.
    let mut peer = slow.tcp();
    for byte in frame(18, 0, 1, &[ECHO]) {
        peer.send(&[byte]);
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(id(&peer.answer().unwrap()), 1);

    let idle = fixture(Limits { idle: Duration::from_millis(300), ..Limits::default() });
    let mut parked = idle.tcp();
    parked.send(&frame(0, 3, 1, &[LATER]));
    let mut quiet = idle.tcp();
    quiet.send(&frame(18, 0, 1, &[ECHO]));
    assert_eq!(id(&quiet.answer().unwrap()), 1);
    assert_eq!(quiet.closed_after(), b"");
    assert!(!parked.is_closed(), "who waits for an answer is not idle");
    idle.service.synced.notify_one();
    assert_eq!(id(&parked.answer().unwrap()), 1);
    assert_eq!(parked.closed_after(), b"");
}

#[test]
fn a_parked_request_ends_with_its_peer() {
    let fixture = fixture(Limits::default());
    let mut peer = fixture.tcp();
    peer.send(&frame(1, 4, 1, &[PARK]));
    until("it is parked", || fixture.service.calls.load(Ordering::SeqCst) == 1);
    drop(peer);
    until("it is let go of", || fixture.service.gone.load(Ordering::SeqCst) == 1);
}

#[test]
fn connections_over_the_limit_are_closed() {
    let limits = Limits { max_connections: 3, max_connections_per_ip: 2, ..Limits::default() };
    let fixture = fixture(limits);
    let serves =
        |peer: &mut Peer| peer.stream().write_all(&frame(18, 0, 5, &[ECHO])).is_ok() && peer.answer().is_ok();
    let (mut first, mut second) = (fixture.tcp(), fixture.tcp());
    assert!(serves(&mut first) && serves(&mut second));
    assert!(!serves(&mut fixture.tcp()), "a third from one address");
    let unix = fixture.server.addresses()[1].clone();
    let mut third = Peer::dial(&unix);
    assert!(serves(&mut third));
    assert!(!serves(&mut Peer::dial(&unix)), "a fourth in all");
    drop(first);
    until("the place is free again", || serves(&mut fixture.tcp()));
}

#[test]
fn peers_are_told_how_they_came() {
    let fixture = fixture(Limits::default());
    let Address::Tcp { port, .. } = fixture.server.addresses()[0] else { panic!() };
    for (mut peer, expected) in
        fixture.both().into_iter().zip([format!("(\"127.0.0.1\", {port})"), "(\"unix\", 0)".into()])
    {
        peer.send(&frame(18, 0, 1, &[PEER]));
        assert_eq!(String::from_utf8_lossy(&peer.answer().unwrap()[4..]), expected);
    }
}

#[test]
fn stopping_answers_what_is_in_hand() {
    let fixture = fixture(Limits::default());
    let [mut producing, mut polling] = fixture.both();
    producing.send(&frame(0, 3, 1, &[LATER]));
    polling.send(&frame(1, 4, 1, &[PARK]));
    let mut idle = fixture.tcp();
    until("both are begun", || fixture.service.calls.load(Ordering::SeqCst) == 2);
    let start = Instant::now();
    let stopping = std::thread::spawn(move || stop(fixture.server));
    assert_eq!(polling.closed_after(), b"");
    assert_eq!(idle.closed_after(), b"");
    fixture.service.synced.notify_one();
    assert_eq!(id(&producing.answer().unwrap()), 1);
    assert_eq!(producing.closed_after(), b"");
    stopping.join().unwrap();
    assert!(start.elapsed() < Limits::default().drain);
    drop(fixture.folder);
}

#[test]
fn stopping_does_not_wait_for_ever() {
    let fixture = fixture(Limits { drain: Duration::from_millis(200), ..Limits::default() });
    let mut producing = fixture.tcp();
    producing.send(&frame(0, 3, 1, &[LATER]));
    until("it is begun", || fixture.service.calls.load(Ordering::SeqCst) == 1);
    stop(fixture.server);
    assert_eq!(producing.closed_after(), b"");
}
