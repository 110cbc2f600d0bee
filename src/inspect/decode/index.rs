//! Entries of the three indexes of a segment, as offsets and positions; zeros that Kafka preallocates behind them are
//! no entries.

use std::io;

use super::{Finding, Sink};
use crate::codec::Value;
use crate::storage::disk::{DiskFile, read_exact_at};

pub(super) const TRANSACTION_COLUMNS: &[&str] =
    &["version", "producer_id", "first_offset", "last_offset", "last_stable_offset"];

/// Bytes of an entry of `.txnindex`: its version and four numbers (`AbortedTxn` in Kafka's storage).
const ABORTED: usize = 2 + 4 * 8;
/// The version of such an entry.
const ABORTED_VERSION: i16 = 0;
/// How many entries are read at a time.
const AT_ONCE: usize = 4096;
/// How many findings of one file are kept.
const MANY: usize = 1000;

/// Hands every entry to `each`, which says whether it wants more.
fn entries<const N: usize>(
    file: &dyn DiskFile,
    mut each: impl FnMut(u64, &[u8; N], &mut Vec<Finding>) -> bool,
) -> io::Result<Vec<Finding>> {
    let len = file.len()?;
    let whole = len - len % N as u64;
    let mut findings = Vec::new();
    // Where zeros began that nothing followed so far.
    let mut zeros = None;
    let mut buffer = vec![0; AT_ONCE * N];
    let mut position = 0;
    while position < whole {
        let want = usize::try_from(whole - position).unwrap_or(usize::MAX).min(buffer.len());
        let chunk = buffer.get_mut(..want).unwrap_or_default();
        read_exact_at(file, chunk, position)?;
        for raw in chunk.as_chunks::<N>().0 {
            // A file of one entry is not preallocated: it says "time 0, first record".
            if *raw == [0; N] && len > N as u64 {
                zeros = zeros.or(Some(position));
            } else {
                if let Some(from) = zeros.take() {
                    note(&mut findings, from, || "empty entries before others".to_owned());
                }
                if !each(position, raw, &mut findings) {
                    return Ok(findings);
                }
            }
            position += N as u64;
        }
    }
    if whole < len && zeros.is_none() {
        findings.push(Finding::new(whole, format!("{} bytes are no whole entry of {N}", len - whole)));
    }
    Ok(findings)
}

/// Notes a finding, unless there are many: an index of garbage would fill the memory with them.
fn note(findings: &mut Vec<Finding>, at: u64, what: impl FnOnce() -> String) {
    if findings.len() < MANY {
        findings.push(Finding::new(at, what()));
    }
}

fn part<const N: usize>(raw: &[u8], at: usize) -> [u8; N] {
    raw.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}

/// An offset index: a batch's last offset and where the batch begins.
pub(super) fn offsets(file: &dyn DiskFile, base: i64, sink: Sink<'_>) -> io::Result<Vec<Finding>> {
    let mut before = None;
    entries::<8>(file, |at, raw, findings| {
        let offset = base.saturating_add(i32::from_be_bytes(part(raw, 0)).into());
        let position = u32::from_be_bytes(part(raw, 4));
        if offset < base || before.is_some_and(|(last, behind)| offset <= last || position <= behind) {
            note(findings, at, || format!("offset {offset} at {position} does not rise"));
        }
        before = Some((offset, position));
        sink(vec![offset.into(), position.into()])
    })
}

/// A time index: the largest timestamp so far and the offset that brought it.
pub(super) fn times(file: &dyn DiskFile, base: i64, sink: Sink<'_>) -> io::Result<Vec<Finding>> {
    let mut before = None;
    entries::<12>(file, |at, raw, findings| {
        let timestamp = i64::from_be_bytes(part(raw, 0));
        let offset = base.saturating_add(i32::from_be_bytes(part(raw, 8)).into());
        if offset < base || before.is_some_and(|(last, behind)| timestamp <= last || offset < behind) {
            note(findings, at, || format!("time {timestamp} of offset {offset} does not rise"));
        }
        before = Some((timestamp, offset));
        sink(vec![timestamp.into(), offset.into()])
    })
}

/// A transaction index: aborted transactions, first and last offset, and the last stable offset when each ended.
pub(super) fn transactions(file: &dyn DiskFile, sink: Sink<'_>) -> io::Result<Vec<Finding>> {
    entries::<ABORTED>(file, |at, raw, findings| {
        let version = i16::from_be_bytes(part(raw, 0));
        if version != ABORTED_VERSION {
            findings
                .push(Finding::new(at, format!("an entry in version {version}; known is {ABORTED_VERSION}")));
            return false;
        }
        let numbers = (0..4).map(|number| i64::from_be_bytes(part(raw, 2 + 8 * number)).into());
        sink([Value::from(version)].into_iter().chain(numbers).collect())
    })
}
