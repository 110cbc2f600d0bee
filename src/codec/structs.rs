//! The one macro that messages are written in; it must never need a field to be named twice.

/// Defines structs whose fields lie on the wire in the order of their declaration.
///
/// ```text
/// structs! {
///     /// One partition to read.
///     pub struct FetchPartition {
///         partition: i32,                                 // in every version
///         current_leader_epoch: i32 [9.., ignorable] = -1, // from version 9 on; may be left out before
///         high_watermark: i64 [18.., tag 1] = i64::MAX,   // tagged: left out while it holds its default
///     }
/// }
/// ```
///
/// After a field's type, in brackets: the range of versions that have it, then, each where it applies and in
/// this order, `null RANGE` (the versions in which an `Option` may be `None`; without it all), `tag N` (tags
/// rise within a struct), `ignorable` (a version without the field drops a value; otherwise only the default
/// can be encoded in such a version). After `=`, what the field holds where a version has none, and in the
/// struct's `Default`.
macro_rules! structs {
    ($(
        $(#[$meta:meta])*
        $vis:vis struct $name:ident {
            $( $(#[$field_meta:meta])* $field:ident : $ty:ty $([$($opts:tt)*])? $(= $default:expr)? ),* $(,)?
        }
    )*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        $vis struct $name {
            $(
                $(#[$field_meta])*
                #[doc = $crate::codec::field!(doc $([$($opts)*])?)]
                $vis $field: $ty,
            )*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $field: $crate::codec::field!(default $($default)?), )* }
            }
        }

        impl $crate::codec::Struct for $name {}

        impl $crate::codec::Wire for $name {
            #[allow(unused_mut)]
            fn min_len(version: $crate::codec::Version) -> usize {
                let mut len = usize::from(version.flexible);
                $( $crate::codec::field!(min_len len, version, $ty, [$($($opts)*)?]); )*
                len
            }

            #[allow(unused_mut)]
            fn read(
                reader: &mut $crate::codec::Reader,
                version: $crate::codec::Version,
            ) -> Result<Self, $crate::codec::DecodeError> {
                $(
                    let mut $field: $ty = $crate::codec::field!(
                        read reader, version, $field, $crate::codec::field!(default $($default)?), [$($($opts)*)?]
                    );
                )*
                if version.flexible {
                    for _ in 0..reader.uvarint()? {
                        let tag = reader.uvarint()?;
                        let size = reader.uvarint()? as usize;
                        let from = reader.position();
                        let mut known = false;
                        $( $crate::codec::field!(read_tag reader, version, $field, tag, known, [$($($opts)*)?]); )*
                        if !known {
                            reader.skip(size)?;
                        }
                        let taken = reader.position() - from;
                        if taken != size {
                            return Err($crate::codec::DecodeError::TagSize { tag, announced: size, taken });
                        }
                    }
                }
                Ok(Self { $($field),* })
            }

            #[allow(unused_mut)]
            fn write(
                &self,
                writer: &mut $crate::codec::Writer,
                version: $crate::codec::Version,
            ) -> Result<(), $crate::codec::EncodeError> {
                let mut tagged = 0;
                $(
                    $crate::codec::field!(
                        write self, writer, version, $field, $ty, $crate::codec::field!(default $($default)?), tagged,
                        [$($($opts)*)?]
                    );
                )*
                if version.flexible {
                    writer.uvarint(tagged);
                    $(
                        $crate::codec::field!(
                            write_tag self, writer, version, $field, $ty,
                            $crate::codec::field!(default $($default)?), [$($($opts)*)?]
                        );
                    )*
                }
                Ok(())
            }

            #[allow(unused_variables)]
            fn shape(version: $crate::codec::Version) -> $crate::codec::Shape {
                let default = Self::default();
                let fields: &[Option<$crate::codec::FieldShape>] =
                    &[$( $crate::codec::field!(shape default, version, $field, [$($($opts)*)?]) ),*];
                $crate::codec::Shape::Struct { null: false, fields: fields.iter().flatten().cloned().collect() }
            }

            #[allow(unused_variables)]
            fn value(&self, version: $crate::codec::Version) -> $crate::codec::Value {
                let fields: Vec<Option<(&'static str, $crate::codec::Value)>> = vec![$(
                    $crate::codec::field!(
                        value self, version, $field, $ty, $crate::codec::field!(default $($default)?), [$($($opts)*)?]
                    )
                ),*];
                $crate::codec::Value::Struct(fields.into_iter().flatten().collect())
            }
        }
    )*};
}

/// What [`structs!`] does with one field, by the words in its brackets.
macro_rules! field {
    (default) => { Default::default() };
    (default $value:expr) => { $value };

    (doc) => { "In all versions." };
    (doc [$range:expr, tag $tag:literal $($rest:tt)*]) => {
        concat!("In versions `", stringify!($range), "`, tagged ", $tag, ".")
    };
    (doc [$range:expr, null $null:expr $(, $($rest:tt)*)?]) => {
        concat!("In versions `", stringify!($range), "`, `None` allowed in `", stringify!($null), "`.")
    };
    (doc [$range:expr $(, ignorable)?]) => { concat!("In versions `", stringify!($range), "`.") };

    (min_len $len:ident, $version:ident, $ty:ty, []) => {
        $len += <$ty as $crate::codec::Wire>::min_len($version);
    };
    (min_len $len:ident, $version:ident, $ty:ty, [$range:expr, tag $($rest:tt)*]) => {};
    (min_len $len:ident, $version:ident, $ty:ty, [$range:expr $(, $($rest:tt)*)?]) => {
        if ($range).contains(&$version.number) {
            $len += <$ty as $crate::codec::Wire>::min_len($version);
        }
    };

    (read $reader:ident, $version:ident, $field:ident, $default:expr, []) => {
        $crate::codec::Wire::read($reader, $version)?
    };
    (read $reader:ident, $version:ident, $field:ident, $default:expr, [$range:expr, tag $($rest:tt)*]) => {
        $default
    };
    (read $reader:ident, $version:ident, $field:ident, $default:expr,
        [$range:expr, null $null:expr $(, ignorable)?]) => {
        if ($range).contains(&$version.number) {
            let value = $crate::codec::Wire::read($reader, $version)?;
            if Option::is_none(&value) && !($null).contains(&$version.number) {
                return Err($crate::codec::DecodeError::Null {
                    field: stringify!($field),
                    version: $version.number,
                });
            }
            value
        } else {
            $default
        }
    };
    (read $reader:ident, $version:ident, $field:ident, $default:expr, [$range:expr $(, ignorable)?]) => {
        if ($range).contains(&$version.number) {
            $crate::codec::Wire::read($reader, $version)?
        } else {
            $default
        }
    };

    (read_tag $reader:ident, $version:ident, $field:ident, $tag:ident, $known:ident,
        [$range:expr, tag $number:literal $($rest:tt)*]) => {
        if $tag == $number && ($range).contains(&$version.number) {
            $field = $crate::codec::Wire::read_tagged($reader, $version)?;
            $known = true;
        }
    };
    (read_tag $reader:ident, $version:ident, $field:ident, $tag:ident, $known:ident, $opts:tt) => {};

    (write $self:ident, $writer:ident, $version:ident, $field:ident, $ty:ty, $default:expr, $tagged:ident, []) => {
        $crate::codec::Wire::write(&$self.$field, $writer, $version)?;
    };
    (write $self:ident, $writer:ident, $version:ident, $field:ident, $ty:ty, $default:expr, $tagged:ident,
        [$range:expr, tag $tag:literal $($rest:tt)*]) => {
        {
            let default: $ty = $default;
            if $self.$field != default {
                if ($range).contains(&$version.number) {
                    $tagged += 1;
                } else {
                    $crate::codec::field!(absent $version, $field, [$($rest)*]);
                }
            }
        }
    };
    (write $self:ident, $writer:ident, $version:ident, $field:ident, $ty:ty, $default:expr, $tagged:ident,
        [$range:expr, null $null:expr $(, $($rest:tt)*)?]) => {
        if ($range).contains(&$version.number)
            && !($null).contains(&$version.number)
            && Option::is_none(&$self.$field)
        {
            return Err($crate::codec::EncodeError::Null { field: stringify!($field), version: $version.number });
        }
        $crate::codec::field!(write $self, $writer, $version, $field, $ty, $default, $tagged, [$range $(, $($rest)*)?]);
    };
    (write $self:ident, $writer:ident, $version:ident, $field:ident, $ty:ty, $default:expr, $tagged:ident,
        [$range:expr $(, $($rest:tt)*)?]) => {
        if ($range).contains(&$version.number) {
            $crate::codec::Wire::write(&$self.$field, $writer, $version)?;
        } else {
            let default: $ty = $default;
            if $self.$field != default {
                $crate::codec::field!(absent $version, $field, [$(, $($rest)*)?]);
            }
        }
    };

    (shape $default:ident, $version:ident, $field:ident, []) => {
        Some($crate::codec::FieldShape::of(stringify!($field), None, &$default.$field, $version))
    };
    (shape $default:ident, $version:ident, $field:ident, [$range:expr, tag $tag:literal $($rest:tt)*]) => {
        ($range).contains(&$version.number).then(|| {
            $crate::codec::FieldShape::of(stringify!($field), Some($tag), &$default.$field, $version)
        })
    };
    (shape $default:ident, $version:ident, $field:ident, [$range:expr, null $null:expr $(, $($rest:tt)*)?]) => {
        ($range).contains(&$version.number).then(|| {
            $crate::codec::FieldShape::of(stringify!($field), None, &$default.$field, $version)
                .with_null(($null).contains(&$version.number))
        })
    };
    (shape $default:ident, $version:ident, $field:ident, [$range:expr $(, $($rest:tt)*)?]) => {
        ($range).contains(&$version.number).then(|| {
            $crate::codec::FieldShape::of(stringify!($field), None, &$default.$field, $version)
        })
    };

    (value $self:ident, $version:ident, $field:ident, $ty:ty, $default:expr, []) => {
        Some((stringify!($field), $crate::codec::Wire::value(&$self.$field, $version)))
    };
    (value $self:ident, $version:ident, $field:ident, $ty:ty, $default:expr,
        [$range:expr, tag $tag:literal $($rest:tt)*]) => {
        {
            let default: $ty = $default;
            (($range).contains(&$version.number) && $self.$field != default)
                .then(|| (stringify!($field), $crate::codec::Wire::value(&$self.$field, $version)))
        }
    };
    (value $self:ident, $version:ident, $field:ident, $ty:ty, $default:expr,
        [$range:expr $(, $($rest:tt)*)?]) => {
        ($range)
            .contains(&$version.number)
            .then(|| (stringify!($field), $crate::codec::Wire::value(&$self.$field, $version)))
    };

    (absent $version:ident, $field:ident, [, ignorable]) => {};
    (absent $version:ident, $field:ident, []) => {
        return Err($crate::codec::EncodeError::Field { field: stringify!($field), version: $version.number });
    };

    (write_tag $self:ident, $writer:ident, $version:ident, $field:ident, $ty:ty, $default:expr,
        [$range:expr, tag $tag:literal $($rest:tt)*]) => {
        if ($range).contains(&$version.number) {
            let default: $ty = $default;
            if $self.$field != default {
                $writer.tagged($tag, |writer| $crate::codec::Wire::write_tagged(&$self.$field, writer, $version))?;
            }
        }
    };
    (write_tag $self:ident, $writer:ident, $version:ident, $field:ident, $ty:ty, $default:expr, $opts:tt) => {};
}

pub(crate) use {field, structs};
