//! Settings as answers say them: value, source, type; a password's value is never said.

use std::collections::BTreeMap;

use crate::broker::settings::table::TOPIC;
use crate::broker::settings::{BROKER, Kind, Row, Settings};
use crate::broker::topic_settings::{Source, Step, steps};

/// A setting with the way to its value: the first step is the one in force.
pub(super) struct Described {
    pub(super) row: &'static Row,
    pub(super) steps: Vec<Step>,
}

impl Described {
    /// The value in force; `None` where it is null or secret.
    pub(super) fn value(&self) -> Option<String> {
        if self.is_sensitive() { None } else { self.steps.first().and_then(|step| step.value.clone()) }
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
    pub(super) const STATIC_BROKER: i8 = 4;
    pub(super) const DEFAULT: i8 = 5;
}

/// A source as its number.
pub(super) fn number(of: Source) -> i8 {
    match of {
        Source::Topic => source::TOPIC,
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
pub(super) fn of_topic<'a>(
    given: &'a BTreeMap<String, String>,
    broker: &'a Settings,
) -> impl Iterator<Item = Described> + 'a {
    TOPIC
        .iter()
        .map(move |(row, synonym)| Described { row, steps: steps(row, synonym, given.get(row.name), broker) })
}

/// All settings of the broker.
pub(super) fn of_broker(settings: &Settings) -> impl Iterator<Item = Described> + '_ {
    BROKER.iter().map(move |row| {
        let default = match row.name {
            "node.id" | "broker.id" => Some(settings.node_id().to_string()),
            _ => row.default.map(str::to_owned),
        };
        let given = settings.given(row.name).map(|value| Step {
            name: row.name,
            value: Some(value.to_owned()),
            source: Source::Broker,
        });
        let last = Step { name: row.name, value: default, source: Source::Default };
        Described { row, steps: given.into_iter().chain([last]).collect() }
    })
}
