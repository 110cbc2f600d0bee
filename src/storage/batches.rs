//! Walks the batch headers of a segment by positioned reads; reads no payload but a marker's and never trusts a length.

use std::io;

use super::{DiskFile, disk};
use crate::record::{Batch, BatchHeader, ControlMarker, HEADER_LEN, LENGTH_PREFIX};

/// A batch and where it lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Located {
    /// Where it starts, in bytes.
    pub(super) position: u64,
    /// Its header.
    pub(super) header: BatchHeader,
}

impl Located {
    /// Where the next batch starts.
    pub(super) fn end(&self) -> u64 {
        self.position + self.header.size() as u64
    }
}

/// What lies at a position.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// A batch whose header is plausible and that ends within the file.
    Batch(Located),
    /// The end of what was to be walked.
    End,
    /// No batch.
    Bad,
}

/// The header at the start of `bytes`, if it can be one: magic, length and deltas are possible. The CRC is not looked at.
pub(super) fn plausible(bytes: &[u8]) -> Option<BatchHeader> {
    let raw: &[u8; HEADER_LEN] = bytes.first_chunk()?;
    if raw[16] != 2 {
        return None;
    }
    let header = BatchHeader {
        base_offset: i64::from_be_bytes(part(raw, 0)),
        batch_length: i32::from_be_bytes(part(raw, 8)),
        leader_epoch: i32::from_be_bytes(part(raw, 12)),
        crc: u32::from_be_bytes(part(raw, 17)),
        attributes: i16::from_be_bytes(part(raw, 21)),
        last_offset_delta: i32::from_be_bytes(part(raw, 23)),
        base_timestamp: i64::from_be_bytes(part(raw, 27)),
        max_timestamp: i64::from_be_bytes(part(raw, 35)),
        producer_id: i64::from_be_bytes(part(raw, 43)),
        producer_epoch: i16::from_be_bytes(part(raw, 51)),
        base_sequence: i32::from_be_bytes(part(raw, 53)),
        count: i32::from_be_bytes(part(raw, 57)),
    };
    let least = (HEADER_LEN - LENGTH_PREFIX) as i32;
    let possible = header.batch_length >= least
        && header.last_offset_delta >= 0
        && header.base_offset >= 0
        && header.base_offset <= i64::MAX - i64::from(i32::MAX);
    possible.then_some(header)
}

/// What a control batch says; `None` where it has no record, or can not be read.
pub(super) fn marker_of(batch: &Batch<'_>) -> Option<ControlMarker> {
    ControlMarker::of(&batch.records().ok()?.next()?.ok()?)
}

/// As [`marker_of`], of a batch that is not read yet. No marker is large: what says so is none.
pub(super) fn marker_at(file: &dyn DiskFile, located: &Located) -> io::Result<Option<ControlMarker>> {
    small_at(file, located, marker_of).map(Option::flatten)
}

/// As [`marker_at`], of one whose checksum agrees; the error is that it does not. A batch that may have been a marker once
/// is looked at too: without the control bit it still has a producer and no sequence.
pub(super) fn checked_marker_at(
    file: &dyn DiskFile,
    located: &Located,
) -> io::Result<Result<Option<ControlMarker>, BadMarker>> {
    let header = &located.header;
    let was_marker = header.has_producer_id() && header.base_sequence < 0;
    if !header.is_control() && !was_marker {
        return Ok(Ok(None));
    }
    let checked = |batch: &Batch<'_>| match batch.crc_ok() {
        true if batch.is_control() => Ok(marker_of(batch)),
        true => Ok(None),
        false => Err(BadMarker),
    };
    Ok(small_at(file, located, checked)?.unwrap_or(Ok(None)))
}

/// What is, or may have been, a marker is damaged: what it said of its transaction is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadMarker;

/// Reads a batch that is as small as markers are, and looks at it.
fn small_at<T>(
    file: &dyn DiskFile,
    located: &Located,
    look: impl FnOnce(&Batch<'_>) -> T,
) -> io::Result<Option<T>> {
    let mut bytes = [0; 1024];
    let Some(bytes) = bytes.get_mut(..located.header.size()) else { return Ok(None) };
    disk::read_exact_at(file, bytes, located.position)?;
    Ok(Batch::exactly(bytes).ok().as_ref().map(look))
}

fn part<const N: usize>(raw: &[u8; HEADER_LEN], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&raw[at..at + N]);
    out
}

const CHUNK: usize = 4096;

/// Headers one after the other. One read brings up to 4 KiB, so that small batches share a system call and a large one
/// costs one short read.
pub(super) struct Walk<'f> {
    file: &'f dyn DiskFile,
    at: u64,
    end: u64,
    chunk: [u8; CHUNK],
    chunk_at: u64,
    chunk_len: usize,
}

impl<'f> Walk<'f> {
    /// Walks from `from`, where a batch must start, to `end`.
    pub(super) fn new(file: &'f dyn DiskFile, from: u64, end: u64) -> Self {
        Self { file, at: from, end, chunk: [0; CHUNK], chunk_at: 0, chunk_len: 0 }
    }

    /// Where the next step looks.
    pub(super) fn position(&self) -> u64 {
        self.at
    }

    /// The next batch, and moves behind it; stays where it is otherwise.
    pub(super) fn step(&mut self) -> io::Result<Step> {
        if self.at >= self.end {
            return Ok(Step::End);
        }
        if self.end - self.at < HEADER_LEN as u64 {
            return Ok(Step::Bad);
        }
        let Some(header) = self.header()? else { return Ok(Step::Bad) };
        let located = Located { position: self.at, header };
        if located.end() > self.end {
            return Ok(Step::Bad);
        }
        self.at = located.end();
        Ok(Step::Batch(located))
    }

    fn header(&mut self) -> io::Result<Option<BatchHeader>> {
        let held = self.chunk_at..self.chunk_at + self.chunk_len as u64;
        if !(held.contains(&self.at) && held.end - self.at >= HEADER_LEN as u64) {
            let want = usize::try_from(self.end - self.at).unwrap_or(CHUNK).min(CHUNK);
            self.chunk_at = self.at;
            self.chunk_len = 0;
            while self.chunk_len < HEADER_LEN {
                let into = &mut self.chunk[self.chunk_len..want];
                let read = self.file.read_at(into, self.at + self.chunk_len as u64)?;
                if read == 0 {
                    return Ok(None);
                }
                self.chunk_len += read;
            }
        }
        let from = (self.at - self.chunk_at) as usize;
        Ok(self.chunk.get(from..self.chunk_len).and_then(plausible))
    }
}
