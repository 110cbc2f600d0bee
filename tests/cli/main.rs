//! The built `klog` run as its users run it: arguments, stdin, and what comes out; each case in folders of its own.
//! With `KLOG_TEST_BROKER=HOST:PORT` the cases meet that broker instead of a daemon of their own, one after another
//! (`tests/kafka/commands.py` does this with Apache Kafka, and knows which cases can not).
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod admin;
#[path = "../wire/authority.rs"]
mod authority;
mod changes;
mod data;
mod house;
mod must_show;
mod pipeline;
mod prometheus;
mod rights;
mod secure;
mod segment;
mod status;
mod transactions;

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a command of a test may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(60);

/// Topics that a broker makes for itself.
const INTERNAL: &str = "^__(consumer_offsets|transaction_state|share_group_state)$";

/// The turn of a case at the broker that all of them share.
static TURN: Mutex<()> = Mutex::new(());

/// The broker that cases meet instead of daemons of their own.
fn shared_broker() -> Option<String> {
    std::env::var("KLOG_TEST_BROKER").ok()
}

/// A home and a data folder of their own; what was started in them ends with them.
pub struct World {
    folder: tempfile::TempDir,
    /// Held while the shared broker is this world's.
    turn: Option<MutexGuard<'static, ()>>,
}

impl World {
    /// Fresh folders under the system's temporary one.
    #[allow(clippy::new_without_default)] // a folder is made: nothing to have by default
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("klog-test-").tempdir().unwrap();
        std::fs::create_dir(folder.path().join("home")).unwrap();
        let turn = shared_broker().map(|_| TURN.lock().unwrap_or_else(PoisonError::into_inner));
        let world = Self { folder, turn };
        if world.turn.is_some() {
            // What the case before left: the names of topics and groups are the same in all of them.
            world.sh(&format!("klog topic list -o name | grep -vE '{INTERNAL}' | xargs -r klog topic delete -q -y --if-exists")).ok();
            // A member that was killed is there until its session ends.
            let groups = "klog group list -o name | xargs -r klog group delete -q -y --if-exists";
            until("no group is left", || world.sh(groups).done().status == 0);
        }
        world
    }

    /// A path in this world's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The data folder that commands of this world use; the first daemon makes it.
    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// `klog` with arguments.
    pub fn klog<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Run {
        let mut command = Command::new(env!("CARGO_BIN_EXE_klog"));
        command.args(arguments);
        self.run(command)
    }

    /// A shell script that finds `klog` by its name.
    pub fn sh(&self, script: &str) -> Run {
        let mut command = Command::new("bash");
        command.args(["-c", script]);
        self.run(command)
    }

    fn run(&self, mut command: Command) -> Run {
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("KLOG_") || name.starts_with("XDG_") || name == "COMPLETE" {
                command.env_remove(name);
            }
        }
        let bin = Path::new(env!("CARGO_BIN_EXE_klog")).parent().unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .env("PATH", format!("{}:{path}", bin.display()))
            .env("HOME", self.path("home"))
            .env("KLOG_DATA", self.data())
            .env("TZ", "UTC")
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(address) = shared_broker() {
            command.env("KLOG_BROKER", address).env("KLOG_AUTOSTART", "0");
        }
        Run { command, stdin: None }
    }

    /// A broker setting of the daemon that commands of this world start by themselves.
    pub fn config(&self, text: &str) {
        let folder = self.path("home/.config/klog");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("config.toml"), text).unwrap();
    }

    /// The process of the daemon that holds the data folder.
    pub fn daemon_pid(&self) -> Option<i32> {
        let done = self.klog(&["broker", "status", "-o", "tsv"]).done();
        let line = done.stdout_text().lines().nth(1)?.to_owned();
        (done.status == 0).then(|| line.split('\t').next().unwrap().parse().unwrap())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if self.turn.is_some() {
            return;
        }
        let stopped = self.klog(&["broker", "stop", "-q"]).done();
        if stopped.status != 0 && !std::thread::panicking() {
            panic!("the daemon does not stop: {}", stopped.stderr_text());
        }
    }
}

/// A command that is about to run.
pub struct Run {
    command: Command,
    stdin: Option<Vec<u8>>,
}

impl Run {
    /// Gives it these bytes on stdin, then the end.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self.command.stdin(Stdio::piped());
        self
    }

    /// Sets a variable.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Starts it and leaves it running.
    pub fn spawn(mut self) -> Going {
        let mut child = self.command.spawn().unwrap();
        if let Some(bytes) = self.stdin {
            let mut stdin = child.stdin.take().unwrap();
            // A command that does not read its stdin is no failure of the test's.
            std::thread::spawn(move || drop(stdin.write_all(&bytes)));
        }
        let stdout = collect(child.stdout.take().unwrap());
        let stderr = collect(child.stderr.take().unwrap());
        Going { child, stdout: Some(stdout), stderr: Some(stderr) }
    }

    /// Runs it to its end.
    pub fn done(self) -> Done {
        self.spawn().done()
    }

    /// Runs it to its end, which must be exit 0, and gives its stdout.
    #[track_caller]
    pub fn ok(self) -> String {
        let done = self.done();
        assert_eq!(done.status, 0, "{}", done.stderr_text());
        done.stdout_text()
    }
}

fn collect(mut from: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        bytes
    })
}

/// A command that runs.
pub struct Going {
    /// The process.
    pub child: Child,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
}

impl Going {
    /// Its process id.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid()), signal).unwrap();
    }

    /// Waits for its end.
    pub fn done(mut self) -> Done {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > deadline {
                let _ = self.child.kill();
                let stderr = self.stderr.take().unwrap().join().unwrap();
                panic!("it still runs after {PATIENCE:?}; stderr: {}", String::from_utf8_lossy(&stderr));
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let stdout = self.stdout.take().unwrap().join().unwrap();
        let stderr = self.stderr.take().unwrap().join().unwrap();
        let status = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
        Done { status, stdout, stderr }
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        // Only what a failing test left behind still runs here.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// A command that has ended; a signal counts as 128 and its number.
pub struct Done {
    /// The exit code.
    pub status: i32,
    /// What it wrote as data.
    pub stdout: Vec<u8>,
    /// What it wrote for people.
    pub stderr: Vec<u8>,
}

impl Done {
    /// Its stdout as text.
    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Its stderr as text.
    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

/// Waits until `holds` does, which it must within the patience of a test.
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
