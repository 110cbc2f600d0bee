//! Folders that Apache Kafka 4.3.1 wrote, read by klog, held against what Kafka's own DumpLogSegments says of them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod kafka_dumps;
mod shown;

use std::collections::BTreeSet;
use std::fs;
use std::io::IoSlice;
use std::path::Path;
use std::process::{Command, Output};

use bytes::Bytes;
use kafka_dumps::{data, dumped, field, number};
use klog::codec::Value;
use klog::inspect::decode::{Finding, Kind, RealDisk, Row, decode, find};
use klog::inspect::scan::Limits;
use klog::inspect::{Meter, Piece, Scan, Source, folder, machine, verify};
use klog::record::{BatchHeader, Decompressor, TimestampType};
use klog::storage::disk::{Disk, Mode};
use klog::storage::sim::SimDisk;
use serde_json::Value as Json;

/// A batch as klog sees it.
struct Scanned {
    position: usize,
    header: BatchHeader,
    valid: bool,
    records: Vec<Read>,
}

/// A record as klog sees it.
#[derive(Debug, Clone, PartialEq)]
struct Read {
    offset: i64,
    timestamp: i64,
    key: Option<Bytes>,
    value: Option<Bytes>,
    headers: Vec<(String, Option<Bytes>)>,
}

/// Every batch of a file, as `klog segment` walks it: with every checksum.
fn scan(file: &str) -> Vec<Scanned> {
    let path = data().join(file);
    let source = Source::open(machine().as_ref(), &path).unwrap();
    let mut scan = Scan::new(source, &path, Limits::default());
    let (mut found, mut inflater) = (Vec::new(), Decompressor::new());
    while let Some(piece) = scan.next().unwrap() {
        let Piece::Batch(position, batch) = piece else { panic!("{file}: {piece:?}") };
        let owned = |bytes: Option<&[u8]>| bytes.map(Bytes::copy_from_slice);
        let records = inflater.records(&batch, 1 << 20).unwrap().map(|record| {
            let record = record.unwrap();
            let headers = record
                .headers
                .map(|header| (String::from_utf8(header.key.to_vec()).unwrap(), owned(header.value)));
            Read {
                offset: record.offset,
                timestamp: record.timestamp,
                key: owned(record.key),
                value: owned(record.value),
                headers: headers.collect(),
            }
        });
        let (header, valid, records) = (batch.header(), batch.crc_ok(), records.collect());
        found.push(Scanned { position: usize::try_from(position).unwrap(), header, valid, records });
    }
    found
}

fn logs() -> Vec<(String, Vec<String>)> {
    dumped(".log").into_iter().chain(dumped(".checkpoint")).collect()
}

#[test]
fn batches_are_where_kafka_sees_them_and_hold_what_it_sees() {
    let (mut codecs, mut batches) = (BTreeSet::new(), 0);
    for (file, lines) in logs() {
        let lines: Vec<_> = lines.iter().filter(|line| line.starts_with("baseOffset")).collect();
        let scanned = scan(&file);
        assert_eq!(scanned.len(), lines.len(), "{file}");
        for (batch, line) in scanned.iter().zip(lines) {
            let header = &batch.header;
            for (name, found) in [
                ("baseOffset", header.base_offset),
                ("lastOffset", header.last_offset()),
                ("count", header.count.into()),
                ("baseSequence", header.base_sequence.into()),
                ("lastSequence", header.last_sequence().into()),
                ("producerId", header.producer_id),
                ("producerEpoch", header.producer_epoch.into()),
                ("partitionLeaderEpoch", header.leader_epoch.into()),
                ("deleteHorizonMs", header.delete_horizon().unwrap_or(-1)),
                ("position", batch.position as i64),
                ("size", header.size() as i64),
                ("magic", 2),
                ("crc", header.crc.into()),
            ] {
                assert_eq!(found, number(line, name), "{name} in {file}: {line}");
            }
            for (name, found) in [
                ("isTransactional", header.is_transactional()),
                ("isControl", header.is_control()),
                ("isvalid", batch.valid),
            ] {
                assert_eq!(Some(found.to_string().as_str()), field(line, name), "{name} in {file}: {line}");
            }
            let codec = header.codec().unwrap().name();
            assert_eq!(Some(codec), field(line, "compresscodec"), "{file}: {line}");
            let clock = match header.timestamp_type() {
                TimestampType::Create => "CreateTime",
                TimestampType::LogAppend => "LogAppendTime",
            };
            assert_eq!(header.max_timestamp, number(line, clock), "{file}: {line}");
            codecs.insert(codec);
            batches += 1;
        }
    }
    assert_eq!(codecs.len(), 5, "{codecs:?}");
    assert!(batches > 200, "{batches}");
}

#[test]
fn records_are_those_that_kafka_sees() {
    let mut seen = 0;
    for (file, lines) in logs() {
        let lines: Vec<_> = lines.iter().filter(|line| line.starts_with("| offset")).collect();
        let records: Vec<Read> = scan(&file).into_iter().flat_map(|batch| batch.records).collect();
        assert_eq!(records.len(), lines.len(), "{file}");
        for (record, line) in records.iter().zip(lines) {
            let size = |bytes: &Option<Bytes>| bytes.as_ref().map_or(-1, |bytes| bytes.len() as i64);
            assert_eq!(record.offset, number(line, "offset"), "{file}");
            let time = if line.contains("CreateTime") { "CreateTime" } else { "LogAppendTime" };
            assert_eq!(record.timestamp, number(line, time), "{file}: {line}");
            assert_eq!(size(&record.key), number(line, "keySize"), "{file}: {line}");
            assert_eq!(size(&record.value), number(line, "valueSize"), "{file}: {line}");
            let names: Vec<_> = record.headers.iter().map(|(name, _)| name.as_str()).collect();
            let mut wanted = format!("headerKeys: [{}]", names.join(","));
            if !file.starts_with("__") && !line.contains("endTxnMarker") {
                for (name, bytes) in [("key", &record.key), ("payload", &record.value)] {
                    if let Some(bytes) = bytes {
                        wanted += &format!(" {name}: {}", String::from_utf8_lossy(bytes));
                    }
                }
                assert!(line.ends_with(&wanted), "{file}: {line} lacks {wanted}");
            }
            assert!(line.contains(&wanted), "{file}: {line} lacks {wanted}");
            seen += 1;
        }
    }
    assert!(seen > 700, "{seen}");
}

#[test]
fn every_codec_gives_the_same_records() {
    let contents = |codec: &str| -> Vec<Read> {
        let folder = format!("codec-{codec}-0");
        let logs = dumped(".log").into_keys().filter(|file| file.starts_with(&folder));
        logs.flat_map(|file| scan(&file)).flat_map(|batch| batch.records).collect()
    };
    let plain = contents("none");
    assert_eq!(plain.len(), 96);
    for codec in ["gzip", "snappy", "lz4", "zstd"] {
        assert_eq!(contents(codec), plain, "{codec}");
    }
}

/// What `decode` makes of a file: its kind, its rows, its damage.
fn decoded(file: &str) -> (Kind, Vec<Row>, Vec<Finding>) {
    let path = data().join(file);
    let kind = Kind::of(&path).unwrap_or_else(|| panic!("{file} is of no kind"));
    let mut rows = Vec::new();
    let findings = decode(&RealDisk, &path, kind, &mut |row| {
        assert_eq!(row.len(), kind.columns().len());
        rows.push(row);
        true
    });
    (kind, rows, findings.unwrap())
}

#[test]
fn entries_of_indexes_and_snapshots_are_kafkas() {
    let mut entries = 0;
    for (ending, names) in [
        (".index", ["offset", "position"].as_slice()),
        (".timeindex", &["timestamp", "offset"]),
        (".txnindex", &["version", "producerId", "firstOffset", "lastOffset", "lastStableOffset"]),
    ] {
        for (file, lines) in dumped(ending) {
            let theirs: Vec<Row> = lines
                .iter()
                .map(|line| names.iter().map(|name| number(line, name).into()).collect())
                .collect();
            let (_, ours, findings) = decoded(&file);
            assert_eq!((ours, findings), (theirs, vec![]), "{file}");
            entries += lines.len();
        }
    }
    for (file, lines) in dumped(".snapshot") {
        let theirs: Vec<Row> = lines
            .iter()
            .map(|line| {
                // A producer that a marker alone made known has no last batch.
                let batch = field(line, "lastSequence").is_some();
                let of_batch = |name: &str, none: i64| if batch { number(line, name) } else { none };
                [
                    number(line, "producerId"),
                    number(line, "producerEpoch"),
                    of_batch("lastSequence", -1),
                    of_batch("lastOffset", -1),
                    of_batch("offsetDelta", 0),
                    number(line, "lastTimestamp"),
                    number(line, "coordinatorEpoch"),
                    number(line, "currentTxnFirstOffset"),
                ]
                .map(Value::Int)
                .to_vec()
            })
            .collect();
        let (_, ours, findings) = decoded(&file);
        assert_eq!((ours, findings), (theirs, vec![]), "{file}");
        entries += lines.len();
    }
    assert!(entries > 80, "{entries}");
}

/// A decoded record's cell as Kafka would write it.
fn cell(row: &Row, kind: Kind, name: &str) -> Json {
    let at = kind.columns().iter().position(|column| *column == name).unwrap();
    shown::as_json(&row[at])
}

/// What a line of DumpLogSegments says of a record: type, key, version, value; `Null` where it says nothing.
fn said(line: &str) -> [Json; 4] {
    let json = |text: &str| -> Json { shown::in_snake_case(serde_json::from_str(text).unwrap()) };
    let (_, said) = line.split_once("headerKeys: [] ").unwrap();
    let text = |value: &Json| value.as_str().unwrap().parse::<i64>().unwrap().into();
    if let Some(rest) = said.strip_prefix("key: ") {
        let (key, payload) = rest.split_once(" payload: ").unwrap();
        let key = json(key);
        let (version, value) = match payload {
            "<DELETE>" => (Json::Null, Json::Null),
            payload => {
                let payload = json(payload);
                (text(&payload["version"]), payload["data"].clone())
            }
        };
        return [text(&key["type"]), key["data"].clone(), version, value];
    }
    if let Some(payload) = said.strip_prefix("payload: ") {
        let payload = json(payload);
        let name = payload["type"].as_str().unwrap().to_ascii_lowercase();
        return [name.into(), Json::Null, payload["version"].clone(), payload["data"].clone()];
    }
    if said.starts_with("endTxnMarker") {
        let name = field(said, "endTxnMarker").unwrap().to_ascii_lowercase();
        let value = serde_json::json!({ "coordinator_epoch": number(said, "coordinatorEpoch") });
        return [name.into(), Json::Null, 0.into(), value];
    }
    let (name, value) = said.split_once(' ').unwrap();
    let value = json(value);
    let name = shown::snake(name.trim_end_matches(':')).replace("k_raft", "kraft");
    [name.into(), Json::Null, value["version"].clone(), value]
}

#[test]
fn records_of_internal_topics_and_control_records_say_what_kafka_says() {
    let mut types = BTreeSet::new();
    for (file, lines) in logs() {
        let (kind, rows, findings) = decoded(&file);
        assert_eq!(findings, [], "{file}");
        let internal = file.starts_with("__");
        let told = |line: &&String| line.starts_with("| ") && (internal || line.contains("endTxnMarker"));
        let lines: Vec<_> = lines.iter().filter(told).collect();
        assert_eq!(rows.len(), lines.len(), "{file}");
        for (row, line) in rows.iter().zip(lines) {
            let [of, key, version, mut value] = said(line);
            // Kafka opens what members embed and leaves its version out, as klog does; an empty one is null for it.
            if let Some(members) = value.get_mut("members").and_then(Json::as_array_mut) {
                assert!(members.iter().all(|member| member["subscription"].is_object()), "{line}");
            }
            assert_eq!(cell(row, kind, "offset"), number(line, "offset"), "{file}");
            let name = if of.is_string() { "type" } else { "type_id" };
            assert_eq!(cell(row, kind, name), of, "{file}: {line}");
            if !key.is_null() {
                assert_eq!(cell(row, kind, "key"), key, "{file}: {line}");
            }
            assert_eq!(cell(row, kind, "version"), version, "{file}: {line}");
            assert_eq!(cell(row, kind, "value"), value, "{file}: {line}");
            types.insert(cell(row, kind, "type").as_str().unwrap().to_owned());
        }
    }
    for wanted in [
        "offset_commit",
        "group_metadata",
        "consumer_group_current_member_assignment",
        "consumer_group_regular_expression",
        "share_group_member_metadata",
        "share_update",
        "transaction_log",
        "abort",
        "commit",
        "leader_change",
        "kraft_voters",
        "snapshot_footer",
        "topic_record",
        "partition_change_record",
        "user_scram_credential_record",
        "access_control_entry_record",
        "client_quota_record",
    ] {
        assert!(types.contains(wanted), "no {wanted} among {types:?}");
    }
}

#[test]
fn every_file_of_the_folder_is_decoded_without_a_finding() {
    let found = find(&RealDisk, &data()).unwrap();
    let mut kinds = BTreeSet::new();
    for (path, kind) in &found {
        let mut rows = 0;
        let findings = decode(&RealDisk, path, *kind, &mut |_| {
            rows += 1;
            true
        });
        assert_eq!(findings.unwrap(), [], "{}", path.display());
        kinds.insert(kind.name());
    }
    assert_eq!(kinds.len(), 10, "{kinds:?}");
    let (_, rows, _) = decoded("transactions-0/leader-epoch-checkpoint");
    assert_eq!(rows, [[Value::Int(0), Value::Int(0)]]);
    let (_, rows, _) = decoded("recovery-point-offset-checkpoint");
    assert!(rows.contains(&vec!["codec-zstd".into(), Value::Int(0), Value::Int(96)]), "{rows:?}");
}

#[test]
fn nothing_is_wrong_with_what_kafka_wrote() {
    let disk = machine();
    let found = folder::open(disk.as_ref(), &data()).unwrap();
    assert!(found.len() > 10, "{}", found.len());
    let mut batches = 0;
    for partition in &found {
        let report = verify::partition(disk.as_ref(), partition, 2, &Meter::default(), || {}).unwrap();
        assert_eq!(report.findings, [], "{}", partition.name);
        batches += report.batches;
    }
    assert!(batches > 200, "{batches}");
}

/// Any bytes get an answer: files cut and flipped wherever one likes never bring the decoder down, and what is not
/// as Kafka wrote it is never shown as a whole file without a finding.
#[test]
fn damaged_files_are_decoded_as_far_as_they_go() {
    let disk = SimDisk::new(1);
    let mut draw = 7u64;
    for (path, kind) in find(&RealDisk, &data()).unwrap() {
        let whole = fs::read(&path).unwrap();
        if whole.is_empty() {
            continue;
        }
        let place = Path::new("/").join(path.file_name().unwrap());
        for _ in 0..60 {
            draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = (draw >> 33) as usize % whole.len();
            let mut bytes = whole.clone();
            match draw >> 62 {
                0 => bytes.truncate(at),
                1 => bytes.extend_from_slice(&draw.to_be_bytes()),
                _ => bytes[at] ^= (draw >> 20) as u8 | 1,
            }
            let file = disk.open(&place, Mode::Create).unwrap();
            file.set_len(0).unwrap();
            file.write_vectored_at(&[IoSlice::new(&bytes)], 0).unwrap();
            let mut rows = 0;
            let findings = decode(&*disk, &place, kind, &mut |_| {
                rows += 1;
                true
            });
            let findings = findings.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            if kind == Kind::ProducerSnapshot {
                assert!(!findings.is_empty(), "{} at {at}", path.display());
            }
        }
    }
}

fn klog(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_klog")).arg("segment").arg("decode").args(arguments).output().unwrap()
}

#[test]
fn the_command_says_it_in_every_format_and_by_its_exit_code() {
    let data = data();
    let index = data.join("codec-none-0/00000000000000000036.index");
    let index = index.to_str().unwrap();
    let done = klog(&[index, "-J"]);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let first = String::from_utf8(done.stdout).unwrap();
    let first: Json = serde_json::from_str(first.lines().next().unwrap()).unwrap();
    assert_eq!((&first["kind"], &first["offset"]), (&"offset_index".into(), &47.into()), "{first}");
    let done = klog(&[index, "-o", "tsv"]);
    assert!(done.stdout.starts_with(b"file\tkind\toffset\tposition\n"), "{done:?}");
    let done = klog(&[data.to_str().unwrap(), "-o", "json"]);
    assert_eq!((done.status.code(), done.stderr.len()), (Some(0), 0), "{done:?}");
    let all: Vec<Json> = serde_json::from_slice(&done.stdout).unwrap();
    assert!(all.len() > 400, "{}", all.len());

    let full = Command::new(env!("CARGO_BIN_EXE_klog"))
        .args(["segment", "decode", data.to_str().unwrap()])
        .stdout(fs::File::options().write(true).open("/dev/full").unwrap())
        .output()
        .unwrap();
    let text = String::from_utf8(full.stderr).unwrap();
    assert_eq!((full.status.code(), text.lines().count()), (Some(1), 1), "{text}");

    let missing = klog(&["/nowhere/at/all.log"]);
    assert_eq!((missing.status.code(), missing.stdout.len()), (Some(3), 0), "{missing:?}");
    assert_eq!(klog(&[data.join("transactions-0/nothing").to_str().unwrap()]).status.code(), Some(3));

    let folder = tempfile::tempdir().unwrap();
    let damaged = folder.path().join("00000000000000000000.log");
    let mut bytes = fs::read(data.join("__consumer_offsets-0/00000000000000000000.log")).unwrap();
    bytes[100] ^= 1;
    fs::write(&damaged, bytes).unwrap();
    let done = klog(&[damaged.to_str().unwrap(), "-J", "--as", "offsets"]);
    assert_eq!(done.status.code(), Some(8), "{done:?}");
    let text = String::from_utf8(done.stderr).unwrap();
    assert!(text.contains("is damaged at byte 0: batch checksum is"), "{text}");
    assert!(done.stdout.split(|byte| *byte == b'\n').count() > 40);
}
