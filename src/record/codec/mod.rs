//! The four codecs in Kafka's framings, with contexts that are kept; never inflates past the limit it is given.

use std::io::{Read, Write};
use std::str::FromStr;

use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};
use zstd::zstd_safe::{
    CCtx, CParameter, DCtx, DParameter, InBuffer, OutBuffer, ResetDirective, zstd_sys::ZSTD_EndDirective,
};

use super::batch::Batch;
use super::error::RecordError;
use super::iter::Records;

/// What xerial's snappy streams begin with; version and lowest compatible version (1 and 1) follow.
const XERIAL_MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const XERIAL_HEADER: [u8; 16] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1];
/// Input bytes of one snappy block; the encoder's own window is as large.
const XERIAL_BLOCK: usize = 64 * 1024;
/// Largest zstd window that is read as a stream (8 MiB, level 19): the context allocates that much.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// Most a zstd block inflates to, and a good step for output buffers.
const ZSTD_STEP: usize = 128 * 1024;
/// A kept buffer larger than this is given back before the next use.
const KEEP: usize = 4 * 1024 * 1024;

/// A batch's compression type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Codec {
    /// Not compressed.
    #[default]
    None,
    /// gzip (RFC 1952).
    Gzip,
    /// snappy in xerial's framing; one bare block is read too.
    Snappy,
    /// lz4 frame of independent blocks.
    Lz4,
    /// zstd frame.
    Zstd,
}

impl Codec {
    /// All of them, in the order of their bits.
    pub const ALL: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

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

    /// The levels it takes, both ends included; `None` where it has none.
    pub fn levels(self) -> Option<(i32, i32)> {
        match self {
            Codec::Gzip => Some((1, 9)),
            Codec::Zstd => Some((-131_072, 22)),
            // Kafka has levels 1 to 17 here; all of them give valid frames, and ours is the fast one.
            Codec::Lz4 => Some((1, 17)),
            Codec::None | Codec::Snappy => None,
        }
    }

    fn broken(self) -> RecordError {
        RecordError::BadCompression { codec: self.name() }
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

impl From<Codec> for Compression {
    fn from(codec: Codec) -> Compression {
        Compression { codec, level: None }
    }
}

impl FromStr for Compression {
    type Err = String;

    /// `none`, or a codec with an optional level: `zstd:3`.
    fn from_str(text: &str) -> Result<Compression, String> {
        let (name, level) = match text.split_once(':') {
            Some((name, level)) => (name, Some(level)),
            None => (text, None),
        };
        let codec = Codec::ALL
            .into_iter()
            .find(|codec| codec.name() == name)
            .ok_or_else(|| format!("{name:?} is no compression: none, gzip, snappy, lz4 or zstd[:LEVEL]"))?;
        let Some(level) = level else { return Ok(codec.into()) };
        let Some((low, high)) = codec.levels() else { return Err(format!("{name} has no levels")) };
        match level.parse() {
            Ok(level) if (low..=high).contains(&level) => Ok(Compression { codec, level: Some(level) }),
            _ => Err(format!("{level:?} is no level of {name}: {low} to {high}")),
        }
    }
}

/// Compression contexts that are kept between batches.
#[derive(Default)]
pub struct Compressor {
    snappy: Option<snap::raw::Encoder>,
    zstd: Option<CCtx<'static>>,
}

impl Compressor {
    /// Contexts are made on first use.
    pub fn new() -> Compressor {
        Compressor::default()
    }

    /// Appends `input`, compressed, to `out`.
    ///
    /// # Errors
    /// `BadCompression` where the codec fails (memory, a level it does not have).
    pub fn compress(&mut self, how: Compression, input: &[u8], out: &mut Vec<u8>) -> Result<(), RecordError> {
        match how.codec {
            Codec::None => {
                out.extend_from_slice(input);
                Some(())
            }
            Codec::Gzip => {
                let level = how.level.and_then(|level| u32::try_from(level).ok());
                let level = level.map_or(flate2::Compression::default(), flate2::Compression::new);
                let mut encoder = GzEncoder::new(out, level);
                encoder.write_all(input).and_then(|()| encoder.try_finish()).ok()
            }
            Codec::Snappy => self.compress_snappy(input, out),
            Codec::Lz4 => {
                let info = FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(BlockMode::Independent);
                let mut encoder = FrameEncoder::with_frame_info(info, out);
                encoder.write_all(input).ok().and_then(|()| encoder.finish().ok()).map(|_| ())
            }
            Codec::Zstd => self.compress_zstd(how.level, input, out),
        }
        .ok_or_else(|| how.codec.broken())
    }

    fn compress_snappy(&mut self, input: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let encoder = self.snappy.get_or_insert_with(snap::raw::Encoder::new);
        out.extend_from_slice(&XERIAL_HEADER);
        for block in input.chunks(XERIAL_BLOCK) {
            let at = out.len();
            out.resize(at + 4 + snap::raw::max_compress_len(block.len()), 0);
            let len = encoder.compress(block, out.get_mut(at + 4..)?).ok()?;
            out.get_mut(at..at + 4)?.copy_from_slice(&u32::try_from(len).ok()?.to_be_bytes());
            out.truncate(at + 4 + len);
        }
        Some(())
    }

    fn compress_zstd(&mut self, level: Option<i32>, input: &[u8], out: &mut Vec<u8>) -> Option<()> {
        if self.zstd.is_none() {
            self.zstd = CCtx::try_create();
        }
        let context = self.zstd.as_mut()?;
        context.reset(ResetDirective::SessionOnly).ok()?;
        let level = level.unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL);
        context.set_parameter(CParameter::CompressionLevel(level)).ok()?;
        context.set_pledged_src_size(Some(input.len() as u64)).ok()?;
        let at = out.len();
        out.reserve(zstd::compress_bound(input.len()));
        let mut to = OutBuffer::around_pos(out, at);
        let left = context
            .compress_stream2(&mut to, &mut InBuffer::around(input), ZSTD_EndDirective::ZSTD_e_end)
            .ok()?;
        (left == 0).then_some(())
    }
}

/// Decompression contexts and a buffer that are kept between batches.
#[derive(Default)]
pub struct Decompressor {
    buf: Vec<u8>,
    zstd: Option<DCtx<'static>>,
}

impl Decompressor {
    /// Contexts are made on first use.
    pub fn new() -> Decompressor {
        Decompressor::default()
    }

    /// Replaces `out`'s contents by `input` inflated, at most `limit` bytes; memory grows with what comes out,
    /// never with what the input announces.
    ///
    /// # Errors
    /// `TooLargeInflated`, `BadCompression`.
    pub fn inflate(
        &mut self,
        codec: Codec,
        input: &[u8],
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), RecordError> {
        out.clear();
        if out.capacity() > KEEP {
            *out = Vec::new();
        }
        match codec {
            Codec::None if input.len() > limit => Err(RecordError::TooLargeInflated { limit }),
            Codec::None => {
                out.extend_from_slice(input);
                Ok(())
            }
            Codec::Gzip => read_within(codec, MultiGzDecoder::new(input), limit, out),
            Codec::Snappy => inflate_snappy(input, limit, out),
            Codec::Lz4 => read_within(codec, FrameDecoder::new(input), limit, out),
            Codec::Zstd => self.inflate_zstd(input, limit, out),
        }
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
        let inflated = self.inflate(codec, batch.payload(), limit, &mut buf);
        self.buf = buf;
        inflated?;
        Ok(Records::new(&batch.header(), &self.buf))
    }

    /// Bytes of memory that the buffer holds.
    #[cfg(test)]
    pub(in crate::record) fn kept(&self) -> usize {
        self.buf.capacity()
    }

    fn inflate_zstd(&mut self, input: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), RecordError> {
        let broken = || Codec::Zstd.broken();
        if self.zstd.is_none() {
            let mut context = DCtx::try_create().ok_or_else(broken)?;
            context.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX)).map_err(|_| broken())?;
            self.zstd = Some(context);
        }
        let context = self.zstd.as_mut().ok_or_else(broken)?;
        context.reset(ResetDirective::SessionOnly).map_err(|_| broken())?;
        let mut from = InBuffer::around(input);
        loop {
            // One byte over the limit is let in, to tell "full" from "too much".
            let room = limit.saturating_add(1).saturating_sub(out.len()).min(ZSTD_STEP.max(out.len()));
            if room == 0 {
                return Err(RecordError::TooLargeInflated { limit });
            }
            out.reserve(room);
            let (read_before, at) = (from.pos(), out.len());
            let step = context.decompress_stream(&mut OutBuffer::around_pos(out, at), &mut from);
            let Ok(hint) = step else {
                // Its window may be larger than a stream may ask for: into a whole buffer it needs none.
                let whole = read_before == 0 && at == 0 && zstd_window_is_large(input);
                return if whole { inflate_zstd_whole(context, input, limit, out) } else { Err(broken()) };
            };
            if out.len() > limit {
                return Err(RecordError::TooLargeInflated { limit });
            }
            match hint {
                0 if from.pos() == input.len() => return Ok(()),
                _ if from.pos() == read_before && out.len() == at => return Err(broken()),
                _ => {}
            }
        }
    }
}

/// Whether a frame's header asks for a window over the stream's limit (RFC 8878, section 3.1.1.1.2).
fn zstd_window_is_large(frame: &[u8]) -> bool {
    match (frame.get(4), frame.get(5)) {
        // Bit 5: a single segment, whose window is its content.
        (Some(descriptor), Some(window)) => {
            descriptor & 0x20 != 0 || u32::from(window >> 3) + 10 >= ZSTD_WINDOW_LOG_MAX
        }
        _ => false,
    }
}

/// Inflates frames in one call. Memory of `limit` bytes is reserved, but only what comes out is touched.
fn inflate_zstd_whole(
    context: &mut DCtx<'static>,
    input: &[u8],
    limit: usize,
    out: &mut Vec<u8>,
) -> Result<(), RecordError> {
    context.reset(ResetDirective::SessionOnly).map_err(|_| Codec::Zstd.broken())?;
    out.try_reserve_exact(limit).map_err(|_| Codec::Zstd.broken())?;
    context.decompress(out, input).map_err(|_| Codec::Zstd.broken())?;
    if out.len() > limit { Err(RecordError::TooLargeInflated { limit }) } else { Ok(()) }
}

/// Reads all that `from` gives, at most `limit` bytes.
fn read_within(codec: Codec, from: impl Read, limit: usize, out: &mut Vec<u8>) -> Result<(), RecordError> {
    from.take((limit as u64).saturating_add(1)).read_to_end(out).map_err(|_| codec.broken())?;
    if out.len() > limit { Err(RecordError::TooLargeInflated { limit }) } else { Ok(()) }
}

fn inflate_snappy(mut input: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), RecordError> {
    let broken = || Codec::Snappy.broken();
    if !input.starts_with(&XERIAL_MAGIC) {
        return inflate_snappy_block(input, limit, out);
    }
    while !input.is_empty() {
        if input.starts_with(&XERIAL_MAGIC) {
            // Streams may be joined, each with its header.
            input = input.get(XERIAL_HEADER.len()..).ok_or_else(broken)?;
            continue;
        }
        let (len, rest) = input.split_first_chunk::<4>().ok_or_else(broken)?;
        let len = usize::try_from(u32::from_be_bytes(*len)).map_err(|_| broken())?;
        let (block, rest) = rest.split_at_checked(len).ok_or_else(broken)?;
        inflate_snappy_block(block, limit, out)?;
        input = rest;
    }
    Ok(())
}

fn inflate_snappy_block(block: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), RecordError> {
    let broken = |_| Codec::Snappy.broken();
    let len = snap::raw::decompress_len(block).map_err(broken)?;
    let at = out.len();
    if len > limit.saturating_sub(at) {
        return Err(RecordError::TooLargeInflated { limit });
    }
    // A copy of at most 64 bytes takes two of input at least: what announces more than that is not believed.
    if len > block.len().saturating_mul(64) {
        return Err(Codec::Snappy.broken());
    }
    out.resize(at + len, 0);
    let to = out.get_mut(at..).unwrap_or_default();
    snap::raw::Decoder::new().decompress(block, to).map_err(broken)?;
    Ok(())
}

#[cfg(test)]
mod tests;
