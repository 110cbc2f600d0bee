//! A log's records as far as this project knows their schemas: those of the internal topics, and control records of any.
//!
//! A damaged batch is passed over; where not even its length can be believed, decoding ends. Batches of data in
//! topics that are not internal are stepped over by their headers.

use std::io;

use bytes::Bytes;

use super::{Finding, Sink, note};
use crate::codec::Value;
use crate::record::{Batch, Decompressor, HEADER_LEN, RecordError};
use crate::schema::shown::{InternalTopic, show, show_control};
use crate::storage::disk::{DiskFile, read_exact_at};

pub(super) const COLUMNS: &[&str] = &[
    "offset",
    "position",
    "timestamp",
    "producer_id",
    "producer_epoch",
    "type",
    "type_id",
    "key",
    "version",
    "value",
    "error",
];

/// A batch of the internal topics inflates to no more than this many bytes.
const MAX_INFLATED: usize = 32 << 20;
/// How many bytes are looked at together for being zero.
const CHUNK: usize = 64 * 1024;

/// With `growing` a daemon may be writing the last batch: that it is not whole yet is no damage.
pub(super) fn decode(
    file: &dyn DiskFile,
    topic: Option<InternalTopic>,
    growing: bool,
    sink: Sink<'_>,
) -> io::Result<Vec<Finding>> {
    let len = file.len()?;
    let mut findings = Vec::new();
    let mut inflater = Decompressor::new();
    let mut batch = Vec::new();
    let mut position = 0;
    while position < len {
        let mut head = [0; HEADER_LEN];
        let there = usize::try_from(len - position).unwrap_or(usize::MAX).min(HEADER_LEN);
        let head = head.get_mut(..there).unwrap_or_default();
        read_exact_at(file, head, position)?;
        let size = match size_of_batch(head, len - position) {
            Ok(size) => size,
            Err(RecordError::Truncated { .. }) if growing => break,
            Err(_) if is_zero(file, position, len)? => break,
            Err(error) => {
                findings.push(Finding::new(position, error.to_string()));
                break;
            }
        };
        let control = head.get(22).is_some_and(|attributes| attributes & 0x20 != 0);
        if topic.is_some() || control {
            batch.resize(usize::try_from(size).unwrap_or(0), 0);
            read_exact_at(file, &mut batch, position)?;
            match records(&batch, position, topic, &mut inflater, &mut findings, sink) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => note(&mut findings, position, || error.to_string()),
            }
        }
        position += size;
    }
    Ok(findings)
}

/// Bytes of the batch that `head` begins; an error where it does not end within `left` bytes.
fn size_of_batch(head: &[u8], left: u64) -> Result<u64, RecordError> {
    let found = usize::try_from(left).unwrap_or(usize::MAX);
    let needed = Batch::announced_size(head)?.unwrap_or(HEADER_LEN);
    if needed > found {
        return Err(RecordError::Truncated { needed, found });
    }
    Ok(needed as u64)
}

/// Whether nothing but zeros follows: space that Kafka preallocated.
fn is_zero(file: &dyn DiskFile, from: u64, len: u64) -> io::Result<bool> {
    let mut chunk = vec![0; CHUNK];
    let mut position = from;
    while position < len {
        let want = usize::try_from(len - position).unwrap_or(usize::MAX).min(CHUNK);
        let part = chunk.get_mut(..want).unwrap_or_default();
        read_exact_at(file, part, position)?;
        if part.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        position += want as u64;
    }
    Ok(true)
}

/// Hands the batch's records to the sink; whether it wants more.
fn records(
    bytes: &[u8],
    position: u64,
    topic: Option<InternalTopic>,
    inflater: &mut Decompressor,
    findings: &mut Vec<Finding>,
    sink: Sink<'_>,
) -> Result<bool, RecordError> {
    let batch = Batch::exactly(bytes)?;
    if !batch.crc_ok() {
        return Err(RecordError::BadCrc { stored: batch.crc(), computed: batch.computed_crc() });
    }
    let (producer_id, producer_epoch) = (batch.producer_id(), batch.producer_epoch());
    for record in inflater.records(&batch, MAX_INFLATED)? {
        let record = record?;
        let (key, value) = (owned(record.key), owned(record.value));
        let shown = match topic {
            _ if batch.is_control() => show_control(key, value),
            Some(topic) => show(topic, key, value),
            None => break,
        };
        if let Some(error) = &shown.error {
            note(findings, position, || format!("record at offset {}: {error}", record.offset));
        }
        let more = sink(vec![
            record.offset.into(),
            Value::Int(i64::try_from(position).unwrap_or(i64::MAX)),
            record.timestamp.into(),
            producer_id.into(),
            producer_epoch.into(),
            shown.name.into(),
            shown.number.into(),
            shown.key,
            shown.version.into(),
            shown.value,
            shown.error.map(|error| error.to_string()).into(),
        ]);
        if !more {
            return Ok(false);
        }
    }
    Ok(true)
}

fn owned(bytes: Option<&[u8]>) -> Option<Bytes> {
    bytes.map(Bytes::copy_from_slice)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::record::{BatchBuilder, ControlMarker, ProducerStamp, end_transaction_batch};
    use crate::storage::Disk;
    use crate::storage::disk::Mode;
    use crate::storage::sim::SimDisk;

    fn decoded(bytes: &[u8], topic: Option<InternalTopic>) -> (Vec<Value>, Vec<u64>) {
        let disk = SimDisk::new(1);
        disk.create_dir(Path::new("/d")).unwrap();
        let file = disk.open(Path::new("/d/x.log"), Mode::Create).unwrap();
        file.write_vectored_at(&[io::IoSlice::new(bytes)], 0).unwrap();
        let mut names = Vec::new();
        let findings = decode(file.as_ref(), topic, false, &mut |row| {
            assert_eq!(row.len(), COLUMNS.len());
            names.push(row[5].clone());
            true
        });
        (names, findings.unwrap().iter().map(|finding| finding.position).collect())
    }

    fn batch(key: &[u8]) -> Vec<u8> {
        let mut builder = BatchBuilder::new();
        builder.push(1000, Some(key), None, &[]);
        builder.finish_plain(ProducerStamp::NONE).unwrap()
    }

    #[test]
    fn damage_is_passed_over_and_a_torn_tail_ends_it() {
        let group = batch(&[0, 2, 0, 1, b'g']);
        let name: Value = "group_metadata".into();
        let mut all = [group.clone(), group.clone(), group.clone()].concat();
        let topic = Some(InternalTopic::Offsets);
        assert_eq!(decoded(&all, topic), (vec![name.clone(); 3], vec![]));
        assert_eq!(decoded(&all, None), (vec![], vec![]));
        let second = group.len() as u64;
        all[group.len() + 70] ^= 1;
        assert_eq!(decoded(&all, topic), (vec![name.clone(); 2], vec![second]));
        let cut = &all[..all.len() - 1];
        assert_eq!(decoded(cut, topic), (vec![name.clone()], vec![second, 2 * second]));
        let disk = SimDisk::new(1);
        let file = disk.open(Path::new("/x.log"), Mode::Create).unwrap();
        file.write_vectored_at(&[io::IoSlice::new(&group[..70])], 0).unwrap();
        assert_eq!(
            super::decode(file.as_ref(), topic, true, &mut |_| true).unwrap(),
            [],
            "still being written"
        );
        assert_eq!(super::decode(file.as_ref(), topic, false, &mut |_| true).unwrap().len(), 1);
        all[group.len() + 70] ^= 1;
        all.extend_from_slice(&[0; 100]);
        assert_eq!(decoded(&all, topic), (vec![name.clone(); 3], vec![]), "preallocated");
        all.extend_from_slice(&[7; 100]);
        assert_eq!(decoded(&all, topic), (vec![name; 3], vec![3 * second]));
    }

    #[test]
    fn markers_are_decoded_in_every_topic() {
        let marker = ControlMarker::Abort { coordinator_epoch: 5 };
        let mut bytes = batch(b"data");
        bytes.extend(end_transaction_batch(9, 3, marker, 1000).unwrap());
        assert_eq!(decoded(&bytes, None), (vec!["abort".into()], vec![]));
    }

    #[test]
    fn a_record_that_is_not_what_its_key_says_is_damage() {
        let (names, findings) = decoded(&batch(&[0, 2, 0, 9, b'g']), Some(InternalTopic::Offsets));
        assert_eq!((names, findings), (vec!["group_metadata".into()], vec![0]));
        let (names, findings) = decoded(&batch(&[0, 99, 0, 9, b'g']), Some(InternalTopic::Offsets));
        assert_eq!((names, findings), (vec![Value::Null], vec![]));
    }
}
