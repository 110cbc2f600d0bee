//! From a block to the sinks: records to topics and lines to stdout, then the position they stand for.

use super::block::{Block, Out, Target};
use super::runner::Runner;
use super::worker::{BadRecord, Done, Ended};
use super::{FlowError, Host, Lines, Source};
use crate::client::ClientError;
use crate::client::producer::{Pushed, Topic};
use crate::pipeline::OnError;

impl<L: Lines, H: Host> Runner<'_, L, H> {
    /// Puts a block into the sinks. Nothing of a partition that is not held any more is.
    pub(super) async fn take(&mut self, done: Done) -> Result<(), FlowError> {
        let held = self.seats.iter().find(|(_, seat)| seat.number == done.seat);
        let partition = held.map(|(partition, _)| partition.clone());
        if partition.is_none() && !matches!(self.job.source, Source::Stdin) {
            return Ok(());
        }
        let dead = self.dead_letters(&done).await?;
        let mut headers = Vec::new();
        for out in &done.block.outs {
            let (key, value) = done.block.content(out);
            let topic = match out.target {
                Target::Sink(target) => self.targets.get(target).copied().flatten(),
                Target::DeadLetter => dead,
            };
            let Some(topic) = topic else {
                self.line(value);
                continue;
            };
            done.block.headers(out, &mut headers);
            let pushed = self.producer.push(topic, None, out.timestamp, key, value, &headers);
            let pushed = pushed.map_err(|error| too_large(error, out, &self.shared.on_error, &done.block));
            if pushed? == Pushed::Full {
                self.producer.ready().await?;
            }
        }
        self.count(&done);
        if let (Some(partition), Some(next)) = (partition, done.next) {
            let slot = self.ledger.slot(&partition);
            let end = self.lines.as_ref().map_or(0, Lines::end);
            self.ledger.wrote(slot, end, next);
            if let Some(seat) = self.seats.get_mut(&partition) {
                seat.seen = (seat.seen.0.max(next), next);
            }
            self.commit_soon();
        }
        self.push_lines()?;
        match done.failure {
            None => Ok(()),
            Some(Ended::Bad(BadRecord { at, step, reason })) => Err(FlowError::Bad { at, step, reason }),
            Some(Ended::Client(error)) => Err(error.into()),
        }
    }

    /// The topic of bad records, which is made when the first one comes.
    async fn dead_letters(&mut self, done: &Done) -> Result<Option<Topic>, FlowError> {
        if let (OnError::DeadLetter(name), None, true) =
            (&self.shared.on_error, self.dead_letters, done.block.bad > 0)
        {
            self.dead_letters = Some(self.producer.topic(name).await?);
        }
        Ok(self.dead_letters)
    }

    fn line(&mut self, value: Option<&[u8]>) {
        if let Some(lines) = &mut self.lines {
            let buffer = lines.buffer();
            buffer.extend_from_slice(value.unwrap_or_default());
            buffer.push(b'\n');
        }
    }

    fn count(&mut self, done: &Done) {
        self.counts.read += done.block.read;
        self.counts.read_bytes += done.block.read_bytes;
        let dead = done.block.outs.iter().filter(|out| out.target == Target::DeadLetter).count();
        self.counts.written += (done.block.outs.len() - dead) as u64;
        self.counts.bad += done.block.bad;
        if let Some(bad) = done.first_bad.as_ref().filter(|_| self.counts.first_bad.is_none()) {
            self.counts.first_bad = Some(format!("{}, step {}: {}", bad.at, bad.step, bad.reason));
        }
        let lag = self.seats.values().map(|seat| seat.seen.0.saturating_sub(seat.seen.1)).sum::<i64>();
        self.counts.lag = u64::try_from(lag).unwrap_or(0);
    }
}

/// A dead letter that its topic does not take: everything stops before the bad record, which is not lost then.
fn too_large(error: ClientError, out: &Out, on_error: &OnError, block: &Block) -> FlowError {
    let (Target::DeadLetter, OnError::DeadLetter(topic), ClientError::RecordTooLarge { .. }) =
        (out.target, on_error, &error)
    else {
        return error.into();
    };
    let mut headers = Vec::new();
    block.headers(out, &mut headers);
    let said = |name: &str| {
        let found = headers.iter().rfind(|header| header.key == name.as_bytes());
        String::from_utf8_lossy(found.and_then(|header| header.value).unwrap_or_default()).into_owned()
    };
    let at = format!("{}-{}@{}", said("klog.topic"), said("klog.partition"), said("klog.offset"));
    FlowError::DeadLetter { at, topic: topic.clone(), reason: said("klog.error") }
}
