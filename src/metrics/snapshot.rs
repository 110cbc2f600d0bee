//! What a node has come to, at one moment, as plain values: the metrics page and the status both come from this alone.

use std::time::Duration;

use super::Values;

/// Failed logs that a warning names.
const NAMED: usize = 10;

/// A node at one moment. Counters count from the start of the process.
#[derive(Debug, Clone)]
pub struct Node {
    /// When the broker was opened, ms since 1970.
    pub started_ms: i64,
    /// How long ago that is.
    pub up: Duration,
    /// Why it is not ready to serve, if it is not.
    pub unready: Option<&'static str>,
    /// All topics by name, internal ones too.
    pub topics: Vec<Topic>,
    /// All groups by name.
    pub groups: Vec<Group>,
    /// Whether the groups could be asked: their topic may be unreadable.
    pub groups_known: bool,
    /// What was appended by clients.
    pub produced: Produced,
    /// Bytes of records given to consumers.
    pub fetched_bytes: u64,
    /// How fast all that was lately.
    pub rates: Rates,
    /// Refused requests.
    pub errors: Vec<RequestErrors>,
    /// Syncs of logs.
    pub sync: Syncs,
    /// Bytes appended that no sync has covered.
    pub unsynced_bytes: u64,
    /// What the start found.
    pub recovery: Recovery,
    /// The data folder's file system; none where it can not be asked.
    pub disk: Option<Disk>,
    /// How long it took to gather all this.
    pub took: Duration,
}

/// Records, and the bytes and batches that they came in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Produced {
    /// Records.
    pub records: u64,
    /// Bytes of batches as they are stored.
    pub bytes: u64,
    /// Batches.
    pub batches: u64,
}

/// A topic.
#[derive(Debug, Clone, Default)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Whether only the broker writes to it.
    pub internal: bool,
    /// Its partitions, by their numbers.
    pub partitions: Vec<Partition>,
}

/// A partition. Its counters begin when it is first used after a start.
#[derive(Debug, Clone, Copy, Default)]
pub struct Partition {
    /// Log start offset.
    pub log_start: i64,
    /// High watermark.
    pub high_watermark: i64,
    /// Log end offset.
    pub log_end: i64,
    /// Bytes of all segments; none where the folder could not be read.
    pub bytes: Option<u64>,
    /// How many segments.
    pub segments: u64,
    /// Whether its log is loaded.
    pub loaded: bool,
    /// Whether it takes no more appends after an I/O error.
    pub failed: bool,
    /// Whether its last append found the disk full, a short while ago.
    pub full: bool,
    /// Ranges of its segments that are no batches.
    pub damaged: u64,
    /// What was appended.
    pub produced: Produced,
    /// Bytes of records given to consumers.
    pub fetched_bytes: u64,
}

impl Topic {
    /// A number of all partitions, added up.
    pub fn sum(&self, of: impl Fn(&Partition) -> u64) -> u64 {
        self.partitions.iter().map(of).sum()
    }

    /// Offsets between log start and log end: records, where nothing was compacted or is transactional.
    pub fn records(&self) -> u64 {
        self.sum(|one| u64::try_from(one.log_end.saturating_sub(one.log_start)).unwrap_or(0))
    }

    /// Bytes of all segments, as far as they are known.
    pub fn bytes(&self) -> u64 {
        self.sum(|one| one.bytes.unwrap_or(0))
    }

    /// A sentence for each partition whose log has failed.
    fn failed(&self) -> impl Iterator<Item = String> {
        let failed = self.partitions.iter().enumerate().filter(|(_, one)| one.failed);
        failed.map(|(index, one)| {
            let (name, end) = (&self.name, one.log_end);
            format!(
                "{name}-{index} takes no appends after an I/O error (it was cut to offset {end}): see the log, mend \
                 the disk, restart"
            )
        })
    }
}

/// A group.
#[derive(Debug, Clone)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// `Empty` or `Stable`; `PreparingRebalance` or `CompletingRebalance` (classic), `Assigning` or `Reconciling`
    /// (consumer).
    pub state: &'static str,
    /// How many members it has.
    pub members: u64,
    /// The offsets it keeps, by topic and partition.
    pub partitions: Vec<GroupPartition>,
    /// Its lag some time before, and how long before: at least half a minute.
    pub before: Option<(u64, Duration)>,
}

impl Group {
    /// What all its partitions lack, in records.
    pub fn lag(&self) -> u64 {
        self.partitions.iter().map(|one| one.lag).sum()
    }

    /// The partition that lacks most.
    pub fn worst(&self) -> Option<&GroupPartition> {
        self.partitions.iter().max_by_key(|one| one.lag)
    }
}

/// An offset that a group keeps, against its partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupPartition {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset it reads next.
    pub committed: i64,
    /// Records from there to the high watermark; what retention took does not count.
    pub lag: u64,
}

/// What was lately done in a second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rates {
    /// The time that they are of.
    pub window: Duration,
    /// Records produced.
    pub records: f64,
    /// Bytes produced.
    pub bytes: f64,
    /// Bytes of records given to consumers.
    pub fetched_bytes: f64,
}

/// How often an API was answered with an error code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestErrors {
    /// The API's name.
    pub api: &'static str,
    /// The code's name.
    pub error: &'static str,
    /// How often.
    pub count: u64,
}

/// Syncs of logs.
#[derive(Debug, Clone)]
pub struct Syncs {
    /// How long they took, in nanoseconds.
    pub duration: Values,
    /// How many batches each covered.
    pub batches: Values,
    /// How many failed.
    pub failures: u64,
}

/// What the start found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Whether the process before stopped cleanly (or the folder was new).
    pub clean: bool,
    /// Logs that were recovered.
    pub logs: u64,
    /// Bytes whose batches were checked.
    pub scanned_bytes: u64,
    /// Bytes cut off torn tails; they are kept beside their log.
    pub cut_bytes: u64,
    /// Damaged ranges found.
    pub damaged_ranges: u64,
    /// How long it took.
    pub took: Duration,
}

/// A file system's room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disk {
    /// All of it, in bytes.
    pub total: u64,
    /// What this user may still write, in bytes.
    pub free: u64,
}

/// A listener of the server.
#[derive(Debug, Clone, Default)]
pub struct Listener {
    /// What it is bound to.
    pub address: String,
    /// Connections now.
    pub open: i64,
    /// Connections taken in.
    pub accepted: u64,
    /// Connections turned away by `max.connections` ...
    pub refused_all: u64,
    /// ... and by `max.connections.per.ip`.
    pub refused_ip: u64,
    /// Bytes that came.
    pub received: u64,
    /// Bytes that went.
    pub sent: u64,
}

/// The requests of one API.
#[derive(Debug, Clone)]
pub struct Requests {
    /// Its name.
    pub api: &'static str,
    /// From the whole frame being here to the last byte of its answer being taken, in nanoseconds.
    pub latency: Values,
}

impl Node {
    /// A number of all partitions of all topics, added up.
    pub fn sum(&self, of: impl Fn(&Partition) -> u64) -> u64 {
        self.topics.iter().map(|topic| topic.sum(&of)).sum()
    }

    /// What an admin should look at, a sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let mut found = Vec::new();
        let failed: Vec<String> = self.topics.iter().flat_map(Topic::failed).collect();
        if let Some(more) = failed.len().checked_sub(NAMED).filter(|more| *more > 0) {
            found.push(format!("{more} more logs than the {NAMED} below have failed"));
        }
        found.extend(failed.into_iter().take(NAMED));
        let full = self.sum(|one| u64::from(one.full));
        if full > 0 {
            found.push(format!("the disk is full: appends to {full} partitions are refused"));
        }
        let damaged = self.sum(|one| one.damaged);
        if damaged > 0 {
            found.push(format!("{damaged} ranges of the logs are damaged: reading them fails"));
        }
        if let Some(disk) = self.disk.filter(Disk::is_nearly_full) {
            let percent = disk.free * 100 / disk.total.max(1);
            found.push(format!("the disk is nearly full: {percent} % of it is free"));
        }
        if !self.recovery.clean {
            let Recovery { logs, cut_bytes, .. } = self.recovery;
            found.push(format!(
                "the last stop was not clean: {logs} logs were recovered, {cut_bytes} bytes cut off and kept"
            ));
        }
        if !self.groups_known {
            found.push("the groups can not be read".to_owned());
        }
        found.extend(self.groups.iter().filter_map(Group::falls_behind));
        found
    }
}

impl Group {
    fn falls_behind(&self) -> Option<String> {
        let (before, since) = self.before?;
        let lag = self.lag();
        // Between two commits of a healthy member its lag grows as well.
        (lag > before + (before / 10).max(100)).then(|| {
            format!(
                "the group {} falls behind: its lag grew from {before} to {lag} records in {} s",
                self.name,
                since.as_secs()
            )
        })
    }
}

impl Disk {
    /// Under 5 % and 20 GiB free, or under 512 MiB.
    pub fn is_nearly_full(&self) -> bool {
        (self.free < self.total / 20 && self.free < 20 << 30) || self.free < 512 << 20
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_nearly_full_by_share_and_by_size() {
        let disk = |free: u64, total: u64| Disk { free: free << 20, total: total << 20 }.is_nearly_full();
        assert!(disk(400, 1000) && disk(40 << 10, 1 << 21) != disk(10 << 10, 1 << 21));
        assert!(!disk(6 << 10, 100 << 10) && disk(4 << 10, 100 << 10));
    }

    #[test]
    fn only_a_lag_that_grew_much_is_warned_of() {
        let lag = |lag| GroupPartition { topic: "t".into(), partition: 0, committed: 0, lag };
        let group = |now, before| Group {
            name: "g".into(),
            state: "Stable",
            members: 1,
            partitions: vec![lag(now), lag(0)],
            before: Some((before, Duration::from_secs(40))),
        };
        assert_eq!(group(90, 0).falls_behind(), None);
        assert_eq!(group(5400, 5000).falls_behind(), None);
        let text = group(5600, 5000).falls_behind().unwrap();
        assert_eq!(text, "the group g falls behind: its lag grew from 5000 to 5600 records in 40 s");
        assert_eq!(group(5, 0).worst().map(|one| one.lag), Some(5));
    }
}
