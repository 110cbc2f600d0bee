//! Kafka's small text files: checkpoints of epochs and offsets, partition metadata, properties.

use super::{Finding, Row, Sink, note};
use crate::codec::Value;

/// A checkpoint: version 0, the number of entries, an entry a line.
pub(super) fn table(text: &[u8], entry: fn(&str) -> Option<Row>, sink: Sink<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut announced = None;
    let mut seen = 0;
    for (number, (at, line)) in lines(text).enumerate() {
        match (number, &line) {
            (0, Ok("0")) => {}
            (0, _) => return vec![Finding::new(at, "it is not in version 0")],
            (1, Ok(count)) if count.parse::<u64>().is_ok() => announced = count.parse::<u64>().ok(),
            (1, _) => findings.push(Finding::new(at, "its second line is not a number of entries")),
            _ => match line.ok().and_then(entry) {
                Some(row) => {
                    seen += 1;
                    if !sink(row) {
                        return findings;
                    }
                }
                None => note(&mut findings, at, || format!("line {} is no entry", number + 1)),
            },
        }
    }
    match announced {
        Some(announced) if announced != seen => {
            findings.push(Finding::new(0, format!("{seen} entries where {announced} are announced")));
        }
        None if findings.is_empty() => findings.push(Finding::new(0, "it ends before the number of entries")),
        _ => {}
    }
    findings
}

/// Lines and where each begins; one that is not UTF-8 is an error.
fn lines(text: &[u8]) -> impl Iterator<Item = (u64, Result<&str, std::str::Utf8Error>)> {
    let mut at = 0;
    text.split_inclusive(|byte| *byte == b'\n').map(move |line| {
        let from = at;
        at += line.len() as u64;
        (from, std::str::from_utf8(line).map(|line| line.trim_end_matches(['\n', '\r'])))
    })
}

/// Epoch and first offset.
pub(super) fn epoch(line: &str) -> Option<Row> {
    let (epoch, start) = line.split_once(' ')?;
    Some(vec![epoch.parse::<i32>().ok()?.into(), start.parse::<i64>().ok()?.into()])
}

/// Topic, partition and offset.
pub(super) fn offset(line: &str) -> Option<Row> {
    let mut words = line.split(' ');
    let (topic, partition, offset) = (words.next()?, words.next()?, words.next()?);
    if words.next().is_some() {
        return None;
    }
    Some(vec![topic.into(), partition.parse::<i32>().ok()?.into(), offset.parse::<i64>().ok()?.into()])
}

/// `version: 0` and `topic_id: ...`.
pub(super) fn partition_metadata(text: &[u8], sink: Sink<'_>) -> Vec<Finding> {
    let field = |name: &str| {
        let found = lines(text).find_map(|(_, line)| line.ok()?.strip_prefix(name)?.strip_prefix(": "));
        found.map(str::to_owned)
    };
    let version = field("version").and_then(|version| version.parse::<i32>().ok());
    let topic_id = field("topic_id").filter(|id| id.parse::<crate::model::id::TopicId>().is_ok());
    let whole = version.is_some() && topic_id.is_some();
    if version.is_some() || topic_id.is_some() {
        sink(vec![version.into(), topic_id.into()]);
    }
    if whole { Vec::new() } else { vec![Finding::new(0, "version or topic id is missing")] }
}

/// `key=value` lines; comments are left out.
pub(super) fn properties(text: &[u8], sink: Sink<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, (at, line)) in lines(text).enumerate() {
        let line = line.unwrap_or("\u{fffd}").trim();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        match line.split_once('=') {
            Some((key, value)) => {
                if !sink(vec![key.trim().into(), value.trim().into()]) {
                    return findings;
                }
            }
            None => note(&mut findings, at, || format!("line {} is no key=value", number + 1)),
        }
    }
    findings
}

/// The text as it stands.
pub(super) fn content(text: &[u8], sink: Sink<'_>) -> Vec<Finding> {
    match std::str::from_utf8(text) {
        Ok(text) => {
            sink(vec![Value::from(text.trim_end())]);
            Vec::new()
        }
        Err(_) => vec![Finding::new(0, "it is not UTF-8")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(decode: impl Fn(Sink<'_>) -> Vec<Finding>) -> (usize, usize) {
        let mut rows = 0;
        let findings = decode(&mut |_| {
            rows += 1;
            true
        });
        (rows, findings.len())
    }

    #[test]
    fn tables_are_read_as_far_as_they_go() {
        for (text, expected) in [
            ("0\n2\n0 0\n3 10\n", (2, 0)),
            ("0\n0\n", (0, 0)),
            ("0\n2\n0 0\n", (1, 1)),
            ("0\n2\n0 0\nx 1\n", (1, 2)),
            ("0\nx\n0 0\n", (1, 1)),
            ("1\n0\n", (0, 1)),
            ("", (0, 1)),
        ] {
            assert_eq!(rows(|sink| table(text.as_bytes(), epoch, sink)), expected, "{text:?}");
        }
        assert_eq!(rows(|sink| table(b"0\n1\nt 0 5\n", offset, sink)), (1, 0));
        assert_eq!(rows(|sink| table(b"0\n1\nt 0 5 6\n", offset, sink)), (0, 2));
    }

    #[test]
    fn properties_and_partition_metadata() {
        assert_eq!(rows(|sink| properties(b"#\n#x\na=1\n\nb = 2\n", sink)), (2, 0));
        assert_eq!(rows(|sink| properties(b"a=1\nb\n", sink)), (1, 1));
        assert_eq!(rows(|sink| properties(&b"b\n".repeat(5000), sink)), (0, crate::inspect::decode::MANY));
        let id = "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ";
        assert_eq!(rows(|sink| partition_metadata(id.as_bytes(), sink)), (1, 0));
        assert_eq!(rows(|sink| partition_metadata(b"version: 0\ntopic_id: x", sink)), (1, 1));
        assert_eq!(rows(|sink| partition_metadata(b"", sink)), (0, 1));
    }
}
