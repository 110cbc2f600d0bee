//! `klog txn`: which transactional ids there are, what each has open, and ending what is stuck; never ends one that it
//! was not told to.

use serde_json::{Value, json};

use super::context::{Context, block_on};
use super::exit::{Exit, Failure};
use super::output::rows::{Format, Output, Rows, printable};
use super::rights::{self, Need};
use super::topic::place::Place;
use super::topic::worse;
use super::{completions, glob, output, times};
use crate::client::admin::{Operation, TransactionDescription};
use crate::client::{Client, ClientError};
use crate::model::id::TopicPartition;
use crate::model::time::{Clock, SystemClock};
use crate::model::units::{parse_duration, show_duration};

/// Kafka's code for an id that no coordinator knows.
const TRANSACTIONAL_ID_NOT_FOUND: i16 = 105;

/// The flags of `klog txn`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List transactional ids and what became of their last transaction
    List(ListArgs),
    /// Show transactional ids with the partitions of what they have open
    Describe(DescribeArgs),
    /// Abort the transaction that an id has open and fence its producer; or end one that hangs in a partition
    Abort(AbortArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Only ids that match, such as 'billing-*'
    #[arg(value_name = "PATTERN", add = completions::transactions())]
    pattern: Option<String>,
    /// Only those in this state: Empty, Ongoing, PrepareCommit, PrepareAbort, CompleteCommit, CompleteAbort (repeatable)
    #[arg(long, value_name = "STATE")]
    state: Vec<String>,
    /// Only those with a transaction that has been open for longer
    #[arg(long, value_name = "DUR")]
    longer_than: Option<String>,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, clap::Args)]
struct DescribeArgs {
    /// The transactional ids
    #[arg(required = true, value_name = "ID", add = completions::transactions())]
    ids: Vec<String>,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, clap::Args)]
struct AbortArgs {
    /// The transactional ids
    #[arg(value_name = "ID", required_unless_present = "topic", conflicts_with = "topic", add = completions::transactions())]
    ids: Vec<String>,
    /// The partition, as TOPIC:P, in which a transaction hangs that no coordinator knows of
    #[arg(long, value_name = "TOPIC:P", requires = "producer_id")]
    topic: Option<String>,
    /// The producer whose transaction hangs there; klog topic describe shows it
    #[arg(long, value_name = "N", requires = "topic")]
    producer_id: Option<i64>,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// Runs `klog txn`.
pub fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    match args.command {
        Command::List(args) => block_on(list(context, args)),
        Command::Describe(args) => block_on(describe(context, args)),
        Command::Abort(args) => abort(context, &args),
    }
}

const COLUMNS: [&str; 10] = [
    "id",
    "state",
    "producer_id",
    "producer_epoch",
    "timeout_ms",
    "started",
    "started_ms",
    "open_ms",
    "partitions",
    "coordinator",
];

async fn list(context: &Context, args: ListArgs) -> Result<Exit, Failure> {
    let longer = args.longer_than.as_deref().map(|text| {
        parse_duration(text)
            .map(|long| i64::try_from(long.as_millis()).unwrap_or(i64::MAX))
            .map_err(|why| Failure::usage(format!("--longer-than {text}: {why}"), "such as 90s or 15m"))
    });
    let longer = longer.transpose()?;
    let client = context.client().await?;
    let listed = client.list_transactions(&args.state, &[], longer).await;
    let ids: Vec<String> = listed
        .map_err(|error| context.explain(&error))?
        .into_iter()
        .map(|one| one.id)
        .filter(|id| args.pattern.as_ref().is_none_or(|pattern| glob::matches(pattern, id)))
        .collect();
    let mut rows = Rows::new(&COLUMNS);
    let (mut exit, now) = (Exit::Done, SystemClock::default().wall_ms());
    for (id, found) in ids.iter().zip(client.describe_transactions(&ids).await) {
        match found {
            // A broker filters by the start, which an ended transaction keeps.
            Ok(found)
                if longer.is_some_and(|longer| open_ms(&found, now).is_none_or(|open| open <= longer)) => {}
            Ok(found) => rows.push(row(&found, found.partitions.len().into(), now)),
            // It expired meanwhile.
            Err(error) if is_unknown(&error) => {}
            Err(error) => {
                exit = worse(exit, output::failure(&about(&client, id, &error, Operation::Describe)))
            }
        }
    }
    if args.output.output == Format::Table {
        rows = rows.only(&COLUMNS.map(|name| if name == "started_ms" { "" } else { name }));
    }
    rows.write(args.output.output)?;
    Ok(exit)
}

fn row(found: &TransactionDescription, partitions: Value, now: i64) -> Vec<Value> {
    vec![
        found.id.as_str().into(),
        found.state.as_str().into(),
        found.producer_id.into(),
        found.producer_epoch.into(),
        found.timeout_ms.into(),
        found.started_ms.and_then(times::rfc3339).into(),
        found.started_ms.into(),
        open_ms(found, now).into(),
        partitions,
        found.coordinator.into(),
    ]
}

/// For how long a transaction is open, ms.
fn open_ms(found: &TransactionDescription, now: i64) -> Option<i64> {
    found.started_ms.filter(|_| !is_over(&found.state)).map(|started| now.saturating_sub(started).max(0))
}

fn is_over(state: &str) -> bool {
    matches!(state, "Empty" | "CompleteCommit" | "CompleteAbort" | "Dead")
}

fn is_unknown(error: &ClientError) -> bool {
    error.code().is_some_and(|code| code.code() == TRANSACTIONAL_ID_NOT_FOUND)
}

fn about(client: &Client, id: &str, error: &ClientError, operation: Operation) -> Failure {
    if is_unknown(error) {
        let next = "list the ids with: klog txn list";
        return Failure::missing(format!("there is no transactional id {id}"), next);
    }
    rights::refusal(client, error, &[Need::transaction(&[operation], id)])
}

async fn describe(context: &Context, args: DescribeArgs) -> Result<Exit, Failure> {
    let client = context.client().await?;
    let (mut exit, mut found) = (Exit::Done, Vec::new());
    for (id, outcome) in args.ids.iter().zip(client.describe_transactions(&args.ids).await) {
        match outcome {
            Ok(one) => found.push(one),
            Err(error) => {
                exit = worse(exit, output::failure(&about(&client, id, &error, Operation::Describe)))
            }
        }
    }
    let now = SystemClock::default().wall_ms();
    let text = match args.output.output {
        Format::Table => found.iter().map(|one| described_text(one, now)).collect::<Vec<_>>().join("\n"),
        Format::Json if found.is_empty() => String::new(),
        Format::Json => {
            let objects: Vec<String> = found.iter().map(|one| described_json(one, now).to_string()).collect();
            format!("[{}]\n", objects.join(",\n "))
        }
        Format::Jsonl => found.iter().map(|one| described_json(one, now).to_string() + "\n").collect(),
        Format::Name => found.iter().map(|one| format!("{}\n", one.id)).collect(),
        Format::Tsv => {
            let mut rows = Rows::new(&COLUMNS);
            for one in &found {
                let names: Vec<String> = one.partitions.iter().map(ToString::to_string).collect();
                rows.push(row(one, names.into(), now));
            }
            rows.render(Format::Tsv)
        }
    };
    output::data(text.as_bytes())?;
    Ok(exit)
}

fn described_json(found: &TransactionDescription, now: i64) -> Value {
    let partitions: Vec<Value> = found
        .partitions
        .iter()
        .map(|one| json!({"topic": one.topic.as_ref(), "partition": one.partition}))
        .collect();
    COLUMNS.iter().map(|name| (*name).to_owned()).zip(row(found, partitions.into(), now)).collect()
}

fn described_text(found: &TransactionDescription, now: i64) -> String {
    let mut out = format!(
        "transactional id {}, {}, producer {} epoch {}, time-out {}, coordinator node {}\n",
        printable(&found.id),
        printable(&found.state),
        found.producer_id,
        found.producer_epoch,
        show_duration(millis(found.timeout_ms.into())),
        found.coordinator
    );
    if let (Some(open), Some(started)) = (open_ms(found, now), found.started_ms.and_then(times::rfc3339)) {
        // Whole seconds are enough for a person.
        out += &format!("open for {}, since {started}\n", show_duration(millis(open / 1000 * 1000)));
    }
    if found.partitions.is_empty() {
        return out;
    }
    let mut rows = Rows::new(&["topic", "partition"]);
    for one in &found.partitions {
        rows.push(vec![one.topic.as_ref().into(), one.partition.into()]);
    }
    out + "\n" + &rows.render(Format::Table)
}

fn millis(ms: i64) -> std::time::Duration {
    std::time::Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

fn abort(context: &Context, args: &AbortArgs) -> Result<Exit, Failure> {
    if let (Some(place), Some(producer)) = (&args.topic, args.producer_id) {
        return abort_hanging(context, place, producer, args.yes);
    }
    let names = args.ids.join(", ");
    let question = format!("Abort what {names} has open, and fence its producer?");
    if !args.yes && !output::confirm(&question, true) {
        return Err(Failure::failed(format!("nothing aborted: {names}"), "answer y, or give -y"));
    }
    block_on(async {
        let client = context.client().await?;
        let mut exit = Exit::Done;
        for id in &args.ids {
            match abort_one(&client, id).await {
                Ok(text) => output::notice(context, &text),
                Err(error) => {
                    exit = worse(exit, output::failure(&about(&client, id, &error, Operation::Write)))
                }
            }
        }
        Ok(exit)
    })
}

/// Aborts what an id has open; what there is to say of it.
async fn abort_one(client: &Client, id: &str) -> Result<String, ClientError> {
    let described = client.describe_transactions(std::slice::from_ref(&id.to_owned())).await;
    let found = described.into_iter().next().unwrap_or(Err(ClientError::Closed))?;
    if is_over(&found.state) {
        return Ok(format!("{id} has no transaction open: {}", found.state));
    }
    if !found.is_open() {
        return Ok(format!("the transaction of {id} is being ended already: {}", found.state));
    }
    client.abort_transaction(id, found.timeout_ms).await?;
    Ok(format!("aborted the transaction of {id}"))
}

fn abort_hanging(context: &Context, text: &str, producer: i64, yes: bool) -> Result<Exit, Failure> {
    let place = Place::parse(text)?;
    let Some(&[index]) = place.partitions.as_deref() else {
        return Err(Failure::usage(format!("--topic {text}: name one partition"), "write --topic TOPIC:P"));
    };
    let partition = TopicPartition::new(place.topic.as_str(), index);
    let question = format!("Write an abort marker for producer {producer} into {partition}?");
    if !yes && !output::confirm(&question, true) {
        return Err(Failure::failed("nothing aborted", "answer y, or give -y"));
    }
    block_on(async {
        let client = context.client().await?;
        let explain = |error: ClientError| context.explain(&error);
        let known = client.describe_producers(std::slice::from_ref(&partition)).await;
        let known = known.into_iter().next().unwrap_or(Err(ClientError::Closed)).map_err(explain)?;
        let open = known.iter().find(|one| one.producer_id == producer && one.first_offset.is_some());
        let Some(open) = open else {
            let text = format!("producer {producer} has no transaction open in {partition}");
            return Err(Failure::missing(text, format!("see: klog topic describe {}", partition.topic)));
        };
        // One that its coordinator has open ends there: a marker of ours would tear it.
        let listed = client.list_transactions(&[], &[producer], None).await.map_err(explain)?;
        let ids: Vec<String> = listed.into_iter().map(|one| one.id).collect();
        for found in client.describe_transactions(&ids).await {
            let found = match found {
                Ok(found) => found,
                Err(error) if is_unknown(&error) => continue,
                Err(error) => return Err(explain(error)),
            };
            if !is_over(&found.state) && found.partitions.contains(&partition) {
                let text = format!("it does not hang: {} has it open ({})", found.id, found.state);
                return Err(Failure::failed(text, format!("abort it with: klog txn abort {}", found.id)));
            }
        }
        client.abort_hanging(&partition, open).await.map_err(explain)?;
        output::notice(context, &format!("aborted the transaction of producer {producer} in {partition}"));
        Ok(Exit::Done)
    })
}
