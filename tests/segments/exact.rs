//! Single damages, and what is none, with what exactly is said of each.

use std::path::{Path, PathBuf};

use klog::inspect::scan::Limits;
use klog::inspect::{Cause, Meter, Piece, Problem, Scan, Source, mend, seek, verify};
use klog::record::{Batch, Codec, Crc, ProducerStamp, Restamp, empty_batch, restamp_header};
use klog::storage::sim::SimDisk;
use klog::storage::{Disk, repair};

use super::rig::{self, Template, verified, words};

/// A batch as it is stored.
fn stored(base: i64, count: i64, epoch: i32) -> Vec<u8> {
    let bytes = rig::batch(base, count, Codec::None, ProducerStamp::NONE);
    let batch = Batch::exactly(&bytes).unwrap();
    let stamp = Restamp {
        base_offset: base,
        leader_epoch: epoch,
        log_append_time: None,
        max_timestamp: batch.max_timestamp(),
    };
    let mut out = restamp_header(&batch, &stamp).to_vec();
    out.extend_from_slice(&bytes[61..]);
    out
}

/// A partition's folder of segments made of these batches, without indexes.
fn made(segments: &[(i64, &[(i64, i64)])]) -> std::sync::Arc<SimDisk> {
    let disk = SimDisk::new(1);
    disk.create_dir(Path::new(rig::DIR)).unwrap();
    for (base, batches) in segments {
        let bytes: Vec<u8> = batches.iter().flat_map(|&(first, count)| stored(first, count, 0)).collect();
        rig::put(&disk, &log(*base), &bytes);
        for extension in ["index", "timeindex"] {
            rig::put(&disk, &log(*base).with_extension(extension), &[]);
        }
    }
    disk
}

fn log(base: i64) -> PathBuf {
    Path::new(rig::DIR).join(format!("{base:020}.log"))
}

fn change(disk: &SimDisk, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = disk.content(path).unwrap_or_default();
    change(&mut bytes);
    rig::put(disk, path, &bytes);
}

#[test]
fn a_daemons_folder_has_nothing_wrong() {
    for clean in [true, false] {
        for plain in [true, false] {
            let template = Template::new(clean, 60, plain);
            let disk = template.disk(1);
            let report = verified(&disk);
            assert!(report.findings.is_empty(), "{:#?}", report.findings);
            assert_eq!(report.batches, template.batches.len() as u64);
            assert!(report.segments > 3);
        }
    }
}

#[test]
fn what_compaction_and_preallocation_leave_is_normal() {
    // Gaps between batches, within the segment and before the next one; indexes with zeros behind their entries.
    let disk = made(&[(0, &[(0, 3), (10, 2), (14, 1)]), (50, &[(52, 1), (60, 4)])]);
    for base in [0, 50] {
        for extension in ["index", "timeindex"] {
            rig::put(&disk, &log(base).with_extension(extension), &[0; 480]);
        }
    }
    assert_eq!(words(&verified(&disk)), Vec::<&str>::new());
    // Compaction takes the first batches of a segment as well as others.
    let disk = made(&[(0, &[(0, 3), (3, 2)]), (50, &[(52, 1)])]);
    assert_eq!(words(&verified(&disk)), Vec::<&str>::new());
    // The same between segments of a log that has no gaps otherwise: something is gone.
    let disk = made(&[(0, &[(0, 3), (3, 2)]), (50, &[(50, 1)])]);
    let report = verified(&disk);
    assert_eq!(words(&report), ["missing"]);
    assert_eq!(report.findings[0].problem, Problem::Missing { offsets: 5..50 });
}

#[test]
fn a_torn_tail_is_damage_but_not_while_a_daemon_writes() {
    let disk = made(&[(0, &[(0, 3), (3, 2)])]);
    change(&disk, &log(0), |bytes| bytes.truncate(bytes.len() - 5));
    let report = verified(&disk);
    assert_eq!(words(&report), ["torn"]);
    let Problem::Damage(damage) = &report.findings[0].problem else { panic!() };
    assert!(damage.to_end && damage.offsets.is_empty());
    let _daemon = disk.lock(Path::new("/data/.lock")).unwrap();
    let report = verified(&disk);
    assert_eq!(words(&report), Vec::<&str>::new());
    assert_eq!(report.growing.as_ref().map(|(path, _)| path.clone()), Some(log(0)));
    // A whole batch with a wrong CRC is damage all the same.
    change(&disk, &log(0), |bytes| *bytes = [stored(0, 3, 0), stored(3, 2, 0)].concat());
    change(&disk, &log(0), |bytes| *bytes.last_mut().unwrap() ^= 1);
    assert_eq!(words(&verified(&disk)), ["crc"]);
}

#[test]
fn zeros_are_named() {
    let disk = made(&[(0, &[(0, 3)])]);
    change(&disk, &log(0), |bytes| bytes.extend([0; 5000]));
    let report = verified(&disk);
    assert_eq!(words(&report), ["zeros"]);
    assert_eq!(report.findings[0].problem.saved(), "nothing is lost by cutting it off");
}

#[test]
fn offsets_outside_of_the_crc_are_held_against_the_order() {
    let all: Vec<(i64, i64)> = (0..6).map(|n| (100 + n * 4, 4)).collect();
    for victim in 0..6usize {
        let at: usize = all.iter().take(victim).map(|&(first, count)| stored(first, count, 0).len()).sum();
        for bit in 0..16usize {
            let disk = made(&[(100, &all), (124, &[(124, 1)])]);
            disk.flip_bit(&log(100), at + 7 - bit / 8, (bit % 8) as u8);
            let report = verified(&disk);
            assert_eq!(words(&report), ["order"], "batch {victim}, bit {bit}: {:#?}", report.findings);
            assert_eq!(report.findings[0].position, Some(at as u64), "bit {bit}");
            // The five others and that of the next segment.
            assert_eq!(report.batches, 6, "batch {victim}, bit {bit}");
        }
    }
}

#[test]
fn a_leader_epoch_that_falls_is_said_and_nothing_is_lost() {
    let disk = made(&[(0, &[])]);
    let bytes = [stored(0, 2, 3), stored(2, 2, 7), stored(4, 2, 3), stored(6, 1, 8)].concat();
    rig::put(&disk, &log(0), &bytes);
    let report = verified(&disk);
    assert_eq!(words(&report), ["epoch"]);
    assert_eq!(report.findings[0].problem, Problem::Epoch { offset: 4, before: 7, found: 3 });
    assert_eq!(report.batches, 4);
    let checkpoint = Path::new(rig::DIR).join("leader-epoch-checkpoint");
    rig::put(&disk, &checkpoint, b"0\n3\n3 0\n7 2\n8 6\n");
    assert_eq!(words(&verified(&disk)), ["epoch", "epochs"]);
    rig::put(&disk, &checkpoint, b"0\n3\n3 0\n");
    assert_eq!(words(&verified(&disk)), ["epoch", "file"]);
}

#[test]
fn files_in_each_others_place_are_named() {
    let disk = made(&[(0, &[(0, 3), (3, 3)]), (6, &[(6, 3), (9, 3)]), (12, &[(12, 3), (15, 3)])]);
    let (first, last) = (disk.content(&log(0)).unwrap(), disk.content(&log(12)).unwrap());
    rig::put(&disk, &log(0), &last);
    rig::put(&disk, &log(12), &first);
    let report = verified(&disk);
    assert_eq!(words(&report), ["misnamed", "misnamed"], "{:#?}", report.findings);
    assert_eq!(report.batches, 6);
    assert_eq!(report.findings[0].problem, Problem::Misnamed { first: 12 });
}

#[test]
fn a_file_with_a_name_between_two_others_damages_neither() {
    let disk = made(&[(0, &[(0, 3), (3, 3), (6, 3)]), (4, &[(12, 3), (15, 3)]), (9, &[(9, 3)])]);
    let report = verified(&disk);
    assert_eq!(report.batches, 6, "{:#?}", report.findings);
    assert!(
        words(&report).contains(&"misnamed") && !words(&report).contains(&"order"),
        "{:#?}",
        report.findings
    );
}

#[test]
fn a_batch_within_a_value_is_not_taken_for_one_of_the_log() {
    // The value of the damaged batch is a batch that would follow.
    let inner = stored(1, 2, 0);
    let mut builder = klog::record::BatchBuilder::new();
    builder.push(rig::NOW, None, Some(&inner), &[]);
    let outer = builder.finish_plain(ProducerStamp::NONE).unwrap();
    let mut bytes = outer.clone();
    bytes.extend(stored(1, 5, 0));
    let disk = made(&[(0, &[])]);
    bytes[62] ^= 0x40;
    rig::put(&disk, &log(0), &bytes);
    let report = verified(&disk);
    assert_eq!(words(&report), ["crc"]);
    let Problem::Damage(damage) = &report.findings[0].problem else { panic!() };
    assert_eq!(damage.position, 0..outer.len() as u64);
    assert_eq!(report.records, 5);
}

#[test]
fn indexes_that_lead_astray() {
    let template = Template::new(true, 60, true);
    let index = template.logs()[0].with_extension("index");
    let times = template.logs()[0].with_extension("timeindex");
    type Change = fn(&mut Vec<u8>);
    let changes: [(&Path, Change, &str); 9] = [
        (&index, |bytes| bytes[7] ^= 1, "where no batch begins"),
        (&index, |bytes| bytes[..4].fill(0), "not that of the batch at"),
        (&index, |bytes| bytes[8..16].fill(0), "does not follow"),
        (&index, |bytes| bytes.extend([0, 0, 127, 0, 127, 0, 0, 0]), "behind the log's"),
        (&index, |bytes| bytes.extend([1, 2, 3]), "of an entry of 8"),
        (&times, |bytes| bytes[7] ^= 1, "its batch"),
        (&times, |bytes| bytes.extend([127; 12]), "the log ends before"),
        (&times, |bytes| bytes[12..24].fill(0), "does not follow"),
        // Who looks for a time would pass the segment over.
        (&times, |bytes| bytes.truncate(bytes.len() - 12), "its last timestamp is"),
    ];
    for (path, what, said) in changes {
        let disk = template.disk(1);
        change(&disk, path, what);
        let report = verified(&disk);
        assert!(!report.findings.is_empty(), "{said}");
        for finding in &report.findings {
            assert_eq!(finding.path, path);
            assert!(finding.problem.to_string().contains(said), "{}: {said}", finding.problem);
            assert!(!finding.problem.is_loss());
        }
    }
    let disk = template.disk(1);
    disk.remove(&index).unwrap();
    assert_eq!(words(&verified(&disk)), ["no_index"]);
    // That of the last segment is in a daemon's memory until the segment is closed.
    let disk = template.disk(1);
    for extension in ["index", "timeindex"] {
        let _ = disk.remove(&template.logs().last().unwrap().with_extension(extension));
    }
    assert_eq!(words(&verified(&disk)), Vec::<&str>::new());
}

#[test]
fn aborted_transactions_are_held_against_their_markers() {
    let template = Template::new(true, 45, true);
    let abort = template
        .batches
        .iter()
        .filter(|batch| batch.control)
        .find(|batch| {
            let view = Batch::exactly(&batch.bytes).unwrap();
            let record = view.records().unwrap().next().unwrap().unwrap();
            record.key.unwrap()[3] == 0
        })
        .unwrap();
    let producer = Batch::exactly(&abort.bytes).unwrap().producer_id();
    let entry = |producer: i64, last: i64| {
        let mut raw = vec![0, 0];
        for word in [producer, last - 1, last, last - 1] {
            raw.extend(word.to_be_bytes());
        }
        raw
    };
    let path = abort.file.with_extension("txnindex");
    for (raw, wanted) in [
        (entry(producer, abort.base), vec![]),
        (entry(producer + 1, abort.base), vec!["index"]),
        (entry(producer, abort.base - 1), vec!["index"]),
        (vec![1; 34], vec!["index"]),
        (vec![1; 5], vec!["index"]),
    ] {
        let disk = template.disk(1);
        rig::put(&disk, &path, &raw);
        assert_eq!(words(&verified(&disk)), wanted);
    }
}

#[test]
fn small_files_that_can_not_be_read() {
    let template = Template::new(true, 60, false);
    let snapshot = template
        .files
        .iter()
        .map(|(path, _)| path)
        .find(|path| path.extension().is_some_and(|extension| extension == "snapshot"));
    let metadata = Path::new(rig::DIR).join("partition.metadata");
    for path in [snapshot.unwrap(), &metadata] {
        let disk = template.disk(1);
        change(&disk, path, |bytes| bytes[1] ^= 1);
        let report = verified(&disk);
        assert_eq!(words(&report), ["file"]);
        assert_eq!(&report.findings[0].path, path);
    }
    let disk = template.disk(1);
    rig::put(&disk, &Path::new(rig::DIR).join("00000000000000777777.index"), &[]);
    assert_eq!(words(&verified(&disk)), ["index"]);
}

/// A message of the formats before 0.11.
pub(crate) fn legacy(offset: i64, magic: u8) -> Vec<u8> {
    let mut body = vec![magic, 0];
    if magic == 1 {
        body.extend(rig::NOW.to_be_bytes());
    }
    body.extend((-1i32).to_be_bytes());
    body.extend(5i32.to_be_bytes());
    body.extend(b"hello");
    let mut bytes = offset.to_be_bytes().to_vec();
    bytes.extend((body.len() as i32 + 4).to_be_bytes());
    bytes.extend(crc32fast::hash(&body).to_be_bytes());
    bytes.extend(body);
    bytes
}

#[test]
fn old_formats_are_named_and_not_misread() {
    let disk = made(&[(0, &[])]);
    let bytes: Vec<u8> = (0..4).flat_map(|offset| legacy(offset, (offset / 2) as u8)).collect();
    rig::put(&disk, &log(0), &[bytes, stored(4, 2, 0)].concat());
    let report = verified(&disk);
    assert_eq!((words(&report), report.legacy, report.batches), (vec![], 4, 1));
    let source = Source::open(disk.as_ref(), &log(0)).unwrap();
    let mut scan = Scan::new(source, &log(0), Limits { base: Some(0), next: None, growing: false });
    let mut runs = Vec::new();
    while let Some(piece) = scan.next().unwrap() {
        match piece {
            Piece::Legacy(_, last, count) => runs.push((last.magic, count)),
            Piece::Batch(_, batch) => runs.push((2, batch.count() as u64)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(runs, [(0, 2), (1, 2), (2, 2)]);
    // A flipped bit in the format byte of a batch makes no old message of it.
    let disk = made(&[(0, &[(0, 3), (3, 2)])]);
    disk.flip_bit(&log(0), 16, 1);
    let report = verified(&disk);
    assert_eq!((words(&report), report.legacy), (vec!["header"], 0));
}

#[test]
fn a_stream_is_read_as_a_file_is() {
    let disk = made(&[(7, &[(7, 3), (10, 2), (12, 4)])]);
    let mut bytes = disk.content(&log(7)).unwrap();
    let size = stored(7, 3, 0).len();
    let scan = |bytes: &[u8]| {
        let source = Source::Stream(Box::new(std::io::Cursor::new(bytes.to_vec())));
        let mut scan = Scan::new(source, Path::new("-"), Limits::default());
        let mut seen = Vec::new();
        while let Some(piece) = scan.next().unwrap() {
            match piece {
                Piece::Batch(at, batch) => seen.push((at, batch.base_offset(), "batch")),
                Piece::Damage(damage) => {
                    seen.push((damage.position.start, damage.offsets.start, damage.cause.word()))
                }
                other => panic!("{other:?}"),
            }
        }
        seen
    };
    let second = stored(10, 2, 0).len();
    let (b, c) = (size as u64, (size + second) as u64);
    assert_eq!(scan(&bytes), [(0, 7, "batch"), (b, 10, "batch"), (c, 12, "batch")]);
    bytes[size + 65] ^= 1;
    assert_eq!(scan(&bytes), [(0, 7, "batch"), (b, 10, "crc"), (c, 12, "batch")]);
    bytes.truncate(bytes.len() - 1);
    assert_eq!(scan(&bytes), [(0, 7, "batch"), (b, 10, "crc")]);
    assert_eq!(scan(&[]), []);
    assert_eq!(
        scan(b"no log at all, but text of some length, long enough for a header to be looked for")[0].2,
        "header"
    );
}

/// A claim of a length costs no memory and no time beyond what is there.
#[test]
fn lengths_are_claims() {
    let disk = made(&[(0, &[(0, 3), (3, 2), (5, 1)])]);
    let size = stored(0, 3, 0).len();
    for claim in [i32::MAX, 0x7fff_0000, 1 << 28, 49, 0, -1, i32::MIN] {
        let changed = disk.content(&log(0)).unwrap();
        let mut bytes = changed.clone();
        bytes[size + 8..size + 12].copy_from_slice(&claim.to_be_bytes());
        rig::put(&disk, &log(0), &bytes);
        let report = verified(&disk);
        assert_eq!(report.batches, 2, "claim {claim}");
        assert_eq!(report.findings.len(), 1, "claim {claim}");
        let Problem::Damage(damage) = &report.findings[0].problem else { panic!() };
        assert_eq!(damage.offsets, 3..5);
        assert!(matches!(
            damage.cause,
            Cause::Truncated { .. } | Cause::Length(_) | Cause::Header | Cause::Crc { .. }
        ));
        rig::put(&disk, &log(0), &changed);
    }
}

/// The batch with another header and the CRC that belongs to it.
fn altered(mut bytes: Vec<u8>, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    change(&mut bytes);
    let mut crc = Crc::new();
    crc.update(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.value().to_be_bytes());
    bytes
}

#[test]
fn a_header_that_is_unusual_is_a_batch_where_its_crc_is_right() {
    let unusual: [fn(&mut Vec<u8>); 4] = [
        |bytes| bytes[22] |= 0x80,
        |bytes| bytes[21] |= 0x40,
        |bytes| bytes[43..51].copy_from_slice(&(-9i64).to_be_bytes()),
        |bytes| bytes[53..57].copy_from_slice(&(-9i32).to_be_bytes()),
    ];
    for change in unusual {
        let middle = altered(stored(3, 2, 0), change);
        let disk = made(&[(0, &[])]);
        rig::put(&disk, &log(0), &[stored(0, 3, 0), middle, stored(5, 1, 0)].concat());
        let report = verified(&disk);
        assert_eq!((words(&report), report.records), (vec![], 6));
        // Behind one that is damaged too.
        disk.flip_bit(&log(0), 70, 1);
        let report = verified(&disk);
        assert_eq!((words(&report), report.records), (vec!["crc"], 3));
    }
}

#[test]
fn a_batch_in_place_of_what_was_cut_out_has_the_epoch_before_it() {
    for (damaged, segment) in [(3, 0), (8, 8)] {
        let epoch = |offset: i64| if offset < 11 { 3 } else { 5 };
        let disk = made(&[(0, &[]), (8, &[])]);
        for (base, batches) in [(0, [(0, 3), (3, 2), (5, 3)]), (8, [(8, 3), (11, 2), (13, 1)])] {
            let bytes = batches.map(|(first, count)| stored(first, count, epoch(first))).concat();
            rig::put(&disk, &log(base), &bytes);
        }
        rig::put(&disk, &Path::new(rig::DIR).join("leader-epoch-checkpoint"), b"0\n2\n3 0\n5 11\n");
        let at = if damaged == 3 { stored(0, 3, 0).len() } else { 0 };
        disk.flip_bit(&log(segment), at + 70, 1);
        assert_eq!(words(&verified(&disk)), ["crc"]);
        let found = mend::plan(disk.as_ref(), &rig::partition(&disk), 1, &Meter::default()).unwrap();
        assert_eq!((found.left(), found.plan.segments[0].cuts[0].leader_epoch), (0, 3));
        repair::mend(disk.as_ref(), &found.plan, rig::NOW).unwrap();
        assert_eq!(words(&verified(&disk)), Vec::<&str>::new());
    }
    // Those of an earlier klog have none.
    let disk = made(&[(0, &[])]);
    rig::put(&disk, &log(0), &[stored(0, 3, 3), stored(3, 2, -1), stored(5, 1, 3)].concat());
    assert_eq!(words(&verified(&disk)), Vec::<&str>::new());
}

#[test]
fn what_no_repair_can_mend_is_counted() {
    let disk = made(&[(0, &[])]);
    let bytes = [stored(0, 2, 3), stored(2, 2, 7), stored(4, 2, 3)].concat();
    rig::put(&disk, &log(0), &bytes);
    let found = mend::plan(disk.as_ref(), &rig::partition(&disk), 1, &Meter::default()).unwrap();
    assert_eq!((found.plan.is_empty(), found.left()), (true, 1));
    // Beside what can be.
    rig::put(&disk, &log(0), &[bytes.as_slice(), &[7; 5]].concat());
    let found = mend::plan(disk.as_ref(), &rig::partition(&disk), 1, &Meter::default()).unwrap();
    assert_eq!((found.plan.is_empty(), found.left()), (false, 1));
}

#[test]
fn an_index_entry_may_have_any_offset_of_its_batch() {
    let disk = made(&[(0, &[(0, 3), (3, 4)]), (7, &[(7, 1)])]);
    let position = stored(0, 3, 0).len() as u32;
    for (relative, wanted) in
        [(2i32, vec!["index"]), (3, vec![]), (5, vec![]), (6, vec![]), (7, vec!["index"])]
    {
        let entry = [relative.to_be_bytes(), position.to_be_bytes()].concat();
        rig::put(&disk, &log(0).with_extension("index"), &entry);
        assert_eq!(words(&verified(&disk)), wanted, "{relative}");
    }
}

#[test]
fn the_last_base_offset_there_is() {
    let disk = made(&[(i64::MAX, &[])]);
    rig::put(&disk, &log(i64::MAX), &[7; 100]);
    for extension in ["index", "timeindex"] {
        rig::put(&disk, &log(i64::MAX).with_extension(extension), &[1; 48]);
    }
    assert!(words(&verified(&disk)).contains(&"header"));
    let partition = rig::partition(&disk);
    assert!(seek::offset(disk.as_ref(), &partition, i64::MAX).unwrap().is_some());
    assert!(seek::time(disk.as_ref(), &partition, i64::MAX).unwrap().is_some());
}

#[test]
fn a_marker_that_compaction_emptied_still_ends_its_transaction() {
    let disk = made(&[(0, &[])]);
    let marker = altered(empty_batch(&(3..4), 0).unwrap(), |bytes| {
        bytes[22] = 0x30;
        bytes[43..51].copy_from_slice(&77i64.to_be_bytes());
    });
    rig::put(&disk, &log(0), &[stored(0, 3, 0), marker].concat());
    let mut entry = vec![0, 0];
    [77i64, 0, 3, 0].iter().for_each(|word| entry.extend(word.to_be_bytes()));
    rig::put(&disk, &log(0).with_extension("txnindex"), &entry);
    assert_eq!(words(&verified(&disk)), Vec::<&str>::new());
}

#[test]
fn all_of_a_streams_bad_end_is_counted() {
    let whole = stored(0, 3, 0);
    let bytes = [whole.as_slice(), &[0x55; 3 << 20]].concat();
    let source = Source::Stream(Box::new(std::io::Cursor::new(bytes.clone())));
    let mut scan = Scan::new(source, Path::new("-"), Limits::default());
    assert!(matches!(scan.next().unwrap(), Some(Piece::Batch(..))));
    let Some(Piece::Damage(damage)) = scan.next().unwrap() else { panic!() };
    assert_eq!((damage.position, damage.to_end), (whole.len() as u64..bytes.len() as u64, true));
}

#[test]
fn what_changes_while_it_is_looked_at_is_looked_at_again() {
    let disk = made(&[(0, &[(0, 3), (3, 3)]), (6, &[(6, 3)]), (9, &[(9, 1)])]);
    let _daemon = disk.lock(Path::new("/data/.lock")).unwrap();
    let listed = rig::partition(&disk);
    // Compaction makes one of two segments after the folder was listed.
    let both = [disk.content(&log(0)).unwrap(), stored(7, 2, 0)].concat();
    rig::put(&disk, &log(0), &both);
    for extension in ["log", "index", "timeindex"] {
        disk.remove(&log(6).with_extension(extension)).unwrap();
    }
    let looked = |settled: bool| {
        let meter = Meter::default();
        match settled {
            true => verify::settled(disk.as_ref(), &listed, 2, &meter, || {}),
            false => verify::partition(disk.as_ref(), &listed, 2, &meter, || {}),
        }
        .unwrap()
    };
    assert!(!looked(false).findings.is_empty());
    let report = looked(true);
    assert_eq!((words(&report), report.records), (vec![], 9));
    // What is wrong stays so.
    disk.flip_bit(&log(0), 70, 1);
    assert_eq!(words(&looked(true)), ["crc"]);
    // A topic that is deleted has nothing wrong.
    for entry in disk.list(Path::new(rig::DIR)).unwrap() {
        disk.remove(&Path::new(rig::DIR).join(entry.name)).unwrap();
    }
    rig::put(&disk, &log(0), &[9; 100]);
    assert_eq!(words(&looked(true)).len(), 1);
    disk.remove(&log(0)).unwrap();
    disk.remove_dir(Path::new(rig::DIR)).unwrap();
    assert_eq!(words(&looked(true)), Vec::<&str>::new());
}
