//! `klog pipeline` as its users run it: from topic to topic, through bad records, kills, rebalances and pipes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use super::{World, until};

/// The pipeline of the issue, in the words of a shell.
const PRICES: [&str; 11] =
    ["pipeline", "run", "--from", "sales", "--to", "prices", "--on-error", "dlq=bad", "--jq", JQ, "--once"];
const JQ: &str = "select(.quantity > 0) | {item, price: (.sales / .quantity)}";

/// Records of the tests that count.
fn many(few: u32) -> u32 {
    let long = std::env::var_os("KLOG_TEST_LONG").is_some_and(|value| !value.is_empty());
    if long { 1_000_000 } else { few }
}

/// Sales as lines: some of nothing, some broken in one of four ways; and what must come of them.
struct Sales {
    lines: String,
    good: String,
    prices: Vec<(String, f64)>,
    bad: Vec<String>,
}

fn sales(count: u32) -> Sales {
    let mut made = Sales { lines: String::new(), good: String::new(), prices: Vec::new(), bad: Vec::new() };
    for number in 0..count {
        let (quantity, cents) = (number % 7, u64::from(number) * 37 % 100_000);
        let sale = format!(
            "{{\"item\":\"item {}\",\"sales\":{}.{:02},\"quantity\":{quantity},\"note\":\"sale no. {number} of the day, \\u00e9\"}}",
            number % 1000,
            cents / 100,
            cents % 100
        );
        let line = match number % 100 {
            13 => format!("{{\"item\":\"item {number}\",\"sales\":"),
            29 => format!("sale {number}"),
            57 => format!("{{\"item\":\"x\",\"sales\":\"{number}\",\"quantity\":1}}"),
            83 => format!("{{\"item\":\"x\",\"sales\":1,\"quantity\":2}} {number}"),
            _ => {
                made.good += &sale;
                made.good.push('\n');
                if quantity > 0 {
                    let price = (cents as f64 / 100.0) / f64::from(quantity);
                    made.prices.push((format!("item {}", number % 1000), price));
                }
                writeln!(made.lines, "{sale}").unwrap();
                continue;
            }
        };
        writeln!(made.lines, "{line}").unwrap();
        made.bad.push(line);
    }
    made
}

fn prices(text: &str) -> Vec<(String, f64)> {
    let one = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap();
        assert_eq!(value.as_object().unwrap().len(), 2, "{line}");
        // An integral result has no fraction.
        assert!(!line.contains(".0}"), "{line}");
        // Read to the last bit, which serde_json does not promise.
        let (_, price) = line.trim_end_matches('}').rsplit_once(':').unwrap();
        (value["item"].as_str().unwrap().to_owned(), price.parse().unwrap())
    };
    text.lines().map(one).collect()
}

fn has(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|done| done.status.success())
}

#[test]
fn prices_are_those_of_jq_and_broken_records_are_kept_with_their_reason() {
    let world = World::new();
    let made = sales(many(20_000));
    world.klog(&["produce", "sales"]).stdin(made.lines).ok();
    let done = world.klog(&PRICES).done();
    assert_eq!(done.status, 6, "{}", done.stderr_text());
    let said = done.stderr_text();
    assert!(said.contains(&format!("{} of ", made.bad.len())) && said.contains("sales-0@13"), "{said}");
    let out = world.klog(&["consume", "prices", "-e"]).ok();
    assert!(prices(&out) == made.prices, "prices differ");
    if has("jq") {
        std::fs::write(world.path("good"), &made.good).unwrap();
        let jq = world.sh(&format!("jq -c '{JQ}' good")).ok();
        assert!(prices(&jq) == prices(&out), "jq says otherwise");
    } else {
        println!("left out: jq, which is not installed");
    }
    let bad = world.klog(&["consume", "bad", "-e"]).ok();
    assert!(bad.lines().eq(made.bad.iter().map(String::as_str)), "bad records differ");
    let why = world.klog(&["consume", "bad", "-e", "-n", "4", "-f", "%h{%k=%v;}\\n"]).ok();
    let heads: Vec<&str> = why.lines().collect();
    for (line, (reason, offset)) in
        heads.iter().zip([("not JSON", 13), ("not JSON", 29), ("cannot", 57), ("JSON", 83)])
    {
        assert!(line.contains(reason), "{line}");
        assert!(
            line.ends_with(&format!(
                "klog.step=1 jq;klog.topic=sales;klog.partition=0;klog.offset={offset};"
            )),
            "{line}"
        );
    }
    // A second run has nothing left to do.
    let again = world.klog(&PRICES).done();
    assert_eq!(again.status, 0, "{}", again.stderr_text());
    assert_eq!(world.klog(&["consume", "prices", "-e"]).ok(), out);
}

#[test]
fn killed_ten_times_on_the_way_nothing_is_missing() {
    let world = World::new();
    let made = sales(many(60_000));
    world.klog(&["topic", "create", "sales", "-p", "3"]).ok();
    world.klog(&["produce", "sales", "--partitioner", "round-robin"]).stdin(made.lines).ok();
    // Positions are committed often, so that kills fall between pushing and committing.
    let flags =
        [&PRICES[..], &["-X", "auto.commit.interval.ms=20", "-X", "session.timeout.ms=6000"]].concat();
    let mut seed = 7u64;
    for _ in 0..10 {
        let run = world.klog(&flags).spawn();
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        std::thread::sleep(Duration::from_millis(20 + (seed >> 33) % 150));
        run.signal(Signal::SIGKILL);
        run.done();
    }
    // A member that was killed keeps its share until its session is over: a run that meets one carries its own share
    // and ends, and the next goes on.
    for _ in 0..10 {
        let done = world.klog(&flags).done();
        assert!([0, 6].contains(&done.status), "{}", done.stderr_text());
        let lag = world.klog(&["group", "lag", "-o", "tsv"]).ok();
        if lag.lines().count() > 3 && lag.lines().skip(1).all(|line| line.split('\t').nth(6) == Some("0")) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
    let mut counts: BTreeMap<String, i64> = BTreeMap::new();
    let text = |(item, price): &(String, f64)| format!("{item} {price}");
    for price in &made.prices {
        *counts.entry(text(price)).or_default() += 1;
    }
    for price in prices(&world.klog(&["consume", "prices", "-e"]).ok()) {
        *counts.get_mut(&text(&price)).expect("a price that is none") -= 1;
    }
    let missing: Vec<_> = counts.iter().filter(|(_, left)| **left > 0).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let mut bad: Vec<String> =
        world.klog(&["consume", "bad", "-e"]).ok().lines().map(str::to_owned).collect();
    bad.sort();
    bad.dedup();
    let mut wanted = made.bad;
    wanted.sort();
    assert!(bad == wanted, "bad records differ");
    let lag = world.klog(&["group", "lag", "-o", "tsv"]).ok();
    assert!(lag.lines().skip(1).all(|line| line.split('\t').nth(6) == Some("0")), "{lag}");
}

#[test]
fn a_signal_commits_what_was_carried_and_no_record_comes_twice() {
    let world = World::new();
    let count = many(300_000);
    world.sh(&format!("seq {count} | klog produce n")).ok();
    let flags = ["pipeline", "run", "--from", "n", "--to", "out", "--jq", ". + 0", "-g", "g"];
    let mut said = String::new();
    for round in 0..4 {
        let run = world.klog(&flags).spawn();
        std::thread::sleep(Duration::from_millis(60 + 40 * round));
        run.signal(Signal::SIGTERM);
        let done = run.done();
        assert_eq!(done.status, 143, "{}", done.stderr_text());
        said += &done.stderr_text();
    }
    world.klog(&[&flags[..], &["--once"]].concat()).ok();
    let out = world.klog(&["consume", "out", "-e"]).ok();
    let wrong = out.lines().zip(1..).find(|(line, number)| *line != number.to_string());
    assert_eq!(
        (wrong, out.lines().count()),
        (None, count as usize),
        "not each number once, in order\n{said}"
    );
}

#[test]
fn the_example_of_the_readme_runs() {
    let world = World::new();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/sales/run.sh");
    let out = world.sh(&format!("KLOG={} {}", env!("CARGO_BIN_EXE_klog"), script.display())).ok();
    let wanted = std::fs::read_to_string(script.with_file_name("expected.jsonl")).unwrap();
    assert!(out.contains(&wanted), "{out}");
    assert!(out.contains("klog.error=cannot calculate"), "{out}");
}

#[test]
fn what_is_wrong_is_pointed_at() {
    let world = World::new();
    let run = |arguments: &[&str]| {
        let done = world.klog(&[&["pipeline"], arguments].concat()).done();
        (done.status, done.stderr_text())
    };
    let (status, said) = run(&["run", "--from", "a", "--to", "b", "--jq", ".a | nope(.b)"]);
    assert_eq!(
        (status, said.lines().nth(1), said.lines().nth(2)),
        (2, Some("  .a | nope(.b)"), Some("       ^^^^"))
    );
    assert!(said.starts_with("klog: --jq: ") && said.contains("nope"), "{said}");
    std::fs::write(world.path("p.toml"), "from = 'a'\nto = 'b'\n[[step]]\njq = '.a | '\n").unwrap();
    let (status, said) = run(&["check", "p.toml"]);
    assert_eq!(status, 2);
    assert!(said.starts_with("klog: p.toml:4:"), "{said}");
    std::fs::write(world.path("q.toml"), "from = 'a'\nto = 'b'\non_eror = 'skip'\n").unwrap();
    let (status, said) = run(&["run", "q.toml"]);
    assert_eq!(status, 2);
    assert!(said.starts_with("klog: q.toml:3:1: unknown key on_eror"), "{said}");
    for (arguments, status, wanted) in [
        (&["run"][..], 2, "there is no pipeline"),
        (&["run", "--from", "a"], 2, "no sink"),
        (&["run", "--from", "a", "--to", "a"], 2, "never ends"),
        (&["run", "--from", "a", "--to", "b/c"], 2, "no topic"),
        (&["run", "--from", "-", "--to", "b", "-g", "g"], 2, "stdin has no position"),
        (&["run", "--from", "(", "--regex", "--to", "b"], 2, "no regular expression"),
        (&["run", "--from", "a", "--to", "b", "--on-error", "x"], 2, "none of stop"),
        (&["run", "none.toml"], 3, "none.toml"),
        (&["run", "--from", "none", "--to", "b", "--once"], 3, "no topic none"),
        (&["run", "--from", "no.*", "--regex", "--to", "b", "--once"], 3, "no topic matches"),
        (&["test", "p2.toml"], 3, "p2.toml"),
    ] {
        let (found, said) = run(arguments);
        assert!(found == status && said.contains(wanted), "{arguments:?}: {found} {said}");
    }
}

#[test]
fn check_explain_and_test_need_no_broker() {
    let world = World::new();
    let text = "from = 'a'\nto = 'b'\n[[step]]\njq = '.x'\n[[test]]\nname = 'one'\ngiven = '{\"x\":1}'\nexpect = ['1']\n\
                [[test]]\nname = 'two'\ngiven = '{\"x\":2}'\nexpect = ['3']\n";
    std::fs::write(world.path("p.toml"), text).unwrap();
    assert_eq!(world.klog(&["pipeline", "check", "p.toml"]).ok(), "");
    let drawn = world.klog(&["pipeline", "explain", "p.toml"]).ok();
    assert!(drawn.starts_with("  from         a\n│ 1 jq         .x\n▼ to           b\n"), "{drawn}");
    let tested = world.klog(&["pipeline", "test", "p.toml"]).done();
    assert_eq!(tested.status, 1);
    assert_eq!(
        tested.stdout_text(),
        "ok      one\nfailed  two\n        expected 3\n        came     2 to b\n"
    );
    assert!(world.daemon_pid().is_none());
}

#[test]
fn keys_headers_and_times_are_carried_and_deletions_too() {
    let world = World::new();
    let flags = ["-K", ":", "-H", "a=1", "-H", "b", "--timestamp", "2024-10-27T03:33:20Z", "-Z"];
    let produce = [&["produce", "in"], &flags[..]].concat();
    world.klog(&produce).stdin("k:{\"v\":1}\nk:\nl:{\"v\":2}\n").ok();
    let run = |to: &str, status: i32, more: &[&str]| {
        let flags = [&["pipeline", "run", "--once", "--from", "in", "--to", to], more].concat();
        let done = world.klog(&flags).done();
        assert_eq!(done.status, status, "{}", done.stderr_text());
        world.klog(&["consume", to, "-e", "-f", "%d %k %V %v %h{%k[%V]%v;}\\n"]).ok()
    };
    assert_eq!(
        run("same", 0, &["--jq", "."]),
        "1730000000000 k 7 {\"v\":1} a[1]1;b[-1];\n\
         1730000000000 k -1  a[1]1;b[-1];\n\
         1730000000000 l 7 {\"v\":2} a[1]1;b[-1];\n"
    );
    // The deletion has no value to take a key from.
    let keyed = ["--where", ".v > 1", "--jq", ".v, .v * 2", "--key-jq", "tostring", "--on-error", "skip"];
    assert_eq!(
        run("keyed", 6, &keyed),
        "1730000000000 2 1 2 a[1]1;b[-1];\n1730000000000 4 1 4 a[1]1;b[-1];\n"
    );
}

#[test]
fn a_bad_record_stops_the_pipeline_before_it_until_it_is_told_otherwise() {
    let world = World::new();
    world.klog(&["produce", "in"]).stdin("1\n2\nbad\n4\n").ok();
    let flags = ["pipeline", "run", "--once", "--from", "in", "--to", "out", "--jq", ". * 10", "-g", "g"];
    for _ in 0..2 {
        let done = world.klog(&flags).done();
        assert_eq!(done.status, 1);
        assert!(done.stderr_text().contains("in-0@2"), "{}", done.stderr_text());
        assert_eq!(world.klog(&["consume", "out", "-e"]).ok(), "10\n20\n");
    }
    let lag = world.klog(&["group", "lag", "g", "-o", "tsv"]).ok();
    assert!(lag.contains("\t2\t0\t4\t2\t"), "{lag}");
    let skipping = world.klog(&[&flags[..], &["--on-error", "skip"]].concat()).done();
    assert_eq!(skipping.status, 6);
    assert_eq!(world.klog(&["consume", "out", "-e"]).ok(), "10\n20\n40\n");
}

#[test]
fn routes_lead_to_several_topics_and_stdout() {
    let world = World::new();
    let text = "from = 'in'\nto = 'rest'\n[[step]]\nroute = [{ when = '. > 8', to = 'high' }, { when = '. < 3', to = '-' }]\n";
    std::fs::write(world.path("p.toml"), text).unwrap();
    world.sh("seq 10 | klog produce in").ok();
    assert_eq!(world.klog(&["pipeline", "run", "p.toml", "--once"]).ok(), "1\n2\n");
    assert_eq!(world.klog(&["consume", "high", "-e"]).ok(), "9\n10\n");
    assert_eq!(world.klog(&["consume", "rest", "-e"]).ok(), "3\n4\n5\n6\n7\n8\n");
}

#[test]
fn stdin_and_stdout_make_a_filter_of_it() {
    let world = World::new();
    let out = world.sh("seq 100000 | klog pipeline run --from - --to - --jq 'select(. % 50000 == 0)'").ok();
    assert_eq!(out, "50000\n100000\n");
    assert_eq!(world.sh("printf '' | klog pipeline run --from - --to -").ok(), "");
    let done =
        world.sh("printf '1\\nx\\n3' | klog pipeline run --from - --to - --jq . --on-error dlq=bad").done();
    assert_eq!((done.status, done.stdout_text().as_str()), (6, "1\n3\n"));
    let why = world.klog(&["consume", "bad", "-e", "-f", "%v %h{%k=%v;}"]).ok();
    assert!(why.starts_with("x ") && why.contains("klog.topic=-;klog.partition=0;klog.offset=2;"), "{why}");
    // What the reader of stdout did not take is not committed.
    let script = "seq 100000 | klog produce n; klog pipeline run --from n --to - --jq . | head -1; \
                  klog pipeline run --from n --to - --jq . --once | wc -l";
    let out = world.sh(script).ok();
    let (first, rest) = out.split_once('\n').unwrap();
    assert_eq!(first, "1");
    assert!((99_999..=100_000).contains(&rest.trim().parse().unwrap()), "{rest}");
}

#[test]
fn topics_by_pattern_and_members_that_share_the_work() {
    let world = World::new();
    world
        .sh("for t in eu us; do klog topic create sales-$t -p 2; seq 1000 | klog produce sales-$t; done")
        .ok();
    world.sh("seq 5 | klog produce other").ok();
    let flags = ["pipeline", "run", "--from", "sales-.*", "--regex", "--to", "out", "--jq", ".", "-g", "g"];
    let two = [world.klog(&flags).spawn(), world.klog(&flags).spawn()];
    let lines = || world.klog(&["consume", "out", "-e"]).done().stdout_text().lines().count();
    until("everything is carried", || lines() >= 2000);
    world.sh("seq 1001 3000 | klog produce sales-us --partitioner round-robin").ok();
    until("what came later too", || lines() >= 4000);
    for member in two {
        member.signal(Signal::SIGINT);
        assert_eq!(member.done().status, 130);
    }
    let mut found: BTreeMap<String, u32> = BTreeMap::new();
    for line in world.klog(&["consume", "out", "-e"]).ok().lines() {
        *found.entry(line.to_owned()).or_default() += 1;
    }
    assert_eq!(found.len(), 3000);
    assert!((1..=1000).all(|n| found[&n.to_string()] >= 2));
}

#[test]
fn hostile_values_do_not_hold_up_the_good_ones() {
    let world = World::new();
    let mut input = Vec::new();
    let hostile: Vec<Vec<u8>> = vec![
        "[".repeat(100_000).into_bytes(),
        format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000)).into_bytes(),
        format!("[{}]", "9".repeat(10_000)).into_bytes(),
        format!("-{}.{}e{}", "1".repeat(10_000), "7".repeat(10_000), "3".repeat(10_000)).into_bytes(),
        b"\"\xff\xfe\"".to_vec(),
        b"\"\\ud800\"".to_vec(),
        b"{\"a\":\xc3}".to_vec(),
        b"\0\0\0".to_vec(),
        b"NaN".to_vec(),
        b"{\"a\":1,}".to_vec(),
        format!("\"{}\"", "\\u0000".repeat(10_000)).into_bytes(),
    ];
    let rounds = many(5_000).min(100_000) / 100;
    let mut good = 0;
    for round in 0..rounds {
        for value in hostile.iter().skip(if round % 50 == 0 { 0 } else { 2 }) {
            input.extend_from_slice(value);
            input.push(b'\n');
        }
        good += 1;
        input.extend_from_slice(format!("{{\"good\":{good}}}\n").as_bytes());
    }
    world.klog(&["produce", "in"]).stdin(input).ok();
    let flags = ["pipeline", "run", "--once", "--from", "in", "--to", "out", "--on-error", "dlq=bad"];
    let jq = "if type == \"object\" then .good elif type == \"array\" or type == \"number\" or type == \"string\" \
              then empty else error end";
    let done = world.klog(&[&flags[..], &["--jq", jq]].concat()).done();
    assert_eq!(done.status, 6, "{}", done.stderr_text());
    let out = world.klog(&["consume", "out", "-e"]).ok();
    assert!(out.lines().eq((1..=good).map(|n| n.to_string())), "not every good one came through");
    let bad = world.klog(&["consume", "bad", "-e"]).ok().lines().count();
    assert!(bad >= rounds as usize * 5, "{bad}");
}

#[test]
fn a_filter_that_never_ends_is_ended_by_a_signal_and_what_was_before_it_is_kept() {
    let world = World::new();
    world.klog(&["produce", "in"]).stdin("1\n2\n\"turn\"\n4\n").ok();
    let jq = "if . == \"turn\" then def f: f; f else . end";
    let run = world.klog(&["pipeline", "run", "--from", "in", "--to", "out", "--jq", jq, "-g", "g"]).spawn();
    until("the first two came", || world.klog(&["consume", "out", "-e"]).done().stdout_text() == "1\n2\n");
    let begun = Instant::now();
    run.signal(Signal::SIGTERM);
    assert_eq!(run.done().status, 143);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    let lag = world.klog(&["group", "lag", "g", "-o", "tsv"]).ok();
    assert!(lag.contains("\t2\t0\t4\t2\t"), "{lag}");
    // Another filter, in the same group, goes on at that very record.
    world.klog(&["pipeline", "run", "--once", "--from", "in", "--to", "out", "--jq", ".", "-g", "g"]).ok();
    assert_eq!(world.klog(&["consume", "out", "-e"]).ok(), "1\n2\n\"turn\"\n4\n");
}

#[test]
fn results_too_large_or_too_many_are_bad_records() {
    let world = World::new();
    world.klog(&["topic", "create", "small", "-c", "max.message.bytes=2000"]).ok();
    world.klog(&["produce", "in"]).stdin("10\n5000\n20\n").ok();
    let flags = ["pipeline", "run", "--once", "--from", "in", "--on-error", "dlq=bad"];
    let run = |to: &str, jq: &str| world.klog(&[&flags[..], &["--to", to, "--jq", jq]].concat()).done();
    assert_eq!(run("small", "\"x\" * .").status, 6);
    assert_eq!(world.klog(&["consume", "small", "-e", "-f", "%S\\n"]).ok(), "12\n22\n");
    let endless = run("out", "if . == 5000 then range(infinite) else . end");
    assert_eq!(endless.status, 6, "{}", endless.stderr_text());
    assert_eq!(world.klog(&["consume", "out", "-e"]).ok(), "10\n20\n");
    let why = world.klog(&["consume", "bad", "-e", "-f", "%v %h{%k=%v;}\\n"]).ok();
    assert_eq!(why.lines().count(), 2, "{why}");
    assert!(why.lines().all(|line| line.starts_with("5000 ")), "{why}");
}

#[test]
fn once_carries_everything_also_when_a_member_comes_and_goes() {
    let world = World::new();
    world.klog(&["topic", "create", "n", "-p", "4"]).ok();
    world.sh("seq 200000 | klog produce n --partitioner round-robin").ok();
    let fast = ["-X", "heartbeat.interval.ms=100", "-X", "session.timeout.ms=6000"];
    // It takes its time, so that it is not done with its own share while another has the rest.
    let slow = "reduce range(100) as $n (.; .)";
    let flags = ["pipeline", "run", "--from", "n", "--to", "out", "--jq", slow, "-g", "g"];
    let flags = [&flags[..], &fast].concat();
    let once = world.klog(&[&flags[..], &["--once"]].concat()).spawn();
    for _ in 0..3 {
        let other = world.klog(&flags).spawn();
        std::thread::sleep(Duration::from_millis(150));
        other.signal(Signal::SIGTERM);
        assert_eq!(other.done().status, 143);
    }
    let done = once.done();
    assert_eq!(done.status, 0, "{}", done.stderr_text());
    let lag = world.klog(&["group", "lag", "g", "-o", "tsv"]).ok();
    assert!(lag.lines().skip(1).all(|line| line.split('\t').nth(6) == Some("0")), "{lag}");
    let out = world.klog(&["consume", "out", "-e"]).ok();
    let found: std::collections::BTreeSet<&str> = out.lines().collect();
    assert_eq!(found.len(), 200_000);
}

#[test]
fn a_reader_that_leaves_late_ends_it_too_and_commits_nothing_more() {
    let world = World::new();
    world.sh("seq 1000 | klog produce n").ok();
    let script = "klog pipeline run -q --from n --to - --once --jq . -g g | (sleep 1; head -1); klog group lag g -o tsv";
    let out = world.sh(script).ok();
    let mut lines = out.lines();
    assert_eq!(lines.next(), Some("1"));
    assert!(!out.contains("\t1000\t0\t1000\t0\t"), "{out}");
}

#[test]
fn a_pattern_never_means_a_sink() {
    let world = World::new();
    for sinks in [&["--to", "sales-out"][..], &["--to", "x", "--on-error", "dlq=sales-bad"]] {
        let done =
            world.klog(&[&["pipeline", "run", "--from", "sales-.*", "--regex"], sinks].concat()).done();
        assert_eq!(done.status, 2);
        assert!(done.stderr_text().contains("never ends"), "{}", done.stderr_text());
    }
}

#[test]
fn a_group_that_begins_at_the_end_goes_on_from_there() {
    let world = World::new();
    let run = || {
        world
            .klog(&["pipeline", "run", "--from", "n", "--to", "out", "--once", "--reset", "end", "-g", "g"])
            .ok()
    };
    world.sh("seq 1 5 | klog produce n").ok();
    run();
    world.sh("seq 6 10 | klog produce n").ok();
    run();
    assert_eq!(world.klog(&["consume", "out", "-e"]).ok(), "6\n7\n8\n9\n10\n");
}

#[test]
fn division_by_zero_is_a_bad_record_as_in_jq() {
    let world = World::new();
    let input = "{\"a\":6,\"b\":3}\n{\"a\":1,\"b\":0}\n{\"a\":0,\"b\":0}\n{\"a\":9,\"b\":3}\n";
    for jq in [".a / .b", ". as $x | $x.a / $x.b", ".a % .b | . * 1", ".a /= .b | .a"] {
        let flags = ["pipeline", "run", "--from", "-", "--to", "-", "--on-error", "skip", "--jq", jq];
        let done = world.klog(&flags).stdin(input).done();
        assert_eq!((done.status, done.stdout_text().lines().count()), (6, 2), "{jq}: {}", done.stdout_text());
        assert!(
            done.stderr_text().contains("2 of 4") && done.stderr_text().contains("zero"),
            "{}",
            done.stderr_text()
        );
    }
}

#[test]
fn what_came_before_a_bad_record_reaches_a_slow_reader() {
    let world = World::new();
    let script = "(seq 200000; echo bad) | klog pipeline run --from - --to - --jq . | (sleep 1; wc -l)";
    assert_eq!(world.sh(script).ok().trim(), "200000");
}
