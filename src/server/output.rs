//! Answers on their way out, in order; must never bring a file's bytes into memory more than a piece at a time.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncWrite;

use crate::broker::api::{Part, Reply};
use crate::net::{FileRange, Stream};

/// Bytes up to here are copied behind one another, so that many small answers are one write of one piece.
const SMALL: usize = 1 << 10;
/// File pieces up to here are read instead of sent by themselves, in bytes.
const SMALL_FILE: usize = 4 << 10;
/// What is read at a time from a file that has no descriptor, in bytes.
const STEP: usize = 64 << 10;
/// Pieces of one write.
const PIECES: usize = 32;
/// What one flush sends before other connections get their turn, in bytes.
const TURN: usize = 4 << 20;

#[derive(Debug)]
enum Piece {
    Small(BytesMut),
    Large(Bytes),
    /// Always a `Part::File`, shortened by what has been sent.
    File(Part),
}

#[derive(Debug, Default)]
pub(super) struct Output {
    pieces: VecDeque<Piece>,
    memory: usize,
    /// A TLS session has taken bytes that the socket has not.
    unflushed: bool,
}

/// What a flush came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flushed {
    /// Everything was sent; so many bytes just now.
    All(usize),
    /// The peer took so many bytes, and there is more.
    Some(usize),
}

impl Output {
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty() && !self.unflushed
    }

    /// Bytes that wait in memory, and pieces that wait.
    pub(super) fn waiting(&self) -> (usize, usize) {
        (self.memory, self.pieces.len())
    }

    /// Adds an answer. False when it is longer than a length prefix can say.
    pub(super) fn push(&mut self, reply: Reply) -> bool {
        let Ok(length) = i32::try_from(reply.len()) else { return false };
        self.push_small(&length.to_be_bytes());
        for part in reply.parts {
            match part {
                empty if empty.is_empty() => {}
                Part::Bytes(bytes) if bytes.len() <= SMALL => self.push_small(&bytes),
                Part::Bytes(bytes) => {
                    self.memory += bytes.len();
                    self.pieces.push_back(Piece::Large(bytes));
                }
                file @ Part::File { .. } => self.pieces.push_back(Piece::File(file)),
            }
        }
        true
    }

    fn push_small(&mut self, bytes: &[u8]) {
        self.memory += bytes.len();
        match self.pieces.back_mut() {
            Some(Piece::Small(small)) => small.extend_from_slice(bytes),
            _ => {
                let mut small = BytesMut::with_capacity(256);
                small.extend_from_slice(bytes);
                self.pieces.push_back(Piece::Small(small));
            }
        }
    }

    /// Sends as much as the peer takes, up to a turn's worth. Pending only when nothing could be sent.
    pub(super) fn poll_flush(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut Stream,
    ) -> Poll<io::Result<Flushed>> {
        let mut total = 0;
        while !self.pieces.is_empty() {
            let sent = match self.poll_piece(cx, stream) {
                Poll::Ready(sent) => sent?,
                Poll::Pending if total == 0 => return Poll::Pending,
                Poll::Pending => return Poll::Ready(Ok(Flushed::Some(total))),
            };
            total += sent;
            if total >= TURN && !self.pieces.is_empty() {
                cx.waker().wake_by_ref();
                return Poll::Ready(Ok(Flushed::Some(total)));
            }
        }
        match Pin::new(stream).poll_flush(cx)? {
            Poll::Ready(()) => {
                self.unflushed = false;
                Poll::Ready(Ok(Flushed::All(total)))
            }
            Poll::Pending if total == 0 => Poll::Pending,
            Poll::Pending => {
                self.unflushed = true;
                Poll::Ready(Ok(Flushed::Some(total)))
            }
        }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>, stream: &mut Stream) -> Poll<io::Result<usize>> {
        self.read_small_files()?;
        if let Some(Piece::File(part)) = self.pieces.front_mut() {
            if let Some(sent) = poll_file(cx, stream, part) {
                let sent = ready!(sent)?;
                if part.is_empty() {
                    self.pieces.pop_front();
                }
                return Poll::Ready(Ok(sent));
            }
            let bytes = read_part(part, STEP)?;
            if part.is_empty() {
                self.pieces.pop_front();
            }
            self.memory += bytes.len();
            self.pieces.push_front(Piece::Large(bytes));
        }
        let slices: Vec<IoSlice<'_>> = self.pieces.iter().map_while(Piece::slice).take(PIECES).collect();
        let more = matches!(self.pieces.get(slices.len()), Some(Piece::File(_)));
        let sent = if more {
            ready!(stream.poll_write_more(cx, &slices))?
        } else {
            ready!(Pin::new(stream).poll_write_vectored(cx, &slices))?
        };
        if sent == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.advance(sent);
        Poll::Ready(Ok(sent))
    }

    /// A short piece of a file is cheaper copied behind its head than sent by a call of its own.
    fn read_small_files(&mut self) -> io::Result<()> {
        for piece in self.pieces.iter_mut().take(PIECES) {
            if let Piece::File(part) = piece
                && part.len() <= SMALL_FILE
            {
                let mut bytes = BytesMut::with_capacity(part.len());
                while !part.is_empty() {
                    bytes.extend_from_slice(&read_part(part, SMALL_FILE)?);
                }
                self.memory += bytes.len();
                *piece = Piece::Large(bytes.freeze());
            }
        }
        Ok(())
    }

    /// Drops what was sent from the front.
    fn advance(&mut self, mut sent: usize) {
        self.memory = self.memory.saturating_sub(sent);
        while let Some(piece) = self.pieces.front_mut() {
            let left = match piece {
                Piece::Small(bytes) => advance_by(bytes, &mut sent),
                Piece::Large(bytes) => advance_by(bytes, &mut sent),
                Piece::File(_) => return,
            };
            if left > 0 {
                return;
            }
            self.pieces.pop_front();
        }
    }
}

impl Piece {
    fn slice(&self) -> Option<IoSlice<'_>> {
        match self {
            Self::Small(bytes) => Some(IoSlice::new(bytes)),
            Self::Large(bytes) => Some(IoSlice::new(bytes)),
            Self::File(_) => None,
        }
    }
}

fn advance_by(bytes: &mut impl Buf, sent: &mut usize) -> usize {
    let now = bytes.remaining().min(*sent);
    bytes.advance(now);
    *sent -= now;
    bytes.remaining()
}

/// One sendfile; none when the file has no descriptor, or its bytes are to be encrypted.
fn poll_file(cx: &mut Context<'_>, stream: &mut Stream, part: &mut Part) -> Option<Poll<io::Result<usize>>> {
    let Part::File { file, position, len } = part else { return None };
    if stream.is_tls() {
        return None;
    }
    let range = FileRange { file: file.fd()?, position: *position, len: *len };
    Some(match stream.poll_send_file(cx, range) {
        Poll::Ready(Ok(0)) => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
        Poll::Ready(Ok(sent)) => {
            *position += sent as u64;
            *len -= sent;
            Poll::Ready(Ok(sent))
        }
        other => other,
    })
}

/// Reads the next bytes of a file part, at least one.
fn read_part(part: &mut Part, most: usize) -> io::Result<Bytes> {
    let Part::File { file, position, len } = part else { return Err(io::ErrorKind::InvalidInput.into()) };
    let mut bytes = vec![0; most.min(*len)];
    let read = file.read_at(&mut bytes, *position)?;
    if read == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    bytes.truncate(read);
    *position += read as u64;
    *len -= read;
    Ok(bytes.into())
}
