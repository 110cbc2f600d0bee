//! What filters give, refuse and survive, by jaq and by the fast path alike.

use super::*;

fn run(filter: &str, input: &str) -> Result<Vec<String>, Fault> {
    let filter = Filter::compile(filter).unwrap_or_else(|error| panic!("{filter}: {error}"));
    let mut out = Vec::new();
    filter.run(input.as_bytes(), &mut Scratch::default(), &mut |text| {
        out.push(String::from_utf8(text.to_vec()).unwrap());
        ControlFlow::Continue(())
    })?;
    Ok(out)
}

#[test]
fn results_are_compact_json_in_order() {
    for (filter, input, results) in [
        (".", r#" {"a" : [1, 2.50, "x\u00e9"] , "a2":null} "#, &[r#"{"a":[1,2.50,"xé"],"a2":null}"#][..]),
        (".[]", "[1,2,3]", &["1", "2", "3"]),
        ("empty", "1", &[]),
        (
            "select(.q > 0) | {item, price: (.s / .q)}",
            r#"{"item":"x","s":4,"q":2}"#,
            &[r#"{"item":"x","price":2}"#],
        ),
        (
            "\"\\(4/2) \\(.)\", (4/2|tostring), @json \"\\(.)\"",
            "[1.0]",
            &["\"2 [1.0]\"", "\"2\"", "\"[1.0]\""],
        ),
        (
            "nan, infinite, -infinite, 1e1000, 0.1+0.2",
            "null",
            &[
                "null",
                "1.7976931348623157e+308",
                "-1.7976931348623157e+308",
                "1.7976931348623157e+308",
                "0.30000000000000004",
            ],
        ),
        ("007, 007.5, 0.5, -0.5", "null", &["7", "7.5", "0.5", "-0.5"]),
        ("tojson, (tojson|fromjson)", "{\"a\":[2.0]}", &[r#""{\"a\":[2.0]}""#, r#"{"a":[2.0]}"#]),
        ("map(tonumber)", r#"["08","1.5"," 7","-0","1e2",3]"#, &["[8,1.5,7,0,1e2,3]"]),
        (".a *= 3 | .s *= .a", r#"{"a":1,"s":"x"}"#, &[r#"{"a":3,"s":"xxx"}"#]),
        ("try halt_error catch .", "\"m\"", &["\"m\""]),
        ("[.[] | @base64]", r#"["a","b"]"#, &[r#"["YQ==","Yg=="]"#]),
        (".a", r#"{"a":1,"a":2}"#, &["2"]),
    ] {
        assert_eq!(
            run(filter, input).as_deref(),
            Ok(&results.iter().map(ToString::to_string).collect::<Vec<_>>()[..]),
            "{filter}"
        );
    }
}

#[test]
fn a_filter_that_is_none_says_what_and_where() {
    for (source, place, message) in [
        ("", (1, 1), "expected term, found the end"),
        (".a +", (1, 5), "expected term, found the end"),
        (".a\n| .b ]", (2, 6), "expected a term or an operator"),
        (".é | foo(1; 2)", (1, 2), "expected a term or an operator"),
        (".a |\n  foo(1; 2)", (2, 3), "nothing defines foo/2"),
        (".a | $x", (1, 6), "nothing defines the variable $x"),
        ("\"abc", (1, 5), "expected closing quote"),
        ("{a: 1", (1, 6), "expected closing brace"),
        ("if . then 1", (1, 12), "expected else or end, found the end"),
        (". as [$x | .", (1, 13), "expected closing bracket"),
        ("import \"a\" as a; .", (1, 8), "expected the end, found \"\\\"a\\\"\""),
        ("input", (1, 1), "input is not available: a filter sees one record and no further input"),
        (".a, inputs", (1, 5), "inputs is not available: a filter sees one record and no further input"),
        ("debug", (1, 1), "debug is not available: a filter writes nothing to the terminal"),
        ("stderr", (1, 1), "stderr is not available: a filter writes nothing to the terminal"),
        ("$ENV.HOME", (1, 1), "$ENV is not available: a filter does not read the environment"),
        ("env | keys", (1, 1), "env is not available: a filter does not read the environment"),
    ] {
        let error = Filter::compile(source).unwrap_err();
        assert_eq!((error.line_column(source), error.to_string().as_str()), (place, message), "{source}");
    }
}

#[test]
fn what_a_filter_defines_itself_is_available() {
    assert_eq!(run("def debug: 1; def input: 2; debug + input", "null"), Ok(vec!["3".to_owned()]));
    assert!(!Filter::compile("def select(f): f; select(.)").unwrap().is_fast());
}

#[test]
fn the_canonical_text_passes_over_spacing_and_comments_only() {
    let canonical = |source: &str| Filter::compile(source).unwrap().canonical().to_owned();
    let one = canonical(".a|select(.b>1)|{c:\"x \\(.d)\",e:[1,2]}");
    assert_eq!(one, ".a | select ( .b > 1 ) | { c : \"x \\( .d )\" , e : [ 1 , 2 ] }");
    assert_eq!(one, canonical("# what\n .a | select( .b > 1 )\n|{ c: \"x \\( .d )\", e: [1, 2] } # more"));
    assert_eq!(one, canonical(&one));
    for other in [".b", ".a | .b", "\"x  y\"", "\"x y\"", "\"# x\"", ".a.b", "-1", "1 - 1"] {
        assert_ne!(one, canonical(other));
        assert_eq!(canonical(&canonical(other)), canonical(other));
    }
    assert_ne!(canonical("\"x  y\""), canonical("\"x y\""));
}

#[test]
fn a_bad_record_is_told_from_a_filter_that_fails() {
    let failed = |message: &str| Err(Fault::Failed(message.to_owned()));
    for filter in [".a", "[.[]?] | first"] {
        assert_eq!(run(filter, " "), Err(Fault::Empty));
        assert_eq!(run(filter, "{} {}"), Err(Fault::Trailing { at: 3 }));
        assert_eq!(run(filter, "[1,]"), Err(Fault::NotJson { at: 3, why: "expected a value".to_owned() }));
    }
    assert_eq!(run(".a.b", r#"{"a":"x"}"#), failed("cannot index \"x\" with \"b\""));
    assert_eq!(run(".a + .b", r#"{"a":"x","b":1}"#), failed("cannot calculate \"x\" + 1"));
    assert_eq!(run("error(\"two\\nlines\")", "1"), failed("two lines"));
    assert_eq!(run("error", "{\"a\":1}"), failed("{\"a\":1}"));
    assert_eq!(run("error", "null"), failed("null"));
    assert_eq!(run("{(.): 1}", "1"), failed("an object in a result has a key that is no string"));
    assert_eq!(run("tobytes", "\"a\""), failed("a byte string in a result has no JSON form"));
    let Err(Fault::Failed(long)) = run("error", &format!("{:?}", "x".repeat(1000))) else { panic!() };
    assert_eq!(long.len(), 203);
}

#[test]
fn faults_are_one_line() {
    for (fault, text) in [
        (Fault::TooDeep { limit: 512 }, "the value nests deeper than 512 brackets"),
        (Fault::NotJson { at: 3, why: "expected ':'".to_owned() }, "not JSON: expected ':' at byte 3"),
        (Fault::Empty, "empty: expected one JSON value"),
        (Fault::Trailing { at: 2 }, "more than one JSON value: another begins at byte 2"),
        (Fault::Failed("x".to_owned()), "x"),
    ] {
        assert_eq!(fault.to_string(), text);
    }
}

#[test]
fn updates_make_room_as_in_jq() {
    for (filter, record, result) in [
        (".a.b = 1", "null", r#"{"a":{"b":1}}"#),
        (".user.tags += [\"x\"]", "{}", r#"{"user":{"tags":["x"]}}"#),
        (".a[2] = 1", "{}", r#"{"a":[null,null,1]}"#),
        (".[1].x |= 5", "[0]", r#"[0,{"x":5}]"#),
        ("(.a, .b).c = 1", "{}", r#"{"a":{"c":1},"b":{"c":1}}"#),
        ("setpath([\"a\", 1, \"b\"]; 2)", "null", r#"{"a":[null,{"b":2}]}"#),
        (".a[.i] = 9", r#"{"i":0,"a":[1]}"#, r#"{"i":0,"a":[9]}"#),
    ] {
        assert_eq!(run(filter, record), Ok(vec![result.to_owned()]), "{filter}");
    }
}

#[test]
fn breaking_ends_the_results() {
    for source in [".a, .b, .c", ".[]"] {
        let (filter, mut given) = (Filter::compile(source).unwrap(), Vec::new());
        let mut each = |text: &[u8]| {
            given.push(text.to_vec());
            if given.len() < 2 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        assert_eq!(filter.run(br#"{"a":1,"b":2,"c":3}"#, &mut Scratch::default(), &mut each), Ok(()));
        assert_eq!(given, [b"1", b"2"]);
    }
}
