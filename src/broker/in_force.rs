//! The broker's settings in force, which can change while it runs; always a whole set of them, never half of an old and
//! half of a new one.
//!
//! Locks: one, held for a clone or a swap.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::settings::Settings;
use super::topic_settings::TopicSettings;

/// The settings, and those of a topic on which nothing is set.
pub(super) struct InForce {
    now: RwLock<(Arc<Settings>, Arc<TopicSettings>)>,
}

impl InForce {
    pub(super) fn new(settings: Settings) -> Self {
        Self { now: RwLock::new(both(settings)) }
    }

    pub(super) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner).0)
    }

    pub(super) fn topic_defaults(&self) -> Arc<TopicSettings> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner).1)
    }

    pub(super) fn replace(&self, settings: Settings) {
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = both(settings);
    }
}

fn both(settings: Settings) -> (Arc<Settings>, Arc<TopicSettings>) {
    let defaults = TopicSettings::of(BTreeMap::new(), &settings);
    (Arc::new(settings), Arc::new(defaults))
}
