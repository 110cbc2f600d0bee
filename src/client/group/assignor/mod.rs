//! Who gets which partition: the assignors of Kafka's consumers as pure functions; never asks anything of a broker.
//!
//! The group's leader runs one of them over everyone's subscription. What Kafka promises of each is in
//! `org.apache.kafka.clients.consumer` (`RangeAssignor`, `RoundRobinAssignor`) and KIP-54 and KIP-429 (sticky).

mod range;
mod round_robin;
mod sticky;

use crate::model::id::TopicPartition;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A member as the leader sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subscriber {
    /// The member's id.
    pub member_id: String,
    /// The static member's name.
    pub instance_id: Option<String>,
    /// Topics it wants.
    pub topics: Vec<Arc<str>>,
    /// Partitions it says it owns.
    pub owned: Vec<TopicPartition>,
    /// The generation in which it got them; -1 when it does not say.
    pub generation: i32,
}

/// The partitions of each member, by member id; every member is there.
pub type Assignment = BTreeMap<String, Vec<TopicPartition>>;

/// An assignment strategy, by the names that go over the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Assignor {
    /// Neighbouring partitions of each topic (`range`).
    Range,
    /// All partitions of all topics in turn (`roundrobin`).
    RoundRobin,
    /// Balanced, and moving as little as possible, in two steps (`cooperative-sticky`).
    CooperativeSticky,
}

impl Assignor {
    /// By its name on the wire.
    pub fn by_name(name: &str) -> Option<Self> {
        [Self::Range, Self::RoundRobin, Self::CooperativeSticky].into_iter().find(|one| one.name() == name)
    }

    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Range => "range",
            Self::RoundRobin => "roundrobin",
            Self::CooperativeSticky => "cooperative-sticky",
        }
    }

    /// Whether members keep what they own while a rebalance goes on.
    pub fn is_cooperative(self) -> bool {
        self == Self::CooperativeSticky
    }

    /// Divides the partitions of `counts` (topic to number of partitions) among `members`.
    pub fn assign(self, members: &[Subscriber], counts: &BTreeMap<Arc<str>, i32>) -> Assignment {
        let mut out: Assignment =
            members.iter().map(|member| (member.member_id.clone(), Vec::new())).collect();
        let given = match self {
            Self::Range => range::assign(members, counts),
            Self::RoundRobin => round_robin::assign(members, counts),
            Self::CooperativeSticky => sticky::withhold(members, sticky::assign(members, counts)),
        };
        for (member, mut partitions) in members.iter().zip(given) {
            partitions.sort();
            out.insert(member.member_id.clone(), partitions);
        }
        out
    }
}

/// Indexes of the members in Kafka's order: static ones first, by their names, then the others by id.
fn in_order(members: &[Subscriber]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..members.len()).collect();
    order.sort_by(|&a, &b| {
        let (a, b) = (&members[a], &members[b]);
        match (&a.instance_id, &b.instance_id) {
            (Some(one), Some(other)) => one.cmp(other),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (None, None) => a.member_id.cmp(&b.member_id),
        }
    });
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: &str, topics: &[&str]) -> Subscriber {
        Subscriber {
            member_id: id.to_owned(),
            topics: topics.iter().map(|&topic| Arc::from(topic)).collect(),
            generation: -1,
            ..Subscriber::default()
        }
    }

    fn counts(of: &[(&str, i32)]) -> BTreeMap<Arc<str>, i32> {
        of.iter().map(|&(topic, count)| (Arc::from(topic), count)).collect()
    }

    fn text(assignment: &Assignment) -> String {
        let one = |(id, partitions): (&String, &Vec<TopicPartition>)| {
            let list: Vec<String> = partitions.iter().map(ToString::to_string).collect();
            format!("{id}: {}", list.join(" "))
        };
        assignment.iter().map(one).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn range_gives_neighbours_of_each_topic() {
        let members = [member("b", &["t", "u"]), member("a", &["t", "u"])];
        let got = Assignor::Range.assign(&members, &counts(&[("t", 3), ("u", 3)]));
        assert_eq!(text(&got), "a: t-0 t-1 u-0 u-1; b: t-2 u-2");
    }

    #[test]
    fn range_puts_static_members_first_by_their_names() {
        let mut members = [member("a", &["t"]), member("z", &["t"]), member("y", &["t"])];
        members[1].instance_id = Some("i1".to_owned());
        members[2].instance_id = Some("i2".to_owned());
        let got = Assignor::Range.assign(&members, &counts(&[("t", 4)]));
        assert_eq!(text(&got), "a: t-3; y: t-2; z: t-0 t-1");
    }

    #[test]
    fn round_robin_goes_around_and_skips_who_does_not_want_the_topic() {
        let members = [member("a", &["t"]), member("b", &["t", "u"]), member("c", &["t", "u"])];
        let got = Assignor::RoundRobin.assign(&members, &counts(&[("t", 3), ("u", 3)]));
        assert_eq!(text(&got), "a: t-0; b: t-1 u-0 u-2; c: t-2 u-1");
    }

    #[test]
    fn unknown_topics_and_members_without_any_are_no_trouble() {
        for assignor in [Assignor::Range, Assignor::RoundRobin, Assignor::CooperativeSticky] {
            let members = [member("a", &["gone"]), member("b", &[])];
            assert_eq!(text(&assignor.assign(&members, &counts(&[("t", 2)]))), "a: ; b: ", "{assignor:?}");
            assert_eq!(assignor.assign(&[], &counts(&[("t", 2)])), Assignment::new());
            assert_eq!(Assignor::by_name(assignor.name()), Some(assignor));
        }
    }
}
