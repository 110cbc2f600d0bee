//! Format strings (`%k %v %o ...`): parsed once, then written per record or read from input; never touches I/O.

mod read;
mod write;

pub use read::{Input, InputFormat, InputHeader, Step};
pub use write::Fields;

/// A parsed format string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(Vec<u8>),
    Text(Text, TextAs),
    Number(Number, NumberAs),
    /// `%d{rfc3339}` and `%d{strftime[...]}`, output only.
    Time(TimeAs),
    /// `%h{...}`: the inner format for each header, where `%k` and `%v` are its name and value.
    Headers(Format),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Text {
    Topic,
    Key,
    Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TextAs {
    Raw,
    Hex,
    Base64,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Number {
    Partition,
    Offset,
    LeaderEpoch,
    Timestamp,
    KeyLen,
    ValueLen,
    HeaderCount,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NumberAs {
    Decimal,
    Hex,
    /// So many bytes (1, 2, 4, 8), the most significant first.
    Big(usize),
    Little(usize),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum TimeAs {
    Rfc3339,
    Strftime(String),
}

impl Format {
    /// Reads a format string.
    ///
    /// # Errors
    /// A line that names what was found, where, and what is allowed.
    pub fn parse(text: &str) -> Result<Format, String> {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let piece = match rest.strip_prefix('%') {
                Some(after) => {
                    let (piece, left) = verb(after)?;
                    rest = left;
                    piece
                }
                None => {
                    let end = rest.find('%').unwrap_or(rest.len());
                    let (literal, left) = rest.split_at(end);
                    rest = left;
                    Piece::Literal(unescape(literal)?)
                }
            };
            match (pieces.last_mut(), piece) {
                (Some(Piece::Literal(before)), Piece::Literal(more)) => before.extend(more),
                (_, piece) => pieces.push(piece),
            }
        }
        Ok(Format { pieces })
    }
}

/// The piece behind a `%`, and what follows it.
fn verb(after: &str) -> Result<(Piece, &str), String> {
    let mut letters = after.chars();
    let letter = letters.next().ok_or("the format ends with a single %; write %% for the sign itself")?;
    let (modifier, rest) = braces(letters.as_str())?;
    let piece = match letter {
        // Nothing belongs behind it, so that "%%{" is a percent sign and a brace.
        '%' => return Ok((Piece::Literal(b"%".to_vec()), letters.as_str())),
        't' => Piece::Text(Text::Topic, text_as(letter, modifier)?),
        'k' => Piece::Text(Text::Key, text_as(letter, modifier)?),
        'v' | 's' => Piece::Text(Text::Value, text_as(letter, modifier)?),
        'p' => Piece::Number(Number::Partition, number_as(letter, modifier)?),
        'o' => Piece::Number(Number::Offset, number_as(letter, modifier)?),
        'e' => Piece::Number(Number::LeaderEpoch, number_as(letter, modifier)?),
        'K' => Piece::Number(Number::KeyLen, number_as(letter, modifier)?),
        'V' | 'S' => Piece::Number(Number::ValueLen, number_as(letter, modifier)?),
        'H' => Piece::Number(Number::HeaderCount, number_as(letter, modifier)?),
        'd' => time(modifier)?,
        'h' => Piece::Headers(headers(modifier)?),
        other => {
            return Err(format!(
                "%{other} is no verb; allowed are %t %p %o %e %k %v %s %d %h{{...}} %K %V %S %H and %%"
            ));
        }
    };
    Ok((piece, rest))
}

/// The text in braces at the start, braces inside balanced, and what follows.
fn braces(text: &str) -> Result<(Option<&str>, &str), String> {
    if !text.starts_with('{') {
        return Ok((None, text));
    }
    let mut depth = 0usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Ok((text.get(1..at), text.get(at + 1..).unwrap_or_default()));
        }
    }
    Err(format!("the brace in {text:?} is not closed"))
}

fn text_as(letter: char, modifier: Option<&str>) -> Result<TextAs, String> {
    match modifier {
        None => Ok(TextAs::Raw),
        Some("hex") => Ok(TextAs::Hex),
        Some("base64") => Ok(TextAs::Base64),
        Some("json") => Ok(TextAs::Json),
        Some(other) => Err(format!("%{letter}{{{other}}} is unknown; allowed are hex, base64 and json")),
    }
}

fn number_as(letter: char, modifier: Option<&str>) -> Result<NumberAs, String> {
    let Some(modifier) = modifier else { return Ok(NumberAs::Decimal) };
    let width = |bits: &str| match bits {
        "8" => Some(1),
        "16" => Some(2),
        "32" => Some(4),
        "64" => Some(8),
        _ => None,
    };
    let found = match modifier {
        "ascii" => Some(NumberAs::Decimal),
        "hex" => Some(NumberAs::Hex),
        other => match (other.strip_prefix("big"), other.strip_prefix("little")) {
            (Some(bits), _) => width(bits).map(NumberAs::Big),
            (_, Some(bits)) => width(bits).map(NumberAs::Little),
            _ => None,
        },
    };
    found.ok_or_else(|| {
        format!("%{letter}{{{modifier}}} is unknown; allowed are hex, big8 to big64 and little8 to little64")
    })
}

fn time(modifier: Option<&str>) -> Result<Piece, String> {
    match modifier {
        Some("rfc3339") => Ok(Piece::Time(TimeAs::Rfc3339)),
        Some(other) if other.starts_with("strftime[") && other.ends_with(']') => {
            let pattern = other.get("strftime[".len()..other.len() - 1).unwrap_or_default();
            super::times::strftime(0, pattern).map_err(|error| format!("%d{{{other}}}: {error}"))?;
            Ok(Piece::Time(TimeAs::Strftime(pattern.to_owned())))
        }
        other => number_as('d', other).map(|how| Piece::Number(Number::Timestamp, how)).map_err(|_| {
            let found = other.unwrap_or_default();
            format!("%d{{{found}}} is unknown; allowed are rfc3339, strftime[...], hex, big64 and the like")
        }),
    }
}

fn headers(modifier: Option<&str>) -> Result<Format, String> {
    let inner = modifier.ok_or("%h needs a format of its own, like %h{%k=%v,}")?;
    let inner = Format::parse(inner)?;
    let belongs = |piece: &Piece| match piece {
        Piece::Literal(_) => true,
        Piece::Text(text, _) => *text != Text::Topic,
        Piece::Number(number, _) => matches!(number, Number::KeyLen | Number::ValueLen),
        Piece::Time(_) | Piece::Headers(_) => false,
    };
    if inner.pieces.iter().all(belongs) {
        Ok(inner)
    } else {
        Err("in %h{...} only %k, %v, %K and %V of the header are there".to_owned())
    }
}

/// Bytes of a text with the escapes `\n \t \r \0 \\ \xNN`: delimiters and the literal parts of formats.
///
/// # Errors
/// A line that names the escape and what is allowed.
pub fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        out.push(match bytes.next() {
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(b'r') => b'\r',
            Some(b'0') => 0,
            Some(b'\\') => b'\\',
            Some(b'x') => {
                let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
                match (digit(bytes.next()), digit(bytes.next())) {
                    (Some(high), Some(low)) => (high * 16 + low) as u8,
                    _ => return Err(format!("in {text:?} \\x needs two hexadecimal digits")),
                }
            }
            _ => return Err(format!("in {text:?} a backslash is followed by none of n t r 0 \\ xNN")),
        });
    }
    Ok(out)
}

/// A record delimiter: as [`unescape`], and not empty.
///
/// # Errors
/// A line that says what is allowed.
pub fn delimiter(text: &str) -> Result<Vec<u8>, String> {
    match unescape(text)? {
        bytes if bytes.is_empty() => Err("a delimiter has at least one byte".to_owned()),
        bytes => Ok(bytes),
    }
}

#[cfg(test)]
mod tests;
