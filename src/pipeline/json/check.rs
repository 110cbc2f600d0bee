//! Whether bytes are exactly one JSON value of RFC 8259, in one pass; never recurses and never allocates.

use std::ops::Range;

use crate::pipeline::depth;

/// Why bytes are not one JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pipeline) enum Wrong {
    /// Nothing but blanks.
    Empty,
    /// More than [`depth::LIMIT`] brackets open at once.
    TooDeep,
    /// The value is whole, but something other than blanks follows at this byte.
    Trailing(usize),
    /// What is wrong at which byte.
    At(usize, &'static str),
}

/// Which brackets are open, one bit each: an object's is set.
struct Open {
    bits: [u64; depth::LIMIT / 64],
    count: usize,
}

impl Open {
    fn push(&mut self, object: bool) -> Result<(), Wrong> {
        let word = self.bits.get_mut(self.count / 64).ok_or(Wrong::TooDeep)?;
        let bit = 1 << (self.count % 64);
        *word = if object { *word | bit } else { *word & !bit };
        self.count += 1;
        Ok(())
    }

    fn in_object(&self) -> bool {
        let last = self.count.wrapping_sub(1);
        self.bits.get(last / 64).is_some_and(|word| word & (1 << (last % 64)) != 0)
    }

    /// Passes over a key, its colon and the blanks around it.
    #[inline]
    fn key(&self, text: &[u8], from: usize, watch: &mut impl Watch) -> Result<usize, Wrong> {
        if text.get(from) != Some(&b'"') {
            return Err(wrong(text, from, "expected a key in quotes"));
        }
        let end = string(text, from + 1)?;
        if self.count == 1 {
            watch.key(from + 1..end - 1);
        }
        let at = blank(text, end);
        if text.get(at) != Some(&b':') {
            return Err(wrong(text, at, "expected ':'"));
        }
        Ok(blank(text, at + 1))
    }
}

/// Who is told of the members of the outermost object while a value is checked.
pub(in crate::pipeline) trait Watch {
    /// A key lies in this range, quotes left out.
    fn key(&mut self, key: Range<usize>);
    /// The value of the last key lies in this range.
    fn value(&mut self, value: Range<usize>);
}

impl Watch for () {
    #[inline(always)]
    fn key(&mut self, _: Range<usize>) {}

    #[inline(always)]
    fn value(&mut self, _: Range<usize>) {}
}

/// Where the value lies in `text`, blanks around it left out.
pub(in crate::pipeline) fn check(text: &[u8]) -> Result<Range<usize>, Wrong> {
    check_watched(text, &mut ())
}

/// As [`check`], and tells `watch` of the members of an outermost object.
pub(in crate::pipeline) fn check_watched(text: &[u8], watch: &mut impl Watch) -> Result<Range<usize>, Wrong> {
    if let Err(error) = std::str::from_utf8(text) {
        return Err(Wrong::At(error.valid_up_to(), "the bytes are not UTF-8"));
    }
    let start = blank(text, 0);
    if start == text.len() {
        return Err(Wrong::Empty);
    }
    let mut open = Open { bits: [0; depth::LIMIT / 64], count: 0 };
    let (mut at, mut member) = (start, start);
    loop {
        at = match text.get(at) {
            Some(b'{') => {
                open.push(true)?;
                at = blank(text, at + 1);
                if text.get(at) != Some(&b'}') {
                    at = open.key(text, at, watch)?;
                    member = if open.count == 1 { at } else { member };
                    continue;
                }
                open.count -= 1;
                at + 1
            }
            Some(b'[') => {
                open.push(false)?;
                at = blank(text, at + 1);
                if text.get(at) != Some(&b']') {
                    continue;
                }
                open.count -= 1;
                at + 1
            }
            _ => scalar(text, at)?,
        };
        // A value ended at `at`: close what closes here, up to the comma before the next value.
        loop {
            if open.count == 0 {
                let after = blank(text, at);
                return if after == text.len() { Ok(start..at) } else { Err(Wrong::Trailing(after)) };
            }
            if open.count == 1 && open.in_object() {
                watch.value(member..at);
            }
            at = blank(text, at);
            match (text.get(at), open.in_object()) {
                (Some(b','), true) => {
                    at = open.key(text, blank(text, at + 1), watch)?;
                    member = if open.count == 1 { at } else { member };
                }
                (Some(b','), false) => at = blank(text, at + 1),
                (Some(b'}'), true) | (Some(b']'), false) => {
                    open.count -= 1;
                    at += 1;
                    continue;
                }
                (_, true) => return Err(wrong(text, at, "expected ',' or '}'")),
                (_, false) => return Err(wrong(text, at, "expected ',' or ']'")),
            }
            break;
        }
    }
}

fn wrong(text: &[u8], at: usize, what: &'static str) -> Wrong {
    if at >= text.len() { Wrong::At(text.len(), "the value is cut off") } else { Wrong::At(at, what) }
}

/// The first byte at or behind `at` that is no blank.
#[inline(always)]
pub(in crate::pipeline) fn blank(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\t' | b'\r') = text.get(at) {
        at += 1;
    }
    at
}

#[inline]
fn scalar(text: &[u8], at: usize) -> Result<usize, Wrong> {
    let word = |word: &[u8]| {
        let found = text.get(at..).unwrap_or_default().starts_with(word);
        if found { Ok(at + word.len()) } else { Err(wrong(text, at, "expected a value")) }
    };
    match text.get(at) {
        Some(b'"') => string(text, at + 1),
        Some(b'-' | b'0'..=b'9') => number(text, at),
        Some(b't') => word(b"true"),
        Some(b'f') => word(b"false"),
        Some(b'n') => word(b"null"),
        Some(0xef) if at == 0 && text.starts_with(b"\xef\xbb\xbf") => {
            Err(Wrong::At(0, "a byte order mark is no part of JSON"))
        }
        _ => Err(wrong(text, at, "expected a value")),
    }
}

/// Passes over a string whose first byte behind the quote is at `at`, and its closing quote.
#[inline]
fn string(text: &[u8], mut at: usize) -> Result<usize, Wrong> {
    loop {
        match text.get(at) {
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => at = escape(text, at)?,
            Some(0..=0x1f) => return Err(Wrong::At(at, "a control character in a string must be escaped")),
            Some(_) => at += 1,
            None => return Err(Wrong::At(text.len(), "the value is cut off")),
        }
    }
}

fn escape(text: &[u8], at: usize) -> Result<usize, Wrong> {
    match text.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => {
            let digits = text.get(at + 2..).unwrap_or_default().iter().take(4);
            match digits.take_while(|digit| digit.is_ascii_hexdigit()).count() {
                4 => Ok(at + 6),
                some => Err(wrong(text, at + 2 + some, "expected four hexadecimal digits")),
            }
        }
        _ => Err(wrong(text, at + 1, "unknown escape in a string")),
    }
}

/// Passes over a number whose first byte, a digit or the sign, is at `at`.
#[inline]
fn number(text: &[u8], mut at: usize) -> Result<usize, Wrong> {
    if text.get(at) == Some(&b'-') {
        at += 1;
    }
    at = match text.get(at) {
        Some(b'0') if text.get(at + 1).is_some_and(u8::is_ascii_digit) => {
            return Err(Wrong::At(at, "a number may not begin with 0"));
        }
        _ => digits(text, at)?,
    };
    if text.get(at) == Some(&b'.') {
        at = digits(text, at + 1)?;
    }
    if let Some(b'e' | b'E') = text.get(at) {
        at += 1;
        if let Some(b'+' | b'-') = text.get(at) {
            at += 1;
        }
        at = digits(text, at)?;
    }
    Ok(at)
}

#[inline]
fn digits(text: &[u8], from: usize) -> Result<usize, Wrong> {
    let mut at = from;
    while text.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    if at == from { Err(wrong(text, at, "expected a digit")) } else { Ok(at) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_the_grammar_are_taken() {
        for text in [
            "null",
            "true",
            "false",
            "0",
            "-0",
            "1.5",
            "-1e5",
            "1E-7",
            "1e+05",
            r#""""#,
            r#""\u00e9\ud800""#,
            "[]",
            "{}",
            "[1,2]",
            r#"{"a":1,"a":2}"#,
            r#"{"":{"b":[[],{}]}}"#,
            "\"\u{7f}\u{2028}é💣\"",
        ] {
            assert_eq!(check(text.as_bytes()), Ok(0..text.len()), "{text}");
            let padded = format!(" \t\r\n{text}\n ");
            assert_eq!(check(padded.as_bytes()), Ok(4..4 + text.len()), "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_refused_where_it_goes_wrong() {
        for (text, at) in [
            ("nan", 0),
            ("NaN", 0),
            ("Infinity", 0),
            ("-Infinity", 1),
            ("+1", 0),
            ("01", 0),
            ("-01", 1),
            ("1.", 2),
            (".5", 0),
            ("1e", 2),
            ("1e+", 3),
            ("-", 1),
            ("[1,]", 3),
            ("{\"a\":1,}", 7),
            ("{a:1}", 1),
            ("{1:2}", 1),
            ("'a'", 0),
            ("# x\n1", 0),
            ("[1 # x\n]", 3),
            ("/**/1", 0),
            ("b\"a\"", 0),
            ("\"\n\"", 1),
            ("\"\\x41\"", 2),
            ("\"\\u12g4\"", 5),
            ("tru", 0),
            ("nul", 0),
            ("[", 1),
            ("{\"a\"", 4),
            ("{\"a\":", 5),
            ("\"a", 2),
            ("\u{feff}1", 0),
            ("[1}", 2),
            ("{\"a\":1]", 6),
            ("]", 0),
            ("\u{a0}1", 0),
            ("[1 2]", 3),
            ("\u{c}1", 0),
        ] {
            match check(text.as_bytes()) {
                Err(Wrong::At(found, _)) => assert_eq!(found, at, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
        assert_eq!(check(b"\"\xff\""), Err(Wrong::At(1, "the bytes are not UTF-8")));
    }

    #[test]
    fn nothing_more_than_one_and_too_deep() {
        assert_eq!(check(b""), Err(Wrong::Empty));
        assert_eq!(check(b" \r\n\t"), Err(Wrong::Empty));
        assert_eq!(check(b"1 2"), Err(Wrong::Trailing(2)));
        assert_eq!(check(b"{}{}"), Err(Wrong::Trailing(2)));
        assert_eq!(check(b"truex"), Err(Wrong::Trailing(4)));
        let deep = |n| [b"[".repeat(n), b"]".repeat(n)].concat();
        assert_eq!(check(&deep(512)), Ok(0..1024));
        assert_eq!(check(&deep(513)), Err(Wrong::TooDeep));
        assert_eq!(check(&deep(100_000)), Err(Wrong::TooDeep));
        assert_eq!(check(&b"{\"a\":".repeat(100_000)), Err(Wrong::TooDeep));
    }
}
