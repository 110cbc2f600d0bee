//! Kafka's config format (Java's `.properties`) to entries with their lines; never interprets a value.

use super::file::Entry;

/// Reads `key=value`, `key: value` or `key value` a line; `#` and `!` start a comment; a backslash at the end of a
/// line joins the next one; `\n \t \r \f \uXXXX` are escapes, any other escaped character is itself.
pub fn parse(text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let mut whole = line.to_owned();
        while continues(&whole) {
            whole.pop();
            let Some((_, next)) = lines.next() else { break };
            whole.push_str(next.trim_start());
        }
        let (key, value) = split(&whole);
        entries.push(Entry { name: unescape(key), value: unescape(value.trim_end()), line: index + 1 });
    }
    entries
}

/// Whether the line ends in an odd number of backslashes.
fn continues(line: &str) -> bool {
    line.bytes().rev().take_while(|&byte| byte == b'\\').count() % 2 == 1
}

fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.char_indices().find(|&(_, letter)| {
        let ends = !escaped && (matches!(letter, '=' | ':') || letter.is_whitespace());
        escaped = letter == '\\' && !escaped;
        ends
    });
    let Some((end, _)) = end else { return (line, "") };
    let (key, rest) = line.split_at(end);
    let rest = rest.trim_start();
    (key, rest.strip_prefix(['=', ':']).unwrap_or(rest).trim_start())
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            out.push(letter);
            continue;
        }
        match letters.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('f') => out.push('\u{c}'),
            Some('u') => {
                let digits: String = letters.by_ref().take(4).collect();
                let code = u32::from_str_radix(&digits, 16).ok();
                out.push(code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String, usize)> {
        parse(text).into_iter().map(|entry| (entry.name, entry.value, entry.line)).collect()
    }

    fn pair(name: &str, value: &str, line: usize) -> (String, String, usize) {
        (name.into(), value.into(), line)
    }

    #[test]
    fn kafkas_own_file_reads() {
        let text =
            "# a comment\n\nnum.partitions=3\n listeners = PLAINTEXT://:9092 \n!x\nlog.dirs /a\nempty=\n";
        let read = pairs(text);
        assert_eq!(
            read,
            [
                pair("num.partitions", "3", 3),
                pair("listeners", "PLAINTEXT://:9092", 4),
                pair("log.dirs", "/a", 6),
                pair("empty", "", 7)
            ]
        );
    }

    #[test]
    fn lines_join_and_escapes_count() {
        assert_eq!(pairs("a=1,\\\n   2\nb=c"), [pair("a", "1,2", 1), pair("b", "c", 3)]);
        assert_eq!(pairs("a\\=b=c\\u00e9\\\\\nd:e"), [pair("a=b", "cé\\", 1), pair("d", "e", 2)]);
        assert_eq!(pairs("jaas=x y=\"z\";"), [pair("jaas", "x y=\"z\";", 1)]);
        assert_eq!(pairs("a=\\"), [pair("a", "", 1)]);
    }
}
