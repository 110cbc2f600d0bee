//! What a client may be told, by Kafka's property names; values are checked here and nowhere else.

use super::ClientError;
use super::security::{self, Security};
use crate::net::Address;
use crate::record::Codec;
use crate::record::Compression;
use std::time::Duration;

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

/// Which protocol a group member speaks (`group.protocol`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GroupProtocol {
    /// The members divide the partitions themselves.
    #[default]
    Classic,
    /// The coordinator divides them (KIP-848); brokers from Kafka 4.0 on.
    Consumer,
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
    /// How the broker is reached in safety (`security.protocol`, `sasl.*`, `ssl.*`); in the clear, as nobody.
    pub security: Security,
    /// How long the cluster view may be used (`metadata.max.age.ms`); 5 min.
    pub metadata_max_age: Duration,
    /// Limit of admin calls (`default.api.timeout.ms`); 60 s.
    pub api_timeout: Duration,

    /// `acks`; all.
    pub acks: Acks,
    /// `enable.idempotence`; true, and false with `acks` other than all.
    pub idempotence: bool,
    /// `compression.type`; none.
    pub codec: Codec,
    /// `compression.gzip.level` and the like: at most one level a codec.
    pub levels: Vec<(Codec, i32)>,
    /// `batch.size`, bytes of records before compression; 128 KiB.
    pub batch_bytes: usize,
    /// `linger.ms`; 5 ms.
    pub linger: Duration,
    /// `max.request.size`: the largest batch and so the largest record, bytes; what the topic allows where none is given.
    pub max_request_bytes: Option<usize>,
    /// `max.in.flight.requests.per.connection`, of one partition here; 5.
    pub max_in_flight: usize,
    /// `buffer.memory`, bytes of batches not acknowledged yet; 32 MiB.
    pub buffer_memory: usize,
    /// `delivery.timeout.ms`; 2 min.
    pub delivery_timeout: Duration,
    /// `transaction.timeout.ms`: after this the broker aborts a transaction that is still open; 1 min where none is given.
    pub transaction_timeout: Option<Duration>,

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

    /// `group.protocol`; classic.
    pub group_protocol: GroupProtocol,
    /// `group.remote.assignor`, with the consumer protocol: `uniform`, `range` or another that the broker has; the broker's first.
    pub remote_assignor: Option<String>,
    /// `session.timeout.ms`, with the classic protocol; 10 s. With the consumer protocol the broker says it, and the interval.
    pub session_timeout: Duration,
    /// `heartbeat.interval.ms`; 3 s.
    pub heartbeat_interval: Duration,
    /// `max.poll.interval.ms`, the group's rebalance time-out; 5 min.
    pub rebalance_timeout: Duration,
    /// `group.instance.id`: the static member's name; none.
    pub instance_id: Option<String>,
    /// `partition.assignment.strategy`, by the names the protocol uses (`range`, `roundrobin`, `cooperative-sticky`), in order of preference; range, cooperative-sticky.
    pub assignors: Vec<String>,
    /// `enable.auto.commit`; true: whoever reads as a group commits what was taken.
    pub auto_commit: bool,
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
            security: Security::default(),
            metadata_max_age: Duration::from_secs(300),
            api_timeout: Duration::from_secs(60),
            acks: Acks::All,
            idempotence: true,
            codec: Codec::None,
            levels: Vec::new(),
            batch_bytes: 128 << 10,
            linger: Duration::from_millis(5),
            max_request_bytes: None,
            max_in_flight: 5,
            buffer_memory: 32 << 20,
            delivery_timeout: Duration::from_secs(120),
            transaction_timeout: None,
            isolation: Isolation::ReadCommitted,
            reset: Reset::Start,
            fetch_min_bytes: 1,
            fetch_max_wait: Duration::from_millis(500),
            fetch_max_bytes: 50 << 20,
            partition_fetch_bytes: 1 << 20,
            check_crcs: true,
            group_protocol: GroupProtocol::Classic,
            remote_assignor: None,
            session_timeout: Duration::from_secs(10),
            heartbeat_interval: Duration::from_secs(3),
            rebalance_timeout: Duration::from_secs(300),
            instance_id: None,
            assignors: vec!["range".to_owned(), "cooperative-sticky".to_owned()],
            auto_commit: true,
            commit_interval: Duration::from_secs(5),
            auto_create: true,
        }
    }

    /// Takes one property by Kafka's name (`-X key=value`). The error names the key, what was found and what is
    /// allowed; an unknown key is an error that names the nearest known one.
    ///
    /// # Errors
    /// [`ClientError::Option`].
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), ClientError> {
        // A password's blanks are part of it.
        let value = if SECRETS.contains(&key) { value } else { value.trim() };
        match PROPERTIES.iter().find(|property| property.name == key) {
            Some(property) => (property.set)(self, value).map_err(|allowed| {
                let shown = if SECRETS.contains(&key) { "(hidden)" } else { value };
                ClientError::Option(format!("{key}={shown} is not valid; allowed: {allowed}"))
            }),
            None if WITHOUT_EFFECT.contains(&key) => Ok(()),
            None => Err(ClientError::Option(unknown(key))),
        }
    }

    /// Holds the values against each other, as the producer and consumer would refuse them.
    ///
    /// # Errors
    /// [`ClientError::Option`].
    pub fn check(&self) -> Result<(), ClientError> {
        let wrong = |text: String| Err(ClientError::Option(text));
        if self.bootstrap.is_empty() {
            return wrong("bootstrap.servers is empty; one address at least is needed".to_owned());
        }
        if self.heartbeat_interval >= self.session_timeout {
            return wrong(format!(
                "heartbeat.interval.ms={} must be below session.timeout.ms={}",
                self.heartbeat_interval.as_millis(),
                self.session_timeout.as_millis()
            ));
        }
        if self.acks != Acks::Zero && self.delivery_timeout < self.linger + self.request_timeout {
            return wrong(format!(
                "delivery.timeout.ms={} must be at least linger.ms={} + request.timeout.ms={}",
                self.delivery_timeout.as_millis(),
                self.linger.as_millis(),
                self.request_timeout.as_millis()
            ));
        }
        self.security.check()
    }

    /// The codec with the level that was given for it.
    pub fn compression(&self) -> Compression {
        let level = self.levels.iter().find(|(codec, _)| *codec == self.codec).map(|&(_, level)| level);
        Compression { codec: self.codec, level }
    }

    /// Idempotent producing, which needs `acks=all`: without it, it is off.
    pub(super) fn is_idempotent(&self) -> bool {
        self.idempotence && self.acks == Acks::All
    }
}

/// One property: Kafka's name, and how its value is taken; the error says what is allowed.
struct Property {
    name: &'static str,
    set: fn(&mut ClientOptions, &str) -> Result<(), &'static str>,
}

macro_rules! properties {
    ($($name:literal => |$options:ident, $value:ident| $set:expr;)*) => {
        &[$(Property { name: $name, set: |$options, $value| { $set; Ok(()) } },)*]
    };
}

const PROPERTIES: &[Property] = properties! {
    "bootstrap.servers" => |o, v| o.bootstrap = Address::parse_list(v).map_err(|_| "HOST:PORT[,HOST:PORT...] or unix:PATH")?;
    "client.id" => |o, v| o.client_id = v.to_owned();
    "request.timeout.ms" => |o, v| o.request_timeout = millis(v, 1)?;
    "socket.connection.setup.timeout.ms" => |o, v| o.connect_timeout = millis(v, 1)?;
    "retry.backoff.ms" => |o, v| o.retry_backoff = millis(v, 0)?;
    "retry.backoff.max.ms" => |o, v| o.retry_backoff_max = millis(v, 0)?;
    "reconnect.backoff.ms" => |o, v| o.reconnect_backoff.0 = millis(v, 0)?;
    "reconnect.backoff.max.ms" => |o, v| o.reconnect_backoff.1 = millis(v, 0)?;
    "metadata.max.age.ms" => |o, v| o.metadata_max_age = millis(v, 1)?;
    "default.api.timeout.ms" => |o, v| o.api_timeout = millis(v, 1)?;
    "acks" => |o, v| o.acks = acks(v)?;
    "enable.idempotence" => |o, v| o.idempotence = truth(v)?;
    "compression.type" => |o, v| o.codec = codec(v)?;
    "compression.gzip.level" => |o, v| level(o, Codec::Gzip, v, 1..=9, "1 to 9, or -1 for the codec's own")?;
    "compression.lz4.level" => |o, v| level(o, Codec::Lz4, v, 1..=17, "1 to 17")?;
    "compression.zstd.level" => |o, v| level(o, Codec::Zstd, v, -131_072..=22, "-131072 to 22")?;
    "batch.size" => |o, v| o.batch_bytes = number(v, 1, 1 << 30, "1 to 1073741824 bytes")?;
    "linger.ms" => |o, v| o.linger = millis(v, 0)?;
    "max.request.size" => |o, v| o.max_request_bytes = Some(number(v, 128, 1 << 30, "128 to 1073741824 bytes")?);
    "max.in.flight.requests.per.connection" => |o, v| o.max_in_flight = number(v, 1, 5, "1 to 5")?;
    "buffer.memory" => |o, v| o.buffer_memory = number(v, 1 << 16, usize::MAX >> 1, "65536 bytes or more")?;
    "delivery.timeout.ms" => |o, v| o.delivery_timeout = millis(v, 1)?;
    "transaction.timeout.ms" => |o, v| o.transaction_timeout = Some(millis(v, 1)?);
    "isolation.level" => |o, v| o.isolation = isolation(v)?;
    "auto.offset.reset" => |o, v| o.reset = reset(v)?;
    "fetch.min.bytes" => |o, v| o.fetch_min_bytes = number(v, 0, i32::MAX as usize, "0 or more bytes")? as i32;
    "fetch.max.wait.ms" => |o, v| o.fetch_max_wait = millis(v, 0)?;
    "fetch.max.bytes" => |o, v| o.fetch_max_bytes = number(v, 1, 1 << 30, "1 to 1073741824 bytes")? as i32;
    "max.partition.fetch.bytes" => |o, v| o.partition_fetch_bytes = number(v, 1, 1 << 30, "1 to 1073741824 bytes")? as i32;
    "check.crcs" => |o, v| o.check_crcs = truth(v)?;
    "group.protocol" => |o, v| o.group_protocol = group_protocol(v)?;
    "group.remote.assignor" => |o, v| o.remote_assignor = (!v.is_empty()).then(|| v.to_owned());
    "session.timeout.ms" => |o, v| o.session_timeout = millis(v, 1)?;
    "heartbeat.interval.ms" => |o, v| o.heartbeat_interval = millis(v, 1)?;
    "max.poll.interval.ms" => |o, v| o.rebalance_timeout = millis(v, 1)?;
    "group.instance.id" => |o, v| o.instance_id = (!v.is_empty()).then(|| v.to_owned());
    "partition.assignment.strategy" => |o, v| o.assignors = assignors(v)?;
    "enable.auto.commit" => |o, v| o.auto_commit = truth(v)?;
    "auto.commit.interval.ms" => |o, v| o.commit_interval = millis(v, 0)?;
    "allow.auto.create.topics" => |o, v| o.auto_create = truth(v)?;
    "security.protocol" => |o, v| o.security.set_protocol(v)?;
    "sasl.mechanism" => |o, v| o.security.set_mechanism(v)?;
    "sasl.mechanisms" => |o, v| o.security.set_mechanism(v)?;
    "sasl.username" => |o, v| o.security.username = Some(v.to_owned());
    "sasl.password" => |o, v| o.security.password = Some(v.into());
    "sasl.jaas.config" => |o, v| o.security.set_jaas(v)?;
    "ssl.ca.location" => |o, v| o.security.trust = security::file(v);
    "ssl.ca.pem" => |o, v| o.security.trust = security::inline("ssl.ca.pem", v);
    "ssl.truststore.location" => |o, v| o.security.trust = security::file(v);
    "ssl.truststore.certificates" => |o, v| o.security.trust = security::inline("ssl.truststore.certificates", v);
    "ssl.truststore.type" => |_o, v| security::store_type(v)?;
    "ssl.truststore.password" => |_o, v| security::no_password(v)?;
    "ssl.certificate.location" => |o, v| o.security.chain = security::file(v);
    "ssl.certificate.pem" => |o, v| o.security.chain = security::inline("ssl.certificate.pem", v);
    "ssl.key.location" => |o, v| o.security.key = security::file(v);
    "ssl.key.pem" => |o, v| o.security.key = security::inline("ssl.key.pem", v);
    "ssl.key.password" => |_o, v| security::no_password(v)?;
    "ssl.keystore.location" => |o, v| (o.security.chain, o.security.key) = (security::file(v), security::file(v));
    "ssl.keystore.certificate.chain" => |o, v| o.security.chain = security::inline("ssl.keystore.certificate.chain", v);
    "ssl.keystore.key" => |o, v| o.security.key = security::inline("ssl.keystore.key", v);
    "ssl.keystore.type" => |_o, v| security::store_type(v)?;
    "ssl.keystore.password" => |_o, v| security::no_password(v)?;
    "ssl.endpoint.identification.algorithm" => |o, v| o.security.set_name_check(v)?;
    "ssl.enabled.protocols" => |o, v| o.security.spoken.set_versions(v).map_err(|_| "TLSv1.2, TLSv1.3")?;
    "ssl.cipher.suites" => |o, v| o.security.spoken.set_suites(v).map_err(|_| "names of cipher suites that klog has, like TLS_AES_256_GCM_SHA384")?;
};

/// Names whose values are not repeated in messages.
const SECRETS: &[&str] = &[
    "sasl.jaas.config",
    "sasl.password",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.key",
    "ssl.keystore.password",
    "ssl.truststore.password",
];

/// Known names that change nothing here: what they tune is done in another way or not at all.
const WITHOUT_EFFECT: &[&str] = &[
    "client.dns.lookup",
    "client.rack",
    "connections.max.idle.ms",
    "enable.metrics.push",
    "exclude.internal.topics",
    "key.deserializer",
    "key.serializer",
    "max.block.ms",
    "max.poll.records",
    "metadata.max.idle.ms",
    "metric.reporters",
    "metrics.num.samples",
    "receive.buffer.bytes",
    "retries",
    "send.buffer.bytes",
    "socket.connection.setup.timeout.max.ms",
    "ssl.protocol",
    "ssl.provider",
    "value.deserializer",
    "value.serializer",
];

fn unknown(key: &str) -> String {
    let names = PROPERTIES.iter().map(|property| property.name).chain(WITHOUT_EFFECT.iter().copied());
    match names.map(|name| (distance(key, name), name)).min() {
        Some((far, name)) if far <= 1 + key.len() / 4 => {
            format!("{key} is no client property that klog knows; did you mean {name}?")
        }
        _ => format!("{key} is no client property that klog knows"),
    }
}

/// How many letters must change, come or go to make one text of the other.
fn distance(one: &str, other: &str) -> usize {
    let other = other.as_bytes();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (place, letter) in one.bytes().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], place + 1);
        for (at, &against) in other.iter().enumerate() {
            let change = corner + usize::from(letter != against);
            let best = change.min(row[at] + 1).min(row[at + 1] + 1);
            corner = std::mem::replace(&mut row[at + 1], best);
        }
    }
    row[other.len()]
}

fn number(text: &str, min: usize, max: usize, allowed: &'static str) -> Result<usize, &'static str> {
    text.parse().ok().filter(|value| (min..=max).contains(value)).ok_or(allowed)
}

fn millis(text: &str, min: u64) -> Result<Duration, &'static str> {
    // Kafka's times are 32-bit; the protocol carries them so.
    let fits = |value: &u64| (min..=i32::MAX as u64).contains(value);
    text.parse().ok().filter(fits).map(Duration::from_millis).ok_or("whole milliseconds, at most 2147483647")
}

fn truth(text: &str) -> Result<bool, &'static str> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("true, false"),
    }
}

fn acks(text: &str) -> Result<Acks, &'static str> {
    match text {
        "0" => Ok(Acks::Zero),
        "1" => Ok(Acks::One),
        "all" | "-1" => Ok(Acks::All),
        _ => Err("0, 1, all"),
    }
}

fn codec(text: &str) -> Result<Codec, &'static str> {
    let all = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];
    all.into_iter().find(|codec| codec.name() == text).ok_or("none, gzip, snappy, lz4, zstd")
}

fn level(
    options: &mut ClientOptions,
    codec: Codec,
    text: &str,
    range: std::ops::RangeInclusive<i32>,
    allowed: &'static str,
) -> Result<(), &'static str> {
    let level: i32 = text.parse().map_err(|_| allowed)?;
    let own = codec == Codec::Gzip && level == -1;
    if !own && !range.contains(&level) {
        return Err(allowed);
    }
    options.levels.retain(|&(of, _)| of != codec);
    if !own {
        options.levels.push((codec, level));
    }
    Ok(())
}

fn isolation(text: &str) -> Result<Isolation, &'static str> {
    match text {
        "read_committed" => Ok(Isolation::ReadCommitted),
        "read_uncommitted" => Ok(Isolation::ReadUncommitted),
        _ => Err("read_committed, read_uncommitted"),
    }
}

fn reset(text: &str) -> Result<Reset, &'static str> {
    match text {
        "earliest" | "start" => Ok(Reset::Start),
        "latest" | "end" => Ok(Reset::End),
        "none" | "fail" => Ok(Reset::Fail),
        _ => Err("earliest, latest, none"),
    }
}

fn group_protocol(text: &str) -> Result<GroupProtocol, &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "classic" => Ok(GroupProtocol::Classic),
        "consumer" => Ok(GroupProtocol::Consumer),
        _ => Err("classic, consumer"),
    }
}

fn assignors(text: &str) -> Result<Vec<String>, &'static str> {
    let one = |name: &str| match name.trim().rsplit('.').next() {
        Some("range" | "RangeAssignor") => Ok("range".to_owned()),
        Some("roundrobin" | "RoundRobinAssignor") => Ok("roundrobin".to_owned()),
        Some("cooperative-sticky" | "CooperativeStickyAssignor") => Ok("cooperative-sticky".to_owned()),
        _ => Err("range, roundrobin, cooperative-sticky, or Kafka's class names of them"),
    };
    text.split(',').map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> ClientOptions {
        ClientOptions::new(vec![Address::Unix("/x".into())])
    }

    #[test]
    fn properties_go_by_kafkas_names() {
        let mut got = options();
        for (key, value) in [
            ("acks", "1"),
            ("linger.ms", "0"),
            ("compression.zstd.level", "19"),
            ("compression.type", "zstd"),
            ("auto.offset.reset", "latest"),
            ("isolation.level", "read_uncommitted"),
            ("partition.assignment.strategy", "org.apache.kafka.clients.consumer.RoundRobinAssignor, range"),
            ("retries", "7"),
            ("group.protocol", "CONSUMER"),
            ("bootstrap.servers", "a:1,b:2"),
        ] {
            got.set(key, value).unwrap();
        }
        assert_eq!(got.acks, Acks::One);
        assert_eq!(got.linger, Duration::ZERO);
        assert_eq!(got.compression(), Compression { codec: Codec::Zstd, level: Some(19) });
        assert_eq!(got.reset, Reset::End);
        assert_eq!(got.isolation, Isolation::ReadUncommitted);
        assert_eq!(got.assignors, ["roundrobin", "range"]);
        assert_eq!(got.group_protocol, GroupProtocol::Consumer);
        assert_eq!(got.bootstrap.len(), 2);
        assert!(!got.is_idempotent());
        assert_eq!(got.check(), Ok(()));
    }

    #[test]
    fn wrong_values_say_what_is_allowed() {
        let text = |key: &str, value: &str| options().set(key, value).unwrap_err().to_string();
        assert!(text("acks", "2").contains("0, 1, all"));
        assert!(text("linger.ms", "-1").contains("milliseconds"));
        assert!(text("max.in.flight.requests.per.connection", "6").contains("1 to 5"));
        assert!(text("sesion.timeout.ms", "1").contains("session.timeout.ms"));
        assert!(!text("what.is.this.even", "1").contains("did you mean"));
        let mut slow = options();
        slow.set("heartbeat.interval.ms", "10000").unwrap();
        assert!(slow.check().unwrap_err().to_string().contains("session.timeout.ms=10000"));
    }

    #[test]
    fn security_goes_by_both_families_of_names() {
        let mut got = options();
        for (key, value) in [
            ("security.protocol", "sasl_ssl"),
            ("sasl.mechanisms", "SCRAM-SHA-256"),
            ("sasl.username", "alice"),
            ("ssl.truststore.location", "/ca.pem"),
            ("ssl.truststore.type", "PEM"),
            ("ssl.keystore.location", "/me.pem"),
            ("ssl.endpoint.identification.algorithm", ""),
            ("ssl.key.password", ""),
        ] {
            got.set(key, value).unwrap();
        }
        let security = &got.security;
        assert_eq!((security.tls, security.sasl, security.verify_name), (true, true, false));
        assert_eq!(security.mechanism().name(), "SCRAM-SHA-256");
        assert_eq!(
            (&security.chain, &security.key),
            (&security::file("/me.pem"), &security::file("/me.pem"))
        );
        assert!(got.check().unwrap_err().to_string().contains("sasl.password"));
        got.set("sasl.password", "pw").unwrap();
        assert_eq!(got.check(), Ok(()));
        let text = |key: &str, value: &str| options().set(key, value).unwrap_err().to_string();
        assert!(text("security.protocol", "TLS").contains("SASL_SSL"));
        assert!(text("ssl.keystore.type", "JKS").contains("PEM only"));
        for secret in ["sasl.jaas.config", "ssl.key.password"] {
            assert!(!text(secret, "s3cret").contains("s3cret"), "{secret}");
        }
    }

    #[test]
    fn every_name_stands_once() {
        let mut names: Vec<_> =
            PROPERTIES.iter().map(|property| property.name).chain(WITHOUT_EFFECT.iter().copied()).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
