//! Bytes as changes to the files of a data folder, so that what a fuzzer draws lands behind names, lengths and checksums
//! that hold; the folder itself is what a daemon left.

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use klog::record::{HEADER_LEN, crc32c};
use klog::storage::Disk;
use klog::storage::disk::Mode;
use klog::storage::sim::SimDisk;

use crate::rig::{self, Template};

/// Files that a folder may have besides those that a daemon left.
const OTHERS: [&str; 17] = [
    "t-0/00000000000000000007.log",
    "t-0/00000000000000000007.index",
    "t-0/00000000000000000007.timeindex",
    "t-0/00000000000000000000.txnindex",
    "t-0/00000000000000000007.snapshot",
    "t-0/09223372036854775807.log",
    "t-0/00000000000000000000.log.tmp",
    "t-0/00000000000000000000.log.deleted",
    "t-0/klog-start",
    "t-0/klog-damage",
    "cleaner-offset-checkpoint",
    "recovery-point-offset-checkpoint",
    "klog-dirty",
    "klog-clean",
    "t-0/00000000000000000007.txnindex",
    "t-0/-0000000000000000005.log",
    "t-0/+0000000000000000000.log",
];

thread_local! {
    static TEMPLATES: [Template; 2] = [Template::new(true, 14, false), Template::new(false, 14, false)];
}

/// What the next bytes say, 0 where there is none left.
pub(crate) struct Drawn<'d>(pub(crate) &'d [u8]);

impl<'d> Drawn<'d> {
    pub(crate) fn byte(&mut self) -> u8 {
        let Some((&byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        byte
    }

    pub(crate) fn short(&mut self) -> usize {
        usize::from(self.byte()) << 8 | usize::from(self.byte())
    }

    fn bytes(&mut self, len: usize) -> &'d [u8] {
        let (bytes, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        bytes
    }
}

/// A data folder, changed as `drawn` says; the names of the files that were changed.
pub(crate) fn folder(drawn: &mut Drawn<'_>) -> (Arc<SimDisk>, Vec<PathBuf>) {
    TEMPLATES.with(|templates| {
        let template = &templates[usize::from(drawn.byte()) % 2];
        let disk = template.disk(1);
        let data = Path::new("/data");
        // Those first: their numbers stay what they are when a daemon comes to leave other files.
        let names = OTHERS.iter().map(|name| data.join(name));
        let names: Vec<PathBuf> = names.chain(template.files.iter().map(|(path, _)| path.clone())).collect();
        let mut changed = Vec::new();
        for _ in 0..8 {
            if drawn.0.is_empty() {
                break;
            }
            let path = &names[usize::from(drawn.byte()) % names.len()];
            let now = disk.content(path);
            match edited(now.clone().unwrap_or_default(), drawn) {
                None => drop(disk.remove(path)),
                Some(content) => put(&disk, path, &content),
            }
            if now != disk.content(path) {
                changed.push(path.clone());
            }
        }
        disk.sync_all(Path::new("/")).unwrap();
        (disk, changed)
    })
}

fn put(disk: &SimDisk, path: &Path, content: &[u8]) {
    let file = disk.open(path, Mode::Create).unwrap();
    file.set_len(0).unwrap();
    file.write_vectored_at(&[IoSlice::new(content)], 0).unwrap();
}

/// One change to one file; `None` removes it.
fn edited(mut content: Vec<u8>, drawn: &mut Drawn<'_>) -> Option<Vec<u8>> {
    let how = drawn.byte();
    match how % 8 {
        // Written over from somewhere on.
        0 => {
            let at = drawn.short() % (content.len() + 1);
            let len = usize::from(drawn.byte());
            for (to, byte) in content.iter_mut().skip(at).zip(drawn.bytes(len)) {
                *to = *byte;
            }
        }
        1 => content.truncate(drawn.short()),
        2 => {
            let len = usize::from(drawn.byte());
            content.extend_from_slice(drawn.bytes(len));
        }
        3 => {
            let len = drawn.short();
            content = drawn.bytes(len).to_vec();
        }
        4 => return None,
        // A field of a batch's header, with the checksum put right.
        5 => {
            let Some(at) = start_of_batch(&content, usize::from(drawn.byte())) else { return Some(content) };
            let size = size_at(&content, at).unwrap_or(HEADER_LEN);
            let field = 21 + usize::from(drawn.byte()) % (HEADER_LEN + 8 - 21);
            let len = usize::from(drawn.byte() % 9);
            for (to, byte) in content.iter_mut().skip(at + field).zip(drawn.bytes(len)) {
                *to = *byte;
            }
            if let Some(batch) = content.get_mut(at..at + size) {
                let crc = crc32c(&batch[21..]);
                batch[17..21].copy_from_slice(&crc.to_be_bytes());
            }
        }
        // What no checksum covers: base offset, length, leader epoch.
        6 => {
            let Some(at) = start_of_batch(&content, usize::from(drawn.byte())) else { return Some(content) };
            let field = usize::from(drawn.byte()) % 16;
            let len = usize::from(drawn.byte() % 9);
            for (to, byte) in content.iter_mut().skip(at + field).zip(drawn.bytes(len)) {
                *to = *byte;
            }
        }
        // One of klog's own files, with another payload and the checksum put right.
        _ => {
            let at = usize::from(drawn.byte());
            let len = usize::from(drawn.byte());
            let new = drawn.bytes(len);
            content.truncate(content.len().saturating_sub(4));
            content.truncate(18 + at);
            content.extend_from_slice(new);
            if let Some(announced) = content.get_mut(14..18) {
                announced.copy_from_slice(&(at.wrapping_add(len) as u32).to_be_bytes());
            }
            let crc = crc32fast::hash(&content);
            content.extend_from_slice(&crc.to_be_bytes());
        }
    }
    Some(content)
}

fn size_at(content: &[u8], at: usize) -> Option<usize> {
    let length = content.get(at + 8..)?.first_chunk()?;
    let size = 12 + usize::try_from(i32::from_be_bytes(*length)).ok()?;
    (size >= HEADER_LEN && at + size <= content.len()).then_some(size)
}

fn start_of_batch(content: &[u8], number: usize) -> Option<usize> {
    let mut starts = Vec::new();
    let mut at = 0;
    while let Some(size) = size_at(content, at) {
        starts.push(at);
        at += size;
    }
    starts.get(number % starts.len().max(1)).copied()
}

/// All files below the data folder, by path.
pub(crate) fn files(disk: &SimDisk) -> Vec<(PathBuf, Vec<u8>)> {
    let mut open = vec![PathBuf::from("/data")];
    let mut found = Vec::new();
    while let Some(dir) = open.pop() {
        for entry in disk.list(&dir).unwrap() {
            let path = dir.join(entry.name);
            match entry.is_dir {
                true => open.push(path),
                false => found.push((path.clone(), disk.content(&path).unwrap())),
            }
        }
    }
    found.sort();
    found
}

pub(crate) fn is_log(path: &Path) -> bool {
    rig::is_log(path)
}
