//! The door: accepts, counts, turns away; must never stop accepting because of an error that passes.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::{debug, warn};

use super::options::Limits;
use super::worker::Endpoint;
use crate::auth::{AuthError, certificate};
use crate::broker::Peer;
use crate::net::{Accepted, Acceptor, Address, Remote, Stream};

/// Pause after an error that a new attempt would meet again.
const PAUSE: Duration = Duration::from_millis(100);
/// Warnings about failed accepts come no more often than this.
const QUIET: Duration = Duration::from_secs(10);

/// Counts connections. One mutex guards the counts by address, for one map operation.
#[derive(Debug, Default)]
pub(super) struct Door {
    all: AtomicUsize,
    by_ip: Mutex<HashMap<IpAddr, usize>>,
}

/// A connection's place in the counts, until dropped.
#[derive(Debug)]
pub(super) struct Seat {
    door: Arc<Door>,
    ip: Option<IpAddr>,
}

/// Which limit turned a connection away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// `max.connections`.
    All(usize),
    /// `max.connections.per.ip` or its override.
    Ip(usize),
}

impl Door {
    /// Counts a connection in, unless a limit is reached.
    pub(super) fn admit(self: &Arc<Self>, remote: Remote, limits: &Limits) -> Result<Seat, Full> {
        let ip = match remote {
            Remote::Unix => None,
            Remote::Tcp(from) => Some(from.ip().to_canonical()),
        };
        // The seat is taken first and given back by its drop, so that every way out counts alike.
        let all = self.all.fetch_add(1, Ordering::Relaxed);
        let mut seat = Seat { door: Arc::clone(self), ip: None };
        if all >= limits.max_connections {
            return Err(Full::All(limits.max_connections));
        }
        if let Some(ip) = ip {
            let most = limits.max_connections_per_ip_overrides.get(&ip);
            let most = *most.unwrap_or(&limits.max_connections_per_ip);
            let mut by_ip = self.by_ip.lock().unwrap_or_else(PoisonError::into_inner);
            let count = by_ip.entry(ip).or_default();
            if *count >= most {
                if *count == 0 {
                    by_ip.remove(&ip);
                }
                return Err(Full::Ip(most));
            }
            *count += 1;
            seat.ip = Some(ip);
        }
        Ok(seat)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.door.all.fetch_sub(1, Ordering::Relaxed);
        let Some(ip) = self.ip else { return };
        let mut by_ip = self.door.by_ip.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_ip.get_mut(&ip) {
            *count -= 1;
            if *count == 0 {
                by_ip.remove(&ip);
            }
        }
    }
}

/// Accepts until dropped. A descriptor is kept in reserve, so that when none is left a connection can still be
/// taken and closed, instead of waiting in the backlog for an answer that does not come.
pub(super) async fn accept(acceptor: Acceptor, mut seat: impl FnMut(Accepted)) {
    let mut reserve = File::open("/dev/null").ok();
    let mut warned: Option<Instant> = None;
    loop {
        let error = match acceptor.accept().await {
            Ok(accepted) => {
                seat(accepted);
                continue;
            }
            Err(error) => error,
        };
        if passes(&error) {
            debug!(%error, "a connection went away before it was accepted");
            continue;
        }
        if warned.is_none_or(|at| at.elapsed() > QUIET) {
            warned = Some(Instant::now());
            warn!(%error, "cannot accept connections");
        }
        if reserve.take().is_some() {
            // With the reserve's descriptor free this takes the connection, and closes it.
            let _ = tokio::time::timeout(PAUSE, acceptor.accept()).await;
        }
        reserve = File::open("/dev/null").ok();
        if reserve.is_none() {
            sleep(PAUSE).await;
        }
    }
}

/// Whether an error is about one connection only (accept(2): the network's errors are passed on).
fn passes(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::TimedOut
            | io::ErrorKind::PermissionDenied
    )
}

/// What a connection's answers say about where this node is and who asks.
///
/// # Errors
/// The peer's certificate has a subject that can not be read.
pub(super) fn peer(remote: Remote, stream: &Stream, endpoint: &Endpoint) -> Result<Peer, AuthError> {
    let (unix, client_host) = match remote {
        Remote::Unix => (true, "/unix".to_owned()),
        Remote::Tcp(from) => (false, format!("/{}", from.ip().to_canonical())),
    };
    let advertised = match (&endpoint.advertised, &endpoint.address) {
        (Some((host, port)), _) => (host.clone(), i32::from(*port)),
        (None, Address::Tcp { host, port }) => (reachable(host, stream.local()), i32::from(*port)),
        (None, Address::Unix(_)) => ("unix".to_owned(), 0),
    };
    let mut peer = Peer::new(unix, advertised, client_host);
    peer.superuser = stream.is_own_user();
    peer.security = endpoint.security.clone();
    Ok(match stream.certificate() {
        Some(certificate) => peer.known_as(format!("User:{}", certificate::subject(certificate)?)),
        None => peer,
    })
}

/// The bound host, or for a wildcard the address that the connection came in on.
fn reachable(host: &str, local: Option<SocketAddr>) -> String {
    let wildcard = host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified());
    match local {
        Some(local) if wildcard => local.ip().to_canonical().to_string(),
        _ => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_count_what_is_open() {
        let door = Arc::new(Door::default());
        let first: IpAddr = "10.0.0.1".parse().unwrap();
        let second: IpAddr = "10.0.0.2".parse().unwrap();
        let from = |ip| Remote::Tcp(SocketAddr::new(ip, 1));
        let limits = Limits {
            max_connections: 3,
            max_connections_per_ip: 1,
            max_connections_per_ip_overrides: [(second, 0)].into(),
            ..Limits::default()
        };
        let one = door.admit(from(first), &limits).unwrap();
        let mapped = from("::ffff:10.0.0.1".parse().unwrap());
        assert_eq!(door.admit(mapped, &limits).unwrap_err(), Full::Ip(1), "the same address in IPv6 clothes");
        assert_eq!(door.admit(from(second), &limits).unwrap_err(), Full::Ip(0));
        let local = [door.admit(Remote::Unix, &limits).unwrap(), door.admit(Remote::Unix, &limits).unwrap()];
        assert_eq!(door.admit(Remote::Unix, &limits).unwrap_err(), Full::All(3));
        drop(one);
        drop(door.admit(from(first), &limits).unwrap());
        drop(local);
        assert_eq!(door.all.load(Ordering::Relaxed), 0);
        assert!(door.by_ip.lock().unwrap().is_empty());
    }

    #[test]
    fn a_wildcard_is_never_advertised() {
        let local = || "192.168.1.5:9092".parse().ok();
        assert_eq!(reachable("0.0.0.0", local()), "192.168.1.5");
        assert_eq!(reachable("::", local()), "192.168.1.5");
        assert_eq!(reachable("127.0.0.1", local()), "127.0.0.1");
    }
}
