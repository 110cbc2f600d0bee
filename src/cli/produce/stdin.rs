//! Stdin as something to wait for beside signals and timers; never changes its flags, which others share.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::read;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::cli::os;

/// What a pipe is asked to hold; the most that the system allows without privileges by default.
const PIPE_SIZE: i32 = 1 << 20;

/// Stdin of this process.
#[derive(Debug)]
pub(super) struct Stdin {
    /// `None` for files and the like, which are always ready.
    watched: Option<AsyncFd<OwnedFd>>,
}

impl Stdin {
    /// Registers stdin with the runtime; a pipe is made larger, so that fewer reads take more.
    pub(super) fn open() -> Stdin {
        let _ = fcntl(io::stdin(), FcntlArg::F_SETPIPE_SZ(PIPE_SIZE));
        Stdin { watched: os::watch(io::stdin(), Interest::READABLE).ok() }
    }

    /// Returns once a read does not block.
    pub(super) async fn ready(&self) -> io::Result<()> {
        let Some(watched) = &self.watched else { return Ok(()) };
        loop {
            let mut guard = watched.readable().await?;
            if self.is_waiting() {
                guard.retain_ready();
                return Ok(());
            }
            // What comes between the look and this is an event of its own.
            guard.clear_ready();
        }
    }

    /// Whether bytes, or the end, are there now.
    pub(super) fn is_waiting(&self) -> bool {
        let stdin = io::stdin();
        let mut fds = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
        !matches!(poll(&mut fds, PollTimeout::ZERO), Ok(0))
    }

    /// Reads what is there; 0 is the end. `None` where somebody else took it first.
    pub(super) fn read(&self, into: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match read(io::stdin(), into) {
                Ok(len) => return Ok(Some(len)),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
