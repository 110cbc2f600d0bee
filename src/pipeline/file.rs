//! A pipeline's TOML file to its specification; every error names the bytes that are to blame.
//!
//! ```toml
//! from = ["sales"]            # topics; "-" is stdin; with regex = true regular expressions
//! to = "prices"               # a topic; "-" is stdout
//! on_error = "dlq=bad"        # stop, skip, dlq=TOPIC
//! name = "prices"             # the group's name, unless group is given
//! reset = "start"             # start, end: where a group without an offset begins
//!
//! [[step]]
//! filter = ".quantity > 0"    # one of jq, filter, key, route; a name, if it shall have one
//!
//! [[step]]
//! route = [{ when = ".price > 100", to = "expensive" }, { to = "prices" }]
//!
//! [[test]]
//! name = "tea"
//! given = '{"item":"tea","sales":10,"quantity":4}'
//! expect = ['{"item":"tea","price":2.5}']
//! ```

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::case::{Case, Expect, Expected};
use super::spec::{Expression, From, OnError, Reset, Rule, STREAM, Spec, SpecError, Step, Work, on_error};
use crate::model::name::check_topic;

type Value<'i> = Spanned<DeValue<'i>>;
type Key<'t> = (&'t str, Range<usize>);

const TOP: &[&str] = &["name", "from", "regex", "to", "group", "reset", "on_error", "step", "test"];
const STEP: &[&str] = &["name", "jq", "filter", "key", "route"];
const RULE: &[&str] = &["when", "to"];
const TEST: &[&str] = &["name", "key", "given", "expect", "expect_error"];
const EXPECTED: &[&str] = &["value", "key", "to"];

/// Reads a pipeline's file.
///
/// # Errors
/// The first thing that is wrong, and where.
pub fn parse(text: &str) -> Result<Spec, SpecError> {
    let table = DeTable::parse(text).map_err(|error| {
        let message = error.message().trim().replace('\n', ", ");
        SpecError { message, at: error.span().or(Some(0..0)), about: "" }
    })?;
    let reader = Reader { text };
    let spec = reader.top(table.get_ref())?;
    spec.check()?;
    Ok(spec)
}

struct Reader<'a> {
    text: &'a str,
}

impl Reader<'_> {
    fn top(&self, table: &DeTable<'_>) -> Result<Spec, SpecError> {
        let (mut names, mut patterns) = (None, false);
        let mut spec = Spec {
            name: None,
            from: From::Stdin,
            to: None,
            group: None,
            reset: Reset::Start,
            on_error: OnError::Stop,
            steps: Vec::new(),
            cases: Vec::new(),
        };
        for (key, value) in each(table) {
            match key.0 {
                "name" => spec.name = Some(named(&key, value)?),
                "group" => spec.group = Some(named(&key, value)?),
                "from" => names = Some((texts(&key, value)?, value.span())),
                "regex" => patterns = truth(&key, value)?,
                "to" => spec.to = Some(sink(&key, value)?),
                "reset" => spec.reset = reset(&key, value)?,
                "on_error" => {
                    let word = string(&key, value)?;
                    let at = value.span();
                    spec.on_error =
                        on_error(word).map_err(|why| SpecError::at(format!("on_error: {why}"), at))?;
                }
                "step" => {
                    for (index, table) in tables(&key, value)?.into_iter().enumerate() {
                        spec.steps.push(self.step(index, &key, table)?);
                    }
                }
                "test" => {
                    for (index, table) in tables(&key, value)?.into_iter().enumerate() {
                        spec.cases.push(case(index, &key, table)?);
                    }
                }
                _ => return Err(unknown(&key, TOP)),
            }
        }
        let Some((names, at)) = names else {
            return Err(SpecError::new("there is no source: say where records come from with from"));
        };
        spec.from = source(names, patterns).map_err(|why| SpecError::at(why, at))?;
        Ok(spec)
    }

    fn step(&self, index: usize, list: &Key<'_>, table: &DeTable<'_>) -> Result<Step, SpecError> {
        let (mut name, mut work, mut at) = (None, None, list.1.clone());
        for (key, value) in each(table) {
            at = key.1.clone();
            let found = match key.0 {
                "name" => {
                    name = Some(string(&key, value)?.to_owned());
                    continue;
                }
                "jq" => Work::Jq(self.expression(&key, value)?),
                "filter" => Work::Filter(self.expression(&key, value)?),
                "key" => Work::Key(self.expression(&key, value)?),
                "route" => Work::Route(self.rules(&key, value)?),
                _ => return Err(unknown(&key, STEP)),
            };
            if work.replace(found).is_some() {
                let message =
                    "a step does one thing: jq, filter, key or route; give each a [[step]] of its own";
                return Err(SpecError::at(message, key.1));
            }
        }
        let work = work.ok_or_else(|| SpecError::at("a step needs one of jq, filter, key and route", at))?;
        let name = name.unwrap_or_else(|| format!("{} {}", index + 1, work.kind()));
        Ok(Step { name, work })
    }

    fn rules(&self, key: &Key<'_>, value: &Value<'_>) -> Result<Vec<Rule>, SpecError> {
        let mut rules: Vec<Rule> = Vec::new();
        for table in tables(key, value)? {
            let (mut when, mut to) = (None, None);
            for (key, value) in each(table) {
                match key.0 {
                    "when" => when = Some(self.expression(&key, value)?),
                    "to" => to = Some(sink(&key, value)?),
                    _ => return Err(unknown(&key, RULE)),
                }
            }
            let to = to.ok_or_else(|| SpecError::at("a rule of a route needs to: a topic", value.span()))?;
            if rules.last().is_some_and(|rule| rule.when.is_none()) {
                let message = format!("no record comes to the rule for {to}: the one before it has no when");
                return Err(SpecError::at(message, value.span()));
            }
            rules.push(Rule { when, to });
        }
        if rules.is_empty() {
            return Err(SpecError::at(
                "a route needs a rule: { when = '.a > 1', to = 'topic' }",
                value.span(),
            ));
        }
        Ok(rules)
    }

    fn expression(&self, key: &Key<'_>, value: &Value<'_>) -> Result<Expression, SpecError> {
        let source = string(key, value)?;
        Expression::new(source).map_err(|error| {
            let at = self.inside(value.span(), source, &error.at);
            SpecError::at(format!("{}: {}", key.0, error.message), at)
        })
    }

    /// Where bytes `at` of a string stand in the file: known where the string stands there as it is, with nothing
    /// escaped; otherwise the string as a whole.
    fn inside(&self, span: Range<usize>, string: &str, at: &Range<usize>) -> Range<usize> {
        let raw = self.text.get(span.clone()).unwrap_or_default();
        match raw.find(string).filter(|_| !string.is_empty()) {
            Some(from) => span.start + from + at.start..span.start + from + at.end,
            None => span,
        }
    }
}

/// What `from` means.
///
/// # Errors
/// What is allowed.
pub fn source(names: Vec<String>, patterns: bool) -> Result<From, String> {
    if names.is_empty() {
        return Err("from is empty: name a topic".to_owned());
    }
    if names.iter().any(|name| name == STREAM) {
        return match names.len() {
            1 if !patterns => Ok(From::Stdin),
            _ => Err("stdin can not be read together with topics".to_owned()),
        };
    }
    if patterns {
        return Ok(From::Patterns(names));
    }
    let mut topics: Vec<String> = Vec::new();
    for name in names {
        check_topic(&name).map_err(|why| format!("{name:?} is no topic: {why}"))?;
        if !topics.contains(&name) {
            topics.push(name);
        }
    }
    Ok(From::Topics(topics))
}

/// What `to` means: a topic, or `-` for stdout.
///
/// # Errors
/// Why it is no topic.
pub fn check_sink(name: &str) -> Result<(), String> {
    if name == STREAM {
        Ok(())
    } else {
        check_topic(name).map_err(|why| format!("{name:?} is no topic: {why}"))
    }
}

fn case(index: usize, list: &Key<'_>, table: &DeTable<'_>) -> Result<Case, SpecError> {
    let mut case = Case {
        name: format!("test {}", index + 1),
        key: None,
        given: None,
        expect: Expect::Records(Vec::new()),
    };
    let mut expects = 0;
    for (key, value) in each(table) {
        match key.0 {
            "name" => string(&key, value)?.clone_into(&mut case.name),
            "key" => case.key = Some(string(&key, value)?.to_owned()),
            "given" => case.given = Some(string(&key, value)?.to_owned()),
            "expect" => {
                case.expect = Expect::Records(expected(&key, value)?);
                expects += 1;
            }
            "expect_error" => {
                case.expect = Expect::Error(string(&key, value)?.to_owned());
                expects += 1;
            }
            _ => return Err(unknown(&key, TEST)),
        }
    }
    if expects != 1 {
        let message = format!("{} needs one of expect and expect_error", case.name);
        return Err(SpecError::at(message, list.1.clone()));
    }
    Ok(case)
}

fn expected(key: &Key<'_>, value: &Value<'_>) -> Result<Vec<Expected>, SpecError> {
    let wrong = |value: &Value<'_>| wrong(key, value, "a list of JSON texts or of { value, key, to }");
    let items = value.get_ref().as_array().ok_or_else(|| wrong(value))?;
    let mut found = Vec::new();
    for item in items.iter() {
        let mut one = Expected::default();
        if let Some(text) = item.get_ref().as_str() {
            one.value = Some(text.to_owned());
        } else {
            for (key, value) in each(item.get_ref().as_table().ok_or_else(|| wrong(item))?) {
                let text = string(&key, value)?.to_owned();
                match key.0 {
                    "value" => one.value = Some(text),
                    "key" => one.key = Some(text),
                    "to" => one.to = Some(text),
                    _ => return Err(unknown(&key, EXPECTED)),
                }
            }
        }
        found.push(one);
    }
    Ok(found)
}

/// The entries of a table in the order of the file.
fn each<'t, 'i>(table: &'t DeTable<'i>) -> Vec<(Key<'t>, &'t Value<'i>)> {
    let mut entries: Vec<_> =
        table.iter().map(|(key, value)| ((key.get_ref().as_ref(), key.span()), value)).collect();
    entries.sort_by_key(|((_, span), _)| span.start);
    entries
}

fn wrong(key: &Key<'_>, value: &Value<'_>, wanted: &str) -> SpecError {
    SpecError::at(format!("{} is {}, wanted {wanted}", key.0, value.get_ref().type_str()), value.span())
}

fn unknown(key: &Key<'_>, known: &[&str]) -> SpecError {
    SpecError::at(format!("unknown key {}; known here are {}", key.0, known.join(", ")), key.1.clone())
}

fn string<'t>(key: &Key<'_>, value: &'t Value<'_>) -> Result<&'t str, SpecError> {
    value.get_ref().as_str().ok_or_else(|| wrong(key, value, "a text"))
}

/// A text that is not empty.
fn named(key: &Key<'_>, value: &Value<'_>) -> Result<String, SpecError> {
    let text = string(key, value)?;
    match text.is_empty() {
        true => Err(SpecError::at(format!("{} is empty", key.0), value.span())),
        false => Ok(text.to_owned()),
    }
}

fn truth(key: &Key<'_>, value: &Value<'_>) -> Result<bool, SpecError> {
    value.get_ref().as_bool().ok_or_else(|| wrong(key, value, "true or false"))
}

/// One text, or a list of them.
fn texts(key: &Key<'_>, value: &Value<'_>) -> Result<Vec<String>, SpecError> {
    if let Some(text) = value.get_ref().as_str() {
        return Ok(vec![text.to_owned()]);
    }
    let items = value.get_ref().as_array().ok_or_else(|| wrong(key, value, "a text or a list of texts"))?;
    items.iter().map(|item| string(key, item).map(str::to_owned)).collect()
}

fn tables<'t, 'i>(key: &Key<'_>, value: &'t Value<'i>) -> Result<Vec<&'t DeTable<'i>>, SpecError> {
    let wanted = format!("sections: [[{}]]", key.0);
    let items = value.get_ref().as_array().ok_or_else(|| wrong(key, value, &wanted))?;
    items.iter().map(|item| item.get_ref().as_table().ok_or_else(|| wrong(key, item, &wanted))).collect()
}

fn sink(key: &Key<'_>, value: &Value<'_>) -> Result<String, SpecError> {
    let name = string(key, value)?;
    check_sink(name).map_err(|why| SpecError::at(format!("{}: {why}", key.0), value.span()))?;
    Ok(name.to_owned())
}

fn reset(key: &Key<'_>, value: &Value<'_>) -> Result<Reset, SpecError> {
    match string(key, value)? {
        "start" => Ok(Reset::Start),
        "end" => Ok(Reset::End),
        other => Err(SpecError::at(format!("reset: {other:?} is none of start and end"), value.span())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::spec::line_column;
    use super::*;

    #[test]
    fn a_whole_file() {
        let spec = parse(
            "name = 'p'\nfrom = ['a', 'b', 'a']\nto = '-'\ngroup = 'g'\nreset = 'end'\non_error = 'dlq=bad'\n\
             [[step]]\nname = 'first'\nfilter = '.x'\n[[step]]\nroute = [{ when = '.y', to = 'c' }]\n\
             [[test]]\ngiven = '1'\nexpect = ['2', { value = '3', key = 'k', to = 'c' }]\n",
        )
        .unwrap();
        assert_eq!(spec.from, From::Topics(vec!["a".into(), "b".into()]));
        assert_eq!((spec.to.as_deref(), spec.group_name().as_str()), (Some("-"), "g"));
        assert_eq!((spec.reset, &spec.on_error), (Reset::End, &OnError::DeadLetter("bad".into())));
        let names: Vec<&str> = spec.steps.iter().map(|step| step.name.as_str()).collect();
        assert_eq!(names, ["first", "2 route"]);
        assert_eq!(spec.targets(), ["c", "-"]);
        assert_eq!(spec.cases.len(), 1);
        assert_eq!(parse("from = '-'\nto = 'a'").unwrap().from, From::Stdin);
        assert_eq!(
            parse("from = 'a.*'\nregex = true\nto = 'x'").unwrap().from,
            From::Patterns(vec!["a.*".into()])
        );
    }

    /// The message, line and column of what is wrong.
    fn wrong(text: &str) -> (String, Option<(usize, usize)>) {
        let error = parse(text).unwrap_err();
        (error.message, error.at.map(|at| line_column(text, at.start)))
    }

    #[test]
    fn errors_name_line_and_column() {
        for (text, message, place) in [
            ("from = 'a'\nto = \n", "", Some((2, 6))),
            ("from = 'a'\nfoo = 1\nto = 'b'", "unknown key foo", Some((2, 1))),
            ("from = 3\nto = 'b'", "from is integer", Some((1, 8))),
            ("from = 'a/b'\nto = 'b'", "is no topic", Some((1, 8))),
            ("from = 'a'\nto = 'b c'", "is no topic", Some((2, 6))),
            ("from = 'a'\nto = 'b'\non_error = 'x'", "none of stop", Some((3, 12))),
            ("from = 'a'\nto = 'b'\nreset = 'x'", "none of start", Some((3, 9))),
            ("from = 'a'\nto = 'b'\n[[step]]\njq = '.a | foo'", "foo", Some((4, 12))),
            ("from = 'a'\nto = 'b'\n[[step]]\njq = '''\n.a |\n  foo'''", "foo", Some((6, 3))),
            ("from = 'a'\nto = 'b'\n[[step]]\njq = '.'\nkey = '.'", "does one thing", Some((5, 1))),
            ("from = 'a'\nto = 'b'\n[[step]]\nname = 'x'", "needs one of", Some((4, 1))),
            ("from = 'a'\nto = 'b'\n[[step]]\nroute = []", "needs a rule", Some((4, 9))),
            (
                "from = 'a'\nto = 'b'\n[[step]]\nroute = [{ to = 'x' }, { to = 'y' }]",
                "no record comes",
                Some((4, 9)),
            ),
            ("from = 'a'\nto = 'b'\n[[test]]\ngiven = '1'", "needs one of expect", Some((3, 3))),
            ("to = 'b'", "no source", None),
            ("from = 'a'", "no sink", None),
            ("from = ['-', 'a']\nto = 'b'", "together with topics", Some((1, 8))),
        ] {
            let found = wrong(text);
            assert!(found.0.contains(message), "{text:?}: {found:?}");
            assert_eq!(found.1, place, "{text:?}: {found:?}");
        }
    }
}
