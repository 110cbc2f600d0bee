//! What the daemon is started with, worked out from the config file and the flags; never binds or opens anything.

use super::DaemonArgs;
use crate::broker::settings::{SettingError, Settings};
use crate::cli::context::Context;
use crate::cli::exit::Failure;
use crate::config::listen::{KafkaListeners, Listen, ListenError, parse_http, parse_kafka, parse_listen};
use crate::config::security::{Given, Listening, SecurityError};
use crate::config::{ConfigError, Origin, at_home};

/// What the daemon is started with.
#[derive(Debug)]
pub(super) struct DaemonOptions {
    pub(super) settings: Settings,
    pub(super) listeners: Vec<Listening>,
    /// Where metrics are shown beside the folder's own socket.
    pub(super) http: Option<Listen>,
}

/// The one setting that is klog's own: what `--http` says.
const HTTP: &str = "http";

/// Kafka's names for the data folder; the folder is known by now.
const FOLDERS: [&str; 2] = ["log.dirs", "log.dir"];

/// Config file first, flags over it.
pub(super) fn resolve(context: &Context, args: &DaemonArgs) -> Result<DaemonOptions, Failure> {
    let mut given: Vec<(String, String, Origin)> = context
        .settings
        .daemon
        .iter()
        .map(|(name, setting)| (name.clone(), at_home(name, setting), setting.origin.clone()))
        .collect();
    for text in &args.settings {
        let (name, value) =
            text.split_once('=').ok_or_else(|| ConfigError::NotAPair { flag: "-c", text: text.clone() })?;
        given.push((name.trim().to_owned(), value.to_owned(), Origin::Flag("-c")));
        if FOLDERS.contains(&name.trim()) {
            return Err(Failure::usage(
                format!("-c {text}: the data folder is not set here"),
                "give --data DIR",
            ));
        }
    }
    given.retain(|(name, ..)| !FOLDERS.contains(&name.as_str()));
    let http = http(args, &given)?;
    given.retain(|(name, ..)| name != HTTP);
    let pairs: Vec<(&str, &str)> = given.iter().map(|(name, value, _)| (&**name, &**value)).collect();
    let given_security = Given { pairs: &pairs };
    given_security.check().map_err(|error| insecure(&error))?;
    let settings = Settings::parse(given.iter().map(|(name, value, _)| (name, value)))
        .map_err(|error| refused(&error, &given))?;
    let listeners = listeners(args, &given)?;
    check_names(&given, &listeners)?;
    let listening = listeners.into_iter().map(|listen| Listening::new(listen, &given_security));
    let listeners = listening.collect::<Result<_, _>>().map_err(|error| insecure(&error))?;
    Ok(DaemonOptions { settings, listeners, http })
}

/// A setting of a listener that is not there would count for nothing, and nobody would know.
fn check_names(given: &[(String, String, Origin)], listeners: &[Listen]) -> Result<(), Failure> {
    let controllers = given.iter().filter(|(name, ..)| name == "controller.listener.names");
    let controllers: Vec<&str> =
        controllers.flat_map(|(_, names, _)| names.split(',')).map(str::trim).collect();
    for (setting, ..) in given {
        let Some((name, _)) = setting.strip_prefix("listener.name.").and_then(|rest| rest.split_once('.'))
        else {
            continue;
        };
        let known = listeners.iter().map(|listen| listen.name.as_str()).chain(controllers.iter().copied());
        let known: Vec<&str> = known.collect();
        if !known.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            return Err(Failure::usage(
                format!("{setting}: there is no listener {name}; there is {}", known.join(", ")),
                "name it as --listen NAME=... or listeners does",
            ));
        }
    }
    Ok(())
}

fn insecure(error: &SecurityError) -> Failure {
    Failure::usage(error.to_string(), error.next())
}

/// The flag, else the last setting of that name.
fn http(args: &DaemonArgs, given: &[(String, String, Origin)]) -> Result<Option<Listen>, Failure> {
    let set = given.iter().rev().find(|(name, ..)| name == HTTP).map(|(_, value, _)| value);
    let parsed = args.http.as_ref().or(set).map(|text| parse_http(text)).transpose();
    parsed.map_err(|error| Failure::usage(error.to_string(), "write --http HOST:PORT or --http PORT"))
}

fn refused(error: &SettingError, given: &[(String, String, Origin)]) -> Failure {
    let name = match error {
        SettingError::Unknown { name, .. } => name.as_str(),
        SettingError::BadValue { name, .. }
        | SettingError::Refused { name, .. }
        | SettingError::ReadOnly { name } => name,
    };
    let origin = given.iter().rev().find(|(other, ..)| other == name).map(|(_, _, origin)| origin);
    let origin = origin.map_or_else(String::new, |origin| format!(" (from {origin})"));
    Failure::usage(format!("{error}{origin}"), "see all settings with: klog broker config")
}

/// `--listen` where it was given, else what Kafka's settings say.
fn listeners(args: &DaemonArgs, given: &[(String, String, Origin)]) -> Result<Vec<Listen>, Failure> {
    let bad = |error: ListenError| {
        Failure::usage(
            error.to_string(),
            "write [NAME=]HOST:PORT[,tls][,sasl][,advertise=HOST:PORT], or NAME://HOST:PORT in listeners",
        )
    };
    if !args.listen.is_empty() {
        let parsed = args.listen.iter().enumerate().map(|(index, text)| parse_listen(text, index));
        return parsed.collect::<Result<_, _>>().map_err(bad);
    }
    let last = |wanted: &str| {
        given.iter().rev().find(|(name, ..)| name == wanted).map(|(_, value, _)| value.as_str())
    };
    parse_kafka(&KafkaListeners {
        listeners: last("listeners"),
        advertised: last("advertised.listeners"),
        protocols: last("listener.security.protocol.map"),
        controllers: last("controller.listener.names"),
    })
    .map_err(bad)
}
