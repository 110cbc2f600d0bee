//! Types of settings and what is allowed for each: a value is checked once, here, whoever gave it.

/// One setting of Kafka's.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Kafka's name of it.
    pub name: &'static str,
    /// The type of its value.
    pub kind: Kind,
    /// klog's default as text; `None` is null.
    pub default: Option<&'static str>,
    /// Kafka's default, where klog's differs on purpose; else the same.
    pub kafka_default: Option<&'static str>,
    /// What values are allowed.
    pub allowed: Allowed,
    /// Whether klog acts on it.
    pub stand: Stand,
    /// What it is about, for DescribeConfigs and the command line.
    pub doc: &'static str,
}

/// The type of a setting's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// 16 bits.
    Short,
    /// 32 bits.
    Int,
    /// 64 bits.
    Long,
    /// A floating-point number.
    Double,
    /// A text.
    Text,
    /// Texts with commas between them.
    List,
    /// The name of a Java class.
    Class,
    /// A text that is never shown.
    Password,
}

/// Whether klog acts on a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stand {
    /// It does what it says.
    Honoured,
    /// Kept and shown; klog does the same whatever it is.
    WithoutEffect,
    /// Any value but the default is refused, with the reason.
    Refused(&'static str),
}

/// What values are allowed, beyond the type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Allowed {
    /// All of the type.
    Any,
    /// Whole numbers from this one on.
    AtLeast(i64),
    /// Whole numbers between the two, both included.
    Range(i64, i64),
    /// As `Range`, and one more.
    RangeOr(i64, i64, i64),
    /// Numbers between the two, both included.
    RealRange(f64, f64),
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// One of these words, in any case.
    OneOfAnyCase(&'static [&'static str]),
    /// A list of these words.
    AnyOf(&'static [&'static str]),
    /// Not the empty text.
    NotEmpty,
    /// `*`, or pairs `partition:broker`.
    Replicas,
    /// `latest`, `earliest`, or `by_duration:` and a duration (ISO 8601).
    ResetOffset,
}

impl Row {
    /// Holds `value` against type and range; answers it in the form in which it is kept.
    ///
    /// # Errors
    /// What is allowed instead, for people.
    pub fn check(&self, value: &str) -> Result<String, String> {
        let value = value.trim();
        let fine = match self.kind {
            Kind::Boolean => matches!(value.to_ascii_lowercase().as_str(), "true" | "false"),
            Kind::Short => value.parse::<i16>().is_ok_and(|number| self.number_fits(number.into())),
            Kind::Int => value.parse::<i32>().is_ok_and(|number| self.number_fits(number.into())),
            Kind::Long => value.parse::<i64>().is_ok_and(|number| self.number_fits(number)),
            Kind::Double => value.parse::<f64>().is_ok_and(|number| self.real_fits(number)),
            Kind::Text | Kind::List | Kind::Class | Kind::Password => self.text_fits(value),
        };
        match (fine, self.kind) {
            (false, _) => Err(self.allowed_text()),
            (true, Kind::Boolean) => Ok(value.to_ascii_lowercase()),
            (true, Kind::List) => Ok(value
                .split(',')
                .map(str::trim)
                .filter(|word| !word.is_empty())
                .collect::<Vec<_>>()
                .join(",")),
            (true, Kind::Short | Kind::Int | Kind::Long) => Ok(value.trim_start_matches('+').to_owned()),
            (true, _) => Ok(value.to_owned()),
        }
    }

    fn number_fits(&self, number: i64) -> bool {
        match self.allowed {
            Allowed::AtLeast(least) => number >= least,
            Allowed::Range(least, most) => (least..=most).contains(&number),
            Allowed::RangeOr(least, most, other) => (least..=most).contains(&number) || number == other,
            _ => true,
        }
    }

    fn real_fits(&self, number: f64) -> bool {
        match self.allowed {
            Allowed::RealRange(least, most) => (least..=most).contains(&number),
            _ => !number.is_nan(),
        }
    }

    fn text_fits(&self, value: &str) -> bool {
        match self.allowed {
            Allowed::OneOf(words) => words.contains(&value),
            Allowed::OneOfAnyCase(words) => words.iter().any(|word| word.eq_ignore_ascii_case(value)),
            Allowed::AnyOf(words) => value
                .split(',')
                .map(str::trim)
                .filter(|word| !word.is_empty())
                .all(|word| words.contains(&word)),
            Allowed::NotEmpty => !value.is_empty(),
            Allowed::ResetOffset => {
                matches!(value, "latest" | "earliest")
                    || value.strip_prefix("by_duration:").is_some_and(is_duration)
            }
            Allowed::Replicas => value.is_empty() || value == "*" || value.split(',').all(is_replica),
            _ => true,
        }
    }

    /// What is allowed, for people: `a whole number from 1 on`.
    pub fn allowed_text(&self) -> String {
        let kind = match self.kind {
            Kind::Boolean => "true or false",
            Kind::Short | Kind::Int | Kind::Long => "a whole number",
            Kind::Double => "a number",
            Kind::List => "a list with commas",
            Kind::Text | Kind::Class | Kind::Password => "a text",
        };
        match self.allowed {
            Allowed::Any => match self.kind {
                Kind::Short => format!("{kind} from {} to {}", i16::MIN, i16::MAX),
                Kind::Int => format!("{kind} from {} to {}", i32::MIN, i32::MAX),
                _ => kind.to_owned(),
            },
            Allowed::AtLeast(least) if self.kind == Kind::Int => {
                format!("{kind} from {least} to {}", i32::MAX)
            }
            Allowed::AtLeast(least) => format!("{kind} from {least} on"),
            Allowed::Range(least, most) => format!("{kind} from {least} to {most}"),
            Allowed::RangeOr(least, most, other) => format!("{kind} from {least} to {most}, or {other}"),
            Allowed::RealRange(least, most) => format!("{kind} from {least} to {most}"),
            Allowed::OneOf(words) | Allowed::OneOfAnyCase(words) => format!("one of {}", words.join(", ")),
            Allowed::AnyOf(words) => format!("a list of any of {}", words.join(", ")),
            Allowed::NotEmpty => format!("{kind} that is not empty"),
            Allowed::Replicas => "* or a list of partition:broker".to_owned(),
            Allowed::ResetOffset => {
                "latest, earliest, or by_duration: and a duration such as PT1H".to_owned()
            }
        }
    }
}

/// `PnDTnHnMn.nS` with at least one part, none of them negative.
fn is_duration(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('P') else { return false };
    let (days, times) = rest.split_once('T').unwrap_or((rest, ""));
    let parts = |text: &str, units: &str| {
        let mut units = units.chars();
        let mut digits = String::new();
        text.chars().all(|one| {
            if one.is_ascii_digit() || one == '.' {
                digits.push(one);
                return true;
            }
            let number = std::mem::take(&mut digits);
            number.parse::<f64>().is_ok() && units.any(|unit| unit == one)
        }) && digits.is_empty()
    };
    let some = !days.is_empty() || !times.is_empty();
    some && parts(days, "D") && parts(times, "HMS") && !rest.ends_with('T')
}

fn is_replica(pair: &str) -> bool {
    pair.trim()
        .split_once(':')
        .is_some_and(|(partition, broker)| partition.parse::<u32>().is_ok() && broker.parse::<u32>().is_ok())
}

/// The row of that name in a table sorted by name.
pub fn find<'t, R>(table: &'t [R], name: &str, row: impl Fn(&R) -> &Row) -> Option<&'t R> {
    table.binary_search_by(|entry| row(entry).name.cmp(name)).ok().and_then(|at| table.get(at))
}

/// The name nearest to `wrong` by edits; `None` where nothing is near.
pub fn nearest(wrong: &str, names: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let limit = (wrong.len() / 3).max(2);
    names
        .map(|name| (edits(wrong.as_bytes(), name.as_bytes()), name))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, name)| name)
}

/// Levenshtein's distance.
fn edits(left: &[u8], right: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (above, &byte) in left.iter().enumerate() {
        let mut corner = above;
        let mut before = above + 1;
        for (cell, &other) in row.iter_mut().skip(1).zip(right) {
            let change = corner + usize::from(byte != other);
            corner = *cell;
            before = change.min(before + 1).min(*cell + 1);
            *cell = before;
        }
        if let Some(first) = row.first_mut() {
            *first = above + 1;
        }
    }
    row.last().copied().unwrap_or(left.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_far_ones_are_not() {
        let names = || ["num.partitions", "num.io.threads", "node.id"].into_iter();
        assert_eq!(nearest("num.partition", names()), Some("num.partitions"));
        assert_eq!(nearest("node_id", names()), Some("node.id"));
        assert_eq!(nearest("completely.else", names()), None);
        assert_eq!(edits(b"kitten", b"sitting"), 3);
        assert_eq!(edits(b"", b"abc"), 3);
    }
}
