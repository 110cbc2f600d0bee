//! The functions that filters get in place of jaq's: those that parse, print or repeat without a bound there.

use std::fmt::{self, Write};

use jaq_core::box_iter::box_once;
use jaq_core::native::{Filter, Fun, bome, run, v};
use jaq_core::{Error, Native, RunPtr, ValR};
use jaq_json::{Map, Num, Rc, Val};

use super::{Data, Fault, LONGEST_MESSAGE, value};
use crate::pipeline::json::check::check;

/// A string as it is, any other value as its JSON text: what `tostring` and `"\(.)"` stand on.
pub(super) const TEXT: &str = "klog_text";

/// Its two arguments multiplied: what `*` stands on where a string may be repeated.
pub(super) const TIMES: &str = "klog_times";

/// Its first argument divided by its second: jq fails where that is zero, jaq gives what doubles give.
pub(super) const DIVIDE: &str = "klog_divide";

/// The remainder of its first argument by its second, likewise.
pub(super) const REMAINDER: &str = "klog_remainder";

/// Its input, which an update of what lies under the key in its argument makes room in: null becomes an object or an
/// array as in jq, and an array becomes long enough. jaq fails there.
pub(super) const ROOM: &str = "klog_room";

/// Most elements that an update by index lengthens an array to.
const LONGEST_ROOM: usize = 100_000;

/// Most bytes of a string that `*` makes.
const LONGEST_REPEAT: usize = 64 << 20;

/// Native functions of jaq that are left out: they write to the log, read the environment, or are replaced.
const LEFT_OUT: &[&str] = &["debug_empty", "stderr_empty", "env", "fromjson", "tojson"];

/// Every native function that a filter may call.
pub(super) fn all() -> impl Iterator<Item = Fun<Data>> {
    let theirs = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
    theirs
        .filter(|(name, ..)| !LEFT_OUT.contains(name))
        .chain(own().into_iter().map(run::<Data>))
        .chain([room()])
}

fn own() -> [Filter<RunPtr<Data>>; 7] {
    [
        (TEXT, v(0), |cv| {
            bome(match cv.1 {
                Val::TStr(_) => Ok(cv.1),
                other => value::text(&other).map(Val::utf8_str).map_err(Error::str),
            })
        }),
        (TIMES, v(2), |mut cv| {
            let right = cv.0.pop_var();
            bome(times(cv.0.pop_var(), right))
        }),
        (DIVIDE, v(2), |mut cv| {
            let right = cv.0.pop_var();
            let left = cv.0.pop_var();
            bome(divisible(&left, &right).and_then(|()| left / right))
        }),
        (REMAINDER, v(2), |mut cv| {
            let right = cv.0.pop_var();
            let left = cv.0.pop_var();
            bome(divisible(&left, &right).and_then(|()| left % right))
        }),
        ("tojson", v(0), |cv| {
            let mut out = Vec::new();
            bome(value::print(&cv.1, &mut out).map(|()| Val::utf8_str(out)).map_err(Error::str))
        }),
        ("fromjson", v(0), |cv| bome(from_json(cv.1))),
        ("tonumber", v(0), |cv| bome(to_number(cv.1))),
    ]
}

fn room() -> Fun<Data> {
    let native = Native::<Data>::new(|mut cv| {
        cv.0.pop_var();
        bome(Ok(cv.1))
    });
    let native = native.with_paths(|mut cv| {
        cv.0.pop_var();
        box_once(Ok(cv.1))
    });
    let native = native.with_update(|mut cv, update| {
        let key = cv.0.pop_var();
        update(make_room(cv.1, &key))
    });
    (ROOM, v(1), native)
}

fn make_room(value: Val, key: &Val) -> Val {
    match (value, key) {
        (Val::Null, Val::TStr(_)) => Val::obj(Map::default()),
        (Val::Null, Val::Num(_)) => make_room(Val::Arr(Vec::new().into()), key),
        (Val::Arr(mut values), Val::Num(Num::Int(index))) => {
            let needed = usize::try_from(*index).unwrap_or(0).saturating_add(1);
            if values.len() < needed && needed <= LONGEST_ROOM {
                Rc::make_mut(&mut values).resize(needed, Val::Null);
            }
            Val::Arr(values)
        }
        (value, _) => value,
    }
}

fn times(left: Val, right: Val) -> ValR<Val> {
    if let (Val::TStr(text) | Val::BStr(text), Val::Num(count))
    | (Val::Num(count), Val::TStr(text) | Val::BStr(text)) = (&left, &right)
    {
        let count = match count {
            Num::Int(count) => usize::try_from(*count).unwrap_or(0),
            // Any that is positive repeats too often; jaq refuses to repeat by a fraction.
            Num::BigInt(_) => usize::MAX,
            Num::Float(_) | Num::Dec(_) => 0,
        };
        if text.len().saturating_mul(count) > LONGEST_REPEAT {
            return Err(Error::str(format_args!("a string repeated to more than {LONGEST_REPEAT} bytes")));
        }
    }
    left * right
}

/// Refuses zero as a divisor of a number.
fn divisible(left: &Val, right: &Val) -> Result<(), Error<Val>> {
    let is_zero = match right {
        Val::Num(Num::Int(right)) => *right == 0,
        Val::Num(Num::Float(right)) => *right == 0.0,
        Val::Num(Num::Dec(text)) => text.parse::<f64>().is_ok_and(|right| right == 0.0),
        _ => false,
    };
    if !is_zero || !matches!(left, Val::Num(_)) {
        return Ok(());
    }
    let shown = one_line(left, LONGEST_MESSAGE / 2);
    Err(Error::str(format_args!("number ({shown}) cannot be divided because the divisor is zero")))
}

/// The one value whose text a string holds, within the depth limit.
fn from_json(input: Val) -> ValR<Val> {
    let Val::TStr(text) = &input else { return Err(Error::typ(input, "string")) };
    match check(text) {
        Ok(span) => Ok(value::read(text.get(span).unwrap_or_default())),
        Err(wrong) => Err(cannot_parse(&input, "JSON", Fault::from(wrong))),
    }
}

/// The number whose text a string holds; zeros in front, a plus and a bare point are taken as in jq.
fn to_number(input: Val) -> ValR<Val> {
    let text = match &input {
        Val::Num(_) => return Ok(input),
        Val::TStr(text) => text,
        _ => return Err(Error::typ(input, "number")),
    };
    if let Ok(span) = check(text)
        && let number @ Val::Num(_) = value::read(text.get(span).unwrap_or_default())
    {
        return Ok(number);
    }
    let loose = std::str::from_utf8(text).unwrap_or_default().trim();
    let plain = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
    let number = if !loose.as_bytes().iter().all(plain) {
        None
    } else if let Ok(int) = loose.parse() {
        Some(Num::Int(int))
    } else {
        loose.parse().ok().map(Num::Float)
    };
    number.map(Val::Num).ok_or_else(|| cannot_parse(&input, "a number", "it is none"))
}

fn cannot_parse(input: &Val, what: &str, why: impl fmt::Display) -> Error<Val> {
    let shown = one_line(&input, LONGEST_MESSAGE / 2);
    Error::str(format_args!("cannot parse {shown} as {what}: {why}"))
}

/// What an error says: the bare text where it is a string's.
pub(super) fn message(error: Error<Val>, limit: usize) -> String {
    let shown = one_line(&error, limit);
    if !shown.starts_with('"') {
        return shown;
    }
    match error.into_val() {
        Val::TStr(text) => one_line(&String::from_utf8_lossy(&text), limit),
        _ => shown,
    }
}

/// `message` without line breaks and other control characters, cut off behind `limit` letters. What lies behind the
/// limit is not even made, so that a message may hold a value of any depth and size.
pub(super) fn one_line(message: &impl fmt::Display, limit: usize) -> String {
    let mut line = Line { text: String::new(), left: limit };
    if write!(line, "{message}").is_err() {
        line.text.push_str("...");
    }
    line.text
}

struct Line {
    text: String,
    left: usize,
}

impl Write for Line {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        for letter in part.chars() {
            self.left = self.left.checked_sub(1).ok_or(fmt::Error)?;
            self.text.push(if letter.is_control() { ' ' } else { letter });
        }
        Ok(())
    }
}
