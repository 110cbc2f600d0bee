//! Writing a record by a format string into a buffer; allocates for times and JSON texts only.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Format, Number, NumberAs, Piece, Text, TextAs, TimeAs};
use crate::cli::times;
use crate::client::{Header, Headers};

/// What a format can show of a record.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a> {
    /// The topic's name.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// The leader epoch of its batch, -1 for none.
    pub leader_epoch: i32,
    /// In ms, -1 for none.
    pub timestamp: i64,
    /// `None` is null.
    pub key: Option<&'a [u8]>,
    /// `None` is null.
    pub value: Option<&'a [u8]>,
    /// In order.
    pub headers: Headers<'a>,
}

impl Format {
    /// Appends the record to `out`. Null shows as nothing, its length as -1.
    pub fn write(&self, out: &mut Vec<u8>, record: &Fields<'_>) {
        for piece in &self.pieces {
            match piece {
                Piece::Literal(bytes) => out.extend_from_slice(bytes),
                Piece::Text(what, how) => match what {
                    Text::Topic => put_text(out, *how, Some(record.topic.as_bytes())),
                    Text::Key => put_text(out, *how, record.key),
                    Text::Value => put_text(out, *how, record.value),
                },
                Piece::Number(what, how) => put_number(out, *how, number(*what, record)),
                Piece::Time(how) => put_time(out, how, record.timestamp),
                Piece::Headers(inner) => {
                    for header in record.headers {
                        inner.write_header(out, &header);
                    }
                }
            }
        }
    }

    fn write_header(&self, out: &mut Vec<u8>, header: &Header<'_>) {
        for piece in &self.pieces {
            match piece {
                Piece::Literal(bytes) => out.extend_from_slice(bytes),
                Piece::Text(Text::Key, how) => put_text(out, *how, Some(header.key)),
                Piece::Text(_, how) => put_text(out, *how, header.value),
                Piece::Number(Number::KeyLen, how) => put_number(out, *how, length(Some(header.key))),
                Piece::Number(_, how) => put_number(out, *how, length(header.value)),
                Piece::Time(_) | Piece::Headers(_) => {}
            }
        }
    }
}

fn number(what: Number, record: &Fields<'_>) -> i64 {
    match what {
        Number::Partition => record.partition.into(),
        Number::Offset => record.offset,
        Number::LeaderEpoch => record.leader_epoch.into(),
        Number::Timestamp => record.timestamp,
        Number::KeyLen => length(record.key),
        Number::ValueLen => length(record.value),
        Number::HeaderCount => record.headers.len() as i64,
    }
}

fn length(bytes: Option<&[u8]>) -> i64 {
    bytes.map_or(-1, |bytes| bytes.len() as i64)
}

fn put_text(out: &mut Vec<u8>, how: TextAs, bytes: Option<&[u8]>) {
    match (how, bytes) {
        (TextAs::Json, bytes) => crate::cli::envelope::put_text(out, bytes),
        (_, None) => {}
        (TextAs::Raw, Some(bytes)) => out.extend_from_slice(bytes),
        (TextAs::Hex, Some(bytes)) => {
            for byte in bytes {
                let digit = |value: u8| b"0123456789abcdef"[usize::from(value & 15)];
                out.extend_from_slice(&[digit(byte >> 4), digit(*byte)]);
            }
        }
        (TextAs::Base64, Some(bytes)) => out.extend_from_slice(STANDARD.encode(bytes).as_bytes()),
    }
}

fn put_number(out: &mut Vec<u8>, how: NumberAs, value: i64) {
    // Writing into a Vec can not fail.
    match how {
        NumberAs::Decimal => drop(write!(out, "{value}")),
        NumberAs::Hex => drop(write!(out, "{value:x}")),
        NumberAs::Big(width) => {
            let bytes = value.to_be_bytes();
            out.extend_from_slice(bytes.get(8 - width..).unwrap_or(&bytes));
        }
        NumberAs::Little(width) => {
            let bytes = value.to_le_bytes();
            out.extend_from_slice(bytes.get(..width).unwrap_or(&bytes));
        }
    }
}

fn put_time(out: &mut Vec<u8>, how: &TimeAs, ms: i64) {
    let text = match how {
        TimeAs::Rfc3339 => times::rfc3339(ms),
        TimeAs::Strftime(_) if ms < 0 => None,
        TimeAs::Strftime(pattern) => times::strftime(ms, pattern).ok(),
    };
    out.extend_from_slice(text.as_deref().unwrap_or("-").as_bytes());
}
