//! `klog segment` as its users run it: on a daemon's folders, live and stopped, on stdin, on damage, and what it never does.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{World, until};

/// A stopped data folder: `t` of two partitions with keys and several segments, `z` compressed.
fn stopped() -> World {
    let world = World::new();
    world
        .sh("set -e
            klog topic create t -q -p 2 -c segment.bytes=1048576
            seq 60000 | sed 's/.*/k&\\tvalue & with some more text to it/' | klog produce t -K '\\t' -p 0
            seq 5 | klog produce t -p 1
            for codec in gzip snappy lz4 zstd; do seq 1000 | klog produce z -z $codec; done
            klog broker stop -q")
        .ok();
    world
}

/// The segments of partition t-0, by their base offsets.
fn segments(world: &World) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(world.data().join("t-0"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    found.sort();
    assert!(found.len() > 2, "{found:?}");
    found
}

/// Every file below a folder with what is in it.
fn content(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(content(&path));
        } else if path.is_file() {
            found.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Arguments, exit code, and parts of stderr.
type Case = (&'static str, i32, &'static [&'static str]);

const CASES: &[Case] = &[
    ("segment lis x", 2, &["unrecognized subcommand 'lis'", "did you mean list?", "klog segment --help"]),
    ("segment dump nowhere", 3, &["can't read nowhere: no such file or directory", "check the path"]),
    ("segment verify nowhere/t-0", 3, &["no such file or directory"]),
    ("segment list empty", 0, &["empty holds no segments"]),
    ("segment verify empty", 3, &["empty holds no segments", "a data folder, a partition's folder"]),
    ("segment dump empty", 3, &["empty holds no segments"]),
    ("segment stat empty", 3, &["empty holds no segments"]),
    ("segment repair empty", 3, &["empty holds no segments"]),
    ("segment cut empty new -o 0:1", 3, &["empty holds no segments"]),
    ("segment cut data/t-0 empty -o 0:1", 1, &["empty is there already", "name one that is not"]),
    ("segment cut data new -o 0:1", 2, &["partitions", "name one of them"]),
    ("segment cut data/t-1 one.log -o 0:1", 1, &["one.index is there already", "name one that is not"]),
    (
        "segment cut data/t-1 00000000000000000003.log -o 1:3",
        2,
        &["the first record is 1", "00000000000000000001.log"],
    ),
    ("segment cut data/t-0 new -o x", 2, &["-o: \"x\" is no place", "klog segment cut --help"]),
    ("segment cut data/t-1 new -o 77:99", 9, &["no records in 77:99: nothing was written"]),
    ("segment dump data/t-1 -o 1:", 2, &["-o: \"1:\" is no place"]),
    ("segment dump data/t-1 --since soon", 2, &["--since: \"soon\" is no time"]),
    ("segment dump data/t-1 --grep x", 2, &["--grep: \"x\" is no condition", "h:NAME=RE"]),
    ("segment dump data/t-1 --grep v:(", 2, &["no regular expression"]),
    ("segment dump data/t-1 --grep v:nothing", 9, &[]),
    ("segment dump data/t-1 -f %q", 2, &["-f: %q is no verb"]),
    ("segment dump -o -5 -", 2, &["needs a file"]),
    ("segment repair data/t-1/00000000000000000000.log", 2, &["is no folder"]),
    ("segment verify home/../empty.log", 0, &["nothing wrong", "0 records"]),
    ("segment dump notes.txt", 8, &["notes.txt at 0: 12 bytes are no batch"]),
];

#[test]
fn arguments_to_exit_codes_and_words() {
    let world = stopped();
    fs::create_dir(world.path("empty")).unwrap();
    fs::write(world.path("empty.log"), "").unwrap();
    fs::write(world.path("notes.txt"), "milk, bread\n").unwrap();
    fs::write(world.path("one.index"), "").unwrap();
    for (line, status, parts) in CASES {
        let done = world.klog(&line.split(' ').collect::<Vec<_>>()).done();
        let stderr = done.stderr_text();
        assert_eq!((done.status, done.stdout_text().as_str()), (*status, ""), "{line}: {stderr}");
        for part in *parts {
            assert!(stderr.contains(part), "{line}: no {part:?} in {stderr}");
        }
    }
    assert!(!world.path("new").exists() && !world.path("00000000000000000003.log").exists());
    let index = segments(&world)[0].with_extension("index");
    let done = world.klog(&["segment", "dump", index.to_str().unwrap()]).done();
    assert_eq!(done.status, 2);
    assert!(done.stderr_text().contains("klog segment decode"), "{}", done.stderr_text());
}

#[test]
fn list_and_stat_count_what_there_is() {
    let world = stopped();
    let all = json(&world.klog(&["segment", "list", "data", "-o", "json"]).ok());
    let rows: Vec<&Value> = all.as_array().unwrap().iter().filter(|row| row["partition"] == "t-0").collect();
    assert_eq!(rows.len(), segments(&world).len());
    assert_eq!(rows[0]["base_offset"], 0);
    let mut due = 0;
    for row in &rows {
        assert_eq!(row["first_offset"], due);
        due = row["last_offset"].as_i64().unwrap() + 1;
        assert_eq!(row["records"].as_i64().unwrap(), due - row["base_offset"].as_i64().unwrap());
        assert!(row["first_time"].as_str().unwrap().ends_with('Z'));
    }
    assert_eq!(due, 60_000);
    assert_eq!((&rows[0]["state"], &rows[rows.len() - 1]["state"]), (&"closed".into(), &"active".into()));
    let names = world.klog(&["segment", "list", "data/t-1", "-o", "name"]).ok();
    assert_eq!(names, "data/t-1/00000000000000000000.log\n");
    let stat = json(&world.klog(&["segment", "stat", "data/t-0", "data/z-0", "-o", "json"]).ok());
    assert_eq!((&stat[0]["records"], &stat[0]["null_keys"]), (&60_000.into(), &0.into()));
    let keys = stat[0]["keys"].as_i64().unwrap();
    assert!((58_000..62_000).contains(&keys), "{keys}");
    assert_eq!(stat[1]["codecs"], serde_json::json!(["gzip", "snappy", "lz4", "zstd"]));
    assert_eq!((&stat[1]["records"], &stat[1]["keys"]), (&4000.into(), &0.into()));
    assert!(stat[1]["compression_ratio"].as_f64().unwrap() > 1.2, "{stat}");
    assert!(world.klog(&["segment", "stat", "data/t-1"]).ok().contains("records             5\n"));
}

#[test]
fn dump_gives_what_consume_gives() {
    let world = stopped();
    let same = |dump: &str, consume: &str| {
        let script = format!("cmp <(klog segment dump {dump}) <(klog consume {consume}) && echo same");
        assert_eq!(world.sh(&script).ok(), "same\n", "{dump}");
    };
    same("data/t-0 data/t-1", "t -e -p 0; klog consume t -e -p 1");
    same("data/t-0 -J", "t -e -p 0 -J");
    same("data/t-0 -f '%t %p %o %e %d %k %v\\n'", "t -e -p 0 -f '%t %p %o %e %d %k %v\\n'");
    same("data/z-0 -K=", "z -e -K=");
    same("data/t-0 -o 1000:1010", "t -e -p 0 -o 1000:1010");
    same("data/t-0 -o -7", "t -e -p 0 -o -7");
    same("data/t-0 -o 59990:end -D '|'", "t -e -p 0 -o 59990:end -D '|'");
    world.klog(&["broker", "stop", "-q"]).ok();
    let line = world.klog(&["segment", "dump", "data/t-0", "-J", "-o", "30000:30001"]).ok();
    let timestamp = json(&line)["timestamp"].to_string();
    let since = world.klog(&["segment", "dump", "data/t-0", "-f", "%o %d\\n", "--since", &timestamp]).ok();
    let first = since.lines().next().unwrap();
    assert_eq!(first.split(' ').nth(1).unwrap(), timestamp);
    let until = world.klog(&["segment", "dump", "data/t-0", "-f", "%o\\n", "--until", &timestamp]).ok();
    assert_eq!(until.lines().count() + since.lines().count(), 60_000);
    let found = world.klog(&["segment", "dump", "data/t-0", "--grep", "k:^k123$", "--grep", "!v:zzz"]).ok();
    assert_eq!(found, "value 123 with some more text to it\n");
    let three = world.klog(&["segment", "dump", "data/t-0", "data/t-1", "-n", "3", "-f", "%o,"]).ok();
    assert_eq!(three, "0,1,2,");
    let piped = world.sh("cat data/t-0/*0.log | klog segment dump - -f '%o\\n' -o 5:8").ok();
    assert_eq!(piped, "5\n6\n7\n");
}

#[test]
fn batches_have_the_fields_of_the_contract() {
    let world = stopped();
    let lines = world.klog(&["segment", "dump", "data/z-0", "--batches", "-J"]).ok();
    let first = json(lines.lines().next().unwrap());
    assert_eq!(
        (&first["base_offset"], &first["position"], &first["codec"]),
        (&0.into(), &0.into(), &"gzip".into())
    );
    assert_eq!((&first["valid"], &first["control"]), (&true.into(), &false.into()));
    let order = lines.lines().next().unwrap();
    let names = "base_offset last_offset count position size crc valid codec epoch producer_id producer_epoch sequence transactional control max_timestamp";
    let mut at = 0;
    for name in names.split(' ') {
        at += order[at..].find(&format!("\"{name}\":")).unwrap_or_else(|| panic!("{name} in {order}"));
    }
    let table = world.klog(&["segment", "dump", "data/z-0", "--batches"]).ok();
    assert_eq!(table.lines().next().unwrap(), names.replace(' ', "\t"));
    assert_eq!(table.lines().count(), lines.lines().count() + 1);
    // A damaged one is shown as such.
    let log = world.data().join("z-0/00000000000000000000.log");
    flip(&log, 100);
    let done = world.klog(&["segment", "dump", "data/z-0", "--batches", "-J", "-n", "1"]).done();
    assert_eq!((done.status, &json(&done.stdout_text())["valid"]), (8, &false.into()));
}

#[test]
fn a_dump_can_be_produced_again() {
    let world = stopped();
    let script = "set -e -o pipefail
        klog segment dump data/t-0 -J > before
        klog produce copy -J < before
        klog broker stop -q
        klog segment dump data/copy-0 -J | sed 's/\"topic\":\"copy\"/\"topic\":\"t\"/' | cmp - before && echo same";
    assert_eq!(world.sh(script).ok(), "same\n");
}

#[test]
fn damage_is_said_and_passed_over() {
    let world = stopped();
    let log = segments(&world)[1].clone();
    let whole = world.klog(&["segment", "dump", "data/t-0", "-f", "%o\\n"]).ok();
    flip(&log, 300_000);
    let done = world.klog(&["segment", "dump", "data/t-0", "-f", "%o\\n"]).done();
    assert_eq!(done.status, 8);
    let stderr = done.stderr_text();
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.contains("bytes are no batch: the CRC is"), "{stderr}");
    let left = done.stdout_text();
    assert!(left.lines().count() < whole.lines().count() && left.lines().last() == whole.lines().last());
    let done = world.klog(&["segment", "verify", "data", "-o", "jsonl"]).done();
    assert_eq!(done.status, 8);
    let row = json(&done.stdout_text());
    assert_eq!(row["problem"], "crc");
    assert!(row["file"].as_str().unwrap().ends_with(log.file_name().unwrap().to_str().unwrap()));
    let lost = row["last_offset"].as_i64().unwrap() - row["first_offset"].as_i64().unwrap() + 1;
    assert_eq!(left.lines().count() as i64 + lost, 60_000);
    assert!(done.stderr_text().contains("1 problem, 1 affect records"), "{}", done.stderr_text());
    let piped =
        world.sh(&format!("klog segment verify - < {} > /dev/null 2>&1; echo $?", log.display())).ok();
    assert_eq!(piped, "8\n");
}

#[test]
fn cut_keeps_offsets_and_makes_a_folder_that_verifies() {
    let world = stopped();
    world.klog(&["segment", "cut", "data/t-0", "part", "-o", "1234:45678", "-q"]).ok();
    let range = "cmp <(klog segment dump part -f '%o %d %k %v\\n') <(klog segment dump data/t-0 -o 1234:45678 -f '%o %d %k %v\\n') && echo same";
    assert_eq!(world.sh(range).ok(), "same\n");
    assert_eq!(world.klog(&["segment", "verify", "part"]).ok(), "");
    assert!(
        world.path("part/00000000000000001234.log").exists()
            && world.path("part/partition.metadata").exists()
    );
    assert_eq!(world.klog(&["segment", "cut", "data/t-0", "part", "-o", "0:1"]).done().status, 1);
    world.klog(&["segment", "cut", "data/z-0", "one.log", "-o", "1500:2500", "-q"]).ok();
    let one = world.klog(&["segment", "dump", "one.log", "-f", "%o\\n"]).ok();
    assert_eq!(
        (one.lines().count(), one.lines().next(), one.lines().last()),
        (1000, Some("1500"), Some("2499"))
    );
    assert_eq!(world.klog(&["segment", "verify", "one.log"]).ok(), "");
    // Indexes are relative to the name, where it is an offset's.
    world.klog(&["segment", "cut", "data/z-0", "00000000000000001000.log", "-o", "1500:2500", "-q"]).ok();
    let named = "00000000000000001000.log";
    assert_eq!(world.klog(&["segment", "verify", named]).ok(), "");
    assert_eq!(world.klog(&["segment", "dump", named, "-f", "%o\\n"]).ok(), one);
}

#[test]
fn what_a_repair_can_not_mend_stays_said() {
    let world = stopped();
    // The leader epoch of the first batch lies outside of its CRC.
    let log = world.data().join("z-0/00000000000000000000.log");
    flip(&log, 15);
    assert_eq!(world.klog(&["segment", "verify", "data/z-0"]).done().status, 8);
    let done = world.klog(&["segment", "repair", "data/z-0"]).done();
    assert_eq!((done.status, done.stdout_text().as_str()), (8, ""), "{}", done.stderr_text());
    assert!(done.stderr_text().contains("1 problem that no repair can mend"), "{}", done.stderr_text());
    assert!(!done.stderr_text().contains("nothing to repair"), "{}", done.stderr_text());
}

#[test]
fn repair_shows_then_does_and_the_daemon_goes_on() {
    let world = stopped();
    let logs = segments(&world);
    flip(&logs[1], 300_000);
    let last = fs::read(logs.last().unwrap()).unwrap();
    fs::write(logs.last().unwrap(), &last[..last.len() - 7]).unwrap();
    fs::remove_file(logs[0].with_extension("index")).unwrap();
    let left = world.klog(&["segment", "dump", "data/t-0"]).done().stdout_text();
    let before = content(&world.data());
    let rows = world.klog(&["segment", "verify", "data", "-o", "jsonl"]).done().stdout_text();
    let row = rows.lines().map(json).find(|row| row["problem"] == "crc").unwrap();
    let shown = world.klog(&["segment", "repair", "data"]).done();
    assert_eq!(shown.status, 0, "{}", shown.stderr_text());
    assert!(shown.stderr_text().contains("nothing was changed; do it with: -y"), "{}", shown.stderr_text());
    for part in ["cut out", "cut off the end", "make indexes"] {
        assert!(shown.stdout_text().contains(part), "{}", shown.stdout_text());
    }
    assert!(content(&world.data()) == before, "without -y nothing changes");
    // Named twice it is mended once.
    let done = world.klog(&["segment", "repair", "data", "data/t-0", "data/../data", "-y"]).done();
    assert_eq!((done.status, done.stdout_text()), (0, shown.stdout_text()), "{}", done.stderr_text());
    assert_eq!(done.stderr_text().matches("is kept in").count(), 2, "{}", done.stderr_text());
    assert_eq!(world.klog(&["segment", "verify", "data"]).ok(), "");
    assert!(world.klog(&["segment", "repair", "data"]).done().stderr_text().contains("nothing to repair"));
    // A copy may begin with the batch of no records that stands there now.
    let (first, last) = (row["first_offset"].as_i64().unwrap(), row["last_offset"].as_i64().unwrap());
    let range = format!("{first}:{}", last + 4);
    world.klog(&["segment", "cut", "data/t-0", "part", "-o", &range, "-q"]).ok();
    assert_eq!(world.klog(&["segment", "verify", "part"]).ok(), "");
    let copied = world.klog(&["segment", "dump", "part", "-f", "%o,"]).ok();
    assert_eq!(copied, format!("{},{},{},", last + 1, last + 2, last + 3));
    // The daemon gives all that was left, and takes more.
    assert!(world.klog(&["consume", "t", "-e", "-p", "0"]).ok() == left);
    world.sh("echo more | klog produce t -p 0").ok();
    assert_eq!(world.klog(&["consume", "t", "-e", "-p", "0", "-o", "-1"]).ok(), "more\n");
    // While it holds the folder nothing is repaired.
    let refused = world.klog(&["segment", "repair", "data/t-0", "-y"]).done();
    assert_eq!(refused.status, 1);
    assert!(refused.stderr_text().contains("a daemon holds"), "{}", refused.stderr_text());
    assert!(refused.stderr_text().contains("klog broker stop"), "{}", refused.stderr_text());
}

#[test]
fn old_message_formats_are_named() {
    let world = World::new();
    fs::create_dir(world.path("old-0")).unwrap();
    let mut log = Vec::new();
    for (offset, magic) in [(0i64, 0u8), (1, 1), (2, 1)] {
        let mut body = vec![magic, 0];
        if magic == 1 {
            body.extend(1_400_000_000_000i64.to_be_bytes());
        }
        body.extend([0xff; 4]);
        body.extend(2i32.to_be_bytes());
        body.extend(b"hi");
        log.extend(offset.to_be_bytes());
        log.extend((body.len() as i32 + 4).to_be_bytes());
        log.extend(crc32fast::hash(&body).to_be_bytes());
        log.extend(body);
    }
    fs::write(world.path("old-0/00000000000000000000.log"), log).unwrap();
    let done = world.klog(&["segment", "dump", "old-0"]).done();
    assert_eq!((done.status, done.stdout_text().as_str()), (6, ""));
    let stderr = done.stderr_text();
    assert!(
        stderr.contains("1 messages of format 0") && stderr.contains("2 messages of format 1"),
        "{stderr}"
    );
    let done = world.klog(&["segment", "verify", "old-0"]).done();
    assert_eq!(done.status, 0, "{}", done.stderr_text());
    assert!(done.stderr_text().contains("3 messages of format 0 or 1"), "{}", done.stderr_text());
    let listed = world.klog(&["segment", "list", "old-0", "-o", "jsonl"]).ok();
    assert!(listed.contains("\"state\":\"format 1\""), "{listed}");
}

/// What a daemon is writing is no damage, whenever one looks.
#[test]
fn a_folder_that_a_daemon_writes_to() {
    let world = World::new();
    world.klog(&["topic", "create", "t", "-q", "-c", "segment.bytes=1048576"]).ok();
    let script = "while [ ! -e stop ]; do seq 2000; sleep 0.02; done | klog produce t";
    let producer = world.sh(script).spawn();
    until("records come", || {
        world.klog(&["segment", "dump", "data/t-0", "-n", "1"]).done().stdout_text() == "1\n"
    });
    for _ in 0..15 {
        let done = world.klog(&["segment", "verify", "data"]).done();
        assert_eq!((done.status, done.stdout_text().as_str()), (0, ""), "{}", done.stderr_text());
        let done = world.klog(&["segment", "dump", "data/t-0"]).done();
        assert_eq!(done.status, 0, "{}", done.stderr_text());
    }
    fs::write(world.path("stop"), "").unwrap();
    assert_eq!(producer.done().status, 0);
}

#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    let world = stopped();
    for dump in [
        "dump data/t-0",
        "dump data/t-0 -J",
        "dump data/t-0 --batches",
        "list data",
        "dump - < data/t-0/00000000000000000000.log",
    ] {
        let script = format!("klog segment {dump} | head -n 1 > /dev/null; echo ${{PIPESTATUS[0]}}");
        let done = world.sh(&script).done();
        assert_eq!((done.stdout_text().as_str(), done.stderr_text().as_str()), ("0\n", ""), "{dump}");
    }
}

/// Read-only files and folders are enough, and no file is opened for writing.
#[test]
fn only_cut_and_repair_ever_write() {
    let world = stopped();
    let before = content(&world.data());
    flip(&segments(&world)[1], 300_000);
    let hurt = content(&world.data());
    let mode = |bits: u32, dir_bits: u32| {
        for folder in ["", "t-0", "t-1", "z-0"] {
            let folder = world.data().join(folder);
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_file() {
                    fs::set_permissions(&path, fs::Permissions::from_mode(bits)).unwrap();
                }
            }
            fs::set_permissions(&folder, fs::Permissions::from_mode(dir_bits)).unwrap();
        }
    };
    mode(0o400, 0o500);
    let strace = world.sh("strace -V > /dev/null 2>&1; echo $?").ok() == "0\n";
    if !strace {
        eprintln!("the half of only_cut_and_repair_ever_write that needs strace is skipped");
    }
    for line in [
        "list data",
        "dump data",
        "dump data/t-0 -J -o 100:200",
        "dump data/t-0 --batches",
        "dump data/t-0 --since 0 -n 5",
        "verify data",
        "stat data",
        "repair data",
        "dump - < data/t-0/00000000000000000000.log",
        "verify - < data/t-0/00000000000000000000.log",
    ] {
        let trace = if strace {
            "strace -f -o trace -e trace=openat,open,creat,truncate,ftruncate,unlink,unlinkat,rename,renameat,renameat2,mkdir "
        } else {
            ""
        };
        let done = world.sh(&format!("{trace}klog segment {line} > out")).done();
        assert!(matches!(done.status, 0 | 8), "{line}: {}", done.stderr_text());
        if strace {
            let trace = fs::read_to_string(world.path("trace")).unwrap();
            assert!(trace.contains("open"), "{line}: {trace}");
            let wrote = |call: &&str| {
                let writes =
                    ["O_WRONLY", "O_RDWR", "O_CREAT", "truncate(", "unlink", "rename", "mkdir", "creat("];
                writes.iter().any(|word| call.contains(word))
            };
            assert_eq!(trace.lines().find(wrote), None, "{line}");
        }
    }
    mode(0o600, 0o700);
    assert!(content(&world.data()) == hurt && hurt != before);
}

/// The same records in a folder that Apache Kafka wrote and in one that klog wrote: one dump.
#[test]
fn kafkas_folders_and_klogs_give_the_same_dump() {
    let world = World::new();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/kafka/data");
    let topics =
        ["codec-none", "codec-gzip", "codec-snappy", "codec-lz4", "codec-zstd", "idempotent", "oddities"];
    let dump = |dir: &Path| world.klog(&["segment", "dump", dir.to_str().unwrap(), "-J"]).ok();
    for topic in topics {
        let kafkas = dump(&fixtures.join(format!("{topic}-0")));
        assert!(kafkas.lines().count() >= 7, "{topic}");
        world.klog(&["topic", "create", topic, "-c", "retention.ms=-1"]).ok();
        let codec = topic.strip_prefix("codec-").unwrap_or("none");
        world.klog(&["produce", "-J", "-z", codec]).stdin(kafkas).ok();
    }
    world.klog(&["broker", "stop"]).ok();
    for topic in topics {
        let (kafkas, klogs) = (fixtures.join(format!("{topic}-0")), world.data().join(format!("{topic}-0")));
        assert_eq!(dump(&klogs), dump(&kafkas), "{topic}");
    }
}
