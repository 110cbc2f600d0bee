//! The fast path gives byte for byte what jaq gives, and the same faults, for every record.

use std::sync::LazyLock;

use fastrand::Rng;
use klog::pipeline::jq::{Filter, Scratch};
use proptest::prelude::*;

use super::{records, results};

/// Filters of the fast path.
const FAST: &[&str] = &[
    ".",
    "{p: (.a / .b)} | select(.p != null)",
    "{p: (.a / .b)} | .p // \"none\"",
    "{p: (.a / .b)} | .p / 2",
    "{p: (.a * -1.0)} | .p",
    "{p: (.a / .b)} | .p + 9007199254740993",
    "[.a / .b] | .[0] | type",
    "{a: .a} | .a * 0",
    ".a / .b, .a % .b",
    ".a",
    ".a.b",
    ".user.name",
    ".a?",
    ".a?.b?",
    ".tags[0]",
    ".tags[-1]",
    ".tags[1].a",
    ".[\"x y\"]",
    ".\"é\"",
    ".a, .b, .c",
    "{}",
    "[]",
    "{a}",
    "{item, price: (.sales / .quantity)}",
    "select(.quantity > 0) | {item, price: (.sales / .quantity)}",
    "select(.quantity > 0 and .item != \"x\") | {item, total: (.sales * .quantity), tags}",
    "select(.item == \"item\" or .a == null)",
    "select(.a) | {b, c: .c}, [.a]",
    "{a: {b: {c: .}}}",
    "{a: .b, b: [.a, .c, 1, 2.50, \"x\", null, true]}",
    "[.a, (.b | select(. != null)), empty]",
    ".a + .b",
    ".a - .b",
    ".a * .b",
    ".a / .b",
    ".a % .b",
    ".quantity + 1",
    ".quantity * 1.5 - 0.1",
    "1 / .quantity",
    "-.a",
    "-(.a + .b)",
    ".a == .b",
    ".a != .b",
    ".a < .b",
    ".a <= .b",
    ".a > .b",
    ".a >= .b",
    "[.a == 1, .a == 1.0, .a == \"a\", .a == null, .a > 1e2]",
    ".a // .b",
    ".a // \"none\"",
    "(.a // empty) // .c",
    "if .a then .b else .c end",
    "if .a == 1 then \"one\" elif .a == 2 then \"two\" else .a end",
    "if .a then .b end",
    ".a and .b",
    ".a or .b",
    ".a | not",
    ".item + \"-\" + .name",
    "\"\\(.item): \\(.quantity) of \\(.user)\"",
    "\"\\n\\u00e9 \\(.a)\"",
    "{item, s: \"\\(.sales)\"}",
    ".a | tostring",
    ".a | tojson",
    ".a | length",
    "length",
    "tostring",
    ".a | type",
    ".item | ascii_downcase",
    ".item | ascii_upcase | {name: .}",
    "has(\"a\")",
    ".user | has(\"name\")",
    ".item | startswith(\"it\")",
    ".item | endswith(\"\\u00e9\")",
    "{a: .a} | .a | {b: .}",
    "{a: {b: .a}} | .a.b",
    "[.a, .b] | .[1]",
    "[.a, .b] | length",
    "{a: .b, c: .a} | select(.a == .c) | .a",
    "{x: (.item + \"\\\"\")} | {y: .x, z: (.x | length)} | tojson",
    ".quantity | . * . * . * .",
    ".a - .a",
    ".a / .a",
    "(.a / .b) < (.b / .a)",
    "[0, -0, 1.0, 1e2, 1E-7, 0.1 + 0.2, 1e1000, -1e1000]",
    "nulls",
    "null, false, true",
    "12345678901234567890",
];

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
