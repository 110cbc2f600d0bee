//! Records of one payload, borrowed from it; every length is checked against what remains, nothing is allocated.

use super::batch::BatchHeader;
use super::error::RecordError;

/// One record; slices point into the payload.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Its offset in the partition.
    pub offset: i64,
    /// In ms, -1 for none; the batch's largest where the topic uses log-append time.
    pub timestamp: i64,
    /// `None` is null, which differs from empty.
    pub key: Option<&'a [u8]>,
    /// `None` is null (a tombstone), which differs from empty.
    pub value: Option<&'a [u8]>,
    /// In order, duplicates kept.
    pub headers: Headers<'a>,
}

/// One header of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// Its name, UTF-8 by the format, not checked.
    pub key: &'a [u8],
    /// `None` is null.
    pub value: Option<&'a [u8]>,
}

/// A record's headers as an iterator; made only after they were walked once, so it can not fail.
#[derive(Debug, Clone, Copy, Default)]
pub struct Headers<'a> {
    bytes: &'a [u8],
    left: usize,
}

impl Headers<'_> {
    /// How many are left.
    pub fn len(&self) -> usize {
        self.left
    }

    /// Whether none is left.
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        unimplemented!()
    }
}

/// The records of one uncompressed (or inflated) payload, in order; ends after the header's count or the
/// first error, and says so where bytes remain behind the last record.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    header: BatchHeader,
    rest: &'a [u8],
    index: i32,
}

impl<'a> Records<'a> {
    /// Records of `payload`, which is uncompressed, under the given header.
    pub fn new(header: &BatchHeader, payload: &'a [u8]) -> Records<'a> {
        Records { header: *header, rest: payload, index: 0 }
    }

    /// Bytes not yet read; with [`Records::index`] this is a position one can come back to by [`Records::resume`].
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Records handed out so far.
    pub fn index(&self) -> i32 {
        self.index
    }

    /// Goes on in `payload` where another iterator over the same bytes stood.
    pub fn resume(header: &BatchHeader, payload: &'a [u8], remaining: usize, index: i32) -> Records<'a> {
        let at = payload.len().saturating_sub(remaining);
        Records { header: *header, rest: payload.get(at..).unwrap_or_default(), index }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        unimplemented!()
    }
}
