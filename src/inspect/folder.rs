//! What lies where: the partitions of a folder and the files of each; it lists and looks at names, and opens no log.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use super::scan::Limits;
use super::{InspectError, Source};
use crate::storage::Disk;
use crate::storage::disk::Entry;
use crate::storage::folder::partition_name;
use crate::storage::scan::{EPOCHS, LOCK, METADATA, split_name};

/// One `.log` file and what lies beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentFile {
    /// The base offset that its name says; none in a file of another name.
    pub base: Option<i64>,
    /// Where it is.
    pub path: PathBuf,
    /// Its size when the folder was listed.
    pub size: u64,
    /// The base offset of the next segment.
    pub next: Option<i64>,
    /// Whether it is the partition's last one, which grows.
    pub is_last: bool,
    /// Whether a daemon holds the folder and may be writing here.
    pub is_live: bool,
    /// Size of its `.index`; none where there is no such file.
    pub index: Option<u64>,
    /// Size of its `.timeindex`.
    pub timeindex: Option<u64>,
    /// Size of its `.txnindex`.
    pub txnindex: Option<u64>,
}

impl SegmentFile {
    /// What a scan is told of it.
    pub fn limits(&self) -> Limits {
        Limits { base: self.base, next: self.next, growing: self.is_last && self.is_live }
    }

    /// Opens it for reading.
    ///
    /// # Errors
    /// `Io`.
    pub fn open(&self, disk: &dyn Disk) -> Result<Source, InspectError> {
        Source::open(disk, &self.path)
    }

    /// The path of a file beside it.
    pub fn beside(&self, extension: &str) -> PathBuf {
        self.path.with_extension(extension)
    }
}

/// One partition's folder, or a single segment of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// The folder's name, `<topic>-<partition>`; a file's name where the folder's is none.
    pub name: String,
    /// The topic; empty where it is not known.
    pub topic: String,
    /// The partition, -1 where it is not known.
    pub partition: i32,
    /// The folder.
    pub dir: PathBuf,
    /// Whether a daemon holds the data folder.
    pub is_live: bool,
    /// Whether all of the folder was asked for, not one file of it.
    pub is_whole: bool,
    /// Ascending by base offset.
    pub segments: Vec<SegmentFile>,
    /// The producer snapshots, ascending by offset.
    pub snapshots: Vec<(i64, PathBuf)>,
    /// Whether there is a `leader-epoch-checkpoint`.
    pub has_epochs: bool,
    /// Whether there is a `partition.metadata`.
    pub has_metadata: bool,
    /// Index files without a log.
    pub orphans: Vec<PathBuf>,
}

impl Partition {
    /// Bytes of all segments.
    pub fn size(&self) -> u64 {
        self.segments.iter().map(|segment| segment.size).sum()
    }
}

/// The partitions at `path`: a data folder, a partition's folder, or a segment or index of one. Ascending by name; none in
/// an empty folder.
///
/// # Errors
/// `Io`; `Nothing` for a file that belongs to no segment.
pub fn open(disk: &dyn Disk, path: &Path) -> Result<Vec<Partition>, InspectError> {
    let entries = match disk.list(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return one_file(disk, path).map(|one| vec![one]);
        }
        Err(error) => {
            // A simulated disk and some file systems say only that there is no such folder.
            return match disk.open(path, crate::storage::disk::Mode::Read) {
                Ok(_) => one_file(disk, path).map(|one| vec![one]),
                Err(_) => Err(InspectError::io("read", path)(error)),
            };
        }
    };
    if is_partition(&entries) {
        let live = is_live(disk, &lock_above(path));
        return Ok(vec![partition(path, &entries, live)]);
    }
    let live = is_live(disk, &path.join(LOCK));
    let mut names: Vec<_> = entries
        .iter()
        .filter(|entry| entry.is_dir)
        .filter_map(|entry| partition_name(&entry.name).map(|parsed| (parsed, entry.name.clone())))
        .collect();
    names.sort();
    let mut found = Vec::new();
    for (_, name) in names {
        let dir = path.join(&name);
        let entries = match disk.list(&dir) {
            // Deleted meanwhile.
            Err(error) if live && error.kind() == io::ErrorKind::NotFound => continue,
            done => done.map_err(InspectError::io("read", &dir))?,
        };
        found.push(partition(&dir, &entries, live));
    }
    Ok(found)
}

fn is_partition(entries: &[Entry]) -> bool {
    entries.iter().any(|entry| {
        !entry.is_dir
            && (entry.name == METADATA
                || entry.name == EPOCHS
                || split_name(&entry.name).is_some_and(|(_, extension)| extension == "log"))
    })
}

/// The whole path, where the system can say it.
fn whole(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}

/// The lock of the data folder that a partition's folder lies in.
pub fn lock_above(dir: &Path) -> PathBuf {
    whole(dir).parent().unwrap_or(Path::new("/")).join(LOCK)
}

/// Whether another process holds the lock. One that can not be looked at counts as free: only the owner's daemon locks.
fn is_live(disk: &dyn Disk, lock: &Path) -> bool {
    disk.is_locked(lock).unwrap_or(false)
}

fn partition(dir: &Path, entries: &[Entry], live: bool) -> Partition {
    let name = whole(dir).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let parsed = partition_name(&name);
    let mut segments = Vec::new();
    let mut snapshots = Vec::new();
    let mut orphans = Vec::new();
    let has = |wanted: &str| entries.iter().any(|entry| entry.name == wanted);
    let sizes: HashMap<&str, u64> = entries.iter().map(|entry| (entry.name.as_str(), entry.len)).collect();
    let size_of = |base: i64, extension: &str| {
        sizes.get(crate::storage::scan::file_name(base, extension).as_str()).copied()
    };
    for entry in entries.iter().filter(|entry| !entry.is_dir) {
        match split_name(&entry.name) {
            Some((base, "log")) => segments.push(SegmentFile {
                base: Some(base),
                path: dir.join(&entry.name),
                size: entry.len,
                next: None,
                is_last: false,
                is_live: live,
                index: size_of(base, "index"),
                timeindex: size_of(base, "timeindex"),
                txnindex: size_of(base, "txnindex"),
            }),
            Some((offset, "snapshot")) => snapshots.push((offset, dir.join(&entry.name))),
            Some((base, "index" | "timeindex" | "txnindex")) if size_of(base, "log").is_none() => {
                orphans.push(dir.join(&entry.name));
            }
            _ => {}
        }
    }
    segments.sort_by_key(|segment: &SegmentFile| segment.base);
    snapshots.sort();
    orphans.sort();
    let bases: Vec<_> = segments.iter().map(|segment| segment.base).collect();
    for (at, segment) in segments.iter_mut().enumerate() {
        segment.next = bases.get(at + 1).copied().flatten();
        segment.is_last = segment.next.is_none();
    }
    Partition {
        topic: parsed.as_ref().map(|parsed| parsed.topic.to_string()).unwrap_or_default(),
        partition: parsed.map_or(-1, |parsed| parsed.partition),
        name,
        dir: dir.to_path_buf(),
        is_live: live,
        is_whole: true,
        segments,
        snapshots,
        has_epochs: has(EPOCHS),
        has_metadata: has(METADATA),
        orphans,
    }
}

/// The partition of one segment, as its folder shows it.
fn one_file(disk: &dyn Disk, path: &Path) -> Result<Partition, InspectError> {
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir.to_path_buf(),
        _ => PathBuf::from("."),
    };
    let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let entries = disk.list(&dir).map_err(InspectError::io("read", &dir))?;
    let mut found = partition(&dir, &entries, is_live(disk, &lock_above(&dir)));
    found.is_whole = false;
    let base = match split_name(&file) {
        Some((base, "log" | "index" | "timeindex" | "txnindex")) => Some(base),
        Some((_, "snapshot")) => return Err(InspectError::Nothing { path: path.to_path_buf() }),
        _ => None,
    };
    match base {
        Some(base) => found.segments.retain(|segment| segment.base == Some(base)),
        // Any other file is read as a segment whose offsets begin where its first batch does.
        None => {
            let size = disk.open(path, crate::storage::disk::Mode::Read).and_then(|file| file.len());
            found.segments = vec![SegmentFile {
                base: None,
                path: path.to_path_buf(),
                size: size.map_err(InspectError::io("read", path))?,
                next: None,
                is_last: true,
                is_live: false,
                index: None,
                timeindex: None,
                txnindex: None,
            }];
        }
    }
    for segment in &mut found.segments {
        // Shown as it was named.
        if file.ends_with(".log") {
            segment.path = path.to_path_buf();
        }
    }
    found.snapshots.clear();
    found.orphans.clear();
    if found.segments.is_empty() {
        return Err(InspectError::Nothing { path: path.to_path_buf() });
    }
    if found.topic.is_empty() {
        found.name = file;
    }
    Ok(found)
}

/// A partition of bytes that come from a stream.
pub fn of_stream(path: &Path) -> Partition {
    Partition {
        name: path.display().to_string(),
        topic: String::new(),
        partition: -1,
        dir: PathBuf::new(),
        is_live: false,
        is_whole: false,
        segments: vec![SegmentFile {
            base: None,
            path: path.to_path_buf(),
            size: 0,
            next: None,
            is_last: true,
            is_live: false,
            index: None,
            timeindex: None,
            txnindex: None,
        }],
        snapshots: Vec::new(),
        has_epochs: false,
        has_metadata: false,
        orphans: Vec::new(),
    }
}
