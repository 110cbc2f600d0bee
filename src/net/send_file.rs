//! sendfile(2) as one non-blocking step; must never loop or wait.

use std::io;
use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::sys::sendfile::sendfile64;

use super::stream::FileRange;

/// Sends up to `most` bytes of the range. `WouldBlock` when the socket is full.
pub(super) fn send_file(socket: BorrowedFd<'_>, range: FileRange<'_>, most: usize) -> io::Result<usize> {
    let mut position = i64::try_from(range.position).map_err(|_| io::ErrorKind::InvalidInput)?;
    loop {
        match sendfile64(socket, range.file, Some(&mut position), range.len.min(most)) {
            Ok(sent) => return Ok(sent),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}
