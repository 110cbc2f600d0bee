//! `klog produce --txn`, `klog txn`, and what other commands show of open transactions.

use nix::sys::signal::Signal;
use serde_json::Value;

use super::{Going, World, until};

/// A producer that has sent `a` in a transaction and waits for more input.
fn open_transaction(world: &World, id: &str) -> Going {
    let script = format!("exec klog produce t --txn {id} < <(echo a; exec sleep 60 2>&-)");
    let going = world.sh(&script).spawn();
    until("the transaction is open", || state(world, id) == "Ongoing");
    going
}

fn state(world: &World, id: &str) -> String {
    let done = world.klog(&["txn", "describe", id, "-o", "jsonl"]).done();
    serde_json::from_slice::<Value>(&done.stdout)
        .map_or(String::new(), |one| one["state"].as_str().unwrap().to_owned())
}

#[test]
fn all_of_the_input_or_nothing() {
    let world = World::new();
    assert_eq!(world.sh(r"printf 'a\nb\n' | klog produce t --txn && klog consume t -e").ok(), "a\nb\n");
    let done =
        world.klog(&["produce", "t", "-J", "--txn", "bad-line"]).stdin("{\"value\":\"c\"}\n{\n").done();
    assert_eq!(done.status, 1);
    let stderr = done.stderr_text();
    assert!(stderr.contains("record 2 of the input"), "{stderr}");
    assert!(stderr.contains("none of 1 records is committed: transaction bad-line is aborted"), "{stderr}");
    assert_eq!(world.klog(&["consume", "t", "-e"]).ok(), "a\nb\n");
    // Bad ones that may be left out do not stop it.
    let done = world
        .klog(&["produce", "t", "-J", "--txn", "--on-error", "skip"])
        .stdin("{\"value\":\"c\"}\n{\n")
        .done();
    assert_eq!(done.status, 6, "{}", done.stderr_text());
    assert!(done.stderr_text().contains("1 records produced, 1 skipped"), "{}", done.stderr_text());
    assert_eq!(world.klog(&["consume", "t", "-e"]).ok(), "a\nb\nc\n");
}

#[test]
fn an_empty_input_commits_nothing_and_is_no_error() {
    let world = World::new();
    world.klog(&["produce", "t", "--txn", "empty"]).ok();
    world.klog(&["produce", "t", "--txn-every", "5"]).ok();
    assert_eq!(world.klog(&["consume", "t", "-e"]).ok(), "");
    assert_eq!(state(&world, "empty"), "Empty");
}

#[test]
fn a_signal_aborts_and_the_shell_sees_it() {
    let world = World::new();
    let going = open_transaction(&world, "stopped");
    going.signal(Signal::SIGINT);
    let done = going.done();
    assert_eq!(done.status, 130);
    let stderr = done.stderr_text();
    assert!(stderr.contains("none of 1 records is committed: transaction stopped is aborted"), "{stderr}");
    assert_eq!(state(&world, "stopped"), "CompleteAbort");
    assert_eq!(world.klog(&["consume", "t", "-e"]).ok(), "");
    assert_eq!(world.klog(&["consume", "t", "-e", "--read-uncommitted"]).ok(), "a\n");
}

#[test]
fn ends_of_transactions_are_shown_where_asked_for_and_are_no_records() {
    let world = World::new();
    world.sh("echo a | klog produce t --txn; echo b | klog produce t").ok();
    let lines = world.klog(&["consume", "t", "-e", "-J", "--control"]).ok();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let facts: Vec<_> =
        lines.iter().map(|line| (line["offset"].as_i64().unwrap(), line["control"].as_str())).collect();
    assert_eq!(facts, [(0, None), (1, Some("commit")), (2, None)]);
    assert!(
        lines[1]["producer_id"].as_i64().unwrap() >= 0 && lines[1].get("value").is_none(),
        "{}",
        lines[1]
    );
    let again = world.sh("klog consume t -e -J --control | klog produce u -J --on-error skip").done();
    assert_eq!(again.status, 6, "{}", again.stderr_text());
    assert_eq!(world.klog(&["consume", "u", "-e"]).ok(), "a\nb\n");
}

#[test]
fn pieces_by_records_and_by_time() {
    let world = World::new();
    world.sh("seq 5 | klog produce t --txn-every 2").ok();
    // A marker lies behind every piece.
    assert_eq!(world.klog(&["consume", "t", "-e", "-f", "%o:%v "]).ok(), "0:1 1:2 3:3 4:4 6:5 ");
    let input = "{\"value\":\"6\"}\n{\"value\":\"7\"}\n{\"value\":\"8\"}\n{\n";
    let done = world.klog(&["produce", "t", "-J", "--txn-every", "2"]).stdin(input).done();
    assert_eq!(done.status, 1);
    assert!(
        done.stderr_text().contains("2 of 3 records are committed: transaction"),
        "{}",
        done.stderr_text()
    );
    assert_eq!(world.klog(&["consume", "t", "-e"]).ok(), "1\n2\n3\n4\n5\n6\n7\n");
    // Time passes while no input comes; what a signal finds in hand is committed.
    let script =
        "exec klog produce u --txn timed --txn-every 300ms < <(echo a; sleep 1; echo b; exec sleep 60 2>&-)";
    let going = world.sh(script).spawn();
    let read = || world.klog(&["consume", "u", "-e"]).done().stdout_text();
    until("the first piece is committed", || read() == "a\n");
    until("the second piece is committed", || read() == "a\nb\n");
    going.signal(Signal::SIGTERM);
    assert_eq!(going.done().status, 143);
    let script = "exec klog produce u --txn timed --txn-every 5m < <(echo c; exec sleep 60 2>&-)";
    let going = world.sh(script).spawn();
    until("the transaction is open", || state(&world, "timed") == "Ongoing");
    going.signal(Signal::SIGTERM);
    assert_eq!(going.done().status, 143);
    assert_eq!(read(), "a\nb\nc\n");
}

#[test]
fn what_is_open_is_shown_and_can_be_aborted() {
    let world = World::new();
    let going = open_transaction(&world, "shown");
    world.sh("echo late | klog produce t; klog consume t -e -g g").ok();
    let listed = world.klog(&["txn", "list", "sho*", "--state", "ongoing", "-o", "jsonl"]).ok();
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!((&listed["id"], &listed["partitions"]), (&"shown".into(), &1.into()));
    let producer = listed["producer_id"].as_i64().unwrap();
    assert!(listed["open_ms"].as_i64().is_some_and(|ms| ms >= 0), "{listed}");
    assert!(world.klog(&["txn", "list"]).ok().contains("shown"));
    let longer = |than: &str| world.klog(&["txn", "list", "shown", "--longer-than", than, "-o", "name"]).ok();
    assert_eq!((longer("1ms").as_str(), longer("1h").as_str()), ("shown\n", ""));
    let described = world.klog(&["txn", "describe", "shown"]).ok();
    assert!(described.contains("shown, Ongoing") && described.contains("open for"), "{described}");
    let topic = world.klog(&["topic", "describe", "t"]).ok();
    assert!(topic.contains("open transactions") && topic.contains("the last stable offset"), "{topic}");
    let topic: Value =
        serde_json::from_str(&world.klog(&["topic", "describe", "t", "-o", "jsonl"]).ok()).unwrap();
    let open = &topic["open_transactions"][0];
    assert_eq!(
        (&open["transaction"], &open["first_offset"], &open["holds"]),
        (&"shown".into(), &0.into(), &true.into())
    );
    assert_eq!((&topic["partitions"][0]["end"], &topic["partitions"][0]["stable"]), (&2.into(), &0.into()));
    // The group stands before it and waits.
    world.sh("klog group reset g -t t --to start -y").ok();
    let lag: Value = serde_json::from_str(&world.klog(&["group", "lag", "g", "-o", "json"]).ok()).unwrap();
    assert_eq!((&lag[0]["end"], &lag[0]["lag"]), (&2.into(), &2.into()), "what waits behind it is lag");
    let group = world.klog(&["group", "describe", "g"]).ok();
    assert!(group.contains("open transactions") && group.contains("shown"), "{group}");

    let producer = producer.to_string();
    let hangs = world.klog(&["txn", "abort", "--topic", "t:0", "--producer-id", &producer, "-y"]).done();
    assert_eq!(hangs.status, 1);
    assert!(hangs.stderr_text().contains("it does not hang: shown has it open"), "{}", hangs.stderr_text());
    let nobody = world.klog(&["txn", "abort", "--topic", "t:0", "--producer-id", "999999", "-y"]).done();
    assert_eq!(nobody.status, 3, "{}", nobody.stderr_text());

    world.klog(&["txn", "abort", "shown", "-y"]).ok();
    let again = world.klog(&["txn", "abort", "shown", "-y"]).done();
    assert_eq!(again.status, 0);
    assert!(again.stderr_text().contains("has no transaction open"), "{}", again.stderr_text());
    assert_eq!(longer("1ms"), "", "what is over is not open");
    assert_eq!(world.klog(&["consume", "t", "-e"]).ok(), "late\n");
    assert!(!world.klog(&["topic", "describe", "t"]).ok().contains("open transactions"));
    going.signal(Signal::SIGINT);
    let done = going.done();
    assert_eq!(done.status, 130);
    assert!(done.stderr_text().contains("the broker has ended transaction shown"), "{}", done.stderr_text());
    for command in ["describe", "abort"] {
        let done = world.klog(&["txn", command, "no-such-id"]).done();
        assert_eq!(done.status, 3, "{}", done.stderr_text());
    }
}

#[test]
fn a_second_producer_of_the_id_ends_the_first_ones_transaction() {
    let world = World::new();
    let going = open_transaction(&world, "twice");
    world.sh("echo b | klog produce t --txn twice").ok();
    assert_eq!(world.klog(&["consume", "t", "-e"]).ok(), "b\n");
    going.signal(Signal::SIGTERM);
    assert_eq!(going.done().status, 143);
    assert_eq!(world.klog(&["consume", "t", "-e"]).ok(), "b\n");
}

#[test]
fn wrong_flags_of_transactions_are_named() {
    let world = World::new();
    for (arguments, named) in [
        (&["--txn-every", "0"][..], "--txn-every"),
        (&["--txn-every", "soon"], "--txn-every"),
        (&["--txn", "x", "--txn-timeout", "0s"], "--txn-timeout"),
        (&["--txn", "x", "--acks", "1"], "acks=all"),
        (&["--txn-every", "1h"], "--txn-timeout"),
        (&["--txn-timeout", "1m"], "--txn"),
    ] {
        let done = world.klog(&[&["produce", "t"], arguments].concat()).done();
        assert_eq!(done.status, 2, "{arguments:?}: {}", done.stderr_text());
        assert!(done.stderr_text().contains(named), "{arguments:?}: {}", done.stderr_text());
    }
    let done = world.klog(&["produce", "t", "--txn", "long", "--txn-timeout", "20d"]).done();
    assert_eq!(done.status, 1);
    assert!(done.stderr_text().contains("transaction.max.timeout.ms"), "{}", done.stderr_text());
}

#[test]
fn a_broker_that_goes_away_leaves_the_abort_to_its_time_out() {
    let world = World::new();
    let going = open_transaction(&world, "orphan");
    let pid = nix::unistd::Pid::from_raw(world.daemon_pid().unwrap());
    nix::sys::signal::kill(pid, Signal::SIGKILL).unwrap();
    going.signal(Signal::SIGINT);
    let done = going.done();
    assert_eq!(done.status, 130);
    assert!(done.stderr_text().contains("is not aborted yet"), "{}", done.stderr_text());
    // It is on the disk as it was: nobody sees it, and a producer with its id ends it.
    assert_eq!(world.klog(&["consume", "t", "-e"]).ok(), "");
    assert_eq!(state(&world, "orphan"), "Ongoing");
    world.sh("echo b | klog produce t --txn orphan").ok();
    assert_eq!(world.klog(&["consume", "t", "-e"]).ok(), "b\n");
}

#[test]
fn a_pipeline_carries_each_record_once_through_kills() {
    let world = World::new();
    let count = 30_000;
    world.klog(&["topic", "create", "in", "out", "-p", "3"]).ok();
    world.sh(&format!("seq {count} | klog produce in --partitioner round-robin")).ok();
    let run = [
        "pipeline",
        "run",
        "--from",
        "in",
        "--to",
        "out",
        "--jq",
        ". * 10",
        "-g",
        "once",
        "--exactly-once",
        "-X",
        "transaction.timeout.ms=1000",
        "-X",
        "session.timeout.ms=6000",
        "-X",
        "heartbeat.interval.ms=500",
        "-X",
        "auto.commit.interval.ms=50",
    ];
    let read = || world.klog(&["consume", "out", "-e"]).ok().lines().count();
    for part in [1, 5] {
        // Two members: one is killed, one is stopped.
        let (killed, stopped) = (world.klog(&run).spawn(), world.klog(&run).spawn());
        until("something is carried", || read() >= part * count / 10);
        killed.signal(Signal::SIGKILL);
        stopped.signal(Signal::SIGTERM);
        assert_eq!(killed.done().status, 137);
        let done = stopped.done();
        assert_eq!(done.status, 143, "{}", done.stderr_text());
    }
    // The killed one keeps its share until its session is over, and what it left open holds the end until its time-out.
    until("all is carried and nothing is open", || {
        world.klog(&[&run[..], &["--once"]].concat()).ok();
        read() >= count
    });
    let out = world.klog(&["consume", "out", "-e"]).ok();
    let mut numbers: Vec<u64> = out.lines().map(|line| line.parse().unwrap()).collect();
    numbers.sort_unstable();
    let wanted: Vec<u64> = (1..=count as u64).map(|number| number * 10).collect();
    assert!(numbers == wanted, "{} of {count} records", numbers.len());
    let refused = world.klog(&["pipeline", "run", "--from", "in", "--to", "-", "--exactly-once"]).done();
    assert_eq!(refused.status, 2, "{}", refused.stderr_text());
}

#[test]
fn an_unknown_state_is_told_the_known_ones() {
    let world = World::new();
    let done = world.klog(&["txn", "list", "--state", "open"]).done();
    assert_eq!(done.status, 2, "{}", done.stderr_text());
    let said = done.stderr_text();
    assert!(said.contains("\"open\"") && said.contains("Empty, Ongoing, "), "{said}");
}
