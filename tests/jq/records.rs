//! Makes records: JSON texts with every oddity that the grammar allows, and some that it does not.

use fastrand::Rng;

/// Numbers whose text or value is where implementations differ.
pub(super) const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "1",
    "-1",
    "2",
    "3",
    "7",
    "10",
    "42",
    "1.0",
    "-1.0",
    "0.0",
    "-0.0",
    "1.50",
    "1e2",
    "1E-7",
    "1e+2",
    "0.1",
    "0.2",
    "0.30000000000000004",
    "100000000000000000",
    "123456789.125",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "12345678901234567890",
    "1e17",
    "1e16",
    "1e300",
    "1e400",
    "-1e400",
    "1e-400",
    "5e-324",
    "1.7976931348623157e308",
    "0.00001",
    "0.000001",
    "3.141592653589793",
    "1e1000",
    "2.5",
    "4503599627370497.5",
];

/// Insides of strings, escapes as they stand in the record.
pub(super) const STRINGS: &[&str] = &[
    "",
    "a",
    "b",
    "x",
    "item",
    "price",
    "widget",
    "error",
    "2024-05-06T07:08:09Z",
    "é",
    "日本語",
    "💣",
    r"\n",
    r"\u00e9",
    r"\u0041bc",
    r#"a\"b"#,
    r"a\\b",
    r"a\/b",
    r"\ud83d\ude00",
    r"\ud800",
    r"\udc00x",
    r"\u0000",
    r"\u001f",
    "\u{7f}",
    "\u{2028}",
    "the quick brown fox jumps over the lazy dog",
    r"\b\f\r\t",
    "1",
    "null",
    "ABC",
    "[1,2]",
    r#"{\"a\":1}"#,
];

/// Keys, as they stand in the record; some say the same with an escape.
pub(super) const KEYS: &[&str] = &[
    "a",
    "b",
    "c",
    "item",
    "sales",
    "quantity",
    "user",
    "name",
    "tags",
    "x y",
    "é",
    r"\u0061",
    r"it\u0065m",
    r"a\nb",
    "",
];

fn blank(random: &mut Rng, out: &mut String) {
    while random.u8(..8) == 0 {
        out.push(*random.choice(&[' ', '\t', '\n', '\r']).unwrap());
    }
}

fn scalar(random: &mut Rng, out: &mut String) {
    match random.u8(..8) {
        0 => out.push_str("null"),
        1 => out.push_str("true"),
        2 => out.push_str("false"),
        3 => out.push_str(&random.i64(-1000..1000).to_string()),
        4 => out.push_str(&format!("{}", f64::from(random.i32(-100_000..100_000)) / 64.0)),
        5 => out.push_str(random.choice(NUMBERS).unwrap()),
        _ => {
            out.push('"');
            out.push_str(random.choice(STRINGS).unwrap());
            out.push('"');
        }
    }
}

fn value(random: &mut Rng, left: usize, out: &mut String) {
    blank(random, out);
    match random.u8(..8) {
        0 if left > 0 => {
            out.push('[');
            blank(random, out);
            for i in 0..random.usize(..5) {
                if i > 0 {
                    out.push(',');
                }
                value(random, left - 1, out);
            }
            out.push(']');
        }
        1 | 2 if left > 0 => object(random, left, KEYS, out),
        _ => scalar(random, out),
    }
    blank(random, out);
}

fn object(random: &mut Rng, left: usize, keys: &[&str], out: &mut String) {
    out.push('{');
    blank(random, out);
    for i in 0..random.usize(..7) {
        if i > 0 {
            out.push(',');
        }
        blank(random, out);
        out.push('"');
        out.push_str(random.choice(keys).unwrap());
        out.push('"');
        blank(random, out);
        out.push(':');
        value(random, left - 1, out);
    }
    out.push('}');
}

/// Mostly an object with the keys that the filters ask for, sometimes any value.
pub(super) fn record(random: &mut Rng) -> String {
    let mut out = String::new();
    blank(random, &mut out);
    match random.u8(..8) {
        0 => value(random, 4, &mut out),
        // Each plain key at most once in most records, so that the fast path is not given up.
        1..5 => {
            let mut keys: Vec<&str> = KEYS[..9].to_vec();
            random.shuffle(&mut keys);
            out.push('{');
            for (i, key) in keys[..random.usize(..9)].iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                blank(random, &mut out);
                out.push_str(&format!("\"{key}\":"));
                match random.bool() {
                    true => scalar(random, &mut out),
                    false => value(random, 3, &mut out),
                }
            }
            out.push('}');
        }
        _ => object(random, 4, KEYS, &mut out),
    }
    blank(random, &mut out);
    out
}

/// A record with a few bytes changed, cut or added.
pub(super) fn damaged(random: &mut Rng) -> Vec<u8> {
    let mut bytes = record(random).into_bytes();
    for _ in 0..random.usize(1..4) {
        let at = random.usize(..=bytes.len());
        match random.u8(..4) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, *random.choice(b"{}[]\",:\\0-.eE \x00\xff\xc3n").unwrap()),
            2 if at < bytes.len() => bytes[at] = random.u8(..),
            _ if at < bytes.len() => drop(bytes.remove(at)),
            _ => {}
        }
    }
    bytes
}
