//! `klog broker status|metrics`: what the daemon says of itself; a daemon too old to say it is shown as far as its
//! `klog-daemon` file goes. Never starts one.

use std::io::ErrorKind;
use std::path::Path;

use serde_json::{Value, json};

use super::{MetricsFormat, control, pages};
use crate::cli::context::Context;
use crate::cli::daemon::state::Running;
use crate::cli::exit::{Exit, Failure, plain};
use crate::cli::output::rows::{Format, Rows};
use crate::cli::{output, times};
use crate::model::time::{Clock, SystemClock};
use crate::model::units::{show_duration, show_size};

/// Fields of the answer that scripts rely on: the first seven are known of every daemon, the others may be null.
const COLUMNS: [&str; 28] = [
    "pid",
    "version",
    "started",
    "started_ms",
    "up_ms",
    "addresses",
    "data",
    "http",
    "state",
    "topics",
    "partitions",
    "groups",
    "connections",
    "records",
    "bytes",
    "log_bytes",
    "disk_free_bytes",
    "disk_total_bytes",
    "produced_records",
    "produced_bytes",
    "fetched_bytes",
    "produced_records_per_s",
    "produced_bytes_per_s",
    "fetched_bytes_per_s",
    "rate_window_ms",
    "sync_p50_us",
    "sync_p99_us",
    "lag",
];

/// The columns behind those, in the same rows.
const LAST: &str = "warnings";

pub(super) fn show(context: &Context, format: Format) -> Result<Exit, Failure> {
    let running = control::running(context)?;
    let data = &context.settings.data.value;
    let (status, trouble) = ask(data, &running)?;
    let mut warnings = warnings(&running, &status);
    warnings.extend(trouble);
    if format == Format::Table {
        return people(context, &running, &status, &warnings).write_tall();
    }
    let names: Vec<&'static str> = COLUMNS.into_iter().chain([LAST]).collect();
    let mut rows = Rows::new(&names);
    let at = |pointer: &str| status.pointer(pointer).cloned().unwrap_or(Value::Null);
    rows.push(vec![
        running.pid.into(),
        running.version.as_str().into(),
        times::rfc3339(running.started_ms).into(),
        running.started_ms.into(),
        up_ms(&running).into(),
        running.addresses.clone().into(),
        data.display().to_string().into(),
        running.http.clone().into(),
        at("/state"),
        at("/topic_count"),
        at("/partition_count"),
        at("/group_count"),
        at("/connection_count"),
        at("/records"),
        at("/bytes"),
        at("/log_bytes"),
        at("/disk_free_bytes"),
        at("/disk_total_bytes"),
        at("/produced_records"),
        at("/produced_bytes"),
        at("/fetched_bytes"),
        at("/rates/produced_records_per_s"),
        at("/rates/produced_bytes_per_s"),
        at("/rates/fetched_bytes_per_s"),
        at("/rates/window_ms"),
        at("/sync/p50_us"),
        at("/sync/p99_us"),
        lags(&status),
        warnings.into(),
    ]);
    rows.write(format)
}

/// The status page; null where there is none, and what to say of that. A daemon without the socket is older, or going
/// away: what is known of it is shown all the same. One that hangs is not there for anybody.
fn ask(data: &Path, running: &Running) -> Result<(Value, Option<String>), Failure> {
    let why = match pages::get(data, "/status") {
        Ok(text) => match serde_json::from_str(&text) {
            Ok(status) => return Ok((status, None)),
            Err(error) => error.to_string(),
        },
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
            return Ok((Value::Null, None));
        }
        Err(error) if error.kind() == ErrorKind::TimedOut => {
            let what = format!("the daemon (process {}) hangs: {}", running.pid, plain(&error));
            return Err(Failure::unreachable(what, "see what it said with: klog broker logs"));
        }
        Err(error) => plain(&error),
    };
    Ok((Value::Null, Some(format!("the daemon does not tell its status: {why}"))))
}

pub(super) fn metrics(context: &Context, format: MetricsFormat) -> Result<Exit, Failure> {
    let running = control::running(context)?;
    let page = if format == MetricsFormat::Json { "/status" } else { "/metrics" };
    let text = pages::get(&context.settings.data.value, page).map_err(|error| {
        let what = format!(
            "the daemon (process {}, klog {}) shows no metrics: {}",
            running.pid,
            running.version,
            plain(&error)
        );
        Failure::unreachable(what, "one of an older version is mended with: klog broker restart")
    })?;
    output::data(text.as_bytes())?;
    Ok(Exit::Done)
}

fn up_ms(running: &Running) -> i64 {
    SystemClock::new().wall_ms().saturating_sub(running.started_ms).max(0)
}

/// Each group with its lag and the partition that lacks most; null where it is not known.
fn lags(status: &Value) -> Value {
    let Some(groups) = status["groups"].as_array() else { return Value::Null };
    let one = |group: &Value| json!({"group": group["group"], "lag": group["lag"], "worst": group["worst"]});
    groups.iter().map(one).collect()
}

fn warnings(running: &Running, status: &Value) -> Vec<String> {
    let said = status["warnings"].as_array().into_iter().flatten();
    let mut found: Vec<String> = said.filter_map(Value::as_str).map(str::to_owned).collect();
    if running.version != env!("CARGO_PKG_VERSION") {
        let (its, mine) = (&running.version, env!("CARGO_PKG_VERSION"));
        found.push(format!("the daemon is klog {its}, this is {mine}; mend it with: klog broker restart"));
    }
    found
}

/// What people want to see at a glance; sizes and times in their units, and nothing that is not known.
fn people(context: &Context, running: &Running, status: &Value, warnings: &[String]) -> Rows {
    let mut rows: Vec<(&'static str, Value)> = Vec::new();
    let whole_seconds = std::time::Duration::from_secs(up_ms(running).unsigned_abs() / 1000);
    rows.push(("pid", running.pid.into()));
    rows.push(("version", running.version.as_str().into()));
    rows.push(("started", times::rfc3339(running.started_ms).into()));
    rows.push(("up", span(whole_seconds).into()));
    rows.push(("addresses", running.addresses.clone().into()));
    if let Some(asked_for @ [_, ..]) = running.http.get(1..) {
        rows.push(("http", asked_for.into()));
    }
    rows.push(("data", context.settings.data.value.display().to_string().into()));
    if !status.is_null() {
        rows.extend(facts(status));
    }
    rows.extend(warnings.iter().map(|warning| ("warning", warning.as_str().into())));
    let (names, values): (Vec<&'static str>, Vec<Value>) = rows.into_iter().unzip();
    let mut tall = Rows::new(&names);
    tall.push(values);
    tall
}

fn facts(status: &Value) -> Vec<(&'static str, Value)> {
    let number = |pointer: &str| status.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    let size = |pointer: &str| show_size(number(pointer));
    let rate = |pointer: &str| status.pointer(pointer).and_then(Value::as_f64).unwrap_or(0.0).round() as u64;
    let window = std::time::Duration::from_secs((number("/rates/window_ms") / 1000).max(1));
    let mut rows: Vec<(&'static str, Value)> = vec![
        ("state", status["state"].clone()),
        ("topics", format!("{}, {} partitions", number("/topic_count"), number("/partition_count")).into()),
        (
            "stored",
            format!(
                "{} records, {}; {} with internal topics",
                number("/records"),
                size("/bytes"),
                size("/log_bytes")
            )
            .into(),
        ),
        ("disk", format!("{} free of {}", size("/disk_free_bytes"), size("/disk_total_bytes")).into()),
        ("connections", number("/connection_count").into()),
        (
            "produced",
            format!(
                "{} records, {} since the start; {} records/s, {}/s over the last {}",
                number("/produced_records"),
                size("/produced_bytes"),
                rate("/rates/produced_records_per_s"),
                show_size(rate("/rates/produced_bytes_per_s")),
                span(window),
            )
            .into(),
        ),
        (
            "consumed",
            format!(
                "{} since the start; {}/s",
                size("/fetched_bytes"),
                show_size(rate("/rates/fetched_bytes_per_s"))
            )
            .into(),
        ),
    ];
    if let (Some(p50), Some(p99)) = (status["sync"]["p50_us"].as_u64(), status["sync"]["p99_us"].as_u64()) {
        rows.push(("sync", format!("p50 {:.2} ms, p99 {:.2} ms", p50 as f64 / 1e3, p99 as f64 / 1e3).into()));
    }
    for group in status["groups"].as_array().into_iter().flatten() {
        let name = group["group"].as_str().unwrap_or_default();
        let mut text = format!(
            "{name}: {}, {} members, lag {}",
            group["state"].as_str().unwrap_or("?"),
            group["members"],
            group["lag"]
        );
        let worst = &group["worst"];
        if worst["lag"].as_u64().is_some_and(|lag| lag > 0) {
            let topic = worst["topic"].as_str().unwrap_or_default();
            text += &format!(" (most in {topic}-{}: {})", worst["partition"], worst["lag"]);
        }
        rows.push(("group", text.into()));
    }
    rows
}

/// A time in its two largest units.
fn span(time: std::time::Duration) -> String {
    let seconds = time.as_secs();
    let kept = match seconds {
        0..3_600 => return show_parts(seconds),
        3_600..86_400 => seconds - seconds % 60,
        _ => seconds - seconds % 3_600,
    };
    show_parts(kept)
}

fn show_parts(seconds: u64) -> String {
    let parts = [
        (seconds / 86_400, 86_400),
        (seconds / 3_600 % 24, 3_600),
        (seconds / 60 % 60, 60),
        (seconds % 60, 1),
    ];
    let shown = parts.iter().filter(|(count, _)| *count > 0);
    let text: String =
        shown.map(|(count, unit)| show_duration(std::time::Duration::from_secs(count * unit))).collect();
    if text.is_empty() { "0s".to_owned() } else { text }
}
