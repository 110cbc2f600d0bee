//! What the broker does by itself: retention, checkpoints, forgetting idle producers, freeing what was deleted; it sleeps
//! until something is due and never polls.
//!
//! Locks: `Touched::list` guards the partitions written since the last checkpoint.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::Broker;
use super::partition::Partition;

/// So much written since the last checkpoint brings the next one on: a start after a crash reads all of it, which took
/// 3.8 s for 2.7 GiB.
const CHECKPOINT_BYTES: u64 = 256 << 20;
/// And so much more for each partition that was written: a checkpoint costs a few files for each.
const CHECKPOINT_BYTES_EACH: u64 = 1 << 20;
/// Checkpoints are at least so far apart.
const CHECKPOINT_PAUSE: Duration = Duration::from_secs(1);

/// Idle producers are looked for this often (Kafka's `producer.id.expiration.check.interval.ms`, which its documentation
/// leaves out), or as often as `producer.id.expiration.ms` where that is shorter.
const EXPIRE_EVERY: Duration = Duration::from_secs(600);
/// Looks for them are at least so far apart.
const EXPIRE_PAUSE: Duration = Duration::from_secs(1);

/// Partitions that were written since the last checkpoint.
#[derive(Default)]
pub(super) struct Touched {
    list: Mutex<Vec<Arc<Partition>>>,
    first: Notify,
    volume: Volume,
    many: Notify,
}

/// Bytes written since the last checkpoint.
#[derive(Debug, Default)]
struct Volume {
    bytes: AtomicU64,
    /// At how many of them the next one is due.
    due_at: AtomicU64,
}

impl Volume {
    /// Says how many partitions are written.
    fn spread_over(&self, partitions: usize) {
        self.due_at.store(CHECKPOINT_BYTES + CHECKPOINT_BYTES_EACH * partitions as u64, Ordering::Relaxed);
    }

    /// Counts bytes; whether they make a checkpoint due. It is said once between two of them.
    fn add(&self, bytes: u64) -> bool {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let due_at = self.due_at.load(Ordering::Relaxed);
        before < due_at && before + bytes >= due_at
    }

    fn begin_again(&self) {
        self.bytes.store(0, Ordering::Relaxed);
    }
}

impl Touched {
    /// Notes a partition; called once between two checkpoints.
    pub(super) fn add(&self, partition: Arc<Partition>) {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.push(partition);
        self.volume.spread_over(list.len());
        if list.len() == 1 {
            self.first.notify_one();
        }
    }

    /// Counts bytes that were written, after their partition was noted.
    pub(super) fn written(&self, bytes: u64) {
        if self.volume.add(bytes) {
            self.many.notify_one();
        }
    }

    pub(super) fn take(&self) -> Vec<Arc<Partition>> {
        self.volume.begin_again();
        std::mem::take(&mut *self.list.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Runs until the broker closes.
pub(super) async fn run(broker: Arc<Broker>) {
    let every = |name| Duration::from_millis(u64::try_from(broker.settings().int(name)).unwrap_or(0).max(1));
    let expire_every = || every("producer.id.expiration.ms").clamp(EXPIRE_PAUSE, EXPIRE_EVERY);
    let retention_every = every("log.retention.check.interval.ms");
    let checkpoint_every = every("log.flush.offset.checkpoint.interval.ms").max(CHECKPOINT_PAUSE);
    let mut retention = Instant::now() + retention_every;
    let mut checkpoint: Option<Instant> = None;
    let mut last_checkpoint = Instant::now();
    let mut purge: Option<Instant> = None;
    let mut expire = Instant::now() + expire_every();
    let closing = broker.closing.cancelled();
    tokio::pin!(closing);
    loop {
        tokio::select! {
            () = &mut closing => return,
            () = sleep_until(retention) => {
                let next = broker.blocking(Broker::retain).await.unwrap_or(None);
                purge = next.map(|wait| Instant::now() + wait);
                retention = Instant::now() + retention_every;
            }
            () = sleep_until(expire) => {
                let _ = broker.blocking(Broker::expire_producers).await;
                expire = Instant::now() + expire_every();
            }
            () = sleep_until(purge.unwrap_or(retention)), if purge.is_some() => {
                let next = broker.blocking(Broker::purge).await.unwrap_or(None);
                purge = next.map(|wait| Instant::now() + wait);
            }
            () = broker.around.doomed.notified() => {
                purge = Some(Instant::now());
            }
            () = sleep_until(checkpoint.unwrap_or(retention)), if checkpoint.is_some() => {
                let _ = broker.blocking(Broker::checkpoint).await;
                checkpoint = None;
                last_checkpoint = Instant::now();
            }
            () = broker.around.touched.many.notified() => {
                checkpoint = Some(last_checkpoint + CHECKPOINT_PAUSE);
            }
            () = broker.around.touched.first.notified(), if checkpoint.is_none() => {
                checkpoint = Some(Instant::now() + checkpoint_every);
            }
            () = broker.deleted.notified() => {
                let _ = broker.blocking(Broker::sweep).await;
            }
        }
    }
}

impl Broker {
    /// Removes the files of deleted segments whose time is up; answers how long it is to the next one's. Blocking.
    fn purge(&self) -> Option<Duration> {
        let now = i64::try_from(self.clock.monotonic().as_millis()).unwrap_or(i64::MAX);
        let next = self.folder.purge(now)?;
        // Several at once rather than one wake-up for each.
        Some(
            Duration::from_millis(u64::try_from(next.saturating_sub(now)).unwrap_or(0))
                .max(Duration::from_secs(1)),
        )
    }

    /// Removes the segments that retention has passed, of all topics; answers how long it is until their files go. Blocking.
    pub fn retain(&self) -> Option<Duration> {
        let now = self.clock.wall_ms();
        for topic in self.topics() {
            topic.opened().for_each(|partition| partition.log().forget_checked());
            if topic.is_internal() {
                continue;
            }
            for index in 0..topic.partition_count() {
                let partition = match topic.partition(index, &self.folder, &self.around) {
                    Ok(Some(partition)) => partition,
                    Ok(None) => continue,
                    Err(error) => {
                        tracing::error!(topic = %topic.name(), index, %error, "a log can not be opened");
                        continue;
                    }
                };
                match partition.log().retain(now, partition.high_watermark()) {
                    Ok(done) if done.segments > 0 => {
                        tracing::info!(partition = %partition.id(), segments = done.segments, bytes = done.bytes, "retention");
                    }
                    Ok(_) => {}
                    Err(error) => tracing::error!(partition = %partition.id(), %error, "retention failed"),
                }
            }
        }
        self.purge()
    }

    /// Lets the logs that are loaded forget their idle producers, those too that nobody writes to any more. Blocking.
    pub fn expire_producers(&self) {
        for topic in self.topics() {
            topic.opened().for_each(|partition| partition.log().expire_producers());
        }
    }

    /// Writes snapshots and the checkpoint of what was written since the last one. Blocking.
    pub fn checkpoint(&self) {
        // A look at the counters that costs no wake-up of its own: whoever asks for rates next has where to begin.
        let _ = self.around.meters.sample(self.clock.monotonic());
        let mut logs = Vec::new();
        for partition in self.around.touched.take() {
            partition.untouch();
            if partition.is_gone() {
                continue;
            }
            partition.log().expire_producers();
            logs.push(Arc::clone(partition.log()));
        }
        match self.folder.checkpoint_logs(&logs) {
            Ok(failed) => {
                for (log, error) in failed {
                    tracing::error!(partition = %log.partition(), %error, "the checkpoint failed");
                }
            }
            Err(error) => tracing::error!(%error, "the checkpoint failed"),
        }
    }

    fn sweep(&self) {
        if let Err(error) = self.folder.sweep() {
            tracing::warn!(%error, "the files of deleted topics are still there");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn much_that_was_written_makes_a_checkpoint_due_once() {
        let volume = Volume::default();
        let due = |parts: usize| {
            volume.spread_over(parts);
            (1..).find(|_| volume.add(1 << 20))
        };
        assert_eq!(due(1), Some(257));
        assert!((0..1000).all(|_| !volume.add(1 << 20)), "said twice");
        volume.begin_again();
        assert_eq!(due(1000), Some(1256));
    }
}
