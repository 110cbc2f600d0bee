//! Settings as answers say them: value, source, type; a password's value is never said.

use std::collections::BTreeMap;

use crate::broker::settings::dynamic::is_dynamic;
use crate::broker::settings::group::{GROUP, GroupRow};
use crate::broker::settings::table::TOPIC;
use crate::broker::settings::{BROKER, Kind, Origin, Row, Settings};
use crate::broker::topic_settings::{Source, Step, steps};

/// Kafka's numbers of kinds of resources (`ConfigResource.Type`).
pub(super) mod resource {
    pub(in super::super) const TOPIC: i8 = 2;
    pub(in super::super) const BROKER: i8 = 4;
    pub(in super::super) const BROKER_LOGGER: i8 = 8;
    pub(in super::super) const CLIENT_METRICS: i8 = 16;
    pub(in super::super) const GROUP: i8 = 32;
}

/// A setting with the way to its value: the first step is the one in force.
pub(super) struct Described {
    pub(super) row: &'static Row,
    pub(super) steps: Vec<Step>,
    /// It can not be changed while the broker runs.
    pub(super) read_only: bool,
    /// The default is named among the synonyms. Kafka names a topic's only where the broker setting behind it has one.
    pub(super) default_is_synonym: bool,
}

impl Described {
    /// The value in force; `None` where it is null or secret.
    pub(super) fn value(&self) -> Option<String> {
        if self.is_sensitive() { None } else { self.steps.first().and_then(|step| step.value.clone()) }
    }

    /// The way to the value as it is told.
    pub(super) fn synonyms(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.source != Source::Default || self.default_is_synonym)
    }

    /// Whether the value is a secret.
    pub(super) fn is_sensitive(&self) -> bool {
        self.row.kind == Kind::Password
    }

    /// Where the value in force comes from.
    pub(super) fn source(&self) -> i8 {
        self.steps.first().map_or(source::DEFAULT, |step| number(step.source))
    }
}

/// Kafka's numbers of sources (`DescribeConfigsResponse.ConfigSource`).
mod source {
    pub(super) const TOPIC: i8 = 1;
    pub(super) const THIS_BROKER: i8 = 2;
    pub(super) const ALL_BROKERS: i8 = 3;
    pub(super) const STATIC_BROKER: i8 = 4;
    pub(super) const DEFAULT: i8 = 5;
    pub(super) const GROUP: i8 = 8;
}

/// A source as its number.
pub(super) fn number(of: Source) -> i8 {
    match of {
        Source::Topic => source::TOPIC,
        Source::Group => source::GROUP,
        Source::ThisBroker => source::THIS_BROKER,
        Source::AllBrokers => source::ALL_BROKERS,
        Source::Broker => source::STATIC_BROKER,
        Source::Default => source::DEFAULT,
    }
}

/// A type as its number (`DescribeConfigsResponse.ConfigType`).
pub(super) fn kind_number(kind: Kind) -> i8 {
    match kind {
        Kind::Boolean => 1,
        Kind::Text => 2,
        Kind::Int => 3,
        Kind::Short => 4,
        Kind::Long => 5,
        Kind::Double => 6,
        Kind::List => 7,
        Kind::Class => 8,
        Kind::Password => 9,
    }
}

/// All settings of a topic on which `given` was set.
pub(super) fn of_topic(given: &BTreeMap<String, String>, broker: &Settings) -> Vec<Described> {
    let has_default = |name: &str| BROKER.iter().any(|row| row.name == name && row.default.is_some());
    TOPIC
        .iter()
        .map(|(row, synonym)| Described {
            row,
            steps: steps(row, synonym, given.get(row.name), broker),
            read_only: false,
            default_is_synonym: has_default(synonym),
        })
        .collect()
}

/// All settings of this broker.
pub(super) fn of_broker(settings: &Settings) -> Vec<Described> {
    let described = |row: &'static Row| {
        let default = match row.name {
            "node.id" | "broker.id" => Some(settings.node_id().to_string()),
            _ => row.default.map(str::to_owned),
        };
        let mut steps = layers(settings, row.name);
        steps.push(Step { name: row.name, value: default, source: Source::Default });
        Described { row, steps, read_only: !is_dynamic(row.name), default_is_synonym: true }
    };
    BROKER.iter().map(described).collect()
}

/// What is set as the default of all brokers.
pub(super) fn of_all_brokers(settings: &Settings) -> Vec<Described> {
    let described = |row: &'static Row| {
        let steps: Vec<Step> =
            layers(settings, row.name).into_iter().filter(|step| step.source == Source::AllBrokers).collect();
        (!steps.is_empty()).then_some(Described { row, steps, read_only: false, default_is_synonym: true })
    };
    BROKER.iter().filter_map(described).collect()
}

/// All settings of a group on which `given` was set.
pub(super) fn of_group(given: &BTreeMap<String, String>, broker: &Settings) -> Vec<Described> {
    let described = |group: &'static GroupRow| {
        let row = &group.row;
        let set = given.get(row.name).map(|value| Step {
            name: row.name,
            value: Some(value.clone()),
            source: Source::Group,
        });
        let name = if group.synonym.is_empty() { row.name } else { group.synonym };
        let last = Step { name, value: row.default.map(str::to_owned), source: Source::Default };
        let steps = set.into_iter().chain(layers(broker, group.synonym)).chain([last]).collect();
        Described { row, steps, read_only: false, default_is_synonym: true }
    };
    GROUP.iter().map(described).collect()
}

/// The values that were given for a broker setting, strongest first.
fn layers(settings: &Settings, name: &'static str) -> Vec<Step> {
    let step =
        |(origin, value): (Origin, &str)| Step { name, value: Some(value.to_owned()), source: origin.into() };
    settings.layers(name).map(step).collect()
}
