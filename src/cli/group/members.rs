//! `klog group members`: who is in a group, from where, by which protocol, and what each reads.

use serde_json::{Value, json};

use super::{about, no_group, or_nothing};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::rows::{Format, Output, Rows};
use crate::cli::topic::worse;
use crate::cli::{completions, output};
use crate::client::admin::{GroupDescription, MemberDescription, Operation};
use crate::model::id::TopicPartition;

/// The flags of `klog group members`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "type is the protocol a member speaks: classic, or consumer (KIP-848); protocol_type is what \
    it calls itself, such as consumer or connect. target is what a member of the consumer protocol is to have \
    once all others have given up theirs."
)]
pub(super) struct Args {
    /// Names of the groups
    #[arg(required = true, value_name = "GROUP", add = completions::groups())]
    groups: Vec<String>,
    #[command(flatten)]
    output: Output,
}

const COLUMNS: [&str; 12] = [
    "member",
    "group",
    "instance",
    "client",
    "host",
    "type",
    "protocol_type",
    "epoch",
    "topics",
    "partitions",
    "assigned",
    "target",
];
/// What people want to see; the rest is for scripts.
const SHOWN: [&str; 9] =
    ["member", "group", "instance", "client", "host", "type", "epoch", "partitions", "assigned"];

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let client = context.client().await?;
    let described = client.describe_groups(&args.groups).await.map_err(|error| context.explain(&error))?;
    let format = args.output.output;
    let mut rows = Rows::new(&COLUMNS);
    let mut exit = Exit::Done;
    for (name, outcome) in args.groups.iter().zip(described) {
        match outcome {
            Ok(group) if group.is_dead() => exit = worse(exit, output::failure(&no_group(name))),
            Ok(group) => {
                if group.members.is_empty() {
                    output::notice(context, &format!("group {name} has no members"));
                }
                group.members.iter().for_each(|member| rows.push(row(&group, member, format)));
            }
            Err(error) => {
                exit = worse(exit, output::failure(&about(&client, name, &error, Operation::Describe)))
            }
        }
    }
    let rows = if format == Format::Table { rows.only(&SHOWN) } else { rows };
    rows.write(format)?;
    Ok(exit)
}

fn row(group: &GroupDescription, member: &MemberDescription, format: Format) -> Vec<Value> {
    let mut topics = member.topics.clone();
    topics.extend(member.pattern.iter().map(|pattern| format!("/{pattern}/")));
    vec![
        member.member_id.as_str().into(),
        group.group.as_str().into(),
        member.instance_id.clone().into(),
        member.client_id.as_str().into(),
        member.client_host.as_str().into(),
        member.member_type.into(),
        or_nothing(&group.protocol_type),
        member.epoch.into(),
        topics.into(),
        member.assigned.len().into(),
        assigned(&member.assigned, format),
        member.target.as_ref().map_or(Value::Null, |target| assigned(target, format)),
    ]
}

/// Partitions as objects for JSON, as names for the rest.
fn assigned(partitions: &[TopicPartition], format: Format) -> Value {
    let mut partitions = partitions.to_vec();
    partitions.sort();
    let one = |one: &TopicPartition| match format {
        Format::Json | Format::Jsonl => json!({"topic": one.topic.as_ref(), "partition": one.partition}),
        _ => one.to_string().into(),
    };
    partitions.iter().map(one).collect()
}
