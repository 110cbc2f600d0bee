//! What the kernel offers and no safe wrapper does: pipe fill, default signal actions; the only unsafe of the command line.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, raise, sigaction};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

mod unread_ioctl {
    #![allow(missing_docs, unreachable_pub)]
    nix::ioctl_read_bad!(fionread, nix::libc::FIONREAD, nix::libc::c_int);
}

/// How many bytes written to the pipe behind `fd` its reader has not taken yet. Fails on anything but a pipe,
/// socket or terminal.
pub fn unread(fd: impl AsFd) -> io::Result<usize> {
    let mut waiting: nix::libc::c_int = 0;
    // SAFETY: FIONREAD writes one int through the pointer, which is valid for the length of the call.
    unsafe { unread_ioctl::fionread(fd.as_fd().as_raw_fd(), &mut waiting)? };
    Ok(usize::try_from(waiting).unwrap_or(0))
}

/// A copy of `fd` registered with the runtime, to wait for what `interest` says; its flags stay as they are. Fails on
/// files and the like, which are always ready.
pub fn watch(fd: impl AsFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    let fd = fd.as_fd().try_clone_to_owned()?;
    // SAFETY: the descriptor is owned by what is returned, so it stays open and the same for as long.
    unsafe { AsyncFd::register_with_interest(fd, interest) }.map_err(io::Error::from)
}

/// Whether the other end of the pipe, socket or terminal behind `fd` is gone, so that writing to it is pointless.
/// A file never hangs up.
pub fn hung_up(fd: impl AsFd) -> bool {
    let mut ends = [PollFd::new(fd.as_fd(), PollFlags::empty())];
    match poll(&mut ends, PollTimeout::ZERO) {
        Ok(1..) => ends[0].revents().is_some_and(|events| {
            events.intersects(PollFlags::POLLERR | PollFlags::POLLHUP | PollFlags::POLLNVAL)
        }),
        _ => false,
    }
}

/// Gives `signal` its default action back.
pub fn default_action(signal: Signal) -> io::Result<()> {
    let action = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: the default action runs no code of this process.
    unsafe { sigaction(signal, &action)? };
    Ok(())
}

/// Takes over a descriptor that nothing else in this process owns, such as one that was just duplicated.
pub(super) fn owned(fd: RawFd) -> OwnedFd {
    // SAFETY: the callers pass a descriptor that the kernel has just given them.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Ends the process the way `signal` does when nobody catches it, so that the shell sees the signal.
pub fn die_of(signal: Signal) -> ! {
    let _ = default_action(signal);
    let mut only = SigSet::empty();
    only.add(signal);
    let _ = only.thread_unblock();
    let _ = raise(signal);
    // Only a signal whose default action does not end the process comes here.
    std::process::exit(128 + signal as i32)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn a_pipe_says_what_its_reader_left_and_when_it_is_gone() {
        let (mut reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"abcde").unwrap();
        assert_eq!(unread(&writer).unwrap(), 5);
        reader.read_exact(&mut [0; 3]).unwrap();
        assert_eq!(unread(&writer).unwrap(), 2);
        assert!(!hung_up(&writer));
        drop(reader);
        assert!(hung_up(&writer));
    }

    #[test]
    fn a_file_is_no_pipe_and_never_hangs_up() {
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        assert!(!hung_up(&file));
        let null = std::fs::OpenOptions::new().write(true).open("/dev/null").unwrap();
        assert!(unread(&null).is_err());
        assert!(!hung_up(&null));
    }
}
