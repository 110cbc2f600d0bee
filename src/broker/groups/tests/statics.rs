//! Static members: back without a rebalance, fenced, and out by name (KIP-345, KIP-814).

use super::*;

#[test]
fn a_static_member_comes_back_without_a_rebalance() {
    let mut world = World::new();
    let joined = world.stable(&[static_who("a", "one"), static_who("b", "two")]);
    let follower = joined.iter().position(|one| one.leader != one.member_id).unwrap();
    let (client, instance) = [("a", "one"), ("b", "two")][follower];
    let back = world.join(&static_who(client, instance), "");
    let told = world.joined(back).unwrap();
    assert_eq!(told.generation, joined[follower].generation);
    assert_ne!(told.member_id, joined[follower].member_id);
    assert!(!told.skip_assignment);
    assert_eq!(world.state(), "Stable");
    let ticket = world.sync(&told, &[]);
    assert_eq!(world.synced(ticket).unwrap().assignment, client, "the assignment stayed");
    world.reopen();
    assert_eq!(world.heartbeat(told.generation, &told.member_id), Ok(()), "the new id was stored");
}

#[test]
fn a_static_leader_that_comes_back_keeps_the_assignment() {
    let mut world = World::new();
    let joined = world.stable(&[static_who("a", "one"), static_who("b", "two")]);
    let leader = joined.iter().position(|one| one.leader == one.member_id).unwrap();
    let (client, instance) = [("a", "one"), ("b", "two")][leader];
    let back = world.join(&static_who(client, instance), "");
    let told = world.joined(back).unwrap();
    assert!(told.skip_assignment);
    assert_eq!((told.leader.as_str(), told.members.len()), (told.member_id.as_str(), 2));

    let old = Who { version: 8, ..static_who(client, instance) };
    let back = world.join(&old, "");
    let before = told.member_id.clone();
    let told = world.joined(back).unwrap();
    assert_eq!((told.skip_assignment, told.members.len()), (false, 0));
    assert_eq!(told.leader, before, "old clients must not take themselves for the leader");
    assert_eq!(world.state(), "Stable");
}

#[test]
fn the_older_of_two_with_one_name_is_fenced() {
    let mut world = World::new();
    let old = world.stable(&[static_who("a", "one")]).remove(0);
    let back = world.join(&static_who("a", "one"), "");
    let new = world.joined(back).unwrap();
    let from =
        Sender { generation: 1, member_id: &old.member_id, instance_id: Some("one"), knows_epochs: true };
    assert_eq!(world.core.heartbeat("g", from, world.now), Err(GroupError::FencedInstance));
    let from =
        Sender { generation: 1, member_id: &new.member_id, instance_id: Some("one"), knows_epochs: true };
    assert_eq!(world.core.heartbeat("g", from, world.now), Ok(()));
    let ticket = world.join(&static_who("a", "one"), &old.member_id);
    assert_eq!(world.joined(ticket).unwrap_err().error, GroupError::FencedInstance);
    let ticket = world.join(&static_who("a", "unheard"), &new.member_id);
    assert_eq!(world.joined(ticket).unwrap_err().error, GroupError::UnknownMember);
}

#[test]
fn a_parked_join_of_the_older_one_is_fenced() {
    let mut world = World::new();
    let joined = world.stable(&[static_who("a", "one"), static_who("b", "two")]);
    let leader = joined.iter().position(|one| one.leader == one.member_id).unwrap();
    let (client, instance) = [("a", "one"), ("b", "two")][leader];
    let parked = world.join(&static_who(client, instance), &joined[leader].member_id);
    assert!(world.waits(parked));
    let back = world.join(&static_who(client, instance), "");
    assert_eq!(world.joined(parked).unwrap_err().error, GroupError::FencedInstance);
    assert!(world.waits(back));
    let other = 1 - leader;
    let (client, instance) = [("a", "one"), ("b", "two")][other];
    let ticket = world.join(&static_who(client, instance), &joined[other].member_id);
    assert_eq!(world.joined(ticket).unwrap().generation, joined[0].generation + 1);
    assert_eq!(world.joined(back).unwrap().generation, joined[0].generation + 1);
}

#[test]
fn a_static_member_that_changes_the_vote_rebalances() {
    let mut world = World::new();
    world.stable(&[static_who("a", "one")]);
    let changed = Who { protocols: vec![("sticky", "s")], ..static_who("a", "one") };
    // `sticky` is unknown to the group, which is its one member: refused as Kafka does, until it leaves.
    let ticket = world.join(&changed, "");
    assert_eq!(world.joined(ticket).unwrap_err().error, GroupError::InconsistentProtocol);
    let turned = Who { protocols: vec![("roundrobin", "rr"), ("range", "r")], ..static_who("a", "one") };
    let ticket = world.join(&turned, "");
    let told = world.joined(ticket).unwrap();
    assert_eq!((told.generation, told.protocol.as_deref()), (2, Some("roundrobin")));
}

#[test]
fn a_static_member_that_does_not_rejoin_stays_until_its_session_ends() {
    let mut world = World::new();
    let (a, b) = (static_who("a", "one"), Who { rebalance_ms: 6_000, ..static_who("b", "two") });
    let a = Who { rebalance_ms: 6_000, session_ms: 30_000, ..a };
    let b = Who { session_ms: 30_000, ..b };
    let joined = world.stable(&[a.clone(), b.clone()]);
    let leader = joined.iter().position(|one| one.leader == one.member_id).unwrap();
    let who = [a, b][leader].clone();
    let again = world.join(&who, &joined[leader].member_id);
    world.pass(6_000);
    let told = world.joined(again).unwrap();
    assert_eq!(told.members.len(), 2, "the silent one is still a member");
    let led = world.sync(&told, &[(&told.member_id, "x")]);
    world.synced(led).unwrap();
    world.pass(5_999);
    assert_eq!(world.state(), "Stable");
    world.pass(1);
    assert_eq!(world.state(), "PreparingRebalance", "it never asked for its assignment");
}

#[test]
fn an_admin_takes_a_static_member_out_by_name() {
    let mut world = World::new();
    world.stable(&[static_who("a", "one")]);
    assert_eq!(world.leave("", Some("unheard")), Err(GroupError::UnknownMember));
    assert_eq!(world.leave("wrong-id", Some("one")), Err(GroupError::FencedInstance));
    assert_eq!(world.leave("", Some("one")), Ok(()));
    assert_eq!(world.state(), "Empty");
}
