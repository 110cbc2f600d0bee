//! What the protocol's bytes may cost, in one table; the daemon's own limits are settings of the broker.

/// Bytes of the length before every frame.
pub const LENGTH_PREFIX: usize = 4;
/// The least bytes a request's frame can have: key, version and correlation id.
pub const MIN_REQUEST: usize = 8;
/// Default of `socket.request.max.bytes`: the largest request accepted, without its length prefix.
pub const REQUEST_MAX_BYTES: usize = 100 * 1024 * 1024;
/// The largest response the client accepts, without its length prefix: what a length prefix can say.
pub const RESPONSE_MAX_BYTES: usize = i32::MAX as usize;
/// Memory that arrays of a request may take, for each byte of its frame ...
pub const REQUEST_MEMORY_FACTOR: usize = crate::codec::ALLOWANCE_FACTOR;
/// ... and besides, so that requests about ten thousand topics with short names are not refused.
pub const REQUEST_MEMORY_BASE: usize = crate::codec::ALLOWANCE_BASE;
/// Memory that arrays of a response may take, for each byte of its frame. More than for requests, because
/// answers have elements of few bytes that take many in memory, and the client chose whom to ask.
pub const RESPONSE_MEMORY_FACTOR: usize = 64;
