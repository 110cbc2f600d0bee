//! `klog broker start|stop|restart`: the daemon from outside; never opens the data folder's logs.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{DaemonArgs, LogFormat, StartArgs};
use crate::cli::context::Context;
use crate::cli::daemon::state::{Holder, Running};
use crate::cli::daemon::{self, Started, state};
use crate::cli::exit::{Exit, Failure};
use crate::cli::output;
use crate::config::{Origin, is_certificate_file};
use crate::model::units::show_duration;

/// How long a daemon may take to stop: it answers what is in hand and syncs.
const STOPPING: Duration = Duration::from_secs(60);
/// How long a process that holds the lock may go without saying who it is.
const UNKNOWN: Duration = Duration::from_secs(5);
/// Between two looks at a lock.
const PAUSE: Duration = Duration::from_millis(5);

pub(super) fn start(context: &Context, args: &StartArgs) -> Result<Exit, Failure> {
    let data = &context.settings.data.value;
    if let Holder::Daemon(running) = look(context)? {
        return Err(held(context, Some(&running)));
    }
    print_started(context, daemon::start(data, &arguments(context, &args.daemon)?, None)?)
}

fn print_started(context: &Context, started: Started) -> Result<Exit, Failure> {
    match started {
        Started::Ready(addresses) => {
            output::data((addresses.join("\n") + "\n").as_bytes())?;
            Ok(Exit::Done)
        }
        Started::Beaten | Started::StillStarting => match look(context)? {
            Holder::Daemon(running) => Err(held(context, Some(&running))),
            _ => Err(held(context, None)),
        },
    }
}

/// The refusal of a second daemon.
pub(super) fn held(context: &Context, running: Option<&Running>) -> Failure {
    let data = context.settings.data.value.display();
    match running {
        Some(running) => Failure::failed(
            format!(
                "a daemon is running for {data} already: process {}, klog {}",
                running.pid, running.version
            ),
            "look at it with: klog broker status; stop it with: klog broker stop",
        ),
        None => Failure::failed(
            format!("another process holds {data}: a daemon that starts or stops, or another program"),
            "find it with: fuser -v DIR/.lock",
        ),
    }
}

fn look(context: &Context) -> Result<Holder, Failure> {
    let data = &context.settings.data.value;
    state::holder(data).map_err(|error| Failure::io("look at the lock in", data, &error))
}

/// The flags of `broker run` that say the same as these, to be passed on.
fn arguments(context: &Context, args: &DaemonArgs) -> Result<Vec<OsString>, Failure> {
    let mut out: Vec<OsString> = Vec::new();
    if let Some(config) = &context.settings.config
        && config.origin != Origin::Default
    {
        let path = std::path::absolute(&config.value);
        let path = path.map_err(|error| Failure::io("find", &config.value, &error))?;
        out.extend(["--config".into(), path.into()]);
    }
    for setting in &args.settings {
        out.extend(["-c".into(), absolute(setting).into()]);
    }
    for listen in &args.listen {
        out.extend(["--listen".into(), listen.into()]);
    }
    if let Some(http) = &args.http {
        out.extend(["--http".into(), http.into()]);
    }
    if args.log_format == LogFormat::Json {
        out.extend(["--log-format".into(), "json".into()]);
    }
    out.extend((0..context.verbose).map(|_| "-v".into()));
    Ok(out)
}

/// A setting as the daemon is told it: in the background it is in no folder that a path could start from.
fn absolute(setting: &str) -> String {
    let whole = setting.split_once('=').filter(|(name, _)| is_certificate_file(name.trim()));
    let whole = whole.and_then(|(name, path)| Some((name, std::path::absolute(path.trim()).ok()?)));
    whole.map_or_else(|| setting.to_owned(), |(name, path)| format!("{name}={}", path.display()))
}

pub(super) fn stop(context: &Context) -> Result<Exit, Failure> {
    if stop_running(context)?.is_none() {
        let data = context.settings.data.value.display();
        output::notice(context, &format!("no daemon is running for {data}"));
    }
    Ok(Exit::Done)
}

/// Stops the daemon and waits until it is gone; what it was, or nothing when there was none.
fn stop_running(context: &Context) -> Result<Option<Running>, Failure> {
    let begun = Instant::now();
    let mut told: Option<Running> = None;
    loop {
        match look(context)? {
            Holder::Nobody => return Ok(told),
            Holder::Daemon(running) if told.as_ref() != Some(&running) => {
                terminate(&running)?;
                told = Some(running);
            }
            Holder::Unknown if told.is_none() && begun.elapsed() > UNKNOWN => {
                return Err(held(context, None));
            }
            Holder::Daemon(_) | Holder::Unknown => {}
        }
        if begun.elapsed() > STOPPING {
            return Err(Failure::new(
                Exit::NotInTime,
                format!("the daemon has not stopped after {}", show_duration(STOPPING)),
                "see what it does with: klog broker logs",
            ));
        }
        std::thread::sleep(PAUSE);
    }
}

fn terminate(running: &Running) -> Result<(), Failure> {
    match kill(Pid::from_raw(running.pid), Signal::SIGTERM) {
        // It went away by itself just now.
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(Errno::EPERM) => Err(Failure::denied(
            format!("the daemon (process {}) belongs to another user", running.pid),
            "stop it as its owner",
        )),
        Err(error) => {
            Err(Failure::failed(format!("can't stop process {}: {}", running.pid, error.desc()), ""))
        }
    }
}

pub(super) fn restart(context: &Context, args: &StartArgs) -> Result<Exit, Failure> {
    let stopped = stop_running(context)?;
    let said_nothing = args.daemon == DaemonArgs::default() && arguments(context, &args.daemon)?.is_empty();
    let arguments = match stopped {
        Some(running) if said_nothing => running.arguments.into_iter().map(OsString::from).collect(),
        _ => arguments(context, &args.daemon)?,
    };
    print_started(context, daemon::start(&context.settings.data.value, &arguments, None)?)
}

/// The daemon that accepts requests.
pub(super) fn running(context: &Context) -> Result<Running, Failure> {
    let data = &context.settings.data.value;
    match look(context)? {
        Holder::Daemon(running) => Ok(running),
        Holder::Nobody => Err(Failure::unreachable(
            format!("no daemon is running for {}", data.display()),
            "start it with: klog broker start",
        )),
        Holder::Unknown => Err(Failure::unreachable(
            format!("the process that holds {} accepts no requests yet", data.display()),
            "ask again in a moment",
        )),
    }
}
