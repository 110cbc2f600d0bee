//! The command line's house: exit codes and messages, config, and the daemon's comings and goings.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};

use super::{World, until};

/// Arguments, exit code, the whole of stdout, and parts of stderr.
type Case = (&'static str, i32, &'static str, &'static [&'static str]);

/// What needs no daemon. `{}` is the world's folder.
const CASES: &[Case] = &[
    ("--version", 0, concat!("klog ", env!("CARGO_PKG_VERSION"), "\n"), &[]),
    ("-V", 0, concat!("klog ", env!("CARGO_PKG_VERSION"), "\n"), &[]),
    ("topci", 2, "", &["klog: unrecognized subcommand 'topci'\n", "did you mean topic?", "klog --help"]),
    ("produc", 2, "", &["did you mean produce?"]),
    ("topic lst", 2, "", &["unrecognized subcommand 'lst'", "did you mean list?", "klog topic --help"]),
    ("topic list --internl", 2, "", &["unexpected argument '--internl'", "did you mean --internal?"]),
    ("topic create", 2, "", &["required", "<NAME>", "see: klog topic create --help"]),
    (
        "topic list -o xml",
        2,
        "",
        &["invalid value 'xml' for '--output <FORMAT>'", "table, json, jsonl, tsv, name"],
    ),
    ("topic create t -p 0", 2, "", &["invalid value '0' for '--partitions <N>'"]),
    ("topic create t -c nonsense", 2, "", &["-c nonsense: found no '='", "-c key=value"]),
    ("topic create a/b", 2, "", &["the topic name holds '/'", "choose another name"]),
    ("-X nonsense topic list", 2, "", &["-X nonsense: found no '='"]),
    ("-X no.such=1 topic list", 2, "", &["no.such", "(from flag -X)"]),
    ("-b nonsense topic list", 2, "", &["\"nonsense\" (from flag -b) is no broker address"]),
    ("-b 127.0.0.1:1 topic list", 7, "", &["127.0.0.1:1", "refused", "check the address"]),
    ("-b unix:{}/nobody topic list", 7, "", &["/nobody", "check the address"]),
    (
        "--no-autostart topic list",
        7,
        "",
        &["no daemon is running for", "flag --no-autostart", "klog broker start"],
    ),
    ("-b 127.0.0.1:1 broker stop", 2, "", &["-b 127.0.0.1:1: broker commands act on", "name it with --data"]),
    ("broker config --broker 127.0.0.1:1", 2, "", &["act on the daemon of a data folder"]),
    ("produce --txn orders", 2, "", &["<TOPIC>", "write TOPIC before --txn, or --txn=ID"]),
    ("produce --txn", 2, "", &["<TOPIC>", "see: klog produce --help"]),
    (
        "acl add bob --deny all --topic * --prefixed",
        2,
        "",
        &["'*'", "leave --prefixed out: '*' stands for all"],
    ),
    ("-X enable.auto.commit=no topic list", 2, "", &["enable.auto.commit=no", "true, false"]),
    ("broker status", 7, "", &["no daemon is running for", "klog broker start"]),
    ("broker stop", 0, "", &["no daemon is running"]),
    ("broker stop -q", 0, "", &[]),
    ("broker logs", 3, "", &["there is no log in"]),
    ("broker run -c no.such=1", 2, "", &["no.such", "(from flag -c)", "klog broker config"]),
    ("broker run -c num.partitions", 2, "", &["-c num.partitions: found no '='"]),
    ("broker run --listen nonsense", 2, "", &["listener \"nonsense\""]),
    ("broker start -c no.such=1", 2, "", &["the daemon does not start", "no.such"]),
    ("broker run -c log.dirs=/x", 2, "", &["the data folder is not set here", "--data DIR"]),
    ("-F {}/missing.toml config show", 3, "", &["missing.toml: no such file or directory"]),
    ("--profile p config show", 2, "", &["no profile \"p\" (from flag --profile): there is no config file"]),
    ("completions tcsh", 2, "", &["invalid value 'tcsh'", "bash, zsh, fish"]),
];

#[test]
fn arguments_to_exit_code_and_words() {
    let world = World::new();
    let folder = world.path("").display().to_string();
    let mut wrong = Vec::new();
    for (line, status, stdout, parts) in CASES {
        let line = line.replace("{}", folder.trim_end_matches('/'));
        let arguments: Vec<&str> = line.split_whitespace().collect();
        let done = world.klog(&arguments).done();
        let stderr = done.stderr_text();
        let missing: Vec<_> = parts.iter().filter(|part| !stderr.contains(**part)).collect();
        let is_right = done.status == *status
            && done.stdout_text() == *stdout
            && stderr.is_empty() == parts.is_empty()
            && stderr.lines().count() <= 2
            && missing.is_empty();
        if !is_right {
            let stdout = done.stdout_text();
            wrong.push(format!(
                "klog {line}\n  exit {}, missing {missing:?}\n  stdout {stdout:?}\n{stderr}",
                done.status
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(!world.data().exists(), "nothing of this needed the data folder");
}

#[test]
fn help_is_data_and_says_how_to_begin() {
    let world = World::new();
    let help = world.klog(&["--help"]).ok();
    for part in
        ["klog produce", "klog consume", "the exit code is the truth:\n  0  done", "--broker", "Commands:"]
    {
        assert!(help.contains(part), "no {part} in\n{help}");
    }
    let bare = world.klog::<&str>(&[]).done();
    assert_eq!(bare.status, 2);
    assert!(bare.stdout.is_empty(), "without a command nothing is data");
    assert!(bare.stderr_text().contains("Usage: klog"));
}

#[test]
fn a_closed_stdout_is_no_error() {
    let world = World::new();
    let done = world.sh("klog completions bash | true; echo ${PIPESTATUS[0]}").done();
    assert_eq!((done.stdout_text().as_str(), done.stderr_text().as_str()), ("0\n", ""));
    let done = world.sh("klog --help >&-; echo $?").done();
    assert_eq!(done.stderr_text(), "");
}

#[test]
fn config_errors_name_file_and_line() {
    let world = World::new();
    for (text, part) in [
        ("autostart = true\nprofile = 3\n", "config.toml:2: profile is integer"),
        ("[broker\n", "config.toml:1: "),
        ("[broker]\n\"num.partitons\" = 3\n", "config.toml:2)"),
        ("\nfoo = 1\n", "config.toml:2"),
        ("[profiles.p]\nbroker = \"h:1\"\nno_such = 1\n", "config.toml:3"),
        ("[profiles.p]\nbroker = \"h\"\n", "config.toml:2) is no broker address"),
    ] {
        world.config(text);
        let profile = if text.contains("profiles") { ["--profile", "p"] } else { ["-X", "client.id=x"] };
        let done = world.klog(&[&profile[..], &["broker", "config"]].concat()).done();
        assert_eq!(done.status, 2, "{text}\n{}", done.stderr_text());
        assert!(done.stderr_text().contains(part), "{text}\n{}", done.stderr_text());
    }
}

#[test]
fn the_settings_of_the_daemon_are_a_table_in_every_format() {
    let world = World::new();
    let shown = world.klog(&["broker", "config", "num.part*", "-o", "tsv", "-c", "num.partitions=7"]).ok();
    assert!(
        shown.lines().next().unwrap().starts_with("setting\tvalue\tkafka_default\teffect\tdefault\t"),
        "{shown}"
    );
    assert!(shown.contains("num.partitions\t7\t1\thonoured\t1\t"), "{shown}");
    assert!(world.klog(&["broker", "config", "num.part*"]).ok().contains("honoured"));
}

#[test]
fn config_show_tells_where_values_come_from() {
    let world = World::new();
    world.config("profile = \"p\"\n[profiles.p]\nbroker = \"h:1\"\n\"client.id\" = \"me\"\n");
    let shown = world.klog(&["config", "show", "-o", "tsv", "-X", "request.timeout.ms=7"]).ok();
    let file = world.path("home/.config/klog/config.toml");
    let file = file.display();
    for line in [
        format!("broker\th:1\t{file}:3"),
        format!("data\t{}\tvariable KLOG_DATA", world.data().display()),
        "autostart\ttrue\tdefault".to_owned(),
        format!("config\t{file}\tdefault"),
        format!("profile\tp\t{file}:1"),
        format!("client.id\tme\t{file}:4"),
        "request.timeout.ms\t7\tflag -X".to_owned(),
    ] {
        assert!(shown.lines().any(|found| found == line), "no {line:?} in\n{shown}");
    }
    let beaten = world.klog(&["config", "show", "-o", "tsv", "-b", "f:2"]).env("KLOG_BROKER", "v:2").ok();
    assert!(beaten.contains("broker\tf:2\tflag -b\n"), "{beaten}");
}

#[test]
fn a_command_starts_the_daemon_and_the_next_one_meets_it() {
    let world = World::new();
    world.klog(&["topic", "create", "t", "-q"]).ok();
    let first = world.daemon_pid().unwrap();
    assert_eq!(world.klog(&["topic", "list", "-o", "name"]).ok(), "t\n");
    assert_eq!(world.daemon_pid(), Some(first));
    let mode = |name: &str| fs::metadata(world.data().join(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(""), mode("klog.sock"), mode("klog.log")), (0o700, 0o600, 0o600));
    let log = world.klog(&["broker", "logs"]).ok();
    assert!(log.contains("listening on unix:"), "{log}");
}

#[test]
fn the_daemon_leaves_its_parent_behind() {
    let world = World::new();
    // The substitution ends only when nobody holds its pipe, the loop's descriptor 9 included.
    let done = world.sh("x=$(klog topic create t 9>&1); echo \"[$x]\"").done();
    assert_eq!((done.status, done.stdout_text().as_str()), (0, "[]\n"), "{}", done.stderr_text());
    let pid = world.daemon_pid().unwrap();
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    assert_eq!(fields[3], pid.to_string(), "its session is its own");
    assert_eq!(fields[4], "0", "it has no terminal");
    assert_eq!(fs::read_to_string(format!("/proc/{pid}/comm")).unwrap(), "klog\n");
    assert_eq!(fs::read_link(format!("/proc/{pid}/cwd")).unwrap().to_str(), Some("/"));
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert!(status.contains("Umask:\t0077"), "{status}");
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap();
    assert!(!String::from_utf8_lossy(&environment).contains("KLOG_"));
}

#[test]
fn ignored_signals_are_default_again_in_the_daemon() {
    let world = World::new();
    world.sh("trap '' INT HUP TERM USR1; klog topic create t -q").ok();
    let pid = world.daemon_pid().unwrap();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap().trim();
    let ignored = u64::from_str_radix(ignored, 16).unwrap();
    for signal in [Signal::SIGINT, Signal::SIGHUP, Signal::SIGTERM, Signal::SIGUSR1] {
        assert_eq!(ignored >> (signal as i32 - 1) & 1, 0, "{signal} is ignored");
    }
}

#[test]
fn twenty_at_once_meet_one_daemon() {
    let world = World::new();
    let started: Vec<_> =
        (0..20).map(|n| world.klog(&["topic", "create", &format!("t{n}"), "-q"]).spawn()).collect();
    for one in started {
        let done = one.done();
        assert_eq!((done.status, done.stderr_text().as_str()), (0, ""), "a loser is silent");
    }
    assert_eq!(world.klog(&["topic", "list", "-o", "name"]).ok().lines().count(), 20);
    let log = world.klog(&["broker", "logs"]).ok();
    assert_eq!(log.matches("listening on unix:").count(), 1, "{log}");
}

#[test]
fn a_killed_daemons_socket_is_in_nobodys_way() {
    let world = World::new();
    world.klog(&["topic", "create", "t", "-q"]).ok();
    let pid = world.daemon_pid().unwrap();
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    until("the daemon is gone", || world.daemon_pid().is_none());
    assert!(world.data().join("klog.sock").exists());
    assert_eq!(world.klog(&["topic", "list", "-o", "name"]).ok(), "t\n");
    assert_ne!(world.daemon_pid(), Some(pid));
}

#[test]
fn a_second_daemon_is_refused_and_told_who_holds_the_folder() {
    let world = World::new();
    world.klog(&["broker", "start"]).ok();
    let pid = world.daemon_pid().unwrap();
    for arguments in [&["broker", "run"][..], &["broker", "start"]] {
        let done = world.klog(arguments).done();
        assert_eq!(done.status, 1, "{arguments:?}");
        assert!(done.stderr_text().contains(&format!("process {pid}")), "{}", done.stderr_text());
    }
}

#[test]
fn start_prints_addresses_and_restart_keeps_the_flags() {
    let world = World::new();
    let started = world.klog(&["broker", "start", "--listen", "127.0.0.1:0", "-c", "num.partitions=3"]).ok();
    let addresses: Vec<&str> = started.lines().collect();
    assert_eq!(addresses[0], format!("unix:{}", world.data().join("klog.sock").display()));
    assert!(addresses[1].starts_with("127.0.0.1:") && !addresses[1].ends_with(":0"), "{started}");
    let over_tcp = world.klog(&["-b", addresses[1], "topic", "create", "t", "-o", "tsv"]).ok();
    assert!(over_tcp.lines().nth(1).unwrap().starts_with("t\t3\t1\t"), "{over_tcp}");
    let before = world.daemon_pid();
    let restarted = world.klog(&["broker", "restart"]).ok();
    assert_eq!(restarted.lines().count(), 2, "{restarted}");
    assert_ne!(world.daemon_pid(), before);
    let status = world.klog(&["broker", "status", "-o", "json"]).ok();
    assert!(status.contains("\"version\":\"") && status.contains("\"addresses\":[\"unix:"), "{status}");
    world.klog(&["broker", "stop"]).ok();
    assert_eq!(world.klog(&["broker", "status"]).done().status, 7);
    assert!(!world.data().join("klog.sock").exists() && !world.data().join("klog-daemon").exists());
}

#[test]
fn a_daemon_in_the_foreground_logs_to_stderr_and_ends_well() {
    // What was ignored when the tests began (nohup) stays ignored.
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    let ignored = u64::from_str_radix(ignored.trim(), 16).unwrap();
    let heard = |signal: &Signal| ignored >> (*signal as i32 - 1) & 1 == 0;
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().filter(heard) {
        let world = World::new();
        let daemon = world.klog(&["broker", "run", "--log-format", "json"]).spawn();
        until("it listens", || world.klog(&["broker", "status"]).done().status == 0);
        daemon.signal(signal);
        let done = daemon.done();
        let stderr = done.stderr_text();
        assert_eq!((done.status, done.stdout.len()), (0, 0), "{stderr}");
        assert!(stderr.lines().all(|line| line.starts_with('{')), "{stderr}");
        assert!(stderr.contains("listening on unix:") && stderr.contains("\"stopped\""), "{stderr}");
        assert!(!world.data().join("klog.log").exists());
    }
}

#[test]
fn a_daemon_of_another_version_is_mentioned_once() {
    let world = World::new();
    world.klog(&["broker", "start"]).ok();
    let path = world.data().join("klog-daemon");
    let text = fs::read_to_string(&path).unwrap();
    let line = text.lines().next().unwrap().replace(env!("CARGO_PKG_VERSION"), "0.0.1");
    fs::write(&path, format!("{line}\n{:08x}\n", crc32fast::hash(line.as_bytes()))).unwrap();
    let done = world.klog(&["topic", "list"]).done();
    assert_eq!(done.stderr_text().matches("the daemon is klog 0.0.1").count(), 1, "{}", done.stderr_text());
    assert!(done.stderr_text().contains("klog broker restart"));
    assert_eq!(world.klog(&["topic", "list", "-q"]).done().stderr_text(), "");
}

#[test]
fn a_folder_that_is_not_klogs_is_refused_untouched() {
    let world = World::new();
    fs::create_dir(world.data()).unwrap();
    fs::write(world.data().join("thesis.txt"), "precious").unwrap();
    for (arguments, status) in
        [(&["topic", "list"][..], 7), (&["broker", "start"], 1), (&["broker", "run"], 1)]
    {
        let done = world.klog(arguments).done();
        assert_eq!(done.status, status, "{}", done.stderr_text());
        assert!(done.stderr_text().contains("thesis.txt"), "{}", done.stderr_text());
        assert!(done.stderr_text().contains("--data"), "{}", done.stderr_text());
    }
    let left: Vec<_> = fs::read_dir(world.data()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["thesis.txt"]);
}

#[test]
fn root_starts_no_daemon_in_another_users_folder() {
    if !Uid::effective().is_root() {
        return;
    }
    let world = World::new();
    fs::create_dir(world.data()).unwrap();
    nix::unistd::chown(&world.data(), Some(Uid::from_raw(12345)), None).unwrap();
    for arguments in [&["topic", "list"][..], &["broker", "start"], &["broker", "run"]] {
        let done = world.klog(arguments).done();
        assert_eq!(done.status, 4, "{}", done.stderr_text());
        assert!(done.stderr_text().contains("belongs to 12345"), "{}", done.stderr_text());
    }
    // A folder still to be made within it is the other user's business too.
    let done = world.klog(&["topic", "list"]).env("KLOG_DATA", world.data().join("inner")).done();
    assert_eq!(done.status, 4, "{}", done.stderr_text());
    assert_eq!(fs::read_dir(world.data()).unwrap().count(), 0);
}

#[test]
fn a_daemon_that_can_not_start_says_why() {
    let world = World::new();
    world.config("[broker]\n\"num.partitions\" = \"many\"\n");
    let done = world.klog(&["topic", "list"]).done();
    assert_eq!(done.status, 7);
    let stderr = done.stderr_text();
    assert!(stderr.contains("num.partitions") && stderr.contains("config.toml:2"), "{stderr}");
}

#[test]
fn a_start_that_finds_its_port_taken_leaves_nothing_behind() {
    let world = World::new();
    world.sh("seq 10 | klog produce t").ok();
    world.klog(&["broker", "stop"]).ok();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().to_string();
    for command in ["run", "start"] {
        for flag in ["--listen", "--http"] {
            let done = world.klog(&["broker", command, flag, &port]).done();
            let stderr = done.stderr_text();
            assert_eq!(done.status, 1, "{command} {flag}: {stderr}");
            assert!(stderr.contains(&format!("cannot listen on {port}")), "{stderr}");
            for file in ["klog.sock", "klog-http.sock", "klog-daemon"] {
                assert!(!world.data().join(file).exists(), "{command} {flag}: {file}");
            }
        }
    }
    world.klog(&["broker", "start"]).ok();
    let status = world.klog(&["broker", "status", "-o", "json"]).ok();
    assert!(status.contains("\"warnings\":[]"), "the last stop was clean: {status}");
}

#[test]
fn the_config_file_sets_what_the_daemon_does() {
    let world = World::new();
    fs::write(world.path("server.properties"), "num.partitions=4\nlisteners=PLAINTEXT://:0\n").unwrap();
    let started = world.klog(&["broker", "start", "-F", "server.properties"]).ok();
    assert_eq!(started.lines().count(), 2, "{started}");
    let made = world.klog(&["topic", "create", "t", "-o", "tsv"]).ok();
    assert!(made.contains("t\t4\t1\t"), "{made}");
}

#[test]
fn a_deep_data_folder_works() {
    let world = World::new();
    let deep = world.path(&format!("{}/{}", "d".repeat(100), "e".repeat(100)));
    fs::create_dir_all(&deep).unwrap();
    let data = deep.join("data");
    let klog = |arguments: &[&str]| world.klog(arguments).env("KLOG_DATA", &data);
    klog(&["topic", "create", "t", "-q"]).ok();
    assert_eq!(klog(&["topic", "list", "-o", "name"]).ok(), "t\n");
    assert!(data.join("klog.sock").exists());
    klog(&["broker", "stop"]).ok();
}

#[test]
fn an_old_socket_or_link_at_the_address_is_replaced() {
    let world = World::new();
    world.klog(&["broker", "start"]).ok();
    world.klog(&["broker", "stop"]).ok();
    drop(UnixListener::bind(world.data().join("klog.sock")).unwrap());
    assert_eq!(world.klog(&["topic", "list"]).ok(), "");
    world.klog(&["broker", "stop"]).ok();
    symlink("/nowhere/at/all", world.data().join("klog.sock")).unwrap();
    assert_eq!(world.klog(&["topic", "list"]).ok(), "");
}

#[test]
fn topics_are_made_listed_described_and_deleted() {
    let world = World::new();
    let made = world.klog(&["topic", "create", "a", "b", "-p", "2", "-c", "flush.messages=1000"]).done();
    assert_eq!((made.status, made.stdout.len()), (0, 0));
    assert_eq!(
        made.stderr_text(),
        "klog: created topic a with 2 partitions\nklog: created topic b with 2 partitions\n"
    );
    let again = world.klog(&["topic", "create", "a"]).done();
    assert_eq!(again.status, 1);
    assert!(again.stderr_text().contains("topic a is there already"), "{}", again.stderr_text());
    assert_eq!(world.klog(&["topic", "create", "a", "--if-not-exists"]).done().status, 0);
    let odd = world.klog(&["topic", "create", "c", "-c", "no.such=1"]).done();
    assert_eq!(odd.status, 1, "{}", odd.stderr_text());
    assert_eq!(world.klog(&["topic", "list", "[b-z]*", "-o", "name"]).ok(), "b\n");
    let listed = world.klog(&["topic", "list", "-o", "jsonl"]).ok();
    assert!(
        listed.starts_with("{\"topic\":\"a\",\"partitions\":2,\"replicas\":1,\"internal\":false,\"id\":\""),
        "{listed}"
    );
    let described = world.klog(&["topic", "describe", "a"]).ok();
    assert!(described.contains("flush.messages is 1000: records are acknowledged"), "{described}");
    let json = world.klog(&["topic", "describe", "a", "-o", "json"]).ok();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[0]["partitions"].as_array().unwrap().len(), 2);
    assert_eq!(json[0]["partitions"][1]["end"], 0);
    let flush = json[0]["settings"].as_array().unwrap().iter().find(|one| one["name"] == "flush.messages");
    assert_eq!((&flush.unwrap()["value"], &flush.unwrap()["source"]), (&"1000".into(), &"topic".into()));
    assert_eq!(world.klog(&["topic", "delete", "a", "-q"]).done().status, 0);
    let missing = world.klog(&["topic", "delete", "bb"]).done();
    assert_eq!(missing.status, 3);
    assert_eq!(missing.stderr_text(), "klog: there is no topic bb\n  did you mean b?\n");
    assert_eq!(world.klog(&["topic", "delete", "bb", "--if-exists"]).done().status, 0);
    assert_eq!(world.klog(&["topic", "describe", "zebra"]).done().status, 3);
}

#[test]
fn groups_that_are_not_there() {
    let world = World::new();
    assert_eq!(world.klog(&["group", "list"]).ok(), "");
    assert_eq!(world.klog(&["group", "lag", "-o", "json"]).ok(), "[]\n");
    for arguments in [["group", "lag", "g"], ["group", "describe", "g"]] {
        let done = world.klog(&arguments).done();
        assert_eq!(done.status, 3, "{}", done.stderr_text());
        assert!(done.stderr_text().contains("there is no group g"), "{}", done.stderr_text());
    }
}

#[test]
fn names_complete_from_a_live_broker_and_never_start_one() {
    let world = World::new();
    let complete = |line: &[&str]| {
        let words: Vec<&str> = [&["--", "klog"][..], line].concat();
        world.klog(&words).env("COMPLETE", "fish").ok()
    };
    assert_eq!(complete(&["topic", "describe", "or"]), "");
    assert!(!world.data().exists());
    world.klog(&["topic", "create", "orders", "ordinary", "users", "-q"]).ok();
    assert_eq!(complete(&["topic", "describe", "or"]), "orders\nordinary\n");
    assert!(complete(&["topic", "cre"]).starts_with("create"));
}
