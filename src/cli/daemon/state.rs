//! What is known of the daemon that holds a data folder: its lock and `klog-daemon`; never takes the lock itself.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// What a listening daemon writes about itself, one JSON line and its CRC-32.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// The version of this format: 1.
    #[serde(rename = "klog-daemon")]
    pub format: u32,
    /// Its process.
    pub pid: i32,
    /// When the process began, in clock ticks since boot: tells it from a later process with the same id.
    pub began_ticks: u64,
    /// When it started, epoch milliseconds.
    pub started_ms: i64,
    /// The version of klog it runs.
    pub version: String,
    /// What it listens on, as `-b` takes it.
    pub addresses: Vec<String>,
    /// Where it shows its metrics; nothing for a daemon that is older than they are.
    #[serde(default)]
    pub http: Vec<String>,
    /// The arguments of `broker run` it was started with, for `restart`.
    pub arguments: Vec<String>,
}

/// What holds a data folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// Nobody.
    Nobody,
    /// A daemon that accepts requests.
    Daemon(Running),
    /// A process that has not said what it is: a daemon that starts or stops, or another program.
    Unknown,
}

fn path_of(data: &Path) -> PathBuf {
    data.join("klog-daemon")
}

/// Who holds the folder. A folder that is not there is held by nobody.
pub fn holder(data: &Path) -> io::Result<Holder> {
    if !is_locked(data)? {
        return Ok(Holder::Nobody);
    }
    Ok(read(data).map_or(Holder::Unknown, Holder::Daemon))
}

/// Whether some process holds the folder's lock.
pub fn is_locked(data: &Path) -> io::Result<bool> {
    let file = match File::open(data.join(".lock")) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let mut lock = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    fcntl(&file, FcntlArg::F_OFD_GETLK(&mut lock))?;
    Ok(i32::from(lock.l_type) != libc::F_UNLCK)
}

/// Reads `klog-daemon`; nothing when it is missing, damaged, or about a process that is no more.
fn read(data: &Path) -> Option<Running> {
    let text = std::fs::read_to_string(path_of(data)).ok()?;
    let (line, crc) = text.split_once('\n')?;
    let crc = u32::from_str_radix(crc.trim(), 16).ok()?;
    let running: Running = serde_json::from_str(line).ok()?;
    let is_sound = crc == crc32fast::hash(line.as_bytes()) && running.format == 1;
    (is_sound && began_ticks(Pid::from_raw(running.pid)) == Some(running.began_ticks)).then_some(running)
}

/// Writes `klog-daemon`: a new file put in the old one's place. Only the holder of the lock may.
pub fn write(data: &Path, running: &Running) -> io::Result<()> {
    let line = serde_json::to_string(running)?;
    let text = format!("{line}\n{:08x}\n", crc32fast::hash(line.as_bytes()));
    let new = data.join("klog-daemon.new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600).open(&new)?.write_all(text.as_bytes())?;
    std::fs::rename(new, path_of(data))
}

/// Takes `klog-daemon` away. Only the holder of the lock may.
pub fn remove(data: &Path) {
    let _ = std::fs::remove_file(path_of(data));
}

/// When a process began, in clock ticks since boot; nothing when there is no such process.
pub fn began_ticks(pid: Pid) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the name in parentheses and may hold anything; field 22 counts from the first.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running() -> Running {
        let me = Pid::this();
        Running {
            format: 1,
            pid: me.as_raw(),
            began_ticks: began_ticks(me).unwrap(),
            started_ms: 1,
            version: "0.0.0".into(),
            addresses: vec!["unix:/x\n/y".into()],
            http: Vec::new(),
            arguments: vec!["-c".into(), "a=b".into()],
        }
    }

    #[test]
    fn what_is_written_is_read_unless_damaged_or_stale() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()), None);
        write(folder.path(), &running()).unwrap();
        assert_eq!(read(folder.path()), Some(running()));
        let gone = Running { began_ticks: 1, ..running() };
        write(folder.path(), &gone).unwrap();
        assert_eq!(read(folder.path()), None, "another process has the id now");
        write(folder.path(), &running()).unwrap();
        let text = std::fs::read_to_string(path_of(folder.path())).unwrap();
        std::fs::write(path_of(folder.path()), text.replace("0.0.0", "0.0.1")).unwrap();
        assert_eq!(read(folder.path()), None);
    }

    #[test]
    fn the_lock_is_seen_and_decides() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(holder(folder.path()).unwrap(), Holder::Nobody);
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).open(folder.path().join(".lock")).unwrap();
        write(folder.path(), &running()).unwrap();
        assert_eq!(holder(folder.path()).unwrap(), Holder::Nobody, "the file alone means nothing");
        let lock = libc::flock {
            l_type: libc::F_WRLCK as libc::c_short,
            l_whence: libc::SEEK_SET as libc::c_short,
            l_start: 0,
            l_len: 0,
            l_pid: 0,
        };
        fcntl(&file, FcntlArg::F_OFD_SETLK(&lock)).unwrap();
        assert_eq!(holder(folder.path()).unwrap(), Holder::Daemon(running()));
        remove(folder.path());
        assert_eq!(holder(folder.path()).unwrap(), Holder::Unknown);
    }
}
