//! Sizes, heads and habits of the sources: what a reviewer would say each time, said by a test.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::{Path, PathBuf};

/// Files that are tables and may be longer than [`LONGEST`] lines.
const TABLES: &[&str] = &["src/broker/settings/table.rs"];
const LONGEST: usize = 800;

fn files(folder: &str, endings: &[&str]) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut open = vec![root.join(folder)];
    let mut found: Vec<PathBuf> = Vec::new();
    while let Some(folder) = open.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if !path.ends_with("target") && !path.ends_with(".git") {
                    open.push(path);
                }
            } else if endings.iter().any(|ending| path.to_str().unwrap().ends_with(ending)) {
                found.push(path);
            }
        }
    }
    found.sort();
    let name = |path: &Path| path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
    found.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

fn sources() -> Vec<(String, String)> {
    ["src", "tests", "benches"].iter().flat_map(|folder| files(folder, &[".rs"])).collect()
}

#[test]
fn every_file_opens_with_what_it_is() {
    for (name, text) in sources() {
        let head = text.lines().next().unwrap_or_default();
        assert!(
            head.starts_with("//! ") && head.len() > 20,
            "{name} does not open with a sentence that says what it is"
        );
    }
}

#[test]
fn no_file_grows_beyond_reading() {
    for (name, text) in sources() {
        let lines = text.lines().count();
        assert!(
            lines <= LONGEST || TABLES.contains(&name.as_str()),
            "{name} has {lines} lines, at most {LONGEST} are read"
        );
    }
}

#[test]
fn nothing_is_left_unfinished() {
    let marks = ["TODO", "FIXME", "todo!", "unimplemented!", "dbg!"];
    for (name, text) in files("src", &[".rs"]) {
        for mark in marks {
            assert!(!text.contains(mark), "{name} holds {mark}");
        }
    }
}

#[test]
fn names_say_what_a_thing_is() {
    let empty = ["util", "utils", "common", "helper", "helpers", "manager", "misc"];
    for (name, _) in files("src", &[".rs"]) {
        for part in name.trim_end_matches(".rs").split('/') {
            assert!(!empty.contains(&part), "{name}: '{part}' says nothing about what is in it");
        }
    }
}

#[test]
fn lines_end_clean() {
    for (name, text) in sources().into_iter().chain(files("", &[".md"])) {
        assert!(
            !text.contains('\r') && !text.contains('\t') || name.contains("golden"),
            "{name} holds tabs or carriage returns"
        );
        assert!(text.is_empty() || text.ends_with('\n'), "{name} does not end with a newline");
    }
}
