//! Subscriptions by pattern: RE2/J's syntax as far as the two engines share it, the whole name matched; a pattern is
//! never compiled beyond a bounded size.

use std::collections::BTreeSet;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use super::super::request::GroupError;
use super::super::topics::Topics;

/// The most bytes a compiled pattern may take.
const SIZE_LIMIT: usize = 256 * 1024;
/// The deepest nesting of a pattern.
const NEST_LIMIT: u32 = 64;

/// Compiles a pattern that must match a whole name.
pub(super) fn compile(pattern: &str) -> Result<Regex, GroupError> {
    let build = |pattern: &str| {
        RegexBuilder::new(pattern)
            .size_limit(SIZE_LIMIT)
            .dfa_size_limit(SIZE_LIMIT)
            .nest_limit(NEST_LIMIT)
            .build()
            .map_err(|_| GroupError::InvalidRegex)
    };
    let pattern = &unquoted(pattern);
    // By itself first: a stray parenthesis must not pair with those around it.
    build(pattern)?;
    build(&format!(r"\A(?:{pattern})\z"))
}

/// The pattern with what stands between `\Q` and `\E` as itself: RE2/J knows these, this engine does not.
fn unquoted(pattern: &str) -> String {
    let mut plain = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        plain.push_str(before);
        if let Some(quoted) = escape.strip_prefix("\\Q") {
            let (text, after) = quoted.split_once("\\E").unwrap_or((quoted, ""));
            plain.push_str(&regex::escape(text));
            rest = after;
        } else {
            // The backslash and what it escapes, which may be another backslash.
            let end = escape.char_indices().nth(2).map_or(escape.len(), |(end, _)| end);
            plain.push_str(&escape[..end]);
            rest = &escape[end..];
        }
    }
    plain.push_str(rest);
    plain
}

/// The names that a pattern matches and `may_see` allows.
pub(super) fn resolve(regex: &Regex, topics: &Topics, may_see: &dyn Fn(&str) -> bool) -> BTreeSet<Arc<str>> {
    topics.all_names().filter(|name| regex.is_match(name) && may_see(name)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_whole_names_and_is_bounded() {
        let matches = |pattern: &str, name: &str| compile(pattern).unwrap().is_match(name);
        assert!(matches("a|b", "a") && !matches("a|b", "ab") && !matches("foo", "foobar"));
        assert!(matches("^orders-[0-9]+$", "orders-12") && matches("", "") && !matches("", "a"));
        assert!(matches("(?i)Log.*", "logs"));
        assert!(matches(r"\Qa.b\E+", "a.bb") && !matches(r"\Qa.b\E", "axb") && matches(r"\Qa", "a"));
        assert!(matches(r"\\Q", r"\Q") && matches(r"a\.b", "a.b"));
        for bad in ["(", "a)(b", "[", "*a", "(?=a)", "a{1000}{1000}"] {
            assert_eq!(compile(bad).unwrap_err(), GroupError::InvalidRegex, "{bad}");
        }
        compile(&"(".repeat(100_000)).unwrap_err();
    }
}
