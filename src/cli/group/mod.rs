//! `klog group`: which groups there are, who is in them, how far they have read, and moving that; never joins one.

mod delete;
mod members;
mod reset;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::context::{Context, block_on};
use super::exit::{Exit, Failure};
use super::held::{self, OpenTransaction};
use super::output::rows::{Format, Output, Rows, printable};
use super::rights::{self, Need};
use super::topic::worse;
use super::{completions, glob, output};
use crate::client::Client;
use crate::client::ClientError;
use crate::client::admin::{GroupDescription, OffsetSpec, Operation};
use crate::client::options::Isolation;
use crate::model::id::TopicPartition;

/// The flags of `klog group`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List groups
    List(ListArgs),
    /// Show groups: state, members and what each reads
    Describe(DescribeArgs),
    /// Show how far groups have read and what is left
    Lag(LagArgs),
    /// Show the members of groups and what each reads
    Members(members::Args),
    /// Move the offsets of a group that has no members
    Reset(reset::Args),
    /// Delete groups and their offsets
    Delete(delete::Args),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Only groups whose name matches, such as 'billing-*'
    #[arg(add = completions::groups())]
    pattern: Option<String>,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, clap::Args)]
struct DescribeArgs {
    /// Names of the groups
    #[arg(required = true, value_name = "GROUP", add = completions::groups())]
    groups: Vec<String>,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, clap::Args)]
struct LagArgs {
    /// Names of the groups [default: all]
    #[arg(value_name = "GROUP", add = completions::groups())]
    groups: Vec<String>,
    #[command(flatten)]
    output: Output,
}

/// Runs `klog group`.
pub fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    match args.command {
        Command::List(args) => block_on(list(context, args)),
        Command::Describe(args) => block_on(describe(context, args)),
        Command::Lag(args) => block_on(lag(context, args)),
        Command::Members(args) => block_on(members::run(context, args)),
        Command::Reset(args) => reset::run(context, args),
        Command::Delete(args) => delete::run(context, args),
    }
}

fn or_nothing(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { text.into() }
}

async fn list(context: &Context, args: ListArgs) -> Result<Exit, Failure> {
    let client = context.client().await?;
    let mut groups = client.list_groups().await.map_err(|error| context.explain(&error))?;
    groups.sort_by(|a, b| a.group.cmp(&b.group));
    let mut rows = Rows::new(&["group", "state", "type", "protocol_type"]);
    for group in &groups {
        if args.pattern.as_ref().is_some_and(|pattern| !glob::matches(pattern, &group.group)) {
            continue;
        }
        rows.push(vec![
            group.group.as_str().into(),
            or_nothing(&group.state),
            or_nothing(&group.group_type),
            or_nothing(&group.protocol_type),
        ]);
    }
    rows.write(args.output.output)
}

async fn describe(context: &Context, args: DescribeArgs) -> Result<Exit, Failure> {
    let client = context.client().await?;
    let described = client.describe_groups(&args.groups).await.map_err(|error| context.explain(&error))?;
    let mut exit = Exit::Done;
    let mut found = Vec::new();
    for (name, outcome) in args.groups.iter().zip(described) {
        match outcome {
            Ok(group) if group.is_dead() => exit = worse(exit, output::failure(&no_group(name))),
            Ok(group) => {
                let open = open_transactions(&client, &group).await;
                found.push((group, open));
            }
            Err(error) => {
                exit = worse(exit, output::failure(&about(&client, name, &error, Operation::Describe)))
            }
        }
    }
    let text = match args.output.output {
        Format::Table => {
            found.iter().map(|(group, open)| described_text(group, open)).collect::<Vec<_>>().join("\n")
        }
        Format::Json if found.is_empty() => String::new(),
        Format::Json => {
            let objects: Vec<String> =
                found.iter().map(|(group, open)| described_json(group, open).to_string()).collect();
            format!("[{}]\n", objects.join(",\n "))
        }
        Format::Jsonl => {
            found.iter().map(|(group, open)| described_json(group, open).to_string() + "\n").collect()
        }
        Format::Name => found.iter().map(|(group, _)| format!("{}\n", group.group)).collect(),
        Format::Tsv => {
            let mut rows = Rows::new(&MEMBER_COLUMNS);
            found.iter().for_each(|(group, _)| members(group, &mut rows));
            rows.render(Format::Tsv)
        }
    };
    output::data(text.as_bytes())?;
    Ok(exit)
}

/// Transactions that are open in what a group reads: its members of committed records wait there. What can not be
/// asked is left out.
async fn open_transactions(client: &Client, group: &GroupDescription) -> Vec<OpenTransaction> {
    let committed = client.group_offsets(&group.group).await.unwrap_or_default();
    let mut partitions: Vec<TopicPartition> = committed.into_iter().map(|(partition, _)| partition).collect();
    partitions.extend(group.members.iter().flat_map(|member| member.assigned.iter().cloned()));
    partitions.sort();
    partitions.dedup();
    let ends = held::ends(client, &partitions).await.unwrap_or_default();
    held::open_in(client, &partitions, &ends).await
}

fn no_group(name: &str) -> Failure {
    Failure::missing(format!("there is no group {name}"), "list the groups with: klog group list")
}

/// A failure about one group; a refusal with the rule for the operation on it.
fn about(client: &Client, name: &str, error: &ClientError, operation: Operation) -> Failure {
    let operations = &[operation];
    // A group's offsets are of topics: what was refused may as well be the same operation there.
    let needs = [Need::group(operations, name), Need::topic(operations, "")];
    let failure = rights::refusal(client, error, &needs);
    if failure.exit == Exit::Missing {
        // A share or streams group is there, but not of a kind whose members klog can tell.
        let other =
            matches!(error, ClientError::Broker { message: Some(text), .. } if text.contains("is not a"));
        return if other { Failure { next: String::new(), ..failure } } else { no_group(name) };
    }
    Failure { what: format!("group {name}: {}", failure.what), ..failure }
}

const MEMBER_COLUMNS: [&str; 6] = ["group", "member", "instance", "client", "host", "assigned"];

fn members(group: &GroupDescription, rows: &mut Rows) {
    for member in &group.members {
        let assigned: Vec<String> = member.assigned.iter().map(ToString::to_string).collect();
        rows.push(vec![
            group.group.as_str().into(),
            member.member_id.as_str().into(),
            member.instance_id.clone().into(),
            member.client_id.as_str().into(),
            member.client_host.as_str().into(),
            assigned.into(),
        ]);
    }
}

fn described_json(group: &GroupDescription, open: &[OpenTransaction]) -> Value {
    let members: Vec<Value> = group
        .members
        .iter()
        .map(|member| {
            let assigned: Vec<Value> = member
                .assigned
                .iter()
                .map(|one| json!({"topic": one.topic.as_ref(), "partition": one.partition}))
                .collect();
            json!({
                "member": member.member_id,
                "instance": member.instance_id,
                "client": member.client_id,
                "host": member.client_host,
                "type": member.member_type,
                "epoch": member.epoch,
                "assigned": assigned,
            })
        })
        .collect();
    json!({
        "group": group.group,
        "state": group.state,
        "type": group.group_type,
        "epoch": group.epoch,
        "protocol_type": or_nothing(&group.protocol_type),
        "protocol": or_nothing(&group.protocol),
        "coordinator": group.coordinator,
        "members": members,
        "open_transactions": held::to_json(open),
    })
}

fn described_text(group: &GroupDescription, open: &[OpenTransaction]) -> String {
    let mut out = format!("group {}, {}, {}", group.group, group.state, group.group_type);
    if let Some(epoch) = group.epoch {
        out += &format!(", epoch {epoch}");
    }
    if !group.protocol.is_empty() {
        out += &format!(", assignor {}", group.protocol);
    }
    let mut out = printable(&out);
    out += &format!(", coordinator node {}\n", group.coordinator);
    let mut rows = Rows::new(&MEMBER_COLUMNS);
    members(group, &mut rows);
    if rows.rows.is_empty() {
        return out + "no members\n" + &held::to_text(open);
    }
    rows.columns.remove(0);
    rows.rows.iter_mut().for_each(|row| {
        row.remove(0);
    });
    out + "\n" + &rows.render(Format::Table) + &held::to_text(open)
}

/// What one group has to do with one partition.
#[derive(Debug, Default)]
struct Reading {
    committed: Option<i64>,
    member: Option<String>,
}

async fn lag(context: &Context, args: LagArgs) -> Result<Exit, Failure> {
    let client = context.client().await?;
    let mut names = args.groups;
    let all = names.is_empty();
    if all {
        let groups = client.list_groups().await.map_err(|error| context.explain(&error))?;
        names = groups.into_iter().map(|group| group.group).collect();
        names.sort();
    }
    let mut rows = Rows::new(&["group", "topic", "partition", "committed", "start", "end", "lag", "member"]);
    let mut exit = Exit::Done;
    let described = if names.is_empty() {
        Vec::new()
    } else {
        client.describe_groups(&names).await.map_err(|error| context.explain(&error))?
    };
    for (name, group) in names.iter().zip(described) {
        let outcome = match group {
            Ok(group) => lag_of(&client, &group, &mut rows).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(true) => {}
            Ok(false) if all => {}
            Ok(false) => exit = worse(exit, output::failure(&no_group(name))),
            Err(error) => {
                exit = worse(exit, output::failure(&about(&client, name, &error, Operation::Describe)))
            }
        }
    }
    rows.write(args.output.output)?;
    Ok(exit)
}

/// Adds a row for each partition that the group has committed or is assigned; false when there is no such group.
async fn lag_of(client: &Client, group: &GroupDescription, rows: &mut Rows) -> Result<bool, ClientError> {
    let mut readings: BTreeMap<TopicPartition, Reading> = BTreeMap::new();
    for (partition, committed) in client.group_offsets(&group.group).await? {
        readings.entry(partition).or_default().committed = Some(committed.offset);
    }
    if readings.is_empty() && group.is_dead() {
        return Ok(false);
    }
    for member in &group.members {
        for partition in &member.assigned {
            readings.entry(partition.clone()).or_default().member = Some(member.member_id.clone());
        }
    }
    let wanted = |spec| -> Vec<(TopicPartition, OffsetSpec)> {
        readings.keys().map(|one| (one.clone(), spec)).collect()
    };
    let starts = client.list_offsets(&wanted(OffsetSpec::Earliest)).await?;
    // Not the end of what is stable: what an open transaction holds back is still to be read, as Kafka's tool counts.
    let ends = client.list_offsets_as(&wanted(OffsetSpec::Latest), Isolation::ReadUncommitted).await?;
    for ((partition, reading), (start, end)) in readings.iter().zip(starts.into_iter().zip(ends)) {
        let start = start.ok().map(|listed| listed.offset);
        let end = end.ok().map(|listed| listed.offset);
        // What retention took can not be read any more: it is no lag.
        let lag = reading
            .committed
            .zip(end)
            .map(|(committed, end)| (end - committed.max(start.unwrap_or(committed))).max(0));
        rows.push(vec![
            group.group.as_str().into(),
            partition.topic.as_ref().into(),
            partition.partition.into(),
            reading.committed.into(),
            start.into(),
            end.into(),
            lag.into(),
            reading.member.clone().into(),
        ]);
    }
    Ok(true)
}
