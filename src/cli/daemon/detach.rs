//! What a daemon does first after its exec: own session, root folder, strict umask, default signals, no descriptor
//! of its parent but the report; never returns to the terminal it came from.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{chdir, close, dup2_stderr, dup2_stdin, dup2_stdout, setsid};

use crate::cli::exit::Failure;
use crate::cli::os;

/// The way back to the process that started the daemon: one message, then the end.
#[derive(Debug)]
pub struct Report {
    pipe: Option<File>,
}

impl Report {
    /// The daemon accepts requests at these addresses.
    pub fn ready(&mut self, addresses: &[String]) {
        self.send(&format!("ready\n{}", addresses.join("\n")));
    }

    /// Another daemon was faster: nothing to complain about.
    pub fn beaten(&mut self) {
        self.send("beaten");
    }

    /// The daemon does not start, and why.
    pub fn failed(&mut self, failure: &Failure) {
        let what = failure.what.replace('\n', " ");
        self.send(&format!("failed\n{}\n{what}\n{}", failure.exit.code(), failure.next));
    }

    /// Nobody may be listening any more: then nobody needs to know.
    fn send(&mut self, text: &str) {
        if let Some(mut pipe) = self.pipe.take() {
            let _ = pipe.write_all(format!("{text}\n").as_bytes());
        }
    }
}

/// Leaves the parent behind. Call before the first thread and the first file; stdout is the report's pipe.
pub fn detach() -> io::Result<Report> {
    // Fails only for the leader of a process group, which a freshly started child is not.
    let _ = setsid();
    let stdout = io::stdout();
    let pipe = os::owned(fcntl(&stdout, FcntlArg::F_DUPFD_CLOEXEC(3))?);
    close_all_but(pipe.as_raw_fd())?;
    let null: OwnedFd = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    // Until the log is open, a panic goes to whoever waits.
    dup2_stderr(&pipe)?;
    chdir("/")?;
    umask(Mode::from_bits_truncate(0o077));
    for signal in Signal::iterator().filter(|signal| !matches!(signal, Signal::SIGKILL | Signal::SIGSTOP)) {
        // SIGPIPE stays ignored: a client that goes away is an error of its socket, not the daemon's end.
        if signal != Signal::SIGPIPE {
            let _ = os::default_action(signal);
        }
    }
    SigSet::empty().thread_set_mask()?;
    // The name that ps and top show would be that of the link it was started through.
    let _ = std::fs::write("/proc/self/comm", "klog");
    Ok(Report { pipe: Some(File::from(pipe)) })
}

/// Closes what the parent left open, so that nobody waits for the daemon to end.
fn close_all_but(kept: i32) -> io::Result<()> {
    let mut open = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd")? {
        if let Some(fd) = entry?.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) {
            open.push(fd);
        }
    }
    // The listing's own descriptor is among them and closed already: an error here says nothing.
    open.into_iter().filter(|&fd| fd > 2 && fd != kept).for_each(|fd| {
        let _ = close(fd);
    });
    Ok(())
}
