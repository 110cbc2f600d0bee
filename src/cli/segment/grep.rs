//! `--grep`: which records are wanted by their key, value or headers.

use regex::bytes::Regex;

use crate::inspect::Record;

/// One condition; all have to hold.
#[derive(Debug)]
pub(super) struct Grep {
    negated: bool,
    on: On,
    pattern: Regex,
}

#[derive(Debug)]
enum On {
    Key,
    Value,
    Header(String),
}

impl Grep {
    /// Reads `[!]k:RE`, `v:RE` or `h:NAME=RE`.
    pub(super) fn parse(text: &str) -> Result<Grep, String> {
        let (negated, rest) = match text.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let allowed =
            || format!("{text:?} is no condition; allowed are k:RE, v:RE and h:NAME=RE, each after ! too");
        let (kind, rest) = rest.split_once(':').ok_or_else(allowed)?;
        let (on, pattern) = match kind {
            "k" => (On::Key, rest),
            "v" => (On::Value, rest),
            "h" => {
                let (name, pattern) = rest.split_once('=').ok_or_else(allowed)?;
                (On::Header(name.to_owned()), pattern)
            }
            _ => return Err(allowed()),
        };
        let pattern = Regex::new(pattern).map_err(|error| {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            format!("{pattern:?} is no regular expression: {last}")
        })?;
        Ok(Grep { negated, on, pattern })
    }

    /// Whether a record is wanted. Null matches nothing.
    pub(super) fn wants(&self, record: &Record<'_>) -> bool {
        let matches = |bytes: Option<&[u8]>| bytes.is_some_and(|bytes| self.pattern.is_match(bytes));
        let found = match &self.on {
            On::Key => matches(record.key),
            On::Value => matches(record.value),
            On::Header(name) => record
                .headers
                .into_iter()
                .any(|header| header.key == name.as_bytes() && matches(header.value)),
        };
        found != self.negated
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::Headers;

    #[test]
    fn conditions() {
        let mut raw = Vec::new();
        Headers::encode(&[crate::client::Header { key: b"n", value: Some(b"x1") }], &mut raw);
        let record = Record {
            offset: 0,
            timestamp: 0,
            key: Some(b"abc"),
            value: None,
            headers: Headers::new(&raw, 1).unwrap(),
        };
        for (text, wanted) in [
            ("k:^ab", true),
            ("!k:^ab", false),
            ("k:x", false),
            ("v:", false),
            ("!v:.", true),
            ("h:n=^x", true),
            ("h:m=^x", false),
        ] {
            assert_eq!(Grep::parse(text).unwrap().wants(&record), wanted, "{text}");
        }
        for text in ["", "k", "x:y", "h:n", "k:("] {
            assert!(Grep::parse(text).is_err(), "{text}");
        }
    }
}
