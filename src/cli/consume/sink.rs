//! Stdout as the reader of the records: written in large pieces, never blocking where it is a pipe, and never with
//! its flags changed, which others share.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{SFlag, fstat};
use nix::unistd::write;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::cli::os;

/// What a pipe is asked to hold; the most that the system allows without privileges by default.
const PIPE_SIZE: i32 = 1 << 20;
const PAGE: usize = 4096;
/// A pipe's reader is served fastest by pieces like this; anything else takes larger ones.
const PIPE_PIECE: usize = 64 << 10;
const FILE_PIECE: usize = 256 << 10;
/// Bytes that wait for a slow reader at most before reading stops, a record's length aside.
const MOST_WAITING: usize = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A pipe that holds so many bytes.
    Pipe(usize),
    /// A terminal or socket: may block, and does not say what its reader took.
    Other,
    /// A file: takes all at once.
    File,
}

/// Stdout with what waits to be written.
#[derive(Debug)]
pub(in crate::cli) struct Sink {
    kind: Kind,
    fd: OwnedFd,
    watched: Option<AsyncFd<OwnedFd>>,
    buf: Vec<u8>,
    /// Bytes of `buf` that were written.
    head: usize,
    written: u64,
    closed: bool,
}

impl Sink {
    /// Takes stdout; a pipe is made larger.
    pub(in crate::cli) fn stdout() -> io::Result<Sink> {
        Sink::new(io::stdout().as_fd().try_clone_to_owned()?)
    }

    fn new(fd: OwnedFd) -> io::Result<Sink> {
        let format = SFlag::from_bits_truncate(fstat(&fd)?.st_mode) & SFlag::S_IFMT;
        let watched = os::watch(&fd, Interest::WRITABLE | Interest::ERROR).ok();
        let kind = if format == SFlag::S_IFIFO {
            let _ = fcntl(&fd, FcntlArg::F_SETPIPE_SZ(PIPE_SIZE));
            let size = fcntl(&fd, FcntlArg::F_GETPIPE_SZ).ok().and_then(|size| usize::try_from(size).ok());
            Kind::Pipe(size.unwrap_or(16 * PAGE))
        } else if watched.is_some() {
            Kind::Other
        } else {
            Kind::File
        };
        Ok(Sink { kind, fd, watched, buf: Vec::new(), head: 0, written: 0, closed: false })
    }

    /// Whether what is written may not be delivered yet.
    pub(in crate::cli) fn is_watched(&self) -> bool {
        self.kind != Kind::File
    }

    /// Where records are appended.
    #[inline]
    pub(in crate::cli) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buf
    }

    /// All bytes so far, written or waiting.
    #[inline]
    pub(in crate::cli) fn end(&self) -> u64 {
        self.written + self.waiting() as u64
    }

    /// Bytes written.
    pub(in crate::cli) fn written(&self) -> u64 {
        self.written
    }

    /// Bytes waiting to be written.
    #[inline]
    pub(in crate::cli) fn waiting(&self) -> usize {
        self.buf.len() - self.head
    }

    /// Whether more may be appended.
    pub(in crate::cli) fn has_room(&self) -> bool {
        self.waiting() < MOST_WAITING
    }

    /// Whether the reader is gone.
    pub(in crate::cli) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Bytes that the reader surely took: those that no longer fit into the pipe.
    pub(in crate::cli) fn surely_delivered(&self) -> u64 {
        match self.kind {
            Kind::Pipe(size) => self.written.saturating_sub(size as u64),
            _ => self.written,
        }
    }

    /// Bytes that the reader took, as the contract has it: written, less what is still in a pipe.
    pub(in crate::cli) fn delivered(&self) -> u64 {
        self.written.saturating_sub(self.unread() as u64)
    }

    fn unread(&self) -> usize {
        match self.kind {
            Kind::Pipe(_) => os::unread(&self.fd).unwrap_or(0),
            _ => 0,
        }
    }

    /// Drops what waits behind output byte `end`.
    pub(in crate::cli) fn cut(&mut self, end: u64) {
        let keep = usize::try_from(end.saturating_sub(self.written)).unwrap_or(usize::MAX);
        self.buf.truncate(self.head.saturating_add(keep));
    }

    /// Writes where a large piece is together: to be called after every record.
    #[inline]
    pub(in crate::cli) fn flow(&mut self) -> io::Result<()> {
        let piece = if self.kind == Kind::File { FILE_PIECE } else { PIPE_PIECE };
        if self.waiting() >= piece { self.push() } else { Ok(()) }
    }

    /// Writes what waits, as far as it goes without blocking (a file takes all).
    #[inline(never)]
    pub(in crate::cli) fn push(&mut self) -> io::Result<()> {
        while self.waiting() > 0 && !self.closed {
            let room = self.room();
            if room == 0 {
                break;
            }
            let end = self.buf.len().min(self.head.saturating_add(room));
            match write(&self.fd, self.buf.get(self.head..end).unwrap_or_default()) {
                Ok(len) => {
                    self.head += len;
                    self.written += len as u64;
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => break,
                Err(Errno::EPIPE | Errno::ECONNRESET) => self.closed = true,
                Err(error) => return Err(error.into()),
            }
        }
        if self.waiting() == 0 {
            self.buf.clear();
            self.head = 0;
        } else if self.head >= MOST_WAITING {
            self.buf.drain(..self.head);
            self.head = 0;
        }
        Ok(())
    }

    /// Bytes that a write takes now without blocking.
    ///
    /// A pipe has room by pages. Two neighbouring pages together are more than half full, for a piece that fits
    /// into the page before it is put there; so what is unread takes at most twice its pages.
    fn room(&self) -> usize {
        if let Kind::Pipe(size) = self.kind {
            let taken = 2 * self.unread().div_ceil(PAGE) + 3;
            let free = (size / PAGE).saturating_sub(taken);
            if free > 0 {
                return (free * PAGE).min(PIPE_PIECE);
            }
        }
        match self.kind {
            Kind::File => usize::MAX,
            // Where there is room at all, there is room for a page.
            _ if self.is_writable() => PAGE,
            _ => 0,
        }
    }

    fn is_writable(&self) -> bool {
        let mut fds = [PollFd::new(self.fd.as_fd(), PollFlags::POLLOUT)];
        !matches!(poll(&mut fds, PollTimeout::ZERO), Ok(0))
    }

    /// Returns once a write goes on without blocking.
    pub(in crate::cli) async fn writable(&self) -> io::Result<()> {
        let Some(watched) = &self.watched else { return Ok(()) };
        loop {
            let mut guard = watched.writable().await?;
            if self.is_writable() {
                guard.retain_ready();
                return Ok(());
            }
            // What comes between the look and this is an event of its own.
            guard.clear_ready();
        }
    }

    /// Returns once the reader is gone; never, for a file.
    pub(in crate::cli) async fn hung_up(&self) {
        let Some(watched) = &self.watched else { return std::future::pending().await };
        loop {
            let Ok(mut guard) = watched.ready(Interest::ERROR).await else {
                return std::future::pending().await;
            };
            if os::hung_up(&self.fd) {
                return;
            }
            guard.clear_ready();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::time::Duration;

    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    #[test]
    fn a_full_pipe_never_blocks_and_what_was_taken_is_known() {
        runtime().block_on(async {
            let (mut reader, writer) = io::pipe().unwrap();
            let mut sink = Sink::new(writer.into()).unwrap();
            sink.buffer().extend(std::iter::repeat_n(7, 3 << 20));
            sink.push().unwrap();
            let Kind::Pipe(size) = sink.kind else { panic!() };
            // It took what it holds, a page or two aside, and left the rest.
            let written = usize::try_from(sink.written()).unwrap();
            assert!(written <= size && written + 2 * PAGE >= size, "{written} of {size}");
            assert_eq!(sink.delivered(), 0);
            reader.read_exact(&mut vec![0; 100_000]).unwrap();
            assert_eq!(sink.delivered(), 100_000);
            sink.writable().await.unwrap();
            sink.push().unwrap();
            assert!(sink.written() > written as u64);
            assert_eq!(sink.end(), 3 << 20);
        });
    }

    /// Pieces of odd sizes and a reader of odd sizes, so that the pipe's pages are filled badly.
    #[test]
    fn odd_pieces_do_not_block_either() {
        runtime().block_on(async {
            let (mut reader, writer) = io::pipe().unwrap();
            let mut sink = Sink::new(writer.into()).unwrap();
            let (mut sent, mut taken) = (0u64, 0u64);
            for round in 0..3000usize {
                let len = 1 + round * 7919 % 9000;
                sink.buffer().extend(std::iter::repeat_n(round as u8, len));
                sent += len as u64;
                sink.push().unwrap();
                let ready = os::unread(&sink.fd).unwrap();
                let take = ready.min(round * 3571 % 8000);
                reader.read_exact(&mut vec![0; take]).unwrap();
                taken += take as u64;
                assert_eq!(sink.delivered(), taken);
            }
            assert_eq!(sink.end(), sent);
        });
    }

    #[test]
    fn a_reader_that_leaves_is_noticed_while_nothing_is_written() {
        runtime().block_on(async {
            let (reader, writer) = io::pipe().unwrap();
            let sink = Sink::new(writer.into()).unwrap();
            let gone = tokio::time::timeout(Duration::from_secs(10), sink.hung_up());
            let leave = async { drop(reader) };
            let (gone, ()) = tokio::join!(gone, leave);
            gone.unwrap();
        });
    }

    #[test]
    fn writing_to_a_reader_that_left_closes() {
        runtime().block_on(async {
            let (reader, writer) = io::pipe().unwrap();
            let mut sink = Sink::new(writer.into()).unwrap();
            drop(reader);
            sink.buffer().extend_from_slice(b"lost");
            sink.push().unwrap();
            assert!(sink.is_closed());
        });
    }

    #[test]
    fn a_file_takes_all_at_once() {
        runtime().block_on(async {
            let mut file = tempfile::tempfile().unwrap();
            let mut sink = Sink::new(file.try_clone().unwrap().into()).unwrap();
            assert!(!sink.is_watched());
            sink.buffer().extend(std::iter::repeat_n(7, 3 << 20));
            sink.flow().unwrap();
            assert_eq!((sink.waiting(), sink.delivered()), (0, 3 << 20));
            io::Seek::rewind(&mut file).unwrap();
            assert_eq!(file.metadata().unwrap().len(), 3 << 20);
        });
    }

    #[test]
    fn what_waits_can_be_cut() {
        runtime().block_on(async {
            let (_reader, writer) = io::pipe().unwrap();
            let mut sink = Sink::new(writer.into()).unwrap();
            sink.buffer().extend_from_slice(b"one\ntwo\n");
            sink.cut(4);
            assert_eq!(sink.end(), 4);
        });
    }
}
