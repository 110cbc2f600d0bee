//! A disk in memory that loses, tears, fails and fills up on command; it never touches the machine's.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::disk::{Disk, DiskFile, Entry, Lock, Mode};

/// The simulated disk.
#[derive(Debug, Default)]
pub struct SimDisk {}

impl SimDisk {
    /// An empty disk with all its luck drawn from `seed`.
    pub fn new(seed: u64) -> Arc<Self> {
        let _ = seed;
        unimplemented!()
    }
}

impl Disk for SimDisk {
    fn open(&self, _: &Path, _: Mode) -> io::Result<Arc<dyn DiskFile>> {
        unimplemented!()
    }
    fn create_dir(&self, _: &Path) -> io::Result<()> {
        unimplemented!()
    }
    fn list(&self, _: &Path) -> io::Result<Vec<Entry>> {
        unimplemented!()
    }
    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        unimplemented!()
    }
    fn remove(&self, _: &Path) -> io::Result<()> {
        unimplemented!()
    }
    fn remove_dir(&self, _: &Path) -> io::Result<()> {
        unimplemented!()
    }
    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        unimplemented!()
    }
    fn lock(&self, _: &Path) -> io::Result<Box<dyn Lock>> {
        unimplemented!()
    }
}
