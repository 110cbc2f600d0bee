//! klog's own small files: magic, kind, version and CRC-32 around a payload, replaced whole or not at all.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};

use super::disk::{self, Mode};
use super::{Disk, StorageError};

const MAGIC: &[u8; 8] = b"klogfile";
const HEAD: usize = 8 + 4 + 2 + 4;
/// A file of klog's own is never larger; a damaged length must not cost memory.
const MAX_LEN: u64 = 256 << 20;

/// Replaces the file at `path` by one that holds `payload`: written beside it, synced, renamed, the folder synced.
/// `kind` says what the payload is, so that one file is never taken for another.
///
/// # Errors
/// `Io`; the file is then the old one or, after a failed sync of the folder, either.
pub fn replace(
    disk: &dyn Disk,
    path: &Path,
    kind: [u8; 4],
    version: u16,
    payload: &[u8],
) -> Result<(), StorageError> {
    replace_raw(disk, path, &seal(kind, version, payload), true)
}

/// The first half of [`replace`]: the file that is to be renamed to `path`, written and synced. Removed where that fails.
pub(super) fn prepare(
    disk: &dyn Disk,
    path: &Path,
    kind: [u8; 4],
    version: u16,
    payload: &[u8],
) -> Result<PathBuf, StorageError> {
    let temporary = temporary(path);
    let write = || -> io::Result<()> {
        let file = disk.open(&temporary, Mode::Create)?;
        file.set_len(0)?;
        file.write_vectored_at(&[IoSlice::new(&seal(kind, version, payload))], 0)?;
        file.sync()
    };
    match write() {
        Ok(()) => Ok(temporary),
        Err(error) => {
            let _ = disk.remove(&temporary);
            Err(StorageError::io("writing", &temporary)(error))
        }
    }
}

fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    PathBuf::from(name)
}

/// Reads what [`replace`] wrote: version and payload; `None` when there is no such file.
///
/// # Errors
/// `BadFile` when it is not whole, `Io`.
pub fn read(disk: &dyn Disk, path: &Path, kind: [u8; 4]) -> Result<Option<(u16, Vec<u8>)>, StorageError> {
    let Some(bytes) = read_raw(disk, path)? else { return Ok(None) };
    match unseal(&bytes, kind) {
        Ok((version, payload)) => Ok(Some((version, payload.to_vec()))),
        Err(reason) => Err(StorageError::BadFile { path: path.to_path_buf(), reason }),
    }
}

fn seal(kind: [u8; 4], version: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD + payload.len() + 4);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&kind);
    bytes.extend_from_slice(&version.to_be_bytes());
    bytes.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    bytes.extend_from_slice(payload);
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_be_bytes());
    bytes
}

fn unseal(bytes: &[u8], kind: [u8; 4]) -> Result<(u16, &[u8]), &'static str> {
    let (body, crc) = bytes.split_last_chunk::<4>().ok_or("it is too short")?;
    let head = body.get(..HEAD).ok_or("it is too short")?;
    if !head.starts_with(MAGIC) {
        return Err("it does not begin with klog's magic");
    }
    if crc32fast::hash(body) != u32::from_be_bytes(*crc) {
        return Err("its checksum is wrong");
    }
    if head.get(8..12) != Some(kind.as_slice()) {
        return Err("it is a file of another kind");
    }
    let version = head.get(12..14).and_then(|raw| raw.first_chunk()).copied().map_or(0, u16::from_be_bytes);
    Ok((version, body.get(HEAD..).unwrap_or_default()))
}

/// Replaces a file's whole content; with `durable` it is synced before and after the rename.
pub(super) fn replace_raw(
    disk: &dyn Disk,
    path: &Path,
    content: &[u8],
    durable: bool,
) -> Result<(), StorageError> {
    let temporary = temporary(path);
    let write = || -> io::Result<()> {
        let file = disk.open(&temporary, Mode::Create)?;
        file.set_len(0)?;
        file.write_vectored_at(&[IoSlice::new(content)], 0)?;
        if durable {
            file.sync()?;
        }
        drop(file);
        disk.rename(&temporary, path)?;
        match path.parent() {
            // A bare name lies in the present folder.
            Some(parent) if durable && parent.as_os_str().is_empty() => disk.sync_dir(Path::new(".")),
            Some(parent) if durable => disk.sync_dir(parent),
            _ => Ok(()),
        }
    };
    write().map_err(StorageError::io("replacing", path))
}

/// A small file's whole content; `None` when there is no such file.
pub(super) fn read_raw(disk: &dyn Disk, path: &Path) -> Result<Option<Vec<u8>>, StorageError> {
    let read = || -> io::Result<Vec<u8>> {
        let file = disk.open(path, Mode::Read)?;
        let len = file.len()?;
        if len > MAX_LEN {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        disk::read_exact_at(file.as_ref(), &mut bytes, 0)?;
        Ok(bytes)
    };
    match read() {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StorageError::io("reading", path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::sim::SimDisk;

    #[test]
    fn a_sealed_file_has_these_bytes() {
        let bytes = seal(*b"test", 3, b"ab");
        assert_eq!(&bytes[..20], b"klogfiletest\x00\x03\x00\x00\x00\x02ab");
        assert_eq!(bytes[20..], crc32fast::hash(&bytes[..20]).to_be_bytes());
    }

    #[test]
    fn any_flipped_bit_and_any_cut_is_found() {
        let whole = seal(*b"test", 1, b"payload");
        assert_eq!(unseal(&whole, *b"test"), Ok((1, b"payload".as_slice())));
        assert!(unseal(&whole, *b"else").is_err());
        for at in 0..whole.len() {
            assert!(unseal(&whole[..at], *b"test").is_err(), "cut at {at}");
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            assert!(unseal(&flipped, *b"test").is_err(), "flipped at {at}");
        }
    }

    #[test]
    fn a_file_is_replaced_whole() {
        let disk = SimDisk::new(1);
        disk.create_dir(Path::new("/d")).unwrap();
        let path = Path::new("/d/klog-test");
        assert_eq!(read(disk.as_ref(), path, *b"test").unwrap(), None);
        replace(disk.as_ref(), path, *b"test", 1, b"first and long").unwrap();
        replace(disk.as_ref(), path, *b"test", 2, b"second").unwrap();
        assert_eq!(read(disk.as_ref(), path, *b"test").unwrap(), Some((2, b"second".to_vec())));
        assert_eq!(disk.list(Path::new("/d")).unwrap().len(), 1);
    }
}
