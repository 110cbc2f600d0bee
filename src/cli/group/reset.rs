//! `klog group reset`: where a group goes on reading, moved after a look at what would change; refused while members
//! are there, whose own commits would undo it.

use std::collections::BTreeMap;

use super::about;
use crate::cli::consume::plan::position;
use crate::cli::context::{Context, block_on};
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::rows::{Output, Rows};
use crate::cli::rights::Need;
use crate::cli::topic::place::Place;
use crate::cli::{completions, output};
use crate::client::admin::{OffsetSpec, Operation};
use crate::client::consumer::{Consumer, Position};
use crate::client::group::{Committed, commit_without_membership};
use crate::client::options::Isolation;
use crate::client::{Client, ClientError};
use crate::model::id::TopicPartition;
use crate::model::time::{Clock, SystemClock};

/// Kafka's codes for a commit from outside that members forbid, in either protocol.
const UNKNOWN_MEMBER_ID: i16 = 25;
const REBALANCE_IN_PROGRESS: i16 = 27;

/// The flags of `klog group reset`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    klog group reset mailer -t events --to start            look at what would change\n  \
    klog group reset mailer -t events --to start -y         read all of it again\n  \
    klog group reset mailer -t events:0 --to @-1h -y        partition 0 from one hour ago\n  \
    klog group reset new -t events --to group:mailer -y     begin where mailer stands\n\n\
    Places are those of klog consume -o: N is an offset, +N so many after the first, -N so many before the end.")]
pub(super) struct Args {
    /// Name of the group
    #[arg(value_name = "GROUP", add = completions::groups())]
    group: String,
    /// A topic, or some of its partitions: NAME, NAME:0, NAME:0,2-4 (repeatable)
    #[arg(short, long = "topic", required = true, value_name = "TOPIC[:P]", add = completions::topics())]
    topics: Vec<String>,
    /// Where to: start, end, N, +N, -N, @TIME, group:OTHER
    #[arg(long, value_name = "WHERE", allow_hyphen_values = true)]
    to: String,
    /// Do it; without it the command only shows what it would do
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    output: Output,
}

/// Where to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    Place(Position),
    /// Where this group stands.
    Group(String),
}

/// What is to become of one partition.
#[derive(Debug)]
struct Move {
    partition: TopicPartition,
    /// Where the group stands; nothing without an offset.
    committed: Option<i64>,
    asked: i64,
    start: i64,
    end: i64,
}

impl Move {
    /// Where it goes: what was asked for, within the log.
    fn to(&self) -> i64 {
        self.asked.clamp(self.start, self.end.max(self.start))
    }
}

const COLUMNS: [&str; 8] = ["group", "topic", "partition", "committed", "to", "asked", "start", "end"];

pub(super) fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let target = target(&args.to, SystemClock::default().wall_ms())?;
    let places: Vec<Place> = args.topics.iter().map(|text| Place::parse(text)).collect::<Result<_, _>>()?;
    block_on(async {
        let client = context.client().await?;
        let members = members(&client, &args.group).await?;
        if args.yes && members > 0 {
            return Err(has_members(&args.group, members));
        }
        let mut partitions = Vec::new();
        for place in &places {
            let found = place.resolve(&client).await;
            let needs = [Need::topic(&[Operation::Describe], &place.topic)];
            let found = found.map_err(|error| context.explain_need(&error, &needs))?;
            partitions.extend(found);
        }
        partitions.sort();
        partitions.dedup();
        let moves = plan(&client, &args.group, &partitions, &target).await?;
        for one in moves.iter().filter(|one| one.to() != one.asked) {
            output::notice(context, &clamped(one));
        }
        if args.yes {
            apply(&client, &args.group, &moves).await?;
        }
        rows(&args.group, &moves).write(args.output.output)?;
        if !args.yes {
            let more = match members {
                0 => "do it with -y".to_owned(),
                _ => format!("{}; stop them, then do it with -y", crowd(members)),
            };
            output::notice(context, &format!("nothing was changed; {more}"));
        }
        Ok(Exit::Done)
    })
}

fn target(text: &str, now: i64) -> Result<Target, Failure> {
    if let Some(group) = text.strip_prefix("group:").filter(|group| !group.is_empty()) {
        return Ok(Target::Group(group.to_owned()));
    }
    position(text, now).map(Target::Place).ok_or_else(|| {
        Failure::usage(
            format!("--to {text:?} is no place"),
            "allowed are start, end, N, +N, -N, @TIME and group:OTHER",
        )
    })
}

/// How many members a group has; a group that does not exist has none, and begins with the reset.
async fn members(client: &Client, group: &str) -> Result<usize, Failure> {
    match client.describe_group(group).await {
        Ok(description) => Ok(description.members.len()),
        Err(error) => match about(client, group, &error, Operation::Describe) {
            failure if failure.exit == Exit::Missing => Ok(0),
            failure => Err(failure),
        },
    }
}

fn crowd(members: usize) -> String {
    if members == 1 { "the group has 1 member".into() } else { format!("the group has {members} members") }
}

fn has_members(group: &str, members: usize) -> Failure {
    let count = if members == 1 { "1 member".into() } else { format!("{members} members") };
    Failure::failed(
        format!("group {group} has {count}: its offsets can't be moved while they are there"),
        format!("stop them first; see who they are with: klog group members {group}"),
    )
}

async fn plan(
    client: &Client,
    group: &str,
    partitions: &[TopicPartition],
    target: &Target,
) -> Result<Vec<Move>, Failure> {
    let kept = async |group: &str| -> Result<BTreeMap<TopicPartition, i64>, ClientError> {
        let offsets = client.group_offsets(group).await?;
        Ok(offsets.into_iter().map(|(partition, kept)| (partition, kept.offset)).collect())
    };
    let ask = async |spec| -> Result<Vec<i64>, ClientError> {
        let wanted: Vec<_> = partitions.iter().map(|one| (one.clone(), spec)).collect();
        let listed = client.list_offsets_as(&wanted, Isolation::ReadUncommitted).await?;
        listed.into_iter().map(|one| one.map(|one| one.offset)).collect()
    };
    let committed = kept(group).await.map_err(|error| about(client, group, &error, Operation::Describe))?;
    let asked: Vec<i64> = match target {
        Target::Place(position) => {
            let wanted: Vec<_> = partitions.iter().map(|one| (one.clone(), *position)).collect();
            Consumer::new(client).resolve(&wanted).await?
        }
        Target::Group(other) => {
            let offsets =
                kept(other).await.map_err(|error| about(client, other, &error, Operation::Describe))?;
            let one = |partition: &TopicPartition| {
                offsets.get(partition).copied().ok_or_else(|| no_offset(other, partition))
            };
            partitions.iter().map(one).collect::<Result<_, _>>()?
        }
    };
    let (starts, ends) = (ask(OffsetSpec::Earliest).await?, ask(OffsetSpec::Latest).await?);
    let one = |(partition, asked, (start, end)): (&TopicPartition, i64, (i64, i64))| Move {
        partition: partition.clone(),
        committed: committed.get(partition).copied(),
        asked,
        start,
        end,
    };
    let ranges = starts.into_iter().zip(ends);
    Ok(partitions.iter().zip(asked).zip(ranges).map(|((a, b), c)| one((a, b, c))).collect())
}

fn no_offset(group: &str, partition: &TopicPartition) -> Failure {
    Failure::missing(
        format!("group {group} has no offset for {partition}; nothing was changed"),
        format!("see which it has with: klog group lag {group}; name partitions with -t TOPIC:P"),
    )
}

fn clamped(one: &Move) -> String {
    let Move { partition, asked, start, end, .. } = one;
    format!(
        "{partition}: offset {asked} is outside the log, which has {start} to {end}; {} is taken",
        one.to()
    )
}

async fn apply(client: &Client, group: &str, moves: &[Move]) -> Result<(), Failure> {
    let offsets: Vec<_> = moves.iter().map(|one| (one.partition.clone(), Committed::at(one.to()))).collect();
    commit_without_membership(client, group, &offsets).await.map_err(|error| {
        match error.code().map(|code| code.code()) {
            // Someone joined since the look.
            Some(UNKNOWN_MEMBER_ID | REBALANCE_IN_PROGRESS) => Failure::failed(
                format!("group {group} has members: its offsets can't be moved while they are there"),
                format!("stop them first; see who they are with: klog group members {group}"),
            ),
            _ => about(client, group, &error, Operation::Read),
        }
    })
}

fn rows(group: &str, moves: &[Move]) -> Rows {
    let mut rows = Rows::new(&COLUMNS);
    for one in moves {
        rows.push(vec![
            group.into(),
            one.partition.topic.as_ref().into(),
            one.partition.partition.into(),
            one.committed.into(),
            one.to().into(),
            one.asked.into(),
            one.start.into(),
            one.end.into(),
        ]);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_read() {
        let now = 1_730_000_000_000;
        for (text, wanted) in [
            ("start", Target::Place(Position::Start)),
            ("-5", Target::Place(Position::BeforeEnd(5))),
            ("@-1h", Target::Place(Position::Time(now - 3_600_000))),
            ("group:other", Target::Group("other".into())),
        ] {
            assert_eq!(target(text, now), Ok(wanted), "{text}");
        }
        for text in ["", "group:", "soon", "1:2"] {
            assert_eq!(target(text, now).unwrap_err().exit, Exit::Usage, "{text}");
        }
    }

    #[test]
    fn offsets_stay_within_the_log() {
        let one = |asked, start, end| {
            let partition = TopicPartition::new("t", 0);
            Move { partition, committed: None, asked, start, end }.to()
        };
        assert_eq!((one(5, 0, 9), one(5, 7, 9), one(50, 0, 9)), (5, 7, 9));
    }
}
