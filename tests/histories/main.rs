//! Histories of many concurrent clients through kills, power cuts and broken disks, and the checker that judges them.
//!
//! Each seed is one history. `KLOG_HISTORY_SEED` plays that one alone, `KLOG_HISTORIES` says how many; the long run
//! (`KLOG_TEST_LONG`) plays 1,000. What has a finding is written to `target/histories/`.
#![allow(clippy::unwrap_used, clippy::expect_used)]
// A request is sent at once and its answer waited for later: futures of futures.
#![allow(clippy::async_yields_async)]

mod carrier;
mod check;
mod daemon;
mod history;
mod layers;
mod members;
mod node;
mod planted;
mod producers;
mod readers;
mod simulated;
mod transactions;
mod world;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Mutex;

use check::{Anomaly, Finding};
use history::{Kind, Op};

fn long() -> bool {
    std::env::var_os("KLOG_TEST_LONG").is_some_and(|value| !value.is_empty())
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().filter(|value| !value.is_empty()).map(|value| value.parse().unwrap())
}

/// The seeds to play: the one asked for, or so many from a random one or from that one on.
fn seeds(short: u64, full: u64) -> std::ops::Range<u64> {
    let (seed, count) = (number("KLOG_HISTORY_SEED"), number("KLOG_HISTORIES"));
    let otherwise = match seed {
        Some(_) => 1,
        None if long() => full,
        None => short,
    };
    let first = seed.unwrap_or_else(|| u64::from(fastrand::u32(..)) << 16);
    first..first + count.unwrap_or(otherwise)
}

/// Writes a history down for people and answers where.
fn keep(what: &str, seed: u64, history: &[Op], findings: &[Finding]) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/histories");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("{what}-{seed}.txt"));
    let mut text = check::summary(findings);
    for finding in findings {
        writeln!(text, "{:?}: {}", finding.what, finding.detail).unwrap();
    }
    for op in history {
        writeln!(text, "{op:?}").unwrap();
    }
    std::fs::write(&path, text).unwrap();
    path
}

/// How much of what happened: a history of nothing but failures shows nothing.
fn extent(history: &[Op]) -> String {
    let mut counts: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    let mut records = 0;
    for op in history {
        let name = match &op.kind {
            Kind::Send(send) => {
                if send.txn.is_some() {
                    "sends in transactions"
                } else {
                    "sends"
                }
            }
            Kind::Poll(poll) => {
                records += poll.records.len();
                "polls"
            }
            Kind::Commit { txn: Some(_), .. } => "positions in transactions",
            Kind::Commit { .. } => "positions",
            Kind::Committed { .. } => "positions asked for",
            Kind::Init => "incarnations",
            Kind::End { commit: true, .. } => "commits",
            Kind::End { .. } => "aborts",
            Kind::Fault { .. } => "faults",
            Kind::Rot { .. } | Kind::Damaged { .. } | Kind::OutOfRange { .. } => "damage",
        };
        counts.entry(name).or_default()[op.outcome as usize] += 1;
    }
    let counts = counts.iter().map(|(name, [ok, fail, unknown])| format!("{name} {ok}/{fail}/{unknown}"));
    format!("{records} records read; ok/refused/unknown: {}", counts.collect::<Vec<_>>().join(", "))
}

#[test]
fn histories_over_the_simulated_disk_hold() {
    // Most of a history is waiting: a few at a time.
    let left = Mutex::new(seeds(20, 1000));
    let next = || left.lock().unwrap().next();
    let several = || {
        let mut bad = Vec::new();
        while let Some(seed) = next() {
            let (history, findings) = simulated::play(seed, &simulated::Sound);
            println!("simulated {seed}: {}", extent(&history));
            if !findings.is_empty() {
                let path = keep("simulated", seed, &history, &findings);
                println!("seed {seed}, see {}:\n{}", path.display(), check::summary(&findings));
                bad.push(seed);
            }
        }
        bad
    };
    let at_once = 3 * std::thread::available_parallelism().map_or(2, usize::from);
    let bad: Vec<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..at_once).map(|_| scope.spawn(several)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(bad.is_empty(), "repeat with KLOG_HISTORY_SEED: {bad:?}");
}

#[test]
fn histories_over_the_daemon_hold() {
    let (histories, rounds) = if long() { (10, 10) } else { (1, 5) };
    let mut bad = Vec::new();
    for seed in seeds(histories, histories) {
        let (history, findings) = daemon::play(seed, rounds);
        println!("daemon {seed}: {}", extent(&history));
        if !findings.is_empty() {
            let path = keep("daemon", seed, &history, &findings);
            println!("seed {seed}, see {}:\n{}", path.display(), check::summary(&findings));
            bad.push(seed);
        }
    }
    assert!(bad.is_empty(), "repeat with KLOG_HISTORY_SEED: {bad:?}");
}

/// Plays histories with a planted bug until one of `signs` is found: within as many as a short run has.
#[track_caller]
fn is_found(name: &str, plant: &impl simulated::Plant, signs: &[Anomaly]) {
    let mut seen = std::collections::BTreeSet::new();
    for seed in seeds(20, 20) {
        let (_, findings) = simulated::play(seed, plant);
        seen.extend(findings.iter().map(|finding| finding.what));
        if signs.iter().any(|sign| seen.contains(sign)) {
            println!("{name}: found with seed {seed}: {seen:?}");
            return;
        }
    }
    panic!("{name} is not found; only {seen:?}");
}

#[test]
fn a_skipped_sync_is_found() {
    is_found(
        "sync skipped",
        &planted::SyncSkipped,
        &[Anomaly::LostWrite, Anomaly::UnseenWrite, Anomaly::Vanished],
    );
}

#[test]
fn a_lost_marker_is_found() {
    let signs = [Anomaly::TornTransaction, Anomaly::Stuck];
    is_found("marker lost", &planted::MarkerLost, &signs);
}

#[test]
fn a_high_watermark_before_the_sync_is_found() {
    let signs = [Anomaly::Vanished, Anomaly::InconsistentOffset];
    is_found("high watermark before sync", &planted::WatermarkBeforeSync, &signs);
}

#[test]
fn fencing_that_is_off_is_found() {
    is_found("fencing off", &planted::FencingOff, &[Anomaly::Unfenced]);
}

#[test]
fn a_duplicate_check_that_is_off_is_found() {
    is_found("duplicate check off", &planted::DuplicateCheckOff, &[Anomaly::Duplicate]);
}
