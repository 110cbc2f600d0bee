//! TLS listeners: what they let in, what they keep out, and that nothing is left of a handshake that comes to nothing.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use klog::net::tls::{
    ClientAuth, ClientTls, ClientTlsOptions, Identity, Pem, ServerTls, ServerTlsOptions, Spoken, TlsFailure,
};
use klog::net::{Address, Stream, dial};
use klog::server::{Limits, ListenerOptions, Server, ServerOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::authority::{Authority, self_signed};
use crate::peer::{DEADLINE, Peer, frame, until};
use crate::stand_in::{ECHO, FILE, StandIn, TestFile, VIRTUAL, WHO};

/// A stand-in behind TLS, with an authority that vouches for it as 127.0.0.1.
struct Fixture {
    folder: tempfile::TempDir,
    authority: Authority,
    tls: Arc<ServerTls>,
    server: Server,
    service: Arc<StandIn>,
}

fn fixture(client_auth: ClientAuth, limits: Limits, service: StandIn) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "ca");
    let options = ServerTlsOptions {
        identity: Identity::in_file(authority.server("server", &["127.0.0.1"])),
        trust: Some(Pem::File(authority.file())),
        client_auth,
        spoken: Spoken::default(),
    };
    let tls = Arc::new(ServerTls::load(options).unwrap());
    let any = Address::Tcp { host: "127.0.0.1".into(), port: 0 };
    let listeners = vec![
        ListenerOptions::bind(&any, None).unwrap().with_tls(Arc::clone(&tls)),
        ListenerOptions::bind(&any, None).unwrap(),
    ];
    let service = Arc::new(service);
    let options = ServerOptions { listeners, workers: 2, limits, ..ServerOptions::default() };
    let server = Server::start(options, Arc::clone(&service)).unwrap();
    Fixture { folder, authority, tls, server, service }
}

impl Fixture {
    fn address(&self) -> Address {
        self.server.addresses()[0].clone()
    }

    fn port(&self) -> u16 {
        let Address::Tcp { port, .. } = self.address() else { panic!("TCP is listened on") };
        port
    }

    fn client(&self) -> ClientTls {
        client(Some(&self.authority.file()), None, true)
    }

    async fn connect(&self) -> Stream {
        connect(&self.address(), &self.client()).await.unwrap()
    }
}

fn client(trust: Option<&Path>, identity: Option<PathBuf>, verify_name: bool) -> ClientTls {
    let trust = trust.map(|path| Pem::File(path.to_owned()));
    let identity = identity.map(Identity::in_file);
    ClientTls::load(&ClientTlsOptions { trust, identity, verify_name, spoken: Spoken::default() }).unwrap()
}

async fn connect(address: &Address, tls: &ClientTls) -> std::io::Result<Stream> {
    let stream = dial(address, DEADLINE).await.unwrap();
    let Address::Tcp { host, .. } = address else { panic!("TCP is dialled") };
    tls.connect(stream, host).await
}

async fn ask(stream: &mut Stream, correlation: i32, body: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(&frame(18, 0, correlation, body)).await?;
    stream.flush().await?;
    let length = stream.read_u32().await?;
    let mut answer = vec![0; length as usize];
    stream.read_exact(&mut answer).await?;
    assert_eq!(answer[..4], correlation.to_be_bytes());
    Ok(answer.split_off(4))
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(DEADLINE * 2, test).await.expect("it takes too long") });
}

#[test]
fn files_go_over_tls_byte_for_byte_to_a_reader_of_any_speed() {
    let folder = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = (0..9_000_019_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    std::fs::write(folder.path().join("f"), &bytes).unwrap();
    let open = |hidden| {
        let file = std::fs::File::open(folder.path().join("f")).unwrap();
        Some(Arc::new(TestFile { file, hidden }) as Arc<dyn klog::storage::DiskFile>)
    };
    let service = StandIn { file: open(false), in_memory: open(true), ..StandIn::default() };
    let fixture = fixture(ClientAuth::None, Limits::default(), service);
    run(async {
        let mut stream = fixture.connect().await;
        for kind in [FILE, VIRTUAL] {
            let answer = ask(&mut stream, 7, &[kind]).await.unwrap();
            assert!(answer[..bytes.len()] == bytes[..], "the file is another");
            assert_eq!(&answer[bytes.len()..], [b"end", &bytes[..1]].concat());
        }
        // Ten answers at once to someone who takes them in drops.
        let asked: Vec<u8> = (0..10).flat_map(|n| frame(18, 0, n, &[FILE])).collect();
        stream.write_all(&asked).await.unwrap();
        stream.flush().await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        for n in 0..10_i32 {
            assert_eq!(stream.read_u32().await.unwrap() as usize, 4 + bytes.len() + 4);
            assert_eq!(stream.read_i32().await.unwrap(), n);
            let mut answer = vec![0; bytes.len() + 4];
            for piece in answer.chunks_mut(100_003) {
                stream.read_exact(piece).await.unwrap();
            }
            assert!(answer[..bytes.len()] == bytes[..], "the file is another");
        }
        // A large request, and small ones right behind one another.
        let large: Vec<u8> = [&[ECHO], &bytes[..3_000_000]].concat();
        assert!(ask(&mut stream, 8, &large).await.unwrap() == large);
    });
}

#[test]
fn five_hundred_come_at_once() {
    let fixture = fixture(ClientAuth::None, Limits::default(), StandIn::default());
    run(async {
        let tls = fixture.client();
        let address = fixture.address();
        let mut all = tokio::task::JoinSet::new();
        for n in 0..500 {
            let (tls, address) = (tls.clone(), address.clone());
            all.spawn(async move {
                let mut stream = connect(&address, &tls).await.unwrap();
                assert_eq!(ask(&mut stream, n, b"e500").await.unwrap(), b"e500");
                stream
            });
        }
        let mut held = Vec::new();
        while let Some(stream) = all.join_next().await {
            held.push(stream.unwrap());
        }
        for stream in &mut held {
            assert_eq!(ask(stream, 1, b"e").await.unwrap(), b"e");
        }
    });
    assert_eq!(fixture.service.calls.load(Ordering::SeqCst), 1000);
}

#[test]
fn client_certificates_say_who_someone_is() {
    for (auth, bare_comes_in) in
        [(ClientAuth::None, true), (ClientAuth::Requested, true), (ClientAuth::Required, false)]
    {
        let fixture = fixture(auth, Limits::default(), StandIn::default());
        let ca = fixture.authority.file();
        let other = Authority::new(fixture.folder.path(), "other");
        run(async {
            let address = fixture.address();
            // TLS 1.3 lets a client go on before the server has looked at its certificate: the first answer tells.
            let who = async |tls: ClientTls| {
                let mut stream = connect(&address, &tls).await?;
                ask(&mut stream, 1, &[WHO]).await.map(|name| String::from_utf8(name).unwrap())
            };
            let bare = who(client(Some(&ca), None, true)).await;
            match bare {
                Ok(name) => assert_eq!((name.as_str(), bare_comes_in), ("User:ANONYMOUS", true)),
                Err(error) => {
                    assert!(!bare_comes_in);
                    assert!(matches!(TlsFailure::of(&error), Some(TlsFailure::NotTaken(_))), "{error}");
                }
            }
            let known = who(client(Some(&ca), Some(fixture.authority.client("alice")), true)).await.unwrap();
            let named = auth != ClientAuth::None;
            assert_eq!(known, if named { "User:CN=alice,O=x" } else { "User:ANONYMOUS" });
            let strange = who(client(Some(&ca), Some(other.client("mallory")), true)).await;
            assert_eq!(strange.is_err(), named, "{strange:?}");
        });
    }
}

#[test]
fn a_broker_that_nobody_vouches_for_is_not_spoken_to() {
    let fixture = fixture(ClientAuth::None, Limits::default(), StandIn::default());
    let other = Authority::new(fixture.folder.path(), "other").file();
    let ca = fixture.authority.file();
    run(async {
        let address = fixture.address();
        let failure = async |tls: ClientTls, host: &str| {
            let stream = dial(&address, DEADLINE).await.unwrap();
            let error = tls.connect(stream, host).await.err()?;
            Some(TlsFailure::of(&error).unwrap_or_else(|| panic!("{error}")))
        };
        assert!(matches!(
            failure(client(Some(&other), None, true), "127.0.0.1").await,
            Some(TlsFailure::Untrusted(_))
        ));
        assert!(matches!(
            failure(client(Some(&other), None, false), "127.0.0.1").await,
            Some(TlsFailure::Untrusted(_))
        ));
        assert!(matches!(
            failure(client(Some(&ca), None, true), "localhost").await,
            Some(TlsFailure::OtherName(_))
        ));
        assert_eq!(failure(client(Some(&ca), None, false), "localhost").await, None);
        assert_eq!(failure(client(Some(&ca), None, true), "127.0.0.1").await, None);
        // The other listener speaks no TLS at all, and hangs up.
        let plain = dial(&fixture.server.addresses()[1], DEADLINE).await.unwrap();
        assert!(client(Some(&ca), None, true).connect(plain, "127.0.0.1").await.is_err());
    });
}

#[test]
fn certificates_are_read_again_and_bad_ones_change_nothing() {
    let fixture = fixture(ClientAuth::None, Limits::default(), StandIn::default());
    let server = fixture.folder.path().join("server.pem");
    let old = fixture.authority.file();
    run(async {
        let mut before = fixture.connect().await;
        std::fs::write(&server, "no PEM").unwrap();
        fixture.tls.reload().unwrap_err();
        std::fs::remove_file(&server).unwrap();
        assert!(fixture.tls.reload().unwrap_err().to_string().contains("server.pem"));
        assert_eq!(ask(&mut fixture.connect().await, 1, b"e").await.unwrap(), b"e");
        // Signed by itself and named as trusted.
        self_signed(fixture.folder.path(), "server", "127.0.0.1");
        fixture.tls.reload().unwrap();
        assert!(connect(&fixture.address(), &client(Some(&old), None, true)).await.is_err());
        let pinned = client(Some(&server), None, true);
        assert_eq!(
            ask(&mut connect(&fixture.address(), &pinned).await.unwrap(), 1, b"e").await.unwrap(),
            b"e"
        );
        let stream = dial(&fixture.address(), DEADLINE).await.unwrap();
        assert!(pinned.connect(stream, "localhost").await.is_err(), "its name counts all the same");
        assert_eq!(ask(&mut before, 2, b"e").await.unwrap(), b"e", "who was there stays");
    });
}

#[test]
fn who_speaks_something_else_is_closed_at_once_and_who_says_nothing_in_time() {
    let limits = Limits { handshake: Duration::from_millis(300), ..Limits::default() };
    let fixture = fixture(ClientAuth::None, limits, StandIn::default());
    for hello in [&frame(18, 0, 1, &[ECHO])[..], b"GET / HTTP/1.1\r\n\r\n", &[0; 64], &[0xff; 64]] {
        let mut peer = Peer::dial(&fixture.address());
        let began = Instant::now();
        peer.send(hello);
        let said = peer.closed_after();
        assert!(said.len() < 16 && began.elapsed() < Duration::from_secs(5), "{hello:?}: {said:?}");
    }
    for silent in [&b""[..], &[0x16], &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc]] {
        let mut peer = Peer::dial(&fixture.address());
        let began = Instant::now();
        peer.send(silent);
        peer.closed_after();
        assert!(began.elapsed() >= Duration::from_millis(250), "it had its time");
    }
    assert_eq!(fixture.service.calls.load(Ordering::SeqCst), 0);
}

/// Passes a connection on to `to`, and ends it both ways after `most` bytes from its client, or from the server.
/// Gives how many bytes there were each way.
fn cut(front: &TcpListener, to: u16, most: [usize; 2]) -> [usize; 2] {
    let (client, _) = front.accept().unwrap();
    let server = TcpStream::connect(("127.0.0.1", to)).unwrap();
    let counts = [AtomicUsize::new(0), AtomicUsize::new(0)];
    let carry = |mut from: &TcpStream, mut into: &TcpStream, way: usize| {
        let mut buffer = [0; 4096];
        loop {
            let left = most[way] - counts[way].load(Ordering::SeqCst);
            let read = if left == 0 { 0 } else { from.read(&mut buffer[..left.min(4096)]).unwrap_or(0) };
            counts[way].fetch_add(read, Ordering::SeqCst);
            if read == 0 || into.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        let _ = (from.shutdown(Shutdown::Both), into.shutdown(Shutdown::Both));
    };
    std::thread::scope(|scope| {
        scope.spawn(|| carry(&client, &server, 0));
        carry(&server, &client, 1);
    });
    counts.map(AtomicUsize::into_inner)
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn a_handshake_cut_at_any_byte_leaves_nothing_behind() {
    let limits = Limits { max_connections: 3, ..Limits::default() };
    let fixture = fixture(ClientAuth::Required, limits, StandIn::default());
    let alice = fixture.authority.client("alice");
    let front = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Address::Tcp { host: "127.0.0.1".into(), port: front.local_addr().unwrap().port() };
    let attempt = |most: [usize; 2]| {
        std::thread::scope(|scope| {
            let cut = scope.spawn(|| cut(&front, fixture.port(), most));
            let mut served = false;
            run(async {
                // A new client each time: a resumed session is a shorter handshake.
                let tls = client(Some(&fixture.authority.file()), Some(alice.clone()), true);
                if let Ok(mut stream) = connect(&address, &tls).await {
                    served = ask(&mut stream, 1, &[ECHO]).await.is_ok();
                }
            });
            (served, cut.join().unwrap())
        })
    };
    let whole = usize::MAX >> 1;
    let (served, [sent, received]) = attempt([whole, whole]);
    assert!(served && sent > 500 && received > 500, "{sent} {received}");
    let before = descriptors();
    for way in 0..2 {
        // The request itself and its answer are the last bytes each way.
        let length = [sent, received][way] - 60;
        // At each byte in the long run, and where the build is quick enough for it.
        let long = std::env::var("KLOG_TEST_LONG").is_ok_and(|long| !long.is_empty());
        let every = long || !cfg!(debug_assertions);
        for at in (0..length).step_by(if every { 1 } else { 3 }) {
            let mut most = [whole, whole];
            most[way] = at;
            let (served, _) = attempt(most);
            assert!(!served, "served with {at} of {length} bytes");
        }
    }
    // With three in all, one that is still counted would be missed.
    until("every cut handshake is counted out", || {
        let mut held = Vec::new();
        for _ in 0..3 {
            let tls = client(Some(&fixture.authority.file()), Some(alice.clone()), true);
            let mut served = false;
            run(async {
                if let Ok(mut stream) = connect(&fixture.address(), &tls).await {
                    served = ask(&mut stream, 1, &[ECHO]).await.is_ok();
                    held.push(stream);
                }
            });
            if !served {
                return false;
            }
        }
        true
    });
    until("every descriptor is given back", || descriptors() <= before);
}
