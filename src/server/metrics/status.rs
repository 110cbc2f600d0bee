//! The `/status` page: the node as one JSON object, for scripts and `klog broker status`. Field names are a contract.

use std::time::Duration;

use serde_json::{Value, json};

use super::Facts;
use crate::metrics::{Group, Listener, Requests, Topic, Values};

pub(super) fn render(facts: &Facts) -> String {
    let node = &facts.node;
    let users = || node.topics.iter().filter(|topic| !topic.internal);
    let connections: i64 = facts.listeners.iter().map(|one| one.open).sum();
    let recovery = &node.recovery;
    let status = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "started_ms": node.started_ms,
        "up_ms": ms(node.up),
        "state": node.unready.unwrap_or("ready"),
        "topic_count": users().count(),
        "partition_count": users().map(|topic| topic.partitions.len()).sum::<usize>(),
        "group_count": node.groups.len(),
        "connection_count": connections,
        "records": users().map(Topic::records).sum::<u64>(),
        "bytes": users().map(Topic::bytes).sum::<u64>(),
        "log_bytes": node.sum(|one| one.bytes.unwrap_or(0)),
        "disk_total_bytes": node.disk.map(|disk| disk.total),
        "disk_free_bytes": node.disk.map(|disk| disk.free),
        "produced_records": node.produced.records,
        "produced_bytes": node.produced.bytes,
        "produced_batches": node.produced.batches,
        "fetched_bytes": node.fetched_bytes,
        "rates": {
            "window_ms": ms(node.rates.window),
            "produced_records_per_s": round(node.rates.records),
            "produced_bytes_per_s": round(node.rates.bytes),
            "fetched_bytes_per_s": round(node.rates.fetched_bytes),
        },
        "unsynced_bytes": node.unsynced_bytes,
        "sync": {
            "count": node.sync.duration.count(),
            "failures": node.sync.failures,
            "p50_us": micros(&node.sync.duration, 0.5),
            "p99_us": micros(&node.sync.duration, 0.99),
            "batches_per_sync": mean(&node.sync.batches),
        },
        "recovery": {
            "clean": recovery.clean,
            "logs": recovery.logs,
            "scanned_bytes": recovery.scanned_bytes,
            "cut_bytes": recovery.cut_bytes,
            "damaged_ranges": recovery.damaged_ranges,
            "took_ms": ms(recovery.took),
        },
        "process": {
            "resident_bytes": facts.process.resident_bytes,
            "open_fds": facts.process.open_fds,
            "max_fds": facts.process.max_fds,
            "threads": facts.process.threads,
            "cpu_ms": facts.process.cpu_ms,
        },
        "listeners": facts.listeners.iter().map(listener).collect::<Vec<_>>(),
        "requests": facts.requests.iter().map(requests).collect::<Vec<_>>(),
        "errors": node.errors.iter().map(|one| {
            json!({ "api": one.api, "error": one.error, "count": one.count })
        }).collect::<Vec<_>>(),
        "topics": node.topics.iter().take(facts.series()).map(topic).collect::<Vec<_>>(),
        "groups": node.groups.iter().take(facts.series()).map(group).collect::<Vec<_>>(),
        "warnings": if facts.names { node.warnings() } else { Vec::new() },
    });
    format!("{status}\n")
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// One digit behind the point is all that a rate is good for.
fn round(rate: f64) -> f64 {
    (rate * 10.0).round() / 10.0
}

fn micros(values: &Values, share: f64) -> Option<u64> {
    values.quantile(share).map(|ns| ns / 1000)
}

fn mean(values: &Values) -> Option<f64> {
    let count = values.count();
    (count > 0).then(|| round(values.sum() as f64 / count as f64))
}

fn listener(one: &Listener) -> Value {
    json!({
        "address": one.address,
        "connections": one.open,
        "accepted": one.accepted,
        "refused": one.refused_all + one.refused_ip,
        "received_bytes": one.received,
        "sent_bytes": one.sent,
    })
}

fn requests(one: &Requests) -> Value {
    json!({
        "api": one.api,
        "count": one.latency.count(),
        "p50_us": micros(&one.latency, 0.5),
        "p99_us": micros(&one.latency, 0.99),
    })
}

fn topic(one: &Topic) -> Value {
    json!({
        "topic": one.name,
        "internal": one.internal,
        "partitions": one.partitions.len(),
        "records": one.records(),
        "bytes": one.bytes(),
        "segments": one.sum(|partition| partition.segments),
        "produced_records": one.sum(|partition| partition.produced.records),
        "produced_bytes": one.sum(|partition| partition.produced.bytes),
        "fetched_bytes": one.sum(|partition| partition.fetched_bytes),
    })
}

fn group(one: &Group) -> Value {
    let worst = one.worst();
    json!({
        "group": one.name,
        "state": one.state,
        "members": one.members,
        "lag": one.lag(),
        "worst": worst.map(|worst| json!({
            "topic": worst.topic,
            "partition": worst.partition,
            "committed": worst.committed,
            "lag": worst.lag,
        })),
    })
}
