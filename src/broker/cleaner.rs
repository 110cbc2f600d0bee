//! The cleaner: compacts the logs of topics whose `cleanup.policy` has compact, the dirtiest first, on a blocking thread;
//! it sleeps while nothing that it could compact was written, and never holds up an append or a read.
//!
//! Locks: `working` is held while it looks and compacts, so that closing can wait for it; `left_alone` guards the logs
//! that could not be compacted.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::{Broker, Partition};
use crate::model::id::TopicId;
use crate::storage::{CompactOptions, CompactionDue, StorageError};

/// Longest sleep at once where the speed is limited, so that closing need not wait for longer.
const LONGEST_SLEEP: Duration = Duration::from_millis(200);

/// What wakes the cleaner.
#[derive(Default)]
pub(super) struct Bell {
    notify: Notify,
}

impl Bell {
    /// Something that could be compacted was written, or a topic's settings were changed.
    pub(super) fn ring(&self) {
        self.notify.notify_one();
    }
}

/// The cleaner's memory.
#[derive(Default)]
pub(super) struct Cleaner {
    working: Mutex<()>,
    left_alone: Mutex<HashSet<(TopicId, i32)>>,
}

impl Cleaner {
    /// Answers once no compaction runs; the broker is closing, so none begins.
    pub(super) fn wait(&self) {
        drop(self.working.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn is_left_alone(&self, partition: &Partition) -> bool {
        self.left_alone.lock().unwrap_or_else(PoisonError::into_inner).contains(&key(partition))
    }

    fn leave_alone(&self, partition: &Partition) {
        self.left_alone.lock().unwrap_or_else(PoisonError::into_inner).insert(key(partition));
    }
}

/// Least bytes for the table of keys, as in Kafka: with less a pass gets nowhere.
const LEAST_MEMORY: usize = 1 << 20;

/// Runs until the broker closes: a look after the start, and `log.cleaner.backoff.ms` after something was written.
pub(super) async fn run(broker: Arc<Broker>) {
    if !broker.settings().flag("log.cleaner.enable") {
        return broker.closing.cancelled().await;
    }
    let backoff = || Duration::from_millis(broker.settings().size("log.cleaner.backoff.ms").max(1) as u64);
    let mut look = Some(Instant::now() + backoff());
    let closing = broker.closing.cancelled();
    tokio::pin!(closing);
    loop {
        let at = look.unwrap_or_else(Instant::now);
        tokio::select! {
            () = &mut closing => return,
            () = sleep_until(at), if look.is_some() => {
                let next = broker.blocking(Broker::clean).await.unwrap_or(None);
                look = next.and_then(|wait| Instant::now().checked_add(wait.max(backoff())));
            }
            () = broker.around.bell.notify.notified() => {
                // From now, not from when it fell asleep: what was just written is to be durable by then.
                let soon = Instant::now() + backoff();
                look = Some(look.map_or(soon, |look| look.min(soon)));
            }
        }
    }
}

impl Broker {
    /// Compacts what is due, the dirtiest log first; answers when to look again though nothing is written. Blocking.
    pub fn clean(&self) -> Option<Duration> {
        let _one = self.cleaner.working.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.wall_ms();
        let mut next: Option<i64> = None;
        let mut later = |at: i64| next = Some(next.map_or(at, |next| next.min(at)));
        let mut due = Vec::new();
        for partition in self.compacted_partitions() {
            // Before the look: what is written from now on is looked at again.
            partition.looked_at_by_cleaner();
            match partition.log().compaction_due(now, partition.stable_end()) {
                Ok(CompactionDue::Now { dirty_millionths }) => due.push((dirty_millionths, partition)),
                Ok(CompactionDue::At(at)) => later(at),
                Ok(CompactionDue::Never) => {}
                Err(error) => self.cleaning_failed(&partition, &error),
            }
        }
        due.sort_by_key(|(dirty, _)| std::cmp::Reverse(*dirty));
        for (_, partition) in due {
            if self.is_closing() {
                return None;
            }
            let cleaned = self.clean_one(&partition);
            if cleaned.as_ref().is_ok_and(|whole| !whole) {
                later(now);
            }
            if let Err(error) = cleaned {
                if matches!(error, StorageError::Full { .. }) || was_removed(&error) {
                    later(now);
                }
                self.cleaning_failed(&partition, &error);
            } else if let Ok(CompactionDue::At(at)) =
                partition.log().compaction_due(now, partition.stable_end())
            {
                later(at);
            }
        }
        next.map(|at| Duration::from_millis(u64::try_from(at.saturating_sub(now)).unwrap_or(0)))
    }

    fn compacted_partitions(&self) -> Vec<Arc<Partition>> {
        let mut found = Vec::new();
        for topic in self.topics().iter().filter(|topic| topic.settings().compacted) {
            for index in 0..topic.partition_count() {
                match topic.partition(index, &self.folder, &self.around) {
                    Ok(Some(partition)) if !self.cleaner.is_left_alone(&partition) => found.push(partition),
                    Ok(_) => {}
                    Err(error) => {
                        tracing::error!(topic = %topic.name(), index, %error, "a log can not be opened");
                    }
                }
            }
        }
        found
    }

    /// Whether it came to its end.
    fn clean_one(&self, partition: &Arc<Partition>) -> Result<bool, StorageError> {
        let begun = self.clock.monotonic();
        let settings = self.settings();
        let load = settings.text("log.cleaner.io.buffer.load.factor").and_then(|text| text.parse().ok());
        let options = CompactOptions {
            memory: settings.size("log.cleaner.dedupe.buffer.size").max(LEAST_MEMORY),
            load_percent: (load.unwrap_or(0.9f64).clamp(0.01, 0.95) * 100.0) as usize,
            now_ms: self.clock.wall_ms(),
            upto: partition.stable_end(),
        };
        let speed = settings.text("log.cleaner.io.max.bytes.per.second");
        let speed = speed.and_then(|text| text.parse::<f64>().ok()).filter(|speed| *speed > 0.0);
        let speed = speed.unwrap_or(f64::MAX);
        let mut read = 0u64;
        let mut pace = |bytes: u64| {
            read += bytes;
            let due = Duration::try_from_secs_f64(read as f64 / speed).unwrap_or(Duration::MAX);
            while let Some(ahead) = due.checked_sub(self.clock.monotonic().saturating_sub(begun))
                && !ahead.is_zero()
                && !self.is_closing()
                && !partition.is_gone()
            {
                std::thread::sleep(ahead.min(LONGEST_SLEEP));
            }
            !self.is_closing() && !partition.is_gone()
        };
        let done = partition.log().compact(&options, &mut pace)?;
        if done.before_bytes > 0 {
            let took = self.clock.monotonic().saturating_sub(begun);
            tracing::info!(partition = %partition.id(), passes = done.passes, removed = done.removed,
                before_bytes = done.before_bytes, after_bytes = done.after_bytes, ?took, "compacted");
            // The next checkpoint knows the log as it is now.
            partition.touch();
        }
        Ok(!done.stopped)
    }

    fn cleaning_failed(&self, partition: &Partition, error: &StorageError) {
        match error {
            StorageError::Closed { .. } => {}
            StorageError::Full { .. } => {
                tracing::warn!(partition = %partition.id(), %error, "not compacted: it is tried again");
            }
            _ if partition.is_gone() || self.is_closing() => {}
            // Retention took a segment that was being looked at.
            error if was_removed(error) => {}
            _ => {
                self.cleaner.leave_alone(partition);
                tracing::error!(partition = %partition.id(), %error,
                    "not compacted, and not tried again before the next start");
            }
        }
    }
}

/// A topic made again under an old name is another one.
fn key(partition: &Partition) -> (TopicId, i32) {
    (partition.log().topic_id(), partition.id().partition)
}

/// Whether a file was not there any more.
fn was_removed(error: &StorageError) -> bool {
    matches!(error, StorageError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
}
