//! Reading records by a format string from a growing buffer; says "more" where bytes are missing, never guesses.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;

use super::{Format, Number, NumberAs, Piece, Text, TextAs};

/// Most headers that a count on input may announce.
const MAX_HEADERS: i64 = 100_000;

/// A header read from input: its name, and its value or null.
pub type InputHeader<'b> = (Cow<'b, [u8]>, Option<Cow<'b, [u8]>>);

/// A record read from input; what the format does not mention is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Input<'b> {
    /// Wins over the command line's topic only where there is none.
    pub topic: Option<String>,
    /// The partition to go to.
    pub partition: Option<i32>,
    /// In ms.
    pub timestamp: Option<i64>,
    /// `None` is null.
    pub key: Option<Cow<'b, [u8]>>,
    /// `None` is null.
    pub value: Option<Cow<'b, [u8]>>,
    /// In order.
    pub headers: Vec<InputHeader<'b>>,
}

/// What reading a record from a buffer gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'b> {
    /// A record and how many bytes it took.
    Record(Input<'b>, usize),
    /// The buffer ends within the record.
    More,
    /// The bytes do not fit the format; the text says where.
    Bad(String),
}

/// A format that input can be read by.
#[derive(Debug, Clone)]
pub struct InputFormat {
    pieces: Vec<Piece>,
}

enum Stop {
    More,
    Bad(String),
}

impl Format {
    /// The format for reading. Where it does not end by itself (with a literal, or a verb whose size was read
    /// before), every record ends with `delimiter`.
    ///
    /// # Errors
    /// A line that says which verb can not be read there.
    pub fn for_input(&self, delimiter: &[u8]) -> Result<InputFormat, String> {
        let mut pieces = self.pieces.clone();
        check(&pieces)?;
        let mut sized = (false, false);
        let mut open = true;
        for piece in &pieces {
            open = match piece {
                Piece::Literal(_) => false,
                Piece::Number(what, how) => {
                    sized.0 |= *what == Number::KeyLen;
                    sized.1 |= *what == Number::ValueLen;
                    !matches!(how, NumberAs::Big(_) | NumberAs::Little(_))
                }
                Piece::Text(Text::Key, _) => !sized.0,
                Piece::Text(Text::Value, _) => !sized.1,
                Piece::Headers(inner) => inner.for_input(b"")?.ends_open(),
                _ => true,
            };
        }
        if open {
            pieces.push(Piece::Literal(delimiter.to_vec()));
        }
        Ok(InputFormat { pieces })
    }
}

fn check(pieces: &[Piece]) -> Result<(), String> {
    let mut counted = false;
    for (at, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Time(_) => return Err("on input %d is a number of milliseconds, without {...}".to_owned()),
            Piece::Text(_, TextAs::Json) => return Err("on input {json} can not be read; use -J".to_owned()),
            Piece::Number(Number::HeaderCount, _) => counted = true,
            Piece::Headers(_) if !counted => {
                return Err("on input %h needs their count %H before it".to_owned());
            }
            _ => {}
        }
        let needs_end = |piece: &Piece| match piece {
            Piece::Text(Text::Topic, _) => true,
            Piece::Text(Text::Key, _) => !has(pieces, at, Number::KeyLen),
            Piece::Text(Text::Value, _) => !has(pieces, at, Number::ValueLen),
            _ => false,
        };
        if needs_end(piece) && pieces.get(at + 1).is_some_and(|next| !matches!(next, Piece::Literal(_))) {
            return Err(
                "on input a text verb is followed by a literal, or its size (%K, %V) comes before it"
                    .to_owned(),
            );
        }
    }
    Ok(())
}

fn has(pieces: &[Piece], before: usize, number: Number) -> bool {
    let mut earlier = pieces.iter().take(before);
    earlier.any(|piece| matches!(piece, Piece::Number(what, _) if *what == number))
}

impl InputFormat {
    fn ends_open(&self) -> bool {
        matches!(self.pieces.last(), Some(Piece::Literal(bytes)) if bytes.is_empty())
    }

    /// Reads the first record of `bytes`. At the end of the input a closing literal may be missing.
    pub fn read<'b>(&self, bytes: &'b [u8], at_end: bool) -> Step<'b> {
        let mut cursor = Cursor { bytes, at: 0, at_end };
        let mut record = Input::default();
        match cursor.record(&self.pieces, &mut record) {
            Ok(()) => Step::Record(record, cursor.at),
            Err(Stop::More) if at_end => Step::Bad("the input ends within a record".to_owned()),
            Err(Stop::More) => Step::More,
            Err(Stop::Bad(why)) => Step::Bad(why),
        }
    }
}

struct Cursor<'b> {
    bytes: &'b [u8],
    at: usize,
    at_end: bool,
}

impl<'b> Cursor<'b> {
    fn record(&mut self, pieces: &[Piece], record: &mut Input<'b>) -> Result<(), Stop> {
        let (mut key_len, mut value_len, mut headers) = (None, None, 0);
        for (at, piece) in pieces.iter().enumerate() {
            let until = match pieces.get(at + 1) {
                Some(Piece::Literal(literal)) => literal.as_slice(),
                _ => b"",
            };
            match piece {
                Piece::Literal(literal) => self.literal(literal, at + 1 == pieces.len())?,
                Piece::Text(what, how) => {
                    let size = match what {
                        Text::Topic => None,
                        Text::Key => key_len,
                        Text::Value => value_len,
                    };
                    let bytes = self.text(size, until, *how)?;
                    match what {
                        Text::Topic => record.topic = bytes.map(|b| String::from_utf8_lossy(&b).into_owned()),
                        Text::Key => record.key = bytes,
                        Text::Value => record.value = bytes,
                    }
                }
                Piece::Number(what, how) => {
                    let number = self.number(*how)?;
                    match what {
                        Number::Partition => record.partition = Some(narrow(number, "partition")?),
                        Number::Timestamp => record.timestamp = Some(number),
                        Number::KeyLen => key_len = Some(number),
                        Number::ValueLen => value_len = Some(number),
                        Number::HeaderCount if (0..=MAX_HEADERS).contains(&number) => headers = number,
                        Number::HeaderCount => {
                            return Err(Stop::Bad(format!("{number} headers are too many")));
                        }
                        Number::Offset | Number::LeaderEpoch => {}
                    }
                }
                Piece::Headers(inner) => {
                    for _ in 0..headers {
                        let mut header = Input::default();
                        self.record(&inner.pieces, &mut header)?;
                        record.headers.push((header.key.unwrap_or_default(), header.value));
                    }
                }
                Piece::Time(_) => {}
            }
        }
        Ok(())
    }

    fn rest(&self) -> &'b [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn literal(&mut self, literal: &[u8], last: bool) -> Result<(), Stop> {
        let rest = self.rest();
        if rest.starts_with(literal) {
            self.at += literal.len();
            return Ok(());
        }
        if rest.len() < literal.len() && literal.starts_with(rest) {
            if self.at_end && last {
                self.at = self.bytes.len();
                return Ok(());
            }
            return Err(Stop::More);
        }
        let wanted = String::from_utf8_lossy(literal).into_owned();
        Err(Stop::Bad(format!("{wanted:?} is not found where the format has it")))
    }

    /// A text of `size` bytes (-1 is null), or up to `until`.
    fn text(&mut self, size: Option<i64>, until: &[u8], how: TextAs) -> Result<Option<Cow<'b, [u8]>>, Stop> {
        let rest = self.rest();
        let raw = match size {
            Some(-1) => return Ok(None),
            Some(size) => {
                let size = usize::try_from(size).map_err(|_| Stop::Bad(format!("a size of {size} bytes")))?;
                rest.get(..size).ok_or(Stop::More)?
            }
            None => match memmem::find(rest, until) {
                Some(end) if !until.is_empty() => rest.get(..end).unwrap_or_default(),
                _ if self.at_end => rest,
                _ => return Err(Stop::More),
            },
        };
        self.at += raw.len();
        decode(raw, how).map(Some)
    }

    fn number(&mut self, how: NumberAs) -> Result<i64, Stop> {
        let rest = self.rest();
        let (width, little) = match how {
            NumberAs::Big(width) => (width, false),
            NumberAs::Little(width) => (width, true),
            NumberAs::Decimal => return self.digits(10),
            NumberAs::Hex => return self.digits(16),
        };
        let raw = rest.get(..width).ok_or(Stop::More)?;
        self.at += width;
        let byte = |value: i64, byte: &u8| value << 8 | i64::from(*byte);
        let value = if little { raw.iter().rev().fold(0, byte) } else { raw.iter().fold(0, byte) };
        // Sizes and partitions are signed: -1 is null.
        let unused = 64 - 8 * width as u32;
        Ok(value << unused >> unused)
    }

    fn digits(&mut self, radix: u32) -> Result<i64, Stop> {
        let rest = self.rest();
        let is_digit = |byte: &u8| char::from(*byte).is_digit(radix);
        let sign = usize::from(rest.first() == Some(&b'-'));
        let len = sign + rest.iter().skip(sign).take_while(|byte| is_digit(byte)).count();
        if len == rest.len() && !self.at_end {
            return if len > 20 {
                Err(Stop::Bad("a number of over 20 digits".to_owned()))
            } else {
                Err(Stop::More)
            };
        }
        let text = String::from_utf8_lossy(rest.get(..len).unwrap_or_default()).into_owned();
        self.at += len;
        i64::from_str_radix(&text, radix).map_err(|_| {
            if rest.is_empty() {
                Stop::More
            } else {
                Stop::Bad(format!("a number is expected, {text:?} is found"))
            }
        })
    }
}

fn narrow(number: i64, what: &str) -> Result<i32, Stop> {
    i32::try_from(number).map_err(|_| Stop::Bad(format!("{number} is no {what}")))
}

fn decode(raw: &[u8], how: TextAs) -> Result<Cow<'_, [u8]>, Stop> {
    match how {
        TextAs::Raw | TextAs::Json => Ok(Cow::Borrowed(raw)),
        TextAs::Base64 => match STANDARD.decode(raw) {
            Ok(bytes) => Ok(Cow::Owned(bytes)),
            Err(error) => Err(Stop::Bad(format!("not base64: {error}"))),
        },
        TextAs::Hex => {
            let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
            let (pairs, odd) = raw.as_chunks::<2>();
            let bytes: Option<Vec<u8>> =
                pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
            match bytes {
                Some(bytes) if odd.is_empty() => Ok(Cow::Owned(bytes)),
                _ => Err(Stop::Bad("not pairs of hexadecimal digits".to_owned())),
            }
        }
    }
}
