//! Any bytes as record batches: split, validated, read, inflated, recompressed, trimmed and filtered, within limits; and any
//! records built into batches come back the same.
//!
//! The first byte says how: bit 0 puts the length and the magic right, bit 1 the CRC, so that hostile payloads get past
//! both; bit 2 makes records of the bytes instead. The second chooses what is kept and the codec to recompress in.

use klog::record::{
    Batch, BatchBuilder, BatchSummary, Codec, Compression, Compressor, ControlMarker, Decompressor, Filter,
    HEADER_LEN, Header, Horizon, Left, ProducerStamp, Record, RecordError, Restamp, Rules, TimestampRule,
    crc32c, empty_batch, recompress, restamp_header, set_producer, trim, validate_produce, without_records,
};

use crate::memory::memory;

/// The most that may be inflated, in bytes.
const LIMIT: usize = 256 * 1024;
/// What lz4 takes for its largest blocks, gzip and zstd for their windows, and some.
const CONTEXTS: usize = 20 << 20;

pub(crate) fn run(data: &[u8]) {
    let [how, choice, bytes @ ..] = data else { return };
    if how & 4 != 0 {
        return built(*choice, bytes);
    }
    let mut bytes = bytes.to_vec();
    if how & 1 != 0 && bytes.len() >= HEADER_LEN {
        let length = bytes.len() as i32 - 12;
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        bytes[16] = 2;
    }
    if how & 2 != 0 && bytes.len() >= HEADER_LEN {
        let crc = crc32c(&bytes[21..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    }
    let mut rest = bytes.as_slice();
    for _ in 0..16 {
        let (took, _) = memory(|| one(rest, *choice));
        // Plain and compressed forms of what was inflated, and the batch itself, several of each.
        let allowed = CONTEXTS + 16 * LIMIT + 16 * rest.len();
        assert!(took <= allowed, "{took} bytes for a batch of {}", rest.len());
        match Batch::split_first(rest) {
            Ok(Some((_, behind))) => rest = behind,
            _ => break,
        }
    }
}

type Plain = (i64, i64, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(Vec<u8>, Option<Vec<u8>>)>);

fn plain(record: &Record<'_>) -> Plain {
    let bytes = |bytes: &[u8]| bytes.to_vec();
    let headers = record.headers.map(|header| (bytes(header.key), header.value.map(bytes))).collect();
    (record.offset, record.timestamp, record.key.map(bytes), record.value.map(bytes), headers)
}

/// The records of a batch up to a number that stays small in memory, or why they can not be read.
fn records(batch: &Batch<'_>, inflate: &mut Decompressor) -> Result<Vec<Plain>, RecordError> {
    inflate.records(batch, LIMIT)?.map(|record| Ok(plain(&record?))).collect()
}

fn rules(choice: u8) -> Rules {
    Rules {
        produce_version: if choice & 1 == 0 { 3 } else { 12 },
        max_batch_bytes: 1 << 20,
        max_inflated_bytes: LIMIT,
        compacted: choice & 2 != 0,
        timestamps: match choice & 4 {
            0 => TimestampRule::LogAppend,
            _ => TimestampRule::Create { min: 0, max: i64::MAX },
        },
    }
}

fn one(bytes: &[u8], choice: u8) {
    let mut inflate = Decompressor::new();
    let announced = Batch::announced_size(bytes);
    let split = Batch::split_first(bytes);
    if let Ok(Some((batch, behind))) = split {
        assert_eq!(announced, Ok(Some(batch.bytes().len())));
        assert_eq!(batch.bytes().len() + behind.len(), bytes.len());
        assert_eq!(batch.header().size(), batch.bytes().len());
    }
    let valid = validate_produce(bytes, &rules(choice), &mut inflate);
    let Ok(batch) = Batch::exactly(bytes) else {
        assert!(valid.is_err());
        if let Ok(Some((batch, _))) = split {
            changed(&batch, choice, &mut inflate, None);
        }
        return;
    };
    changed(&batch, choice, &mut inflate, valid.as_ref().ok());
    if valid.is_ok() {
        assert!(batch.crc_ok());
        let mut moved = bytes.to_vec();
        let stamp = ProducerStamp { id: 7, epoch: 1, base_sequence: 5, transactional: false };
        set_producer(&mut moved, stamp);
        let valid = validate_produce(&moved, &rules(choice), &mut inflate);
        assert!(valid.is_ok_and(|summary| summary.header.producer_id == 7));
    }
}

/// All that makes other batches of one.
fn changed(batch: &Batch<'_>, choice: u8, inflate: &mut Decompressor, valid: Option<&BatchSummary>) {
    let header = batch.header();
    let _ = (header.last_sequence(), header.next_offset(), header.delete_horizon(), header.timestamp_type());
    let empty = without_records(batch);
    let empty = Batch::exactly(&empty).expect("a header alone is a batch");
    assert!(empty.crc_ok() && empty.last_offset() == batch.last_offset());
    let stamp = Restamp { base_offset: 9, leader_epoch: 1, log_append_time: Some(3), max_timestamp: 4 };
    let restamped = [&restamp_header(batch, &stamp)[..], batch.payload()].concat();
    assert!(Batch::exactly(&restamped).is_ok_and(|batch| batch.crc_ok()));
    let all = records(batch, inflate);
    if let Ok(all) = &all {
        assert!(all.len() <= header.count.max(0) as usize);
    }
    if let Some(summary) = valid {
        let all = all.as_ref().expect("valid batches can be read");
        assert_eq!(all.len(), header.count as usize);
        let largest = all.iter().map(|record| record.1).max();
        assert_eq!(summary.max_timestamp, largest.unwrap_or(-1).max(-1));
    }
    trimmed(batch, choice, inflate, all.as_deref().ok(), valid.is_some());
    filtered(batch, choice, inflate, all.as_deref().ok());
    let codec = Codec::ALL[usize::from(choice >> 3) % 5];
    let other = recompress(batch, Compression::from(codec), inflate, &mut Compressor::new(), LIMIT);
    if let Ok(other) = other {
        let other = Batch::exactly(&other).expect("what was recompressed is a batch");
        assert!(other.crc_ok() && other.codec() == Ok(codec));
        assert_eq!(records(&other, inflate), all);
    }
    if let Ok(mut records) = batch.records()
        && let Some(Ok(first)) = records.next()
    {
        let _ = ControlMarker::of(&first);
    }
}

fn trimmed(batch: &Batch<'_>, choice: u8, inflate: &mut Decompressor, all: Option<&[Plain]>, valid: bool) {
    let from = batch.base_offset().saturating_add(i64::from(choice & 7));
    for range in [i64::MIN..i64::MAX, from..from.saturating_add(5), 0..from] {
        let cut = trim(batch, &range, inflate, LIMIT);
        let Ok(Some(cut)) = cut else {
            assert!(!valid || cut.is_ok(), "a valid batch can be trimmed");
            continue;
        };
        let cut = Batch::exactly(&cut).expect("what was trimmed is a batch");
        assert!(cut.crc_ok());
        if let (Some(all), true) = (all, valid) {
            let wanted: Vec<Plain> = all.iter().filter(|record| range.contains(&record.0)).cloned().collect();
            assert_eq!(records(&cut, inflate), Ok(wanted));
        }
        let _ = empty_batch(&range, 0);
    }
}

fn filtered(batch: &Batch<'_>, choice: u8, inflate: &mut Decompressor, all: Option<&[Plain]>) {
    let mut filter = Filter::new();
    let horizon = Horizon { at_ms: 900_000, always: choice & 16 != 0 };
    for step in [1, 2, i64::from(choice) + 2] {
        let keep = |record: &Record<'_>| record.offset.wrapping_rem(step) == 0;
        let left = filter.filter(batch, horizon, LIMIT, keep);
        let Some(all) = all else {
            assert!(left.is_err(), "records that can not be read were filtered");
            continue;
        };
        if batch.header().count < 0 {
            assert!(left.is_err(), "less than no records were filtered");
            continue;
        }
        let wanted: Vec<Plain> =
            all.iter().filter(|record| record.0.wrapping_rem(step) == 0).cloned().collect();
        match left.expect("records that can be read can be filtered") {
            Left::All => assert_eq!(wanted.len(), all.len()),
            Left::Nothing => assert!(wanted.is_empty()),
            Left::Some(bytes) => {
                let left = Batch::exactly(bytes).expect("what is left is a batch");
                assert!(left.crc_ok() && left.last_offset() == batch.last_offset());
                assert_eq!(records(&left, inflate), Ok(wanted));
            }
        }
    }
}

/// Lengths, null or not, and bytes, taken from `data` until there is none left.
fn taken<'d>(data: &mut &'d [u8]) -> Option<Option<&'d [u8]>> {
    let (&length, rest) = data.split_first()?;
    *data = rest;
    if length >= 0xf0 {
        return Some(None);
    }
    let (bytes, rest) = rest.split_at(rest.len().min(usize::from(length)));
    *data = rest;
    Some(Some(bytes))
}

/// Records of these bytes go into a batch and come out of it as they were.
fn built(choice: u8, mut data: &[u8]) {
    let codec = Codec::ALL[usize::from(choice) % 5];
    let mut builder = BatchBuilder::new();
    let mut wanted: Vec<Plain> = Vec::new();
    while let Some(key) = taken(&mut data) {
        let value = taken(&mut data).unwrap_or_default();
        let Some((time, rest)) = data.split_first_chunk() else { break };
        data = rest;
        let timestamp = i64::from_be_bytes(*time);
        let headers: Vec<Header<'_>> = match value {
            Some(value) if value.len() % 3 == 1 => {
                vec![Header { key: value, value: key }, Header { key: b"", value: None }]
            }
            _ => Vec::new(),
        };
        if key.is_none()
            && headers.is_empty()
            && let Some(value) = value
        {
            builder.push_value(timestamp, value);
        } else {
            builder.push(timestamp, key, value, &headers);
        }
        let bytes = |bytes: &[u8]| bytes.to_vec();
        let headers = headers.iter().map(|header| (bytes(header.key), header.value.map(bytes))).collect();
        wanted.push((wanted.len() as i64, timestamp, key.map(bytes), value.map(bytes), headers));
    }
    let stamp = ProducerStamp { id: 1, epoch: 0, base_sequence: 0, transactional: choice & 64 != 0 };
    let built = builder.finish(stamp, Compression::from(codec), &mut Compressor::new());
    let Ok(bytes) = built else {
        return assert!(wanted.is_empty());
    };
    let batch = Batch::exactly(&bytes).expect("what was built is a batch");
    assert!(batch.crc_ok());
    assert_eq!(records(&batch, &mut Decompressor::new()), Ok(wanted));
    let rules =
        Rules { produce_version: 12, compacted: false, timestamps: TimestampRule::LogAppend, ..rules(0) };
    validate_produce(&bytes, &rules, &mut Decompressor::new()).expect("what was built is taken");
    one(&bytes, choice);
}
