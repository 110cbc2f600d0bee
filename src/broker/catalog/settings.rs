//! Settings as the catalog keeps them, of topics, brokers and groups: a fold of config records. Whether a value is
//! allowed is not decided here.

use std::collections::BTreeMap;

use super::Catalog;
use crate::schema::metadata::{Config, MetadataRecord, resource_type};

/// What settings are kept of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceKind {
    /// A topic, by name.
    Topic,
    /// A broker, by its id; the empty name is the default of all brokers.
    Broker,
    /// A group, by its id, whether there is one or not.
    Group,
}

impl ResourceKind {
    /// Kafka's number (`ConfigResource.Type`).
    pub fn code(self) -> i8 {
        match self {
            Self::Topic => resource_type::TOPIC,
            Self::Broker => resource_type::BROKER,
            Self::Group => resource_type::GROUP,
        }
    }

    fn of_code(code: i8) -> Option<Self> {
        [Self::Topic, Self::Broker, Self::Group].into_iter().find(|kind| kind.code() == code)
    }
}

static NONE: BTreeMap<String, String> = BTreeMap::new();

impl Catalog {
    /// What is set on a resource; nothing on one that is not known.
    pub fn settings(&self, kind: ResourceKind, name: &str) -> &BTreeMap<String, String> {
        match kind {
            ResourceKind::Topic => self.topics.get(name).map_or(&NONE, |topic| &topic.configs),
            _ => self.settings.get(&(kind, name.to_owned())).unwrap_or(&NONE),
        }
    }

    /// Brokers or groups on which anything is set, by name.
    pub fn with_settings(&self, kind: ResourceKind) -> impl Iterator<Item = &str> {
        self.settings.keys().filter(move |(of, _)| *of == kind).map(|(_, name)| name.as_str())
    }

    /// Decides that exactly `wanted` is to be set on a resource.
    pub fn set_settings(
        &self,
        kind: ResourceKind,
        name: &str,
        wanted: &BTreeMap<String, String>,
    ) -> Vec<MetadataRecord> {
        let old = self.settings(kind, name);
        let record = |key: &String, value: Option<&String>| {
            MetadataRecord::Config(Config {
                resource_type: kind.code(),
                resource_name: name.to_owned(),
                name: key.clone(),
                value: value.cloned(),
            })
        };
        let gone = old.keys().filter(|key| !wanted.contains_key(*key)).map(|key| record(key, None));
        let new = wanted.iter().filter(|(key, value)| old.get(*key) != Some(*value));
        gone.chain(new.map(|(key, value)| record(key, Some(value)))).collect()
    }

    /// Takes a record of a broker's or a group's setting.
    pub(super) fn apply_setting(&mut self, config: &Config) {
        let Some(kind) = ResourceKind::of_code(config.resource_type) else { return };
        let key = (kind, config.resource_name.clone());
        let Some(value) = &config.value else {
            if let Some(settings) = self.settings.get_mut(&key) {
                settings.remove(&config.name);
                if settings.is_empty() {
                    self.settings.remove(&key);
                }
            }
            return;
        };
        self.settings.entry(key).or_default().insert(config.name.clone(), value.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_is_wanted_is_what_comes_back() {
        let mut catalog = Catalog::default();
        let steps: [&[(&str, &str)]; 4] = [&[("a", "1"), ("b", "2")], &[("b", "3"), ("c", "4")], &[], &[]];
        for (step, records) in steps.into_iter().zip([2, 3, 2, 0]) {
            let wanted = pairs(step);
            let decided = catalog.set_settings(ResourceKind::Group, "g", &wanted);
            assert_eq!(decided.len(), records, "{step:?}");
            decided.iter().for_each(|record| catalog.apply(record));
            assert_eq!(catalog.settings(ResourceKind::Group, "g"), &wanted);
            assert_eq!(catalog.with_settings(ResourceKind::Group).count(), usize::from(!step.is_empty()));
        }
        assert_eq!(catalog, Catalog::default());
        assert!(catalog.settings(ResourceKind::Broker, "g").is_empty());
    }
}
