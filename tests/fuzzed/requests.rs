//! Any bytes as a request's frame: header and body are refused or read, never at the cost of more memory than the limits say.
//!
//! The first byte is an API's key, the second a version, the rest is the body; the same bytes are a whole frame too, split
//! and decoded as the server does it.

use bytes::Bytes;
use klog::wire::frame::{frame_length, split_request};
use klog::wire::limits;

use crate::apis::{self, Kind};
use crate::memory::memory;

thread_local! {
    static KINDS: Vec<Kind> = apis::kinds().into_iter().filter(Kind::is_request).collect();
}

pub(crate) fn run(data: &[u8]) {
    KINDS.with(|kinds| {
        frame(kinds, data);
        let [kind, version, body @ ..] = data else { return };
        let kind = chosen(kinds, *kind);
        let versions = kind.versions();
        let version = versions.start() + i16::from(*version) % (versions.end() - versions.start() + 1);
        read(kind, version, Bytes::copy_from_slice(body), limits::REQUEST_MEMORY_FACTOR);
    });
}

/// The API of this key; a key that is none is as good as another.
pub(crate) fn chosen(kinds: &[Kind], key: u8) -> &Kind {
    let found = kinds.iter().find(|kind| kind.key.code() == i16::from(key));
    found.unwrap_or(&kinds[usize::from(key) % kinds.len()])
}

/// The bytes as they come from a socket, without and with their length prefix.
fn frame(kinds: &[Kind], data: &[u8]) {
    if let Some(prefix) = data.first_chunk() {
        let length = frame_length(*prefix, limits::REQUEST_MAX_BYTES);
        assert!(length.is_ok_and(|length| length <= limits::REQUEST_MAX_BYTES) || length.is_err());
    }
    let frame = Bytes::copy_from_slice(data);
    let (took, split) = memory(|| split_request(frame));
    assert!(took <= data.len() + 1024, "{took} bytes for a header of {}", data.len());
    let Ok((header, body)) = split else { return };
    let Some(key) = header.key().filter(|key| key.supports(header.api_version)) else { return };
    let Some(kind) = kinds.iter().find(|kind| kind.key == key) else { return };
    read(kind, header.api_version, body, limits::REQUEST_MEMORY_FACTOR);
}

/// Decodes a body within its memory, and what was decoded comes back the same when it is encoded and decoded again.
pub(crate) fn read(kind: &Kind, version: i16, body: Bytes, factor: usize) {
    let case = || format!("{} {} {version}", kind.key, kind.word);
    let len = body.len();
    let (took, decoded) = memory(|| (kind.decode)(body.clone(), version));
    let allowed = (factor + 1) * len + limits::REQUEST_MEMORY_BASE + 1024;
    assert!(took <= allowed, "{}: {took} bytes for {len}", case());
    let Ok(left) = decoded else { return };
    assert!(left <= len, "{}", case());
    let (_, once) = (kind.again)(body, version).expect("it was decoded before");
    let once = once.unwrap_or_else(|error| panic!("{} is read but can not be written: {error}", case()));
    let (left, twice) = (kind.again)(Bytes::from(once.clone()), version)
        .unwrap_or_else(|error| panic!("{} is written but can not be read: {error}", case()));
    assert_eq!((left, twice.as_ref()), (0, Ok(&once)), "{}", case());
}
