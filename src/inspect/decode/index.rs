//! Entries of the three indexes of a segment, as offsets and positions; zeros that Kafka preallocates behind them are
//! no entries.

use std::io;

use super::{Finding, Sink, note};
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::inspect::decode::MANY;
    use crate::storage::Disk;
    use crate::storage::disk::Mode;
    use crate::storage::sim::SimDisk;

    type Decode = fn(&dyn DiskFile, Sink<'_>) -> io::Result<Vec<Finding>>;

    fn decoded(bytes: &[u8], decode: Decode) -> (Vec<Vec<Value>>, Vec<u64>) {
        let disk = SimDisk::new(1);
        disk.create_dir(Path::new("/d")).unwrap();
        let file = disk.open(Path::new("/d/x"), Mode::Create).unwrap();
        file.write_vectored_at(&[io::IoSlice::new(bytes)], 0).unwrap();
        let mut rows = Vec::new();
        let findings = decode(file.as_ref(), &mut |row| {
            rows.push(row);
            true
        });
        (rows, findings.unwrap().iter().map(|finding| finding.position).collect())
    }

    fn entry(offset: i32, position: u32) -> Vec<u8> {
        [offset.to_be_bytes(), position.to_be_bytes()].concat()
    }

    fn row(offset: i64, position: i64) -> Vec<Value> {
        vec![Value::Int(offset), Value::Int(position)]
    }

    #[test]
    fn offsets_are_those_of_the_log_and_preallocated_space_is_no_entry() {
        let decode: Decode = |file, sink| offsets(file, 100, sink);
        let mut bytes = [entry(9, 50), entry(19, 90)].concat();
        let rows = vec![row(109, 50), row(119, 90)];
        assert_eq!(decoded(&bytes, decode), (rows.clone(), vec![]));
        bytes.extend_from_slice(&[0; 8 * 10_000]);
        assert_eq!(decoded(&bytes, decode), (rows.clone(), vec![]));
        bytes.extend_from_slice(&[0; 3]);
        assert_eq!(decoded(&bytes, decode), (rows, vec![]), "zeros of any length");
        assert_eq!(decoded(&[0; 8], decode), (vec![row(100, 0)], vec![]));
        assert_eq!(decoded(&[], decode), (vec![], vec![]));
    }

    #[test]
    fn what_does_not_rise_and_half_entries_are_found_and_the_rest_shown() {
        let decode: Decode = |file, sink| offsets(file, 0, sink);
        let bytes = [entry(9, 50), entry(9, 90), vec![0; 8], entry(30, 100), vec![1, 2]].concat();
        assert_eq!(decoded(&bytes, decode), (vec![row(9, 50), row(9, 90), row(30, 100)], vec![8, 16, 32]));
        let (rows, findings) = decoded(&[0xff; 8 * 5000], decode);
        assert_eq!((rows.len(), findings.len()), (5000, MANY), "findings do not fill the memory");
    }

    #[test]
    fn times_and_aborted_transactions() {
        let time =
            |timestamp: i64, offset: i32| [&timestamp.to_be_bytes()[..], &offset.to_be_bytes()].concat();
        let decode: Decode = |file, sink| times(file, 7, sink);
        let bytes = [time(1000, 1), time(2000, 1), time(1500, 2)].concat();
        assert_eq!(decoded(&bytes, decode), (vec![row(1000, 8), row(2000, 8), row(1500, 9)], vec![24]));
        let mut aborted = vec![0, 0];
        (1..5).for_each(|number: i64| aborted.extend_from_slice(&number.to_be_bytes()));
        let rows = vec![(0..5).map(Value::Int).collect::<Vec<_>>()];
        assert_eq!(decoded(&aborted, transactions), (rows.clone(), vec![]));
        let mut newer = aborted.clone();
        newer.extend_from_slice(&[9; ABORTED]);
        assert_eq!(decoded(&newer, transactions), (rows, vec![34]));
    }
}
