//! Filters of the jq language over single records; only this file and its folder name the jq crates.
//!
//! The language is jaq's. What differs from jaq: a record is exactly one JSON value of RFC 8259 and at most
//! [`depth::LIMIT`] deep, and so is a result; numbers print as in jq, and a division by zero fails as in jq; a filter
//! reads neither the environment nor further input, writes nowhere and ends no process. A result may depend on the
//! clock (`now`) and the time zone.

mod compile;
mod natives;
mod recognise;
mod value;

use std::cell::Cell;
use std::fmt;
use std::ops::{ControlFlow, Range};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use jaq_core::data::JustLut;
use jaq_core::{Ctx, ValT, Vars};
use jaq_json::Val;

use super::depth;
use super::fast::{Buffers, Plan, Stop};
use super::json::check::{Wrong, check};

/// Stack in bytes of a thread that runs filters. A filter that calls itself uses stack for every call, and values
/// that it nests deeply need it once more when they are dropped. Only what is touched takes memory.
/// Without optimisation a call takes several times as much.
pub const STACK: usize = if cfg!(debug_assertions) { 1 << 30 } else { 256 << 20 };

/// Most bytes of a filter's text.
pub const LONGEST_SOURCE: usize = 64 << 10;

/// Most letters of a message that a filter fails with.
const LONGEST_MESSAGE: usize = 200;

type Data = JustLut<Val>;

/// A compiled filter: one for all threads.
pub struct Filter {
    /// What the fast path makes of it.
    plan: Option<Plan>,
    compiled: jaq_core::Filter<Data>,
    canonical: String,
}

/// What is wrong with a filter's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterError {
    /// What was found and what belongs there, in one line.
    pub message: String,
    /// Where, in bytes of the source; empty at the source's end where something is missing.
    pub at: Range<usize>,
}

/// Buffers of one thread, reused from record to record.
#[derive(Debug, Default)]
pub struct Scratch {
    out: Vec<u8>,
    fast: Buffers,
}

/// Why a record could not be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The record nests deeper than `limit` brackets.
    TooDeep {
        /// [`depth::LIMIT`].
        limit: usize,
    },
    /// The record is no JSON.
    NotJson {
        /// The byte where it goes wrong.
        at: usize,
        /// What is wrong there.
        why: String,
    },
    /// The record is empty or blank.
    Empty,
    /// More follows behind the record's value.
    Trailing {
        /// The first byte that is too much.
        at: usize,
    },
    /// The filter failed, with its message in one line.
    Failed(String),
}

impl Filter {
    /// Compiles `source`, on a thread of its own: jaq's parser recurses.
    pub fn compile(source: &str) -> Result<Self, FilterError> {
        compile::compile(source)
    }

    /// Gives each result as compact JSON to `each`, in order, until it breaks. Results that were given before a
    /// fault count for nothing: the caller drops them.
    pub fn run(
        &self,
        input: &[u8],
        scratch: &mut Scratch,
        each: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), Fault> {
        let Some(plan) = &self.plan else { return self.run_slow(input, scratch, each) };
        match plan.run(input, &mut scratch.fast) {
            Ok(()) => {
                // A break ends the giving, and is no fault.
                let _ = scratch.fast.results().try_for_each(&mut *each);
                Ok(())
            }
            Err(Stop::Wrong(wrong)) => Err(wrong.into()),
            Err(Stop::Bail) => self.run_slow(input, scratch, each),
        }
    }

    /// Whether the first result is neither null nor false; without a result it is not.
    pub fn holds(&self, input: &[u8], scratch: &mut Scratch) -> Result<bool, Fault> {
        match self.plan.as_ref().map(|plan| plan.holds(input, &mut scratch.fast)) {
            Some(Ok(holds)) => return Ok(holds),
            Some(Err(Stop::Wrong(wrong))) => return Err(wrong.into()),
            Some(Err(Stop::Bail)) | None => {}
        }
        let mut holds = false;
        self.evaluate(input, &mut |value| {
            holds = value.as_bool();
            Ok(ControlFlow::Break(()))
        })?;
        Ok(holds)
    }

    /// The first result as a key: a string's bare text, any other value as compact JSON; `None` for null and where
    /// there is no result. What is no number (nan) prints as null, and is no key either.
    pub fn key(&self, input: &[u8], scratch: &mut Scratch) -> Result<Option<Vec<u8>>, Fault> {
        match self.plan.as_ref().map(|plan| plan.key(input, &mut scratch.fast)) {
            Some(Ok(key)) => return Ok(key),
            Some(Err(Stop::Wrong(wrong))) => return Err(wrong.into()),
            Some(Err(Stop::Bail)) | None => {}
        }
        let mut key = None;
        self.evaluate(input, &mut |value| {
            let text = value::text(&value).map_err(failed)?;
            key = (matches!(value, Val::TStr(_)) || text != b"null").then_some(text);
            Ok(ControlFlow::Break(()))
        })?;
        Ok(key)
    }

    /// The filter's text in one form: the same for sources that differ in spacing and comments only.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// Whether records are evaluated as raw text where they allow it, without jaq.
    pub fn is_fast(&self) -> bool {
        self.plan.is_some()
    }

    /// As [`Filter::run`], always by jaq.
    #[doc(hidden)]
    pub fn run_slow(
        &self,
        input: &[u8],
        scratch: &mut Scratch,
        each: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), Fault> {
        self.evaluate(input, &mut |value| {
            scratch.out.clear();
            value::print(&value, &mut scratch.out).map_err(failed)?;
            Ok(each(&scratch.out))
        })
    }

    /// Gives each result to `each` until it breaks or fails.
    fn evaluate(
        &self,
        input: &[u8],
        each: &mut dyn FnMut(Val) -> Result<ControlFlow<()>, Fault>,
    ) -> Result<(), Fault> {
        let span = check(input)?;
        let record = value::read(input.get(span).unwrap_or_default());
        let given = Cell::new(false);
        // jaq panics on a few values, such as a string times 2^62: that is the filter's failure, not the process's.
        let ran = catch_unwind(AssertUnwindSafe(|| {
            let ctx = Ctx::<Data>::new(&self.compiled.lut, Vars::new([]));
            for result in self.compiled.id.run((ctx, record)) {
                let value = result.map_err(|exception| match exception.get_err() {
                    Ok(error) => Fault::Failed(natives::message(error, LONGEST_MESSAGE)),
                    Err(exception) => failed(exception.get_halt().map_or("a break", |_| "the filter halted")),
                })?;
                given.set(true);
                if each(value)?.is_break() {
                    break;
                }
                given.set(false);
            }
            Ok(())
        }));
        match ran {
            Ok(outcome) => outcome,
            Err(panic) if given.get() => resume_unwind(panic),
            Err(_) => Err(failed("the jq engine gave up on these values")),
        }
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Filter").field(&self.canonical).finish()
    }
}

/// The fault of a filter that ended with `message`, shortened to one line.
fn failed(message: impl fmt::Display) -> Fault {
    Fault::Failed(natives::one_line(&message, LONGEST_MESSAGE))
}

impl FilterError {
    /// Line and column, from 1, of the place in `source`; columns count characters.
    pub fn line_column(&self, source: &str) -> (usize, usize) {
        let before = source.get(..self.at.start).unwrap_or(source);
        let line = before.rsplit('\n').next().unwrap_or_default();
        (before.matches('\n').count() + 1, line.chars().count() + 1)
    }
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for FilterError {}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooDeep { limit } => write!(f, "the value nests deeper than {limit} brackets"),
            Self::NotJson { at, why } => write!(f, "not JSON: {why} at byte {at}"),
            Self::Empty => f.write_str("empty: expected one JSON value"),
            Self::Trailing { at } => write!(f, "more than one JSON value: another begins at byte {at}"),
            Self::Failed(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Fault {}

impl From<Wrong> for Fault {
    fn from(wrong: Wrong) -> Self {
        match wrong {
            Wrong::Empty => Self::Empty,
            Wrong::TooDeep => Self::TooDeep { limit: depth::LIMIT },
            Wrong::Trailing(at) => Self::Trailing { at },
            Wrong::At(at, why) => Self::NotJson { at, why: why.to_owned() },
        }
    }
}

#[cfg(test)]
mod tests;
