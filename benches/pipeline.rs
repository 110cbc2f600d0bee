//! Micro-benchmarks of jq filters: the fast path against jaq in this process, and what klog adds to jaq otherwise.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::hint::black_box;
use std::ops::ControlFlow;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jaq_core::data::JustLut;
use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Vars};
use jaq_json::{Val, read, write};
use klog::pipeline::jq::{Filter, Scratch};

const RECORDS: usize = 1000;

/// Filter, and whether the fast path takes it.
const FILTERS: &[(&str, bool)] = &[
    ("select(.quantity > 0) | {item, price: (.sales / .quantity)}", true),
    ("select(.item == \"none\")", true),
    ("{item, text: \"\\(.sales) \\(.region)\"}", true),
    (".", true),
    (".tags += [\"x\"] | .seen = true", false),
    ("with_entries(select(.value != null))", false),
];

/// Records of 178 bytes on average.
fn records() -> Vec<String> {
    let record = |i: usize| {
        let (day, sales, quantity, region) = (i % 28 + 1, i * 3, i % 7, i % 5);
        format!(
            r#"{{"date":"2024-05-{day:02}","item":"widget-{i}","sales":{sales}.5,"quantity":{quantity},"region":"north-{region}","store":"s{i}","currency":"EUR","online":true,"customer":"customer number {i}","notes":null}}"#
        )
    };
    (0..RECORDS).map(record).collect()
}

type Bare = jaq_core::Filter<JustLut<Val>>;

/// The filter as jaq's own command would run it.
fn bare(source: &str) -> Bare {
    let defs = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    let funs = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
    let arena = Arena::default();
    let modules = Loader::new(defs).load(&arena, File { code: source, path: () }).unwrap();
    Compiler::default().with_funs(funs).compile(modules).unwrap()
}

fn run_bare(filter: &Bare, record: &str, out: &mut Vec<u8>) {
    let record = read::parse_single(record.as_bytes()).unwrap();
    let ctx = Ctx::<JustLut<Val>>::new(&filter.lut, Vars::new([]));
    for value in filter.id.run((ctx, record)) {
        out.clear();
        write::write(out, &write::Pp::default(), 0, &value.unwrap()).unwrap();
        black_box(&out);
    }
}

fn pipeline(c: &mut Criterion) {
    let records = records();
    let mut group = c.benchmark_group("pipeline");
    group.throughput(Throughput::Elements(RECORDS as u64));
    let mut each = |text: &[u8]| {
        black_box(text);
        ControlFlow::Continue(())
    };
    for &(source, fast) in FILTERS {
        let (filter, bare, mut scratch) =
            (Filter::compile(source).unwrap(), bare(source), Scratch::default());
        assert_eq!(filter.is_fast(), fast, "{source}");
        if fast {
            group.bench_function(format!("fast {source}"), |b| {
                b.iter(|| {
                    records.iter().for_each(|r| filter.run(r.as_bytes(), &mut scratch, &mut each).unwrap())
                });
            });
        }
        group.bench_function(format!("slow {source}"), |b| {
            b.iter(|| {
                records.iter().for_each(|r| filter.run_slow(r.as_bytes(), &mut scratch, &mut each).unwrap());
            });
        });
        let mut out = Vec::new();
        group.bench_function(format!("jaq {source}"), |b| {
            b.iter(|| records.iter().for_each(|record| run_bare(&bare, record, &mut out)));
        });
    }
    group.bench_function("compile", |b| b.iter(|| Filter::compile(black_box(FILTERS[0].0)).unwrap()));
    group.finish();
}

criterion_group!(benches, pipeline);
criterion_main!(benches);
