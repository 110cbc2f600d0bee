//! Examples written beside a pipeline: what goes in, what must come out; compares JSON as values, not as text.

use serde_json::Value;

use super::engine::{Bad, Input, Pipeline, Scratch};

/// One example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// What it shows.
    pub name: String,
    /// The key that goes in.
    pub key: Option<String>,
    /// The value that goes in; `None` is a deletion.
    pub given: Option<String>,
    /// What must come out.
    pub expect: Expect,
}

/// What must come of an example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// These records, in this order.
    Records(Vec<Expected>),
    /// The record is bad, with a reason that holds this text.
    Error(String),
}

/// A record that must come out; what is not given is not looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expected {
    /// The value; `None` is a deletion.
    pub value: Option<String>,
    /// The key, where one is given.
    pub key: Option<String>,
    /// The sink, where one is given.
    pub to: Option<String>,
}

/// Runs an example.
///
/// # Errors
/// What was expected and what came, in lines.
pub fn run(pipeline: &Pipeline, case: &Case) -> Result<(), String> {
    let bytes = |text: &Option<String>| text.as_ref().map(|text| text.as_bytes().to_vec());
    let (key, value) = (bytes(&case.key), bytes(&case.given));
    let mut came = Vec::new();
    let text = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let outcome = pipeline.run(
        Input { key: key.as_deref(), value: value.as_deref() },
        &mut Scratch::default(),
        &mut |item| {
            let to = pipeline.targets().get(item.target).cloned();
            came.push(Expected { value: text(item.value), key: text(item.key), to });
            Ok(())
        },
    );
    match (&case.expect, outcome) {
        (Expect::Error(wanted), Err(bad)) if bad.reason.contains(wanted.as_str()) => Ok(()),
        (Expect::Error(wanted), outcome) => {
            Err(format!("expected an error with {wanted:?}\ncame     {}", shown(&outcome, &came, pipeline)))
        }
        (Expect::Records(wanted), Ok(())) if same(wanted, &came) => Ok(()),
        (Expect::Records(wanted), outcome) => {
            let wanted: Vec<String> = wanted.iter().map(one).collect();
            Err(format!("expected {}\ncame     {}", list(&wanted), shown(&outcome, &came, pipeline)))
        }
    }
}

fn shown(outcome: &Result<(), Bad>, came: &[Expected], pipeline: &Pipeline) -> String {
    match outcome {
        Ok(()) => list(&came.iter().map(one).collect::<Vec<_>>()),
        Err(bad) => format!("an error in step {}: {}", pipeline.step_name(bad.step), bad.reason),
    }
}

fn list(records: &[String]) -> String {
    if records.is_empty() { "nothing".to_owned() } else { records.join("\n         ") }
}

fn one(record: &Expected) -> String {
    let mut text = record.value.clone().unwrap_or_else(|| "a deletion".to_owned());
    if let Some(key) = &record.key {
        text += &format!(" with key {key}");
    }
    if let Some(to) = &record.to {
        text += &format!(" to {to}");
    }
    text
}

fn same(wanted: &[Expected], came: &[Expected]) -> bool {
    wanted.len() == came.len()
        && wanted.iter().zip(came).all(|(wanted, came)| {
            same_value(wanted.value.as_deref(), came.value.as_deref())
                && (wanted.key.is_none() || wanted.key == came.key)
                && (wanted.to.is_none() || wanted.to == came.to)
        })
}

fn same_value(one: Option<&str>, other: Option<&str>) -> bool {
    let (Some(one), Some(other)) = (one, other) else { return one == other };
    match (serde_json::from_str::<Value>(one), serde_json::from_str::<Value>(other)) {
        (Ok(one), Ok(other)) => equal(&one, &other),
        // Not everything that passes through is JSON.
        _ => one == other,
    }
}

/// Whether two JSON values are the same: numbers as doubles, objects whatever the order of their fields.
pub fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| equal(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let field = |(name, value)| other.get(name).is_some_and(|other| equal(value, other));
            one.len() == other.len() && one.iter().all(field)
        }
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    const TEXT: &str = "from = 'sales'\n[[step]]\nkey = '.item'\n[[step]]\njq = '{item, price: (.sales / .n)}'\n\
                        [[step]]\nroute = [{ when = '.price > 9', to = 'dear' }, { to = 'cheap' }]\n[[test]]\n";

    fn outcome(test: &str) -> Result<(), String> {
        let mut spec = file::parse(&format!("{TEXT}{test}")).unwrap();
        let case = spec.cases.remove(0);
        run(&Pipeline::new(spec), &case)
    }

    #[test]
    fn values_keys_and_sinks_are_held_against_what_came() {
        let given = "given = '{\"item\":\"tea\",\"sales\":8,\"n\":4}'\n";
        let good = |expect: &str| assert_eq!(outcome(&format!("{given}{expect}")), Ok(()), "{expect}");
        good("expect = ['{\"price\": 2.0, \"item\": \"tea\"}']");
        good("expect = [{ value = '{\"price\":2,\"item\":\"tea\"}', key = 'tea', to = 'cheap' }]");
        let bad = |expect: &str| outcome(&format!("{given}{expect}")).unwrap_err();
        assert!(bad("expect = ['{\"price\": 3, \"item\": \"tea\"}']").contains("\"price\":2"));
        assert!(bad("expect = []").starts_with("expected nothing\ncame     {"));
        assert!(
            bad("expect = [{ value = '{\"price\":2,\"item\":\"tea\"}', to = 'dear' }]").contains("to cheap")
        );
        assert!(bad("expect_error = 'x'").contains("expected an error"));
    }

    #[test]
    fn errors_are_expected_by_a_part_of_their_text() {
        let given = "given = '{\"item\":\"tea\",\"sales\":\"x\",\"n\":4}'\n";
        assert_eq!(outcome(&format!("{given}expect_error = 'cannot calculate'")), Ok(()));
        assert!(outcome(&format!("{given}expect_error = 'moon'")).is_err());
        assert!(outcome(&format!("{given}expect = []")).unwrap_err().contains("an error in step 2 jq"));
    }
}
