//! The layout of a type in one version, as a value: for tests and tools that make or show bytes by it; decoding
//! and encoding never look at it.

use super::{Version, Wire, Writer};

/// How a value lies on the wire.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// One byte, 0 or 1.
    Bool,
    /// A number, or an id, of as many bytes as said.
    Fixed(usize),
    /// A string.
    String {
        /// Whether it may be null.
        null: bool,
    },
    /// Bytes.
    Bytes {
        /// Whether they may be null.
        null: bool,
    },
    /// An array.
    Array {
        /// Whether it may be null.
        null: bool,
        /// Its elements.
        of: Box<Shape>,
    },
    /// Fields, one after the other.
    Struct {
        /// Whether it may be null, which a byte before it says.
        null: bool,
        /// Its fields, tagged ones among them.
        fields: Vec<FieldShape>,
    },
}

/// How a field of a struct lies on the wire.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldShape {
    /// Its name.
    pub name: &'static str,
    /// Its tag; `None` if it lies among the fixed fields.
    pub tag: Option<u32>,
    /// Its layout.
    pub shape: Shape,
    /// Its default as it would be encoded; empty where the version can not say it.
    pub default: Vec<u8>,
}

impl Shape {
    /// The same with null allowed or not; fixed sizes are never null.
    pub fn with_null(mut self, allowed: bool) -> Self {
        match &mut self {
            Self::Bool | Self::Fixed(_) => {}
            Self::String { null } | Self::Bytes { null } => *null = allowed,
            Self::Array { null, .. } | Self::Struct { null, .. } => *null = allowed,
        }
        self
    }
}

impl FieldShape {
    /// A field of type `T`.
    pub fn of<T: Wire>(name: &'static str, tag: Option<u32>, default: &T, version: Version) -> Self {
        let mut writer = Writer::new();
        let default = default.write(&mut writer, version).map(|()| writer.into_vec()).unwrap_or_default();
        Self { name, tag, shape: T::shape(version), default }
    }

    /// The same with null allowed or not.
    pub fn with_null(mut self, allowed: bool) -> Self {
        self.shape = self.shape.with_null(allowed);
        self
    }
}
