//! Unix socket paths longer than the kernel's 107 bytes, reached through their folder's descriptor; must never change the working directory.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// The longest path that fits a `sockaddr_un` together with its final zero (unix(7)).
pub(super) const LONGEST: usize = 107;

/// A path the kernel takes, and the folder that must stay open while it is used.
pub(super) struct ShortPath {
    path: PathBuf,
    _folder: Option<File>,
}

impl ShortPath {
    /// Fails when the folder of a long path can not be opened, or the name alone is too long.
    pub(super) fn new(path: &Path) -> io::Result<Self> {
        if path.as_os_str().len() <= LONGEST {
            return Ok(Self { path: path.to_owned(), _folder: None });
        }
        let folder = path.parent().filter(|folder| *folder != OsStr::new("")).unwrap_or(Path::new("."));
        let name = path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        let folder = File::open(folder)?;
        let short = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name);
        if short.as_os_str().len() > LONGEST {
            return Err(io::Error::from(io::ErrorKind::InvalidFilename));
        }
        Ok(Self { path: short, _folder: Some(folder) })
    }

    pub(super) fn as_path(&self) -> &Path {
        &self.path
    }
}
