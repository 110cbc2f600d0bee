//! rskafka's driver: the scenarios that a client without groups can run. See ../suite.py; it must never pass without
//! having compared what came back.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs;
use std::future::Future;
use std::process::{Command, exit};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use rskafka::BackoffConfig;
use rskafka::client::error::{Error, ProtocolError};
use rskafka::client::partition::{Compression, OffsetAt, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder, Credentials, SaslConfig};
use rskafka::record::{Record, RecordAndOffset};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;

const CODECS: [(&str, Compression); 5] = [
    ("none", Compression::NoCompression),
    ("gzip", Compression::Gzip),
    ("snappy", Compression::Snappy),
    ("lz4", Compression::Lz4),
    ("zstd", Compression::Zstd),
];

static NUMBERS: AtomicUsize = AtomicUsize::new(0);

/// What the suite says of the brokers.
struct World(Value);

impl World {
    fn text(&self, key: &str) -> &str {
        self.0[key].as_str().unwrap_or_else(|| panic!("the world has no {key}"))
    }

    fn name(&self, word: &str) -> String {
        format!("{}-{word}{}", self.text("prefix"), NUMBERS.fetch_add(1, Ordering::Relaxed))
    }

    /// A klog command against the open broker, over TCP.
    fn klog(&self, arguments: &[&str]) -> Vec<u8> {
        let done = Command::new(self.text("klog"))
            .args(["-b", self.text("plain")])
            .args(arguments)
            .output()
            .unwrap();
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        done.stdout
    }

    /// The codecs of the batches that the broker stored, where its files are ours to see.
    fn stored_codecs(&self, topic: &str) -> Option<Vec<String>> {
        let folder = format!("{}/{topic}-0", self.0["data"].as_str()?);
        let done = Command::new(self.text("klog"))
            .args(["segment", "dump", &folder, "--batches", "-J"])
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let lines = String::from_utf8(done.stdout).unwrap();
        let codec =
            |line: &str| serde_json::from_str::<Value>(line).unwrap()["codec"].as_str().unwrap().to_owned();
        Some(lines.lines().map(codec).collect())
    }
}

fn millis(at: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(at).unwrap()
}

fn record(key: Option<&[u8]>, value: Option<&[u8]>, at: i64) -> Record {
    let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
    Record { key: owned(key), value: owned(value), headers: BTreeMap::new(), timestamp: millis(at) }
}

fn values(values: &[&[u8]]) -> Vec<Record> {
    let now = Utc::now().timestamp_millis();
    values.iter().map(|value| record(None, Some(value), now)).collect()
}

/// A client of one listener; it gives up after a second.
async fn connect(
    address: &str,
    tls: Option<ClientConfig>,
    sasl: Option<SaslConfig>,
) -> Result<Client, Error> {
    let backoff = BackoffConfig { deadline: Some(Duration::from_secs(1)), ..BackoffConfig::default() };
    let mut builder =
        ClientBuilder::new(vec![address.to_owned()]).client_id("rskafka-driver").backoff_config(backoff);
    if let Some(tls) = tls {
        builder = builder.tls_config(Arc::new(tls));
    }
    if let Some(sasl) = sasl {
        builder = builder.sasl_config(sasl);
    }
    builder.build().await
}

async fn plain(world: &World) -> Client {
    connect(world.text("plain"), None, None).await.expect("the open broker")
}

async fn partition(client: &Client, topic: &str, number: i32) -> PartitionClient {
    client.partition_client(topic, number, UnknownTopicHandling::Retry).await.expect("the partition")
}

async fn make(client: &Client, topic: &str, partitions: i32) {
    client
        .controller_client()
        .unwrap()
        .create_topic(topic, partitions, 1, 5000)
        .await
        .expect("the topic is made");
}

/// Sees that the broker refuses with this error.
#[track_caller]
fn refused<T: Debug>(wanted: ProtocolError, answer: Result<T, Error>) {
    match answer {
        Err(Error::ServerError { protocol_error, .. }) if protocol_error == wanted => {}
        other => panic!("wanted {wanted:?}, got {other:?}"),
    }
}

async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition().await {
        assert!(Instant::now() < deadline, "not within 20 s: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// All records from an offset to the end as it is now.
async fn read(partition: &PartitionClient, from: i64) -> Vec<RecordAndOffset> {
    let end = partition.get_offset(OffsetAt::Latest).await.expect("the end");
    let mut got: Vec<RecordAndOffset> = Vec::new();
    let mut next = from;
    while next < end {
        let (records, _) = partition.fetch_records(next, 1..1_000_000, 500).await.expect("records");
        let Some(last) = records.last() else { break };
        next = last.offset + 1;
        got.extend(records);
    }
    got
}

async fn topics(world: &World) {
    let client = plain(world).await;
    let controller = client.controller_client().unwrap();
    let topic = world.name("made");
    make(&client, &topic, 3).await;
    let listed = || async {
        let found = client.list_topics().await.unwrap().into_iter().find(|t| t.name == topic);
        found.map(|t| t.partitions.into_iter().collect::<Vec<_>>())
    };
    until("the topic is listed", || async { listed().await == Some(vec![0, 1, 2]) }).await;
    refused(ProtocolError::TopicAlreadyExists, controller.create_topic(&topic, 3, 1, 5000).await);
    refused(
        ProtocolError::InvalidReplicationFactor,
        controller.create_topic(world.name("o"), 1, 5, 5000).await,
    );
    refused(ProtocolError::InvalidPartitions, controller.create_topic(world.name("o"), 0, 1, 5000).await);
    let last = partition(&client, &topic, 2).await;
    assert_eq!(last.produce(values(&[b"x"]), Compression::NoCompression).await.unwrap(), [0]);
    controller.delete_topic(&topic, 5000).await.expect("deleted");
    until("the topic is gone", || async { listed().await.is_none() }).await;
    make(&client, &topic, 1).await;
    until("the topic is there again", || async { listed().await == Some(vec![0]) }).await;
    let anew = partition(&client, &topic, 0).await;
    assert_eq!(anew.produce(values(&[b"anew"]), Compression::NoCompression).await.unwrap(), [0]);
    assert_eq!(read(&anew, 0).await[0].record.value.as_deref(), Some(&b"anew"[..]));
}

async fn codecs(world: &World) {
    let client = plain(world).await;
    for (name, codec) in CODECS {
        let topic = world.name(name);
        make(&client, &topic, 1).await;
        let home = partition(&client, &topic, 0).await;
        let lines: Vec<String> = (0..500).map(|n| format!("{n} {}", "again and ".repeat(12))).collect();
        let sent: Vec<&[u8]> = lines.iter().map(String::as_bytes).collect();
        for batch in sent.chunks(100) {
            home.produce(values(batch), codec).await.expect("produced");
        }
        let got = read(&home, 0).await;
        assert!(got.iter().map(|r| r.record.value.as_deref().unwrap()).eq(sent.iter().copied()), "{name}");
        assert!(got.iter().map(|r| r.offset).eq(0..500), "{name}");
        assert_eq!(world.klog(&["consume", &topic, "-e"]), (lines.join("\n") + "\n").into_bytes(), "{name}");
        if let Some(stored) = world.stored_codecs(&topic) {
            assert!(stored.iter().all(|codec| codec == name), "{name}: {stored:?}");
        }
    }
}

async fn records(world: &World) {
    let client = plain(world).await;
    let topic = world.name("records");
    make(&client, &topic, 1).await;
    let home = partition(&client, &topic, 0).await;
    let base = Utc::now().timestamp_millis() - 18_000_000;
    let everything: Vec<u8> = (0..=255).collect();
    let mut sent = vec![
        record(None, Some(b"no key"), base),
        record(Some(b"key"), Some(b"value"), base + 7),
        record(Some(b"tombstone"), None, base + 3),
        record(Some(b""), Some(b""), base + 9),
        record(None, None, base + 9),
        record(Some(&everything), Some(&everything.repeat(9)), base + 10),
        record(Some("grüße".as_bytes()), Some("日本語\n\r\0".as_bytes()), base + 11),
    ];
    sent[1].headers = [("a", &b"1"[..]), ("bytes", &everything), ("empty", b"")]
        .map(|(name, value)| (name.to_owned(), value.to_vec()))
        .into();
    home.produce(sent.clone(), Compression::Zstd).await.expect("produced");
    let got: Vec<Record> = read(&home, 0).await.into_iter().map(|r| r.record).collect();
    assert_eq!(got, sent);
}

async fn large(world: &World) {
    let client = plain(world).await;
    let topic = world.name("large");
    make(&client, &topic, 1).await;
    let home = partition(&client, &topic, 0).await;
    // Nothing that a codec could shrink.
    let noise = |size: usize, mut state: u32| -> Vec<u8> {
        let step = |_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as u8
        };
        (0..size).map(step).collect()
    };
    let (million, two) = (noise(1_000_000, 1), noise(2_000_000, 2));
    let plain = Compression::NoCompression;
    assert_eq!(home.produce(values(&[b"first"]), plain).await.unwrap(), [0]);
    assert_eq!(home.produce(values(&[&million]), plain).await.unwrap(), [1]);
    refused(ProtocolError::MessageTooLarge, home.produce(values(&[&two]), plain).await);
    assert_eq!(home.produce(values(&[b"after"]), plain).await.unwrap(), [2]);
    let got: Vec<Vec<u8>> = read(&home, 0).await.into_iter().map(|r| r.record.value.unwrap()).collect();
    assert!(got == [b"first".to_vec(), million, b"after".to_vec()]);
}

async fn offsets(world: &World) {
    let client = plain(world).await;
    let topic = world.name("times");
    make(&client, &topic, 1).await;
    let home = partition(&client, &topic, 0).await;
    let base = Utc::now().timestamp_millis() - 18_000_000;
    for batch in 0..10 {
        let at = |n: i64| base + if n == 50 { 10_000_000 } else { n * 1000 };
        let sent = (batch * 10..batch * 10 + 10)
            .map(|n| record(None, Some(n.to_string().as_bytes()), at(n)))
            .collect();
        home.produce(sent, Compression::Gzip).await.expect("produced");
    }
    assert_eq!(home.get_offset(OffsetAt::Earliest).await.unwrap(), 0);
    assert_eq!(home.get_offset(OffsetAt::Latest).await.unwrap(), 100);
    for (moment, offset) in
        [(0, 0), (30_000, 30), (30_001, 31), (9_000_000, 50), (10_000_000, 50), (10_000_001, -1)]
    {
        let found = home.get_offset(OffsetAt::Timestamp(millis(base + moment))).await.unwrap();
        assert_eq!(found, offset, "the offset of {moment}");
    }
    assert_eq!(read(&home, 97).await.iter().map(|r| r.offset).collect::<Vec<_>>(), [97, 98, 99]);
    refused(ProtocolError::OffsetOutOfRange, home.fetch_records(101, 1..1000, 100).await);
    let (none, high) = home.fetch_records(100, 1..1000, 100).await.unwrap();
    assert_eq!((none.len(), high), (0, 100));
}

async fn delete_records(world: &World) {
    let client = plain(world).await;
    let topic = world.name("trimmed");
    make(&client, &topic, 1).await;
    let home = partition(&client, &topic, 0).await;
    let sent: Vec<&[u8]> = vec![b"x"; 100];
    home.produce(values(&sent), Compression::NoCompression).await.expect("produced");
    home.delete_records(60, 5000).await.expect("deleted");
    assert_eq!(home.get_offset(OffsetAt::Earliest).await.unwrap(), 60);
    refused(ProtocolError::OffsetOutOfRange, home.fetch_records(59, 1..1000, 100).await);
    assert!(read(&home, 60).await.iter().map(|r| r.offset).eq(60..100));
    refused(ProtocolError::OffsetOutOfRange, home.delete_records(101, 5000).await);
    home.delete_records(-1, 5000).await.expect("deleted");
    assert_eq!(home.get_offset(OffsetAt::Earliest).await.unwrap(), 100);
    assert_eq!(home.produce(values(&[b"next"]), Compression::NoCompression).await.unwrap(), [100]);
}

async fn compaction(world: &World) {
    let topic = world.name("compacted");
    let settings = [
        "cleanup.policy=compact",
        "segment.ms=1000",
        "min.cleanable.dirty.ratio=0.01",
        "max.compaction.lag.ms=1000",
    ];
    let mut command = vec!["topic", "create", &topic, "-p", "1"];
    settings.iter().for_each(|setting| command.extend(["-c", setting]));
    world.klog(&command);
    let client = plain(world).await;
    let home = partition(&client, &topic, 0).await;
    let base = Utc::now().timestamp_millis() - 100_000;
    for turn in 0..5 {
        let value = format!("turn {turn}");
        let key = |n: i32| format!("k{n}");
        let sent =
            (0..10).map(|n| record(Some(key(n).as_bytes()), Some(value.as_bytes()), base + turn * 10_000));
        home.produce(sent.collect(), Compression::Lz4).await.expect("produced");
    }
    home.produce(vec![record(Some(b"end"), Some(b"end"), base + 60_000)], Compression::NoCompression)
        .await
        .unwrap();
    let mut wanted: Vec<(i64, String, String)> =
        (0..10).map(|n| (40 + n, format!("k{n}"), "turn 4".into())).collect();
    wanted.push((50, "end".into(), "end".into()));
    until("one record a key is left", || async {
        let text = |bytes: Option<Vec<u8>>| String::from_utf8(bytes.unwrap()).unwrap();
        let got = read(&home, 0).await.into_iter();
        got.map(|r| (r.offset, text(r.record.key), text(r.record.value))).collect::<Vec<_>>() == wanted
    })
    .await;
}

/// Creates a topic, writes and reads over this listener.
async fn round_trip(client: &Client, topic: &str) {
    make(client, topic, 1).await;
    let home = partition(client, topic, 0).await;
    let sent: [&[u8]; 3] = [b"1", b"2", b"3"];
    assert_eq!(home.produce(values(&sent), Compression::NoCompression).await.unwrap(), [0, 1, 2]);
    assert!(read(&home, 0).await.iter().map(|r| r.record.value.as_deref().unwrap()).eq(sent));
}

fn trusting(ca: &str) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
}

fn mechanisms(user: &str, password: &str) -> [SaslConfig; 3] {
    let credentials = || Credentials::new(user.to_owned(), password.to_owned());
    [
        SaslConfig::Plain(credentials()),
        SaslConfig::ScramSha256(credentials()),
        SaslConfig::ScramSha512(credentials()),
    ]
}

/// Sees that the client does not come in, and why.
#[track_caller]
fn shut_out(answer: Result<Client, Error>, reason: &[&str]) {
    let wrong = format!("{:?}", answer.err().expect("it came in"));
    assert!(reason.iter().any(|word| wrong.contains(word)), "{wrong}");
}

async fn sasl(world: &World) {
    let address = world.text("sasl");
    for mechanism in mechanisms(world.text("user"), world.text("password")) {
        let client = connect(address, None, Some(mechanism)).await.expect("alice");
        round_trip(&client, &world.name("t")).await;
    }
    let [nobody, ..] = mechanisms("nobody", world.text("password"));
    for mechanism in mechanisms(world.text("user"), "not her secret").into_iter().chain([nobody]) {
        shut_out(
            connect(address, None, Some(mechanism)).await,
            &["SaslAuthenticationFailed", "uthentication"],
        );
    }
    let [plain, ..] = mechanisms(world.text("user"), world.text("password"));
    let client = connect(address, None, Some(plain)).await.expect("alice");
    // It may create any topic, since it may create on the cluster; the topic's own rule denies the rest.
    let denied = format!("denied-{}", world.name("t"));
    refused(
        ProtocolError::TopicAuthorizationFailed,
        client.partition_client(&denied, 0, UnknownTopicHandling::Error).await,
    );
}

async fn tls(world: &World) {
    let (address, ca) = (world.text("tls"), world.text("ca"));
    let anonymous = connect(address, Some(trusting(ca).with_no_client_auth()), None).await.expect("TLS");
    round_trip(&anonymous, &world.name("t")).await;
    let chain =
        CertificateDer::pem_file_iter(world.text("client_cert")).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(world.text("client_key")).unwrap();
    let certified = trusting(ca).with_client_auth_cert(chain, key).unwrap();
    let certified = connect(address, Some(certified), None).await.expect("TLS with a certificate");
    let topic = format!("cert-{}", world.name("t"));
    round_trip(&certified, &topic).await;
    refused(
        ProtocolError::TopicAuthorizationFailed,
        anonymous.partition_client(&topic, 0, UnknownTopicHandling::Error).await,
    );
    let [_, _, scram] = mechanisms(world.text("user"), world.text("password"));
    let both = connect(world.text("sasl_tls"), Some(trusting(ca).with_no_client_auth()), Some(scram)).await;
    round_trip(&both.expect("TLS and SASL"), &world.name("t")).await;
    let stranger = connect(address, Some(trusting(world.text("other_ca")).with_no_client_auth()), None).await;
    shut_out(stranger, &["UnknownIssuer", "certificate"]);
}

async fn run(world: &World, scenario: &str) -> Result<(), &'static str> {
    match scenario {
        "topics" => topics(world).await,
        "codecs" => codecs(world).await,
        "records" => records(world).await,
        "large" => large(world).await,
        "offsets" => offsets(world).await,
        "delete_records" => delete_records(world).await,
        "compaction" => compaction(world).await,
        "sasl" => sasl(world).await,
        "tls" => tls(world).await,
        "group" | "static" | "cooperative" | "group_next" => return Err("rskafka has no consumer groups"),
        "configs" | "admin" => return Err("rskafka's admin calls are those of the scenario topics"),
        "pause_seek" => {
            return Err("rskafka fetches from an offset each time: there is nothing to pause or seek");
        }
        "idempotent" => return Err("rskafka has no idempotent producer"),
        _ => return Err("no such scenario in this driver"),
    }
    Ok(())
}

fn main() {
    let scenario = std::env::args().nth(1).expect("the name of a scenario");
    let world = World(serde_json::from_str(&std::env::var("KLOG_CLIENT_WORLD").unwrap()).unwrap());
    fs::metadata(world.text("klog")).expect("the klog binary");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    if let Err(reason) = runtime.block_on(run(&world, &scenario)) {
        println!("{reason}");
        exit(77);
    }
}
