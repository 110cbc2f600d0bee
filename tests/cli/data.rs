//! `klog produce` and `klog consume` as the contract has them: bytes in, bytes out, positions, ends, exit codes.

use std::time::{Duration, Instant};

use super::World;

#[test]
fn three_lines_and_a_group() {
    let world = World::new();
    assert_eq!(world.sh(r"printf 'a\nb\nc\n' | klog produce t && klog consume t -e").ok(), "a\nb\nc\n");
    assert_eq!(world.klog(&["consume", "t", "-e", "-g", "g"]).ok(), "a\nb\nc\n");
    assert_eq!(world.klog(&["consume", "t", "-e", "-g", "g"]).ok(), "");
    // Another group has a position of its own, and looking does not move it.
    assert_eq!(world.klog(&["consume", "t", "-e", "-g", "h", "--no-commit"]).ok(), "a\nb\nc\n");
    assert_eq!(world.klog(&["consume", "t", "-e", "-g", "h"]).ok(), "a\nb\nc\n");
}

#[test]
fn a_log_that_lost_its_tail_while_stopped_still_ends() {
    let world = World::new();
    world.sh("for x in a b c; do echo $x | klog produce t; done; klog consume t -n 1 -g g").ok();
    world.klog(&["broker", "stop"]).ok();
    let path = world.data().join("t-0/00000000000000000000.log");
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(file.metadata().unwrap().len() - 10).unwrap();
    // Where the group stands is known: nobody asks where the log begins.
    assert_eq!(world.klog(&["consume", "t", "-e", "-g", "g"]).ok(), "b\n");
    assert_eq!(world.klog(&["consume", "t", "-e"]).ok(), "a\nb\n");
}

#[test]
fn what_the_reader_did_not_take_is_not_committed() {
    let world = World::new();
    let script = "seq 100000 | klog produce n; klog consume n -g g | head -1; klog consume n -g g -e | wc -l";
    let out = world.sh(script).ok();
    let (first, rest) = out.split_once('\n').unwrap();
    assert_eq!(first, "1");
    let rest: u64 = rest.trim().parse().unwrap();
    assert!((99_999..=100_000).contains(&rest), "{rest}");
}

#[test]
fn a_reader_that_leaves_ends_consume_while_nothing_comes() {
    let world = World::new();
    let begun = Instant::now();
    let out =
        world.sh("klog produce quiet < /dev/null; klog consume quiet | true; echo ${PIPESTATUS[0]}").ok();
    assert_eq!(out, "0\n");
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[test]
fn lines_as_they_are() {
    let world = World::new();
    let produce = |topic: &str, arguments: &[&str], input: &[u8]| {
        let arguments = [&["produce", topic], arguments].concat();
        world.klog(&arguments).stdin(input).ok();
    };
    produce("t", &[], b"a\r\n\nlast without an end");
    assert_eq!(world.klog(&["consume", "t", "-e"]).ok(), "a\r\n\nlast without an end\n");
    assert_eq!(world.klog(&["consume", "t", "-e", "-D", "|"]).ok(), "a\r||last without an end|");
    produce("nul", &["-0"], b"a\nb\0c\0");
    assert_eq!(world.klog(&["consume", "nul", "-e", "-0"]).ok(), "a\nb\0c\0");
    produce("two", &["-D", "--"], b"a-b--c--");
    assert_eq!(world.klog(&["consume", "two", "-e"]).ok(), "a-b\nc\n");
    produce("whole", &["--whole"], b"a\nb\n");
    assert_eq!(world.klog(&["consume", "whole", "-e", "-D", "."]).ok(), "a\nb\n.");
    produce("empty", &[], b"");
    assert_eq!(world.klog(&["consume", "empty", "-e"]).ok(), "");
}

#[test]
fn keys_headers_tombstones_and_times() {
    let world = World::new();
    let flags = ["produce", "t", "-K", ":", "-H", "a=1", "-H", "b", "-H", "a=", "-Z"];
    let flags = [&flags[..], &["--timestamp", "2024-10-27T03:33:20Z"]].concat();
    world.klog(&flags).stdin("k:v\nnone\n:x\nz:\n").ok();
    let format = "%o %d %K=%k %V=%v %h{%k[%V]%v;}\\n";
    assert_eq!(
        world.klog(&["consume", "t", "-e", "-f", format]).ok(),
        "0 1730000000000 1=k 1=v a[1]1;b[-1];a[0];\n\
         1 1730000000000 -1= 4=none a[1]1;b[-1];a[0];\n\
         2 1730000000000 0= 1=x a[1]1;b[-1];a[0];\n\
         3 1730000000000 1=z -1= a[1]1;b[-1];a[0];\n"
    );
    assert_eq!(world.klog(&["consume", "t", "-e", "-K", "="]).ok(), "k=v\n=none\n=x\nz=\n");
    world.sh("klog consume t -e -J | klog produce -J copy").ok();
    let shown = |topic: &str| world.klog(&["consume", topic, "-e", "-f", format]).ok();
    assert_eq!(shown("copy"), shown("t"));
}

/// 256 different bytes in keys, values and headers, through both lossless forms, with every codec.
#[test]
fn every_byte_survives_with_every_codec() {
    let world = World::new();
    let all: Vec<u8> = (0..=255).collect();
    let mut input = Vec::new();
    for (key, value) in [(Some(&all), Some(&all)), (None, Some(&all)), (Some(&all), None), (None, None)] {
        for bytes in [key, value] {
            input.extend(bytes.map_or(-1i32, |bytes| bytes.len() as i32).to_be_bytes());
            input.extend(bytes.into_iter().flatten());
        }
    }
    let framing = "%K{big32}%k%V{big32}%v";
    for codec in ["none", "gzip", "snappy", "lz4", "zstd:7"] {
        let topic = format!("t-{}", codec.replace(':', "-"));
        let produce = ["produce", &topic, "-f", framing, "-z", codec, "--timestamp", "1000"];
        world.klog(&produce).stdin(input.clone()).ok();
        let consumed = world.klog(&["consume", &topic, "-e", "-f", framing]).done();
        assert_eq!(consumed.stdout, input, "{codec}");
        let envelope = world.klog(&["consume", &topic, "-e", "-J"]).ok();
        world.klog(&["produce", "again", "-J"]).stdin(envelope).ok();
    }
    let again = world.klog(&["consume", "again", "-e", "-f", framing]).done();
    assert_eq!(again.stdout, input.repeat(5));
}

#[test]
fn a_million_records_arrive_as_they_left() {
    let world = World::new();
    let script = "set -e -o pipefail
        seq 1000000 | sed 's/$/ some text that repeats itself/' > in
        for codec in none zstd; do
            klog produce m-$codec -z $codec < in
            klog consume m-$codec -e | cmp - in
            klog consume m-$codec -e > out; cmp out in
        done";
    world.sh(script).ok();
}

#[test]
fn large_records_where_the_topic_allows_them_and_where_not() {
    let world = World::new();
    let script = "set -e -o pipefail
        klog topic create big -c max.message.bytes=9000000
        head -c 6291456 /dev/urandom | base64 -w0 > one; echo >> one
        cat one one | klog produce big
        klog consume big -e | cmp - <(cat one one)";
    world.sh(script).ok();
    let refused = world.sh("(echo before; cat one; echo after) | klog produce small").done();
    assert_eq!(refused.status, 1);
    let said = refused.stderr_text();
    assert!(said.contains("line 2 has 8388608 bytes") && said.contains("1048588"), "{said}");
    // What came before it is safe.
    assert_eq!(world.klog(&["consume", "small", "-e"]).ok(), "before\n");
}

#[test]
fn places_to_begin_and_to_end() {
    let world = World::new();
    world.sh("for t in 1000 2000 3000; do echo $t | klog produce t --timestamp $t; done; seq 4 5 | klog produce t --timestamp 4000").ok();
    for (arguments, shown) in [
        (&["-o", "-2", "-e"][..], "4\n5\n"),
        (&["-o", "+3", "-e"], "4\n5\n"),
        (&["-o", "1:3"], "2000\n3000\n"),
        (&["-o", "@2000:@4000"], "2000\n3000\n"),
        (&["-o", ":end"], "1000\n2000\n3000\n4\n5\n"),
        (&["--since", "3000", "-e"], "3000\n4\n5\n"),
        (&["--until", "2000"], "1000\n"),
        (&["-n", "2"], "1000\n2000\n"),
        (&["-o", "end", "-e"], ""),
        (&["-o", "4", "--idle", "200ms"], "5\n"),
        (&["-p", "0", "-e", "-o", "4"], "5\n"),
    ] {
        let arguments = [&["consume", "t"], arguments].concat();
        assert_eq!(world.klog(&arguments).ok(), shown, "{arguments:?}");
    }
}

#[test]
fn a_deadline_counts_from_the_start_of_the_command() {
    let world = World::new();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let consume = ["-b", &address, "consume", "t", "--deadline", "300ms"];
    let done = world.klog(&consume).done();
    assert_eq!(done.status, 0, "{}", done.stderr_text());
    let done = world.klog(&[&consume[..], &["-n", "3"]].concat()).done();
    assert_eq!(done.status, 5, "{}", done.stderr_text());
    assert!(done.stderr_text().contains("0 of 3 records"), "{}", done.stderr_text());
}

#[test]
fn exit_codes_and_what_to_do_next() {
    let world = World::new();
    world.sh("echo x | klog produce t").ok();
    for (arguments, status, said) in [
        (&["consume", "nosuch", "-e"][..], 3, "no topic nosuch"),
        (&["consume", "nosuch", "-n", "1"], 3, "no topic nosuch"),
        (&["consume", "t", "-p", "5", "-e"], 3, "no partition 5 of topic t, which has 1"),
        (&["consume", "t", "-n", "2", "--deadline", "300ms"], 5, "1 of 2 records"),
        (&["consume", "t", "-o", "soon"], 2, "-o"),
        (&["consume", "t", "-o", "stored"], 2, "-g"),
        (&["consume", "t", "-g", "g", "-o", "end"], 2, "together with -g"),
        (&["consume", "t", "-f", "%q"], 2, "%q is no verb"),
        (&["produce", "t", "-p", "9"], 3, "no partition 9"),
        (&["produce", "t", "-z", "zip"], 2, "none, gzip"),
        (&["produce", "t", "--acks", "2"], 2, "0, 1 and all"),
        (&["produce", "t", "/nosuch/file"], 3, "/nosuch/file"),
        (&["produce"], 2, "TOPIC"),
    ] {
        let done = world.klog(arguments).done();
        assert_eq!(done.status, status, "{arguments:?}: {}", done.stderr_text());
        let text = done.stderr_text();
        assert!(text.contains(said), "{arguments:?}: {text}");
        assert!(text.lines().count() >= 2, "{arguments:?} says nothing to do next: {text}");
    }
    let nobody = world.klog(&["consume", "t", "-e", "-b", "127.0.0.1:1"]).done();
    assert_eq!(nobody.status, 7, "{}", nobody.stderr_text());
}

#[test]
fn records_that_can_not_be_parsed() {
    let world = World::new();
    let input = "{\"value\":\"a\"}\nno json\n{\"value\":\"b\",\"key\":\"k\"}\n";
    let stopped = world.klog(&["produce", "t", "-J"]).stdin(input).done();
    assert_eq!(stopped.status, 1);
    assert!(stopped.stderr_text().contains("record 2 of the input"), "{}", stopped.stderr_text());
    let skipped = world.klog(&["produce", "u", "-J", "--on-error", "skip"]).stdin(input).done();
    assert_eq!(skipped.status, 6);
    assert!(skipped.stderr_text().contains("2 records produced, 1 skipped"), "{}", skipped.stderr_text());
    assert_eq!(world.klog(&["consume", "u", "-e", "-K", "="]).ok(), "=a\nk=b\n");
}

/// The records before a signal are delivered, an unfinished line is not, and the shell sees the signal.
#[test]
fn a_signal_ends_produce_after_whole_lines() {
    let world = World::new();
    let script = "klog produce s < /dev/null
        mkfifo in; klog produce s < in & pid=$!
        exec 3> in; printf 'whole\\nunfin' >&3
        until [ \"$(klog consume s -e | wc -l)\" = 1 ]; do :; done
        kill -TERM $pid; wait $pid; echo $?
        klog consume s -e";
    assert_eq!(world.sh(script).ok(), "143\nwhole\n");
}

/// A full pipe holds up neither the signal nor the commit of what was taken from it.
#[test]
fn a_signal_commits_what_was_taken_and_no_more() {
    let world = World::new();
    world.sh("seq 300000 | klog produce s").ok();
    let script = "mkfifo out; exec 3<> out
        klog consume s -g g > out & pid=$!
        for i in 1 2 3 4 5; do read -r line <&3; done
        kill -INT $pid; wait $pid; echo $? $line
        exec 3<&-; klog consume s -g g -n 1";
    // An interactive shell's background job takes SIGINT; a script's ignores it unless told otherwise.
    let out = world.sh(&format!("set -m; {script}")).ok();
    assert_eq!(out, "130 5\n6\n");
}

#[test]
fn a_position_moves_while_a_slow_reader_takes_its_time() {
    let world = World::new();
    world.sh("seq 10 | klog produce t").ok();
    let script = "mkfifo out; exec 3<> out
        klog consume t -g g -X auto.commit.interval.ms=100 > out & pid=$!
        for i in 1 2 3; do read -r line <&3; done
        until [ \"$(klog group lag g -o tsv | tail -1 | cut -f4)\" = 3 ]; do :; done
        kill -KILL $pid; exec 3<&-
        until klog consume t -g g -e | diff - <(seq 4 10); do :; done; echo same";
    let done = world.sh(script).done();
    assert!(done.stdout_text().ends_with("same\n"), "{}{}", done.stdout_text(), done.stderr_text());
}

/// A line that comes alone leaves alone, at once.
#[test]
fn a_trickle_is_not_held_back() {
    let world = World::new();
    world.sh("klog topic create t").ok();
    let script = "mkfifo in; klog produce t < in & exec 3> in
        klog consume t -n 3 > out & reader=$!
        for i in 1 2 3; do echo $i >&3; until [ \"$(wc -l < out)\" = $i ]; do :; done; done
        wait $reader; cat out; exec 3>&-; wait";
    // The consumer writes a file in large pieces, but when nothing more comes what it has.
    assert_eq!(world.sh(script).ok(), "1\n2\n3\n");
}

#[test]
fn six_partitions_among_three_members_each_record_once() {
    let world = World::new();
    let script = "set -m; klog topic create t -p 6; seq 6000 | sed 's/.*/&:&/' | klog produce t -K :
        for i in 1 2 3; do klog consume t -g g --idle 6s > out.$i & done; wait
        cat out.* | sort -n | cmp - <(seq 6000) && echo once";
    assert_eq!(world.sh(script).ok(), "once\n");
}

#[test]
fn produce_returns_from_a_command_substitution() {
    let world = World::new();
    assert_eq!(world.sh("x=$(seq 3 | klog produce t); echo \"[$x]\"").ok(), "[]\n");
    let copied = world.klog(&["produce", "t", "--tee"]).stdin("a\nb").ok();
    assert_eq!(copied, "a\nb");
}

#[test]
fn consume_waits_for_its_topic() {
    let world = World::new();
    let script =
        "klog broker start -q > /dev/null; klog consume late --idle 20s -f '%v\\n' 2> said > out & pid=$!
        until grep -q 'waiting for topic late' said; do :; done
        echo here | klog produce late
        until [ -s out ]; do :; done; cat out; kill $pid; wait $pid; echo $?";
    assert_eq!(world.sh(script).ok(), "here\n143\n");
}

/// What could not be written is an error, and no position moves over it.
#[test]
fn stdout_to_a_full_disk_fails() {
    let world = World::new();
    world.sh("seq 10 | klog produce t").ok();
    for command in ["consume t -e -g g", "--help", "--version", "help topic"] {
        let done = world.sh(&format!("klog {command} > /dev/full")).done();
        assert_eq!(done.status, 1, "{command}");
        assert!(done.stderr_text().contains("can't write to stdout"), "{command}: {}", done.stderr_text());
    }
    assert_eq!(world.klog(&["consume", "t", "-e", "-g", "g"]).ok().lines().count(), 10);
}

/// In a rebalance a member holds nothing, which is no reason to be done.
#[test]
fn a_group_that_reads_to_the_end_is_not_done_before_it() {
    let world = World::new();
    world.klog(&["topic", "create", "n", "-p", "4"]).ok();
    world.sh("seq 300000 | klog produce n --partitioner round-robin").ok();
    let flags =
        ["consume", "n", "-g", "g", "-X", "heartbeat.interval.ms=100", "-X", "session.timeout.ms=6000"];
    // A reader that takes its time, so that the rebalances fall into the run: who is done with its own share ends,
    // whatever another has still in hand.
    let flags_text = flags.join(" ");
    let slow = world
        .sh(&format!(
            "klog {flags_text} -e | while read -r line; do
                 echo \"$line\"; [ $((++n % 1000)) -ne 0 ] || sleep 0.02
             done"
        ))
        .spawn();
    for _ in 0..2 {
        let other = world.klog(&flags).spawn();
        std::thread::sleep(Duration::from_millis(300));
        other.signal(nix::sys::signal::Signal::SIGTERM);
        other.done();
    }
    slow.done();
    let lag = world.klog(&["group", "lag", "g", "-o", "tsv"]).ok();
    assert!(lag.lines().skip(1).all(|line| line.split('\t').nth(6) == Some("0")), "{lag}");
}

#[test]
fn a_member_whose_stdout_fails_leaves_its_group() {
    let world = World::new();
    world.sh("seq 5 | klog produce t").ok();
    let done = world.sh("klog consume t -g g -n 1 > /dev/full").done();
    assert_eq!(done.status, 1, "{}", done.stderr_text());
    assert!(done.stderr_text().contains("can't write to stdout"), "{}", done.stderr_text());
    assert_eq!(world.klog(&["group", "list", "-o", "tsv"]).ok().matches("Empty").count(), 1);
}

#[test]
fn a_group_commits_nothing_where_that_is_off() {
    let world = World::new();
    world.sh("seq 3 | klog produce t").ok();
    for _ in 0..2 {
        let read = world.sh("klog -X enable.auto.commit=false consume t -e -g g").ok();
        assert_eq!(read, "1\n2\n3\n");
    }
    assert_eq!(world.sh("klog -X enable.auto.commit=true consume t -e -g g").ok(), "1\n2\n3\n");
    assert_eq!(world.sh("klog consume t -e -g g").ok(), "");
}

#[test]
fn without_a_group_reset_says_where_reading_begins() {
    let world = World::new();
    world.sh("seq 3 | klog produce t").ok();
    assert_eq!(world.sh("klog consume t -e --reset end").ok(), "");
    for start in ["--reset start", "--reset fail", "--reset end -o 0", "--reset end --since 1970-01-01"] {
        assert_eq!(world.sh(&format!("klog consume t -e {start}")).ok(), "1\n2\n3\n", "{start}");
    }
}

#[test]
fn what_is_told_to_people_does_not_steer_their_terminal() {
    let world = World::new();
    let done = world.sh(r"klog topic delete -y $'x\e[2J'").done();
    assert_eq!(done.status, 3);
    assert!(done.stderr_text().contains("x\u{fffd}[2J"), "{:?}", done.stderr_text());
    world.sh(r"echo a | klog produce t --txn=$'i\e[2J'; klog consume t -e -g $'g\e[2J'").ok();
    let shown = world.sh(r"klog txn describe $'i\e[2J'; klog group describe $'g\e[2J'").ok();
    assert!(shown.contains("id i\u{fffd}[2J,") && shown.contains("group g\u{fffd}[2J,"), "{shown:?}");
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
}
