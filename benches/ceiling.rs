//! The ceiling: the work of `klog produce` and `klog consume` with no protocol, no broker and no checks beyond the CRC.
//!
//! Two threads over a Unix socket, blocking calls, one frame a batch. klog's own figures are given as ratios to
//! these, in the same run on the same machine. Never linked into klog, and shares none of its code.
//!
//!     cargo bench --bench ceiling -- produce FILE --dir DIR [--batch 131072] [--sync]
//!     cargo bench --bench ceiling -- consume FILE --dir DIR [--batch 131072]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs::File;
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Instant;

use nix::sys::socket::{setsockopt, sockopt};

const HEADER: usize = 61;
const WINDOW: usize = 5;
const MIB: usize = 1 << 20;

fn castagnoli(bytes: &[u8]) -> u32 {
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

fn pair() -> (UnixStream, UnixStream) {
    let (client, server) = UnixStream::pair().unwrap();
    for end in [&client, &server] {
        setsockopt(&end.as_fd(), sockopt::SndBuf, &MIB).unwrap();
        setsockopt(&end.as_fd(), sockopt::RcvBuf, &MIB).unwrap();
    }
    (client, server)
}

fn varint(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn varint_len(value: i64) -> usize {
    let bits = 64 - (((value << 1) ^ (value >> 63)) as u64 | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// One batch under construction, with room for the frame's length in front.
struct Batch {
    bytes: Vec<u8>,
    records: i32,
}

impl Batch {
    fn new(size: usize) -> Self {
        let mut bytes = Vec::with_capacity(size + 64 * 1024);
        bytes.resize(4 + HEADER, 0);
        Self { bytes, records: 0 }
    }

    fn push(&mut self, line: &[u8]) {
        let delta = i64::from(self.records);
        let length = line.len() as i64;
        let body = 4 + varint_len(delta) + varint_len(length) + line.len();
        varint(&mut self.bytes, body as i64);
        self.bytes.extend_from_slice(&[0, 0]);
        varint(&mut self.bytes, delta);
        self.bytes.push(1);
        varint(&mut self.bytes, length);
        self.bytes.extend_from_slice(line);
        self.bytes.push(0);
        self.records += 1;
    }

    fn send(&mut self, socket: &mut UnixStream) {
        let size = self.bytes.len() - 4;
        self.bytes[..4].copy_from_slice(&(size as u32).to_be_bytes());
        let batch = &mut self.bytes[4..];
        batch[8..12].copy_from_slice(&(size as i32 - 12).to_be_bytes());
        batch[16] = 2;
        batch[23..27].copy_from_slice(&(self.records - 1).to_be_bytes());
        batch[43..51].copy_from_slice(&(-1i64).to_be_bytes());
        batch[51..57].copy_from_slice(&[0xff; 6]);
        batch[57..61].copy_from_slice(&self.records.to_be_bytes());
        let crc = castagnoli(&batch[21..]);
        batch[17..21].copy_from_slice(&crc.to_be_bytes());
        socket.write_all(&self.bytes).unwrap();
        self.bytes.truncate(4 + HEADER);
        self.records = 0;
    }
}

fn produce_client(input: &Path, batch_bytes: usize, mut socket: UnixStream) -> u64 {
    let mut file = File::open(input).unwrap();
    let mut buffer = vec![0u8; MIB + 64 * 1024];
    let mut batch = Batch::new(batch_bytes);
    let (mut held, mut lines, mut in_flight) = (0, 0u64, 0);
    let mut ack = [0u8; 8];
    let mut ship = |batch: &mut Batch, in_flight: &mut usize| {
        if *in_flight == WINDOW {
            socket.read_exact(&mut ack).unwrap();
            *in_flight -= 1;
        }
        batch.send(&mut socket);
        *in_flight += 1;
    };
    loop {
        let got = file.read(&mut buffer[held..held + MIB]).unwrap();
        if got == 0 {
            break;
        }
        let filled = held + got;
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', &buffer[..filled]) {
            if batch.bytes.len() + (end - start) + 32 > batch_bytes {
                ship(&mut batch, &mut in_flight);
            }
            batch.push(&buffer[start..end]);
            lines += 1;
            start = end + 1;
        }
        buffer.copy_within(start..filled, 0);
        held = filled - start;
    }
    if batch.records > 0 {
        ship(&mut batch, &mut in_flight);
    }
    while in_flight > 0 {
        socket.read_exact(&mut ack).unwrap();
        in_flight -= 1;
    }
    lines
}

fn produce_server(mut socket: UnixStream, segment: &Path, batch_bytes: usize, sync: bool) {
    let mut file = File::create(segment).unwrap();
    let room = MIB.max(2 * (batch_bytes + 4));
    let mut buffer = vec![0u8; room];
    let (mut held, mut offset) = (0usize, 0i64);
    loop {
        let got = match socket.read(&mut buffer[held..]) {
            Ok(0) => return,
            Ok(got) => got,
            Err(failed) if failed.kind() == ErrorKind::Interrupted => continue,
            Err(failed) => panic!("{failed}"),
        };
        held += got;
        let (mut at, mut acks) = (0, Vec::new());
        let mut frames = Vec::new();
        while held - at >= 4 {
            let size = u32::from_be_bytes(buffer[at..at + 4].try_into().unwrap()) as usize;
            if held - at - 4 < size {
                break;
            }
            let batch = &mut buffer[at + 4..at + 4 + size];
            assert_eq!(castagnoli(&batch[21..]).to_be_bytes(), batch[17..21]);
            batch[..8].copy_from_slice(&offset.to_be_bytes());
            let count = i32::from_be_bytes(batch[57..61].try_into().unwrap());
            acks.extend_from_slice(&offset.to_be_bytes());
            offset += i64::from(count);
            frames.push(at + 4..at + 4 + size);
            at += 4 + size;
        }
        if !frames.is_empty() {
            let total: usize = frames.iter().map(ExactSizeIterator::len).sum();
            let slices: Vec<IoSlice> =
                frames.iter().map(|range| IoSlice::new(&buffer[range.clone()])).collect();
            let mut wrote = file.write_vectored(&slices).unwrap();
            for range in frames {
                let skip = wrote.min(range.len());
                wrote -= skip;
                if skip < range.len() {
                    file.write_all(&buffer[range.start + skip..range.end]).unwrap();
                }
            }
            assert!(total > 0);
            if sync {
                file.sync_data().unwrap();
            }
            socket.write_all(&acks).unwrap();
        }
        buffer.copy_within(at..held, 0);
        held -= at;
    }
}

fn consume_server(mut socket: UnixStream, segment: &Path) {
    let file = File::open(segment).unwrap();
    let end = file.metadata().unwrap().len() as i64;
    let mut ask = [0u8; 16];
    while socket.read_exact(&mut ask).is_ok() {
        let mut from = i64::from_be_bytes(ask[..8].try_into().unwrap());
        let length = i64::from_be_bytes(ask[8..].try_into().unwrap()).min(end - from).max(0);
        socket.write_all(&length.to_be_bytes()).unwrap();
        let until = from + length;
        while from < until {
            let left = (until - from) as usize;
            nix::sys::sendfile::sendfile64(&socket, &file, Some(&mut from), left).unwrap();
        }
    }
}

fn read_varint(bytes: &[u8], at: &mut usize) -> i64 {
    let (mut value, mut shift) = (0u64, 0);
    loop {
        let byte = bytes[*at];
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return (value >> 1) as i64 ^ -((value & 1) as i64);
        }
        shift += 7;
    }
}

/// Writes the values of all whole batches in `bytes`; returns how many bytes they were, and counts the records.
fn decode(bytes: &[u8], out: &mut Vec<u8>, sink: &mut File, lines: &mut u64) -> usize {
    let mut from = 0;
    while bytes.len() - from >= HEADER {
        let size = 12 + i32::from_be_bytes(bytes[from + 8..from + 12].try_into().unwrap()) as usize;
        if bytes.len() - from < size {
            break;
        }
        let batch = &bytes[from..from + size];
        assert_eq!(castagnoli(&batch[21..]).to_be_bytes(), batch[17..21]);
        let count = i32::from_be_bytes(batch[57..61].try_into().unwrap());
        let mut at = HEADER;
        for _ in 0..count {
            let length = read_varint(batch, &mut at) as usize;
            let end = at + length;
            at += 1;
            read_varint(batch, &mut at);
            read_varint(batch, &mut at);
            let key = read_varint(batch, &mut at);
            at += key.max(0) as usize;
            let value = read_varint(batch, &mut at).max(0) as usize;
            out.extend_from_slice(&batch[at..at + value]);
            out.push(b'\n');
            at = end;
        }
        *lines += count as u64;
        if out.len() >= 256 * 1024 {
            sink.write_all(out).unwrap();
            out.clear();
        }
        from += size;
    }
    from
}

fn consume_client(mut socket: UnixStream, end: i64) -> u64 {
    let mut sink = File::options().write(true).open("/dev/null").unwrap();
    let mut out = Vec::with_capacity(512 * 1024);
    let mut buffers = [vec![0u8; 2 * MIB], vec![0u8; 2 * MIB]];
    let (mut lines, mut position, mut held, mut turn) = (0u64, 0i64, 0usize, 0);
    let ask = |socket: &mut UnixStream, from: i64| {
        let mut frame = [0u8; 16];
        frame[..8].copy_from_slice(&from.to_be_bytes());
        frame[8..].copy_from_slice(&(MIB as i64).to_be_bytes());
        socket.write_all(&frame).unwrap();
    };
    ask(&mut socket, 0);
    while position < end {
        let mut length = [0u8; 8];
        socket.read_exact(&mut length).unwrap();
        let length = i64::from_be_bytes(length) as usize;
        socket.read_exact(&mut buffers[turn][held..held + length]).unwrap();
        position += length as i64;
        if position < end {
            ask(&mut socket, position);
        }
        let filled = held + length;
        let used = decode(&buffers[turn][..filled], &mut out, &mut sink, &mut lines);
        held = filled - used;
        let (left, right) = buffers.split_at_mut(1);
        let (now, next) = if turn == 0 { (&left[0], &mut right[0]) } else { (&right[0], &mut left[0]) };
        next[..held].copy_from_slice(&now[used..filled]);
        turn = 1 - turn;
    }
    sink.write_all(&out).unwrap();
    lines
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let value = |name: &str| args.iter().position(|arg| arg == name).and_then(|at| args.get(at + 1)).cloned();
    let (Some(what), Some(input)) = (args.first(), args.get(1).map(PathBuf::from)) else {
        eprintln!("usage: ceiling produce|consume FILE --dir DIR [--batch BYTES] [--sync]");
        return;
    };
    let dir = PathBuf::from(value("--dir").unwrap_or_else(|| ".".into()));
    let batch: usize = value("--batch").map_or(128 * 1024, |text| text.parse().unwrap());
    let segment = dir.join("ceiling.log");
    let (client, server) = pair();
    let sync = args.iter().any(|arg| arg == "--sync");
    let (lines, seconds) = std::thread::scope(|scope| {
        if what == "consume" {
            // The segment is made first, and is not part of the time.
            let (filler, keeper) = pair();
            let (path, copy) = (segment.clone(), segment.clone());
            let keeping = scope.spawn(move || produce_server(keeper, &path, batch, false));
            produce_client(&input, batch, filler);
            keeping.join().unwrap();
            let end = std::fs::metadata(&segment).unwrap().len() as i64;
            scope.spawn(move || consume_server(server, &copy));
            let start = Instant::now();
            (consume_client(client, end), start.elapsed().as_secs_f64())
        } else {
            let path = segment.clone();
            scope.spawn(move || produce_server(server, &path, batch, sync));
            let start = Instant::now();
            (produce_client(&input, batch, client), start.elapsed().as_secs_f64())
        }
    });
    std::fs::remove_file(&segment).unwrap();
    println!(
        "{what} batch={batch} sync={sync} lines={lines} seconds={seconds:.3} mlps={:.2}",
        lines as f64 / seconds / 1e6
    );
}
