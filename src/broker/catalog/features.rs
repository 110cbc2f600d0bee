//! Features and the levels they are finalized at (KIP-584): what clients switch protocols by. Decided purely, kept as
//! FeatureLevel records.

use super::{Catalog, Refusal};
use crate::schema::metadata::{FeatureLevel, MetadataRecord};

/// The feature that says which records the metadata log may hold; it is never taken back.
const METADATA: &str = "metadata.version";

/// The feature that says how transactions go: from level 2 on, each end bumps the producer's epoch (KIP-890).
const TRANSACTION: &str = "transaction.version";

/// A feature that this build knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feature {
    /// Its name.
    pub name: &'static str,
    /// Lowest level that can be run at.
    pub min: i16,
    /// Highest level.
    pub max: i16,
    /// The level of a new cluster: Kafka 4.3's.
    pub first: i16,
}

/// All features, by name. Levels of `metadata.version` are Kafka's `MetadataVersion`: 7 is 3.3-IV3, 30 is 4.3-IV0.
pub const FEATURES: &[Feature] = &[
    Feature { name: "group.version", min: 0, max: 1, first: 1 },
    Feature { name: METADATA, min: 7, max: 30, first: 30 },
    Feature { name: TRANSACTION, min: 0, max: 2, first: 2 },
];

/// The feature of that name.
pub fn feature(name: &str) -> Option<&'static Feature> {
    FEATURES.iter().find(|feature| feature.name == name)
}

/// Which ways a level may move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upgrade {
    /// Only up.
    Upgrade,
    /// Down too, where nothing is lost by it.
    SafeDowngrade,
    /// Down too, whatever is lost.
    UnsafeDowngrade,
}

impl Catalog {
    /// The level a feature is finalized at; 0 where it is not.
    pub fn feature_level(&self, name: &str) -> i16 {
        self.features.get(name).copied().unwrap_or(0)
    }

    /// All features that are finalized, with their levels.
    pub fn features(&self) -> impl Iterator<Item = (&str, i16)> {
        let finalized = self.features.iter().filter(|(_, level)| **level > 0);
        finalized.map(|(name, level)| (name.as_str(), *level))
    }

    /// A feature that is finalized at a level which this build does not know, with that level and the highest one known.
    pub fn beyond_known(&self) -> Option<(&str, i16, i16)> {
        let known = |name| feature(name).map_or(0, |feature| feature.max);
        let mut all = self.features().map(|(name, level)| (name, level, known(name)));
        all.find(|(_, level, known)| level > known)
    }

    /// Decides on the levels of a new cluster. Features that a cluster never had a level of (an older klog's did not know
    /// them) get theirs as in a new one.
    pub fn first_features(&self) -> Vec<MetadataRecord> {
        let new = FEATURES.iter().filter(|feature| !self.features.contains_key(feature.name));
        new.map(|feature| record(feature.name, feature.first)).collect()
    }

    /// Decides to move a feature to a level.
    ///
    /// # Errors
    /// `Feature`: not known, out of its range, or down without leave.
    pub fn set_feature(
        &self,
        name: &str,
        level: i16,
        upgrade: Upgrade,
    ) -> Result<Vec<MetadataRecord>, Refusal> {
        let refused = |why: String| Err(Refusal::Feature { feature: name.to_owned(), level, why });
        let Some(feature) = feature(name) else {
            return refused("this broker does not know the feature".to_owned());
        };
        if level < 0 {
            return refused("a level is never below 0".to_owned());
        }
        if !(feature.min..=feature.max).contains(&level) {
            return refused(format!("this broker knows levels {} to {}", feature.min, feature.max));
        }
        let current = self.feature_level(name);
        if level < current {
            if upgrade == Upgrade::Upgrade {
                return refused(format!(
                    "it is at {current}, and going down takes the upgrade type safe or unsafe downgrade"
                ));
            }
            if name == METADATA {
                return refused(format!("it is at {current}, and records of that level may be in the log"));
            }
        }
        Ok(if level == current { Vec::new() } else { vec![record(name, level)] })
    }

    /// Takes a record of a feature's level.
    pub(super) fn apply_feature(&mut self, level: &FeatureLevel) {
        self.features.insert(level.name.clone(), level.feature_level);
    }
}

fn record(name: &str, feature_level: i16) -> MetadataRecord {
    MetadataRecord::FeatureLevel(FeatureLevel { name: name.to_owned(), feature_level })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_move_as_they_may() {
        let mut catalog = Catalog::default();
        catalog.first_features().iter().for_each(|record| catalog.apply(record));
        assert!(catalog.first_features().is_empty());
        let all: Vec<_> = catalog.features().collect();
        assert_eq!(all, [("group.version", 1), ("metadata.version", 30), ("transaction.version", 2)]);
        let ways = [Upgrade::Upgrade, Upgrade::SafeDowngrade, Upgrade::UnsafeDowngrade];
        for (name, level, fine) in [
            ("group.version", 1, [true, true, true]),
            ("group.version", 0, [false, true, true]),
            ("group.version", 2, [false; 3]),
            ("group.version", -1, [false; 3]),
            ("metadata.version", 30, [true, true, true]),
            ("metadata.version", 29, [false; 3]),
            ("metadata.version", 0, [false; 3]),
            ("transaction.version", 1, [false, true, true]),
            ("transaction.version", 3, [false; 3]),
            ("share.version", 1, [false; 3]),
        ] {
            assert_eq!(ways.map(|way| catalog.set_feature(name, level, way).is_ok()), fine, "{name} {level}");
        }
        let down = catalog.set_feature("group.version", 0, Upgrade::SafeDowngrade).unwrap();
        down.iter().for_each(|record| catalog.apply(record));
        assert_eq!(catalog.features().count(), 2);
        assert!(catalog.first_features().is_empty(), "what was taken away stays away");
        catalog.features.remove(TRANSACTION);
        let levels = catalog.first_features();
        assert_eq!(levels, [record(TRANSACTION, 2)], "a folder that never knew the feature gets its level");
        assert_eq!(catalog.set_feature("group.version", 1, Upgrade::Upgrade).unwrap().len(), 1);
    }
}
