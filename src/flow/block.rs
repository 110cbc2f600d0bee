//! What a worker made of some records of one partition, in one piece of memory; a bad record leaves nothing in it.

use std::ops::Range;

use crate::client::{Header, Record};

/// A block is handed over when it holds so many bytes ...
const FULL_BYTES: usize = 256 << 10;
/// ... or so many records were read for it.
const FULL_RECORDS: u64 = 8192;

/// Bytes of a block.
type Span = Range<usize>;

/// Where a record of a block goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// One of the pipeline's targets.
    Sink(usize),
    /// The topic of bad records.
    DeadLetter,
}

/// A record to be written.
#[derive(Debug)]
pub(super) struct Out {
    pub(super) target: Target,
    pub(super) timestamp: i64,
    key: Option<Span>,
    value: Option<Span>,
    headers: Range<usize>,
}

/// What came of some records.
#[derive(Debug, Default)]
pub(super) struct Block {
    bytes: Vec<u8>,
    headers: Vec<(Span, Option<Span>)>,
    pub(super) outs: Vec<Out>,
    /// Records read.
    pub(super) read: u64,
    /// Bytes of their keys and values.
    pub(super) read_bytes: u64,
    /// Bad ones among them.
    pub(super) bad: u64,
}

/// A place in a block to go back to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    bytes: usize,
    headers: usize,
    outs: usize,
}

impl Block {
    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= FULL_BYTES || self.read >= FULL_RECORDS
    }

    pub(super) fn mark(&self) -> Mark {
        Mark { bytes: self.bytes.len(), headers: self.headers.len(), outs: self.outs.len() }
    }

    /// Drops everything since the mark.
    pub(super) fn back_to(&mut self, mark: Mark) {
        self.bytes.truncate(mark.bytes);
        self.headers.truncate(mark.headers);
        self.outs.truncate(mark.outs);
    }

    /// Bytes since the mark.
    pub(super) fn since(&self, mark: Mark) -> usize {
        self.bytes.len() - mark.bytes
    }

    fn add(&mut self, bytes: &[u8]) -> Span {
        let from = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        from..self.bytes.len()
    }

    /// Adds headers, to be shared by the records that follow.
    pub(super) fn add_headers<'a>(&mut self, headers: impl Iterator<Item = Header<'a>>) -> Range<usize> {
        let from = self.headers.len();
        for header in headers {
            let (key, value) = (self.add(header.key), header.value.map(|value| self.add(value)));
            self.headers.push((key, value));
        }
        from..self.headers.len()
    }

    /// Adds a record to be written.
    pub(super) fn add_out(
        &mut self,
        target: Target,
        timestamp: i64,
        (key, value): (Option<&[u8]>, Option<&[u8]>),
        headers: Range<usize>,
    ) {
        let key = key.map(|key| self.add(key));
        let value = value.map(|value| self.add(value));
        self.outs.push(Out { target, timestamp, key, value, headers });
    }

    fn get(&self, span: &Span) -> &[u8] {
        self.bytes.get(span.clone()).unwrap_or_default()
    }

    /// Key and value of a record of this block.
    pub(super) fn content(&self, out: &Out) -> (Option<&[u8]>, Option<&[u8]>) {
        (out.key.as_ref().map(|span| self.get(span)), out.value.as_ref().map(|span| self.get(span)))
    }

    /// The headers of a record of this block.
    pub(super) fn headers<'b>(&'b self, out: &Out, into: &mut Vec<Header<'b>>) {
        into.clear();
        let headers = self.headers.get(out.headers.clone()).unwrap_or_default();
        into.extend(headers.iter().map(|(key, value)| Header {
            key: self.get(key),
            value: value.as_ref().map(|value| self.get(value)),
        }));
    }

    /// Adds a bad record as it came, with headers that say why: where it lay (topic, partition, offset), the step and
    /// the reason.
    pub(super) fn add_dead_letter(
        &mut self,
        record: &Record<'_>,
        (topic, partition): (&str, i32),
        (step, reason): (&str, &str),
    ) {
        let (partition, offset) = (partition.to_string(), record.offset.to_string());
        let why = [
            ("klog.error", reason),
            ("klog.step", step),
            ("klog.topic", topic),
            ("klog.partition", partition.as_str()),
            ("klog.offset", offset.as_str()),
        ];
        let why =
            why.iter().map(|(key, value)| Header { key: key.as_bytes(), value: Some(value.as_bytes()) });
        let headers = self.add_headers(record.headers.chain(why));
        self.add_out(Target::DeadLetter, record.timestamp, (record.key, record.value), headers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record<'a>(key: Option<&'a [u8]>, value: Option<&'a [u8]>) -> Record<'a> {
        Record { offset: 7, timestamp: 99, key, value, headers: Default::default() }
    }

    #[test]
    fn a_bad_record_leaves_nothing_but_its_dead_letter() {
        let mut block = Block::default();
        let headers = block.add_headers([Header { key: b"h", value: None }].into_iter());
        block.add_out(Target::Sink(1), 5, (Some(b"k"), Some(b"v")), headers);
        let mark = block.mark();
        let headers = block.add_headers([Header { key: b"x", value: Some(b"y") }].into_iter());
        block.add_out(Target::Sink(0), 6, (None, Some(b"half")), headers);
        block.back_to(mark);
        assert_eq!(block.since(mark), 0);
        block.add_dead_letter(&record(None, Some(b"bad")), ("t", 3), ("1 jq", "no JSON"));
        assert_eq!(block.outs.len(), 2);
        let mut headers = Vec::new();
        block.headers(&block.outs[0], &mut headers);
        assert_eq!(headers, [Header { key: b"h", value: None }]);
        assert_eq!(block.content(&block.outs[0]), (Some(&b"k"[..]), Some(&b"v"[..])));
        let dead = &block.outs[1];
        assert_eq!((dead.target, dead.timestamp), (Target::DeadLetter, 99));
        assert_eq!(block.content(dead), (None, Some(&b"bad"[..])));
        let mut headers = Vec::new();
        block.headers(dead, &mut headers);
        let shown: Vec<String> = headers
            .iter()
            .map(|one| {
                format!(
                    "{}={}",
                    String::from_utf8_lossy(one.key),
                    String::from_utf8_lossy(one.value.unwrap())
                )
            })
            .collect();
        assert_eq!(
            shown,
            ["klog.error=no JSON", "klog.step=1 jq", "klog.topic=t", "klog.partition=3", "klog.offset=7"]
        );
    }
}
