//! What a worker made of some records of one partition, in one piece of memory; knows nothing of what is done with it.

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

impl Block {
    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= FULL_BYTES || self.read >= FULL_RECORDS
    }

    /// Bytes of all its records.
    pub(super) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Drops everything.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.headers.clear();
        self.outs.clear();
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

    /// Takes over all of another block, which is empty then and keeps its memory.
    pub(super) fn append(&mut self, other: &mut Block) {
        let (bytes, headers) = (self.bytes.len(), self.headers.len());
        let moved = |span: Span| span.start + bytes..span.end + bytes;
        self.bytes.append(&mut other.bytes);
        self.headers.extend(other.headers.drain(..).map(|(key, value)| (moved(key), value.map(moved))));
        self.outs.extend(other.outs.drain(..).map(|out| Out {
            key: out.key.map(moved),
            value: out.value.map(moved),
            headers: out.headers.start + headers..out.headers.end + headers,
            ..out
        }));
        for (count, more) in [
            (&mut self.read, &mut other.read),
            (&mut self.read_bytes, &mut other.read_bytes),
            (&mut self.bad, &mut other.bad),
        ] {
            *count += std::mem::take(more);
        }
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

    fn shown(block: &Block, out: &Out) -> String {
        let text = |bytes: Option<&[u8]>| {
            bytes.map_or("-".into(), |bytes| String::from_utf8_lossy(bytes).into_owned())
        };
        let (key, value) = block.content(out);
        let mut headers = Vec::new();
        block.headers(out, &mut headers);
        let headers: Vec<String> = headers
            .iter()
            .map(|one| format!("{}={}", String::from_utf8_lossy(one.key), text(one.value)))
            .collect();
        format!("{} {} {} {}", out.timestamp, text(key), text(value), headers.join(" "))
    }

    #[test]
    fn blocks_are_put_together_and_dead_letters_say_why() {
        let mut block = Block::default();
        let headers = block.add_headers([Header { key: b"h", value: None }].into_iter());
        block.add_out(Target::Sink(1), 5, (Some(b"k"), Some(b"v")), headers);
        let mut next = Block { read: 2, bad: 1, ..Block::default() };
        let headers = next.add_headers([Header { key: b"x", value: Some(b"y") }].into_iter());
        next.add_out(Target::Sink(0), 6, (None, Some(b"half")), headers);
        next.clear();
        next.add_dead_letter(&record(None, Some(b"bad")), ("t", 3), ("1 jq", "no JSON"));
        next.add_out(Target::Sink(2), 7, (None, None), 0..0);
        block.append(&mut next);
        assert_eq!((next.size(), next.outs.len(), next.read), (0, 0, 0));
        assert_eq!((block.read, block.bad), (2, 1));
        let all: Vec<String> = block.outs.iter().map(|out| shown(&block, out)).collect();
        assert_eq!(
            all,
            [
                "5 k v h=-",
                "99 - bad klog.error=no JSON klog.step=1 jq klog.topic=t klog.partition=3 klog.offset=7",
                "7 - - "
            ]
        );
        assert_eq!(block.outs[1].target, Target::DeadLetter);
    }
}
