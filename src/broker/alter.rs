//! Settings that are changed at run time: held against the tables, stored durably, and only then in force; a failure
//! leaves everything as it was.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use super::catalog::ResourceKind;
use super::settings::kind::{self, Kind, Row};
use super::settings::{BROKER, SettingError, Settings, check_dynamic, group, table};
use super::topic_settings;
use super::{Broker, BrokerError};

/// What is to become of one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It gets this value.
    Set(String),
    /// It loses its value.
    Delete,
    /// These words are added to the list.
    Append(String),
    /// These words are taken from the list.
    Subtract(String),
}

/// Why settings are not changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AlterError {
    /// There is no such topic.
    #[error("there is no topic {0}")]
    UnknownTopic(String),
    /// The table refuses.
    #[error("{0}")]
    Setting(#[from] SettingError),
    /// Only lists are added to and taken from.
    #[error("{0} is not a list: it can be set and deleted, not appended to or subtracted from")]
    NotList(String),
    /// The request names a setting twice.
    #[error("{0} is named more than once")]
    Twice(String),
    /// It could not be stored.
    #[error("{0}")]
    Failed(#[from] BrokerError),
}

impl Broker {
    /// Changes what is set on a resource; with `replace` what is not named loses its value. Durable and in force when
    /// this answers; with `validate_only` only checked. Of a broker the name is this node's id, or empty for the
    /// default of all brokers. Blocking.
    ///
    /// # Errors
    /// See [`AlterError`]; nothing was changed then.
    pub fn alter_settings(
        &self,
        kind: ResourceKind,
        name: &str,
        changes: &[(String, Change)],
        replace: bool,
        validate_only: bool,
    ) -> Result<(), AlterError> {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if kind == ResourceKind::Topic && self.state().catalog.topic(name).is_none() {
            return Err(AlterError::UnknownTopic(name.to_owned()));
        }
        let old = self.state().catalog.settings(kind, name).clone();
        let start = if replace { BTreeMap::new() } else { old };
        let wanted = self.altered(kind, start, changes)?;
        match kind {
            ResourceKind::Topic => topic_settings::check_together(&wanted, &self.settings())?,
            ResourceKind::Broker => self.layered(name, &wanted).check_together()?,
            ResourceKind::Group => {}
        }
        let records = self.state().catalog.set_settings(kind, name, &wanted);
        if validate_only || records.is_empty() {
            return Ok(());
        }
        self.store(&records)?;
        self.apply(&records);
        match kind {
            ResourceKind::Topic => self.topic_altered(name, wanted),
            ResourceKind::Broker => self.put_in_force(self.layered(name, &wanted)),
            ResourceKind::Group => {}
        }
        Ok(())
    }

    /// What is set after the changes; each new value was checked.
    fn altered(
        &self,
        kind: ResourceKind,
        mut settings: BTreeMap<String, String>,
        changes: &[(String, Change)],
    ) -> Result<BTreeMap<String, String>, AlterError> {
        let mut named = BTreeSet::new();
        for (name, change) in changes {
            if !named.insert(name.as_str()) {
                return Err(AlterError::Twice(name.clone()));
            }
            let value = match change {
                Change::Delete => {
                    settings.remove(name);
                    continue;
                }
                Change::Set(value) => value.clone(),
                Change::Append(words) | Change::Subtract(words) => {
                    let row = row(kind, name).filter(|row| row.kind == Kind::List);
                    let row = row.ok_or_else(|| AlterError::NotList(name.clone()))?;
                    let current = settings.get(name).map(String::as_str).or(row.default).unwrap_or_default();
                    relisted(current, words, matches!(change, Change::Append(_)))
                }
            };
            let (name, value) = match kind {
                ResourceKind::Topic => topic_settings::check(name, &value)?,
                ResourceKind::Broker => check_dynamic(name, &value)?,
                ResourceKind::Group => group::check(name, &value, &self.settings())?,
            };
            settings.insert(name.to_owned(), value);
        }
        Ok(settings)
    }

    /// The broker's settings if `wanted` is what is set on the broker `name`, or as the default of all.
    fn layered(&self, name: &str, wanted: &BTreeMap<String, String>) -> Settings {
        let state = self.state();
        let set = |name: &str| state.catalog.settings(ResourceKind::Broker, name);
        let own = self.node_id.to_string();
        let settings = self.settings();
        if name.is_empty() {
            settings.with_dynamic(set(&own), wanted)
        } else {
            settings.with_dynamic(wanted, set(""))
        }
    }

    fn topic_altered(&self, name: &str, given: BTreeMap<String, String>) {
        if let Some(topic) = self.topic(name) {
            topic.change_settings(self.topic_settings(given, name));
        }
    }

    /// Lets other settings of the broker count: for what asks it, and for all topics that do not say otherwise.
    fn put_in_force(&self, settings: Settings) {
        self.in_force.replace(settings);
        for topic in self.topics() {
            let now = topic.settings();
            let new = self.topic_settings(now.given.clone(), topic.name());
            if new != now {
                topic.change_settings(new);
            }
        }
    }

    /// What is set on a resource.
    pub fn settings_of(&self, kind: ResourceKind, name: &str) -> BTreeMap<String, String> {
        self.state().catalog.settings(kind, name).clone()
    }

    /// Brokers or groups on which anything is set.
    pub fn with_settings(&self, kind: ResourceKind) -> Vec<String> {
        self.state().catalog.with_settings(kind).map(str::to_owned).collect()
    }
}

fn row(kind: ResourceKind, name: &str) -> Option<&'static Row> {
    match kind {
        ResourceKind::Topic => kind::find(table::TOPIC, name, |(row, _)| row).map(|(row, _)| row),
        ResourceKind::Broker => kind::find(BROKER, name, |row| row),
        ResourceKind::Group => group::find(name).map(|group| &group.row),
    }
}

/// The list with `words` added behind, each once, or taken out.
fn relisted(current: &str, words: &str, append: bool) -> String {
    let split = |list: &'_ str| -> Vec<String> {
        list.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    let (mut list, words) = (split(current), split(words));
    if append {
        for word in words {
            if !list.contains(&word) {
                list.push(word);
            }
        }
    } else {
        list.retain(|word| !words.contains(word));
    }
    list.join(",")
}

/// A group's settings in force, as the coordinator acts on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupSettings {
    /// `consumer.session.timeout.ms`.
    pub consumer_session_timeout_ms: i32,
    /// `consumer.heartbeat.interval.ms`.
    pub consumer_heartbeat_interval_ms: i32,
    /// `consumer.assignment.interval.ms`.
    pub consumer_assignment_interval_ms: i32,
}

impl Broker {
    /// The settings in force of a group, whether there is one of that id or not: what was set on it, held within the
    /// broker's bounds of now, else the broker's defaults.
    pub fn group_settings(&self, group: &str) -> GroupSettings {
        let settings: Arc<Settings> = self.settings();
        let state = self.state();
        let given = state.catalog.settings(ResourceKind::Group, group);
        let value = |name: &str| -> i32 {
            let Some(group) = group::find(name) else { return 0 };
            let set = given.get(name).and_then(|text| text.parse::<i64>().ok());
            let value = set.unwrap_or_else(|| settings.int(group.synonym));
            let (least, most) = group.bounds;
            i32::try_from(value.min(settings.int(most)).max(settings.int(least))).unwrap_or(i32::MAX)
        };
        GroupSettings {
            consumer_session_timeout_ms: value("consumer.session.timeout.ms"),
            consumer_heartbeat_interval_ms: value("consumer.heartbeat.interval.ms"),
            consumer_assignment_interval_ms: value("consumer.assignment.interval.ms"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_added_to_and_taken_from() {
        assert_eq!(relisted("delete", "compact", true), "delete,compact");
        assert_eq!(relisted("delete", " delete , compact", true), "delete,compact");
        assert_eq!(relisted("delete,compact", "delete", false), "compact");
        assert_eq!(relisted("delete", "delete", false), "");
        assert_eq!(relisted("", "a,b", true), "a,b");
    }
}
