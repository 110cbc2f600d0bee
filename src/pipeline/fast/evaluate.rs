//! Evaluates a plan's nodes over the text of one checked record; gives up where the slow path might differ.

use std::cmp::Ordering;
use std::ops::Range;

use super::reprint::{Keys, count_members, reprint};
use super::seek::{Parts, element, member, nested_member};
use super::value::{Number, Source, Span, Value};
use super::{Bail, Buffers, Function, Math, Node, Place, Step};
use crate::pipeline::json::{number, string};

pub(super) struct Machine<'a> {
    record: &'a [u8],
    literals: &'a [u8],
    buffers: &'a mut Buffers,
    pub(super) root: Value,
    /// Where the record's value begins.
    start: usize,
}

type Got = Result<Option<Value>, Bail>;

impl<'a> Machine<'a> {
    pub(super) fn new(
        record: &'a [u8],
        span: Range<usize>,
        literals: &'a [u8],
        buffers: &'a mut Buffers,
    ) -> Result<Self, Bail> {
        let mut machine = Self { record, literals, buffers, root: Value::Root, start: span.start };
        if record.get(span.start) != Some(&b'{') {
            machine.root = machine.read(Source::Record, span)?;
        }
        Ok(machine)
    }

    pub(super) fn evaluate(&mut self, node: &Node, input: Value) -> Got {
        Ok(Some(match node {
            Node::Identity => input,
            Node::Empty => return Ok(None),
            Node::Null => Value::Null,
            Node::Bool(value) => Value::Bool(*value),
            Node::Int(int) => Value::Int(*int),
            Node::Decimal(text) => Value::Decimal(*text),
            Node::Text(text) => Value::Plain(*text),
            Node::Path(steps) => return self.path(steps, input),
            Node::Array(nodes) => return self.array(nodes, input),
            Node::Object(labels, nodes) => return self.object(labels, nodes, input),
            Node::Concat(nodes) => return self.concat(nodes, input),
            Node::Negate(nodes) => {
                let [inner] = &**nodes;
                let Some(value) = self.evaluate(inner, input)? else { return Ok(None) };
                self.negate(value)?
            }
            Node::Math(math, nodes) => {
                let Some([left, right]) = self.both(nodes, input)? else { return Ok(None) };
                self.calculate(*math, left, right)?
            }
            Node::Compare(comparison, nodes) => {
                let Some([left, right]) = self.both(nodes, input)? else { return Ok(None) };
                Value::Bool(comparison.holds(self.order(left, right)?))
            }
            Node::Logic(stop, nodes) => {
                let [left, right] = &**nodes;
                let Some(value) = self.evaluate(left, input)? else { return Ok(None) };
                if value.is_true() == *stop {
                    return Ok(Some(Value::Bool(*stop)));
                }
                let Some(value) = self.evaluate(right, input)? else { return Ok(None) };
                Value::Bool(value.is_true())
            }
            Node::Alternative(nodes) => {
                let [left, right] = &**nodes;
                match self.evaluate(left, input)? {
                    Some(value) if value.is_true() => value,
                    _ => return self.evaluate(right, input),
                }
            }
            Node::Pipe(nodes) => {
                let [left, right] = &**nodes;
                let Some(value) = self.evaluate(left, input)? else { return Ok(None) };
                return self.evaluate(right, value);
            }
            Node::If(nodes) => {
                let [condition, then, otherwise] = &**nodes;
                let Some(value) = self.evaluate(condition, input)? else { return Ok(None) };
                return self.evaluate(if value.is_true() { then } else { otherwise }, input);
            }
            Node::Has(key) => Value::Bool(match input {
                Value::Null => false,
                _ => self.member_of(input, key)?.is_some(),
            }),
            Node::StartsWith(with) => {
                let text = self.plain(input)?;
                Value::Bool(self.text(text).starts_with(self.text(*with)))
            }
            Node::EndsWith(with) => {
                let text = self.plain(input)?;
                Value::Bool(self.text(text).ends_with(self.text(*with)))
            }
            Node::Call(function) => self.call(*function, input)?,
        }))
    }

    /// The results of both nodes, the second only where the first has one.
    #[inline]
    fn both(&mut self, nodes: &[Node; 2], input: Value) -> Result<Option<[Value; 2]>, Bail> {
        let [left, right] = nodes;
        let Some(left) = self.evaluate(left, input)? else { return Ok(None) };
        Ok(self.evaluate(right, input)?.map(|right| [left, right]))
    }

    fn source(&self, from: Source) -> &[u8] {
        match from {
            Source::Record => self.record,
            Source::Made => &self.buffers.made,
            Source::Literals => self.literals,
        }
    }

    fn text(&self, span: Span) -> &[u8] {
        self.source(span.from).get(span.start..span.end).unwrap_or_default()
    }

    /// The value whose text lies there.
    #[inline]
    fn read(&self, from: Source, range: Range<usize>) -> Result<Value, Bail> {
        let Range { start, end } = range;
        let whole = Span { from, start, end };
        let text = self.text(whole);
        // What was printed is read back here, and it is numbers that printing changes (nan becomes null).
        if from == Source::Made
            && self.buffers.rounded
            && matches!(text.first(), Some(b'n' | b'-' | b'0'..=b'9'))
        {
            return Err(Bail);
        }
        Ok(match text.first() {
            Some(b'"') => Value::Raw(Span { from, start: start + 1, end: end - 1 }),
            Some(b'{') => Value::Object(whole),
            Some(b'[') => Value::Array(whole),
            Some(b't') => Value::Bool(true),
            Some(b'f') => Value::Bool(false),
            Some(b'n') => Value::Null,
            _ if text.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')) => Value::Decimal(whole),
            _ => Value::Int(std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(Bail)?),
        })
    }

    fn path(&mut self, steps: &[Step], input: Value) -> Got {
        let mut value = input;
        for step in steps {
            let found = match (value, &step.at) {
                // Every step from null leads to null.
                (Value::Null, _) => return Ok(Some(Value::Null)),
                (Value::Root | Value::Object(_), Place::Key(key)) => self.member_of(value, key)?,
                // jaq finds no such key, where jq fails.
                (Value::Root | Value::Object(_), Place::Index(_)) => None,
                (Value::Array(span), Place::Index(index)) => {
                    element(self.source(span.from), span.start, *index).map(|range| (span.from, range))
                }
                _ if step.optional => return Ok(None),
                _ => return Err(Bail),
            };
            value = match found {
                Some((from, range)) => self.read(from, range)?,
                None => Value::Null,
            };
        }
        Ok(Some(value))
    }

    /// Where the value of `key` lies in an object.
    #[inline]
    fn member_of(&self, object: Value, key: &[u8]) -> Result<Option<(Source, Range<usize>)>, Bail> {
        match object {
            Value::Root if self.buffers.escaped_key => Err(Bail),
            Value::Root => {
                Ok(member(self.record, &self.buffers.members, key).map(|range| (Source::Record, range)))
            }
            Value::Object(span) => {
                let found = nested_member(self.source(span.from), span.start, key)?;
                Ok(found.map(|range| (span.from, range)))
            }
            _ => Err(Bail),
        }
    }

    fn number(&self, value: Value) -> Result<Number, Bail> {
        match value {
            Value::Int(int) => Ok(Number::Int(int)),
            Value::Float(float) => Ok(Number::Float(float)),
            Value::Decimal(span) => Ok(Number::Float(number::double(self.text(span)))),
            _ => Err(Bail),
        }
    }

    fn negate(&mut self, value: Value) -> Result<Value, Bail> {
        match value {
            Value::Int(int) => int.checked_neg().map(Value::Int).ok_or(Bail),
            Value::Float(float) => Ok(Value::Float(-float)),
            // jaq takes the sign off the text, or puts it there.
            Value::Decimal(span) if self.text(span).first() == Some(&b'-') => {
                Ok(Value::Decimal(Span { start: span.start + 1, ..span }))
            }
            Value::Decimal(span) => {
                let start = self.buffers.made.len();
                self.buffers.made.push(b'-');
                self.append(span);
                Ok(Value::Decimal(self.made_since(start)))
            }
            _ => Err(Bail),
        }
    }

    fn calculate(&mut self, math: Math, left: Value, right: Value) -> Result<Value, Bail> {
        match (left, right) {
            (Value::Null, other) | (other, Value::Null) if math == Math::Add => Ok(other),
            (Value::Raw(_) | Value::Plain(_), Value::Raw(_) | Value::Plain(_)) if math == Math::Add => {
                let (left, right) = (self.plain(left)?, self.plain(right)?);
                let start = self.buffers.made.len();
                self.append(left);
                self.append(right);
                Ok(Value::Plain(self.made_since(start)))
            }
            _ => self.number(left)?.calculate(math, self.number(right)?).map(Number::value),
        }
    }

    fn order(&mut self, left: Value, right: Value) -> Result<Ordering, Bail> {
        if left.rank() != right.rank() {
            return Ok(left.rank().cmp(&right.rank()));
        }
        match (left, right) {
            (Value::Null, _) => Ok(Ordering::Equal),
            (Value::Bool(left), Value::Bool(right)) => Ok(left.cmp(&right)),
            (Value::Raw(_) | Value::Plain(_), _) => {
                let (left, right) = (self.plain(left)?, self.plain(right)?);
                Ok(self.text(left).cmp(self.text(right)))
            }
            _ => Ok(self.number(left)?.order(self.number(right)?)),
        }
    }

    /// Where a string's text lies with its escapes read.
    fn plain(&mut self, value: Value) -> Result<Span, Bail> {
        match value {
            Value::Plain(span) => Ok(span),
            Value::Raw(span) if memchr::memchr(b'\\', self.text(span)).is_none() => Ok(span),
            Value::Raw(span) => {
                let start = self.buffers.made.len();
                self.make(span, |text, made, _| string::unescape(text, made));
                Ok(self.made_since(start))
            }
            _ => Err(Bail),
        }
    }

    /// The span of `made` from `start` on.
    fn made_since(&self, start: usize) -> Span {
        Span { from: Source::Made, start, end: self.buffers.made.len() }
    }

    /// Lets `into` append to `made` what it makes of the text of `span`.
    fn make<R>(&mut self, span: Span, into: impl FnOnce(&[u8], &mut Vec<u8>, &mut Keys) -> R) -> R {
        let Buffers { made, spare, keys, .. } = &mut *self.buffers;
        let range = span.start..span.end;
        let text = match span.from {
            Source::Record => self.record.get(range),
            Source::Literals => self.literals.get(range),
            Source::Made => {
                spare.clear();
                spare.extend_from_slice(made.get(range).unwrap_or_default());
                Some(&**spare)
            }
        };
        into(text.unwrap_or_default(), made, keys)
    }

    fn append(&mut self, span: Span) {
        match span.from {
            Source::Made => self.buffers.made.extend_from_within(span.start..span.end),
            _ => self.make(span, |text, made, _| made.extend_from_slice(text)),
        }
    }

    /// Appends a value's JSON text to `made`.
    fn print(&mut self, value: Value) -> Result<(), Bail> {
        // Containers are not looked through for such numbers: they may hold one.
        let exact =
            matches!(value, Value::Null | Value::Bool(_) | Value::Int(_) | Value::Raw(_) | Value::Plain(_));
        self.buffers.rounded |= !exact;
        let made = &mut self.buffers.made;
        match value {
            Value::Null => made.extend_from_slice(b"null"),
            Value::Bool(true) => made.extend_from_slice(b"true"),
            Value::Bool(false) => made.extend_from_slice(b"false"),
            Value::Int(int) => number::push_int(made, int),
            Value::Float(float) => number::push_double(made, float),
            Value::Decimal(span) => self.make(span, |text, made, _| number::push_text(made, text)),
            Value::Raw(span) => self.make(span, |text, made, _| string::push_again(made, text)),
            Value::Plain(span) => self.make(span, |text, made, _| {
                made.push(b'"');
                string::push_escaped(made, text);
                made.push(b'"');
            }),
            // What was made is printed already.
            Value::Array(span) | Value::Object(span) if span.from == Source::Made => self.append(span),
            Value::Array(span) | Value::Object(span) => self.make(span, reprint)?,
            Value::Root => {
                let whole = Span { from: Source::Record, start: self.start, end: self.record.len() };
                self.make(whole, reprint)?;
            }
        }
        Ok(())
    }

    pub(super) fn print_result(&mut self, value: Value) -> Result<(), Bail> {
        if let Value::Array(Span { from: Source::Made, start, end })
        | Value::Object(Span { from: Source::Made, start, end }) = value
        {
            self.buffers.results.push(start..end);
            return Ok(());
        }
        let start = self.buffers.made.len();
        self.print(value)?;
        self.buffers.results.push(start..self.buffers.made.len());
        Ok(())
    }

    /// A string's bare text, or any other value as JSON.
    pub(super) fn bare_text(&mut self, value: Value) -> Result<Vec<u8>, Bail> {
        let span = self.text_of(value)?;
        Ok(self.text(span).to_vec())
    }

    fn text_of(&mut self, value: Value) -> Result<Span, Bail> {
        match value {
            Value::Raw(_) | Value::Plain(_) => self.plain(value),
            _ => self.json_of(value),
        }
    }

    fn json_of(&mut self, value: Value) -> Result<Span, Bail> {
        let start = self.buffers.made.len();
        self.print(value)?;
        Ok(self.made_since(start))
    }

    fn object(&mut self, labels: &[Span], nodes: &[Node], input: Value) -> Got {
        let base = self.buffers.stack.len();
        for node in nodes {
            let value = self.evaluate(node, input)?;
            let Some(value) = value else {
                self.buffers.stack.truncate(base);
                return Ok(None);
            };
            self.buffers.stack.push(value);
        }
        let start = self.buffers.made.len();
        for (i, label) in labels.iter().enumerate() {
            let value = *self.buffers.stack.get(base + i).ok_or(Bail)?;
            self.append(*label);
            self.print(value)?;
        }
        self.buffers.made.extend_from_slice(if labels.is_empty() { b"{}" } else { b"}" });
        self.buffers.stack.truncate(base);
        Ok(Some(Value::Object(self.made_since(start))))
    }

    fn array(&mut self, nodes: &[Node], input: Value) -> Got {
        let base = self.buffers.stack.len();
        for node in nodes {
            if let Some(value) = self.evaluate(node, input)? {
                self.buffers.stack.push(value);
            }
        }
        let start = self.buffers.made.len();
        self.buffers.made.push(b'[');
        for i in base..self.buffers.stack.len() {
            if i > base {
                self.buffers.made.push(b',');
            }
            let value = *self.buffers.stack.get(i).ok_or(Bail)?;
            self.print(value)?;
        }
        self.buffers.made.push(b']');
        self.buffers.stack.truncate(base);
        Ok(Some(Value::Array(self.made_since(start))))
    }

    fn concat(&mut self, nodes: &[Node], input: Value) -> Got {
        let base = self.buffers.stack.len();
        for node in nodes {
            let Some(value) = self.evaluate(node, input)? else {
                self.buffers.stack.truncate(base);
                return Ok(None);
            };
            let text = Value::Plain(self.text_of(value)?);
            self.buffers.stack.push(text);
        }
        let start = self.buffers.made.len();
        for i in base..self.buffers.stack.len() {
            if let Some(Value::Plain(span)) = self.buffers.stack.get(i).copied() {
                self.append(span);
            }
        }
        self.buffers.stack.truncate(base);
        Ok(Some(Value::Plain(self.made_since(start))))
    }

    fn call(&mut self, function: Function, input: Value) -> Result<Value, Bail> {
        match function {
            Function::Not => Ok(Value::Bool(!input.is_true())),
            Function::Length => self.length(input).map(Value::Int),
            Function::ToString => self.text_of(input).map(Value::Plain),
            Function::ToJson => self.json_of(input).map(Value::Plain),
            Function::Downcase | Function::Upcase => {
                let text = self.plain(input)?;
                let start = self.buffers.made.len();
                self.append(text);
                let made = self.buffers.made.get_mut(start..).unwrap_or_default();
                if function == Function::Downcase {
                    made.make_ascii_lowercase()
                } else {
                    made.make_ascii_uppercase()
                }
                Ok(Value::Plain(self.made_since(start)))
            }
            Function::Type => {
                let name = match input.rank() {
                    0 => "null",
                    1 => "boolean",
                    2 => "number",
                    3 => "string",
                    4 => "array",
                    _ => "object",
                };
                let start = self.buffers.made.len();
                self.buffers.made.extend_from_slice(name.as_bytes());
                Ok(Value::Plain(self.made_since(start)))
            }
        }
    }

    /// What `length` gives where that is an integer.
    fn length(&mut self, value: Value) -> Result<i64, Bail> {
        let count = match value {
            Value::Null => 0,
            Value::Int(int) => return int.checked_abs().ok_or(Bail),
            Value::Raw(_) | Value::Plain(_) => {
                let text = self.plain(value)?;
                // Every letter has one byte that continues none.
                self.text(text).iter().filter(|&&byte| byte & 0xc0 != 0x80).count()
            }
            Value::Array(span) => Parts::of(self.source(span.from), span.start).count(),
            Value::Object(span) => self.make(span, |text, _, keys| count_members(text, 0, keys))?,
            Value::Root => count_members(self.record, self.start, &mut self.buffers.keys)?,
            Value::Bool(_) | Value::Float(_) | Value::Decimal(_) => return Err(Bail),
        };
        i64::try_from(count).map_err(|_| Bail)
    }
}
