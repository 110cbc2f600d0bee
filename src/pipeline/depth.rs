//! How deep raw JSON bytes nest, counted before any parser sees them; never recurses.

/// Most brackets that may be open at once in a record, and in a result.
pub const LIMIT: usize = 512;

/// The most brackets open at once in `text`. Brackets inside strings do not count; the text need not be JSON.
pub fn of(text: &[u8]) -> usize {
    let (mut open, mut most, mut at) = (0usize, 0, 0);
    while let Some(&byte) = text.get(at) {
        match byte {
            b'[' | b'{' => {
                open += 1;
                most = most.max(open);
            }
            b']' | b'}' => open = open.saturating_sub(1),
            b'"' => at = end_of_string(text, at + 1),
            _ => {}
        }
        at += 1;
    }
    most
}

/// Where the closing quote stands of the string whose first byte is at `at`, or the text's end.
fn end_of_string(text: &[u8], mut at: usize) -> usize {
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => return at,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn brackets_outside_strings_count() {
        for (text, depth) in [
            ("", 0),
            ("1", 0),
            ("[]", 1),
            ("[[],{}]", 2),
            (r#"{"a":"[[[\"[["}"#, 1),
            (r#"["\\",[1]]"#, 2),
            ("]]][", 1),
            (r#"["unfinished"#, 1),
            ("\"\\", 0),
        ] {
            assert_eq!(of(text.as_bytes()), depth, "{text}");
        }
        assert_eq!(of(&b"[".repeat(100_000)), 100_000);
    }
}
