//! Stdin in pieces of whole lines, read by a thread of its own; stops reading while nobody takes them.

use std::io::{self, Read};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::FlowError;

/// How much is read at once.
const PIECE: usize = 256 << 10;
/// The longest line.
pub(super) const MOST: usize = 64 << 20;

/// Whole lines (the last one perhaps without its end), and the number of the first, from 1.
#[derive(Debug)]
pub(super) struct Lines {
    pub(super) bytes: Bytes,
    pub(super) first: u64,
}

/// Starts to read. The thread is left behind when the process ends first: a read can not be called off.
pub(super) fn start() -> Result<mpsc::Receiver<Result<Lines, FlowError>>, FlowError> {
    let (sender, receiver) = mpsc::channel(2);
    let run = move || read(io::stdin(), &sender);
    std::thread::Builder::new().name("stdin".into()).spawn(run).map_err(FlowError::Thread)?;
    Ok(receiver)
}

fn read(mut from: impl Read, to: &mpsc::Sender<Result<Lines, FlowError>>) {
    let (mut held, mut first) = (Vec::new(), 1);
    loop {
        let had = held.len();
        held.resize(had + PIECE, 0);
        let taken = match held.get_mut(had..).map(|room| from.read(room)) {
            Some(Ok(taken)) => taken,
            Some(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {
                held.truncate(had);
                continue;
            }
            Some(Err(error)) => {
                let _ = to.blocking_send(Err(FlowError::Stream { doing: "read stdin", error }));
                return;
            }
            None => 0,
        };
        held.truncate(had + taken);
        let end = match taken {
            0 => held.len(),
            _ => memchr::memrchr(b'\n', &held).map_or(0, |newline| newline + 1),
        };
        if end > 0 {
            let rest = held.split_off(end);
            let bytes = Bytes::from(std::mem::replace(&mut held, rest));
            let lines = memchr::memchr_iter(b'\n', &bytes).count() as u64;
            if to.blocking_send(Ok(Lines { bytes, first })).is_err() {
                return;
            }
            first += lines;
        }
        if taken == 0 {
            return;
        }
        if held.len() > MOST {
            let _ = to.blocking_send(Err(FlowError::LongLine { line: first, limit: MOST }));
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time.
    struct Drops<'a>(&'a [u8], usize);

    impl Read for Drops<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let len = self.1.min(self.0.len()).min(into.len());
            let (now, later) = self.0.split_at(len);
            into[..len].copy_from_slice(now);
            self.0 = later;
            Ok(len)
        }
    }

    #[test]
    fn pieces_are_whole_lines_and_know_their_numbers() {
        let text = b"one\ntwo\n\nfour\nlast";
        for size in 1..text.len() + 1 {
            let (sender, mut receiver) = mpsc::channel(100);
            read(Drops(text, size), &sender);
            drop(sender);
            let (mut all, mut next) = (Vec::new(), 1);
            while let Some(piece) = receiver.blocking_recv() {
                let Lines { bytes, first } = piece.unwrap();
                assert_eq!(first, next, "size {size}");
                next += bytes.iter().filter(|&&byte| byte == b'\n').count() as u64;
                assert!(bytes.ends_with(b"\n") || bytes.ends_with(b"last"), "size {size}: {bytes:?}");
                all.extend_from_slice(&bytes);
            }
            assert_eq!(all, text);
        }
    }
}
