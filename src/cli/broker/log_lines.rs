//! `--log-format json`: each event, panics too, as one JSON object on one line; never half a line.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt;
use std::panic::PanicHookInfo;

use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::cli::times;
use crate::model::time::{Clock, SystemClock};

/// Writes `time`, `time_ms`, `level`, `target`, `message` and the event's own `fields`.
#[derive(Debug, Clone, Copy)]
pub(super) struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let metadata = event.metadata();
        let now = SystemClock::new().wall_ms();
        // Written by hand for the order, which people read as well.
        writeln!(
            out,
            "{{\"time\":{},\"time_ms\":{now},\"level\":\"{}\",\"target\":{},\"message\":{},\"fields\":{}}}",
            json!(times::rfc3339(now)),
            metadata.level(),
            json!(metadata.target()),
            json!(fields.message),
            Value::Object(fields.others),
        )
    }
}

/// An event's fields as JSON: numbers and truth values as such, everything else as text.
#[derive(Debug, Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            (name, value) => {
                self.others.insert(name.to_owned(), value);
            }
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}

/// From here on a panic is an event of the log, instead of lines on stderr.
pub(super) fn catch_panics() {
    std::panic::set_hook(Box::new(log_panic));
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let location = panic.location().map(ToString::to_string);
    // Taken only where RUST_BACKTRACE asks for it.
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    tracing::error!(
        target: "panic",
        thread = thread.name().unwrap_or("unnamed"),
        location = location.as_deref(),
        backtrace = backtrace.as_deref(),
        "{}",
        panic.payload_as_str().unwrap_or("a panic without a message")
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(work: impl FnOnce()) -> Vec<Value> {
        let lines = Lines::default();
        let own = lines.clone();
        let subscriber =
            tracing_subscriber::fmt().event_format(JsonLines).with_writer(move || own.clone()).finish();
        tracing::subscriber::with_default(subscriber, work);
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert!(text.ends_with('\n'));
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn every_kind_of_field_and_any_text() {
        let lines = logged(|| {
            let error = io::Error::other("it \"broke\"");
            tracing::warn!(count = 3u64, down = -1, share = 0.5, yes = true, name = "a\tb", %error, list = ?[1, 2],
                "two\nlines\u{7}");
            tracing::info!("plain");
        });
        assert_eq!(lines.len(), 2);
        let first = &lines[0];
        assert_eq!(first["level"], "WARN");
        assert_eq!(first["message"], "two\nlines\u{7}");
        assert_eq!(first["target"], module_path!());
        let fields = json!({"count": 3, "down": -1, "share": 0.5, "yes": true, "name": "a\tb",
            "error": "it \"broke\"", "list": "[1, 2]"});
        assert_eq!(first["fields"], fields);
        let time = first["time"].as_str().unwrap();
        assert_eq!(times::parse(time, 0).ok(), first["time_ms"].as_i64());
        assert_eq!(lines[1]["fields"], json!({}));
    }

    #[test]
    fn a_panic_is_an_event() {
        let lines = logged(|| {
            let before = std::panic::take_hook();
            // Other tests may panic meanwhile: only this thread's belongs here.
            catch_panics();
            let caught = std::panic::catch_unwind(|| panic!("a {}\ndefect", "planted"));
            std::panic::set_hook(before);
            assert!(caught.is_err());
        });
        assert_eq!(lines.len(), 1);
        assert_eq!((&lines[0]["level"], &lines[0]["target"]), (&json!("ERROR"), &json!("panic")));
        assert_eq!(lines[0]["message"], "a planted\ndefect");
        let location = lines[0]["fields"]["location"].as_str().unwrap();
        assert!(location.contains("log_lines.rs:"), "{location}");
    }
}
