//! What admins do by hand: `topic alter`, `trim` and `offsets`, `group reset`, `delete` and `members`, `user`, `acl`,
//! `cluster`; and members of the newer group protocol.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::{World, until};

fn json(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A name that no other case uses: groups outlive topics on a shared broker.
fn unique(name: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("{name}-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

#[test]
fn settings_change_and_go_back() {
    let world = World::new();
    world.klog(&["topic", "create", "t", "-c", "retention.ms=5000"]).ok();
    let setting = |name: &str| -> Value {
        let all = json(&world.klog(&["topic", "describe", "t", "-o", "jsonl"]).ok());
        let settings = all[0]["settings"].as_array().unwrap().clone();
        settings.into_iter().find(|one| one["name"] == name).unwrap()
    };
    assert_eq!(setting("retention.ms")["value"], "5000");
    assert_eq!(setting("retention.ms")["source"], "topic");
    world.klog(&["topic", "alter", "t", "-c", "retention.ms=7000", "-c", "segment.bytes=2000000"]).ok();
    assert_eq!(setting("retention.ms")["value"], "7000");
    assert_eq!(setting("segment.bytes")["value"], "2000000");
    world.klog(&["topic", "alter", "t", "--delete-config", "retention.ms"]).ok();
    assert_eq!(setting("retention.ms")["source"], "default");
    assert_eq!(setting("segment.bytes")["value"], "2000000");

    let wrong = world.klog(&["topic", "alter", "t", "-c", "retention.msec=1"]).done();
    assert_eq!(wrong.status, 1);
    assert!(wrong.stderr_text().contains("retention.msec"), "{}", wrong.stderr_text());
    let wrong = world.klog(&["topic", "alter", "t", "--delete-config", "retention.mss"]).done();
    assert_eq!(wrong.status, 1);
    assert!(wrong.stderr_text().contains("did you mean retention.ms?"), "{}", wrong.stderr_text());
    let half = world.klog(&["topic", "alter", "t", "-c", "retention.ms=-2", "--partitions", "5"]).done();
    assert_eq!(half.status, 1);
    assert_eq!(
        world.klog(&["topic", "offsets", "t", "-o", "jsonl"]).ok().lines().count(),
        1,
        "no partitions"
    );
    assert_eq!(world.klog(&["topic", "alter", "t"]).done().status, 2);
    assert_eq!(world.klog(&["topic", "alter", "t", "-c", "x"]).done().status, 2);
    let missing = world.klog(&["topic", "alter", "tt", "-c", "retention.ms=1"]).done();
    assert_eq!(missing.status, 3);
    assert!(missing.stderr_text().contains("did you mean t?"), "{}", missing.stderr_text());
}

#[test]
fn partitions_only_come() {
    let world = World::new();
    world.klog(&["topic", "create", "t", "-p", "2"]).ok();
    world.klog(&["topic", "alter", "t", "--partitions", "4"]).ok();
    world.klog(&["topic", "alter", "t", "--partitions", "4"]).ok();
    assert_eq!(world.klog(&["topic", "offsets", "t", "-o", "jsonl"]).ok().lines().count(), 4);
    world.sh("seq 8 | klog produce t --partitioner round-robin").ok();
    assert_eq!(world.sh("klog consume t -e | sort -n | tr '\\n' ' '").ok(), "1 2 3 4 5 6 7 8 ");
    let fewer = world.klog(&["topic", "alter", "t", "--partitions", "3"]).done();
    assert_eq!(fewer.status, 1);
    assert!(fewer.stderr_text().contains("has 4 partitions"), "{}", fewer.stderr_text());
}

#[test]
fn offsets_of_topics() {
    let world = World::new();
    world.klog(&["topic", "create", "t", "-p", "2"]).ok();
    world.sh("for i in 1 2 3; do echo $i | klog produce t -p 1 --timestamp ${i}000; done").ok();
    let rows = json(&world.klog(&["topic", "offsets", "t", "-o", "jsonl"]).ok());
    assert_eq!(
        (&rows[0]["start"], &rows[0]["end"], &rows[0]["last_time"]),
        (&0.into(), &0.into(), &Value::Null)
    );
    assert_eq!(rows[1]["end"], 3);
    assert_eq!(rows[1]["stable"], 3);
    assert_eq!(rows[1]["records"], 3);
    assert_eq!(rows[1]["last_timestamp"], 3000);
    assert_eq!(rows[1]["last_time"], "1970-01-01T00:00:03.000Z");
    let at = |time: &str| json(&world.klog(&["topic", "offsets", "t:1", "--at", time, "-o", "jsonl"]).ok());
    assert_eq!((&at("1500")[0]["at"], &at("1500")[0]["at_timestamp"]), (&1.into(), &2000.into()));
    assert_eq!(at("3001")[0]["at"], Value::Null);
    assert_eq!(world.klog(&["topic", "offsets", "t:2"]).done().status, 3);
    assert_eq!(world.klog(&["topic", "offsets", "none"]).done().status, 3);
    assert_eq!(world.klog(&["topic", "offsets", "t", "--at", "soon"]).done().status, 2);
}

#[test]
fn records_are_trimmed_after_saying_how_many() {
    let world = World::new();
    world.klog(&["topic", "create", "t", "-p", "2"]).ok();
    world.sh("for i in 1 2 3 4; do echo $i | klog produce t -p 0 --timestamp ${i}000; done").ok();
    world.sh("seq 9 | klog produce t -p 1").ok();
    let done = world.klog(&["topic", "trim", "t:0", "--before", "1", "-o", "jsonl"]).done();
    assert!(
        done.stderr_text().contains("t-0: 1 records to delete (0 to 0), 3 stay"),
        "{}",
        done.stderr_text()
    );
    assert_eq!(json(&done.stdout_text())[0]["removed"], 1);
    // By time: what is at or after it stays.
    world.klog(&["topic", "trim", "t:0", "--before", "@2500"]).ok();
    assert_eq!(world.klog(&["consume", "t", "-p", "0", "-e"]).ok(), "3\n4\n");
    let beyond = world.klog(&["topic", "trim", "t", "--before", "5"]).done();
    assert_eq!(beyond.status, 1);
    assert!(
        beyond.stderr_text().contains("beyond its end, 4; nothing was deleted"),
        "{}",
        beyond.stderr_text()
    );
    world.klog(&["topic", "trim", "t", "--before", "end", "-y"]).ok();
    assert_eq!(world.klog(&["consume", "t", "-e"]).ok(), "");
    let rows = json(&world.klog(&["topic", "offsets", "t", "-o", "jsonl"]).ok());
    assert_eq!((&rows[0]["start"], &rows[1]["start"]), (&4.into(), &9.into()));
    assert_eq!(world.klog(&["topic", "trim", "t:7", "--before", "0"]).done().status, 3);
    assert_eq!(world.klog(&["topic", "trim", "t", "--before", "soon"]).done().status, 2);
}

#[test]
fn a_group_is_moved_after_a_look() {
    let world = World::new();
    let (group, other) = (unique("moved"), unique("other"));
    world.sh("klog topic create t -p 2; seq 20 | klog produce t --partitioner round-robin").ok();
    let consume = || world.sh(&format!("klog consume t -g {group} -e | wc -l")).ok().trim().to_owned();
    assert_eq!(consume(), "20");
    let reset = |to: &str, more: &[&str]| {
        let arguments = ["group", "reset", &group, "-t", "t", "--to", to, "-o", "jsonl"];
        let done = world.klog(&[&arguments[..], more].concat()).done();
        assert_eq!(done.status, 0, "{}", done.stderr_text());
        (json(&done.stdout_text()), done.stderr_text())
    };
    let (rows, said) = reset("start", &[]);
    assert_eq!((&rows[0]["committed"], &rows[0]["to"]), (&10.into(), &0.into()));
    assert!(said.contains("nothing was changed"), "{said}");
    assert_eq!(consume(), "0");
    reset("start", &["-y"]);
    assert_eq!(consume(), "20");
    reset("-3", &["-y"]);
    assert_eq!(consume(), "6");
    reset("+9", &["-y"]);
    assert_eq!(consume(), "2");
    let (rows, said) = reset("500", &["-y"]);
    assert_eq!((&rows[0]["asked"], &rows[0]["to"]), (&500.into(), &10.into()));
    assert!(said.contains("offset 500 is outside the log"), "{said}");
    // Where another group stands, of one partition.
    let copy = ["group", "reset", &other, "-t", "t:1", "--to", &format!("group:{group}"), "-y"];
    world.klog(&copy).ok();
    assert_eq!(world.sh(&format!("klog consume t -g {other} -e | wc -l")).ok(), "10\n");
    let none = ["group", "reset", &other, "-t", "t", "--to", "group:nobody", "-y"];
    assert_eq!(world.klog(&none).done().status, 3);
    assert_eq!(world.klog(&["group", "reset", &other, "-t", "t", "--to", "soon"]).done().status, 2);
    assert_eq!(world.klog(&["group", "reset", &other, "-t", "none", "--to", "end"]).done().status, 3);
}

/// Either protocol's members, while they are there.
fn members_hold_their_group(protocol: &str) {
    let world = World::new();
    let group = unique(protocol);
    world.sh("klog topic create t -p 2; seq 4 | klog produce t --partitioner round-robin").ok();
    let follow = ["consume", "t", "-g", &group, "--group-protocol", protocol, "--instance-id", "me"];
    let member = world.klog(&[&follow[..], &["-X", "client.id=watched"]].concat()).spawn();
    let members = || json(&world.klog(&["group", "members", &group, "-o", "jsonl"]).done().stdout_text());
    until("it has both partitions", || members().first().is_some_and(|one| one["partitions"] == 2));
    let found = &members()[0];
    assert_eq!((&found["type"], &found["protocol_type"]), (&protocol.into(), &"consumer".into()));
    assert_eq!((&found["instance"], &found["client"]), (&"me".into(), &"watched".into()));
    assert_eq!(
        found["assigned"],
        serde_json::json!([{"topic": "t", "partition": 0}, {"topic": "t", "partition": 1}])
    );
    let listed = json(&world.klog(&["group", "list", &group, "-o", "jsonl"]).ok());
    assert_eq!((&listed[0]["type"], &listed[0]["state"]), (&protocol.into(), &"Stable".into()));
    let described = json(&world.klog(&["group", "describe", &group, "-o", "jsonl"]).ok());
    assert_eq!(described[0]["type"], protocol);

    let refused = world.klog(&["group", "reset", &group, "-t", "t", "--to", "start", "-y"]).done();
    assert_eq!(refused.status, 1);
    assert!(refused.stderr_text().contains("has 1 member"), "{}", refused.stderr_text());
    let refused = world.klog(&["group", "delete", &group, "-y"]).done();
    assert_eq!(refused.status, 1);
    assert!(refused.stderr_text().contains("while members are in it"), "{}", refused.stderr_text());
    member.signal(Signal::SIGTERM);
    assert_eq!(member.done().status, 143);
}

#[test]
fn members_of_a_classic_group() {
    members_hold_their_group("classic");
}

#[test]
fn members_of_a_consumer_group() {
    members_hold_their_group("consumer");
}

#[test]
fn groups_go_with_their_offsets() {
    let world = World::new();
    let group = unique("gone");
    world.sh(&format!("seq 3 | klog produce t; klog consume t -g {group} -e")).ok();
    world.klog(&["group", "delete", &group, "-y"]).ok();
    assert_eq!(world.klog(&["group", "describe", &group]).done().status, 3);
    let gone = world.klog(&["group", "delete", &group, "-y"]).done();
    assert_eq!(gone.status, 3);
    assert!(gone.stderr_text().contains("there is no group"), "{}", gone.stderr_text());
    world.klog(&["group", "delete", &group, "-y", "--if-exists"]).ok();
    assert_eq!(world.klog(&["group", "members", &group]).done().status, 3);
}

/// Two members of a consumer group share the work; what one leaves the other takes; nothing comes twice.
#[test]
fn a_consumer_group_shares_and_hands_over() {
    let world = World::new();
    let group = unique("shared");
    world.klog(&["topic", "create", "t", "-p", "4"]).ok();
    let member = |out: &str| {
        world.sh(&format!("exec klog consume t -g {group} --group-protocol consumer > {out}")).spawn()
    };
    let shares = || -> Vec<u64> {
        let text = world.klog(&["group", "members", &group, "-o", "jsonl"]).done().stdout_text();
        json(&text).iter().map(|one| one["partitions"].as_u64().unwrap()).collect()
    };
    let lines = || world.sh("cat out.1 out.2 | sort -n | tr '\\n' ' '").ok();
    let one = member("out.1");
    until("the first has all", || shares() == [4]);
    let two = member("out.2");
    until("two have two each", || shares() == [2, 2]);
    world.sh("seq 8 | klog produce t --partitioner round-robin").ok();
    until("both have read", || lines() == "1 2 3 4 5 6 7 8 ");
    two.signal(Signal::SIGTERM);
    assert_eq!(two.done().status, 143);
    until("the first has all again", || shares() == [4]);
    world.sh("seq 9 16 | klog produce t --partitioner round-robin").ok();
    let all: String = (1..=16).map(|number| format!("{number} ")).collect();
    until("the rest is read", || lines() == all);
    one.signal(Signal::SIGTERM);
    assert_eq!(one.done().status, 143);
    // What was delivered is committed: a run to the end finds nothing, and ends although it is the only member.
    let again = ["consume", "t", "-g", &group, "--group-protocol", "consumer", "-e"];
    assert_eq!(world.klog(&again).ok(), "");
}

#[test]
fn a_static_member_of_a_consumer_group_comes_back_to_its_partitions() {
    let world = World::new();
    let group = unique("static");
    world.sh("klog topic create t -p 2; seq 4 | klog produce t --partitioner round-robin").ok();
    let flags =
        ["consume", "t", "-g", &group, "--group-protocol", "consumer", "--instance-id", "me", "-n", "4"];
    assert_eq!(world.klog(&flags).ok().lines().count(), 4);
    let members = || json(&world.klog(&["group", "members", &group, "-o", "jsonl"]).ok());
    assert_eq!((&members()[0]["instance"], &members()[0]["epoch"]), (&"me".into(), &(-2).into()));
    world.sh("seq 5 8 | klog produce t --partitioner round-robin").ok();
    assert_eq!(world.klog(&flags).ok().lines().count(), 4);
}

#[test]
fn a_group_that_begins_at_the_end_keeps_where_that_was() {
    let world = World::new();
    let group = unique("end");
    world.sh("seq 3 | klog produce t").ok();
    let consume = ["consume", "t", "-g", &group, "--reset", "end", "-e"];
    assert_eq!(world.klog(&consume).ok(), "");
    world.sh("seq 4 6 | klog produce t").ok();
    assert_eq!(world.klog(&consume).ok(), "4\n5\n6\n");
}

#[test]
fn users_come_and_go() {
    let world = World::new();
    let name = unique("user");
    let list = |more: &[&str]| {
        let done = world.klog(&[&["user", "list", &name, "-o", "jsonl"], more].concat()).done();
        (done.status, json(&done.stdout_text()))
    };
    assert_eq!(list(&[]).0, 3);
    world.klog(&["user", "add", &name]).stdin("secret\n").ok();
    let (_, rows) = list(&[]);
    assert_eq!(rows.len(), 2);
    assert_eq!((&rows[0]["mechanism"], &rows[0]["iterations"]), (&"SCRAM-SHA-256".into(), &8192.into()));
    let fewer = ["user", "add", &name, "--mechanism", "scram-sha-512", "--iterations", "4096"];
    world.klog(&fewer).stdin("other\n").ok();
    assert_eq!(list(&[]).1[1]["iterations"], 4096);
    world.klog(&["user", "remove", &name, "--mechanism", "scram-sha-256"]).ok();
    assert_eq!(list(&[]).1.len(), 1);
    world.klog(&["user", "remove", &format!("User:{name}")]).ok();
    let gone = world.klog(&["user", "remove", &name]).done();
    assert_eq!(gone.status, 3);
    assert!(gone.stderr_text().contains(&format!("there is no user {name}")), "{}", gone.stderr_text());
    world.klog(&["user", "remove", &name, "--if-exists"]).ok();
    assert_eq!(world.klog(&["user", "add", &name]).stdin("\n").done().status, 2);
    let weak = world.klog(&["user", "add", &name, "--iterations", "100"]).stdin("x\n").done();
    assert_eq!(weak.status, 2);
}

#[test]
fn wrong_rules_are_wrong_before_any_broker_is_asked() {
    let world = World::new();
    for arguments in [
        &["acl", "add", "alice"][..],
        &["acl", "add", "alice", "--allow", "read"],
        &["acl", "add", "--allow", "read", "--topic", "t"],
        &["acl", "add", "alice", "--allow", "fly", "--topic", "t"],
        &["acl", "add", "alice", "--allow", "read", "--deny", "write", "--topic", "t"],
        &["acl", "remove"],
        &["acl", "remove", "-y"],
    ] {
        let done = world.klog(arguments).done();
        assert_eq!(done.status, 2, "{arguments:?}: {}", done.stderr_text());
    }
    assert!(!world.data().exists());
}

#[test]
fn rules_come_and_go() {
    let world = World::new();
    world.config("[broker]\nlisteners = \"SASL_PLAINTEXT://127.0.0.1:0\"\n");
    let add = ["acl", "add", "alice", "User:bob", "--allow", "read,describe", "--topic", "t", "-o", "jsonl"];
    assert_eq!(json(&world.klog(&add).ok()).len(), 4);
    world.klog(&["acl", "add", "bob", "--allow", "write", "--topic", "t", "--prefixed"]).ok();
    let list = |more: &[&str]| json(&world.klog(&[&["acl", "list", "-o", "jsonl"], more].concat()).ok());
    assert_eq!(list(&["--topic", "t"]).len(), 5);
    assert_eq!(list(&["alice"]).len(), 2);
    let prefixed = list(&["bob", "--topic", "t", "--prefixed"]);
    assert_eq!(prefixed.len(), 1);
    assert_eq!((&prefixed[0]["operation"], &prefixed[0]["pattern"]), (&"write".into(), &"prefixed".into()));
    // A name to remove is exact: the prefix of the same letters stays.
    world.klog(&["acl", "remove", "bob", "--topic", "t"]).ok();
    assert_eq!(list(&["bob"]).len(), 1);
    assert_eq!(world.klog(&["acl", "remove", "bob", "--topic", "t"]).done().status, 3);
    world.klog(&["acl", "remove", "alice"]).ok();
    world.klog(&["acl", "remove", "bob", "--prefixed"]).ok();
    assert_eq!(list(&[]).len(), 0);
}

#[test]
fn the_cluster_says_who_it_is_and_what_it_speaks() {
    let world = World::new();
    let nodes = json(&world.klog(&["cluster", "describe", "-o", "jsonl"]).ok());
    assert_eq!((nodes.len(), &nodes[0]["node"], &nodes[0]["controller"]), (1, &1.into(), &true.into()));
    let apis = json(&world.klog(&["cluster", "api-versions", "-o", "jsonl"]).ok());
    let produce = apis.iter().find(|api| api["api"] == "Produce").unwrap();
    assert_eq!((&produce["key"], &produce["used"], &produce["max"]), (&0.into(), &13.into(), &13.into()));
    assert!(world.klog(&["cluster", "describe"]).ok().starts_with("cluster "));
}

/// Asking takes a terminal: a script is not asked, and never waits for an answer.
#[test]
fn a_script_is_not_asked() {
    let world = World::new();
    let begun = std::time::Instant::now();
    world.sh("echo a | klog produce t; yes n | klog topic trim t --before end").ok();
    assert_eq!(world.klog(&["consume", "t", "-e"]).ok(), "");
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[test]
fn codes_are_explained_without_a_broker() {
    let world = World::new();
    let text = world.klog(&["explain", "unknown_member_id"]).ok();
    assert!(text.starts_with("Kafka error 25, UNKNOWN_MEMBER_ID\n"), "{text}");
    let both = json(&world.klog(&["explain", "3", "-o", "jsonl"]).ok());
    assert_eq!(
        (&both[0]["name"], &both[1]["kind"]),
        (&"UNKNOWN_TOPIC_OR_PARTITION".into(), &"klog exit code".into())
    );
    assert_eq!(json(&world.klog(&["explain", "-o", "jsonl"]).ok()).len(), 135 + 10);
    let wrong = world.klog(&["explain", "UNKNOWN_MEMBR_ID"]).done();
    assert_eq!(wrong.status, 3);
    assert!(wrong.stderr_text().contains("did you mean UNKNOWN_MEMBER_ID?"), "{}", wrong.stderr_text());
    assert!(!world.data().exists());
}

/// A name given twice is meant once, and there is one thing to say of it.
#[test]
fn a_name_given_twice_counts_once() {
    let world = World::new();
    let said = |line: &str| {
        let done = world.sh(&format!("klog {line}")).done();
        assert_eq!(done.status, 0, "{line}: {}", done.stderr_text());
        done.stderr_text().lines().filter(|line| !line.contains("daemon")).count()
    };
    assert_eq!(said("topic create b a b a"), 2);
    world.sh("echo x | klog produce a; klog consume a -e -g g").ok();
    world.sh("echo secret | klog user add u --mechanism scram-sha-256 --iterations 4096").ok();
    assert_eq!(said("topic alter a a -c retention.ms=5000000"), 1);
    assert_eq!(said("topic delete -y a b a"), 2);
    assert_eq!(said("group delete -y g g"), 1);
    assert_eq!(said("user remove -y u User:u"), 1);
}
