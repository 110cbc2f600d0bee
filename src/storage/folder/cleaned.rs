//! How far each compacted log was cleaned, in Kafka's `cleaner-offset-checkpoint` text; a wrong or lost line costs only
//! that records are looked at again.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::model::id::TopicPartition;

/// The file's name within the data folder.
pub(super) const FILE: &str = "cleaner-offset-checkpoint";

/// By partition, the offset up to which its log was cleaned.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Cleaned {
    offsets: BTreeMap<TopicPartition, i64>,
}

impl Cleaned {
    pub(super) fn get(&self, partition: &TopicPartition) -> Option<i64> {
        self.offsets.get(partition).copied()
    }

    /// Whether that changed anything.
    pub(super) fn set(&mut self, partition: &TopicPartition, offset: Option<i64>) -> bool {
        match offset {
            Some(offset) => self.offsets.insert(partition.clone(), offset) != Some(offset),
            None => self.offsets.remove(partition).is_some(),
        }
    }

    /// Version 0, count, then "topic partition offset" lines.
    pub(super) fn to_text(&self) -> String {
        let mut text = format!("0\n{}\n", self.offsets.len());
        for (partition, offset) in &self.offsets {
            let _ = writeln!(text, "{} {} {offset}", partition.topic, partition.partition);
        }
        text
    }

    /// What can be read of the text.
    pub(super) fn from_text(text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(text);
        let line = |line: &str| {
            let mut words = line.split(' ');
            let (topic, partition, offset) = (words.next()?, words.next()?, words.next()?);
            Some((TopicPartition::new(topic, partition.parse().ok()?), offset.parse().ok()?))
        };
        Self { offsets: text.lines().skip(2).filter_map(line).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_kafkas() {
        let mut cleaned = Cleaned::default();
        let (a, b) = (TopicPartition::new("a", 0), TopicPartition::new("b.c", 11));
        assert!(cleaned.set(&b, Some(7)) && cleaned.set(&a, Some(i64::MAX)));
        assert!(!cleaned.set(&b, Some(7)));
        assert_eq!(cleaned.to_text(), format!("0\n2\na 0 {}\nb.c 11 7\n", i64::MAX));
        assert_eq!(Cleaned::from_text(cleaned.to_text().as_bytes()), cleaned);
        assert!(cleaned.set(&a, None) && !cleaned.set(&a, None));
        assert_eq!(Cleaned::from_text(b"0\n1\nnonsense\n"), Cleaned::default());
        assert_eq!(Cleaned::from_text(&[0xff; 9]), Cleaned::default());
    }
}
