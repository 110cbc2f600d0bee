//! The fast path: filters of a small part of jq, evaluated over the record's text without building a tree.
//!
//! Every result is byte for byte what the slow path gives. Wherever that is not certain (an error, a number beyond
//! 64 bits, an escaped or repeated key, a comparison of containers) the record is given up with [`Bail`], and
//! the slow path runs it. Names no jq crate.

mod evaluate;
mod reprint;
mod seek;
mod value;

use std::cmp::Ordering;
use std::ops::Range;

use super::json::check::{Wrong, check_watched};
use evaluate::Machine;
use reprint::Keys;
use seek::{Member, Noting};
use value::Value;
pub(super) use value::{Source, Span};

/// Most nodes inside one another: evaluation recurses.
const MOST_DEPTH: usize = 64;

/// Most brackets that a filter opens around parts of the record.
const MOST_BRACKETS: usize = 64;

/// The record is one for the slow path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bail;

/// Why the fast path gives no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The slow path is to run the record.
    Bail,
    /// The record is bad.
    Wrong(Wrong),
}

impl From<Bail> for Stop {
    fn from(_: Bail) -> Self {
        Self::Bail
    }
}

/// A term of a filter that gives at most one result. Its texts are spans of the plan's literals.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Identity,
    Empty,
    Null,
    Bool(bool),
    Int(i64),
    /// A decimal literal's text.
    Decimal(Span),
    Text(Span),
    Path(Box<[Step]>),
    Array(Box<[Node]>),
    /// For each value what stands in front of it: a brace or comma, the key in quotes, and a colon.
    Object(Box<[Span]>, Box<[Node]>),
    Negate(Box<[Node; 1]>),
    Math(Math, Box<[Node; 2]>),
    Compare(Comparison, Box<[Node; 2]>),
    /// Stops at the value that the flag gives: `and` at false, `or` at true.
    Logic(bool, Box<[Node; 2]>),
    Alternative(Box<[Node; 2]>),
    Pipe(Box<[Node; 2]>),
    If(Box<[Node; 3]>),
    /// Parts of a string, each as `tostring` gives it.
    Concat(Box<[Node]>),
    Has(Box<[u8]>),
    StartsWith(Span),
    EndsWith(Span),
    Call(Function),
}

impl Node {
    fn children(&self) -> &[Self] {
        match self {
            Self::Array(nodes) | Self::Object(_, nodes) | Self::Concat(nodes) => nodes,
            Self::Negate(nodes) => &**nodes,
            Self::Math(_, nodes) | Self::Compare(_, nodes) | Self::Logic(_, nodes) => &**nodes,
            Self::Alternative(nodes) | Self::Pipe(nodes) => &**nodes,
            Self::If(nodes) => &**nodes,
            _ => &[],
        }
    }

    /// How many nodes stand inside one another, at most.
    fn depth(&self) -> usize {
        1 + self.children().iter().map(Self::depth).max().unwrap_or(0)
    }

    /// How many brackets it opens around what it is given, at most.
    fn brackets(&self) -> usize {
        let own = usize::from(matches!(self, Self::Array(_) | Self::Object(..)));
        own + self.children().iter().map(Self::brackets).sum::<usize>()
    }
}

/// One step of a path; an optional one gives nothing where it does not fit.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Step {
    pub at: Place,
    pub optional: bool,
}

/// Where a step leads.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Place {
    Key(Box<[u8]>),
    Index(i64),
}

/// An operation on two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Math {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
}

/// A comparison of two values in jq's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Unequal => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

/// A function without arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Not,
    Length,
    ToString,
    ToJson,
    Type,
    Downcase,
    Upcase,
}

/// A filter of the fast path: what gives its results, in order.
#[derive(Debug)]
pub(super) struct Plan {
    results: Vec<Node>,
    literals: Vec<u8>,
}

/// Buffers of the fast path, reused from record to record.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    members: Vec<Member>,
    /// Whether a key of the record holds an escape, so that members can not be told apart by their bytes.
    escaped_key: bool,
    /// Texts that were made: strings and whole containers.
    made: Vec<u8>,
    /// Whether a number was printed into `made` whose text may not be the value that it was.
    rounded: bool,
    /// For texts on their way from `made` into `made`.
    spare: Vec<u8>,
    /// Values of the containers that are being built.
    stack: Vec<Value>,
    keys: Keys,
    /// Where in `made` the results lie.
    results: Vec<Range<usize>>,
}

impl Plan {
    /// A plan that gives the result of each of `results` in turn; `None` where one goes too deep.
    pub(super) fn of(results: Vec<Node>, literals: Vec<u8>) -> Option<Self> {
        let fits = |node: &Node| node.depth() <= MOST_DEPTH && node.brackets() <= MOST_BRACKETS;
        results.iter().all(fits).then_some(Self { results, literals })
    }

    /// Makes every result; [`Buffers::results`] has them.
    pub(super) fn run(&self, record: &[u8], buffers: &mut Buffers) -> Result<(), Stop> {
        let mut machine = self.machine(record, buffers)?;
        for node in &self.results {
            if let Some(value) = machine.evaluate(node, machine.root)? {
                machine.print_result(value)?;
            }
        }
        Ok(())
    }

    /// Whether the first result is neither null nor false.
    pub(super) fn holds(&self, record: &[u8], buffers: &mut Buffers) -> Result<bool, Stop> {
        let mut machine = self.machine(record, buffers)?;
        Ok(self.first(&mut machine)?.is_some_and(Value::is_true))
    }

    /// The first result as [`super::jq::Filter::key`] gives it.
    pub(super) fn key(&self, record: &[u8], buffers: &mut Buffers) -> Result<Option<Vec<u8>>, Stop> {
        let mut machine = self.machine(record, buffers)?;
        let Some(value) = self.first(&mut machine)? else { return Ok(None) };
        let text = machine.bare_text(value)?;
        Ok((matches!(value, Value::Raw(_) | Value::Plain(_)) || text != b"null").then_some(text))
    }

    fn machine<'a>(&'a self, record: &'a [u8], buffers: &'a mut Buffers) -> Result<Machine<'a>, Stop> {
        buffers.clear();
        let mut noting =
            Noting { text: record, members: &mut buffers.members, escaped_key: &mut buffers.escaped_key };
        let span = check_watched(record, &mut noting).map_err(Stop::Wrong)?;
        Ok(Machine::new(record, span, &self.literals, buffers)?)
    }

    fn first(&self, machine: &mut Machine<'_>) -> Result<Option<Value>, Bail> {
        for node in &self.results {
            let value = machine.evaluate(node, machine.root)?;
            if value.is_some() {
                return Ok(value);
            }
        }
        Ok(None)
    }
}

impl Buffers {
    fn clear(&mut self) {
        self.members.clear();
        self.escaped_key = false;
        self.rounded = false;
        self.made.clear();
        self.stack.clear();
        self.results.clear();
    }

    /// The results of the last run, as compact JSON.
    pub(super) fn results(&self) -> impl Iterator<Item = &[u8]> {
        self.results.iter().filter_map(|range| self.made.get(range.clone()))
    }
}
