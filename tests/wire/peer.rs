//! A blocking client that sends whatever bytes a test wants, over either transport.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use klog::net::Address;

/// Nothing in these tests may take longer.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) enum Peer {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Peer {
    pub(crate) fn dial(address: &Address) -> Self {
        match address {
            Address::Tcp { host, port } => {
                let stream = TcpStream::connect((host.as_str(), *port)).unwrap();
                stream.set_nodelay(true).unwrap();
                stream.set_read_timeout(Some(DEADLINE)).unwrap();
                stream.set_write_timeout(Some(DEADLINE)).unwrap();
                Self::Tcp(stream)
            }
            Address::Unix(path) => {
                let stream = UnixStream::connect(path).unwrap();
                stream.set_read_timeout(Some(DEADLINE)).unwrap();
                stream.set_write_timeout(Some(DEADLINE)).unwrap();
                Self::Unix(stream)
            }
        }
    }

    pub(crate) fn stream(&mut self) -> &mut dyn ReadWrite {
        match self {
            Self::Tcp(stream) => stream,
            Self::Unix(stream) => stream,
        }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream().write_all(bytes).unwrap();
    }

    /// The next answer without its length prefix.
    pub(crate) fn answer(&mut self) -> io::Result<Vec<u8>> {
        let mut prefix = [0; 4];
        self.stream().read_exact(&mut prefix)?;
        let mut answer = vec![0; u32::from_be_bytes(prefix) as usize];
        self.stream().read_exact(&mut answer)?;
        Ok(answer)
    }

    pub(crate) fn half_close(&self) {
        match self {
            Self::Tcp(stream) => stream.shutdown(std::net::Shutdown::Write).unwrap(),
            Self::Unix(stream) => stream.shutdown(std::net::Shutdown::Write).unwrap(),
        }
    }

    /// Waits for the server to close; answers may come before.
    pub(crate) fn closed_after(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match self.stream().read_to_end(&mut rest) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
            result => drop(result.expect("not closed")),
        }
        rest
    }

    /// Whether the server has closed it, without waiting.
    pub(crate) fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        let result = match self {
            Self::Tcp(stream) => {
                stream.set_nonblocking(true).unwrap();
                let result = stream.peek(&mut byte);
                stream.set_nonblocking(false).unwrap();
                result
            }
            Self::Unix(stream) => {
                stream.set_nonblocking(true).unwrap();
                let result = stream.read(&mut byte);
                stream.set_nonblocking(false).unwrap();
                result
            }
        };
        match result {
            Ok(read) => read == 0,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }
}

pub(crate) trait ReadWrite: Read + Write {}

impl<T: Read + Write> ReadWrite for T {}

/// A request frame: length prefix, header version 1 without a client id, body.
pub(crate) fn frame(key: i16, version: i16, correlation: i32, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(14 + body.len());
    frame.extend_from_slice(&(10 + body.len() as i32).to_be_bytes());
    frame.extend_from_slice(&key.to_be_bytes());
    frame.extend_from_slice(&version.to_be_bytes());
    frame.extend_from_slice(&correlation.to_be_bytes());
    frame.extend_from_slice(&(-1i16).to_be_bytes());
    frame.extend_from_slice(body);
    frame
}

/// Waits until something holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < DEADLINE, "{what}: not within {DEADLINE:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
