//! klog's own small files: what is known of each log, the marks of a folder.

use std::io;
use std::path::Path;

use bytes::Bytes;

use super::{Finding, Own, Row, Sink, whole};
use crate::codec::{Reader, Value, Version, Wire, structs};
use crate::model::id::TopicId;
use crate::storage::disk::Mode;
use crate::storage::{Disk, StorageError, checkpoint, folder};

structs! {
    /// What the checkpoint says of a log.
    struct StoredLog {
        log: String,
        topic_id: TopicId,
        log_start: i64,
        recovery_point: i64,
        /// 1 written since, 2 has idempotent producers.
        flags: i8,
    }

    /// Bytes of a segment that recovery found damaged; ends are exclusive.
    struct StoredDamage {
        base_offset: i64,
        from_position: i64,
        to_position: i64,
        from_offset: i64,
        to_offset: i64,
    }
}

const DIRTY: i8 = 1;
const PRODUCERS: i8 = 2;
/// None of klog's files is in Kafka's flexible encoding.
const PLAIN: Version = Version { number: 0, flexible: false };

pub(super) fn columns(own: Own) -> &'static [&'static str] {
    match own {
        Own::Checkpoint => &["log", "topic_id", "log_start", "recovery_point", "dirty", "producers"],
        Own::Dirty => &["log"],
        Own::Start => &["log_start"],
        Own::Damage => &["base_offset", "from_position", "to_position", "from_offset", "to_offset"],
        Own::Aborted => &["base_offset"],
        Own::Mark | Own::Clean => &["version"],
    }
}

/// What the file says it is, in its head.
fn stored_kind(own: Own) -> [u8; 4] {
    match own {
        Own::Checkpoint | Own::Dirty => *b"logs",
        Own::Start => *b"strt",
        Own::Damage => *b"damg",
        Own::Aborted => *b"abrt",
        Own::Mark => *b"mark",
        Own::Clean => *b"clea",
    }
}

pub(super) fn decode(disk: &dyn Disk, path: &Path, own: Own, sink: Sink<'_>) -> io::Result<Vec<Finding>> {
    if own == Own::Dirty {
        return journal(&whole(disk.open(path, Mode::Read)?.as_ref())?, sink);
    }
    let (version, payload) = match checkpoint::read(disk, path, stored_kind(own)) {
        Ok(Some(stored)) => stored,
        Ok(None) => return Err(io::ErrorKind::NotFound.into()),
        Err(StorageError::BadFile { reason, .. }) => return Ok(vec![Finding::new(0, reason)]),
        Err(StorageError::Io { source, .. }) => return Err(source),
        Err(other) => return Err(io::Error::other(other)),
    };
    let mut reader = Reader::new(Bytes::from(payload));
    let rows = match own {
        Own::Checkpoint => logs(&mut reader),
        Own::Start => reader.i64().ok().map(|start| vec![vec![start.into()]]),
        Own::Damage => damages(&mut reader),
        Own::Aborted => bases(&mut reader),
        Own::Dirty | Own::Mark | Own::Clean => Some(vec![vec![version.into()]]),
    };
    let Some(rows) = rows.filter(|_| reader.remaining() == 0) else {
        return Ok(vec![Finding::new(0, format!("what it holds is not as in version {version}"))]);
    };
    rows.into_iter().all(sink);
    Ok(Vec::new())
}

fn logs(reader: &mut Reader) -> Option<Vec<Row>> {
    let logs = Vec::<StoredLog>::read(reader, PLAIN).ok()?;
    let row = |log: StoredLog| {
        vec![
            log.log.into(),
            log.topic_id.value(PLAIN),
            log.log_start.into(),
            log.recovery_point.into(),
            (log.flags & DIRTY != 0).into(),
            (log.flags & PRODUCERS != 0).into(),
        ]
    };
    Some(logs.into_iter().map(row).collect())
}

fn damages(reader: &mut Reader) -> Option<Vec<Row>> {
    let mut rows = Vec::new();
    while reader.remaining() > 0 {
        match StoredDamage::read(reader, PLAIN).ok()?.value(PLAIN) {
            Value::Struct(fields) => rows.push(fields.into_iter().map(|(_, value)| value).collect()),
            _ => return None,
        }
    }
    Some(rows)
}

fn bases(reader: &mut Reader) -> Option<Vec<Row>> {
    let mut rows = Vec::new();
    while reader.remaining() > 0 {
        rows.push(vec![reader.i64().ok()?.into()]);
    }
    Some(rows)
}

/// The names in the journal; half a name at its end is what a crash leaves, and no damage.
fn journal(bytes: &[u8], sink: Sink<'_>) -> io::Result<Vec<Finding>> {
    let (names, _) = folder::journal_names(bytes);
    names.into_iter().all(|name| sink(vec![name.into()]));
    Ok(Vec::new())
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;
    use std::sync::Arc;

    use super::*;
    use crate::storage::sim::SimDisk;

    fn decoded(disk: &dyn Disk, name: &str, own: Own) -> (Vec<Row>, usize) {
        let mut rows = Vec::new();
        let findings = decode(disk, &Path::new("/d").join(name), own, &mut |row| {
            assert_eq!(row.len(), columns(own).len());
            rows.push(row);
            true
        });
        (rows, findings.unwrap().len())
    }

    fn put(disk: &Arc<SimDisk>, name: &str, kind: [u8; 4], payload: &[u8]) {
        checkpoint::replace(disk.as_ref(), &Path::new("/d").join(name), kind, 1, payload).unwrap();
    }

    #[test]
    fn klogs_files_are_decoded() {
        let disk = SimDisk::new(1);
        disk.create_dir(Path::new("/d")).unwrap();
        let mut logs = vec![0, 0, 0, 1, 0, 3, b'a', b'-', b'0'];
        logs.extend_from_slice(&1u128.to_be_bytes());
        logs.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 9, 3]);
        put(&disk, "klog-checkpoint", *b"logs", &logs);
        let row: Row = vec![
            "a-0".into(),
            "AAAAAAAAAAAAAAAAAAAAAQ".into(),
            Value::Int(5),
            Value::Int(9),
            true.into(),
            true.into(),
        ];
        assert_eq!(decoded(disk.as_ref(), "klog-checkpoint", Own::Checkpoint), (vec![row], 0));
        put(&disk, "klog-start", *b"strt", &7i64.to_be_bytes());
        assert_eq!(decoded(disk.as_ref(), "klog-start", Own::Start), (vec![vec![Value::Int(7)]], 0));
        let damage: Vec<u8> = (1..6i64).flat_map(i64::to_be_bytes).collect();
        put(&disk, "klog-damage", *b"damg", &damage);
        let row = (1..6).map(Value::Int).collect();
        assert_eq!(decoded(disk.as_ref(), "klog-damage", Own::Damage), (vec![row], 0));
        put(&disk, "klog-mark", *b"mark", &[]);
        assert_eq!(decoded(disk.as_ref(), "klog-mark", Own::Mark), (vec![vec![Value::Int(1)]], 0));
    }

    #[test]
    fn another_kind_and_damage_are_found() {
        let disk = SimDisk::new(1);
        disk.create_dir(Path::new("/d")).unwrap();
        let two = [3i64.to_be_bytes(), 9i64.to_be_bytes()].concat();
        put(&disk, "klog-aborted", *b"abrt", &two);
        let rows = vec![vec![Value::Int(3)], vec![Value::Int(9)]];
        assert_eq!(decoded(disk.as_ref(), "klog-aborted", Own::Aborted), (rows, 0));
        put(&disk, "klog-start", *b"damg", &7i64.to_be_bytes());
        assert_eq!(decoded(disk.as_ref(), "klog-start", Own::Start), (vec![], 1));
        put(&disk, "klog-start", *b"strt", &[1, 2]);
        assert_eq!(decoded(disk.as_ref(), "klog-start", Own::Start), (vec![], 1));
        let file = disk.open(Path::new("/d/klog-dirty"), Mode::Create).unwrap();
        file.write_vectored_at(&[IoSlice::new(&[0, 3, b'a'])], 0).unwrap();
        assert_eq!(decoded(disk.as_ref(), "klog-dirty", Own::Dirty), (vec![], 0), "a half name is no damage");
        let missing = decode(disk.as_ref(), Path::new("/d/klog-clean"), Own::Clean, &mut |_| true);
        assert_eq!(missing.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
