//! Durations and sizes as people write them: `500ms 90s 5m 2h 7d`, `64K 1M 1G`; never a guess at a missing unit.

use std::fmt;
use std::time::Duration;

const DURATIONS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const SIZES: [(&str, u64); 5] = [("", 1), ("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30), ("T", 1 << 40)];

/// Why a text is no duration or size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadUnit {
    /// Does not begin with a number.
    NoNumber,
    /// A duration of a number alone: seconds and milliseconds are both plausible.
    NoUnit(String),
    /// A unit that does not exist; holds it.
    Unit(String),
    /// More than 64 bits hold, in milliseconds or bytes.
    TooLarge,
}

impl fmt::Display for BadUnit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoNumber => write!(out, "it does not begin with a whole number"),
            Self::NoUnit(number) => write!(out, "the unit is missing; write {number}s or {number}ms"),
            Self::Unit(unit) => write!(out, "there is no unit {unit:?}"),
            Self::TooLarge => write!(out, "the number is too large"),
        }
    }
}

impl std::error::Error for BadUnit {}

/// Reads a duration: a whole number and one of `ms s m h d`. A bare `0` is allowed.
pub fn parse_duration(text: &str) -> Result<Duration, BadUnit> {
    let (number, unit) = split(text)?;
    if unit.is_empty() {
        return if number == 0 { Ok(Duration::ZERO) } else { Err(BadUnit::NoUnit(number.to_string())) };
    }
    let (_, ms) = DURATIONS.iter().find(|(name, _)| *name == unit).ok_or_else(|| bad(unit))?;
    number.checked_mul(*ms).map(Duration::from_millis).ok_or(BadUnit::TooLarge)
}

/// Reads a size in bytes: a whole number, alone or with one of `K M G T` (powers of 1024, either case).
pub fn parse_size(text: &str) -> Result<u64, BadUnit> {
    let (number, unit) = split(text)?;
    let found = SIZES.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit));
    let (_, bytes) = found.ok_or_else(|| bad(unit))?;
    number.checked_mul(*bytes).ok_or(BadUnit::TooLarge)
}

fn bad(unit: &str) -> BadUnit {
    BadUnit::Unit(unit.to_owned())
}

fn split(text: &str) -> Result<(u64, &str), BadUnit> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err(BadUnit::NoNumber);
    }
    Ok((number.parse().map_err(|_| BadUnit::TooLarge)?, unit))
}

/// A duration in the largest unit that holds it as a whole number: what [`parse_duration`] reads back
/// (to the millisecond).
pub fn show_duration(duration: Duration) -> String {
    let ms = duration.as_millis();
    let fitting = DURATIONS.iter().rev().find(|(_, unit)| ms != 0 && ms.is_multiple_of(u128::from(*unit)));
    let (name, unit) = fitting.unwrap_or(&DURATIONS[1]);
    format!("{}{name}", ms / u128::from(*unit))
}

/// A size for people: at most one decimal, the unit a power of 1024.
pub fn show_size(bytes: u64) -> String {
    let (name, unit) = SIZES.iter().rev().find(|(_, unit)| bytes >= *unit).unwrap_or(&SIZES[0]);
    if bytes.is_multiple_of(*unit) {
        return format!("{}{name}", bytes / unit);
    }
    let tenths = u128::from(bytes) * 10 / u128::from(*unit);
    format!("{}.{}{name}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_both_ways() {
        for (text, ms) in [
            ("500ms", 500),
            ("90s", 90_000),
            ("5m", 300_000),
            ("2h", 7_200_000),
            ("7d", 604_800_000),
            ("0s", 0),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
            assert_eq!(show_duration(Duration::from_millis(ms)), text);
        }
        assert_eq!(show_duration(Duration::from_millis(120_000)), "2m");
        assert_eq!(parse_duration("0"), Ok(Duration::ZERO));
    }

    #[test]
    fn what_is_no_duration() {
        assert_eq!(parse_duration("10"), Err(BadUnit::NoUnit("10".into())));
        assert_eq!(parse_duration("ten"), Err(BadUnit::NoNumber));
        assert_eq!(parse_duration(""), Err(BadUnit::NoNumber));
        assert_eq!(parse_duration("-1s"), Err(BadUnit::NoNumber));
        assert_eq!(parse_duration("3w"), Err(BadUnit::Unit("w".into())));
        assert_eq!(parse_duration("99999999999999999999s"), Err(BadUnit::TooLarge));
        assert_eq!(parse_duration("9999999999999999999d"), Err(BadUnit::TooLarge));
    }

    #[test]
    fn sizes_both_ways() {
        for (text, bytes) in
            [("0", 0), ("89", 89), ("64K", 65_536), ("1M", 1 << 20), ("3G", 3 << 30), ("2T", 2 << 40)]
        {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
            assert_eq!(show_size(bytes), text);
        }
        assert_eq!(parse_size("64k"), Ok(65_536));
        assert_eq!(show_size(1536), "1.5K");
        assert_eq!(show_size((1 << 20) + 1), "1.0M");
        assert_eq!(parse_size("1KB"), Err(BadUnit::Unit("KB".into())));
        assert_eq!(parse_size("17179869184G"), Err(BadUnit::TooLarge));
    }
}
