//! `klog segment repair`: what is damaged goes into files beside, the rest is made whole; only with `-y` anything is written.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{Input, open_all, written};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output;
use crate::cli::output::rows::{Output, Rows};
use crate::inspect::mend::{self, Mend};
use crate::inspect::{Meter, Partition, folder, machine, parallel};
use crate::model::time::{Clock, SystemClock};
use crate::storage::repair::{Lock, lock, mend as write};

/// The flags of `klog segment repair`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A data folder or a partition's folder (t-0)
    #[arg(required = true, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    paths: Vec<PathBuf>,

    /// Do it
    #[arg(short, long)]
    yes: bool,

    #[command(flatten)]
    output: Output,
}

const COLUMNS: [&str; 6] = ["file", "action", "position", "bytes", "first_offset", "last_offset"];

/// Runs `klog segment repair`.
pub(super) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let mut partitions = Vec::new();
    let mut locks: Vec<(PathBuf, Box<dyn Lock>)> = Vec::new();
    for path in &args.paths {
        if path.as_os_str() == "-" || path.is_file() {
            return Err(Failure::usage(
                format!("{} is no folder", path.display()),
                "name the partition's folder (t-0) or the data folder",
            ));
        }
        for input in open_all(std::slice::from_ref(path))? {
            let Input::Files(found) = input else { continue };
            found.iter().try_for_each(refuse_live)?;
            partitions.extend(found);
        }
    }
    // A plan holds for the files as they were read: one named twice must not be mended twice.
    let mut seen = HashSet::new();
    let whole = |dir: &Path| std::fs::canonicalize(dir).unwrap_or_else(|_| dir.to_path_buf());
    partitions.retain(|partition| seen.insert(whole(&partition.dir)));
    if args.yes {
        let user = nix::unistd::geteuid().as_raw();
        partitions.iter().try_for_each(|partition| refuse_stranger(&partition.dir, user))?;
        for partition in &partitions {
            take_lock(&partition.dir, &mut locks)?;
        }
        // Only what is read under the lock counts.
        let mut again = Vec::new();
        for partition in &partitions {
            again.extend(folder::open(machine().as_ref(), &partition.dir)?);
        }
        // A partition's own lock is no other's.
        again.iter_mut().for_each(not_live);
        partitions = again;
    }
    let mut rows = Rows::new(&COLUMNS);
    let mut mends = Vec::new();
    for partition in &partitions {
        let disk = machine();
        let mend = mend::plan(disk.as_ref(), partition, parallel::threads(), &Meter::default())?;
        show(&mut rows, partition, &mend);
        mends.push(mend);
    }
    rows.write(args.output.output)?;
    let left = mends.iter().map(Mend::left).sum();
    if mends.iter().all(|mend| mend.plan.is_empty()) {
        if left == 0 {
            output::notice(context, "nothing to repair");
        }
        return Ok(tell_left(left));
    }
    if !args.yes {
        output::notice(context, "nothing was changed; do it with: -y");
        return Ok(tell_left(left));
    }
    let now = SystemClock::default().wall_ms();
    for mend in mends.iter().filter(|mend| !mend.plan.is_empty()) {
        let kept = write(machine().as_ref(), &mend.plan, now).map_err(|error| written(&error))?;
        for path in kept {
            output::notice(context, &format!("what was taken out is kept in {}", path.display()));
        }
    }
    output::notice(context, "repaired");
    Ok(tell_left(left))
}

/// Says what stays as it is.
fn tell_left(left: u64) -> Exit {
    if left == 0 {
        return Exit::Done;
    }
    let problems = if left == 1 { "1 problem".to_owned() } else { format!("{left} problems") };
    output::complain(&format!("klog: {problems} that no repair can mend"));
    output::complain("  see what they are with: klog segment verify DIR");
    Exit::Corrupt
}

/// New files belong to who writes them: what root wrote in the folder of another, that one's daemon could not open.
fn refuse_stranger(dir: &Path, user: u32) -> Result<(), Failure> {
    let owner = std::fs::metadata(dir).map_err(|error| Failure::io("read", dir, &error))?.uid();
    if owner == user {
        return Ok(());
    }
    let name = nix::unistd::User::from_uid(owner.into()).ok().flatten();
    let name = name.map_or_else(|| format!("#{owner}"), |user| user.name);
    Err(Failure::denied(
        format!("{} belongs to another user, {name}: nothing was changed", dir.display()),
        format!("run it as its owner: sudo -u '{name}' klog segment repair -y {}", dir.display()),
    ))
}

fn not_live(partition: &mut Partition) {
    partition.is_live = false;
    partition.segments.iter_mut().for_each(|segment| segment.is_live = false);
}

fn refuse_live(partition: &Partition) -> Result<(), Failure> {
    if partition.is_live {
        let data = folder::lock_above(&partition.dir);
        let data = data.parent().unwrap_or(&partition.dir);
        return Err(Failure::failed(
            format!("a daemon holds {}: nothing was changed", data.display()),
            "stop it first: klog broker stop (for Apache Kafka: kafka-server-stop.sh)",
        ));
    }
    Ok(())
}

/// Takes the lock of the data folder around `dir`, once.
fn take_lock(dir: &Path, locks: &mut Vec<(PathBuf, Box<dyn Lock>)>) -> Result<(), Failure> {
    let path = folder::lock_above(dir);
    let Some(data) = path.parent() else { return Ok(()) };
    if locks.iter().any(|(held, _)| held == data) {
        return Ok(());
    }
    if let Some(held) = lock(machine().as_ref(), data).map_err(|error| written(&error))? {
        locks.push((data.to_path_buf(), held));
    }
    Ok(())
}

fn show(rows: &mut Rows, partition: &Partition, mend: &Mend) {
    let path = |name: &Path| name.display().to_string();
    let plan = &mend.plan;
    for base in &plan.unfinished {
        let file = partition.dir.join(format!("{base:020}.log"));
        let none = serde_json::Value::Null;
        rows.push(vec![
            path(&file).into(),
            "finish an earlier repair".into(),
            none.clone(),
            none.clone(),
            none.clone(),
            none,
        ]);
    }
    for segment in &plan.segments {
        let file = path(&partition.dir.join(format!("{:020}.log", segment.base)));
        let mut row =
            |action: String, position: Option<u64>, bytes: Option<u64>, offsets: Option<(i64, i64)>| {
                rows.push(vec![
                    file.clone().into(),
                    action.into(),
                    position.into(),
                    bytes.into(),
                    offsets.map(|(first, _)| first).into(),
                    offsets.map(|(_, last)| last).into(),
                ]);
            };
        if segment.aside {
            row("set aside".to_owned(), Some(0), Some(segment.size), None);
            continue;
        }
        if let Some(base) = segment.rename_to {
            row(format!("rename to {base:020}.log"), None, None, None);
        }
        for cut in &segment.cuts {
            let bytes = cut.position.end - cut.position.start;
            let tail = cut.position.end >= segment.size && cut.offsets.is_empty();
            let action = if tail { "cut off the end" } else { "cut out" };
            let offsets = (!cut.offsets.is_empty()).then(|| (cut.offsets.start, cut.offsets.end - 1));
            row(action.to_owned(), Some(cut.position.start), Some(bytes), offsets);
        }
        row("make indexes".to_owned(), None, None, None);
    }
    let others = plan.aside.iter().map(|file| (path(file), "set aside"));
    let epochs = plan
        .epochs
        .iter()
        .map(|_| (path(&partition.dir.join("leader-epoch-checkpoint")), "make from the batches"));
    for (file, action) in others.chain(epochs) {
        let none = serde_json::Value::Null;
        rows.push(vec![file.into(), action.into(), none.clone(), none.clone(), none.clone(), none]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_another_user_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let owner = folder.path().metadata().unwrap().uid();
        assert_eq!(refuse_stranger(folder.path(), owner), Ok(()));
        let refused = refuse_stranger(folder.path(), owner + 1).unwrap_err();
        assert_eq!(refused.exit, Exit::Denied);
        assert!(refused.what.contains("belongs to another user"), "{refused:?}");
        assert!(refused.next.contains("sudo -u"), "{refused:?}");
    }
}
