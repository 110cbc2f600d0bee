//! What a command runs with: the resolved settings and how much to say; never prints.

use std::ffi::OsString;
use std::path::PathBuf;

use super::Global;
use super::exit::{Exit, Failure, plain};
use super::rights;
use crate::client::{Client, ClientError, ErrorKind};
use crate::config::{self, ConfigError, Environment, Flags, Settings};

/// What a command runs with.
#[derive(Debug)]
pub struct Context {
    /// The settings in force.
    pub settings: Settings,
    /// `-q`: errors only.
    pub quiet: bool,
    /// `-v`: how often it was given.
    pub verbose: u8,
}

impl Context {
    /// Resolves flags, environment and config file; `for_daemon` as in [`config::resolve`].
    pub fn resolve(global: &Global, for_daemon: bool) -> Result<Self, Failure> {
        let flags = Flags {
            broker: global.broker.clone(),
            data: global.data.clone(),
            config: global.config.clone(),
            profile: global.profile.clone(),
            properties: global.properties.clone(),
            no_autostart: global.no_autostart,
        };
        let settings = config::resolve(&flags, &environment(), for_daemon)?;
        Ok(Self { settings, quiet: global.quiet, verbose: global.verbose })
    }

    /// The broker's addresses as one text.
    pub fn broker_text(&self) -> String {
        let texts: Vec<String> = self.settings.broker.value.iter().map(ToString::to_string).collect();
        texts.join(",")
    }

    /// Connects to the broker; starts the daemon of the data folder first where that is meant and allowed.
    pub async fn client(&self) -> Result<Client, Failure> {
        self.client_with(self.settings.client.clone()).await
    }

    /// As [`Context::client`], with options that the command changed.
    pub async fn client_with(&self, options: crate::client::ClientOptions) -> Result<Client, Failure> {
        if self.settings.is_default_broker {
            return super::daemon::connect(self, options).await;
        }
        Client::connect(options).await.map_err(|error| self.explain(&error))
    }

    /// A client's error as a failure, with the broker's address where it helps.
    pub fn explain(&self, error: &ClientError) -> Failure {
        let failure = Failure::from(error);
        if let Some(next) = rights::advice(error, self.settings.client.security.user(), &[]) {
            return Failure { next, ..failure };
        }
        if failure.exit != Exit::Unreachable {
            return failure;
        }
        let next = if self.settings.is_default_broker {
            "start the daemon with: klog broker start".to_owned()
        } else {
            format!("check the address ({}, from {})", self.broker_text(), self.settings.broker.origin)
        };
        Failure { next, ..failure }
    }
}

/// Runs `work` to its end on a runtime of the current thread.
pub fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::failed(format!("can't start: {}", plain(&error)), ""))?;
    runtime.block_on(work)
}

/// The process's variables and user.
pub fn environment() -> Environment {
    let variable = |name: &str| -> Option<OsString> { std::env::var_os(name) };
    let user = nix::unistd::Uid::effective();
    let home = variable("HOME").filter(|home| !home.is_empty()).map(PathBuf::from).or_else(|| {
        // cron and containers may leave HOME out.
        nix::unistd::User::from_uid(user).ok().flatten().map(|user| user.dir)
    });
    Environment {
        broker: variable("KLOG_BROKER"),
        data: variable("KLOG_DATA"),
        config: variable("KLOG_CONFIG"),
        profile: variable("KLOG_PROFILE"),
        autostart: variable("KLOG_AUTOSTART"),
        data_home: variable("XDG_DATA_HOME"),
        config_home: variable("XDG_CONFIG_HOME"),
        home,
        root: user.is_root(),
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        if let ConfigError::Read { path, error } = &error {
            return Self::io("read", path, error);
        }
        Self::usage(error.to_string(), error.next())
    }
}

impl From<&ClientError> for Failure {
    fn from(error: &ClientError) -> Self {
        if let Some(next) = rights::advice(error, None, &[]) {
            return Self::new(Exit::Denied, error.to_string(), next);
        }
        let (exit, next) = match error.kind() {
            ErrorKind::NotFound => {
                (Exit::Missing, "list what there is with: klog topic list, klog group list")
            }
            ErrorKind::NotAllowed => (Exit::Denied, "ask whoever runs the broker for the right to do this"),
            ErrorKind::Unreachable => (Exit::Unreachable, "check the address given with -b"),
            ErrorKind::Corrupt => (Exit::Corrupt, "look at the files of the partition on the broker's side"),
            ErrorKind::Usage => (Exit::Usage, ""),
            ErrorKind::Failed => (Exit::Failed, ""),
        };
        Self::new(exit, error.to_string(), if error.next().is_empty() { next } else { error.next() })
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::from(&error)
    }
}
