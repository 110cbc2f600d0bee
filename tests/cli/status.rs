//! What the daemon says of itself, held against what was done to it: status, metrics, logs.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::prometheus::Page;
use super::{World, until};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The one object of `broker status -o json`.
fn status(world: &World) -> Value {
    let mut rows = json(&world.klog(&["broker", "status", "-o", "json"]).ok());
    assert_eq!(rows.as_array().map(Vec::len), Some(1));
    rows[0].take()
}

fn metrics(world: &World) -> (Page, Value) {
    let page = Page::read(&world.klog(&["broker", "metrics"]).ok());
    (page, json(&world.klog(&["broker", "metrics", "-o", "json"]).ok()))
}

/// Bytes of the segments in the partitions' folders whose name begins so.
fn on_disk(data: &Path, begins: &str) -> u64 {
    let folders = fs::read_dir(data).unwrap().map(|entry| entry.unwrap());
    let folders = folders.filter(|entry| entry.file_name().to_str().unwrap().starts_with(begins));
    let files = folders.flat_map(|folder| fs::read_dir(folder.path()).into_iter().flatten());
    let segments =
        files.map(|file| file.unwrap()).filter(|file| file.path().extension().is_some_and(|e| e == "log"));
    segments.map(|file| file.metadata().unwrap().len()).sum()
}

/// A GET by hand.
fn get(url: &str, page: &str) -> (String, String) {
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    write!(stream, "GET {page} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

#[test]
fn status_and_metrics_agree_with_what_was_produced() {
    let world = World::new();
    world.klog(&["topic", "create", "a", "-p", "3"]).ok();
    world.klog(&["topic", "create", "b", "c"]).ok();
    world.sh("seq 1000 | klog produce a -p 0; seq 200 | klog produce a -p 1; seq 500 | klog produce b").ok();
    assert_eq!(world.klog(&["consume", "b", "-g", "g", "-n", "123"]).ok().lines().count(), 123);
    let read = world.klog(&["consume", "a", "-g", "h", "-e"]).ok();
    assert_eq!(read.lines().count(), 1200);

    let found = status(&world);
    let number = |name: &str| found[name].as_u64().unwrap_or_else(|| panic!("{name} of {found}"));
    assert_eq!((number("topics"), number("partitions"), number("groups")), (3, 5, 2));
    assert_eq!((number("records"), number("produced_records")), (1700, 1700));
    let (a, b) = (on_disk(&world.data(), "a-"), on_disk(&world.data(), "b-"));
    assert_eq!((number("bytes"), number("produced_bytes")), (a + b, a + b));
    assert_eq!(number("log_bytes"), a + b + on_disk(&world.data(), "__"));
    assert!(number("disk_free_bytes") <= number("disk_total_bytes") && number("disk_total_bytes") > 0);
    assert!(number("sync_p50_us") <= number("sync_p99_us"));
    assert_eq!((&found["state"], &found["warnings"]), (&"ready".into(), &Value::Array(Vec::new())));
    assert_eq!(found["pid"].as_i64(), world.daemon_pid().map(i64::from));
    let lag = |group: &str| {
        let all = found["lag"].as_array().unwrap();
        all.iter().find(|one| one["group"] == group).unwrap().clone()
    };
    let worst = serde_json::json!({"topic": "b", "partition": 0, "committed": 123, "lag": 377});
    assert_eq!((lag("g")["lag"].as_u64(), lag("g")["worst"].clone()), (Some(377), worst));
    assert_eq!(lag("h")["lag"], 0);

    let (page, whole) = metrics(&world);
    for (topic, records, bytes) in [("a", 1200, a), ("b", 500, b), ("c", 0, 0)] {
        let one = whole["topics"].as_array().unwrap().iter().find(|one| one["topic"] == topic).unwrap();
        assert_eq!((one["records"].as_u64(), one["bytes"].as_u64()), (Some(records), Some(bytes)), "{one}");
        for name in ["klog_topic_records", "klog_produced_records_total"] {
            assert_eq!(page.value(name, &[("topic", topic)]), records as f64, "{name}");
        }
        for name in ["klog_topic_size_bytes", "klog_produced_bytes_total"] {
            assert_eq!(page.value(name, &[("topic", topic)]), bytes as f64, "{name}");
        }
    }
    for (partition, end) in [("0", 1000.0), ("1", 200.0), ("2", 0.0)] {
        let labels = [("topic", "a"), ("partition", partition)];
        assert_eq!(page.value("klog_partition_log_end_offset", &labels), end);
        assert_eq!(page.value("klog_partition_high_watermark", &labels), end);
        assert_eq!(page.value("klog_partition_log_start_offset", &labels), 0.0);
    }
    let labels = [("group", "g"), ("topic", "b"), ("partition", "0")];
    assert_eq!(page.value("klog_group_lag_records", &labels), 377.0);
    assert_eq!(page.value("klog_groups", &[("state", "Empty")]), 2.0);
    let produced = page.value("klog_request_duration_seconds_count", &[("api", "Produce")]);
    assert!(produced >= 3.0, "{produced}");
    assert!(page.value("klog_fetched_bytes_total", &[("topic", "a")]) >= a as f64);
    let unix = format!("unix:{}", world.data().join("klog.sock").display());
    let listener = [("listener", unix.as_str())];
    assert!(page.value("klog_received_bytes_total", &listener) > (a + b) as f64);
    assert!(page.value("klog_connections_accepted_total", &listener) >= 8.0);
    assert_eq!(page.value("klog_failed_logs", &[]) + page.value("klog_full_logs", &[]), 0.0);
}

#[test]
fn logs_at_rest_are_counted_and_not_loaded() {
    let world = World::new();
    world.klog(&["topic", "create", "a", "-p", "20"]).ok();
    world.sh("for p in 0 7 19; do seq 100 | klog produce a -p $p; done").ok();
    let before = status(&world);
    world.klog(&["broker", "restart"]).ok();
    let (_, loaded_before) = metrics(&world);
    let after = status(&world);
    for name in ["topics", "partitions", "records", "bytes"] {
        assert_eq!(before[name], after[name], "{name}");
    }
    assert_eq!((&after["produced_records"], &after["records"]), (&0.into(), &300.into()));
    assert_eq!(loaded_before["recovery"]["clean"], true);
    // The catalog's log is in use, no other one.
    let (page, _) = metrics(&world);
    assert_eq!(page.value("klog_loaded_logs", &[]), 1.0);
    world.sh("seq 5 | klog produce a -p 7").ok();
    let (page, whole) = metrics(&world);
    assert_eq!(page.value("klog_loaded_logs", &[]), 2.0);
    assert_eq!((&whole["records"], &whole["bytes"]), (&305.into(), &on_disk(&world.data(), "a-").into()));
}

#[test]
fn without_a_daemon_nothing_is_shown_and_none_is_started() {
    let world = World::new();
    for command in [&["broker", "status"][..], &["broker", "metrics"], &["broker", "metrics", "-o", "json"]] {
        let done = world.klog(command).done();
        assert_eq!((done.status, done.stdout_text().as_str()), (7, ""), "{command:?}");
        assert!(done.stderr_text().contains("no daemon is running"), "{}", done.stderr_text());
    }
    assert!(!world.data().exists());
}

#[test]
fn a_daemon_without_the_pages_is_still_shown() {
    let world = World::new();
    world.klog(&["broker", "start"]).ok();
    fs::remove_file(world.data().join("klog-http.sock")).unwrap();
    let found = status(&world);
    assert_eq!(found["version"], env!("CARGO_PKG_VERSION"));
    assert!(found["up_ms"].is_u64() && found["addresses"][0].as_str().unwrap().starts_with("unix:"));
    assert!(found["records"].is_null() && found["lag"].is_null());
    let table = world.klog(&["broker", "status"]).ok();
    assert!(table.starts_with("pid ") && !table.contains("stored"), "{table}");
    let done = world.klog(&["broker", "metrics"]).done();
    assert_eq!(done.status, 7);
    assert!(done.stderr_text().contains("shows no metrics"), "{}", done.stderr_text());
}

#[test]
fn a_start_after_a_kill_says_what_it_recovered() {
    let world = World::new();
    world.sh("seq 1000 | klog produce t").ok();
    kill(Pid::from_raw(world.daemon_pid().unwrap()), Signal::SIGKILL).unwrap();
    until("the daemon is gone", || world.daemon_pid().is_none());
    world.klog(&["broker", "start"]).ok();
    let (page, whole) = metrics(&world);
    assert_eq!(whole["recovery"]["clean"], false);
    assert!(whole["recovery"]["logs"].as_u64().unwrap() >= 1, "{}", whole["recovery"]);
    assert_eq!((&whole["records"], &whole["recovery"]["cut_bytes"]), (&1000.into(), &0.into()));
    assert_eq!(page.value("klog_start_clean", &[]), 0.0);
    assert!(page.value("klog_recovery_duration_seconds", &[]) > 0.0);
    let said = status(&world)["warnings"].clone();
    assert!(said[0].as_str().unwrap().contains("the last stop was not clean"), "{said}");
    assert!(world.klog(&["broker", "status"]).ok().contains("warning"));
    world.klog(&["broker", "restart"]).ok();
    assert_eq!(status(&world)["warnings"], Value::Array(Vec::new()));
}

#[test]
fn http_on_a_free_port_is_told_everywhere_and_kept_by_restart() {
    let world = World::new();
    let told = world.klog(&["broker", "start", "--http", "127.0.0.1:0"]).ok();
    let url = told.lines().find(|line| line.starts_with("http://127.0.0.1:")).unwrap().to_owned();
    assert_eq!(told.lines().count(), 2, "{told}");
    assert_eq!(get(&url, "/healthz"), ("HTTP/1.1 200 OK".into(), "alive\n".into()));
    assert_eq!(get(&url, "/readyz"), ("HTTP/1.1 200 OK".into(), "ready\n".into()));
    Page::read(&get(&url, "/metrics").1);
    assert_eq!(status(&world)["http"][1], url.as_str());
    assert!(world.klog(&["broker", "status"]).ok().contains(&url));
    let again = world.klog(&["broker", "restart"]).ok();
    let url = again.lines().find(|line| line.starts_with("http://")).unwrap().to_owned();
    assert_eq!(get(&url, "/healthz").1, "alive\n");
    world.klog(&["broker", "stop"]).ok();
    assert!(!world.data().join("klog-http.sock").exists());
    // The config file says it as well; the flag wins.
    world.config("[broker]\nhttp = \"127.0.0.1:0\"\n");
    assert!(world.klog(&["broker", "start"]).ok().contains("http://127.0.0.1:"));
    world.klog(&["broker", "stop"]).ok();
    for wrong in ["localhost", "unix:/x", "a:b:c", "70000"] {
        let done = world.klog(&["broker", "start", "--http", wrong]).done();
        assert_eq!(done.status, 2, "{wrong}: {}", done.stderr_text());
    }
}

#[test]
fn a_long_data_folder_has_its_pages_too() {
    let world = World::new();
    let long = world.path(&"x".repeat(120));
    let long = long.to_str().unwrap();
    world.klog(&["--data", long, "broker", "start"]).ok();
    let text = world.klog(&["--data", long, "broker", "metrics"]).ok();
    world.klog(&["--data", long, "broker", "stop"]).ok();
    Page::read(&text);
}

#[test]
fn json_logs_are_json_from_the_first_line_to_the_last() {
    let world = World::new();
    let daemon = world.klog(&["broker", "run", "--log-format", "json", "-v"]).spawn();
    until("it listens", || world.daemon_pid().is_some());
    world.sh("seq 10 | klog produce 'top.ic'").ok();
    // A second daemon is refused; its complaint is a line like the others.
    let second = world.klog(&["broker", "run", "--log-format", "json"]).done();
    daemon.signal(Signal::SIGTERM);
    let first = daemon.done();
    assert_eq!((first.status, second.status), (0, 1));
    let mut levels = Vec::new();
    for text in [first.stderr_text(), second.stderr_text()] {
        assert!(text.lines().count() > 0);
        for line in text.lines() {
            let line = json(line);
            let names: BTreeSet<&str> = line.as_object().unwrap().keys().map(String::as_str).collect();
            let wanted = ["fields", "level", "message", "target", "time", "time_ms"];
            assert_eq!(names, wanted.into());
            assert!(line["time"].as_str().unwrap().ends_with('Z') && line["time_ms"].as_i64().unwrap() > 0);
            assert!(!line["message"].as_str().unwrap().is_empty(), "{line}");
            levels.push(line["level"].as_str().unwrap().to_owned());
        }
    }
    assert!(["DEBUG", "INFO", "ERROR"].iter().all(|level| levels.iter().any(|found| found == level)));
    assert!(second.stderr_text().contains("is running for"), "{}", second.stderr_text());
}

#[test]
fn a_daemon_that_hangs_is_no_daemon_that_answers() {
    let world = World::new();
    world.klog(&["broker", "start"]).ok();
    let pid = Pid::from_raw(world.daemon_pid().unwrap());
    kill(pid, Signal::SIGSTOP).unwrap();
    let done = world.klog(&["broker", "status"]).done();
    kill(pid, Signal::SIGCONT).unwrap();
    assert_eq!(done.status, 7, "{}", done.stderr_text());
    assert!(done.stderr_text().contains("no answer in 10 s"), "{}", done.stderr_text());
    world.klog(&["broker", "status"]).ok();
}
