//! Files that say nothing to the eye, decoded entry by entry: logs of internal topics, indexes, snapshots,
//! checkpoints; Kafka's and klog's own. What is damaged is reported beside what could be read; nothing is written.

mod index;
mod log;
mod own;
mod snapshot;
mod text;

use std::io;
use std::path::{Path, PathBuf};

pub use crate::codec::Value;
use crate::inspect::folder::lock_above;
pub use crate::schema::shown::InternalTopic;
use crate::storage::Disk;
pub use crate::storage::RealDisk;
use crate::storage::disk::{DiskFile, Entry, Mode, read_exact_at};
use crate::storage::folder::partition_name;
use crate::storage::scan::split_name;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A segment, or a snapshot of the metadata log; without a topic only its control records are decoded.
    Log(Option<InternalTopic>),
    /// `.index`, of a segment that begins at this offset.
    OffsetIndex(i64),
    /// `.timeindex`, of a segment that begins at this offset.
    TimeIndex(i64),
    /// `.txnindex`: aborted transactions.
    TransactionIndex,
    /// `.snapshot`: the state of a log's producers.
    ProducerSnapshot,
    /// `leader-epoch-checkpoint`.
    LeaderEpochs,
    /// `recovery-point-offset-checkpoint` and the like.
    Offsets,
    /// `partition.metadata`.
    PartitionMetadata,
    /// `meta.properties`.
    Properties,
    /// `quorum-state`.
    QuorumState,
    /// A file of klog's own.
    Own(Own),
}

/// klog's own files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Own {
    /// `klog-checkpoint`: what is known of each log.
    Checkpoint,
    /// `klog-dirty`: the logs written since.
    Dirty,
    /// `klog-start`: where a log begins that DeleteRecords moved.
    Start,
    /// `klog-damage`: where a log is damaged.
    Damage,
    /// `klog-aborted`: the segments of a log that have a `.txnindex`.
    Aborted,
    /// `klog-mark`: the folder is klog's.
    Mark,
    /// `klog-clean`: the daemon ended in good order.
    Clean,
}

/// Values in the order of [`Kind::columns`].
pub type Row = Vec<Value>;

/// Something in a file that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where it begins, in bytes.
    pub position: u64,
    /// What it is, without the file's name.
    pub what: String,
}

impl Finding {
    fn new(position: u64, what: impl Into<String>) -> Self {
        Self { position, what: what.into() }
    }
}

/// How many findings of one file are kept.
const MANY: usize = 1000;

/// Notes a finding, unless there are many: a file of garbage would fill the memory with them.
fn note(findings: &mut Vec<Finding>, at: u64, what: impl FnOnce() -> String) {
    if findings.len() < MANY {
        findings.push(Finding::new(at, what()));
    }
}

/// Takes rows one by one; says whether it wants more.
pub type Sink<'s> = &'s mut dyn FnMut(Row) -> bool;

impl Kind {
    /// What a file holds by its name and, for logs, by its folder's; `None` where there is nothing to decode.
    /// `path` is absolute.
    pub fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let own = match name {
            "leader-epoch-checkpoint" => return Some(Self::LeaderEpochs),
            "partition.metadata" => return Some(Self::PartitionMetadata),
            "meta.properties" => return Some(Self::Properties),
            "quorum-state" => return Some(Self::QuorumState),
            "bootstrap.checkpoint" => return Some(Self::Log(Some(InternalTopic::Metadata))),
            "klog-checkpoint" => Own::Checkpoint,
            "klog-dirty" => Own::Dirty,
            "klog-start" => Own::Start,
            "klog-damage" => Own::Damage,
            "klog-aborted" => Own::Aborted,
            "klog-mark" => Own::Mark,
            "klog-clean" => Own::Clean,
            _ => return Self::by_ending(path, name),
        };
        Some(Self::Own(own))
    }

    fn by_ending(path: &Path, name: &str) -> Option<Self> {
        if name.ends_with("-offset-checkpoint") {
            return Some(Self::Offsets);
        }
        let (_, ending) = name.split_once('.')?;
        let base = split_name(name).map(|(base, _)| base);
        match ending {
            "log" => base.map(|_| Self::Log(topic_of(path))),
            "index" => base.map(Self::OffsetIndex),
            "timeindex" => base.map(Self::TimeIndex),
            "txnindex" => Some(Self::TransactionIndex),
            "snapshot" => Some(Self::ProducerSnapshot),
            "checkpoint" => Some(Self::Log(Some(InternalTopic::Metadata))),
            _ => None,
        }
    }

    /// What the file is called in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Log(_) => "log",
            Self::OffsetIndex(_) => "offset_index",
            Self::TimeIndex(_) => "time_index",
            Self::TransactionIndex => "txn_index",
            Self::ProducerSnapshot => "producer_snapshot",
            Self::LeaderEpochs => "leader_epochs",
            Self::Offsets => "offset_checkpoint",
            Self::PartitionMetadata => "partition_metadata",
            Self::Properties => "meta_properties",
            Self::QuorumState => "quorum_state",
            Self::Own(Own::Checkpoint) => "klog_checkpoint",
            Self::Own(Own::Dirty) => "klog_dirty",
            Self::Own(Own::Start) => "klog_start",
            Self::Own(Own::Damage) => "klog_damage",
            Self::Own(Own::Mark) => "klog_mark",
            Self::Own(Own::Clean) => "klog_clean",
            Self::Own(Own::Aborted) => "klog_aborted",
        }
    }

    /// The names of what a row holds; scripts rely on them.
    pub fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Log(_) => log::COLUMNS,
            Self::OffsetIndex(_) => &["offset", "position"],
            Self::TimeIndex(_) => &["timestamp", "offset"],
            Self::TransactionIndex => index::TRANSACTION_COLUMNS,
            Self::ProducerSnapshot => snapshot::COLUMNS,
            Self::LeaderEpochs => &["leader_epoch", "start_offset"],
            Self::Offsets => &["topic", "partition", "offset"],
            Self::PartitionMetadata => &["version", "topic_id"],
            Self::Properties => &["key", "value"],
            Self::QuorumState => &["content"],
            Self::Own(own) => own::columns(own),
        }
    }
}

/// The internal topic that a file's folder is of.
fn topic_of(path: &Path) -> Option<InternalTopic> {
    let folder = path.parent()?.file_name()?.to_str()?;
    // A folder on its way out, or set aside: `topic-0.id-delete`.
    let partition = match folder.rsplit_once('.') {
        Some((partition, mark)) if mark.ends_with("-delete") || mark.ends_with("-stray") => partition,
        _ => folder,
    };
    let (topic, index) = partition.rsplit_once('-')?;
    index.parse::<u32>().ok()?;
    InternalTopic::named(topic)
}

/// The files to decode at `path`: that file itself, or those in a folder and in the folders in it. Others are left out.
///
/// # Errors
/// There is no such file, or a folder can not be read.
pub fn find(disk: &dyn Disk, path: &Path) -> io::Result<Vec<(PathBuf, Kind)>> {
    let mut found = Vec::new();
    match disk.list(path) {
        Ok(entries) => {
            for inner in sorted(entries).into_iter().map(|entry| (path.join(entry.name), entry.is_dir)) {
                match inner {
                    (folder, true) => {
                        let Some(files) = inside(disk, &folder)? else { continue };
                        let files = sorted(files).into_iter().filter(|entry| !entry.is_dir);
                        let paths: Vec<PathBuf> = files.map(|file| folder.join(file.name)).collect();
                        keep(paths, &mut found)?;
                    }
                    (file, false) => keep([file], &mut found)?,
                }
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            keep([path.to_path_buf()], &mut found)?;
            // A segment meant by name may be called anything, and what recovery cut off one is no part of a folder's logs.
            if found.is_empty() && is_log_by_name(path) {
                found.push((path.to_path_buf(), Kind::Log(topic_of(&std::path::absolute(path)?))));
            }
        }
        Err(error) => return Err(error),
    }
    Ok(found)
}

/// What a folder within one that was asked for holds; `None` where it is gone, or is none of a partition and closed to us
/// (`lost+found`).
fn inside(disk: &dyn Disk, folder: &Path) -> io::Result<Option<Vec<Entry>>> {
    let is_partition = folder.file_name().and_then(|name| name.to_str()).and_then(partition_name).is_some();
    match disk.list(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && !is_partition => Ok(None),
        done => done.map(Some),
    }
}

fn is_log_by_name(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.ends_with(".log") || name.contains(".log.cut-")
}

fn sorted(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    entries
}

fn keep(paths: impl IntoIterator<Item = PathBuf>, found: &mut Vec<(PathBuf, Kind)>) -> io::Result<()> {
    for path in paths {
        if let Some(kind) = Kind::of(&std::path::absolute(&path)?) {
            found.push((path, kind));
        }
    }
    Ok(())
}

/// Decodes the file at `path`, row by row, until its end, its damage or the sink's wish. Answers what is damaged.
///
/// # Errors
/// The file can not be opened or read.
pub fn decode(disk: &dyn Disk, path: &Path, kind: Kind, sink: Sink<'_>) -> io::Result<Vec<Finding>> {
    let file = disk.open(path, Mode::Read)?;
    let file = file.as_ref();
    match kind {
        Kind::Log(topic) => log::decode(file, topic, is_growing(disk, path), sink),
        Kind::OffsetIndex(base) => index::offsets(file, base, sink),
        Kind::TimeIndex(base) => index::times(file, base, sink),
        Kind::TransactionIndex => index::transactions(file, sink),
        Kind::ProducerSnapshot => Ok(snapshot::decode(whole(file)?, sink)),
        Kind::LeaderEpochs => Ok(text::table(&whole(file)?, text::epoch, sink)),
        Kind::Offsets => Ok(text::table(&whole(file)?, text::offset, sink)),
        Kind::PartitionMetadata => Ok(text::partition_metadata(&whole(file)?, sink)),
        Kind::Properties => Ok(text::properties(&whole(file)?, sink)),
        Kind::QuorumState => Ok(text::content(&whole(file)?, sink)),
        Kind::Own(own) => own::decode(disk, path, own, sink),
    }
}

/// Whether a daemon holds the folder of a segment and no later one lies beside it: its end may be half written.
fn is_growing(disk: &dyn Disk, path: &Path) -> bool {
    let Some((base, "log")) = path.file_name().and_then(|name| name.to_str()).and_then(split_name) else {
        return false;
    };
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let later = |entry: &Entry| matches!(split_name(&entry.name), Some((other, "log")) if other > base);
    disk.is_locked(&lock_above(dir)).unwrap_or(false)
        && disk.list(dir).is_ok_and(|entries| !entries.iter().any(later))
}

/// The largest file that is read as a whole.
const MAX_WHOLE: u64 = 256 << 20;

fn whole(file: &dyn DiskFile) -> io::Result<Vec<u8>> {
    let len = file.len()?;
    if len > MAX_WHOLE {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
    read_exact_at(file, &mut bytes, 0)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str) -> Option<Kind> {
        Kind::of(Path::new(path))
    }

    #[test]
    fn names_say_what_files_hold() {
        let offsets = Some(Kind::Log(Some(InternalTopic::Offsets)));
        for folder in
            ["__consumer_offsets-7", "__consumer_offsets-7.AAAA-delete", "__consumer_offsets-7.x-stray"]
        {
            assert_eq!(of(&format!("/d/{folder}/00000000000000000000.log")), offsets, "{folder}");
        }
        assert_eq!(of("/d/my.topic-7/00000000000000000000.log"), Some(Kind::Log(None)));
        assert_eq!(of("/00000000000000000000.log"), Some(Kind::Log(None)));
        assert_eq!(of("/d/t-0/00000000000000000042.index"), Some(Kind::OffsetIndex(42)));
        assert_eq!(of("/d/t-0/00000000000000000042.timeindex"), Some(Kind::TimeIndex(42)));
        assert_eq!(of("/d/t-0/x.index"), None, "offsets in it are relative to what only the name tells");
        let metadata = Some(Kind::Log(Some(InternalTopic::Metadata)));
        assert_eq!(of("/d/__cluster_metadata-0/00000000000000000101-0000000001.checkpoint"), metadata);
        assert_eq!(of("/d/bootstrap.checkpoint"), metadata);
        assert_eq!(of("/d/replication-offset-checkpoint"), Some(Kind::Offsets));
        assert_eq!(of("/d/t-0/leader-epoch-checkpoint"), Some(Kind::LeaderEpochs));
        assert_eq!(of("/d/t-0/00000000000000000000.log.deleted"), None);
        assert_eq!(of("/d/klog.log"), None);
        assert_eq!(of("/d/.lock"), None);
    }

    #[test]
    fn folders_are_searched_one_level_down_and_a_file_is_taken_at_its_word() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("__transaction_state-3");
        std::fs::create_dir(&inner).unwrap();
        let names = ["00000000000000000000.log", "00000000000000000000.log.cut-1", "my.log", "note.txt"];
        for name in names {
            std::fs::write(inner.join(name), "").unwrap();
        }
        std::fs::write(folder.path().join("klog.log"), "text").unwrap();
        std::fs::write(folder.path().join("meta.properties"), "a=b").unwrap();
        let log = Kind::Log(Some(InternalTopic::Transactions));
        let found = find(&RealDisk, folder.path()).unwrap();
        let wanted = [(inner.join(names[0]), log), (folder.path().join("meta.properties"), Kind::Properties)];
        assert_eq!(found, wanted);
        for name in &names[..3] {
            assert_eq!(find(&RealDisk, &inner.join(name)).unwrap(), [(inner.join(name), log)]);
        }
        assert_eq!(find(&RealDisk, &inner.join(names[3])).unwrap(), []);
        assert_eq!(find(&RealDisk, &inner.join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
