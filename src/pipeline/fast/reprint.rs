//! Prints the text of a checked value again as the slow path prints it: compact, strings and numbers in one form.

use super::Bail;
use super::seek::{Parts, string_end, value_end};
use crate::pipeline::depth;
use crate::pipeline::json::check::blank;
use crate::pipeline::json::{number, string};

/// Most brackets open at once in a value that is printed: what is built around it stays within the limit too.
const DEEPEST: usize = depth::LIMIT - super::MOST_BRACKETS;

/// Most members of one object: they are compared with one another.
const MOST_MEMBERS: usize = 64;

/// The keys of the objects that are open, innermost last.
#[derive(Debug, Default)]
pub(super) struct Keys {
    keys: Vec<(usize, usize)>,
    /// For each open bracket where its keys begin; an array has none.
    open: Vec<usize>,
}

/// Appends the value whose text is `text` to `out`.
pub(super) fn reprint(text: &[u8], out: &mut Vec<u8>, keys: &mut Keys) -> Result<(), Bail> {
    keys.keys.clear();
    keys.open.clear();
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => {
                let end = string_end(text, at);
                let inside = text.get(at + 1..end - 1).ok_or(Bail)?;
                if text.get(blank(text, end)) == Some(&b':') {
                    keys.add(text, (at + 1, end - 1))?;
                }
                string::push_again(out, inside);
                at = end;
            }
            b'{' | b'[' => {
                if keys.open.len() == DEEPEST {
                    return Err(Bail);
                }
                keys.open.push(keys.keys.len());
                out.push(byte);
                at += 1;
            }
            b'}' | b']' => {
                keys.keys.truncate(keys.open.pop().ok_or(Bail)?);
                out.push(byte);
                at += 1;
            }
            b' ' | b'\n' | b'\t' | b'\r' => at += 1,
            b'-' | b'0'..=b'9' => {
                let end = value_end(text, at);
                number::push_text(out, text.get(at..end).ok_or(Bail)?);
                at = end;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    Ok(())
}

impl Keys {
    /// Notes a key of the innermost object; gives up where it could be there already.
    fn add(&mut self, text: &[u8], key: (usize, usize)) -> Result<(), Bail> {
        let name = text.get(key.0..key.1).ok_or(Bail)?;
        let before = self.keys.get(*self.open.last().ok_or(Bail)?..).ok_or(Bail)?;
        let same =
            |&(start, end): &(usize, usize)| end - start == name.len() && text.get(start..end) == Some(name);
        if before.len() == MOST_MEMBERS || name.contains(&b'\\') || before.iter().any(same) {
            return Err(Bail);
        }
        self.keys.push(key);
        Ok(())
    }
}

/// How many members the object has whose text begins at `at`.
pub(super) fn count_members(text: &[u8], at: usize, keys: &mut Keys) -> Result<usize, Bail> {
    keys.keys.clear();
    keys.open.clear();
    keys.open.push(0);
    let mut parts = Parts::of(text, at);
    while let Some(key) = parts.next() {
        keys.add(text, (key.start + 1, key.end - 1))?;
        parts.next();
    }
    Ok(keys.keys.len())
}
