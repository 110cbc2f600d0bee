//! Joining, rebalancing, leaving and time-outs of dynamic members.

use super::*;

#[test]
fn a_first_member_is_given_an_id_joins_and_leads() {
    let mut world = World::new();
    let ticket = world.join(&who("c"), "");
    let refused = world.joined(ticket).unwrap_err();
    assert_eq!(refused, JoinRefused { error: GroupError::MemberIdRequired, member_id: "c-1".into() });
    let ticket = world.join(&who("c"), "c-1");
    let joined = world.joined(ticket).unwrap();
    assert_eq!((joined.generation, joined.leader.as_str(), joined.member_id.as_str()), (1, "c-1", "c-1"));
    assert_eq!(joined.protocol.as_deref(), Some("range"));
    assert_eq!(joined.members.len(), 1);
    assert_eq!(world.state(), "CompletingRebalance");
    let ticket = world.sync(&joined, &[("c-1", "all")]);
    assert_eq!(world.synced(ticket).unwrap().assignment, "all");
    assert_eq!(world.state(), "Stable");
    assert_eq!(world.heartbeat(1, "c-1"), Ok(()));
    assert_eq!(world.heartbeat(0, "c-1"), Err(GroupError::IllegalGeneration));
    assert_eq!(world.heartbeat(1, "x"), Err(GroupError::UnknownMember));
}

#[test]
fn before_version_4_a_member_joins_at_once() {
    let mut world = World::new();
    let ticket = world.join(&Who { version: 3, ..who("c") }, "");
    assert_eq!(world.joined(ticket).unwrap().member_id, "c-1");
}

#[test]
fn a_second_member_makes_the_first_join_again_and_follows() {
    let mut world = World::new();
    let first = world.stable(&[who("a")]).remove(0);
    let id = world.member_id(&who("b"));
    let second = world.join(&who("b"), &id);
    assert!(world.waits(second));
    assert_eq!(world.state(), "PreparingRebalance");
    assert_eq!(world.heartbeat(1, &first.member_id), Err(GroupError::RebalanceInProgress));
    let again = world.join(&who("a"), &first.member_id);
    let (one, two) = (world.joined(again).unwrap(), world.joined(second).unwrap());
    assert_eq!((one.generation, two.generation), (2, 2));
    assert_eq!(one.leader, first.member_id);
    assert_eq!((one.members.len(), two.members.len()), (2, 0));
    let follower = world.sync(&two, &[]);
    assert!(world.waits(follower), "the leader has not spoken");
    let leader = world.sync(&one, &[(&one.member_id, "x"), (&two.member_id, "y")]);
    assert_eq!(world.synced(leader).unwrap().assignment, "x");
    assert_eq!(world.synced(follower).unwrap().assignment, "y");
}

#[test]
fn a_member_that_does_not_come_back_is_out_after_the_rebalance_time() {
    let mut world = World::new();
    let first = world.stable(&[Who { rebalance_ms: 20_000, ..who("a") }]).remove(0);
    let id = world.member_id(&who("b"));
    let second = world.join(&Who { rebalance_ms: 15_000, ..who("b") }, &id);
    for _ in 0..3 {
        world.pass(5_000);
        let _ = world.heartbeat(1, &first.member_id);
        assert!(world.waits(second));
    }
    world.pass(4_999);
    assert!(world.waits(second), "the longest rebalance time-out of the members counts");
    world.pass(1);
    let joined = world.joined(second).unwrap();
    assert_eq!((joined.generation, joined.members.len()), (2, 1));
    assert_eq!(joined.leader, joined.member_id, "the leadership went over");
    assert_eq!(world.heartbeat(2, &first.member_id), Err(GroupError::UnknownMember));
}

#[test]
fn a_silent_member_is_out_after_its_session_and_the_others_rebalance() {
    let mut world = World::new();
    let joined = world.stable(&[who("a"), who("b")]);
    world.pass(9_000);
    assert_eq!(world.heartbeat(2, &joined[0].member_id), Ok(()));
    world.pass(999);
    assert_eq!(world.state(), "Stable");
    world.pass(1);
    assert_eq!(world.state(), "PreparingRebalance");
    assert_eq!(world.heartbeat(2, &joined[1].member_id), Err(GroupError::UnknownMember));
    let again = world.join(&who("a"), &joined[0].member_id);
    assert_eq!(world.joined(again).unwrap().generation, 3);
}

#[test]
fn a_commit_keeps_a_session_alive() {
    let mut world = World::new();
    let one = world.stable(&[who("a")]).remove(0);
    for offset in 0..4 {
        world.pass(6_000);
        world.commit(1, &one.member_id, "t", offset).unwrap();
    }
    assert_eq!(world.state(), "Stable");
    world.pass(10_000);
    assert_eq!(world.state(), "Empty");
}

#[test]
fn a_parked_member_is_alive_while_it_waits() {
    let mut world = World::new();
    let first = world.stable(&[who("a")]).remove(0);
    let id = world.member_id(&who("b"));
    let second = world.join(&who("b"), &id);
    for _ in 0..8 {
        world.pass(7_000);
        let _ = world.heartbeat(1, &first.member_id);
    }
    assert!(world.waits(second), "56 s with a session of 10 s");
    world.pass(4_000);
    assert_eq!(world.joined(second).unwrap().generation, 2);
}

#[test]
fn a_new_member_is_given_up_after_five_minutes() {
    let mut world = World::new();
    let first = world.stable(&[Who { rebalance_ms: 1_000_000, ..who("a") }]).remove(0);
    let id = world.member_id(&who("b"));
    let second = world.join(&who("b"), &id);
    for _ in 0..60 {
        world.pass(5_000);
        let _ = world.heartbeat(1, &first.member_id);
    }
    assert_eq!(world.joined(second).unwrap_err().error, GroupError::UnknownMember);
}

#[test]
fn an_id_handed_out_and_not_used_is_forgotten() {
    let mut world = World::new();
    let id = world.member_id(&who("a"));
    world.pass(10_000);
    assert_eq!(world.state(), "Dead", "nothing is left of the group");
    let ticket = world.join(&who("a"), &id);
    assert_eq!(world.joined(ticket).unwrap_err().error, GroupError::UnknownMember);
    assert!(world.log.is_empty());
}

#[test]
fn a_rebalance_waits_for_ids_handed_out_until_they_expire() {
    let mut world = World::new();
    let first = world.stable(&[who("a")]).remove(0);
    let _never_used = world.member_id(&who("b"));
    let again = world.join(&who("a"), &first.member_id);
    assert!(world.waits(again));
    world.pass(10_000);
    assert_eq!(world.joined(again).unwrap().generation, 2);
}

#[test]
fn members_that_never_sync_are_out_after_the_rebalance_time() {
    let mut world = World::new();
    let first = world.stable(&[who("a")]).remove(0);
    let id = world.member_id(&who("b"));
    let second = world.join(&who("b"), &id);
    let again = world.join(&who("a"), &first.member_id);
    let (one, two) = (world.joined(again).unwrap(), world.joined(second).unwrap());
    let led = world.sync(&one, &[(&one.member_id, "x")]);
    assert_eq!(world.synced(led).unwrap().assignment, "x");
    for _ in 0..12 {
        world.pass(5_000);
        let _ = world.heartbeat(2, &one.member_id);
        let _ = world.heartbeat(2, &two.member_id);
    }
    assert_eq!(world.state(), "PreparingRebalance");
    assert_eq!(world.heartbeat(2, &two.member_id), Err(GroupError::UnknownMember));
    assert_eq!(world.heartbeat(2, &one.member_id), Err(GroupError::RebalanceInProgress));
}

#[test]
fn a_rebalance_during_the_assignment_sends_those_that_wait_away() {
    let mut world = World::new();
    let first = world.stable(&[who("a")]).remove(0);
    let id = world.member_id(&who("b"));
    let second = world.join(&who("b"), &id);
    let again = world.join(&who("a"), &first.member_id);
    let (one, two) = (world.joined(again).unwrap(), world.joined(second).unwrap());
    let follower = world.sync(&two, &[]);
    let third = world.member_id(&who("c"));
    let third = world.join(&who("c"), &third);
    assert_eq!(world.synced(follower), Err(GroupError::RebalanceInProgress));
    let late = world.sync(&one, &[(&one.member_id, "x")]);
    assert_eq!(world.synced(late), Err(GroupError::RebalanceInProgress));
    let again = world.join(&who("a"), &one.member_id);
    assert!(world.waits(third));
    let other = world.join(&who("b"), &two.member_id);
    assert_eq!(world.joined(again).unwrap().members.len(), 3);
    assert_eq!(world.joined(other).unwrap().generation, 3);
    assert_eq!(world.joined(third).unwrap().generation, 3);
}

#[test]
fn lost_answers_are_told_again_without_a_rebalance() {
    let mut world = World::new();
    let id = world.member_id(&who("a"));
    let ticket = world.join(&who("a"), &id);
    let joined = world.joined(ticket).unwrap();
    let again = world.join(&who("a"), &id);
    assert_eq!(world.joined(again).unwrap(), joined, "while completing");
    let led = world.sync(&joined, &[(&id, "x")]);
    world.synced(led).unwrap();
    let other = world.stable_follower();
    let again = world.join(&who("b"), &other.member_id);
    assert_eq!(world.joined(again).unwrap(), other, "a follower that changes nothing");
    let changed = Who { protocols: vec![("range", "new")], ..who("b") };
    let again = world.join(&changed, &other.member_id);
    assert!(world.waits(again), "a follower that changes something");
    assert_eq!(world.state(), "PreparingRebalance");
}

impl World {
    /// Adds a follower `b` to a stable group of one `a`.
    fn stable_follower(&mut self) -> Joined {
        let id = self.member_id(&who("b"));
        let second = self.join(&who("b"), &id);
        let leader = self.core.describe("g").unwrap().members.into_iter().find(|one| one.client_id == "a");
        let again = self.join(&who("a"), &leader.unwrap().member_id);
        let (one, two) = (self.joined(again).unwrap(), self.joined(second).unwrap());
        let led = self.sync(&one, &[(&one.member_id, "x"), (&two.member_id, "y")]);
        self.synced(led).unwrap();
        let follower = self.sync(&two, &[]);
        self.synced(follower).unwrap();
        two
    }
}

#[test]
fn the_leader_that_joins_again_forces_a_rebalance() {
    let mut world = World::new();
    let one = world.stable(&[who("a")]).remove(0);
    let again = world.join(&who("a"), &one.member_id);
    assert_eq!(world.joined(again).unwrap().generation, 2);
}

#[test]
fn a_join_sent_twice_answers_both() {
    let mut world = World::new();
    let joined = world.stable(&[who("a"), who("b")]);
    let older = world.join(&who("b"), &joined[1].member_id);
    if !world.waits(older) {
        // `b` follows and changed nothing: let the leader begin.
        world.joined(older).unwrap();
    }
    let leader = joined.iter().position(|one| one.leader == one.member_id).unwrap();
    let name = ["a", "b"][leader];
    let older = world.join(&who(name), &joined[leader].member_id);
    let newer = world.join(&who(name), &joined[leader].member_id);
    assert_eq!(world.joined(older).unwrap_err().error, GroupError::RebalanceInProgress);
    assert!(world.waits(newer));
}

#[test]
fn protocols_are_chosen_by_vote_and_strangers_are_refused() {
    let mut world = World::new();
    let a = Who { protocols: vec![("x", ""), ("y", ""), ("z", "")], ..who("a") };
    let b = Who { protocols: vec![("z", ""), ("y", "")], ..who("b") };
    let c = Who { protocols: vec![("z", ""), ("y", ""), ("x", "")], ..who("c") };
    let first = world.stable(std::slice::from_ref(&a)).remove(0);
    let (b_id, c_id) = (world.member_id(&b), world.member_id(&c));
    let (second, third) = (world.join(&b, &b_id), world.join(&c, &c_id));
    let again = world.join(&a, &first.member_id);
    assert_eq!(
        world.joined(again).unwrap().protocol.as_deref(),
        Some("z"),
        "x is not known to all; z has 2 of 3"
    );
    assert_eq!(world.joined(second).unwrap().generation, 2);
    assert_eq!(world.joined(third).unwrap().generation, 2);
    let stranger = world.join(&Who { protocols: vec![("x", "")], ..who("d") }, "");
    assert_eq!(world.joined(stranger).unwrap_err().error, GroupError::InconsistentProtocol);
    let empty = world.join(&Who { protocols: vec![], group: "other", ..who("d") }, "");
    assert_eq!(world.joined(empty).unwrap_err().error, GroupError::InconsistentProtocol);
}

#[test]
fn limits_hold() {
    let mut world = World::with(Rules { max_size: 2, ..Rules::default() });
    for session_ms in [5_999, 1_800_001] {
        let ticket = world.join(&Who { session_ms, ..who("a") }, "");
        assert_eq!(world.joined(ticket).unwrap_err().error, GroupError::InvalidSessionTimeout);
    }
    let ticket = world.join(&Who { group: "", ..who("a") }, "");
    assert_eq!(world.joined(ticket).unwrap_err().error, GroupError::InvalidGroup);
    world.stable(&[who("a"), who("b")]);
    let full = world.join(&who("c"), "");
    assert_eq!(
        world.joined(full).unwrap_err(),
        JoinRefused { error: GroupError::GroupFull, member_id: String::new() }
    );
}

#[test]
fn a_first_rebalance_waits_for_more_members_if_told_to() {
    let rules = Rules { initial_rebalance_delay_ms: 3_000, ..Rules::default() };
    let mut world = World::with(rules);
    let a = world.member_id(&who("a"));
    let first = world.join(&who("a"), &a);
    world.pass(2_000);
    let b = world.member_id(&who("b"));
    let second = world.join(&who("b"), &b);
    world.pass(1_000);
    assert!(world.waits(first), "a member came, so it waits once more");
    world.pass(2_999);
    assert!(world.waits(first));
    world.pass(1);
    assert_eq!(world.joined(first).unwrap().generation, 1);
    assert_eq!(world.joined(second).unwrap().generation, 1);
}

#[test]
fn the_wait_for_more_members_ends_with_the_rebalance_time() {
    let rules = Rules { initial_rebalance_delay_ms: 3_000, ..Rules::default() };
    let mut world = World::with(rules);
    let hasty = |client| Who { rebalance_ms: 7_000, ..who(client) };
    let mut tickets = Vec::new();
    for client in ["a", "b", "c", "d", "e"] {
        let id = world.member_id(&hasty(client));
        tickets.push(world.join(&hasty(client), &id));
        world.pass(1_399);
    }
    assert!(world.waits(tickets[0]));
    world.pass(10);
    for ticket in tickets {
        assert_eq!(world.joined(ticket).unwrap().generation, 1, "3 + 3 + 1 seconds");
    }
}

#[test]
fn leaving_hands_over_and_the_last_one_leaves_an_empty_group() {
    let mut world = World::new();
    let joined = world.stable(&[who("a"), who("b")]);
    assert_eq!(world.leave("nobody", None), Err(GroupError::UnknownMember));
    assert_eq!(world.leave(&joined[0].member_id, None), Ok(()));
    assert_eq!(world.state(), "PreparingRebalance");
    let again = world.join(&who("b"), &joined[1].member_id);
    let now = world.joined(again).unwrap();
    assert_eq!((now.generation, now.leader.as_str()), (3, joined[1].member_id.as_str()));
    assert_eq!(world.leave(&joined[1].member_id, None), Ok(()));
    assert_eq!(world.state(), "Empty");
    assert_eq!(world.core.durable().groups["g"].generation, 4);
    let pending = world.member_id(&who("c"));
    assert_eq!(world.leave(&pending, None), Ok(()), "an id that was handed out");
    assert_eq!(world.core.leave("none", &[], world.now).0, Err(GroupError::UnknownMember));
}

#[test]
fn sync_is_held_against_generation_and_protocol() {
    let mut world = World::new();
    let id = world.member_id(&who("a"));
    let ticket = world.join(&who("a"), &id);
    let joined = world.joined(ticket).unwrap();
    let wrong = |change: &dyn Fn(&mut Joined)| {
        let mut told = joined.clone();
        change(&mut told);
        told
    };
    for (told, error) in [
        (wrong(&|told| told.generation = 7), GroupError::IllegalGeneration),
        (wrong(&|told| told.member_id = "x".into()), GroupError::UnknownMember),
        (wrong(&|told| told.protocol = Some("x".into())), GroupError::InconsistentProtocol),
        (wrong(&|told| told.protocol_type = Some("connect".into())), GroupError::InconsistentProtocol),
    ] {
        let ticket = world.sync(&told, &[]);
        assert_eq!(world.synced(ticket), Err(error));
    }
    let unnamed = wrong(&|told| (told.protocol, told.protocol_type) = (None, None));
    let ticket = world.sync(&unnamed, &[]);
    assert_eq!(world.synced(ticket).unwrap().assignment, "", "whom the leader does not name gets nothing");
}

#[test]
fn a_restart_keeps_a_stable_group_and_grants_each_member_a_session() {
    let mut world = World::new();
    let joined = world.stable(&[who("a"), who("b")]);
    let before = world.core.describe("g");
    world.pass(9_000);
    world.reopen();
    assert_eq!(world.core.describe("g"), before);
    world.pass(9_000);
    assert_eq!(world.heartbeat(2, &joined[0].member_id), Ok(()));
    let ticket = world.sync(&joined[1], &[]);
    assert_eq!(world.synced(ticket).unwrap().assignment, "b");
    world.pass(1_000);
    assert_eq!(world.state(), "PreparingRebalance", "b gave no sign of life");
}

#[test]
fn a_restart_amid_a_rebalance_goes_back_to_the_last_stored_generation() {
    let mut world = World::new();
    let first = world.stable(&[who("a")]).remove(0);
    let id = world.member_id(&who("b"));
    let _parked = world.join(&who("b"), &id);
    world.reopen();
    assert_eq!(world.state(), "Stable");
    assert_eq!(world.heartbeat(1, &first.member_id), Ok(()));
    let ticket = world.join(&who("b"), &id);
    assert_eq!(world.joined(ticket).unwrap_err().error, GroupError::UnknownMember);
}
