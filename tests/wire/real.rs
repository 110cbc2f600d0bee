//! A server over a real broker, in a folder of its own.

use std::path::Path;
use std::sync::Arc;

use klog::broker::settings::Settings;
use klog::broker::{Broker, BrokerOptions};
use klog::net::{Address, Listener};
use klog::server::{ListenerOptions, Server, ServerOptions};

/// Opens the broker of a folder and serves it on a free TCP port and a Unix socket.
pub(crate) fn serve(folder: &Path) -> (Arc<Broker>, Server) {
    serve_to(folder, false)
}

/// [`serve`], where `authentication` tells whether rules count.
pub(crate) fn serve_to(folder: &Path, authentication: bool) -> (Arc<Broker>, Server) {
    if std::env::var_os("KLOG_WIRE_LOG").is_some() {
        let _ = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_writer(std::io::stderr)
            .try_init();
    }
    let options = BrokerOptions {
        data: folder.join("data"),
        settings: Settings::parse::<&str, &str>([]).unwrap(),
        seed: None,
        authentication,
        max_open_files: 1000,
    };
    let broker = Broker::open_on_this_machine(options).unwrap();
    let addresses =
        [Address::Tcp { host: "127.0.0.1".into(), port: 0 }, Address::Unix(folder.join("klog.sock"))];
    let listeners = addresses
        .iter()
        .map(|address| ListenerOptions::plain(Listener::bind(address, 1024).unwrap()))
        .collect();
    let http = vec![
        ListenerOptions::bind(&addresses[0], None).unwrap(),
        ListenerOptions::bind_unix(&folder.join("http.sock")).unwrap(),
    ];
    let options = ServerOptions { listeners, http, workers: 2, ..ServerOptions::default() };
    let server = Server::start(options, Arc::clone(&broker)).unwrap();
    (broker, server)
}

/// A running server in this process.
pub(crate) struct Real {
    pub(crate) server: Option<Server>,
    broker: Option<Arc<Broker>>,
    pub(crate) folder: tempfile::TempDir,
}

impl Real {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (broker, server) = serve(folder.path());
        Self { server: Some(server), broker: Some(broker), folder }
    }

    pub(crate) fn tcp(&self) -> Address {
        self.server.as_ref().unwrap().addresses()[0].clone()
    }

    /// Where the pages are: TCP, then the Unix socket.
    pub(crate) fn http(&self) -> Vec<Address> {
        self.server.as_ref().unwrap().http_addresses().to_vec()
    }

    /// Stops it as the daemon stops.
    pub(crate) fn stop(&mut self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (server, broker) = (self.server.take().unwrap(), self.broker.take().unwrap());
        runtime.block_on(async {
            server.stop().await;
            broker.close().await.unwrap();
        });
    }

    /// Starts it again in the same folder.
    pub(crate) fn restart(&mut self) {
        self.stop();
        for socket in ["klog.sock", "http.sock"] {
            std::fs::remove_file(self.folder.path().join(socket)).unwrap();
        }
        let (broker, server) = serve(self.folder.path());
        (self.broker, self.server) = (Some(broker), Some(server));
    }
}
