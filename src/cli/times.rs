//! Times as people write them to epoch milliseconds and back: the only file that names jiff; never reads a clock.

use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};

use crate::model::units::parse_duration;

/// A time as RFC 3339, a date (midnight, local), a date and time (local), epoch milliseconds, `now`, or so long ago
/// (`-1h`), as epoch milliseconds. The error says what is allowed.
pub fn parse(text: &str, now_ms: i64) -> Result<i64, String> {
    let wrong = || {
        format!(
            "{text:?} is no time; allowed are RFC 3339, a date, epoch milliseconds, 'now' and '-1h' (so long ago)"
        )
    };
    if text == "now" {
        return Ok(now_ms);
    }
    if let Some(ago) = text.strip_prefix('-') {
        let ago = parse_duration(ago).map_err(|_| wrong())?;
        return Ok(now_ms.saturating_sub(i64::try_from(ago.as_millis()).unwrap_or(i64::MAX)));
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        return text.parse().map_err(|_| wrong());
    }
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Ok(timestamp.as_millisecond());
    }
    let local =
        text.parse::<civil::DateTime>().or_else(|_| text.parse::<civil::Date>().map(civil::Date::into));
    let zoned = local.and_then(|local| local.to_zoned(TimeZone::system()));
    zoned.map(|zoned| zoned.timestamp().as_millisecond()).map_err(|_| wrong())
}

/// Epoch milliseconds as RFC 3339 in UTC with milliseconds; nothing for a time outside the calendar (or "none", -1).
pub fn rfc3339(ms: i64) -> Option<String> {
    if ms < 0 {
        return None;
    }
    let timestamp = Timestamp::from_millisecond(ms).ok()?;
    Some(format!("{timestamp:.3}"))
}

/// Epoch milliseconds by a strftime pattern, in UTC.
pub fn strftime(ms: i64, pattern: &str) -> Result<String, String> {
    let timestamp = Timestamp::from_millisecond(ms).map_err(|error| error.to_string())?;
    let zoned = timestamp.to_zoned(TimeZone::UTC);
    jiff::fmt::strtime::format(pattern, &zoned).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read() {
        let now = 1_730_000_000_000;
        for (text, ms) in [
            ("now", now),
            ("-1h", now - 3_600_000),
            ("1730000000123", 1_730_000_000_123),
            ("0", 0),
            ("2024-10-27T03:33:20Z", now),
            ("2024-10-27T05:33:20.5+02:00", now + 500),
        ] {
            assert_eq!(parse(text, now), Ok(ms), "{text}");
        }
        let midnight = parse("2024-10-27", now).unwrap();
        assert!((midnight - now).abs() <= 24 * 3_600_000, "{midnight}");
        for text in ["", "yesterday", "-", "-5", "2024-13-01", "99999999999999999999"] {
            assert!(parse(text, now).is_err(), "{text}");
        }
    }

    #[test]
    fn times_show() {
        assert_eq!(rfc3339(1_730_000_000_123).as_deref(), Some("2024-10-27T03:33:20.123Z"));
        assert_eq!(rfc3339(-1), None);
        assert_eq!(rfc3339(i64::MAX), None);
        assert_eq!(strftime(0, "%Y-%m-%d"), Ok("1970-01-01".into()));
    }
}
