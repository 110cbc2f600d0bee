//! A disk in memory that loses, tears, fails and fills up on command; it never touches the machine's.
//!
//! What a power cut leaves is as bad as POSIX allows: of the writes since a file's last sync each is kept, lost or torn,
//! in any combination; of the creations, renames and removals since the folder's last sync only the first few stay.
//! After a failed sync the writes it should have covered are still seen by readers but reach the disk by chance only,
//! and no later sync brings them there.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::disk::{Disk, DiskFile, Entry, Lock, Mode};

const ENOSPC: i32 = 28;
const EIO: i32 = 5;
const EMFILE: i32 = 24;

#[derive(Debug, Clone)]
enum Change {
    Write(u64, Vec<u8>),
    Len(u64),
}

#[derive(Debug, Default)]
struct Node {
    seen: Vec<u8>,
    safe: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    Folder,
    File(usize),
}

#[derive(Debug, Clone)]
enum NameChange {
    Add(PathBuf, Name),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf),
}

impl NameChange {
    fn touches(&self, folder: &Path) -> bool {
        match self {
            Self::Add(path, _) | Self::Remove(path) => path.parent() == Some(folder),
            Self::Rename(from, to) => from.parent() == Some(folder) || to.parent() == Some(folder),
        }
    }
}

#[derive(Debug, Default)]
struct State {
    nodes: Vec<Node>,
    names: BTreeMap<PathBuf, Name>,
    safe_names: BTreeMap<PathBuf, Name>,
    pending: Vec<NameChange>,
    locks: BTreeSet<PathBuf>,
    /// Handles of an earlier life of the process do nothing.
    life: u64,
    random: u64,
    steps: u64,
    syncs: u64,
    cut_at: Option<u64>,
    off: bool,
    capacity: Option<u64>,
    failing_sync: Option<u64>,
    failing_write: Option<u64>,
    lacking_files: u64,
}

/// The simulated disk.
#[derive(Debug)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct SimFile {
    state: Arc<Mutex<State>>,
    node: usize,
    life: u64,
    writable: bool,
}

#[derive(Debug)]
struct SimLock {
    state: Arc<Mutex<State>>,
    path: PathBuf,
    life: u64,
}

impl Lock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = super::held(&self.state);
        if state.life == self.life {
            state.locks.remove(&self.path);
        }
    }
}

impl SimDisk {
    /// An empty disk with all its luck drawn from `seed`.
    pub fn new(seed: u64) -> Arc<Self> {
        let mut state = State { random: seed, ..State::default() };
        state.names.insert(PathBuf::from("/"), Name::Folder);
        state.safe_names = state.names.clone();
        Arc::new(Self { state: Arc::new(Mutex::new(state)) })
    }

    /// Changes to the disk so far: writes, cuts, syncs, creations, renames, removals.
    pub fn steps(&self) -> u64 {
        self.state().steps
    }

    /// Syncs of files and folders so far.
    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// Cuts the power in the middle of the step with this number (the next one is [`SimDisk::steps`]), or of the next one
    /// where others took that meanwhile: it and everything after it fails until [`SimDisk::restart`].
    pub fn cut_power_at(&self, step: u64) {
        self.state().cut_at = Some(step);
    }

    /// Whether the power is cut.
    pub fn is_off(&self) -> bool {
        self.state().off
    }

    /// The machine comes back with what the power cut (now, if there was none yet) left on the disk.
    pub fn restart(&self) {
        self.state().lose_power();
    }

    /// The process ends without a power cut (`kill -9`): everything written is there, locks are free.
    pub fn kill(&self) {
        let mut state = self.state();
        state.life += 1;
        state.locks.clear();
    }

    /// The process ended where the power was to be cut, and the power stayed: everything written until then is there.
    pub fn power_on_as_killed(&self) {
        let mut state = self.state();
        state.off = false;
        state.cut_at = None;
        drop(state);
        self.kill();
    }

    /// How many bytes all files may have together; `None` for no limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    /// Bytes that all files have together.
    pub fn used(&self) -> u64 {
        self.state().used()
    }

    /// The `after`-th sync of a file from now on (0 is the next) fails with EIO, once.
    pub fn fail_sync(&self, after: u64) {
        self.state().failing_sync = Some(after);
    }

    /// The `after`-th write from now on (0 is the next) fails with EIO, once.
    pub fn fail_write(&self, after: u64) {
        self.state().failing_write = Some(after);
    }

    /// The next `count` syncs of a folder fail with EMFILE: it can not be opened, and nothing happens to it.
    pub fn lack_files(&self, count: u64) {
        self.state().lacking_files = count;
    }

    /// Flips one bit of a file, in memory and on the disk.
    pub fn flip_bit(&self, path: &Path, byte: usize, bit: u8) {
        let mut state = self.state();
        if let Some(&Name::File(node)) = state.names.get(path) {
            let node = &mut state.nodes[node];
            for bytes in [&mut node.seen, &mut node.safe] {
                if let Some(byte) = bytes.get_mut(byte) {
                    *byte ^= 1 << (bit & 7);
                }
            }
        }
    }

    /// A file's content as the process sees it.
    pub fn content(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        match state.names.get(path) {
            Some(&Name::File(node)) => Some(state.nodes[node].seen.clone()),
            _ => None,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        super::held(&self.state)
    }
}

impl State {
    fn draw(&mut self, below: u64) -> u64 {
        // splitmix64
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below.max(1)
    }

    fn used(&self) -> u64 {
        let files = self.names.values().filter_map(|name| match name {
            Name::File(node) => self.nodes.get(*node),
            Name::Folder => None,
        });
        files.map(|node| node.seen.len() as u64).sum()
    }

    fn alive(&self, life: u64) -> io::Result<()> {
        if self.off || life != self.life {
            return Err(io::Error::other("the simulated power is cut"));
        }
        Ok(())
    }

    /// Counts a step; an error when the power goes with it.
    fn step(&mut self) -> io::Result<()> {
        let number = self.steps;
        self.steps += 1;
        if self.cut_at.is_some_and(|at| number >= at) {
            self.off = true;
            return Err(io::Error::other("the simulated power is cut"));
        }
        Ok(())
    }

    fn change(&mut self, node: usize, change: Change) {
        let node = &mut self.nodes[node];
        apply(&mut node.seen, &change);
        node.pending.push(change);
    }

    fn rename_change(&mut self, change: NameChange) {
        apply_name(&mut self.names, &change);
        self.pending.push(change);
    }

    /// Of what is pending on a node each change is kept, lost or torn.
    fn gamble(&mut self, node: usize) {
        for mut change in std::mem::take(&mut self.nodes[node].pending) {
            let luck = self.draw(3);
            if luck == 0 {
                continue;
            }
            if luck == 1
                && let Change::Write(_, bytes) = &mut change
            {
                let keep = self.draw(bytes.len() as u64 + 1) as usize;
                bytes.truncate(keep);
            }
            apply(&mut self.nodes[node].safe, &change);
        }
    }

    fn lose_power(&mut self) {
        let keep = self.draw(self.pending.len() as u64 + 1) as usize;
        for change in std::mem::take(&mut self.pending).iter().take(keep) {
            apply_name(&mut self.safe_names, change);
        }
        self.names = self.safe_names.clone();
        for node in 0..self.nodes.len() {
            self.gamble(node);
            self.nodes[node].seen = self.nodes[node].safe.clone();
        }
        self.life += 1;
        self.locks.clear();
        self.off = false;
        self.cut_at = None;
        self.failing_sync = None;
        self.failing_write = None;
    }
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Len(len) => bytes.resize(*len as usize, 0),
        Change::Write(position, part) => {
            let from = *position as usize;
            if part.is_empty() {
                return;
            }
            if bytes.len() < from + part.len() {
                bytes.resize(from + part.len(), 0);
            }
            bytes[from..from + part.len()].copy_from_slice(part);
        }
    }
}

fn apply_name(names: &mut BTreeMap<PathBuf, Name>, change: &NameChange) {
    match change {
        NameChange::Add(path, name) => {
            names.insert(path.clone(), *name);
        }
        NameChange::Remove(path) => {
            names.remove(path);
        }
        NameChange::Rename(from, to) => {
            let moved: Vec<_> = names.keys().filter(|path| path.starts_with(from)).cloned().collect();
            for path in moved {
                if let (Some(name), Ok(below)) = (names.remove(&path), path.strip_prefix(from)) {
                    let path = if below.as_os_str().is_empty() { to.clone() } else { to.join(below) };
                    names.insert(path, name);
                }
            }
        }
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, mode: Mode) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state();
        let life = state.life;
        state.alive(life)?;
        let node = match state.names.get(path) {
            Some(&Name::File(node)) => node,
            Some(Name::Folder) => return Err(io::ErrorKind::IsADirectory.into()),
            None if mode != Mode::Create => return Err(io::ErrorKind::NotFound.into()),
            None => {
                if path.parent().is_none_or(|parent| state.names.get(parent) != Some(&Name::Folder)) {
                    return Err(io::ErrorKind::NotFound.into());
                }
                state.step()?;
                state.nodes.push(Node::default());
                let node = state.nodes.len() - 1;
                state.rename_change(NameChange::Add(path.to_path_buf(), Name::File(node)));
                node
            }
        };
        Ok(Arc::new(SimFile { state: Arc::clone(&self.state), node, life, writable: mode != Mode::Read }))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.alive(state.life)?;
        let mut missing: Vec<_> =
            path.ancestors().take_while(|above| !state.names.contains_key(*above)).collect();
        while let Some(folder) = missing.pop() {
            state.step()?;
            state.rename_change(NameChange::Add(folder.to_path_buf(), Name::Folder));
        }
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let state = self.state();
        state.alive(state.life)?;
        if state.names.get(path) != Some(&Name::Folder) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = state.names.iter().filter(|(entry, _)| entry.parent() == Some(path));
        Ok(inside
            .filter_map(|(entry, name)| {
                let len = match name {
                    Name::File(node) => state.nodes.get(*node)?.seen.len() as u64,
                    Name::Folder => 0,
                };
                let is_dir = *name == Name::Folder;
                Some(Entry { name: entry.file_name()?.to_str()?.to_owned(), is_dir, len })
            })
            .collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.alive(state.life)?;
        if !state.names.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.step()?;
        state.rename_change(NameChange::Rename(from.to_path_buf(), to.to_path_buf()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.alive(state.life)?;
        if !state.names.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.step()?;
        state.rename_change(NameChange::Remove(path.to_path_buf()));
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        if self.state().names.keys().any(|name| name.parent() == Some(path)) {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        self.remove(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.alive(state.life)?;
        if state.lacking_files > 0 {
            state.lacking_files -= 1;
            return Err(io::Error::from_raw_os_error(EMFILE));
        }
        state.syncs += 1;
        state.step()?;
        let (done, pending) = std::mem::take(&mut state.pending)
            .into_iter()
            .partition::<Vec<_>, _>(|change| change.touches(path));
        state.pending = pending;
        for change in &done {
            apply_name(&mut state.safe_names, change);
        }
        Ok(())
    }

    fn sync_all(&self, _: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.alive(state.life)?;
        state.syncs += 1;
        state.step()?;
        for change in std::mem::take(&mut state.pending) {
            apply_name(&mut state.safe_names, &change);
        }
        for node in &mut state.nodes {
            for change in std::mem::take(&mut node.pending) {
                apply(&mut node.safe, &change);
            }
        }
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        self.open(path, Mode::Create)?;
        let mut state = self.state();
        if !state.locks.insert(path.to_path_buf()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let life = state.life;
        Ok(Box::new(SimLock { state: Arc::clone(&self.state), path: path.to_path_buf(), life }))
    }

    fn is_locked(&self, path: &Path) -> io::Result<bool> {
        let state = self.state();
        state.alive(state.life)?;
        Ok(state.locks.contains(path))
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, into: &mut [u8], position: u64) -> io::Result<usize> {
        let state = super::held(&self.state);
        state.alive(self.life)?;
        let bytes = state.nodes[self.node].seen.get(position as usize..).unwrap_or_default();
        let count = bytes.len().min(into.len());
        into[..count].copy_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn write_vectored_at(&self, parts: &[IoSlice<'_>], position: u64) -> io::Result<()> {
        let mut state = super::held(&self.state);
        state.alive(self.life)?;
        if !self.writable {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let mut bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        if let Some(after) = state.failing_write {
            state.failing_write = after.checked_sub(1);
            if after == 0 {
                return Err(io::Error::from_raw_os_error(EIO));
            }
        }
        let len = state.nodes[self.node].seen.len() as u64;
        let growth = (position + bytes.len() as u64).saturating_sub(len);
        let room = state.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(state.used()));
        let stepped = state.step();
        if growth > room {
            bytes.truncate((bytes.len() as u64 - (growth - room).min(bytes.len() as u64)) as usize);
            state.change(self.node, Change::Write(position, bytes));
            return Err(io::Error::from_raw_os_error(ENOSPC));
        }
        state.change(self.node, Change::Write(position, bytes));
        stepped
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = super::held(&self.state);
        state.alive(self.life)?;
        if state.nodes[self.node].seen.len() as u64 == len {
            return Ok(());
        }
        let stepped = state.step();
        state.change(self.node, Change::Len(len));
        stepped
    }

    fn len(&self) -> io::Result<u64> {
        let state = super::held(&self.state);
        state.alive(self.life)?;
        Ok(state.nodes[self.node].seen.len() as u64)
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = super::held(&self.state);
        state.alive(self.life)?;
        state.syncs += 1;
        state.step()?;
        if let Some(after) = state.failing_sync {
            state.failing_sync = after.checked_sub(1);
            if after == 0 {
                state.gamble(self.node);
                return Err(io::Error::from_raw_os_error(EIO));
            }
        }
        let node = &mut state.nodes[self.node];
        for change in std::mem::take(&mut node.pending) {
            apply(&mut node.safe, &change);
        }
        Ok(())
    }

    fn allocate(&self, _: u64, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_synced_is_sure_to_stay() {
        let (mut kept, mut lost) = (0, 0);
        for seed in 0..40 {
            let disk = SimDisk::new(seed);
            disk.create_dir(Path::new("/d")).unwrap();
            disk.sync_dir(Path::new("/")).unwrap();
            let path = Path::new("/d/f");
            let file = disk.open(path, Mode::Create).unwrap();
            disk.sync_dir(Path::new("/d")).unwrap();
            file.write_vectored_at(&[IoSlice::new(b"safe")], 0).unwrap();
            file.sync().unwrap();
            file.write_vectored_at(&[IoSlice::new(b"maybe")], 4).unwrap();
            disk.open(Path::new("/d/g"), Mode::Create).unwrap();
            disk.restart();
            assert!(file.read_at(&mut [0; 4], 0).is_err(), "a handle of the life before");
            let content = disk.content(path).unwrap();
            assert!(content.starts_with(b"safe") && b"safemaybe".starts_with(content.as_slice()));
            if content.len() == 9 { kept += 1 } else { lost += 1 }
        }
        assert!(kept > 0 && lost > 0);
    }

    #[test]
    fn power_goes_at_the_step_asked_for() {
        let disk = SimDisk::new(1);
        let file = disk.open(Path::new("/f"), Mode::Create).unwrap();
        disk.cut_power_at(disk.steps() + 1);
        file.write_vectored_at(&[IoSlice::new(b"a")], 0).unwrap();
        assert!(file.sync().is_err());
        assert!(disk.is_off() && file.len().is_err() && disk.list(Path::new("/")).is_err());
    }

    #[test]
    fn a_full_disk_takes_a_part_and_a_failed_sync_is_not_made_good() {
        let disk = SimDisk::new(1);
        let file = disk.open(Path::new("/f"), Mode::Create).unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        disk.set_capacity(Some(2));
        let error = file.write_vectored_at(&[IoSlice::new(b"abc")], 0).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(file.len().unwrap(), 2);
        disk.fail_sync(0);
        assert!(file.sync().is_err());
        assert!(file.sync().is_ok());
        assert_eq!(disk.content(Path::new("/f")).unwrap(), b"ab");
    }
}
