//! Listeners that demand SASL: what is served before it, who gets in, and klog's own client on the other side.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use klog::auth::credential::ScramMechanism;
use klog::broker::catalog::UserUpsertion;
use klog::broker::sasl::Mechanism;
use klog::broker::settings::Settings;
use klog::broker::{Broker, BrokerOptions, ListenerSecurity};
use klog::client::consumer::{Consumer, Event, Position};
use klog::client::producer::Producer;
use klog::client::{Client, ClientError, ClientOptions, Decompressor, ErrorKind};
use klog::model::id::TopicPartition;
use klog::net::Address;
use klog::net::tls::{ClientAuth, Identity, ServerTls, ServerTlsOptions, Spoken};
use klog::server::{Limits, ListenerOptions, Server, ServerOptions};
use std::ops::ControlFlow;

use crate::authority::Authority;
use crate::peer::{DEADLINE, Peer, frame};

/// A broker of which alice is a super user, with SASL in the clear and over TLS.
struct Guarded {
    folder: tempfile::TempDir,
    broker: Arc<Broker>,
    server: Option<Server>,
}

fn guarded(mechanisms: &[Mechanism], settings: &[(&str, &str)]) -> Guarded {
    let folder = tempfile::tempdir().unwrap();
    let mut pairs = vec![("super.users", "User:alice")];
    pairs.extend_from_slice(settings);
    let options = BrokerOptions {
        settings: Settings::parse(pairs).unwrap(),
        authentication: true,
        ..BrokerOptions::new(folder.path().join("data"))
    };
    let broker = Broker::open_on_this_machine(options).unwrap();
    let user = |name: &str, mechanism: ScramMechanism| UserUpsertion {
        name: name.to_owned(),
        mechanism: mechanism.code(),
        iterations: 4096,
        salt: Bytes::from_static(b"some salt"),
        salted_password: mechanism.salted_password(b"s3cret", b"some salt", 4096).into(),
    };
    let users = [
        user("alice", ScramMechanism::Sha256),
        user("alice", ScramMechanism::Sha512),
        user("bob", ScramMechanism::Sha256),
    ];
    // A request may name a user once.
    for user in &users {
        for (name, made) in broker.alter_users(&[], std::slice::from_ref(user)).unwrap() {
            made.unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
    let authority = Authority::new(folder.path(), "ca");
    let tls = ServerTlsOptions {
        identity: Identity::in_file(authority.server("server", &["127.0.0.1"])),
        trust: None,
        client_auth: ClientAuth::None,
        spoken: Spoken::default(),
    };
    let tls = Arc::new(ServerTls::load(tls).unwrap());
    let any = Address::Tcp { host: "127.0.0.1".into(), port: 0 };
    let listener = || {
        let mut options = ListenerOptions::bind(&any, None).unwrap();
        options.security = ListenerSecurity { sasl: true, tls: false, mechanisms: mechanisms.into() };
        options
    };
    let options = ServerOptions {
        listeners: vec![listener(), listener().with_tls(tls)],
        workers: 2,
        limits: Limits { sasl_max_bytes: 10_000, ..Limits::default() },
        ..ServerOptions::default()
    };
    let server = Some(Server::start(options, Arc::clone(&broker)).unwrap());
    Guarded { folder, broker, server }
}

impl Guarded {
    fn address(&self, tls: bool) -> Address {
        self.server.as_ref().unwrap().addresses()[usize::from(tls)].clone()
    }

    fn dial(&self) -> Peer {
        Peer::dial(&self.address(false))
    }

    /// Options of a client that is `user`.
    fn options(&self, tls: bool, mechanism: &str, user: &str, password: &str) -> ClientOptions {
        let mut options = ClientOptions::new(vec![self.address(tls)]);
        let protocol = if tls { "SASL_SSL" } else { "SASL_PLAINTEXT" };
        let ca = self.folder.path().join("ca.pem");
        for (name, value) in [
            ("security.protocol", protocol),
            ("sasl.mechanism", mechanism),
            ("sasl.username", user),
            ("sasl.password", password),
            ("ssl.ca.location", ca.to_str().unwrap()),
        ] {
            options.set(name, value).unwrap();
        }
        options
    }

    fn stop(mut self) {
        let server = self.server.take().unwrap();
        run(async {
            server.stop().await;
            self.broker.close().await.unwrap();
        });
    }
}

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(DEADLINE * 2, test).await.expect("it takes too long") })
}

fn string(text: &str) -> Vec<u8> {
    [&(text.len() as i16).to_be_bytes(), text.as_bytes()].concat()
}

fn bytes(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as i32).to_be_bytes(), bytes].concat()
}

fn handshake(version: i16, correlation: i32, mechanism: &str) -> Vec<u8> {
    frame(17, version, correlation, &string(mechanism))
}

fn authenticate(correlation: i32, message: &[u8]) -> Vec<u8> {
    frame(36, 1, correlation, &bytes(message))
}

/// Metadata 1 for all topics.
fn metadata(correlation: i32) -> Vec<u8> {
    frame(3, 1, correlation, &(-1_i32).to_be_bytes())
}

/// The error code behind the correlation id.
fn code(answer: &[u8]) -> i16 {
    i16::from_be_bytes(*answer[4..].first_chunk().unwrap())
}

#[test]
fn nothing_but_authentication_is_served_before_it() {
    let guarded = guarded(&Mechanism::ALL, &[]);
    let good = b"\0alice\0s3cret";
    // Everything at once, in order: a later request is judged when the ones before it are done.
    let mut peer = guarded.dial();
    let all = [frame(18, 0, 1, &[]), handshake(1, 2, "PLAIN"), authenticate(3, good), metadata(4)].concat();
    peer.send(&all);
    for correlation in 1..=4_i32 {
        let answer = peer.answer().unwrap();
        assert_eq!(answer[..4], correlation.to_be_bytes());
        assert!(correlation == 4 || code(&answer) == 0, "{correlation}: {answer:?}");
    }
    // Once it is done, it is done: there is no session to renew.
    peer.send(&[handshake(1, 5, "PLAIN"), authenticate(6, good), metadata(7)].concat());
    assert_eq!((code(&peer.answer().unwrap()), code(&peer.answer().unwrap())), (34, 34));
    assert_eq!(peer.answer().unwrap()[..4], 7_i32.to_be_bytes());
    // What comes too early closes the connection without an answer of its own.
    let mut early = guarded.dial();
    early.send(&metadata(1));
    assert_eq!(early.closed_after(), b"");
    let mut between = guarded.dial();
    between.send(&[handshake(1, 1, "PLAIN"), metadata(2), authenticate(3, good), metadata(4)].concat());
    assert_eq!(code(&between.answer().unwrap()), 0);
    assert_eq!(between.closed_after(), b"");
    // A wrong password is said, late; what was sent on behind it is not looked at.
    let mut wrong = guarded.dial();
    let began = Instant::now();
    wrong.send(&[handshake(1, 1, "PLAIN"), authenticate(2, b"\0alice\0no"), metadata(3)].concat());
    assert_eq!(code(&wrong.answer().unwrap()), 0);
    assert_eq!(code(&wrong.answer().unwrap()), 58);
    assert!(began.elapsed() >= Duration::from_millis(90), "guessing takes its time");
    assert_eq!(wrong.closed_after(), b"");
    // A mechanism that is not there.
    let mut strange = guarded.dial();
    strange.send(&handshake(1, 1, "GSSAPI"));
    let answer = strange.answer().unwrap();
    assert_eq!(code(&answer), 33);
    assert!(answer.windows(13).any(|window| window == b"SCRAM-SHA-256"));
    assert_eq!(strange.closed_after(), b"");
    // A request longer than any step.
    let mut long = guarded.dial();
    long.send(&[handshake(1, 1, "PLAIN"), authenticate(2, &[b'x'; 11_000])].concat());
    let _ = long.answer();
    assert_eq!(long.closed_after(), b"");
    guarded.stop();
}

#[test]
fn sasl_messages_without_a_head_follow_the_old_handshake() {
    let guarded = guarded(&Mechanism::ALL, &[]);
    let mut peer = guarded.dial();
    peer.send(&[handshake(0, 1, "PLAIN"), bytes(b"\0alice\0s3cret"), metadata(3)].concat());
    assert_eq!(code(&peer.answer().unwrap()), 0);
    assert_eq!(peer.answer().unwrap(), b"", "PLAIN has nothing to say");
    assert_eq!(peer.answer().unwrap()[..4], 3_i32.to_be_bytes());
    for message in [&b"\0alice\0no"[..], b"", b"\0", &authenticate(2, b"\0alice\0s3cret")[4..]] {
        let mut peer = guarded.dial();
        peer.send(&[handshake(0, 1, "PLAIN"), bytes(message)].concat());
        assert_eq!(code(&peer.answer().unwrap()), 0);
        assert_eq!(peer.closed_after(), b"", "{message:?}");
    }
    guarded.stop();
}

async fn produce(client: &Client, topic: &str, lines: std::ops::Range<u32>) {
    let mut producer = Producer::new(client).await.unwrap();
    let target = producer.topic(topic).await.unwrap();
    for line in lines {
        let value = line.to_string();
        producer.push(target, None, 1_730_000_000_000, None, Some(value.as_bytes()), &[]).unwrap();
    }
    producer.flush().await.unwrap();
}

#[test]
fn klogs_client_authenticates_by_every_mechanism_over_both_transports() {
    let guarded = guarded(&Mechanism::ALL, &[]);
    run(async {
        let mut count = 0;
        for tls in [false, true] {
            for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
                let options = guarded.options(tls, mechanism, "alice", "s3cret");
                let client = Client::connect(options).await.unwrap();
                produce(&client, "t", count..count + 1000).await;
                count += 1000;
                let consumer = Consumer::new(&client);
                let partition = TopicPartition::new("t", 0);
                let end = consumer.resolve(&[(partition.clone(), Position::End)]).await.unwrap().remove(0);
                assert_eq!(end, i64::from(count));
                client.close();
            }
        }
    });
    guarded.stop();
}

#[test]
fn klogs_client_says_why_it_is_not_let_in() {
    let guarded = guarded(&[Mechanism::ScramSha256], &[]);
    run(async {
        let refused = async |options: ClientOptions| -> (ErrorKind, String, String) {
            let error = match Client::connect(options).await {
                Err(error) => error,
                Ok(client) => client.topics().await.unwrap_err(),
            };
            (error.kind(), error.to_string(), error.next().to_owned())
        };
        for tls in [false, true] {
            for (user, password) in [("alice", "wrong"), ("nobody", "s3cret"), ("bob", "")] {
                let (kind, text, next) = refused(guarded.options(tls, "SCRAM-SHA-256", user, password)).await;
                assert_eq!(kind, ErrorKind::NotAllowed, "{text}");
                assert!(!text.contains("s3cret") && next.contains("sasl.password"), "{text}: {next}");
            }
            let (kind, text, next) = refused(guarded.options(tls, "PLAIN", "alice", "s3cret")).await;
            assert_eq!(kind, ErrorKind::NotAllowed);
            assert!(text.contains("does not offer PLAIN; offered: SCRAM-SHA-256"), "{text}");
            assert!(next.contains("sasl.mechanism"), "{next}");
        }
        let began = Instant::now();
        let (kind, text, next) = refused(ClientOptions::new(vec![guarded.address(false)])).await;
        assert_eq!(kind, ErrorKind::NotAllowed, "{text}");
        assert!(next.contains("SASL_PLAINTEXT"), "{text}: {next}");
        assert!(began.elapsed() < Duration::from_secs(10), "it tries for too long");
        // Who has a password but no rights gets in, and no further.
        let bob = Client::connect(guarded.options(true, "SCRAM-SHA-256", "bob", "s3cret")).await.unwrap();
        let error = Producer::new(&bob).await.map(drop);
        let error: Result<(), ClientError> = match error {
            Ok(()) => bob.create_topics(&[]).await.map(drop),
            other => other,
        };
        if let Err(error) = error {
            assert_eq!(error.kind(), ErrorKind::NotAllowed, "{error}");
        }
        bob.close();
    });
    guarded.stop();
}

#[test]
fn a_session_ends_and_klogs_client_goes_on_in_a_new_one() {
    let guarded = guarded(&Mechanism::ALL, &[("connections.max.reauth.ms", "700")]);
    let mut peer = guarded.dial();
    peer.send(&[handshake(1, 1, "PLAIN"), authenticate(2, b"\0alice\0s3cret"), metadata(3)].concat());
    for _ in 0..3 {
        peer.answer().unwrap();
    }
    run(async {
        let client =
            Client::connect(guarded.options(false, "SCRAM-SHA-512", "alice", "s3cret")).await.unwrap();
        let mut consumer = Consumer::new(&client);
        let mut decompressor = Decompressor::new();
        let began = Instant::now();
        let mut count = 0;
        while began.elapsed() < Duration::from_millis(2500) {
            produce(&client, "t", count..count + 10).await;
            if count == 0 {
                consumer.assign(TopicPartition::new("t", 0), 0, None);
            }
            count += 10;
            let mut read = 0;
            while read < 10 {
                let Event::Chunk(chunk) = consumer.next().await.unwrap() else { continue };
                let count = |_: &_, _: klog::client::Record<'_>| {
                    read += 1;
                    ControlFlow::Continue(())
                };
                chunk.visit(chunk.start(), &mut decompressor, count).unwrap();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(count >= 100, "{count}");
    });
    // Who does not authenticate again in time is not served any more.
    peer.send(&metadata(4));
    assert_eq!(peer.closed_after(), b"");
    guarded.stop();
}
