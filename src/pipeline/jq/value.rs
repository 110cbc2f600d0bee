//! Between JSON text and jaq's values; never prints what is no JSON, nor deeper than the limit.

use std::fmt;

use jaq_json::{Map, Num, Val};

use crate::pipeline::depth;
use crate::pipeline::json::check::blank;
use crate::pipeline::json::{number, string};

/// Why a value has no JSON text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unprintable {
    TooDeep,
    Key,
    Bytes,
}

impl fmt::Display for Unprintable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooDeep => write!(f, "a result nests deeper than {} brackets", depth::LIMIT),
            Self::Key => f.write_str("an object in a result has a key that is no string"),
            Self::Bytes => f.write_str("a byte string in a result has no JSON form"),
        }
    }
}

/// The value of checked text that holds nothing else. Recursion is bounded by the check's depth limit.
pub(super) fn read(text: &[u8]) -> Val {
    Reader { text, at: 0 }.value()
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn value(&mut self) -> Val {
        match self.text.get(self.at) {
            Some(b'{') => self.object(),
            Some(b'[') => self.array(),
            Some(b'"') => Val::utf8_str(self.string()),
            Some(b't') => self.word(4, Val::Bool(true)),
            Some(b'f') => self.word(5, Val::Bool(false)),
            Some(b'n') => self.word(4, Val::Null),
            _ => self.number(),
        }
    }

    fn word(&mut self, len: usize, value: Val) -> Val {
        self.at += len;
        value
    }

    /// Moves behind the next byte and the blanks around it; whether that byte is `byte`.
    fn passes(&mut self, byte: u8) -> bool {
        self.at = blank(self.text, self.at);
        let found = self.text.get(self.at) == Some(&byte);
        if found {
            self.at = blank(self.text, self.at + 1);
        }
        found
    }

    fn array(&mut self) -> Val {
        let mut values = Vec::new();
        self.passes(b'[');
        if self.text.get(self.at) != Some(&b']') {
            values.push(self.value());
            while self.passes(b',') {
                values.push(self.value());
            }
        }
        self.at += 1;
        Val::Arr(values.into())
    }

    fn object(&mut self) -> Val {
        let mut values = Map::default();
        self.passes(b'{');
        if self.text.get(self.at) == Some(&b'"') {
            self.entry(&mut values);
            while self.passes(b',') {
                self.entry(&mut values);
            }
        }
        self.at += 1;
        Val::obj(values)
    }

    /// The last of two values with one key wins, in the place of the first.
    fn entry(&mut self, values: &mut Map) {
        let key = Val::utf8_str(self.string());
        self.passes(b':');
        let value = self.value();
        values.insert(key, value);
    }

    fn string(&mut self) -> Vec<u8> {
        let from = self.at + 1;
        let mut escaped = false;
        let rest = self.text.get(from..).unwrap_or_default();
        let mut len = 0;
        while let Some(&byte) = rest.get(len) {
            match byte {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    len += 2;
                }
                _ => len += 1,
            }
        }
        self.at = from + len + 1;
        let raw = rest.get(..len).unwrap_or_default();
        if !escaped {
            return raw.to_vec();
        }
        let mut text = Vec::with_capacity(raw.len());
        string::unescape(raw, &mut text);
        text
    }

    fn number(&mut self) -> Val {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let text = rest.get(..rest.iter().take_while(|byte| digit(byte)).count()).unwrap_or_default();
        // At least one byte, so that reading ends whatever is there.
        self.at += text.len().max(1);
        Val::Num(read_number(text))
    }
}

/// A number of checked text: integers are exact and decimals keep their digits, as far as doubles reach.
fn read_number(text: &[u8]) -> Num {
    if number::exceeds_doubles(text) {
        return Num::Float(number::double(text));
    }
    let text = std::str::from_utf8(text).unwrap_or_default();
    match text.parse() {
        Ok(int) => Num::Int(int),
        Err(_) => Num::from_str_radix(text, 10).unwrap_or_else(|| Num::Dec(text.to_owned().into())),
    }
}

/// Appends `value` as compact JSON.
pub(super) fn print(value: &Val, out: &mut Vec<u8>) -> Result<(), Unprintable> {
    print_within(value, depth::LIMIT, out)
}

fn print_within(value: &Val, left: usize, out: &mut Vec<u8>) -> Result<(), Unprintable> {
    let deeper = || left.checked_sub(1).ok_or(Unprintable::TooDeep);
    match value {
        Val::Null => out.extend_from_slice(b"null"),
        Val::Bool(true) => out.extend_from_slice(b"true"),
        Val::Bool(false) => out.extend_from_slice(b"false"),
        Val::Num(num) => print_number(num, out),
        Val::TStr(text) => string::push_quoted(out, text),
        Val::BStr(_) => return Err(Unprintable::Bytes),
        Val::Arr(values) => {
            let left = deeper()?;
            out.push(b'[');
            for (i, value) in values.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                print_within(value, left, out)?;
            }
            out.push(b']');
        }
        Val::Obj(values) => {
            let left = deeper()?;
            out.push(b'{');
            for (i, (key, value)) in values.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                let Val::TStr(key) = key else { return Err(Unprintable::Key) };
                string::push_quoted(out, key);
                out.push(b':');
                print_within(value, left, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

fn print_number(num: &Num, out: &mut Vec<u8>) {
    match num {
        Num::Int(int) => number::push_int(out, *int as i64),
        Num::BigInt(int) => number::push_text(out, int.to_string().as_bytes()),
        Num::Float(float) => number::push_double(out, *float),
        // A literal in a filter may have zeros in front, which JSON has not.
        Num::Dec(text) if text.trim_start_matches('-').starts_with('0') => print_zero_led(text, out),
        Num::Dec(text) => number::push_text(out, text.as_bytes()),
    }
}

fn print_zero_led(text: &str, out: &mut Vec<u8>) {
    match text.trim_start_matches(['-', '0']).as_bytes().first() {
        Some(b'0'..=b'9') => number::push_double(out, number::double(text.as_bytes())),
        _ if text.trim_start_matches('-').starts_with("00") => {
            number::push_double(out, number::double(text.as_bytes()));
        }
        _ => number::push_text(out, text.as_bytes()),
    }
}

/// A string's bare text, or any other value as compact JSON.
pub(super) fn text(value: &Val) -> Result<Vec<u8>, Unprintable> {
    let mut out = Vec::new();
    match value {
        Val::TStr(text) => out.extend_from_slice(text),
        other => print(other, &mut out)?,
    }
    Ok(out)
}
