//! The stages at work: one record in, none, one or many out, or a reason why it is bad; carries what no step changes.

use std::ops::ControlFlow;

use super::jq;
use super::spec::{Spec, Step, Work};

/// A record's parts that steps may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Input<'a> {
    /// The key, if it has one.
    pub key: Option<&'a [u8]>,
    /// The value; null is a deletion, which has nothing to transform.
    pub value: Option<&'a [u8]>,
}

/// A record that comes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item<'a> {
    /// The key: the input's, unless a step set it.
    pub key: Option<&'a [u8]>,
    /// The value: compact JSON, or the input's bytes where no step changed them.
    pub value: Option<&'a [u8]>,
    /// Where it goes: an index into [`Pipeline::targets`].
    pub target: usize,
}

/// Why a record is bad, and in which step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bad {
    /// The step's index; that behind the last where what came out was refused.
    pub step: usize,
    /// The reason, one line.
    pub reason: String,
}

/// Takes a record that comes out, or says why it can not.
pub type Each<'e> = dyn FnMut(Item<'_>) -> Result<(), String> + 'e;

/// Buffers of one thread, one for each step.
#[derive(Debug, Default)]
pub struct Scratch {
    steps: Vec<jq::Scratch>,
}

/// A compiled pipeline: shared by all threads, changed by none.
#[derive(Debug)]
pub struct Pipeline {
    steps: Vec<Step>,
    /// For each step, the targets of its rules; empty for those that are no routes.
    routes: Vec<Vec<usize>>,
    targets: Vec<String>,
    /// Where a record goes that no route took.
    default: Option<usize>,
}

impl Pipeline {
    /// Takes the steps of a checked specification.
    pub fn new(spec: Spec) -> Self {
        let targets: Vec<String> = spec.targets().into_iter().map(str::to_owned).collect();
        let place = |to: &str| targets.iter().position(|target| target == to);
        let routes = spec
            .steps
            .iter()
            .map(|step| match &step.work {
                Work::Route(rules) => rules.iter().filter_map(|rule| place(&rule.to)).collect(),
                _ => Vec::new(),
            })
            .collect();
        let default = spec.to.as_deref().and_then(place);
        Self { steps: spec.steps, routes, targets, default }
    }

    /// Where records may go: topics, and `-` for stdout.
    pub fn targets(&self) -> &[String] {
        &self.targets
    }

    /// The name of a step.
    pub fn step_name(&self, step: usize) -> &str {
        self.steps.get(step).map_or("output", |step| &step.name)
    }

    /// Runs one record through all steps; `each` takes what comes out, in order, and may refuse it with a reason.
    ///
    /// # Errors
    /// [`Bad`]; what came out before belongs to a bad record and is to be dropped by the caller.
    pub fn run(&self, input: Input<'_>, scratch: &mut Scratch, each: &mut Each<'_>) -> Result<(), Bad> {
        scratch.steps.resize_with(self.steps.len(), jq::Scratch::default);
        self.from(0, (input.key, input.value, self.default), &mut scratch.steps, each)
    }

    fn from(
        &self,
        at: usize,
        (key, value, target): (Option<&[u8]>, Option<&[u8]>, Option<usize>),
        scratch: &mut [jq::Scratch],
        each: &mut Each<'_>,
    ) -> Result<(), Bad> {
        let (Some(step), Some((own, rest))) = (self.steps.get(at), scratch.split_first_mut()) else {
            // A checked specification leaves no record without a target.
            let Some(target) = target else { return Ok(()) };
            return each(Item { key, value, target })
                .map_err(|reason| Bad { step: self.steps.len(), reason });
        };
        let bad = |fault: jq::Fault| Bad { step: at, reason: fault.to_string() };
        match &step.work {
            Work::Jq(jq) => {
                // A deletion stays one: there is no value to transform, and a copy must forget the key as well.
                let Some(input) = value else { return self.from(at + 1, (key, value, target), rest, each) };
                let mut inner = Ok(());
                let mut next = |result: &[u8]| {
                    inner = self.from(at + 1, (key, Some(result), target), rest, each);
                    if inner.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
                };
                jq.filter.run(input, own, &mut next).map_err(bad).and(inner)
            }
            Work::Filter(filter) => match value {
                Some(input) if !filter.filter.holds(input, own).map_err(bad)? => Ok(()),
                _ => self.from(at + 1, (key, value, target), rest, each),
            },
            Work::Key(filter) => {
                let Some(input) = value else {
                    let reason = "the value is null: there is nothing to take a key from".to_owned();
                    return Err(Bad { step: at, reason });
                };
                let key = filter.filter.key(input, own).map_err(bad)?;
                self.from(at + 1, (key.as_deref(), value, target), rest, each)
            }
            Work::Route(rules) => {
                let input = value.unwrap_or(b"null");
                let targets = self.routes.get(at).map_or(&[][..], Vec::as_slice);
                for (rule, &to) in rules.iter().zip(targets) {
                    let holds = match &rule.when {
                        Some(when) => when.filter.holds(input, own).map_err(bad)?,
                        None => true,
                    };
                    if holds {
                        return self.from(at + 1, (key, value, Some(to)), rest, each);
                    }
                }
                self.from(at + 1, (key, value, target), rest, each)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    type Out = (Option<String>, Option<String>, String);

    fn run(toml: &str, key: Option<&str>, value: Option<&str>) -> Result<Vec<Out>, (String, String)> {
        let pipeline = Pipeline::new(file::parse(toml).unwrap());
        let mut found = Vec::new();
        let text = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
        let input = Input { key: key.map(str::as_bytes), value: value.map(str::as_bytes) };
        let outcome = pipeline.run(input, &mut Scratch::default(), &mut |item| {
            found.push((text(item.key), text(item.value), pipeline.targets()[item.target].clone()));
            Ok(())
        });
        outcome.map(|()| found).map_err(|bad| (pipeline.step_name(bad.step).to_owned(), bad.reason))
    }

    fn out(key: Option<&str>, value: Option<&str>, to: &str) -> Out {
        (key.map(str::to_owned), value.map(str::to_owned), to.to_owned())
    }

    const HEAD: &str = "from = 'a'\nto = 'b'\n";

    #[test]
    fn no_one_and_many_results_in_order() {
        let many = format!("{HEAD}[[step]]\njq = '.[]'\n[[step]]\njq = 'select(. != 2) | ., -.'\n");
        let found = run(&many, Some("k"), Some("[1,2,3]")).unwrap();
        let wanted = ["1", "-1", "3", "-3"].map(|value| out(Some("k"), Some(value), "b"));
        assert_eq!(found, wanted);
        assert_eq!(run(&many, None, Some("[]")).unwrap(), []);
    }

    #[test]
    fn no_step_changes_nothing_and_a_filter_leaves_the_bytes_alone() {
        assert_eq!(run(HEAD, None, Some("no json")).unwrap(), [out(None, Some("no json"), "b")]);
        let filter = format!("{HEAD}[[step]]\nfilter = '.a > 1'\n");
        assert_eq!(
            run(&filter, None, Some("{ \"a\" : 2.0}")).unwrap(),
            [out(None, Some("{ \"a\" : 2.0}"), "b")]
        );
        assert_eq!(run(&filter, None, Some("{\"a\":1}")).unwrap(), []);
    }

    #[test]
    fn keys_and_routes() {
        let text = "from = 'a'\n[[step]]\nkey = '.k'\n[[step]]\n\
                    route = [{ when = '.n > 10', to = 'big' }, { when = '.n < 0', to = '-' }, { to = 'rest' }]\n";
        let one = |value| run(text, Some("old"), Some(value)).unwrap().remove(0);
        assert_eq!(one("{\"k\":\"x\",\"n\":11}"), out(Some("x"), Some("{\"k\":\"x\",\"n\":11}"), "big"));
        assert_eq!(one("{\"k\":[1, 2],\"n\":-1}").0.unwrap(), "[1,2]");
        assert_eq!(one("{\"n\":-1}"), out(None, Some("{\"n\":-1}"), "-"));
        assert_eq!(one("{\"k\":1,\"n\":5}").2, "rest");
    }

    #[test]
    fn deletions_pass_and_have_no_key_to_take() {
        let text = format!("{HEAD}[[step]]\njq = '.a.b'\n[[step]]\nfilter = 'false'\n");
        assert_eq!(run(&text, Some("k"), None).unwrap(), [out(Some("k"), None, "b")]);
        let key = format!("{HEAD}[[step]]\nkey = '.a'\n");
        assert_eq!(run(&key, Some("k"), None).unwrap_err().0, "1 key");
    }

    #[test]
    fn a_bad_record_names_its_step() {
        let text = format!("{HEAD}[[step]]\njq = '.'\n[[step]]\nname = 'price'\njq = '.a / .b'\n");
        let (step, reason) = run(&text, None, Some("{\"a\":1,\"b\":\"x\"}")).unwrap_err();
        assert_eq!(step, "price");
        assert!(reason.contains("cannot calculate"), "{reason}");
        let (step, _) = run(&text, None, Some("{\"a\":")).unwrap_err();
        assert_eq!(step, "1 jq");
        let deep = "[".repeat(100_000);
        assert!(run(&text, None, Some(&deep)).unwrap_err().1.contains("512"));
    }
}
