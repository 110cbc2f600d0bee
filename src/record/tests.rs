//! The module as a whole: against batches that Kafka's own classes made, and against random and hostile bytes.

use proptest::prelude::*;

use super::*;

const KAFKA: [(&str, &[u8]); 5] = [
    ("none", include_bytes!("../../tests/fixtures/record/none.batch")),
    ("gzip", include_bytes!("../../tests/fixtures/record/gzip.batch")),
    ("snappy", include_bytes!("../../tests/fixtures/record/snappy.batch")),
    ("lz4", include_bytes!("../../tests/fixtures/record/lz4.batch")),
    ("zstd", include_bytes!("../../tests/fixtures/record/zstd.batch")),
];
const KAFKA_LARGE: [(&str, &[u8]); 4] = [
    ("gzip", include_bytes!("../../tests/fixtures/record/large-gzip.batch")),
    ("snappy", include_bytes!("../../tests/fixtures/record/large-snappy.batch")),
    ("lz4", include_bytes!("../../tests/fixtures/record/large-lz4.batch")),
    ("zstd", include_bytes!("../../tests/fixtures/record/large-zstd.batch")),
];

const RULES: Rules = Rules {
    produce_version: 12,
    max_batch_bytes: 16 << 20,
    max_inflated_bytes: 16 << 20,
    compacted: false,
    timestamps: TimestampRule::Create { min: i64::MIN, max: i64::MAX },
};

fn validate(bytes: &[u8], rules: &Rules) -> Result<BatchSummary, RecordError> {
    validate_produce(bytes, rules, &mut Decompressor::new())
}

/// A record that owns its bytes.
#[derive(Debug, Clone, PartialEq)]
struct Owned {
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

fn owned(record: &Record<'_>) -> Owned {
    Owned {
        timestamp: record.timestamp,
        key: record.key.map(<[u8]>::to_vec),
        value: record.value.map(<[u8]>::to_vec),
        headers: record.headers.map(|h| (h.key.to_vec(), h.value.map(<[u8]>::to_vec))).collect(),
    }
}

fn read(bytes: &[u8]) -> Vec<Owned> {
    let batch = Batch::exactly(bytes).unwrap();
    let mut inflate = Decompressor::new();
    let records = inflate.records(&batch, 64 << 20).unwrap();
    records.map(|record| owned(&record.unwrap())).collect()
}

fn push(builder: &mut BatchBuilder, record: &Owned) -> usize {
    let headers: Vec<_> =
        record.headers.iter().map(|(key, value)| Header { key, value: value.as_deref() }).collect();
    let (key, value) = (record.key.as_deref(), record.value.as_deref());
    builder.push(record.timestamp, key, value, &headers);
    record_len(key.map(<[u8]>::len), value.map(<[u8]>::len), &headers)
}

/// The five records in every small fixture.
fn five() -> Vec<Owned> {
    let all: Vec<u8> = (0..=255).collect();
    let plain = |timestamp, key: Option<&[u8]>, value: Option<&[u8]>| Owned {
        timestamp,
        key: key.map(<[u8]>::to_vec),
        value: value.map(<[u8]>::to_vec),
        headers: vec![],
    };
    let mut five = vec![
        plain(1_730_000_000_000, None, Some(b"plain")),
        plain(1_730_000_000_250, Some(b"key"), None),
        plain(1_729_999_999_000, Some(b""), Some(b"")),
        plain(1_730_000_000_001, Some(&all), Some(&all)),
        plain(1_730_000_000_002, None, None),
    ];
    five[3].headers =
        vec![(b"a".to_vec(), Some(b"1".to_vec())), (b"a".to_vec(), None), (vec![], Some(vec![]))];
    five
}

const STAMP: ProducerStamp = ProducerStamp { id: 4711, epoch: 3, base_sequence: 99, transactional: false };

#[test]
fn kafkas_batches_are_read_and_valid() {
    for (name, bytes) in KAFKA {
        assert_eq!(read(bytes), five(), "{name}");
        let summary = validate(bytes, &RULES).unwrap();
        assert_eq!(summary.header.codec().unwrap().name(), name);
        assert_eq!((summary.max_timestamp, summary.max_timestamp_delta), (1_730_000_000_250, 1));
        assert_eq!((summary.header.producer_id, summary.header.last_sequence()), (4711, 103));
        assert_eq!(summary.size, bytes.len());
    }
    for (name, bytes) in KAFKA_LARGE {
        let records = read(bytes);
        assert_eq!(records.len(), 2000, "{name}");
        for (i, record) in records.iter().enumerate() {
            assert_eq!(record.value.as_deref(), Some(format!("{i:<100}").as_bytes()));
        }
        validate(bytes, &RULES).unwrap();
    }
}

#[test]
fn the_builder_gives_kafkas_bytes() {
    let mut builder = BatchBuilder::new();
    for record in five() {
        push(&mut builder, &record);
    }
    let ours = builder.finish_plain(STAMP).unwrap();
    assert_eq!(ours, KAFKA[0].1);

    let marker = ControlMarker::Commit { coordinator_epoch: 12 };
    let control = end_transaction_batch(4711, 3, marker, 1_730_000_000_000).unwrap();
    assert_eq!(control, include_bytes!("../../tests/fixtures/record/control.batch"));
}

#[test]
fn every_byte_of_the_checked_part_matters() {
    for (name, good) in KAFKA {
        for at in 0..good.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut bad = good.to_vec();
                bad[at] ^= flip;
                let result = validate(&bad, &RULES);
                // Only the leader epoch (12..16) is neither covered nor looked at.
                assert_eq!(result.is_ok(), (12..16).contains(&at), "{name} at {at}: {result:?}");
            }
        }
    }
}

#[test]
fn cut_batches_are_incomplete_never_wrong() {
    let good = KAFKA[0].1;
    for len in 0..good.len() {
        assert!(Batch::split_first(&good[..len]).unwrap().is_none(), "{len}");
        assert!(validate(&good[..len], &RULES).is_err());
    }
    let twice = [good, good].concat();
    let (first, rest) = Batch::split_first(&twice).unwrap().unwrap();
    assert_eq!((first.bytes(), rest), (good, good));
    assert_eq!(validate(&twice, &RULES), Err(RecordError::NotOneBatch { found: 2 }));
    assert_eq!(validate(&[], &RULES), Err(RecordError::NotOneBatch { found: 0 }));
}

/// A change of the bytes with the CRC made good again, so that what lies behind the CRC check is reached.
fn with_good_crc(good: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = good.to_vec();
    change(&mut bytes);
    let length = (bytes.len() - LENGTH_PREFIX) as i32;
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    let crc = crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes
}

#[test]
fn every_rule_refuses_what_it_is_for() {
    let refused = |what: &str, change: fn(&mut Vec<u8>)| {
        validate(&with_good_crc(KAFKA[0].1, change), &RULES).expect_err(what)
    };
    assert!(matches!(refused("base offset", |b| b[7] = 1), RecordError::BadBaseOffset(1)));
    assert!(matches!(refused("magic", |b| b[16] = 1), RecordError::BadMagic(1)));
    assert!(matches!(refused("codec", |b| b[22] = 5), RecordError::UnknownCodec(5)));
    assert!(matches!(refused("control", |b| b[22] = 0x20), RecordError::ControlFromClient));
    assert!(matches!(refused("append time", |b| b[22] = 0x08), RecordError::LogAppendFromClient));
    assert!(matches!(refused("last delta", |b| b[26] = 5), RecordError::BadCount { .. }));
    assert!(matches!(refused("count", |b| b[60] = 6), RecordError::BadCount { .. }));
    assert!(matches!(refused("no records", |b| b[57..61].fill(0xff)), RecordError::BadCount { .. }));
    let six = |b: &mut Vec<u8>| (b[26], b[60]) = (5, 6);
    assert!(matches!(refused("a sixth record", six), RecordError::Malformed { index: 5, .. }));
    let four = |b: &mut Vec<u8>| (b[26], b[60]) = (3, 4);
    assert!(matches!(refused("only four", four), RecordError::TrailingBytes { .. }));
    assert!(matches!(refused("sequence", |b| b[53] = 0x80), RecordError::BadProducer { .. }));
    assert!(matches!(refused("epoch", |b| b[51] = 0x80), RecordError::BadProducer { .. }));
    let transactional = |b: &mut Vec<u8>| {
        b[22] = 0x10;
        b[43..51].fill(0xff);
    };
    assert!(matches!(refused("no producer", transactional), RecordError::TransactionalWithoutProducer));
    // The first record: length, attributes, timestamp delta, offset delta, key, value, headers.
    let malformed = |what: &str, change: fn(&mut Vec<u8>)| match refused(what, change) {
        RecordError::Malformed { index: 0, what } => what,
        other => panic!("{what}: {other}"),
    };
    assert_eq!(malformed("delta", |b| b[64] = 2), "offset delta is not its place in the batch");
    assert_eq!(malformed("length", |b| b[61] = 1), "negative length");
    assert_eq!(malformed("long value", |b| b[66] = 0x7e), "value longer than the record");
    assert_eq!(
        malformed("short value", |b| (b[66], b[71]) = (8, 0)),
        "sizes inside do not add up to its length"
    );
    assert_eq!(malformed("headers", |b| b[72] = 1), "negative header count");
    assert_eq!(malformed("many headers", |b| b[72] = 2), "more headers than bytes for them");
    assert_eq!(malformed("key below null", |b| b[65] = 3), "key longer than the record");
}

#[test]
fn rules_of_the_topic_and_the_request() {
    let good = KAFKA[0].1;
    let small = Rules { max_batch_bytes: good.len() - 1, ..RULES };
    assert!(matches!(validate(good, &small), Err(RecordError::TooLarge { .. })));
    validate(good, &Rules { max_batch_bytes: good.len(), ..RULES }).unwrap();

    let compacted = Rules { compacted: true, ..RULES };
    let no_key = |index| RecordFault { index, kind: RecordFaultKind::NoKey };
    assert_eq!(validate(good, &compacted), Err(RecordError::Refused(vec![no_key(0), no_key(4)])));

    let (min, max) = (1_730_000_000_000, 1_730_000_000_100);
    let bounds = Rules { timestamps: TimestampRule::Create { min, max }, ..RULES };
    match validate(good, &bounds) {
        Err(RecordError::Refused(faults)) => {
            assert_eq!(faults.iter().map(|fault| fault.index).collect::<Vec<_>>(), [1, 2]);
        }
        other => panic!("{other:?}"),
    }
    validate(good, &Rules { timestamps: TimestampRule::LogAppend, ..RULES }).unwrap();

    let old = Rules { produce_version: 6, ..RULES };
    assert!(matches!(validate(KAFKA[4].1, &old), Err(RecordError::CodecNotAllowed { version: 6, .. })));
    validate(KAFKA[3].1, &old).unwrap();
}

#[test]
fn bombs_stop_at_the_limit() {
    let zeros = vec![0; 8 << 20];
    let mut builder = BatchBuilder::new();
    builder.push_value(0, &zeros);
    let mut compressor = Compressor::new();
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let mut builder = BatchBuilder::new();
        builder.push_value(0, &zeros);
        let bomb = builder.finish(ProducerStamp::NONE, codec.into(), &mut compressor).unwrap();
        let limit = 100_000;
        let rules = Rules { max_inflated_bytes: limit, ..RULES };
        let mut inflate = Decompressor::new();
        let result = validate_produce(&bomb, &rules, &mut inflate);
        assert_eq!(result, Err(RecordError::TooLargeInflated { limit }), "{}", codec.name());
        assert!(inflate.kept() <= 4 * limit, "{} keeps {}", codec.name(), inflate.kept());
        validate(&bomb, &RULES).unwrap();
        // Exactly at the limit is allowed.
        let exact = Rules { max_inflated_bytes: zeros.len() + 13, ..RULES };
        validate(&bomb, &exact).unwrap();
    }
}

#[test]
fn sequences_wrap() {
    let stamp = ProducerStamp { id: 1, epoch: 0, base_sequence: i32::MAX - 1, transactional: false };
    let mut builder = BatchBuilder::new();
    for _ in 0..4 {
        builder.push_value(0, b"");
    }
    let bytes = builder.finish_plain(stamp).unwrap();
    assert_eq!(Batch::exactly(&bytes).unwrap().header().last_sequence(), 1);
}

#[test]
fn headers_by_themselves() {
    let headers = [Header { key: b"a", value: None }, Header { key: b"", value: Some(&[7; 200]) }];
    let mut bytes = Vec::new();
    Headers::encode(&headers, &mut bytes);
    assert_eq!(Headers::new(&bytes, 2).unwrap().collect::<Vec<_>>(), headers);
    assert!(Headers::new(&bytes, 3).is_none() && Headers::new(&bytes[..50], 2).is_none());
}

#[test]
fn builders_are_reused() {
    let mut builder = BatchBuilder::new();
    assert!(builder.finish_plain(STAMP).is_err());
    builder.push_value(5, b"first");
    let first = builder.finish_plain(STAMP).unwrap();
    assert!(builder.is_empty() && builder.len() == HEADER_LEN);
    builder.push_value(5, b"first");
    assert_eq!(builder.finish_plain(STAMP).unwrap(), first);
    builder.recycle(first.clone());
    builder.push_value(5, b"first");
    assert_eq!(builder.finish_plain(STAMP).unwrap(), first);
    let mut compressor = Compressor::new();
    for _ in 0..2 {
        builder.push_value(5, b"first");
        let zipped = builder.finish(STAMP, Codec::Zstd.into(), &mut compressor).unwrap();
        assert_eq!(read(&zipped), read(&first));
    }
}

#[test]
fn an_iterator_goes_on_where_another_stood() {
    let batch = Batch::exactly(KAFKA[0].1).unwrap();
    let mut first = batch.records().unwrap();
    first.next();
    first.next();
    let second = Records::resume(&batch.header(), batch.payload(), first.remaining(), first.index());
    let rest: Vec<_> = second.map(|record| owned(&record.unwrap())).collect();
    assert_eq!(rest, five()[2..]);
}

fn bytes() -> impl Strategy<Value = Option<Vec<u8>>> {
    proptest::option::of(proptest::collection::vec(any::<u8>(), 0..300))
}

fn record() -> impl Strategy<Value = Owned> {
    let headers = proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..20), bytes()), 0..4);
    let timestamp = prop_oneof![Just(-1), 0..2_000_000_000_000i64, any::<i64>()];
    (timestamp, bytes(), bytes(), headers).prop_map(|(timestamp, key, value, headers)| Owned {
        timestamp,
        key,
        value,
        headers,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn what_is_built_is_valid_and_read_back(
        records in proptest::collection::vec(record(), 1..40),
        codec in 0..5i16,
    ) {
        let mut builder = BatchBuilder::new();
        let mut bound = HEADER_LEN;
        for record in &records {
            bound += push(&mut builder, record);
            prop_assert!(builder.len() <= bound);
        }
        let codec = Codec::from_attributes(codec).unwrap();
        let batch = builder.finish(STAMP, codec.into(), &mut Compressor::new()).unwrap();
        let summary = validate(&batch, &RULES).unwrap();
        prop_assert_eq!(read(&batch), records.clone());
        let latest = records.iter().map(|record| record.timestamp).max().unwrap().max(-1);
        prop_assert_eq!(summary.max_timestamp, latest);
    }

    /// Behind a good CRC anything may stand: an answer, never a panic, never more memory than the limit.
    #[test]
    fn hostile_payloads_get_an_answer(
        which in 0..5usize,
        changes in proptest::collection::vec((21..800usize, any::<u8>()), 1..12),
        cut in proptest::option::of(61..800usize),
    ) {
        let hostile = with_good_crc(KAFKA[which].1, |bytes| {
            for (at, byte) in changes {
                if let Some(target) = bytes.get_mut(at) {
                    *target = byte;
                }
            }
            bytes.truncate(cut.unwrap_or(bytes.len()));
        });
        let rules = Rules { max_inflated_bytes: 1 << 20, ..RULES };
        let _ = validate(&hostile, &rules);
        if let Ok(batch) = Batch::exactly(&hostile) {
            let mut inflate = Decompressor::new();
            if let Ok(records) = inflate.records(&batch, 1 << 20) {
                for record in records.flatten() {
                    let _ = record.headers.count();
                }
            }
        }
    }

    #[test]
    fn garbage_gets_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..400), codec in 0..5i16) {
        let _ = Batch::split_first(&bytes);
        let _ = validate(&bytes, &RULES);
        let codec = Codec::from_attributes(codec).unwrap();
        let _ = Decompressor::new().inflate(codec, &bytes, 1 << 20, &mut Vec::new());
    }
}
