//! The machine's own disk by system calls; nothing is retried but interrupted calls and short writes.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use nix::fcntl::{FallocateFlags, FcntlArg, fallocate, fcntl};
use nix::libc;
use nix::sys::uio::pwritev;

use super::{Disk, DiskFile, Entry, Lock, Mode};

/// The machine's disk.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

#[derive(Debug)]
struct RealFile(File);

#[derive(Debug)]
struct RealLock(
    #[expect(dead_code, reason = "held for its descriptor, whose closing gives the lock back")] File,
);

impl Lock for RealLock {}

impl Disk for RealDisk {
    fn open(&self, path: &Path, mode: Mode) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new()
            .read(true)
            .write(mode != Mode::Read)
            .create(mode == Mode::Create)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        Ok(Arc::new(RealFile(file)))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(path)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let look = || -> io::Result<(bool, u64)> {
                let is_dir = entry.file_type()?.is_dir();
                Ok((is_dir, if is_dir { 0 } else { entry.metadata()?.len() }))
            };
            match look() {
                Ok((is_dir, len)) => entries.push(Entry { name, is_dir, len }),
                // Removed since its name was read: the folder no longer holds it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(entries)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn sync_all(&self, path: &Path) -> io::Result<()> {
        nix::unistd::syncfs(File::open(path)?).map_err(io::Error::from)
    }

    fn space(&self, path: &Path) -> io::Result<(u64, u64)> {
        let found = nix::sys::statvfs::statvfs(path)?;
        let unit = found.fragment_size();
        Ok((found.blocks().saturating_mul(unit), found.blocks_available().saturating_mul(unit)))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        match fcntl(&file, FcntlArg::F_OFD_SETLK(&whole_file())) {
            Ok(_) => Ok(Box::new(RealLock(file))),
            Err(nix::Error::EAGAIN | nix::Error::EACCES) => Err(io::ErrorKind::WouldBlock.into()),
            Err(errno) => Err(errno.into()),
        }
    }

    fn is_locked(&self, path: &Path) -> io::Result<bool> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            done => done?,
        };
        // Sees the locks of other descriptors and, as Java's file locks are, those of other processes.
        let mut asked = whole_file();
        fcntl(&file, FcntlArg::F_OFD_GETLK(&mut asked))?;
        Ok(asked.l_type != libc::F_UNLCK as libc::c_short)
    }
}

/// An exclusive lock on all of a file.
fn whole_file() -> libc::flock {
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

impl DiskFile for RealFile {
    fn read_at(&self, into: &mut [u8], position: u64) -> io::Result<usize> {
        loop {
            match self.0.read_at(into, position) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }

    fn write_vectored_at(&self, parts: &[IoSlice<'_>], position: u64) -> io::Result<()> {
        let total: usize = parts.iter().map(|part| part.len()).sum();
        let mut written = 0;
        while written == 0 && total > 0 {
            match pwritev(&self.0, parts, offset(position)?) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => written = count,
                Err(nix::Error::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        if written == total {
            return Ok(());
        }
        // A short write (a full disk, a signal): the rest part by part, so that the cause shows itself.
        let mut start = 0;
        for part in parts {
            if written < start + part.len() {
                let from = written.saturating_sub(start);
                self.0.write_all_at(&part[from..], position + (start + from) as u64)?;
            }
            start += part.len();
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn allocate(&self, position: u64, len: u64) -> io::Result<()> {
        fallocate(&self.0, FallocateFlags::FALLOC_FL_KEEP_SIZE, offset(position)?, offset(len)?)
            .map_err(io::Error::from)
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.as_fd())
    }
}

fn offset(position: u64) -> io::Result<libc::off_t> {
    libc::off_t::try_from(position).map_err(|_| io::ErrorKind::InvalidInput.into())
}
