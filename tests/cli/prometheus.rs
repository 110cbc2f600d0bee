//! A reader of the Prometheus text format that takes nothing on trust: what it does not know is a failure.

use std::collections::{BTreeMap, BTreeSet};

/// Labels by name.
pub(crate) type Labels = BTreeMap<String, String>;

/// A page: values by the sample's name and labels.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// Every sample, in the order of the page.
    pub(crate) samples: Vec<(String, Labels, f64)>,
    types: BTreeMap<String, String>,
}

impl Page {
    /// Reads a page and holds it against the format's rules (the text format, version 0.0.4): HELP and TYPE once and
    /// before a family's samples, which stand together; no sample twice; histograms cumulative, with `+Inf` and a count
    /// that agree; counters named `_total`.
    #[track_caller]
    pub(crate) fn read(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the page does not end with a newline");
        let mut page = Self::default();
        let mut helped = BTreeSet::new();
        let mut done: BTreeSet<String> = BTreeSet::new();
        let mut current = String::new();
        let mut seen = BTreeSet::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap_or_else(|| panic!("{line}"));
                assert!(!help.is_empty() && helped.insert(name.to_owned()), "HELP twice or empty: {line}");
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap_or_else(|| panic!("{line}"));
                assert!(matches!(kind, "counter" | "gauge" | "histogram"), "{line}");
                assert!(helped.contains(name), "TYPE without HELP: {line}");
                assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
                let first = page.types.insert(name.to_owned(), kind.to_owned());
                assert!(first.is_none(), "TYPE twice: {line}");
                done.insert(std::mem::replace(&mut current, name.to_owned()));
            } else {
                let (name, labels, value) = sample(line);
                let family = page.family(&name);
                assert_eq!(family, current, "a sample outside of its family: {line}");
                assert!(seen.insert((name.clone(), labels.clone())), "twice: {line}");
                page.samples.push((name, labels, value));
            }
        }
        page.check_histograms();
        page
    }

    fn family(&self, name: &str) -> String {
        for ending in ["_bucket", "_sum", "_count"] {
            if let Some(base) = name.strip_suffix(ending)
                && self.types.get(base).is_some_and(|kind| kind == "histogram")
            {
                return base.to_owned();
            }
        }
        assert!(self.types.get(name).is_some_and(|kind| kind != "histogram"), "no TYPE for {name}");
        name.to_owned()
    }

    fn check_histograms(&self) {
        for family in self.types.iter().filter(|(_, kind)| *kind == "histogram").map(|(name, _)| name) {
            let mut series: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
            for (name, labels, value) in &self.samples {
                if *name == format!("{family}_bucket") {
                    let mut labels = labels.clone();
                    let le = labels.remove("le").expect("a bucket without le");
                    let le = if le == "+Inf" { f64::INFINITY } else { le.parse().unwrap() };
                    series.entry(labels).or_default().push((le, *value));
                }
            }
            for (labels, buckets) in series {
                assert!(
                    buckets.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1),
                    "{family} {labels:?} is not cumulative: {buckets:?}"
                );
                let last = buckets.last().unwrap();
                assert_eq!(last.0, f64::INFINITY, "{family} {labels:?} has no +Inf");
                assert_eq!(self.get(&format!("{family}_count"), &labels), Some(last.1));
                assert!(self.get(&format!("{family}_sum"), &labels).is_some());
            }
        }
    }

    fn get(&self, name: &str, labels: &Labels) -> Option<f64> {
        let mut found = self.samples.iter().filter(|(other, theirs, _)| other == name && theirs == labels);
        found.next().map(|(.., value)| *value)
    }

    /// The value of a sample.
    #[track_caller]
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.get(name, &labels).unwrap_or_else(|| panic!("there is no {name} {labels:?}"))
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|letter: char| letter.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':')
}

fn sample(line: &str) -> (String, Labels, f64) {
    let end = line.find(['{', ' ']).unwrap_or_else(|| panic!("{line}"));
    let (name, mut rest) = line.split_at(end);
    assert!(is_name(name), "{line}");
    let mut labels = Labels::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, behind) = rest.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
            assert!(is_name(label) && !label.contains(':'), "{line}");
            let (value, behind) = quoted(behind, line);
            assert!(labels.insert(label.to_owned(), value).is_none(), "a label twice: {line}");
            match behind.strip_prefix(',') {
                Some(more) => rest = more,
                None => {
                    rest = behind.strip_prefix('}').unwrap_or_else(|| panic!("{line}"));
                    break;
                }
            }
        }
    }
    let value = rest.strip_prefix(' ').unwrap_or_else(|| panic!("{line}"));
    let value: f64 = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
    (name.to_owned(), labels, value)
}

/// A label's value up to its closing quote, and what follows.
fn quoted<'a>(text: &'a str, line: &str) -> (String, &'a str) {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.push(match letters.next() {
                Some((_, '\\')) => '\\',
                Some((_, '"')) => '"',
                Some((_, 'n')) => '\n',
                other => panic!("no such escape {other:?}: {line}"),
            }),
            other => value.push(other),
        }
    }
    panic!("no closing quote: {line}")
}

#[test]
fn what_is_no_page_is_refused() {
    let good = "# HELP a_total A.\n# TYPE a_total counter\na_total{x=\"q\\\"\\\\\\n\"} 1\n";
    assert_eq!(Page::read(good).value("a_total", &[("x", "q\"\\\n")]), 1.0);
    for bad in [
        "a 1\n",
        "# TYPE a gauge\na 1\n",
        "# HELP a A.\n# TYPE a counter\na 1\n",
        "# HELP a A.\n# TYPE a gauge\na 1",
        "# HELP a A.\n# TYPE a gauge\na 1\na 2\n",
        "# HELP a A.\n# TYPE a gauge\na{x=\"\\t\"} 1\n",
        "# HELP a A.\n# TYPE a gauge\na one\n",
        "# HELP a A.\n# TYPE a histogram\na_bucket{le=\"1\"} 1\na_sum 1\na_count 1\n",
        "# HELP a A.\n# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n",
        "# HELP a A.\n# TYPE a gauge\n# HELP b B.\n# TYPE b gauge\na 1\n",
    ] {
        let read = std::panic::catch_unwind(|| Page::read(bad));
        assert!(read.is_err(), "taken: {bad}");
    }
}
