//! What the fuzz targets do, as functions over bytes: here over kept inputs and mutations of them, so that it runs everywhere.
//!
//! `fuzz/` runs the same functions under libFuzzer. An input that once broke one of them is kept under
//! `tests/fixtures/fuzz/TARGET`, and so are the few that fuzzing begins with.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod answers;
#[macro_use]
#[path = "../oracle/apis.rs"]
mod apis;
mod auth;
mod batches;
mod config;
mod edits;
#[path = "../jq/filters.rs"]
mod filters;
mod folder;
mod formats;
mod inspect;
mod internal;
mod jq;
mod memory;
mod requests;
#[allow(dead_code)]
#[path = "../segments/rig.rs"]
mod rig;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use fastrand::Rng;

type Target = fn(&[u8]);

/// The inputs kept for a target, by name.
fn kept(name: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/fuzz").join(name);
    let mut found = Vec::new();
    for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        found.push((path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap()));
    }
    found.sort();
    found
}

fn mutated(kept: &[(String, Vec<u8>)], random: &mut Rng) -> Vec<u8> {
    let mut bytes = kept[random.usize(..kept.len())].1.clone();
    bytes.truncate(4096);
    for _ in 0..random.usize(1..5) {
        let at = random.usize(..=bytes.len());
        match random.u8(..6) {
            0 => bytes.truncate(at),
            1 => drop(bytes.splice(at..at, (0..random.usize(1..9)).map(|_| random.u8(..)))),
            2 => {
                bytes.iter_mut().skip(at).take(8).for_each(|byte| *byte = [0, 0x7f, 0xff][random.usize(..3)])
            }
            3 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << random.u8(..8)),
            4 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = random.u8(..)),
            _ => {
                let other = &kept[random.usize(..kept.len())].1;
                let from = random.usize(..=other.len());
                bytes.truncate(at);
                bytes.extend(other[from..].iter().take(256));
            }
        }
    }
    bytes
}

/// Runs a target on what is kept for it and on `rounds` mutations of that; a failure says the bytes.
fn replay(name: &str, target: Target, rounds: usize) {
    let kept = kept(name);
    assert!(!kept.is_empty(), "no input is kept for {name}");
    for (file, bytes) in &kept {
        if catch_unwind(AssertUnwindSafe(|| target(bytes))).is_err() {
            panic!("tests/fixtures/fuzz/{name}/{file} fails");
        }
    }
    // More by hand: as many times as the variable says.
    let times = std::env::var("KLOG_TEST_FUZZ").ok().and_then(|times| times.parse().ok()).unwrap_or(1);
    let mut random = Rng::with_seed(if times == 1 { 6 } else { fastrand::u64(..) });
    for _ in 0..rounds * times {
        let bytes = mutated(&kept, &mut random);
        if catch_unwind(AssertUnwindSafe(|| target(&bytes))).is_err() {
            panic!("{name} fails on {}", bytes.escape_ascii());
        }
    }
}

macro_rules! targets {
    ($($name:ident $rounds:literal;)*) => {$(
        #[test]
        fn $name() {
            replay(stringify!($name), $name::run, $rounds);
        }
    )*

        /// All names, in the order of `fuzz/Cargo.toml`.
        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

// Rounds: about a second each, without optimisation.
targets! {
    requests 4000;
    answers 2000;
    batches 500;
    internal 3000;
    folder 60;
    inspect 60;
    formats 3000;
    config 500;
    auth 200;
    jq 500;
}

#[test]
fn every_target_is_a_binary_under_libfuzzer_too() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read_to_string(root.join("fuzz/Cargo.toml")).unwrap();
    let listed: Vec<&str> = manifest
        .lines()
        .skip_while(|line| *line != "[[bin]]")
        .filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
        .collect();
    assert_eq!(listed, NAMES);
    let folders = fs::read_dir(root.join("tests/fixtures/fuzz")).unwrap().count();
    assert_eq!(folders, NAMES.len());
}
