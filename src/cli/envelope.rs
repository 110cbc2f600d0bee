//! The JSON envelope, one object a line, lossless both ways; bytes that are no text become `{"base64":"..."}`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

use super::format::{Fields, Input};
use crate::client::consumer::Marker;
use crate::model::id::TopicPartition;

/// How values stand in the envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Values {
    /// As strings.
    #[default]
    Text,
    /// As JSON, embedded.
    Json,
}

/// Appends a record as one line.
pub fn write(out: &mut Vec<u8>, record: &Fields<'_>, values: Values) {
    out.extend_from_slice(b"{\"topic\":");
    put_text(out, Some(record.topic.as_bytes()));
    // Writing into a Vec can not fail.
    let _ = write!(
        out,
        ",\"partition\":{},\"offset\":{},\"timestamp\":{},\"key\":",
        record.partition, record.offset, record.timestamp
    );
    put_text(out, record.key);
    out.extend_from_slice(b",\"value\":");
    match (values, record.value) {
        (Values::Json, Some(value)) => put_json(out, value),
        (_, value) => put_text(out, value),
    }
    out.extend_from_slice(b",\"headers\":[");
    for (at, header) in record.headers.enumerate() {
        out.extend_from_slice(if at == 0 { b"[" } else { b",[" });
        put_text(out, Some(header.key));
        out.push(b',');
        put_text(out, header.value);
        out.push(b']');
    }
    out.extend_from_slice(b"]}\n");
}

/// Appends the end of a transaction as one line: no key, value and headers, but what it says. Read as input it is an
/// error, for it is no record.
pub fn write_marker(out: &mut Vec<u8>, partition: &TopicPartition, marker: &Marker) {
    out.extend_from_slice(b"{\"topic\":");
    put_text(out, Some(partition.topic.as_bytes()));
    let control = if marker.committed { "commit" } else { "abort" };
    // Writing into a Vec can not fail.
    let _ = writeln!(
        out,
        ",\"partition\":{},\"offset\":{},\"timestamp\":{},\"control\":\"{control}\",\"producer_id\":{},\"producer_epoch\":{},\"coordinator_epoch\":{}}}",
        partition.partition,
        marker.offset,
        marker.timestamp,
        marker.producer_id,
        marker.producer_epoch,
        marker.coordinator_epoch
    );
}

/// Appends bytes as a JSON string, as `{"base64":"..."}` where they are not UTF-8, as `null` where there are none.
pub fn put_text(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes.map(|bytes| (bytes, std::str::from_utf8(bytes))) {
        None => out.extend_from_slice(b"null"),
        // A string into a Vec can not fail.
        Some((_, Ok(text))) => drop(serde_json::to_writer(out, text)),
        Some((bytes, Err(_))) => put_base64(out, bytes),
    }
}

fn put_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(b"{\"base64\":\"");
    out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
    out.extend_from_slice(b"\"}");
}

/// A value that is JSON as it stands (numbers keep their digits), any other as base64: `null` too, which would read
/// back as no value at all, and what looks like base64 of ours, which would read back as its bytes.
fn put_json(out: &mut Vec<u8>, value: &[u8]) {
    let trimmed = value.trim_ascii();
    // What is ignored is not looked at for UTF-8 either.
    let is_json = std::str::from_utf8(value).is_ok() && serde_json::from_slice::<IgnoredAny>(value).is_ok();
    let is_ours = trimmed.starts_with(b"{") && serde_json::from_slice::<Base64>(trimmed).is_ok();
    if !is_json || is_ours || trimmed == b"null" {
        return put_base64(out, value);
    }
    // Between tokens JSON may hold line ends, within strings it may not: the envelope stays one line.
    out.extend(trimmed.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
}

#[derive(Deserialize)]
struct Envelope<'b> {
    topic: Option<String>,
    partition: Option<i32>,
    #[serde(alias = "ts")]
    timestamp: Option<i64>,
    key: Option<Value>,
    #[serde(borrow, alias = "payload")]
    value: Option<&'b RawValue>,
    headers: Option<Vec<Value>>,
    control: Option<IgnoredAny>,
}

impl Envelope<'_> {
    fn says_nothing(&self) -> bool {
        self.topic.is_none()
            && self.partition.is_none()
            && self.timestamp.is_none()
            && self.key.is_none()
            && self.value.is_none()
            && self.headers.is_none()
    }
}

/// Every name that an envelope's field has, klog's and kcat's.
const FIELDS: [&str; 10] =
    ["topic", "partition", "offset", "timestamp", "ts", "key", "value", "payload", "headers", "control"];

/// Refuses an object that holds something, but nothing of an envelope: its data would be lost without a word.
fn check_that_it_is_one(line: &[u8]) -> Result<(), String> {
    let fields: HashMap<Cow<'_, str>, IgnoredAny> =
        serde_json::from_slice(line).map_err(|error| format!("not a JSON envelope: {error}"))?;
    if fields.is_empty() || fields.keys().any(|name| FIELDS.contains(&name.as_ref())) {
        return Ok(());
    }
    Err("it has no field of an envelope (topic, partition, offset, timestamp, key, value, headers); for JSON values \
         leave -J out"
        .to_owned())
}

/// Reads one line. Missing fields are null or their defaults, `offset` and unknown fields beside known ones are
/// ignored; kcat's names (`payload`, `ts`, a flat list of headers) are accepted.
///
/// # Errors
/// One line that says what was found and what is allowed.
pub fn read(line: &[u8], values: Values) -> Result<Input<'static>, String> {
    let envelope: Envelope<'_> =
        serde_json::from_slice(line).map_err(|error| format!("not a JSON envelope: {error}"))?;
    if envelope.control.is_some() {
        return Err("the end of a transaction, which is no record; leave --control out".to_owned());
    }
    if envelope.says_nothing() {
        check_that_it_is_one(line)?;
    }
    Ok(Input {
        topic: envelope.topic,
        // kcat and klog write what they read; -1 is no partition and no time.
        partition: envelope.partition.filter(|&partition| partition >= 0),
        timestamp: envelope.timestamp.filter(|&timestamp| timestamp >= 0),
        key: envelope.key.as_ref().map_or(Ok(None), |key| bytes_of(key, "key"))?,
        value: envelope.value.map_or(Ok(None), |raw| value_of(raw, values))?,
        headers: headers_of(envelope.headers.as_deref().unwrap_or_default())?,
    })
}

/// Bytes that are no text, or would be taken for something else.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Base64 {
    base64: String,
}

fn value_of(raw: &RawValue, values: Values) -> Result<Option<Cow<'static, [u8]>>, String> {
    let text = raw.get();
    if values == Values::Text {
        let value: Value = serde_json::from_str(text).map_err(|error| format!("value: {error}"))?;
        return bytes_of(&value, "value");
    }
    if text.starts_with('{')
        && let Ok(found) = serde_json::from_str::<Base64>(text)
    {
        return decode(&found.base64).map(Some);
    }
    Ok(Some(Cow::Owned(text.as_bytes().to_vec())))
}

fn decode(text: &str) -> Result<Cow<'static, [u8]>, String> {
    STANDARD.decode(text).map(Cow::Owned).map_err(|error| format!("base64: {error}"))
}

fn base64_of(value: &Value) -> Option<Result<Cow<'static, [u8]>, String>> {
    let object = value.as_object().filter(|object| object.len() == 1)?;
    object.get("base64")?.as_str().map(decode)
}

fn bytes_of(value: &Value, field: &str) -> Result<Option<Cow<'static, [u8]>>, String> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(Cow::Owned(text.as_bytes().to_vec()))),
        other => match base64_of(other) {
            Some(bytes) => bytes.map(Some),
            None => {
                let hint = if field == "value" { "; with -J=json any JSON may stand there" } else { "" };
                Err(format!("{field} must be a string, null or {{\"base64\":\"...\"}}{hint}"))
            }
        },
    }
}

fn headers_of(list: &[Value]) -> Result<Vec<super::format::InputHeader<'static>>, String> {
    let name =
        |value: &Value| bytes_of(value, "header name")?.ok_or("a header name must not be null".to_owned());
    if list.iter().all(Value::is_array) {
        let pair = |pair: &Value| match pair.as_array().map(Vec::as_slice) {
            Some([key, value]) => Ok((name(key)?, bytes_of(value, "header value")?)),
            _ => Err("a header must be [\"name\", value]".to_owned()),
        };
        return list.iter().map(pair).collect();
    }
    // kcat's shape: name, value, name, value.
    let (pairs, odd) = list.as_chunks::<2>();
    if !odd.is_empty() {
        return Err("a flat list of headers must have a value for each name".to_owned());
    }
    pairs.iter().map(|[key, value]| Ok((name(key)?, bytes_of(value, "header value")?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Header, Headers};

    fn line(key: Option<&[u8]>, value: Option<&[u8]>, headers: &[Header<'_>], values: Values) -> String {
        let mut encoded = Vec::new();
        Headers::encode(headers, &mut encoded);
        let fields = Fields {
            topic: "t",
            partition: 0,
            offset: 7,
            leader_epoch: 0,
            timestamp: 1_730_000_000_000,
            key,
            value,
            headers: Headers::new(&encoded, headers.len()).unwrap(),
        };
        let mut out = Vec::new();
        write(&mut out, &fields, values);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_contracts_example() {
        let headers = [Header { key: b"name", value: Some(b"value") }, Header { key: b"name", value: None }];
        assert_eq!(
            line(None, Some(b"text"), &headers, Values::Text),
            "{\"topic\":\"t\",\"partition\":0,\"offset\":7,\"timestamp\":1730000000000,\"key\":null,\
             \"value\":\"text\",\"headers\":[[\"name\",\"value\"],[\"name\",null]]}\n"
        );
    }

    #[test]
    fn every_byte_survives_both_ways() {
        let all: Vec<u8> = (0..=255).collect();
        let texts: [Option<&[u8]>; 8] = [
            None,
            Some(b""),
            Some(b"\0\n\"\\"),
            Some("\u{e4}\u{2028}".as_bytes()),
            Some(&all),
            Some(b"{}"),
            Some(b"\"\xff\""),
            Some(b"{\"base64\":\"AP8=\"}"),
        ];
        for key in texts {
            for value in texts {
                let headers = [Header { key: b"h", value: key }, Header { key: &all, value }];
                for values in [Values::Text, Values::Json] {
                    let line = line(key, value, &headers, values);
                    assert_eq!(line.matches('\n').count(), 1);
                    let input = read(line.as_bytes(), values).unwrap();
                    assert_eq!(input.key.as_deref(), key);
                    assert_eq!(input.value.as_deref(), value, "{line}");
                    assert_eq!(input.headers[1].0.as_ref(), all);
                    assert_eq!(input.headers[0].1.as_deref(), key);
                    assert_eq!((input.partition, input.timestamp), (Some(0), Some(1_730_000_000_000)));
                }
            }
        }
    }

    #[test]
    fn json_values_are_embedded_as_they_stand() {
        for (value, shown) in [
            (r#"{"a":1.10,"b":123456789012345678901}"#, r#"{"a":1.10,"b":123456789012345678901}"#),
            ("[1,\n 2]", "[1,  2]"),
            ("\"x\"", "\"x\""),
            ("null", r#"{"base64":"bnVsbA=="}"#),
            ("no json", r#"{"base64":"bm8ganNvbg=="}"#),
        ] {
            let line = line(None, Some(value.as_bytes()), &[], Values::Json);
            assert!(line.contains(&format!("\"value\":{shown},")), "{line}");
            let back = read(line.as_bytes(), Values::Json).unwrap().value.unwrap();
            assert_eq!(String::from_utf8_lossy(&back), value.replace('\n', " "));
        }
    }

    #[test]
    fn input_takes_defaults_and_kcats_shape() {
        assert_eq!(read(b"{}", Values::Text).unwrap(), Input::default());
        for line in [r#"{"value":null}"#, r#"{"offset":7,"x":1}"#, r#"{"ts":null,"\u0061":[]}"#] {
            assert_eq!(read(line.as_bytes(), Values::Text).unwrap(), Input::default(), "{line}");
        }
        let kcat = br#"{"topic":"t","partition":1,"offset":3,"tstype":"create","ts":5,"broker":1,
            "headers":["a","1","b",null],"key":"k","payload":"p"}"#;
        let input = read(kcat, Values::Text).unwrap();
        assert_eq!((input.topic.as_deref(), input.partition, input.timestamp), (Some("t"), Some(1), Some(5)));
        assert_eq!(input.value.as_deref(), Some(&b"p"[..]));
        assert_eq!(input.headers.len(), 2);
        assert_eq!(input.headers[1].1, None);
    }

    #[test]
    fn what_is_no_envelope_says_why() {
        for (line, why) in [
            ("", "not a JSON envelope"),
            ("[1]", "not a JSON envelope"),
            (r#"{"value":5}"#, "value must be a string"),
            (r#"{"key":{"base64":"!"}}"#, "base64"),
            (r#"{"key":[]}"#, "key must be a string"),
            (r#"{"headers":[["a"]]}"#, "a header must be"),
            (r#"{"a":1}"#, "it has no field of an envelope"),
            (r#"{"message":{"value":"x"},"level":"info"}"#, "for JSON values leave -J out"),
            ("[null,null,null,null,null,null,null]", "not a JSON envelope"),
            (r#"{"headers":["a"]}"#, "a value for each name"),
            (r#"{"headers":[[null,"x"]]}"#, "must not be null"),
        ] {
            let error = read(line.as_bytes(), Values::Text).unwrap_err();
            assert!(error.contains(why), "{line}: {error}");
        }
        assert!(read(&[b'['; 100_000], Values::Json).is_err());
    }
}
