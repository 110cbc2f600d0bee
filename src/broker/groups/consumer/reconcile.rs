//! The way of one member to its target (KIP-848): what it must give back first, what it gets, what it waits for.
//!
//! A partition is never given while another has it: not before that one has given it back and said so.

use std::collections::BTreeSet;

use crate::model::id::TopicId;

use super::{Current, MemberState, Owned, Parts};

/// What a step of the way depends on.
pub(super) struct Surroundings<'a> {
    /// The epoch of the target.
    pub(super) target_epoch: i32,
    /// What the member is to have.
    pub(super) target: &'a Parts,
    /// The topics it subscribes to.
    pub(super) subscribed: &'a BTreeSet<TopicId>,
    /// Whether its subscription has just changed.
    pub(super) changed: bool,
    /// Whether another member has a partition.
    pub(super) taken: &'a dyn Fn(TopicId, i32) -> bool,
    /// What the member says it has; `None` if it does not say.
    pub(super) owned: Option<&'a Parts>,
}

/// The next state of a member; the same if it can not move. `Err` where it has to begin anew.
pub(super) fn step(member: &Current, around: &Surroundings<'_>) -> Result<Current, Fenced> {
    match member.state {
        MemberState::Stable if member.epoch != around.target_epoch => Ok(advance(member, around)),
        MemberState::Stable if around.changed => Ok(shrink(member, around)),
        MemberState::Stable => Ok(member.clone()),
        MemberState::Unrevoked if !still_has(around.owned, &member.revoking) => Ok(advance(member, around)),
        MemberState::Unrevoked if around.changed => Ok(shrink(member, around)),
        MemberState::Unrevoked => Ok(member.clone()),
        MemberState::Unreleased => Ok(advance(member, around)),
        // A later version's state is not understood: from the beginning, without partitions.
        MemberState::Unknown if around.owned.is_some_and(Parts::is_empty) => Ok(advance(member, around)),
        MemberState::Unknown => Err(Fenced),
    }
}

/// The member has to give up everything and join again.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fenced;

/// Whether the member may still have some of `revoking`. One that does not say what it has may.
fn still_has(owned: Option<&Parts>, revoking: &Owned) -> bool {
    let Some(owned) = owned else { return true };
    owned.iter().any(|(topic, partitions)| {
        revoking
            .get(topic)
            .is_some_and(|gone| partitions.iter().any(|partition| gone.contains_key(partition)))
    })
}

/// Topics that are no longer subscribed to are to be given back, even before there is a new target.
fn shrink(member: &Current, around: &Surroundings<'_>) -> Current {
    let mut next = Current { previous: member.epoch, ..member.clone() };
    next.assigned.retain(|topic, _| around.subscribed.contains(topic));
    if next.assigned.len() == member.assigned.len() {
        return member.clone();
    }
    for (topic, partitions) in &member.assigned {
        if !around.subscribed.contains(topic) {
            next.revoking.entry(*topic).or_default().extend(partitions);
        }
    }
    if still_has(around.owned, &next.revoking) {
        next.state = MemberState::Unrevoked;
    } else {
        next.revoking.clone_from(&member.revoking);
    }
    next
}

fn advance(member: &Current, around: &Surroundings<'_>) -> Current {
    let mut kept = Owned::new();
    let mut revoking = Owned::new();
    for (topic, partitions) in &member.assigned {
        let target = around.target.get(topic).filter(|_| around.subscribed.contains(topic));
        for (partition, epoch) in partitions {
            let stays = target.is_some_and(|target| target.contains(partition));
            let side = if stays { &mut kept } else { &mut revoking };
            side.entry(*topic).or_default().insert(*partition, *epoch);
        }
    }
    if !revoking.is_empty() && still_has(around.owned, &revoking) {
        return Current {
            epoch: member.epoch,
            previous: member.epoch,
            state: MemberState::Unrevoked,
            assigned: kept,
            revoking,
        };
    }
    let mut waits = false;
    for (topic, partitions) in around.target.iter().filter(|(topic, _)| around.subscribed.contains(topic)) {
        for partition in partitions {
            if kept.get(topic).is_some_and(|kept| kept.contains_key(partition)) {
                continue;
            }
            if (around.taken)(*topic, *partition) {
                waits = true;
            } else {
                kept.entry(*topic).or_default().insert(*partition, around.target_epoch);
            }
        }
    }
    Current {
        epoch: around.target_epoch,
        previous: member.epoch,
        state: if waits { MemberState::Unreleased } else { MemberState::Stable },
        assigned: kept,
        revoking: Owned::new(),
    }
}
