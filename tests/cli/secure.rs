//! TLS from end to end, with klog's own commands on both sides: what works, and what the refusals say to do.

use std::path::PathBuf;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::authority::{Authority, self_signed};
use super::{World, until};

/// A world, its authority, and a daemon with one TLS listener.
struct Safe {
    world: World,
    authority: Authority,
    address: String,
}

/// Starts a daemon with a TLS listener; certificates are named without a folder, as from a shell.
fn safe(settings: &[&str]) -> Safe {
    let world = World::new();
    let authority = Authority::new(&world.path(""), "ca");
    authority.server("server", &["127.0.0.1", "localhost"]);
    let mut arguments =
        vec!["broker", "start", "--listen", "127.0.0.1:0,tls", "-c", "ssl.keystore.location=server.pem"];
    arguments.extend(settings.iter().flat_map(|setting| ["-c", *setting]));
    let said = world.klog(&arguments).ok();
    let address = said.lines().find(|line| line.starts_with("127.0.0.1:")).unwrap().to_owned();
    Safe { world, authority, address }
}

impl Safe {
    /// `klog` over TLS, with these arguments behind a blank each.
    fn klog(&self, ca: &str, arguments: &str) -> super::Run {
        let script =
            format!("klog -b {} -X security.protocol=SSL -X ssl.ca.location={ca} {arguments}", self.address);
        self.world.sh(&script)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.world.data().join("klog.log")).unwrap()
    }
}

#[test]
fn records_go_there_and_back_over_tls() {
    let safe = safe(&[]);
    let lines: String = (0..200_000).map(|n| format!("line {n} {}\n", "x".repeat(n % 97))).collect();
    safe.klog("ca.pem", "topic create t -p 3").ok();
    safe.klog("ca.pem", "produce t").stdin(lines.clone()).ok();
    let sorted = |text: &str| {
        let mut all: Vec<_> = text.lines().map(str::to_owned).collect();
        all.sort_unstable();
        all
    };
    assert!(sorted(&safe.klog("ca.pem", "consume t -e").ok()) == sorted(&lines));
    let group = safe.klog("ca.pem", "consume t -g g -e").ok();
    assert!(sorted(&group) == sorted(&lines));
    assert_eq!(safe.klog("ca.pem", "consume t -g g -e").ok(), "");
    let described = safe.klog("ca.pem", "group describe g").ok();
    assert!(described.contains('t'), "{described}");
    // acks=0 has no answer to wait for; what the session took must have gone out all the same.
    safe.klog("ca.pem", "-X acks=0 produce u").stdin("a\nb\n").ok();
    until("both are there", || safe.world.klog(&["consume", "u", "-e"]).done().stdout_text() == "a\nb\n");
}

#[test]
fn refusals_say_what_to_do() {
    let safe = safe(&[]);
    Authority::new(&safe.world.path(""), "other");
    let told = |run: super::Run, status: i32, parts: &[&str]| {
        let done = run.done();
        let stderr = done.stderr_text();
        assert_eq!(done.status, status, "{stderr}");
        for part in parts {
            assert!(stderr.contains(part), "{part:?} is not in {stderr}");
        }
    };
    told(safe.klog("other.pem", "topic list"), 4, &["no TLS with 127.0.0.1", "-X ssl.ca.location=FILE"]);
    told(safe.klog("gone.pem", "topic list"), 2, &["can't read", "gone.pem"]);
    told(
        safe.klog("ca.pem", "-X ssl.keystore.type=JKS topic list"),
        2,
        &["ssl.keystore.type=JKS", "PEM only"],
    );
    let plain = safe.world.klog(&["-b", &safe.address, "topic", "list"]);
    told(plain, 1, &["it speaks TLS; say so with -X security.protocol=SSL"]);
    let open = safe.world.klog(&["broker", "restart", "--listen", "127.0.0.1:0"]).ok();
    let open = open.lines().find(|line| line.starts_with("127.0.0.1:")).unwrap();
    let tls = format!(
        "klog -b {open} -X security.protocol=SSL -X ssl.ca.location=ca.pem -X default.api.timeout.ms=2000 topic list"
    );
    let done = safe.world.sh(&tls).done();
    assert_ne!(done.status, 0, "{}", done.stderr_text());
    // By another name than its certificate's.
    let named = Authority::new(&safe.world.path(""), "named");
    named.server("elsewhere", &["elsewhere.example"]);
    let start =
        ["broker", "restart", "--listen", "127.0.0.1:0,tls", "-c", "ssl.keystore.location=elsewhere.pem"];
    let said = safe.world.klog(&start).ok();
    let address = said.lines().find(|line| line.starts_with("127.0.0.1:")).unwrap();
    let ask = format!("klog -b {address} -X security.protocol=SSL -X ssl.ca.location=named.pem");
    told(safe.world.sh(&format!("{ask} topic list")), 4, &["-X ssl.endpoint.identification.algorithm="]);
    safe.world.sh(&format!("{ask} -X ssl.endpoint.identification.algorithm= topic list")).ok();
}

#[test]
fn a_daemon_without_what_tls_needs_does_not_start() {
    let world = World::new();
    let authority = Authority::new(&world.path(""), "ca");
    let server = authority.server("server", &["127.0.0.1"]);
    let text = std::fs::read_to_string(server).unwrap();
    let (certificate, _) = text.split_once("-----BEGIN PRIVATE").unwrap();
    std::fs::write(world.path("bare.pem"), certificate).unwrap();
    for (settings, parts) in [
        ("", &["has TLS but no certificate", "ssl.keystore.location=FILE"][..]),
        ("-c ssl.keystore.location=gone.pem", &["can't have TLS", "gone.pem"]),
        ("-c ssl.keystore.location=bare.pem", &["no private key in PEM form"]),
        ("-c ssl.keystore.location=server.pem -c ssl.keystore.type=JKS", &["ssl.keystore.type", "PEM"]),
        (
            "-c ssl.keystore.location=server.pem -c ssl.key.password=s3cret",
            &["ssl.key.password", "openssl pkey"],
        ),
        ("-c ssl.keystore.location=server.pem -c ssl.client.auth=required", &["ssl.truststore.location"]),
        ("-c sasl.jaas.config=x", &["klog user add"]),
    ] {
        let done = world.sh(&format!("klog broker run --listen 127.0.0.1:0,tls {settings}")).done();
        let stderr = done.stderr_text();
        assert!(matches!(done.status, 1 | 2), "{settings}: {stderr}");
        for part in parts {
            assert!(stderr.contains(part), "{settings}: {part:?} is not in {stderr}");
        }
        assert!(!stderr.contains("s3cret"), "{stderr}");
    }
}

#[test]
fn a_hang_up_reads_the_certificates_again() {
    let safe = safe(&[]);
    let pid = safe.world.daemon_pid().unwrap();
    let hang_up = |marks: usize| {
        kill(Pid::from_raw(pid), Signal::SIGHUP).unwrap();
        until("the log says so", || {
            let log = safe.log();
            log.matches("certificates ").count() == marks
        });
    };
    safe.klog("ca.pem", "topic create t").ok();
    std::fs::write(safe.world.path("server.pem"), "half a file").unwrap();
    hang_up(1);
    assert!(safe.log().contains("certificates stay as they were: "), "{}", safe.log());
    safe.klog("ca.pem", "topic list").ok();
    let fresh: PathBuf = self_signed(&safe.world.path(""), "server", "127.0.0.1");
    hang_up(2);
    assert!(safe.log().contains("certificates were read again: "), "{}", safe.log());
    assert_eq!(safe.klog("ca.pem", "topic list").done().status, 4);
    safe.klog(fresh.to_str().unwrap(), "topic list").ok();
    assert_eq!(safe.world.daemon_pid(), Some(pid));
}

#[test]
fn clients_show_certificates_from_a_profile() {
    let safe = safe(&[
        "ssl.client.auth=required",
        "ssl.truststore.location=ca.pem",
        "super.users=User:CN=nobody;User:CN=alice,O=x",
    ]);
    let bare = safe.klog("ca.pem", "topic list").done();
    assert_eq!(bare.status, 4, "{}", bare.stderr_text());
    assert!(bare.stderr_text().contains("-X ssl.certificate.location=FILE"), "{}", bare.stderr_text());
    let alice = safe.authority.client("alice");
    let both = std::fs::read_to_string(&alice).unwrap();
    let (certificate, key) = both.split_at(both.find("-----BEGIN PRIVATE").unwrap());
    std::fs::write(safe.world.path("cert.pem"), certificate).unwrap();
    std::fs::write(safe.world.path("key.pem"), key).unwrap();
    safe.klog("ca.pem", "-X ssl.certificate.location=cert.pem -X ssl.key.location=key.pem topic create t")
        .ok();
    // Files that a config file names are beside it.
    safe.world.config(&format!(
        "[profiles.safe]\nbroker = \"{}\"\n\"security.protocol\" = \"SSL\"\n\"ssl.ca.location\" = \"ca.pem\"\n\"ssl.keystore.location\" = \"alice.pem\"\n",
        safe.address
    ));
    for file in ["ca.pem", "alice.pem"] {
        std::fs::copy(safe.world.path(file), safe.world.path("home/.config/klog").join(file)).unwrap();
    }
    let list = safe.world.klog(&["--profile", "safe", "topic", "list", "-o", "tsv"]).ok();
    assert!(list.lines().any(|line| line.starts_with("t\t")), "{list}");
    // Who has a certificate is known by its subject, and may do what rules say: nothing yet.
    safe.authority.client("bob");
    let bob = safe.klog("ca.pem", "-X ssl.keystore.location=bob.pem produce t").stdin("x\n").done();
    assert_eq!(bob.status, 4, "{}", bob.stderr_text());
}
