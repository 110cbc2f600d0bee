//! The four codecs in Kafka's framings, with contexts that are kept; never inflates past the limit it is given.

use super::batch::Batch;
use super::error::RecordError;
use super::iter::Records;

/// A batch's compression type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Codec {
    /// Not compressed.
    #[default]
    None,
    /// gzip (RFC 1952).
    Gzip,
    /// snappy in xerial's framing.
    Snappy,
    /// lz4 frame.
    Lz4,
    /// zstd frame.
    Zstd,
}

impl Codec {
    /// The codec that a batch's attributes name.
    ///
    /// # Errors
    /// `UnknownCodec` for 5 to 7.
    pub fn from_attributes(attributes: i16) -> Result<Codec, RecordError> {
        match attributes & 7 {
            0 => Ok(Codec::None),
            1 => Ok(Codec::Gzip),
            2 => Ok(Codec::Snappy),
            3 => Ok(Codec::Lz4),
            4 => Ok(Codec::Zstd),
            other => Err(RecordError::UnknownCodec(other as u8)),
        }
    }

    /// Its bits in a batch's attributes.
    pub fn bits(self) -> i16 {
        self as i16
    }

    /// Kafka's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Codec::None => "none",
            Codec::Gzip => "gzip",
            Codec::Snappy => "snappy",
            Codec::Lz4 => "lz4",
            Codec::Zstd => "zstd",
        }
    }
}

/// A codec and its level, as a producer is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Compression {
    /// Which codec.
    pub codec: Codec,
    /// The codec's own level; `None` is its default.
    pub level: Option<i32>,
}

impl Compression {
    /// No compression.
    pub const NONE: Compression = Compression { codec: Codec::None, level: None };
}

/// Compression contexts that are kept between batches.
#[derive(Default)]
pub struct Compressor {}

impl Compressor {
    /// Contexts are made on first use.
    pub fn new() -> Compressor {
        Compressor::default()
    }

    /// Appends `input`, compressed, to `out`.
    ///
    /// # Errors
    /// `BadCompression` where the codec fails (memory, level).
    pub fn compress(
        &mut self,
        _how: Compression,
        _input: &[u8],
        _out: &mut Vec<u8>,
    ) -> Result<(), RecordError> {
        unimplemented!()
    }
}

/// Decompression contexts and a buffer that are kept between batches.
#[derive(Default)]
pub struct Decompressor {
    buf: Vec<u8>,
}

impl Decompressor {
    /// Contexts are made on first use.
    pub fn new() -> Decompressor {
        Decompressor::default()
    }

    /// Replaces `out`'s contents by `input` inflated, at most `limit` bytes.
    ///
    /// # Errors
    /// `TooLargeInflated`, `BadCompression`.
    pub fn inflate(
        &mut self,
        _codec: Codec,
        _input: &[u8],
        _limit: usize,
        _out: &mut Vec<u8>,
    ) -> Result<(), RecordError> {
        unimplemented!()
    }

    /// The records of any batch: borrowed from it where it is not compressed, else from this decompressor's
    /// buffer, which holds at most `limit` bytes.
    ///
    /// # Errors
    /// `UnknownCodec`, and those of [`Decompressor::inflate`].
    pub fn records<'d>(&'d mut self, batch: &Batch<'d>, limit: usize) -> Result<Records<'d>, RecordError> {
        let codec = batch.codec()?;
        if codec == Codec::None {
            return batch.records();
        }
        let mut buf = std::mem::take(&mut self.buf);
        self.inflate(codec, batch.payload(), limit, &mut buf)?;
        self.buf = buf;
        Ok(Records::new(&batch.header(), &self.buf))
    }
}
