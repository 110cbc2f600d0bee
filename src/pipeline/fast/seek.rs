//! Finds members and elements in the text of checked JSON, and the ends of values; never reads what it passes over.

use std::ops::Range;

use super::Bail;
use crate::pipeline::json::check::{Watch, blank};

/// A member of the record's object: where its key lies, quotes left out, and its value.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub key: Range<usize>,
    pub value: Range<usize>,
}

/// Notes the members of the record while it is checked.
pub(super) struct Noting<'a> {
    pub text: &'a [u8],
    pub members: &'a mut Vec<Member>,
    pub escaped_key: &'a mut bool,
}

impl Watch for Noting<'_> {
    #[inline(always)]
    fn key(&mut self, key: Range<usize>) {
        *self.escaped_key |= self.text.get(key.clone()).is_some_and(|key| key.contains(&b'\\'));
        self.members.push(Member { key, value: 0..0 });
    }

    #[inline(always)]
    fn value(&mut self, value: Range<usize>) {
        if let Some(last) = self.members.last_mut() {
            last.value = value;
        }
    }
}

/// Where the value of `key` lies among `members`: the last of several.
#[inline]
pub(super) fn member(text: &[u8], members: &[Member], key: &[u8]) -> Option<Range<usize>> {
    let same = |member: &&Member| member.key.len() == key.len() && text.get(member.key.clone()) == Some(key);
    members.iter().rev().find(same).map(|member| member.value.clone())
}

/// The parts of an array or object, whose text begins at `at`: for an object each key and each value in turn.
pub(super) struct Parts<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Parts<'a> {
    pub(super) fn of(text: &'a [u8], at: usize) -> Self {
        Self { text, at: at + 1 }
    }
}

impl Iterator for Parts<'_> {
    type Item = Range<usize>;

    #[inline]
    fn next(&mut self) -> Option<Range<usize>> {
        self.at = blank(self.text, self.at);
        if let Some(b',' | b':') = self.text.get(self.at) {
            self.at = blank(self.text, self.at + 1);
        }
        if let None | Some(b'}' | b']') = self.text.get(self.at) {
            return None;
        }
        let start = self.at;
        self.at = value_end(self.text, start);
        Some(start..self.at)
    }
}

/// Where the value of `key` lies in an object whose text begins at `at`.
pub(super) fn nested_member(text: &[u8], at: usize, key: &[u8]) -> Result<Option<Range<usize>>, Bail> {
    let (mut parts, mut found) = (Parts::of(text, at), None);
    while let Some(name) = parts.next() {
        let value = parts.next();
        let name = text.get(name.start + 1..name.end - 1).ok_or(Bail)?;
        if name == key {
            found = value;
        } else if name.contains(&b'\\') {
            return Err(Bail);
        }
    }
    Ok(found)
}

/// Where the element `index` lies in an array whose text begins at `at`; negative ones count from the end.
pub(super) fn element(text: &[u8], at: usize, index: i64) -> Option<Range<usize>> {
    let from_start = match usize::try_from(index) {
        Ok(index) => index,
        Err(_) => Parts::of(text, at).count().checked_sub(usize::try_from(index.unsigned_abs()).ok()?)?,
    };
    Parts::of(text, at).nth(from_start)
}

/// Where the value ends that begins at `at`.
#[inline]
pub(super) fn value_end(text: &[u8], at: usize) -> usize {
    match text.get(at) {
        Some(b'"') => string_end(text, at),
        Some(b'{' | b'[') => container_end(text, at),
        _ => {
            let rest = text.get(at..).unwrap_or_default();
            let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b':' | b' ' | b'\n' | b'\t' | b'\r');
            rest.iter().position(ends).map_or(text.len(), |len| at + len)
        }
    }
}

/// Where the string ends, closing quote included, whose opening quote is at `at`.
#[inline]
pub(super) fn string_end(text: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

fn container_end(text: &[u8], mut at: usize) -> usize {
    let mut open = 0usize;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => {
                at = string_end(text, at);
                continue;
            }
            b'{' | b'[' => open += 1,
            b'}' | b']' => {
                open = open.saturating_sub(1);
                if open == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_ends() {
        let text = br#"{ "a" : [1, {"x":"]}"}] ,"b\"":-1.5e3,"c":"" } "#;
        let parts: Vec<&[u8]> = Parts::of(text, 0).map(|part| &text[part]).collect();
        let expected: [&[u8]; 6] =
            [b"\"a\"", br#"[1, {"x":"]}"}]"#, br#""b\"""#, b"-1.5e3", b"\"c\"", b"\"\""];
        assert_eq!(parts, expected);
        assert_eq!(Parts::of(b"[ ]", 0).count(), 0);
        assert_eq!(Parts::of(b"{}", 0).count(), 0);
    }

    #[test]
    fn members_and_elements() {
        let text = br#"{"a":1,"b":2,"a":[10,20,30]}"#;
        assert_eq!(nested_member(text, 0, b"a"), Ok(Some(17..27)));
        assert_eq!(nested_member(text, 0, b"c"), Ok(None));
        assert_eq!(nested_member(br#"{"\u0061":1}"#, 0, b"a"), Err(Bail));
        for (index, found) in
            [(0, Some(18..20)), (2, Some(24..26)), (3, None), (-1, Some(24..26)), (-4, None)]
        {
            assert_eq!(element(text, 17, index), found, "{index}");
        }
    }
}
