//! Whose certificate it is: the subject as RFC 2253 text, letter for letter what Java's `X500Principal.getName()`
//! gives, so that rules made for Apache Kafka hold here; it checks no signature and must never be asked to.

use super::AuthError;
use super::der::{Element, expect, identifier, next, tag};

/// Attribute types that have a name in RFC 2253; all others are said by number.
const NAMES: &[(&str, &str)] = &[
    ("2.5.4.3", "CN"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
];

/// Tags whose bytes Java takes for text: UTF8String, PrintableString, T61String, IA5String, GeneralString, BMPString.
const TEXTS: [u8; 6] = [0x0c, 0x13, 0x14, 0x16, 0x1b, 0x1e];

/// The subject of a certificate (X.509, DER): `CN=alice,O=x`, most special part first; empty if it has none.
///
/// # Errors
/// `Certificate`: it is not a certificate as far as the subject.
pub fn subject(der: &[u8]) -> Result<String, AuthError> {
    let certificate = expect(&mut { der }, tag::SEQUENCE)?;
    let mut fields = expect(&mut { certificate.inside }, tag::SEQUENCE)?.inside;
    let mut after_version = fields;
    if next(&mut after_version)?.is_some_and(|first| first.tag == tag::VERSION) {
        fields = after_version;
    }
    expect(&mut fields, tag::INTEGER)?;
    for _algorithm_issuer_validity in 0..3 {
        expect(&mut fields, tag::SEQUENCE)?;
    }
    name(expect(&mut fields, tag::SEQUENCE)?)
}

/// A name (`RDNSequence`): its parts from the last to the first.
fn name(sequence: Element<'_>) -> Result<String, AuthError> {
    let mut parts = Vec::new();
    let mut rest = sequence.inside;
    while !rest.is_empty() {
        let set = expect(&mut rest, tag::SET)?;
        let mut attributes = Vec::new();
        let mut inside = set.inside;
        while !inside.is_empty() {
            attributes.push(attribute(expect(&mut inside, tag::SEQUENCE)?)?);
        }
        parts.push(attributes.join("+"));
    }
    parts.reverse();
    Ok(parts.join(","))
}

fn attribute(pair: Element<'_>) -> Result<String, AuthError> {
    let mut rest = pair.inside;
    let identifier = identifier(expect(&mut rest, tag::OBJECT_IDENTIFIER)?.inside)?;
    let value = next(&mut rest)?.ok_or(AuthError::Certificate("an attribute of its subject has no value"))?;
    let named = NAMES.iter().find(|(number, _)| *number == identifier);
    Ok(match named {
        Some((_, name)) if TEXTS.contains(&value.tag) => format!("{name}={}", escaped(&text(value.inside))),
        Some((_, name)) => format!("{name}=#{}", hex(value.whole)),
        None => format!("{identifier}=#{}", hex(value.whole)),
    })
}

/// Java reads every kind of text as UTF-8 and puts U+FFFD for what is not; half a UTF-16 pair is one such, not three.
fn text(bytes: &[u8]) -> String {
    let half = |three: &[u8]| matches!(three, [0xed, 0xa0..=0xbf, 0x80..=0xbf]);
    let mut whole = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, behind)) = rest.split_first() {
        match rest.split_at_checked(3) {
            Some((three, behind)) if half(three) => {
                whole.extend_from_slice("\u{fffd}".as_bytes());
                rest = behind;
            }
            _ => {
                whole.push(first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&whole).into_owned()
}

/// A value with what RFC 2253 escapes, and what Java escapes besides: `=`, every `#`, NUL, and carriage returns at
/// either end.
fn escaped(value: &str) -> String {
    let blank = |letter: char| letter == ' ' || letter == '\r';
    let inner = value.trim_matches(blank);
    let lead = value.len() - value.trim_start_matches(blank).len();
    let edge = |out: &mut String, blanks: &str| {
        for letter in blanks.chars() {
            out.push('\\');
            out.push(letter);
        }
    };
    let mut out = String::with_capacity(value.len());
    let (before, behind) = value.split_at_checked(lead).unwrap_or((value, ""));
    edge(&mut out, before);
    for letter in inner.chars() {
        match letter {
            '\0' => out.push_str("\\00"),
            ',' | '=' | '+' | '<' | '>' | '#' | ';' | '"' | '\\' => {
                out.push('\\');
                out.push(letter);
            }
            _ => out.push(letter),
        }
    }
    edge(&mut out, behind.strip_prefix(inner).unwrap_or_default());
    out
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of: a name as DER, and `=` and the text that Java printed for it; both in hex.
    const NAMES_BY_JAVA: &str = include_str!("certificate/names.txt");

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let inside = parts.concat();
        let len = u16::try_from(inside.len()).unwrap();
        let head = match len {
            0..0x80 => vec![tag, len as u8],
            0x80..0x100 => vec![tag, 0x81, len as u8],
            _ => [&[tag, 0x82][..], &len.to_be_bytes()].concat(),
        };
        [head, inside].concat()
    }

    fn certificate(version: &[u8], name: &[u8]) -> Vec<u8> {
        let sequence = element(0x30, &[]);
        let parts = [version, &[2, 1, 5], &sequence, &sequence, &sequence, name, &sequence];
        element(0x30, &[&element(0x30, &parts), &sequence, &[3, 1, 0]])
    }

    #[test]
    fn subjects_read_as_java_prints_them() {
        let version = element(0xa0, &[&[2, 1, 2]]);
        let mut seen = 0;
        for line in NAMES_BY_JAVA.lines() {
            let (der, text) = line.split_once(' ').unwrap();
            let expected = String::from_utf8(bytes(text)).unwrap();
            for version in [&version[..], &[]] {
                let found = subject(&certificate(version, &bytes(der))).unwrap();
                assert_eq!(format!("={found}"), expected, "{der}");
            }
            seen += 1;
        }
        assert!(seen > 60);
    }

    #[test]
    fn a_cut_certificate_is_refused_at_every_byte() {
        let name = bytes(NAMES_BY_JAVA.lines().nth(1).unwrap().split_once(' ').unwrap().0);
        let whole = certificate(&[], &name);
        assert_eq!(subject(&whole).unwrap(), "CN=alice,O=x,C=DE");
        for cut in 0..whole.len() {
            assert!(subject(&whole[..cut]).is_err(), "{cut}");
        }
        for at in 0..whole.len() {
            for value in [0, 0x30, 0x7f, 0x80, 0x84, 0xff] {
                let mut hurt = whole.clone();
                hurt[at] = value;
                let _ = subject(&hurt);
            }
        }
    }
}
