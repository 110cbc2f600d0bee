//! Runs every command of README's tour, in order, in one shell, and holds the output against what the page shows.
//!
//! In a ```console block a line that begins with `$ ` is a command (going on while lines end in `\`), the lines
//! behind it are its output; a line of `...` stands for any lines.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

struct Step {
    command: String,
    output: Vec<String>,
}

fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    let mut going_on = false;
    for line in page.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if inside && going_on {
            going_on = line.ends_with('\\');
            let step = steps.last_mut().unwrap();
            step.command = format!("{}\n{line}", step.command);
        } else if inside && let Some(command) = line.strip_prefix("$ ") {
            going_on = command.ends_with('\\');
            steps.push(Step { command: command.to_owned(), output: Vec::new() });
        } else if inside {
            steps.last_mut().expect("a block begins with a command").output.push(line.to_owned());
        }
    }
    steps
}

fn matches(shown: &[String], found: &[&str]) -> bool {
    match shown.split_first() {
        None => found.is_empty(),
        Some((line, rest)) if line == "..." => (0..=found.len()).any(|skip| matches(rest, &found[skip..])),
        Some((line, rest)) => found
            .split_first()
            .is_some_and(|(first, left)| line.trim_end() == first.trim_end() && matches(rest, left)),
    }
}

#[test]
fn the_tour_of_the_readme_is_true() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("README.md")).unwrap();
    let tour = page.split("## A tour").nth(1).expect("README has a tour").split("\n## ").next().unwrap();
    let steps = steps(tour);
    assert!(steps.len() >= 8, "the tour has {} commands", steps.len());

    let home = tempfile::tempdir().unwrap();
    let klog = Path::new(env!("CARGO_BIN_EXE_klog"));
    let mut script = String::from("exec 2>&1\ntrap 'klog broker stop >/dev/null' EXIT\n");
    for (number, step) in steps.iter().enumerate() {
        script += &format!("{}\nprintf '\\n#%d status %d\\n' {number} $?\n", step.command);
    }
    let done = Command::new("bash")
        .args(["-c", &script])
        .current_dir(home.path())
        .env_clear()
        .env("PATH", format!("{}:{}", klog.parent().unwrap().display(), std::env::var("PATH").unwrap()))
        .env("HOME", home.path())
        .env("XDG_DATA_HOME", home.path().join("data"))
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    let mut rest = text.as_str();
    for (number, step) in steps.iter().enumerate() {
        let (output, after) = rest
            .split_once(&format!("\n#{number} status "))
            .unwrap_or_else(|| panic!("no end of {}:\n{rest}", step.command));
        let found: Vec<&str> = output.lines().collect();
        assert!(
            matches(&step.output, &found),
            "$ {}\nshown:\n{}\nfound:\n{output}",
            step.command,
            step.output.join("\n")
        );
        let (status, after) = after.split_once('\n').unwrap();
        assert_eq!(status, "0", "$ {}\n{output}", step.command);
        rest = after;
    }
}

#[test]
fn the_quick_start_runs_and_leaves_nothing_behind() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in put.txt");
    fs::write(&input, "one\ntwo \"quoted\"\n\nfour\n").unwrap();
    let temp = folder.path().join("tmp");
    fs::create_dir(&temp).unwrap();
    let done = Command::new(root.join("examples/quickstart.sh"))
        .arg(&input)
        .env("KLOG", env!("CARGO_BIN_EXE_klog"))
        .env("TMPDIR", &temp)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{text}{}", String::from_utf8_lossy(&done.stderr));
    assert!(text.contains("What went in came out, byte for byte."), "{text}");
    assert_eq!(fs::read_dir(&temp).unwrap().count(), 0, "the folder of the daemon is still there");
}
