//! The daemon killed with SIGKILL at random moments under load: what was acknowledged is there, once, in order.
//!
//! Ten rounds here, fifty with the long counts. The seed is printed; `KLOG_TEST_SEED` repeats it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const KLOG: &str = env!("CARGO_BIN_EXE_klog");

struct Daemon {
    data: PathBuf,
    process: Child,
}

impl Daemon {
    fn start(data: &Path) -> Self {
        let log = File::options().create(true).append(true).open(data.with_extension("log")).unwrap();
        let process = klog(data)
            .args(["broker", "run"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut daemon = Self { data: data.to_owned(), process };
        let deadline = Instant::now() + Duration::from_secs(30);
        while !daemon.ready() {
            assert!(daemon.process.try_wait().unwrap().is_none(), "the daemon ended: {}", daemon.log());
            assert!(Instant::now() < deadline, "the daemon is not ready: {}", daemon.log());
        }
        daemon
    }

    fn ready(&self) -> bool {
        klog(&self.data).args(["broker", "status"]).output().unwrap().status.success()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.data.with_extension("log")).unwrap()
    }

    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn klog(data: &Path) -> Command {
    let mut command = Command::new(KLOG);
    command.arg("--data").arg(data).env("KLOG_AUTOSTART", "0");
    for name in ["KLOG_BROKER", "KLOG_DATA", "KLOG_PROFILE", "KLOG_CONFIG"] {
        command.env_remove(name);
    }
    command
}

/// A producer that writes numbered lines until told to stop; returns how many it wrote once all are acknowledged.
fn producer(data: &Path, topic: &str, partition: &str, stop: Arc<AtomicBool>) -> u64 {
    let mut process = klog(data)
        .args(["produce", topic, "-p", partition])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = BufWriter::new(process.stdin.take().unwrap());
    let mut written = 0u64;
    while !stop.load(Ordering::Relaxed) && written < 20_000_000 {
        for _ in 0..100 {
            writeln!(input, "{written:012} {:x}", written.wrapping_mul(0x9e37_79b9_7f4a_7c15)).unwrap();
            written += 1;
        }
        input.flush().unwrap();
    }
    drop(input);
    let done = process.wait_with_output().unwrap();
    assert!(done.status.success(), "the producer: {}", String::from_utf8_lossy(&done.stderr));
    written
}

fn rounds(count: u32) {
    let seed =
        std::env::var("KLOG_TEST_SEED").map_or_else(|_| fastrand::u64(..), |text| text.parse().unwrap());
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut daemon = Daemon::start(&data);
    assert!(klog(&data).args(["topic", "create", "t", "-p", "2"]).status().unwrap().success());

    let stop = Arc::new(AtomicBool::new(false));
    let producers: Vec<_> = ["0", "1"]
        .into_iter()
        .map(|partition| {
            let (data, stop) = (data.clone(), stop.clone());
            std::thread::spawn(move || producer(&data, "t", partition, stop))
        })
        .collect();
    for round in 0..count {
        std::thread::sleep(Duration::from_millis(random.u64(20..400)));
        daemon.kill();
        daemon = Daemon::start(&data);
        assert!(
            daemon.log().contains("recover"),
            "start-up does not say what recovery did:\n{}",
            daemon.log()
        );
        println!("round {round}");
    }
    stop.store(true, Ordering::Relaxed);
    for (partition, producer) in ["0", "1"].into_iter().zip(producers) {
        let written = producer.join().unwrap();
        let found = klog(&data).args(["consume", "t", "-e", "-p", partition]).output().unwrap();
        assert!(found.status.success());
        let mut expected = 0u64;
        for line in String::from_utf8(found.stdout).unwrap().lines() {
            let number: u64 = line.split(' ').next().unwrap().parse().unwrap();
            assert_eq!(number, expected, "partition {partition}, seed {seed}: lost, twice or out of order");
            expected += 1;
        }
        assert_eq!(expected, written, "partition {partition}, seed {seed}: acknowledged records are missing");
        println!("partition {partition}: {written} records");
    }
}

#[test]
fn acknowledged_records_survive_ten_kills() {
    rounds(10);
}

#[test]
#[ignore = "the long count: fifty kills"]
fn acknowledged_records_survive_fifty_kills() {
    rounds(50);
}
