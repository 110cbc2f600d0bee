//! Appends against plain writes of the same sizes in the same run, plans, and opening a thousand logs; it keeps nothing.
//!
//! `cargo bench --profile quick --bench storage [-- FOLDER]`: with a folder, what it wrote stays there for other tools.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use klog::model::id::{TopicId, TopicPartition};
use klog::model::time::SystemClock;
use klog::record::{Batch, BatchBuilder, BatchSummary, ProducerStamp};
use klog::storage::disk::{Disk, Mode};
use klog::storage::{Folder, FolderOptions, Log, LogSettings, RealDisk};

const TOTAL: u64 = 1 << 30;
const STEP: u64 = 64 << 20;

fn open(path: &Path) -> Arc<Folder> {
    let options = FolderOptions {
        node_id: 1,
        new_cluster_id: TopicId([1; 16]),
        new_directory_id: TopicId([2; 16]),
        max_open_files: 4096,
    };
    Folder::open(Arc::new(RealDisk), path, Arc::new(SystemClock::new()), options).expect("the folder opens")
}

fn log(folder: &Arc<Folder>, partition: i32, flush_messages: i64) -> Arc<Log> {
    let settings = LogSettings { flush_messages, ..LogSettings::default() };
    Log::open(folder, TopicPartition::new("bench", partition), TopicId([3; 16]), settings)
        .expect("the log opens")
}

fn batch(bytes: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    while builder.is_empty() || builder.len() + 100 < bytes {
        builder.push_value(1_700_000_000_000, &[b'x'; 89]);
    }
    builder.finish_plain(ProducerStamp::NONE).expect("a batch")
}

fn gb_per_s(bytes: u64, time: Duration) -> f64 {
    bytes as f64 / 1e9 / time.as_secs_f64()
}

/// The same bytes by plain writes into a file that is allocated in the same steps.
fn plain(path: &Path, batch: &[u8]) -> Duration {
    let file = RealDisk.open(path, Mode::Create).expect("a file");
    let start = Instant::now();
    let mut at = 0;
    while at < TOTAL {
        if at % STEP < batch.len() as u64 {
            let _ = file.allocate(at, STEP);
        }
        file.write_vectored_at(&[IoSlice::new(batch)], at).expect("a write");
        at += batch.len() as u64;
    }
    let time = start.elapsed();
    let _ = std::fs::remove_file(path);
    time
}

fn appends(log: &Log, batch: &[u8], total: u64) -> Duration {
    let summary = BatchSummary::trusted(&Batch::exactly(batch).expect("a batch"));
    let start = Instant::now();
    let mut at = 0;
    while at < total {
        log.append(batch, &summary, 0, None, None).expect("an append");
        at += batch.len() as u64;
    }
    start.elapsed()
}

fn throughput(root: &Path) {
    // First touch of memory is up to 20 times slower on virtual machines: pay for it before.
    drop(vec![1u8; 2 << 30]);
    for size in [16 << 10, 128 << 10, 1 << 20] {
        let batch = batch(size);
        let mut ratios = Vec::new();
        for round in 0..5 {
            let write = plain(&root.join("plain"), &batch);
            let path = root.join(format!("append-{size}-{round}"));
            let folder = open(&path);
            let append = appends(&log(&folder, 0, i64::MAX), &batch, TOTAL);
            ratios.push((write.as_secs_f64() / append.as_secs_f64(), gb_per_s(TOTAL, append)));
            let _ = std::fs::remove_dir_all(&path);
        }
        ratios.sort_by(|a, b| a.0.total_cmp(&b.0));
        println!(
            "append {size:>7}: {:.2} of plain write, {:.2} GB/s (median of 5)",
            ratios[2].0, ratios[2].1
        );
    }
}

fn plans(root: &Path) {
    let folder = open(&root.join("plans"));
    let log = log(&folder, 0, i64::MAX);
    appends(&log, &batch(4 << 10), 64 << 20);
    let (end, mut from, count) = (log.log_end(), 0, 200_000);
    let start = Instant::now();
    for _ in 0..count {
        from = (from + 7919) % (end - 1);
        assert!(log.plan(from, 1 << 20, end, true).expect("a plan").len > 0);
    }
    println!("plan at random: {:.2} us", start.elapsed().as_secs_f64() * 1e6 / f64::from(count));
    let batch = batch(100);
    let mut times: Vec<_> = (0..500)
        .map(|_| {
            let start = Instant::now();
            appends(&log, &batch, 1);
            log.sync().expect("a sync");
            start.elapsed()
        })
        .collect();
    times.sort();
    println!("append and sync of one record: p50 {:?}, p99 {:?}", times[250], times[495]);
}

fn starts(root: &Path) {
    let path = root.join("starts");
    let small = batch(1000);
    {
        let folder = open(&path);
        let start = Instant::now();
        let logs: Vec<_> = (0..1000).map(|n| log(&folder, n, 1)).collect();
        folder.sync().expect("a sync");
        println!("make 1,000 logs: {:?}", start.elapsed());
        let start = Instant::now();
        for log in &logs {
            appends(log, &small, 5000);
            log.sync().expect("a sync");
        }
        println!("append to and sync 1,000 logs: {:?}", start.elapsed());
    }
    let start = Instant::now();
    {
        let folder = open(&path);
        assert_eq!(folder.dirty_at_open().len(), 1000);
        let logs: Vec<_> = (0..1000).map(|n| log(&folder, n, 1)).collect();
        println!("open 1,000 dirty logs: {:?}", start.elapsed());
        let start = Instant::now();
        assert!(folder.close_logs(&logs).expect("closed").is_empty());
        folder.close_clean().expect("closed");
        println!("close them: {:?}", start.elapsed());
    }
    let start = Instant::now();
    let folder = open(&path);
    assert!(folder.was_clean() && folder.dirty_at_open().is_empty());
    let logs: Vec<_> = (0..1000).map(|n| log(&folder, n, 1)).collect();
    println!("open 1,000 clean logs: {:?}", start.elapsed());
    assert!(logs.iter().all(|log| log.log_end() > 0));
    let start = Instant::now();
    for log in &logs {
        let _ = log.size().expect("loaded");
    }
    println!("first use of each: {:?}", start.elapsed());
}

fn main() {
    let kept = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let root = kept.as_ref().map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench-storage"),
        |path| Path::new(path).to_path_buf(),
    );
    let _ = std::fs::remove_dir_all(&root);
    std::fs::create_dir_all(&root).expect("a folder");
    starts(&root);
    plans(&root);
    throughput(&root);
    if kept.is_none() {
        let _ = std::fs::remove_dir_all(&root);
    }
}
