//! Many connections that want to hold memory, and a normal producer among them.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use klog::net::Address;

use crate::child::{Server, raise_descriptors};
use crate::peer::{Peer, frame};
use crate::stand_in::ECHO;

/// What the daemon may take in memory, in KiB.
const MOST: usize = 64 << 10;

fn connect(address: &Address) -> TcpStream {
    let Peer::Tcp(stream) = Peer::dial(address) else { panic!("a TCP address is expected") };
    stream
}

/// A connection that sends as much as is taken of a frame, and never its last byte.
struct Half {
    stream: TcpStream,
    sent: usize,
    closed: bool,
}

impl Half {
    fn push(&mut self, frame: &[u8]) {
        let most = frame.len() - 1;
        while !self.closed && self.sent < most {
            match self.stream.write(&frame[self.sent..most]) {
                Ok(sent) => self.sent += sent,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => self.closed = true,
            }
        }
    }

    fn is_closed(&self) -> bool {
        match self.stream.peek(&mut [0]) {
            Ok(read) => read == 0,
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        }
    }
}

#[test]
fn a_thousand_idle_and_a_thousand_half_megabytes_hold_up_nobody() {
    raise_descriptors();
    let server = Server::start("stand_in");
    let at_rest = server.memory("VmRSS");
    let idle: Vec<TcpStream> = (0..1000).map(|_| connect(&server.address)).collect();
    let frame_of_a_megabyte = frame(0, 3, 1, &[ECHO; 1_000_000]);
    let mut halves: Vec<Half> = (0..1000)
        .map(|_| {
            let stream = connect(&server.address);
            stream.set_nonblocking(true).unwrap();
            Half { stream, sent: 0, closed: false }
        })
        .collect();
    let mut producer = Peer::dial(&server.address);
    let body = [ECHO; 100_000];
    let start = Instant::now();
    let (mut answers, mut slowest) = (0, Duration::ZERO);
    while start.elapsed() < Duration::from_secs(6) {
        for half in &mut halves {
            half.push(&frame_of_a_megabyte);
        }
        for correlation in 0..10 {
            let sent = Instant::now();
            producer.send(&frame(0, 3, correlation, &body));
            let answer = producer.answer().unwrap();
            assert!(answer[..4] == correlation.to_be_bytes() && answer[4..] == body);
            slowest = slowest.max(sent.elapsed());
            answers += 1;
        }
    }
    let most = server.memory("VmHWM");
    let closed = halves.iter().filter(|half| half.is_closed()).count();
    let complete = halves.iter().filter(|half| half.sent == frame_of_a_megabyte.len() - 1).count();
    println!(
        "memory at rest {at_rest} KiB, most {most} KiB; {answers} answers, the slowest after {slowest:?}; \
         {complete} sent all but a byte, {closed} closed"
    );
    assert!(complete >= 30 && closed >= 30, "the flood did not reach its point: {complete}, {closed}");
    assert!(most < MOST, "{most} KiB");
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    drop(idle);
}
