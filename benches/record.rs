//! Micro-benchmarks of the record module: building from lines, validating, iterating, each codec.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use klog::record::{
    Batch, BatchBuilder, Codec, Compressor, Decompressor, ProducerStamp, Rules, TimestampRule,
    validate_produce,
};

const LINES: usize = 10_000;

fn lines() -> Vec<u8> {
    let mut out = Vec::new();
    for i in 0..LINES {
        out.extend_from_slice(format!("{i:>9} {:-<79}\n", "a line of ninety bytes ").as_bytes());
    }
    assert_eq!(out.len(), LINES * 90);
    out
}

fn fill(builder: &mut BatchBuilder, input: &[u8]) {
    let mut from = 0;
    for end in memchr::memchr_iter(b'\n', input) {
        builder.push_value(1_730_000_000_000, &input[from..end]);
        from = end + 1;
    }
}

fn batch(codec: Codec) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    fill(&mut builder, &lines());
    builder.finish(ProducerStamp::NONE, codec.into(), &mut Compressor::new()).unwrap()
}

fn record(c: &mut Criterion) {
    let input = lines();
    let mut group = c.benchmark_group("record");
    group.throughput(Throughput::Elements(LINES as u64));
    group.bench_function("build from lines", |b| {
        let (mut builder, mut spare) = (BatchBuilder::new(), Some(Vec::new()));
        b.iter(|| {
            builder.recycle(spare.take().unwrap_or_default());
            fill(&mut builder, black_box(&input));
            spare = Some(builder.finish_plain(ProducerStamp::NONE).unwrap());
        });
    });
    let rules = Rules {
        produce_version: 12,
        max_batch_bytes: 16 << 20,
        max_inflated_bytes: 16 << 20,
        compacted: false,
        timestamps: TimestampRule::Create { min: i64::MIN, max: i64::MAX },
    };
    for codec in Codec::ALL {
        let bytes = batch(codec);
        let mut inflate = Decompressor::new();
        group.bench_function(format!("validate {}", codec.name()), |b| {
            b.iter(|| validate_produce(black_box(&bytes), &rules, &mut inflate).unwrap());
        });
    }
    let plain = batch(Codec::None);
    group.bench_function("iterate", |b| {
        b.iter(|| {
            let batch = Batch::exactly(black_box(&plain)).unwrap();
            batch.records().unwrap().map(|r| r.unwrap().value.map_or(0, <[u8]>::len)).sum::<usize>()
        });
    });
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let mut compressor = Compressor::new();
        group.bench_function(format!("compress {}", codec.name()), |b| {
            b.iter_batched(
                Vec::new,
                |mut out| compressor.compress(codec.into(), black_box(&plain), &mut out).unwrap(),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, record);
criterion_main!(benches);
