//! The data folder's daemon seen from a command: meeting it, starting it when it is missing; never runs it in this process.

pub mod detach;
pub mod state;

use std::ffi::OsString;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::SigSet;

use super::context::Context;
use super::exit::{Exit, Failure, plain};
use super::output;
use crate::client::{Client, ClientError, ClientOptions};
use state::Holder;

/// How long a command waits for the daemon that it or another command started.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks at a socket whose daemon somebody else started.
const PAUSE: Duration = Duration::from_millis(5);

/// Connects to the daemon of the data folder, starting it where nobody listens and that is allowed.
pub async fn connect(context: &Context, options: ClientOptions) -> Result<Client, Failure> {
    let data = &context.settings.data.value;
    let deadline = Instant::now() + PATIENCE;
    loop {
        // A daemon that stops refuses, or hangs up on who came last.
        match Client::connect(options.clone()).await {
            Err(ClientError::Refused { .. }) if !context.settings.autostart.value => {
                return Err(absent(context));
            }
            Err(ClientError::Refused { .. }) if Instant::now() >= deadline => return Err(slow(data)),
            Err(ClientError::Disconnected { .. }) if Instant::now() < deadline => {}
            Err(ClientError::Refused { .. }) => {}
            Err(error) => return Err(context.explain(&error)),
            Ok(client) => {
                mention_other_version(context, data);
                return Ok(client);
            }
        }
        // While somebody holds the lock, a daemon starts or stops: its end shows in the lock.
        let outcome = if state::is_locked(data).unwrap_or(false) {
            Started::Beaten
        } else {
            start(data, &[], Some(deadline)).map_err(out_of_reach)?
        };
        match outcome {
            Started::Ready(_) => {}
            Started::Beaten => tokio::time::sleep(PAUSE).await,
            Started::StillStarting => return Err(slow(data)),
        }
    }
}

/// For a command that needs the daemon, why it does not start is why the broker can't be reached.
fn out_of_reach(failure: Failure) -> Failure {
    let exit = if failure.exit == Exit::Denied { Exit::Denied } else { Exit::Unreachable };
    Failure { exit, ..failure }
}

fn absent(context: &Context) -> Failure {
    let data = context.settings.data.value.display();
    let why = &context.settings.autostart.origin;
    Failure::unreachable(
        format!("no daemon is running for {data}, and starting one is forbidden by {why}"),
        "start it with: klog broker start",
    )
}

fn slow(data: &Path) -> Failure {
    Failure::unreachable(
        format!("the daemon for {} is not ready after {} s", data.display(), PATIENCE.as_secs()),
        "it may be recovering a large log; watch it with: klog broker logs -f",
    )
}

/// Says once that the daemon is of another version.
fn mention_other_version(context: &Context, data: &Path) {
    if let Ok(Holder::Daemon(running)) = state::holder(data)
        && running.version != env!("CARGO_PKG_VERSION")
    {
        let (its, mine) = (&running.version, env!("CARGO_PKG_VERSION"));
        output::notice(
            context,
            &format!("the daemon is klog {its}, this is {mine}; mend it with: klog broker restart"),
        );
    }
}

/// What became of an attempt to start a daemon.
#[derive(Debug, PartialEq, Eq)]
pub enum Started {
    /// It accepts requests at these addresses.
    Ready(Vec<String>),
    /// Another one holds the folder.
    Beaten,
    /// The deadline came first.
    StillStarting,
}

/// Starts a daemon for `data` in the background, with more arguments for `broker run`, and waits for what it says.
/// The daemon inherits nothing but the environment, and of that no variable of klog's.
pub fn start(data: &Path, arguments: &[OsString], deadline: Option<Instant>) -> Result<Started, Failure> {
    refuse_foreign(data)?;
    let cant = |error: &std::io::Error| {
        Failure::unreachable(format!("can't start the daemon: {}", plain(error)), "")
    };
    let (mut reader, writer) = std::io::pipe().map_err(|error| cant(&error))?;
    let mut command = Command::new("/proc/self/exe");
    command.arg0("klog").arg("--data").arg(data).args(["broker", "run", "--detached"]).args(arguments);
    for (name, _) in std::env::vars_os() {
        let ours = name.to_str().is_some_and(|name| {
            name.starts_with("KLOG_")
                || name.starts_with("LISTEN_")
                || matches!(name, "NOTIFY_SOCKET" | "COMPLETE")
        });
        if ours {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null()).stdout(writer).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| cant(&error))?;
    // Holds the other end of the pipe, whose end is to be seen.
    drop(command);
    let (told, in_time) = listen(&mut reader, deadline);
    // A daemon that ends while this command runs on would stay as a zombie.
    std::thread::spawn(move || {
        let _ = SigSet::all().thread_block();
        let _ = child.wait();
    });
    if !in_time {
        return Ok(Started::StillStarting);
    }
    let mut lines = told.lines();
    match lines.next() {
        Some("ready") => Ok(Started::Ready(lines.map(str::to_owned).collect())),
        Some("beaten") => Ok(Started::Beaten),
        Some("failed") => {
            let code = lines.next().and_then(|code| code.parse().ok());
            let exit = Exit::ALL.into_iter().find(|exit| Some(exit.code()) == code);
            let what = format!("the daemon does not start: {}", lines.next().unwrap_or_default());
            Err(Failure::new(exit.unwrap_or(Exit::Failed), what, lines.next().unwrap_or_default()))
        }
        said => {
            let next = match said.filter(|said| !said.is_empty()).or_else(|| lines.next()) {
                Some(said) => format!("it said: {said}"),
                None => "see what it said with: klog broker logs".to_owned(),
            };
            Err(Failure::failed(format!("the daemon for {} ended while it started", data.display()), next))
        }
    }
}

/// Everything the daemon says until it closes the pipe, and whether it did so before the deadline.
fn listen(reader: &mut std::io::PipeReader, deadline: Option<Instant>) -> (String, bool) {
    let mut told = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let patience = match deadline {
            None => PollTimeout::NONE,
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
            }
        };
        match poll(&mut [PollFd::new(reader.as_fd(), PollFlags::POLLIN)], patience) {
            Ok(0) => return (String::new(), false),
            Err(nix::errno::Errno::EINTR) => {}
            _ => match reader.read(&mut buffer) {
                Ok(0) | Err(_) => return (String::from_utf8_lossy(&told).into_owned(), true),
                Ok(len) => told.extend_from_slice(&buffer[..len]),
            },
        }
    }
}

/// Root never starts a daemon in another user's folder: its files would lock the owner out.
pub fn refuse_foreign(data: &Path) -> Result<(), Failure> {
    let user = nix::unistd::Uid::effective();
    let Some((existing, owner)) =
        data.ancestors().find_map(|folder| std::fs::metadata(folder).ok().map(|found| (folder, found.uid())))
    else {
        return Ok(());
    };
    if !user.is_root() || owner == 0 {
        return Ok(());
    }
    let name = nix::unistd::User::from_uid(owner.into()).ok().flatten();
    let name = name.map_or_else(|| owner.to_string(), |user| user.name);
    Err(Failure::new(
        Exit::Denied,
        format!("{} belongs to {name}: root starts no daemon in another user's folder", existing.display()),
        format!("run klog as {name}, or name a folder of root's with --data"),
    ))
}
