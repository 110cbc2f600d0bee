//! `klog group delete`: groups and their offsets go, never while members are there.

use super::about;
use crate::cli::context::{Context, block_on};
use crate::cli::exit::{Exit, Failure};
use crate::cli::topic::worse;
use crate::cli::{completions, lists, output};
use crate::client::ClientError;
use crate::client::admin::Operation;

/// Kafka's codes for a group that has members, and for one that does not exist.
const NON_EMPTY_GROUP: i16 = 68;
const GROUP_ID_NOT_FOUND: i16 = 69;

/// The flags of `klog group delete`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Names of the groups
    #[arg(required = true, value_name = "GROUP", add = completions::groups())]
    groups: Vec<String>,
    /// Groups that are not there are no error
    #[arg(long)]
    if_exists: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

pub(super) fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let groups = lists::once(args.groups);
    let names = groups.join(", ");
    if !args.yes && !output::confirm(&format!("Delete {names} with all offsets?"), true) {
        return Err(Failure::failed(format!("nothing deleted: {names}"), "answer y, or give -y"));
    }
    block_on(async {
        let client = context.client().await?;
        let mut exit = Exit::Done;
        for (name, outcome) in groups.iter().zip(client.delete_groups(&groups).await) {
            match outcome {
                Ok(()) => output::notice(context, &format!("deleted group {name}")),
                Err(error) if args.if_exists && is(&error, GROUP_ID_NOT_FOUND) => {
                    output::notice(context, &format!("there is no group {name}"));
                }
                Err(error) if is(&error, NON_EMPTY_GROUP) => {
                    exit = worse(exit, output::failure(&has_members(name)));
                }
                Err(error) => {
                    exit = worse(exit, output::failure(&about(&client, name, &error, Operation::Delete)))
                }
            }
        }
        Ok(exit)
    })
}

fn is(error: &ClientError, code: i16) -> bool {
    error.code().is_some_and(|found| found.code() == code)
}

fn has_members(name: &str) -> Failure {
    Failure::failed(
        format!("group {name} can't be deleted while members are in it"),
        format!("stop them first; see who they are with: klog group members {name}"),
    )
}
