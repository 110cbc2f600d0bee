//! Records of one payload, borrowed from it; every length is checked against what remains, nothing is allocated.

use super::batch::{BatchHeader, TimestampType};
use super::error::RecordError;
use super::varint::{self, read_i32, read_i64};

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

impl<'a> Headers<'a> {
    /// The `count` headers in the record format's own bytes; `None` where they are malformed.
    pub fn new(bytes: &'a [u8], count: usize) -> Option<Headers<'a>> {
        walk_headers(bytes, i32::try_from(count).ok()?).ok()?;
        Some(Headers { bytes, left: count })
    }

    /// Appends headers to `out` in the record format's bytes, without their count.
    pub fn encode(headers: &[Header<'_>], out: &mut Vec<u8>) {
        for header in headers {
            for bytes in [Some(header.key), header.value] {
                let (mut raw, mut at) = ([0; 16], 0);
                varint::put(&mut raw, &mut at, bytes.map_or(-1, |bytes| bytes.len() as i64));
                out.extend_from_slice(raw.get(..at).unwrap_or_default());
                out.extend_from_slice(bytes.unwrap_or_default());
            }
        }
    }

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
        self.left = self.left.checked_sub(1)?;
        let mut at = 0;
        let header = read_header(self.bytes, &mut at).ok()?;
        self.bytes = self.bytes.get(at..).unwrap_or_default();
        Some(header)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

/// The records of one uncompressed (or inflated) payload, in order. Ends behind the header's count or the first
/// error; bytes behind the last record are seen by [`Records::remaining`] only.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    rest: &'a [u8],
    index: i32,
    count: i32,
    base_offset: i64,
    base_timestamp: i64,
    /// Set where the batch's timestamps are the broker's.
    append_time: Option<i64>,
}

impl<'a> Records<'a> {
    /// Records of `payload`, which is uncompressed, under the given header.
    pub fn new(header: &BatchHeader, payload: &'a [u8]) -> Records<'a> {
        Records {
            rest: payload,
            index: 0,
            count: header.count,
            base_offset: header.base_offset,
            base_timestamp: header.base_timestamp,
            append_time: (header.timestamp_type() == TimestampType::LogAppend)
                .then_some(header.max_timestamp),
        }
    }

    /// Goes on in `payload` where another iterator over the same bytes stood.
    pub fn resume(header: &BatchHeader, payload: &'a [u8], remaining: usize, index: i32) -> Records<'a> {
        let at = payload.len().saturating_sub(remaining);
        Records { index, ..Records::new(header, payload.get(at..).unwrap_or_default()) }
    }

    /// Bytes not yet read; with [`Records::index`] this is a position one can come back to by [`Records::resume`].
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Records handed out so far.
    pub fn index(&self) -> i32 {
        self.index
    }

    #[inline(always)]
    fn read(&mut self) -> Result<Record<'a>, &'static str> {
        let mut at = 0;
        let length = read_i32(self.rest, &mut at).ok_or("no whole length")?;
        let length = usize::try_from(length).map_err(|_| "negative length")?;
        let end = at + length;
        let body = self.rest.get(at..end).ok_or("longer than the batch")?;
        // One byte of attributes, unused so far.
        let mut at = 1;
        let timestamp_delta = read_i64(body, &mut at).ok_or("no whole timestamp delta")?;
        let offset_delta = read_i32(body, &mut at).ok_or("no whole offset delta")?;
        let key = read_bytes(body, &mut at).map_err(|()| "key longer than the record")?;
        let value = read_bytes(body, &mut at).map_err(|()| "value longer than the record")?;
        let left = read_i32(body, &mut at).ok_or("no whole header count")?;
        let headers = match left {
            0 => Headers::default(),
            left => {
                let bytes = body.get(at..).unwrap_or_default();
                at += walk_headers(bytes, left)?;
                Headers { bytes, left: left as usize }
            }
        };
        if at != body.len() {
            return Err("sizes inside do not add up to its length");
        }
        self.rest = self.rest.get(end..).unwrap_or_default();
        Ok(Record {
            offset: self.base_offset.wrapping_add(i64::from(offset_delta)),
            timestamp: match self.append_time {
                Some(time) => time,
                None => self.base_timestamp.wrapping_add(timestamp_delta),
            },
            key,
            value,
            headers,
        })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, RecordError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.index >= self.count {
            return None;
        }
        match self.read() {
            Ok(record) => {
                self.index += 1;
                Some(Ok(record))
            }
            Err(what) => {
                let index = std::mem::replace(&mut self.index, i32::MAX);
                Some(Err(RecordError::Malformed { index, what }))
            }
        }
    }
}

/// Length and bytes; -1 is null.
#[inline(always)]
fn read_bytes<'a>(body: &'a [u8], at: &mut usize) -> Result<Option<&'a [u8]>, ()> {
    match read_i32(body, at).ok_or(())? {
        -1 => Ok(None),
        len => {
            let end = *at + usize::try_from(len).map_err(|_| ())?;
            let bytes = body.get(*at..end).ok_or(())?;
            *at = end;
            Ok(Some(bytes))
        }
    }
}

fn read_header<'a>(bytes: &'a [u8], at: &mut usize) -> Result<Header<'a>, ()> {
    let key = read_bytes(bytes, at)?.ok_or(())?;
    let value = read_bytes(bytes, at)?;
    Ok(Header { key, value })
}

/// Length in bytes of `count` well-formed headers at the start of `bytes`.
fn walk_headers(bytes: &[u8], count: i32) -> Result<usize, &'static str> {
    let count = usize::try_from(count).map_err(|_| "negative header count")?;
    if count > bytes.len() / 2 {
        return Err("more headers than bytes for them");
    }
    let mut at = 0;
    for _ in 0..count {
        read_header(bytes, &mut at).map_err(|()| "malformed header")?;
    }
    Ok(at)
}
