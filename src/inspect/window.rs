//! A moving window over a file or a stream; it holds a batch at a time and never more than remains to be read.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::InspectError;
use crate::record::Crc;
use crate::storage::disk::Mode;
use crate::storage::{Disk, DiskFile};

/// How much is read at once.
const CHUNK: usize = 1 << 20;
/// A buffer larger than this is given back once it is not needed.
const KEEP: usize = 4 * CHUNK;
/// A claim larger than this is believed only after its CRC was found right by reading it piece by piece.
pub(super) const BELIEVED: usize = 16 << 20;
/// Most bytes of a stream that are held: what was read of it can not be read again.
const STREAM_LIMIT: usize = 256 << 20;

/// Where bytes come from.
pub enum Source {
    /// A file, read by position up to the size it had when it was opened.
    File {
        /// The open file.
        file: Arc<dyn DiskFile>,
        /// Its size then.
        size: u64,
    },
    /// A pipe: read once, forwards.
    Stream(Box<dyn Read + Send>),
}

impl std::fmt::Debug for Source {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File { size, .. } => write!(out, "file of {size} bytes"),
            Self::Stream(_) => write!(out, "stream"),
        }
    }
}

impl Source {
    /// Opens a file for reading.
    ///
    /// # Errors
    /// `Io`.
    pub fn open(disk: &dyn Disk, path: &Path) -> Result<Source, InspectError> {
        let file = disk.open(path, Mode::Read).map_err(InspectError::io("open", path))?;
        let size = file.len().map_err(InspectError::io("read", path))?;
        Ok(Source::File { file, size })
    }
}

/// The window; `buf[..len]` are the bytes from `start` on.
pub(super) struct Window {
    source: Source,
    path: PathBuf,
    buf: Vec<u8>,
    start: u64,
    len: usize,
    ended: bool,
}

impl Window {
    pub(super) fn new(source: Source, path: &Path) -> Window {
        Window { source, path: path.to_path_buf(), buf: Vec::new(), start: 0, len: 0, ended: false }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The size, where it is known.
    pub(super) fn size(&self) -> Option<u64> {
        match &self.source {
            Source::File { size, .. } => Some(*size),
            Source::Stream(_) => None,
        }
    }

    pub(super) fn is_stream(&self) -> bool {
        matches!(self.source, Source::Stream(_))
    }

    /// Where what was read so far ends.
    pub(super) fn held_to(&self) -> u64 {
        self.start + self.len as u64
    }

    /// Looks again how large the file is now.
    pub(super) fn grow(&mut self) -> Result<(), InspectError> {
        if let Source::File { file, size } = &mut self.source {
            *size = file.len().map_err(InspectError::io("read", &self.path))?;
            // What is held may have been half written.
            self.len = 0;
        }
        Ok(())
    }

    /// Up to `want` bytes from `at`, fewer only where the source ends (or a stream's limit is reached). A stream gives
    /// up what lies before `at`.
    pub(super) fn get(&mut self, at: u64, want: usize) -> Result<&[u8], InspectError> {
        let held_to = self.held_to();
        let inside = at >= self.start && at + want as u64 <= held_to;
        if !inside {
            self.fill(at, want).map_err(InspectError::io("read", &self.path))?;
        }
        let from = usize::try_from(at.saturating_sub(self.start)).unwrap_or(usize::MAX);
        let end = from.saturating_add(want).min(self.len);
        Ok(self.buf.get(from..end).unwrap_or_default())
    }

    fn fill(&mut self, at: u64, want: usize) -> io::Result<()> {
        let (target, limit) = match &self.source {
            Source::File { size, .. } => {
                let rest = usize::try_from(size.saturating_sub(at)).unwrap_or(usize::MAX);
                (want.max(CHUNK).min(rest), rest)
            }
            Source::Stream(_) => (want.clamp(CHUNK, STREAM_LIMIT), STREAM_LIMIT),
        };
        self.move_to(at)?;
        if self.buf.len() > KEEP && target <= CHUNK && self.len <= CHUNK {
            self.buf.truncate(CHUNK);
            self.buf.shrink_to_fit();
        }
        let target = target.min(limit);
        while self.len < target && !self.ended {
            if self.buf.len() < target {
                // A stream's bytes are believed as they come: memory doubles with what arrived.
                let step = if self.is_stream() { target.min((self.len * 2).max(CHUNK)) } else { target };
                self.buf.resize(step.max(self.buf.len()), 0);
            }
            let end = target.min(self.buf.len());
            let into = self.buf.get_mut(self.len..end).unwrap_or_default();
            let read = match &mut self.source {
                Source::File { file, .. } => file.read_at(into, self.start + self.len as u64)?,
                Source::Stream(from) => match from.read(into) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    done => done?,
                },
            };
            if read == 0 {
                self.ended = self.is_stream();
                break;
            }
            self.len += read;
        }
        Ok(())
    }

    /// Makes `at` the window's start, keeping what is held of it.
    fn move_to(&mut self, at: u64) -> io::Result<()> {
        let held_to = self.held_to();
        if at >= self.start && at < held_to {
            let from = usize::try_from(at - self.start).unwrap_or(0);
            self.buf.copy_within(from..self.len, 0);
            self.len -= from;
        } else if let Source::Stream(from) = &mut self.source {
            // Never backwards; forwards over what nobody wants.
            let skip = at.saturating_sub(held_to);
            let skipped = io::copy(&mut from.by_ref().take(skip), &mut io::sink())?;
            self.ended |= skipped < skip;
            self.len = 0;
        } else {
            self.len = 0;
        }
        self.start = at;
        Ok(())
    }

    /// The CRC-32C of a range of a file, read piece by piece.
    pub(super) fn crc(&self, from: u64, to: u64) -> Result<Option<u32>, InspectError> {
        let Source::File { file, .. } = &self.source else { return Ok(None) };
        let mut piece = vec![0; CHUNK];
        let (mut crc, mut at) = (Crc::new(), from);
        while at < to {
            let want = usize::try_from(to - at).unwrap_or(CHUNK).min(CHUNK);
            let into = piece.get_mut(..want).unwrap_or_default();
            let read = file.read_at(into, at).map_err(InspectError::io("read", &self.path))?;
            if read == 0 {
                return Ok(None);
            }
            crc.update(piece.get(..read).unwrap_or_default());
            at += read as u64;
        }
        Ok(Some(crc.value()))
    }
}
