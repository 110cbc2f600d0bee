//! A server in a process of its own, so that its memory can be measured: this test program, started again.
//! The tests at the end are those servers; without the folder in their environment they do nothing.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use klog::net::Address;
use klog::server::Limits;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::peer::until;
use crate::stand_in::{StandIn, TestFile, serve};

const FOLDER: &str = "KLOG_WIRE_CHILD";

pub(crate) struct Server {
    child: Child,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) address: Address,
}

/// As many descriptors as the system allows.
pub(crate) fn raise_descriptors() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
}

impl Server {
    /// Starts one; `kind` names the ignored test below that it is.
    pub(crate) fn start(kind: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &format!("child::{kind}"), "--nocapture"])
            .env(FOLDER, folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let file = folder.path().join("address");
        until("the child listens", || file.exists());
        let address = fs::read_to_string(file).unwrap().parse().unwrap();
        Self { child, folder, address }
    }

    /// A line of the process's status in KiB: `VmRSS` is now, `VmHWM` the most ever.
    pub(crate) fn memory(&self, line: &str) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|status| status.strip_prefix(line)).unwrap();
        line.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn announce(folder: &Path, address: &Address) {
    fs::write(folder.join("address.new"), address.to_string()).unwrap();
    fs::rename(folder.join("address.new"), folder.join("address")).unwrap();
}

fn wait_for_parent() {
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
}

#[test]
fn stand_in() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let folder = Path::new(&folder);
    raise_descriptors();
    let server = serve(&Arc::new(StandIn::default()), folder, Limits::default());
    announce(folder, &server.addresses()[0]);
    wait_for_parent();
}

/// As large as a fetch may ask for and larger than any memory that a connection may hold; all of it zero.
pub(crate) const FILE_BYTES: u64 = 256 << 20;

fn files(folder: &Path) -> Arc<StandIn> {
    let path = folder.join("file");
    fs::File::create(&path).unwrap().set_len(FILE_BYTES).unwrap();
    let open = |hidden| {
        let file = fs::File::open(&path).unwrap();
        Some(Arc::new(TestFile { file, hidden }) as Arc<dyn klog::storage::DiskFile>)
    };
    Arc::new(StandIn { file: open(false), in_memory: open(true), ..StandIn::default() })
}

#[test]
fn files_plain() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let folder = Path::new(&folder);
    let server = serve(&files(folder), folder, Limits::default());
    announce(folder, &server.addresses()[0]);
    wait_for_parent();
}

/// Its authority is `ca.pem` in the folder.
#[test]
fn files_over_tls() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let folder = Path::new(&folder);
    let authority = crate::authority::Authority::new(folder, "ca");
    let options = klog::net::tls::ServerTlsOptions {
        identity: klog::net::tls::Identity::in_file(authority.server("server", &["127.0.0.1"])),
        trust: None,
        client_auth: klog::net::tls::ClientAuth::None,
        spoken: klog::net::tls::Spoken::default(),
    };
    let tls = Arc::new(klog::net::tls::ServerTls::load(options).unwrap());
    let any = Address::Tcp { host: "127.0.0.1".into(), port: 0 };
    let listeners = vec![klog::server::ListenerOptions::bind(&any, None).unwrap().with_tls(tls)];
    let options =
        klog::server::ServerOptions { listeners, workers: 2, ..klog::server::ServerOptions::default() };
    let server = klog::server::Server::start(options, files(folder)).unwrap();
    announce(folder, &server.addresses()[0]);
    wait_for_parent();
}

#[test]
fn broker() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let folder = Path::new(&folder);
    raise_descriptors();
    let (_broker, server) = crate::real::serve(folder);
    announce(folder, &server.addresses()[0]);
    wait_for_parent();
}
