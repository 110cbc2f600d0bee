//! The swap of old segments for new ones: one small file says which, and from the moment it is on disk the swap is done,
//! however often it has to be finished. Before that moment nothing happened.
//!
//! Order: the new files are synced under their `.cleaned` names, the folder is synced, `klog-swap` is written (synced,
//! renamed, folder synced), the new files take their final names, the old ones that no new one replaced are removed, the
//! folder is synced, `klog-swap` is removed, the folder is synced.

use std::io;
use std::path::{Path, PathBuf};

use super::output::{CLEANED, EXTENSIONS, cleaned_path};
use crate::storage::checkpoint;
use crate::storage::disk::{Entry, Mode};
use crate::storage::segment::file_name;
use crate::storage::{Disk, StorageError};

/// The file that names a swap.
pub(in crate::storage) const FILE: &str = "klog-swap";
const KIND: [u8; 4] = *b"swap";
const VERSION: u16 = 1;

/// Which segments take the place of which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::storage) struct Swap {
    /// Bases of the segments that go.
    pub(in crate::storage) old: Vec<i64>,
    /// Bases and sizes of those that come.
    pub(in crate::storage) new: Vec<(i64, u64)>,
}

impl Swap {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = (self.old.len() as u32).to_be_bytes().to_vec();
        for base in &self.old {
            bytes.extend_from_slice(&base.to_be_bytes());
        }
        for (base, size) in &self.new {
            bytes.extend_from_slice(&base.to_be_bytes());
            bytes.extend_from_slice(&size.to_be_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (count, rest) = bytes.split_first_chunk::<4>()?;
        let len = usize::try_from(u32::from_be_bytes(*count)).ok()?.checked_mul(8)?;
        let (old, new) = rest.split_at_checked(len)?;
        let old = old.as_chunks::<8>().0.iter().map(|raw| i64::from_be_bytes(*raw)).collect();
        let (pairs, []) = new.as_chunks::<16>() else { return None };
        let new = pairs.iter().filter_map(|raw| {
            let (base, size) = raw.split_first_chunk::<8>()?;
            Some((i64::from_be_bytes(*base), u64::from_be_bytes(*size.first_chunk()?)))
        });
        Some(Self { old, new: new.collect() })
    }

    /// Writes the swap beside its place: nothing has happened yet, and a full disk is only that.
    pub(in crate::storage) fn prepare(&self, disk: &dyn Disk, dir: &Path) -> Result<PathBuf, StorageError> {
        disk.sync_dir(dir).map_err(StorageError::io("syncing", dir))?;
        checkpoint::prepare(disk, &dir.join(FILE), KIND, VERSION, &self.encode())
    }

    /// Makes the swap happen: when this answers, nothing takes it back. When it fails it may have happened.
    pub(in crate::storage) fn commit(
        &self,
        disk: &dyn Disk,
        dir: &Path,
        prepared: &Path,
    ) -> Result<(), StorageError> {
        let path = dir.join(FILE);
        let commit = || disk.rename(prepared, &path).and_then(|()| disk.sync_dir(dir));
        commit().map_err(StorageError::io("replacing", &path))
    }

    /// Gives all files their names; finishes what was begun before, too.
    pub(in crate::storage) fn perform(&self, disk: &dyn Disk, dir: &Path) -> Result<(), StorageError> {
        self.rename(disk, dir).map_err(StorageError::io("swapping segments in", dir))
    }

    fn rename(&self, disk: &dyn Disk, dir: &Path) -> io::Result<()> {
        for &(base, size) in &self.new {
            let log = cleaned_path(dir, base, "log");
            match disk.open(&log, Mode::Read).and_then(|file| file.len()) {
                Ok(len) if len != size => {
                    return Err(io::Error::other(format!("{} is not what was written", log.display())));
                }
                // Has its name already, perhaps with an index that has not.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                done => {
                    done?;
                }
            }
            // The log last: while it has its old name, its indexes are made sure of again.
            for extension in EXTENSIONS.iter().rev() {
                let to = dir.join(file_name(base, extension));
                match disk.rename(&cleaned_path(dir, base, extension), &to) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    done => done?,
                }
            }
        }
        let old = self.old.iter().filter(|old| !self.new.iter().any(|(new, _)| new == *old));
        for &base in old {
            for extension in EXTENSIONS {
                match disk.remove(&dir.join(file_name(base, extension))) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    done => done?,
                }
            }
        }
        disk.sync_dir(dir)?;
        match disk.remove(&dir.join(FILE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            done => done?,
        }
        // A swap that came back with the power would meet the files of the next one.
        disk.sync_dir(dir)
    }
}

/// Finishes a swap that was begun, or removes what an unfinished compaction left; whether the folder changed.
pub(in crate::storage) fn settle(
    disk: &dyn Disk,
    dir: &Path,
    entries: &[Entry],
) -> Result<bool, StorageError> {
    let mut changed = false;
    if entries.iter().any(|entry| entry.name == FILE) {
        let bad = || StorageError::BadFile { path: dir.join(FILE), reason: "it does not say what to swap" };
        if let Some((_, bytes)) = checkpoint::read(disk, &dir.join(FILE), KIND)? {
            Swap::decode(&bytes).ok_or_else(bad)?.perform(disk, dir)?;
            changed = true;
        }
    }
    let ending = format!(".{CLEANED}");
    for entry in entries.iter().filter(|entry| entry.name.ends_with(&ending)) {
        match disk.remove(&dir.join(&entry.name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            done => done.map_err(StorageError::io("removing", &dir.join(&entry.name)))?,
        }
        changed = true;
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_swap_comes_back_as_it_was() {
        let swap = Swap { old: vec![0, 10, 20], new: vec![(0, 5), (15, 7)] };
        assert_eq!(Swap::decode(&swap.encode()), Some(swap.clone()));
        assert_eq!(Swap::decode(&swap.encode()[..30]), None);
        assert_eq!(Swap::decode(&[0xff; 8]), None);
    }
}
