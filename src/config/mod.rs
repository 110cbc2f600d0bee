//! TOML, environment and flags to typed options, with where each value came from; never starts or dials anything.

pub mod error;
pub mod file;
pub mod listen;
pub mod properties;
pub mod security;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use crate::client::ClientOptions;
use crate::net::Address;
pub use error::{ConfigError, Place};
pub use file::{Entry, File};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A flag of the command line.
    Flag(&'static str),
    /// An environment variable.
    Variable(&'static str),
    /// A line of a config file.
    File(Place),
    /// Nobody said anything else.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(out, "flag {name}"),
            Self::Variable(name) => write!(out, "variable {name}"),
            Self::File(place) => write!(out, "{place}"),
            Self::Default => write!(out, "default"),
        }
    }
}

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting<T> {
    /// The value in force.
    pub value: T,
    /// Who set it.
    pub origin: Origin,
}

impl<T> Setting<T> {
    fn new(value: T, origin: Origin) -> Self {
        Self { value, origin }
    }
}

/// What the command line said; nothing where it said nothing.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `-b`
    pub broker: Option<String>,
    /// `--data`
    pub data: Option<PathBuf>,
    /// `-F`
    pub config: Option<PathBuf>,
    /// `--profile`
    pub profile: Option<String>,
    /// `-X`, as given
    pub properties: Vec<String>,
    /// `--no-autostart`
    pub no_autostart: bool,
}

/// The variables klog reads, and who it runs as. An empty variable counts as not set.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// `KLOG_BROKER`
    pub broker: Option<OsString>,
    /// `KLOG_DATA`
    pub data: Option<OsString>,
    /// `KLOG_CONFIG`
    pub config: Option<OsString>,
    /// `KLOG_PROFILE`
    pub profile: Option<OsString>,
    /// `KLOG_AUTOSTART`
    pub autostart: Option<OsString>,
    /// `XDG_DATA_HOME`
    pub data_home: Option<OsString>,
    /// `XDG_CONFIG_HOME`
    pub config_home: Option<OsString>,
    /// The home folder.
    pub home: Option<PathBuf>,
    /// Whether klog runs as root.
    pub root: bool,
}

/// How a command reaches its broker, and what else was set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The data folder, absolute.
    pub data: Setting<PathBuf>,
    /// Where the broker is.
    pub broker: Setting<Vec<Address>>,
    /// Whether the broker is the daemon of the data folder, by nobody's choice but the folder's.
    pub is_default_broker: bool,
    /// Whether a daemon may be started.
    pub autostart: Setting<bool>,
    /// The profile in use.
    pub profile: Option<Setting<String>>,
    /// The config file that was read, if there is one.
    pub config: Option<Setting<PathBuf>>,
    /// Client properties, in the order in which they were set; a later one wins.
    pub properties: Vec<(String, Setting<String>)>,
    /// Settings of the daemon from the config file.
    pub daemon: Vec<(String, Setting<String>)>,
    /// The client's options: defaults, profile and `-X` together.
    pub client: ClientOptions,
}

/// The socket of the daemon that owns the data folder `data`.
pub fn socket_of(data: &Path) -> PathBuf {
    data.join("klog.sock")
}

/// The socket on which that daemon shows its metrics.
pub fn http_socket_of(data: &Path) -> PathBuf {
    data.join("klog-http.sock")
}

/// Works out what is in force. Reads the config file and nothing else; `for_daemon` says that a flat file holds the
/// daemon's settings, not a client's.
pub fn resolve(flags: &Flags, env: &Environment, for_daemon: bool) -> Result<Settings, ConfigError> {
    let (config, file) = read_file(flags, env)?;
    let path = config.as_ref().map(|config| config.value.clone()).unwrap_or_default();
    let origin = |line: usize| Origin::File(Place { path: path.clone(), line });
    let located = |entry: &Entry| (entry.name.clone(), Setting::new(entry.value.clone(), origin(entry.line)));
    let profile = choose_profile(flags, env, &file, config.as_ref().map(|config| &config.value))?;
    let autostart = autostart(flags, env, &file, &origin)?;

    let (for_clients, for_daemons) =
        if for_daemon { (&[][..], &file.flat[..]) } else { (&file.flat[..], &[][..]) };
    let daemon: Vec<_> = file.broker.iter().chain(for_daemons).map(located).collect();
    let data = data_folder(flags, env, if for_daemon { &daemon } else { &[] })?;

    let entries = profile.as_ref().map_or(&[][..], |(_, entries)| entries);
    let is_address = |name: &str| matches!(name, "broker" | "bootstrap.servers");
    let (addresses, mut properties): (Vec<_>, Vec<_>) =
        entries.iter().chain(for_clients).map(located).partition(|(name, _)| is_address(name));
    for text in &flags.properties {
        let (name, value) =
            text.split_once('=').ok_or_else(|| ConfigError::NotAPair { flag: "-X", text: text.clone() })?;
        properties.push((name.trim().to_owned(), Setting::new(value.to_owned(), Origin::Flag("-X"))));
    }

    let named = named_broker(flags, env, addresses.into_iter().next_back().map(|(_, setting)| setting));
    let is_default_broker = named.is_none();
    let broker = match named {
        Some(named) => parse_broker(named)?,
        None => Setting::new(vec![Address::Unix(socket_of(&data.value))], data.origin.clone()),
    };
    let client = client_options(&broker, &properties)?;
    let profile = profile.map(|(name, _)| name);
    Ok(Settings { data, broker, is_default_broker, autostart, profile, config, properties, daemon, client })
}

fn parse_broker(named: Setting<String>) -> Result<Setting<Vec<Address>>, ConfigError> {
    match Address::parse_list(&named.value) {
        Ok(addresses) => Ok(Setting::new(addresses, named.origin)),
        Err(error) => Err(ConfigError::BadAddress {
            text: named.value,
            origin: named.origin,
            reason: error.to_string(),
        }),
    }
}

fn client_options(
    broker: &Setting<Vec<Address>>,
    properties: &[(String, Setting<String>)],
) -> Result<ClientOptions, ConfigError> {
    let mut options = ClientOptions::new(broker.value.clone());
    for (name, setting) in properties {
        options.set(name, &at_home(name, setting)).map_err(|error| ConfigError::Property {
            origin: setting.origin.clone(),
            reason: error.to_string(),
        })?;
    }
    Ok(options)
}

/// Whether a setting's value is the path of a file with certificates or a key.
pub fn is_certificate_file(name: &str) -> bool {
    name.ends_with(".location") && name.contains("ssl.")
}

/// A setting's value; a file that a config file names without its folder is looked for beside that config file.
pub fn at_home(name: &str, setting: &Setting<String>) -> String {
    match &setting.origin {
        Origin::File(place) if is_certificate_file(name) && !setting.value.trim().is_empty() => {
            let beside = place.path.parent().unwrap_or(Path::new("")).join(setting.value.trim());
            let whole = std::path::absolute(&beside).unwrap_or(beside);
            whole.to_str().map_or_else(|| setting.value.clone(), str::to_owned)
        }
        _ => setting.value.clone(),
    }
}

fn set(variable: Option<&OsString>) -> Option<&OsStr> {
    variable.map(OsString::as_os_str).filter(|value| !value.is_empty())
}

fn text(variable: &OsStr) -> String {
    variable.to_string_lossy().into_owned()
}

/// `--data`, `KLOG_DATA`, the daemon's `log.dirs`, `$XDG_DATA_HOME/klog`, else the home's share folder, for root
/// `/var/lib/klog`.
fn data_folder(
    flags: &Flags,
    env: &Environment,
    daemon: &[(String, Setting<String>)],
) -> Result<Setting<PathBuf>, ConfigError> {
    // Kafka's rule: `log.dirs` beats `log.dir`.
    let folder =
        |wanted: &str| daemon.iter().rev().find(|(name, _)| name == wanted).map(|(_, setting)| setting);
    let folders = folder("log.dirs").or_else(|| folder("log.dir"));
    let (path, origin) = if let Some(data) = &flags.data {
        (data.clone(), Origin::Flag("--data"))
    } else if let Some(data) = set(env.data.as_ref()) {
        (data.into(), Origin::Variable("KLOG_DATA"))
    } else if let Some(folders) = folders {
        if folders.value.contains(',') {
            let (text, origin) = (folders.value.clone(), folders.origin.clone());
            return Err(ConfigError::SeveralFolders { text, origin });
        }
        (folders.value.clone().into(), folders.origin.clone())
    } else if let Some(home) = set(env.data_home.as_ref()) {
        (Path::new(home).join("klog"), Origin::Variable("XDG_DATA_HOME"))
    } else if env.root {
        ("/var/lib/klog".into(), Origin::Default)
    } else {
        let home = env.home.as_ref().ok_or(ConfigError::NoHome)?;
        (home.join(".local/share/klog"), Origin::Default)
    };
    let path = std::path::absolute(&path).map_err(|error| ConfigError::Read { path, error })?;
    Ok(Setting::new(path, origin))
}

/// Finds and reads the config file. One that was named must exist; the default one need not.
fn read_file(flags: &Flags, env: &Environment) -> Result<(Option<Setting<PathBuf>>, File), ConfigError> {
    let found = if let Some(path) = &flags.config {
        Some(Setting::new(path.clone(), Origin::Flag("-F")))
    } else if let Some(path) = set(env.config.as_ref()) {
        Some(Setting::new(path.into(), Origin::Variable("KLOG_CONFIG")))
    } else {
        default_file(env).map(|path| Setting::new(path, Origin::Default))
    };
    let Some(found) = found else { return Ok((None, File::default())) };
    match std::fs::read_to_string(&found.value) {
        Ok(text) => {
            let file = file::parse(&found.value, &text)?;
            Ok((Some(found), file))
        }
        Err(error) if found.origin == Origin::Default && error.kind() == std::io::ErrorKind::NotFound => {
            Ok((None, File::default()))
        }
        Err(error) => Err(ConfigError::Read { path: found.value, error }),
    }
}

fn default_file(env: &Environment) -> Option<PathBuf> {
    let folder = match set(env.config_home.as_ref()) {
        Some(home) => PathBuf::from(home),
        None => env.home.as_ref()?.join(".config"),
    };
    Some(folder.join("klog/config.toml"))
}

/// A profile's name, with who chose it, and its entries.
type Chosen<'f> = (Setting<String>, &'f [Entry]);

/// The chosen profile and its entries.
fn choose_profile<'f>(
    flags: &Flags,
    env: &Environment,
    file: &'f File,
    path: Option<&PathBuf>,
) -> Result<Option<Chosen<'f>>, ConfigError> {
    let chosen = if let Some(name) = &flags.profile {
        Setting::new(name.clone(), Origin::Flag("--profile"))
    } else if let Some(name) = set(env.profile.as_ref()) {
        Setting::new(text(name), Origin::Variable("KLOG_PROFILE"))
    } else if let Some(entry) = &file.profile {
        let place = Place { path: path.cloned().unwrap_or_default(), line: entry.line };
        Setting::new(entry.value.clone(), Origin::File(place))
    } else {
        return Ok(None);
    };
    match file.profiles.iter().find(|profile| profile.name == chosen.value) {
        Some(profile) => Ok(Some((chosen, &profile.entries))),
        None => Err(ConfigError::NoSuchProfile {
            name: chosen.value,
            origin: chosen.origin,
            known: file.profiles.iter().map(|profile| profile.name.clone()).collect(),
            path: path.cloned(),
        }),
    }
}

fn autostart(
    flags: &Flags,
    env: &Environment,
    file: &File,
    from_file: &dyn Fn(usize) -> Origin,
) -> Result<Setting<bool>, ConfigError> {
    if flags.no_autostart {
        return Ok(Setting::new(false, Origin::Flag("--no-autostart")));
    }
    if let Some(value) = set(env.autostart.as_ref()) {
        let origin = Origin::Variable("KLOG_AUTOSTART");
        return match text(value).to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" | "on" => Ok(Setting::new(true, origin)),
            "0" | "false" | "no" | "off" => Ok(Setting::new(false, origin)),
            _ => Err(ConfigError::NotABool { name: "KLOG_AUTOSTART", value: text(value) }),
        };
    }
    Ok(file
        .autostart
        .map_or(Setting::new(true, Origin::Default), |(yes, line)| Setting::new(yes, from_file(line))))
}

/// The broker somebody named: the flag; `--data` alone means the folder's own daemon; the variable; the profile.
fn named_broker(
    flags: &Flags,
    env: &Environment,
    profile: Option<Setting<String>>,
) -> Option<Setting<String>> {
    if let Some(broker) = &flags.broker {
        return Some(Setting::new(broker.clone(), Origin::Flag("-b")));
    }
    if flags.data.is_some() {
        return None;
    }
    if let Some(broker) = set(env.broker.as_ref()) {
        return Some(Setting::new(text(broker), Origin::Variable("KLOG_BROKER")));
    }
    profile
}

#[cfg(test)]
mod tests;
