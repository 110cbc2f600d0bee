//! Takes whole records out of the input buffer and pushes them; the loop over lines is the hot path.

use std::rc::Rc;

use memchr::memmem::{self, Finder};

use super::Partitioner;
use super::plan::Shape;
use super::pump::Pump;
use crate::cli::envelope;
use crate::cli::exit::Failure;
use crate::cli::format::{Input, Step};
use crate::cli::output;
use crate::client::producer::{Pushed, Topic};
use crate::client::{ClientError, Header};

/// Why taking records from the buffer stopped.
pub(super) enum Taken {
    /// So many bytes; the rest is no whole record.
    All(usize),
    /// So many bytes; the producer wants to be waited for.
    Full(usize),
    /// So many bytes; the next record goes to a topic not met before.
    NewTopic(usize, String),
}

/// What every record of the command line has.
#[derive(Clone, Copy)]
struct Like<'a> {
    key: Option<&'a [u8]>,
    headers: &'a [Header<'a>],
    /// In ms.
    now: i64,
}

/// What became of a record read by a format or from JSON.
enum Structured {
    Next,
    Full,
    /// Nothing yet: its topic is to be met first.
    NewTopic(String),
}

/// A record read by a format or from JSON, or why it was not; and the bytes it took.
type Found<'b> = (Result<Input<'b>, String>, usize);

impl Pump<'_> {
    /// Takes whole records from the front of `data`, whose first `searched` bytes hold no delimiter, until they end
    /// or the producer wants to be waited for.
    pub(super) fn take(
        &mut self,
        data: &[u8],
        searched: usize,
        at_end: bool,
        now: i64,
    ) -> Result<Taken, Failure> {
        let fixed = Rc::clone(&self.plan.fixed);
        let headers: Vec<_> =
            fixed.headers.iter().map(|(key, value)| Header { key, value: value.as_deref() }).collect();
        let like = Like { key: fixed.key.as_deref(), headers: &headers, now };
        let shape = Rc::clone(&self.plan.shape);
        match &*shape {
            Shape::Lines { delimiter, split } => {
                let lines = Lines { data, at: 0, from: searched, at_end, delimiter: delimiter.len() };
                let split = split.as_deref();
                match delimiter.as_slice() {
                    &[byte] => self.lines(lines, split, like, |from| memchr::memchr(byte, from)),
                    several => {
                        let finder = Finder::new(several);
                        self.lines(lines, split, like, |from| finder.find(from))
                    }
                }
            }
            Shape::Whole { split } if at_end => {
                self.number += 1;
                self.line(data, split.as_deref(), like).map(|_| Taken::All(data.len()))
            }
            Shape::Whole { .. } | Shape::Files(_) => Ok(Taken::All(0)),
            Shape::Format { format, delimiter } => {
                self.records(data, like, |rest| match format.read(rest, at_end) {
                    Step::More => None,
                    Step::Record(record, len) => Some((Ok(record), len)),
                    Step::Bad(why) => {
                        let end = memmem::find(rest, delimiter);
                        Some((Err(why), end.map_or(rest.len(), |end| end + delimiter.len())))
                    }
                })
            }
            Shape::Envelope(values) => self.records(data, like, |rest| {
                let (line, len) = match memchr::memchr(b'\n', rest) {
                    Some(end) => (rest.get(..end)?, end + 1),
                    None if at_end => (rest, rest.len()),
                    None => return None,
                };
                Some((envelope::read(line, *values), len))
            }),
        }
    }

    /// A file, or all of stdin, as one record.
    pub(super) fn whole(&mut self, bytes: &[u8], now: i64) -> Result<Pushed, Failure> {
        let fixed = Rc::clone(&self.plan.fixed);
        let headers: Vec<_> =
            fixed.headers.iter().map(|(key, value)| Header { key, value: value.as_deref() }).collect();
        self.line(bytes, None, Like { key: fixed.key.as_deref(), headers: &headers, now })
    }

    /// The hot path: lines straight from the buffer into the batch.
    #[inline]
    fn lines(
        &mut self,
        mut lines: Lines<'_>,
        split: Option<&[u8]>,
        like: Like<'_>,
        find: impl Fn(&[u8]) -> Option<usize>,
    ) -> Result<Taken, Failure> {
        while let Some(line) = lines.next(&find) {
            self.number += 1;
            if self.line(line, split, like)? == Pushed::Full {
                return Ok(Taken::Full(lines.at));
            }
        }
        Ok(Taken::All(lines.at))
    }

    #[inline]
    fn line(&mut self, line: &[u8], split: Option<&[u8]>, like: Like<'_>) -> Result<Pushed, Failure> {
        let (key, value) = match split.map(|split| (split, memmem::find(line, split))) {
            Some((split, Some(at))) => (line.get(..at), line.get(at + split.len()..).unwrap_or_default()),
            _ => (like.key, line),
        };
        let value = if self.plan.tombstone && value.is_empty() { None } else { Some(value) };
        self.push(None, None, like.now, key, value, like.headers)
    }

    /// Records that `read` finds at the front of what is left; `None` is "no whole one".
    fn records<'b>(
        &mut self,
        data: &'b [u8],
        like: Like<'_>,
        read: impl Fn(&'b [u8]) -> Option<Found<'b>>,
    ) -> Result<Taken, Failure> {
        let mut at = 0;
        while at < data.len() {
            let Some((record, len)) = read(data.get(at..).unwrap_or_default()) else { break };
            match self.structured(record, like)? {
                Structured::Next => at += len,
                Structured::Full => return Ok(Taken::Full(at + len)),
                Structured::NewTopic(name) => return Ok(Taken::NewTopic(at, name)),
            }
        }
        Ok(Taken::All(at))
    }

    fn structured(
        &mut self,
        record: Result<Input<'_>, String>,
        like: Like<'_>,
    ) -> Result<Structured, Failure> {
        let record = match record {
            Ok(record) => record,
            Err(why) => {
                self.number += 1;
                return self.bad(&why).map(|()| Structured::Next);
            }
        };
        let mut topic = self.topic;
        if let (None, Some(name)) = (topic, &record.topic) {
            topic = self.topics.get(name).copied();
            if topic.is_none() {
                return Ok(Structured::NewTopic(name.clone()));
            }
        }
        self.number += 1;
        if let (Some(partition), Some(topic), None) = (record.partition, topic, self.plan.partition) {
            let count = self.producer.partitions(topic);
            // It may have been written down where the topic had more of them.
            if !(0..count).contains(&partition) {
                let why = format!("there is no partition {partition}; the topic has {count}");
                return self.bad(&why).map(|()| Structured::Next);
            }
        }
        let mut headers: Vec<Header<'_>> =
            record.headers.iter().map(|(key, value)| Header { key, value: value.as_deref() }).collect();
        headers.extend_from_slice(like.headers);
        let value = record.value.as_deref();
        let value = value.filter(|value| !(self.plan.tombstone && value.is_empty()));
        let timestamp = self.plan.timestamp.or(record.timestamp).unwrap_or(like.now);
        let partition = self.plan.partition.or(record.partition);
        let pushed = self.push(topic, partition, timestamp, record.key.as_deref(), value, &headers)?;
        Ok(if pushed == Pushed::Full { Structured::Full } else { Structured::Next })
    }

    #[inline]
    fn push(
        &mut self,
        topic: Option<Topic>,
        partition: Option<i32>,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header<'_>],
    ) -> Result<Pushed, Failure> {
        let Some(topic) = topic.or(self.topic) else {
            return Err(Failure::usage(
                format!("record {} names no topic, and neither does the command line", self.number),
                "write it as: klog produce TOPIC -J",
            ));
        };
        let partition = match partition.or(self.plan.partition) {
            Some(partition) => Some(partition),
            None => self.choose(topic, key),
        };
        let pushed = self.producer.push(topic, partition, timestamp, key, value, headers);
        // A transaction that is full is committed before the next record.
        match pushed {
            Ok(_) if self.producer.pushed() >= self.due.records => Ok(Pushed::Full),
            Ok(pushed) => Ok(pushed),
            Err(ClientError::RecordTooLarge { size, .. }) => {
                Err(self.too_large(value.map_or(size, <[u8]>::len) as u64, "", self.producer.limit(topic)))
            }
            Err(error) => Err(self.explain(&error)),
        }
    }

    /// The partition by another rule than the client's own.
    #[inline]
    fn choose(&mut self, topic: Topic, key: Option<&[u8]>) -> Option<i32> {
        if self.plan.partitioner == Partitioner::Murmur2 {
            return None;
        }
        let count = u32::try_from(self.producer.partitions(topic)).ok().filter(|&count| count > 0)?;
        let chosen = match self.plan.partitioner {
            Partitioner::Murmur2 => return None,
            Partitioner::Crc32 => crc32(key.filter(|key| !key.is_empty())?) % count,
            Partitioner::Random => fastrand::u32(0..count),
            Partitioner::RoundRobin => {
                self.turn += 1;
                ((self.turn - 1) % u64::from(count)) as u32
            }
        };
        i32::try_from(chosen).ok()
    }

    /// A record that can't be parsed: stop or leave it out.
    fn bad(&mut self, why: &str) -> Result<(), Failure> {
        if self.plan.skip_bad {
            self.skipped += 1;
            let text = format!("record {} skipped: {why}", self.number);
            output::notice(self.context, &text);
            return Ok(());
        }
        Err(Failure::failed(
            format!("record {} of the input: {why}", self.number),
            "mend it, or leave such records out with --on-error skip",
        ))
    }

    /// A record over the topic's limit, with its number and size.
    pub(super) fn too_large(&self, size: u64, suffix: &str, limit: usize) -> Failure {
        let thing = match *self.plan.shape {
            Shape::Whole { .. } => "stdin".to_owned(),
            Shape::Lines { .. } => format!("line {}", self.number),
            _ => format!("record {}", self.number),
        };
        let suffix = if suffix.is_empty() { String::new() } else { format!(" {suffix}") };
        Failure::failed(
            format!("{thing} has {size} bytes{suffix}, the topic takes batches of at most {limit}"),
            "a topic with a larger max.message.bytes takes it: klog topic create NAME -c max.message.bytes=16777216",
        )
    }
}

/// Where the walk over lines stands.
struct Lines<'b> {
    data: &'b [u8],
    /// Where the next line begins.
    at: usize,
    /// Where the search for its end begins.
    from: usize,
    at_end: bool,
    /// Bytes of the delimiter.
    delimiter: usize,
}

impl<'b> Lines<'b> {
    #[inline]
    fn next(&mut self, find: impl Fn(&[u8]) -> Option<usize>) -> Option<&'b [u8]> {
        let (end, next) = match find(self.data.get(self.from..)?) {
            Some(found) => (self.from + found, self.from + found + self.delimiter),
            None if self.at_end && self.at < self.data.len() => (self.data.len(), self.data.len()),
            None => return None,
        };
        let line = self.data.get(self.at..end)?;
        (self.at, self.from) = (next, next);
        Some(line)
    }
}

/// CRC-32 (IEEE) as librdkafka's partitioner has it; keys are short, so bit by bit will do.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(data: &[u8], delimiter: &[u8], at_end: bool, searched: usize) -> (Vec<Vec<u8>>, usize) {
        let mut lines = Lines { data, at: 0, from: searched, at_end, delimiter: delimiter.len() };
        let mut found = Vec::new();
        while let Some(line) = lines.next(|from| memmem::find(from, delimiter)) {
            found.push(line.to_vec());
        }
        (found, lines.at)
    }

    #[test]
    fn lines_by_any_delimiter() {
        let lines = |lines: &[&str]| lines.iter().map(|line| line.as_bytes().to_vec()).collect::<Vec<_>>();
        assert_eq!(split(b"a\n\nb\r\nc", b"\n", false, 0), (lines(&["a", "", "b\r"]), 6));
        assert_eq!(split(b"a\n\nb\r\nc", b"\n", true, 0), (lines(&["a", "", "b\r", "c"]), 7));
        assert_eq!(split(b"a\n", b"\n", true, 0), (lines(&["a"]), 2));
        assert_eq!(split(b"", b"\n", true, 0), (lines(&[]), 0));
        assert_eq!(split(b"a--b-c--d", b"--", false, 0), (lines(&["a", "b-c"]), 8));
        assert_eq!(split(b"a\0\0", b"\0", true, 0), (lines(&["a", ""]), 3));
        assert_eq!(split(b"long\nx", b"\n", false, 4), (lines(&["long"]), 5));
    }

    #[test]
    fn the_check_value_of_crc_32() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }
}
