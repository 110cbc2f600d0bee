//! From a byte stream to whole frames; must never hold more than has arrived, give or take a buffer that was there anyway.
//!
//! The first [`FREE`] bytes of a frame are always read. For the rest it needs room from the shared [`Budget`],
//! which counts the announced length, while the memory behind it follows the bytes that came.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::FREE;
use super::budget::{Budget, Claim};
use super::end::Refusal;
use crate::wire::api::ApiKey;
use crate::wire::limits::{LENGTH_PREFIX as PREFIX, MIN_REQUEST};

/// Up to here a buffer is made at once for a frame that has its room, in bytes: pages that no byte came for are not
/// touched. From there it grows fourfold, as far as the bytes that came fill it.
const FIRST_STEP: usize = 1100 << 10;

/// A whole request.
#[derive(Debug)]
pub(super) struct Frame {
    /// Header and body, without the length prefix.
    pub(super) bytes: Bytes,
    /// The room it took, held until its memory is let go of.
    pub(super) claim: Option<Claim>,
}

/// What an attempt to read came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// So many bytes came.
    Some(usize),
    /// The peer will send no more.
    End,
}

#[derive(Debug)]
pub(super) struct Input {
    buffer: BytesMut,
    claim: Option<Claim>,
    budget: Arc<Budget>,
    longest: usize,
    shortest: usize,
}

impl Input {
    pub(super) fn new(budget: Arc<Budget>, longest: usize) -> Self {
        Self { buffer: BytesMut::new(), claim: None, budget, longest, shortest: MIN_REQUEST }
    }

    /// Sets the bounds of the frames that follow, in bytes without their prefix. To be called between frames only.
    pub(super) fn bound(&mut self, shortest: usize, longest: usize) {
        (self.shortest, self.longest) = (shortest, longest);
    }

    /// Whether part of a frame is here.
    pub(super) fn unfinished(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Whether its peer is to be waited for: false while a frame waits for room.
    pub(super) fn reading(&self) -> bool {
        self.buffer.len() < FREE || self.claim.as_ref().is_none_or(Claim::held)
    }

    /// Whether its frame holds room from the budget.
    pub(super) fn holds_room(&self) -> bool {
        self.claim.as_ref().is_some_and(Claim::held)
    }

    /// Whether it holds room that others wait for.
    pub(super) fn in_the_way(&self) -> bool {
        self.budget.contended() && self.holds_room()
    }

    /// The length of the frame in hand with its prefix, once that is here.
    fn announced(&self) -> Result<Option<usize>, Refusal> {
        let Some(prefix) = self.buffer.first_chunk::<PREFIX>() else { return Ok(None) };
        let announced = i32::from_be_bytes(*prefix);
        match usize::try_from(announced) {
            Err(_) => Err(Refusal::Negative(announced)),
            Ok(length) if length > self.longest => Err(match prefix {
                b"GET " | b"POST" | b"PUT " | b"HEAD" | b"OPTI" | b"DELE" | b"PATC" | b"CONN" => {
                    Refusal::Http
                }
                [0x16, 0x03, ..] => Refusal::Tls,
                _ => Refusal::TooLong { announced, allowed: self.longest },
            }),
            Ok(length) if length < self.shortest => Err(Refusal::TooShort(announced)),
            Ok(length) => Ok(Some(length + PREFIX)),
        }
    }

    /// The next frame, if all of it is here.
    pub(super) fn take(&mut self) -> Result<Option<Frame>, Refusal> {
        match self.announced()? {
            Some(length) if self.buffer.len() >= length => {
                let mut bytes = if length <= FREE {
                    // A request may be parked for long; a small one must not keep a large buffer with it.
                    let bytes = self.buffer.get(..length).map(Bytes::copy_from_slice).unwrap_or_default();
                    self.buffer.advance(length);
                    bytes
                } else {
                    self.buffer.split_to(length).freeze()
                };
                bytes.advance(PREFIX);
                Ok(Some(Frame { bytes, claim: self.claim.take() }))
            }
            _ => Ok(None),
        }
    }

    /// Reads once. Pending: the socket is empty, or the frame waits for room.
    pub(super) fn poll_read<S: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
    ) -> Poll<Result<Read, Failure>> {
        let most = match self.announced().map_err(Failure::Refused)? {
            Some(length) if length > FREE => {
                self.check_api().map_err(Failure::Refused)?;
                let claim = self.claim.get_or_insert_with(|| self.budget.claim(length - FREE));
                if self.buffer.len() >= FREE && claim.poll(cx).is_pending() {
                    self.rest();
                    return Poll::Pending;
                }
                // On to the end of this frame, and the free part of the next in the same go.
                if claim.held() { length + FREE } else { FREE }
            }
            _ => FREE,
        };
        self.read_up_to(most, cx, stream)
    }

    /// Reads while earlier requests are not done yet, so that a peer that goes away is noticed: no more than is free.
    pub(super) fn poll_watch<S: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
    ) -> Poll<Result<Read, Failure>> {
        if self.buffer.len() >= FREE { Poll::Pending } else { self.read_up_to(FREE, cx, stream) }
    }

    /// A large frame is only read for an API that exists.
    fn check_api(&self) -> Result<(), Refusal> {
        match self.buffer.get(PREFIX..PREFIX + 2).and_then(|key| key.first_chunk()) {
            Some(key) if ApiKey::from_code(i16::from_be_bytes(*key)).is_none() => {
                Err(Refusal::UnknownApi(i16::from_be_bytes(*key)))
            }
            _ => Ok(()),
        }
    }

    fn read_up_to<S: AsyncRead + Unpin>(
        &mut self,
        most: usize,
        cx: &mut Context<'_>,
        stream: &mut S,
    ) -> Poll<Result<Read, Failure>> {
        self.make_room(most);
        let room = most.saturating_sub(self.buffer.len());
        let mut into = (&mut self.buffer).limit(room);
        let result = pin!(stream.read_buf(&mut into)).poll(cx);
        match result {
            Poll::Ready(Ok(0)) => Poll::Ready(Ok(Read::End)),
            Poll::Ready(Ok(read)) => Poll::Ready(Ok(Read::Some(read))),
            Poll::Ready(Err(error)) => Poll::Ready(Err(Failure::Io(error))),
            Poll::Pending => {
                self.rest();
                Poll::Pending
            }
        }
    }

    /// Sees to it that something can be read, towards `most` bytes in all.
    fn make_room(&mut self, most: usize) {
        let len = self.buffer.len();
        if self.buffer.capacity() >= most || self.buffer.try_reclaim(most - len) {
            return;
        }
        if most <= FREE {
            return self.replace(BytesMut::with_capacity(FREE));
        }
        let step = (len * 4).max(FIRST_STEP).min(most);
        if self.buffer.capacity() < len + (step - len) / 4 {
            self.replace(self.budget.lend(most, step));
        }
    }

    /// Moves what is here into another buffer.
    fn replace(&mut self, mut buffer: BytesMut) {
        buffer.extend_from_slice(&self.buffer);
        self.budget.give_back(std::mem::replace(&mut self.buffer, buffer));
    }

    /// Nothing more to read for now: an empty buffer goes back, a large one with little in it too.
    fn rest(&mut self) {
        if self.buffer.is_empty() {
            self.budget.give_back(std::mem::take(&mut self.buffer));
        } else if self.buffer.capacity() > FREE && !self.holds_room() {
            self.replace(BytesMut::with_capacity(FREE));
        }
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        // Before the claim: who waits for the room finds the memory there.
        self.budget.give_back(std::mem::take(&mut self.buffer));
    }
}

/// Why nothing more can be read.
#[derive(Debug)]
pub(super) enum Failure {
    Refused(Refusal),
    Io(io::Error),
}
