//! Server-side assignors (KIP-848): who is to have which partition; pure, and never moves more than it must.
//!
//! `uniform` balances over all topics, `range` gives each member a range of every topic, the same one in topics of
//! the same size and subscribers. Both start from the assignment there is and give every partition to one member.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::id::TopicId;

use super::super::request::Assignor;
use super::{Parts, range, uniform};

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
