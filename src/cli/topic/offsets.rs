//! `klog topic offsets`: where the partitions of topics start and end, and what is at a time; reads no record.

use serde_json::Value;

use super::place::Place;
use super::{not_found, worse};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::rows::{Output, Rows};
use crate::cli::{completions, output, times};
use crate::client::admin::{Each, ListedOffset, OffsetSpec, Operation};
use crate::client::options::Isolation;
use crate::client::{Client, ClientError};
use crate::model::id::TopicPartition;
use crate::model::time::{Clock, SystemClock};

/// The flags of `klog topic offsets`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "start is the first offset, end the next to be written, stable the end for those who read \
    committed records only. records is end - start: gaps of compaction and markers of transactions are counted. \
    last_time is the largest timestamp of the partition."
)]
pub(super) struct Args {
    /// The topics, or some of their partitions: NAME, NAME:0, NAME:0,2-4
    #[arg(required = true, value_name = "NAME[:P]", add = completions::topics())]
    places: Vec<String>,
    /// Also the first record at or after a time: RFC 3339, a date, epoch ms, now, -1h
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    at: Option<String>,
    #[command(flatten)]
    output: Output,
}

const COLUMNS: [&str; 8] =
    ["topic", "partition", "start", "end", "stable", "records", "last_time", "last_timestamp"];
const AT_COLUMNS: [&str; 3] = ["at", "at_time", "at_timestamp"];

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let now = SystemClock::default().wall_ms();
    let at = args.at.as_deref().map(|text| times::parse(text, now)).transpose();
    let at = at.map_err(|why| Failure::usage(format!("--at: {why}"), "see: klog topic offsets --help"))?;
    let places: Vec<Place> = args.places.iter().map(|text| Place::parse(text)).collect::<Result<_, _>>()?;
    let client = context.client().await?;
    let columns: Vec<&'static str> = match at {
        Some(_) => COLUMNS.iter().chain(&AT_COLUMNS).copied().collect(),
        None => COLUMNS.to_vec(),
    };
    let mut rows = Rows::new(&columns);
    let mut exit = Exit::Done;
    for place in &places {
        let outcome = match place.resolve(&client).await {
            Ok(partitions) => add(&client, &partitions, at, &mut rows).await,
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            exit = worse(
                exit,
                output::failure(&not_found(&client, &place.topic, &error, &[Operation::Describe]).await),
            );
        }
    }
    rows.write(args.output.output)?;
    Ok(exit)
}

/// A row for each partition; what a leader does not tell is left out.
async fn add(
    client: &Client,
    partitions: &[TopicPartition],
    at: Option<i64>,
    rows: &mut Rows,
) -> Result<(), ClientError> {
    use Isolation::{ReadCommitted, ReadUncommitted};
    let ask = async |spec, isolation| -> Result<Each<ListedOffset>, ClientError> {
        let wanted: Vec<_> = partitions.iter().map(|one| (one.clone(), spec)).collect();
        client.list_offsets_as(&wanted, isolation).await
    };
    let mut starts = ask(OffsetSpec::Earliest, ReadUncommitted).await?.into_iter();
    let mut ends = ask(OffsetSpec::Latest, ReadUncommitted).await?.into_iter();
    let mut stables = ask(OffsetSpec::Latest, ReadCommitted).await?.into_iter();
    // Brokers before Kafka 3.0 do not know the question.
    let mut lasts = match ask(OffsetSpec::MaxTimestamp, ReadUncommitted).await {
        Ok(lasts) => lasts,
        Err(error) if error.code().is_some() => Vec::new(),
        Err(error) => return Err(error),
    }
    .into_iter();
    let mut times = match at {
        Some(time) => ask(OffsetSpec::Time(time), ReadUncommitted).await?,
        None => Vec::new(),
    }
    .into_iter();
    for partition in partitions {
        // What is wrong with one mark is wrong with the partition: the first says it.
        let start = starts.next().unwrap_or(Err(ClientError::Closed))?.offset;
        let end = ends.next().unwrap_or(Err(ClientError::Closed))?.offset;
        let stable = stables.next().unwrap_or(Err(ClientError::Closed))?.offset;
        let last = lasts.next().and_then(Result::ok).filter(|last| last.offset >= 0);
        let mut row = vec![
            partition.topic.as_ref().into(),
            partition.partition.into(),
            start.into(),
            end.into(),
            stable.into(),
            Value::from(end - start),
        ];
        row.extend(time_of(last));
        if at.is_some() {
            let found = times.next().unwrap_or(Err(ClientError::Closed))?;
            let found = (found.offset >= 0).then_some(found);
            row.push(found.map(|found| found.offset).into());
            row.extend(time_of(found));
        }
        rows.push(row);
    }
    Ok(())
}

/// The time of a record for people and in milliseconds.
fn time_of(found: Option<ListedOffset>) -> [Value; 2] {
    let timestamp = found.map(|found| found.timestamp).filter(|timestamp| *timestamp >= 0);
    [timestamp.and_then(times::rfc3339).into(), timestamp.into()]
}
