//! A value as a span of text or as a number, how values compare and calculate; what jaq does not do alike is given up.

use std::cmp::Ordering;

use super::{Bail, Math};

/// Which text a span lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pipeline) enum Source {
    /// The record.
    Record,
    /// What was made while the record is evaluated.
    Made,
    /// The filter's literals.
    Literals,
}

/// A range of one of the texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pipeline) struct Span {
    pub from: Source,
    pub start: usize,
    pub end: usize,
}

/// A value during evaluation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// A number by its text, with a fraction or an exponent.
    Decimal(Span),
    /// The inside of a JSON string, which may hold escapes.
    Raw(Span),
    /// Text that holds no escapes.
    Plain(Span),
    /// The JSON text of an array.
    Array(Span),
    /// The JSON text of an object.
    Object(Span),
    /// The record itself, where it is an object.
    Root,
}

impl Value {
    pub(super) fn is_true(self) -> bool {
        !matches!(self, Self::Null | Self::Bool(false))
    }

    /// Where values of this kind stand in jq's order of kinds.
    pub(super) fn rank(self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Int(_) | Self::Float(_) | Self::Decimal(_) => 2,
            Self::Raw(_) | Self::Plain(_) => 3,
            Self::Array(_) => 4,
            Self::Object(_) | Self::Root => 5,
        }
    }
}

/// A number whose text, if it was one, is read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Int(i64),
    Float(f64),
}

impl Number {
    fn float(self) -> f64 {
        match self {
            Self::Int(int) => int as f64,
            Self::Float(float) => float,
        }
    }

    pub(super) fn value(self) -> Value {
        match self {
            Self::Int(int) => Value::Int(int),
            Self::Float(float) => Value::Float(float),
        }
    }

    /// jaq's order: both zeros are equal, and nan is below everything, itself included.
    pub(super) fn order(self, other: Self) -> Ordering {
        if let (Self::Int(left), Self::Int(right)) = (self, other) {
            return left.cmp(&right);
        }
        let (left, right) = (self.float(), other.float());
        if left.is_nan() { Ordering::Less } else { left.partial_cmp(&right).unwrap_or(Ordering::Greater) }
    }

    /// Integers stay integers but for `/`; one that leaves 64 bits, and a remainder by zero, are for the slow path.
    pub(super) fn calculate(self, math: Math, other: Self) -> Result<Self, Bail> {
        // jq fails there, with words that the slow path has.
        if matches!(math, Math::Div | Math::Rem) && other.float() == 0.0 {
            return Err(Bail);
        }
        if let (Self::Int(left), Self::Int(right)) = (self, other) {
            let exact = match math {
                Math::Add => left.checked_add(right),
                Math::Sub => left.checked_sub(right),
                Math::Mul => left.checked_mul(right),
                Math::Rem => left.checked_rem(right),
                Math::Div => return Ok(Self::Float(left as f64 / right as f64)),
            };
            return exact.map(Self::Int).ok_or(Bail);
        }
        let (left, right) = (self.float(), other.float());
        Ok(Self::Float(match math {
            Math::Add => left + right,
            Math::Sub => left - right,
            Math::Mul => left * right,
            Math::Div => left / right,
            Math::Rem => left % right,
        }))
    }
}
