//! Holds the committed man pages and completions against what the command line renders; `KLOG_REFRESH=1` writes them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use klog::cli::completions::{Shell, registration};

/// What must be committed in a folder: file name and content.
type Files = BTreeMap<String, Vec<u8>>;

/// A page for each command, named as `man` finds it: klog-topic-create.1.
fn man_pages() -> Files {
    let mut command = klog::cli::command().disable_help_subcommand(true);
    command.build();
    let mut pages = Files::new();
    page("klog", &command, &mut pages);
    pages
}

fn page(name: &str, command: &clap::Command, pages: &mut Files) {
    let mut text = Vec::new();
    let named = command.clone().name(name.to_owned()).display_name(name.to_owned());
    clap_mangen::Man::new(named).date("").render(&mut text).unwrap();
    pages.insert(format!("{name}.1"), text);
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        page(&format!("{name}-{}", inner.get_name()), inner, pages);
    }
}

fn completions() -> Files {
    Shell::ALL.iter().map(|shell| (shell.file().to_owned(), registration(*shell))).collect()
}

fn check(folder: &str, wanted: &Files) {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    if std::env::var_os("KLOG_REFRESH").is_some() {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        wanted.iter().for_each(|(name, content)| fs::write(folder.join(name), content).unwrap());
    }
    let found: Files = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}\n{REFRESH}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap()))
        .collect();
    let names = |files: &Files| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(wanted), "the files in {} are others\n{REFRESH}", folder.display());
    for (name, content) in wanted {
        assert!(found[name] == *content, "{}/{name} is out of date\n{REFRESH}", folder.display());
    }
}

const REFRESH: &str = "refresh them with: KLOG_REFRESH=1 cargo test --test generated";

#[test]
fn the_man_pages_are_what_the_command_line_renders() {
    let pages = man_pages();
    assert!(pages.contains_key("klog-topic-create.1"), "{:?}", pages.keys());
    check("man", &pages);
}

#[test]
fn the_completions_are_what_the_command_line_renders() {
    check("completions", &completions());
}
