//! What the installed jq gives for the same records, compared as JSON with numbers as doubles. Skips without a jq.

use std::io::Write;
use std::process::{Command, Stdio};

use fastrand::Rng;
use klog::pipeline::jq::{Filter, Scratch};
use serde_json::Value;

use super::{records, results};

/// Filters on which jq and jaq agree for every record made here; a failure gives null on both sides.
const FILTERS: &[&str] = &[
    ".",
    ".a",
    ".a.b",
    ".a?",
    ".tags[0]",
    ".tags[-1]",
    "{item, quantity}",
    "{item, price: (.sales / .quantity)}",
    "select(.quantity > 0) | {item, price: (.sales / .quantity)}",
    ".a == .b",
    ".a < .b",
    ".a // \"none\"",
    "if .a then .b else .c end",
    ".a and .b",
    ".a or .b",
    ".a | not",
    ".item + \"-\" + .name",
    ".quantity - 1",
    ".a + .b",
    "type",
    ".item | ascii_upcase",
    ".a | type",
    "[.[]?]",
    "[.. | numbers]",
    "[.. | strings | length]",
    "keys?",
    "to_entries? | length",
    "map_values(.)?",
    "[paths]",
    "[.tags[]?] | length",
    "tojson | fromjson",
    ". as $x | [$x, $x]",
    "reduce (.tags[]?) as $t (0; . + 1)",
    "[limit(2; .[]?)]",
    "first(.[]?, 1)",
    "[.[]? | strings | tostring | length > 3]",
    "any(.[]?; . == null), all(.[]?; . != null)",
    "with_entries(.key |= ascii_downcase)?",
    "[.[]? | strings | test(\"a\")]",
    "[.[]? | strings | split(\"a\")]",
    "[.[]? | strings | explode]",
    "[.[]? | strings | @base64]",
    "[.[]? | strings | @uri]",
    "[.[]? | arrays | sort]",
    "[.[]? | arrays | unique | length]",
    "[.[]? | arrays | reverse]",
    "(.seen = true)?",
    "(.user.seen = true)?",
    "(.meta.tags += [\"x\"])?",
    "(.list[2] = 1)?",
    "(.list[0].a //= 1)?",
    "(.user.name, .user.id) |= 1",
    "(.a, .b) += 1",
    "setpath([\"p\", 0, \"q\"]; 1)",
    "getpath([\"a\", \"b\"])?",
    "(.user |= 1)?",
    "[paths(type == \"number\")]",
    "objects | del(.a)",
    "[.[]? | strings | gsub(\"a\"; \"b\")]",
    "[.[]? | strings | capture(\"(?<first>[a-z])(?<rest>.*)\")]",
    "[.[]? | strings | ltrimstr(\"it\"), rtrimstr(\"em\")]",
    "[.[]? | strings | startswith(\"a\")]",
    "[.[]? | strings | ascii_downcase]",
    "[.[]? | objects | keys]",
    "[.[]? | objects | has(\"a\")]",
    "[.[]? | numbers | floor]",
    "[.[]? | numbers | 7 / .]",
    "[.[]? | numbers | 7 % (. | floor)]",
];

/// A record that both take alike: no half of a surrogate pair, nothing that 1.6 rounds away, no number that is nan.
fn plain(random: &mut Rng) -> String {
    loop {
        let record = records::record(random).replace(['\n', '\r'], " ");
        let odd = [
            "\\ud800",
            "\\udc00",
            "-0",
            "400",
            "1e1000",
            "e-324",
            "9223372036854775",
            "12345678901234567890",
        ];
        if !odd.iter().any(|odd| record.contains(odd)) {
            return record;
        }
    }
}

/// Whether both are the same with numbers as doubles.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            let (left, right) = (left.as_f64().unwrap(), right.as_f64().unwrap());
            left == right || (left - right).abs() <= right.abs() * 1e-15
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, value)| right.get(key).is_some_and(|other| same(value, other)))
        }
        (left, right) => left == right,
    }
}

fn of_jq(filter: &str, records: &[String]) -> Option<Vec<Value>> {
    let program = format!("[try ({filter}) catch null]");
    let mut jq = Command::new("jq")
        .args(["-c", &program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let (mut stdin, input) = (jq.stdin.take()?, records.join("\n"));
    let feeder = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = jq.wait_with_output().unwrap();
    feeder.join().unwrap().unwrap();
    assert!(output.status.success(), "jq of {filter}");
    let text = String::from_utf8(output.stdout).unwrap();
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

#[test]
fn filters_give_what_the_installed_jq_gives() {
    let mut random = Rng::with_seed(11);
    let records: Vec<String> = (0..400).map(|_| plain(&mut random)).collect();
    let (mut scratch, mut differ) = (Scratch::default(), Vec::new());
    for source in FILTERS {
        let Some(expected) = of_jq(source, &records) else {
            eprintln!("skipped: no jq is installed here");
            return;
        };
        assert_eq!(expected.len(), records.len());
        let filter = Filter::compile(source).unwrap_or_else(|error| panic!("{source}: {error}"));
        for (record, expected) in records.iter().zip(expected) {
            let found = match results(&filter, record.as_bytes(), &mut scratch, false) {
                Ok(found) => {
                    Value::Array(found.iter().map(|text| serde_json::from_str(text).unwrap()).collect())
                }
                Err(_) => Value::Array(vec![Value::Null]),
            };
            if !same(&found, &expected) {
                differ.push(format!("{source} of {record}: {found} instead of {expected}"));
                break;
            }
        }
    }
    assert!(differ.is_empty(), "{} filters differ:\n{}", differ.len(), differ.join("\n"));
}
