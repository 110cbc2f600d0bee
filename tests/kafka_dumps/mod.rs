//! Reads what Apache Kafka's own DumpLogSegments said of the fixtures that Apache Kafka wrote.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The data folder that Kafka wrote.
pub(crate) fn data() -> PathBuf {
    fixtures().join("data")
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/kafka")
}

/// The dump's lines of every file with this ending, by the file's path within [`data`].
pub(crate) fn dumped(ending: &str) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    let mut texts: Vec<PathBuf> =
        fs::read_dir(fixtures().join("dumps")).unwrap().map(|entry| entry.unwrap().path()).collect();
    texts.sort();
    for text in texts {
        let text = fs::read_to_string(text).unwrap();
        for section in text.split("Dumping ").filter(|section| !section.is_empty()) {
            let (file, lines) = section.split_once('\n').unwrap();
            if file.ends_with(ending) {
                let lines = lines.lines().filter(|line| line.contains(": ")).map(str::to_owned).collect();
                found.insert(file.to_owned(), lines);
            }
        }
    }
    assert!(!found.is_empty(), "no dump of any {ending}");
    found
}

/// The word behind `name: ` in a line.
pub(crate) fn field<'l>(line: &'l str, name: &str) -> Option<&'l str> {
    let at = line.find(&format!("{name}: ")).filter(|at| *at == 0 || line.as_bytes()[at - 1] == b' ')?;
    line[at + name.len() + 2..].split(' ').next()
}

/// The number behind `name: ` in a line; an optional one that is empty is -1.
pub(crate) fn number(line: &str, name: &str) -> i64 {
    let word = field(line, name).unwrap_or_else(|| panic!("no {name} in {line}"));
    match word.trim_start_matches("OptionalLong[").trim_end_matches(']') {
        "OptionalLong.empty" => -1,
        digits => digits.parse().unwrap_or_else(|_| panic!("{name} in {line}")),
    }
}
