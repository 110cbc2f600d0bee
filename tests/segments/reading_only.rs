//! The inspector never writes: its sources name nothing that could.

use std::fs;
use std::path::Path;

/// What opens for writing, or changes a file or folder.
const WRITING: &[&str] = &[
    "Mode::Write",
    "Mode::Create",
    "write_vectored_at",
    "set_len",
    "allocate(",
    ".rename(",
    ".remove(",
    ".remove_dir(",
    "create_dir",
    "sync_dir",
    "sync_all",
    ".lock(&",
    "OpenOptions",
    "File::create",
    "fs::write",
    "fs::remove",
    "fs::rename",
    "fs::copy",
    "repair::mend(",
    "SegmentWriter",
    "replace_raw",
    "checkpoint::replace",
];

fn sources(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            // Tests in a file may build what they read.
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned();
            found.push((path.display().to_string(), code));
        }
    }
}

fn named(code: &str) -> Vec<&'static str> {
    WRITING.iter().filter(|word| code.contains(**word)).copied().collect()
}

#[test]
fn no_source_of_the_inspector_names_a_writing_call() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    sources(&root.join("inspect"), &mut found);
    assert!(found.len() > 10, "the sources were not found");
    sources(&root.join("cli/segment"), &mut found);
    for (name, code) in found {
        if name.ends_with("segment/cut.rs") || name.ends_with("segment/repair.rs") {
            continue;
        }
        assert_eq!(named(&code), Vec::<&str>::new(), "{name}");
    }
    assert_eq!(named("disk.open(path, Mode::Create)"), ["Mode::Create"], "a planted one is found");
}
