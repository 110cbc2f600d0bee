//! Records and filters that are meant to break the engine: each gives results or a fault, and nothing panics.

use std::ops::ControlFlow;
use std::thread;

use fastrand::Rng;
use klog::pipeline::jq::{Fault, Filter, STACK, Scratch};

use super::{records, results};

/// As the runner does it: on a thread with the stack that filters need.
fn on_a_big_stack(work: impl FnOnce() + Send + 'static) {
    thread::Builder::new().stack_size(STACK).spawn(work).unwrap().join().unwrap();
}

fn outcome(filter: &str, record: &str) -> Result<Vec<String>, Fault> {
    let filter = Filter::compile(filter).unwrap_or_else(|error| panic!("{filter}: {error}"));
    results(&filter, record.as_bytes(), &mut Scratch::default(), false)
}

#[test]
fn any_bytes_give_results_or_a_fault() {
    on_a_big_stack(|| {
        let sources = [
            ".",
            ".a.b",
            "{a, b: .c[0]}",
            ".. | select(. == 1)",
            "tojson | fromjson",
            "[paths]",
            "keys",
            "map(tonumber?)",
        ];
        let filters: Vec<Filter> = sources.iter().map(|source| Filter::compile(source).unwrap()).collect();
        let (mut scratch, mut random) = (Scratch::default(), Rng::with_seed(3));
        for i in 0..12_000 {
            let record = match i % 3 {
                0 => (0..random.usize(..40)).map(|_| random.u8(..)).collect(),
                1 => (0..random.usize(..40))
                    .map(|_| *random.choice(b"{}[]\",:\\u0019-.eE truefalsn").unwrap())
                    .collect(),
                _ => records::damaged(&mut random),
            };
            let filter = &filters[i % filters.len()];
            let slow = results(filter, &record, &mut scratch, true);
            assert_eq!(results(filter, &record, &mut scratch, false), slow);
            let sound = std::str::from_utf8(&record)
                .is_ok_and(|text| serde_json::from_str::<Box<serde_json::value::RawValue>>(text).is_ok());
            let refused = matches!(
                slow,
                Err(Fault::NotJson { .. } | Fault::Empty | Fault::Trailing { .. } | Fault::TooDeep { .. })
            );
            assert_eq!(sound, !refused, "{:?}", String::from_utf8_lossy(&record));
            let holds = filter.holds(&record, &mut scratch);
            let key = filter.key(&record, &mut scratch);
            assert_eq!(refused, matches!(&holds, Err(fault) if !matches!(fault, Fault::Failed(_))));
            assert_eq!(refused, matches!(&key, Err(fault) if !matches!(fault, Fault::Failed(_))));
        }
    });
}

#[test]
fn deep_records_are_refused_before_they_are_parsed() {
    let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    assert_eq!(outcome(".", &deep(512)), Ok(vec![deep(512)]));
    for record in
        [deep(513), deep(100_000), "[".repeat(100_000), "{\"a\":".repeat(100_000), "[{\"a\":".repeat(50_000)]
    {
        for filter in [".", ".a", "keys"] {
            assert_eq!(outcome(filter, &record), Err(Fault::TooDeep { limit: 512 }));
        }
    }
}

#[test]
fn long_numbers_are_neither_slow_nor_fatal() {
    let largest = "1.7976931348623157e+308".to_owned();
    let nines = "9".repeat(10_000);
    for (record, result) in [
        (nines.clone(), largest.clone()),
        (format!("-{nines}"), format!("-{largest}")),
        (format!("{nines}.5"), largest.clone()),
        (format!("0.{nines}"), format!("0.{nines}")),
        (format!("{nines}e-20000"), format!("{nines}e-20000")),
        (format!("1e{nines}"), largest.clone()),
        (format!("1e-{nines}"), format!("1e-{nines}")),
        ("9".repeat(308), "9".repeat(308)),
        (format!("1{}", "0".repeat(308)), "1e+308".to_owned()),
        ("9".repeat(309), largest),
    ] {
        assert_eq!(outcome(".", &record), Ok(vec![result.clone()]));
        assert_eq!(outcome("[.[]]", &format!("[{record}]")), Ok(vec![format!("[{result}]")]));
        outcome(". + 1, . * 2, . / 3, . % 7, -., . == 1, tostring, length, floor", &record).unwrap();
    }
    let million = "7".repeat(1_000_000);
    assert_eq!(outcome(". > 1", &million), Ok(vec!["true".to_owned()]));
}

#[test]
fn deep_results_and_texts_fail_and_harm_nothing() {
    on_a_big_stack(|| {
        for filter in [
            "reduce range(100000) as $i (null; [.])",
            "reduce range(100000) as $i (null; {a: .})",
            "reduce range(100000) as $i (null; [.]) | tojson",
            "reduce range(100000) as $i (null; [.]) | tostring",
            "reduce range(100000) as $i (null; [.]) | \"\\(.)\"",
            "reduce range(100000) as $i (null; [.]) | @json",
            "reduce range(100000) as $i (null; [.]) | .a",
            "reduce range(100000) as $i (null; [.]) | error",
            "\"[\" * 100000 | fromjson",
            "\"[\" * 100000 | tonumber",
        ] {
            assert!(matches!(outcome(filter, "1"), Err(Fault::Failed(_))), "{filter}");
        }
        assert_eq!(outcome("reduce range(100000) as $i (null; [.]) | length", "1"), Ok(vec!["1".to_owned()]));
    });
}

#[test]
fn values_that_make_jaq_panic_or_allocate_without_end_fail() {
    for (filter, record) in [
        (". * 9223372036854775807", "\"x\""),
        ("\"x\" * .", "9223372036854775807"),
        (".s *= .n", r#"{"s":"x","n":1000000000000}"#),
        ("[limit(3; repeat(\"x\" * 1e9))]", "1"),
        ("implode", "[-9223372036854775808]"),
        ("halt", "1"),
        ("halt_error", "\"x\""),
    ] {
        assert!(matches!(outcome(filter, record), Err(Fault::Failed(_))), "{filter}");
    }
}

#[test]
fn an_endless_filter_ends_when_its_reader_breaks() {
    for source in ["repeat(1)", "range(infinite)", "def f: 1, f; f", "recurse", ".., repeat(.a)"] {
        let (filter, mut count) = (Filter::compile(source).unwrap(), 0);
        let mut each = |_: &[u8]| {
            count += 1;
            if count < 1000 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        assert_eq!(filter.run(b"{}", &mut Scratch::default(), &mut each), Ok(()));
        assert!(filter.holds(b"{}", &mut Scratch::default()).unwrap());
        assert!(filter.key(b"{}", &mut Scratch::default()).unwrap().is_some());
    }
}

#[test]
fn filters_of_any_shape_compile_or_say_where_not() {
    for (source, at) in [
        ("(".repeat(60_000), 60_000),
        ("[".repeat(60_000), 60_000),
        ("-".repeat(60_000), 60_000),
        ("\"\\(".repeat(20_000), 60_000),
        ("if ".repeat(20_000), 60_000),
        ("def f: ".repeat(8_000), 56_000),
        ("x".repeat(70_000), 65_536),
    ] {
        let error = Filter::compile(&source).unwrap_err();
        assert!(error.at.start.abs_diff(at) <= 2, "{error:?} in {}", &source[..10]);
    }
    for source in [
        "-".repeat(60_000) + "1",
        ".|".repeat(30_000) + ".",
        "1+".repeat(30_000) + "1",
        "try ".repeat(15_000) + ".",
    ] {
        Filter::compile(&source).unwrap();
    }
}

#[test]
fn a_filter_is_for_all_threads() {
    fn for_all<T: Send + Sync>(_: &T) {}
    let filter = Filter::compile(".a | ltrimstr(\"x\")").unwrap();
    for_all(&filter);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..100 {
                    let key = filter.key(br#"{"a":"xy"}"#, &mut Scratch::default());
                    assert_eq!(key, Ok(Some(b"y".to_vec())));
                }
            });
        }
    });
}
