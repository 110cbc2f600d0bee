//! `klog segment decode`: entries of files that are not for the eye, for people and for scripts; never writes a file.

use std::io;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::rows::Format;
use crate::cli::output::stream::Stream;
use crate::cli::topic::worse;
use crate::cli::{output, times};
use crate::inspect::decode::{self, Finding, InternalTopic, Kind, RealDisk, Row, Value};

#[derive(Debug, clap::Args)]
pub(super) struct DecodeArgs {
    /// Files, partitions' folders or whole data folders, of klog or of Apache Kafka. Of a topic that is not internal
    /// only transaction markers are decoded
    #[arg(required = true, value_name = "FILE|DIR", value_hint = clap::ValueHint::AnyPath)]
    paths: Vec<PathBuf>,
    /// Decode logs as those of this internal topic, whatever their folder is called
    #[arg(long = "as", value_name = "TOPIC", value_enum)]
    topic: Option<LogOf>,
    /// A JSON object a line: the same as -o jsonl
    #[arg(short = 'J', conflicts_with = "output")]
    jsonl: bool,
    /// How to write the entries: tables for people; the others are stable, for scripts
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value = "table")]
    output: Format,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum LogOf {
    /// __consumer_offsets
    Offsets,
    /// __transaction_state
    Transactions,
    /// __share_group_state
    ShareState,
    /// __cluster_metadata
    Metadata,
}

impl LogOf {
    fn topic(self) -> InternalTopic {
        match self {
            Self::Offsets => InternalTopic::Offsets,
            Self::Transactions => InternalTopic::Transactions,
            Self::ShareState => InternalTopic::ShareState,
            Self::Metadata => InternalTopic::Metadata,
        }
    }
}

/// How many findings of a file are told one by one.
const TOLD: usize = 10;

pub(super) fn run(context: &Context, args: DecodeArgs) -> Result<Exit, Failure> {
    let format = if args.jsonl { Format::Jsonl } else { args.output };
    let mut stream = Stream::new(format);
    let mut exit = Exit::Done;
    for path in &args.paths {
        let files = match files_at(path) {
            Ok(files) => files,
            Err(failure) => {
                exit = worse(exit, output::failure(&failure));
                continue;
            }
        };
        let alone = files.len() == 1;
        for (file, kind) in files {
            let kind = match (kind, args.topic) {
                (Kind::Log(_), Some(of)) => Kind::Log(Some(of.topic())),
                _ => kind,
            };
            if alone && kind == Kind::Log(None) {
                output::notice(context, &format!("{}: {ONLY_MARKERS}", file.display()));
            }
            let written = write(&mut stream, &file, kind, format)?;
            let end = match written.findings {
                Ok(findings) => tell(&file, &findings),
                Err(error) => output::failure(&Failure::io("read", &file, &error)),
            };
            exit = worse(exit, end);
            if !written.open {
                return Ok(exit);
            }
        }
    }
    stream.finish()?;
    Ok(exit)
}

const ONLY_MARKERS: &str = "not in the folder of an internal topic: only control records are decoded (--as says \
                            otherwise)";

fn files_at(path: &Path) -> Result<Vec<(PathBuf, Kind)>, Failure> {
    let files = decode::find(&RealDisk, path).map_err(|error| Failure::io("read", path, &error))?;
    if files.is_empty() { Err(nothing_in(path)) } else { Ok(files) }
}

fn nothing_in(path: &Path) -> Failure {
    if path.is_dir() {
        return Failure::missing(
            format!("nothing to decode in {}", path.display()),
            "name a partition's folder, a data folder, or a file",
        );
    }
    Failure::usage(
        format!("can't tell by its name what {} holds", path.display()),
        "decoded are .log .index .timeindex .txnindex .snapshot .checkpoint, and Kafka's and klog's small files by \
         their names",
    )
}

/// What became of a file.
struct Written {
    /// Whether stdout still takes data.
    open: bool,
    /// What is damaged, unless the file can not be read.
    findings: io::Result<Vec<Finding>>,
}

/// Writes a file's entries. Fails where stdout does, which ends the command.
fn write(stream: &mut Stream, file: &Path, kind: Kind, format: Format) -> Result<Written, Failure> {
    let layout = Layout { file: file.display().to_string(), kind, for_people: format == Format::Table };
    let mut open = stream.begin(layout.heading(format), &layout.columns());
    if !matches!(open, Ok(true)) {
        return Ok(Written { open: open?, findings: Ok(Vec::new()) });
    }
    let findings = decode::decode(&RealDisk, file, kind, &mut |row| {
        open = stream.push(layout.cells(row));
        matches!(open, Ok(true))
    });
    Ok(Written { open: open?, findings })
}

/// Says on stderr what is damaged in a file.
fn tell(file: &Path, findings: &[Finding]) -> Exit {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    let mut exit = Exit::Done;
    for finding in findings.iter().take(TOLD) {
        exit = output::failure(&Failure::new(
            Exit::Corrupt,
            format!("{} is damaged at byte {}: {}", file.display(), finding.position, finding.what),
            format!(
                "what could be read was written; look at the rest with: klog segment verify {}",
                folder.display()
            ),
        ));
    }
    if findings.len() > TOLD {
        output::complain(&format!("klog: {}: {} more like these", file.display(), findings.len() - TOLD));
    }
    exit
}

/// How a file's entries stand in the output.
struct Layout {
    file: String,
    kind: Kind,
    for_people: bool,
}

impl Layout {
    fn heading(&self, format: Format) -> String {
        match format {
            Format::Name => self.file.clone(),
            _ => format!("{}: {}", self.file, self.kind.name().replace('_', " ")),
        }
    }

    /// Whether a column is left to scripts.
    fn is_hidden(&self, column: &str) -> bool {
        let log = matches!(self.kind, Kind::Log(_));
        self.for_people
            && log
            && matches!(column, "position" | "timestamp" | "producer_epoch" | "version" | "error")
    }

    fn columns(&self) -> Vec<&'static str> {
        let mut columns = if self.for_people { vec![] } else { vec!["file", "kind"] };
        for column in self.kind.columns() {
            if !self.is_hidden(column) {
                columns.push(column);
            }
            // Times stand there twice: for people beside the number.
            if *column == "timestamp" {
                columns.push("time");
            }
        }
        columns
    }

    fn cells(&self, row: Row) -> Vec<Json> {
        let mut cells =
            if self.for_people { vec![] } else { vec![self.file.as_str().into(), self.kind.name().into()] };
        for (column, value) in self.kind.columns().iter().zip(row) {
            let time = match &value {
                Value::Int(ms) if *column == "timestamp" => Some(Json::from(times::rfc3339(*ms))),
                _ if *column == "timestamp" => Some(Json::Null),
                _ => None,
            };
            if !self.is_hidden(column) {
                cells.push(if self.for_people { readable(value) } else { as_json(value) });
            }
            cells.extend(time);
        }
        cells
    }
}

/// A value as JSON; bytes as the envelope has them when they are no text, so that a field always looks alike.
fn as_json(value: Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => value.into(),
        Value::Int(value) => value.into(),
        Value::Float(value) => value.into(),
        Value::Text(text) => text.into(),
        Value::Bytes(bytes) => json!({ "base64": STANDARD.encode(bytes) }),
        Value::List(values) => values.into_iter().map(as_json).collect(),
        Value::Struct(fields) => {
            fields.into_iter().map(|(name, value)| (name.to_owned(), as_json(value))).collect()
        }
    }
}

/// A value as a table's cell: numbers stay numbers, fields are `name=value`.
fn readable(value: Value) -> Json {
    match value {
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) => as_json(value),
        Value::Bytes(_) | Value::List(_) => text(&value).into(),
        Value::Struct(fields) => words(&fields).into(),
    }
}

fn words(fields: &[(&'static str, Value)]) -> String {
    let words: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", text(value))).collect();
    words.join(" ")
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        // A word stands bare; anything that would not read as one is quoted.
        Value::Text(text) if !text.is_empty() && !text.contains([' ', '=', ',', '[', ']', '{', '}', '"']) => {
            text.clone()
        }
        Value::Text(text) => format!("{text:?}"),
        Value::Bytes(bytes) => format!("base64:{}", STANDARD.encode(bytes)),
        Value::List(values) => {
            let texts: Vec<String> = values.iter().map(self::text).collect();
            format!("[{}]", texts.join(","))
        }
        Value::Struct(fields) => format!("{{{}}}", words(fields)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_for_people_and_for_scripts() {
        let value = Value::Struct(vec![
            ("group", "g".into()),
            ("note", "two words".into()),
            ("none", Value::Null),
            ("raw", bytes::Bytes::from_static(&[0xff]).into()),
            ("list", Value::List(vec![Value::Struct(vec![("a", 1i32.into())]), true.into()])),
        ]);
        let json = "{\"group\":\"g\",\"list\":[{\"a\":1},true],\"none\":null,\"note\":\"two words\",\
                    \"raw\":{\"base64\":\"/w==\"}}";
        assert_eq!(as_json(value.clone()).to_string(), json);
        assert_eq!(readable(value), "group=g note=\"two words\" none=- raw=base64:/w== list=[{a=1},true]");
        assert_eq!(readable(Value::Int(7)), 7);
    }

    #[test]
    fn every_column_has_its_cell() {
        for kind in [Kind::Log(None), Kind::TimeIndex(0), Kind::ProducerSnapshot, Kind::OffsetIndex(0)] {
            for for_people in [false, true] {
                let layout = Layout { file: "f".into(), kind, for_people };
                let row = kind.columns().iter().map(|_| Value::Int(1)).collect();
                assert_eq!(layout.cells(row).len(), layout.columns().len(), "{kind:?}");
            }
        }
    }
}
