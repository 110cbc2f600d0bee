//! The flags of `klog produce` as checked values; touches neither disk nor network.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use super::transaction::Transactions;
use super::{Args, OnError, Partitioner};
use crate::cli::context::Context;
use crate::cli::envelope::Values;
use crate::cli::exit::Failure;
use crate::cli::format::{self, Format, InputFormat};
use crate::cli::rights::{self, Need};
use crate::cli::times;
use crate::client::admin::Operation;
use crate::client::options::Acks;
use crate::client::{ClientError, ClientOptions, Compression};
use crate::model::time::{Clock, SystemClock};
use crate::model::units::{parse_duration, parse_size};

/// A batch's least size in bytes, so that a record's overhead fits.
const LEAST_BATCH: u64 = 512;

/// What is to be done with the input.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) topic: Option<String>,
    pub(super) shape: Rc<Shape>,
    pub(super) fixed: Rc<Fixed>,
    pub(super) partition: Option<i32>,
    pub(super) partitioner: Partitioner,
    /// In ms; `None` is now.
    pub(super) timestamp: Option<i64>,
    pub(super) tombstone: bool,
    pub(super) skip_bad: bool,
    pub(super) tee: bool,
    /// Batches leave as soon as no input is waiting.
    pub(super) eager: bool,
    pub(super) txn: Option<Transactions>,
    pub(super) options: ClientOptions,
}

/// What every record gets.
#[derive(Debug)]
pub(super) struct Fixed {
    pub(super) key: Option<Vec<u8>>,
    /// Name, and value or null.
    pub(super) headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// How records lie in the input.
#[derive(Debug)]
pub(super) enum Shape {
    /// Each ends with the delimiter; key and value are split at the second.
    Lines { delimiter: Vec<u8>, split: Option<Vec<u8>> },
    /// All of stdin is one.
    Whole { split: Option<Vec<u8>> },
    /// Each file is one.
    Files(Vec<PathBuf>),
    /// By a format string; the delimiter is where reading goes on after a bad one.
    Format { format: InputFormat, delimiter: Vec<u8> },
    /// JSON, one a line.
    Envelope(Values),
}

impl Plan {
    /// An error of the client; a refusal with the rule that writing lacks.
    pub(super) fn explain(&self, context: &Context, error: &ClientError) -> Failure {
        let write = &[Operation::Write];
        let topic = Need::topic(write, self.topic.as_deref().unwrap_or_default());
        if rights::is_of_cluster(error) {
            // Who may write to a topic gets a producer id as well: no right on the cluster is needed for one.
            let next = rights::missing(context.settings.client.security.user(), &topic);
            return Failure { next, ..context.explain(error) };
        }
        let id = self.txn.as_ref().map(|txn| txn.id.as_str()).unwrap_or_default();
        context.explain_need(error, &[topic, Need::transaction(write, id)])
    }

    /// Checks what the flags say beyond what their parser knows.
    pub(super) fn new(args: &Args, context: &Context) -> Result<Plan, Failure> {
        let wrong = |flag: &'static str| {
            move |why: String| Failure::usage(format!("{flag}: {why}"), "see: klog produce --help")
        };
        let timestamp = match &args.timestamp {
            Some(text) => {
                Some(times::parse(text, SystemClock::default().wall_ms()).map_err(wrong("--timestamp"))?)
            }
            None => None,
        };
        if let Some(partition @ ..0) = args.partition {
            return Err(wrong("-p")(format!("{partition} is no partition; they count from 0")));
        }
        let mut options = options(args, context.settings.client.clone())?;
        let txn = Transactions::new(args, &mut options)?;
        Ok(Plan {
            topic: args.topic.clone(),
            shape: Rc::new(shape(args)?),
            fixed: Rc::new(Fixed {
                key: args.key.as_ref().map(|key| key.as_bytes().to_vec()),
                headers: args.headers.iter().map(|header| split_header(header.as_bytes())).collect(),
            }),
            partition: args.partition,
            partitioner: args.partitioner,
            timestamp,
            tombstone: args.tombstone,
            skip_bad: args.on_error == OnError::Skip,
            tee: args.tee,
            eager: args.linger.is_none(),
            txn,
            options,
        })
    }
}

fn shape(args: &Args) -> Result<Shape, Failure> {
    let wrong = |flag: &'static str| {
        move |why: String| Failure::usage(format!("{flag}: {why}"), "see: klog produce --help")
    };
    let delimiter = match (&args.delimiter, args.null) {
        (_, true) => vec![0],
        (Some(text), _) => format::delimiter(text).map_err(wrong("-D"))?,
        (None, false) => vec![b'\n'],
    };
    let split = args.key_delimiter.as_deref().map(format::delimiter).transpose().map_err(wrong("-K"))?;
    if let Some(json) = &args.json {
        let embedded = args.json_values || json == "json";
        return Ok(Shape::Envelope(if embedded { Values::Json } else { Values::Text }));
    }
    if let Some(text) = &args.format {
        let format = Format::parse(text).and_then(|format| format.for_input(&delimiter));
        return Ok(Shape::Format { format: format.map_err(wrong("-f"))?, delimiter });
    }
    if !args.files.is_empty() {
        return Ok(Shape::Files(args.files.clone()));
    }
    Ok(if args.whole { Shape::Whole { split } } else { Shape::Lines { delimiter, split } })
}

/// `NAME=VALUE`, `NAME` for null, `NAME=` for empty.
fn split_header(text: &[u8]) -> (Vec<u8>, Option<Vec<u8>>) {
    match memchr::memchr(b'=', text) {
        Some(at) => {
            let (name, value) = text.split_at(at);
            (name.to_vec(), Some(value.get(1..).unwrap_or_default().to_vec()))
        }
        None => (text.to_vec(), None),
    }
}

fn options(args: &Args, mut options: ClientOptions) -> Result<ClientOptions, Failure> {
    let next = "see: klog produce --help";
    if let Some(text) = &args.compression {
        let compression: Compression =
            text.parse().map_err(|why: String| Failure::usage(format!("-z: {why}"), next))?;
        options.codec = compression.codec;
        if let Some(level) = compression.level {
            options.levels.retain(|(codec, _)| *codec != compression.codec);
            options.levels.push((compression.codec, level));
        }
    }
    match args.acks.as_deref() {
        None => {}
        Some("0") => options.acks = Acks::Zero,
        Some("1") => options.acks = Acks::One,
        Some("all" | "-1") => options.acks = Acks::All,
        Some(other) => {
            return Err(Failure::usage(format!("--acks: {other:?} is none of 0, 1 and all"), next));
        }
    }
    if let Some(text) = &args.linger {
        let linger = parse_duration(text);
        options.linger =
            linger.map_err(|why| Failure::usage(format!("--linger {text}: {why}"), "such as 5ms or 1s"))?;
        options.delivery_timeout = options.delivery_timeout.max(options.linger + options.request_timeout);
    }
    if let Some(text) = &args.batch_bytes {
        let size = parse_size(text)
            .map_err(|why| Failure::usage(format!("--batch-bytes {text}: {why}"), "such as 128K or 1M"))?;
        let most = 1 << 30;
        if !(LEAST_BATCH..=most).contains(&size) {
            let what = format!("--batch-bytes {text}: allowed are {LEAST_BATCH} bytes to 1G");
            return Err(Failure::usage(what, next));
        }
        options.batch_bytes = usize::try_from(size).unwrap_or(usize::MAX);
    }
    if args.linger.is_none() && options.linger == Duration::ZERO {
        options.linger = Duration::from_millis(1);
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_keep_null_and_empty_apart() {
        assert_eq!(split_header(b"a=b=c"), (b"a".to_vec(), Some(b"b=c".to_vec())));
        assert_eq!(split_header(b"a="), (b"a".to_vec(), Some(vec![])));
        assert_eq!(split_header(b"a"), (b"a".to_vec(), None));
    }
}
