//! The fast path gives byte for byte what jaq gives, and the same faults, for every record.

use std::sync::LazyLock;

use fastrand::Rng;
use klog::pipeline::jq::{Filter, Scratch};
use proptest::prelude::*;

use super::filters::FAST;
use super::{records, results};

/// Filters of [`FAST`] that only look as if they were.
const SLOW: &[&str] = &["nulls", "12345678901234567890"];

/// A filter, and one for jaq that says whether its first result is true.
struct Pair {
    source: &'static str,
    filter: Filter,
    holds: Filter,
}

static FILTERS: LazyLock<Vec<Pair>> = LazyLock::new(|| {
    let compile = |source: &str| Filter::compile(source).unwrap_or_else(|error| panic!("{source}: {error}"));
    let pair = |&source: &&'static str| {
        let filter = compile(source);
        assert_eq!(filter.is_fast(), !SLOW.contains(&source), "{source}");
        let holds = compile(&format!("[limit(1; {source})] | if .[0] then true else false end"));
        Pair { source, filter, holds }
    };
    FAST.iter().map(pair).collect()
});

fn compare(record: &[u8], scratch: &mut Scratch) {
    for Pair { source, filter, holds } in &*FILTERS {
        let shown = || format!("{source} of {:?}", String::from_utf8_lossy(record));
        let slow = results(filter, record, scratch, true);
        assert_eq!(results(filter, record, scratch, false), slow, "{}", shown());
        let Ok(slow) = slow else { continue };
        let expected =
            results(holds, record, scratch, true).unwrap().first().is_some_and(|text| text == "true");
        assert_eq!(filter.holds(record, scratch), Ok(expected), "{}", shown());
        let first = slow.first().map(String::as_str);
        let key = match first {
            None | Some("null") => None,
            Some(text) if text.starts_with('"') => {
                Some(serde_json::from_str::<String>(text).unwrap().into_bytes())
            }
            Some(text) => Some(text.as_bytes().to_vec()),
        };
        assert_eq!(filter.key(record, scratch), Ok(key), "{}", shown());
    }
}

#[test]
fn on_made_records() {
    let (mut scratch, mut random) = (Scratch::default(), Rng::with_seed(7));
    for _ in 0..600 {
        compare(records::record(&mut random).as_bytes(), &mut scratch);
    }
}

#[test]
fn on_damaged_records() {
    let (mut scratch, mut random) = (Scratch::default(), Rng::with_seed(8));
    for _ in 0..300 {
        compare(&records::damaged(&mut random), &mut scratch);
    }
}

#[test]
fn on_records_near_the_depth_limit() {
    let mut scratch = Scratch::default();
    for depth in [446, 447, 448, 449, 509, 510, 511, 512, 513] {
        for member in ["a", "b"] {
            let (open, close) = ("[".repeat(depth - 1), "]".repeat(depth - 1));
            compare(format!("{{\"{member}\":{open}{close}}}").as_bytes(), &mut scratch);
        }
        let (open, close) = ("{\"a\":".repeat(depth), "}".repeat(depth));
        compare(format!("{open}1{close}").as_bytes(), &mut scratch);
    }
}

#[test]
fn on_objects_of_many_members() {
    let mut scratch = Scratch::default();
    for count in [1, 63, 64, 65, 200] {
        let members: Vec<String> = (0..count).map(|i| format!("\"k{i}\":{i}")).collect();
        compare(
            format!("{{{},\"a\":{{{}}}}}", members.join(","), members.join(",")).as_bytes(),
            &mut scratch,
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn on_any_two_numbers(a in any::<f64>(), b in any::<i64>(), c in -1000i64..1000) {
        let mut scratch = Scratch::default();
        let number = |value: f64| if value.is_finite() { format!("{value:?}") } else { "0".to_owned() };
        for (a, b) in [(number(a), b.to_string()), (c.to_string(), number(a)), (b.to_string(), c.to_string())] {
            let record = format!(r#"{{"a":{a},"b":{b},"quantity":{a},"sales":{b},"c":[{a},{b}]}}"#);
            compare(record.as_bytes(), &mut scratch);
        }
    }

    #[test]
    fn on_any_strings(a in any::<String>(), b in "\\PC*") {
        let mut scratch = Scratch::default();
        let record = serde_json::json!({"a": a, "b": b, "item": a, "name": b, "user": {"name": a}, "tags": [a, b]});
        compare(record.to_string().as_bytes(), &mut scratch);
    }
}
