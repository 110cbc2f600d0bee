//! klog's own small files: magic, kind, version and CRC-32 around a payload, replaced whole or not at all.

use std::path::Path;

use super::{Disk, StorageError};

/// Replaces the file at `path` by one that holds `payload`: written beside it, synced, renamed, the folder synced.
pub fn replace(
    disk: &dyn Disk,
    path: &Path,
    kind: [u8; 4],
    version: u16,
    payload: &[u8],
) -> Result<(), StorageError> {
    let _ = (disk, path, kind, version, payload);
    unimplemented!()
}

/// Reads what [`replace`] wrote: version and payload; `None` when there is no such file, `BadFile` when it is not whole.
pub fn read(disk: &dyn Disk, path: &Path, kind: [u8; 4]) -> Result<Option<(u16, Vec<u8>)>, StorageError> {
    let _ = (disk, path, kind);
    unimplemented!()
}
