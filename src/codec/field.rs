//! How each Rust type that a message may hold lies on the wire; never knows a message.

use bytes::Bytes;

use super::{DecodeError, EncodeError, Reader, Shape, Value, Writer};
use crate::model::id::TopicId;

/// The version in which a message is read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// The message's version.
    pub number: i16,
    /// Whether the version has compact lengths and tagged fields (KIP-482).
    pub flexible: bool,
}

impl Version {
    /// Version `number` of a message that is flexible from `first_flexible` on (`None`: never).
    pub fn new(number: i16, first_flexible: Option<i16>) -> Self {
        Self { number, flexible: first_flexible.is_some_and(|first| number >= first) }
    }
}

/// A type that a field can have.
pub trait Wire: Sized {
    /// The fewest bytes a value takes.
    fn min_len(version: Version) -> usize;
    /// Takes a value.
    fn read(reader: &mut Reader, version: Version) -> Result<Self, DecodeError>;
    /// Puts the value.
    fn write(&self, writer: &mut Writer, version: Version) -> Result<(), EncodeError>;
    /// Takes a value that lies in a tagged field: only a struct that may be null lies there in another way.
    fn read_tagged(reader: &mut Reader, version: Version) -> Result<Self, DecodeError> {
        Self::read(reader, version)
    }
    /// Puts the value into a tagged field.
    fn write_tagged(&self, writer: &mut Writer, version: Version) -> Result<(), EncodeError> {
        self.write(writer, version)
    }
    /// How a value lies on the wire.
    fn shape(version: Version) -> Shape;
    /// The value for showing, with the fields that `version` has; tagged ones only where they differ from their default.
    fn value(&self, version: Version) -> Value;
}

/// A [`Wire`] type made of fields; where it may be null, a byte before it says so: -1, in tagged fields 0.
pub trait Struct: Wire {}

macro_rules! fixed {
    ($($ty:ident $len:literal $shape:expr),*) => {$(
        impl Wire for $ty {
            #[inline]
            fn min_len(_: Version) -> usize {
                $len
            }
            #[inline]
            fn read(reader: &mut Reader, _: Version) -> Result<Self, DecodeError> {
                reader.$ty()
            }
            #[inline]
            fn write(&self, writer: &mut Writer, _: Version) -> Result<(), EncodeError> {
                writer.$ty(*self);
                Ok(())
            }
            fn shape(_: Version) -> Shape {
                $shape
            }
            fn value(&self, _: Version) -> Value {
                (*self).into()
            }
        }
    )*};
}

fixed! {
    bool 1 Shape::Bool, i8 1 Shape::Fixed(1), i16 2 Shape::Fixed(2), u16 2 Shape::Fixed(2), i32 4 Shape::Fixed(4),
    u32 4 Shape::Fixed(4), i64 8 Shape::Fixed(8), f64 8 Shape::Fixed(8)
}

macro_rules! variable {
    ($([$($generics:tt)*] $ty:ty, $shortest:literal, $read:ident, $write:ident, $value:ident => $borrow:expr, $version:ident => $shape:expr, $show:expr;)*) => {$(
        impl<$($generics)*> Wire for $ty {
            #[inline]
            fn min_len(version: Version) -> usize {
                if version.flexible { 1 } else { $shortest }
            }
            #[inline]
            fn read(reader: &mut Reader, version: Version) -> Result<Self, DecodeError> {
                reader.$read(version)
            }
            #[inline]
            fn write(&self, writer: &mut Writer, version: Version) -> Result<(), EncodeError> {
                let $value = self;
                writer.$write($borrow, version)
            }
            fn shape($version: Version) -> Shape {
                $shape
            }
            fn value(&self, $version: Version) -> Value {
                let $value = self;
                $show
            }
        }
    )*};
}

variable! {
    [] String, 2, string, string, text => text, _version => Shape::String { null: false }, text.clone().into();
    [] Option<String>, 2, nullable_string, nullable_string, text => text.as_deref(),
        _version => Shape::String { null: true }, text.clone().into();
    [] Bytes, 4, bytes, bytes, bytes => bytes, _version => Shape::Bytes { null: false }, bytes.clone().into();
    [] Option<Bytes>, 4, nullable_bytes, nullable_bytes, bytes => bytes.as_deref(),
        _version => Shape::Bytes { null: true }, bytes.clone().into();
    [T: Wire] Vec<T>, 4, array, nullable_array, elements => Some(elements),
        version => Shape::Array { null: false, of: Box::new(T::shape(version)) }, list(elements, version);
    [T: Wire] Option<Vec<T>>, 4, nullable_array, nullable_array, elements => elements.as_deref(),
        version => Shape::Array { null: true, of: Box::new(T::shape(version)) },
        elements.as_ref().map_or(Value::Null, |elements| list(elements, version));
}

fn list<T: Wire>(elements: &[T], version: Version) -> Value {
    Value::List(elements.iter().map(|element| element.value(version)).collect())
}

impl Wire for TopicId {
    #[inline]
    fn min_len(_: Version) -> usize {
        16
    }
    #[inline]
    fn read(reader: &mut Reader, _: Version) -> Result<Self, DecodeError> {
        reader.uuid().map(Self)
    }
    #[inline]
    fn write(&self, writer: &mut Writer, _: Version) -> Result<(), EncodeError> {
        writer.raw(&self.0);
        Ok(())
    }
    fn shape(_: Version) -> Shape {
        Shape::Fixed(16)
    }
    fn value(&self, _: Version) -> Value {
        self.to_string().into()
    }
}

impl<S: Struct> Wire for Option<S> {
    fn min_len(_: Version) -> usize {
        1
    }
    fn read(reader: &mut Reader, version: Version) -> Result<Self, DecodeError> {
        if reader.i8()? < 0 { Ok(None) } else { S::read(reader, version).map(Some) }
    }
    fn write(&self, writer: &mut Writer, version: Version) -> Result<(), EncodeError> {
        match self {
            Some(value) => {
                writer.i8(1);
                value.write(writer, version)
            }
            None => {
                writer.i8(-1);
                Ok(())
            }
        }
    }
    fn read_tagged(reader: &mut Reader, version: Version) -> Result<Self, DecodeError> {
        if reader.uvarint()? == 0 { Ok(None) } else { S::read(reader, version).map(Some) }
    }
    fn write_tagged(&self, writer: &mut Writer, version: Version) -> Result<(), EncodeError> {
        writer.uvarint(self.is_some().into());
        self.as_ref().map_or(Ok(()), |value| value.write(writer, version))
    }
    fn shape(version: Version) -> Shape {
        S::shape(version).with_null(true)
    }
    fn value(&self, version: Version) -> Value {
        self.as_ref().map_or(Value::Null, |value| value.value(version))
    }
}
