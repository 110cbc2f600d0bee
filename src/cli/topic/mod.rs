//! `klog topic`: create, list, describe, alter, trim and delete topics; never touches a broker's files.

mod alter;
mod describe;
mod offsets;
pub(super) mod place;
mod trim;

use serde_json::Value;

use super::context::{Context, block_on};
use super::exit::{Exit, Failure};
use super::output::rows::{Format, Output, Rows};
use super::rights::{self, Need};
use super::{completions, glob, lists, output};
use crate::client::admin::{NewTopic, Operation};
use crate::client::{Client, ClientError};
use crate::model::name::check_topic;

/// Kafka's code for a topic that is there already.
const TOPIC_ALREADY_EXISTS: i16 = 36;

/// The flags of `klog topic`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Create topics
    Create(CreateArgs),
    /// List topics
    List(ListArgs),
    /// Show topics: partitions, offsets, and each setting with its source
    Describe(DescribeArgs),
    /// Show where partitions start and end, and what is at a time
    Offsets(offsets::Args),
    /// Change settings of topics, or give them more partitions
    Alter(alter::Args),
    /// Delete the oldest records of topics
    Trim(trim::Args),
    /// Delete topics and all of their records
    Delete(DeleteArgs),
}

#[derive(Debug, clap::Args)]
struct CreateArgs {
    /// Names of the topics
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// How many partitions each gets [default: what the broker says]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// How many replicas each partition gets [default: what the broker says]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i16).range(1..))]
    replicas: Option<i16>,
    /// A topic setting by Kafka's name, such as retention.ms=3600000 (repeatable)
    #[arg(short = 'c', value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Leave topics that are there already as they are
    #[arg(long)]
    if_not_exists: bool,
    /// Write the created topics to stdout in this format [default: nothing]
    #[arg(short, long, value_name = "FORMAT", value_enum)]
    output: Option<Format>,
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Only topics whose name matches, such as 'orders-*'
    #[arg(add = completions::topics())]
    pattern: Option<String>,
    /// Internal topics too
    #[arg(long)]
    internal: bool,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, clap::Args)]
struct DescribeArgs {
    /// Names of the topics
    #[arg(required = true, value_name = "NAME", add = completions::topics())]
    names: Vec<String>,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, clap::Args)]
struct DeleteArgs {
    /// Names of the topics
    #[arg(required = true, value_name = "NAME", add = completions::topics())]
    names: Vec<String>,
    /// Topics that are not there are no error
    #[arg(long)]
    if_exists: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// Runs `klog topic`.
pub fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    match args.command {
        Command::Create(args) => create(context, args),
        Command::List(args) => block_on(list(context, args)),
        Command::Describe(args) => block_on(describe::run(context, args)),
        Command::Offsets(args) => block_on(offsets::run(context, args)),
        Command::Alter(args) => block_on(alter::run(context, args)),
        Command::Trim(args) => trim::run(context, args),
        Command::Delete(args) => delete(context, args),
    }
}

/// Reads `-c KEY=VALUE`.
fn setting(text: &str) -> Result<(String, String), Failure> {
    let (name, value) = text.split_once('=').ok_or_else(|| {
        Failure::usage(
            format!("-c {text}: found no '='"),
            "write -c key=value, such as -c retention.ms=3600000",
        )
    })?;
    Ok((name.to_owned(), value.to_owned()))
}

fn create(context: &Context, args: CreateArgs) -> Result<Exit, Failure> {
    let mut configs = Vec::new();
    for text in &args.settings {
        let (name, value) = setting(text)?;
        configs.push((name, Some(value)));
    }
    for name in &args.names {
        check_topic(name).map_err(|wrong| Failure::usage(wrong.to_string(), "choose another name"))?;
    }
    let names = lists::once(args.names);
    let wanted: Vec<NewTopic> = names
        .iter()
        .map(|name| NewTopic {
            name: name.clone(),
            partitions: args.partitions.unwrap_or(-1),
            replicas: args.replicas.unwrap_or(-1),
            configs: configs.clone(),
        })
        .collect();
    block_on(async {
        let client = context.client().await?;
        let made = client.create_topics(&wanted).await.map_err(|error| context.explain(&error))?;
        let mut rows = Rows::new(&["topic", "partitions", "replicas", "id"]);
        let mut exit = Exit::Done;
        for (name, outcome) in names.iter().zip(made) {
            match outcome {
                Ok(topic) => {
                    output::notice(context, &format!("created topic {name}{}", partitions(topic.partitions)));
                    let id = (!topic.id.is_zero()).then(|| topic.id.to_string());
                    rows.push(vec![
                        name.as_str().into(),
                        known(topic.partitions.into()),
                        known(topic.replicas.into()),
                        id.into(),
                    ]);
                }
                Err(error) if args.if_not_exists && is_there_already(&error) => {
                    output::notice(context, &format!("topic {name} is there already"));
                }
                Err(error) => exit = worse(exit, output::failure(&not_created(&client, name, &error))),
            }
        }
        if let Some(format) = args.output {
            rows.write(format)?;
        }
        Ok(exit)
    })
}

fn partitions(count: i32) -> String {
    match count {
        ..1 => String::new(),
        1 => " with 1 partition".into(),
        _ => format!(" with {count} partitions"),
    }
}

/// A number, or null for the protocol's "not told".
fn known(number: i64) -> Value {
    if number < 0 { Value::Null } else { number.into() }
}

fn is_there_already(error: &ClientError) -> bool {
    error.code().is_some_and(|code| code.code() == TOPIC_ALREADY_EXISTS)
}

fn not_created(client: &Client, name: &str, error: &ClientError) -> Failure {
    let failure = rights::refusal(client, error, &[Need::topic(&[Operation::Create], name)]);
    if is_there_already(error) {
        return Failure::failed(
            format!("topic {name} is there already"),
            format!("look at it with: klog topic describe {name}; or create with --if-not-exists"),
        );
    }
    Failure { what: format!("can't create topic {name}: {}", failure.what), ..failure }
}

/// The exit code of several steps: the first that is not "done".
pub(super) fn worse(so_far: Exit, next: Exit) -> Exit {
    if so_far == Exit::Done { next } else { so_far }
}

async fn list(context: &Context, args: ListArgs) -> Result<Exit, Failure> {
    let client = context.client().await?;
    let topics = client.topics().await.map_err(|error| context.explain(&error))?;
    let mut rows = Rows::new(&["topic", "partitions", "replicas", "internal", "id"]);
    for (name, topic) in &topics {
        if topic.internal && !args.internal {
            continue;
        }
        if args.pattern.as_ref().is_some_and(|pattern| !glob::matches(pattern, name)) {
            continue;
        }
        let replicas = topic.partitions.first().map(|partition| partition.replicas.len());
        let id = (!topic.id.is_zero()).then(|| topic.id.to_string());
        rows.push(vec![
            name.as_ref().into(),
            topic.partitions.len().into(),
            replicas.into(),
            topic.internal.into(),
            id.into(),
        ]);
    }
    rows.write(args.output.output)
}

fn delete(context: &Context, args: DeleteArgs) -> Result<Exit, Failure> {
    let names = lists::once(args.names);
    let shown = names.join(", ");
    let question = format!("Delete {shown} with all records?");
    if !args.yes && !output::confirm(&question, true) {
        return Err(Failure::failed(format!("nothing deleted: {shown}"), "answer y, or give -y"));
    }
    block_on(async {
        let client = context.client().await?;
        let outcomes = client.delete_topics(&names).await.map_err(|error| context.explain(&error))?;
        let mut exit = Exit::Done;
        for (name, outcome) in names.iter().zip(outcomes) {
            match outcome {
                Ok(()) => output::notice(context, &format!("deleted topic {name}")),
                Err(ClientError::UnknownTopic(_)) if args.if_exists => {
                    output::notice(context, &format!("there is no topic {name}"));
                }
                Err(error) => {
                    exit = worse(
                        exit,
                        output::failure(&not_found(&client, name, &error, &[Operation::Delete]).await),
                    )
                }
            }
        }
        Ok(exit)
    })
}

/// A failure about one topic; an unknown one comes with the nearest name there is, a refusal with the rule for
/// `operations` on it.
async fn not_found(client: &Client, name: &str, error: &ClientError, operations: &[Operation]) -> Failure {
    if !matches!(error, ClientError::UnknownTopic(_)) {
        let failure = rights::refusal(client, error, &[Need::topic(operations, name)]);
        let named = failure.what.contains(&format!("topic {name}"));
        return match named {
            true => failure,
            false => Failure { what: format!("topic {name}: {}", failure.what), ..failure },
        };
    }
    let known = client.topics().await.unwrap_or_default();
    let nearest = known
        .keys()
        .filter(|other| !crate::model::name::is_internal(other))
        .map(|other| (super::nearest::distance(name, other), other))
        .min()
        .filter(|(distance, _)| *distance <= 2);
    let next = match nearest {
        Some((_, other)) => format!("did you mean {other}?"),
        None => "list the topics with: klog topic list".to_owned(),
    };
    Failure::missing(format!("there is no topic {name}"), next)
}
