//! Holds every source file against the table of levels: a module names only what stands below it.
//!
//! The table is DESIGN's section 3 as code. Sources are read as text: comments and strings are taken out, then
//! every path that starts at the crate's root, and every third-party crate, is looked up.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Module, level, and the modules that it may name.
const LEVELS: &[(&str, u8, &[&str])] = &[
    ("model", 0, &[]),
    ("metrics", 0, &[]),
    ("codec", 0, &["model"]),
    ("record", 1, &["model", "codec"]),
    ("wire", 1, &["model", "codec"]),
    ("schema", 1, &["model", "codec"]),
    ("auth", 1, &["model"]),
    ("pipeline", 1, &["model"]),
    ("storage", 2, &["model", "codec", "record", "metrics"]),
    ("net", 2, &["model", "auth", "wire"]),
    ("inspect", 3, &["model", "codec", "record", "schema", "storage"]),
    ("broker", 3, &["model", "metrics", "record", "schema", "auth", "storage"]),
    ("client", 3, &["model", "metrics", "record", "schema", "auth", "wire", "net"]),
    ("server", 4, &["model", "metrics", "auth", "wire", "net", "broker"]),
    ("flow", 4, &["model", "metrics", "pipeline", "client"]),
    ("config", 4, &["model", "auth", "storage", "net", "broker", "client"]),
    ("cli", 5, &["model", "metrics", "config", "client", "pipeline", "flow", "inspect"]),
];

/// What single files or folders may name beyond their module's row: path prefix, modules.
const EXCEPTIONS: &[(&str, &[&str])] = &[
    ("broker/api", &["wire"]),
    ("cli/broker", &["broker", "server"]),
    ("cli/segment", &["storage::repair"]),
    ("flow", &["storage::checkpoint"]),
];

/// Third-party crates and the path prefixes that may name them. A crate that is not here may not be named at all.
const CRATES: &[(&str, &[&str])] = &[
    ("base64", &["auth", "cli"]),
    (
        "bytes",
        &[
            "codec", "wire", "record", "schema", "storage", "net", "inspect", "broker", "client", "server",
            "flow", "cli",
        ],
    ),
    ("clap", &["cli"]),
    ("clap_complete", &["cli/completions"]),
    ("comfy_table", &["cli/output"]),
    ("crc_fast", &["record/crc.rs"]),
    ("crc32fast", &["storage", "cli/daemon"]),
    ("fastrand", &["cli", "broker", "client", "storage/sim"]),
    ("flate2", &["record/codec"]),
    ("getrandom", &["cli", "broker", "client/sasl"]),
    ("hmac", &["auth"]),
    ("hyper", &["server/metrics"]),
    ("hyper_util", &["server/metrics"]),
    ("indicatif", &["cli/output"]),
    ("jaq_core", &["pipeline/jq"]),
    ("jaq_json", &["pipeline/jq"]),
    ("jaq_std", &["pipeline/jq"]),
    ("jiff", &["cli"]),
    ("listenfd", &["cli/broker"]),
    ("lz4_flex", &["record/codec"]),
    ("memchr", &["cli/produce", "pipeline", "inspect", "client", "flow", "cli/format"]),
    ("memmap2", &["storage/map.rs"]),
    ("nix", &["storage/disk", "net", "cli"]),
    ("pbkdf2", &["auth"]),
    ("regex", &["broker", "client", "cli"]),
    ("rustls", &["net/tls"]),
    ("rustls_native_certs", &["net/tls"]),
    ("rustls_pki_types", &["net/tls"]),
    ("sd_notify", &["cli/broker"]),
    ("serde", &["config", "cli", "server/metrics", "pipeline"]),
    ("serde_json", &["config", "cli", "server/metrics", "pipeline"]),
    ("sha2", &["auth"]),
    ("snap", &["record/codec", "record/tests"]),
    ("subtle", &["auth"]),
    (
        "thiserror",
        &[
            "codec", "wire", "record", "schema", "auth", "pipeline", "storage", "net", "inspect", "broker",
            "client", "server", "flow", "config", "cli",
        ],
    ),
    ("tokio", &["net", "server", "broker", "client", "flow", "cli"]),
    ("tokio_rustls", &["net/tls"]),
    ("toml", &["config", "pipeline"]),
    ("tracing", &["server", "broker", "net", "flow", "cli"]),
    ("tracing_subscriber", &["cli"]),
    ("zstd", &["record/codec", "record/tests"]),
];

/// Words that stand for a doing, and the only places that may do it.
const DEEDS: &[(&str, &[&str], &str)] = &[
    ("SystemTime::now", &["model/time.rs"], "only model/time.rs reads the wall clock"),
    ("unsafe ", &["storage/map.rs", "cli/os.rs"], "unsafe code stands in two files only"),
    ("unsafe_code", &["storage/map.rs", "cli/os.rs"], "unsafe code stands in two files only"),
    ("println!", &["cli/output"], "all terminal output is in cli/output"),
    ("print!", &["cli/output"], "all terminal output is in cli/output"),
    ("std::process::exit", &["main.rs", "cli"], "only the command line ends the process"),
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            found.push(path);
        }
    }
    found.sort();
}

/// The source without comments and without the insides of strings and character literals.
fn bare(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut out = String::with_capacity(source.len());
    let mut at = 0;
    while at < bytes.len() {
        let rest = &source[at..];
        if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
        } else if rest.starts_with("/*") {
            at += rest.find("*/").map_or(rest.len(), |end| end + 2);
        } else if let Some(hashes) = raw_string(rest) {
            let close = format!("\"{}", "#".repeat(hashes));
            let start = rest.find('"').unwrap() + 1;
            at += rest[start..].find(&close).map_or(rest.len(), |end| start + end + close.len());
            out.push_str("\"\"");
        } else if bytes[at] == b'"' {
            at += 1;
            while at < bytes.len() && bytes[at] != b'"' {
                at += if bytes[at] == b'\\' { 2 } else { 1 };
            }
            at += 1;
            out.push_str("\"\"");
        } else if bytes[at] == b'\'' && char_literal(rest).is_some() {
            at += char_literal(rest).unwrap();
            out.push_str("' '");
        } else {
            let letter = rest.chars().next().unwrap();
            out.push(letter);
            at += letter.len_utf8();
        }
    }
    out
}

fn raw_string(rest: &str) -> Option<usize> {
    let tail = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = tail.bytes().take_while(|&b| b == b'#').count();
    tail[hashes..].starts_with('"').then_some(hashes)
}

fn char_literal(rest: &str) -> Option<usize> {
    let mut letters = rest.char_indices().skip(1);
    let (_, first) = letters.next()?;
    if first == '\\' {
        return rest[2..].char_indices().skip(1).find(|(_, c)| *c == '\'').map(|(at, _)| at + 3);
    }
    let (at, second) = letters.next()?;
    (second == '\'').then_some(at + 1)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Where `word` starts in `text` as a word of its own.
fn words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        let before = at.checked_sub(1).map(|i| text.as_bytes()[i]);
        !before.is_some_and(is_word) || !is_word(word.as_bytes()[0])
    })
}

/// The first one or two names behind `crate::`, for a plain path or each branch of a `{}` group.
fn named(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for root in ["crate::", "klog::"] {
        for at in words(text, root) {
            branches(&text[at + root.len()..], &mut names);
        }
    }
    names
}

fn branches(rest: &str, names: &mut BTreeSet<String>) {
    let rest = rest.trim_start();
    if let Some(inside) = rest.strip_prefix('{') {
        let (mut depth, mut start) = (0, 0);
        for (at, letter) in inside.char_indices() {
            match letter {
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                ',' | '}' if depth == 0 => {
                    branches(&inside[start..at], names);
                    start = at + 1;
                    if letter == '}' {
                        break;
                    }
                }
                _ => {}
            }
        }
        return;
    }
    let path: Vec<&str> = rest
        .split("::")
        .take(2)
        .map(|part| part.trim_matches(|c: char| !c.is_alphanumeric() && c != '_'))
        .collect();
    let word = |part: &str| part.bytes().take_while(|&b| is_word(b)).count();
    if let Some(first) = path.first().filter(|first| !first.is_empty()) {
        let first = &first[..word(first)];
        match path.get(1) {
            Some(second) if rest[first.len()..].starts_with("::") => {
                names.insert(format!("{first}::{}", &second[..word(second)]))
            }
            _ => names.insert(first.to_owned()),
        };
    }
}

fn within(file: &str, prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| {
        file.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '.', '_']))
    })
}

/// Every breach of the tables in one file; `file` is its path below `src/`.
fn breaches(file: &str, source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let text = bare(source);
    let module = file.split(['/', '.']).next().unwrap();
    if let Some((_, level, below)) = LEVELS.iter().find(|(name, ..)| *name == module) {
        for path in named(&text) {
            let first = path.split("::").next().unwrap();
            let Some((_, other, _)) = LEVELS.iter().find(|(name, ..)| *name == first) else { continue };
            let excepted = EXCEPTIONS.iter().any(|(prefix, extra)| {
                within(file, &[prefix]) && extra.iter().any(|name| *name == first || *name == path)
            });
            if first != module && !below.contains(&first) && !excepted {
                found.push(format!("src/{file}: {module} (level {level}) names {path} (level {other})"));
            }
        }
        for (other, ..) in LEVELS {
            let own = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
                .join("src")
                .join(module)
                .join(format!("{other}.rs"));
            let path = format!("super::{other}::");
            if *other != module && file == format!("{module}/mod.rs") && text.contains(&path) && !own.exists()
            {
                found
                    .push(format!("src/{file}: {path} reaches over the module's edge; write crate::{other}"));
            }
        }
    } else if !matches!(module, "lib" | "main") {
        found.push(format!("src/{file}: the module {module} is not in the table of levels"));
    }
    for (name, places) in CRATES {
        let path = format!("{name}::");
        let outside = |at: usize| !text[..at].ends_with("::") && !text[..at].ends_with("crate::");
        if words(&text, &path).any(outside) && !within(file, places) && module != "main" {
            found.push(format!("src/{file}: names the crate {name}, which belongs in {}", places.join(", ")));
        }
    }
    for (deed, places, why) in DEEDS {
        if words(&text, deed).next().is_some() && !within(file, places) {
            found.push(format!("src/{file}: {} ({why})", deed.trim()));
        }
    }
    found
}

#[test]
fn every_module_names_only_what_stands_below_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 100, "the sources were not found");
    let found: Vec<String> = files
        .iter()
        .flat_map(|path| {
            let file = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            breaches(&file, &fs::read_to_string(path).unwrap())
        })
        .collect();
    assert!(found.is_empty(), "{} breaches of the layers:\n{}", found.len(), found.join("\n"));
}

#[test]
fn every_dependency_has_its_place_in_the_table() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let section = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    for line in section.lines().filter(|line| line.contains('=') && !line.starts_with('#')) {
        let name = line.split('=').next().unwrap().trim().replace('-', "_");
        assert!(CRATES.iter().any(|(known, _)| *known == name), "{name} has no row in the table of crates");
    }
}

#[test]
fn the_table_itself_points_downward() {
    for (module, level, below) in LEVELS {
        for other in *below {
            let (_, lower, _) = LEVELS.iter().find(|(name, ..)| name == other).unwrap();
            let codec = *other == "model" && *level == 0;
            assert!(lower < level || codec, "{module} (level {level}) may not name {other} (level {lower})");
        }
    }
}

#[test]
fn a_planted_upward_import_is_found() {
    let clean = "//! x\nuse crate::model::id::TopicId;\n// crate::cli in a comment\nconst X: &str = \"crate::cli\";\n";
    assert_eq!(breaches("storage/log.rs", clean), Vec::<String>::new());
    for planted in [
        "use crate::broker::Broker;",
        "use crate::{model::id, broker::{Broker, Peer}};",
        "fn f() { crate::server::start() }",
        "pub use crate::wire::error;",
        "use tokio::sync::Notify;",
        "fn f() { std::time::SystemTime::now(); }",
        "fn f() { println!(\"\") }",
        "fn f() { unsafe { g() } }",
    ] {
        assert_eq!(breaches("storage/log.rs", planted).len(), 1, "{planted}");
    }
    assert_eq!(breaches("broker/partition.rs", "use crate::wire::error;").len(), 1);
    assert_eq!(breaches("broker/api/fetch.rs", "use crate::wire::error;").len(), 0);
    assert_eq!(breaches("cli/topic.rs", "use crate::broker::Broker;").len(), 1);
    assert_eq!(breaches("cli/broker.rs", "use crate::{broker::Broker, server};").len(), 0);
    assert_eq!(breaches("helpers/mod.rs", "").len(), 1);
}
