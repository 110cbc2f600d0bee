//! The broker's settings by Kafka's names: parsed, checked, with klog's own defaults; a name that is not in the table
//! is never accepted.

pub mod dynamic;
pub mod group;
pub mod kind;
pub mod table;

use std::collections::BTreeMap;

use crate::auth::USER;
pub use kind::{Allowed, Kind, Row, Stand};
pub use table::BROKER;

/// Broker settings: what was changed at run time, over what was given at start, over the defaults.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    given: BTreeMap<&'static str, String>,
    own: BTreeMap<&'static str, String>,
    all: BTreeMap<&'static str, String>,
}

/// Where a broker setting's value was given, strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// At run time, for this broker.
    ThisBroker,
    /// At run time, as the default of all brokers.
    AllBrokers,
    /// At start.
    Start,
}

/// Why a setting is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// No setting has that name.
    #[error("there is no setting {name}{}", .nearest.map(|near| format!("; did you mean {near}?")).unwrap_or_default())]
    Unknown {
        /// The name given.
        name: String,
        /// The nearest name there is.
        nearest: Option<&'static str>,
    },
    /// The value is not of the setting's type, or not allowed.
    #[error("{name}={value}: allowed is {allowed}")]
    BadValue {
        /// The setting.
        name: &'static str,
        /// The value given.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// klog does not do what the setting asks for.
    #[error("{name}={value} is refused: {why}")]
    Refused {
        /// The setting.
        name: &'static str,
        /// The value given.
        value: String,
        /// Why, and what to do instead.
        why: &'static str,
    },
    /// The setting only counts when the broker starts.
    #[error("{name} can not be changed while the broker runs; give it at start")]
    ReadOnly {
        /// The setting.
        name: &'static str,
    },
}

impl Settings {
    /// Checks pairs of name and value, later ones winning. An empty value of a setting whose default is null takes
    /// the setting back. Names of the form `listener.name.NAME.SETTING` are passed over where the rest is known.
    ///
    /// # Errors
    /// The first pair that is refused.
    pub fn parse<N: AsRef<str>, V: AsRef<str>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self, SettingError> {
        let mut settings = Self::default();
        for (name, value) in pairs {
            settings.set(name.as_ref(), value.as_ref())?;
        }
        settings.check_together()?;
        Ok(settings)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), SettingError> {
        let Some(row) = kind::find(BROKER, name, |row| row) else {
            if listener_setting(name) {
                return Ok(());
            }
            let nearest = kind::nearest(name, BROKER.iter().map(|row| row.name));
            return Err(SettingError::Unknown { name: name.to_owned(), nearest });
        };
        if value.trim().is_empty() && row.default.is_none() {
            self.given.remove(row.name);
            return Ok(());
        }
        self.given.insert(row.name, checked(row, value)?);
        Ok(())
    }

    /// These settings with what was set at run time for this broker (`own`) and as the default of all brokers (`all`)
    /// in place of what they had so. What can not be set so (any more) is passed over.
    #[must_use]
    pub fn with_dynamic(&self, own: &BTreeMap<String, String>, all: &BTreeMap<String, String>) -> Self {
        let known = |pairs: &BTreeMap<String, String>| {
            pairs.iter().filter_map(|(name, value)| check_dynamic(name, value).ok()).collect()
        };
        Self { given: self.given.clone(), own: known(own), all: known(all) }
    }

    /// Rules between settings, and those that the table's ranges can not say.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check_together(&self) -> Result<(), SettingError> {
        let refuse = |name: &'static str, allowed: &str| {
            let value = self.text(name).unwrap_or_default().to_owned();
            Err(SettingError::BadValue { name, value, allowed: allowed.to_owned() })
        };
        for name in ["log.dirs", "log.dir"] {
            if self.text(name).is_some_and(|folders| folders.contains(',')) {
                return refuse(name, "one folder: klog keeps all data in one");
            }
        }
        if self.int("queued.max.request.bytes") < 1 << 20 {
            return refuse("queued.max.request.bytes", "at least 1048576");
        }
        if self.int("group.min.session.timeout.ms") > self.int("group.max.session.timeout.ms") {
            return refuse("group.min.session.timeout.ms", "at most group.max.session.timeout.ms");
        }
        self.check_groups()?;
        if self.super_users().any(|user| user.strip_prefix(USER).is_none_or(str::is_empty)) {
            return refuse("super.users", "User:NAME, with semicolons between several");
        }
        for name in ["log.retention.ms", "log.retention.minutes", "log.retention.hours"] {
            if self.text(name).is_some() && self.int(name) == 0 {
                return refuse(name, "-1 for ever, or a whole number from 1 on");
            }
        }
        Ok(())
    }

    /// Defaults of group settings lie within the bounds of group settings, and members are heard of before they are
    /// taken for gone.
    fn check_groups(&self) -> Result<(), SettingError> {
        let (beat, session) = ("group.consumer.heartbeat.interval.ms", "group.consumer.session.timeout.ms");
        if self.int(beat) >= self.int(session) {
            let allowed = format!("less than {session}, which is {}", self.int(session));
            return Err(SettingError::BadValue { name: beat, value: self.int(beat).to_string(), allowed });
        }
        for group in group::GROUP {
            let (least, most) = group.bounds;
            let value = if group.synonym.is_empty() { continue } else { self.int(group.synonym) };
            let refuse = |allowed: String| {
                Err(SettingError::BadValue { name: group.synonym, value: value.to_string(), allowed })
            };
            if !least.is_empty() && value < self.int(least) {
                return refuse(format!("at least {least}, which is {}", self.int(least)));
            }
            if !most.is_empty() && value > self.int(most) {
                return refuse(format!("at most {most}, which is {}", self.int(most)));
            }
        }
        Ok(())
    }

    /// A SHORT, INT or LONG setting's value in force; 0 where it is null.
    pub fn int(&self, name: &'static str) -> i64 {
        self.text(name).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// As [`Settings::int`] for counts and sizes: never negative.
    pub fn size(&self, name: &'static str) -> usize {
        usize::try_from(self.int(name)).unwrap_or(0)
    }

    /// A BOOLEAN setting's value in force.
    pub fn flag(&self, name: &'static str) -> bool {
        self.text(name) == Some("true")
    }

    /// A setting's value in force as text; `None` is null.
    pub fn text(&self, name: &'static str) -> Option<&str> {
        if let Some(given) = self.given(name) {
            return Some(given);
        }
        let row = kind::find(BROKER, name, |row| row);
        debug_assert!(row.is_some(), "{name} is not a broker setting");
        row.and_then(|row| row.default)
    }

    /// The value that was given, if one was: the strongest.
    pub fn given(&self, name: &str) -> Option<&str> {
        self.layers(name).next().map(|(_, value)| value)
    }

    /// The value that was set while the broker runs, if one was.
    pub fn changed(&self, name: &str) -> Option<&str> {
        self.layers(name).find(|(origin, _)| *origin != Origin::Start).map(|(_, value)| value)
    }

    /// All values that were given, with where, strongest first.
    pub fn layers<'s>(&'s self, name: &str) -> impl Iterator<Item = (Origin, &'s str)> {
        let layers =
            [(Origin::ThisBroker, &self.own), (Origin::AllBrokers, &self.all), (Origin::Start, &self.given)];
        layers.into_iter().filter_map(move |(origin, given)| Some((origin, given.get(name)?.as_str())))
    }

    /// Names that were given and have no effect here: to be said once at start-up.
    pub fn without_effect(&self) -> Vec<&'static str> {
        let idle = |name: &&'static str| {
            kind::find(BROKER, name, |row| row)
                .is_some_and(|row| row.stand == Stand::WithoutEffect && self.given(name) != row.default)
        };
        self.given.keys().copied().filter(idle).collect()
    }

    /// Settings whose default is not Kafka's: name, klog's default, Kafka's.
    pub fn differing_defaults()
    -> impl Iterator<Item = (&'static str, Option<&'static str>, Option<&'static str>)> {
        BROKER
            .iter()
            .filter(|row| row.default != row.kafka_default)
            .map(|row| (row.name, row.default, row.kafka_default))
    }

    /// Who may do everything: the principals of `super.users`.
    pub fn super_users(&self) -> impl Iterator<Item = &str> {
        let users = self.text("super.users").unwrap_or_default();
        users.split(';').map(str::trim).filter(|user| !user.is_empty())
    }

    /// This node's id: `node.id`, else `broker.id`, else 1.
    pub fn node_id(&self) -> i32 {
        let given = |name: &'static str| {
            self.given(name).and_then(|text| text.parse::<i32>().ok()).filter(|id| *id >= 0)
        };
        given("node.id").or_else(|| given("broker.id")).unwrap_or(1)
    }
}

/// Holds a setting that is to be changed at run time against the table; answers it as it is kept.
///
/// # Errors
/// `Unknown`, `ReadOnly`, `BadValue`, `Refused`.
pub fn check_dynamic(name: &str, value: &str) -> Result<(&'static str, String), SettingError> {
    let Some(row) = kind::find(BROKER, name, |row| row) else {
        let nearest = kind::nearest(name, BROKER.iter().map(|row| row.name));
        return Err(SettingError::Unknown { name: name.to_owned(), nearest });
    };
    if !dynamic::is_dynamic(row.name) {
        return Err(SettingError::ReadOnly { name: row.name });
    }
    Ok((row.name, checked(row, value)?))
}

/// Holds a value against its row; answers it as it is kept.
fn checked(row: &Row, value: &str) -> Result<String, SettingError> {
    let kept = row.check(value).map_err(|allowed| SettingError::BadValue {
        name: row.name,
        value: shown(row, value),
        allowed,
    })?;
    match row.stand {
        Stand::Refused(why) if Some(kept.as_str()) != row.default => {
            Err(SettingError::Refused { name: row.name, value: shown(row, value), why })
        }
        _ => Ok(kept),
    }
}

fn shown(row: &Row, value: &str) -> String {
    if row.kind == Kind::Password { "[hidden]".to_owned() } else { value.to_owned() }
}

/// `listener.name.NAME.SETTING`: Kafka's way of a setting for one listener.
fn listener_setting(name: &str) -> bool {
    let Some((_, rest)) = name.strip_prefix("listener.name.").and_then(|rest| rest.split_once('.')) else {
        return false;
    };
    let known = |name: &str| kind::find(BROKER, name, |row| row).is_some();
    known(rest) || rest.split_once('.').is_some_and(|(_, behind)| known(behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_sorted_and_their_defaults_are_allowed() {
        assert!(BROKER.is_sorted_by_key(|row| row.name));
        assert!(table::TOPIC.is_sorted_by_key(|(row, _)| row.name));
        for row in BROKER.iter().chain(table::TOPIC.iter().map(|(row, _)| row)) {
            for default in [row.default, row.kafka_default].into_iter().flatten() {
                assert!(row.check(default).is_ok(), "{} = {default}", row.name);
            }
            assert!(row.doc.ends_with('.'), "{}", row.name);
        }
    }

    #[test]
    fn values_are_checked_and_unknown_names_get_a_suggestion() {
        let settings = Settings::parse([("num.partitions", " 3 "), ("log.cleaner.threads", "4")]).unwrap();
        assert_eq!(settings.int("num.partitions"), 3);
        assert_eq!(settings.int("node.id"), 1);
        assert_eq!(settings.without_effect(), ["log.cleaner.threads"]);
        assert!(matches!(
            Settings::parse([("num.partition", "3")]),
            Err(SettingError::Unknown { nearest: Some("num.partitions"), .. })
        ));
        for (name, value) in [
            ("num.partitions", "0"),
            ("num.partitions", "x"),
            ("auto.create.topics.enable", "yes"),
            ("log.cleanup.policy", "delete,shred"),
            ("log.message.timestamp.type", "createtime"),
            ("log.dirs", "/a,/b"),
            ("message.max.bytes", "3000000000"),
        ] {
            let refused = Settings::parse([(name, value)]);
            assert!(matches!(refused, Err(SettingError::BadValue { .. })), "{name}={value}");
        }
        assert!(matches!(
            Settings::parse([("authorizer.class.name", "org.example.A")]),
            Err(SettingError::BadValue { .. })
        ));
        assert!(Settings::parse([("authorizer.class.name", "")]).is_ok());
        let users = Settings::parse([("super.users", "User:a; User:CN=b,O=x;")]).unwrap();
        assert_eq!(users.super_users().collect::<Vec<_>>(), ["User:a", "User:CN=b,O=x"]);
        for bad in ["alice", "User:", "Group:a"] {
            assert!(Settings::parse([("super.users", bad)]).is_err(), "{bad}");
        }
        assert!(Settings::parse([("listener.name.sasl.plain.sasl.jaas.config", "x")]).is_ok());
        assert!(Settings::parse([("listener.name.sasl.nonsense", "x")]).is_err());
    }

    #[test]
    fn the_broker_id_stands_in_for_the_node_id() {
        let of = |pairs: &[(&str, &str)]| Settings::parse(pairs.iter().copied()).unwrap().node_id();
        assert_eq!(of(&[]), 1);
        assert_eq!(of(&[("broker.id", "7")]), 7);
        assert_eq!(of(&[("broker.id", "7"), ("node.id", "0")]), 0);
    }
}
