//! `klog topic trim`: the oldest records of topics go, after saying how many; never those at or after the mark.

use serde_json::Value;

use super::place::Place;
use super::{not_found, worse};
use crate::cli::context::{Context, block_on};
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::rows::{Format, Rows};
use crate::cli::rights::{self, Need};
use crate::cli::{completions, output, times};
use crate::client::admin::{OffsetSpec, Operation};
use crate::client::options::Isolation;
use crate::client::{Client, ClientError};
use crate::model::id::TopicPartition;
use crate::model::time::{Clock, SystemClock};

/// Kafka's code for a topic whose settings forbid it.
const POLICY_VIOLATION: i16 = 44;

/// The flags of `klog topic trim`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    klog topic trim events --before -7d       what is older than a week\n  \
    klog topic trim events:0 --before 1000    the records of partition 0 before offset 1000\n  \
    klog topic trim events --before end -y    all of them, without asking")]
pub(super) struct Args {
    /// The topics, or some of their partitions: NAME, NAME:0, NAME:0,2-4
    #[arg(required = true, value_name = "NAME[:P]", add = completions::topics())]
    places: Vec<String>,
    /// What goes is before this: an offset, a time (RFC 3339, a date, -1h, now, @EPOCH_MS), or end
    #[arg(long, value_name = "OFFSET|TIME", allow_hyphen_values = true)]
    before: String,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Write what went to stdout in this format [default: nothing]
    #[arg(short, long, value_name = "FORMAT", value_enum)]
    output: Option<Format>,
}

/// Up to where records go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Offset(i64),
    /// The first record at or after this time, ms, stays.
    Time(i64),
    End,
}

/// What is to go from one partition.
#[derive(Debug)]
struct Cut {
    partition: TopicPartition,
    start: i64,
    before: i64,
    end: i64,
}

impl Cut {
    fn removed(&self) -> i64 {
        self.before - self.start
    }
}

const COLUMNS: [&str; 6] = ["topic", "partition", "removed", "start", "end", "records"];

pub(super) fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let before = before(&args.before, SystemClock::default().wall_ms())?;
    let places: Vec<Place> = args.places.iter().map(|text| Place::parse(text)).collect::<Result<_, _>>()?;
    block_on(async {
        let client = context.client().await?;
        let mut cuts = Vec::new();
        // All of it is looked at before anything goes.
        for place in &places {
            let found = plan(&client, place, before).await?;
            cuts.extend(found.into_iter().filter(|cut| !was_named(&cuts, cut)).collect::<Vec<_>>());
        }
        for cut in &cuts {
            output::notice(context, &said(cut));
        }
        let total: i64 = cuts.iter().map(Cut::removed).sum();
        let question = format!("Delete {total} records?");
        if total > 0 && !args.yes && !output::confirm(&question, true) {
            return Err(Failure::failed("nothing deleted", "answer y, or give -y"));
        }
        trim(&client, cuts, args.output).await
    })
}

fn was_named(cuts: &[Cut], cut: &Cut) -> bool {
    cuts.iter().any(|one| one.partition == cut.partition)
}

/// Reads `--before`. Digits alone are an offset: a time of epoch milliseconds is written with `@`.
fn before(text: &str, now: i64) -> Result<Before, Failure> {
    if text == "end" {
        return Ok(Before::End);
    }
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text
            .parse()
            .map(Before::Offset)
            .map_err(|_| Failure::usage(format!("--before {text}: the offset is too large"), ""));
    }
    times::parse(text.strip_prefix('@').unwrap_or(text), now).map(Before::Time).map_err(|why| {
        Failure::usage(format!("--before: {why}"), "an offset is digits alone; all records are before end")
    })
}

/// What would go.
async fn plan(client: &Client, place: &Place, before: Before) -> Result<Vec<Cut>, Failure> {
    let partitions = match place.resolve(client).await {
        Ok(partitions) => partitions,
        Err(error) => return Err(not_found(client, &place.topic, &error, &[Operation::Delete]).await),
    };
    let found = ends(client, &partitions, before).await;
    let found = match found {
        Ok(found) => found,
        Err(error) => return Err(not_found(client, &place.topic, &error, &[Operation::Delete]).await),
    };
    let mut cuts = Vec::new();
    for (partition, (start, end, at)) in partitions.into_iter().zip(found) {
        let before = match before {
            Before::Offset(offset) if offset > end => {
                return Err(Failure::failed(
                    format!("{partition}: offset {offset} is beyond its end, {end}; nothing was deleted"),
                    "--before end stands for all records",
                ));
            }
            Before::Offset(offset) => offset,
            Before::End => end,
            // No record is as late as that: all go.
            Before::Time(_) => at.filter(|at| *at >= 0).unwrap_or(end),
        };
        cuts.push(Cut { partition, start, before: before.max(start), end });
    }
    Ok(cuts)
}

/// Start, end and the offset of the time, of each partition.
async fn ends(
    client: &Client,
    partitions: &[TopicPartition],
    before: Before,
) -> Result<Vec<(i64, i64, Option<i64>)>, ClientError> {
    let ask = async |spec| {
        let wanted: Vec<_> = partitions.iter().map(|one| (one.clone(), spec)).collect();
        let listed = client.list_offsets_as(&wanted, Isolation::ReadUncommitted).await?;
        listed.into_iter().map(|one| one.map(|one| one.offset)).collect::<Result<Vec<i64>, ClientError>>()
    };
    let starts = ask(OffsetSpec::Earliest).await?;
    let ends = ask(OffsetSpec::Latest).await?;
    let times = match before {
        Before::Time(time) => ask(OffsetSpec::Time(time)).await?.into_iter().map(Some).collect(),
        _ => vec![None; partitions.len()],
    };
    Ok(starts.into_iter().zip(ends).zip(times).map(|((start, end), at)| (start, end, at)).collect())
}

fn said(cut: &Cut) -> String {
    let Cut { partition, start, before, end } = cut;
    match (cut.removed(), end - before) {
        (0, left) => format!("{partition}: nothing to delete, {left} records are left"),
        (removed, left) => {
            format!("{partition}: {removed} records to delete ({start} to {}), {left} stay", before - 1)
        }
    }
}

async fn trim(client: &Client, cuts: Vec<Cut>, format: Option<Format>) -> Result<Exit, Failure> {
    let mut rows = Rows::new(&COLUMNS);
    let mut exit = Exit::Done;
    let wanted: Vec<_> =
        cuts.iter().filter(|cut| cut.removed() > 0).map(|cut| (cut.partition.clone(), cut.before)).collect();
    let mut outcomes = client.delete_records(&wanted).await.into_iter();
    for cut in &cuts {
        let outcome = match cut.removed() {
            0 => Ok(cut.start),
            _ => outcomes.next().unwrap_or(Err(ClientError::Closed)),
        };
        match outcome {
            Ok(start) => rows.push(vec![
                cut.partition.topic.as_ref().into(),
                cut.partition.partition.into(),
                Value::from(start - cut.start),
                start.into(),
                cut.end.into(),
                Value::from((cut.end - start).max(0)),
            ]),
            Err(error) => exit = worse(exit, output::failure(&not_trimmed(client, cut, &error))),
        }
    }
    if let Some(format) = format {
        rows.write(format)?;
    }
    Ok(exit)
}

fn not_trimmed(client: &Client, cut: &Cut, error: &ClientError) -> Failure {
    let need = Need::topic(&[Operation::Delete], &cut.partition.topic);
    let failure = rights::refusal(client, error, &[need]);
    let partition = cut.partition.to_string();
    let why =
        failure.what.strip_prefix(&*partition).map_or(&*failure.what, |rest| rest.trim_start_matches(": "));
    let next = match error.code().map(|code| code.code()) {
        Some(POLICY_VIOLATION) => format!(
            "records are deleted only where cleanup.policy has delete; see: klog topic describe {}",
            cut.partition.topic
        ),
        _ => failure.next,
    };
    Failure { what: format!("can't delete records of {partition}: {why}"), next, ..failure }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_an_offset_and_the_rest_is_a_time() {
        let now = 1_730_000_000_000;
        for (text, wanted) in [
            ("0", Before::Offset(0)),
            ("1730000000000", Before::Offset(now)),
            ("@1730000000000", Before::Time(now)),
            ("-1h", Before::Time(now - 3_600_000)),
            ("now", Before::Time(now)),
            ("2024-10-27T03:33:20Z", Before::Time(now)),
            ("end", Before::End),
        ] {
            assert_eq!(before(text, now), Ok(wanted), "{text}");
        }
        for text in ["", "soon", "-5", "99999999999999999999"] {
            assert_eq!(before(text, now).unwrap_err().exit, Exit::Usage, "{text}");
        }
    }
}
