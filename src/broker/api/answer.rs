//! What a request leads to, as values that a server sends; nothing here writes to a socket.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

use crate::storage::DiskFile;
use crate::wire::frame::{RequestHeader, decode_body, response_bytes};
use crate::wire::{Message, Request};

/// What a request led to.
pub enum Outcome {
    /// The answer.
    Reply(Reply),
    /// The answer comes when something is durable; meanwhile the connection's next request may be read and begun.
    Later(Pin<Box<dyn Future<Output = Reply> + Send>>),
    /// No answer at all (Produce with acks=0).
    None,
    /// The connection is to be closed; the text says why.
    Close(String),
    /// The answer, after which the connection is closed; the text says why. A failed authentication ends so, once
    /// its handler has waited for `connection.failed.authentication.delay.ms`.
    Last(Reply, String),
}

/// An answer, response header included, without the length prefix (it is [`Reply::len`]).
#[derive(Debug, Default)]
pub struct Reply {
    /// What is sent, in order.
    pub parts: Vec<Part>,
}

impl Reply {
    /// The answer's size in bytes.
    pub fn len(&self) -> usize {
        self.parts.iter().map(Part::len).sum()
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A piece of an answer.
#[derive(Debug, Clone)]
pub enum Part {
    /// Bytes in memory.
    Bytes(Bytes),
    /// A range of a segment's file, which holds at least that much.
    File {
        /// The file.
        file: Arc<dyn DiskFile>,
        /// Where the range starts, in bytes.
        position: u64,
        /// How many bytes.
        len: usize,
    },
}

impl Part {
    /// How many bytes the part is.
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::File { len, .. } => *len,
        }
    }

    /// Whether the part is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Decodes a request, has it handled, encodes the answer.
pub(super) async fn answer<R: Request, F: Future<Output = R::Response>>(
    header: &RequestHeader,
    body: Bytes,
    handle: impl FnOnce(R) -> F,
) -> Outcome {
    match decode::<R>(header, body) {
        Ok(request) => reply(header, &handle(request).await),
        Err(close) => close,
    }
}

/// Decodes a request's body; one that can not be read closes the connection.
pub(super) fn decode<R: Request>(header: &RequestHeader, body: Bytes) -> Result<R, Outcome> {
    decode_body(body, header.api_version)
        .map_err(|error| Outcome::Close(format!("{} request: {error}", R::KEY.name())))
}

/// Encodes an answer.
pub(super) fn reply<M: Message>(header: &RequestHeader, response: &M) -> Outcome {
    match encode(header, response) {
        Some(bytes) => Outcome::Reply(Reply { parts: vec![Part::Bytes(bytes)] }),
        None => Outcome::Close(format!("the answer to {} can not be said", M::KEY.name())),
    }
}

/// An answer's bytes; what can not be said (a field too long for its version) is logged.
pub(super) fn encode<M: Message>(header: &RequestHeader, response: &M) -> Option<Bytes> {
    match response_bytes(response, header.api_version, header.correlation_id) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            tracing::error!(api = M::KEY.name(), version = header.api_version, %error, "an answer can not be encoded");
            None
        }
    }
}
