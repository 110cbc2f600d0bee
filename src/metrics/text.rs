//! The Prometheus text format, version 0.0.4, written; it never checks whether names are good: a test reads every page.

use std::fmt::{Display, Write};

use super::Values;

/// What kind of numbers a family holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows while the process lives.
    Counter,
    /// Rises and falls.
    Gauge,
}

/// A page in the making: families one after the other, all samples of one family together.
#[derive(Debug, Default)]
pub struct Text {
    page: String,
}

/// Names and values of labels.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

impl Text {
    /// Its media type, for the header.
    pub const MEDIA_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    /// Begins a family.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        self.head(name, kind, help);
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        // Writing into a String does not fail.
        let _ = write!(self.page, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// One sample of the family begun last.
    pub fn sample(&mut self, name: &str, labels: Labels<'_>, value: impl Display) {
        self.page.push_str(name);
        self.labels(labels, None);
        let _ = writeln!(self.page, " {value}");
    }

    /// A family of one sample without labels.
    pub fn single(&mut self, name: &str, kind: Kind, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    /// Begins a family of histograms.
    pub fn histograms(&mut self, name: &str, help: &str) {
        self.head(name, "histogram", help);
    }

    /// One histogram of the family begun last; its values are divided by `unit` (1e9 makes seconds of nanoseconds).
    pub fn histogram(&mut self, name: &str, labels: Labels<'_>, values: &Values, unit: f64) {
        let mut bucket = |le: &str, below: u64| {
            let _ = write!(self.page, "{name}_bucket");
            self.labels(labels, Some(le));
            let _ = writeln!(self.page, " {below}");
        };
        for (bound, below) in values.octaves() {
            bucket(&(bound as f64 / unit).to_string(), below);
        }
        let count = values.count();
        bucket("+Inf", count);
        self.sample(&format!("{name}_sum"), labels, values.sum() as f64 / unit);
        self.sample(&format!("{name}_count"), labels, count);
    }

    fn labels(&mut self, labels: Labels<'_>, le: Option<&str>) {
        let all = labels.iter().copied().chain(le.map(|le| ("le", le)));
        let mut open = '{';
        for (name, value) in all {
            self.page.push(open);
            self.page.push_str(name);
            self.page.push_str("=\"");
            for letter in value.chars() {
                match letter {
                    '\\' => self.page.push_str("\\\\"),
                    '"' => self.page.push_str("\\\""),
                    '\n' => self.page.push_str("\\n"),
                    other => self.page.push(other),
                }
            }
            self.page.push('"');
            open = ',';
        }
        if open == ',' {
            self.page.push('}');
        }
    }

    /// The page.
    pub fn finish(self) -> String {
        self.page
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Histogram;

    #[test]
    fn families_samples_and_escapes() {
        let mut text = Text::default();
        text.single("a_total", Kind::Counter, "Two\nlines \\ here.", 7);
        text.family("b", Kind::Gauge, "B.");
        text.sample("b", &[("topic", "a\"b\\c\nd"), ("partition", "0")], -1);
        text.sample("b", &[], 0.5);
        let page = "# HELP a_total Two\\nlines \\\\ here.\n# TYPE a_total counter\na_total 7\n\
                    # HELP b B.\n# TYPE b gauge\nb{topic=\"a\\\"b\\\\c\\nd\",partition=\"0\"} -1\nb 0.5\n";
        assert_eq!(text.finish(), page);
    }

    #[test]
    fn a_histogram_is_cumulative_and_ends_with_all() {
        let histogram = Histogram::of_nanoseconds();
        [1_000, 10_000, 3_000_000_000_000].into_iter().for_each(|value| histogram.record(value));
        let mut text = Text::default();
        text.histograms("s", "S.");
        text.histogram("s", &[("api", "Fetch")], &histogram.values(), 1e9);
        let page = text.finish();
        let lines: Vec<&str> = page.lines().collect();
        assert_eq!(lines[..2], ["# HELP s S.", "# TYPE s histogram"]);
        assert_eq!(lines[2], "s_bucket{api=\"Fetch\",le=\"0.000008192\"} 1");
        assert_eq!(lines[3], "s_bucket{api=\"Fetch\",le=\"0.000016384\"} 2");
        assert_eq!(lines[24], "s_bucket{api=\"Fetch\",le=\"34.359738368\"} 2");
        let end = [
            "s_bucket{api=\"Fetch\",le=\"+Inf\"} 3",
            "s_sum{api=\"Fetch\"} 3000.000011",
            "s_count{api=\"Fetch\"} 3",
        ];
        assert_eq!(lines[25..], end);
    }
}
