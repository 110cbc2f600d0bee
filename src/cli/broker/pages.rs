//! One GET over the data folder's own HTTP socket; never starts a daemon and never waits without end.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::config::http_socket_of;

/// How long the daemon may be silent.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest path that the kernel takes for a socket (unix(7)).
const LONGEST_PATH: usize = 107;
/// The longest page that is believed, in bytes.
const LONGEST_PAGE: u64 = 64 << 20;

/// Reads a page, such as `/status`, of the daemon that holds `data`.
///
/// # Errors
/// Nobody listens (a daemon older than the pages does not), nothing came in time ([`io::ErrorKind::TimedOut`]), or
/// what came is no page.
pub(super) fn get(data: &Path, page: &str) -> io::Result<String> {
    get_within(data, page, PATIENCE)
}

fn get_within(data: &Path, page: &str, patience: Duration) -> io::Result<String> {
    let mut stream = dial(data)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    let request = format!("GET {page} HTTP/1.1\r\nHost: klog\r\nConnection: close\r\n\r\n");
    let mut answer = Vec::new();
    let came = stream.write_all(request.as_bytes());
    let came = came.and_then(|()| stream.take(LONGEST_PAGE).read_to_end(&mut answer));
    came.map_err(|error| match error.kind() {
        // So a socket tells that its time is over (socket(7)).
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            io::Error::new(io::ErrorKind::TimedOut, format!("no answer in {} s", patience.as_secs_f64()))
        }
        _ => error,
    })?;
    body(&answer)
}

fn dial(data: &Path) -> io::Result<UnixStream> {
    let socket = http_socket_of(data);
    if socket.as_os_str().len() <= LONGEST_PATH {
        return UnixStream::connect(socket);
    }
    let folder = File::open(data)?;
    let name = socket.file_name().unwrap_or_default();
    UnixStream::connect(Path::new(&format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name))
}

/// What an answer carries, if it is whole and says 200.
fn body(answer: &[u8]) -> io::Result<String> {
    let wrong = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
    let text = std::str::from_utf8(answer).map_err(|_| wrong("the page is no text".to_owned()))?;
    let (head, body) =
        text.split_once("\r\n\r\n").ok_or_else(|| wrong("the answer ended early".to_owned()))?;
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        return Err(wrong(format!("the daemon said {status:?}: {}", body.trim())));
    }
    let length = lines.filter_map(|line| line.split_once(':')).find_map(|(name, value)| {
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok()).flatten()
    });
    if length.is_some_and(|length: usize| length != body.len()) {
        return Err(wrong("the answer ended early".to_owned()));
    }
    Ok(body.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_pages_are_believed() {
        let page = |text: &str| body(text.as_bytes()).map_err(|error| error.to_string());
        assert_eq!(page("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), Ok("ok".to_owned()));
        assert_eq!(page("HTTP/1.1 200 OK\r\nX: y\r\n\r\n"), Ok(String::new()));
        for (answer, why) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok", "ended early"),
            ("HTTP/1.1 200 OK\r\nX: y", "ended early"),
            ("HTTP/1.1 503 Service Unavailable\r\n\r\nstopping\n", "503 Service Unavailable\": stopping"),
            ("", "ended early"),
        ] {
            assert!(page(answer).unwrap_err().contains(why), "{answer}");
        }
    }

    #[test]
    fn who_says_nothing_is_not_waited_for_without_end() {
        let folder = tempfile::tempdir().unwrap();
        let _listens = std::os::unix::net::UnixListener::bind(http_socket_of(folder.path())).unwrap();
        let error = get_within(folder.path(), "/status", Duration::from_millis(20)).unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (io::ErrorKind::TimedOut, "no answer in 0.02 s")
        );
    }

    #[test]
    fn a_folder_without_a_socket_is_an_error_at_any_length() {
        let folder = tempfile::tempdir().unwrap();
        assert!(get(folder.path(), "/status").is_err());
        let long = folder.path().join("x".repeat(120));
        std::fs::create_dir(&long).unwrap();
        assert_eq!(get(&long, "/status").unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
