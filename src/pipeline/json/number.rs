//! Numbers as jq prints them; never prints what is no JSON.

use std::io::Write;

/// What jq prints for a number beyond the range of doubles.
const LARGEST: &[u8] = b"1.7976931348623157e+308";

/// Digits of an integer that is surely a finite double; longer ones are printed as doubles.
const MOST_DIGITS: usize = 308;

/// Appends an integer.
pub(in crate::pipeline) fn push_int(out: &mut Vec<u8>, value: i64) {
    // Writing to a Vec can not fail.
    let _ = write!(out, "{value}");
}

/// Appends a double: integral ones without a point, nan as null, the infinities as the largest double.
pub(in crate::pipeline) fn push_double(out: &mut Vec<u8>, value: f64) {
    let size = value.abs();
    if value.is_nan() {
        out.extend_from_slice(b"null");
    } else if value.is_infinite() {
        push_largest(out, value < 0.0);
    } else if size < 1e17 && value.trunc() == value {
        if value == 0.0 && value.is_sign_negative() {
            out.push(b'-');
        }
        push_int(out, value as i64);
    } else if (1e-5..1e17).contains(&size) {
        let _ = write!(out, "{value}");
    } else {
        let from = out.len();
        let _ = write!(out, "{value:e}");
        sign_exponent(out, from);
    }
}

/// Gives the exponent behind `from` its plus sign, as jq writes it.
fn sign_exponent(out: &mut Vec<u8>, from: usize) {
    let behind = out.iter().skip(from).position(|&byte| byte == b'e').map(|at| from + at + 1);
    if let Some(at) = behind.filter(|&at| out.get(at) != Some(&b'-')) {
        out.insert(at, b'+');
    }
}

fn push_largest(out: &mut Vec<u8>, negative: bool) {
    if negative {
        out.push(b'-');
    }
    out.extend_from_slice(LARGEST);
}

/// Appends a number by its text: the digits stay as they are, unless they say more than a double holds.
pub(in crate::pipeline) fn push_text(out: &mut Vec<u8>, text: &[u8]) {
    match text {
        b"-0" => out.push(b'0'),
        _ if text.len() > MOST_DIGITS && text.iter().all(|byte| matches!(byte, b'-' | b'0'..=b'9')) => {
            push_double(out, double(text));
        }
        _ if exceeds_doubles(text) => push_largest(out, text.first() == Some(&b'-')),
        _ => out.extend_from_slice(text),
    }
}

/// Whether the number that JSON's grammar gives the text `text` lies beyond the range of doubles.
pub(in crate::pipeline) fn exceeds_doubles(text: &[u8]) -> bool {
    let plain = text.len() <= MOST_DIGITS && !text.iter().any(|byte| matches!(byte, b'e' | b'E'));
    !plain && double(text).is_infinite()
}

/// The double nearest to a number's text.
pub(in crate::pipeline) fn double(text: &[u8]) -> f64 {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_print_as_jq_prints_them() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (2.0, "2"),
            (-3.0, "-3"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e16, "10000000000000000"),
            (1e17, "1e+17"),
            (1e300, "1e+300"),
            (1e-7, "1e-7"),
            (0.00001, "0.00001"),
            (-1.5e-9, "-1.5e-9"),
            (123_456.75, "123456.75"),
            (f64::NAN, "null"),
            (f64::INFINITY, "1.7976931348623157e+308"),
            (f64::NEG_INFINITY, "-1.7976931348623157e+308"),
            (f64::MAX, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
        ] {
            let mut out = Vec::new();
            push_double(&mut out, value);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }

    #[test]
    fn texts_keep_their_digits_within_the_range_of_doubles() {
        let (nines, long, least) = ("9".repeat(400), "1".repeat(308), format!("1{}", "0".repeat(308)));
        for (text, printed) in [
            ("-0", "0"),
            ("-0.0", "-0.0"),
            ("1.10", "1.10"),
            ("1E-7", "1E-7"),
            ("12345678901234567890", "12345678901234567890"),
            ("1e1000", "1.7976931348623157e+308"),
            ("-1e1000", "-1.7976931348623157e+308"),
            ("1e-1000", "1e-1000"),
            (&nines, "1.7976931348623157e+308"),
            (&long, &long),
            (&least, "1e+308"),
        ] {
            let mut out = Vec::new();
            push_text(&mut out, text.as_bytes());
            assert_eq!(String::from_utf8(out).unwrap(), printed);
        }
    }
}
