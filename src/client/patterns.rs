//! Topics by regular expression, matched whole as Kafka's subscriptions are; never one of the broker's own topics.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{ClientError, TopicView};
use regex::RegexSet;

/// Bytes that a compiled pattern may take.
const SIZE_LIMIT: usize = 1 << 20;

/// Which topics are meant.
#[derive(Debug, Clone)]
pub struct Patterns(RegexSet);

impl Patterns {
    /// Compiles the patterns; a topic is meant when its whole name matches one of them.
    ///
    /// # Errors
    /// [`ClientError::Option`] with the pattern that is none.
    pub fn new(patterns: &[String]) -> Result<Self, ClientError> {
        let whole = |pattern: &String| format!("^(?:{pattern})$");
        for pattern in patterns {
            // By itself first: `a)(b` is whole only inside the brackets.
            regex::RegexBuilder::new(pattern).size_limit(SIZE_LIMIT).build().map_err(|error| {
                let text = error.to_string();
                let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
                ClientError::Option(format!("{pattern:?} is no regular expression: {last}"))
            })?;
        }
        let set = regex::RegexSetBuilder::new(patterns.iter().map(whole)).size_limit(SIZE_LIMIT).build();
        set.map(Self).map_err(|error| ClientError::Option(error.to_string()))
    }

    /// Whether a topic of this name is meant.
    pub fn matches(&self, name: &str) -> bool {
        self.0.is_match(name)
    }

    /// Names of the topics that are meant, ascending.
    pub fn select(&self, topics: &BTreeMap<Arc<str>, Arc<TopicView>>) -> Vec<String> {
        let meant = |name: &str, view: &TopicView| !view.internal && self.0.is_match(name);
        topics.iter().filter(|(name, view)| meant(name, view)).map(|(name, _)| name.to_string()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::TopicId;

    #[test]
    fn whole_names_match_and_internal_topics_never() {
        let view = |name: &str, internal| {
            let (name, id) = (Arc::from(name), TopicId::ZERO);
            (Arc::clone(&name), Arc::new(TopicView { name, id, internal, partitions: Vec::new() }))
        };
        let topics = BTreeMap::from([
            view("sales-eu", false),
            view("sales-us", false),
            view("old-sales-eu", false),
            view("sales-", true),
        ]);
        let select = |patterns: &[&str]| {
            let patterns: Vec<String> = patterns.iter().map(|one| (*one).to_owned()).collect();
            Patterns::new(&patterns).map(|patterns| patterns.select(&topics))
        };
        assert_eq!(select(&["sales-.*"]).unwrap(), ["sales-eu", "sales-us"]);
        assert_eq!(select(&["sales-eu|x", "old.*"]).unwrap(), ["old-sales-eu", "sales-eu"]);
        assert!(select(&["a("]).unwrap_err().to_string().contains("a("));
        assert!(select(&["a)(b"]).is_err());
    }
}
