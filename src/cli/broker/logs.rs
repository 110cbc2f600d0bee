//! `klog broker logs`: what the background daemon said, oldest first, and what it says next; never starts one.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::log_file::paths;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output;

/// The flags of `klog broker logs`.
#[derive(Debug, clap::Args)]
pub(super) struct LogsArgs {
    /// Keep writing what the daemon says, through rotation, until interrupted
    #[arg(short, long)]
    follow: bool,
    /// Only the last N lines
    #[arg(short = 'n', long, value_name = "N")]
    lines: Option<usize>,
}

pub(super) fn run(context: &Context, args: &LogsArgs) -> Result<Exit, Failure> {
    let data = &context.settings.data.value;
    let current = data.join("klog.log");
    let mut text = Vec::new();
    for path in paths(data).into_iter().filter(|path| *path != current) {
        if let Ok(older) = std::fs::read(path) {
            text.extend(older);
        }
    }
    // The watch begins before the file is read, so that nothing falls in between.
    let watch = if args.follow && data.is_dir() { Some(watch(data)?) } else { None };
    let mut file = match File::open(&current) {
        Ok(file) => Some(file),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && watch.is_some() => None,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Failure::missing(
                format!("there is no log in {}", data.display()),
                "a daemon in the foreground (broker run) writes to its stderr instead",
            ));
        }
        Err(error) => return Err(Failure::io("read", &current, &error)),
    };
    if let Some(file) = &mut file {
        file.read_to_end(&mut text).map_err(|error| Failure::io("read", &current, &error))?;
    }
    if !output::data(last_lines(&text, args.lines))? {
        return Ok(Exit::Done);
    }
    match watch {
        Some(watch) => follow(&watch, &current, file),
        None => Ok(Exit::Done),
    }
}

fn last_lines(text: &[u8], wanted: Option<usize>) -> &[u8] {
    let Some(wanted) = wanted else { return text };
    let ends = text.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at);
    // The newline at the very end closes the last line, it does not begin one.
    match ends.filter(|at| at + 1 != text.len()).nth(wanted.saturating_sub(1)) {
        _ if wanted == 0 => &[],
        Some(at) => &text[at + 1..],
        None => text,
    }
}

fn watch(data: &Path) -> Result<Inotify, Failure> {
    let failed = |error: nix::errno::Errno| Failure::io("watch", data, &error.into());
    let watch = Inotify::init(InitFlags::IN_CLOEXEC).map_err(failed)?;
    let events = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
    watch.add_watch(data, events).map_err(failed)?;
    Ok(watch)
}

/// Copies what comes until stdout is closed (or a signal ends the process).
fn follow(watch: &Inotify, current: &Path, mut file: Option<File>) -> Result<Exit, Failure> {
    let stdout = std::io::stdout();
    loop {
        let mut ends =
            [PollFd::new(watch.as_fd(), PollFlags::POLLIN), PollFd::new(stdout.as_fd(), PollFlags::empty())];
        let _ = poll(&mut ends, PollTimeout::NONE);
        if ends[1].revents().is_some_and(|events| !events.is_empty()) {
            return Ok(Exit::Done);
        }
        let _ = watch.read_events();
        let mut text = Vec::new();
        if let Some(file) = &mut file {
            let _ = file.read_to_end(&mut text);
        }
        if is_other(current, file.as_ref()) {
            file = File::open(current).ok();
            if let Some(file) = &mut file {
                let _ = file.seek(SeekFrom::Start(0));
                let _ = file.read_to_end(&mut text);
            }
        }
        if !text.is_empty() && !output::data(&text)? {
            return Ok(Exit::Done);
        }
    }
}

/// Whether the path leads to another file than the open one: it was rotated, or made.
fn is_other(path: &Path, open: Option<&File>) -> bool {
    let Ok(found) = std::fs::metadata(path) else { return false };
    open.and_then(|file| file.metadata().ok()).is_none_or(|held| held.ino() != found.ino())
}

#[cfg(test)]
mod tests {
    use super::last_lines;

    #[test]
    fn the_last_lines() {
        let text = b"a\nb\nc\n";
        for (wanted, rest) in [(0, ""), (1, "c\n"), (2, "b\nc\n"), (3, "a\nb\nc\n"), (9, "a\nb\nc\n")] {
            assert_eq!(last_lines(text, Some(wanted)), rest.as_bytes(), "{wanted}");
        }
        assert_eq!(last_lines(b"a\nb", Some(1)), b"b");
        assert_eq!(last_lines(text, None), text);
    }
}
