//! One outgoing connection, with a time-out; must never retry: who dials decides that.

use std::fmt;
use std::io;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream, lookup_host};

use super::path::ShortPath;
use super::{Address, SocketOptions, Stream};

/// Why a connection did not come about.
#[derive(Debug)]
pub struct DialError {
    /// What was dialled.
    pub address: Address,
    /// What the system said; `TimedOut` after the time-out, `NotFound` for a socket file or host that
    /// does not exist, `ConnectionRefused` where nobody listens.
    pub source: io::Error,
}

impl DialError {
    /// Whether nobody listens at a Unix address: the socket file is missing, or left behind by a dead daemon.
    pub fn nobody_there(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
    }
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot connect to {}: {}", self.address, self.source)
    }
}

impl std::error::Error for DialError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Connects within the time-out, which covers name resolution too. A name with several addresses is tried
/// in their order.
pub async fn dial(address: &Address, timeout: Duration) -> Result<Stream, DialError> {
    let attempt = async {
        match address {
            Address::Unix(path) => {
                let short = ShortPath::new(path)?;
                Stream::from_unix(UnixStream::connect(short.as_path()).await?.into_std()?)
            }
            Address::Tcp { host, port } => tcp(host, *port).await,
        }
    };
    let outcome = match tokio::time::timeout(timeout, attempt).await {
        Ok(outcome) => outcome,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    };
    outcome.map_err(|source| DialError { address: address.clone(), source })
}

async fn tcp(host: &str, port: u16) -> io::Result<Stream> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in lookup_host((host, port)).await? {
        match TcpStream::connect(address).await {
            Ok(socket) => return Stream::from_tcp(socket.into_std()?, &SocketOptions::default()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Accepted, Acceptor, Listener};
    use nix::sys::socket::{getsockopt, sockopt};
    use std::os::unix::fs::PermissionsExt;
    use std::path::{Path, PathBuf};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const SOON: Duration = Duration::from_secs(10);

    fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
    }

    async fn connected(address: &Address) -> (Stream, Stream, Address) {
        let listener = Listener::bind(address, 16).unwrap();
        let bound = listener.address().clone();
        let acceptor = listener.into_acceptor().unwrap();
        let (dialled, accepted) = tokio::join!(dial(&bound, SOON), acceptor.accept());
        let accepted: Accepted = accepted.unwrap();
        (dialled.unwrap(), accepted.into_stream(&SocketOptions::default()).unwrap(), bound)
    }

    async fn carries(mut one: Stream, mut other: Stream) {
        one.write_all(b"ping").await.unwrap();
        let mut bytes = [0; 4];
        other.read_exact(&mut bytes).await.unwrap();
        other.write_all(&bytes).await.unwrap();
        drop(other);
        let mut back = Vec::new();
        one.read_to_end(&mut back).await.unwrap();
        assert_eq!(back, b"ping");
    }

    #[test]
    fn tcp_connects_without_delay_and_learns_its_port() {
        run(async {
            let any: Address = "127.0.0.1:0".parse().unwrap();
            let (one, other, bound) = connected(&any).await;
            assert!(matches!(bound, Address::Tcp { port, .. } if port != 0));
            for stream in [&one, &other] {
                let Stream::Tcp(tcp) = stream else { panic!("not TCP") };
                assert!(tcp.nodelay().unwrap() && !stream.is_own_user());
            }
            carries(one, other).await;
        });
    }

    #[test]
    fn a_unix_socket_is_private_and_wide() {
        run(async {
            let folder = Folder::new("private");
            let path = folder.0.join("klog.sock");
            let (one, other, _) = connected(&Address::Unix(path.clone())).await;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            for stream in [&one, &other] {
                assert!(stream.is_own_user());
                let Stream::Unix(unix) = stream else { panic!("not Unix") };
                // The kernel says twice what was asked for, or its own cap.
                assert!(getsockopt(unix, sockopt::SndBuf).unwrap() >= 200 << 10);
            }
            carries(one, other).await;
        });
    }

    #[test]
    fn a_socket_path_may_be_long() {
        run(async {
            let folder = Folder::new("long");
            let deep = folder.0.join("d".repeat(100)).join("e".repeat(100));
            std::fs::create_dir_all(&deep).unwrap();
            let (one, other, bound) = connected(&Address::Unix(deep.join("klog.sock"))).await;
            assert_eq!(bound, Address::Unix(deep.join("klog.sock")));
            carries(one, other).await;
            let name = "n".repeat(108);
            let error = Listener::bind(&Address::Unix(deep.join(name)), 1).unwrap_err();
            assert_eq!(error.source.kind(), io::ErrorKind::InvalidFilename);
        });
    }

    #[test]
    fn nobody_there_is_told_from_nobody_answering() {
        run(async {
            let folder = Folder::new("nobody");
            let path = folder.0.join("klog.sock");
            let missing = dial(&Address::Unix(path.clone()), SOON).await.unwrap_err();
            assert!(missing.nobody_there() && missing.source.kind() == io::ErrorKind::NotFound);
            drop(Listener::bind(&Address::Unix(path.clone()), 1).unwrap());
            let left_behind = dial(&Address::Unix(path.clone()), SOON).await.unwrap_err();
            assert!(left_behind.nobody_there());
            assert_eq!(
                left_behind.to_string().split(": ").next(),
                Some(&*format!("cannot connect to unix:{}", path.display()))
            );
            let taken = Listener::bind(&Address::Unix(path.clone()), 1).unwrap_err();
            assert_eq!(taken.source.kind(), io::ErrorKind::AddrInUse);
            // A full backlog makes connecting wait.
            std::fs::remove_file(&path).unwrap();
            let _listener = Listener::bind(&Address::Unix(path.clone()), 1).unwrap();
            let mut held = Vec::new();
            let late = loop {
                match dial(&Address::Unix(path.clone()), Duration::from_millis(20)).await {
                    Ok(stream) => held.push(stream),
                    Err(late) => break late,
                }
                assert!(held.len() < 100, "the backlog has no end");
            };
            assert!(
                matches!(late.source.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock),
                "{late}"
            );
        });
    }

    #[test]
    fn acceptors_take_over_listening_sockets() {
        run(async {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let listener = Listener::from_tcp(listener).unwrap();
            let address = listener.address().clone();
            let acceptor: Acceptor = listener.into_acceptor().unwrap();
            let (one, other) = tokio::join!(dial(&address, SOON), acceptor.accept());
            carries(one.unwrap(), other.unwrap().into_stream(&SocketOptions::default()).unwrap()).await;
        });
    }

    /// A folder of the test's own.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("klog-net-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(Path::new(&self.0));
        }
    }
}
