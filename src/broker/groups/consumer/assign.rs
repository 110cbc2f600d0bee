//! Server-side assignors (KIP-848): who is to have which partition; pure, and never moves more than it must.
//!
//! `uniform` balances over all topics, `range` gives each member a range of every topic, the same one in topics of
//! the same size and subscribers. Both start from the assignment there is and give every partition to one member.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::id::TopicId;

use super::{Parts, range, uniform};

/// An assignor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assignor {
    /// Balanced over all topics.
    Uniform,
    /// A range of each topic.
    Range,
}

impl Assignor {
    const ALL: [Self; 2] = [Self::Uniform, Self::Range];

    /// Its name in the protocol.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Range => "range",
        }
    }
}

/// The assignors that `group.consumer.assignors` allows, the default first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assignors {
    first: Assignor,
    second: Option<Assignor>,
}

impl Default for Assignors {
    fn default() -> Self {
        Self { first: Assignor::Uniform, second: Some(Assignor::Range) }
    }
}

impl Assignors {
    /// The assignors of these names, in their order; all of them if none is known.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut known = names.into_iter().filter_map(|name| {
            let name = name.trim();
            Assignor::ALL.into_iter().find(|assignor| assignor.name() == name)
        });
        match known.next() {
            Some(first) => Self { first, second: known.find(|other| *other != first) },
            None => Self::default(),
        }
    }

    /// The one taken where no member wishes for another.
    pub fn default_one(self) -> Assignor {
        self.first
    }

    /// The one of that name, if it is allowed.
    pub fn get(self, name: &str) -> Option<Assignor> {
        [Some(self.first), self.second].into_iter().flatten().find(|assignor| assignor.name() == name)
    }
}

/// What an assignor is told of a member.
#[derive(Debug, Clone, Default)]
pub(super) struct Wish<'a> {
    /// Its name, if static.
    pub(super) instance: Option<&'a str>,
    /// The topics it subscribes to, as far as they are there.
    pub(super) topics: BTreeSet<TopicId>,
    /// What it is to have so far.
    pub(super) has: Parts,
}

/// The members by id, each with its wish.
pub(super) type Wishes<'a> = BTreeMap<Arc<str>, Wish<'a>>;

/// The new target: one entry a member. `sizes` is the number of partitions of each topic subscribed to.
pub(super) fn assign(
    assignor: Assignor,
    wishes: &Wishes<'_>,
    sizes: &BTreeMap<TopicId, i32>,
) -> BTreeMap<Arc<str>, Parts> {
    match assignor {
        Assignor::Uniform => uniform::assign(wishes, sizes),
        Assignor::Range => range::assign(wishes, sizes),
    }
}
