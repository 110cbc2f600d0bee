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
