//! A disk around the simulated one: slow syncs for every history, and for planted bugs a hand that forgets syncs or changes what is
//! written.

use std::fmt;
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use klog::storage::disk::{Disk, DiskFile, Entry, Lock, Mode};

/// What may be done on the way to the disk below.
pub(crate) trait Hand: Send + Sync + 'static {
    /// Whether a sync of a file reaches the disk; it is reported as done either way.
    fn lets_sync(&self, _: &Path) -> bool {
        true
    }

    /// What is written in the place of `bytes`.
    fn writes(&self, _: &Path, bytes: Vec<u8>) -> Vec<u8> {
        bytes
    }

    /// How long a sync takes.
    fn sync_takes(&self) -> Duration {
        Duration::ZERO
    }
}

/// A disk with a hand in it.
pub(crate) struct Layer {
    below: Arc<dyn Disk>,
    hand: Arc<dyn Hand>,
}

struct LayerFile {
    below: Arc<dyn DiskFile>,
    hand: Arc<dyn Hand>,
    path: PathBuf,
}

impl Layer {
    pub(crate) fn over(below: Arc<dyn Disk>, hand: Arc<dyn Hand>) -> Arc<Self> {
        Arc::new(Self { below, hand })
    }
}

impl fmt::Debug for Layer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Layer over {:?}", self.below)
    }
}

impl fmt::Debug for LayerFile {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "LayerFile {}", self.path.display())
    }
}

impl Disk for Layer {
    fn open(&self, path: &Path, mode: Mode) -> io::Result<Arc<dyn DiskFile>> {
        let below = self.below.open(path, mode)?;
        Ok(Arc::new(LayerFile { below, hand: Arc::clone(&self.hand), path: path.to_owned() }))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.below.create_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        self.below.list(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.below.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.below.remove(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.below.remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.below.sync_dir(path)
    }

    fn sync_all(&self, path: &Path) -> io::Result<()> {
        self.below.sync_all(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        self.below.lock(path)
    }

    fn is_locked(&self, path: &Path) -> io::Result<bool> {
        self.below.is_locked(path)
    }
}

impl DiskFile for LayerFile {
    fn read_at(&self, into: &mut [u8], position: u64) -> io::Result<usize> {
        self.below.read_at(into, position)
    }

    fn write_vectored_at(&self, parts: &[IoSlice<'_>], position: u64) -> io::Result<()> {
        let bytes = parts.iter().flat_map(|part| part.iter().copied()).collect();
        self.below.write_vectored_at(&[IoSlice::new(&self.hand.writes(&self.path, bytes))], position)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.below.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.below.len()
    }

    fn sync(&self) -> io::Result<()> {
        let takes = self.hand.sync_takes();
        if !takes.is_zero() {
            std::thread::sleep(takes);
        }
        if self.hand.lets_sync(&self.path) { self.below.sync() } else { Ok(()) }
    }

    fn allocate(&self, position: u64, len: u64) -> io::Result<()> {
        self.below.allocate(position, len)
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.below.fd()
    }
}
