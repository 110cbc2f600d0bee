//! Who is at the other end of a connection, as far as answers depend on it; knows no socket.
//!
//! Lock: `sasl` guards the steps of an authentication under way; it is held to take them out or put them back only.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::sasl::{Mechanism, SaslExchange};

/// Who a client is that said nothing about itself.
pub const ANONYMOUS: &str = "User:ANONYMOUS";

/// What a listener asks of its clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerSecurity {
    /// Nothing but authentication is served before it.
    pub sasl: bool,
    /// Connections are encrypted.
    pub tls: bool,
    /// The mechanisms offered (`sasl.enabled.mechanisms`).
    pub mechanisms: Arc<[Mechanism]>,
}

impl Default for ListenerSecurity {
    fn default() -> Self {
        Self { sasl: false, tls: false, mechanisms: Arc::new(Mechanism::ALL) }
    }
}

/// The other end of a connection.
pub struct Peer {
    /// Came through a Unix socket: node addresses are then host `unix`, port 0.
    pub unix: bool,
    /// What node addresses say on TCP: the listener's advertised host and port.
    pub advertised: (String, i32),
    /// The client's address as group descriptions show it, e.g. `/127.0.0.1`.
    pub client_host: String,
    /// A Unix peer with the daemon's own user id, or root: may do everything.
    pub superuser: bool,
    /// What its listener asks.
    pub security: ListenerSecurity,
    /// Who it is without SASL: the subject of its certificate, or `User:ANONYMOUS`.
    known_as: String,
    /// Who it has proved to be. It stays who it is when it authenticates again, as in Kafka.
    proved: OnceLock<String>,
    /// When its session ends (KIP-368), in ms of the broker's monotonic clock; `i64::MAX` is never.
    session_end_ms: AtomicI64,
    /// The next frames are SASL messages without a request's head (SaslHandshake 0).
    raw: AtomicBool,
    sasl: Mutex<SaslExchange>,
    client_id: OnceLock<String>,
}

/// Bytes of a client id that are kept.
const LONGEST_ID: usize = 256;

impl fmt::Debug for Peer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nothing of an exchange under way: it holds what passwords are checked against.
        out.debug_struct("Peer")
            .field("client_host", &self.client_host)
            .field("principal", &self.principal())
            .finish_non_exhaustive()
    }
}

impl Peer {
    /// A peer that has said nothing yet, from `client_host`, told to come back to `advertised`.
    pub fn new(unix: bool, advertised: (String, i32), client_host: impl Into<String>) -> Self {
        Self {
            unix,
            advertised,
            client_host: client_host.into(),
            superuser: false,
            security: ListenerSecurity::default(),
            known_as: ANONYMOUS.to_owned(),
            proved: OnceLock::new(),
            session_end_ms: AtomicI64::new(i64::MAX),
            raw: AtomicBool::new(false),
            sasl: Mutex::new(SaslExchange::Start),
            client_id: OnceLock::new(),
        }
    }

    /// The same peer, known as `principal` by its certificate, e.g. `User:CN=alice`.
    #[must_use]
    pub fn known_as(mut self, principal: String) -> Self {
        self.known_as = principal;
        self
    }

    /// Notes what the client calls itself: by the first request that says so, for one connection is one client's.
    pub fn note_client_id(&self, id: &str) {
        self.client_id
            .get_or_init(|| id.get(..id.floor_char_boundary(LONGEST_ID)).unwrap_or_default().to_owned());
    }

    /// What the client calls itself; empty before it did.
    pub fn client_id(&self) -> &str {
        self.client_id.get().map_or("", String::as_str)
    }

    /// Host and port by which this peer reaches this node.
    pub fn address(&self) -> (&str, i32) {
        if self.unix { ("unix", 0) } else { (&self.advertised.0, self.advertised.1) }
    }

    /// Who the client is, e.g. `User:alice`.
    pub fn principal(&self) -> &str {
        self.proved.get().unwrap_or(&self.known_as)
    }

    /// Whether it has proved who it is on a listener that demands so, or came to one that does not.
    pub fn is_admitted(&self) -> bool {
        !self.security.sasl || self.proved.get().is_some()
    }

    /// Whether its session ends some time, and so may be renewed (KIP-368).
    pub fn session_ends(&self) -> bool {
        self.session_end_ms.load(Ordering::Acquire) != i64::MAX
    }

    /// Whether its session has ended (KIP-368); `now_ms` is asked for only where a session can.
    pub fn is_over(&self, now_ms: impl FnOnce() -> i64) -> bool {
        let end = self.session_end_ms.load(Ordering::Acquire);
        end != i64::MAX && now_ms() > end
    }

    /// Takes the exchange out, leaving [`SaslExchange::Start`]. A connection's requests come one after the other
    /// while it authenticates, so nobody else looks meanwhile; [`Peer::put_exchange`] puts the next state back.
    pub fn take_exchange(&self) -> SaslExchange {
        std::mem::take(&mut *self.sasl.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps how far the exchange has come.
    pub fn put_exchange(&self, exchange: SaslExchange) {
        *self.sasl.lock().unwrap_or_else(PoisonError::into_inner) = exchange;
    }

    /// Whether the next frames are SASL messages without a request's head: after SaslHandshake 0.
    pub fn speaks_raw(&self) -> bool {
        self.raw.load(Ordering::Relaxed)
    }

    /// Begins or ends raw SASL messages.
    pub fn speak_raw(&self, raw: bool) {
        self.raw.store(raw, Ordering::Relaxed);
    }

    /// The peer has proved to be `principal` (`User:alice`), until `session_end_ms` of the broker's monotonic clock
    /// where sessions end. False, and nothing changes, when it was somebody else before.
    #[must_use]
    pub fn authenticate(&self, principal: &str, session_end_ms: Option<i64>) -> bool {
        if self.proved.get_or_init(|| principal.to_owned()) != principal {
            return false;
        }
        self.session_end_ms.store(session_end_ms.unwrap_or(i64::MAX), Ordering::Release);
        self.put_exchange(SaslExchange::Done);
        self.speak_raw(false);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(sasl: bool) -> Peer {
        let security = ListenerSecurity { sasl, ..ListenerSecurity::default() };
        Peer { security, ..Peer::new(false, ("h".to_owned(), 1), "/127.0.0.1") }
    }

    #[test]
    fn a_session_ends_and_is_renewed_by_the_same_user_only() {
        let peer = peer(true);
        assert!(!peer.is_admitted());
        assert!(peer.authenticate("User:alice", Some(10)));
        assert!(peer.is_admitted());
        assert_eq!((peer.is_over(|| 10), peer.is_over(|| 11)), (false, true));
        assert!(!peer.authenticate("User:bob", Some(90)));
        assert!(peer.is_over(|| 11));
        assert!(peer.authenticate("User:alice", Some(20)));
        assert!(!peer.is_over(|| 11));
        assert_eq!(peer.principal(), "User:alice");
        assert_eq!(
            (super::tests::peer(false).is_admitted(), super::tests::peer(false).principal()),
            (true, ANONYMOUS)
        );
    }

    #[test]
    fn a_certificate_names_who_sasl_does_not() {
        let named = peer(true).known_as("User:CN=alice".to_owned());
        assert_eq!(named.principal(), "User:CN=alice");
        assert!(!named.is_admitted());
        assert!(named.authenticate("User:bob", None));
        assert_eq!(named.principal(), "User:bob");
    }
}
