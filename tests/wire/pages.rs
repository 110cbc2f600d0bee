//! The pages over HTTP, against a real server: what any client may say, and that none keeps others out.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use klog::broker::Peer as Asker;
use klog::net::Address;
use klog::server::{Call, ListenerOptions, Look, Server, ServerOptions, Service, Tasks};
use klog::wire::frame::RequestHeader;
use tokio::sync::Semaphore;

use crate::peer::{Peer, frame};
use crate::prometheus::Page;
use crate::real::Real;

/// Sends these bytes and reads until the server closes; status line, headers in lower case, body.
fn exchange(address: &Address, request: &[u8]) -> (String, String, String) {
    let mut peer = Peer::dial(address);
    peer.send(request);
    read(&mut peer)
}

fn read(peer: &mut Peer) -> (String, String, String) {
    let mut answer = Vec::new();
    // A server that closes with unread bytes in the socket resets it: what came before counts.
    let _ = peer.stream().read_to_end(&mut answer);
    let answer = String::from_utf8(answer).unwrap();
    let Some((head, body)) = answer.split_once("\r\n\r\n") else { return Default::default() };
    let (status, headers) = head.split_once("\r\n").unwrap_or((head, ""));
    (status.to_owned(), headers.to_ascii_lowercase(), body.to_owned())
}

fn get(address: &Address, page: &str) -> (String, String, String) {
    exchange(address, format!("GET {page} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())
}

#[test]
fn every_page_over_both_transports() {
    let real = Real::start();
    let http = real.http();
    assert_eq!(http.len(), 2);
    for address in &http {
        let (status, headers, body) = get(address, "/metrics");
        assert_eq!(status, "HTTP/1.1 200 OK");
        assert!(headers.contains("content-type: text/plain; version=0.0.4"), "{headers}");
        assert!(headers.contains(&format!("content-length: {}", body.len())), "{headers}");
        let page = Page::read(&body);
        assert_eq!(page.value("klog_ready", &[]), 1.0);
        assert!(page.value("process_resident_memory_bytes", &[]) > 1e6);
        let (status, headers, body) = get(address, "/status?x=y");
        assert_eq!((status.as_str(), body.starts_with('{')), ("HTTP/1.1 200 OK", true));
        assert!(headers.contains("content-type: application/json"), "{headers}");
        assert_eq!(get(address, "/healthz").2, "alive\n");
        assert_eq!(get(address, "/readyz").2, "ready\n");
        let (status, _, body) = get(address, "/");
        assert_eq!(status, "HTTP/1.1 404 Not Found");
        assert!(
            ["/metrics", "/status", "/healthz", "/readyz"].iter().all(|page| body.contains(page)),
            "{body}"
        );
    }
}

#[test]
fn other_methods_and_what_is_no_http() {
    let real = Real::start();
    for address in &real.http() {
        let (status, headers, body) = exchange(address, b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!((status.as_str(), body.as_str()), ("HTTP/1.1 200 OK", ""));
        assert!(headers.contains("content-length: 6"), "{headers}");
        for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
            let request = format!("{method} /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody");
            let (status, headers, _) = exchange(address, request.as_bytes());
            assert_eq!(status, "HTTP/1.1 405 Method Not Allowed", "{method}");
            assert!(headers.contains("allow: get, head"), "{headers}");
        }
        let old = exchange(address, b"GET /healthz HTTP/1.0\r\n\r\n");
        assert_eq!((old.0.as_str(), old.2.as_str()), ("HTTP/1.0 200 OK", "alive\n"));
        let huge = format!("GET /healthz HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
        let mut peer = Peer::dial(address);
        let _ = std::io::Write::write_all(peer.stream(), huge.as_bytes());
        let (status, ..) = read(&mut peer);
        assert!(status.is_empty() || status.contains("431"), "{status}");
        let many: String = (0..1000).map(|number| format!("h{number}: x\r\n")).collect();
        let (status, ..) = exchange(address, format!("GET / HTTP/1.1\r\n{many}\r\n").as_bytes());
        assert!(status.contains("431"), "{status}");
        for garbage in [
            &b"\x00\x00\x00\x10\x00\x12\x00\x00hello"[..],
            b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
            b"\r\n\r\nx y z\r\n\r\n",
        ] {
            let (status, ..) = exchange(address, garbage);
            assert!(status.is_empty() || status.contains("400"), "{status}");
        }
        assert_eq!(get(address, "/healthz").2, "alive\n");
    }
}

#[test]
fn clients_that_hang_keep_nobody_out() {
    let real = Real::start();
    for address in &real.http() {
        let idle: Vec<Peer> = (0..100).map(|_| Peer::dial(address)).collect();
        let slow: Vec<Peer> = (0..100)
            .map(|_| {
                let mut peer = Peer::dial(address);
                peer.send(b"GET /metrics HTTP/1.1\r\nHost");
                peer
            })
            .collect();
        assert_eq!(get(address, "/healthz").2, "alive\n");
        Page::read(&get(address, "/metrics").2);
        // The broker does not notice any of it.
        let mut client = Peer::dial(&real.tcp());
        client.send(&frame(18, 0, 7, &[]));
        assert_eq!(client.answer().unwrap()[..4], [0, 0, 0, 7]);
        drop((idle, slow));
    }
}

#[test]
fn a_head_that_does_not_end_is_given_up() {
    let real = Real::start();
    for address in &real.http() {
        let mut peer = Peer::dial(address);
        peer.send(b"GET /metrics HTTP/1.1\r\nHost");
        let begun = std::time::Instant::now();
        let (status, ..) = read(&mut peer);
        assert!(status.is_empty() || status.contains("408"), "{status}");
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{:?}", begun.elapsed());
    }
}

/// A broker whose disk is full and that can not be looked at.
struct Full;

impl Service for Full {
    fn call(self: &Arc<Self>, _: &Arc<Asker>, _: RequestHeader, _: Bytes) -> Call {
        Box::pin(pending())
    }

    fn tasks(self: &Arc<Self>) -> Tasks {
        Box::pin(pending())
    }

    fn unready(&self) -> Option<&'static str> {
        Some("the disk is full")
    }
}

fn serve<S: Service>(service: Arc<S>) -> (tempfile::TempDir, Server) {
    let folder = tempfile::tempdir().unwrap();
    let bind = |name: &str| vec![ListenerOptions::bind_unix(&folder.path().join(name)).unwrap()];
    let options = ServerOptions {
        listeners: bind("klog.sock"),
        http: bind("http.sock"),
        workers: 1,
        ..ServerOptions::default()
    };
    let server = Server::start(options, service).unwrap();
    (folder, server)
}

#[test]
fn a_node_that_is_not_ready_says_why_and_lives() {
    let (_folder, server) = serve(Arc::new(Full));
    let address = &server.http_addresses()[0];
    let unavailable = "HTTP/1.1 503 Service Unavailable";
    let (status, _, body) = get(address, "/readyz");
    assert_eq!((status.as_str(), body.as_str()), (unavailable, "not ready: the disk is full\n"));
    assert_eq!(get(address, "/healthz").0, "HTTP/1.1 200 OK");
    for page in ["/metrics", "/status"] {
        assert_eq!(get(address, page).0, unavailable, "{page}");
    }
}

/// A broker that is looked at slowly: each look waits for a permit.
struct Slow {
    looks: AtomicUsize,
    gate: Semaphore,
}

impl Service for Slow {
    fn call(self: &Arc<Self>, _: &Arc<Asker>, _: RequestHeader, _: Bytes) -> Call {
        Box::pin(pending())
    }

    fn tasks(self: &Arc<Self>) -> Tasks {
        Box::pin(pending())
    }

    fn observe(self: &Arc<Self>) -> Look {
        let own = Arc::clone(self);
        Box::pin(async move {
            own.looks.fetch_add(1, Ordering::SeqCst);
            own.gate.acquire().await.unwrap().forget();
            None
        })
    }
}

#[test]
fn a_scraper_that_gives_up_starts_no_second_look() {
    let slow = Arc::new(Slow { looks: AtomicUsize::new(0), gate: Semaphore::new(0) });
    let (_folder, server) = serve(Arc::clone(&slow));
    let address = &server.http_addresses()[0];
    let looks = || slow.looks.load(Ordering::SeqCst);
    let mut first = Peer::dial(address);
    first.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    while looks() == 0 {
        assert_eq!(get(address, "/healthz").2, "alive\n");
    }
    drop(first);
    let mut second = Peer::dial(address);
    second.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    // The one thread that serves has seen both by the time that it has answered these.
    for _ in 0..20 {
        assert_eq!(get(address, "/healthz").2, "alive\n");
    }
    assert_eq!(looks(), 1);
    slow.gate.add_permits(2);
    assert!(read(&mut second).0.contains("503"));
    assert_eq!(looks(), 2);
}

#[test]
fn nobody_is_told_of_topics_where_rights_count() {
    for rights in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let (broker, server) = crate::real::serve_to(folder.path(), rights);
        let new = klog::broker::catalog::NewTopic {
            name: "salaries".to_owned(),
            partitions: 1,
            replication_factor: 1,
            configs: Default::default(),
        };
        broker.create_topics(&[new]).remove(0).unwrap();
        let [tcp, unix] = server.http_addresses() else { panic!("there are two") };
        for page in ["/metrics", "/status"] {
            let (status, _, body) = get(tcp, page);
            assert_eq!(status, "HTTP/1.1 200 OK");
            assert_eq!(body.contains("salaries"), !rights, "{page}");
            assert!(get(unix, page).2.contains("salaries"), "who may open the socket may see the folder");
        }
        assert!(get(tcp, "/status").2.contains("\"topic_count\":1"), "how many there are is no secret");
    }
}
