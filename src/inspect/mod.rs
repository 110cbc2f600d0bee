//! Segment files to rows of facts and findings: no broker, no network, no terminal; never writes.
//!
//! A [`folder`] lists what lies where; a [`scan`] walks one file batch by batch and goes on behind damage; the rest is
//! made of the two: [`seek`], [`read`] (records), [`verify`], [`stat`], [`facts`] (a row a segment) and [`mend`] (what a
//! repair would cut). [`decode`] shows what internal topics, indexes and the small files hold. Files are opened for reading only and read by position, through storage's disk.

pub mod decode;
pub mod distinct;
pub mod facts;
pub mod finding;
pub mod folder;
mod indexes;
pub mod mend;
pub mod parallel;
pub mod read;
pub mod scan;
pub mod seek;
pub mod stat;
pub mod verify;
mod window;

pub use crate::record::{BatchHeader, Codec, Decompressor, Headers, Record};
pub use crate::storage::scan::split_name;
pub use finding::{Cause, Finding, Problem};
pub use folder::{Partition, SegmentFile};
pub use scan::{Damage, Piece, Scan};
pub use window::Source;

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::record::{Batch, RecordError};
use crate::storage::{Disk, RealDisk};

/// Most bytes that one batch may inflate to.
pub const MAX_INFLATED: usize = 1 << 30;

/// Why files could not be looked at. Damage in them is no error: it is what is found.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The system did not let it be read.
    #[error("{doing} {path}: {source}", path = .path.display())]
    Io {
        /// What was tried ("reading", "opening").
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A folder or file that holds no segments.
    #[error("{path} holds no segments", path = .path.display())]
    Nothing {
        /// What was looked at.
        path: PathBuf,
    },
    /// What was asked needs a file that can be read at any place, and this can not.
    #[error("{what} needs a file; {path} can only be read once, from its start", path = .path.display())]
    Stream {
        /// What was asked.
        what: &'static str,
        /// What was to be read.
        path: PathBuf,
    },
}

impl InspectError {
    /// For `map_err`: what was tried on what.
    fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { doing, path, source }
    }
}

/// The machine's own disk.
pub fn machine() -> Arc<dyn Disk> {
    Arc::new(RealDisk)
}

/// The records of a batch whose offsets lie in `range`, as a batch of their own: its base offset, count and bytes.
///
/// # Errors
/// Those of reading the batch's records.
pub fn trimmed(
    batch: &Batch<'_>,
    range: &Range<i64>,
    inflate: &mut Decompressor,
) -> Result<Option<(i64, i32, Vec<u8>)>, RecordError> {
    let bytes = crate::record::trim(batch, range, inflate, MAX_INFLATED)?;
    Ok(bytes.map(|bytes| {
        let (base, count) =
            Batch::exactly(&bytes).map_or((0, 0), |batch| (batch.base_offset(), batch.count()));
        (base, count, bytes)
    }))
}

/// Counts of work done, shared between threads: what progress is drawn from.
#[derive(Debug, Default)]
pub struct Meter {
    bytes: std::sync::atomic::AtomicU64,
}

impl Meter {
    /// Adds bytes that were read.
    pub fn add(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, std::sync::atomic::Ordering::Relaxed);
    }

    /// Bytes read so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(std::sync::atomic::Ordering::Relaxed)
    }
}
