//! Takes Kafka's primitives from a frame; never trusts a length, a count or a byte of it.

use bytes::Bytes;

use super::{DecodeError, Version, Wire};

/// The longest string, in bytes, that the protocol can say.
pub const MAX_STRING: usize = i16::MAX as usize;
/// Memory that arrays decoded from a frame may take: this many bytes for each byte of the frame ...
pub const ALLOWANCE_FACTOR: usize = 4;
/// ... and these bytes besides, so that requests about ten thousand topics with short names are not refused.
pub const ALLOWANCE_BASE: usize = 256 * 1024;

/// A place in a frame. Byte fields are slices of the frame: they share its memory.
#[derive(Debug)]
pub struct Reader {
    frame: Bytes,
    at: usize,
    allowance: usize,
}

impl Reader {
    /// Reads `frame` from its first byte on.
    pub fn new(frame: Bytes) -> Self {
        let allowance = frame.len().saturating_mul(ALLOWANCE_FACTOR).saturating_add(ALLOWANCE_BASE);
        Self { frame, at: 0, allowance }
    }

    /// Lets arrays take `factor` bytes of memory for each byte of the frame: for answers of a server this
    /// program chose to ask.
    pub fn widen(&mut self, factor: usize) {
        self.allowance = self.allowance.max(self.frame.len().saturating_mul(factor));
    }

    /// Bytes read so far.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Bytes not read yet.
    pub fn remaining(&self) -> usize {
        self.frame.len() - self.at
    }

    /// All bytes not read yet, without reading them.
    pub fn rest(&self) -> Bytes {
        self.frame.slice(self.at..)
    }

    fn short(&self, needed: usize) -> DecodeError {
        DecodeError::Truncated { needed, remaining: self.remaining() }
    }

    #[inline]
    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        match self.frame.get(self.at..).and_then(|rest| rest.first_chunk::<N>()) {
            Some(&bytes) => {
                self.at += N;
                Ok(bytes)
            }
            None => Err(self.short(N)),
        }
    }

    /// One byte, 0 is false.
    #[inline]
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        Ok(self.u8()? != 0)
    }

    /// One byte.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        self.fixed().map(u8::from_be_bytes)
    }

    /// One byte, signed.
    #[inline]
    pub fn i8(&mut self) -> Result<i8, DecodeError> {
        self.fixed().map(i8::from_be_bytes)
    }

    /// Two bytes, signed.
    #[inline]
    pub fn i16(&mut self) -> Result<i16, DecodeError> {
        self.fixed().map(i16::from_be_bytes)
    }

    /// Two bytes.
    #[inline]
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.fixed().map(u16::from_be_bytes)
    }

    /// Four bytes, signed.
    #[inline]
    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        self.fixed().map(i32::from_be_bytes)
    }

    /// Four bytes.
    #[inline]
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.fixed().map(u32::from_be_bytes)
    }

    /// Eight bytes, signed.
    #[inline]
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        self.fixed().map(i64::from_be_bytes)
    }

    /// Eight bytes, IEEE 754.
    #[inline]
    pub fn f64(&mut self) -> Result<f64, DecodeError> {
        self.fixed().map(f64::from_be_bytes)
    }

    /// Sixteen bytes.
    #[inline]
    pub fn uuid(&mut self) -> Result<[u8; 16], DecodeError> {
        self.fixed()
    }

    /// An unsigned varint of up to 32 bits: at most five bytes, low bits first.
    #[inline]
    pub fn uvarint(&mut self) -> Result<u32, DecodeError> {
        let mut value = 0;
        for shift in (0..35).step_by(7) {
            let byte = self.u8()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return if shift == 28 && byte > 0x0f { Err(DecodeError::Varint) } else { Ok(value) };
            }
        }
        Err(DecodeError::Varint)
    }

    /// An unsigned varint of up to 64 bits: at most ten bytes, low bits first.
    #[inline]
    pub fn uvarlong(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0;
        for shift in (0..70).step_by(7) {
            let byte = self.u8()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return if shift == 63 && byte > 1 { Err(DecodeError::Varint) } else { Ok(value) };
            }
        }
        Err(DecodeError::Varint)
    }

    /// A signed varint (zigzag) of up to 32 bits.
    #[inline]
    pub fn varint(&mut self) -> Result<i32, DecodeError> {
        let raw = self.uvarint()?;
        Ok((raw >> 1) as i32 ^ -((raw & 1) as i32))
    }

    /// A signed varint (zigzag) of up to 64 bits.
    #[inline]
    pub fn varlong(&mut self) -> Result<i64, DecodeError> {
        let raw = self.uvarlong()?;
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    /// The next `length` bytes, as a slice of the frame.
    #[inline]
    pub fn slice(&mut self, length: usize) -> Result<Bytes, DecodeError> {
        if length > self.remaining() {
            return Err(self.short(length));
        }
        let from = self.at;
        self.at += length;
        Ok(self.frame.slice(from..self.at))
    }

    /// Passes over `length` bytes.
    pub fn skip(&mut self, length: usize) -> Result<(), DecodeError> {
        if length > self.remaining() {
            return Err(self.short(length));
        }
        self.at += length;
        Ok(())
    }

    /// A length or count of `version`'s kind: an unsigned varint of one more, or four bytes; `None` is null.
    #[inline]
    pub(super) fn length(&mut self, version: Version) -> Result<Option<usize>, DecodeError> {
        let length = if version.flexible { i64::from(self.uvarint()?) - 1 } else { i64::from(self.i32()?) };
        usable(length)
    }

    /// A string of `version`'s kind; `None` is null.
    pub fn nullable_string(&mut self, version: Version) -> Result<Option<String>, DecodeError> {
        let length = if version.flexible { self.length(version)? } else { usable(i64::from(self.i16()?))? };
        let Some(length) = length else { return Ok(None) };
        if length > MAX_STRING {
            return Err(DecodeError::StringTooLong { length });
        }
        let Some(bytes) = self.frame.get(self.at..self.at + length) else { return Err(self.short(length)) };
        let text = std::str::from_utf8(bytes).map_err(|_| DecodeError::NotUtf8)?.to_owned();
        self.at += length;
        Ok(Some(text))
    }

    /// A string of `version`'s kind that is not null.
    pub fn string(&mut self, version: Version) -> Result<String, DecodeError> {
        self.nullable_string(version)?.ok_or(DecodeError::Length { length: -1 })
    }

    /// Bytes of `version`'s kind, as a slice of the frame; `None` is null.
    #[inline]
    pub fn nullable_bytes(&mut self, version: Version) -> Result<Option<Bytes>, DecodeError> {
        match self.length(version)? {
            Some(length) => self.slice(length).map(Some),
            None => Ok(None),
        }
    }

    /// Bytes of `version`'s kind that are not null, as a slice of the frame.
    #[inline]
    pub fn bytes(&mut self, version: Version) -> Result<Bytes, DecodeError> {
        self.nullable_bytes(version)?.ok_or(DecodeError::Length { length: -1 })
    }

    /// An array of `version`'s kind; `None` is null.
    ///
    /// Memory is taken only once the count is known to fit in the bytes that are left and in what a frame of
    /// this size may take.
    pub fn nullable_array<T: Wire>(&mut self, version: Version) -> Result<Option<Vec<T>>, DecodeError> {
        let Some(count) = self.length(version)? else { return Ok(None) };
        let remaining = self.remaining();
        if count > remaining / T::min_len(version).max(1) {
            return Err(DecodeError::Count { count, remaining });
        }
        let memory = count.saturating_mul(size_of::<T>());
        self.allowance = self.allowance.checked_sub(memory).ok_or(DecodeError::Memory { count })?;
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            elements.push(T::read(self, version)?);
        }
        Ok(Some(elements))
    }

    /// An array of `version`'s kind that is not null.
    pub fn array<T: Wire>(&mut self, version: Version) -> Result<Vec<T>, DecodeError> {
        self.nullable_array(version)?.ok_or(DecodeError::Length { length: -1 })
    }

    /// Passes over tagged fields none of which is known.
    pub fn skip_tagged_fields(&mut self) -> Result<(), DecodeError> {
        for _ in 0..self.uvarint()? {
            self.uvarint()?;
            let size = self.uvarint()? as usize;
            self.skip(size)?;
        }
        Ok(())
    }
}

fn usable(length: i64) -> Result<Option<usize>, DecodeError> {
    match length {
        -1 => Ok(None),
        length => usize::try_from(length).map(Some).map_err(|_| DecodeError::Length { length }),
    }
}
