//! The flags of `klog consume` as checked values; touches neither disk nor network.

use std::time::Duration;

use super::{Args, ResetTo};
use crate::cli::context::Context;
use crate::cli::envelope::Values;
use crate::cli::exit::Failure;
use crate::cli::format::{self, Format};
use crate::cli::rights::Need;
use crate::cli::{lists, times};
use crate::client::admin::Operation;
use crate::client::consumer::Position;
use crate::client::options::{GroupProtocol, Isolation, Reset};
use crate::client::{ClientError, ClientOptions};
use crate::model::time::{Clock, SystemClock};
use crate::model::units::parse_duration;

/// What is to be read, and when to stop.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) topics: Vec<String>,
    pub(super) partitions: Option<Vec<i32>>,
    pub(super) group: Option<String>,
    pub(super) start: Position,
    /// Nothing from here on is read.
    pub(super) stop: Option<Position>,
    /// A time yet to come, ms: reading stops then.
    pub(super) until: Option<i64>,
    pub(super) exit: bool,
    pub(super) count: Option<u64>,
    pub(super) idle: Option<Duration>,
    pub(super) deadline: Option<Duration>,
    pub(super) commit: bool,
    /// The ends of transactions are written too.
    pub(super) control: bool,
    pub(super) output: Output,
    pub(super) options: ClientOptions,
}

/// How records are written.
#[derive(Debug)]
pub(super) enum Output {
    /// The value, with the key before it where there is a delimiter for it.
    Value { delimiter: Vec<u8>, key: Option<Vec<u8>> },
    /// By a format string.
    Format(Format),
    /// As JSON envelopes.
    Envelope(Values),
}

impl Plan {
    /// An error of the client; a refusal with the rule that reading lacks.
    pub(super) fn explain(&self, context: &Context, error: &ClientError) -> Failure {
        let read = &[Operation::Read];
        // Of several topics only the refusal knows which it was.
        let topic = if let [only] = self.topics.as_slice() { only.as_str() } else { "" };
        let group = self.group.as_deref().unwrap_or_default();
        context.explain_need(error, &[Need::topic(read, topic), Need::group(read, group)])
    }

    /// Checks what the flags say beyond what their parser knows.
    pub(super) fn new(args: &Args, context: &Context) -> Result<Plan, Failure> {
        let now = SystemClock::default().wall_ms();
        let (start, stop) = where_from(args, now)?;
        let (stop, until) = match &args.until {
            None => (stop, None),
            Some(_) if stop.is_some() => {
                return Err(wrong("--until")("-o gives an end already".to_owned()));
            }
            Some(text) => match times::parse(text, now).map_err(wrong("--until"))? {
                time if time > now => (None, Some(time)),
                time => (Some(Position::Time(time)), None),
            },
        };
        Ok(Plan {
            topics: lists::once(args.topics.clone()),
            partitions: args.partitions.as_deref().map(lists::partitions).transpose().map_err(wrong("-p"))?,
            group: args.group.clone(),
            start,
            stop,
            until,
            exit: args.exit,
            count: args.count,
            idle: duration("--idle", args.idle.as_deref())?,
            deadline: duration("--deadline", args.deadline.as_deref())?,
            commit: args.group.is_some() && !args.no_commit && context.settings.client.auto_commit,
            control: args.control,
            output: output(args)?,
            options: options(args, context.settings.client.clone()),
        })
    }
}

fn wrong(flag: &'static str) -> impl Fn(String) -> Failure {
    move |why| Failure::usage(format!("{flag}: {why}"), "see: klog consume --help")
}

fn duration(flag: &'static str, text: Option<&str>) -> Result<Option<Duration>, Failure> {
    let parse = |text: &str| parse_duration(text).map_err(|why| wrong(flag)(format!("{text}: {why}")));
    text.map(parse).transpose()
}

fn options(args: &Args, mut options: ClientOptions) -> ClientOptions {
    if let Some(reset) = args.reset {
        options.reset = match reset {
            ResetTo::Start => Reset::Start,
            ResetTo::End => Reset::End,
            ResetTo::Fail => Reset::Fail,
        };
    }
    if args.read_uncommitted {
        options.isolation = Isolation::ReadUncommitted;
    }
    if args.instance_id.is_some() {
        options.instance_id.clone_from(&args.instance_id);
    }
    match args.group_protocol {
        Some(super::Protocol::Classic) => options.group_protocol = GroupProtocol::Classic,
        Some(super::Protocol::Consumer) => options.group_protocol = GroupProtocol::Consumer,
        None => {}
    }
    // Reading never makes a topic.
    options.auto_create = false;
    options
}

fn output(args: &Args) -> Result<Output, Failure> {
    if let Some(json) = &args.json {
        let embedded = args.json_values || json == "json";
        return Ok(Output::Envelope(if embedded { Values::Json } else { Values::Text }));
    }
    if let Some(text) = &args.format {
        return Ok(Output::Format(Format::parse(text).map_err(wrong("-f"))?));
    }
    let delimiter = match (&args.delimiter, args.null) {
        (_, true) => vec![0],
        // Nothing between values is allowed here: it loses nothing of any use to a reader of bytes.
        (Some(text), _) => format::unescape(text).map_err(wrong("-D"))?,
        (None, false) => vec![b'\n'],
    };
    let key = args.key_delimiter.as_deref().map(format::unescape).transpose().map_err(wrong("-K"))?;
    Ok(Output::Value { delimiter, key })
}

/// Start and end of reading.
fn where_from(args: &Args, now: i64) -> Result<(Position, Option<Position>), Failure> {
    let grouped = args.group.is_some();
    let refuse = |flag: &'static str, what: &str| {
        Err(Failure::usage(
            format!("{flag} {what} together with -g: the group's stored offset says where reading begins"),
            "leave one of the two out; --reset start|end says what a group without an offset does",
        ))
    };
    if let Some(text) = &args.since {
        if grouped {
            return refuse("--since", text);
        }
        let time = times::parse(text, now).map_err(wrong("--since"))?;
        return Ok((Position::Time(time), None));
    }
    match args.offset.as_deref() {
        // Nobody has a stored offset then.
        None if !grouped && args.reset == Some(ResetTo::End) => Ok((Position::End, None)),
        None => Ok((Position::Start, None)),
        Some("stored") if grouped => Ok((Position::Start, None)),
        Some("stored") => Err(wrong("-o")("stored offsets belong to a group; name it with -g".to_owned())),
        Some(text) if grouped => refuse("-o", text),
        Some(text) => range(text, now).map_err(wrong("-o")),
    }
}

/// `WHERE[:END]`. Times hold colons themselves, so every colon is tried.
pub(in crate::cli) fn range(text: &str, now: i64) -> Result<(Position, Option<Position>), String> {
    if let Some(start) = position(text, now) {
        return Ok((start, None));
    }
    for (at, _) in text.match_indices(':') {
        let (start, end) = (text.get(..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default());
        let start = if start.is_empty() { Some(Position::Start) } else { position(start, now) };
        if let (Some(start), Some(end)) = (start, position(end, now)) {
            return Ok((start, Some(end)));
        }
    }
    Err(format!(
        "{text:?} is no place; allowed are start, end, N, +N, -N, @TIME, and ranges such as N:M or @T1:@T2"
    ))
}

/// `start end N +N -N @TIME`
pub(in crate::cli) fn position(text: &str, now: i64) -> Option<Position> {
    let number = |digits: &str| {
        let whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        whole.then(|| digits.parse::<i64>().ok()).flatten()
    };
    match text {
        "start" | "beginning" => Some(Position::Start),
        "end" => Some(Position::End),
        _ => match text.split_at_checked(1)? {
            ("+", digits) => number(digits).map(Position::AfterStart),
            ("-", digits) => number(digits).map(Position::BeforeEnd),
            ("@", time) => times::parse(time, now).ok().map(Position::Time),
            _ => number(text).map(Position::Offset),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_730_000_000_000;

    #[test]
    fn places_and_ranges() {
        use Position::{AfterStart, BeforeEnd, End, Offset, Start, Time};
        for (text, start, end) in [
            ("start", Start, None),
            ("beginning", Start, None),
            ("end", End, None),
            ("7", Offset(7), None),
            ("+7", AfterStart(7), None),
            ("-7", BeforeEnd(7), None),
            ("@now", Time(NOW), None),
            ("@-1h", Time(NOW - 3_600_000), None),
            ("@2024-10-27T03:33:20Z", Time(NOW), None),
            ("3:9", Offset(3), Some(Offset(9))),
            (":end", Start, Some(End)),
            (":9", Start, Some(Offset(9))),
            ("-5:end", BeforeEnd(5), Some(End)),
            ("@2024-10-27T03:33:20Z:@2024-10-27T03:33:21Z", Time(NOW), Some(Time(NOW + 1000))),
            ("@0:@now", Time(0), Some(Time(NOW))),
        ] {
            assert_eq!(range(text, NOW), Ok((start, end)), "{text}");
        }
        for text in ["", "x", "+", "--1", "1:", "1:x", "@", "@soon", "1.5", "99999999999999999999"] {
            assert!(range(text, NOW).is_err(), "{text}");
        }
    }
}
