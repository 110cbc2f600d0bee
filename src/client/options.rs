//! What a client may be told, by Kafka's property names; values are checked here and nowhere else.

use super::ClientError;
use crate::record::Compression;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Where a broker listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// A Unix socket.
    Unix(PathBuf),
    /// A host name or IP address, and a port.
    Tcp {
        /// Name or address, without brackets.
        host: String,
        /// The port.
        port: u16,
    },
}

impl Address {
    /// Reads `unix:PATH` or `HOST:PORT[,HOST:PORT...]` (port 9092 where none is given).
    pub fn parse_list(text: &str) -> Result<Vec<Self>, ClientError> {
        text.split(',').map(|one| one.trim().parse()).collect()
    }
}

impl FromStr for Address {
    type Err = ClientError;
    fn from_str(text: &str) -> Result<Self, ClientError> {
        let wrong =
            || ClientError::Option(format!("{text:?} is no address; allowed are unix:PATH and HOST:PORT"));
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() { Err(wrong()) } else { Ok(Self::Unix(PathBuf::from(path))) };
        }
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or_else(wrong)?;
                (host, port.strip_prefix(':').unwrap_or(if port.is_empty() { "9092" } else { "" }))
            }
            None => text.split_once(':').unwrap_or((text, "9092")),
        };
        let port = port.parse().map_err(|_| wrong())?;
        if host.is_empty() || host.contains('/') || host.contains(char::is_whitespace) {
            return Err(wrong());
        }
        Ok(Self::Tcp { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(out, "unix:{}", path.display()),
            Self::Tcp { host, port } if host.contains(':') => write!(out, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(out, "{host}:{port}"),
        }
    }
}

/// Which records a consumer sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Isolation {
    /// Up to the high watermark, aborted transactions too.
    ReadUncommitted,
    /// Up to the last stable offset, without aborted transactions.
    #[default]
    ReadCommitted,
}

/// What to do when a position is outside the log (`auto.offset.reset`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reset {
    /// Go to the first offset (`earliest`).
    #[default]
    Start,
    /// Go to the end (`latest`).
    End,
    /// Fail (`none`).
    Fail,
}

/// Which acknowledgement a produce waits for (`acks`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Acks {
    /// None: nothing is known about what arrives.
    Zero,
    /// The leader has written.
    One,
    /// Everyone in sync has it; on klog: it is on the disk.
    #[default]
    All,
}

/// Everything a client may be told, with Kafka's defaults where no other is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientOptions {
    /// Where to begin (`bootstrap.servers`); at least one.
    pub bootstrap: Vec<Address>,
    /// `client.id`; "klog".
    pub client_id: String,
    /// `request.timeout.ms`; 30 s.
    pub request_timeout: Duration,
    /// How long a silent address is waited for (`socket.connection.setup.timeout.ms`); 10 s.
    pub connect_timeout: Duration,
    /// First pause before a retry (`retry.backoff.ms`); 100 ms.
    pub retry_backoff: Duration,
    /// Longest pause before a retry (`retry.backoff.max.ms`); 1 s.
    pub retry_backoff_max: Duration,
    /// First and longest pause before dialling a node again (`reconnect.backoff.ms`, `reconnect.backoff.max.ms`); 50 ms, 1 s.
    pub reconnect_backoff: (Duration, Duration),
    /// How long the cluster view may be used (`metadata.max.age.ms`); 5 min.
    pub metadata_max_age: Duration,
    /// Limit of admin calls (`default.api.timeout.ms`); 60 s.
    pub api_timeout: Duration,

    /// `acks`; all.
    pub acks: Acks,
    /// `enable.idempotence`; true, and false with `acks` other than all.
    pub idempotence: bool,
    /// `compression.type`, `compression.gzip.level` and the like; none.
    pub compression: Compression,
    /// `batch.size`, bytes of records before compression; 128 KiB.
    pub batch_bytes: usize,
    /// `linger.ms`; 5 ms.
    pub linger: Duration,
    /// `max.request.size`: the largest record and request, bytes; 1 MiB.
    pub max_request_bytes: usize,
    /// `max.in.flight.requests.per.connection`, of one partition here; 5.
    pub max_in_flight: usize,
    /// `buffer.memory`, bytes of batches not acknowledged yet; 32 MiB.
    pub buffer_memory: usize,
    /// `delivery.timeout.ms`; 2 min.
    pub delivery_timeout: Duration,

    /// `isolation.level`; read_committed.
    pub isolation: Isolation,
    /// `auto.offset.reset`; earliest.
    pub reset: Reset,
    /// `fetch.min.bytes`; 1.
    pub fetch_min_bytes: i32,
    /// `fetch.max.wait.ms`; 500 ms.
    pub fetch_max_wait: Duration,
    /// `fetch.max.bytes` of one answer; 50 MiB.
    pub fetch_max_bytes: i32,
    /// `max.partition.fetch.bytes`; 1 MiB.
    pub partition_fetch_bytes: i32,
    /// `check.crcs`; true.
    pub check_crcs: bool,

    /// `session.timeout.ms`; 10 s.
    pub session_timeout: Duration,
    /// `heartbeat.interval.ms`; 3 s.
    pub heartbeat_interval: Duration,
    /// `max.poll.interval.ms`, the group's rebalance time-out; 5 min.
    pub rebalance_timeout: Duration,
    /// `group.instance.id`: the static member's name; none.
    pub instance_id: Option<String>,
    /// `partition.assignment.strategy`, by the names the protocol uses (`range`, `roundrobin`, `cooperative-sticky`), in order of preference; range, cooperative-sticky.
    pub assignors: Vec<String>,
    /// `auto.commit.interval.ms`; 5 s.
    pub commit_interval: Duration,
    /// `allow.auto.create.topics` of the producer's metadata requests; true (a consumer never creates).
    pub auto_create: bool,
}

impl ClientOptions {
    /// The defaults, towards `bootstrap`.
    pub fn new(bootstrap: Vec<Address>) -> Self {
        Self {
            bootstrap,
            client_id: "klog".to_owned(),
            request_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            retry_backoff: Duration::from_millis(100),
            retry_backoff_max: Duration::from_secs(1),
            reconnect_backoff: (Duration::from_millis(50), Duration::from_secs(1)),
            metadata_max_age: Duration::from_secs(300),
            api_timeout: Duration::from_secs(60),
            acks: Acks::All,
            idempotence: true,
            compression: Compression::NONE,
            batch_bytes: 128 << 10,
            linger: Duration::from_millis(5),
            max_request_bytes: 1 << 20,
            max_in_flight: 5,
            buffer_memory: 32 << 20,
            delivery_timeout: Duration::from_secs(120),
            isolation: Isolation::ReadCommitted,
            reset: Reset::Start,
            fetch_min_bytes: 1,
            fetch_max_wait: Duration::from_millis(500),
            fetch_max_bytes: 50 << 20,
            partition_fetch_bytes: 1 << 20,
            check_crcs: true,
            session_timeout: Duration::from_secs(10),
            heartbeat_interval: Duration::from_secs(3),
            rebalance_timeout: Duration::from_secs(300),
            instance_id: None,
            assignors: vec!["range".to_owned(), "cooperative-sticky".to_owned()],
            commit_interval: Duration::from_secs(5),
            auto_create: true,
        }
    }

    /// Takes one property by Kafka's name (`-X key=value`). The error names the key, what was found and what is
    /// allowed; an unknown key is an error that names the nearest known one.
    pub fn set(&mut self, _key: &str, _value: &str) -> Result<(), ClientError> {
        unimplemented!()
    }
}
