//! Strings of JSON: out of their escapes and into them; text that says nothing valid becomes U+FFFD, as in jq.

use std::io::Write;

/// Appends the text that the inside of a checked JSON string stands for.
pub(in crate::pipeline) fn unescape(raw: &[u8], out: &mut Vec<u8>) {
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let (plain, tail) = rest.split_at(at);
        out.extend_from_slice(plain);
        rest = match tail.get(1) {
            Some(b'u') => {
                let (letter, behind) = unicode(tail);
                out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                behind
            }
            Some(&letter) => {
                out.push(match letter {
                    b'b' => 0x08,
                    b'f' => 0x0c,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    same => same,
                });
                tail.get(2..).unwrap_or_default()
            }
            None => &[],
        };
    }
    out.extend_from_slice(rest);
}

/// The letter of the `\uXXXX` at the start of `text`, with its second half if it has one, and what follows.
fn unicode(text: &[u8]) -> (char, &[u8]) {
    let (first, rest) = (hex(text), text.get(6..).unwrap_or_default());
    let (letter, rest) = match (first, hex(rest)) {
        (Some(high @ 0xd800..=0xdbff), Some(low @ 0xdc00..=0xdfff)) => {
            let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
            (char::from_u32(code), rest.get(6..).unwrap_or_default())
        }
        (code, _) => (code.and_then(char::from_u32), rest),
    };
    (letter.unwrap_or(char::REPLACEMENT_CHARACTER), rest)
}

/// The number in `\uXXXX` at the start of `text`.
fn hex(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(b"\\u")?.first_chunk::<4>()?;
    digits.iter().try_fold(0, |code, &digit| Some(code << 4 | char::from(digit).to_digit(16)?))
}

/// Appends a checked JSON string, given by its inside, with only the escapes that it needs.
pub(in crate::pipeline) fn push_again(out: &mut Vec<u8>, raw: &[u8]) {
    out.push(b'"');
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let (plain, tail) = rest.split_at(at);
        out.extend_from_slice(plain);
        rest = match tail.get(1) {
            Some(b'u') => {
                let (letter, behind) = unicode(tail);
                push_escaped(out, letter.encode_utf8(&mut [0; 4]).as_bytes());
                behind
            }
            Some(b'/') => {
                out.push(b'/');
                tail.get(2..).unwrap_or_default()
            }
            // The short escapes are those that are written.
            _ => {
                let (escape, behind) = tail.split_at(tail.len().min(2));
                out.extend_from_slice(escape);
                behind
            }
        };
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Appends `text` as a JSON string, quotes included. Invalid UTF-8 becomes U+FFFD.
pub(in crate::pipeline) fn push_quoted(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    match std::str::from_utf8(text) {
        Ok(_) => push_escaped(out, text),
        Err(_) => push_escaped(out, String::from_utf8_lossy(text).as_bytes()),
    }
    out.push(b'"');
}

/// Appends valid UTF-8 with the escapes that a JSON string needs.
pub(in crate::pipeline) fn push_escaped(out: &mut Vec<u8>, text: &[u8]) {
    let mut from = 0;
    for (at, &byte) in text.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(text.get(from..at).unwrap_or_default());
        from = at + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            // Writing to a Vec can not fail.
            _ => drop(write!(out, "\\u{byte:04x}")),
        }
    }
    out.extend_from_slice(text.get(from..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(raw: &str) -> String {
        let mut out = Vec::new();
        unescape(raw.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn escapes_are_read() {
        assert_eq!(plain(r#"a\"\\\/\b\f\n\r\tz"#), "a\"\\/\u{8}\u{c}\n\r\tz");
        assert_eq!(plain(r"\u0069tem \u00e9 \ud83d\ude00"), "item é 😀");
    }

    #[test]
    fn halves_without_their_other_half_become_a_replacement() {
        assert_eq!(plain(r"\ud800"), "\u{fffd}");
        assert_eq!(plain(r"\ud800x\udc00"), "\u{fffd}x\u{fffd}");
        assert_eq!(plain(r"\ud800\ud83d\ude00"), "\u{fffd}😀");
        assert_eq!(plain(r"\ud800\u0041"), "\u{fffd}A");
    }

    #[test]
    fn a_string_again_is_the_same_as_read_and_quoted() {
        for raw in
            [r#"a\"\\\/\b\f\n\r\tz"#, r"\u0022\u005c\u0000\u007f\u00e9\ud83d\ude00\ud800\u000a", "plain é"]
        {
            let (mut again, mut text, mut quoted) = (Vec::new(), Vec::new(), Vec::new());
            push_again(&mut again, raw.as_bytes());
            unescape(raw.as_bytes(), &mut text);
            push_quoted(&mut quoted, &text);
            assert_eq!(String::from_utf8(again), String::from_utf8(quoted));
        }
    }

    #[test]
    fn strings_are_quoted() {
        let quoted = |text: &[u8]| {
            let mut out = Vec::new();
            push_quoted(&mut out, text);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(quoted("é\"\\/\n\u{1}\u{7f}".as_bytes()), "\"é\\\"\\\\/\\n\\u0001\u{7f}\"");
        assert_eq!(quoted(b"a\xffb"), "\"a\u{fffd}b\"");
    }
}
