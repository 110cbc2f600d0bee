//! Puts Kafka's primitives into a growing buffer; never writes a length that its prefix can not say.

use bytes::Bytes;

use super::{EncodeError, MAX_STRING, Version, Wire};

/// Where bytes that are supplied elsewhere belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hole {
    /// Bytes written before it.
    pub at: usize,
    /// Bytes that belong here.
    pub length: usize,
}

/// What records fields announce while their bytes are left out.
#[derive(Debug)]
struct Plan {
    lengths: Vec<usize>,
    met: usize,
    holes: Vec<Hole>,
}

/// A growing buffer.
#[derive(Debug, Default)]
pub struct Writer {
    buffer: Vec<u8>,
    plan: Option<Plan>,
}

macro_rules! put {
    ($($(#[$doc:meta])* $name:ident: $ty:ty),* $(,)?) => {$(
        $(#[$doc])*
        #[inline]
        pub fn $name(&mut self, value: $ty) {
            self.buffer.extend_from_slice(&value.to_be_bytes());
        }
    )*};
}

impl Writer {
    /// An empty buffer.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty buffer with room for `bytes` bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { buffer: Vec::with_capacity(bytes), plan: None }
    }

    /// Goes on at the end of `buffer`.
    pub fn append_to(buffer: Vec<u8>) -> Self {
        Self { buffer, plan: None }
    }

    /// The bytes written.
    pub fn into_vec(self) -> Vec<u8> {
        self.buffer
    }

    /// The bytes written, to be shared.
    pub fn into_bytes(self) -> Bytes {
        self.buffer.into()
    }

    /// The bytes written, cut at each of `holes`: one more piece than there are holes, all of one buffer.
    pub fn into_pieces(self, holes: &[Hole]) -> Vec<Bytes> {
        let mut rest = self.into_bytes();
        let mut cut = 0;
        let mut pieces = Vec::with_capacity(holes.len() + 1);
        for hole in holes {
            pieces.push(rest.split_to(hole.at - cut));
            cut = hole.at;
        }
        pieces.push(rest);
        pieces
    }

    /// The bytes written so far.
    pub fn as_slice(&self) -> &[u8] {
        &self.buffer
    }

    /// Number of bytes written so far.
    pub fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    put! {
        /// One byte.
        u8: u8,
        /// One byte, signed.
        i8: i8,
        /// Two bytes, signed.
        i16: i16,
        /// Two bytes.
        u16: u16,
        /// Four bytes, signed.
        i32: i32,
        /// Four bytes.
        u32: u32,
        /// Eight bytes, signed.
        i64: i64,
        /// Eight bytes, IEEE 754.
        f64: f64,
    }

    /// One byte, 0 or 1.
    #[inline]
    pub fn bool(&mut self, value: bool) {
        self.u8(value.into());
    }

    /// Bytes as they are, with no length before them.
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// An unsigned varint: low bits first, one to five bytes.
    #[inline]
    pub fn uvarint(&mut self, value: u32) {
        self.uvarlong(value.into());
    }

    /// An unsigned varint of up to 64 bits: low bits first, one to ten bytes.
    #[inline]
    pub fn uvarlong(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.buffer.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.buffer.push(value as u8);
    }

    /// A signed varint (zigzag) of up to 32 bits.
    #[inline]
    pub fn varint(&mut self, value: i32) {
        self.uvarint(((value << 1) ^ (value >> 31)) as u32);
    }

    /// A signed varint (zigzag) of up to 64 bits.
    #[inline]
    pub fn varlong(&mut self, value: i64) {
        self.uvarlong(((value << 1) ^ (value >> 63)) as u64);
    }

    /// A length or count of `version`'s kind; `None` is null.
    #[inline]
    pub(super) fn length(&mut self, length: Option<usize>, version: Version) -> Result<(), EncodeError> {
        const LIMIT: usize = i32::MAX as usize - 1;
        match length {
            Some(length) if length > LIMIT => return Err(EncodeError::TooLong { length, limit: LIMIT }),
            Some(length) if version.flexible => self.uvarint(length as u32 + 1),
            Some(length) => self.i32(length as i32),
            None if version.flexible => self.uvarint(0),
            None => self.i32(-1),
        }
        Ok(())
    }

    /// A string of `version`'s kind; `None` is null.
    pub fn nullable_string(&mut self, text: Option<&str>, version: Version) -> Result<(), EncodeError> {
        let length = text.map(str::len);
        match length {
            Some(length) if length > MAX_STRING => {
                return Err(EncodeError::TooLong { length, limit: MAX_STRING });
            }
            _ if version.flexible => self.length(length, version)?,
            Some(length) => self.i16(length as i16),
            None => self.i16(-1),
        }
        self.raw(text.unwrap_or_default().as_bytes());
        Ok(())
    }

    /// A string of `version`'s kind.
    pub fn string(&mut self, text: &str, version: Version) -> Result<(), EncodeError> {
        self.nullable_string(Some(text), version)
    }

    /// Bytes of `version`'s kind.
    pub fn bytes(&mut self, bytes: &[u8], version: Version) -> Result<(), EncodeError> {
        self.length(Some(bytes.len()), version)?;
        self.raw(bytes);
        Ok(())
    }

    /// Bytes of `version`'s kind, `None` is null; while holes are made, only the next planned length.
    pub fn nullable_bytes(&mut self, bytes: Option<&[u8]>, version: Version) -> Result<(), EncodeError> {
        if let Some(plan) = &mut self.plan {
            plan.met += 1;
            let length = plan.lengths.get(plan.met - 1).copied().unwrap_or(0);
            self.length(Some(length), version)?;
            let at = self.buffer.len();
            if let (Some(plan), true) = (&mut self.plan, length > 0) {
                plan.holes.push(Hole { at, length });
            }
            return Ok(());
        }
        match bytes {
            Some(bytes) => self.bytes(bytes, version),
            None => self.length(None, version),
        }
    }

    /// An array of `version`'s kind; `None` is null.
    pub fn nullable_array<T: Wire>(
        &mut self,
        elements: Option<&[T]>,
        version: Version,
    ) -> Result<(), EncodeError> {
        self.length(elements.map(<[T]>::len), version)?;
        elements.unwrap_or_default().iter().try_for_each(|element| element.write(self, version))
    }

    /// One tagged field: its tag, its size and what `write` writes.
    pub fn tagged(
        &mut self,
        tag: u32,
        write: impl FnOnce(&mut Self) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        self.uvarint(tag);
        let from = self.buffer.len();
        write(self)?;
        let size = self.buffer.len() - from;
        let mut prefix = Self::with_capacity(5);
        prefix.uvarint(size as u32);
        self.buffer.splice(from..from, prefix.buffer);
        Ok(())
    }

    /// Runs `write` while nullable byte fields announce `lengths`, one after the other, and leave their bytes
    /// out; says where they belong. Lengths of 0 leave no hole. Such fields must not lie in tagged ones, whose
    /// size comes before them.
    pub fn with_holes(
        &mut self,
        lengths: &[usize],
        write: impl FnOnce(&mut Self) -> Result<(), EncodeError>,
    ) -> Result<Vec<Hole>, EncodeError> {
        self.plan =
            Some(Plan { lengths: lengths.to_vec(), met: 0, holes: Vec::with_capacity(lengths.len()) });
        let written = write(self);
        let plan = self.plan.take();
        written?;
        match plan {
            Some(plan) if plan.met == lengths.len() => Ok(plan.holes),
            plan => Err(EncodeError::Holes { given: lengths.len(), fields: plan.map_or(0, |plan| plan.met) }),
        }
    }
}
