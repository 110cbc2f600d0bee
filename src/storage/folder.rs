//! The data folder: its lock, its marks, its partitions' folders and the checkpoint; it never touches a folder that is not klog's.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use self::book::Book;
use self::cleaned::Cleaned;
use super::checkpoint::{self, read_raw, replace_raw};
use super::disk::{Entry as DirEntry, Lock};
use super::files::Files;
use super::{Disk, Log, StorageError, held};
use crate::model::id::{TopicId, TopicPartition};
use crate::model::time::Clock;

mod book;
mod cleaned;
pub(super) use self::book::{Entry, forget};

const MARK: &str = "klog-mark";
const CLEAN: &str = "klog-clean";
const META: &str = "meta.properties";
const VERSION: u16 = 1;
/// From this many logs on, one sync of the whole file system is cheaper than one for each file.
const MANY: usize = 8;

/// What the data folder is told about itself when it is opened.
#[derive(Debug, Clone)]
pub struct FolderOptions {
    /// `node.id`, written to and held against `meta.properties`.
    pub node_id: i32,
    /// The cluster id a new folder gets (random, from the caller).
    pub new_cluster_id: TopicId,
    /// The directory id a new folder gets (random, from the caller).
    pub new_directory_id: TopicId,
    /// How many descriptors logs may hold open together.
    pub max_open_files: usize,
}

/// One data folder, locked while this lives. `book` (the checkpoint in memory and the journal of dirty logs) is held
/// while the checkpoint file is replaced; `journal_sync` orders syncs of the journal and is taken before it; `cleaned` is
/// held while its file is replaced; `doomed` lists files of deleted segments by when they go.
pub struct Folder {
    path: PathBuf,
    files: Arc<Files>,
    clock: Arc<dyn Clock>,
    cluster_id: String,
    was_clean: bool,
    dirty_at_open: Vec<TopicPartition>,
    presynced: bool,
    book: Mutex<Book>,
    journal_sync: Mutex<()>,
    cleaned: Mutex<Cleaned>,
    doomed: Mutex<BTreeSet<(i64, PathBuf)>>,
    _lock: Box<dyn Lock>,
}

impl std::fmt::Debug for Folder {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Folder").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Folder {
    /// Locks the folder (made when missing), checks its mark, reads the checkpoint and takes the clean mark away.
    ///
    /// # Errors
    /// `Foreign` and `Locked` (nothing was changed then), `BadFile`, `Io`.
    pub fn open(
        disk: Arc<dyn Disk>,
        path: &Path,
        clock: Arc<dyn Clock>,
        options: FolderOptions,
    ) -> Result<Arc<Self>, StorageError> {
        let mut entries = match disk.list(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                disk.create_dir(path).map_err(StorageError::io("creating", path))?;
                Vec::new()
            }
            done => done.map_err(StorageError::io("reading", path))?,
        };
        let marked = has(&entries, MARK);
        if !marked && let Some(found) = entries.iter().find(|entry| !is_harmless(&entry.name)) {
            return Err(StorageError::Foreign { path: path.to_path_buf(), found: found.name.clone() });
        }
        let lock = disk.lock(&path.join(".lock")).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => StorageError::Locked { path: path.to_path_buf() },
            _ => StorageError::io("locking", path)(error),
        })?;
        // Only what is read under the lock counts: another daemon may have just gone.
        entries = disk.list(path).map_err(StorageError::io("reading", path))?;
        let new = !has(&entries, MARK);
        check_mark(disk.as_ref(), path, new)?;
        let cluster_id = meta_properties(disk.as_ref(), path, &options)?;
        let was_clean = new
            || matches!(checkpoint::read(disk.as_ref(), &path.join(CLEAN), *b"clea"), Ok(Some((VERSION, _))));
        let book = Book::open(&disk, path, was_clean)?;
        if has(&entries, CLEAN) {
            disk.remove(&path.join(CLEAN)).map_err(StorageError::io("removing", &path.join(CLEAN)))?;
            disk.sync_dir(path).map_err(StorageError::io("syncing", path))?;
        }
        let cleaned = read_raw(disk.as_ref(), &path.join(cleaned::FILE))?;
        let cleaned = cleaned.map(|text| Cleaned::from_text(&text)).unwrap_or_default();
        let on_disk = partition_names(&entries);
        let dirty_at_open: Vec<_> =
            on_disk.into_iter().filter(|partition| book.is_dirty(&partition.to_string())).collect();
        // What the last process wrote may be in the page cache only. A failure shows again when the log is synced.
        let presynced = !was_clean && dirty_at_open.len() > MANY && disk.sync_all(path).is_ok();
        Ok(Arc::new(Self {
            path: path.to_path_buf(),
            files: Files::new(disk, options.max_open_files),
            clock,
            cluster_id,
            was_clean,
            dirty_at_open,
            presynced,
            book: Mutex::new(book),
            journal_sync: Mutex::new(()),
            cleaned: Mutex::new(cleaned),
            doomed: Mutex::default(),
            _lock: lock,
        }))
    }

    /// Where the folder is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The disk the folder lies on.
    pub fn disk(&self) -> &Arc<dyn Disk> {
        self.files.disk()
    }

    pub(super) fn files(&self) -> &Arc<Files> {
        &self.files
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    /// The cluster id of `meta.properties`.
    pub fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// Whether the last daemon stopped cleanly (or the folder is new).
    pub fn was_clean(&self) -> bool {
        self.was_clean
    }

    /// Partition folders on disk now: to be held against the catalog. Ascending.
    ///
    /// # Errors
    /// `Io`.
    pub fn partitions(&self) -> Result<Vec<TopicPartition>, StorageError> {
        Ok(partition_names(&self.list()?))
    }

    /// The partition folders on disk that `known` does not know, and those set aside before: kept, to be reported.
    ///
    /// # Errors
    /// `Io`.
    pub fn strays(&self, known: &dyn Fn(&TopicPartition) -> bool) -> Result<Vec<PathBuf>, StorageError> {
        let mut strays: Vec<PathBuf> = self
            .list()?
            .iter()
            .filter(|entry| entry.is_dir)
            .filter(|entry| match partition_name(&entry.name) {
                Some(partition) => !known(&partition),
                None => entry.name.ends_with("-stray"),
            })
            .map(|entry| self.path.join(&entry.name))
            .collect();
        strays.sort();
        Ok(strays)
    }

    /// Partitions that were written since the last checkpoint of the process before: to be opened (recovered) at start.
    pub fn dirty_at_open(&self) -> Vec<TopicPartition> {
        self.dirty_at_open.clone()
    }

    /// Log start and log end of a log that is not opened, if the checkpoint knows it as clean.
    pub fn marks_at_rest(&self, partition: &TopicPartition, topic_id: TopicId) -> Option<(i64, i64)> {
        let entry = self.entry(&partition.to_string())?;
        let sure = entry.topic_id == topic_id && !entry.dirty;
        sure.then_some((entry.log_start, entry.recovery_point))
    }

    /// Bytes and number of the segments of a log that is not loaded: by its folder's listing.
    ///
    /// # Errors
    /// The folder can not be read.
    pub fn size_at_rest(&self, partition: &TopicPartition) -> io::Result<(u64, usize)> {
        let entries = self.disk().list(&self.path.join(partition.to_string()))?;
        let segments = entries.iter().filter(|entry| entry.name.ends_with(".log"));
        Ok(segments.fold((0, 0), |(bytes, count), entry| (bytes + entry.len, count + 1)))
    }

    /// The file system's size and what may still be written, in bytes.
    ///
    /// # Errors
    /// It can not be asked.
    pub fn space(&self) -> io::Result<(u64, u64)> {
        self.disk().space(&self.path)
    }

    /// Makes partition folders created, renamed or deleted so far durable (one sync for many topics).
    ///
    /// # Errors
    /// `Io`.
    pub fn sync(&self) -> Result<(), StorageError> {
        self.disk().sync_dir(&self.path).map_err(StorageError::io("syncing", &self.path))
    }

    /// Writes the checkpoint file if a log's entry changed since (call [`super::Log::checkpoint`] on the logs before).
    ///
    /// # Errors
    /// `Io`; the old checkpoint then still holds.
    pub fn checkpoint(&self) -> Result<(), StorageError> {
        held(&self.book).write(self.disk().as_ref(), &self.path)
    }

    /// Checkpoints these logs and writes the checkpoint file. Many of them cost one sync of the file system together.
    /// Answers with the logs that failed; their recovery points stay.
    ///
    /// # Errors
    /// `Io` where the checkpoint file could not be replaced; the old one then still holds.
    pub fn checkpoint_logs<'l>(
        &self,
        logs: &'l [Arc<Log>],
    ) -> Result<Vec<(&'l Arc<Log>, StorageError)>, StorageError> {
        let mut failed = Vec::new();
        let mut due = Vec::new();
        for log in logs {
            match log.take_checkpoint() {
                Ok(Some(taken)) => due.push((log, taken)),
                Ok(None) => {}
                Err(error) => failed.push((log, error)),
            }
        }
        let each = due.len() <= MANY;
        let mut written: Vec<_> = due.iter().map(|(log, taken)| log.write_checkpoint(taken, each)).collect();
        if !each && let Err(error) = self.disk().sync_all(&self.path) {
            // Nothing is known to be durable then, so no recovery point may move.
            let error = error.to_string();
            for result in written.iter_mut().filter(|result| result.is_ok()) {
                *result = Err(StorageError::io("syncing", &self.path)(io::Error::other(error.clone())));
            }
        }
        for ((log, taken), written) in due.into_iter().zip(written) {
            if let Err(error) = log.end_checkpoint(taken, written) {
                failed.push((log, error));
            }
        }
        self.checkpoint()?;
        Ok(failed)
    }

    /// Checkpoints and closes these logs, as [`Log::close`] does with one.
    ///
    /// # Errors
    /// As [`Folder::checkpoint_logs`]; the logs are closed then too.
    pub fn close_logs<'l>(
        &self,
        logs: &'l [Arc<Log>],
    ) -> Result<Vec<(&'l Arc<Log>, StorageError)>, StorageError> {
        let result = self.checkpoint_logs(logs);
        for log in logs {
            log.let_go_of_files();
        }
        result
    }

    /// Removes what earlier deletions left (`*-delete` folders).
    ///
    /// # Errors
    /// `Io` for the first one that could not be removed; the others are gone.
    pub fn sweep(&self) -> Result<(), StorageError> {
        let mut result = Ok(());
        for entry in self.list()? {
            if entry.is_dir && entry.name.ends_with("-delete") {
                let path = self.path.join(&entry.name);
                if let Err(error) = self.remove_folder(&path) {
                    result = Err(StorageError::io("removing", &path)(error));
                }
            }
        }
        result
    }

    /// Milliseconds of the monotonic clock.
    pub(super) fn now_ms(&self) -> i64 {
        i64::try_from(self.clock.monotonic().as_millis()).unwrap_or(i64::MAX)
    }

    pub(super) fn doom(&self, path: PathBuf, at_ms: i64) {
        held(&self.doomed).insert((at_ms, path));
    }

    /// Removes the files of deleted segments whose `file.delete.delay.ms` is up at `now_ms` of the monotonic clock, which
    /// nobody sets back; answers when the next one's is. What is left at the end goes when the log is loaded again.
    pub fn purge(&self, now_ms: i64) -> Option<i64> {
        loop {
            let mut doomed = held(&self.doomed);
            let at = doomed.first().map(|(at, _)| *at)?;
            if at > now_ms {
                return Some(at);
            }
            let path = doomed.pop_first().map(|(_, path)| path)?;
            drop(doomed);
            // The topic may be deleted meanwhile.
            let _ = self.disk().remove(&path);
        }
    }

    /// After every log was closed: writes the checkpoint and the clean mark.
    ///
    /// # Errors
    /// `Io`; the folder then counts as not cleanly closed.
    pub fn close_clean(&self) -> Result<(), StorageError> {
        self.checkpoint()?;
        checkpoint::replace(self.disk().as_ref(), &self.path.join(CLEAN), *b"clea", VERSION, &[])
    }

    pub(super) fn is_presynced(&self) -> bool {
        self.presynced
    }

    pub(super) fn entry(&self, name: &str) -> Option<Entry> {
        held(&self.book).entry(name)
    }

    pub(super) fn set_entry(&self, name: &str, entry: Entry) {
        held(&self.book).set(name, entry);
    }

    pub(super) fn remove_entry(&self, name: &str) {
        held(&self.book).remove(name);
    }

    /// Up to where a log was compacted.
    pub(super) fn cleaned(&self, partition: &TopicPartition) -> Option<i64> {
        held(&self.cleaned).get(partition)
    }

    pub(super) fn set_cleaned(&self, partition: &TopicPartition, offset: i64) -> Result<(), StorageError> {
        self.change_cleaned(partition, Some(offset))
    }

    pub(super) fn forget_cleaned(&self, partition: &TopicPartition) -> Result<(), StorageError> {
        self.change_cleaned(partition, None)
    }

    fn change_cleaned(&self, partition: &TopicPartition, offset: Option<i64>) -> Result<(), StorageError> {
        let mut cleaned = held(&self.cleaned);
        if !cleaned.set(partition, offset) {
            return Ok(());
        }
        replace_raw(self.disk().as_ref(), &self.path.join(cleaned::FILE), cleaned.to_text().as_bytes(), true)
    }

    /// Notes in the journal that a log is being written; [`Folder::sync_journal`] makes it durable.
    pub(super) fn note_dirty(&self, name: &str) -> Result<(), StorageError> {
        held(&self.book).note_dirty(self.disk().as_ref(), &self.path, name)
    }

    pub(super) fn sync_journal(&self) -> Result<(), StorageError> {
        // Held over the sync: who finds nothing to sync must not go on before another's sync is done.
        let _turn = held(&self.journal_sync);
        let file = held(&self.book).unsynced_journal();
        if let Some(file) = file
            && let Err(error) = file.sync()
        {
            held(&self.book).journal_failed();
            return Err(StorageError::io("syncing", &self.path.join(book::JOURNAL))(error));
        }
        Ok(())
    }

    fn list(&self) -> Result<Vec<DirEntry>, StorageError> {
        self.disk().list(&self.path).map_err(StorageError::io("reading", &self.path))
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        let disk = self.disk();
        for entry in disk.list(path)? {
            disk.remove(&path.join(entry.name))?;
        }
        disk.remove_dir(path)
    }
}

/// The names of logs in the bytes of a `klog-dirty`, up to its first half record, and how many bytes those take.
pub fn journal_names(bytes: &[u8]) -> (Vec<String>, u64) {
    book::read_journal(bytes)
}

fn has(entries: &[DirEntry], name: &str) -> bool {
    entries.iter().any(|entry| entry.name == name)
}

/// What may lie in a folder that klog takes for new: what a file system puts there, and what klog itself makes before the mark.
fn is_harmless(name: &str) -> bool {
    name == "lost+found" || name == ".lock" || name.starts_with("klog.") || name.starts_with("klog-")
}

fn check_mark(disk: &dyn Disk, path: &Path, new: bool) -> Result<(), StorageError> {
    let mark = path.join(MARK);
    if new {
        return checkpoint::replace(disk, &mark, *b"mark", VERSION, &[]);
    }
    match checkpoint::read(disk, &mark, *b"mark")? {
        Some((VERSION, _)) => Ok(()),
        _ => Err(StorageError::BadFile { path: mark, reason: "it is of another version of klog" }),
    }
}

/// Reads or makes `meta.properties` as Kafka 4.x writes it (version 1); the cluster id.
fn meta_properties(disk: &dyn Disk, path: &Path, options: &FolderOptions) -> Result<String, StorageError> {
    let file = path.join(META);
    let Some(bytes) = read_raw(disk, &file)? else {
        let text = format!(
            "#\ncluster.id={}\ndirectory.id={}\nnode.id={}\nversion=1\n",
            options.new_cluster_id, options.new_directory_id, options.node_id
        );
        replace_raw(disk, &file, text.as_bytes(), true)?;
        return Ok(options.new_cluster_id.to_string());
    };
    let bad = |reason| StorageError::BadFile { path: file.clone(), reason };
    let text = String::from_utf8(bytes).map_err(|_| bad("it is not text"))?;
    let value = |key: &str| {
        text.lines()
            .filter_map(|line| line.split_once('='))
            .find(|(name, _)| name.trim() == key)
            .map(|(_, v)| v.trim())
    };
    if value("version").is_some_and(|version| version != "1") {
        return Err(bad("it is of another version than 1"));
    }
    if value("node.id") != Some(options.node_id.to_string().as_str()) {
        return Err(bad("its node.id is not the one this daemon is set to"));
    }
    value("cluster.id").map(str::to_owned).ok_or_else(|| bad("it has no cluster.id"))
}

fn partition_names(entries: &[DirEntry]) -> Vec<TopicPartition> {
    let mut names: Vec<_> =
        entries.iter().filter(|entry| entry.is_dir).filter_map(|entry| partition_name(&entry.name)).collect();
    names.sort();
    names
}

/// A partition folder's name, `<topic>-<partition>`, back to what it says.
pub fn partition_name(name: &str) -> Option<TopicPartition> {
    let (topic, partition) = name.rsplit_once('-')?;
    let index: i32 = partition.parse().ok()?;
    let canonical = index >= 0 && index.to_string() == partition;
    (canonical && crate::model::name::check_topic(topic).is_ok()).then(|| TopicPartition::new(topic, index))
}
