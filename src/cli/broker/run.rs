//! `klog broker run`: the daemon's life from lock to clean mark; the only place where broker and server meet.

use std::error::Error;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;

use listenfd::ListenFd;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;
use sd_notify::NotifyState;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::log_file::LogFile;
use super::log_lines::{JsonLines, catch_panics};
use super::options::{self, DaemonOptions};
use super::{LogFormat, RunArgs, control};
use crate::broker::{Broker, BrokerOptions};
use crate::cli::context::{Context, block_on};
use crate::cli::daemon::detach::{Report, detach};
use crate::cli::daemon::state::{Holder, Running};
use crate::cli::daemon::{self, state};
use crate::cli::exit::{Exit, Failure, plain};
use crate::cli::signals::Signals;
use crate::config::security::Listening;
use crate::config::{http_socket_of, socket_of};
use crate::model::time::{Clock, SystemClock};
use crate::server::{ListenerOptions, Server, ServerOptions, ServerTls, TlsError};

pub(super) fn run(context: &Context, args: &RunArgs) -> Result<Exit, Failure> {
    if !args.detached {
        // Taken before any thread: it changes the environment.
        let passed = ListenFd::from_env();
        let ended = Daemon { context, args, log: None }.live(passed, None);
        return match ended {
            // Whoever reads stderr as JSON reads the failure as such, too.
            Err(failure) if args.daemon.log_format == LogFormat::Json => {
                tracing::error!(exit = failure.exit.code(), next = failure.next, "{}", failure.what);
                Ok(failure.exit)
            }
            ended => ended,
        };
    }
    let mut report =
        detach().map_err(|error| Failure::failed(format!("can't detach: {}", plain(&error)), ""))?;
    let log = LogFile::early();
    let daemon = Daemon { context, args, log: Some(log.clone()) };
    daemon.live(ListenFd::empty(), Some(&mut report)).or_else(|failure| {
        match state::holder(&context.settings.data.value) {
            Ok(Holder::Daemon(_) | Holder::Unknown) => report.beaten(),
            _ => report.failed(&failure),
        }
        // Whoever started this process was told; there is no terminal to tell it again.
        Ok(failure.exit)
    })
}

struct Daemon<'a> {
    context: &'a Context,
    args: &'a RunArgs,
    log: Option<LogFile>,
}

impl Daemon<'_> {
    fn data(&self) -> &Path {
        &self.context.settings.data.value
    }

    fn live(&self, passed: ListenFd, report: Option<&mut Report>) -> Result<Exit, Failure> {
        self.log_from_here();
        let signals = Signals::catch()
            .map_err(|error| Failure::failed(format!("can't wait for signals: {}", plain(&error)), ""))?;
        let options = options::resolve(self.context, &self.args.daemon)?;
        self.refuse_second()?;
        daemon::refuse_foreign(self.data())?;
        self.make_folder()?;
        raise_descriptor_limit();
        for name in options.settings.without_effect() {
            tracing::info!("the setting {name} has no effect here");
        }
        let broker = self.open(&options)?;
        // From here on the folder is this daemon's: the lock is held until the broker is closed.
        state::remove(self.data());
        let served = self.serve(&broker, &options, passed, &signals, report);
        // The sockets go while the lock is still held: afterwards they may be another daemon's.
        let _ = std::fs::remove_file(socket_of(self.data()));
        let _ = std::fs::remove_file(http_socket_of(self.data()));
        state::remove(self.data());
        // Also when it never served: a folder that was only opened is as clean as it was.
        let closed = block_on(async {
            broker.close().await.map_err(|error| {
                Failure::failed(
                    format!("the stop was not clean: {error}"),
                    "the next start recovers what is needed",
                )
            })
        });
        served.and(closed)?;
        tracing::info!("stopped");
        Ok(Exit::Done)
    }

    /// From the first socket to the last answer.
    fn serve(
        &self,
        broker: &Arc<Broker>,
        options: &DaemonOptions,
        passed: ListenFd,
        signals: &Signals,
        report: Option<&mut Report>,
    ) -> Result<(), Failure> {
        if let Some(log) = &self.log {
            log.open(self.data())
                .map_err(|error| Failure::io("write", &self.data().join("klog.log"), &error))?;
        }
        let listeners = self.listen(options, passed)?;
        let http = self.listen_http(options)?;
        let tls: Vec<_> = listeners.iter().filter_map(|listener| listener.tls.clone()).collect();
        let server_options =
            ServerOptions { listeners, http, limits: options.limits(), ..ServerOptions::default() };
        let server = Server::start(server_options, Arc::clone(broker))
            .map_err(|error| Failure::failed(error.to_string(), ""))?;
        let announced = self.announce(&server, report);
        if announced.is_ok() {
            if !tls.is_empty() {
                signals.on_hangup(move || reload(&tls));
            }
            wait_for(signals);
            tracing::info!("stopping");
            let _ = sd_notify::notify(&[NotifyState::Stopping]);
        }
        block_on(async {
            server.stop().await;
            announced
        })
    }

    /// To stderr in the foreground, to the log file in the background.
    fn log_from_here(&self) {
        let level = match self.context.verbose {
            _ if self.context.quiet => LevelFilter::WARN,
            0 => LevelFilter::INFO,
            1 => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        };
        let filter = Targets::new().with_default(level);
        let registry = tracing_subscriber::registry().with(filter);
        let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_target(false);
        let json = self.args.daemon.log_format == LogFormat::Json;
        if json {
            catch_panics();
        }
        // A second subscriber in one process is refused: then the first one stays.
        let _ = match (self.log.clone(), json) {
            (Some(log), false) => registry.with(lines.with_writer(move || log.clone())).try_init(),
            (Some(log), true) => {
                registry.with(lines.event_format(JsonLines).with_writer(move || log.clone())).try_init()
            }
            (None, false) => registry.with(lines.with_writer(io::stderr)).try_init(),
            (None, true) => registry.with(lines.event_format(JsonLines).with_writer(io::stderr)).try_init(),
        };
    }

    fn refuse_second(&self) -> Result<(), Failure> {
        match state::holder(self.data()) {
            Ok(Holder::Daemon(running)) => Err(control::held(self.context, Some(&running))),
            Ok(Holder::Unknown) => Err(control::held(self.context, None)),
            // A folder that can't be looked into is for opening it to complain about.
            Ok(Holder::Nobody) | Err(_) => Ok(()),
        }
    }

    fn make_folder(&self) -> Result<(), Failure> {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(self.data());
        made.map_err(|error| Failure::io("make the data folder", self.data(), &error))
    }

    fn open(&self, options: &DaemonOptions) -> Result<Arc<Broker>, Failure> {
        let broker_options = BrokerOptions {
            settings: options.settings.clone(),
            authentication: options.listeners.iter().any(Listening::demands_authentication),
            ..BrokerOptions::new(self.data())
        };
        Broker::open_on_this_machine(broker_options).map_err(|error| {
            // Somebody was faster between the look at the lock and the opening.
            if let Err(held) = self.refuse_second() {
                return held;
            }
            let what = format!("can't open the data folder: {error}");
            match io_kind(&error) {
                Some(io::ErrorKind::PermissionDenied) => Failure::denied(
                    what,
                    "run klog as the folder's owner, or name another folder with --data",
                ),
                _ => Failure::failed(what, "nothing in it was deleted; name another folder with --data DIR"),
            }
        })
    }

    /// The folder's own socket first, then what systemd passed, then what was asked for.
    fn listen(&self, options: &DaemonOptions, mut passed: ListenFd) -> Result<Vec<ListenerOptions>, Failure> {
        let socket = socket_of(self.data());
        let unusable = |error: &io::Error| {
            Failure::failed(format!("a socket from systemd is unusable: {}", plain(error)), "")
        };
        let mut listeners = Vec::new();
        let mut has_own = false;
        for index in 0..passed.len() {
            if let Ok(Some(tcp)) = passed.take_tcp_listener(index) {
                listeners.push(ListenerOptions::from_tcp(tcp).map_err(|error| unusable(&error))?);
            } else if let Ok(Some(unix)) = passed.take_unix_listener(index) {
                has_own |= unix.local_addr().is_ok_and(|at| at.as_pathname() == Some(&socket));
                listeners.push(ListenerOptions::from_unix(unix).map_err(|error| unusable(&error))?);
            }
        }
        if !has_own {
            remove_old(&socket)?;
            let own = ListenerOptions::bind_unix(&socket);
            listeners.insert(0, own.map_err(|error| cant_listen(&error))?);
        }
        for Listening { listen, security, tls } in &options.listeners {
            let bound = ListenerOptions::bind(&listen.address, listen.advertised.clone());
            let mut bound = bound.map_err(|error| cant_listen(&error))?;
            bound.security = security.clone();
            if let Some(tls) = tls {
                let loaded = ServerTls::load(tls.clone());
                bound = bound.with_tls(Arc::new(loaded.map_err(|error| no_tls(&listen.name, &error))?));
            }
            listeners.push(bound);
        }
        Ok(listeners)
    }

    /// The folder's own socket for metrics, then what was asked for.
    fn listen_http(&self, options: &DaemonOptions) -> Result<Vec<ListenerOptions>, Failure> {
        let socket = http_socket_of(self.data());
        remove_old(&socket)?;
        let mut listeners = vec![ListenerOptions::bind_unix(&socket).map_err(|error| cant_listen(&error))?];
        if let Some(listen) = &options.http {
            listeners
                .push(ListenerOptions::bind(&listen.address, None).map_err(|error| cant_listen(&error))?);
        }
        Ok(listeners)
    }

    /// Writes `klog-daemon`, then tells systemd and whoever started this process.
    fn announce(&self, server: &Server, report: Option<&mut Report>) -> Result<(), Failure> {
        let mut addresses: Vec<String> = server.addresses().iter().map(ToString::to_string).collect();
        let http: Vec<String> = server.http_addresses().iter().map(url).collect();
        let me = Pid::this();
        let running = Running {
            format: 1,
            pid: me.as_raw(),
            began_ticks: state::began_ticks(me).unwrap_or_default(),
            started_ms: SystemClock::new().wall_ms(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            addresses: addresses.clone(),
            http: http.clone(),
            arguments: own_arguments(),
        };
        state::write(self.data(), &running)
            .map_err(|error| Failure::io("write klog-daemon in", self.data(), &error))?;
        // What was not asked for is said nowhere else: the folder's own socket is always there.
        addresses.extend(http.into_iter().skip(1));
        for address in &addresses {
            tracing::info!("listening on {address}");
        }
        let _ = sd_notify::notify(&[NotifyState::Ready]);
        if let Some(report) = report {
            report.ready(&addresses);
        }
        Ok(())
    }
}

/// How a browser or scraper is told an address; that of a Unix socket stays as it is.
fn url(address: &impl ToString) -> String {
    let text = address.to_string();
    if text.starts_with("unix:") { text } else { format!("http://{text}") }
}

/// Takes away a socket of the data folder. The lock is held: whoever bound it is gone.
fn remove_old(socket: &Path) -> Result<(), Failure> {
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Failure::io("remove the old socket", socket, &error))
        }
        _ => Ok(()),
    }
}

fn cant_listen(error: &dyn Error) -> Failure {
    Failure::failed(error.to_string(), "choose another address, or stop what listens there")
}

fn no_tls(listener: &str, error: &TlsError) -> Failure {
    Failure::failed(
        format!("the listener {listener} can't have TLS: {error}"),
        "ssl.keystore.location names a PEM file with the certificate chain and the private key",
    )
}

/// Reads the certificates of all listeners again. What is bad does not take the place of what is good.
fn reload(all: &[Arc<ServerTls>]) {
    for tls in all {
        match tls.reload() {
            Ok(()) => tracing::info!("certificates were read again: {}", tls.place()),
            Err(error) => tracing::warn!("certificates stay as they were: {error}"),
        }
    }
}

/// The arguments behind `broker run`, for `restart`; those of its own life are left out. Nothing when one of them is no
/// text.
fn own_arguments() -> Vec<String> {
    let all: Option<Vec<String>> = std::env::args_os().map(|argument| argument.into_string().ok()).collect();
    let all = all.unwrap_or_default();
    let behind = all.iter().position(|argument| argument == "run").map_or(all.len(), |run| run + 1);
    all.into_iter().skip(behind).filter(|argument| argument != "--detached").collect()
}

/// Blocks until the first signal.
fn wait_for(signals: &Signals) {
    while signals.received().is_none() {
        let _ = poll(&mut [PollFd::new(signals.fd(), PollFlags::POLLIN)], PollTimeout::NONE);
    }
}

/// As many open files as the system lets this process have.
fn raise_descriptor_limit() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// What kind of I/O error is at the bottom, if one is.
fn io_kind(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    let mut at = Some(error);
    while let Some(error) = at {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io.kind());
        }
        at = error.source();
    }
    None
}

impl DaemonOptions {
    fn limits(&self) -> crate::server::Limits {
        let int = |name: &'static str| usize::try_from(self.settings.int(name)).unwrap_or(usize::MAX);
        let idle = self.settings.int("connections.max.idle.ms");
        crate::server::Limits {
            request_max_bytes: int("socket.request.max.bytes"),
            sasl_max_bytes: int("sasl.server.max.receive.size"),
            queued_max_request_bytes: int("queued.max.request.bytes"),
            // Kafka: a negative value never closes an idle connection.
            idle: u64::try_from(idle).map_or(std::time::Duration::MAX, std::time::Duration::from_millis),
            max_connections: int("max.connections"),
            max_connections_per_ip: int("max.connections.per.ip"),
            ..crate::server::Limits::default()
        }
    }
}
