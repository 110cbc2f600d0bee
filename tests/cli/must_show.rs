//! What the daemon and the shell commands promise together: members that die, daemons that die, full disks, many topics.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::{PATIENCE, World, until};

/// Records of the tests that count: a hundred thousand, and a million when the long counts are wanted.
fn many() -> u64 {
    let long = std::env::var_os("KLOG_TEST_LONG").is_some_and(|value| !value.is_empty());
    if long { 1_000_000 } else { 100_000 }
}

fn text(world: &World, file: &str) -> String {
    std::fs::read_to_string(world.path(file)).unwrap_or_default()
}

/// Kills the daemon of this world and waits until it is gone.
fn kill_daemon(world: &World) {
    let pid = world.daemon_pid().unwrap();
    nix::sys::signal::kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    until("the daemon is gone", || world.daemon_pid().is_none());
}

/// How many partitions each member has, as `group describe` shows it.
fn shares(world: &World) -> Vec<usize> {
    let done = world.klog(&["group", "describe", "g"]).done().stdout_text();
    let members = done.lines().filter(|line| line.starts_with("klog-"));
    members.map(|line| line.matches("t-").count()).collect()
}

#[test]
fn the_members_left_take_over_from_a_killed_one() {
    let world = World::new();
    let fill = |from: u32, to: u32| {
        let script =
            format!("for p in 0 1 2 3 4 5; do seq -f \"$p %.0f\" {from} {to} | klog produce t -p $p; done");
        world.sh(&script).ok();
    };
    world.klog(&["topic", "create", "t", "-p", "6"]).ok();
    let mut members: Vec<_> = (0..3)
        .map(|member| {
            let script = format!(
                "exec klog consume t -g g -X session.timeout.ms=6000 -X heartbeat.interval.ms=500 > out.{member}"
            );
            world.sh(&script).spawn()
        })
        .collect();
    until("two partitions for each of three", || shares(&world) == [2, 2, 2]);
    fill(1, 500);
    let seen = || -> Vec<String> {
        let all: Vec<String> = (0..3).map(|member| text(&world, &format!("out.{member}"))).collect();
        all.iter().flat_map(|out| out.lines().map(str::to_owned)).collect()
    };
    until("the first half is read", || seen().len() >= 3000);
    let killed = Instant::now();
    members.remove(1).signal(Signal::SIGKILL);
    fill(501, 1000);
    until("three partitions for each of two", || shares(&world) == [3, 3]);
    // The session time-out, and time for the others to hear of it at their next heartbeats.
    assert!(killed.elapsed() < Duration::from_millis(6000 + 4000), "{:?}", killed.elapsed());
    let distinct = || seen().into_iter().collect::<std::collections::BTreeSet<_>>();
    until("nothing is skipped", || distinct().len() == 6000);
    for member in members {
        member.signal(Signal::SIGTERM);
        assert_eq!(member.done().status, 143);
    }
    // In each member, and for what one read after another, the order of a partition is that of its offsets; what
    // the killed one had not committed may come a second time, to another.
    for member in 0..3 {
        let mut last: BTreeMap<u32, u32> = BTreeMap::new();
        for line in text(&world, &format!("out.{member}")).lines() {
            let (partition, number) = line.split_once(' ').unwrap();
            let number: u32 = number.parse().unwrap();
            let before = last.insert(partition.parse().unwrap(), number).unwrap_or(0);
            assert!(number > before, "member {member}, partition {partition}: {number} after {before}");
        }
    }
    let again = world.klog(&["consume", "t", "-g", "g", "-e"]).ok();
    assert_eq!(again, "", "what was delivered at the signal is committed");
}

/// Ctrl-C reaches a whole process group: the shell sees that klog died of it, and ends its loop.
#[test]
fn a_shell_loop_around_klog_stops_at_ctrl_c() {
    let world = World::new();
    world.klog(&["topic", "create", "quiet"]).ok();
    for inner in ["klog consume quiet", "klog consume quiet -g g", "sleep 60 | klog produce quiet"] {
        let mut run = world.sh(&format!("echo begun > said; while :; do {inner}; echo again >> said; done"));
        run.command.process_group(0);
        let loops = run.spawn();
        // The children of the loop have begun, too.
        let pid = loops.pid();
        until("klog runs", || {
            let children =
                std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
            children.split_whitespace().any(|child| {
                let status = std::fs::read_to_string(format!("/proc/{child}/status")).unwrap_or_default();
                // It waits in its signal thread: the handlers are there.
                status.starts_with("Name:\tklog") && status.contains("Threads:\t2")
            })
        });
        killpg(Pid::from_raw(pid), Signal::SIGINT).unwrap();
        assert_eq!(loops.done().status, 130, "{inner}");
        assert_eq!(text(&world, "said"), "begun\n", "{inner}");
    }
}

#[test]
fn records_of_eight_mebibytes_through_rolling_segments() {
    let world = World::new();
    let script = "set -e -o pipefail
        klog topic create big -c max.message.bytes=9437184 -c segment.bytes=20000000
        for i in 1 2 3 4 5; do head -c 8388608 /dev/urandom > part.$i; done
        for codec in none gzip snappy lz4 zstd; do
            klog produce big -z $codec part.1 part.2 part.3 part.4 part.5
        done
        test $(ls $KLOG_DATA/big-0/*.log | wc -l) -gt 5
        sum=$(for i in 1 2 3 4 5; do cat part.1 part.2 part.3 part.4 part.5; done | sha256sum)
        test \"$(klog consume big -e -f %v | sha256sum)\" = \"$sum\"
        klog broker restart > /dev/null
        test \"$(klog consume big -e -f %v | sha256sum)\" = \"$sum\"; echo same";
    assert_eq!(world.sh(script).ok(), "same\n");
}

#[test]
fn checksums_of_many_records_with_every_codec() {
    let world = World::new();
    let script = format!(
        "set -e -o pipefail
        seq {} | sed 's/.*/k&\\tsome text that repeats itself &/' > in
        for codec in none gzip snappy lz4 zstd; do
            klog topic create c-$codec -c segment.bytes=2000000
            klog produce c-$codec -z $codec -K '\\t' < in
            klog consume c-$codec -e -K '\\t' | sha256sum
        done | sort -u > sums
        sha256sum < in | diff - sums; echo same",
        many()
    );
    assert_eq!(world.sh(&script).ok(), "same\n");
}

/// A daemon that dies and comes again is a pause to those who produce and follow, not an end; no record is lost or
/// doubled.
#[test]
fn producing_and_following_through_killed_daemons() {
    let world = World::new();
    world.klog(&["topic", "create", "t", "-p", "3"]).ok();
    let follower = world.sh("exec klog consume t -n 30000 > got").spawn();
    let script = "for i in $(seq 0 29); do seq $((i*1000+1)) $((i*1000+1000)); echo $i > sent; until [ -e go.$i ]; do sleep 0.01; done; done | klog produce t";
    let producer = world.sh(script).spawn();
    for step in 0..30 {
        std::fs::write(world.path(&format!("go.{step}")), "").unwrap();
        if step % 10 == 5 {
            until("some were sent", || {
                text(&world, "sent").trim().parse::<u32>().is_ok_and(|sent| sent >= step)
            });
            kill_daemon(&world);
            world.klog(&["broker", "start", "-q"]).ok();
        }
    }
    let produced = producer.done();
    assert_eq!(produced.status, 0, "{}", produced.stderr_text());
    let followed = follower.done();
    assert_eq!(followed.status, 0, "{}", followed.stderr_text());
    assert_eq!(world.sh("sort -n got | cmp - <(seq 30000) && echo same").ok(), "same\n");
    assert_eq!(world.klog(&["consume", "t", "-e"]).ok().lines().count(), 30_000);
}

#[test]
fn every_kind_of_acknowledgement_delivers_all() {
    let world = World::new();
    for acks in ["0", "1", "all"] {
        let topic = format!("t{acks}");
        world.sh(&format!("seq 20000 | klog produce {topic} --acks {acks}")).ok();
        // Nobody has said that the records of acks=0 are stored when the command ends.
        until("all are there", || world.klog(&["consume", &topic, "-e"]).ok().lines().count() == 20_000);
    }
}

/// The input stays open, the daemon away: the command ends by itself and says what is safe.
#[test]
fn a_delivery_that_takes_too_long_says_how_many_are_safe() {
    let world = World::new();
    let script =
        "mkfifo in; klog produce t -X delivery.timeout.ms=1500 -X request.timeout.ms=500 < in & pid=$!
        exec 3> in; seq 1000 >&3
        until [ \"$(klog consume t -e | wc -l)\" = 1000 ]; do :; done 2> /dev/null
        klog broker stop -q; seq 5 >&3; wait $pid; echo $?";
    let done = world.sh(script).done();
    assert_eq!(done.stdout_text(), "1\n", "{}", done.stderr_text());
    assert!(
        done.stderr_text().contains("1000 of 1005 records are acknowledged and safe"),
        "{}",
        done.stderr_text()
    );
}

#[test]
fn a_thousand_topics() {
    let world = World::new();
    world.sh("klog topic create -q $(seq -f t%04g 1000)").ok();
    let names = world.klog(&["topic", "list", "-o", "name"]).ok();
    assert_eq!(names.lines().count(), 1000);
    world.sh("for t in $(seq -f t%04g 1 100 1000); do echo $t | klog produce $t; done").ok();
    for clean in [true, false] {
        if clean {
            world.klog(&["broker", "stop", "-q"]).ok();
        } else {
            kill_daemon(&world);
        }
        // The bars (300 ms and 50 ms) are those of an optimised build on a machine of its own.
        let begun = Instant::now();
        world.klog(&["broker", "start", "-q"]).ok();
        assert!(begun.elapsed() < PATIENCE / 12, "start, clean {clean}: {:?}", begun.elapsed());
        assert_eq!(world.klog(&["topic", "list", "-o", "name"]).ok(), names, "clean {clean}");
        assert_eq!(world.sh("klog consume $(seq -f t%04g 1 100 1000) -e | wc -l").ok(), "10\n");
    }
    let pid = world.daemon_pid().unwrap();
    let ticks = || -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    };
    let before = ticks();
    std::thread::sleep(Duration::from_secs(2));
    assert!(ticks() - before <= 1, "an idle daemon worked for {} ticks", ticks() - before);
}

/// A data folder on a small file system of its own: needs the right to mount.
#[test]
fn a_full_disk_is_a_state_and_not_an_end() {
    let world = World::new();
    std::fs::create_dir(world.data()).unwrap();
    let mounted = world.sh("mount -t tmpfs -o size=12m,mode=700 klog-test $KLOG_DATA").done();
    if mounted.status != 0 {
        eprintln!("skipped: no file system can be mounted here: {}", mounted.stderr_text());
        return;
    }
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| full_disk(&world)));
    // What a process that ends has open is closed a little after its lock.
    world.sh("klog broker stop -q; until umount $KLOG_DATA; do sleep 0.1; done").ok();
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

fn full_disk(world: &World) {
    world.sh("seq 3 | klog produce keep").ok();
    world.sh("seq 500000 | sed 's/$/ padding padding padding padding/' > $HOME/big").ok();
    let limits = "-X delivery.timeout.ms=1500 -X request.timeout.ms=1000";
    let filled = world.sh(&format!("klog produce fill {limits} < $HOME/big")).done();
    assert_eq!(filled.status, 1, "{}", filled.stderr_text());
    let said = filled.stderr_text();
    assert!(said.contains("no space left on the disk for fill-0"), "{said}");
    let safe = said.split(" of ").next().unwrap().rsplit(' ').next().unwrap().to_owned();
    // Reads go on, and give all that was said to be safe.
    assert_eq!(world.klog(&["consume", "keep", "-e"]).ok(), "1\n2\n3\n");
    assert_eq!(world.klog(&["consume", "fill", "-e"]).ok().lines().count().to_string(), safe, "{said}");
    let log = std::fs::read_to_string(world.data().join("klog.log")).unwrap();
    assert_eq!(log.matches("appends are refused").count(), 1, "{log}");
    // Space again: the same daemon takes records again.
    let pid = world.daemon_pid();
    world.klog(&["topic", "delete", "-y", "fill"]).ok();
    world.sh("seq 4 6 | klog produce keep").ok();
    assert_eq!(world.klog(&["consume", "keep", "-e", "-g", "g"]).ok(), "1\n2\n3\n4\n5\n6\n");
    assert_eq!(world.daemon_pid(), pid);
}
