//! The seam to the machine's disk: as few operations as storage can live with; it never retries and never caches.

use std::fmt::Debug;
use std::io;
use std::io::IoSlice;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Reading only; the file must be there.
    Read,
    /// Reading and writing; the file must be there.
    Write,
    /// Reading and writing; made when missing (mode 0600), kept as it is when there.
    Create,
}

/// One entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name within its folder.
    pub name: String,
    /// Whether it is a folder itself.
    pub is_dir: bool,
    /// A file's size in bytes; 0 for folders.
    pub len: u64,
}

/// Holds the data folder's lock until dropped.
pub trait Lock: Send + Sync + Debug {}

/// What storage asks of a disk. Paths are absolute or relative to the process; names are UTF-8 (others are not listed).
pub trait Disk: Send + Sync + Debug + 'static {
    /// Opens a file.
    fn open(&self, path: &Path, mode: Mode) -> io::Result<Arc<dyn DiskFile>>;
    /// Makes a folder (mode 0700) and what is missing above it; fine when it is there.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// What a folder holds, in no order.
    fn list(&self, path: &Path) -> io::Result<Vec<Entry>>;
    /// Gives a file or folder another name; replaces a file of that name at once.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty folder.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes a folder's entries (creations, renames, removals in it) durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes everything written so far on the file system of `path` durable, all files and folders in one go (syncfs).
    fn sync_all(&self, path: &Path) -> io::Result<()>;
    /// The file system of `path`: all of it and what this user may still write, in bytes.
    fn space(&self, path: &Path) -> io::Result<(u64, u64)> {
        let _ = path;
        Err(io::ErrorKind::Unsupported.into())
    }
    /// Takes the exclusive lock on a file (made when missing); `WouldBlock` when another holds it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>>;
    /// Whether another holds the lock on a file; opens it for reading only. A missing file is not locked.
    fn is_locked(&self, path: &Path) -> io::Result<bool>;
}

/// An open file. All positions and lengths are bytes; nothing here moves a cursor.
pub trait DiskFile: Send + Sync + Debug {
    /// Reads up to `into.len()` bytes; 0 at the end of the file.
    fn read_at(&self, into: &mut [u8], position: u64) -> io::Result<usize>;
    /// Writes all of `parts` one after the other, or fails having written any part of them.
    fn write_vectored_at(&self, parts: &[IoSlice<'_>], position: u64) -> io::Result<()>;
    /// Cuts or extends (with zeros) the file; also gives back space allocated behind its end.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// The file's size.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file is empty.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Makes the file's bytes and size durable (fdatasync).
    fn sync(&self) -> io::Result<()>;
    /// Reserves space without changing the size; a disk that can not says so (`Unsupported`).
    fn allocate(&self, position: u64, len: u64) -> io::Result<()>;
    /// The descriptor, where this is a real file (for sendfile and mmap).
    fn fd(&self) -> Option<BorrowedFd<'_>>;
}

/// Fills `into` from `position`; `UnexpectedEof` when the file ends before.
pub fn read_exact_at(file: &dyn DiskFile, mut into: &mut [u8], mut position: u64) -> io::Result<()> {
    while !into.is_empty() {
        let read = file.read_at(into, position)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        into = &mut into[read..];
        position += read as u64;
    }
    Ok(())
}

/// The file of a plan that has nothing to read: empty, takes no writes.
#[derive(Debug)]
pub struct NoFile;

impl DiskFile for NoFile {
    fn read_at(&self, _: &mut [u8], _: u64) -> io::Result<usize> {
        Ok(0)
    }
    fn write_vectored_at(&self, _: &[IoSlice<'_>], _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn set_len(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn len(&self) -> io::Result<u64> {
        Ok(0)
    }
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
    fn allocate(&self, _: u64, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

/// Bytes that are read like a file: what a plan answers that lies in none.
#[derive(Debug)]
pub struct MemoryFile(pub Vec<u8>);

impl DiskFile for MemoryFile {
    fn read_at(&self, into: &mut [u8], position: u64) -> io::Result<usize> {
        let from = usize::try_from(position).unwrap_or(usize::MAX);
        let rest = self.0.get(from..).unwrap_or_default();
        let count = rest.len().min(into.len());
        for (to, from) in into.iter_mut().zip(rest) {
            *to = *from;
        }
        Ok(count)
    }
    fn write_vectored_at(&self, _: &[IoSlice<'_>], _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn set_len(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
    fn allocate(&self, _: u64, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

mod real;
pub use real::RealDisk;
