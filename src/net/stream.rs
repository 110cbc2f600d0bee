//! A connected byte stream over any transport; must never look at the bytes it carries.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use nix::sys::socket::{MsgFlags, getsockopt, sendmsg, setsockopt, sockopt};
use nix::unistd::geteuid;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::send_file::send_file;
use super::tls::TlsStream;

/// Buffer asked for on each side of a Unix socket, in bytes. Measured: it doubles what sendfile moves.
pub const SOCKET_BUFFER: usize = 1 << 20;

// nix has no name for MSG_MORE.
const MORE: MsgFlags = MsgFlags::from_bits_retain(nix::libc::MSG_MORE)
    .union(MsgFlags::MSG_DONTWAIT)
    .union(MsgFlags::MSG_NOSIGNAL);

/// What is asked of the kernel for a connection's buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SocketOptions {
    /// `SO_SNDBUF` of TCP connections in bytes; none leaves it to the kernel, which then tunes it.
    pub send_buffer: Option<usize>,
    /// `SO_RCVBUF` of TCP connections in bytes; none leaves it to the kernel.
    pub receive_buffer: Option<usize>,
}

/// A connected socket, registered with the runtime it was made in.
#[derive(Debug)]
pub enum Stream {
    /// Over a Unix socket.
    Unix(UnixStream),
    /// Over TCP, without Nagle's delay.
    Tcp(TcpStream),
    /// Over TCP and encrypted, after the handshake.
    Tls(Box<TlsStream>),
}

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remote {
    /// A process of this machine.
    Unix,
    /// A TCP peer.
    Tcp(SocketAddr),
}

/// A piece of an open file that is to be sent.
#[derive(Debug, Clone, Copy)]
pub struct FileRange<'a> {
    /// The file, open for reading; its own position is not used.
    pub file: BorrowedFd<'a>,
    /// Where the piece starts, in bytes.
    pub position: u64,
    /// How long it is, in bytes.
    pub len: usize,
}

impl Stream {
    /// Takes a connected Unix socket into the current runtime and widens its buffers.
    pub fn from_unix(socket: std::os::unix::net::UnixStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        // The kernel caps what it does not grant; smaller buffers are slower, never wrong.
        let _ = setsockopt(&socket, sockopt::SndBuf, &SOCKET_BUFFER);
        let _ = setsockopt(&socket, sockopt::RcvBuf, &SOCKET_BUFFER);
        UnixStream::from_std(socket).map(Self::Unix)
    }

    /// Takes a connected TCP socket into the current runtime.
    pub fn from_tcp(socket: std::net::TcpStream, options: &SocketOptions) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        if let Some(bytes) = options.send_buffer {
            let _ = setsockopt(&socket, sockopt::SndBuf, &bytes);
        }
        if let Some(bytes) = options.receive_buffer {
            let _ = setsockopt(&socket, sockopt::RcvBuf, &bytes);
        }
        TcpStream::from_std(socket).map(Self::Tcp)
    }

    /// Whether the other end is on a Unix socket.
    pub fn is_unix(&self) -> bool {
        matches!(self, Self::Unix(_))
    }

    /// Whether the other end is a process of root or of this process's own user, as the kernel says of a Unix socket.
    pub fn is_own_user(&self) -> bool {
        let Self::Unix(unix) = self else { return false };
        getsockopt(unix, sockopt::PeerCredentials)
            .is_ok_and(|peer| peer.uid() == 0 || peer.uid() == geteuid().as_raw())
    }

    /// The address of this end; none for a Unix socket.
    pub fn local(&self) -> Option<SocketAddr> {
        match self {
            Self::Unix(_) => None,
            Self::Tcp(tcp) => tcp.local_addr().ok(),
            Self::Tls(tls) => tls.get_ref().0.local_addr().ok(),
        }
    }

    /// Whether bytes are encrypted on their way. Files are then read and written; [`Stream::poll_send_file`] is not for
    /// them.
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// The certificate that the other end showed and the handshake verified, in DER.
    pub fn certificate(&self) -> Option<&[u8]> {
        let Self::Tls(tls) = self else { return None };
        tls.get_ref().1.peer_certificates()?.first().map(|certificate| &**certificate)
    }

    /// Writes like `poll_write_vectored`, telling TCP that more follows at once, so that a short head
    /// does not travel as a packet of its own.
    pub fn poll_write_more(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Self::Tcp(tcp) = self else {
            return Pin::new(self).poll_write_vectored(cx, pieces);
        };
        loop {
            ready!(tcp.poll_write_ready(cx))?;
            let fd = tcp.as_raw_fd();
            let sent = tcp.try_io(Interest::WRITABLE, || Ok(sendmsg::<()>(fd, pieces, &[], MORE, None)?));
            match sent {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    /// Sends from a file without bringing its bytes into this process. The bytes sent are at least 1, or 0
    /// at the end of the file; one call moves at most 1 MiB (64 KiB on TCP).
    pub fn poll_send_file(&mut self, cx: &mut Context<'_>, range: FileRange<'_>) -> Poll<io::Result<usize>> {
        loop {
            let sent = match self {
                Self::Unix(unix) => {
                    ready!(unix.poll_write_ready(cx))?;
                    unix.try_io(Interest::WRITABLE, || send_file(unix.as_fd(), range, 1 << 20))
                }
                Self::Tcp(tcp) => {
                    ready!(tcp.poll_write_ready(cx))?;
                    tcp.try_io(Interest::WRITABLE, || send_file(tcp.as_fd(), range, 64 << 10))
                }
                Self::Tls(_) => return Poll::Ready(Err(io::ErrorKind::Unsupported.into())),
            };
            match sent {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(unix) => Pin::new(unix).poll_read(cx, into),
            Self::Tcp(tcp) => Pin::new(tcp).poll_read(cx, into),
            Self::Tls(tls) => match Pin::new(tls).poll_read(cx, into) {
                // Many clients leave without TLS's own goodbye. What is cut short so is a frame, which has its length.
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    Poll::Ready(Ok(()))
                }
                read => read,
            },
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Unix(unix) => Pin::new(unix).poll_write(cx, from),
            Self::Tcp(tcp) => Pin::new(tcp).poll_write(cx, from),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, from),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Unix(unix) => Pin::new(unix).poll_write_vectored(cx, pieces),
            Self::Tcp(tcp) => Pin::new(tcp).poll_write_vectored(cx, pieces),
            Self::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// What a TLS session has taken but not given to the socket yet goes out; there is nothing such without TLS.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(_) | Self::Tcp(_) => Poll::Ready(Ok(())),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(unix) => Pin::new(unix).poll_shutdown(cx),
            Self::Tcp(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
