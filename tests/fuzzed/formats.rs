//! Records as text, both ways: the JSON envelope, format strings, delimiters, times. What is written is read back, on one
//! line, whatever the bytes; what is no such text is refused.
//!
//! The first byte chooses; texts and records of bytes follow, parted by the byte 0xff.

use std::borrow::Cow;

use klog::cli::envelope::{self, Values};
use klog::cli::format::{Fields, Format, Input, InputHeader, Step, delimiter, unescape};
use klog::cli::times;
use klog::client::{Header, Headers};

use crate::memory::memory;

pub(crate) fn run(data: &[u8]) {
    let Some((choice, data)) = data.split_first() else { return };
    let values = if choice & 8 == 0 { Values::Text } else { Values::Json };
    match choice % 5 {
        0 => line(data, values),
        1 => record(data, values),
        2 => format(data),
        3 => sized(data, *choice),
        _ => small(data),
    }
}

fn parts<const N: usize>(data: &[u8]) -> [&[u8]; N] {
    let mut parts = data.splitn(N, |&byte| byte == 0xff);
    [(); N].map(|()| parts.next().unwrap_or_default())
}

/// `fields` of these, with all of a record that a line keeps.
fn with_fields<T>(
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[InputHeader<'_>],
    of: (&str, Option<i32>, Option<i64>),
    then: impl FnOnce(&Fields<'_>) -> T,
) -> T {
    let headers: Vec<Header<'_>> =
        headers.iter().map(|(key, value)| Header { key, value: value.as_deref() }).collect();
    let mut encoded = Vec::new();
    Headers::encode(&headers, &mut encoded);
    let headers = Headers::new(&encoded, headers.len()).expect("headers that were just encoded");
    let (topic, partition, timestamp) = of;
    then(&Fields {
        topic,
        partition: partition.unwrap_or(-1),
        offset: 7,
        leader_epoch: 1,
        timestamp: timestamp.unwrap_or(-1),
        key,
        value,
        headers,
    })
}

fn written(input: &Input<'_>, values: Values) -> Vec<u8> {
    let mut out = Vec::new();
    let of = (input.topic.as_deref().unwrap_or_default(), input.partition, input.timestamp);
    with_fields(input.key.as_deref(), input.value.as_deref(), &input.headers, of, |fields| {
        envelope::write(&mut out, fields, values);
    });
    assert!(out.ends_with(b"\n") && memchr_count(&out) == 1, "an envelope is one line");
    out
}

fn memchr_count(out: &[u8]) -> usize {
    out.iter().filter(|&&byte| byte == b'\n').count()
}

/// An envelope that can be read comes back the same through a second one.
fn line(data: &[u8], values: Values) {
    let Ok(input) = envelope::read(data, values) else { return };
    let once = envelope::read(&written(&input, values), values).expect("an envelope of klog's own is read");
    assert_eq!((&once.key, &once.headers), (&input.key, &input.headers));
    assert_eq!((once.partition, once.timestamp), (input.partition, input.timestamp));
    if values == Values::Text {
        assert_eq!(once.value, input.value);
    }
    let twice = envelope::read(&written(&once, values), values).expect("an envelope of klog's own is read");
    assert_eq!(twice, once);
}

/// Any record comes back from its envelope.
fn record(data: &[u8], values: Values) {
    let [key, value, name, header] = parts(data);
    let some = |bytes: &'_ [u8]| (bytes != b"\xfe").then(|| Cow::Owned(bytes.to_vec()));
    let input = Input {
        topic: Some("t".to_owned()),
        partition: Some(1),
        timestamp: Some(5),
        key: some(key),
        value: some(value),
        headers: vec![(Cow::Borrowed(name), some(header)), (Cow::Borrowed(value), None)],
    };
    let line = written(&input, values);
    let mut back = envelope::read(&line, values).expect("an envelope of klog's own is read");
    if values == Values::Json {
        // JSON is embedded; only the blanks around its tokens may change.
        let blanks = |bytes: &[u8]| -> Vec<u8> {
            bytes.trim_ascii().iter().map(|byte| if b"\n\r".contains(byte) { b' ' } else { *byte }).collect()
        };
        let (found, wanted) = (back.value.as_deref().map(blanks), input.value.as_deref().map(blanks));
        assert_eq!(found, wanted, "{}", String::from_utf8_lossy(&line));
        back.value.clone_from(&input.value);
    }
    assert_eq!(back, input, "{}", String::from_utf8_lossy(&line));
}

/// Any format writes any record; one that reads takes no more than there is, and never less than nothing.
fn format(data: &[u8]) {
    let [text, end, input] = parts(data);
    let Ok(format) = Format::parse(&String::from_utf8_lossy(text)) else { return };
    let mut out = Vec::new();
    let headers = [(Cow::Borrowed(end), Some(Cow::Borrowed(input))), (Cow::Borrowed(&b"h"[..]), None)];
    for (key, value) in [(Some(input), Some(end)), (None, None)] {
        with_fields(key, value, &headers, ("t", Some(3), Some(1_730_000_000_000)), |fields| {
            format.write(&mut out, fields);
        });
    }
    let Ok(end) = delimiter(&String::from_utf8_lossy(end)) else { return };
    let Ok(reader) = format.for_input(&end) else { return };
    let mut rest = input;
    for _ in 0..64 {
        for at_end in [false, true] {
            let (took, step) = memory(|| match reader.read(rest, at_end) {
                Step::Record(_, took) => Some(took),
                Step::More if at_end => {
                    panic!("more is wanted at the end of {:?}", String::from_utf8_lossy(rest));
                }
                Step::More | Step::Bad(_) => None,
            });
            assert!(took <= 16 * 1024 + 256 * rest.len(), "{took} bytes for {}", rest.len());
            match step {
                Some(took) if took > rest.len() => panic!("{took} bytes of {}", rest.len()),
                Some(0) | None if at_end => return,
                Some(took) if took > 0 => {
                    rest = &rest[took..];
                    break;
                }
                _ => {}
            }
        }
    }
}

/// Formats whose sizes stand before the bytes bring every record back.
fn sized(data: &[u8], choice: u8) {
    const FORMATS: [&str; 4] = [
        "%K{big32}%k%V{little64}%v",
        "%d{big64} %p %H{big16}%h{%K{big32}%k%V{big32}%v}%K,%k%V,%v\\n",
        "%K{little32}%V{big64}%k%v|%d|",
        "%k{hex} %v{base64}\\n",
    ];
    let text = FORMATS[usize::from(choice >> 4) % FORMATS.len()];
    let [key, value, name] = parts(data);
    let format = Format::parse(text).expect("these formats are right");
    let reader = format.for_input(b"\n").expect("these formats can be read");
    let headers = [(Cow::Borrowed(name), Some(Cow::Borrowed(value)))];
    let mut out = Vec::new();
    with_fields(Some(key), Some(value), &headers, ("t", Some(3), Some(77)), |fields| {
        format.write(&mut out, fields);
        format.write(&mut out, fields);
    });
    let mut rest = out.as_slice();
    for _ in 0..2 {
        let step = reader.read(rest, false);
        let Step::Record(record, took) = step else { panic!("{text}: {step:?} of {out:?}") };
        assert_eq!((record.key.as_deref(), record.value.as_deref()), (Some(key), Some(value)), "{text}");
        rest = &rest[took..];
    }
    assert!(rest.is_empty());
}

fn small(data: &[u8]) {
    let [text, pattern] = parts(data);
    let (text, pattern) = (String::from_utf8_lossy(text), String::from_utf8_lossy(pattern));
    if let Ok(bytes) = unescape(&text) {
        assert!(bytes.len() <= text.len());
    }
    let now = 1_730_000_000_000;
    if let Ok(ms) = times::parse(&text, now)
        && let Some(shown) = times::rfc3339(ms)
    {
        assert_eq!(times::parse(&shown, now), Ok(ms), "{shown}");
    }
    let ms = text.len() as i64 * 1_000_003;
    if let Ok(shown) = times::strftime(ms, &pattern) {
        assert!(shown.len() <= 4096 + 4096 * pattern.len());
    }
}
