//! A decoded value as a plain tree, for showing it without knowing its type; nothing is ever encoded from one.

use bytes::Bytes;

/// What a field holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number of any width.
    Int(i64),
    /// A number.
    Float(f64),
    /// A string; ids too, as Kafka writes them.
    Text(String),
    /// Bytes that may be no text.
    Bytes(Bytes),
    /// An array.
    List(Vec<Value>),
    /// Fields by name, in the order of the definition.
    Struct(Vec<(&'static str, Value)>),
}

macro_rules! from {
    ($($ty:ty => $variant:ident),*) => {$(
        impl From<$ty> for Value {
            fn from(value: $ty) -> Self {
                Self::$variant(value.into())
            }
        }
    )*};
}

from! {
    bool => Bool, i8 => Int, i16 => Int, u16 => Int, i32 => Int, u32 => Int, i64 => Int, f64 => Float,
    String => Text, &str => Text, Bytes => Bytes
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
