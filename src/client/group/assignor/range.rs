//! The range assignor: each topic is cut into runs of neighbouring partitions, one a member; never looks at what is owned.

use super::{Subscriber, in_order};
use crate::model::id::TopicPartition;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Partitions of each member, in the order of `members`.
pub(super) fn assign(members: &[Subscriber], counts: &BTreeMap<Arc<str>, i32>) -> Vec<Vec<TopicPartition>> {
    let order = in_order(members);
    let mut out = vec![Vec::new(); members.len()];
    for (topic, &count) in counts {
        let wanting: Vec<usize> =
            order.iter().copied().filter(|&at| members[at].topics.contains(topic)).collect();
        let Ok(takers) = i32::try_from(wanting.len()) else { continue };
        if takers == 0 || count <= 0 {
            continue;
        }
        let (each, extra) = (count / takers, count % takers);
        let mut next = 0;
        for (place, at) in (0..).zip(wanting) {
            let take = each + i32::from(place < extra);
            out[at].extend((next..next + take).map(|index| TopicPartition::new(topic.clone(), index)));
            next += take;
        }
    }
    out
}
