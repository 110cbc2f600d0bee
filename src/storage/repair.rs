//! Writing for `segment cut` and `segment repair`: new segments with their indexes, and cuts that keep what they take away.
//!
//! What to cut is decided above, by who read the files. Every step leaves a folder that opens: a segment is written
//! beside the old one, synced and renamed; indexes that would not fit it are gone before that and made again after.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::DiskFile;
use super::batches::{Located, plausible};
use super::checkpoint::{read_raw, replace_raw};
use super::disk::{Mode, read_exact_at};
use super::epochs::{self, Epochs};
use super::index::{self, TimeEntry};
use super::scan::{LOCK, METADATA, file_name};
use super::segment::{DEFAULT_INTERVAL, Growing, Stamps};

pub use super::disk::{Disk, Lock, RealDisk};
pub use super::error::StorageError;
use crate::record::empty_batch;

/// How much is copied, or gathered before it is written, at once.
const PIECE: usize = 1 << 20;
/// What recovery noted of damaged places; they move, or are gone, with a repair.
const DAMAGE: &str = "klog-damage";
/// What a segment is called on the way from one name to another: whole, and to be found again.
const UNFINISHED: &str = "log.tmp";
/// What a segment is called while it is written anew: the old one is still there, and what is found of it is worth nothing.
const WRITTEN: &str = "log.new";

/// A segment being written: batches one after the other, and the indexes that go with them.
pub struct SegmentWriter<'d> {
    disk: &'d dyn Disk,
    path: PathBuf,
    base: i64,
    file: std::sync::Arc<dyn DiskFile>,
    written: u64,
    waiting: Vec<u8>,
    growing: Growing,
    stamps: Stamps,
    epochs: Epochs,
}

impl std::fmt::Debug for SegmentWriter<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "writer of {}", self.path.display())
    }
}

/// What a written segment's indexes hold.
#[derive(Debug)]
struct Indexes {
    offsets: Vec<u8>,
    times: Vec<u8>,
}

impl<'d> SegmentWriter<'d> {
    /// Begins a file at `path`; offsets in its indexes are relative to `base`. What lies there is cut to nothing.
    ///
    /// # Errors
    /// `Io`.
    pub fn create(disk: &'d dyn Disk, path: &Path, base: i64) -> Result<Self, StorageError> {
        let make = || {
            let file = disk.open(path, Mode::Create)?;
            file.set_len(0)?;
            Ok(file)
        };
        Ok(Self {
            disk,
            path: path.to_path_buf(),
            base,
            file: make().map_err(StorageError::io("creating", path))?,
            written: 0,
            waiting: Vec::new(),
            growing: Growing::EMPTY,
            stamps: Stamps::NONE,
            epochs: Epochs::default(),
        })
    }

    /// Bytes so far.
    pub fn size(&self) -> u64 {
        self.written + self.waiting.len() as u64
    }

    /// The leader epochs of the batches so far and where each began.
    pub fn epochs(&self) -> &[(i32, i64)] {
        self.epochs.entries()
    }

    /// Appends one whole batch as it is.
    ///
    /// # Errors
    /// `BadBatch` where it is none, `Io`.
    pub fn append(&mut self, batch: &[u8]) -> Result<(), StorageError> {
        let header = plausible(batch).filter(|header| header.size() == batch.len());
        let header = header.ok_or(StorageError::BadBatch("its header is impossible"))?;
        let located = Located { position: self.size(), header };
        self.growing.add(self.base, &located, DEFAULT_INTERVAL, &mut self.stamps);
        self.epochs.note(header.leader_epoch, header.base_offset);
        self.waiting.extend_from_slice(batch);
        if self.waiting.len() >= PIECE { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), StorageError> {
        let written = self.file.write_vectored_at(&[IoSlice::new(&self.waiting)], self.written);
        written.map_err(StorageError::io("writing", &self.path))?;
        self.written += self.waiting.len() as u64;
        self.waiting.clear();
        Ok(())
    }

    fn sync(&mut self) -> Result<Indexes, StorageError> {
        if !self.waiting.is_empty() {
            self.flush()?;
        }
        self.file.sync().map_err(StorageError::io("syncing", &self.path))?;
        let mut growing = std::mem::replace(&mut self.growing, Growing::EMPTY);
        if self.stamps.max >= 0 {
            let relative = i32::try_from(self.stamps.max_offset - self.base).unwrap_or(i32::MAX);
            index::push_time(&mut growing.times, TimeEntry { timestamp: self.stamps.max, relative });
        }
        Ok(Indexes { offsets: growing.offsets, times: growing.times })
    }

    /// Syncs it and writes its indexes beside it.
    ///
    /// # Errors
    /// `Io`.
    pub fn finish(mut self) -> Result<(), StorageError> {
        let indexes = self.sync()?;
        write_indexes(self.disk, &self.path, &indexes)
    }
}

fn write_indexes(disk: &dyn Disk, log: &Path, indexes: &Indexes) -> Result<(), StorageError> {
    replace_raw(disk, &log.with_extension("index"), &indexes.offsets, true)?;
    replace_raw(disk, &log.with_extension("timeindex"), &indexes.times, true)
}

/// Makes a new partition's folder; refuses one that is there.
///
/// # Errors
/// `Io` (`AlreadyExists`).
pub fn new_folder(disk: &dyn Disk, dir: &Path) -> Result<(), StorageError> {
    if disk.list(dir).is_ok() || disk.open(dir, Mode::Read).is_ok() {
        return Err(StorageError::io("creating", dir)(io::ErrorKind::AlreadyExists.into()));
    }
    disk.create_dir(dir).map_err(StorageError::io("creating", dir))
}

/// Begins a segment that may not be there yet.
///
/// # Errors
/// `Io` (`AlreadyExists`).
pub fn new_segment<'d>(
    disk: &'d dyn Disk,
    path: &Path,
    base: i64,
) -> Result<SegmentWriter<'d>, StorageError> {
    if disk.open(path, Mode::Read).is_ok() || disk.list(path).is_ok() {
        return Err(StorageError::io("creating", path)(io::ErrorKind::AlreadyExists.into()));
    }
    SegmentWriter::create(disk, path, base)
}

/// Writes what a partition's folder holds beside its segments: the leader epochs, and the topic's id as another folder has
/// it. Then the folder and its name are synced.
///
/// # Errors
/// `Io`.
pub fn finish_folder(
    disk: &dyn Disk,
    dir: &Path,
    epochs: &[(i32, i64)],
    like: Option<&Path>,
) -> Result<(), StorageError> {
    write_epochs(disk, dir, epochs)?;
    if let Some(like) = like
        && let Some(text) = read_raw(disk, &like.join(METADATA))?
    {
        replace_raw(disk, &dir.join(METADATA), &text, true)?;
    }
    // Its own name too: a folder is an entry of the one above.
    let above = dir.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    for dir in [dir, above] {
        disk.sync_dir(dir).map_err(StorageError::io("syncing", dir))?;
    }
    Ok(())
}

fn write_epochs(disk: &dyn Disk, dir: &Path, all: &[(i32, i64)]) -> Result<(), StorageError> {
    let mut epochs = Epochs::default();
    for &(epoch, offset) in all {
        epochs.note(epoch, offset);
    }
    replace_raw(disk, &dir.join(epochs::FILE), epochs.to_text().as_bytes(), true)
}

/// Bytes to be taken out of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Which.
    pub position: Range<u64>,
    /// The offsets that are missing then; a batch without records takes their place. Empty at the end of the log.
    pub offsets: Range<i64>,
    /// The leader epoch for that batch.
    pub leader_epoch: i32,
}

/// What is to be done with one segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentPlan {
    /// The base offset that its name says.
    pub base: i64,
    /// Its size.
    pub size: u64,
    /// What to take out, ascending.
    pub cuts: Vec<Cut>,
    /// The base offset it gets as its name.
    pub rename_to: Option<i64>,
    /// Set aside whole: what it holds is in another segment or belongs nowhere.
    pub aside: bool,
    /// Whether its indexes have to be made again though it stays as it is.
    pub reindex: bool,
}

impl SegmentPlan {
    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.cuts.is_empty() && self.rename_to.is_none() && !self.aside && !self.reindex
    }

    /// The base offset it has in the end.
    pub fn target(&self) -> i64 {
        self.rename_to.unwrap_or(self.base)
    }

    /// Whether all there is to do is to cut its end off.
    fn is_tail(&self) -> Option<u64> {
        match self.cuts.as_slice() {
            [cut] if cut.position.end >= self.size && cut.offsets.is_empty() => Some(cut.position.start),
            _ => None,
        }
    }
}

/// What is to be done with one partition's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The folder.
    pub dir: PathBuf,
    /// Segments that need something done, ascending.
    pub segments: Vec<SegmentPlan>,
    /// Files that can not be read and are made again by a daemon: set aside.
    pub aside: Vec<PathBuf>,
    /// The leader epochs to write, where their checkpoint is wrong.
    pub epochs: Option<Vec<(i32, i64)>>,
    /// Segments under the name they had while they were renamed, when an earlier repair was cut short.
    pub unfinished: Vec<i64>,
}

impl Plan {
    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
            && self.aside.is_empty()
            && self.epochs.is_none()
            && self.unfinished.is_empty()
    }
}

/// Where a whole segment lies while it is renamed.
pub fn unfinished_name(base: i64) -> String {
    file_name(base, UNFINISHED)
}

/// Takes the lock of the data folder that `dir`, a partition's folder, lies in; `None` where that is no data folder.
///
/// # Errors
/// `Locked` while a daemon holds it, `Io`.
pub fn lock(disk: &dyn Disk, data: &Path) -> Result<Option<Box<dyn Lock>>, StorageError> {
    let entries = disk.list(data).map_err(StorageError::io("reading", data))?;
    let is_data = entries.iter().any(|entry| matches!(entry.name.as_str(), LOCK | "meta.properties"));
    if !is_data {
        return Ok(None);
    }
    disk.lock(&data.join(LOCK)).map(Some).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => StorageError::Locked { path: data.to_path_buf() },
        _ => StorageError::io("locking", data)(error),
    })
}

/// Does what a plan says; `now_ms` names the files that what is cut off goes into. Returns those.
///
/// # Errors
/// `Io`. What was done until then stays; running it again, by a new plan, does the rest.
pub fn mend(disk: &dyn Disk, plan: &Plan, now_ms: i64) -> Result<Vec<PathBuf>, StorageError> {
    let mut mender = Mender { disk, dir: &plan.dir, now_ms, kept: Vec::new() };
    let moves =
        |segment: &SegmentPlan| !segment.cuts.is_empty() || segment.rename_to.is_some() || segment.aside;
    if plan.segments.iter().any(moves) || !plan.unfinished.is_empty() {
        mender.forget()?;
    }
    for segment in &plan.segments {
        mender.drop_indexes(segment.base)?;
    }
    mender.sync()?;
    for segment in plan.segments.iter().filter(|segment| segment.aside) {
        let path = mender.path(segment.base, "log");
        mender.set_aside(&path)?;
    }
    mender.rename_all(&plan.segments)?;
    for &base in &plan.unfinished {
        let (from, to) = (mender.path(base, UNFINISHED), mender.path(base, "log"));
        mender.drop_indexes(base)?;
        disk.rename(&from, &to).map_err(StorageError::io("renaming", &from))?;
        mender.index(base)?;
    }
    for segment in plan.segments.iter().filter(|segment| !segment.aside) {
        match segment.is_tail() {
            Some(position) => mender.cut_tail(segment, position)?,
            None if segment.cuts.is_empty() => {}
            None => mender.rewrite(segment)?,
        }
        mender.index(segment.target())?;
    }
    for path in &plan.aside {
        mender.set_aside(path)?;
    }
    if let Some(epochs) = &plan.epochs {
        write_epochs(disk, &plan.dir, epochs)?;
    }
    mender.sync()?;
    Ok(mender.kept)
}

struct Mender<'d> {
    disk: &'d dyn Disk,
    dir: &'d Path,
    now_ms: i64,
    kept: Vec<PathBuf>,
}

impl Mender<'_> {
    fn path(&self, base: i64, extension: &str) -> PathBuf {
        self.dir.join(file_name(base, extension))
    }

    fn sync(&self) -> Result<(), StorageError> {
        self.disk.sync_dir(self.dir).map_err(StorageError::io("syncing", self.dir))
    }

    fn remove(&self, path: &Path) -> Result<(), StorageError> {
        match self.disk.remove(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StorageError::io("removing", path)(error))
            }
            _ => Ok(()),
        }
    }

    /// What a daemon remembers of the log, its end and its damaged places, holds no more: it looks at all of it again.
    fn forget(&self) -> Result<(), StorageError> {
        self.remove(&self.dir.join(DAMAGE))?;
        let whole = std::fs::canonicalize(self.dir).unwrap_or_else(|_| self.dir.to_path_buf());
        match (whole.parent(), whole.file_name().and_then(|name| name.to_str())) {
            (Some(data), Some(name)) => super::folder::forget(self.disk, data, name),
            _ => Ok(()),
        }
    }

    /// Indexes are made from the log: gone is better than wrong.
    fn drop_indexes(&self, base: i64) -> Result<(), StorageError> {
        self.remove(&self.path(base, "index"))?;
        self.remove(&self.path(base, "timeindex"))
    }

    /// A name beside `path` for what is taken off it, as recovery gives them; never one that is there.
    fn cut_path(&mut self, path: &Path) -> PathBuf {
        let mut time = self.now_ms;
        loop {
            let mut name = path.as_os_str().to_owned();
            name.push(format!(".cut-{time}"));
            let name = PathBuf::from(name);
            if self.disk.open(&name, Mode::Read).is_err() {
                self.kept.push(name.clone());
                return name;
            }
            time += 1;
        }
    }

    fn set_aside(&mut self, path: &Path) -> Result<(), StorageError> {
        let aside = self.cut_path(path);
        self.disk.rename(path, &aside).map_err(StorageError::io("setting aside", path))?;
        self.sync()
    }

    /// What an earlier repair left under a name is not written over.
    fn make_room(&mut self, path: &Path) -> Result<(), StorageError> {
        if self.disk.open(path, Mode::Read).is_ok() { self.set_aside(path) } else { Ok(()) }
    }

    /// Files may change places: all leave their names before any gets its new one.
    fn rename_all(&mut self, segments: &[SegmentPlan]) -> Result<(), StorageError> {
        let moving = || {
            let named = segments.iter().filter(|segment| !segment.aside);
            named.filter_map(|segment| Some((segment.base, segment.rename_to?)))
        };
        for (old, new) in moving() {
            let from = self.path(old, "log");
            let to = self.path(new, UNFINISHED);
            self.make_room(&to)?;
            self.disk.rename(&from, &to).map_err(StorageError::io("renaming", &from))?;
        }
        for (_, new) in moving() {
            self.drop_indexes(new)?;
            let from = self.path(new, UNFINISHED);
            let to = self.path(new, "log");
            self.disk.rename(&from, &to).map_err(StorageError::io("renaming", &from))?;
        }
        if moving().next().is_some() { self.sync() } else { Ok(()) }
    }

    /// What is cut off is safe beside before it goes.
    fn cut_tail(&mut self, segment: &SegmentPlan, position: u64) -> Result<(), StorageError> {
        let path = self.path(segment.target(), "log");
        let file = self.disk.open(&path, Mode::Write).map_err(StorageError::io("opening", &path))?;
        self.keep(&path, file.as_ref(), std::slice::from_ref(&(position..segment.size)))?;
        let cut = file.set_len(position).and_then(|()| file.sync());
        cut.map_err(StorageError::io("cutting", &path))
    }

    /// Copies ranges of a file into one beside it, synced with its name.
    fn keep(&mut self, path: &Path, file: &dyn DiskFile, ranges: &[Range<u64>]) -> Result<(), StorageError> {
        let beside_path = self.cut_path(path);
        let copy = || -> io::Result<()> {
            let beside = self.disk.open(&beside_path, Mode::Create)?;
            let mut to = 0;
            for range in ranges {
                copy_range(file, range.clone(), |piece| {
                    beside.write_vectored_at(&[IoSlice::new(piece)], to)?;
                    to += piece.len() as u64;
                    Ok(())
                })?;
            }
            beside.sync()
        };
        copy().map_err(StorageError::io("writing", &beside_path))?;
        self.sync()
    }

    /// Writes the segment anew without what is cut out, and puts it in the old one's place.
    fn rewrite(&mut self, segment: &SegmentPlan) -> Result<(), StorageError> {
        let base = segment.target();
        let (path, beside) = (self.path(base, "log"), self.path(base, WRITTEN));
        let file = self.disk.open(&path, Mode::Read).map_err(StorageError::io("opening", &path))?;
        let ranges: Vec<_> = segment.cuts.iter().map(|cut| cut.position.clone()).collect();
        self.keep(&path, file.as_ref(), &ranges)?;
        let copy = || -> io::Result<()> {
            let new = self.disk.open(&beside, Mode::Create)?;
            new.set_len(0)?;
            let mut to = 0;
            let mut put = |piece: &[u8]| {
                new.write_vectored_at(&[IoSlice::new(piece)], to)?;
                to += piece.len() as u64;
                io::Result::Ok(())
            };
            let mut at = 0;
            for cut in &segment.cuts {
                copy_range(file.as_ref(), at..cut.position.start, &mut put)?;
                if let Some(empty) = empty_batch(&cut.offsets, cut.leader_epoch) {
                    put(&empty)?;
                }
                at = cut.position.end;
            }
            copy_range(file.as_ref(), at..segment.size, &mut put)?;
            new.sync()?;
            self.disk.rename(&beside, &path)
        };
        copy().map_err(StorageError::io("writing", &beside))?;
        self.sync()
    }

    /// Makes a segment's indexes from its batch headers.
    fn index(&self, base: i64) -> Result<(), StorageError> {
        let path = self.path(base, "log");
        let read = || -> io::Result<Indexes> {
            let file = self.disk.open(&path, Mode::Read)?;
            let end = file.len()?;
            let (mut growing, mut stamps) = (Growing::EMPTY, Stamps::NONE);
            let mut walk = super::batches::Walk::new(file.as_ref(), 0, end);
            while let super::batches::Step::Batch(batch) = walk.step()? {
                growing.add(base, &batch, DEFAULT_INTERVAL, &mut stamps);
            }
            if stamps.max >= 0 {
                let relative = i32::try_from(stamps.max_offset - base).unwrap_or(i32::MAX);
                index::push_time(&mut growing.times, TimeEntry { timestamp: stamps.max, relative });
            }
            Ok(Indexes { offsets: growing.offsets, times: growing.times })
        };
        let indexes = read().map_err(StorageError::io("reading", &path))?;
        write_indexes(self.disk, &path, &indexes)
    }
}

fn copy_range(
    file: &dyn DiskFile,
    range: Range<u64>,
    mut put: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut buffer = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let want = usize::try_from(range.end - at).unwrap_or(PIECE).min(PIECE);
        buffer.resize(want, 0);
        read_exact_at(file, &mut buffer, at)?;
        put(&buffer)?;
        at += want as u64;
    }
    Ok(())
}
