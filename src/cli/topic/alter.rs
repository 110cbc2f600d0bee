//! `klog topic alter`: settings that change and partitions that come; records stay where they are.

use super::{not_found, setting, worse};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::nearest::distance;
use crate::cli::{completions, lists, output};
use crate::client::admin::{ConfigChange, Operation};
use crate::client::{Client, ClientError};

/// The flags of `klog topic alter`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Names of the topics
    #[arg(required = true, value_name = "NAME", add = completions::topics())]
    names: Vec<String>,
    /// A setting by Kafka's name and its new value, such as retention.ms=3600000 (repeatable)
    #[arg(short = 'c', value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// A setting that goes back to its default (repeatable)
    #[arg(long, value_name = "KEY")]
    delete_config: Vec<String>,
    /// How many partitions each is to have, more than now; keys may go to other partitions from then on
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let mut changes = Vec::new();
    for text in &args.settings {
        let (name, value) = setting(text)?;
        changes.push(ConfigChange::Set(name, value));
    }
    changes.extend(args.delete_config.iter().cloned().map(ConfigChange::Delete));
    if changes.is_empty() && args.partitions.is_none() {
        return Err(Failure::usage(
            "there is nothing to alter: found no -c, no --delete-config and no --partitions",
            "such as: klog topic alter events -c retention.ms=3600000",
        ));
    }
    let client = context.client().await?;
    let mut exit = Exit::Done;
    // Partitions can not be taken back: they come only where all else was done.
    let mut done = lists::once(args.names);
    if !changes.is_empty() {
        are_settings(context, &client, &done, &args.delete_config).await?;
        let outcomes = client.alter_topic_configs(&done, &changes).await;
        let outcomes = outcomes.map_err(|error| context.explain(&error))?;
        for (name, outcome) in std::mem::take(&mut done).into_iter().zip(outcomes) {
            match outcome {
                Ok(()) => {
                    output::notice(context, &format!("topic {name}: {}", said(&changes)));
                    done.push(name);
                }
                Err(error) => {
                    let failure = not_altered(&client, &name, &error, Operation::AlterConfigs).await;
                    exit = worse(exit, output::failure(&failure));
                }
            }
        }
    }
    if let Some(count) = args.partitions {
        exit = worse(exit, grow(context, &client, &done, count).await?);
    }
    Ok(exit)
}

/// Brokers take the deletion of a setting that does not exist for done; whoever mistyped it must hear of it.
async fn are_settings(
    context: &Context,
    client: &Client,
    topics: &[String],
    deleted: &[String],
) -> Result<(), Failure> {
    if deleted.is_empty() {
        return Ok(());
    }
    let described = client.describe_topic_configs(topics).await.map_err(|error| context.explain(&error))?;
    // A topic that is not there, or may not be seen, is told of by the change itself.
    let Some(known) = described.into_iter().find_map(Result::ok) else { return Ok(()) };
    for name in deleted {
        if known.iter().any(|setting| setting.name == *name) {
            continue;
        }
        let nearest = known.iter().map(|setting| (distance(name, &setting.name), &setting.name)).min();
        let next = match nearest {
            Some((apart, near)) if apart <= 1 + name.len() / 4 => format!("did you mean {near}?"),
            _ => format!("see what there is with: klog topic describe {}", topics.join(" ")),
        };
        return Err(Failure::failed(format!("there is no topic setting {name}; nothing was altered"), next));
    }
    Ok(())
}

/// `retention.ms is 5 now, cleanup.policy has its default again`
fn said(changes: &[ConfigChange]) -> String {
    let one = |change: &ConfigChange| match change {
        ConfigChange::Set(name, value) => format!("{name} is {value} now"),
        ConfigChange::Delete(name) => format!("{name} has its default again"),
    };
    changes.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Gives topics more partitions; those that have as many already are left alone.
async fn grow(context: &Context, client: &Client, names: &[String], count: i32) -> Result<Exit, Failure> {
    let mut exit = Exit::Done;
    let mut wanted = Vec::new();
    for name in names {
        match client.topic(name, false).await {
            Ok(view) if view.count() == count => {
                output::notice(context, &format!("topic {name} has {count} partitions already"));
            }
            Ok(view) if view.count() > count => {
                let failure = Failure::failed(
                    format!("topic {name} has {} partitions: it can't have fewer ({count})", view.count()),
                    "partitions only come; make another topic with fewer, and copy the records",
                );
                exit = worse(exit, output::failure(&failure));
            }
            Ok(_) => wanted.push(name.clone()),
            Err(error) => {
                exit =
                    worse(exit, output::failure(&not_altered(client, name, &error, Operation::Alter).await))
            }
        }
    }
    if wanted.is_empty() {
        return Ok(exit);
    }
    let outcomes = client.create_partitions(&wanted, count).await;
    for (name, outcome) in wanted.iter().zip(outcomes.map_err(|error| context.explain(&error))?) {
        match outcome {
            Ok(()) => output::notice(context, &format!("topic {name} has {count} partitions now")),
            Err(error) => {
                exit =
                    worse(exit, output::failure(&not_altered(client, name, &error, Operation::Alter).await))
            }
        }
    }
    Ok(exit)
}

async fn not_altered(client: &Client, name: &str, error: &ClientError, operation: Operation) -> Failure {
    let failure = not_found(client, name, error, &[operation]).await;
    if failure.exit != Exit::Failed || !failure.next.is_empty() {
        return failure;
    }
    Failure { next: format!("see what it has with: klog topic describe {name}"), ..failure }
}
