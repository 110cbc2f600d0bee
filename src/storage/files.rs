//! How many segments may have their file open: the least recently used ones are closed, never one with unsynced bytes.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use super::segment::Segment;
use super::{Disk, held};

/// "Too many open files" (Linux), in the system and in the process.
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;

/// Whether something could not be opened since the process or the system has too many files open: nothing was done then,
/// and it can be tried again.
pub(super) fn is_out_of_files(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(EMFILE | ENFILE))
}

/// The open files of one data folder's logs.
///
/// A segment that is used notes the current tick, which moves only when a file is opened: using an open file touches
/// nothing that is shared. Closing goes by the least tick, a quarter of the limit at a time.
#[derive(Debug)]
pub(super) struct Files {
    disk: Arc<dyn Disk>,
    limit: usize,
    tick: AtomicU64,
    open: Mutex<Vec<Weak<Segment>>>,
}

impl Files {
    pub(super) fn new(disk: Arc<dyn Disk>, limit: usize) -> Arc<Self> {
        Arc::new(Self { disk, limit: limit.max(8), tick: AtomicU64::new(1), open: Mutex::new(Vec::new()) })
    }

    pub(super) fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// The present tick.
    pub(super) fn now(&self) -> u64 {
        self.tick.load(Ordering::Relaxed)
    }

    /// Notes that `segment` opened its file; closes others when there are too many. The caller holds no segment lock.
    pub(super) fn opened(&self, segment: &Arc<Segment>) {
        self.tick.fetch_add(1, Ordering::Relaxed);
        let mut open = held(&self.open);
        open.push(Arc::downgrade(segment));
        if open.len() > self.limit {
            Self::close_some(&mut open, self.limit / 4 + 1);
        }
    }

    /// Closes up to a quarter now, for when the system says that there are too many.
    pub(super) fn relieve(&self) {
        Self::close_some(&mut held(&self.open), self.limit / 4 + 1);
    }

    /// Syncs a folder, which has to be opened for it: where the system says that there are too many files, some are closed.
    pub(super) fn sync_dir(&self, path: &Path) -> io::Result<()> {
        match self.disk.sync_dir(path) {
            Err(error) if is_out_of_files(&error) => {
                self.relieve();
                self.disk.sync_dir(path)
            }
            done => done,
        }
    }

    fn close_some(open: &mut Vec<Weak<Segment>>, count: usize) {
        let mut alive: Vec<_> = open.iter().filter_map(Weak::upgrade).filter(|s| s.is_open()).collect();
        alive.sort_by_key(|segment| (Arc::as_ptr(segment) as usize, 0));
        alive.dedup_by(|a, b| Arc::ptr_eq(a, b));
        alive.sort_by_key(|segment| segment.last_used());
        let mut closed = 0;
        for segment in &alive {
            if closed == count {
                break;
            }
            closed += usize::from(segment.close_idle());
        }
        *open = alive.iter().filter(|segment| segment.is_open()).map(Arc::downgrade).collect();
    }
}
