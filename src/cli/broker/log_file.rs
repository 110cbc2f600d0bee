//! The daemon's log file: kept in memory until the folder is the daemon's, then `klog.log`, rotated by size; never
//! grows without bound.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use nix::unistd::{dup2_stderr, dup2_stdout};

/// A file is put aside when it would grow past this.
const FILE_BYTES: u64 = 8 << 20;
/// How many are kept beside the one that is written.
const KEPT: usize = 3;
/// What is kept in memory at most, before the folder is open.
const EARLY_BYTES: usize = 1 << 20;

/// The names of the log's files, oldest first; they need not all exist.
pub(super) fn paths(data: &Path) -> Vec<PathBuf> {
    (1..=KEPT).rev().map(|age| data.join(format!("klog.log.{age}"))).chain([data.join("klog.log")]).collect()
}

/// A writer whose clones share one file.
#[derive(Debug, Clone)]
pub(super) struct LogFile {
    // Guards the file and its size; held for one write.
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
enum Inner {
    Early(Vec<u8>),
    Open { data: PathBuf, file: File, size: u64, limit: u64 },
}

impl LogFile {
    /// A log that is kept in memory.
    pub(super) fn early() -> Self {
        Self { inner: Arc::new(Mutex::new(Inner::Early(Vec::new()))) }
    }

    /// Moves the log into the data folder; stdout and stderr follow, for panics.
    pub(super) fn open(&self, data: &Path) -> io::Result<()> {
        self.open_with(data, FILE_BYTES, true)
    }

    fn open_with(&self, data: &Path, limit: u64, redirect: bool) -> io::Result<()> {
        let mut inner = self.lock();
        let file = open_file(data, redirect)?;
        let size = file.metadata()?.len();
        let early = match &mut *inner {
            Inner::Early(early) => std::mem::take(early),
            Inner::Open { .. } => Vec::new(),
        };
        *inner = Inner::Open { data: data.to_owned(), file, size, limit };
        inner.write(&early, redirect)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(|held| held.into_inner())
    }
}

fn open_file(data: &Path, redirect: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.create(true).append(true).mode(0o600).open(data.join("klog.log"))?;
    if redirect {
        dup2_stdout(&file)?;
        dup2_stderr(&file)?;
    }
    Ok(file)
}

impl Inner {
    fn write(&mut self, bytes: &[u8], redirect: bool) -> io::Result<()> {
        match self {
            Self::Early(early) => {
                let room = EARLY_BYTES.saturating_sub(early.len());
                early.extend_from_slice(&bytes[..bytes.len().min(room)]);
                Ok(())
            }
            Self::Open { data, file, size, limit } => {
                if *size > 0 && *size + bytes.len() as u64 > *limit {
                    let names = paths(data);
                    for pair in names.windows(2) {
                        let _ = std::fs::rename(&pair[1], &pair[0]);
                    }
                    *file = open_file(data, redirect)?;
                    *size = 0;
                }
                *size += bytes.len() as u64;
                file.write_all(bytes)
            }
        }
    }
}

/// One event of the log: tracing hands it over in one piece.
impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut inner = self.lock();
        let redirect = matches!(&*inner, Inner::Open { limit, .. } if *limit == FILE_BYTES);
        inner.write(bytes, redirect)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn early_lines_come_first_and_files_rotate() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = LogFile::early();
        log.write_all(b"early\n").unwrap();
        log.open_with(folder.path(), 20, false).unwrap();
        for line in 1..=41 {
            log.write_all(format!("line {line:02}\n").as_bytes()).unwrap();
        }
        let texts: Vec<String> =
            paths(folder.path()).iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
        assert_eq!(
            texts,
            ["line 34\nline 35\n", "line 36\nline 37\n", "line 38\nline 39\n", "line 40\nline 41\n"]
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 4);
    }

    #[test]
    fn nothing_is_written_before_the_folder_is_known() {
        let mut log = LogFile::early();
        log.write_all(&vec![b'x'; EARLY_BYTES + 10]).unwrap();
        assert!(matches!(&*log.lock(), Inner::Early(early) if early.len() == EARLY_BYTES));
    }
}
