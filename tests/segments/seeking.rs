//! An offset or a time in a log of a hundred gibibytes (of holes) is found by a few reads.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use klog::inspect::{Partition, Piece, Scan, folder, machine, seek};
use klog::record::{Crc, HEADER_LEN};

use super::rig;

/// A batch of one record whose value is a hole in the file.
const BATCH: u64 = 16 << 20;
const BATCHES: u64 = 64;
const SEGMENTS: u64 = 100;

fn zigzag(value: i64, out: &mut Vec<u8>) {
    let mut raw = ((value << 1) ^ (value >> 63)) as u64;
    while raw >= 0x80 {
        out.push(raw as u8 | 0x80);
        raw >>= 7;
    }
    out.push(raw as u8);
}

/// The head of a batch of `BATCH` bytes up to its value, without its CRC: header and the record's first fields.
fn head(base: i64, timestamp: i64) -> Vec<u8> {
    let value = BATCH as i64 - HEADER_LEN as i64 - 13;
    let mut record = vec![0];
    zigzag(0, &mut record);
    zigzag(0, &mut record);
    zigzag(-1, &mut record);
    zigzag(value, &mut record);
    // One byte behind the value: no headers.
    let mut bytes = vec![0; HEADER_LEN];
    zigzag(record.len() as i64 + value + 1, &mut bytes);
    bytes.extend(record);
    assert_eq!(bytes.len() as i64 + value + 1, BATCH as i64);
    bytes[0..8].copy_from_slice(&base.to_be_bytes());
    bytes[8..12].copy_from_slice(&(BATCH as i32 - 12).to_be_bytes());
    bytes[16] = 2;
    bytes[27..35].copy_from_slice(&timestamp.to_be_bytes());
    bytes[35..43].copy_from_slice(&timestamp.to_be_bytes());
    bytes[43..57].fill(0xff);
    bytes[57..61].copy_from_slice(&1i32.to_be_bytes());
    bytes
}

/// Writes the log; every batch has the same timestamp within a segment, so that one CRC does for all of it.
fn sparse(dir: &Path, segments: u64) {
    fs::create_dir(dir).unwrap();
    let zeros = vec![0; 1 << 20];
    for segment in 0..segments {
        let first = (segment * BATCHES) as i64;
        let timestamp = rig::NOW + first;
        let mut bytes = head(first, timestamp);
        let mut crc = Crc::new();
        crc.update(&bytes[21..]);
        let mut left = BATCH as usize - bytes.len();
        // All zeros: the CRC of the first segment's batches costs 16 MiB each time, on a hundred segments.
        while left > 0 {
            let piece = left.min(zeros.len());
            crc.update(&zeros[..piece]);
            left -= piece;
        }
        bytes[17..21].copy_from_slice(&crc.value().to_be_bytes());
        let path = dir.join(format!("{first:020}.log"));
        let (log, mut index, mut times) = (File::create(&path).unwrap(), Vec::new(), Vec::new());
        log.set_len(BATCH * BATCHES).unwrap();
        for batch in 0..BATCHES {
            let offset = first + batch as i64;
            bytes[0..8].copy_from_slice(&offset.to_be_bytes());
            log.write_all_at(&bytes, batch * BATCH).unwrap();
            if batch > 0 {
                index.extend((batch as i32).to_be_bytes());
                index.extend(((batch * BATCH) as u32).to_be_bytes());
            }
        }
        times.extend(timestamp.to_be_bytes());
        times.extend(0i32.to_be_bytes());
        fs::write(path.with_extension("index"), index).unwrap();
        fs::write(path.with_extension("timeindex"), times).unwrap();
    }
}

fn open(dir: &Path) -> Partition {
    folder::open(machine().as_ref(), dir).unwrap().remove(0)
}

/// The best time of a few: other tests run beside this one.
fn timed<T>(mut work: impl FnMut() -> T) -> (Duration, T) {
    let mut once = || {
        let begun = Instant::now();
        let done = work();
        (begun.elapsed(), done)
    };
    let (mut best, done) = once();
    for _ in 0..4 {
        best = best.min(once().0);
    }
    (best, done)
}

#[test]
fn a_seek_in_a_hundred_gibibytes() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("t-0");
    sparse(&dir, SEGMENTS);
    let disk = machine();
    let partition = open(&dir);
    assert_eq!(partition.size(), SEGMENTS * BATCHES * BATCH);
    let last = (SEGMENTS * BATCHES) as i64;
    let mut slowest = Duration::ZERO;
    for target in [0, 1, 63, 64, 3210, last - 2, last - 1] {
        let (took, place) = timed(|| seek::offset(disk.as_ref(), &partition, target).unwrap().unwrap());
        slowest = slowest.max(took);
        assert!(place.by_index);
        let segment = &partition.segments[place.segment];
        let mut scan = Scan::new(segment.open(disk.as_ref()).unwrap(), &segment.path, segment.limits());
        scan.start_at(place.position, place.offset);
        let Some(Piece::Batch(_, batch)) = scan.next().unwrap() else { panic!("{target}") };
        assert_eq!(batch.base_offset(), target);
    }
    for segment in [0, 1, 57, SEGMENTS - 1] {
        let time = rig::NOW + (segment * BATCHES) as i64;
        let (took, place) = timed(|| seek::time(disk.as_ref(), &partition, time).unwrap());
        slowest = slowest.max(took);
        assert_eq!(place.unwrap().segment as u64, segment);
    }
    assert_eq!(seek::ends(disk.as_ref(), &partition).unwrap(), Some((0, last)));
    eprintln!("the slowest seek took {slowest:?}");
    // The bar is 10 ms for an optimised build on a machine of its own; a walk over the log would take seconds.
    assert!(slowest < Duration::from_millis(200), "{slowest:?}");
}

#[test]
fn without_an_index_headers_lead_there_and_it_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("t-0");
    sparse(&dir, 2);
    fs::remove_file(dir.join("00000000000000000000.index")).unwrap();
    // An index that leads nowhere is as good as none.
    fs::write(dir.join("00000000000000000064.index"), [0, 0, 0, 5, 0, 0, 0, 7]).unwrap();
    let partition = open(&dir);
    for target in [40, 100] {
        let place = seek::offset(machine().as_ref(), &partition, target).unwrap().unwrap();
        assert_eq!((place.offset, place.by_index), (target, false));
    }
}
