//! Read-only mappings of closed segments' indexes: the one place of storage with `unsafe`; nothing is ever written through one.
#![allow(unsafe_code)]

use std::io;
use std::ops::Deref;
use std::os::fd::{AsRawFd, BorrowedFd};

/// A mapped index file.
#[derive(Debug)]
pub(super) struct Map(memmap2::Mmap);

impl Map {
    /// Maps the whole file, which must not be empty. The mapping outlives the descriptor.
    pub(super) fn new(fd: BorrowedFd<'_>) -> io::Result<Self> {
        // SAFETY: a mapping is sound while nobody writes to the file or shortens it. Only indexes of closed segments
        // are mapped; the daemon holds the folder's lock, never writes to a closed index again and, where it has to
        // change one, replaces it by rename, which leaves this mapping its own file. The folder is 0700: what its
        // owner does to the files by hand under a running daemon can not be defended against.
        unsafe { memmap2::Mmap::map(fd.as_raw_fd()) }.map(Self)
    }
}

impl Deref for Map {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
