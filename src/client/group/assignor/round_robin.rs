//! The round-robin assignor: all partitions of all topics are dealt in turn; never looks at what is owned.

use super::{Subscriber, in_order};
use crate::model::id::TopicPartition;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Partitions of each member, in the order of `members`.
pub(super) fn assign(members: &[Subscriber], counts: &BTreeMap<Arc<str>, i32>) -> Vec<Vec<TopicPartition>> {
    let order = in_order(members);
    let mut out = vec![Vec::new(); members.len()];
    let mut turn = 0;
    for (topic, &count) in counts {
        for index in 0..count {
            // Whoever comes next and wants the topic; the turn moves past those who do not.
            let mut seats = (0..order.len()).map(|step| (turn + step) % order.len());
            let Some(seat) = seats.find(|&seat| members[order[seat]].topics.contains(topic)) else { break };
            out[order[seat]].push(TopicPartition::new(topic.clone(), index));
            turn = seat + 1;
        }
    }
    out
}
