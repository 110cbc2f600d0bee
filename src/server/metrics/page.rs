//! The `/metrics` page: every number under its Prometheus name. Names are a contract; each has its unit at its end.

use super::Facts;
use crate::metrics::{Kind, Node, Partition, Text, Topic};
use Kind::{Counter, Gauge};

/// Partitions, topics and groups' partitions that get series of their own; the sums count all of them.
pub(super) const SERIES: usize = 2000;

/// Nanoseconds in a second: histograms are kept in those and shown in these.
const SECOND: f64 = 1e9;

pub(super) fn render(facts: &Facts) -> String {
    let mut text = Text::default();
    node(&mut text, &facts.node);
    requests(&mut text, facts);
    listeners(&mut text, facts);
    syncs(&mut text, &facts.node);
    topics(&mut text, facts);
    partitions(&mut text, facts);
    groups(&mut text, facts);
    recovery(&mut text, &facts.node);
    process(&mut text, facts);
    text.finish()
}

fn node(text: &mut Text, node: &Node) {
    text.family("klog_build_info", Gauge, "The version that runs; always 1.");
    text.sample("klog_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    let seconds = node.started_ms as f64 / 1e3;
    text.single("klog_start_time_seconds", Gauge, "When the broker was opened, since 1970.", seconds);
    text.single("klog_uptime_seconds", Gauge, "How long ago that is.", node.up.as_secs_f64());
    let ready = u8::from(node.unready.is_none());
    text.single("klog_ready", Gauge, "1 when it serves, as /readyz says.", ready);
    let took = node.took.as_secs_f64();
    text.single("klog_scrape_duration_seconds", Gauge, "How long it took to look at the node.", took);
    let count = |of: fn(&Partition) -> bool| node.sum(|one| u64::from(of(one)));
    let users = node.topics.iter().filter(|topic| !topic.internal);
    text.single("klog_topics", Gauge, "Topics, internal ones aside.", users.clone().count());
    let all: usize = users.map(|topic| topic.partitions.len()).sum();
    text.single("klog_partitions", Gauge, "Partitions of those topics.", all);
    text.single("klog_loaded_logs", Gauge, "Logs in use since the start.", count(|one| one.loaded));
    let failed = count(|one| one.failed);
    text.single("klog_failed_logs", Gauge, "Logs that take no appends after an I/O error.", failed);
    let full = count(|one| one.full);
    text.single("klog_full_logs", Gauge, "Logs that found the disk full within 30 s.", full);
    let damaged = node.sum(|one| one.damaged);
    text.single("klog_damaged_ranges", Gauge, "Ranges of loaded logs that are damaged.", damaged);
    let bytes = node.sum(|one| one.bytes.unwrap_or(0));
    text.single("klog_log_size_bytes", Gauge, "Segments of all logs, internal ones too.", bytes);
    if let Some(disk) = node.disk {
        text.single("klog_disk_size_bytes", Gauge, "The data folder's file system.", disk.total);
        text.single("klog_disk_free_bytes", Gauge, "What may still be written to it.", disk.free);
    }
}

fn requests(text: &mut Text, facts: &Facts) {
    let name = "klog_request_duration_seconds";
    text.histograms(
        name,
        "From the whole request being here to its answer being taken; a fetch waits for records in it.",
    );
    for one in &facts.requests {
        text.histogram(name, &[("api", one.api)], &one.latency, SECOND);
    }
    let name = "klog_request_errors_total";
    text.family(name, Counter, "Partitions of Produce and Fetch requests that were answered with an error.");
    for one in &facts.node.errors {
        text.sample(name, &[("api", one.api), ("error", one.error)], one.count);
    }
}

fn listeners(text: &mut Text, facts: &Facts) {
    let mut family = |name, kind, help, of: fn(&crate::metrics::Listener) -> i64| {
        text.family(name, kind, help);
        for one in &facts.listeners {
            text.sample(name, &[("listener", &one.address)], of(one));
        }
    };
    family("klog_connections", Gauge, "Open connections.", |one| one.open);
    family("klog_connections_accepted_total", Counter, "Connections taken in.", |one| signed(one.accepted));
    family("klog_received_bytes_total", Counter, "Bytes of requests.", |one| signed(one.received));
    family("klog_sent_bytes_total", Counter, "Bytes of answers.", |one| signed(one.sent));
    let name = "klog_connections_refused_total";
    text.family(name, Counter, "Connections turned away, by the setting that said so.");
    for one in &facts.listeners {
        let limits = [("max.connections", one.refused_all), ("max.connections.per.ip", one.refused_ip)];
        for (limit, count) in limits {
            text.sample(name, &[("listener", &one.address), ("limit", limit)], count);
        }
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn syncs(text: &mut Text, node: &Node) {
    let name = "klog_sync_duration_seconds";
    text.histograms(name, "How long it took to make a log's appends durable.");
    text.histogram(name, &[], &node.sync.duration, SECOND);
    let name = "klog_sync_batches";
    text.histograms(name, "How many batches one sync made durable.");
    text.histogram(name, &[], &node.sync.batches, 1.0);
    let failures = node.sync.failures;
    text.single(
        "klog_sync_failures_total",
        Counter,
        "Syncs that failed; each ends a log's appends.",
        failures,
    );
    let unsynced = node.unsynced_bytes;
    text.single("klog_unsynced_bytes", Gauge, "Appended bytes that no sync has covered.", unsynced);
}

fn topics(text: &mut Text, facts: &Facts) {
    let (node, series) = (&facts.node, facts.series());
    let mut family = |name, kind, help, of: fn(&Topic) -> u64| {
        text.family(name, kind, help);
        for topic in node.topics.iter().take(series) {
            text.sample(name, &[("topic", &topic.name)], of(topic));
        }
    };
    family("klog_produced_records_total", Counter, "Records appended since the start.", |topic| {
        topic.sum(|one| one.produced.records)
    });
    family("klog_produced_bytes_total", Counter, "Bytes appended, as they are stored.", |topic| {
        topic.sum(|one| one.produced.bytes)
    });
    family("klog_produced_batches_total", Counter, "Batches appended.", |topic| {
        topic.sum(|one| one.produced.batches)
    });
    family("klog_fetched_bytes_total", Counter, "Bytes of records given to consumers.", |topic| {
        topic.sum(|one| one.fetched_bytes)
    });
    family("klog_topic_size_bytes", Gauge, "Segments of the topic.", Topic::bytes);
    family("klog_topic_records", Gauge, "Offsets from log start to log end.", Topic::records);
    let left_out = node.topics.len().saturating_sub(series);
    text.single("klog_topics_without_series", Gauge, "Topics beyond the first 2000 by name.", left_out);
}

fn partitions(text: &mut Text, facts: &Facts) {
    let (node, series) = (&facts.node, facts.series());
    let mut family = |name, help, of: fn(&Partition) -> Option<i64>| {
        text.family(name, Gauge, help);
        let all = node.topics.iter().flat_map(|topic| {
            let numbered = topic.partitions.iter().enumerate();
            numbered.map(move |(index, one)| (topic, index, one))
        });
        for (topic, index, one) in all.take(series) {
            let Some(value) = of(one) else { continue };
            text.sample(name, &[("topic", &topic.name), ("partition", &index.to_string())], value);
        }
    };
    family("klog_partition_log_start_offset", "The first offset that is there.", |one| Some(one.log_start));
    family("klog_partition_high_watermark", "The end of what consumers see.", |one| Some(one.high_watermark));
    family("klog_partition_log_end_offset", "The next offset to be given.", |one| Some(one.log_end));
    family("klog_partition_size_bytes", "Its segments.", |one| one.bytes.map(signed));
    family("klog_partition_segments", "How many segments it has.", |one| {
        one.bytes.and(Some(signed(one.segments)))
    });
    let all: usize = node.topics.iter().map(|topic| topic.partitions.len()).sum();
    let help = "Partitions beyond the first 2000 by topic and number: the sums count them.";
    text.single("klog_partitions_without_series", Gauge, help, all.saturating_sub(series));
}

fn groups(text: &mut Text, facts: &Facts) {
    let (node, series) = (&facts.node, facts.series());
    let name = "klog_groups";
    text.family(name, Gauge, "Groups by their state.");
    let states = ["Empty", "PreparingRebalance", "CompletingRebalance", "Assigning", "Reconciling", "Stable"];
    for state in states {
        let count = node.groups.iter().filter(|group| group.state == state).count();
        text.sample(name, &[("state", state)], count);
    }
    let name = "klog_group_members";
    text.family(name, Gauge, "Members of the group.");
    for group in node.groups.iter().take(series) {
        text.sample(name, &[("group", &group.name)], group.members);
    }
    let all = || node.groups.iter().flat_map(|group| group.partitions.iter().map(move |one| (group, one)));
    let name = "klog_group_lag_records";
    text.family(name, Gauge, "Records from the group's offset to the high watermark.");
    for (group, one) in all().take(series) {
        let partition = one.partition.to_string();
        let labels = [("group", group.name.as_str()), ("topic", &one.topic), ("partition", &partition)];
        text.sample(name, &labels, one.lag);
    }
    let left_out = all().count().saturating_sub(series);
    let help = "Offsets of groups beyond the first 2000.";
    text.single("klog_group_offsets_without_series", Gauge, help, left_out);
}

fn recovery(text: &mut Text, node: &Node) {
    let done = &node.recovery;
    let clean = u8::from(done.clean);
    text.single("klog_start_clean", Gauge, "1 when the stop before this start was clean.", clean);
    text.single("klog_recovered_logs", Gauge, "Logs that the start recovered.", done.logs);
    let scanned = done.scanned_bytes;
    text.single("klog_recovery_scanned_bytes", Gauge, "Bytes whose batches it checked.", scanned);
    text.single("klog_recovery_cut_bytes", Gauge, "Bytes it cut off torn tails and kept.", done.cut_bytes);
    let damaged = done.damaged_ranges;
    text.single("klog_recovery_damaged_ranges", Gauge, "Damaged ranges it found.", damaged);
    let took = done.took.as_secs_f64();
    text.single("klog_recovery_duration_seconds", Gauge, "From the lock to being open.", took);
}

fn process(text: &mut Text, facts: &Facts) {
    let process = &facts.process;
    let cpu = process.cpu_ms as f64 / 1e3;
    text.single("process_cpu_seconds_total", Counter, "Processor time used.", cpu);
    let resident = process.resident_bytes;
    text.single("process_resident_memory_bytes", Gauge, "Memory in use.", resident);
    text.single("process_open_fds", Gauge, "Open descriptors.", process.open_fds);
    text.single("process_max_fds", Gauge, "How many may be open.", process.max_fds);
    text.single("process_threads", Gauge, "Threads.", process.threads);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Group, GroupPartition, Histogram, Syncs};
    use std::time::Duration;

    fn facts(partitions: usize) -> Facts {
        let partition = Partition { log_end: 7, bytes: Some(70), segments: 1, ..Partition::default() };
        let topic = |name: &str| Topic {
            name: name.to_owned(),
            internal: false,
            partitions: vec![partition; partitions / 2],
        };
        let lag = |partition| GroupPartition { topic: "a".into(), partition, committed: 0, lag: 7 };
        let group = Group {
            name: "g".into(),
            state: "Stable",
            members: 1,
            partitions: (0..1000).map(lag).collect(),
            before: None,
        };
        let none = Histogram::of_nanoseconds().values();
        let node = Node {
            started_ms: 0,
            up: Duration::ZERO,
            unready: None,
            topics: vec![topic("a"), topic("b")],
            groups: vec![group.clone(), Group { name: "h".into(), ..group.clone() }, group],
            groups_known: true,
            produced: Default::default(),
            fetched_bytes: 0,
            rates: Default::default(),
            errors: Vec::new(),
            sync: Syncs { duration: none.clone(), batches: none, failures: 0 },
            unsynced_bytes: 0,
            recovery: Default::default(),
            disk: None,
            took: Duration::ZERO,
        };
        Facts { node, listeners: Vec::new(), requests: Vec::new(), process: Default::default(), names: true }
    }

    #[test]
    fn a_page_is_bounded_and_says_what_it_leaves_out() {
        let page = render(&facts(5000));
        let count = |begin: &str| page.lines().filter(|line| line.starts_with(begin)).count();
        assert_eq!(count("klog_partition_log_end_offset{"), SERIES);
        assert_eq!(count("klog_group_lag_records{"), SERIES);
        for line in [
            "klog_partitions_without_series 3000",
            "klog_group_offsets_without_series 1000",
            "klog_partitions 5000",
            "klog_log_size_bytes 350000",
            "klog_topic_records{topic=\"b\"} 17500",
        ] {
            assert_eq!(count(line), 1, "{line}");
        }
        assert!(page.len() < 2 << 20, "{}", page.len());
    }

    #[test]
    fn a_page_that_names_nothing_counts_everything() {
        let page = render(&Facts { names: false, ..facts(50) });
        assert!(!page.contains("topic=\"") && !page.contains("group=\""), "{page}");
        for line in ["klog_partitions 50", "klog_partitions_without_series 50"] {
            assert!(page.lines().any(|found| found == line), "{line}\n{page}");
        }
    }

    #[test]
    fn the_help_names_the_bound_that_holds() {
        let page = render(&facts(2));
        assert_eq!(page.matches(&format!("beyond the first {SERIES}")).count(), 3);
    }
}
