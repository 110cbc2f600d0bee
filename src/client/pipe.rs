//! Frames on one socket: requests leave in order without waiting for answers, answers come back to whoever asked;
//! it never dials, and never looks into a frame further than its correlation id.
//!
//! A request that gets no answer in its time ends the connection, because answers come in order.
//! One task owns the socket and drives both directions. Nothing is copied on the way out: a request is a few
//! pieces of bytes that go into one vectored write. Answers are slices of buffers that are used again once
//! nobody holds a slice of them.

use super::ClientError;
use super::error::lost;
use crate::net::{Address, Stream};
use bytes::{BufMut, Bytes, BytesMut};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::IoSlice;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, Sleep, sleep_until};

/// The largest answer taken, bytes: Kafka's own limit of a fetch is 50 MiB, a single larger batch may exceed it.
const MAX_ANSWER: usize = 1 << 30;
/// Answers up to this are read into one small buffer, larger ones into buffers of their own.
const SMALL: usize = 4 << 10;
/// How far a buffer grows ahead of what has arrived.
const GROWTH: usize = 1 << 20;
/// Large buffers kept for later answers.
const SPARES: usize = 3;
/// Connections in a row that a broker may end at the first request before that is taken for its will.
const HANG_UPS: u32 = 3;
/// Pieces given to one vectored write.
const PIECES: usize = 32;

/// What waits for an answer: the bytes after the length prefix, or why there are none.
pub(super) type Answer = oneshot::Receiver<Result<Bytes, ClientError>>;

/// A request on its way to the socket.
pub(super) struct Outgoing {
    /// The frame, length prefix included.
    pub(super) pieces: Vec<Bytes>,
    /// Its correlation id.
    pub(super) correlation: i32,
    /// Whether the broker answers it; otherwise an empty answer is made once it is written.
    pub(super) answered: bool,
    /// When waiting ends, and with it the connection.
    pub(super) timeout: Duration,
    /// What is asked, for the error.
    pub(super) what: &'static str,
}

struct Queued {
    request: Outgoing,
    answer: oneshot::Sender<Result<Bytes, ClientError>>,
}

struct Waiting {
    correlation: i32,
    deadline: Instant,
    timeout: Duration,
    what: &'static str,
    answer: oneshot::Sender<Result<Bytes, ClientError>>,
}

/// The sending end of a connection; its task ends when the last of these is dropped.
#[derive(Debug)]
pub(super) struct Pipe {
    queue: mpsc::UnboundedSender<Queued>,
}

impl Pipe {
    /// Takes over the socket. `hung_up` counts the client's connections in a row that ended at the first request after
    /// the greeting; three are an answer of a kind. Must be called in the runtime that is to drive it.
    pub(super) fn start(stream: Stream, address: &Address, hung_up: Arc<AtomicU32>) -> Self {
        let (queue, requests) = mpsc::unbounded_channel();
        let driver = Driver {
            stream,
            address: address.clone(),
            answered: 0,
            hung_up,
            requests,
            unwritten: VecDeque::new(),
            unflushed: false,
            written_soon: VecDeque::new(),
            waiting: VecDeque::new(),
            reader: Reader::default(),
            timer: Box::pin(sleep_until(Instant::now() + Duration::from_secs(86_400))),
        };
        tokio::spawn(driver.run());
        Self { queue }
    }

    /// Queues a request. The answer fails when the connection ends first.
    pub(super) fn send(&self, request: Outgoing) -> Answer {
        let (answer, receiver) = oneshot::channel();
        // A closed queue drops the sender, and the receiver learns of it.
        let _ = self.queue.send(Queued { request, answer });
        receiver
    }

    /// Whether the connection has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.queue.is_closed()
    }
}

struct Driver {
    stream: Stream,
    address: Address,
    /// Answers that came on this connection, up to 2.
    answered: u8,
    /// Connections of this client in a row that ended at the first request after the greeting.
    hung_up: Arc<AtomicU32>,
    requests: mpsc::UnboundedReceiver<Queued>,
    unwritten: VecDeque<Bytes>,
    /// A TLS session has taken bytes that the socket has not.
    unflushed: bool,
    /// Requests without an answer: how many pieces are left until each is written.
    written_soon: VecDeque<(usize, oneshot::Sender<Result<Bytes, ClientError>>)>,
    waiting: VecDeque<Waiting>,
    reader: Reader,
    timer: Pin<Box<Sleep>>,
}

impl Driver {
    async fn run(mut self) {
        let why = poll_fn(|cx| self.poll(cx)).await;
        self.requests.close();
        for waiting in self.waiting.drain(..) {
            let _ = waiting.answer.send(Err(why.clone()));
        }
        for (_, answer) in self.written_soon.drain(..) {
            let _ = answer.send(Err(why.clone()));
        }
        while let Ok(queued) = self.requests.try_recv() {
            let _ = queued.answer.send(Err(why.clone()));
        }
    }

    fn lost(&self, error: &std::io::Error) -> ClientError {
        lost(&self.address, error)
    }

    fn garbled(&self, reason: String) -> ClientError {
        ClientError::Protocol { address: self.address.to_string(), reason }
    }

    /// Goes on until the connection ends, and says why.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ClientError> {
        loop {
            if let Poll::Ready(closed) = self.take_requests(cx) {
                return Poll::Ready(closed);
            }
            let wrote = match self.write(cx) {
                Ok(wrote) => wrote,
                Err(why) => return Poll::Ready(why),
            };
            let read = match self.read(cx) {
                Ok(read) => read,
                Err(why) => return Poll::Ready(why),
            };
            if !wrote && !read {
                break;
            }
        }
        self.watch(cx)
    }

    fn take_requests(&mut self, cx: &mut Context<'_>) -> Poll<ClientError> {
        loop {
            match self.requests.poll_recv(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None)
                    if self.waiting.is_empty() && self.unwritten.is_empty() && !self.unflushed =>
                {
                    return Poll::Ready(ClientError::Closed);
                }
                // Answers still come; their readers may be waiting.
                Poll::Ready(None) => return Poll::Pending,
                Poll::Ready(Some(Queued { request, answer })) => {
                    self.unwritten.extend(request.pieces.into_iter().filter(|piece| !piece.is_empty()));
                    if !request.answered {
                        self.written_soon.push_back((self.unwritten.len(), answer));
                        continue;
                    }
                    let deadline = Instant::now() + request.timeout;
                    if deadline < self.timer.deadline() {
                        self.timer.as_mut().reset(deadline);
                    }
                    let (correlation, what, timeout) = (request.correlation, request.what, request.timeout);
                    self.waiting.push_back(Waiting { correlation, deadline, timeout, what, answer });
                }
            }
        }
    }

    fn write(&mut self, cx: &mut Context<'_>) -> Result<bool, ClientError> {
        let mut any = false;
        while !self.unwritten.is_empty() {
            let mut slices = [IoSlice::new(&[]); PIECES];
            let mut count = 0;
            for (slice, piece) in slices.iter_mut().zip(&self.unwritten) {
                *slice = IoSlice::new(piece);
                count += 1;
            }
            let pieces = slices.get(..count).unwrap_or_default();
            match Pin::new(&mut self.stream).poll_write_vectored(cx, pieces) {
                Poll::Pending => break,
                Poll::Ready(Err(error)) => return Err(self.lost(&error)),
                Poll::Ready(Ok(written)) => self.advance(written),
            }
            any = true;
        }
        if any || self.unflushed {
            match Pin::new(&mut self.stream).poll_flush(cx) {
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(error)) => return Err(self.lost(&error)),
                Poll::Pending => self.unflushed = true,
            }
        }
        Ok(any)
    }

    /// Drops what was written from the queue.
    fn advance(&mut self, mut written: usize) {
        let before = self.unwritten.len();
        while let Some(first) = self.unwritten.front_mut() {
            if written < first.len() {
                let _ = first.split_to(written);
                break;
            }
            written -= first.len();
            self.unwritten.pop_front();
        }
        let done = before - self.unwritten.len();
        for (left, _) in &mut self.written_soon {
            *left = left.saturating_sub(done);
        }
        while let Some((0, _)) = self.written_soon.front() {
            if let Some((_, answer)) = self.written_soon.pop_front() {
                let _ = answer.send(Ok(Bytes::new()));
            }
        }
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Result<bool, ClientError> {
        let mut any = false;
        loop {
            while let Some(frame) = self.reader.frame().map_err(|reason| self.garbled(reason))? {
                self.answer(frame)?;
            }
            match self.reader.fill(&mut self.stream, cx) {
                Poll::Pending => return Ok(any),
                Poll::Ready(Err(error)) => return Err(self.lost(&error)),
                Poll::Ready(Ok(0)) => return Err(self.closed()),
                Poll::Ready(Ok(_)) => any = true,
            }
        }
    }

    /// The broker has hung up. That it does so at the first request after its greeting, again and again, is what a
    /// listener does that demands authentication; once it may be a broker that stops.
    fn closed(&self) -> ClientError {
        let address = self.address.to_string();
        let unheard = self.answered == 1 && !self.waiting.is_empty() && !self.address.is_unix();
        if unheard && self.hung_up.fetch_add(1, Ordering::Relaxed) + 1 >= HANG_UPS {
            return ClientError::Authentication {
                address,
                reason: "it hangs up at the first request".to_owned(),
                next: "if it demands a password, say who you are: -X security.protocol=SASL_PLAINTEXT or SASL_SSL, sasl.username, sasl.password".to_owned(),
            };
        }
        ClientError::Disconnected { address, reason: "closed by the broker".to_owned() }
    }

    fn answer(&mut self, frame: Bytes) -> Result<(), ClientError> {
        let found = frame.first_chunk().map(|raw| i32::from_be_bytes(*raw));
        let Some(waiting) = self.waiting.pop_front() else {
            return Err(self.garbled("an answer that nothing was asked for".to_owned()));
        };
        if found != Some(waiting.correlation) {
            let why = self.garbled(format!(
                "an answer to request {found:?} where that to {} was due",
                waiting.correlation
            ));
            let _ = waiting.answer.send(Err(why.clone()));
            return Err(why);
        }
        if self.answered < 2 {
            self.answered += 1;
            if self.answered == 2 {
                self.hung_up.store(0, Ordering::Relaxed);
            }
        }
        let _ = waiting.answer.send(Ok(frame));
        Ok(())
    }

    /// Ends the connection when the time of a request is over.
    fn watch(&mut self, cx: &mut Context<'_>) -> Poll<ClientError> {
        while self.timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            if let Some(late) = self.waiting.iter().find(|waiting| waiting.deadline <= now) {
                return Poll::Ready(ClientError::TimedOut { what: late.what, after: late.timeout });
            }
            let next = self.waiting.iter().map(|waiting| waiting.deadline).min();
            self.timer.as_mut().reset(next.unwrap_or(now + Duration::from_secs(86_400)));
        }
        Poll::Pending
    }
}

/// Cuts the stream of bytes into frames.
#[derive(Default)]
struct Reader {
    /// An answer has come, or begun to.
    begun: bool,
    /// Small answers and the beginnings of large ones.
    small: BytesMut,
    /// A large answer as it comes in, and its whole length without the prefix.
    large: Option<(BytesMut, usize)>,
    /// Remainders of large buffers, usable again when nobody holds what was cut from them.
    spares: Vec<BytesMut>,
}

impl Reader {
    /// The next whole frame, without its length prefix, if it has arrived.
    fn frame(&mut self) -> Result<Option<Bytes>, String> {
        if let Some((buffer, len)) = &mut self.large {
            if buffer.len() < *len {
                return Ok(None);
            }
            let frame = buffer.split_to(*len).freeze();
            if let Some((rest, _)) = self.large.take()
                && self.spares.len() < SPARES
            {
                self.spares.push(rest);
            }
            return Ok(Some(frame));
        }
        let Some(prefix) = self.small.first_chunk() else { return Ok(None) };
        if !self.begun && matches!(prefix, [0x15, 0x03, 0..=4, 0]) {
            return Err("it speaks TLS; say so with -X security.protocol=SSL or SASL_SSL".to_owned());
        }
        self.begun = true;
        let len = i32::from_be_bytes(*prefix);
        let Some(len) = usize::try_from(len).ok().filter(|len| (4..=MAX_ANSWER).contains(len)) else {
            return Err(format!("an answer that says it has {len} bytes"));
        };
        if self.small.len() >= 4 + len {
            let _ = self.small.split_to(4);
            return Ok(Some(self.small.split_to(len).freeze()));
        }
        if 4 + len > SMALL {
            let _ = self.small.split_to(4);
            let mut buffer = self.buffer(len);
            buffer.extend_from_slice(&self.small);
            self.small.clear();
            self.large = Some((buffer, len));
        }
        Ok(None)
    }

    /// A buffer for `len` bytes: one of the spares, else a new one that grows with what arrives.
    fn buffer(&mut self, len: usize) -> BytesMut {
        let fit = self.spares.iter_mut().position(|spare| spare.try_reclaim(len));
        match fit {
            Some(at) => self.spares.swap_remove(at),
            None => {
                // All are too small or in use: the oldest makes room.
                if self.spares.len() == SPARES {
                    self.spares.remove(0);
                }
                BytesMut::with_capacity(len.min(GROWTH + SMALL))
            }
        }
    }

    /// Reads once; never beyond the end of a large frame.
    fn fill(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
        match &mut self.large {
            Some((buffer, len)) => {
                let missing = *len - buffer.len();
                if buffer.capacity() == buffer.len() {
                    buffer.reserve(missing.min(buffer.len().max(GROWTH)));
                }
                let mut room = buffer.limit(missing);
                pin!(stream.read_buf(&mut room)).poll(cx)
            }
            None => {
                self.small.reserve(SMALL);
                pin!(stream.read_buf(&mut self.small)).poll(cx)
            }
        }
    }
}
