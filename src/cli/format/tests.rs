//! Formats both ways, and what is no format.

use std::borrow::Cow;

use super::*;
use crate::client::{Header, Headers};

/// Shows one record.
fn show(format: &str, key: Option<&[u8]>, value: Option<&[u8]>, headers: &[Header<'_>]) -> Vec<u8> {
    let mut encoded = Vec::new();
    Headers::encode(headers, &mut encoded);
    let fields = Fields {
        topic: "t",
        partition: 3,
        offset: 700,
        leader_epoch: 2,
        timestamp: 1_730_000_000_123,
        key,
        value,
        headers: Headers::new(&encoded, headers.len()).unwrap(),
    };
    let mut out = Vec::new();
    Format::parse(format).unwrap().write(&mut out, &fields);
    out
}

fn text(format: &str) -> String {
    let headers = [Header { key: b"a", value: Some(b"1") }, Header { key: b"b", value: None }];
    String::from_utf8(show(format, Some(b"key"), Some(b"v\xc3\xa4\n"), &headers)).unwrap()
}

#[test]
fn every_verb_and_modifier() {
    for (format, shown) in [
        ("%t/%p/%o/%e", "t/3/700/2"),
        ("%k=%v%s", "key=v\u{e4}\nv\u{e4}\n"),
        ("%d %d{rfc3339}", "1730000000123 2024-10-27T03:33:20.123Z"),
        ("%d{strftime[%Y/%m]}", "2024/10"),
        ("%h{%k=%v,}|%H", "a=1,b=,|2"),
        ("%h{%k:%V }", "a:1 b:-1 "),
        ("%K %V %S", "3 4 4"),
        ("%k{hex} %v{base64} %v{json}", "6b6579 dsOkCg== \"v\u{e4}\\n\""),
        ("%o{hex} %o{big16}", "2bc \u{2}\u{fffd}"),
        (r"a\n\t\\\x41%%k", "a\n\t\\A%k"),
        ("%%{%t}", "%{t}"),
    ] {
        let headers = [Header { key: b"a", value: Some(b"1") }, Header { key: b"b", value: None }];
        let found = show(format, Some(b"key"), Some("v\u{e4}\n".as_bytes()), &headers);
        assert_eq!(String::from_utf8_lossy(&found), shown, "{format}");
    }
    assert_eq!(text("%t"), "t");
    assert_eq!(show("%k|%v|%K|%V|%k{json}", None, Some(b""), &[]), b"||-1|0|null");
    assert_eq!(show("%o{little32}%p{big64}", None, None, &[]), [188, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3]);
}

#[test]
fn what_is_no_format_says_why() {
    for (format, why) in [
        ("%", "single %"),
        ("%q", "%q is no verb"),
        ("%k{zip}", "hex, base64 and json"),
        ("%o{big24}", "big8 to big64"),
        ("%d{iso}", "rfc3339"),
        ("%k{hex", "not closed"),
        ("%h", "format of its own"),
        ("%h{%t}", "only %k, %v"),
        (r"\q", "none of n t r 0"),
        (r"\x4", "two hexadecimal digits"),
    ] {
        let error = Format::parse(format).unwrap_err();
        assert!(error.contains(why), "{format}: {error}");
    }
}

#[test]
fn delimiters() {
    assert_eq!(delimiter("\\n").unwrap(), b"\n");
    assert_eq!(delimiter("--").unwrap(), b"--");
    assert_eq!(delimiter("\\x00\\xff").unwrap(), [0, 255]);
    assert_eq!(delimiter("\u{e4}").unwrap(), "\u{e4}".as_bytes());
    assert!(delimiter("").is_err() && delimiter("\\").is_err());
}

fn reader(format: &str) -> InputFormat {
    Format::parse(format).unwrap().for_input(b"\n").unwrap()
}

/// All records of `bytes`, key and value as text, `-` for null.
fn read_all(format: &str, mut bytes: &[u8]) -> Vec<(String, String)> {
    let (format, mut found) = (reader(format), Vec::new());
    let shown = |bytes: Option<Cow<'_, [u8]>>| {
        bytes.map_or_else(|| "-".to_owned(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
    };
    while !bytes.is_empty() {
        match format.read(bytes, true) {
            Step::Record(record, len) => {
                found.push((shown(record.key), shown(record.value)));
                bytes = &bytes[len..];
            }
            other => panic!("{other:?}"),
        }
    }
    found
}

#[test]
fn input_by_delimiters_and_by_sizes() {
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(read_all("%k:%v", b"a:1\nb:2:3\n:\n"), [pair("a", "1"), pair("b", "2:3"), pair("", "")]);
    assert_eq!(read_all("%k:%v", b"a:1\nb:2"), [pair("a", "1"), pair("b", "2")]);
    assert_eq!(read_all("%v;", b"x;y;"), [pair("-", "x"), pair("-", "y")]);
    assert_eq!(read_all("%V %v\\n", b"3 abc\n1 \n\n"), [pair("-", "abc"), pair("-", "\n")]);
    assert_eq!(read_all("%k{hex} %v{base64}", b"6b dg==\n"), [pair("k", "v")]);
    assert_eq!(
        read_all("%K{big32}%k%V{big32}%v", b"\0\0\0\x01k\0\0\0\x02\n\0\xff\xff\xff\xff\0\0\0\0"),
        [pair("k", "\n\0"), pair("-", "")]
    );
    assert_eq!(read_all("%K{little16}%k%V{big8}%v", b"\x01\0k\xff"), [pair("k", "-")]);
}

#[test]
fn all_fields_of_input() {
    let format = reader("%t %p %d %o %H %h{%k=%v;}%k %v");
    let bytes = b"topic 2 1730000000123 99 2 a=1;b=;key value\n";
    let Step::Record(record, len) = format.read(bytes, false) else { panic!() };
    assert_eq!(len, bytes.len());
    assert_eq!(
        (record.topic.as_deref(), record.partition, record.timestamp),
        (Some("topic"), Some(2), Some(1_730_000_000_123))
    );
    let header = |key: &'static str, value: &'static str| {
        (Cow::from(key.as_bytes()), Some(Cow::from(value.as_bytes())))
    };
    assert_eq!(record.headers, [header("a", "1"), header("b", "")]);
    assert_eq!(record.key.as_deref(), Some(&b"key"[..]));
    // Every shorter prefix asks for more, none is taken for a record or an error.
    for len in 0..bytes.len() {
        assert_eq!(format.read(&bytes[..len], false), Step::More, "{len}");
    }
}

#[test]
fn input_that_does_not_fit() {
    for (format, bytes) in [
        ("%p %v", &b"x y\n"[..]),
        ("%K{big32}%k", b"\xff\xff\xff\xfe"),
        ("%k{hex}", b"abc\n"),
        ("%v{base64}", b"!\n"),
        ("[%v]", b"(x)"),
        ("%H %h{%k=%v;}", b"999999999 "),
        ("%V %v", b"111111111111111111111111111"),
        ("%K{big32}%k", b"\0\0\0\x05abc"),
    ] {
        assert!(matches!(reader(format).read(bytes, true), Step::Bad(_)), "{format}");
    }
    for format in ["%d{rfc3339}", "%k{json}", "%h{%k=%v;}", "%k%v", "%t%v"] {
        assert!(Format::parse(format).unwrap().for_input(b"\n").is_err(), "{format}");
    }
}

#[test]
fn no_headers_show_as_nothing() {
    assert_eq!(Headers::default().count(), 0);
    assert_eq!(show("%h{%k}%H", None, None, &[]), b"0");
}
