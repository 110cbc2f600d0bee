//! From the plan to a reader that knows its partitions: topics waited for, places turned into offsets.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::lookout::Lookout;
use super::plan::Plan;
use super::reader::{FAR, Reader};
use super::sink::Sink;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, plain};
use crate::cli::output;
use crate::cli::signals::Signals;
use crate::client::consumer::Position;
use crate::client::group::Member;
use crate::client::{Client, ClientError};
use crate::model::id::{TopicId, TopicPartition};

/// How often a topic that does not exist yet is looked for.
const LOOK: Duration = Duration::from_millis(500);

impl<'c> Reader<'c> {
    /// Connects and finds where to read; `None` where a signal came, or stdout's reader left, before that was done.
    pub(super) async fn new(
        context: &'c Context,
        plan: Plan,
        signals: &'c Signals,
    ) -> Result<Option<Reader<'c>>, Failure> {
        let sink = Sink::stdout()
            .map_err(|error| Failure::failed(format!("can't use stdout: {}", plain(&error)), ""))?;
        let begun = Instant::now();
        // A topic that never comes is waited for no longer than records that never come.
        let limits = [plan.deadline, plan.idle];
        let patience = limits.into_iter().flatten().min().unwrap_or(FAR);
        let (client, partitions) = tokio::select! {
            biased;
            _ = signals.wait() => return Ok(None),
            () = sink.hung_up() => return Ok(None),
            () = tokio::time::sleep(patience) => return not_in_time(&plan, patience),
            client = connect(context, &plan) => client?,
        };
        let mut reader = Reader::with(context, plan, signals, sink, client, begun);
        reader.begin(&partitions).await?;
        Ok(Some(reader))
    }

    /// Resolves start and end; begins to read, or to join the group.
    async fn begin(&mut self, partitions: &[TopicPartition]) -> Result<(), Failure> {
        let explain = |error: ClientError| self.plan.explain(self.context, &error);
        let consumer = &self.consumer;
        let resolve = async |position: Position| {
            let wanted: Vec<_> = partitions.iter().map(|partition| (partition.clone(), position)).collect();
            consumer.resolve(&wanted).await.map_err(explain)
        };
        let mut stops: HashMap<TopicPartition, i64> = HashMap::new();
        let ends = [self.plan.exit.then_some(Position::End), self.plan.stop];
        for position in ends.into_iter().flatten() {
            for (partition, offset) in partitions.iter().zip(resolve(position).await?) {
                let stop = stops.entry(partition.clone()).or_insert(offset);
                *stop = (*stop).min(offset);
            }
        }
        if let Some(group) = &self.plan.group {
            let member = Member::join(&self.client, group, &self.plan.topics).await.map_err(explain)?;
            self.member = Some(member);
            self.stops = stops;
            return Ok(());
        }
        let starts = resolve(self.plan.start).await?;
        self.stops = stops;
        for (partition, start) in partitions.iter().zip(starts) {
            self.read_from(TopicId::ZERO, partition, start);
        }
        if !self.plan.exit && self.plan.stop.is_none() {
            self.lookout = Some(Lookout::new(&self.client, &self.plan.topics));
        }
        Ok(())
    }
}

/// What the command ends with where its time was over before it read anything: with `-n` a deadline is a promise.
fn not_in_time<T>(plan: &Plan, waited: Duration) -> Result<Option<T>, Failure> {
    match plan.count {
        Some(count) if plan.deadline == Some(waited) => Err(Failure::new(
            Exit::NotInTime,
            format!("0 of {count} records came before the deadline"),
            "give a longer --deadline, or fewer records with -n",
        )),
        _ => Ok(None),
    }
}

/// A client, and the partitions of all topics; waits for topics where the command follows.
async fn connect(context: &Context, plan: &Plan) -> Result<(Client, Vec<TopicPartition>), Failure> {
    let client = context.client_with(plan.options.clone()).await?;
    let mut partitions = Vec::new();
    for name in &plan.topics {
        let mut said = false;
        let view = loop {
            match client.topic(name, false).await {
                Ok(view) => break view,
                Err(ClientError::UnknownTopic(_)) if !plan.exit && plan.count.is_none() => {
                    if !std::mem::replace(&mut said, true) {
                        output::notice(
                            context,
                            &format!("waiting for topic {name}, which does not exist yet"),
                        );
                    }
                    tokio::time::sleep(LOOK).await;
                }
                Err(ClientError::UnknownTopic(_)) => {
                    return Err(Failure::missing(
                        format!("no topic {name}"),
                        format!("write to it with klog produce {name}, or list topics with: klog topic list"),
                    ));
                }
                Err(error) => return Err(plan.explain(context, &error)),
            }
        };
        let count = view.count();
        let all = plan.partitions.clone().unwrap_or_else(|| (0..count).collect());
        if let Some(missing) = all.iter().find(|&&partition| partition >= count) {
            let what = format!("no partition {missing} of topic {name}, which has {count}");
            return Err(Failure::missing(what, format!("allowed are 0 to {}", count - 1)));
        }
        partitions.extend(all.into_iter().map(|partition| TopicPartition::new(name.as_str(), partition)));
    }
    Ok((client, partitions))
}
